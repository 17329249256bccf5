//! Reading typed tables, the same in a snapshot and in a write transaction.
//!
//! Values are copied out of redb inside the guard and decoded outside it, so that no panic of a caller's closure is
//! taken for damage. Ranges are read in batches for the same reason.

use super::codec;
use super::key::KeyBytes;
use super::tables::{META, META_KEY, TOTALS, TOTALS_KEY, Table};
use super::totals::Total;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{FORMAT, StoreMeta};
use redb::TableDefinition;
use serde::de::DeserializeOwned;
use std::ops::{Bound, RangeBounds};

/// Keys and values are plain bytes to redb.
pub(super) type Bytes = &'static [u8];
/// A key and a value as stored.
pub type RawEntry = (Vec<u8>, Vec<u8>);

pub(super) fn definition(table: &'static str) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table)
}

/// Reading raw bytes; implemented by both kinds of transaction.
pub trait RawRead {
    /// The stored value of `key`.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The first entries between two keys, as many as are read at once, but at least one if any. Keys rise strictly,
    /// from batch to batch as well: who goes on behind the last one comes to an end.
    ///
    /// # Errors
    /// `Corrupt` for damage (keys out of order are), `Io` otherwise.
    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>>;

    /// The first key between two.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn raw_first(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Option<Vec<u8>>>;

    /// Number of entries of a table.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn raw_len(&self, table: &'static str) -> Result<u64>;

    /// Bytes of the catalog's file; as many as can be where nobody can say (its folder has moved).
    fn raw_bytes(&self) -> u64;
}

/// Reading typed tables, in a snapshot or in a write transaction (which sees its own writes).
pub trait CatalogRead: RawRead {
    /// The value of `key`.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn get<K: KeyBytes, V: DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        let key = key.to_bytes();
        let stored = self.raw_get(table.name(), &key)?;
        stored.map(|stored| codec::decode(table.name(), &key, &stored)).transpose()
    }

    /// Calls `visit` with each entry whose key is in `range`, in the keys' order.
    ///
    /// # Errors
    /// The first error of `visit`; `Corrupt` for damage, `Io` otherwise.
    fn for_each<K: KeyBytes, V: DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        range: impl RangeBounds<K>,
        mut visit: impl FnMut(K, V) -> Result<()>,
    ) -> Result<()> {
        let end = encoded(range.end_bound());
        let mut start = encoded(range.start_bound());
        loop {
            let mut batch = self.raw_batch(table.name(), as_slice(&start), as_slice(&end))?;
            for (key, stored) in &batch {
                let value = codec::decode(table.name(), key, stored)?;
                let key = K::decode(key).ok_or_else(|| codec::damaged_key(table.name(), key))?;
                visit(key, value)?;
            }
            match batch.pop() {
                Some((last, _)) => start = Bound::Excluded(last),
                None => return Ok(()),
            }
        }
    }

    /// The entries whose keys are in `range`, in the keys' order.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn range<K: KeyBytes, V: DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        range: impl RangeBounds<K>,
    ) -> Result<Vec<(K, V)>> {
        let mut entries = Vec::new();
        self.for_each(table, range, |key, value| {
            entries.push((key, value));
            Ok(())
        })?;
        Ok(entries)
    }

    /// What the last commit has left in `table`.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn committed_total<K, V>(&self, table: &Table<K, V>) -> Result<Total> {
        let totals = self.get(&TOTALS, &TOTALS_KEY.to_string())?.unwrap_or_default();
        Ok(totals.get(table.name()).copied().unwrap_or_default())
    }

    /// The first key in `range` that has an entry: who goes from one to the next passes over what is not there, however
    /// large the numbers are that stand in keys.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn first_key<K: KeyBytes, V>(&self, table: &Table<K, V>, range: impl RangeBounds<K>) -> Result<Option<K>> {
        let (start, end) = (encoded(range.start_bound()), encoded(range.end_bound()));
        let found = self.raw_first(table.name(), as_slice(&start), as_slice(&end))?;
        let decode = |key: Vec<u8>| K::decode(&key).ok_or_else(|| codec::damaged_key(table.name(), &key));
        found.map(decode).transpose()
    }

    /// Number of entries of `table`.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn count<K, V>(&self, table: &Table<K, V>) -> Result<u64> {
        self.raw_len(table.name())
    }
}

impl<T: RawRead> CatalogRead for T {}

pub(super) fn encoded<K: KeyBytes>(bound: Bound<&K>) -> Bound<Vec<u8>> {
    bound.map(KeyBytes::to_bytes)
}

pub(super) fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// Whether no key can lie between the bounds; redb panics on some of these.
pub(super) fn is_empty_range(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
    }
}

/// The store's own record.
pub(super) fn meta_of(read: &impl CatalogRead) -> Result<StoreMeta> {
    let key = META_KEY.to_string().to_bytes();
    let Some(stored) = read.raw_get(META.name(), &key)? else {
        return Err(codec::damaged(META.name(), &key, "the store's own record is missing", "a value", "none"));
    };
    codec::decode(META.name(), &key, &stored).map_err(|error| {
        // A later format may have other fields behind these two.
        match codec::decode_start::<(u32, String)>(META.name(), &key, &stored) {
            Ok((format, needs)) if format > FORMAT => newer_format(format, &needs),
            _ => error,
        }
    })
}

/// What to say of a store with a format that is not known here.
pub fn newer_format(format: u32, needs: &str) -> Error {
    // What stands in the file is shown, so it is kept short and plain.
    let is_version = needs.len() < 32 && needs.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c));
    let needs =
        if is_version && !needs.is_empty() { format!("simile {needs} or later") } else { "a later simile".into() };
    let own = env!("CARGO_PKG_VERSION");
    let message = format!(
        "the store has format {format} and needs {needs}: this is simile {own}, which reads formats up to {FORMAT}"
    );
    Error::new(ErrorKind::Version, message)
}
