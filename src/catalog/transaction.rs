//! Snapshots and write transactions over the typed tables.
//!
//! Values are copied out of redb inside the guard and decoded outside it, so that no panic of a caller's closure is
//! taken for damage. Ranges are read in batches for the same reason.

use super::codec;
use super::database::Handle;
use super::head;
use super::key::KeyBytes;
use super::tables::{META, META_KEY, NAMES, Table};
use crate::error::Result;
use crate::types::StoreMeta;
use redb::{ReadOnlyTable, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};

type Bytes = &'static [u8];
/// A key and a value as stored.
pub type RawEntry = (Vec<u8>, Vec<u8>);

/// Entries fetched at once when a range is read.
const BATCH_ENTRIES: usize = 512;
/// Bytes fetched at once when a range is read, the last value excepted.
const BATCH_BYTES: usize = 1 << 20;

fn definition(table: &'static str) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table)
}

/// Reading raw bytes; implemented by both kinds of transaction.
pub trait RawRead {
    /// The stored value of `key`.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The first entries between two keys: at most [`BATCH_ENTRIES`] or [`BATCH_BYTES`], but at least one if any.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>>;

    /// Number of entries of a table.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn raw_len(&self, table: &'static str) -> Result<u64>;
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

    /// Number of entries of `table`.
    ///
    /// # Errors
    /// `Corrupt` for damage, `Io` otherwise.
    fn count<K, V>(&self, table: &Table<K, V>) -> Result<u64> {
        self.raw_len(table.name())
    }
}

impl<T: RawRead> CatalogRead for T {}

fn encoded<K: KeyBytes>(bound: Bound<&K>) -> Bound<Vec<u8>> {
    bound.map(KeyBytes::to_bytes)
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// Whether no key can lie between the bounds; redb panics on some of these.
fn is_empty_range(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
    }
}

fn collect_batch(
    table: &impl ReadableTable<Bytes, Bytes>,
    start: Bound<&[u8]>,
    end: Bound<&[u8]>,
) -> Result<Vec<RawEntry>, redb::Error> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for entry in table.range::<&[u8]>((start, end))? {
        let (key, value) = entry?;
        let (key, value) = (key.value().to_vec(), value.value().to_vec());
        bytes += key.len() + value.len();
        batch.push((key, value));
        if batch.len() >= BATCH_ENTRIES || bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok(batch)
}

/// A snapshot of the catalog at one commit. Clones share it; any number of threads may read at once.
#[derive(Clone)]
pub struct ReadTransaction {
    inner: Arc<Snapshot>,
}

struct Snapshot {
    /// `None` only while it is being dropped.
    transaction: Option<redb::ReadTransaction>,
    tables: Mutex<HashMap<&'static str, Arc<ReadOnlyTable<Bytes, Bytes>>>>,
    meta: StoreMeta,
    handle: Arc<Handle>,
}

impl std::fmt::Debug for ReadTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadTransaction").field("commit", &self.inner.meta.commit).finish_non_exhaustive()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let tables = std::mem::take(self.tables.get_mut().unwrap_or_else(PoisonError::into_inner));
        let transaction = self.transaction.take();
        let _ = self.handle.health.run("end a snapshot of", || {
            drop(tables);
            drop(transaction);
            Ok(())
        });
    }
}

impl ReadTransaction {
    pub(super) fn new(transaction: redb::ReadTransaction, handle: Arc<Handle>) -> Result<ReadTransaction> {
        let mut snapshot = Snapshot::new(transaction, handle);
        snapshot.meta = meta_of(&snapshot)?;
        Ok(ReadTransaction { inner: Arc::new(snapshot) })
    }

    /// A snapshot whose [`ReadTransaction::meta`] says nothing.
    pub(super) fn without_meta(transaction: redb::ReadTransaction, handle: Arc<Handle>) -> ReadTransaction {
        ReadTransaction { inner: Arc::new(Snapshot::new(transaction, handle)) }
    }

    /// The store's own record, as of this snapshot.
    pub fn meta(&self) -> &StoreMeta {
        &self.inner.meta
    }
}

fn meta_of(read: &impl CatalogRead) -> Result<StoreMeta> {
    let key = META_KEY.to_string();
    read.get(&META, &key)?.ok_or_else(|| {
        codec::damaged(META.name(), key.as_bytes(), "the store's own record is missing", "a value", "none")
    })
}

/// The store's own record, as the transaction sees it.
pub(super) fn meta(transaction: &WriteTransaction) -> Result<StoreMeta> {
    meta_of(transaction)
}

impl Snapshot {
    fn new(transaction: redb::ReadTransaction, handle: Arc<Handle>) -> Snapshot {
        let meta = StoreMeta {
            format: 0,
            required_features: 0,
            commit: crate::types::CommitNumber(0),
            generation: 0,
            next_collection: 0,
            next_view: 0,
            next_segment: 0,
            embedder: None,
        };
        Snapshot { transaction: Some(transaction), tables: Mutex::default(), meta, handle }
    }

    fn table(&self, name: &'static str) -> Result<Arc<ReadOnlyTable<Bytes, Bytes>>, redb::Error> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(name) {
            return Ok(table.clone());
        }
        let transaction = self.transaction.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let table = Arc::new(transaction.open_table(definition(name))?);
        tables.insert(name, table.clone());
        Ok(table)
    }
}

impl RawRead for Snapshot {
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.handle.health.run("read", || Ok(self.table(table)?.get(key)?.map(|value| value.value().to_vec())))
    }

    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>> {
        if is_empty_range(start, end) {
            return Ok(Vec::new());
        }
        self.handle.health.run("read", || collect_batch(&*self.table(table)?, start, end))
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        use redb::ReadableTableMetadata;
        self.handle.health.run("read", || Ok(self.table(table)?.len()?))
    }
}

impl RawRead for ReadTransaction {
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.raw_get(table, key)
    }

    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>> {
        self.inner.raw_batch(table, start, end)
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        self.inner.raw_len(table)
    }
}

/// The one write transaction of the moment. Dropping it undoes it.
pub struct WriteTransaction {
    /// `None` only while it is being committed or dropped.
    transaction: Option<redb::WriteTransaction>,
    handle: Arc<Handle>,
}

impl std::fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteTransaction").finish_non_exhaustive()
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        let transaction = self.transaction.take();
        if transaction.is_some() {
            let _ = self.handle.health.run("undo a change of", || {
                drop(transaction);
                Ok(())
            });
        }
    }
}

impl WriteTransaction {
    pub(super) fn new(transaction: redb::WriteTransaction, handle: Arc<Handle>) -> WriteTransaction {
        WriteTransaction { transaction: Some(transaction), handle }
    }

    fn with_table<T>(
        &self,
        action: &str,
        table: &'static str,
        call: impl FnOnce(&mut redb::Table<'_, Bytes, Bytes>) -> Result<T, redb::Error>,
    ) -> Result<T> {
        self.handle.health.run(action, || {
            let transaction = self.transaction.as_ref().ok_or(redb::Error::DatabaseClosed)?;
            call(&mut transaction.open_table(definition(table))?)
        })
    }

    /// Makes all tables, so that none is ever missing.
    pub(super) fn create_tables(&self) -> Result<()> {
        NAMES.iter().try_for_each(|table| self.with_table("write", table, |_| Ok(())))
    }

    /// Puts `value` under `key`, replacing what was there.
    ///
    /// # Errors
    /// `Limit` when the value is too large; `Corrupt` or `Io` otherwise.
    pub fn put<K: KeyBytes, V: Serialize>(&self, table: &Table<K, V>, key: &K, value: &V) -> Result<()> {
        let key = key.to_bytes();
        let stored = codec::encode(table.name(), &key, value)?;
        self.with_table("write", table.name(), |table| {
            table.insert(key.as_slice(), stored.as_slice())?;
            Ok(())
        })
    }

    /// Removes `key`; true if it was there.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn remove<K: KeyBytes, V>(&self, table: &Table<K, V>, key: &K) -> Result<bool> {
        let key = key.to_bytes();
        self.with_table("write", table.name(), |table| Ok(table.remove(key.as_slice())?.is_some()))
    }

    /// The store's own record, as this transaction sees it.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn meta(&self) -> Result<StoreMeta> {
        meta_of(self)
    }

    /// Replaces the store's own record; its commit number becomes HEAD's when this transaction commits.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn put_meta(&self, meta: &StoreMeta) -> Result<()> {
        self.put(&META, &META_KEY.to_string(), meta)
    }

    /// Makes the transaction's writes durable and visible, all or none, and then writes HEAD.
    ///
    /// # Errors
    /// `Io` (the writer is then poisoned: the store must be opened again, which shows what counts) or `Corrupt`.
    pub fn commit(self) -> Result<()> {
        let commit = self.meta()?.commit;
        let handle = self.handle.clone();
        self.commit_without_head()?;
        if head::write(&*handle.storage, commit).is_err() {
            // The commit stands: an older HEAD is what a crash leaves, too. But this disk does not take writes.
            handle.health.note_write_failed();
        }
        Ok(())
    }

    pub(super) fn commit_without_head(mut self) -> Result<()> {
        let transaction = self.transaction.take();
        let handle = self.handle.clone();
        let committed = handle.health.run("commit to", || {
            transaction.ok_or(redb::Error::DatabaseClosed)?.commit()?;
            Ok(())
        });
        if committed.is_err() {
            handle.health.note_write_failed();
        }
        committed
    }
}

impl RawRead for WriteTransaction {
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with_table("read", table, |table| Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>> {
        if is_empty_range(start, end) {
            return Ok(Vec::new());
        }
        self.with_table("read", table, |table| collect_batch(table, start, end))
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        use redb::ReadableTableMetadata;
        self.with_table("read", table, |table| Ok(table.len()?))
    }
}
