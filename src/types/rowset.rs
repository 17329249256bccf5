//! A set of rows: live rows, rows with a vector, rows a filter keeps.
//!
//! A thin wrapper over a compressed bitmap, so that no dependency's type stands in our signatures.

use roaring::RoaringBitmap;
use std::ops::Range;

/// A set of row numbers with fast set algebra.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowSet(RoaringBitmap);

impl RowSet {
    /// The empty set.
    pub fn new() -> Self {
        RowSet::default()
    }

    /// The rows of `range`.
    pub fn from_range(range: Range<u32>) -> Self {
        let mut rows = RoaringBitmap::new();
        rows.insert_range(range);
        RowSet(rows)
    }

    /// Rows that come in ascending order; out of order ones are added all the same.
    pub fn from_rows(rows: impl IntoIterator<Item = u32>) -> Self {
        RowSet(rows.into_iter().collect())
    }

    /// The rows whose bits are set: bit `i` of word `w` is row `64 w + i`.
    pub fn from_words(words: &[u64]) -> Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        RowSet(RoaringBitmap::from_lsb0_bytes(0, &bytes))
    }

    /// Whether `row` is in the set.
    pub fn contains(&self, row: u32) -> bool {
        self.0.contains(row)
    }

    /// Adds `row`; true if it was not there.
    pub fn insert(&mut self, row: u32) -> bool {
        self.0.insert(row)
    }

    /// Adds all rows of `range`.
    pub fn insert_range(&mut self, range: Range<u32>) {
        self.0.insert_range(range);
    }

    /// Removes `row`; true if it was there.
    pub fn remove(&mut self, row: u32) -> bool {
        self.0.remove(row)
    }

    /// Number of rows in the set.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether the set has no rows.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter()
    }

    /// Rows of the set that lie in `range`, ascending.
    pub fn iter_range(&self, range: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        self.0.range(range)
    }

    /// The runs of consecutive rows, ascending.
    pub fn runs(&self) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for row in self.iter() {
            match runs.last_mut() {
                Some(run) if run.end == row => run.end += 1,
                _ => runs.push(row..row + 1),
            }
        }
        runs
    }

    /// How many rows of the set lie in `range`.
    pub fn count_range(&self, range: Range<u32>) -> u64 {
        if range.is_empty() { 0 } else { self.0.range_cardinality(range) }
    }

    /// Rows in both.
    #[must_use]
    pub fn and(&self, other: &RowSet) -> RowSet {
        RowSet(&self.0 & &other.0)
    }

    /// Rows in either.
    #[must_use]
    pub fn or(&self, other: &RowSet) -> RowSet {
        RowSet(&self.0 | &other.0)
    }

    /// Rows of this set that are not in `other`.
    #[must_use]
    pub fn and_not(&self, other: &RowSet) -> RowSet {
        RowSet(&self.0 - &other.0)
    }

    /// The same set, runs of rows held as such: set algebra on nearly full sets is then a matter of a few numbers.
    #[must_use]
    pub fn packed(mut self) -> RowSet {
        self.0.optimize();
        self
    }

    /// Length of [`RowSet::encode`], which is about what the set takes in memory.
    pub fn encoded_bytes(&self) -> usize {
        self.0.serialized_size()
    }

    /// The portable serialized form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        // Writing to a vector cannot fail.
        let _ = self.0.serialize_into(&mut bytes);
        bytes
    }

    /// Reads what [`RowSet::encode`] wrote; `None` when the bytes are not such a set.
    pub fn decode(bytes: &[u8]) -> Option<RowSet> {
        RoaringBitmap::deserialize_from(bytes).ok().map(RowSet)
    }
}

impl FromIterator<u32> for RowSet {
    fn from_iter<T: IntoIterator<Item = u32>>(rows: T) -> Self {
        RowSet::from_rows(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_algebra_and_round_trip() {
        let a = RowSet::from_range(2..10);
        let b = RowSet::from_rows([1, 3, 9, 70_000]);
        assert_eq!(a.and(&b).iter().collect::<Vec<_>>(), [3, 9]);
        assert_eq!(a.or(&b).len(), 10);
        assert_eq!(b.and_not(&a).iter().collect::<Vec<_>>(), [1, 70_000]);
        assert_eq!(b.iter_range(2..70_000).collect::<Vec<_>>(), [3, 9]);
        assert_eq!(b.count_range(2..70_000), 2);
        let words: Vec<u64> = (0..3000).map(|i| if i % 7 == 0 { i << 40 | 5 } else { 0 }).collect();
        let set: Vec<u32> = (0..3000 * 64).filter(|row| words[*row as usize / 64] >> (row % 64) & 1 == 1).collect();
        assert_eq!(RowSet::from_words(&words).iter().collect::<Vec<_>>(), set);
        for set in [&a, &b] {
            let packed = set.clone().packed();
            assert_eq!((&packed, &packed.and(&a), packed.len()), (set, &set.and(&a), set.len()));
        }
        assert_eq!(RowSet::decode(&b.encode()), Some(b));
        assert_eq!(RowSet::decode(b"nonsense"), None);
    }

    #[test]
    fn golden_sets_of_rows() {
        // As sets of live and absent rows stand in the catalog: listed one by one, and as a run of rows.
        let hex = |set: RowSet| set.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(RowSet::from_rows([1, 70_000])), "3a300000020000000000000001000000180000001a00000001007011");
        assert_eq!(hex(RowSet::from_range(2..10).packed()), "3b3000000100000700010002000700");
        assert_eq!(hex(RowSet::new()), "3a30000000000000");
    }
}
