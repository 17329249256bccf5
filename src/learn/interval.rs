//! Means of differences with the interval in which they may lie.
//!
//! Owns the percentile bootstrap (Efron 1979) that `try` shows. The same values and seed give the same bits.

use crate::linalg::random::Random;

/// Resamples: the ends are then steady to about a hundredth of the interval.
const RESAMPLES: usize = 2_000;

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Its 2.5th percentile over resamples.
    pub low: f64,
    /// Its 97.5th percentile over resamples.
    pub high: f64,
    /// The mean over its standard error; 0 where the mean is 0, infinite where all values are the same other number.
    pub z: f64,
}

/// The mean of `values` with its interval; all zeros of none.
pub fn interval(values: &[f64], seed: u64) -> Interval {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares / (n - 1.0).max(1.0) / n).sqrt();
    let mut random = Random(seed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..values.len()).filter_map(|_| values.get(random.below(values.len() as u64) as usize));
            drawn.sum::<f64>() / n
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| means.get((share * (RESAMPLES - 1) as f64).round() as usize).copied().unwrap_or(mean);
    Interval { mean, low: at(0.025), high: at(0.975), z: if mean == 0.0 { 0.0 } else { mean / error } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_as_wide_as_the_normal_one() {
        let values: Vec<f64> = (0..400).map(|at| f64::from(at % 20) / 20.0).collect();
        let found = interval(&values, 1);
        assert_eq!(found, interval(&values, 1));
        let error = (0.083_125 / 399.0_f64).sqrt();
        assert!((found.mean - 0.475).abs() < 1e-12 && (found.z - 0.475 / error).abs() < 0.1, "{found:?}");
        assert!((found.high - found.low - 2.0 * 1.96 * error).abs() < 0.3 * error, "{found:?}");
        assert_eq!(interval(&[0.5], 0).z, f64::INFINITY);
        assert_eq!((interval(&[], 0).mean, interval(&[0.0; 5], 0).z), (0.0, 0.0));
    }
}
