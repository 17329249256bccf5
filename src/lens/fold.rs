//! Folding: a processed query becomes one vector over the raw rows, a few constants, and an error bound.
//!
//! Owns [`ProcessedQuery`]. With the normal form of `chain`,
//!
//! ```text
//! <u, y(x)> = S_0(x) (<w, x> + h_0) + S_1(x) h_1 + ... + S_J h_J       w = L'u,  h_g = <u, c_g>
//! ```
//!
//! `w` and all `h_g` come from one backward pass over the record side's operations, the adjoint of running them: a
//! matrix becomes its transpose, own-mean is its own adjoint, a truncation pads with zeros, and a shift by `-m` in
//! group `g` adds `-<v, m>` to `h_g`, `v` being what `u` has become by then.
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
//! - the last part is all that is `f64`: `F` is the product of the Frobenius norms of the record's matrices, `s_g` the
//!   sum of the norms of the shifts of group `g` times the norms of the matrices after them, so that the bracket
//!   bounds the size of all terms that `y(x)` is made of; `t` is `4 (operations + 2) (dimension + 16) 2^-53`, a
//!   generous count of roundings for the scalars, for the fold, and for the score that is computed in the end.
//!
//! Each part is taken a hundredth larger, which covers underflow (rows outside 1e-25..1e30 are never left to `f32`)
//! and the rounding of the bound itself. For squared distances `|u|^2 + |y|^2 - 2 <u, y>` the bound is twice that,
//! `e |y|^2` for rounding the stored square, and `4 t (|u| + size of y)^2`.

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
    /// `F`: product of the Frobenius norms of the record side's matrices.
    pub(crate) growth: f64,
    /// `t`: relative error of the `f64` parts.
    pub(crate) tolerance: f64,
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
}

impl ProcessedQuery {
    /// Folds the processed query `u` over the record side's operations on rows of dimension `dimension`.
    pub(crate) fn new(processed: Vec<f64>, record: &Program, dimension: usize, metric: VectorMetric) -> Self {
        let norm = stats::norm(&processed);
        let mut shifts = vec![Shift::default(); record.normalizations() + 1];
        let (mut group, mut growth) = (shifts.len() - 1, 1.0);
        let (mut v, mut scratch) = (processed.clone(), Vec::new());
        let mut widest = dimension.max(v.len());
        for op in record.ops.iter().rev() {
            match op {
                Op::OwnMean => subtract_own_mean(&mut v),
                Op::Shift(mean) => {
                    shifts[group].product -= simd::dot_f64(&v, mean);
                    shifts[group].size += growth * stats::norm(mean);
                }
                Op::Normalize => group -= 1,
                Op::Truncate { from, .. } => v.resize(*from, 0.0),
                Op::Matrix { matrix, .. } => {
                    matrix.apply_transposed(&v, &mut scratch);
                    std::mem::swap(&mut v, &mut scratch);
                    growth *= matrix.frobenius();
                }
            }
            widest = widest.max(v.len());
        }
        let folded_norm = stats::norm(&v);
        let scale = power_of_two_above(folded_norm);
        let folded = v.iter().map(|x| (x / scale) as f32).collect();
        let tolerance = 4.0 * (record.ops.len() + 2) as f64 * (widest + 16) as f64 * (f64::EPSILON / 2.0);
        ProcessedQuery { processed, norm, folded, scale, folded_norm, shifts, growth, tolerance, metric }
    }

    /// The processed query, in the chain's output dimension; of unit length under `cosine` and `pearson`.
    pub fn processed(&self) -> &[f64] {
        &self.processed
    }

    /// The interval of the sort key (the score, or minus the squared distance) of a record, from the `f32` product
    /// of its raw row with the folded vector.
    #[inline]
    pub(crate) fn interval(&self, dot: f32, record: &RecordScalars<'_>, dot_error: f64) -> (f64, f64) {
        let last = self.shifts.len() - 1;
        let first = self.shifts[0];
        let mut key = record.alpha * (f64::from(dot) * self.scale + first.product);
        let mut rounded = record.alpha * first.product.abs();
        let mut size = record.reach * self.growth + record.alpha * first.size;
        for &(group, scalar) in record.extras {
            let shift = self.shifts[group];
            key += scalar * shift.product;
            rounded += scalar * shift.product.abs();
            size += scalar * shift.size;
        }
        if last > 0 {
            key += self.shifts[last].product;
            size += self.shifts[last].size;
        }
        let mut error = record.reach * self.folded_norm * (dot_error * 1.01 + 3.0 * ROUND)
            + rounded * ROUND
            + self.tolerance * self.norm * size;
        if self.metric == VectorMetric::Euclidean {
            key = 2.0 * key - record.square - self.norm * self.norm;
            let sizes = self.norm + size;
            error = 2.0 * error + ROUND * record.square + 4.0 * self.tolerance * sizes * sizes;
        }
        let (lower, upper) = (key - error, key + error);
        // A bound that overflowed says nothing; the row is then scored in full.
        if lower <= upper { (lower, upper) } else { (f64::NEG_INFINITY, f64::INFINITY) }
    }
}

/// The smallest power of two above `x`, within the normal range; 1 for zero.
fn power_of_two_above(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    f64::from_bits(((exponent.clamp(-1000, 1000) + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_the_next_power_of_two() {
        assert_eq!(power_of_two_above(1.0), 2.0);
        assert_eq!(power_of_two_above(0.75), 1.0);
        assert_eq!(power_of_two_above(3e10), 2f64.powi(35));
        assert_eq!(power_of_two_above(0.0), 1.0);
        assert!(power_of_two_above(1e-320) > 0.0);
    }
}
