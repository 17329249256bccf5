//! From a chain to the operations of both sides: statistics are computed as their places are reached.
//!
//! Owns [`Builder`]. A statistic is taken of the records behind the operations so far, or given. Invariant: what the
//! programs can make of a vector of `f32` range stays within [`LARGEST`], whatever the statistics are.

use super::chain::{LARGEST, LARGEST_QUERY};
use super::moments::RowForm;
use super::program::{Basis, Op, Program, Traveller, Undirected};
use super::statistics::PlacedStatistic;
use super::step::{ResolvedStep, SampleRows, VectorMetric};
use super::{RowSource, RowSums, moments, statistics};
use crate::error::{Error, Result};
use crate::linalg::stats::{self, VectorSum};
use crate::types::{RowSet, Statistic};
use rayon::prelude::*;
use std::sync::Arc;

/// Both sides' programs as far as they are built.
pub(super) struct Builder<'a> {
    source: &'a dyn RowSource,
    live: &'a RowSet,
    pub record: Program,
    pub query: Program,
    pub statistics: Vec<PlacedStatistic>,
    /// Number of the query's operations after each step.
    pub query_ends: Vec<usize>,
    dimension: usize,
    /// Bounds on the norm of what comes out of each side.
    record_bound: f64,
    query_bound: f64,
    /// The sums of rows that a step has asked for.
    known: Vec<(RowForm, VectorSum)>,
    /// Where it is asked for, so that others that ask have it too.
    sums: Option<&'a SumsOf<'a>>,
}

/// Gives the sums of rows.
pub type SumsOf<'a> = dyn Fn(RowForm) -> Result<Arc<RowSums>> + Sync + 'a;

impl<'a> Builder<'a> {
    /// Empty programs over the rows of `live`.
    pub fn new(source: &'a dyn RowSource, live: &'a RowSet, sums: Option<&'a SumsOf<'a>>) -> Self {
        let root = (source.dimension() as f64).sqrt();
        Builder {
            source,
            live,
            record: Program::default(),
            query: Program::default(),
            statistics: Vec::new(),
            query_ends: Vec::new(),
            dimension: source.dimension(),
            record_bound: f64::from(f32::MAX) * root,
            query_bound: LARGEST_QUERY * root,
            known: Vec::new(),
            sums,
        }
    }

    /// Adds the next step of the chain; `given` is its statistic where that is pinned.
    ///
    /// # Errors
    /// Rows that cannot be read, a statistic that does not fit, values that leave the range of `f64`.
    pub fn push(&mut self, step: &ResolvedStep, given: Option<&PlacedStatistic>) -> Result<()> {
        let step_idx = self.query_ends.len();
        let (query, record) = if let Some((query, record)) = self.plain(step) {
            (vec![query], vec![record])
        } else {
            let placed = match given {
                Some(given) => given.clone(),
                None => self.compute(step, step_idx)?,
            };
            statistics::check(step, step_idx, &placed.statistic, self.dimension)?;
            let ops = self.with_statistic(step, &placed.statistic);
            self.statistics.push(placed);
            ops
        };
        self.query_bound = query.iter().fold(self.query_bound, bound_after);
        self.record_bound = record.iter().fold(self.record_bound, bound_after);
        if self.query_bound.max(self.record_bound) > LARGEST {
            return Err(Error::invalid(format!(
                "step {} ({step}): values beyond {LARGEST:e} may come of it; put a normalize before it",
                step_idx + 1
            )));
        }
        self.query.extend(query);
        self.record.extend(record);
        self.query_ends.push(self.query.ops.len());
        self.dimension = self.record.output_dimension(self.source.dimension());
        Ok(())
    }

    /// Adds the metric's own steps: `cosine` normalizes both sides, `pearson` centers them first.
    pub fn push_metric(&mut self, metric: VectorMetric) {
        let ops: &[Op] = match metric {
            VectorMetric::Cosine => &[Op::Normalize],
            VectorMetric::Pearson => &[Op::OwnMean, Op::Normalize],
            VectorMetric::Dot | VectorMetric::Euclidean => &[],
        };
        self.query.extend(ops.iter().cloned());
        self.record.extend(ops.iter().cloned());
    }

    /// The operations, query's and record's, of a step that takes nothing from the records.
    fn plain(&self, step: &ResolvedStep) -> Option<(Op, Op)> {
        let both = |op: Op| Some((op.clone(), op));
        match step {
            ResolvedStep::Center => both(Op::OwnMean),
            ResolvedStep::Normalize => both(Op::Normalize),
            ResolvedStep::Truncate(to) => both(Op::Truncate { from: self.dimension, to: *to }),
            ResolvedStep::Project(projection) => {
                Some((Op::Matrix(Arc::clone(projection.query())), Op::Matrix(Arc::clone(projection.record()))))
            }
            ResolvedStep::CenterCorpus
            | ResolvedStep::CenterSides(_)
            | ResolvedStep::Standardize
            | ResolvedStep::Whiten(_)
            | ResolvedStep::Drop(_) => None,
        }
    }

    /// The operations, query's and record's, of a step with its statistic, which has been checked.
    fn with_statistic(&self, step: &ResolvedStep, statistic: &Arc<Statistic>) -> (Vec<Op>, Vec<Op>) {
        let shift = |mean: &[f64]| Op::Shift(Arc::from(mean));
        let both = |ops: Vec<Op>| (ops.clone(), ops);
        match &**statistic {
            Statistic::Mean(mean) => both(vec![shift(mean)]),
            Statistic::Sides { queries, records } => (vec![shift(queries)], vec![shift(records)]),
            Statistic::Scale { mean, divisor } => both(vec![shift(mean), Op::Divide(Arc::from(&divisor[..]))]),
            Statistic::Directions { mean, divisor, .. } => {
                let basis = Basis::new(statistic, self.dimension);
                both(match step {
                    ResolvedStep::Drop(_) => vec![shift(mean), Op::Remove(basis)],
                    _ => vec![shift(mean), Op::Coordinates(basis), Op::Divide(Arc::from(&divisor[..]))],
                })
            }
        }
    }

    /// What `step` takes of the records as they arrive.
    fn compute(&mut self, step: &ResolvedStep, step_idx: usize) -> Result<PlacedStatistic> {
        let (mean, count) = self.mean()?;
        let statistic = match step {
            ResolvedStep::CenterSides(sample) => {
                Statistic::Sides { queries: self.sample_mean(sample, step_idx)?, records: mean }
            }
            ResolvedStep::Standardize => {
                let spread = moments::spread(self.source, self.live, &self.record, &mean)?;
                statistics::scale(&spread, mean)
            }
            ResolvedStep::Whiten(k) => self.directions(mean, k.unwrap_or(self.dimension), true)?,
            ResolvedStep::Drop(k) => self.directions(mean, *k, false)?,
            _ => Statistic::Mean(mean),
        };
        Ok(PlacedStatistic { step_idx, statistic: Arc::new(statistic), count })
    }

    fn directions(&self, mean: Vec<f64>, k: usize, whiten: bool) -> Result<Statistic> {
        let covariance = moments::covariance(self.source, self.live, &self.record, &mean)?;
        statistics::directions(covariance, mean, k, whiten, &|| self.source.checkpoint())
    }

    /// The mean of the records as they arrive behind the operations so far, and how many they are. Where these are
    /// affine, or so behind a normalization that comes first of all, the mean of the rows goes through them; behind any
    /// other normalization the rows have to. Of no records there is no mean; then nothing is subtracted.
    fn mean(&mut self) -> Result<(Vec<f64>, u64)> {
        let (form, affine) = match self.record.ops.split_first() {
            Some((Op::Normalize, rest)) => (RowForm::Unit, rest),
            _ => (RowForm::Raw, &self.record.ops[..]),
        };
        let affine = Program::new(affine.to_vec());
        if affine.normalizations() > 0 {
            let sum = moments::sum(self.source, self.live, &self.record)?;
            return Ok((sum.mean(), sum.count));
        }
        let at = match self.known.iter().position(|(of, _)| *of == form) {
            Some(at) => at,
            None => {
                let sum = match self.sums {
                    Some(sums) => sums(form)?.total(),
                    None => RowSums::of(self.source, self.live, form, None)?.total(),
                };
                self.known.push((form, sum));
                self.known.len() - 1
            }
        };
        let (_, sum) = &self.known[at];
        let mut traveller = Traveller::new(sum.mean());
        affine.run(&mut traveller, Undirected::GoOn);
        if sum.count == 0 {
            traveller.vector.fill(0.0);
        }
        Ok((traveller.vector, sum.count))
    }

    /// The mean of the sample's queries behind the query's operations so far; those that a normalization leaves out
    /// are in neither sum nor count.
    fn sample_mean(&self, sample: &SampleRows, step_idx: usize) -> Result<Vec<f64>> {
        let arrive = |row: &[f32]| {
            let mut traveller = Traveller::new(row.iter().map(|&x| f64::from(x)).collect());
            self.query.run(&mut traveller, Undirected::Stop).then_some(traveller.vector)
        };
        let arrived: Vec<Option<Vec<f64>>> = sample.rows().par_chunks(sample.dimension.max(1)).map(arrive).collect();
        let mut sum = VectorSum::new(self.dimension);
        arrived.iter().flatten().for_each(|query| sum.add(query));
        if sum.count == 0 {
            return Err(Error::invalid(format!(
                "step {}: no query of sample {} arrives there with a direction, so that there is no mean to subtract",
                step_idx + 1,
                sample.name
            )));
        }
        Ok(sum.mean())
    }
}

/// A bound on the norm of what `op` makes of a vector of norm at most `bound`.
fn bound_after(bound: f64, op: &Op) -> f64 {
    match op {
        Op::Shift(mean) => bound + stats::norm(mean),
        Op::Normalize => 1.0,
        // What is left of a vector is no longer than the vector.
        Op::OwnMean | Op::Truncate { .. } | Op::Remove(_) => bound,
        Op::Matrix(_) | Op::Divide(_) | Op::Coordinates(_) => bound * op.growth(),
    }
}
