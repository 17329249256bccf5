//! Scalars from single precision: of chains that come down to one norm (`shape`).
//!
//! Owns [`Quick`]: with `y = L u + c`, `u` being the row, or the row divided by its norm (found in `f64` where anything
//! follows), all that is needed is `|y|`. It comes from `f32` products with a derived error; where that is too large a
//! part of the norm (cancellation), or where a row is near the line between direction and none, or out of the range of
//! `f32`, the row is left to the `f64` pass. The largest relative error that was let through becomes part of the
//! candidates' bound (`fold`); what is shown is computed in `f64` anyway.
//!
//! # The bounds
//! With `e = 2^-24`, `k` the error of an `f32` product relative to the norms of its factors, `t`, `F` and `s_0` as in
//! `fold`, and `|u|` 1 or from an `f32` product of the row with itself:
//!
//! - with matrices: `| |y'| - |y| | <= |u| ((k + 2 e) |L| + t F) + t s_0`, `|L|` being the Frobenius norm of `L` as it
//!   is rounded to `f32`: the error vector of `L x` is at most `k |L||x|` element by element, in absolute values;
//! - without: `|y|^2 = |u|^2 - <u, 1>^2 / d - 2 <u, c> + |c|^2` (the second term where an own-mean is subtracted, `c`
//!   then without its own mean), each product off by at most `k + 2 e` of its factors' norms, and `|y'| - |y|` is the
//!   difference of the squares divided by the sum;
//! - of a row that is divided by its norm and nothing else, `|u|^2` is off by at most `k + 2 e` of itself, and so `|u|`
//!   by less.

use super::shape::{End, Shape};
use crate::lens::fold;
use crate::lens::noise::{CLEAR, Guard};
use crate::lens::program::{Op, Program, subtract_own_mean};
use crate::linalg::rows::RowRef;
use crate::linalg::simd::{GROUP_ROWS, LANES, Panel};
use crate::linalg::{RowsRef, matrix, scalar, simd, stats};
use std::ops::Range;

/// Rows that are looked at together: enough that preparing the matrix for them costs little.
const TILE_ROWS: usize = 1024;
/// The largest relative error of a norm that is let through: candidates would become too many.
pub(in crate::lens) const LARGEST_ERROR: f64 = 1.0 / 512.0;
/// Squares of norms that `f32` holds without loss.
const ORDINARY_SQUARE: Range<f64> = 1e-30..1e30;

/// How the norms of one program's records are found.
#[derive(Debug)]
pub(in crate::lens) struct Quick {
    form: Form,
    unit: bool,
    end: End,
    /// Whether the program divides rows by their norms and does nothing else: then these are from `f32` as well.
    plain: bool,
    /// Of the programs that have to find a direction as well.
    directed: Vec<Quick>,
    /// Elements of a raw row.
    dimension: usize,
    /// `c`, in units of `scale` where there are matrices.
    constant: Vec<f64>,
    /// Norm of `c`, not scaled.
    constant_norm: f64,
    /// What `f64` may have lost: `t F` and `t s_0`.
    rounding: Bound,
    reference: Reference,
}

#[derive(Debug)]
enum Form {
    /// Nothing is asked of `y`.
    Nothing,
    /// `L` is the identity, or takes away the own mean.
    Rows { own_mean: bool, constant: Vec<f32>, ones: Vec<f32> },
    /// `L / scale`, and the Frobenius norm of `L`.
    Product { factor: Factor, scale: f64, frobenius: f64 },
}

/// A matrix laid out for products with many rows.
#[derive(Debug)]
enum Factor {
    /// `k x d`, row-major.
    Matrix(Vec<f32>),
    /// Its rows [`LANES`] at a time, each group cut into two halves of the dimension: half the error.
    Panels(Vec<[Panel; 2]>),
}

impl Factor {
    /// `matrix` is `k x d`. Panels are faster where they are not nearly empty.
    fn new(matrix: Vec<f32>, dimension: usize) -> Self {
        if matrix.len() / dimension < LANES / 2 || dimension < 2 {
            return Factor::Matrix(matrix);
        }
        let half = dimension / 2;
        let cut = |rows: &[f32], columns: Range<usize>| -> Panel {
            let part: Vec<f32> = rows.chunks_exact(dimension).flat_map(|row| &row[columns.clone()]).copied().collect();
            Panel::new(&part, columns.len())
        };
        let halves = |rows: &[f32]| [cut(rows, 0..half), cut(rows, half..dimension)];
        Factor::Panels(matrix.chunks(LANES * dimension).map(halves).collect())
    }

    /// Bound on the error of one product, relative to the norms of its factors.
    fn error(&self, dimension: usize) -> f64 {
        match self {
            Factor::Matrix(_) => matrix::chunks_error(dimension),
            Factor::Panels(_) => simd::any_order_error(dimension.div_ceil(2) + 1),
        }
    }

    /// `squares[i] = |f_i M x_i + c|^2` for the rows of `data`, `stride` apart.
    fn squares(&self, data: &[f32], stride: usize, constant: &[f64], dimension: usize, room: &mut Scratch) {
        let Scratch { products, squares, factors, .. } = room;
        let count = squares.len();
        match self {
            Factor::Matrix(matrix) => {
                products.resize(count * constant.len(), 0.0);
                matrix::product_f32_in_chunks(data, count, stride, matrix, products, dimension);
                add_squares(products, factors, constant, squares);
            }
            Factor::Panels(panels) => {
                let half = dimension / 2;
                let (mut first, mut second) = ([0.0; GROUP_ROWS * LANES], [0.0; GROUP_ROWS * LANES]);
                let groups = squares.chunks_mut(GROUP_ROWS).zip(factors.chunks(GROUP_ROWS));
                for (group, (squares, factors)) in groups.enumerate() {
                    // A group that is not full ends with copies of its last row.
                    let row = |i: usize| (group * GROUP_ROWS + i.min(squares.len() - 1)) * stride;
                    let left: [&[f32]; GROUP_ROWS] = std::array::from_fn(|i| &data[row(i)..row(i) + half]);
                    let right: [&[f32]; GROUP_ROWS] = std::array::from_fn(|i| &data[row(i) + half..row(i) + dimension]);
                    for (panel, constant) in panels.iter().zip(constant.chunks(LANES)) {
                        panel[0].products(&left, &mut first);
                        panel[1].products(&right, &mut second);
                        first.iter_mut().zip(&second).for_each(|(sum, x)| *sum += x);
                        let rows = squares.iter_mut().zip(factors).zip(first.chunks_exact(LANES));
                        for ((square, &factor), products) in rows {
                            *square += scalar::squared_sum(&products[..constant.len()], factor, constant);
                        }
                    }
                }
            }
        }
    }
}

/// `slope |x| + offset`.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::lens) struct Bound {
    pub slope: f64,
    pub offset: f64,
}

impl Bound {
    pub fn at(self, norm: f64) -> f64 {
        self.slope * norm + self.offset
    }

    fn times(self, factor: f64) -> Bound {
        Bound { slope: self.slope * factor, offset: self.offset * factor }
    }
}

/// The scalars of one row; those that its program does not have mean nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::lens) struct QuickScalars {
    /// `S_0`.
    pub alpha: f64,
    /// `S_1` where rows are divided by their norms first and a direction ends the chain.
    pub second: f64,
    /// At least `S_0 |x|`.
    pub reach: f64,
    /// `|y|^2`.
    pub square: f64,
    /// Relative error of the norm of `y`.
    pub error: f64,
}

impl QuickScalars {
    /// Of a row of norm `length`, where that is divided by first, else 1, from the [`Norm`] of `y`; `raw` is at least
    /// the norm of what the affine part begins with.
    pub fn new(end: End, norm: Norm, raw: f64, length: f64) -> Self {
        let Norm { norm, least, error } = norm;
        let (second, reach) = match end {
            End::Direction => (1.0 / norm, raw / least),
            End::Square | End::Nothing => (1.0, raw),
        };
        QuickScalars { alpha: second / length, second, reach, square: norm * norm, error }
    }
}

/// A norm that was found.
#[derive(Debug, Clone, Copy)]
pub(in crate::lens) struct Norm {
    norm: f64,
    /// It is at least this.
    least: f64,
    /// Its relative error.
    error: f64,
}

/// Room to work in.
#[derive(Debug, Default)]
pub(in crate::lens) struct Scratch {
    elements: Vec<f32>,
    products: Vec<f32>,
    squares: Vec<f64>,
    /// `|x|^2`.
    own: Vec<f64>,
    /// `1 / |x|` where rows are divided by their norms, else 1.
    factors: Vec<f64>,
}

impl Quick {
    /// `None` where the program is not of this form, or its numbers leave the range of `f32`. `squares`: whether
    /// squared norms are asked for.
    pub fn of(program: &Program, squares: bool, dimension: usize) -> Option<Self> {
        let Shape { unit, affine, end, directed } = Shape::of(program, squares)?;
        let directed =
            directed.iter().map(|program| Quick::of(program, false, dimension)).collect::<Option<Vec<_>>>()?;
        let quick = Quick {
            form: Form::Nothing,
            unit,
            end,
            plain: matches!(program.ops[..], [Op::Normalize]) && !squares,
            directed,
            dimension,
            constant: Vec::new(),
            constant_norm: 0.0,
            rounding: Bound::default(),
            reference: Reference::behind(&affine.ops),
        };
        if end == End::Nothing {
            Some(quick)
        } else if affine.ops.iter().all(|op| matches!(op, Op::OwnMean | Op::Shift(_))) {
            quick.with_rows(&affine.ops)
        } else {
            quick.with_product(&affine)
        }
    }

    /// Folds every coordinate of what `affine` makes of a row. `None` where it goes through one element after the
    /// other: that is less in `f64` than products with all rows of a matrix.
    fn with_product(self, affine: &Program) -> Option<Self> {
        if !affine.ops.iter().any(|op| matches!(op, Op::Matrix(_) | Op::Coordinates(_) | Op::Remove(_))) {
            return None;
        }
        let rows = affine.output_dimension(self.dimension);
        let mut constant = Vec::with_capacity(rows);
        let mut wide = Vec::with_capacity(rows * self.dimension);
        let mut last = None;
        for i in 0..rows {
            let mut unit = vec![0.0; rows];
            unit[i] = 1.0;
            let folded = fold::adjoint(unit, affine, self.dimension);
            wide.extend_from_slice(&folded.vector);
            constant.push(folded.shifts[0].product);
            last = Some(folded);
        }
        let last = last?;
        let frobenius = stats::norm(&wide);
        let scale = stats::power_of_two_above(frobenius);
        let matrix: Vec<f32> = wide.iter().map(|x| (x / scale) as f32).collect();
        let form = Form::Product { factor: Factor::new(matrix, self.dimension), scale, frobenius };
        let ordinary = frobenius > 1e-100 && frobenius < 1e100;
        ordinary.then(|| Quick {
            form,
            constant_norm: stats::norm(&constant),
            constant: constant.iter().map(|c| c / scale).collect(),
            rounding: Bound { slope: last.tolerance * last.growth, offset: last.tolerance * last.shifts[0].size },
            ..self
        })
    }

    fn with_rows(self, ops: &[Op]) -> Option<Self> {
        let dimension = self.dimension;
        let (mut own_mean, mut constant) = (false, vec![0.0; dimension]);
        for op in ops {
            match op {
                Op::Shift(mean) => constant.iter_mut().zip(mean.iter()).for_each(|(c, m)| *c += m),
                _ => {
                    own_mean = true;
                    subtract_own_mean(&mut constant);
                }
            }
        }
        let constant_norm = stats::norm(&constant);
        if constant_norm > 1e15 || (constant_norm < 1e-15 && constant_norm != 0.0) {
            return None;
        }
        let tolerance = 4.0 * (ops.len() + 3) as f64 * (dimension + 16) as f64 * f64::EPSILON;
        let rounding = Bound { slope: tolerance, offset: tolerance * constant_norm };
        // `<x - mean x, c> = <x, c - mean c>`.
        let mut product = constant.clone();
        if own_mean {
            subtract_own_mean(&mut product);
        }
        let narrow = if constant_norm == 0.0 { Vec::new() } else { product.iter().map(|&c| c as f32).collect() };
        let one = (1.0 / (dimension as f64).sqrt()) as f32;
        let form = Form::Rows { own_mean, constant: narrow, ones: vec![one; if own_mean { dimension } else { 0 }] };
        Some(Quick { form, constant, constant_norm, rounding, ..self })
    }

    /// Hands the scalars of each row of a block to `each`, by position; `None` where they are left to `f64`.
    pub fn block(&self, rows: RowsRef<'_>, scratch: &mut Scratch, mut each: impl FnMut(usize, Option<QuickScalars>)) {
        for start in (0..rows.len()).step_by(TILE_ROWS) {
            let tile = rows.slice(start..rows.len().min(start + TILE_ROWS));
            let count = tile.len();
            let mut elements = std::mem::take(&mut scratch.elements);
            let (data, stride) = match tile {
                RowsRef::F32 { data, stride, .. } => (data, stride),
                RowsRef::F16 { data, stride, dimension } => {
                    elements.resize(count * dimension, 0.0);
                    let narrow = data.chunks(stride).zip(elements.chunks_exact_mut(dimension));
                    narrow.for_each(|(row, out)| simd::widen_f16(&row[..dimension], out));
                    (&elements[..], dimension)
                }
            };
            // First of all, since this reads the rows in order, and what follows finds them in the cache.
            let rows = || data.chunks(stride).take(count).map(|row| &row[..self.dimension]);
            let (own, factors) = (&mut scratch.own, &mut scratch.factors);
            own.clear();
            factors.clear();
            if self.unit && !self.plain {
                own.extend(rows().map(simd::squared_norm));
                factors.extend(own.iter().map(|square| 1.0 / square.sqrt()));
            } else {
                own.extend(rows().map(|row| f64::from(simd::dot_row(row, RowRef::F32(row)))));
                factors.resize(count, 1.0);
            }
            let mut clear = vec![true; if self.directed.is_empty() { 0 } else { count }];
            for directed in &self.directed {
                directed.look(data, stride, scratch, |i, found| clear[i] &= found.is_some());
            }
            self.look(data, stride, scratch, |i, found| {
                each(start + i, found.filter(|_| clear.get(i).is_none_or(|clear| *clear)));
            });
            scratch.elements = elements;
        }
    }

    /// Hands the scalars of the rows of `data`, `stride` apart, to `each`; `scratch` has their squares and factors.
    fn look(
        &self,
        data: &[f32],
        stride: usize,
        scratch: &mut Scratch,
        mut each: impl FnMut(usize, Option<QuickScalars>),
    ) {
        scratch.squares.clear();
        if let Form::Product { factor, .. } = &self.form {
            scratch.squares.resize(scratch.own.len(), 0.0);
            factor.squares(data, stride, &self.constant, self.dimension, scratch);
        }
        for (i, (row, &own)) in data.chunks(stride).zip(&scratch.own).enumerate() {
            each(i, self.row(&row[..self.dimension], own, scratch.squares.get(i).copied()));
        }
    }

    /// The scalars of a row, with its own square and, where there are matrices, that of what they make of it.
    fn row(&self, row: &[f32], own: f64, square: Option<f64>) -> Option<QuickScalars> {
        if !ORDINARY_SQUARE.contains(&own) {
            return None;
        }
        let part = simd::dot_error(self.dimension) * 1.01 + 2.0 * simd::UNIT_F32;
        // The row divided by its norm is no longer than 1, but for rounding.
        let (length, own, raw) =
            if self.unit { (own.sqrt(), 1.0, 1.0 + 1e-9) } else { (1.0, own, own.sqrt() * (1.0 + part)) };
        let dot = |w: &[f32]| f64::from(simd::dot_row(w, RowRef::F32(row))) / length;
        let (norm, error) = match &self.form {
            Form::Nothing => {
                // The square is off by `part` of itself, and so the norm by half of that.
                let error = if self.plain { part } else { 0.0 };
                let norm = Norm { norm: 1.0, least: 1.0, error };
                return Some(QuickScalars::new(self.end, norm, raw * (1.0 + error), length));
            }
            Form::Rows { own_mean, constant, ones } => {
                let mut square = own + self.constant_norm * self.constant_norm;
                let mut error = part * raw * raw;
                if *own_mean {
                    let mean = dot(ones);
                    square -= mean * mean;
                    error += 3.0 * part * raw * raw;
                }
                if !constant.is_empty() {
                    square -= 2.0 * dot(constant);
                    error += 2.0 * part * raw * self.constant_norm;
                }
                let norm = square.max(0.0).sqrt();
                (norm, error / norm)
            }
            Form::Product { factor, scale, frobenius } => {
                let part = factor.error(self.dimension) * 1.01 + 2.0 * simd::UNIT_F32;
                (square.unwrap_or_default().sqrt() * scale, part * frobenius * raw)
            }
        };
        let norm = judge(norm, error + self.rounding.at(raw), raw, self.reference)?;
        Some(QuickScalars::new(self.end, norm, raw, length))
    }
}

/// The norm of what becomes of a vector of norm at most `raw`, off by at most `error`; `None` where that leaves open
/// whether it has a direction, or is too large a part.
pub(in crate::lens) fn judge(norm: f64, error: f64, raw: f64, reference: Reference) -> Option<Norm> {
    let least = norm - error;
    let clear = least > reference.at(raw, norm) && error <= LARGEST_ERROR * least;
    clear.then(|| Norm { norm, least, error: error / least })
}

/// Adds `(f p + c)^2` for each element of `constant` and the run of products that belongs to it, four runs at a time.
fn add_squares(products: &[f32], factors: &[f64], constant: &[f64], squares: &mut [f64]) {
    let count = squares.len();
    let whole = constant.len() / 4 * 4;
    let (four, rest) = products.split_at(whole * count);
    let square = |product: f32, factor: f64, constant: f64| {
        let y = f64::from(product) * factor + constant;
        y * y
    };
    for (products, constant) in four.chunks_exact(4 * count).zip(constant.chunks_exact(4)) {
        let (a, products) = products.split_at(count);
        let (b, products) = products.split_at(count);
        let (c, d) = products.split_at(count);
        let rows = squares.iter_mut().zip(factors);
        for ((sum, &factor), ((&a, &b), (&c, &d))) in rows.zip(a.iter().zip(b).zip(c.iter().zip(d))) {
            let left = square(a, factor, constant[0]) + square(b, factor, constant[1]);
            *sum += left + (square(c, factor, constant[2]) + square(d, factor, constant[3]));
        }
    }
    for (products, &constant) in rest.chunks_exact(count).zip(&constant[whole..]) {
        let rows = squares.iter_mut().zip(factors).zip(products);
        rows.for_each(|((sum, &factor), &product)| *sum += square(product, factor, constant));
    }
}

/// The norm above which a vector has a direction for sure, whatever single precision and double may have lost of it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::lens) struct Reference {
    /// By the norm of the vector that the operations began with.
    raw: Bound,
    /// By its norm as it is.
    own: f64,
}

impl Reference {
    /// Behind `ops`, none of which normalizes.
    pub fn behind(ops: &[Op]) -> Reference {
        let guards = Guard::of(ops);
        let (mut carried, mut vector) = (Bound::default(), Bound { slope: 1.0, offset: 0.0 });
        for (op, guard) in ops.iter().zip(&guards) {
            carried = Bound {
                slope: guard.carry(op, carried.slope, || vector.slope),
                offset: guard.carry(op, carried.offset, || vector.offset),
            };
            if let Op::Shift(mean) = op {
                vector.offset += stats::norm(mean);
            }
            vector = vector.times(op.growth());
        }
        let Some(end) = guards.last().filter(|guard| guard.live) else { return Reference::default() };
        let raw = Bound { slope: carried.slope, offset: carried.offset + end.constant };
        Reference { raw: raw.times(2.0 * CLEAR), own: if end.own { 2.0 * CLEAR } else { 0.0 } }
    }

    fn at(self, raw: f64, norm: f64) -> f64 {
        self.raw.at(raw) + self.own * norm
    }
}
