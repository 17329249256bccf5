//! The rows of one pass as plain bits: to count, list or look up those of a block is then a matter of a few words.
//!
//! Owns [`RowBits`]. A compressed set counts the rows of a range from the start of its container, which over all blocks
//! of a pass takes a tenth of the pass.

use crate::types::RowSet;
use std::ops::Range;

/// One bit for each row.
#[derive(Debug, Clone)]
pub(super) struct RowBits(Vec<u64>);

impl RowBits {
    /// The rows of `set` below `rows`.
    pub(super) fn new(set: &RowSet, rows: u32) -> Self {
        RowBits(set.words(rows))
    }

    /// Whether `row` is there.
    #[inline]
    pub(super) fn contains(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Whether a row of `range` is there.
    pub(super) fn any(&self, range: Range<u32>) -> bool {
        self.words(range).any(|(_, word)| word != 0)
    }

    /// How many rows of `range` are there.
    pub(super) fn count(&self, range: Range<u32>) -> usize {
        self.words(range).map(|(_, word)| word.count_ones() as usize).sum()
    }

    /// The rows of `range` that are there, ascending.
    pub(super) fn iter(&self, range: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        self.words(range).flat_map(|(first, mut word)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(first + bit)
            })
        })
    }

    /// The words that hold `range`, each with its first row, without the bits of rows outside of it.
    fn words(&self, range: Range<u32>) -> impl Iterator<Item = (u32, u64)> + '_ {
        let (start, end) = (range.start, range.end.max(range.start));
        let words = start as usize / 64..(end.div_ceil(64) as usize).min(self.0.len());
        words.map(move |idx| {
            let first = idx as u32 * 64;
            let below = |row: u32| if row - first >= 64 { u64::MAX } else { (1u64 << (row - first)) - 1 };
            let before = if start > first { below(start) } else { 0 };
            (first, self.0[idx] & below(end) & !before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_the_set(rows in proptest::collection::btree_set(0u32..140_000, 0..400), whole: bool,
                            start in 0u32..140_000, length in 0u32..3_000, last in 1u32..140_100) {
            let set = if whole { RowSet::from_range(0..last) } else { rows.iter().copied().collect() };
            let (bits, range) = (RowBits::new(&set, last), start..start + length);
            let wanted: Vec<u32> = set.iter_range(range.clone()).filter(|row| *row < last).collect();
            prop_assert_eq!(bits.count(range.clone()), wanted.len());
            prop_assert_eq!(bits.any(range.clone()), !wanted.is_empty());
            for row in range.clone().step_by(7) {
                prop_assert_eq!(bits.contains(row), row < last && set.contains(row));
            }
            prop_assert_eq!(bits.iter(range).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_empty() {
        let bits = RowBits::new(&RowSet::from_range(0..100), 100);
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let reversed = 70..3;
        assert_eq!((bits.count(reversed.clone()), bits.count(5..5), bits.count(0..100)), (0, 0, 100));
        assert_eq!(RowBits::new(&RowSet::new(), 0).count(0..64), 0);
    }
}
