//! Several lenses in one scan: the weighted sum of their scores.
//!
//! Owns [`scan_blend`] and [`count_before`]. BlendRows of one view are read once: each tile is multiplied with every
//! lens's folded vector while it is in the cache. Over several views there is one pass for each, and what the earlier
//! ones learned of a row is an interval that the last one completes. The shown score is a pure function of query and
//! row: the sum `w_0 s_0 + w_1 s_1 + ...` in `f64`, in the order written, of scores as each lens alone would show them.
//!
//! Why no candidate is lost: where every `s_i` lies in an interval, `sum w_i s_i` lies in the sum of the intervals,
//! each turned around by a negative weight. Both that sum and the shown one round at most `2 (n + 1)` times, each by
//! `2^-53` of at most `sum |w_i| max|s_i|`, and the bound is taken four times as large. Most rows are passed over by a
//! sum of quick tests before (`blend_quick`).

use super::blend_quick::QuickSum;
use super::screen::{LISTED, Partly};
use super::wanted::{ScanResult, Scored, Wanted};
use super::weighted::{Blend, WeightedLens};
use super::{finish, screen};
use crate::error::Result;
use crate::lens::RowSource;
use crate::linalg::rows::RowRef;
use crate::linalg::topk::{Candidate, Candidates, SharedThreshold};
use crate::linalg::{RowsRef, simd};
use crate::types::RowSet;
use std::cmp::Ordering;
use std::ops::Range;

/// Bytes of rows that are multiplied with every lens before the next are read: they stay in the second-level cache.
const TILE_BYTES: usize = 128 << 10;

/// The best `k` of the rows in `allowed` that have a direction under every lens; with a `bound`, of those whose score
/// is at least that. All lenses give scores, not distances. Shares the work as [`team`](crate::linalg::team) says.
///
/// # Errors
/// BlendRows that cannot be read.
pub fn scan_blend(blend: &Blend<'_>, allowed: &RowSet, k: usize, bound: Option<f64>) -> Result<ScanResult> {
    let rows = BlendRows::new(blend, allowed);
    let threshold = match bound {
        Some(bound) if bound.is_nan() => f64::INFINITY,
        Some(bound) => bound,
        None => f64::NEG_INFINITY,
    };
    let shared = SharedThreshold::new();
    let found = blend.each_row(
        &rows.ordinary,
        || Candidates::new(k, threshold),
        |found| {
            found.share(&shared);
            found.threshold()
        },
        |found, row, sum| {
            let (lower, upper) = sum.interval(blend.parts.len());
            found.offer(Candidate { row, lower, upper });
        },
    )?;
    let mut candidates = found.into_iter().reduce(Candidates::merge).map(Candidates::finish).unwrap_or_default();
    let anything = |row| Candidate { row, lower: f64::NEG_INFINITY, upper: f64::INFINITY };
    candidates.extend(rows.extreme.iter().map(anything));
    let hits = finish::best(candidates, &Wanted { k, bound }, false, |rows| blend.score(rows))?;
    Ok(ScanResult { hits, scanned: rows.scanned })
}

/// How many of the rows in `allowed` (that have a direction) an answer would list before `reference`: those with a
/// better value, and those with the same one and a smaller row number. A single lens of weight 1 may be a distance.
///
/// # Errors
/// BlendRows that cannot be read.
pub fn count_before(blend: &Blend<'_>, allowed: &RowSet, reference: Scored) -> Result<u64> {
    let distance = blend.is_distance();
    let rows = BlendRows::new(blend, allowed);
    // Of a distance the scan knows minus the square.
    let square = -(reference.value * reference.value);
    let key =
        if distance { (square * (1.0 + 1e-12), square * (1.0 - 1e-12)) } else { (reference.value, reference.value) };
    let found = blend.each_row(
        &rows.ordinary,
        || (0, Vec::new()),
        |_| key.0,
        |(before, unsure): &mut (u64, Vec<u32>), row, sum| {
            let (lower, upper) = sum.interval(blend.parts.len());
            if lower > key.1 {
                *before += 1;
            } else if upper >= key.0 {
                unsure.push(row);
            }
        },
    )?;
    let mut before = 0;
    let mut unsure: Vec<u32> = rows.extreme.iter().collect();
    for (sure, more) in found {
        before += sure;
        unsure.extend(more);
    }
    unsure.retain(|&row| row != reference.row);
    let scored = blend.score(&unsure)?;
    Ok(before + scored.iter().filter(|hit| finish::order(hit, &reference, distance) == Ordering::Less).count() as u64)
}

impl Blend<'_> {
    /// The scores of `rows` in their order, as an answer shows them.
    ///
    /// # Errors
    /// BlendRows that cannot be read.
    ///
    /// # Panics
    /// When a row is not covered by every source.
    pub fn score(&self, rows: &[u32]) -> Result<Vec<Scored>> {
        let mut sums: Vec<Scored> = Vec::new();
        for (idx, part) in self.parts.iter().enumerate() {
            let scores = finish::rescore(self.sources[part.source_idx], part.prepared, part.query, rows)?;
            if idx == 0 {
                sums = scores;
                // A lens alone is itself, whatever its metric.
                if self.parts.len() > 1 || part.weight != 1.0 {
                    sums.iter_mut().for_each(|sum| sum.value *= part.weight);
                }
            } else {
                sums.iter_mut().zip(scores).for_each(|(sum, score)| sum.value += part.weight * score.value);
            }
        }
        // Zero has two signs and one meaning.
        sums.iter_mut().for_each(|sum| sum.value += 0.0);
        Ok(sums)
    }

    fn is_distance(&self) -> bool {
        matches!(self.parts.as_slice(), [part] if part.prepared.chain().metric().is_distance())
    }

    /// Runs `each(state, row, sum)` for every allowed row, in parallel, but for rows whose sum is certainly below what
    /// `before` gives at the start of each block; the states that were made on the way.
    fn each_row<S: Send>(
        &self,
        allowed: &RowSet,
        empty: impl Fn() -> S + Sync,
        before: impl Fn(&mut S) -> f64 + Sync,
        each: impl Fn(&mut S, u32, Sum) + Sync,
    ) -> Result<Vec<S>> {
        let seen: Vec<WeightedLens<'_>> = self.parts.iter().map(WeightedLens::seen).collect();
        let mut sources: Vec<usize> = seen.iter().map(|part| part.source_idx).collect();
        sources.sort_unstable();
        sources.dedup();
        let mut known: Vec<Sum> = Vec::new();
        let Some(last) = sources.pop() else { return Ok(Vec::new()) };
        for source_idx in sources {
            let pass = Pass::new(self.sources[source_idx], source_idx, &seen, allowed, &known);
            let keep = |found: &mut Vec<(u32, Sum)>, row, sum| found.push((row, sum));
            let found = pass.run(Vec::new, |_| f64::NEG_INFINITY, keep)?;
            known.resize(self.sources[source_idx].row_count() as usize, Sum::default());
            for (row, sum) in found.into_iter().flatten() {
                known[row as usize] = sum;
            }
        }
        Pass::new(self.sources[last], last, &seen, allowed, &known).run(empty, before, each)
    }
}

/// What is known of one row's score so far.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    lower: f64,
    upper: f64,
    /// Sum of the sizes of what was added.
    size: f64,
}

impl Sum {
    #[inline]
    fn add(&mut self, weight: f64, (lower, upper): (f64, f64)) {
        let (a, b) = (weight * lower, weight * upper);
        let (lower, upper) = if weight < 0.0 { (b, a) } else { (a, b) };
        self.lower += lower;
        self.upper += upper;
        self.size += lower.abs().max(upper.abs());
    }

    /// An interval that holds the sum of `terms` scores, as it is and as it is shown.
    #[inline]
    fn interval(self, terms: usize) -> (f64, f64) {
        let error = if terms == 1 { 0.0 } else { self.size * (8 * (terms + 1)) as f64 * (f64::EPSILON / 2.0) };
        // The smallest numbers round by more than their share.
        let tiny = terms as f64 * f64::MIN_POSITIVE;
        let (lower, upper) = (self.lower - error - tiny, self.upper + error + tiny);
        if lower <= upper && self.size.is_finite() { (lower, upper) } else { (f64::NEG_INFINITY, f64::INFINITY) }
    }
}

/// The rows of one scan.
struct BlendRows {
    /// BlendRows that `f32` products can speak for under every lens.
    ordinary: RowSet,
    /// The others.
    extreme: RowSet,
    scanned: u64,
}

impl BlendRows {
    fn new(blend: &Blend<'_>, allowed: &RowSet) -> Self {
        let mut directed = allowed.clone();
        let mut extreme = RowSet::new();
        for part in &blend.parts {
            directed = directed.and(part.prepared.directed());
        }
        for part in &blend.parts {
            extreme = match part.kept {
                Some(kept) => extreme.or(&directed.and_not(kept.prepared.directed())).or(kept.prepared.extreme()),
                None => extreme.or(part.prepared.extreme()),
            };
        }
        let extreme = extreme.and(&directed);
        BlendRows { ordinary: directed.and_not(&extreme), extreme, scanned: directed.len() }
    }
}

/// One pass over one source.
struct Pass<'a> {
    source: &'a dyn RowSource,
    parts: Vec<WeightedLens<'a>>,
    dot_error: f64,
    quick: Option<QuickSum<'a>>,
    allowed: &'a RowSet,
    /// By row, what earlier passes found; empty where there was none.
    known: &'a [Sum],
    /// Lenses of the whole blend.
    terms: usize,
}

impl<'a> Pass<'a> {
    /// Over the rows of `source`, of what `seen` has at `source_idx`.
    fn new(
        source: &'a dyn RowSource,
        source_idx: usize,
        seen: &[WeightedLens<'a>],
        allowed: &'a RowSet,
        known: &'a [Sum],
    ) -> Self {
        let parts: Vec<WeightedLens<'a>> = seen.iter().filter(|part| part.source_idx == source_idx).copied().collect();
        let (dot_error, terms) = (simd::dot_error(source.dimension()), seen.len());
        let quick = QuickSum::new(&parts, terms, dot_error);
        Pass { source, parts, dot_error, quick, allowed, known, terms }
    }

    fn run<S: Send>(
        &self,
        empty: impl Fn() -> S + Sync,
        before: impl Fn(&mut S) -> f64 + Sync,
        each: impl Fn(&mut S, u32, Sum) + Sync,
    ) -> Result<Vec<S>> {
        let tile_rows = (TILE_BYTES / (self.source.dimension() * size_of::<f32>()).max(1)).max(16);
        let empty = || (empty(), TileBuffers::default());
        let each = |(state, scratch): &mut (S, TileBuffers<'a>),
                    rows: RowsRef<'a>,
                    first: u32,
                    allowed: Option<Partly<'_>>| {
            for start in (0..rows.len()).step_by(tile_rows) {
                let threshold = before(state);
                let tile = rows.slice(start..rows.len().min(start + tile_rows));
                let (start, end) = (first + start as u32, first + (start + tile.len()) as u32);
                let TileBuffers { products, extras, listed, data, upper, bonus } = scratch;
                listed.clear();
                match allowed {
                    Some(allowed) => listed.extend(allowed.bits.iter(start..end)),
                    None => listed.extend(start..end),
                }
                if listed.len() as f64 <= LISTED * tile.len() as f64 {
                    data.clear();
                    data.extend(listed.iter().map(|row| tile.row((row - start) as usize)));
                    products.resize(self.parts.len() * data.len(), 0.0);
                    for (part, out) in self.parts.iter().zip(products.chunks_exact_mut(data.len().max(1))) {
                        simd::dot_listed(&part.query.folded, data, out);
                    }
                    for (place, &row) in listed.iter().enumerate() {
                        let product = |idx: usize| products[idx * data.len() + place];
                        each(state, row, self.sum(row, product, extras));
                    }
                    continue;
                }
                products.resize(self.parts.len() * tile.len(), 0.0);
                for (part, out) in self.parts.iter().zip(products.chunks_exact_mut(tile.len())) {
                    simd::dot_rows(&part.query.folded, tile, out);
                }
                let quick = self.quick.as_ref().filter(|_| threshold > f64::NEG_INFINITY);
                if let Some(quick) = quick {
                    self.begin(start..end, upper);
                    quick.add(products, start as usize, upper, bonus);
                }
                for &row in listed.iter() {
                    let place = (row - start) as usize;
                    // What is not a number is not below anything.
                    let below = quick.is_some() && upper[place] < threshold;
                    if !below {
                        let product = |idx: usize| products[idx * tile.len() + place];
                        each(state, row, self.sum(row, product, extras));
                    }
                }
            }
        };
        let blocks = screen::Blocks { source: self.source, allowed: self.allowed, products: self.parts.len() };
        blocks.each(empty, each, |(state, _)| state)
    }

    /// What earlier passes have found of the sums of `rows`, at most. BlendRows that they did not cover take no part.
    fn begin(&self, rows: Range<u32>, upper: &mut Vec<f64>) {
        upper.clear();
        let known = |row| self.known.get(row as usize).map_or(0.0, |sum| sum.interval(self.terms).1);
        upper.extend(rows.map(known));
    }

    /// What is known of `row` after this pass.
    #[inline]
    fn sum(&self, row: u32, product: impl Fn(usize) -> f32, extras: &mut Vec<(usize, f64)>) -> Sum {
        let mut sum = self.known.get(row as usize).copied().unwrap_or_default();
        for (idx, part) in self.parts.iter().enumerate() {
            let scalars = part.prepared.scalars().of(row as usize, extras);
            sum.add(part.weight, part.query.interval(product(idx), &scalars, self.dot_error));
        }
        sum
    }
}

/// Room to work in, kept from block to block.
#[derive(Debug, Default)]
struct TileBuffers<'s> {
    /// One run of products for each lens.
    products: Vec<f32>,
    extras: Vec<(usize, f64)>,
    /// Allowed rows of a tile, and their elements where they are read one by one.
    listed: Vec<u32>,
    data: Vec<RowRef<'s>>,
    /// What the sum of each row is at most.
    upper: Vec<f64>,
    bonus: Vec<f32>,
}
