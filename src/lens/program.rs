//! The steps of one side of a lens, with statistics filled in, run one after another on one vector in `f64`.
//!
//! Owns [`Program`] and [`Op`]: the reproducible path by which queries are processed and shown scores are computed.
//! Also owns the rule for when a vector has no direction. It knows nothing of folding.
//!
//! The rule: a subtraction that leaves almost nothing leaves rounding errors. So a vector carries a *reference*, the
//! largest norm that went into a subtraction since it last had unit length. Subtractions are own-mean, a shift (by the
//! length of the vector or of the mean) and removed directions. What multiplies the vector multiplies the reference by
//! its ordinary gain, the root mean square of its singular values: a matrix its own, a division by `s_i` that of
//! `1 / s_i`, coordinates along orthonormal directions 1. A step that needs a direction finds none where the norm is
//! at most [`ZERO_RATIO`] of the reference, or where it is zero.

use crate::linalg::{Matrix, matrix, simd, stats};
use crate::types::Statistic;
use std::sync::Arc;

/// A norm of at most this part of the reference counts as zero.
pub const ZERO_RATIO: f64 = 1e-6;
/// Norms up to this count as zero whatever went before: their reciprocals would leave the range of `f64`.
const TINIEST_NORM: f64 = 1e-290;

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
    /// Multiply by a matrix.
    Matrix {
        /// `k x d`.
        matrix: Arc<Matrix>,
        /// [`Matrix::gain`].
        gain: f64,
    },
    /// Divide element by element.
    Divide {
        /// Positive.
        divisor: Arc<[f64]>,
        /// Root mean square of the reciprocals.
        gain: f64,
    },
    /// Coordinates along directions, `V x`.
    Coordinates(Basis),
    /// What directions leave over, `x - V'(V x)`.
    Remove(Basis),
}

impl Op {
    /// Multiplication by `matrix`.
    pub fn matrix(matrix: &Arc<Matrix>) -> Op {
        Op::Matrix { matrix: Arc::clone(matrix), gain: matrix.gain() }
    }

    /// Division by `divisor`, positive.
    pub fn divide(divisor: &[f64]) -> Op {
        let reciprocals: Vec<f64> = divisor.iter().map(|x| 1.0 / x).collect();
        let gain = stats::norm(&reciprocals) / (divisor.len().max(1) as f64).sqrt();
        Op::Divide { divisor: Arc::from(divisor), gain }
    }

    /// How much longer a vector can get: a bound on the norm of the linear part.
    pub fn growth(&self) -> f64 {
        match self {
            Op::Matrix { matrix, .. } => matrix.frobenius(),
            Op::Divide { divisor, .. } => 1.0 / divisor.iter().copied().fold(f64::INFINITY, f64::min),
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
    fn coordinates(&self, x: &[f64], out: &mut Vec<f64>) {
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

/// What a direction-seeking step does with a vector that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undirected {
    /// Stop and say so.
    Stop,
    /// Go on with whatever is there. For rows that are known to be directed: the decision was made once, for all
    /// paths, when the records were prepared.
    GoOn,
}

/// A vector on its way through a program, with room to work in.
#[derive(Debug, Clone, Default)]
pub struct Traveller {
    /// The vector.
    pub vector: Vec<f64>,
    /// The largest norm that went into a subtraction, see the module's rule.
    pub reference: f64,
    scratch: Vec<f64>,
}

impl Traveller {
    /// A vector at the start of a program; `reference` is that of the subtractions it is the result of, or 0.
    pub fn new(vector: Vec<f64>, reference: f64) -> Self {
        Traveller { vector, reference, scratch: Vec::new() }
    }

    /// Applies `op`. `None` when a direction is needed and there is none; otherwise the norm that was divided by,
    /// or 1.
    pub fn apply(&mut self, op: &Op, undirected: Undirected) -> Option<f64> {
        match op {
            Op::Matrix { matrix, gain } => {
                matrix.apply(&self.vector, &mut self.scratch);
                std::mem::swap(&mut self.vector, &mut self.scratch);
                self.reference *= gain;
                Some(1.0)
            }
            Op::Coordinates(basis) => {
                basis.coordinates(&self.vector, &mut self.scratch);
                std::mem::swap(&mut self.vector, &mut self.scratch);
                Some(1.0)
            }
            Op::Truncate { to, .. } => {
                self.vector.truncate(*to);
                Some(1.0)
            }
            _ => apply_in_place(op, &mut self.vector, &mut self.reference, undirected),
        }
    }
}

/// Applies an operation that keeps the dimension, see [`Traveller::apply`].
pub fn apply_in_place(op: &Op, vector: &mut [f64], reference: &mut f64, undirected: Undirected) -> Option<f64> {
    match op {
        Op::OwnMean => {
            // The norm of the part subtracted is at most the norm of the vector.
            *reference = reference.max(stats::norm(vector));
            subtract_own_mean(vector);
        }
        Op::Shift(mean) => {
            *reference = reference.max(stats::norm(vector)).max(stats::norm(mean));
            simd::subtract(vector, mean);
        }
        Op::Normalize => {
            let found = direction(vector, *reference);
            let norm = match (found, undirected) {
                (Some(norm), _) => norm,
                (None, Undirected::Stop) => return None,
                (None, Undirected::GoOn) => stats::norm(vector).max(TINIEST_NORM),
            };
            simd::divide_by_number(vector, norm);
            *reference = 0.0;
            return Some(norm);
        }
        Op::Divide { divisor, gain } => {
            simd::divide(vector, divisor);
            *reference *= gain;
        }
        Op::Remove(basis) => {
            *reference = reference.max(stats::norm(vector));
            basis.remove(vector);
        }
        Op::Truncate { .. } | Op::Matrix { .. } | Op::Coordinates(_) => {
            debug_assert!(false, "{op:?} changes the dimension")
        }
    }
    Some(1.0)
}

/// The norm of a vector; `None` where it counts as zero.
pub fn direction(vector: &[f64], reference: f64) -> Option<f64> {
    let norm = stats::norm(vector);
    (norm > TINIEST_NORM && norm > ZERO_RATIO * reference).then_some(norm)
}

/// `v -= mean(v)`; it is its own adjoint.
pub fn subtract_own_mean(vector: &mut [f64]) {
    let mean = simd::sum_f64(vector) / vector.len().max(1) as f64;
    simd::subtract_number(vector, mean);
}

/// The operations of one side in order.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// First to last.
    pub ops: Vec<Op>,
}

impl Program {
    /// Runs all operations; false when a direction was needed and there was none.
    pub fn run(&self, traveller: &mut Traveller, undirected: Undirected) -> bool {
        self.ops.iter().all(|op| traveller.apply(op, undirected).is_some())
    }

    /// Runs all operations on each of `travellers`, which are of one dimension and meet each matrix together; the bits are
    /// those of [`Program::run`]. Rows without a direction go on.
    pub fn run_together(&self, travellers: &mut [Traveller]) {
        for op in &self.ops {
            let Op::Matrix { matrix, gain } = op else {
                travellers.iter_mut().for_each(|traveller| _ = traveller.apply(op, Undirected::GoOn));
                continue;
            };
            let mut out: Vec<Vec<f64>> = travellers.iter_mut().map(|it| std::mem::take(&mut it.scratch)).collect();
            let vectors: Vec<&[f64]> = travellers.iter().map(|it| it.vector.as_slice()).collect();
            matrix.apply_together(&vectors, &mut out);
            for (traveller, out) in travellers.iter_mut().zip(out) {
                traveller.scratch = std::mem::replace(&mut traveller.vector, out);
                traveller.reference *= gain;
            }
        }
    }

    /// Dimension of what comes out when `input` goes in.
    pub fn output_dimension(&self, input: usize) -> usize {
        self.ops.iter().fold(input, |dimension, op| match op {
            Op::Truncate { to, .. } => *to,
            Op::Matrix { matrix, .. } => matrix.rows(),
            Op::Coordinates(basis) => basis.count,
            Op::OwnMean | Op::Shift(_) | Op::Normalize | Op::Divide { .. } | Op::Remove(_) => dimension,
        })
    }

    /// Multiplications that one vector of dimension `input` takes, about.
    pub fn multiplications(&self, input: usize) -> usize {
        let of = |(dimension, work): (usize, usize), op: &Op| match op {
            Op::Truncate { to, .. } => (*to, work),
            Op::Matrix { matrix, .. } => (matrix.rows(), work + matrix.rows() * dimension),
            Op::Coordinates(basis) => (basis.count, work + basis.count * dimension),
            Op::Remove(basis) => (dimension, work + 2 * basis.count * dimension),
            Op::OwnMean | Op::Shift(_) | Op::Normalize | Op::Divide { .. } => (dimension, work + dimension),
        };
        self.ops.iter().fold((input, input), of).1
    }

    /// Number of normalizations.
    pub fn normalizations(&self) -> usize {
        self.ops.iter().filter(|op| matches!(op, Op::Normalize)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ops: Vec<Op>, vector: &[f64]) -> Option<Vec<f64>> {
        let mut traveller = Traveller::new(vector.to_vec(), 0.0);
        Program { ops }.run(&mut traveller, Undirected::Stop).then_some(traveller.vector)
    }

    #[test]
    fn steps_do_what_their_names_say() {
        let half = Arc::new(Matrix::new(1, 2, vec![0.5, -0.5]).unwrap());
        assert_eq!(run(vec![Op::OwnMean], &[1.0, 2.0, 6.0]).unwrap(), [-2.0, -1.0, 3.0]);
        assert_eq!(run(vec![Op::Shift(Arc::from([1.0, 1.0]))], &[3.0, 0.0]).unwrap(), [2.0, -1.0]);
        assert_eq!(run(vec![Op::Normalize], &[3.0, 4.0]).unwrap(), [0.6, 0.8]);
        assert_eq!(run(vec![Op::Truncate { from: 2, to: 1 }], &[3.0, 4.0]).unwrap(), [3.0]);
        assert_eq!(run(vec![Op::matrix(&half)], &[3.0, 4.0]).unwrap(), [-0.5]);
    }

    #[test]
    fn directions_and_divisors_do_what_their_names_say() {
        let directions = vec![0.6, 0.8, 0.0];
        let statistic = Arc::new(Statistic::Directions { mean: vec![0.0; 3], directions, divisor: vec![] });
        let basis = Basis::new(&statistic, 3);
        let close = |found: Option<Vec<f64>>, expected: &[f64]| {
            let found = found.unwrap();
            assert_eq!(found.len(), expected.len());
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
        };
        close(run(vec![Op::Coordinates(basis.clone())], &[5.0, 10.0, 7.0]), &[11.0]);
        close(run(vec![Op::Remove(basis.clone())], &[5.0, 10.0, 7.0]), &[5.0 - 6.6, 10.0 - 8.8, 7.0]);
        close(run(vec![Op::divide(&[2.0, 4.0, 0.5])], &[5.0, 10.0, 7.0]), &[2.5, 2.5, 14.0]);
        // What is removed was subtracted: nothing of a vector along the direction is left but rounding.
        assert!(run(vec![Op::Remove(basis.clone()), Op::Normalize], &[0.3, 0.4, 0.0]).is_none());
        assert!(run(vec![Op::Remove(basis), Op::Normalize], &[0.3, 0.4, 1e-5]).is_some());
        // A division does not hide it.
        let small: Arc<[f64]> = Arc::from([1.0, 1.0]);
        let ops = vec![Op::Shift(small), Op::divide(&[1e-9, 1e-9]), Op::Normalize];
        assert!(run(ops.clone(), &[1.0, 1.0 + 1e-8]).is_none() && run(ops, &[1.0, 1.1]).is_some());
    }

    #[test]
    fn what_a_subtraction_leaves_over_is_no_direction() {
        let mean: Arc<[f64]> = Arc::from([1.0, 1.0]);
        let centered = |x: [f64; 2]| run(vec![Op::Shift(Arc::clone(&mean)), Op::Normalize], &x);
        assert!(centered([1.0, 1.0]).is_none());
        assert!(centered([1.0, 1.0 + 1e-7]).is_none());
        assert!(centered([1.0, 1.0 + 1e-5]).is_some());
        assert!(run(vec![Op::OwnMean, Op::Normalize], &[0.1, 0.1, 0.1]).is_none());
        assert!(run(vec![Op::Normalize], &[0.0, -0.0]).is_none());
        // Small is not zero: nothing was subtracted.
        assert!(run(vec![Op::Normalize], &[1e-40, 0.0]).is_some());
    }

    #[test]
    fn a_matrix_does_not_hide_what_was_subtracted() {
        let tiny = Arc::new(Matrix::new(2, 2, vec![1e-9, 0.0, 0.0, 1e-9]).unwrap());
        let mean: Arc<[f64]> = Arc::from([1.0, 1.0]);
        let ops = vec![Op::Shift(mean), Op::matrix(&tiny), Op::Normalize];
        assert!(run(ops.clone(), &[1.0, 1.0 + 1e-8]).is_none());
        assert!(run(ops, &[1.0, 2.0]).is_some(), "a small matrix is not a small direction");
    }
}
