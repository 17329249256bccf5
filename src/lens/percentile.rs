//! Where a value stands among those of random pairs: a table of quantiles, and how a place is read from it.
//!
//! Owns [`Percentiles`]. Places are whole thousandths, rounded down: nothing finer can be told from the pairs that are
//! drawn, and no value is said to be above all of them. It knows neither pairs nor rows. Invariant: a place read from
//! the table is the one that counting all values would give.

use rayon::prelude::*;

/// Steps between the least and the greatest value.
pub const STEPS: usize = 1000;

/// Part of a value, and of the spread of the middle nine tenths, by which values that are equal may differ: they may
/// come from products in single precision.
const SLACK: f64 = 1e-6;

/// The quantiles of a sample of scores or distances.
#[derive(Debug, Clone, PartialEq)]
pub struct Percentiles {
    /// Similarities (scores, or minus the distances) at 0, 0.1, 0.2 ... 100 per cent, ascending; [`STEPS`]` + 1`.
    keys: Vec<f64>,
    is_distance: bool,
    count: u64,
}

impl Percentiles {
    /// The table of `values`, sorted in the current rayon pool; `None` of none, and of values of which one is not a
    /// number.
    pub fn new(mut values: Vec<f64>, is_distance: bool) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return None;
        }
        if is_distance {
            values.iter_mut().for_each(|value| *value = -*value);
        }
        values.par_sort_unstable_by(f64::total_cmp);
        let n = values.len();
        // The least value that at least `step` thousandths of all are not above.
        let at = |step: usize| values.get((step * n).div_ceil(STEPS).saturating_sub(1)).copied();
        let keys = (0..=STEPS).filter_map(at).collect();
        Some(Percentiles { keys, is_distance, count: n as u64 })
    }

    /// A table as [`Percentiles::quantiles`] gave it, over `count` values; `None` where it is not one.
    pub fn from_quantiles(quantiles: &[f64], is_distance: bool, count: u64) -> Option<Self> {
        if quantiles.len() != STEPS + 1 || count == 0 || !quantiles.is_sorted() {
            return None;
        }
        let keys = if is_distance { quantiles.iter().rev().map(|value| -value).collect() } else { quantiles.to_vec() };
        Some(Percentiles { keys, is_distance, count })
    }

    /// The values at 0, 0.1 ... 100 per cent, ascending: [`STEPS`]` + 1` numbers.
    pub fn quantiles(&self) -> Vec<f64> {
        if self.is_distance { self.keys.iter().rev().map(|key| -key).collect() } else { self.keys.clone() }
    }

    /// How many values it was made of.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many thousandths of the values are less similar than `value`, rounded down: 0 to 999.
    pub fn thousandths(&self, value: f64) -> u32 {
        let key = if self.is_distance { -value } else { value };
        let spread = match (self.keys.get(STEPS / 20), self.keys.get(STEPS - STEPS / 20)) {
            (Some(low), Some(high)) if (high - low).is_finite() => high - low,
            _ => 0.0,
        };
        let key = key - SLACK * (spread + key.abs());
        let places = self.keys.get(1..STEPS).unwrap_or_default();
        places.partition_point(|quantile| *quantile < key) as u32
    }

    /// [`Percentiles::thousandths`] as a percentile: 0 to 99.9, with at most one decimal.
    pub fn percentile(&self, value: f64) -> f64 {
        f64::from(self.thousandths(value)) / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(values: &[f64], value: f64, is_distance: bool) -> u32 {
        let less = |other: &&f64| if is_distance { **other > value } else { **other < value };
        let below = values.iter().filter(less).count();
        ((below * STEPS / values.len()) as u32).min(999)
    }

    #[test]
    fn a_place_is_what_counting_gives() {
        let mut state = 7_u64;
        for n in [1, 2, 3, 9, 999, 1000, 1001, 1560, 4321] {
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Few different ones, so that there are ties.
                ((state >> 33) % 700) as f64 / 70.0
            };
            let values: Vec<f64> = (0..n).map(|_| random()).collect();
            for is_distance in [false, true] {
                let table = Percentiles::new(values.clone(), is_distance).unwrap();
                let read = Percentiles::from_quantiles(&table.quantiles(), is_distance, table.count()).unwrap();
                assert!(table.quantiles().is_sorted() && read == table);
                for &value in values.iter().chain(&[-1.0, 3.17, 11.0]) {
                    assert_eq!(table.thousandths(value), counted(&values, value, is_distance), "{n} {value}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_above_everything_and_rounding_is_no_difference() {
        let values: Vec<f64> = (0..100_000).map(|i| f64::from(i) / 1e5).collect();
        let table = Percentiles::new(values, false).unwrap();
        assert_eq!((table.percentile(2.0), table.percentile(-1.0), table.percentile(0.5)), (99.9, 0.0, 50.0));
        assert_eq!(table.percentile(0.4999), 49.9);
        let ties = Percentiles::new([vec![0.2; 50], vec![1.0; 50]].concat(), false).unwrap();
        assert_eq!(
            (ties.percentile(1.0 + 1e-8), ties.percentile(1.0 - 1e-8), ties.percentile(1.1)),
            (50.0, 50.0, 99.9)
        );
        let near = Percentiles::new(vec![1.0, 2.0, 3.0, 4.0], true).unwrap();
        assert_eq!((near.percentile(0.5), near.percentile(1.5), near.percentile(4.0)), (99.9, 75.0, 0.0));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(Percentiles::new(vec![], false).is_none() && Percentiles::new(vec![1.0, f64::NAN], false).is_none());
        assert!(Percentiles::from_quantiles(&[0.0; 1000], false, 5).is_none());
        assert!(Percentiles::from_quantiles(&[0.0; 1001], false, 0).is_none());
        let mut falling = [0.0; 1001];
        falling[1000] = -1.0;
        assert!(Percentiles::from_quantiles(&falling, false, 5).is_none());
        assert!(Percentiles::new(vec![3.0; 7], false).unwrap().percentile(3.0) == 0.0);
    }
}
