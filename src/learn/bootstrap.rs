//! Means with the interval in which they may lie, by resampling.
//!
//! Owns the percentile bootstrap (Efron 1979) and Student's percentile. The same values and seed give the same bits on
//! any machine and any number of threads; values over the same queries in the same order are resampled alike.

use crate::linalg::random::Random;

/// Resamples; the ends of the interval are then steady to about a hundredth of its width.
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
    /// Standard deviation of the values (divided by n - 1) over the root of n; 0 for a single value.
    pub standard_error: f64,
    /// Number of values.
    pub count: usize,
}

impl Interval {
    /// The mean over its standard error; 0 where the mean is 0, infinite where all values are the same other number.
    pub fn z(&self) -> f64 {
        if self.mean == 0.0 { 0.0 } else { self.mean / self.standard_error }
    }

    /// Whether 0 lies outside the interval.
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The mean of `values` with its 95 % percentile interval over resamples of them; `None` of no values.
///
/// ```
/// use simile::learn::bootstrap::bootstrap;
/// let interval = bootstrap(&[0.0, 1.0, 1.0, 1.0], 0).unwrap();
/// assert_eq!(interval.mean, 0.75);
/// assert!(interval.low < 0.75 && 0.75 < interval.high);
/// ```
pub fn bootstrap(values: &[f64], seed: u64) -> Option<Interval> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let standard_error = if count < 2 { 0.0 } else { (squares / (count - 1) as f64 / count as f64).sqrt() };
    let mut random = Random::new(seed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..count).filter_map(|_| values.get(random.below(count)));
            drawn.sum::<f64>() / count as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    Some(Interval { mean, low: quantile(&means, 0.025), high: quantile(&means, 0.975), standard_error, count })
}

/// The mean of `b - a`, values of the same queries in the same order, with its interval.
///
/// # Panics
/// Never; where one list is longer its rest is left out.
pub fn paired(a: &[f64], b: &[f64], seed: u64) -> Option<Interval> {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    bootstrap(&differences, seed)
}

/// The quantile of ascending values, with a straight line between neighbours; 0 of none.
pub(crate) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let place = share * ascending.len().saturating_sub(1) as f64;
    let (below, rest) = (place.floor() as usize, place - place.floor());
    let low = ascending.get(below).copied().unwrap_or(0.0);
    let high = ascending.get(below + 1).copied().unwrap_or(low);
    low + (high - low) * rest
}

/// The 97.5th percentile of Student's distribution (Abramowitz and Stegun 26.7.5, which is exact to the third digit
/// from 6 on).
pub(super) fn student(freedom: usize) -> f64 {
    match freedom {
        0 | 1 => 12.706,
        2 => 4.303,
        3 => 3.182,
        4 => 2.776,
        5 => 2.571,
        n => {
            let (n, x) = (n as f64, 1.959_964_f64);
            let one = (x.powi(3) + x) / 4.0;
            let two = (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0;
            let three = (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0;
            x + one / n + two / (n * n) + three / (n * n * n)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_normal_distribution_for_many_values() {
        // 1,000 values of 0 and 1, 30 % ones: standard error 0.0145, so about 0.3 -+ 0.0284.
        let values: Vec<f64> = (0..1_000).map(|n| if n % 10 < 3 { 1.0 } else { 0.0 }).collect();
        let interval = bootstrap(&values, 7).unwrap();
        assert!((interval.mean - 0.3).abs() < 1e-12);
        assert!((interval.standard_error - 0.014_498).abs() < 1e-5, "{interval:?}");
        assert!((interval.low - 0.2716).abs() < 0.003 && (interval.high - 0.3284).abs() < 0.003, "{interval:?}");
        assert!((interval.z() - 20.69).abs() < 0.05);
        assert_eq!(bootstrap(&values, 7), Some(interval));
        let spread: Vec<f64> = (0..50).map(|n| f64::from(n).sqrt()).collect();
        assert_ne!(bootstrap(&spread, 7), bootstrap(&spread, 8));
    }

    #[test]
    fn few_values_and_equal_values_have_defined_intervals() {
        assert_eq!(bootstrap(&[], 0), None);
        let one = bootstrap(&[0.5], 0).unwrap();
        assert_eq!((one.mean, one.low, one.high, one.standard_error), (0.5, 0.5, 0.5, 0.0));
        let same = paired(&[0.25, 0.5], &[0.25, 0.5], 0).unwrap();
        assert_eq!((same.mean, same.low, same.high, same.z(), same.is_clear()), (0.0, 0.0, 0.0, 0.0, false));
        let better = paired(&[0.0, 0.5], &[0.5, 1.0], 0).unwrap();
        assert_eq!((better.mean, better.z(), better.is_clear()), (0.5, f64::INFINITY, true));
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.percentile([1, 2, 4, 8], [0, 2.5, 50, 97.5, 100])
        let found: Vec<f64> =
            [0.0, 0.025, 0.5, 0.975, 1.0].iter().map(|&q| quantile(&[1.0, 2.0, 4.0, 8.0], q)).collect();
        for (found, expected) in found.iter().zip([1.0, 1.075, 3.0, 7.7, 8.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn every_number_below_a_bound_comes_up_about_as_often() {
        let mut random = Random::new(1);
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[random.below(7)] += 1;
        }
        assert!(seen.iter().all(|count| (9_600..10_400).contains(count)), "{seen:?}");
        let mut items: Vec<u32> = (0..50).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn students_factor_is_that_of_the_tables() {
        for (freedom, expected) in [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (19, 2.093), (100, 1.984)] {
            assert!((student(freedom) - expected).abs() < 0.02, "{freedom}: {}", student(freedom));
        }
        assert!((student(1_000_000) - 1.96).abs() < 1e-4);
    }
}
