//! Folding: a processed query becomes one vector over the raw rows, a few constants, and an error bound.
//!
//! Owns [`ProcessedQuery`]. With the normal form of `chain`,
//!
//! ```text
//! <u, y(x)> = S_0(x) (<w, x> + h_0) + S_1(x) h_1 + ... + S_J h_J       w = L'u,  h_g = <u, c_g>
//! ```
//!
//! `w` and all `h_g` come from one backward pass over the record side's operations, the adjoint of running them: a
//! matrix becomes its transpose, as do coordinates along directions; own-mean, a division element by element and the
//! removal of directions are their own adjoints, a truncation pads with zeros, and a shift by `-m` in group `g` adds
//! `-<v, m>` to `h_g`, `v` being what `u` has become by then.
//!
//! # The bound
//! Let `e = 2^-24`, `r(x) = S_0(x) |x|` (the *reach*), and `D(x)` what the scan computes from an `f32` product and
//! scalars stored as `f32`. Then
//!
//! ```text
//! |D(x) - <u, y(x)>| <= r(x) |w| (k(d) + 3 e) + e (S_0 |h_0| + ... ) + t |u| (r(x) F + S_0 s_0 + S_1 s_1 + ...)
//! ```
//!
//! - `k(d) r |w|`: the `f32` product of `w` and `x` errs by at most `k(d)` of `|w| |x|` (`linalg::simd`);
//! - `e r |w|` for rounding `w` to `f32` (Cauchy and Schwarz), and the same again for rounding `S_0`;
//! - `e S_g |h_g|` for rounding `S_g`;
//! - the last part is all that is `f64`: `F` is the product of how much longer each of the record's operations can
//!   make a vector (a matrix: its Frobenius norm; a division: one by its least divisor; orthonormal directions,
//!   whether kept or removed: 1), `s_g` the sum of the norms of the shifts of group `g` times the same of what follows
//!   them, so that the bracket bounds the size of all terms that `y(x)` is made of; `t` is
//!   `4 (roundings + 2) (dimension + 16) 2^-53`, a generous count for the scalars, for the fold, and for the score that
//!   is computed in the end. An operation counts as one rounding; `k` directions as `sqrt(k)` for each product with
//!   them, since the error of a product with `V` is a part of `|V|` as Frobenius measures it (`Op::roundings`).
//!
//! Each part is taken a hundredth larger, which covers underflow (rows outside 1e-25..1e30 are never left to `f32`)
//! and the rounding of the bound itself. For squared distances `|u|^2 + |y|^2 - 2 <u, y>` the bound is twice that,
//! `e |y|^2` for rounding the stored square, and `4 t (|u| + size of y)^2`.
//!
//! Rows that are themselves rounded (`derive`) add their own part, `q` for a relative rounding of a row: see there.
//!
//! Where the norm of what the last normalization divides comes from `f32` products (`quick`, of chains in which nothing
//! follows it), its relative error `a` adds `a |u|`: all terms have it as a factor, and together they are at most
//! `|u|`. Where `|y|^2` does, that error adds `2.1 a |y|^2`.
//!
//! With `csls` the score is lowered by half of `r(x)`, the mean of the `k` highest scores of the record with a sample's
//! queries. A mean of the highest moves by no more than the number that moves most, so `r` from `f32` products errs by
//! at most the bound above for the worst of these queries (and what rounding `r` itself costs); half of that is added.

use super::program::{Op, Program, subtract_own_mean};
use super::step::VectorMetric;
use crate::linalg::{simd, stats};

/// Relative error of one `f32` rounding, with a hundredth to spare.
const ROUND: f64 = simd::UNIT_F32 * 1.01;

/// Constants of one group of shifts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shift {
    /// `h_g`.
    pub product: f64,
    /// `s_g`: bounds the norm of `c_g` and of everything on the way to it.
    pub size: f64,
}

/// A query after its steps, folded over the raw rows of one view.
#[derive(Debug, Clone)]
pub struct ProcessedQuery {
    /// `u`: the processed query, in the chain's output dimension.
    pub(crate) processed: Vec<f64>,
    /// `|u|`.
    pub(crate) norm: f64,
    /// `w / scale`, rounded to `f32`; its norm is between 1/2 and 1 (or 0).
    pub(crate) folded: Vec<f32>,
    /// A power of two.
    pub(crate) scale: f64,
    /// `|w|`.
    pub(crate) folded_norm: f64,
    /// `h_g` and `s_g` for `g` in `0..=J`.
    pub(crate) shifts: Vec<Shift>,
    /// `F`: how much longer the record side's operations can make a vector.
    pub(crate) growth: f64,
    /// `t`: relative error of the `f64` parts.
    pub(crate) tolerance: f64,
    /// `q`: relative rounding of the rows themselves, 0 where they are what was stored; see `derive`.
    pub(crate) row_error: f64,
    pub(crate) metric: VectorMetric,
}

/// The scalars of one record, widened from where they are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordScalars<'a> {
    /// `S_0`.
    pub alpha: f64,
    /// `S_0 |x|`, rounded up.
    pub reach: f64,
    /// `(g, S_g)` for the groups after the first that have shifts, the last group (always 1) left out.
    pub extras: &'a [(usize, f64)],
    /// `|y|^2` where the metric needs it.
    pub square: f64,
    /// `r(x)` where the chain corrects for hubs, and how far it may be off.
    pub hub: f64,
    pub hub_error: f64,
    /// Relative error of the norm that they come from beyond rounding, see the module.
    pub norm_error: f64,
}

/// What a vector on the processed side becomes on the side of the raw rows.
#[derive(Debug)]
pub(super) struct Adjoint {
    /// `L'u`.
    pub vector: Vec<f64>,
    /// `h_g` and `s_g`.
    pub shifts: Vec<Shift>,
    /// `F`.
    pub growth: f64,
    /// `t`.
    pub tolerance: f64,
}

/// Carries `v` backward through the record side's operations on rows of dimension `dimension`.
pub(super) fn adjoint(mut v: Vec<f64>, record: &Program, dimension: usize) -> Adjoint {
    let mut shifts = vec![Shift::default(); record.normalizations() + 1];
    let (mut group, mut growth) = (shifts.len() - 1, 1.0);
    let mut scratch = Vec::new();
    let (mut widest, mut roundings) = (dimension.max(v.len()), 2.0);
    for op in record.ops.iter().rev() {
        match op {
            Op::OwnMean => subtract_own_mean(&mut v),
            Op::Shift(mean) => {
                shifts[group].product -= simd::dot_f64(&v, mean);
                shifts[group].size += growth * stats::norm(mean);
            }
            Op::Normalize => group -= 1,
            Op::Truncate { from, .. } => v.resize(*from, 0.0),
            Op::Matrix(matrix) => {
                matrix.apply_transposed(&v, &mut scratch);
                std::mem::swap(&mut v, &mut scratch);
            }
            Op::Coordinates(basis) => {
                basis.combine(&v, &mut scratch);
                std::mem::swap(&mut v, &mut scratch);
            }
            Op::Remove(basis) => basis.remove(&mut v),
            Op::Divide(divisor) => v.iter_mut().zip(divisor.iter()).for_each(|(v, by)| *v /= by),
        }
        growth *= op.growth();
        roundings += op.roundings();
        widest = widest.max(v.len());
    }
    let tolerance = 4.0 * roundings * (widest + 16) as f64 * (f64::EPSILON / 2.0);
    Adjoint { vector: v, shifts, growth, tolerance }
}

impl ProcessedQuery {
    /// Folds the processed query `u` over the record side's operations on rows of dimension `dimension`.
    pub(crate) fn new(processed: Vec<f64>, record: &Program, dimension: usize, metric: VectorMetric) -> Self {
        let norm = stats::norm(&processed);
        let Adjoint { vector: v, shifts, growth, tolerance } = adjoint(processed.clone(), record, dimension);
        let folded_norm = stats::norm(&v);
        let scale = stats::power_of_two_above(folded_norm);
        let folded = v.iter().map(|x| (x / scale) as f32).collect();
        let row_error = 0.0;
        ProcessedQuery { processed, norm, folded, scale, folded_norm, shifts, growth, tolerance, row_error, metric }
    }

    /// The processed query, in the chain's output dimension; of unit length under `cosine` and `pearson`.
    pub fn processed(&self) -> &[f64] {
        &self.processed
    }

    /// The interval of the sort key (the score, or minus the squared distance) of a record, from the `f32` product
    /// of its raw row with the folded vector.
    #[inline]
    pub(crate) fn interval(&self, dot: f32, record: &RecordScalars<'_>, dot_error: f64) -> (f64, f64) {
        let (key, error) = (self.key(dot, record), self.error(record, dot_error));
        let (lower, upper) = (key - error, key + error);
        // A bound that overflowed says nothing; the row is then scored in full.
        if lower <= upper { (lower, upper) } else { (f64::NEG_INFINITY, f64::INFINITY) }
    }

    /// The sort key of a record, off by at most [`ProcessedQuery::error`].
    #[inline]
    pub(crate) fn key(&self, dot: f32, record: &RecordScalars<'_>) -> f64 {
        let last = self.shifts.len() - 1;
        let mut key = record.alpha * (f64::from(dot) * self.scale + self.shifts[0].product);
        for &(group, scalar) in record.extras {
            key += scalar * self.shifts[group].product;
        }
        if last > 0 {
            key += self.shifts[last].product;
        }
        if self.metric == VectorMetric::Euclidean {
            return 2.0 * key - record.square - self.norm * self.norm;
        }
        key - 0.5 * record.hub
    }

    /// Bounds the error of [`ProcessedQuery::key`].
    #[inline]
    pub(crate) fn error(&self, record: &RecordScalars<'_>, dot_error: f64) -> f64 {
        let size = self.size(record);
        let mut rounded = record.alpha * self.shifts[0].product.abs();
        for &(group, scalar) in record.extras {
            rounded += scalar * self.shifts[group].product.abs();
        }
        let error = record.reach * self.folded_norm * (dot_error * 1.01 + 3.0 * ROUND + self.row_error)
            + rounded * ROUND
            + self.tolerance * self.norm * size;
        if self.metric == VectorMetric::Euclidean {
            let sizes = self.norm + size;
            let of_square = ROUND + 2.1 * (self.row_error + record.norm_error);
            return 2.0 * error + of_square * record.square + 4.0 * self.tolerance * sizes * sizes;
        }
        error + record.norm_error * self.norm * 1.01 + 0.5 * record.hub_error
    }

    /// Bounds the size of all terms that the processed record is made of.
    #[inline]
    pub(crate) fn size(&self, record: &RecordScalars<'_>) -> f64 {
        let last = self.shifts.len() - 1;
        let mut size = record.reach * self.growth + record.alpha * self.shifts[0].size;
        for &(group, scalar) in record.extras {
            size += scalar * self.shifts[group].size;
        }
        if last > 0 {
            size += self.shifts[last].size;
        }
        size
    }

    /// A query that stands for the errors of all of `queries`, folded over the same operations: what it has is the
    /// largest of theirs. It has no vector and gives no keys.
    pub(crate) fn worst(queries: &[ProcessedQuery]) -> ProcessedQuery {
        let mut worst = queries[0].clone();
        (worst.processed, worst.folded) = (Vec::new(), Vec::new());
        for query in queries {
            worst.norm = worst.norm.max(query.norm);
            worst.folded_norm = worst.folded_norm.max(query.folded_norm);
            for (worst, shift) in worst.shifts.iter_mut().zip(&query.shifts) {
                worst.product = worst.product.abs().max(shift.product.abs());
                worst.size = worst.size.max(shift.size);
            }
        }
        worst
    }
}
