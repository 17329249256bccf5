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

    /// The inverse of [`RowSet::from_words`], for the rows below `rows`.
    ///
    /// Read from the portable form (RoaringFormatSpec), where a container is a run of bits already: to ask the set for
    /// one row after the other would take some percent of a scan.
    pub fn words(&self, rows: u32) -> Vec<u64> {
        let mut words = vec![0u64; rows.div_ceil(64) as usize];
        let bytes = self.encode();
        for (key, container) in containers(&bytes) {
            let Some(words) = words.get_mut(usize::from(key) * CONTAINER_WORDS..) else { break };
            match container {
                Container::Bits(bits) => {
                    let bits = bits.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
                    words.iter_mut().zip(bits).for_each(|(word, bits)| *word = bits);
                }
                Container::Rows(rows) => rows.for_each(|row| set_bits(words, row, row)),
                Container::Runs(runs) => {
                    runs.for_each(|(first, more)| set_bits(words, first, first.saturating_add(more)))
                }
            }
        }
        if let (Some(last), 1..) = (words.last_mut(), rows % 64) {
            *last &= (1 << (rows % 64)) - 1;
        }
        words
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

    /// How many runs of 65,536 numbers, cut at their multiples, have rows of the set.
    pub fn chunk_count(&self) -> u64 {
        self.0.statistics().n_containers.into()
    }

    /// What the set takes on the heap: its containers, each with what the allocator adds. A set that has grown may hold
    /// as much again in reserve; a clone holds none.
    pub fn heap_bytes(&self) -> usize {
        const CONTAINER_BYTES: usize = 64;
        self.0.serialized_size() + self.0.statistics().n_containers as usize * CONTAINER_BYTES + 16
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

/// Words of the rows that share their upper half.
const CONTAINER_WORDS: usize = 1 << 10;

/// Most rows of a container that lists them.
const LISTED_ROWS: usize = 4096;

/// The rows of a set that share their upper half, by the lower one.
enum Container<'a> {
    /// One bit for each row, little-endian.
    Bits(&'a [u8]),
    Rows(Box<dyn Iterator<Item = u16> + 'a>),
    /// The first of each run, and how many come after it.
    Runs(Box<dyn Iterator<Item = (u16, u16)> + 'a>),
}

/// The containers of a set in its portable form, each with the upper half of its rows. Of bytes that are no such form,
/// what can be read.
fn containers(bytes: &[u8]) -> Vec<(u16, Container<'_>)> {
    /// Begins a form that has runs; the upper half is the number of containers less one.
    const WITH_RUNS: u32 = 12_347;
    /// Containers from which on a form with runs has their places as well.
    const PLACED: usize = 4;
    let number = |at: usize| bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let half = |at: usize| bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    let halves = move |at: usize, count: usize| {
        let bytes = bytes.get(at..at + count * 2).unwrap_or_default();
        bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b))
    };
    let with_runs = number(0) & 0xffff == WITH_RUNS;
    let count = if with_runs { (number(0) >> 16) as usize + 1 } else { number(4) as usize };
    let head = if with_runs { 4 + count.div_ceil(8) } else { 8 };
    let placed = if with_runs && count < PLACED { 0 } else { count * 4 };
    let mut at = head + count * 4 + placed;
    let mut found = Vec::with_capacity(count.min(1 << 16));
    for idx in 0..count.min(1 << 16) {
        let (key, rows) = (half(head + idx * 4), usize::from(half(head + idx * 4 + 2)) + 1);
        let is_runs = with_runs && bytes.get(4 + idx / 8).is_some_and(|flags| flags >> (idx % 8) & 1 == 1);
        let (container, length) = if is_runs {
            let runs = usize::from(half(at));
            let pairs =
                halves(at + 2, runs * 2).step_by(2).zip(halves(at + 4, (runs * 2).saturating_sub(1)).step_by(2));
            (Container::Runs(Box::new(pairs)), 2 + runs * 4)
        } else if rows > LISTED_ROWS {
            let length = CONTAINER_WORDS * 8;
            (Container::Bits(bytes.get(at..at + length).unwrap_or_default()), length)
        } else {
            (Container::Rows(Box::new(halves(at, rows))), rows * 2)
        };
        found.push((key, container));
        at += length;
    }
    found
}

/// Sets the bits `first..=last` of the words of a container, as far as they reach.
fn set_bits(words: &mut [u64], first: u16, last: u16) {
    let (first, last) = (usize::from(first), usize::from(last));
    let inside = |idx: usize| {
        let from = if idx == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
        from & if idx == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX }
    };
    let end = words.len().min(last / 64 + 1);
    words.iter_mut().enumerate().take(end).skip(first / 64).for_each(|(idx, word)| *word |= inside(idx));
}

impl FromIterator<u32> for RowSet {
    fn from_iter<T: IntoIterator<Item = u32>>(rows: T) -> Self {
        RowSet::from_rows(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ranges of rows, single rows in between, and whether runs are held as such.
    fn sets() -> impl Strategy<Value = RowSet> {
        let runs = proptest::collection::vec((0u32..330_000, 0u32..70_000), 0..4);
        let singles = proptest::collection::vec(0u32..330_000, 0..300);
        let dense = (0u32..300_000, 2usize..5);
        (runs, singles, dense, any::<bool>(), any::<bool>()).prop_map(|(runs, singles, dense, every, packed)| {
            let mut set = RowSet::from_rows(singles);
            runs.into_iter().for_each(|(first, length)| set.insert_range(first..first + length));
            if every {
                (dense.0..dense.0 + 60_000).step_by(dense.1).for_each(|row| _ = set.insert(row));
            }
            if packed { set.packed() } else { set }
        })
    }

    proptest! {
        #[test]
        fn words_are_the_set(set in sets(), rows in 0u32..420_000) {
            let words = set.words(rows);
            prop_assert_eq!(words.len(), rows.div_ceil(64) as usize);
            let below = RowSet::from_range(0..rows).and(&set);
            prop_assert_eq!(RowSet::from_words(&words), below);
        }
    }

    #[test]
    fn set_algebra_and_round_trip() {
        let a = RowSet::from_range(2..10);
        let b = RowSet::from_rows([1, 3, 9, 70_000]);
        assert_eq!(a.and(&b).iter().collect::<Vec<_>>(), [3, 9]);
        assert_eq!(a.or(&b).len(), 10);
        assert_eq!(b.and_not(&a).iter().collect::<Vec<_>>(), [1, 70_000]);
        assert_eq!(b.iter_range(2..70_000).collect::<Vec<_>>(), [3, 9]);
        assert_eq!(b.count_range(2..70_000), 2);
        assert_eq!((a.chunk_count(), b.chunk_count(), RowSet::from_range(0..u32::MAX).chunk_count()), (1, 2, 65_536));
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
