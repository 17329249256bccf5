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

/// The smallest power of two above `x >= 0`, within the normal range; 1 for zero.
pub fn power_of_two_above(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    f64::from_bits(((exponent.clamp(-1000, 1000) + 1023) as u64) << 52)
}

/// The middle of `values` (the mean of the two in the middle); 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n.is_multiple_of(2) => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        n => sorted[n / 2],
    }
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
        simd::add(&mut self.sum, v);
        self.count += 1;
    }

    /// Adds the sum of later rows.
    pub fn merge(&mut self, later: &VectorSum) {
        simd::add(&mut self.sum, &later.sum);
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
    fn scales_are_the_next_power_of_two() {
        assert_eq!(power_of_two_above(1.0), 2.0);
        assert_eq!(power_of_two_above(0.75), 1.0);
        assert_eq!(power_of_two_above(3e10), 2f64.powi(35));
        assert_eq!(power_of_two_above(0.0), 1.0);
        assert!(power_of_two_above(1e-320) > 0.0);
    }

    #[test]
    fn the_middle_of_any_count() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 0.0, 3.0]), 2.0);
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
