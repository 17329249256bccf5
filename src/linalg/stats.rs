//! Norms and sums in `f64` that survive any magnitude and any number of threads.
//!
//! Owns the Euclidean norm and the accumulator of a mean vector. A mean is summed block by block and the blocks are
//! added in row order, so it does not depend on how blocks were spread over threads.

use super::simd;

/// Euclidean norm of `v`. Squares that would overflow or vanish are avoided by scaling first.
pub fn norm(v: &[f64]) -> f64 {
    let squares = simd::dot_f64(v, v);
    if (1e-280..=1e280).contains(&squares) {
        return squares.sqrt();
    }
    let largest = v.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    v.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt() * largest
}

/// The sum of some vectors and how many they were.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorSum {
    /// Element-wise sum.
    pub sum: Vec<f64>,
    /// Number of vectors summed.
    pub count: u64,
}

impl VectorSum {
    /// The sum of no vectors of dimension `dimension`.
    pub fn new(dimension: usize) -> Self {
        VectorSum { sum: vec![0.0; dimension], count: 0 }
    }

    /// Adds one vector.
    pub fn add(&mut self, v: &[f64]) {
        for (sum, x) in self.sum.iter_mut().zip(v) {
            *sum += x;
        }
        self.count += 1;
    }

    /// Adds the sum of later rows.
    pub fn merge(&mut self, later: &VectorSum) {
        for (sum, x) in self.sum.iter_mut().zip(&later.sum) {
            *sum += x;
        }
        self.count += later.count;
    }

    /// The sum divided by the count; the zero vector where nothing was added.
    pub fn mean(&self) -> Vec<f64> {
        let count = self.count.max(1) as f64;
        self.sum.iter().map(|x| x / count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_of_any_magnitude() {
        for scale in [1.0, 1e-45, 1e38, 1e-200, 1e200, 5e-324] {
            let n = norm(&[3.0 * scale, 0.0, 4.0 * scale]);
            assert!((n / scale - 5.0).abs() < 1e-9, "{scale}: {n}");
        }
        assert_eq!(norm(&[]), 0.0);
        assert_eq!(norm(&[0.0, -0.0]), 0.0);
    }

    #[test]
    fn a_mean_is_its_blocks_in_order() {
        let mut first = VectorSum::new(2);
        first.add(&[1.0, 2.0]);
        first.add(&[3.0, 4.0]);
        let mut second = VectorSum::new(2);
        second.add(&[5.0, 9.0]);
        first.merge(&second);
        assert_eq!(first.mean(), [3.0, 5.0]);
        assert_eq!(VectorSum::new(2).mean(), [0.0, 0.0]);
    }
}
