//! Walking a table: the only code that goes through redb's iterators.
//!
//! redb trusts the order of the keys in its pages, and a catalog may come from anybody. Whoever reads on "after the
//! last key" would go round for ever in a page whose keys do not rise, so they are held to it here. Invariant: the keys
//! of a batch lie within the range that was asked for and rise strictly, so that every walk ends after as many entries
//! as the file holds; whatever else redb hands out is damage.
#![expect(clippy::disallowed_methods, reason = "this is the wrapper that everybody else goes through")]

use super::codec;
use super::read::{Bytes, RawEntry};
use crate::error::{Error, Result};
use redb::ReadableTable;
use std::cell::Cell;
use std::ops::Bound;

/// Entries fetched at once when a range is read.
pub(super) const BATCH_ENTRIES: usize = 512;
/// Bytes fetched at once when a range is read, the last value excepted.
const BATCH_BYTES: usize = 1 << 20;

thread_local! {
    static READ: Cell<u64> = const { Cell::new(0) };
    static MOST: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Entries that this thread has read or looked for since [`limit_entries`].
#[cfg_attr(not(test), allow(dead_code, reason = "the fuzz targets use it"))]
pub fn entries_read() -> u64 {
    READ.get()
}

/// From now on, this thread reads at most so many entries: a walk that goes on for ever ends as a panic in redb does.
#[cfg_attr(not(test), allow(dead_code, reason = "the fuzz targets use it"))]
pub fn limit_entries(most: u64) {
    READ.set(0);
    MOST.set(most);
}

/// Counts entries that are looked at: by a walk, or one by one.
pub(super) fn count(entries: usize) {
    READ.set(READ.get() + entries as u64);
    assert!(READ.get() <= MOST.get(), "more entries were read than this thread may");
}

/// What a walk has come to.
pub(super) enum Walked<T> {
    /// Entries with rising keys.
    Risen(T),
    /// This key came out of turn.
    OutOfOrder(Vec<u8>),
}

impl<T> Walked<T> {
    /// The entries, or the damage of `table` that ended the walk.
    pub(super) fn into_result(self, table: &str) -> Result<T> {
        match self {
            Walked::Risen(entries) => Ok(entries),
            Walked::OutOfOrder(key) => Err(out_of_order(table, &key)),
        }
    }
}

/// The error for a key that does not lie behind the one before it.
pub(super) fn out_of_order(table: &str, key: &[u8]) -> Error {
    codec::damaged(table, key, "keys are out of order", "ascending keys", "a key again, too late or off its range")
}

/// Says of each key whether it may come now.
struct Rising<'a> {
    last: Bound<Vec<u8>>,
    end: Bound<&'a [u8]>,
}

impl Rising<'_> {
    fn takes(&mut self, key: &[u8]) -> bool {
        let is_behind = match &self.last {
            Bound::Unbounded => true,
            Bound::Included(first) => key >= first.as_slice(),
            Bound::Excluded(last) => key > last.as_slice(),
        };
        let is_within = match self.end {
            Bound::Unbounded => true,
            Bound::Included(end) => key <= end,
            Bound::Excluded(end) => key < end,
        };
        self.last = Bound::Excluded(key.to_vec());
        is_behind && is_within
    }
}

/// The first entries between two keys: at most `most` or [`BATCH_BYTES`], but at least one if any.
///
/// `resumed`: the start is the key at which an earlier batch of the same, unchanged table ended. It is looked up again,
/// so that the step from it to the next one is seen, too.
pub(super) fn batch(
    table: &impl ReadableTable<Bytes, Bytes>,
    start: Bound<&[u8]>,
    end: Bound<&[u8]>,
    (resumed, most): (bool, usize),
) -> Result<Walked<Vec<RawEntry>>, redb::Error> {
    let mut rising = Rising { last: start.map(<[u8]>::to_vec), end };
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let from = match start {
        Bound::Excluded(last) if resumed => Bound::Included(last),
        start => start,
    };
    for (entry_idx, entry) in table.range::<&[u8]>((from, end))?.enumerate() {
        let (key, value) = entry?;
        let (key, value) = (key.value(), value.value());
        if resumed && entry_idx == 0 && start == Bound::Excluded(key) {
            continue;
        }
        if !rising.takes(key) {
            return Ok(Walked::OutOfOrder(key.to_vec()));
        }
        bytes += key.len() + value.len();
        batch.push((key.to_vec(), value.to_vec()));
        if batch.len() >= most || bytes >= BATCH_BYTES {
            break;
        }
    }
    count(batch.len().max(1));
    Ok(Walked::Risen(batch))
}

/// Takes all entries between two keys out of a table; `taken` sees the stored value of each.
pub(super) fn remove(
    table: &mut redb::Table<'_, Bytes, Bytes>,
    start: Bound<&[u8]>,
    end: Bound<&[u8]>,
    mut taken: impl FnMut(&[u8]),
) -> Result<Walked<()>, redb::Error> {
    let mut rising = Rising { last: start.map(<[u8]>::to_vec), end };
    for entry in table.extract_from_if::<&[u8], _>((start, end), |_, _| true)? {
        let (key, value) = entry?;
        if !rising.takes(key.value()) {
            return Ok(Walked::OutOfOrder(key.value().to_vec()));
        }
        count(1);
        taken(value.value());
    }
    Ok(Walked::Risen(()))
}

/// All entries of a table as they lie in the file, until `left` more have been seen: for salvage, which trusts no
/// order.
///
/// redb's iterator is of no use after a failure: it has moved past what it could not read. So the next try begins at
/// the first entry again, on whatever transaction is open by then, and passes over what was seen: pages lie as they
/// lay.
pub(super) struct InAnyOrder {
    /// `None` before the first entry, and after a failure.
    entries: Option<redb::Range<'static, Bytes, Bytes>>,
    /// Entries seen so far, those of `batch` included.
    seen: u64,
    left: u64,
    /// Seen, and not handed out yet; a failure does not lose them.
    batch: Vec<RawEntry>,
    bytes: usize,
}

impl InAnyOrder {
    pub(super) fn new(most: u64) -> InAnyOrder {
        InAnyOrder { entries: None, seen: 0, left: most, batch: Vec::new(), bytes: 0 }
    }

    /// What was seen since the last batch: after a failure, the entries before it.
    pub(super) fn take_seen(&mut self) -> Vec<RawEntry> {
        self.bytes = 0;
        std::mem::take(&mut self.batch)
    }

    /// The next entries of `table`, which is `None` if it was never made; none at the end.
    pub(super) fn next_batch(
        &mut self,
        table: Option<&redb::ReadOnlyTable<Bytes, Bytes>>,
    ) -> Result<Vec<RawEntry>, redb::Error> {
        let Some(table) = table else { return Ok(Vec::new()) };
        // Put back only where nothing failed, and redb did not panic.
        let mut entries = match self.entries.take() {
            Some(entries) => entries,
            None => {
                let mut entries = table.range::<&[u8]>(..)?;
                for entry in entries.by_ref().take(usize::try_from(self.seen).unwrap_or(usize::MAX)) {
                    entry?;
                }
                entries
            }
        };
        while self.left > 0 && self.batch.len() < BATCH_ENTRIES && self.bytes < BATCH_BYTES {
            let Some(entry) = entries.next() else { break };
            let (key, value) = entry?;
            let (key, value) = (key.value().to_vec(), value.value().to_vec());
            self.left -= 1;
            self.seen += 1;
            self.bytes += key.len() + value.len();
            self.batch.push((key, value));
        }
        self.entries = Some(entries);
        count(self.batch.len().max(1));
        Ok(self.take_seen())
    }
}
