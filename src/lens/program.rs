//! The steps of one side of a lens, with statistics filled in, run one after another on one vector in `f64`.
//!
//! Owns [`Program`] and [`Op`]: the reproducible path by which queries are processed and shown scores are computed.
//! Also owns the rule for when a vector has no direction. It knows nothing of folding.
//!
//! The rule: a subtraction (`center`, `center corpus`) that leaves almost nothing leaves rounding errors. So a
//! vector carries a *reference*, the largest norm that went into a subtraction since it last had unit length; a
//! matrix multiplies it by the matrix's ordinary gain. A step that needs a direction finds none where the norm is at
//! most [`ZERO_RATIO`] of the reference, or where it is zero.

use crate::linalg::{Matrix, scalar, stats};
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
}

impl Op {
    /// Multiplication by `matrix`.
    pub fn matrix(matrix: &Arc<Matrix>) -> Op {
        Op::Matrix { matrix: Arc::clone(matrix), gain: matrix.gain() }
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
            vector.iter_mut().zip(mean.iter()).for_each(|(x, m)| *x -= m);
        }
        Op::Normalize => {
            let found = direction(vector, *reference);
            let norm = match (found, undirected) {
                (Some(norm), _) => norm,
                (None, Undirected::Stop) => return None,
                (None, Undirected::GoOn) => stats::norm(vector).max(TINIEST_NORM),
            };
            vector.iter_mut().for_each(|x| *x /= norm);
            *reference = 0.0;
            return Some(norm);
        }
        Op::Truncate { .. } | Op::Matrix { .. } => debug_assert!(false, "{op:?} changes the dimension"),
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
    let mean = scalar::sum_f64(vector) / vector.len().max(1) as f64;
    vector.iter_mut().for_each(|x| *x -= mean);
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

    /// Dimension of what comes out when `input` goes in.
    pub fn output_dimension(&self, input: usize) -> usize {
        self.ops.iter().fold(input, |dimension, op| match op {
            Op::Truncate { to, .. } => *to,
            Op::Matrix { matrix, .. } => matrix.rows(),
            Op::OwnMean | Op::Shift(_) | Op::Normalize => dimension,
        })
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
