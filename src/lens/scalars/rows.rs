//! Per-record scalars on their way into rows, in the layout of `stored`.

use super::passes::{self, FinalPass};
use super::stored::FIXED;
use crate::error::Result;
use crate::lens::RowSource;
use crate::lens::derive::over_no_rows;
use crate::lens::program::Program;
use crate::lens::statistics::PlacedStatistic;
use crate::lens::step::{ResolvedStep, VectorMetric};
use crate::linalg::RowsRef;
use crate::types::{CommitNumber, RowSet, ViewId};
use std::ops::Range;

/// Multiplications that computing a record's scalars must take for them to be kept. What is kept is always read faster
/// than it is computed: the first query over 50,000 records took 1.7 ms with kept scalars and 3.1 ms without at 16
/// dimensions (`center corpus`), 7.1 and 26 ms at 384 (`project` to 64), 194 and 402 ms at 768 (`whiten`). But a kept
/// row takes 64 bytes on disk, as much as the raw row has at 16 dimensions, to save some 30 ns once per handle: below
/// this, disk counts for more.
const LEAST_WORK: usize = if cfg!(test) { 8 } else { 512 };

/// Makes the rows for one lens and its statistics.
#[derive(Debug)]
pub struct ScalarProcessor {
    record: Program,
    squares: bool,
    dimension: usize,
}

impl ScalarProcessor {
    /// The scalars of a whole lens over rows of `dimension`, with a statistic for each step that takes one.
    ///
    /// # Errors
    /// As [`crate::lens::RowProcessor::new`].
    pub fn new(
        steps: Vec<ResolvedStep>,
        metric: VectorMetric,
        dimension: usize,
        statistics: &[PlacedStatistic],
    ) -> Result<Self> {
        let prepared = over_no_rows(steps, metric, dimension, statistics)?;
        let squares = metric == VectorMetric::Euclidean;
        Ok(ScalarProcessor { record: prepared.record_program().clone(), squares, dimension })
    }

    /// Whether computing the scalars is so much work that they are worth their place on disk.
    pub fn is_worth_keeping(&self) -> bool {
        self.record.multiplications(self.dimension) >= LEAST_WORK
    }

    /// Numbers for one record.
    pub fn width(&self) -> usize {
        FIXED + passes::scalar_count(&self.record, self.squares)
    }

    /// What is known of the rows of `present`, which are numbered from 0, one after the other.
    ///
    /// # Errors
    /// None that rows in memory could cause.
    pub fn process(&self, rows: RowsRef<'_>, present: &RowSet) -> Result<Vec<f32>> {
        let FinalPass { undirected, extreme, scalars } =
            passes::scalars_in_full(&OneBlock(rows), present, &self.record, self.squares)?;
        let error = if scalars.norm_error > 0.0 { (scalars.norm_error as f32).next_up() } else { 0.0 };
        let mut out = Vec::with_capacity(present.len() as usize * self.width());
        for row in present.iter() {
            if undirected.contains(row) || extreme.contains(row) {
                out.push(if undirected.contains(row) { 1.0 } else { 2.0 });
                out.resize(out.len() + self.width() - 1, 0.0);
                continue;
            }
            let row = row as usize;
            out.extend([0.0, error, scalars.reach[row]]);
            out.extend(scalars.alpha.get(row));
            out.extend(scalars.extras.iter().map(|(_, values)| values[row]));
            out.extend(scalars.squares.get(row));
        }
        Ok(out)
    }
}

/// Some rows as a source of their own.
struct OneBlock<'a>(RowsRef<'a>);

impl RowSource for OneBlock<'_> {
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn row_count(&self) -> u32 {
        self.0.len() as u32
    }

    fn block_count(&self) -> usize {
        1
    }

    fn block_range(&self, _block: usize) -> Range<u32> {
        0..self.row_count()
    }

    fn block(&self, _block: usize) -> Result<RowsRef<'_>> {
        Ok(self.0)
    }

    fn identity(&self) -> (ViewId, CommitNumber) {
        (ViewId(0), CommitNumber(0))
    }
}
