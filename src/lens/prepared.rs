//! What a chain needs to know about the records: statistics, and a few scalars for each.
//!
//! Owns [`Prepared`]. Statistics and scalars are computed in blocked passes over the live rows, all of it in `f64`,
//! matrices as tile products; what is kept is one or two `f32` for each row, and the rounding is part of the
//! candidates' bound (`fold`). Statistics are functions of the rows, the same bits for any number of threads, and a
//! shown score is a function of query, row and statistics. Caching is the caller's business: a `Prepared` is immutable
//! and knows its size.

use super::build::{Builder, SumsOf};
use super::chain::LARGEST_QUERY;
use super::fold::ProcessedQuery;
use super::hubs::{self, Hubs};
use super::program::{Program, Traveller, Undirected};
use super::scalars::moved::Moved;
use super::scalars::passes::{self, FinalPass};
use super::scalars::{Scalars, keep};
use super::statistics::PlacedStatistic;
use super::step::VectorMetric;
use super::{Chain, FewRecords, RowSource, StoredScalars};
use crate::error::{Error, Result};
use crate::linalg::rows::RowRef;
use crate::linalg::{matrix, simd, stats};
use crate::types::RowSet;
use std::sync::Arc;

/// Statistics and per-record scalars of one chain over the live rows of one view.
#[derive(Debug)]
pub struct Prepared {
    chain: Chain,
    statistics: Vec<PlacedStatistic>,
    query: Program,
    /// Number of the query's operations after each step.
    query_ends: Vec<usize>,
    record: Program,
    directed: RowSet,
    undirected: RowSet,
    extreme: RowSet,
    scalars: Scalars,
    hubs: Option<Hubs>,
}

/// What is known already when a lens is prepared; nothing by default.
#[derive(Default, Clone, Copy)]
pub struct Known<'a> {
    /// Statistics that are given, as a named lens pins them.
    pub pinned: &'a [PlacedStatistic],
    /// Scalars that were written down.
    pub stored: Option<StoredScalars<'a>>,
    /// The same lens at another commit of the same view, see [`Prepared::extend`].
    pub earlier: Option<&'a Prepared>,
    /// Gives the sums of the rows, where a step asks for them.
    pub sums: Option<&'a SumsOf<'a>>,
    /// The rows that are asked for, where not all are: the others get no scalars, and are neither directed nor
    /// undirected. Statistics are of all rows all the same.
    pub only: Option<&'a RowSet>,
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
    /// As [`Prepared::compute`]; a given statistic of the wrong dimension or of another kind than its step; a sample of
    /// which no query has a direction.
    pub fn compute_pinned(
        chain: &Chain,
        source: &dyn RowSource,
        live: &RowSet,
        pinned: &[PlacedStatistic],
    ) -> Result<Self> {
        Prepared::compute_stored(chain, source, live, pinned, None)
    }

    /// The same lens at a later commit of the same view, with what it takes from the records given anew (`pinned`) or
    /// computed anew: what is shown is the same, bit for bit, as from [`Prepared::compute_pinned`]. Where the
    /// statistics have not changed (there are none, or they are pinned), only rows that are new in `live` are looked
    /// at; where means have moved, scalars move with them (`moved`); where anything else has, everything is computed
    /// again. `source` must give every row that is live in both the elements it had: rows keep their numbers within a
    /// generation of files.
    ///
    /// # Errors
    /// As [`Prepared::compute_pinned`]; a source with fewer rows than before.
    #[cfg(test)]
    pub fn extend(&self, source: &dyn RowSource, live: &RowSet, pinned: &[PlacedStatistic]) -> Result<Self> {
        Prepared::compute_known(&self.chain, source, live, &Known { pinned, earlier: Some(self), ..Known::default() })
    }

    /// [`Prepared::compute_pinned`] with some scalars taken from where they were written down.
    ///
    /// # Errors
    /// As [`Prepared::compute_pinned`]; and scalars that cannot be read or are not this chain's.
    pub fn compute_stored(
        chain: &Chain,
        source: &dyn RowSource,
        live: &RowSet,
        pinned: &[PlacedStatistic],
        stored: Option<StoredScalars<'_>>,
    ) -> Result<Self> {
        Prepared::compute_known(chain, source, live, &Known { pinned, stored, ..Known::default() })
    }

    /// [`Prepared::compute`] with what is known already.
    ///
    /// # Errors
    /// As [`Prepared::compute_stored`] and [`Prepared::extend`].
    pub fn compute_known(chain: &Chain, source: &dyn RowSource, live: &RowSet, known: &Known<'_>) -> Result<Self> {
        let &Known { pinned, stored, earlier, sums, only } = known;
        if let Some(earlier) = earlier.filter(|earlier| (source.row_count() as usize) < earlier.scalars.reach.len()) {
            return Err(Error::invalid(format!(
                "the view has {} rows, but the lens was prepared for {}; prepare it anew",
                source.row_count(),
                earlier.scalars.reach.len()
            )));
        }
        if source.dimension() != chain.dimension() {
            return Err(Error::invalid(format!(
                "the lens was made for {} dimensions, but the view has {}",
                chain.dimension(),
                source.dimension()
            )));
        }
        let mut builder = Builder::new(source, live, sums);
        for (step_idx, step) in chain.steps().iter().enumerate() {
            builder.push(step, pinned.iter().find(|placed| placed.step_idx == step_idx))?;
        }
        builder.push_metric(chain.metric());
        let same = |earlier: &&Prepared| {
            let values = |all: &[PlacedStatistic]| all.iter().map(|s| Arc::clone(&s.statistic)).collect::<Vec<_>>();
            values(&earlier.statistics) == values(&builder.statistics)
        };
        let squares = chain.metric() == VectorMetric::Euclidean;
        // Scalars of other statistics, where these have moved and nothing else has.
        let moved = earlier.filter(|earlier| !same(earlier)).and_then(|earlier| {
            let known = live.and(&earlier.directed).and_not(&earlier.extreme);
            let programs = [&earlier.record, &builder.record];
            Moved::of(&earlier.scalars, known, programs, squares, source.dimension())
        });
        let earlier = earlier.filter(same);
        // From here on rows are looked at one by one.
        let some = only.map(|only| live.and(only));
        let live = some.as_ref().unwrap_or(live);
        let kept = earlier.map(|earlier| live.and(&earlier.directed.or(&earlier.undirected))).unwrap_or_default();
        let fresh = live.and_not(&kept);
        let taken = stored.map(|stored| fresh.and(stored.known)).unwrap_or_default();
        let wanted = fresh.and_not(&taken);
        let mut found = passes::scalars(source, &wanted, &builder.record, squares, moved.as_ref())?;
        if let Some(stored) = stored {
            let doubted = StoredScalars { known: &taken, ..stored }.fill(&mut found)?;
            found.take(passes::scalars(source, &doubted, &builder.record, squares, None)?, &doubted);
        }
        let FinalPass { mut undirected, mut extreme, mut scalars } = found;
        if let Some(earlier) = earlier {
            undirected = undirected.or(&earlier.undirected.and(live));
            extreme = extreme.or(&earlier.extreme.and(live));
            scalars.keep(&earlier.scalars, &fresh);
        }
        let prepared = Prepared {
            chain: chain.clone(),
            statistics: builder.statistics,
            query_ends: builder.query_ends,
            query: builder.query,
            record: builder.record,
            directed: live.and_not(&undirected).packed(),
            undirected,
            extreme,
            scalars,
            hubs: None,
        };
        prepared.with_hubs(source, &fresh, earlier)
    }

    /// Adds what `csls` needs, where the chain has it: for the rows of `fresh` anew, for the others from `earlier`.
    fn with_hubs(mut self, source: &dyn RowSource, fresh: &RowSet, earlier: Option<&Prepared>) -> Result<Self> {
        let Some(hubs) = Hubs::new(&self.chain, |query| self.process(query).ok())? else { return Ok(self) };
        let ordinary = self.directed.and_not(&self.extreme).and(fresh);
        let mut found = hubs.of_rows(source, &ordinary, &self.scalars)?;
        if let Some(earlier) = earlier {
            keep(&mut found.0, &earlier.scalars.hubs.0, fresh);
            keep(&mut found.1, &earlier.scalars.hubs.1, fresh);
        }
        self.scalars.hubs = found;
        self.hubs = Some(hubs);
        Ok(self)
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The statistics of the records, one for each step that needs one, in the order of the chain.
    pub fn statistics(&self) -> &[PlacedStatistic] {
        &self.statistics
    }

    /// Steps that take all directions of fewer than four times as many records as dimensions, and what follows from
    /// that.
    pub fn of_few_records(&self) -> Vec<FewRecords> {
        let few = |placed: &PlacedStatistic| {
            FewRecords::of(self.chain.steps().get(placed.step_idx)?, &placed.statistic, placed.count)
        };
        self.statistics.iter().filter_map(few).collect()
    }

    /// The record side with its statistics, the metric's own steps included: what turns a raw row into a processed
    /// one.
    pub(crate) fn record_program(&self) -> &Program {
        &self.record
    }

    /// Number of operations up to the end of each step, the same on both sides; what follows the last is the metric's.
    pub(crate) fn step_ends(&self) -> &[usize] {
        &self.query_ends
    }

    /// The query side with its statistics, the metric's own steps included.
    pub(crate) fn query_program(&self) -> &Program {
        &self.query
    }

    /// Rows of the view it was computed from, dead ones included.
    pub fn row_count(&self) -> u32 {
        self.scalars.reach.len() as u32
    }

    /// Live rows that can be ranked, of those that were asked for.
    pub fn directed(&self) -> &RowSet {
        &self.directed
    }

    /// Live rows that have no direction under this lens: never ranked, listed apart.
    pub fn undirected(&self) -> &RowSet {
        &self.undirected
    }

    /// Memory held, in bytes, with the chain's matrices: others may share them, but it keeps them.
    pub fn bytes(&self) -> usize {
        let Scalars { alpha, reach, extras, squares, hubs, .. } = &self.scalars;
        let floats = alpha.len()
            + reach.len()
            + squares.len()
            + 2 * hubs.0.len()
            + extras.iter().map(|e| e.1.len()).sum::<usize>();
        let doubles: usize = self.statistics.iter().map(|placed| placed.statistic.len()).sum();
        let sets = [&self.directed, &self.undirected, &self.extreme].map(RowSet::heap_bytes);
        floats * size_of::<f32>()
            + doubles * size_of::<f64>()
            + sets.iter().sum::<usize>()
            + self.hubs.as_ref().map_or(0, Hubs::bytes)
            + self.chain.heap_bytes()
    }

    /// Processes and folds a query given as a raw vector of the view.
    ///
    /// # Errors
    /// A vector of another dimension, one that is not finite, or one that a step or the metric leaves without a
    /// direction.
    pub fn process(&self, query: &[f64]) -> Result<ProcessedQuery> {
        self.process_with(query, Traveller::new(query.to_vec()))
    }

    /// [`Prepared::process`] for a query that is a sum of terms, `largest` having the largest of their absolute values
    /// for each coordinate: where they cancel, what is left over is rounding, not a direction.
    ///
    /// # Errors
    /// As [`Prepared::process`].
    pub fn process_sum(&self, query: &[f64], largest: &[f64]) -> Result<ProcessedQuery> {
        self.process_with(query, Traveller::new_sum(query.to_vec(), largest))
    }

    fn process_with(&self, query: &[f64], mut traveller: Traveller) -> Result<ProcessedQuery> {
        if query.len() != self.chain.dimension() {
            return Err(Error::invalid(format!(
                "the query has {} dimensions, but the view has {}",
                query.len(),
                self.chain.dimension()
            )));
        }
        // More could overflow on the way.
        if query.iter().any(|x| x.is_nan() || x.abs() > LARGEST_QUERY) {
            return Err(Error::invalid("the query has an element that is not finite"));
        }
        if let Some(op_idx) = self.query_program().find_undirected(&mut traveller) {
            return Err(self.undirected_query(query, op_idx));
        }
        Ok(ProcessedQuery::new(traveller.vector, &self.record, self.chain.dimension(), self.chain.metric()))
    }

    /// The score (or distance) of a row in `f64`: the row's steps one after another, then the metric. A pure function
    /// of query and row, so that no path by which a row was found can change what is shown.
    pub(crate) fn exact(&self, query: &ProcessedQuery, row: RowRef<'_>, traveller: &mut Traveller) -> f64 {
        self.begin(row, traveller);
        self.record_program().run(traveller, Undirected::GoOn);
        self.arrived(query, traveller)
    }

    /// [`Prepared::exact`] of many rows, the same bits; matrices are read once for several of them.
    pub(crate) fn exact_each(&self, query: &ProcessedQuery, rows: &[RowRef<'_>]) -> Vec<f64> {
        let mut travellers = vec![Traveller::default(); matrix::TOGETHER];
        let mut scores = Vec::with_capacity(rows.len());
        let mut groups = rows.chunks(matrix::TOGETHER).peekable();
        while let Some(rows) = groups.next() {
            // They lie far from each other, and memory is slow to find them.
            groups.peek().copied().into_iter().flatten().for_each(|row| simd::prefetch_row(*row));
            let travellers = &mut travellers[..rows.len()];
            rows.iter().zip(travellers.iter_mut()).for_each(|(row, traveller)| self.begin(*row, traveller));
            self.record_program().run_together(travellers);
            scores.extend(travellers.iter().map(|traveller| self.arrived(query, traveller)));
        }
        scores
    }

    /// A row at the start of the record's side.
    fn begin(&self, row: RowRef<'_>, traveller: &mut Traveller) {
        row.widen_f64(&mut traveller.vector);
    }

    /// The score of a processed row.
    fn arrived(&self, query: &ProcessedQuery, traveller: &Traveller) -> f64 {
        let score = hubs::score(self.chain.metric(), query, &traveller.vector);
        match &self.hubs {
            Some(hubs) => score - 0.5 * hubs.exact(&traveller.vector),
            None => score,
        }
    }

    /// Multiplications that [`Prepared::exact`] takes for a row, about.
    pub(crate) fn exact_work(&self) -> usize {
        self.record.multiplications(self.chain.dimension()) + self.hubs.as_ref().map_or(0, Hubs::multiplications)
    }

    /// `r(x)`, what `csls` subtracts half of, in `f64`; `None` where the lens has no `csls`.
    pub fn hubness(&self, row: RowRef<'_>) -> Option<f64> {
        let hubs = self.hubs.as_ref()?;
        let mut traveller = Traveller::default();
        row.widen_f64(&mut traveller.vector);
        self.record_program().run(&mut traveller, Undirected::GoOn);
        Some(hubs.exact(&traveller.vector))
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
        let step_idx = self.query_ends.partition_point(|&end| end <= op_idx);
        let why = if stats::norm(query) == 0.0 {
            "it is the zero vector".to_string()
        } else if let Some(step) = self.chain.steps().get(step_idx) {
            format!("nothing is left of it at step {} ({step})", step_idx + 1)
        } else {
            let metric = if self.chain.metric() == VectorMetric::Pearson { "pearson" } else { "cosine" };
            format!("nothing is left of it when {metric} compares directions")
        };
        Error::invalid(format!("the query has no direction under this lens: {why}"))
    }
}

#[cfg(test)]
impl Prepared {
    /// As if its norms came from less precise products, off by nearly `error` of themselves.
    pub(crate) fn disturbed(mut self, error: f64) -> Self {
        let squares = self.chain.metric() == VectorMetric::Euclidean;
        self.scalars = std::mem::take(&mut self.scalars).disturbed(&self.record, squares, error);
        self
    }
}
