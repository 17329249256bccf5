//! The first pass: which rows may be among the best.
//!
//! Owns the loop over blocks. Each task reads whole blocks in tiles, computes one `f32` product for each row (or a
//! tile of products for many queries), turns it into an interval that holds the row's true sort key
//! (`ProcessedQuery::interval`), and offers what reaches the threshold so far. Nothing is allocated for a row.

use super::{Wanted, finish};
use crate::error::Result;
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::linalg::simd::{self, Line};
use crate::linalg::topk::{Candidate, Candidates, SharedThreshold};
use crate::linalg::{RowsRef, matrix};
use crate::types::RowSet;
use rayon::prelude::*;

/// Rows of one tile: their products and scalars stay in the first-level cache.
const TILE_ROWS: usize = 1024;
/// Queries of one matrix product.
const TILE_QUERIES: usize = 64;
/// A block of which at most one row in so many is allowed is read row by row.
const SPARSE: u64 = 4;

/// The candidates of one query among `allowed`, all of which are directed and ordinary.
pub(super) fn one(
    source: &dyn RowSource,
    prepared: &Prepared,
    query: &ProcessedQuery,
    allowed: &RowSet,
    wanted: &Wanted,
) -> Result<Vec<Candidate>> {
    let screen = Screen::new(prepared, query, simd::dot_error(source.dimension()));
    let shared = SharedThreshold::new();
    let empty = || (candidates(prepared, wanted), Scratch::default());
    let found = each_block(source, allowed, empty, |(found, scratch), rows, first, full| {
        found.share(&shared);
        screen_block(&screen, query, rows, first, (!full).then_some(allowed), found, scratch);
    })?;
    Ok(found.into_iter().map(|(found, _)| found).reduce(Candidates::merge).map(Candidates::finish).unwrap_or_default())
}

/// The candidates of each query among `allowed`.
pub(super) fn many(
    source: &dyn RowSource,
    prepared: &Prepared,
    queries: &[ProcessedQuery],
    allowed: &RowSet,
    wanted: &Wanted,
) -> Result<Vec<Vec<Candidate>>> {
    let error = simd::any_order_error(source.dimension());
    let screens: Vec<Screen<'_>> = queries.iter().map(|query| Screen::new(prepared, query, error)).collect();
    let folded: Vec<f32> = queries.iter().flat_map(|query| query.folded.iter().copied()).collect();
    let shared: Vec<SharedThreshold> = queries.iter().map(|_| SharedThreshold::new()).collect();
    let empty = || (vec![candidates(prepared, wanted); queries.len()], Scratch::default());
    let found = each_block(source, allowed, empty, |(found, scratch), rows, first, full| {
        found.iter_mut().zip(&shared).for_each(|(found, shared)| found.share(shared));
        multiply_block(&screens, &folded, rows, first, (!full).then_some(allowed), found, scratch);
    })?;
    let merge = |mut all: Vec<Candidates>, part: Vec<Candidates>| {
        for (all, part) in all.iter_mut().zip(part) {
            let merged = std::mem::replace(all, Candidates::new(0, 0.0)).merge(part);
            *all = merged;
        }
        all
    };
    let found = found.into_iter().map(|(found, _)| found).reduce(merge);
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

/// Runs `each(state, rows, first row, all allowed)` over the blocks that hold allowed rows, in parallel; the states
/// that were made on the way.
fn each_block<S: Send>(
    source: &dyn RowSource,
    allowed: &RowSet,
    empty: impl Fn() -> S + Sync,
    each: impl Fn(&mut S, RowsRef<'_>, u32, bool) + Sync,
) -> Result<Vec<S>> {
    let touched = |&block: &usize| allowed.count_range(source.block_range(block)) > 0;
    let blocks: Vec<usize> = (0..source.block_count()).filter(touched).collect();
    // A few tasks for each thread: enough to even out, few enough to share a threshold among many blocks.
    let task_blocks = blocks.len().div_ceil(rayon::current_num_threads() * 4).max(1);
    let run = |blocks: &[usize]| {
        let mut state = empty();
        for &block in blocks {
            let range = source.block_range(block);
            let full = allowed.count_range(range.clone()) == u64::from(range.end - range.start);
            each(&mut state, source.block(block)?, range.start, full);
        }
        Ok(state)
    };
    blocks.par_chunks(task_blocks).map(run).collect()
}

/// Room to work in, kept from block to block.
#[derive(Debug, Default)]
struct Scratch {
    products: Vec<f32>,
    reaching: Vec<u32>,
    extras: Vec<(usize, f64)>,
    /// Allowed rows of a tile that is not taken whole.
    rows: Vec<u32>,
    /// Their elements, or a tile of `f16` rows widened.
    elements: Vec<f32>,
    alpha: Vec<f32>,
    reach: Vec<f32>,
}

/// What turns products into intervals for one query.
#[derive(Debug)]
struct Screen<'a> {
    prepared: &'a Prepared,
    query: &'a ProcessedQuery,
    /// Error of a product relative to the norms of its factors.
    dot_error: f64,
    /// The quick test, where a record has no scalars beyond `S_0` and its reach.
    line: Option<Line>,
}

impl<'a> Screen<'a> {
    fn new(prepared: &'a Prepared, query: &'a ProcessedQuery, dot_error: f64) -> Self {
        let scalars = prepared.scalars();
        let line = if scalars.are_simple() { query.line(dot_error, scalars.alpha_error) } else { None };
        Screen { prepared, query, dot_error, line }
    }

    /// Offers a row if it is allowed.
    #[inline]
    fn offer(
        &self,
        row: u32,
        product: f32,
        allowed: Option<&RowSet>,
        extras: &mut Vec<(usize, f64)>,
        found: &mut Candidates,
    ) {
        let scalars = self.prepared.scalars().of(row as usize, extras);
        let (lower, upper) = self.query.interval(product, &scalars, self.dot_error);
        if upper >= found.threshold() && allowed.is_none_or(|allowed| allowed.contains(row)) {
            found.offer(Candidate { row, lower, upper });
        }
    }
}

/// The rows that products belong to.
#[derive(Debug, Clone, Copy)]
enum Tile<'a> {
    /// Consecutive rows from the first on; those outside the set do not count.
    Run(u32, Option<&'a RowSet>),
    /// These rows, with their `S_0` and reach.
    Gathered { rows: &'a [u32], alpha: &'a [f32], reach: &'a [f32] },
}

impl Tile<'_> {
    /// Offers the rows of a tile whose `products` may reach the threshold.
    fn screen(
        &self,
        screen: &Screen<'_>,
        products: &[f32],
        found: &mut Candidates,
        reaching: &mut Vec<u32>,
        extras: &mut Vec<(usize, f64)>,
    ) {
        let row = |idx: usize| match self {
            Tile::Run(first, _) => first + idx as u32,
            Tile::Gathered { rows, .. } => rows[idx],
        };
        let allowed = if let Tile::Run(_, allowed) = self { *allowed } else { None };
        let Some(line) = &screen.line else {
            for (idx, &product) in products.iter().enumerate() {
                screen.offer(row(idx), product, allowed, extras, found);
            }
            return;
        };
        let scalars = screen.prepared.scalars();
        let (alpha, reach) = match self {
            Tile::Run(first, _) => {
                let run = *first as usize..*first as usize + products.len();
                (scalars.alpha.get(run.clone()).unwrap_or_default(), &scalars.reach[run])
            }
            Tile::Gathered { alpha, reach, .. } => (*alpha, *reach),
        };
        reaching.clear();
        simd::reaching(line, found.threshold(), products, alpha, reach, reaching);
        for &idx in reaching.iter() {
            screen.offer(row(idx as usize), products[idx as usize], allowed, extras, found);
        }
    }
}

/// One query over one block. `allowed` is given where it does not hold the whole block.
fn screen_block(
    screen: &Screen<'_>,
    query: &ProcessedQuery,
    rows: RowsRef<'_>,
    first: u32,
    allowed: Option<&RowSet>,
    found: &mut Candidates,
    scratch: &mut Scratch,
) {
    let Scratch { products, reaching, extras, .. } = scratch;
    let end = first + rows.len() as u32;
    if let Some(allowed) = allowed
        && allowed.count_range(first..end) * SPARSE <= rows.len() as u64
    {
        for row in allowed.iter_range(first..end) {
            let product = simd::dot_row(&query.folded, rows.row((row - first) as usize));
            screen.offer(row, product, None, extras, found);
        }
        return;
    }
    for start in (0..rows.len()).step_by(TILE_ROWS) {
        let tile = rows.slice(start..rows.len().min(start + TILE_ROWS));
        products.resize(tile.len(), 0.0);
        simd::dot_rows(&query.folded, tile, products);
        Tile::Run(first + start as u32, allowed).screen(screen, products, found, reaching, extras);
    }
}

/// Many queries over one block.
fn multiply_block(
    screens: &[Screen<'_>],
    folded: &[f32],
    rows: RowsRef<'_>,
    first: u32,
    allowed: Option<&RowSet>,
    found: &mut [Candidates],
    scratch: &mut Scratch,
) {
    for start in (0..rows.len()).step_by(TILE_ROWS) {
        let tile = rows.slice(start..rows.len().min(start + TILE_ROWS));
        let first = first + start as u32;
        let run = first..first + tile.len() as u32;
        let sparse = allowed.filter(|allowed| allowed.count_range(run.clone()) * 2 <= tile.len() as u64);
        if let Some(allowed) = sparse {
            gather(screens, tile, first, allowed, scratch);
        } else if let RowsRef::F16 { .. } = tile {
            widen(tile, &mut scratch.elements);
        }
        let Scratch { products, reaching, extras, rows, elements, alpha, reach } = &mut *scratch;
        let gathered = Tile::Gathered { rows, alpha, reach };
        let (label, count) =
            if sparse.is_some() { (gathered, rows.len()) } else { (Tile::Run(first, allowed), tile.len()) };
        let dimension = tile.dimension();
        let (data, stride) = match tile {
            RowsRef::F32 { data, stride, .. } if sparse.is_none() => (data, stride),
            _ => (&elements[..], dimension),
        };
        let groups = screens.chunks(TILE_QUERIES).zip(folded.chunks(TILE_QUERIES * dimension));
        for ((screens, folded), found) in groups.zip(found.chunks_mut(TILE_QUERIES)) {
            products.resize(count * screens.len(), 0.0);
            matrix::product_f32(data, count, stride, folded, products, dimension);
            for ((screen, products), found) in screens.iter().zip(products.chunks(count.max(1))).zip(found) {
                label.screen(screen, products, found, reaching, extras);
            }
        }
    }
}

/// Collects the allowed rows of a tile with their scalars.
fn gather(screens: &[Screen<'_>], tile: RowsRef<'_>, first: u32, allowed: &RowSet, scratch: &mut Scratch) {
    let Scratch { rows, elements, alpha, reach, .. } = scratch;
    rows.clear();
    rows.extend(allowed.iter_range(first..first + tile.len() as u32));
    elements.clear();
    for &row in rows.iter() {
        match tile.slice((row - first) as usize..(row - first) as usize + 1) {
            RowsRef::F32 { data, dimension, .. } => elements.extend_from_slice(&data[..dimension]),
            RowsRef::F16 { data, dimension, .. } => {
                let start = elements.len();
                elements.resize(start + dimension, 0.0);
                simd::widen_f16(&data[..dimension], &mut elements[start..]);
            }
        }
    }
    alpha.clear();
    reach.clear();
    // All queries of a batch share the prepared records.
    if let Some(screen) = screens.first() {
        let scalars = screen.prepared.scalars();
        if !scalars.alpha.is_empty() {
            alpha.extend(rows.iter().map(|&row| scalars.alpha[row as usize]));
        }
        reach.extend(rows.iter().map(|&row| scalars.reach[row as usize]));
    }
}

/// Widens a tile of `f16` rows, without padding.
fn widen(tile: RowsRef<'_>, elements: &mut Vec<f32>) {
    if let RowsRef::F16 { data, stride, dimension } = tile {
        elements.resize(tile.len() * dimension, 0.0);
        for (row, out) in data.chunks(stride).zip(elements.chunks_exact_mut(dimension)) {
            simd::widen_f16(&row[..dimension], out);
        }
    }
}
