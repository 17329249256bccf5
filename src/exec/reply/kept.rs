//! What was written to keep lenses fast and true: statistics computed again, processed rows.
//!
//! Owns the reports of [`Store::analyze`](crate::Store::analyze) and [`materialize`](crate::materialize).

use crate::store::DerivedInfo;
use crate::types::CommitNumber;

/// What [`Store::analyze`] did.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Analysis {
    /// The statistics that were computed, by lens, collection and place in the chain.
    pub statistics: Vec<AnalyzedStatistic>,
    /// Statistics that were up to date already.
    pub unchanged: u64,
    /// The commit that stored them; `None` where there was nothing to do.
    pub commit: Option<CommitNumber>,
}

/// A statistic that was computed again, or for the first time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnalyzedStatistic {
    /// The lens.
    pub lens: String,
    /// The collection.
    pub collection: String,
    /// Position of the step in the lens's chain.
    pub step_idx: u32,
    /// What it is, in words: `mean and standard deviations`.
    pub what: String,
    /// Records it was computed from.
    pub records: u64,
    /// The commit whose records these are.
    pub commit: CommitNumber,
    /// What it replaced: the commit that was of, and the commits since then that had changed the view.
    pub before: Option<(CommitNumber, u64)>,
}

/// What [`materialize`] wrote.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Materialized {
    /// The lens.
    pub lens: String,
    /// The commit.
    pub commit: CommitNumber,
    /// Collections for which something was pinned that was not pinned before.
    pub pinned_collections: Vec<String>,
    /// The rows, by collection.
    pub rows: Vec<DerivedInfo>,
}
