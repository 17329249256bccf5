//! The first pass: which rows may be among the best.
//!
//! Owns the loop over blocks. Each task reads whole blocks, computes one `f32` product for each row (or one for each
//! row and query), passes it through the quick test (`quick`), turns what is left into an interval that holds the
//! row's true sort key (`ProcessedQuery::interval`), and offers it. Rows that are not allowed are not read where that
//! saves anything. Nothing is allocated for a row.

use super::bits::RowBits;
use super::finish;
use super::quick::{Terms, Test};
use super::wanted::Wanted;
use crate::error::Result;
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::linalg::RowsRef;
use crate::linalg::rows::RowRef;
use crate::linalg::simd::{self, GROUP_ROWS, GroupProducts, LANES, Lines, Panel, RowTerms};
use crate::linalg::team;
use crate::linalg::topk::{Candidate, Candidates, SharedThreshold};
use crate::types::RowSet;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Rows whose products are computed before any is looked at: they and their scalars stay in the first-level cache.
const TILE_ROWS: usize = 1024;
/// Rows that meet all queries of a batch before the next ones do: they stay in the second-level cache.
const CHUNK_ROWS: usize = 96;

/// A block of which at most this share is allowed is read row by row. Measured with two threads, rows at random: half
/// of them take 0.7 of the time of all, 0.6 of them nearly as long, and more of them longer.
pub(super) const LISTED: f64 = 0.55;

/// The candidates of one query among `allowed`, all of which are directed and ordinary.
pub(super) fn one(
    source: &dyn RowSource,
    prepared: &Prepared,
    query: &ProcessedQuery,
    allowed: &RowSet,
    wanted: &Wanted,
) -> Result<Vec<Candidate>> {
    let terms = Terms::new(prepared, query);
    let screen = Screen::new(prepared, query, &terms, simd::dot_error(source.dimension()));
    let shared = SharedThreshold::new();
    let empty = || (candidates(prepared, wanted), BlockBuffers::default());
    let blocks = Blocks { source, allowed, products: 1 };
    let found = blocks.each(
        empty,
        |(found, scratch), rows, first, allowed| {
            found.share(&shared);
            screen.block(&terms, rows, first, allowed, found, scratch);
        },
        |(mut found, mut scratch)| {
            screen.listed(&terms, &mut found, &mut scratch);
            found
        },
    )?;
    Ok(found.into_iter().reduce(Candidates::merge).map(Candidates::finish).unwrap_or_default())
}

/// The candidates of each query among `allowed`.
pub(super) fn many(
    source: &dyn RowSource,
    prepared: &Prepared,
    queries: &[ProcessedQuery],
    allowed: &RowSet,
    wanted: &Wanted,
) -> Result<Vec<Vec<Candidate>>> {
    let Some(first) = queries.first() else { return Ok(Vec::new()) };
    let terms = Terms::new(prepared, first);
    let error = simd::any_order_error(source.dimension());
    let panels: Vec<Screens<'_>> =
        queries.par_chunks(LANES).map(|queries| Screens::new(prepared, queries, &terms, error)).collect();
    let shared: Vec<SharedThreshold> = queries.iter().map(|_| SharedThreshold::new()).collect();
    let empty = || {
        let lines: Vec<Lines> = panels.iter().map(|panel| panel.lines.clone()).collect();
        (vec![candidates(prepared, wanted); queries.len()], lines, BlockBuffers::default())
    };
    let blocks = Blocks { source, allowed, products: queries.len() };
    let found = blocks.each(
        empty,
        |(found, lines, scratch), rows, first, allowed| {
            found.iter_mut().zip(&shared).for_each(|(found, shared)| found.share(shared));
            scratch.list(allowed, first, rows.len());
            multiply_block(&panels, &terms, rows, first, lines, found, scratch);
        },
        |(found, ..)| found,
    )?;
    let merge = |mut all: Vec<Candidates>, part: Vec<Candidates>| {
        for (all, part) in all.iter_mut().zip(part) {
            let merged = std::mem::replace(all, Candidates::new(0, 0.0)).merge(part);
            *all = merged;
        }
        all
    };
    let found = found.into_iter().reduce(merge);
    let found = found.unwrap_or_else(|| vec![candidates(prepared, wanted); queries.len()]);
    Ok(found.into_par_iter().map(Candidates::finish).collect())
}

/// An empty set of candidates for `wanted`.
fn candidates(prepared: &Prepared, wanted: &Wanted) -> Candidates {
    let distance = prepared.chain().metric().is_distance();
    let threshold = match wanted.bound {
        // No distance is below zero, and every row is within an infinite one.
        Some(bound) if distance && bound < 0.0 => f64::INFINITY,
        Some(bound) => finish::key_below(bound, distance),
        None => f64::NEG_INFINITY,
    };
    Candidates::new(wanted.k, if threshold.is_nan() { f64::INFINITY } else { threshold })
}

/// The allowed rows of a block that has others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partly<'a> {
    /// Of all rows.
    pub(super) bits: &'a RowBits,
    /// How many of the block.
    count: usize,
}

/// What a pass goes over.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'s, 'a> {
    pub(super) source: &'s dyn RowSource,
    pub(super) allowed: &'a RowSet,
    /// Products that are computed of a row.
    pub(super) products: usize,
}

impl<'s> Blocks<'s, '_> {
    /// Runs `each(state, rows, first row, which are allowed where not all of them are)` over the blocks that hold
    /// allowed rows, by all threads that are worth waking; what `last` makes of the state of each.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub(super) fn each<S, T: Send>(
        &self,
        empty: impl Fn() -> S + Sync,
        each: impl Fn(&mut S, RowsRef<'s>, u32, Option<Partly<'_>>) + Sync,
        last: impl Fn(S) -> T + Sync,
    ) -> Result<Vec<T>> {
        let rows = self.source.row_count();
        let bits = (self.allowed.len() < u64::from(rows)).then(|| RowBits::new(self.allowed, rows));
        let count = self.source.block_count();
        let threads = self.threads().min(count);
        let next = AtomicUsize::new(0);
        let run = |_| {
            let mut state = empty();
            while let Some(claimed) = claim(&next, count, threads) {
                let ranges = claimed.clone().map(|block| self.source.block_range(block));
                if let Some(bits) = &bits
                    && !bits.any(first_to_last(ranges.clone()))
                {
                    continue;
                }
                for (block, range) in claimed.zip(ranges) {
                    let some = bits.as_ref().map(|bits| Partly { bits, count: bits.count(range.clone()) });
                    if some.is_none_or(|some| some.count > 0) {
                        let some = some.filter(|some| some.count < range.len());
                        each(&mut state, self.source.block(block)?, range.start, some);
                    }
                }
            }
            Ok(last(state))
        };
        // One task for each thread: a thread that is woken late finds less to do, and no other waits for it.
        team::share(threads, run).into_iter().collect()
    }

    /// Threads that have enough to do to be worth waking.
    fn threads(&self) -> usize {
        let elements = self.allowed.len().saturating_mul((self.source.dimension() * self.products) as u64);
        usize::try_from(elements / TASK_ELEMENTS).unwrap_or(usize::MAX).clamp(1, team::threads())
    }
}

/// The next of `count` blocks that nobody has taken: less and less at a time, so that all threads end together; `None`
/// when there are no more.
fn claim(next: &AtomicUsize, count: usize, threads: usize) -> Option<Range<usize>> {
    let share = |start: usize| ((count - start) / (threads * SHARES)).clamp(1, CLAIMED_BLOCKS);
    // Relaxed: the number only says which blocks are whose.
    let taken = next.fetch_update(Relaxed, Relaxed, |start| (start < count).then(|| start + share(start)));
    taken.ok().map(|start| start..start + share(start))
}

/// Elements times queries that are worth waking a thread for: about ten microseconds of reading, twice what waking
/// takes. Tests have few rows, and share them all the same.
const TASK_ELEMENTS: u64 = if cfg!(test) { 1 << 5 } else { 96 << 10 };

/// A thread takes at most this part of its share of what is left.
const SHARES: usize = 4;

/// Most blocks that a thread takes at a time: from end to end a run that is long enough to be read ahead.
const CLAIMED_BLOCKS: usize = 16;

/// From the first row of the first of `ranges` to the last of the last.
fn first_to_last(ranges: impl DoubleEndedIterator<Item = Range<u32>> + Clone) -> Range<u32> {
    let (first, last) = (ranges.clone().next(), ranges.clone().next_back());
    first.map_or(0, |range| range.start)..last.map_or(0, |range| range.end)
}

/// Room to work in, kept from block to block.
#[derive(Debug, Default)]
struct BlockBuffers<'s> {
    products: Vec<f32>,
    reaching: Vec<u32>,
    extras: Vec<(usize, f64)>,
    /// Allowed rows of a block, counted from its first.
    rows: Vec<u32>,
    /// `f16` rows widened.
    elements: Vec<f32>,
    alpha: Vec<f32>,
    reach: Vec<f32>,
    bonus: Vec<f32>,
    terms: Vec<f32>,
    /// Rows that are read one by one, from as many blocks as it takes to have a good number of them.
    listed: Vec<u32>,
    listed_rows: Vec<RowRef<'s>>,
}

impl BlockBuffers<'_> {
    /// Lists the allowed rows of a block of `count` rows from `first` on; all without a set.
    fn list(&mut self, allowed: Option<Partly<'_>>, first: u32, count: usize) {
        self.rows.clear();
        match allowed {
            Some(allowed) => self.rows.extend(allowed.bits.iter(first..first + count as u32).map(|row| row - first)),
            None => self.rows.extend(0..count as u32),
        }
    }
}

/// What turns products into intervals for one query.
#[derive(Debug)]
struct Screen<'a> {
    prepared: &'a Prepared,
    query: &'a ProcessedQuery,
    /// Error of a product relative to the norms of its factors.
    dot_error: f64,
    /// The quick test, where there is one.
    test: Option<Test>,
}

impl<'a> Screen<'a> {
    fn new(prepared: &'a Prepared, query: &'a ProcessedQuery, terms: &Terms<'_>, dot_error: f64) -> Self {
        Screen { prepared, query, dot_error, test: terms.test(query, dot_error) }
    }

    /// Offers a row.
    #[inline]
    fn offer(&self, row: u32, product: f32, extras: &mut Vec<(usize, f64)>, found: &mut Candidates) {
        let scalars = self.prepared.scalars().of(row as usize, extras);
        let (lower, upper) = self.query.interval(product, &scalars, self.dot_error);
        if upper >= found.threshold() {
            found.offer(Candidate { row, lower, upper });
        }
    }

    /// One query over one block. `allowed` is given where it does not hold the whole block.
    fn block<'s>(
        &self,
        terms: &Terms<'_>,
        rows: RowsRef<'s>,
        first: u32,
        allowed: Option<Partly<'_>>,
        found: &mut Candidates,
        scratch: &mut BlockBuffers<'s>,
    ) {
        let run = first..first + rows.len() as u32;
        if let Some(allowed) = allowed
            && allowed.count as f64 <= LISTED * rows.len() as f64
        {
            let before = scratch.listed.len();
            scratch.listed.extend(allowed.bits.iter(run));
            let data = scratch.listed[before..].iter().map(|row| rows.row((row - first) as usize));
            scratch.listed_rows.extend(data);
            if scratch.listed.len() >= TILE_ROWS {
                self.listed(terms, found, scratch);
            }
            return;
        }
        let BlockBuffers { products, reaching, extras, bonus, .. } = scratch;
        for start in (0..rows.len()).step_by(TILE_ROWS) {
            let tile = rows.slice(start..rows.len().min(start + TILE_ROWS));
            let first = first + start as u32;
            products.resize(tile.len(), 0.0);
            simd::dot_rows(&self.query.folded, tile, products);
            reaching.clear();
            match &self.test {
                Some(test) => {
                    let row_terms = terms.of_run(test, first as usize, tile.len(), bonus);
                    simd::reaching(&test.line, found.threshold(), products, row_terms, reaching);
                }
                None => reaching.extend(0..tile.len() as u32),
            }
            for &idx in reaching.iter() {
                let row = first + idx;
                if allowed.is_none_or(|allowed| allowed.bits.contains(row)) {
                    self.offer(row, products[idx as usize], extras, found);
                }
            }
        }
    }

    /// One query over the rows that were listed, which are none afterwards.
    fn listed(&self, terms: &Terms<'_>, found: &mut Candidates, scratch: &mut BlockBuffers<'_>) {
        let BlockBuffers {
            products, reaching, extras, alpha, reach, bonus, terms: further, listed, listed_rows, ..
        } = scratch;
        products.resize(listed.len(), 0.0);
        simd::dot_listed(&self.query.folded, listed_rows, products);
        reaching.clear();
        match &self.test {
            Some(test) => {
                alpha.clear();
                reach.clear();
                bonus.clear();
                for &row in listed.iter() {
                    let (a, r) = terms.of_row(row as usize, further);
                    alpha.push(a);
                    reach.push(r);
                    if terms.further() > 0 {
                        bonus.push(further.iter().zip(&test.factors).map(|(term, factor)| term * factor).sum());
                    }
                }
                simd::reaching(&test.line, found.threshold(), products, RowTerms { alpha, reach, bonus }, reaching);
            }
            None => reaching.extend(0..listed.len() as u32),
        }
        for &idx in reaching.iter() {
            self.offer(listed[idx as usize], products[idx as usize], extras, found);
        }
        listed.clear();
        listed_rows.clear();
    }
}

/// Queries that meet the rows side by side.
struct Screens<'a> {
    screens: Vec<Screen<'a>>,
    panel: Panel,
    /// Their tests; `None` where one of them has none.
    lines: Lines,
    tested: bool,
}

impl<'a> Screens<'a> {
    fn new(prepared: &'a Prepared, queries: &'a [ProcessedQuery], terms: &Terms<'_>, dot_error: f64) -> Self {
        let screens: Vec<Screen<'_>> =
            queries.iter().map(|query| Screen::new(prepared, query, terms, dot_error)).collect();
        let dimension = prepared.chain().dimension();
        let folded: Vec<f32> = queries.iter().flat_map(|query| query.folded.iter().copied()).collect();
        let mut lines = Lines::new(terms.further());
        for (lane, screen) in screens.iter().enumerate() {
            if let Some(test) = &screen.test {
                lines.set(lane, &test.line, &test.factors);
            }
        }
        let tested = screens.iter().all(|screen| screen.test.is_some());
        Screens { screens, panel: Panel::new(&folded, dimension), lines, tested }
    }

    /// Tells the lane of a query its threshold.
    #[inline]
    fn raise(&self, lines: &mut Lines, lane: usize, found: &Candidates) {
        if let Some(test) = &self.screens[lane].test {
            lines.raise(lane, test.line.threshold(found.threshold()));
        }
    }

    /// Offers one row to the queries that its products may be good enough for.
    #[inline]
    fn row(
        &self,
        terms: &Terms<'_>,
        row: u32,
        products: &[f32],
        lines: &mut Lines,
        found: &mut [Candidates],
        scratch: (&mut Vec<f32>, &mut Vec<(usize, f64)>),
    ) {
        let (further, extras) = scratch;
        let mut reached = if self.tested {
            let (alpha, reach) = terms.of_row(row as usize, further);
            lines.reached(products, alpha, reach, further)
        } else {
            u64::MAX
        };
        while reached != 0 {
            let lane = reached.trailing_zeros() as usize;
            reached &= reached - 1;
            // Lanes behind the last query are empty.
            let (Some(screen), Some(found)) = (self.screens.get(lane), found.get_mut(lane)) else { return };
            let before = found.threshold();
            screen.offer(row, products[lane], extras, found);
            if found.threshold() > before {
                self.raise(lines, lane, found);
            }
        }
    }
}

/// Many queries over the listed rows of one block.
fn multiply_block(
    panels: &[Screens<'_>],
    terms: &Terms<'_>,
    rows: RowsRef<'_>,
    first: u32,
    lines: &mut [Lines],
    found: &mut [Candidates],
    scratch: &mut BlockBuffers<'_>,
) {
    for ((panel, lines), found) in panels.iter().zip(lines.iter_mut()).zip(found.chunks(LANES)) {
        found.iter().enumerate().for_each(|(lane, found)| panel.raise(lines, lane, found));
    }
    let mut products: GroupProducts = [0.0; GROUP_ROWS * LANES];
    let BlockBuffers { rows: list, elements, terms: further, extras, .. } = scratch;
    let dimension = rows.dimension();
    for chunk in list.chunks(CHUNK_ROWS) {
        widen(rows, chunk, elements);
        let row = |idx: usize| match rows {
            RowsRef::F32 { data, stride, .. } => &data[chunk[idx] as usize * stride..][..dimension],
            RowsRef::F16 { .. } => &elements[idx * dimension..][..dimension],
        };
        for ((panel, lines), found) in panels.iter().zip(lines.iter_mut()).zip(found.chunks_mut(LANES)) {
            for start in (0..chunk.len()).step_by(GROUP_ROWS) {
                // A group that is not full repeats its last row and does not look at it.
                let group = std::array::from_fn(|i| row((start + i).min(chunk.len() - 1)));
                panel.panel.products(&group, &mut products);
                for (&row, products) in chunk[start..].iter().zip(products.chunks_exact(LANES)) {
                    panel.row(terms, first + row, products, lines, found, (further, extras));
                }
            }
        }
    }
}

/// Widens the listed rows, where they are `f16`, without padding.
fn widen(rows: RowsRef<'_>, list: &[u32], elements: &mut Vec<f32>) {
    if let RowsRef::F16 { data, stride, dimension } = rows {
        elements.resize(list.len() * dimension, 0.0);
        for (&row, out) in list.iter().zip(elements.chunks_exact_mut(dimension)) {
            simd::widen_f16(&data[row as usize * stride..][..dimension], out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_taken_once_and_the_last_ones_one_by_one() {
        for (count, threads) in [(0, 1), (1, 2), (20, 2), (1000, 1), (4099, 7)] {
            let next = AtomicUsize::new(0);
            let taken: Vec<_> = std::iter::from_fn(|| claim(&next, count, threads)).collect();
            assert_eq!(taken.iter().cloned().flatten().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            let lengths: Vec<_> = taken.iter().map(ExactSizeIterator::len).collect();
            assert!(lengths.is_sorted_by(|a, b| a >= b) && lengths.iter().all(|&n| n <= CLAIMED_BLOCKS));
            assert!(lengths.last().is_none_or(|&n| n == 1));
        }
    }
}
