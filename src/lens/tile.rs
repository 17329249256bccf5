//! Rows many at a time: the tiles in which all passes over a view process them.
//!
//! Owns how a source is cut into tasks and tiles, and how a tile runs a program. Tasks are cut by row numbers alone,
//! never by the number of threads, and what they find is put together in row order; so a result is the same bits for
//! any number of threads.

use super::RowSource;
use super::noise::{Guard, TINIEST_NORM};
use super::program::{Op, Traveller, Undirected, apply_in_place};
use crate::error::Result;
use crate::linalg::rows::RowRef;
use crate::linalg::{matrix, stats};
use crate::types::RowSet;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of one task, at least, unless the source ends: where tasks have sums to be added up, and where not.
pub(super) const SUM_ROWS: u32 = 2048;
pub(super) const ROWS: u32 = 1024;
/// Bytes of the `f64` tile that a task works on: with its product it stays in the second-level cache.
const TILE_BYTES: usize = 256 << 10;

/// Rows of a tile whose products stay in the cache.
pub(super) fn rows(source: &dyn RowSource) -> usize {
    (TILE_BYTES / (8 * source.dimension().max(1))).clamp(8, 512)
}

/// Adds up what `add` finds in each task, in row order, at most `together` partial results at a time.
pub(super) fn fold<P: Send>(
    source: &dyn RowSource,
    together: usize,
    empty: impl Fn() -> P + Sync,
    add: impl Fn(&mut P, &Task) -> Result<()> + Sync,
    merge: impl Fn(&mut P, &P),
) -> Result<P> {
    let mut total = empty();
    for tasks in tasks(source, SUM_ROWS).chunks(together) {
        let find = |task| {
            let mut part = empty();
            add(&mut part, task)?;
            Ok(part)
        };
        let parts: Vec<P> = tasks.par_iter().map(find).collect::<Result<_>>()?;
        parts.iter().for_each(|part| merge(&mut total, part));
    }
    Ok(total)
}

/// Consecutive blocks and the rows they hold.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub blocks: Range<usize>,
    pub rows: Range<u32>,
}

/// Cuts the source into runs of whole blocks of at least `least` rows.
pub(super) fn tasks(source: &dyn RowSource, least: u32) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for block in 0..source.block_count() {
        let rows = source.block_range(block);
        match tasks.last_mut() {
            Some(task) if task.rows.end - task.rows.start < least => {
                task.blocks.end = block + 1;
                task.rows.end = rows.end;
            }
            _ => tasks.push(Task { blocks: block..block + 1, rows }),
        }
    }
    tasks
}

/// Hands the live rows of a task to `each`, `tile_rows` at a time.
pub(super) fn for_each(
    source: &dyn RowSource,
    live: &RowSet,
    task: &Task,
    tile_rows: usize,
    mut each: impl FnMut(&mut Tile),
) -> Result<()> {
    let dimension = source.dimension();
    let (mut tile, mut row) = (Tile::default(), Vec::new());
    tile.clear(dimension);
    for block in task.blocks.clone() {
        let range = source.block_range(block);
        if live.count_range(range.clone()) == 0 {
            continue;
        }
        let rows = source.block(block)?;
        for number in live.iter_range(range.clone()) {
            rows.row_f64((number - range.start) as usize, &mut row);
            tile.push(number, &row);
            if tile.len() == tile_rows {
                source.checkpoint()?;
                each(&mut tile);
                tile.clear(dimension);
            }
        }
    }
    if tile.len() > 0 {
        each(&mut tile);
    }
    Ok(())
}

/// Operations as tiles run them.
pub(super) struct Steps<'a> {
    ops: &'a [Op],
    /// The matrices among them in `f64`, by position.
    wide: Vec<Vec<f64>>,
    /// Before each operation, and behind the last.
    guards: Vec<Guard>,
    /// Whether a normalization among them, or behind them, may find that a row has no direction though it is not zero.
    keeps_rows: bool,
}

impl<'a> Steps<'a> {
    /// `ops` in this order; `normalized`: whether [`Tile::take_norms`] will be asked for behind them.
    pub fn new(ops: &'a [Op], normalized: bool) -> Self {
        let wide = |op: &Op| if let Op::Matrix(matrix) = op { matrix.to_f64() } else { Vec::new() };
        let guards = Guard::of(ops);
        let looked_at = ops.iter().zip(&guards).any(|(op, guard)| matches!(op, Op::Normalize) && guard.live);
        let keeps_rows = looked_at || (normalized && guards.last().is_some_and(|guard| guard.live));
        Steps { ops, wide: ops.iter().map(wide).collect(), guards, keeps_rows }
    }

    /// What bounds the size of all that was subtracted from a row that has come to the end, see [`Guard`].
    pub fn end(&self) -> Option<&Guard> {
        self.guards.last()
    }

    /// Whether a row has a direction behind the first `count` operations, looked at coordinate by coordinate.
    fn has_direction(&self, row: &[f64], count: usize) -> bool {
        let mut traveller = Traveller::new(row.to_vec());
        let before = self.ops.iter().take(count);
        before.chain([&Op::Normalize]).all(|op| traveller.apply(op, Undirected::Stop).is_some())
    }
}

/// Some rows on their way through a program.
#[derive(Debug, Default)]
pub(super) struct Tile {
    pub rows: Vec<u32>,
    /// `n x dimension`, row-major; rows without a direction are zero.
    pub vectors: Vec<f64>,
    pub dimension: usize,
    /// What rows have carried, see [`Guard::carry`].
    pub carried: Vec<f64>,
    pub alive: Vec<bool>,
    pub raw_norms: Vec<f64>,
    /// Norms divided by, normalization by normalization.
    pub norms: Vec<Vec<f64>>,
    scratch: Vec<f64>,
    /// The rows as they came, where a direction may have to be looked for in them.
    raw: Vec<f64>,
}

impl Tile {
    pub fn clear(&mut self, dimension: usize) {
        self.rows.clear();
        self.vectors.clear();
        self.carried.clear();
        self.alive.clear();
        self.raw_norms.clear();
        self.norms.clear();
        self.dimension = dimension;
    }

    fn push(&mut self, row: u32, vector: &[f64]) {
        self.rows.push(row);
        self.vectors.extend_from_slice(vector);
        self.carried.push(0.0);
        self.alive.push(true);
        self.raw_norms.push(stats::norm(vector));
    }

    /// Adds a row as it is stored; its norm is not looked at.
    pub fn push_raw(&mut self, row: u32, vector: RowRef<'_>) {
        self.rows.push(row);
        match vector {
            RowRef::F32(vector) => self.vectors.extend(vector.iter().map(|&x| f64::from(x))),
            RowRef::F16(vector) => self.vectors.extend(vector.iter().map(|&x| f64::from(x.to_f32()))),
        }
        self.carried.push(0.0);
        self.alive.push(true);
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn vector(&self, idx: usize) -> &[f64] {
        &self.vectors[idx * self.dimension..(idx + 1) * self.dimension]
    }

    /// Runs `steps`.
    pub fn run(&mut self, steps: &Steps<'_>) {
        self.keep_rows(steps);
        for idx in 0..steps.ops.len() {
            self.apply(steps, idx);
        }
    }

    /// [`Tile::run`] with products of matrices in `f32`; `narrow` has the directions of coordinates in `f32`.
    pub fn run_rough(&mut self, steps: &Steps<'_>, narrow: &[Vec<f32>]) {
        self.keep_rows(steps);
        for (idx, (op, narrow)) in steps.ops.iter().zip(narrow).enumerate() {
            match op {
                Op::Matrix(matrix) => {
                    self.carry(&steps.guards[idx], op);
                    self.multiply_rough(matrix.data());
                }
                Op::Coordinates(_) => {
                    self.carry(&steps.guards[idx], op);
                    self.multiply_rough(narrow);
                }
                _ => self.apply(steps, idx),
            }
        }
    }

    /// A normalization behind `steps`, which the rows have run, of which only the norms matter.
    pub fn take_norms(&mut self, steps: &Steps<'_>) {
        self.normalize(steps, steps.ops.len(), |_, _| {});
    }

    fn keep_rows(&mut self, steps: &Steps<'_>) {
        self.raw.clear();
        if steps.keeps_rows {
            self.raw.extend_from_slice(&self.vectors);
        }
    }

    fn apply(&mut self, steps: &Steps<'_>, idx: usize) {
        let op = &steps.ops[idx];
        self.carry(&steps.guards[idx], op);
        match op {
            Op::Matrix(matrix) => self.multiply(&steps.wide[idx], matrix.rows()),
            Op::Coordinates(basis) => self.multiply(basis.rows(), basis.count()),
            Op::Truncate { from, to } => {
                for i in 0..self.len() {
                    self.vectors.copy_within(i * from..i * from + to, i * to);
                }
                self.vectors.truncate(self.len() * to);
                self.dimension = *to;
            }
            Op::Remove(basis) => basis.remove_from_rows(&mut self.vectors, &mut self.scratch),
            Op::Normalize => self.normalize(steps, idx, |vector, norm| match norm {
                Some(norm) => apply_in_place(op, vector, norm),
                None => vector.fill(0.0),
            }),
            _ => {
                let rows = self.vectors.chunks_exact_mut(self.dimension.max(1)).zip(&self.alive);
                rows.filter(|(_, alive)| **alive).for_each(|(vector, _)| apply_in_place(op, vector, 1.0));
            }
        }
    }

    /// Every vector times the `count` rows of `matrix`.
    fn multiply(&mut self, matrix: &[f64], count: usize) {
        self.scratch.clear();
        self.scratch.resize(self.len() * count, 0.0);
        matrix::product_f64(&self.vectors, matrix, &mut self.scratch, self.dimension);
        std::mem::swap(&mut self.vectors, &mut self.scratch);
        self.dimension = count;
    }

    /// Every vector times the rows of `matrix`, in `f32`.
    fn multiply_rough(&mut self, matrix: &[f32]) {
        let (dimension, n) = (self.dimension.max(1), self.len());
        let k = matrix.len() / dimension;
        let vectors: Vec<f32> = self.vectors.iter().map(|&x| x as f32).collect();
        let mut products = vec![0.0; n * k];
        matrix::product_f32(matrix, k, dimension, &vectors, &mut products, dimension);
        self.vectors.clear();
        self.vectors.extend(products.iter().map(|&x| f64::from(x)));
        self.dimension = k;
    }

    /// What rows carry behind `op`, which is about to be applied.
    fn carry(&mut self, guard: &Guard, op: &Op) {
        let vectors = self.vectors.chunks_exact(self.dimension.max(1));
        for (carried, vector) in self.carried.iter_mut().zip(vectors) {
            *carried = guard.carry(op, *carried, || stats::norm(vector));
        }
    }

    /// Finds the norms of the rows behind the first `idx` operations and hands them to `each`; `None` for those that
    /// have no direction there, or had none before.
    fn normalize(&mut self, steps: &Steps<'_>, idx: usize, each: impl Fn(&mut [f64], Option<f64>)) {
        let (guard, mut norms) = (&steps.guards[idx], vec![1.0; self.len()]);
        let start = self.raw.len() / self.len().max(1);
        for (i, vector) in self.vectors.chunks_exact_mut(self.dimension.max(1)).enumerate() {
            if !self.alive[i] {
                continue;
            }
            let norm = stats::norm(vector);
            let raw = self.raw.get(i * start..(i + 1) * start).filter(|raw| !raw.is_empty());
            let directed = guard.is_clear(norm, self.carried[i])
                || (norm > TINIEST_NORM && raw.is_some_and(|raw| steps.has_direction(raw, idx)));
            if directed {
                norms[i] = norm;
            } else {
                self.alive[i] = false;
            }
            each(vector, directed.then_some(norm));
        }
        self.norms.push(norms);
    }
}
