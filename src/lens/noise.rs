//! When a vector has no direction: what of it may be nothing but rounding.
//!
//! Owns the rule, as [`Noise`], and a cheap way to see that it is not met, as [`Guard`]. It runs no operation.
//!
//! # The rule
//! Stored numbers are rounded to single precision, so what a subtraction leaves of a coordinate may be rounding where
//! it is very small beside the numbers that went in. How small differs from coordinate to coordinate: a column of
//! timestamps says nothing about the columns beside it. So a vector carries a bound for each of its coordinates, `n_j`,
//! from the first subtraction since it last had unit length:
//!
//! - subtracting `b` from `y` (a mean, the own mean, what lies along directions): `n_j` becomes at least [`ROUNDING`]
//!   times the larger of `|y_j|` and `|b_j|`; what `b` itself may be off by, where it comes from `y`, is added (own
//!   mean: the mean of all `n_i`; directions: `|V'| |V| n`);
//! - a coordinate *counts* where `|y_j| > ` [`COUNTS`]` n_j`: more than two units of single precision in the last
//!   place. What is left of one that does not count is all that rounding can have put there, so `n_j` becomes `|y_j|`,
//!   but no less than double precision resolves. A column that is the same everywhere leaves nothing behind a matrix
//!   either;
//! - everything else is linear: `n` becomes `|A| n`, absolute values element by element.
//!
//! A step that needs a direction finds none where no coordinate counts. A vector that nothing was subtracted from has
//! one unless it is zero. A sum of terms (`#a - #b`) begins as if it were left over from the largest of them.

use super::op::Op;
use crate::linalg::{simd, stats};

/// How far rounding may have moved what is left of a coordinate, relative to the largest number that went into it: half
/// a unit of single precision in the last place for each of two numbers.
pub const ROUNDING: f64 = 2.0 * simd::UNIT_F32;
/// A coordinate counts where it is more than so many times its bound.
pub const COUNTS: f64 = 2.0;
/// What double precision leaves of the numbers that went into a mean, or that directions were removed from, relative to
/// them: a few thousand roundings.
const DOUBLE: f64 = 1.0 / (1u64 << 40) as f64;
/// Norms up to this count as zero whatever went before: their reciprocals would leave the range of `f64`.
pub const TINIEST_NORM: f64 = 1e-290;

/// The bounds of a vector's coordinates.
#[derive(Debug, Clone, Default)]
pub struct Noise {
    /// `n_j`; empty where nothing has been subtracted.
    bounds: Vec<f64>,
    /// The vector before the operation.
    before: Vec<f64>,
    scratch: Vec<f64>,
}

impl Noise {
    /// Nothing has been subtracted.
    pub fn clear(&mut self) {
        self.bounds.clear();
    }

    /// Whether nothing has been subtracted.
    pub fn is_clear(&self) -> bool {
        self.bounds.is_empty()
    }

    /// The vector is a sum; `largest` has the largest of its terms' absolute values for each coordinate.
    pub fn begin_sum(&mut self, vector: &[f64], largest: &[f64]) {
        self.bounds.clear();
        self.bounds.extend(largest.iter().map(|x| ROUNDING * x.abs()));
        self.settle(vector);
    }

    /// Looks at the vector that `op` is about to be applied to.
    pub fn before(&mut self, op: &Op, vector: &[f64]) {
        if matches!(op, Op::OwnMean | Op::Shift(_) | Op::Remove(_)) {
            self.before.clear();
            self.before.extend_from_slice(vector);
        }
    }

    /// Takes the bounds through `op`, which has made `vector` of what was there before.
    pub fn after(&mut self, op: &Op, vector: &[f64]) {
        match op {
            Op::Normalize => self.clear(),
            Op::Truncate { to, .. } => self.bounds.truncate(*to),
            Op::Divide(divisor) => self.bounds.iter_mut().zip(divisor.iter()).for_each(|(n, by)| *n /= by),
            Op::Shift(mean) => {
                self.bounds.resize(vector.len(), 0.0);
                let numbers = self.before.iter().zip(mean.iter());
                self.bounds.iter_mut().zip(numbers).for_each(|(n, (y, b))| *n = n.max(ROUNDING * y.abs().max(b.abs())));
                self.settle(vector);
            }
            Op::OwnMean => {
                self.raise(vector);
                let mean = self.bounds.iter().sum::<f64>() / vector.len().max(1) as f64;
                self.bounds.iter_mut().for_each(|n| *n += mean);
                self.settle(vector);
            }
            Op::Remove(_) => {
                self.raise(vector);
                let lost = DOUBLE * stats::norm(&self.before);
                let mut spread = std::mem::take(&mut self.scratch);
                absolute(op, &self.bounds, &mut spread);
                self.bounds.iter_mut().zip(&spread).for_each(|(n, along)| *n += along + lost);
                self.scratch = spread;
                self.settle(vector);
            }
            Op::Matrix(_) | Op::Coordinates(_) => {
                if !self.bounds.is_empty() {
                    let mut carried = std::mem::take(&mut self.scratch);
                    absolute(op, &self.bounds, &mut carried);
                    self.scratch = std::mem::replace(&mut self.bounds, carried);
                }
            }
        }
    }

    /// The norm of a vector with these bounds; `None` where it has no direction.
    pub fn direction(&self, vector: &[f64]) -> Option<f64> {
        let counts = self.bounds.is_empty() || self.bounds.iter().zip(vector).any(|(n, y)| y.abs() > COUNTS * n);
        let norm = stats::norm(vector);
        (counts && norm > TINIEST_NORM).then_some(norm)
    }

    /// What was there and what was subtracted, the difference from `left`, went into every coordinate.
    fn raise(&mut self, left: &[f64]) {
        self.bounds.resize(left.len(), 0.0);
        for (n, (y, left)) in self.bounds.iter_mut().zip(self.before.iter().zip(left)) {
            *n = n.max(ROUNDING * y.abs().max((y - left).abs()));
        }
    }

    /// What is left of coordinates that do not count is all that there is of rounding.
    fn settle(&mut self, left: &[f64]) {
        for (n, left) in self.bounds.iter_mut().zip(left) {
            if left.abs() <= COUNTS * *n {
                *n = left.abs().max(*n * (DOUBLE / ROUNDING));
            }
        }
    }
}

/// `|A| n` for a matrix or coordinates, `|V'| |V| n` for directions that are removed.
fn absolute(op: &Op, bounds: &[f64], out: &mut Vec<f64>) {
    out.clear();
    match op {
        Op::Matrix(matrix) => {
            let product = |row: &[f32]| row.iter().zip(bounds).map(|(w, n)| f64::from(w.abs()) * n).sum::<f64>();
            out.extend(matrix.data().chunks_exact(matrix.columns().max(1)).map(product));
        }
        Op::Coordinates(basis) | Op::Remove(basis) => {
            let rows = || basis.rows().chunks_exact(bounds.len().max(1));
            out.extend(rows().map(|row| row.iter().zip(bounds).map(|(w, n)| w.abs() * n).sum::<f64>()));
            if matches!(op, Op::Remove(_)) {
                let along = std::mem::take(out);
                out.resize(bounds.len(), 0.0);
                for (row, factor) in rows().zip(along) {
                    out.iter_mut().zip(row).for_each(|(out, w)| *out += w.abs() * factor);
                }
            }
        }
        Op::OwnMean | Op::Shift(_) | Op::Normalize | Op::Truncate { .. } | Op::Divide(_) => {
            out.extend_from_slice(bounds);
        }
    }
}

/// What holds for every vector before an operation, so that most are seen to have a direction by their norm alone.
///
/// With `e` what the bounds are [`ROUNDING`] times of, but for their lowering: after subtracting `m`, `max(|y|, |m|) <=
/// |y - m| + |m|`, element by element. So behind operations that keep coordinates apart `e` is at most `|y|` as it then
/// is, plus what becomes of `|m|`, which is the same for all vectors; behind a matrix the first part is at most the
/// Frobenius norm of the matrix times the norm that `y` had before. A vector carries that part as one number, see
/// [`Guard::carry`]. Bounds that were lowered to `|y_j|` are at most [`COUNTS`] times as large as before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    /// Whether something has been subtracted since the vector last had unit length.
    pub live: bool,
    /// Whether the vector's own norm is a part of the bound: something was subtracted, and nothing has mixed
    /// coordinates since.
    pub own: bool,
    /// What has become of the means, element by element; empty where nothing has been subtracted.
    pub constants: Vec<f64>,
    /// The norm of `constants`.
    pub constant: f64,
    /// The part of what a vector has carried that each coordinate may have of it, about; empty where all may have all.
    pub profile: Vec<f64>,
}

impl Guard {
    /// One before each of `ops`, and one behind the last.
    pub fn of(ops: &[Op]) -> Vec<Guard> {
        let mut guard = Guard::default();
        let mut all = vec![guard.clone()];
        for op in ops {
            guard = guard.behind(op);
            all.push(guard.clone());
        }
        all
    }

    fn behind(mut self, op: &Op) -> Guard {
        self.profile = self.profile_behind(op);
        match op {
            Op::Normalize => return Guard::default(),
            Op::Truncate { to, .. } => self.constants.truncate(*to),
            Op::Divide(divisor) => self.constants.iter_mut().zip(divisor.iter()).for_each(|(c, by)| *c /= by),
            Op::Shift(mean) => {
                self.constants.resize(mean.len(), 0.0);
                self.constants.iter_mut().zip(mean.iter()).for_each(|(c, m)| *c += m.abs());
                (self.live, self.own) = (true, true);
            }
            Op::OwnMean => {
                let mean = self.constants.iter().sum::<f64>() / self.constants.len().max(1) as f64;
                self.constants.iter_mut().for_each(|c| *c += mean);
                (self.live, self.own) = (true, false);
            }
            Op::Remove(_) => {
                let mut along = Vec::new();
                absolute(op, &self.constants, &mut along);
                self.constants.iter_mut().zip(&along).for_each(|(c, along)| *c += along);
                (self.live, self.own) = (true, false);
            }
            Op::Matrix(_) | Op::Coordinates(_) => {
                if !self.constants.is_empty() {
                    let mut carried = Vec::new();
                    absolute(op, &self.constants, &mut carried);
                    self.constants = carried;
                }
                self.own = false;
            }
        }
        self.constant = stats::norm(&self.constants);
        self
    }

    /// The profile behind `op`: of rows of a matrix by their norms, of directions by how much of a coordinate lies in
    /// them.
    fn profile_behind(&mut self, op: &Op) -> Vec<f64> {
        let mut profile = std::mem::take(&mut self.profile);
        match op {
            Op::Normalize => profile.clear(),
            Op::Shift(mean) => profile.resize(mean.len(), if self.live { 1.0 } else { 0.0 }),
            Op::Truncate { to, .. } => profile.truncate(*to),
            Op::Divide(divisor) => {
                profile.iter_mut().zip(divisor.iter()).for_each(|(part, by)| *part /= by * op.growth());
            }
            Op::OwnMean => {
                let all = 3.0 / (profile.len().max(1) as f64).sqrt();
                profile.iter_mut().for_each(|part| *part = (*part + all).min(1.0));
            }
            Op::Remove(basis) => {
                for row in basis.rows().chunks_exact(profile.len().max(1)) {
                    profile.iter_mut().zip(row).for_each(|(part, v)| *part += 3.0 * v.abs());
                }
                profile.iter_mut().for_each(|part| *part = part.min(1.0));
            }
            Op::Matrix(matrix) => {
                let norm = |row: &[f32]| row.iter().map(|&w| f64::from(w) * f64::from(w)).sum::<f64>().sqrt();
                let whole = matrix.frobenius().max(f64::MIN_POSITIVE);
                profile = matrix.data().chunks_exact(matrix.columns().max(1)).map(|row| norm(row) / whole).collect();
            }
            Op::Coordinates(basis) => profile = vec![1.0; basis.count()],
        }
        profile
    }

    /// What a vector's own part of the bound becomes behind `op`; `norm` is asked for its norm before it, where that is
    /// needed.
    #[inline]
    pub fn carry(&self, op: &Op, carried: f64, norm: impl FnOnce() -> f64) -> f64 {
        match op {
            Op::Normalize => 0.0,
            Op::Divide(_) if carried > 0.0 => carried * op.growth(),
            Op::Matrix(_) if self.live => (carried + if self.own { norm() } else { 0.0 }) * op.growth(),
            Op::Coordinates(basis) if self.live => {
                (carried + if self.own { norm() } else { 0.0 }) * (basis.count() as f64).sqrt() * 1.01
            }
            // The part that is subtracted is no longer than the vector, and its error is spread over all coordinates.
            Op::OwnMean | Op::Remove(_) => {
                let norm = norm();
                let spread = if let Op::Remove(basis) = op { 2.0 + basis.count() as f64 } else { 2.0 };
                (carried + if self.own { 3.0 * norm } else { 2.0 * norm }) * spread
            }
            Op::Shift(_) | Op::Truncate { .. } | Op::Divide(_) | Op::Matrix(_) | Op::Coordinates(_) => carried,
        }
    }

    /// Whether a vector of this norm has a direction for sure.
    #[inline]
    pub fn is_clear(&self, norm: f64, carried: f64) -> bool {
        let size = carried + self.constant + if self.own { norm } else { 0.0 };
        norm > TINIEST_NORM && (!self.live || norm > CLEAR * size)
    }
}

/// A vector whose norm is more than this part of what its bounds come from has a direction.
pub const CLEAR: f64 = 1.02 * COUNTS * COUNTS * ROUNDING;
