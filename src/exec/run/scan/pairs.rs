//! The most similar pairs of rows under a lens: all against all, in tiles of matrix products.
//!
//! Owns [`scan_pairs`]. Rows are processed once, in `f64`, scaled to unit length and rounded to `f32`; tiles of them
//! are multiplied with each other, and a product with its error bound says which pairs may be among the best. Those are
//! scored again as a search scores them: the score of `(a, b)` is what `a` as a query finds `b` with, a function of the
//! two rows and nothing else. Under a lens that treats both sides alike both directions are the same number; under any
//! other the better direction counts, and `a` is its query side. Only candidates are kept, however many pairs there
//! are.
//!
//! The bound: for unit vectors rounded to `f32` the product errs by at most `k(d)` (`linalg::simd`) and twice `2^-24`.
//! With lengths `|u|`, `|y|` the key of a pair is `m |u| |y| p + o(u) + o(y)` (a score: `m = 1`, `o = 0`; minus a
//! squared distance: `m = 2`, `o = -|.|^2`), and all that is `f64` errs by a part of `m |u| |y| <= m (|u|^2 + |y|^2)`
//! and of the offsets, which each row carries as its slack. Under `csls` the record's offset is minus half of its `r`.

use super::finish;
use super::wanted::Wanted;
use crate::error::Result;
use crate::lens::program::{Traveller, Undirected};
use crate::lens::{Prepared, RowSource};
use crate::linalg::rows::RowRef;
use crate::linalg::{matrix, simd, stats};
use crate::types::RowSet;
use crate::types::control::Control;
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering as Atomic};

/// Rows of a tile on the query side, and on the record side.
const TILE_QUERIES: usize = 256;
const TILE_ROWS: usize = 1024;
/// Bytes of processed rows held at once; more rows are processed in parts, each with each.
const BUDGET: usize = 1 << 29;
/// Products looked at together: nearly always none of them reaches the threshold.
const TOGETHER: usize = 32;
/// Candidates kept without knowing their scores; where ties or an error bound make more, they are scored on the way.
const UNSCORED: usize = 1 << 20;

/// Which side of a tile asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The rows of the tile ask those of the run.
    Forth,
    /// The other way round.
    Back,
}

/// Two rows and the score (or distance) that `a` as a query finds `b` with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredPair {
    /// The query side; the smaller row where the lens treats both sides alike.
    pub a: u32,
    /// The record side.
    pub b: u32,
    /// The score or distance, in `f64` from the raw rows.
    pub value: f64,
}

/// What a scan for pairs found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairScan {
    /// Best first; ties by the smaller row, then by the larger.
    pub hits: Vec<ScoredPair>,
    /// Rows without direction on one of the sides.
    pub undirected: RowSet,
    /// Whether both directions of every pair are the same number.
    pub symmetric: bool,
}

/// The best `k` pairs of rows in `allowed` (rows with a vector); with a `bound`, of those whose score is at least
/// (whose distance is at most) `bound`. Uses the current rayon pool.
///
/// # Errors
/// Rows that cannot be read; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) once `control` says so.
pub fn scan_pairs(
    source: &dyn RowSource,
    prepared: &Prepared,
    allowed: &RowSet,
    k: usize,
    bound: Option<f64>,
    control: &Control,
) -> Result<PairScan> {
    let row_bytes = prepared.chain().output_dimension() * size_of::<f32>() * 4;
    let limits = Limits { part_rows: (BUDGET / row_bytes.max(1)).max(TILE_ROWS), unscored: UNSCORED };
    scan_in_parts(source, prepared, allowed, Wanted { k, bound }, limits, control)
}

/// What bounds the memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) part_rows: usize,
    pub(super) unscored: usize,
}

pub(super) fn scan_in_parts(
    source: &dyn RowSource,
    prepared: &Prepared,
    allowed: &RowSet,
    wanted: Wanted,
    limits: Limits,
    control: &Control,
) -> Result<PairScan> {
    let mut pass = Pass::new(source, prepared, wanted, limits, control);
    let mut undirected = allowed.and(prepared.undirected());
    let rows: Vec<u32> = allowed.and(prepared.directed()).iter().collect();
    let n = rows.len() as u64;
    let total = n * n.saturating_sub(1) / 2;
    let parts: Vec<&[u32]> = rows.chunks(limits.part_rows.max(1)).collect();
    let mut best: Vec<PairCandidate> = Vec::new();
    let mut symmetric = true;
    for (idx, part) in parts.iter().enumerate() {
        let queries = pass.process(part, &mut undirected)?;
        symmetric &= queries.is_symmetric();
        if parts.len() == 1 && queries.is_symmetric() {
            pass.k = wanted.k;
        }
        best = pass.multiply(&queries, None, best, total)?;
        for other in parts.iter().skip(idx + 1) {
            let records = pass.process(other, &mut undirected)?;
            best = pass.multiply(&queries, Some(&records), best, total)?;
        }
    }
    let mut scored = pass.score(best)?;
    pass.order(&mut scored);
    let mut seen = HashSet::new();
    let distance = pass.distance;
    let within = |value: f64| wanted.bound.is_none_or(|bound| if distance { value <= bound } else { value >= bound });
    let mut hits = Vec::new();
    for pair in scored.into_iter().filter(|pair| within(pair.value)) {
        if hits.len() < wanted.k && seen.insert((pair.a.min(pair.b), pair.a.max(pair.b))) {
            hits.push(ScoredPair { a: pair.a, b: pair.b, value: pair.value });
        }
    }
    Ok(PairScan { hits, undirected, symmetric })
}

/// A pair that may be among the best.
#[derive(Debug, Clone, Copy)]
struct PairCandidate {
    a: u32,
    b: u32,
    lower: f64,
    upper: f64,
    /// NaN until it is scored.
    value: f64,
}

/// Rows as one side of the lens leaves them.
#[derive(Debug, Default)]
struct Side {
    /// Unit vectors, row-major; zero where the length is.
    data: Vec<f32>,
    /// Lengths.
    norms: Vec<f64>,
    /// Offsets of the key, raised and lowered by the slack.
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Side {
    fn push(&mut self, vector: &[f64], offset: f64, slack: f64) {
        let norm = stats::norm(vector);
        self.data.extend(vector.iter().map(|x| if norm > 0.0 { (x / norm) as f32 } else { 0.0 }));
        self.norms.push(norm);
        self.above.push(offset + slack);
        self.below.push(offset - slack);
    }

    fn append(&mut self, mut other: Side) {
        self.data.append(&mut other.data);
        self.norms.append(&mut other.norms);
        self.above.append(&mut other.above);
        self.below.append(&mut other.below);
    }
}

/// Some rows, processed.
#[derive(Debug, Default)]
struct PartRows {
    rows: Vec<u32>,
    records: Side,
    /// The same rows as queries; empty where that makes no difference to any of them.
    queries: Side,
}

impl PartRows {
    fn is_symmetric(&self) -> bool {
        self.queries.norms.is_empty()
    }

    fn query_side(&self) -> &Side {
        if self.is_symmetric() { &self.records } else { &self.queries }
    }
}

/// Everything that all tiles share.
struct Pass<'a> {
    source: &'a dyn RowSource,
    prepared: &'a Prepared,
    control: &'a Control,
    limits: Limits,
    /// Last row of each block.
    ends: Vec<u32>,
    dimension: usize,
    distance: bool,
    /// `m` of the module's formula.
    factor: f64,
    /// Error of a product of unit vectors.
    product_error: f64,
    /// Directed pairs wanted: where the sides differ, both directions of a pair may be among the best.
    k: usize,
    /// The key that a pair must reach, as bits that compare as the numbers do.
    threshold: AtomicU64,
    done: AtomicU64,
}

impl<'a> Pass<'a> {
    fn new(
        source: &'a dyn RowSource,
        prepared: &'a Prepared,
        wanted: Wanted,
        limits: Limits,
        control: &'a Control,
    ) -> Self {
        let dimension = prepared.chain().output_dimension();
        let distance = prepared.chain().metric().is_distance();
        let threshold = match wanted.bound {
            Some(bound) if bound.is_nan() || (distance && bound < 0.0) => f64::INFINITY,
            Some(bound) => finish::key_below(bound, distance),
            None => f64::NEG_INFINITY,
        };
        Pass {
            source,
            prepared,
            control,
            limits,
            ends: (0..source.block_count()).map(|block| source.block_range(block).end).collect(),
            dimension,
            distance,
            factor: if distance { 2.0 } else { 1.0 },
            product_error: (simd::any_order_error(dimension) + 2.0 * simd::UNIT_F32) * 1.01 + 1e-30,
            k: wanted.k * 2,
            threshold: AtomicU64::new(ordered(if wanted.k == 0 { f64::INFINITY } else { threshold })),
            done: AtomicU64::new(0),
        }
    }

    fn row(&self, row: u32) -> Result<RowRef<'_>> {
        let block = self.ends.partition_point(|&end| end <= row);
        Ok(self.source.block(block)?.row((row - self.source.block_range(block).start) as usize))
    }

    /// Processes `rows` on both sides; those that have no direction as a query are put to `undirected`.
    fn process(&self, rows: &[u32], undirected: &mut RowSet) -> Result<PartRows> {
        let task = |rows: &[u32]| {
            self.control.checkpoint()?;
            let (mut part, mut queries, mut differs) = (PartRows::default(), Side::default(), false);
            let (mut record, mut query) = (Traveller::default(), Traveller::default());
            for &row in rows {
                self.row(row)?.widen_f64(&mut record.vector);
                query.vector.clone_from(&record.vector);
                if !self.prepared.query_program().run(&mut query, Undirected::Stop) {
                    continue;
                }
                self.prepared.record_program().run(&mut record, Undirected::GoOn);
                // What corrects for hubs belongs to the record alone, so the sides differ.
                let hubness = self.prepared.hubness(self.row(row)?);
                differs |= hubness.is_some() || query.vector != record.vector;
                part.rows.push(row);
                self.push(&mut part.records, &record.vector, -0.5 * hubness.unwrap_or(0.0));
                self.push(&mut queries, &query.vector, 0.0);
            }
            Ok((part, queries, differs))
        };
        let found: Vec<(PartRows, Side, bool)> = rows.par_chunks(256).map(task).collect::<Result<_>>()?;
        let differs = found.iter().any(|(_, _, differs)| *differs);
        let mut all = PartRows::default();
        for (mut part, queries, _) in found {
            all.rows.append(&mut part.rows);
            all.records.append(part.records);
            if differs {
                all.queries.append(queries);
            }
        }
        if all.rows.len() < rows.len() {
            let kept: RowSet = all.rows.iter().copied().collect();
            *undirected = undirected.or(&rows.iter().copied().collect::<RowSet>().and_not(&kept));
        }
        Ok(all)
    }

    fn push(&self, side: &mut Side, vector: &[f64], bonus: f64) {
        let norm = stats::norm(vector);
        let square = norm * norm;
        let offset = if self.distance { -square } else { bonus };
        let part = 8.0 * (self.dimension + 32) as f64 * f64::EPSILON;
        side.push(vector, offset, part * (self.factor * square + offset.abs()) + f64::MIN_POSITIVE);
    }

    /// Adds to `best` the candidates among the pairs of `queries` with `records`, or of `queries` with each other.
    fn multiply(
        &self,
        queries: &PartRows,
        records: Option<&PartRows>,
        best: Vec<PairCandidate>,
        total: u64,
    ) -> Result<Vec<PairCandidate>> {
        let others = records.unwrap_or(queries);
        let symmetric = queries.is_symmetric() && others.is_symmetric();
        let next = AtomicUsize::new(0);
        let threads = rayon::current_num_threads();
        let work = |thread: usize| {
            let mut found = Found::default();
            if thread == 0 {
                found.kept.clone_from(&best);
            }
            let mut products = Vec::new();
            loop {
                let start = next.fetch_add(1, Atomic::Relaxed) * TILE_QUERIES;
                if start >= queries.rows.len() {
                    break;
                }
                let tile = start..queries.rows.len().min(start + TILE_QUERIES);
                let first = if records.is_none() { start } else { 0 };
                for row in (first..others.rows.len()).step_by(TILE_ROWS) {
                    self.control.checkpoint()?;
                    let run = row..others.rows.len().min(row + TILE_ROWS);
                    let same = records.is_none();
                    let ways: &[Way] = if symmetric { &[Way::Forth] } else { &[Way::Forth, Way::Back] };
                    for &way in ways {
                        let ranges = (tile.clone(), run.clone());
                        self.tile((queries, others), ranges, (same, way), &mut products, &mut found)?;
                    }
                }
                let pairs = if records.is_none() {
                    tile.map(|query| queries.rows.len() - 1 - query).sum::<usize>()
                } else {
                    tile.len() * others.rows.len()
                };
                let done = self.done.fetch_add(pairs as u64, Atomic::Relaxed) + pairs as u64;
                self.control.report("pairs", done, Some(total));
            }
            self.prune(&mut found);
            Ok(found.kept)
        };
        let kept: Vec<Vec<PairCandidate>> =
            (0..threads).into_par_iter().with_max_len(1).map(work).collect::<Result<_>>()?;
        let mut all = Found { kept: kept.concat(), ..Found::default() };
        self.settle(&mut all)?;
        Ok(all.kept)
    }

    /// Screens the pairs of `tile` with `run`; of the same rows, each pair once.
    fn tile(
        &self,
        (queries, others): (&PartRows, &PartRows),
        (tile, run): (Range<usize>, Range<usize>),
        (same, way): (bool, Way),
        products: &mut Vec<f32>,
        found: &mut Found,
    ) -> Result<()> {
        let (left, right) = match way {
            Way::Forth => (queries.query_side(), &others.records),
            Way::Back => (&queries.records, others.query_side()),
        };
        self.product(left, tile.clone(), right, run.clone(), products);
        for (query, products) in tile.zip(products.chunks_exact(run.len().max(1))) {
            let begin = if same { run.start.max(query + 1).min(run.end) } else { run.start };
            let products = products.get(begin - run.start..).unwrap_or_default();
            self.screen((left, query), (right, begin..run.end), products, found, |other| match way {
                Way::Forth => (queries.rows[query], others.rows[other]),
                Way::Back => (others.rows[other], queries.rows[query]),
            })?;
        }
        Ok(())
    }

    /// `products[i][j] = <left[tile.start + i], right[run.start + j]>`
    fn product(&self, left: &Side, tile: Range<usize>, right: &Side, run: Range<usize>, products: &mut Vec<f32>) {
        let d = self.dimension;
        products.resize(tile.len() * run.len(), 0.0);
        let (a, b) = (&right.data[run.start * d..run.end * d], &left.data[tile.start * d..tile.end * d]);
        matrix::product_f32(a, run.len(), d, b, products, d);
    }

    /// Keeps the pairs of one row with a run of others whose key may reach the threshold.
    fn screen(
        &self,
        (left, row): (&Side, usize),
        (right, run): (&Side, Range<usize>),
        products: &[f32],
        found: &mut Found,
        pair: impl Fn(usize) -> (u32, u32),
    ) -> Result<()> {
        let factor = self.factor * left.norms[row];
        let (above, below, error) = (left.above[row], left.below[row], self.product_error);
        let chunks = products.chunks(TOGETHER).zip(run.clone().step_by(TOGETHER));
        let mut threshold = self.threshold();
        for (products, start) in chunks {
            let norms = &right.norms[start..start + products.len()];
            let offsets = &right.above[start..start + products.len()];
            let upper = |i: usize| factor * norms[i] * (f64::from(products[i]) + error) + (above + offsets[i]);
            // What is not a number is not below anything.
            let all = (0..products.len()).fold(true, |all, i| all & (upper(i) < threshold));
            if all {
                continue;
            }
            for i in 0..products.len() {
                let (upper, (a, b)) = (upper(i), pair(start + i));
                if upper < threshold {
                    continue;
                }
                let lower = factor * norms[i] * (f64::from(products[i]) - error) + (below + right.below[start + i]);
                let sound = lower <= upper;
                let (lower, upper) = if sound { (lower, upper) } else { (f64::NEG_INFINITY, f64::INFINITY) };
                found.kept.push(PairCandidate { a, b, lower, upper, value: f64::NAN });
            }
            if found.kept.len() >= found.limit.max(self.k * 2) {
                self.settle(found)?;
                threshold = self.threshold();
            }
        }
        Ok(())
    }

    fn threshold(&self) -> f64 {
        unordered(self.threshold.load(Atomic::Relaxed))
    }

    /// Forgets what cannot be among the best; where that leaves too many, they are scored and the best kept.
    fn settle(&self, found: &mut Found) -> Result<()> {
        self.prune(found);
        if found.kept.len() > self.limits.unscored.max(self.k * 2) {
            let mut scored = self.score(std::mem::take(&mut found.kept))?;
            self.order(&mut scored);
            scored.truncate(self.k);
            found.kept = scored;
            self.prune(found);
        }
        found.limit = found.kept.len() * 2 + 1024;
        Ok(())
    }

    /// Raises the shared threshold as far as these candidates allow and forgets what is below it.
    fn prune(&self, found: &mut Found) {
        if self.k > 0 && found.kept.len() >= self.k {
            found.lowers.clear();
            found.lowers.extend(found.kept.iter().map(|candidate| candidate.lower));
            let (_, kth, _) = found.lowers.select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
            // Relaxed: the number stands for itself. It only grows, and each value is a true lower bound of the k-th
            // best.
            self.threshold.fetch_max(ordered(*kth), Atomic::Relaxed);
        }
        let threshold = self.threshold();
        found.kept.retain(|candidate| candidate.upper >= threshold);
    }

    /// Scores those that are not yet, each as a search by `a` scores `b`.
    fn score(&self, mut pairs: Vec<PairCandidate>) -> Result<Vec<PairCandidate>> {
        pairs.sort_unstable_by_key(|pair| (pair.a, pair.b));
        let groups: Vec<&mut [PairCandidate]> = pairs.chunk_by_mut(|x, y| x.a == y.a).collect();
        groups.into_par_iter().try_for_each(|group| {
            self.control.checkpoint()?;
            let (Some(a), true) = (group.first().map(|pair| pair.a), group.iter().any(|pair| pair.value.is_nan()))
            else {
                return Ok(());
            };
            let mut traveller = Traveller::default();
            self.row(a)?.widen_f64(&mut traveller.vector);
            let query = self.prepared.process(&traveller.vector)?;
            for pair in group.iter_mut().filter(|pair| pair.value.is_nan()) {
                pair.value = self.prepared.exact(&query, self.row(pair.b)?, &mut traveller);
                let key = if self.distance { -(pair.value * pair.value) } else { pair.value };
                let slack = if self.distance { key.abs() * 1e-12 } else { 0.0 };
                (pair.lower, pair.upper) = (key - slack, key + slack);
            }
            Ok::<(), crate::Error>(())
        })?;
        Ok(pairs)
    }

    /// Best first; ties by the smaller row, then the larger, then the smaller on the query side.
    fn order(&self, pairs: &mut [PairCandidate]) {
        let by_value = |x: f64, y: f64| if self.distance { x.total_cmp(&y) } else { y.total_cmp(&x) };
        let place = |pair: &PairCandidate| (pair.a.min(pair.b), pair.a.max(pair.b), pair.a);
        pairs.sort_unstable_by(|x, y| match by_value(x.value + 0.0, y.value + 0.0) {
            Ordering::Equal => place(x).cmp(&place(y)),
            other => other,
        });
    }
}

/// What one task has found so far.
#[derive(Debug, Default)]
struct Found {
    kept: Vec<PairCandidate>,
    lowers: Vec<f64>,
    /// Length of `kept` at which it is pruned next.
    limit: usize,
}

/// The bits of `x` such that integers compare as the numbers do.
fn ordered(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The inverse of [`ordered`].
fn unordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}
