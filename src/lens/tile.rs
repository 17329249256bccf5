//! Rows many at a time: the tiles in which all passes over a view process them.
//!
//! Owns how a source is cut into tasks and tiles, and how a tile runs a program. Tasks are cut by row numbers alone,
//! never by the number of threads, and what they find is put together in row order; so a result is the same bits for
//! any number of threads.

use super::RowSource;
use super::program::{Op, Undirected, apply_in_place, direction};
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

/// The matrices among `ops` in `f64`, by position.
pub(super) fn widened(ops: &[Op]) -> Vec<Vec<f64>> {
    let wide = |op: &Op| if let Op::Matrix { matrix, .. } = op { matrix.to_f64() } else { Vec::new() };
    ops.iter().map(wide).collect()
}

/// Some rows on their way through a program.
#[derive(Debug, Default)]
pub(super) struct Tile {
    pub rows: Vec<u32>,
    /// `n x dimension`, row-major; rows without a direction are zero.
    pub vectors: Vec<f64>,
    pub dimension: usize,
    pub references: Vec<f64>,
    pub alive: Vec<bool>,
    pub raw_norms: Vec<f64>,
    /// Norms divided by, normalization by normalization.
    pub norms: Vec<Vec<f64>>,
    scratch: Vec<f64>,
}

impl Tile {
    pub fn clear(&mut self, dimension: usize) {
        self.rows.clear();
        self.vectors.clear();
        self.references.clear();
        self.alive.clear();
        self.raw_norms.clear();
        self.norms.clear();
        self.dimension = dimension;
    }

    fn push(&mut self, row: u32, vector: &[f64]) {
        self.rows.push(row);
        self.vectors.extend_from_slice(vector);
        self.references.push(0.0);
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
        self.references.push(0.0);
        self.alive.push(true);
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn vector(&self, idx: usize) -> &[f64] {
        &self.vectors[idx * self.dimension..(idx + 1) * self.dimension]
    }

    /// Runs `ops`; `wide` has their matrices in `f64`.
    pub fn run(&mut self, ops: &[Op], wide: &[Vec<f64>]) {
        for (op, wide) in ops.iter().zip(wide) {
            match op {
                Op::Matrix { matrix, gain } => {
                    self.scratch.clear();
                    self.scratch.resize(self.len() * matrix.rows(), 0.0);
                    matrix::product_f64(&self.vectors, wide, &mut self.scratch, self.dimension);
                    std::mem::swap(&mut self.vectors, &mut self.scratch);
                    self.dimension = matrix.rows();
                    self.references.iter_mut().for_each(|reference| *reference *= gain);
                }
                Op::Truncate { from, to } => {
                    for i in 0..self.len() {
                        self.vectors.copy_within(i * from..i * from + to, i * to);
                    }
                    self.vectors.truncate(self.len() * to);
                    self.dimension = *to;
                }
                Op::Coordinates(basis) => {
                    self.scratch.clear();
                    self.scratch.resize(self.len() * basis.count(), 0.0);
                    matrix::product_f64(&self.vectors, basis.rows(), &mut self.scratch, self.dimension);
                    std::mem::swap(&mut self.vectors, &mut self.scratch);
                    self.dimension = basis.count();
                }
                Op::Remove(basis) => {
                    for i in 0..self.len() {
                        self.references[i] = self.references[i].max(stats::norm(self.vector(i)));
                    }
                    basis.remove_from_rows(&mut self.vectors, &mut self.scratch);
                }
                _ => self.run_in_place(op),
            }
        }
    }

    /// [`Tile::run`] with products of matrices in `f32`; `narrow` has the directions of coordinates in `f32`.
    pub fn run_rough(&mut self, ops: &[Op], narrow: &[Vec<f32>]) {
        for (op, narrow) in ops.iter().zip(narrow) {
            match op {
                Op::Matrix { matrix, gain } => {
                    self.multiply_rough(matrix.data());
                    self.references.iter_mut().for_each(|reference| *reference *= gain);
                }
                Op::Coordinates(_) => self.multiply_rough(narrow),
                _ => self.run(std::slice::from_ref(op), &[Vec::new()]),
            }
        }
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

    /// A normalization of which only the norms matter.
    pub fn take_norms(&mut self) {
        let mut norms = vec![1.0; self.len()];
        for (i, norm) in norms.iter_mut().enumerate() {
            let found = self.alive[i].then(|| direction(self.vector(i), self.references[i])).flatten();
            match found {
                Some(found) => *norm = found,
                None => self.alive[i] = false,
            }
        }
        self.norms.push(norms);
    }

    fn run_in_place(&mut self, op: &Op) {
        let mut norms = vec![1.0; if matches!(op, Op::Normalize) { self.len() } else { 0 }];
        for (i, vector) in self.vectors.chunks_exact_mut(self.dimension).enumerate() {
            if !self.alive[i] {
                continue;
            }
            match apply_in_place(op, vector, &mut self.references[i], Undirected::Stop) {
                Some(norm) => norms.iter_mut().skip(i).take(1).for_each(|slot| *slot = norm),
                None => {
                    self.alive[i] = false;
                    vector.fill(0.0);
                }
            }
        }
        if matches!(op, Op::Normalize) {
            self.norms.push(norms);
        }
    }
}
