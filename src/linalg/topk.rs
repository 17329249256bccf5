//! The best k of many when each value is only known to lie in an interval.
//!
//! Owns [`Candidates`]: it keeps every row that could be among the k best and forgets the rest as soon as that is
//! certain. It knows nothing of where values come from.
//!
//! Why no candidate is lost: let `t` be the k-th largest lower end seen so far, or the caller's threshold where that
//! is larger. At least k rows have a true value of at least `t`, so the k-th best true value is at least `t`, and a
//! row whose upper end is below `t` is not among the best (nor above the threshold). `t` only grows.

use std::sync::atomic::{AtomicU64, Ordering};

/// A row whose true value lies in `lower..=upper`; larger is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The row.
    pub row: u32,
    /// The true value is at least this.
    pub lower: f64,
    /// The true value is at most this.
    pub upper: f64,
}

/// Rows that may be among the `k` best.
#[derive(Debug, Clone)]
pub struct Candidates {
    k: usize,
    threshold: f64,
    kept: Vec<Candidate>,
    /// Length of `kept` at which it is pruned next: twice what was left last time, so pruning is linear overall.
    limit: usize,
    lowers: Vec<f64>,
}

/// A threshold that tasks share. It only grows, and every value it takes is a true lower bound of the k-th best, so the
/// order in which tasks meet it changes how much work they do and nothing else.
#[derive(Debug)]
pub struct SharedThreshold(AtomicU64);

impl SharedThreshold {
    /// Starts from minus infinity.
    pub fn new() -> Self {
        SharedThreshold(AtomicU64::new(ordered(f64::NEG_INFINITY)))
    }

    /// Raises it to `threshold` if that is larger; the larger of the two.
    fn raise(&self, threshold: f64) -> f64 {
        // Relaxed: the number stands for itself, nothing else is published with it.
        let before = self.0.fetch_max(ordered(threshold), Ordering::Relaxed);
        unordered(before).max(threshold)
    }
}

impl Default for SharedThreshold {
    fn default() -> Self {
        SharedThreshold::new()
    }
}

/// The bits of `x` such that integers compare as the numbers do.
fn ordered(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The inverse of [`ordered`].
fn unordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

/// Fewest candidates that are worth a pruning pass.
const SMALLEST_LIMIT: usize = 64;

impl Candidates {
    /// Looks for the best `k` among rows whose true value is at least `threshold` (minus infinity: all rows).
    pub fn new(k: usize, threshold: f64) -> Self {
        let threshold = if k == 0 { f64::INFINITY } else { threshold };
        Candidates {
            k,
            threshold,
            kept: Vec::new(),
            limit: SMALLEST_LIMIT.max(k.saturating_mul(2)),
            lowers: Vec::new(),
        }
    }

    /// A row with an upper end below this cannot be among the best.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Considers a row. An interval that is not a number must not be offered.
    #[inline]
    pub fn offer(&mut self, candidate: Candidate) {
        debug_assert!(candidate.lower <= candidate.upper, "{candidate:?}");
        if candidate.upper < self.threshold || self.k == 0 {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= self.limit {
            self.prune();
        }
    }

    /// Takes over what another part of the rows gave.
    #[must_use]
    pub fn merge(mut self, mut other: Candidates) -> Candidates {
        debug_assert_eq!(self.k, other.k);
        if self.kept.len() < other.kept.len() {
            std::mem::swap(&mut self, &mut other);
        }
        self.threshold = self.threshold.max(other.threshold);
        for candidate in other.kept {
            self.offer(candidate);
        }
        self
    }

    /// The rows that may be among the best, in no order.
    pub fn finish(mut self) -> Vec<Candidate> {
        self.prune();
        self.kept
    }

    /// Raises the threshold to what another part of the rows has shown, and shows it this one's.
    pub fn share(&mut self, shared: &SharedThreshold) {
        self.threshold = self.threshold.max(shared.raise(self.threshold));
    }

    /// Raises the threshold as far as the rows seen allow and forgets what is below it.
    fn prune(&mut self) {
        if self.k > 0 && self.kept.len() >= self.k {
            self.lowers.clear();
            self.lowers.extend(self.kept.iter().map(|candidate| candidate.lower));
            let (_, kth, _) = self.lowers.select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
            self.threshold = self.threshold.max(*kth);
        }
        let threshold = self.threshold;
        self.kept.retain(|candidate| candidate.upper >= threshold);
        self.limit = self.limit.max(self.kept.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(row: u32, lower: f64, upper: f64) -> Candidate {
        Candidate { row, lower, upper }
    }

    #[test]
    fn exact_values_leave_the_best_and_their_ties() {
        let mut best = Candidates::new(2, f64::NEG_INFINITY);
        for (row, value) in [1.0, 5.0, 3.0, 3.0, 2.0].into_iter().enumerate() {
            best.offer(interval(row as u32, value, value));
        }
        let mut rows: Vec<u32> = best.finish().iter().map(|c| c.row).collect();
        rows.sort_unstable();
        assert_eq!(rows, [1, 2, 3]);
    }

    #[test]
    fn no_rows_wanted_none_kept() {
        let mut best = Candidates::new(0, f64::NEG_INFINITY);
        best.offer(interval(0, 1.0, 1.0));
        assert!(best.finish().is_empty());
    }

    #[test]
    fn shared_thresholds_only_grow() {
        let shared = SharedThreshold::new();
        let numbers = [f64::NEG_INFINITY, -1e300, -2.5, -1e-310, -0.0, 0.0, 3.0, 1e300, f64::INFINITY];
        assert!(numbers.is_sorted_by_key(|&x| ordered(x)));
        assert!(numbers.iter().all(|&x| unordered(ordered(x)).to_bits() == x.to_bits()));
        assert_eq!(shared.raise(-2.0), -2.0);
        assert_eq!(shared.raise(-3.0), -2.0);
        let mut best = Candidates::new(1, f64::NEG_INFINITY);
        best.share(&shared);
        best.offer(interval(0, -5.0, -2.5));
        assert!(best.finish().is_empty());
    }

    proptest! {
        /// Whatever the true values are inside their intervals, and however rows are split and merged, the true best
        /// k (above the threshold) are kept, and nothing is kept that an interval rules out.
        #[test]
        fn the_true_best_are_always_kept(
            rows in prop::collection::vec((-50i32..50, 0u8..10, 0.0f64..=1.0), 0..3000),
            k in 0usize..40, threshold in prop::option::of(-60i32..60), cut in 0usize..3000,
        ) {
            let threshold = threshold.map_or(f64::NEG_INFINITY, f64::from);
            let intervals: Vec<_> = rows.iter().enumerate().map(|(row, &(middle, width, _))| {
                interval(row as u32, f64::from(middle) - f64::from(width), f64::from(middle) + f64::from(width))
            }).collect();
            let mut parts = [Candidates::new(k, threshold), Candidates::new(k, threshold)];
            intervals.iter().enumerate().for_each(|(i, &c)| parts[usize::from(i >= cut)].offer(c));
            let [first, second] = parts;
            let kept = first.merge(second).finish();
            let mut truth: Vec<(f64, u32)> = intervals.iter().zip(&rows)
                .map(|(c, r)| (c.lower + r.2 * (c.upper - c.lower), c.row))
                .filter(|t| t.0 >= threshold).collect();
            truth.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for best in truth.iter().take(k) {
                prop_assert!(kept.iter().any(|c| c.row == best.1), "row {} is missing", best.1);
            }
            let mut lowers: Vec<f64> = intervals.iter().map(|c| c.lower).collect();
            lowers.sort_by(|a, b| b.total_cmp(a));
            let kth = if k > 0 { lowers.get(k - 1).copied().unwrap_or(f64::NEG_INFINITY) } else { f64::INFINITY };
            prop_assert!(kept.iter().all(|c| c.upper >= kth.max(threshold)));
        }
    }
}
