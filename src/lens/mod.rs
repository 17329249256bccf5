//! Level 2: what "similar" means, as algebra.
//!
//! Owns steps, projections, the metrics on vectors, and their normal form: every chain of steps is one folded query
//! vector and a few scalars per record over the raw rows, see [`chain`]. It reads rows through [`RowSource`] and
//! knows no file, no collection and no query text. `oracle` is the same language written down naively; tests hold
//! everything else against it.

mod build;
pub mod chain;
pub mod derive;
pub mod fold;
mod hubs;
pub mod memory;
mod moments;
mod noise;
mod op;
#[cfg(test)]
pub(crate) mod oracle;
pub mod percentile;
pub mod prepared;
pub mod program;
pub mod projection;
pub mod rough;
mod scalars;
mod statistics;
pub mod step;
pub mod sums;
#[cfg(test)]
mod tests;
mod tile;
pub mod trace;

pub use scalars::stored;

pub use chain::Chain;
pub use derive::RowProcessor;
pub use fold::ProcessedQuery;
pub use moments::RowForm;
pub use percentile::Percentiles;
pub use prepared::{Known, Prepared};
pub use projection::Projection;
pub use rough::{Rough, RoughPass, RowReader, Side};
pub use scalars::rows::ScalarProcessor;
pub use statistics::{FewRecords, PlacedStatistic};
pub use step::{ResolvedStep, SampleRows, VectorMetric};
pub use stored::StoredScalars;
pub use sums::RowSums;

use crate::error::Result;
use crate::linalg::RowsRef;
use crate::types::{CommitNumber, ViewId};
use std::ops::Range;

/// Rows of one view in a snapshot, cut into blocks (64 KiB to about 1 MiB) that a task reads at once.
pub trait RowSource: Sync {
    /// Elements of one row.
    fn dimension(&self) -> usize;
    /// Rows `0..row_count` are covered.
    fn row_count(&self) -> u32;
    /// Number of blocks.
    fn block_count(&self) -> usize;
    /// Rows of one block: consecutive, ascending, disjoint; together they cover `0..row_count`.
    fn block_range(&self, block: usize) -> Range<u32>;
    /// The rows of a block, verified on first touch; row `i` of it is row `block_range(block).start + i`.
    ///
    /// # Errors
    /// Corrupt or unreadable files.
    fn block(&self, block: usize) -> Result<RowsRef<'_>>;
    /// Which view at which commit: what is computed from the rows may be kept under this key.
    fn identity(&self) -> (ViewId, CommitNumber);
    /// Fails once what is computed from the rows is no longer wanted. Whoever computes asks between pieces of work that
    /// take some milliseconds; reading a block asks as well.
    ///
    /// # Errors
    /// [`Cancelled`](crate::ErrorKind::Cancelled).
    fn checkpoint(&self) -> Result<()> {
        Ok(())
    }
}
