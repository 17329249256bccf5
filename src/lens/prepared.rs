//! What a chain needs to know about the records: statistics, and a few scalars for each.
//!
//! Owns [`Prepared`]. Statistics and scalars are computed in blocked passes over the live rows, all of it in `f64`,
//! matrices as tile products; what is kept is one or two `f32` for each row, and the rounding is part of the
//! candidates' bound (`fold`). Means are merged in row order, so nothing depends on the number of threads. Caching is
//! the caller's business: a `Prepared` is immutable and knows its size.

use super::fold::{ProcessedQuery, RecordScalars};
use super::passes::{self, FinalPass};
use super::program::{Op, Program, Traveller, Undirected};
use super::step::{ResolvedStep, VectorMetric};
use super::{Chain, RowSource};
use crate::error::{Error, ErrorKind, Result};
use crate::linalg::rows::RowRef;
use crate::linalg::{simd, stats};
use crate::types::{CommitNumber, RowSet, Statistic, ViewId};
use std::sync::Arc;

/// What the step at one place of a chain takes from the records.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedStatistic {
    /// Position of the step in the chain.
    pub step_idx: usize,
    /// The numbers, in the dimension at that place.
    pub statistic: Arc<Statistic>,
    /// Records they were computed from.
    pub count: u64,
}

/// Statistics and per-record scalars of one chain over the live rows of one view.
#[derive(Debug)]
pub struct Prepared {
    chain: Chain,
    statistics: Vec<PlacedStatistic>,
    query: Program,
    record: Program,
    directed: RowSet,
    undirected: RowSet,
    extreme: RowSet,
    scalars: Scalars,
    identity: (ViewId, CommitNumber),
}

/// Scalars by row; entries of rows that are not directed mean nothing.
#[derive(Debug, Default)]
pub(crate) struct Scalars {
    /// `S_0`; empty where it is 1 for every record.
    pub alpha: Vec<f32>,
    /// `S_0 |x|`, rounded up.
    pub reach: Vec<f32>,
    /// `(g, S_g)` for later groups that have shifts.
    pub extras: Vec<(usize, Vec<f32>)>,
    /// `|y|^2`, for distances.
    pub squares: Vec<f32>,
}

impl Prepared {
    /// Computes the statistics of `chain` over the rows of `live` (live records that have a vector) and the scalars
    /// of each. Uses the current rayon pool.
    ///
    /// # Errors
    /// Rows that cannot be read, or a source of another dimension than the chain's.
    pub fn compute(chain: &Chain, source: &dyn RowSource, live: &RowSet) -> Result<Self> {
        Prepared::compute_pinned(chain, source, live, &[])
    }

    /// [`Prepared::compute`] with some statistics given, as a named lens pins them.
    ///
    /// # Errors
    /// As [`Prepared::compute`]; and a given statistic of the wrong dimension or of another kind than its step.
    pub fn compute_pinned(
        chain: &Chain,
        source: &dyn RowSource,
        live: &RowSet,
        pinned: &[PlacedStatistic],
    ) -> Result<Self> {
        if source.dimension() != chain.dimension() {
            return Err(Error::invalid(format!(
                "the lens was made for {} dimensions, but the view has {}",
                chain.dimension(),
                source.dimension()
            )));
        }
        let mut builder = Builder { source, live, record: Program::default(), query: Program::default(), raw: None };
        let mut statistics = Vec::new();
        let mut dimension = chain.dimension();
        for (step_idx, step) in chain.steps().iter().enumerate() {
            let given = pinned.iter().find(|mean| mean.step_idx == step_idx);
            dimension = builder.push(step, step_idx, dimension, given, &mut statistics)?;
        }
        builder.push_metric(chain.metric());
        let FinalPass { undirected, extreme, scalars } =
            passes::scalars(source, live, &builder.record, chain.metric() == VectorMetric::Euclidean)?;
        Ok(Prepared {
            chain: chain.clone(),
            statistics,
            query: builder.query,
            record: builder.record,
            directed: live.and_not(&undirected),
            undirected,
            extreme,
            scalars,
            identity: source.identity(),
        })
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The statistics of the records, one for each step that needs one, in the order of the chain.
    pub fn statistics(&self) -> &[PlacedStatistic] {
        &self.statistics
    }

    /// The record side with its statistics, the metric's own steps included: what turns a raw row into a processed
    /// one.
    pub(crate) fn record_program(&self) -> &Program {
        &self.record
    }

    /// Number of operations up to the end of each step, the same on both sides; what follows the last is the metric's.
    pub(crate) fn step_ends(&self) -> Vec<usize> {
        (1..=self.chain.steps().len()).collect()
    }

    /// The query side with its statistics, the metric's own steps included.
    pub(crate) fn query_program(&self) -> &Program {
        &self.query
    }

    /// Live rows that can be ranked.
    pub fn directed(&self) -> &RowSet {
        &self.directed
    }

    /// Live rows that have no direction under this lens: never ranked, listed apart.
    pub fn undirected(&self) -> &RowSet {
        &self.undirected
    }

    /// The view and commit whose rows this was computed from.
    pub fn identity(&self) -> (ViewId, CommitNumber) {
        self.identity
    }

    /// Memory held, in bytes; matrices are shared with the chain and not counted.
    pub fn bytes(&self) -> usize {
        let Scalars { alpha, reach, extras, squares } = &self.scalars;
        let floats = alpha.len() + reach.len() + squares.len() + extras.iter().map(|e| e.1.len()).sum::<usize>();
        let doubles: usize = self.statistics.iter().map(|placed| placed.statistic.len()).sum();
        // Bitmaps are compressed; their serialized form is about what they take in memory.
        let sets = [&self.directed, &self.undirected, &self.extreme].map(|set| set.encode().len());
        floats * size_of::<f32>() + doubles * size_of::<f64>() + sets.iter().sum::<usize>()
    }

    /// Processes and folds a query given as a raw vector of the view.
    ///
    /// # Errors
    /// A vector of another dimension, one that is not finite, or one that a step or the metric leaves without a
    /// direction.
    pub fn process(&self, query: &[f64]) -> Result<ProcessedQuery> {
        self.process_sum(query, 0.0)
    }

    /// [`Prepared::process`] for a query that is a sum of terms, the longest of norm `largest_term`: where they
    /// cancel, what is left over is rounding, not a direction.
    ///
    /// # Errors
    /// As [`Prepared::process`].
    pub fn process_sum(&self, query: &[f64], largest_term: f64) -> Result<ProcessedQuery> {
        if query.len() != self.chain.dimension() {
            return Err(Error::invalid(format!(
                "the query has {} dimensions, but the view has {}",
                query.len(),
                self.chain.dimension()
            )));
        }
        // Rows are `f32`, so nothing that is made of them is larger than this; more could overflow on the way.
        if query.iter().any(|x| x.is_nan() || x.abs() > 1e45) {
            return Err(Error::invalid("the query has an element that is not finite"));
        }
        let mut traveller = Traveller::new(query.to_vec(), largest_term);
        for (idx, op) in self.query.ops.iter().enumerate() {
            if traveller.apply(op, Undirected::Stop).is_none() {
                return Err(self.undirected_query(query, idx));
            }
        }
        Ok(ProcessedQuery::new(traveller.vector, &self.record, self.chain.dimension(), self.chain.metric()))
    }

    /// The score (or distance) of a row in `f64`: the row's steps one after another, then the metric. A pure function
    /// of query and row, so that no path by which a row was found can change what is shown.
    pub(crate) fn exact(&self, query: &ProcessedQuery, row: RowRef<'_>, traveller: &mut Traveller) -> f64 {
        row.widen_f64(&mut traveller.vector);
        traveller.reference = 0.0;
        self.record.run(traveller, Undirected::GoOn);
        let y = &traveller.vector;
        match self.chain.metric() {
            VectorMetric::Dot => simd::dot_f64(&query.processed, y),
            // Both have unit length; rounding alone can step over 1.
            VectorMetric::Cosine | VectorMetric::Pearson => simd::dot_f64(&query.processed, y).clamp(-1.0, 1.0),
            VectorMetric::Euclidean => simd::squared_distance_f64(&query.processed, y).sqrt(),
        }
    }

    /// Rows that `f32` cannot hold the products or scalars of: always scored in full.
    pub(crate) fn extreme(&self) -> &RowSet {
        &self.extreme
    }

    /// The scalars of all rows.
    pub(crate) fn scalars(&self) -> &Scalars {
        &self.scalars
    }

    fn undirected_query(&self, query: &[f64], op_idx: usize) -> Error {
        let steps = self.chain.steps();
        let why = if stats::norm(query) == 0.0 {
            "it is the zero vector".to_string()
        } else if let Some(step) = steps.get(op_idx) {
            format!("nothing is left of it at step {} ({step})", op_idx + 1)
        } else {
            let metric = if self.chain.metric() == VectorMetric::Pearson { "pearson" } else { "cosine" };
            format!("nothing is left of it when {metric} compares directions")
        };
        Error::invalid(format!("the query has no direction under this lens: {why}"))
    }
}

impl Scalars {
    /// The scalars of `row`; `extras` is room for the later groups'.
    #[inline]
    pub fn of<'a>(&self, row: usize, extras: &'a mut Vec<(usize, f64)>) -> RecordScalars<'a> {
        extras.clear();
        extras.extend(self.extras.iter().map(|(group, values)| (*group, f64::from(values[row]))));
        RecordScalars {
            alpha: self.alpha.get(row).map_or(1.0, |&a| f64::from(a)),
            reach: f64::from(self.reach[row]),
            extras,
            square: self.squares.get(row).map_or(0.0, |&s| f64::from(s)),
        }
    }
}

/// Builds both sides' programs, computing statistics as their places are reached.
struct Builder<'a> {
    source: &'a dyn RowSource,
    live: &'a RowSet,
    record: Program,
    query: Program,
    /// The sum of the raw rows, once a step has asked for it.
    raw: Option<stats::VectorSum>,
}

impl Builder<'_> {
    /// Adds a step that `dimension` reaches; the dimension after it.
    fn push(
        &mut self,
        step: &ResolvedStep,
        step_idx: usize,
        dimension: usize,
        given: Option<&PlacedStatistic>,
        statistics: &mut Vec<PlacedStatistic>,
    ) -> Result<usize> {
        let (query, record, output) = match step {
            ResolvedStep::Center => (Op::OwnMean, Op::OwnMean, dimension),
            ResolvedStep::Normalize => (Op::Normalize, Op::Normalize, dimension),
            ResolvedStep::Truncate(to) => {
                let op = Op::Truncate { from: dimension, to: *to };
                (op.clone(), op, *to)
            }
            ResolvedStep::Project(projection) => {
                let output = projection.record().rows();
                (Op::matrix(projection.query()), Op::matrix(projection.record()), output)
            }
            ResolvedStep::CenterCorpus => {
                let placed = match given {
                    Some(given) => given.clone(),
                    None => self.mean(step_idx)?,
                };
                let op = match &*placed.statistic {
                    Statistic::Mean(mean) if mean.len() == dimension => Op::Shift(Arc::from(mean.as_slice())),
                    _ => {
                        return Err(Error::invalid(format!(
                            "the pinned statistic of step {} is not a mean of the {dimension} dimensions that reach it",
                            step_idx + 1
                        )));
                    }
                };
                statistics.push(placed);
                (op.clone(), op, dimension)
            }
            ResolvedStep::CenterSides(_)
            | ResolvedStep::Standardize
            | ResolvedStep::Whiten(_)
            | ResolvedStep::Drop(_) => {
                return Err(Error::new(ErrorKind::Unsupported, format!("{step} is not there yet")));
            }
        };
        self.query.ops.push(query);
        self.record.ops.push(record);
        Ok(output)
    }

    /// Writes the metric's own steps: `cosine` normalizes both sides, `pearson` centers them first.
    fn push_metric(&mut self, metric: VectorMetric) {
        let ops: &[Op] = match metric {
            VectorMetric::Cosine => &[Op::Normalize],
            VectorMetric::Pearson => &[Op::OwnMean, Op::Normalize],
            VectorMetric::Dot | VectorMetric::Euclidean => &[],
        };
        self.query.ops.extend_from_slice(ops);
        self.record.ops.extend_from_slice(ops);
    }

    /// The mean of the records as they arrive behind the operations so far. Before the first normalization all of
    /// them are affine, so that the mean of the raw rows goes through them; after one, the rows have to.
    fn mean(&mut self, step_idx: usize) -> Result<PlacedStatistic> {
        if self.record.normalizations() > 0 {
            let sum = passes::sum(self.source, self.live, &self.record)?;
            return Ok(PlacedStatistic {
                step_idx,
                statistic: Arc::new(Statistic::Mean(sum.mean())),
                count: sum.count,
            });
        }
        if self.raw.is_none() {
            self.raw = Some(passes::sum(self.source, self.live, &Program::default())?);
        }
        let (vector, count) = self.raw.as_ref().map(|sum| (sum.mean(), sum.count)).unwrap_or_default();
        let mut traveller = Traveller::new(vector, 0.0);
        self.record.run(&mut traveller, Undirected::GoOn);
        if count == 0 {
            // Of no records there is no mean; nothing is subtracted.
            traveller.vector.fill(0.0);
        }
        Ok(PlacedStatistic { step_idx, statistic: Arc::new(Statistic::Mean(traveller.vector)), count })
    }
}
