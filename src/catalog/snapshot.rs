//! Snapshots: the catalog at one commit, for any number of threads.
//!
//! A snapshot keeps its redb handle open for as long as it lives, even when the catalog it came from is dropped.

use super::CATALOG_FILE;
use super::handle::Handle;
use super::read::{Bytes, RawEntry, RawRead, definition, is_empty_range, meta_of};
use super::tables::LATER_NAMES;
use super::walk::{self, InAnyOrder};
use crate::error::Result;
use crate::types::StoreMeta;
use redb::ReadOnlyTable;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

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

impl Handle {
    /// A snapshot of the last commit; `None` while the file shrinks.
    pub(super) fn begin_read(self: &Arc<Self>) -> Result<Option<ReadTransaction>> {
        self.redb_read()?.map(|transaction| ReadTransaction::new(transaction, self.clone())).transpose()
    }

    /// A snapshot that is not asked for the store's own record, which may be damaged.
    pub(super) fn begin_read_raw(self: &Arc<Self>) -> Result<ReadTransaction> {
        Ok(ReadTransaction::without_meta(self.redb_read_raw()?, self.clone()))
    }
}

impl ReadTransaction {
    fn new(transaction: redb::ReadTransaction, handle: Arc<Handle>) -> Result<ReadTransaction> {
        let mut snapshot = Snapshot::new(transaction, handle);
        snapshot.meta = meta_of(&snapshot)?;
        Ok(ReadTransaction { inner: Arc::new(snapshot) })
    }

    /// A snapshot whose [`ReadTransaction::meta`] says nothing.
    fn without_meta(transaction: redb::ReadTransaction, handle: Arc<Handle>) -> ReadTransaction {
        ReadTransaction { inner: Arc::new(Snapshot::new(transaction, handle)) }
    }

    /// The next entries of a walk through a table in any order, which may have begun in an earlier snapshot of the same
    /// commit; none at its end.
    pub(super) fn next_in_any_order(&self, table: &'static str, walk: &mut InAnyOrder) -> Result<Vec<RawEntry>> {
        let inner = &self.inner;
        inner.handle.health.run("read", || walk.next_batch(inner.table(table)?.as_deref()))
    }

    /// The store's own record, as of this snapshot.
    pub fn meta(&self) -> &StoreMeta {
        &self.inner.meta
    }
}

impl Snapshot {
    fn new(transaction: redb::ReadTransaction, handle: Arc<Handle>) -> Snapshot {
        let meta = StoreMeta {
            format: 0,
            needs: String::new(),
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

    /// An open table; `None` for one of those that may be missing.
    fn table(&self, name: &'static str) -> Result<Option<Arc<ReadOnlyTable<Bytes, Bytes>>>, redb::Error> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(name) {
            return Ok(Some(table.clone()));
        }
        let transaction = self.transaction.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let table = match transaction.open_table(definition(name)) {
            Err(redb::TableError::TableDoesNotExist(_)) if LATER_NAMES.contains(&name) => return Ok(None),
            opened => Arc::new(opened?),
        };
        tables.insert(name, table.clone());
        Ok(Some(table))
    }
}

impl RawRead for Snapshot {
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        walk::count(1);
        self.handle.health.run("read", || match self.table(table)? {
            Some(table) => Ok(table.get(key)?.map(|value| value.value().to_vec())),
            None => Ok(None),
        })
    }

    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>> {
        if is_empty_range(start, end) {
            return Ok(Vec::new());
        }
        let walked = self.handle.health.run("read", || match self.table(table)? {
            Some(table) => walk::batch(&*table, start, end, (true, walk::BATCH_ENTRIES)),
            None => Ok(walk::Walked::Risen(Vec::new())),
        })?;
        walked.into_result(table)
    }

    fn raw_first(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Option<Vec<u8>>> {
        if is_empty_range(start, end) {
            return Ok(None);
        }
        let walked = self.handle.health.run("read", || match self.table(table)? {
            Some(table) => walk::batch(&*table, start, end, (false, 1)),
            None => Ok(walk::Walked::Risen(Vec::new())),
        })?;
        Ok(walked.into_result(table)?.pop().map(|(key, _)| key))
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        use redb::ReadableTableMetadata;
        self.handle.health.run("read", || match self.table(table)? {
            Some(table) => Ok(table.len()?),
            None => Ok(0),
        })
    }

    fn raw_bytes(&self) -> u64 {
        self.handle.storage.len(CATALOG_FILE).unwrap_or(u64::MAX)
    }
}

impl RawRead for ReadTransaction {
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.raw_get(table, key)
    }

    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>> {
        self.inner.raw_batch(table, start, end)
    }

    fn raw_first(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Option<Vec<u8>>> {
        self.inner.raw_first(table, start, end)
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        self.inner.raw_len(table)
    }

    fn raw_bytes(&self) -> u64 {
        self.inner.raw_bytes()
    }
}
