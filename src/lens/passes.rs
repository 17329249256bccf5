//! Blocked passes over the live rows: sums for means, and the scalars of every record.
//!
//! Owns the tiles in which rows are processed many at a time. Tasks are cut by row numbers alone, never by the number
//! of threads, and their results are put together in row order.

use super::RowSource;
use super::prepared::Scalars;
use super::program::{Op, Program, Undirected, apply_in_place, direction};
use crate::error::Result;
use crate::linalg::stats::{self, VectorSum};
use crate::linalg::{matrix, simd};
use crate::types::RowSet;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of one task, at least, unless the source ends.
const TASK_ROWS: u32 = 4096;
/// Bytes of the `f64` tile that a task works on: with its product it stays in the second-level cache.
const TILE_BYTES: usize = 256 << 10;
/// Norms of rows that are left to `f32` products, and with a wide margin what their scalars may be.
const ORDINARY_NORM: Range<f64> = 1e-25..1e30;
const ORDINARY_SCALAR: Range<f64> = 1e-30..1e30;

/// What the final pass finds.
pub(super) struct FinalPass {
    /// Live rows without a direction.
    pub undirected: RowSet,
    /// Directed rows whose magnitudes `f32` cannot be trusted with.
    pub extreme: RowSet,
    /// The scalars of the others.
    pub scalars: Scalars,
}

/// The element-wise sum of the live rows behind `program`, and how many they are; rows that a normalization of the
/// program leaves out are in neither.
pub(super) fn sum(source: &dyn RowSource, live: &RowSet, program: &Program) -> Result<VectorSum> {
    let wide = widened(&program.ops);
    let dimension = program.output_dimension(source.dimension());
    let parts: Vec<VectorSum> = tasks(source)
        .into_par_iter()
        .map(|task| {
            let mut sum = VectorSum::new(dimension);
            for_each_tile(source, live, &task, |tile| {
                tile.run(&program.ops, &wide);
                (0..tile.len()).filter(|&i| tile.alive[i]).for_each(|i| sum.add(tile.vector(i)));
            })?;
            Ok(sum)
        })
        .collect::<Result<_>>()?;
    let mut total = VectorSum::new(dimension);
    parts.iter().for_each(|part| total.merge(part));
    Ok(total)
}

/// How many scalars a record has besides its reach.
pub(super) fn scalar_count(program: &Program, with_squares: bool) -> usize {
    let layout = Layout::of(program, with_squares);
    usize::from(layout.normalizations > 0) + layout.groups.len() + usize::from(layout.squares)
}

/// The scalars of every live row under `program`, the record's side of a lens with the metric's own steps.
pub(super) fn scalars(
    source: &dyn RowSource,
    live: &RowSet,
    program: &Program,
    with_squares: bool,
) -> Result<FinalPass> {
    let layout = Layout::of(program, with_squares);
    // What follows the last normalization changes no scalar, unless the length of the result is one.
    let last = program.ops.iter().rposition(|op| matches!(op, Op::Normalize)).map_or(0, |idx| idx + 1);
    // The last of them is then asked for norms alone.
    let (ops, norms_only) = match (with_squares, last) {
        (true, _) => (&program.ops[..], false),
        (false, 0) => (&program.ops[..0], false),
        (false, last) => (&program.ops[..last - 1], true),
    };
    let wide = widened(ops);
    let mut scalars = layout.allocate(source.row_count() as usize);
    let tasks = tasks(source);
    let slots = layout.split(&mut scalars, &tasks);
    let found: Vec<(Vec<u32>, Vec<u32>)> = slots
        .into_par_iter()
        .map(|mut slot| {
            let (mut undirected, mut extreme) = (Vec::new(), Vec::new());
            let task = slot.task.clone();
            for_each_tile(source, live, &task, |tile| {
                tile.run(ops, &wide);
                if norms_only {
                    tile.take_norms();
                }
                for i in 0..tile.len() {
                    if !tile.alive[i] {
                        undirected.push(tile.rows[i]);
                    } else if !slot.store(tile, i, &layout) {
                        extreme.push(tile.rows[i]);
                    }
                }
            })?;
            Ok((undirected, extreme))
        })
        .collect::<Result<_>>()?;
    let undirected = RowSet::from_rows(found.iter().flat_map(|(rows, _)| rows.iter().copied()));
    let extreme = RowSet::from_rows(found.iter().flat_map(|(_, rows)| rows.iter().copied()));
    Ok(FinalPass { undirected, extreme, scalars })
}

/// Consecutive blocks and the rows they hold.
#[derive(Debug, Clone)]
struct Task {
    blocks: Range<usize>,
    rows: Range<u32>,
}

/// Cuts the source into runs of whole blocks.
fn tasks(source: &dyn RowSource) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for block in 0..source.block_count() {
        let rows = source.block_range(block);
        match tasks.last_mut() {
            Some(task) if task.rows.end - task.rows.start < TASK_ROWS => {
                task.blocks.end = block + 1;
                task.rows.end = rows.end;
            }
            _ => tasks.push(Task { blocks: block..block + 1, rows }),
        }
    }
    tasks
}

/// Hands the live rows of a task to `each`, a tile at a time.
fn for_each_tile(source: &dyn RowSource, live: &RowSet, task: &Task, mut each: impl FnMut(&mut Tile)) -> Result<()> {
    let dimension = source.dimension();
    let tile_rows = (TILE_BYTES / (8 * dimension.max(1))).clamp(8, 512);
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
fn widened(ops: &[Op]) -> Vec<Vec<f64>> {
    let wide = |op: &Op| if let Op::Matrix { matrix, .. } = op { matrix.to_f64() } else { Vec::new() };
    ops.iter().map(wide).collect()
}

/// Some rows on their way through a program.
#[derive(Debug, Default)]
struct Tile {
    rows: Vec<u32>,
    /// `n x dimension`, row-major.
    vectors: Vec<f64>,
    dimension: usize,
    references: Vec<f64>,
    alive: Vec<bool>,
    raw_norms: Vec<f64>,
    /// Norms divided by, normalization by normalization.
    norms: Vec<Vec<f64>>,
    scratch: Vec<f64>,
}

impl Tile {
    fn clear(&mut self, dimension: usize) {
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

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn vector(&self, idx: usize) -> &[f64] {
        &self.vectors[idx * self.dimension..(idx + 1) * self.dimension]
    }

    /// Runs `ops`; `wide` has their matrices in `f64`.
    fn run(&mut self, ops: &[Op], wide: &[Vec<f64>]) {
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
                _ => self.run_in_place(op),
            }
        }
    }

    /// A normalization of which only the norms matter.
    fn take_norms(&mut self) {
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

/// Which scalars a program needs.
#[derive(Debug)]
struct Layout {
    normalizations: usize,
    /// Groups after the first and before the last that have shifts.
    groups: Vec<usize>,
    squares: bool,
}

impl Layout {
    fn of(program: &Program, squares: bool) -> Self {
        let normalizations = program.normalizations();
        let (mut group, mut groups) = (0, Vec::new());
        for op in &program.ops {
            match op {
                Op::Normalize => group += 1,
                Op::Shift(_) if group > 0 && group < normalizations && groups.last() != Some(&group) => {
                    groups.push(group);
                }
                _ => {}
            }
        }
        Layout { normalizations, groups, squares }
    }

    fn allocate(&self, rows: usize) -> Scalars {
        Scalars {
            alpha: vec![0.0; if self.normalizations > 0 { rows } else { 0 }],
            reach: vec![0.0; rows],
            extras: self.groups.iter().map(|&group| (group, vec![0.0; rows])).collect(),
            squares: vec![0.0; if self.squares { rows } else { 0 }],
        }
    }

    /// Cuts the arrays into one piece for each task. Tasks cover the rows from 0 on without gaps.
    fn split<'a>(&self, scalars: &'a mut Scalars, tasks: &[Task]) -> Vec<Slot<'a>> {
        let (mut alpha, mut reach) = (&mut scalars.alpha[..], &mut scalars.reach[..]);
        let mut squares = &mut scalars.squares[..];
        let mut extras: Vec<&mut [f32]> = scalars.extras.iter_mut().map(|(_, values)| &mut values[..]).collect();
        let cut = |task: &Task| {
            let rows = (task.rows.end - task.rows.start) as usize;
            Slot {
                task: task.clone(),
                alpha: take(&mut alpha, rows),
                reach: take(&mut reach, rows),
                extras: extras.iter_mut().map(|values| take(values, rows)).collect(),
                squares: take(&mut squares, rows),
            }
        };
        tasks.iter().map(cut).collect()
    }
}

/// The first `count` elements, or none of an array that is not kept.
fn take<'a>(values: &mut &'a mut [f32], count: usize) -> &'a mut [f32] {
    let whole = std::mem::take(values);
    let (first, rest) = whole.split_at_mut(count.min(whole.len()));
    *values = rest;
    first
}

/// Where one task writes its scalars.
struct Slot<'a> {
    task: Task,
    alpha: &'a mut [f32],
    reach: &'a mut [f32],
    extras: Vec<&'a mut [f32]>,
    squares: &'a mut [f32],
}

impl Slot<'_> {
    /// Stores the scalars of row `i` of a tile; false when `f32` cannot hold them.
    fn store(&mut self, tile: &Tile, i: usize, layout: &Layout) -> bool {
        let at = (tile.rows[i] - self.task.rows.start) as usize;
        let after = |group: usize| tile.norms[group..].iter().fold(1.0, |scalar, norms| scalar / norms[i]);
        let raw = tile.raw_norms[i];
        let mut fits = raw == 0.0 || ORDINARY_NORM.contains(&raw);
        let mut keep = |value: f64| {
            fits &= ORDINARY_SCALAR.contains(&value);
            value as f32
        };
        let mut alpha = 1.0;
        if layout.normalizations > 0 {
            alpha = after(0);
            self.alpha[at] = keep(alpha);
        }
        for (values, &group) in self.extras.iter_mut().zip(&layout.groups) {
            values[at] = keep(after(group));
        }
        let reach = alpha * raw;
        if reach != 0.0 {
            // Twice up: once for the conversion, which rounds to nearest, once for the product.
            self.reach[at] = keep(reach).next_up().next_up();
        }
        if layout.squares {
            let square = simd::dot_f64(tile.vector(i), tile.vector(i));
            self.squares[at] = if square == 0.0 { 0.0 } else { keep(square) };
        }
        fits
    }
}
