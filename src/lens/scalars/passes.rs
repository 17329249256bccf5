//! The scalars of every record, in one blocked pass over the live rows.
//!
//! Owns which scalars a program needs and where they are put. Every task writes its own stretch of rows, so nothing
//! depends on the number of threads. It knows no statistics: those are in the program by then.

use super::moved::Moved;
use super::quick::{Quick, QuickScalars, Scratch};
use super::values::Scalars;
use crate::error::Result;
use crate::lens::RowSource;
use crate::lens::program::{Op, Program};
use crate::lens::tile::{self, Steps, Task, Tile};
use crate::linalg::simd;
use crate::types::RowSet;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::LazyLock;

/// Norms of rows that are left to `f32` products, and with a wide margin what their scalars may be.
const ORDINARY_NORM: Range<f64> = 1e-25..1e30;
const ORDINARY_SCALAR: Range<f64> = 1e-30..1e30;

/// What the final pass finds.
pub(in crate::lens) struct FinalPass {
    /// Live rows without a direction.
    pub undirected: RowSet,
    /// Directed rows whose magnitudes `f32` cannot be trusted with.
    pub extreme: RowSet,
    /// The scalars of the others.
    pub scalars: Scalars,
}

impl FinalPass {
    /// Takes what `other` found of the rows of `rows`, of which nothing was known.
    pub fn take(&mut self, other: FinalPass, rows: &RowSet) {
        self.undirected = self.undirected.or(&other.undirected);
        self.extreme = self.extreme.or(&other.extreme);
        self.scalars.take(&other.scalars, rows);
    }
}

/// How many scalars a record has besides its reach.
pub(in crate::lens) fn scalar_count(program: &Program, with_squares: bool) -> usize {
    let layout = Layout::of(program, with_squares);
    usize::from(layout.normalizations > 0) + layout.groups.len() + usize::from(layout.squares)
}

/// The scalars of every live row under `program`, the record's side of a lens with the metric's own steps.
pub(in crate::lens) fn scalars(
    source: &dyn RowSource,
    live: &RowSet,
    program: &Program,
    with_squares: bool,
    moved: Option<&Moved<'_>>,
) -> Result<FinalPass> {
    // Made where it is needed: folding every row of a large matrix takes longer than moving all scalars.
    let quick = LazyLock::new(|| Quick::of(program, with_squares, source.dimension()));
    scalars_with(source, live, program, with_squares, &Short { quick: &|| quick.as_ref(), moved })
}

/// [`scalars`] in `f64` throughout, for scalars that are written down.
pub(in crate::lens) fn scalars_in_full(
    source: &dyn RowSource,
    live: &RowSet,
    program: &Program,
    with_squares: bool,
) -> Result<FinalPass> {
    scalars_with(source, live, program, with_squares, &Short { quick: &|| None, moved: None })
}

/// Shorter ways to scalars than running the program in `f64`.
struct Short<'a> {
    quick: &'a (dyn Fn() -> Option<&'a Quick> + Sync),
    moved: Option<&'a Moved<'a>>,
}

impl Short<'_> {
    fn is_some(&self) -> bool {
        self.moved.is_some() || (self.quick)().is_some()
    }
}

fn scalars_with(
    source: &dyn RowSource,
    live: &RowSet,
    program: &Program,
    with_squares: bool,
    short: &Short<'_>,
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
    let steps = Steps::new(ops, norms_only);
    let mut scalars = layout.allocate(source.row_count() as usize);
    let tasks = tile::tasks(source, tile::ROWS);
    let slots = layout.split(&mut scalars, &tasks);
    let found: Vec<(Vec<u32>, Vec<u32>, f64)> = slots
        .into_par_iter()
        .map(|mut slot| {
            let (mut undirected, mut extreme, mut error) = (Vec::new(), Vec::new(), 0.0);
            let task = slot.task.clone();
            let mut rest = None;
            if short.is_some() {
                let (left, largest) = slot.run(short, source, live)?;
                error = largest;
                if left.is_empty() {
                    return Ok((undirected, extreme, error));
                }
                rest = Some(left);
            }
            tile::for_each(source, rest.as_ref().unwrap_or(live), &task, tile::rows(source), |tile| {
                tile.run(&steps);
                if norms_only {
                    tile.take_norms(&steps);
                }
                for i in 0..tile.len() {
                    if !tile.alive[i] {
                        undirected.push(tile.rows[i]);
                    } else if !slot.store(tile, i, &layout) {
                        extreme.push(tile.rows[i]);
                    }
                }
            })?;
            Ok((undirected, extreme, error))
        })
        .collect::<Result<_>>()?;
    let undirected = RowSet::from_rows(found.iter().flat_map(|(rows, ..)| rows.iter().copied()));
    let extreme = RowSet::from_rows(found.iter().flat_map(|(_, rows, _)| rows.iter().copied()));
    scalars.norm_error = found.iter().map(|found| found.2).fold(0.0, f64::max);
    Ok(FinalPass { undirected, extreme, scalars })
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
            norm_error: 0.0,
            hubs: Default::default(),
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
    /// Stores what single precision finds: the live rows that are left, and the largest relative error of a scalar.
    fn run(&mut self, short: &Short<'_>, source: &dyn RowSource, live: &RowSet) -> Result<(RowSet, f64)> {
        let (mut left, mut largest, mut scratch, mut products) = (Vec::new(), 0.0f64, Scratch::default(), Vec::new());
        for block in self.task.blocks.clone() {
            let range = source.block_range(block);
            let (count, whole) = (live.count_range(range.clone()), u64::from(range.end - range.start));
            if count == 0 {
                continue;
            }
            if count * 4 < whole {
                left.extend(live.iter_range(range));
                continue;
            }
            let mut keep = |row: u32, found: Option<QuickScalars>| match found {
                Some(found) if self.keep(row, &found) => largest = largest.max(found.error),
                _ => left.push(row),
            };
            let rows = source.block(block)?;
            let fresh = |moved: &&Moved<'_>| count - moved.known.count_range(range.clone());
            if let Some(moved) = short.moved.filter(|moved| fresh(moved) * 4 <= count) {
                moved.block(rows, range.start, &mut products, &mut keep);
                left.extend(live.iter_range(range).filter(|row| !moved.known.contains(*row)));
                continue;
            }
            let Some(quick) = (short.quick)() else {
                left.extend(live.iter_range(range));
                continue;
            };
            quick.block(rows, &mut scratch, |idx, found| {
                let row = range.start + idx as u32;
                if count == whole || live.contains(row) {
                    keep(row, found);
                }
            });
        }
        Ok((RowSet::from_rows(left), largest))
    }

    /// Stores the scalars of `row`; false when `f32` cannot hold them.
    fn keep(&mut self, row: u32, found: &QuickScalars) -> bool {
        let at = (row - self.task.rows.start) as usize;
        let extras = self.extras.iter_mut().map(|values| (&mut **values, found.second));
        let all = [(&mut *self.alpha, found.alpha), (&mut *self.squares, found.square)].into_iter().chain(extras);
        let mut fits = ORDINARY_SCALAR.contains(&found.reach);
        for (slot, value) in all.filter_map(|(values, value)| Some((values.get_mut(at)?, value))) {
            fits &= ORDINARY_SCALAR.contains(&value);
            *slot = value as f32;
        }
        self.reach[at] = (found.reach as f32).next_up().next_up();
        fits
    }

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
