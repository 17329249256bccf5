//! The operations that steps are made of, with statistics filled in.
//!
//! Owns [`Op`] and [`Basis`]: what each is, how much longer it can make a vector, and how much rounding it adds. They
//! are run by `program`, many rows at a time by `tile`, and backward by `fold`.

use crate::linalg::{Matrix, matrix, simd};
use crate::types::Statistic;
use std::sync::Arc;

/// One operation on one vector.
#[derive(Debug, Clone)]
pub enum Op {
    /// Subtract the vector's own mean.
    OwnMean,
    /// Subtract this vector.
    Shift(Arc<[f64]>),
    /// Divide by the norm.
    Normalize,
    /// Keep the first `to` of `from` elements.
    Truncate {
        /// Input dimension.
        from: usize,
        /// Output dimension.
        to: usize,
    },
    /// Multiply by a matrix, `k x d`.
    Matrix(Arc<Matrix>),
    /// Divide element by element; the divisors are positive.
    Divide(Arc<[f64]>),
    /// Coordinates along directions, `V x`.
    Coordinates(Basis),
    /// What directions leave over, `x - V'(V x)`.
    Remove(Basis),
}

impl Op {
    /// How much longer a vector can get: a bound on the norm of the linear part.
    pub fn growth(&self) -> f64 {
        match self {
            Op::Matrix(matrix) => matrix.frobenius(),
            Op::Divide(divisor) => 1.0 / divisor.iter().copied().fold(f64::INFINITY, f64::min),
            // Directions are orthonormal but for rounding.
            Op::Coordinates(_) | Op::Remove(_) => 1.0 + 1e-9,
            Op::OwnMean | Op::Shift(_) | Op::Normalize | Op::Truncate { .. } => 1.0,
        }
    }

    /// How many times `(dimension + 16) 2^-53` of the vector's norm times [`Op::growth`] applying it (or its adjoint)
    /// may err, at most: the error of a product with `V` is that part of `|V||x|`, and `k` orthonormal rows have a
    /// Frobenius norm of `sqrt(k)`.
    pub fn roundings(&self) -> f64 {
        match self {
            Op::Coordinates(basis) => (basis.count as f64).sqrt(),
            Op::Remove(basis) => 1.0 + 2.0 * (basis.count as f64).sqrt(),
            _ => 1.0,
        }
    }
}

/// The first `count` of the orthonormal directions of a statistic.
#[derive(Debug, Clone)]
pub struct Basis {
    statistic: Arc<Statistic>,
    count: usize,
    dimension: usize,
}

impl Basis {
    /// The directions of `statistic`, in dimension `dimension`; none of a statistic that has none.
    pub fn new(statistic: &Arc<Statistic>, dimension: usize) -> Self {
        let mut basis = Basis { statistic: Arc::clone(statistic), count: 0, dimension };
        basis.count = basis.rows().len() / dimension.max(1);
        basis
    }

    /// `k x d`, row-major.
    pub fn rows(&self) -> &[f64] {
        if let Statistic::Directions { directions, .. } = &*self.statistic { directions } else { &[] }
    }

    /// Number of directions `k`.
    pub fn count(&self) -> usize {
        self.count
    }

    /// `out = V x`.
    pub fn coordinates(&self, x: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.extend(self.rows().chunks_exact(self.dimension).map(|row| simd::dot_f64(row, x)));
    }

    /// `out = V'u`.
    pub fn combine(&self, u: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.resize(self.dimension, 0.0);
        for (row, &factor) in self.rows().chunks_exact(self.dimension).zip(u) {
            out.iter_mut().zip(row).for_each(|(out, x)| *out += factor * x);
        }
    }

    /// `x -= V'(V x)`; it is its own adjoint.
    pub fn remove(&self, x: &mut [f64]) {
        let (mut coordinates, mut along) = (Vec::new(), Vec::new());
        self.coordinates(x, &mut coordinates);
        self.combine(&coordinates, &mut along);
        x.iter_mut().zip(&along).for_each(|(x, along)| *x -= along);
    }

    /// [`Basis::remove`] for a tile of rows, `n x d`; `scratch` is room for their coordinates.
    pub fn remove_from_rows(&self, rows: &mut [f64], scratch: &mut Vec<f64>) {
        scratch.clear();
        scratch.resize(rows.len() / self.dimension.max(1) * self.count, 0.0);
        matrix::product_f64(rows, self.rows(), scratch, self.dimension);
        matrix::subtract_product_f64(scratch, self.rows(), rows, self.dimension);
    }
}
