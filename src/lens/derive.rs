//! Records behind their steps, as rows of their own: what a materialized lens keeps.
//!
//! Owns [`RowProcessor`], the rule for which processed rows are kept, and how far a kept row may be from the vector it
//! was rounded from. A processed row is a pure function of the stored row and the statistics, with the very operations
//! that finalists are scored by; it knows neither where rows come from nor where they go.
//!
//! # The bound
//! A kept row `z` is `y(x)` rounded to `f32`, and from there to `f16` where that is asked for. With `e` = 2^-24 (2^-11)
//! an element errs by at most `e` of itself, or by 2^-150 (2^-25) where it is subnormal. Only rows are kept whose norm
//! makes the second part, times the root of the dimension, less than a hundredth of the first, so that
//!
//! ```text
//! |z - y| <= 1.01 e |y| <= q |z|        q = 1.02 e
//! ```
//!
//! What a metric makes of the difference, `u` being the processed query (of length 1 for the first and last):
//!
//! - `cosine`: vectors within `s < 1` of each other, relative to one of them, enclose an angle of sine at most `s`, so
//!   their directions differ by at most `s (1 + s^2)`: the score by `q`;
//! - `dot`: `q |z| |u|`;
//! - `euclidean`, squared: `|z - y| (|z| + |y| + 2 |u|) <= 2 q |z| |u| + 2.1 q |z|^2`;
//! - `pearson`: without their means they differ by at most `q |z|`, which relative to what is left of `z` is
//!   `s = q r(z)` and may be large; directions differ by at most `2 s` whatever `s` is.
//!
//! All of them are `q` times the reach times the norm of the folded query (twice that for `pearson`), plus the part of
//! the square: [`ProcessedQuery::row_error`] in `fold`. Rows that are not kept are scored in full.

use super::memory::MemoryRows;
use super::program::{Traveller, Undirected};
use super::statistics::PlacedStatistic;
use super::step::{ResolvedStep, VectorMetric};
use super::{Chain, Prepared, ProcessedQuery};
use crate::error::{Error, Result};
use crate::linalg::rows::RowRef;
use crate::linalg::stats;
use crate::types::{ElementType, RowSet};
use half::f16;
use std::ops::RangeInclusive;

/// Norms of processed rows that `f32` keeps.
const F32_NORMS: RangeInclusive<f64> = 1e-25..=1e30;
/// The smallest norm that `f16` keeps, for each root of the dimension: 100 x 2^-25 / 2^-11.
const F16_LEAST: f64 = 100.0 / 16_384.0;

/// `e`: the relative error of rounding one number.
fn unit(element: ElementType) -> f64 {
    match element {
        ElementType::F32 => 1.0 / f64::from(1_u32 << 24),
        ElementType::F16 => 1.0 / 2048.0,
    }
}

/// The steps of a lens with its statistics, for records alone.
#[derive(Debug)]
pub struct RowProcessor {
    prepared: Prepared,
    element: ElementType,
}

impl RowProcessor {
    /// The steps for rows of `dimension`, with a statistic for each step that takes one; what they give is kept as
    /// `element`.
    ///
    /// # Errors
    /// Dimensions that cannot be, and a statistic that is missing or not its step's.
    pub fn new(
        steps: Vec<ResolvedStep>,
        dimension: usize,
        statistics: &[PlacedStatistic],
        element: ElementType,
    ) -> Result<Self> {
        // A metric without steps of its own: what is left are the operations of the steps.
        let prepared = over_no_rows(steps, VectorMetric::Dot, dimension, statistics)?;
        Ok(RowProcessor { prepared, element })
    }

    /// Elements of a processed row.
    pub fn dimension(&self) -> usize {
        self.prepared.chain().output_dimension()
    }

    /// Appends the processed `row` to `out`, rounded (to `f32`, and where halves are kept to what a half holds); false,
    /// with nothing appended, where the row has no direction on the way or is not one that is kept.
    pub fn process(&self, row: RowRef<'_>, traveller: &mut Traveller, out: &mut Vec<f32>) -> bool {
        row.widen_f64(&mut traveller.vector);
        if !self.prepared.record_program().run(traveller, Undirected::Stop) {
            return false;
        }
        let y = &traveller.vector;
        let norm = stats::norm(y);
        let is_kept = match self.element {
            ElementType::F32 => F32_NORMS.contains(&norm),
            ElementType::F16 => {
                norm >= F16_LEAST * (y.len() as f64).sqrt() && y.iter().all(|x| x.abs() <= f64::from(f16::MAX))
            }
        };
        if is_kept {
            out.extend(y.iter().map(|&x| match self.element {
                ElementType::F32 => x as f32,
                ElementType::F16 => f16::from_f32(x as f32).to_f32(),
            }));
        }
        is_kept
    }
}

/// A lens over no rows: its operations, with a statistic given for each step that takes one.
pub(super) fn over_no_rows(
    steps: Vec<ResolvedStep>,
    metric: VectorMetric,
    dimension: usize,
    statistics: &[PlacedStatistic],
) -> Result<Prepared> {
    let missing = steps.iter().enumerate().find(|(step_idx, step)| {
        step.takes_statistic() && !statistics.iter().any(|placed| placed.step_idx == *step_idx)
    });
    if let Some((step_idx, step)) = missing {
        let message = format!("nothing is pinned for step {} ({step}), so its results would not last", step_idx + 1);
        return Err(Error::invalid(message));
    }
    let chain = Chain::new(steps, metric, dimension)?;
    let none = MemoryRows::new(&[], dimension, ElementType::F32, 1);
    Prepared::compute_pinned(&chain, &none, &RowSet::new(), statistics)
}

impl ResolvedStep {
    /// Whether it takes something from all records.
    pub fn takes_statistic(&self) -> bool {
        match self {
            ResolvedStep::CenterCorpus
            | ResolvedStep::CenterSides(_)
            | ResolvedStep::Standardize
            | ResolvedStep::Whiten(_)
            | ResolvedStep::Drop(_) => true,
            ResolvedStep::Center | ResolvedStep::Normalize | ResolvedStep::Truncate(_) | ResolvedStep::Project(_) => {
                false
            }
        }
    }
}

impl Prepared {
    /// `query`, which another lens of the same metric has processed, folded over this one's rows, which are that lens's
    /// records as [`RowProcessor`] rounds them to `element`.
    pub(crate) fn refold(&self, query: &ProcessedQuery, element: ElementType) -> ProcessedQuery {
        let metric = self.chain().metric();
        let refolded =
            ProcessedQuery::new(query.processed.clone(), self.record_program(), self.chain().dimension(), metric);
        let twice = if metric == VectorMetric::Pearson { 2.0 } else { 1.0 };
        ProcessedQuery { row_error: twice * 1.02 * unit(element), ..refolded }
    }
}
