//! The steps of one side of a lens, with statistics filled in, run one after another on one vector in `f64`.
//!
//! Owns [`Program`] and [`Traveller`]: the reproducible path by which queries are processed and shown scores are
//! computed. It knows nothing of folding, and leaves it to `noise` when a vector has no direction.

use super::noise::{Guard, Noise, TINIEST_NORM};
pub use super::op::{Basis, Op};
use crate::linalg::{simd, stats};
use std::sync::OnceLock;

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
    noise: Noise,
    scratch: Vec<f64>,
}

impl Traveller {
    /// A vector at the start of a program.
    pub fn new(vector: Vec<f64>) -> Self {
        Traveller { vector, ..Traveller::default() }
    }

    /// A sum of terms at the start of a program; `largest` has the largest of their absolute values for each
    /// coordinate.
    pub fn new_sum(vector: Vec<f64>, largest: &[f64]) -> Self {
        let mut traveller = Traveller::new(vector);
        traveller.noise.begin_sum(&traveller.vector, largest);
        traveller
    }

    /// Applies `op`. `None` when a direction is needed and there is none; otherwise the norm that was divided by,
    /// or 1.
    pub fn apply(&mut self, op: &Op, undirected: Undirected) -> Option<f64> {
        if undirected == Undirected::GoOn {
            let norm = if let Op::Normalize = op { stats::norm(&self.vector).max(TINIEST_NORM) } else { 1.0 };
            self.go(op, norm);
            return Some(norm);
        }
        let norm = if let Op::Normalize = op { self.noise.direction(&self.vector)? } else { 1.0 };
        self.noise.before(op, &self.vector);
        self.go(op, norm);
        self.noise.after(op, &self.vector);
        Some(norm)
    }

    /// Applies `op`; a normalization divides by `norm`.
    fn go(&mut self, op: &Op, norm: f64) {
        match op {
            Op::Matrix(matrix) => {
                matrix.apply(&self.vector, &mut self.scratch);
                std::mem::swap(&mut self.vector, &mut self.scratch);
            }
            Op::Coordinates(basis) => {
                basis.coordinates(&self.vector, &mut self.scratch);
                std::mem::swap(&mut self.vector, &mut self.scratch);
            }
            Op::Truncate { to, .. } => self.vector.truncate(*to),
            _ => apply_in_place(op, &mut self.vector, norm),
        }
    }
}

/// Applies an operation that keeps the dimension; a normalization divides by `norm`.
pub fn apply_in_place(op: &Op, vector: &mut [f64], norm: f64) {
    match op {
        Op::OwnMean => subtract_own_mean(vector),
        Op::Shift(mean) => simd::subtract(vector, mean),
        Op::Normalize => simd::divide_by_number(vector, norm),
        Op::Divide(divisor) => simd::divide(vector, divisor),
        Op::Remove(basis) => basis.remove(vector),
        Op::Truncate { .. } | Op::Matrix(_) | Op::Coordinates(_) => {
            debug_assert!(false, "{op:?} changes the dimension");
        }
    }
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
    /// Before each of them, and behind the last. Made when they are first asked for.
    guards: OnceLock<Vec<Guard>>,
}

impl Program {
    /// These operations.
    pub fn new(ops: Vec<Op>) -> Self {
        Program { ops, guards: OnceLock::new() }
    }

    /// Adds operations at the end.
    pub fn extend(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.ops.extend(ops);
        self.guards = OnceLock::new();
    }

    /// Runs all operations; false when a direction was needed and there was none.
    pub fn run(&self, traveller: &mut Traveller, undirected: Undirected) -> bool {
        match undirected {
            Undirected::Stop => self.find_undirected(traveller).is_none(),
            Undirected::GoOn => {
                self.ops.iter().for_each(|op| _ = traveller.apply(op, undirected));
                true
            }
        }
    }

    /// Runs all operations; the position of the first that needs a direction where there is none.
    pub fn find_undirected(&self, traveller: &mut Traveller) -> Option<usize> {
        if traveller.noise.is_clear() {
            // Kept for when a norm alone does not tell.
            let start = traveller.vector.clone();
            if self.run_clear(traveller) {
                return None;
            }
            traveller.vector = start;
            traveller.noise.clear();
        }
        let found = self.ops.iter().position(|op| traveller.apply(op, Undirected::Stop).is_none());
        traveller.noise.clear();
        found
    }

    /// Runs all operations on a vector that nothing was subtracted from, as long as its norms alone show that it has a
    /// direction.
    fn run_clear(&self, traveller: &mut Traveller) -> bool {
        let guards = self.guards.get_or_init(|| Guard::of(&self.ops));
        let mut carried = 0.0;
        for (op, guard) in self.ops.iter().zip(guards) {
            let mut norm = 1.0;
            if let Op::Normalize = op {
                norm = stats::norm(&traveller.vector);
                if !guard.is_clear(norm, carried) {
                    return false;
                }
            }
            carried = guard.carry(op, carried, || stats::norm(&traveller.vector));
            traveller.go(op, norm);
        }
        true
    }

    /// Runs all operations on each of `travellers`, which are of one dimension and meet each matrix together; the bits
    /// are those of [`Program::run`]. Rows without a direction go on.
    pub fn run_together(&self, travellers: &mut [Traveller]) {
        for op in &self.ops {
            let Op::Matrix(matrix) = op else {
                travellers.iter_mut().for_each(|traveller| _ = traveller.apply(op, Undirected::GoOn));
                continue;
            };
            let mut out: Vec<Vec<f64>> = travellers.iter_mut().map(|it| std::mem::take(&mut it.scratch)).collect();
            let vectors: Vec<&[f64]> = travellers.iter().map(|it| it.vector.as_slice()).collect();
            matrix.apply_together(&vectors, &mut out);
            for (traveller, out) in travellers.iter_mut().zip(out) {
                traveller.scratch = std::mem::replace(&mut traveller.vector, out);
            }
        }
    }

    /// Dimension of what comes out when `input` goes in.
    pub fn output_dimension(&self, input: usize) -> usize {
        self.ops.iter().fold(input, |dimension, op| match op {
            Op::Truncate { to, .. } => *to,
            Op::Matrix(matrix) => matrix.rows(),
            Op::Coordinates(basis) => basis.count(),
            Op::OwnMean | Op::Shift(_) | Op::Normalize | Op::Divide(_) | Op::Remove(_) => dimension,
        })
    }

    /// Multiplications that one vector of dimension `input` takes, about.
    pub fn multiplications(&self, input: usize) -> usize {
        let of = |(dimension, work): (usize, usize), op: &Op| match op {
            Op::Truncate { to, .. } => (*to, work),
            Op::Matrix(matrix) => (matrix.rows(), work + matrix.rows() * dimension),
            Op::Coordinates(basis) => (basis.count(), work + basis.count() * dimension),
            Op::Remove(basis) => (dimension, work + 2 * basis.count() * dimension),
            Op::OwnMean | Op::Shift(_) | Op::Normalize | Op::Divide(_) => (dimension, work + dimension),
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
    use crate::linalg::Matrix;
    use crate::types::Statistic;
    use std::sync::Arc;

    fn run(ops: Vec<Op>, vector: &[f64]) -> Option<Vec<f64>> {
        let mut traveller = Traveller::new(vector.to_vec());
        Program::new(ops).run(&mut traveller, Undirected::Stop).then_some(traveller.vector)
    }

    #[test]
    fn steps_do_what_their_names_say() {
        let half = Arc::new(Matrix::new(1, 2, vec![0.5, -0.5]).unwrap());
        assert_eq!(run(vec![Op::OwnMean], &[1.0, 2.0, 6.0]).unwrap(), [-2.0, -1.0, 3.0]);
        assert_eq!(run(vec![Op::Shift(Arc::from([1.0, 1.0]))], &[3.0, 0.0]).unwrap(), [2.0, -1.0]);
        assert_eq!(run(vec![Op::Normalize], &[3.0, 4.0]).unwrap(), [0.6, 0.8]);
        assert_eq!(run(vec![Op::Truncate { from: 2, to: 1 }], &[3.0, 4.0]).unwrap(), [3.0]);
        assert_eq!(run(vec![Op::Matrix(half)], &[3.0, 4.0]).unwrap(), [-0.5]);
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
        close(run(vec![Op::Divide(Arc::from([2.0, 4.0, 0.5]))], &[5.0, 10.0, 7.0]), &[2.5, 2.5, 14.0]);
        // What is removed was subtracted: nothing of a vector along the direction is left but rounding.
        assert!(run(vec![Op::Remove(basis.clone()), Op::Normalize], &[0.3, 0.4, 0.0]).is_none());
        assert!(run(vec![Op::Remove(basis), Op::Normalize], &[0.3, 0.4, 1e-5]).is_some());
        // A division does not hide it.
        let small: Arc<[f64]> = Arc::from([1.0, 1.0]);
        let ops = vec![Op::Shift(small), Op::Divide(Arc::from([1e-9, 1e-9])), Op::Normalize];
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
        let ops = vec![Op::Shift(mean), Op::Matrix(tiny), Op::Normalize];
        assert!(run(ops.clone(), &[1.0, 1.0 + 1e-8]).is_none());
        assert!(run(ops, &[1.0, 2.0]).is_some(), "a small matrix is not a small direction");
    }
}
