//! Sums over the records as they arrive at a place of a chain: first and second moments.
//!
//! Owns the passes behind means, standard deviations and covariances. Sums are `f64`, taken around a given mean (the
//! two-pass form, with the correction of Chan, Golub and LeVeque 1983), task by task, and merged in row order: their
//! bits do not depend on the number of threads. It does not know what a step makes of them.

use super::RowSource;
use super::program::Program;
use super::tile::{self, Steps, Task, Tile};
use crate::error::Result;
use crate::linalg::rows::RowRef;
use crate::linalg::stats::{self, VectorSum};
use crate::linalg::{matrix, simd};
use crate::types::RowSet;

/// Rows that go into one product of a covariance.
const GRAM_ROWS: usize = 512;
/// Bytes that partial covariances may take together.
const GRAM_BYTES: usize = 256 << 20;
/// Partial results of other sums that are kept at a time.
const TOGETHER: usize = 256;

/// The element-wise sum of the live rows behind `program`, and how many they are; rows that a normalization of the
/// program leaves out are in neither.
pub(super) fn sum(source: &dyn RowSource, live: &RowSet, program: &Program) -> Result<VectorSum> {
    let steps = Steps::new(&program.ops, false);
    let empty = || VectorSum::new(program.output_dimension(source.dimension()));
    let add = |sum: &mut VectorSum, task: &Task| {
        tile::for_each(source, live, task, tile::rows(source), |tile| {
            tile.run(&steps);
            (0..tile.len()).filter(|&i| tile.alive[i]).for_each(|i| sum.add(tile.vector(i)));
        })
    };
    tile::fold(source, TOGETHER, empty, add, VectorSum::merge)
}

/// What of a row is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowForm {
    /// The row as it is stored.
    Raw,
    /// The row divided by its norm; zero rows are left out.
    Unit,
}

/// The sum of the live rows of a task, as they are or each divided by its norm (zero rows are then left out), four rows
/// at a time.
pub(super) fn sum_of_rows(source: &dyn RowSource, live: &RowSet, task: &Task, form: RowForm) -> Result<VectorSum> {
    let dimension = source.dimension();
    let mut sum = VectorSum::new(dimension);
    let mut wide = vec![Vec::new(); 4];
    let zeros = vec![0.0f32; dimension];
    for block in task.blocks.clone() {
        let range = source.block_range(block);
        if live.count_range(range.clone()) == 0 {
            continue;
        }
        let rows = source.block(block)?;
        let numbers: Vec<u32> = live.iter_range(range.clone()).collect();
        let mut fours = numbers.chunks(4).peekable();
        while let Some(four) = fours.next() {
            // Four rows at once are not what processors expect to be read.
            for number in fours.peek().copied().into_iter().flatten() {
                simd::prefetch_row(rows.row((number - range.start) as usize));
            }
            let mut elements = [&zeros[..]; 4];
            for ((elements, wide), number) in elements.iter_mut().zip(&mut wide).zip(four) {
                let place = (number - range.start) as usize;
                *elements = match rows.row(place) {
                    RowRef::F32(row) => row,
                    RowRef::F16(_) => {
                        rows.row_f32(place, wide);
                        wide
                    }
                };
            }
            let factors = elements.map(|row| match form {
                RowForm::Raw => 1.0,
                RowForm::Unit => factor(simd::squared_norm(row).sqrt()),
            });
            simd::add_four(&mut sum.sum, elements, factors);
            sum.count += factors[..four.len()].iter().filter(|factor| **factor > 0.0).count() as u64;
        }
    }
    Ok(sum)
}

/// One by a norm; 0 where there is none.
fn factor(norm: f64) -> f64 {
    if norm > 0.0 { 1.0 / norm } else { 0.0 }
}

/// Second moments of each dimension by itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    /// Sum of the differences from the mean: what rounding left.
    residual: VectorSum,
    /// Sum of their squares.
    squares: Vec<f64>,
    /// Sum of the squares of the elements themselves.
    raw: Vec<f64>,
    /// Sum of the squares of what rows have carried, see `noise`.
    carried: f64,
    /// What has become of the means that were subtracted before, element by element; empty where none were.
    constants: Vec<f64>,
    /// The part of what was carried that each dimension may have; empty where that is all of it.
    profile: Vec<f64>,
}

impl Spread {
    /// Variances, divided by n.
    pub fn variances(&self) -> Vec<f64> {
        let n = self.residual.count.max(1) as f64;
        let variance = |(square, rest): (&f64, &f64)| ((square - rest * rest / n) / n).max(0.0);
        self.squares.iter().zip(&self.residual.sum).map(variance).collect()
    }

    /// Mean squares of what went into the subtractions, by dimension, at most.
    pub fn scales(&self) -> Vec<f64> {
        let n = self.residual.count.max(1) as f64;
        let constants = self.constants.iter().copied().chain(std::iter::repeat(0.0));
        let profile = self.profile.iter().copied().chain(std::iter::repeat(1.0));
        let scale =
            |((raw, constant), part): ((&f64, f64), f64)| (raw + self.carried * part * part) / n + constant * constant;
        self.raw.iter().zip(constants).zip(profile).map(scale).collect()
    }
}

/// The [`Spread`] of the live rows behind `program` around `mean`.
pub(super) fn spread(source: &dyn RowSource, live: &RowSet, program: &Program, mean: &[f64]) -> Result<Spread> {
    let steps = Steps::new(&program.ops, false);
    let zeros = || vec![0.0; mean.len()];
    let (constants, profile) =
        steps.end().map(|guard| (guard.constants.clone(), guard.profile.clone())).unwrap_or_default();
    let empty = || Spread {
        residual: VectorSum::new(mean.len()),
        squares: zeros(),
        raw: zeros(),
        carried: 0.0,
        constants: constants.clone(),
        profile: profile.clone(),
    };
    let add = |spread: &mut Spread, task: &Task| {
        let mut difference = Vec::new();
        tile::for_each(source, live, task, tile::rows(source), |tile| {
            tile.run(&steps);
            for i in (0..tile.len()).filter(|&i| tile.alive[i]) {
                let row = tile.vector(i);
                difference.clear();
                difference.extend_from_slice(row);
                simd::subtract(&mut difference, mean);
                spread.residual.add(&difference);
                simd::add_squares(&mut spread.squares, &difference);
                simd::add_squares(&mut spread.raw, row);
                spread.carried += tile.carried[i] * tile.carried[i];
            }
        })
    };
    let merge = |total: &mut Spread, part: &Spread| {
        total.residual.merge(&part.residual);
        total.squares.iter_mut().zip(&part.squares).for_each(|(sum, x)| *sum += x);
        total.raw.iter_mut().zip(&part.raw).for_each(|(sum, x)| *sum += x);
        total.carried += part.carried;
    };
    tile::fold(source, TOGETHER, empty, add, merge)
}

/// Second moments of all pairs of dimensions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Covariance {
    residual: VectorSum,
    /// Sum of the outer products of the differences from the mean; the lower half of a column-major matrix.
    gram: Vec<f64>,
    references: f64,
}

impl Covariance {
    /// The covariance matrix, divided by n; the lower half of a column-major matrix.
    pub fn into_matrix(self) -> Vec<f64> {
        let n = self.residual.count.max(1) as f64;
        let rest = self.residual.sum;
        let mut matrix = self.gram;
        for (j, column) in matrix.chunks_exact_mut(rest.len().max(1)).enumerate() {
            column.iter_mut().zip(&rest).for_each(|(x, r)| *x = (*x - r * rest[j] / n) / n);
        }
        matrix
    }

    /// How many records it is of.
    pub fn count(&self) -> u64 {
        self.residual.count
    }

    /// Mean square of what went into the subtractions.
    pub fn scale(&self) -> f64 {
        self.references / self.residual.count.max(1) as f64
    }
}

/// The [`Covariance`] of the live rows behind `program` around `mean`.
pub(super) fn covariance(source: &dyn RowSource, live: &RowSet, program: &Program, mean: &[f64]) -> Result<Covariance> {
    let steps = Steps::new(&program.ops, false);
    let d = mean.len();
    let mean_norm = stats::norm(mean);
    let before = steps.end().map_or(0.0, |guard| guard.constant);
    let empty = || Covariance { residual: VectorSum::new(d), gram: vec![0.0; d * d], references: 0.0 };
    let add_tile = |total: &mut Covariance, tile: &mut Tile| {
        tile.run(&steps);
        for (i, row) in tile.vectors.chunks_exact_mut(d).enumerate().filter(|(i, _)| tile.alive[*i]) {
            let reference = (tile.carried[i] + before).max(stats::norm(row)).max(mean_norm);
            total.references += reference * reference;
            simd::subtract(row, mean);
            total.residual.add(row);
        }
        // Rows without a direction are zero, and add nothing.
        matrix::add_gram_f64(&tile.vectors, &mut total.gram, d);
    };
    let add = |total: &mut Covariance, task: &Task| {
        tile::for_each(source, live, task, GRAM_ROWS, |tile| add_tile(total, tile))
    };
    let merge = |total: &mut Covariance, part: &Covariance| {
        total.residual.merge(&part.residual);
        total.gram.iter_mut().zip(&part.gram).for_each(|(sum, x)| *sum += x);
        total.references += part.references;
    };
    let together = (GRAM_BYTES / (8 * d * d).max(1)).clamp(1, 64);
    tile::fold(source, together, empty, add, merge)
}
