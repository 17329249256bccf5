//! The write transaction: puts, removals, and the commit that makes them count.
//!
//! Ordering rule: segments are safe before the header names the commit (the backend syncs them with the catalog's own
//! pages); redb's commit first, durable, then HEAD; a HEAD that is behind is what a crash leaves, a HEAD that
//! is ahead is damage.

use super::CATALOG_FILE;
use super::codec;
use super::files::head;
use super::handle::Handle;
use super::key::KeyBytes;
use super::read::{Bytes, CatalogRead, RawEntry, RawRead, as_slice, definition, encoded, is_empty_range, meta_of};
use super::tables::{META, META_KEY, NAMES, TOTALS, TOTALS_KEY, Table};
use super::totals::{Total, Totals};
use super::walk;
use crate::error::Result;
use crate::storage::Unsynced;
use crate::types::StoreMeta;
use redb::ReadableTable;
use serde::Serialize;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};

/// The one write transaction of the moment. Dropping it undoes it.
pub struct WriteTransaction {
    /// `None` only while it is being committed or dropped.
    transaction: Option<redb::WriteTransaction>,
    handle: Arc<Handle>,
    totals: Totals,
    /// Files that must be safe before this transaction counts.
    unsynced: Mutex<Vec<Unsynced>>,
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
                // Dropped while a panic passes through, redb does not undo what it has allocated: it would stay lost
                // until the catalog is repaired. Asked to, it does.
                match transaction {
                    Some(transaction) if std::thread::panicking() => transaction.abort()?,
                    other => drop(other),
                }
                Ok(())
            });
        }
    }
}

impl Handle {
    /// The next write transaction, once the one before has ended.
    pub(super) fn begin_write(self: &Arc<Self>) -> Result<WriteTransaction> {
        let transaction = Some(self.redb_write()?);
        let (handle, totals, unsynced) = (self.clone(), Totals::default(), Mutex::default());
        Ok(WriteTransaction { transaction, handle, totals, unsynced })
    }
}

impl WriteTransaction {
    /// Refuses to go on where the store was moved or replaced: what is found by name then is another store's; and where
    /// another writer has taken it over.
    ///
    /// # Errors
    /// `NotFound` or `Locked`, saying so.
    pub fn check_in_place(&self) -> Result<()> {
        self.handle.check_in_place()?;
        self.handle.check_held()
    }

    /// Has the commit sync a file, together with the catalog's own: it is safe before this transaction counts.
    pub fn sync_at_commit(&self, file: Unsynced) {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.retain(|known| known.path() != file.path());
        unsynced.push(file);
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
        self.raw_put(table.name(), &key, &stored)
    }

    /// Puts an entry as it is stored.
    pub(super) fn raw_put(&self, table: &'static str, key: &[u8], stored: &[u8]) -> Result<()> {
        self.with_table("write", table, |opened| {
            let old = opened.insert(key, stored)?;
            self.totals.replaced(table, old.as_ref().map(|old| old.value()), Some(stored));
            Ok(())
        })
    }

    /// Puts (`Some`) and removes (`None`) entries one after the other, for many at once: the table is opened for all of
    /// them, and keys that lie near each other meet the same pages.
    ///
    /// # Errors
    /// As [`WriteTransaction::put`].
    pub fn change_all<K: KeyBytes, V: Serialize>(&self, table: &Table<K, V>, changes: &[(K, Option<V>)]) -> Result<()> {
        let name = table.name();
        let mut stored = Vec::with_capacity(changes.len());
        for (key, value) in changes {
            let key = key.to_bytes();
            let value = value.as_ref().map(|value| codec::encode(name, &key, value)).transpose()?;
            stored.push((key, value));
        }
        self.with_table("write", name, |opened| {
            for (key, new) in &stored {
                let old = match new {
                    Some(new) => opened.insert(key.as_slice(), new.as_slice())?,
                    None => opened.remove(key.as_slice())?,
                };
                self.totals.replaced(name, old.as_ref().map(|old| old.value()), new.as_deref());
            }
            Ok(())
        })
    }

    /// Removes every entry whose key is in `range`.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn remove_range<K: KeyBytes, V>(&self, table: &Table<K, V>, range: impl RangeBounds<K>) -> Result<()> {
        let (start, end) = (encoded(range.start_bound()), encoded(range.end_bound()));
        let (start, end) = (as_slice(&start), as_slice(&end));
        if is_empty_range(start, end) {
            return Ok(());
        }
        let name = table.name();
        let removed = self.with_table("write", name, |opened| {
            walk::remove(opened, start, end, |stored| self.totals.replaced(name, Some(stored), None))
        });
        removed?.into_result(name)
    }

    /// Removes `key`; true if it was there.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn remove<K: KeyBytes, V>(&self, table: &Table<K, V>, key: &K) -> Result<bool> {
        let key = key.to_bytes();
        self.with_table("write", table.name(), |opened| {
            let old = opened.remove(key.as_slice())?;
            if let Some(old) = &old {
                self.totals.replaced(table.name(), Some(old.value()), None);
            }
            Ok(old.is_some())
        })
    }

    /// What `table` holds with the changes so far.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn total<K, V>(&self, table: &Table<K, V>) -> Result<Total> {
        let changed = self.totals.change(table.name());
        Ok(self.committed_total(table)?.changed(changed))
    }

    /// Writes what each table holds now, as the last thing before a commit.
    fn write_totals(&self) -> Result<()> {
        let (table, key) = (TOTALS.name(), TOTALS_KEY.to_string());
        let totals = self.totals.apply(self.get(&TOTALS, &key)?.unwrap_or_default());
        let key = key.to_bytes();
        let stored = codec::encode(table, &key, &totals)?;
        self.with_table("write", table, |opened| {
            opened.insert(key.as_slice(), stored.as_slice()).map(drop).map_err(Into::into)
        })
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
        self.check_in_place()?;
        self.commit_without_head()?;
        if head::write(&*handle.storage, commit).is_err() {
            // The commit stands: an older HEAD is what a crash leaves, too. But this disk does not take writes.
            handle.health.note_write_failed();
        }
        Ok(())
    }

    /// Makes the transaction's writes durable and visible, without a word in HEAD: for a new catalog, whose HEAD is
    /// made afterwards.
    ///
    /// # Errors
    /// As [`WriteTransaction::commit`].
    pub fn commit_without_head(mut self) -> Result<()> {
        self.write_totals()?;
        let transaction = self.transaction.take();
        let handle = self.handle.clone();
        handle.beside.set(std::mem::take(self.unsynced.get_mut().unwrap_or_else(PoisonError::into_inner)));
        let committed = handle.health.run("commit to", || {
            transaction.ok_or(redb::Error::DatabaseClosed)?.commit()?;
            Ok(())
        });
        let committed = committed.and_then(|()| handle.beside.check_synced(&*handle.storage));
        if committed.is_err() {
            handle.health.note_write_failed();
        }
        committed
    }
}

/// Takes an entry out of a catalog behind the back of everything that counts: the first of `table`, or the one `place`
/// entries behind it, or the last; false where the table is empty.
#[cfg(test)]
pub fn forget_entry(storage: &Arc<dyn crate::storage::Storage>, table: &'static str, place: usize) -> Result<bool> {
    let catalog = super::Catalog::open_write(storage.clone(), super::CatalogOptions::default())?;
    let transaction = catalog.begin_write()?;
    let mut entries = transaction.raw_batch(table, Bound::Unbounded, Bound::Unbounded)?;
    entries.truncate(place.saturating_add(1));
    let Some((key, _)) = entries.pop() else { return Ok(false) };
    transaction.with_table("write", table, |table| Ok(table.remove(key.as_slice())?.is_some()))?;
    transaction.commit()?;
    Ok(true)
}

impl RawRead for WriteTransaction {
    fn raw_get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        walk::count(1);
        self.with_table("read", table, |table| Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn raw_batch(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Vec<RawEntry>> {
        if is_empty_range(start, end) {
            return Ok(Vec::new());
        }
        self.with_table("read", table, |opened| walk::batch(opened, start, end, (false, walk::BATCH_ENTRIES)))?
            .into_result(table)
    }

    fn raw_first(&self, table: &'static str, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Option<Vec<u8>>> {
        if is_empty_range(start, end) {
            return Ok(None);
        }
        let walked = self.with_table("read", table, |opened| walk::batch(opened, start, end, (false, 1)))?;
        Ok(walked.into_result(table)?.pop().map(|(key, _)| key))
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        use redb::ReadableTableMetadata;
        self.with_table("read", table, |table| Ok(table.len()?))
    }

    fn raw_bytes(&self) -> u64 {
        self.handle.storage.len(CATALOG_FILE).unwrap_or(u64::MAX)
    }
}
