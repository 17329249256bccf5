//! The catalog of one store, opened for reading or as the one writer.
//!
//! Owns the exchange of a broken redb handle for a fresh one, reading on after a write has failed, and the comparison
//! with HEAD. Invariant: a snapshot handed out is never older than what HEAD said before it was taken.

use super::files::head::{self, HeadState};
use super::files::whole;
use super::handle::{Handle, moved, open_reader, open_writer, stale_or_damaged};
use super::options::CatalogOptions;
use super::snapshot::ReadTransaction;
use super::transaction::WriteTransaction;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::Storage;
use crate::types::{CommitNumber, StoreMeta};
use std::sync::{Arc, Mutex, PoisonError};

/// The catalog of one store.
#[derive(Debug)]
pub struct Catalog {
    storage: Arc<dyn Storage>,
    options: CatalogOptions,
    writer: bool,
    /// The handle in use; a broken one is exchanged by whoever asks next.
    handle: Mutex<Arc<Handle>>,
    /// What a writer reads with after a write of its own has failed: the files, as any other process sees them.
    reader: Mutex<Option<Arc<Handle>>>,
}

/// A snapshot older than what HEAD said before it was taken is damage.
fn check_not_stale(storage: &dyn Storage, head: HeadState, found: CommitNumber) -> Result<()> {
    match head {
        HeadState::Valid(head) if found < head => {
            let (expected, found) = (format!("commit {head} or later, as HEAD says"), format!("commit {found}"));
            Err(stale_or_damaged(storage, "the catalog is older than the last commit", &expected, &found))
        }
        _ => Ok(()),
    }
}

impl Catalog {
    /// Makes the catalog of a new store, whose first commit holds `meta`, and HEAD after it.
    ///
    /// # Errors
    /// `Exists` when there is a catalog already, `Io` when the operating system refuses.
    pub fn create(storage: Arc<dyn Storage>, options: CatalogOptions, meta: &StoreMeta) -> Result<Catalog> {
        let handle = Arc::new(Handle::create(storage.clone(), options)?);
        handle.announce();
        let transaction = handle.begin_write()?;
        transaction.create_tables()?;
        transaction.put_meta(meta)?;
        transaction.commit_without_head()?;
        head::create(&*storage, meta.commit)?;
        Ok(Catalog::of(handle, storage, options, true))
    }

    /// Opens the catalog as the one writer, repairing what a killed writer left.
    ///
    /// # Errors
    /// `NotFound` without a store, `Locked` (naming the store and, where it can be told, the holder) while another
    /// writer has it for longer than the busy timeout, `Corrupt` for damage, `Io` otherwise.
    pub fn open_write(storage: Arc<dyn Storage>, options: CatalogOptions) -> Result<Catalog> {
        let handle = Arc::new(open_writer(&storage, options)?);
        whole::check(&*storage)?;
        let catalog = Catalog::of(handle, storage, options, true);
        drop(catalog.begin_read()?);
        Ok(catalog)
    }

    /// Opens the catalog for reading beside a writer, repairing it first if a killed writer left it unclean.
    ///
    /// # Errors
    /// `NotFound` without a store, `ReadOnly` when it needs a repair that this process may not make, `Corrupt` for
    /// damage, `Io` otherwise.
    pub fn open_read(storage: Arc<dyn Storage>, options: CatalogOptions) -> Result<Catalog> {
        let handle = Arc::new(open_reader(&storage, options)?);
        whole::check(&*storage)?;
        let catalog = Catalog::of(handle, storage, options, false);
        drop(catalog.begin_read()?);
        Ok(catalog)
    }

    fn of(handle: Arc<Handle>, storage: Arc<dyn Storage>, options: CatalogOptions, writer: bool) -> Catalog {
        Catalog { storage, options, writer, handle: Mutex::new(handle), reader: Mutex::default() }
    }

    /// Whether this handle may write.
    pub fn is_writer(&self) -> bool {
        self.writer
    }

    /// Whether the writer before this one was killed, or could not close the store.
    pub fn was_left_open(&self) -> bool {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).was_left_open()
    }

    /// Refuses to go on where the store was moved or replaced: what is found by name then is another store's.
    ///
    /// # Errors
    /// `NotFound`, saying so.
    pub fn check_in_place(&self) -> Result<()> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).check_in_place()
    }

    /// The store's folder.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(super) fn options(&self) -> CatalogOptions {
        self.options
    }

    /// The handle in use, or a fresh one in place of a broken one.
    pub(super) fn handle(&self) -> Result<Arc<Handle>> {
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if handle.health.has_write_failed() {
            let root = self.storage.root();
            let message = format!("an earlier write to {} failed; open the store again before writing", root.display());
            return Err(Error::new(ErrorKind::ReadOnly, message).with_path(root));
        }
        if handle.health.is_broken() {
            let fresh = self.reopen(&handle)?;
            if !fresh.is_same_store(&handle) {
                return Err(moved(&*self.storage));
            }
            *handle = Arc::new(fresh);
        }
        Ok(handle.clone())
    }

    /// The handle to read with. One whose write has failed reads no more, and one whose file shrinks does not
    /// meanwhile: the files are read beside it, as another process would, and what they show is the commit before or
    /// the one that failed.
    fn reading_handle(&self) -> Result<Arc<Handle>> {
        let failed = self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !failed.health.has_write_failed() && !failed.is_shrinking() {
            return self.handle();
        }
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match reader.as_ref().filter(|handle| !handle.health.is_broken()) {
            Some(handle) => Ok(handle.clone()),
            None => {
                let fresh = open_reader(&self.storage, self.options)?;
                if !fresh.is_same_store(&failed) {
                    return Err(moved(&*self.storage));
                }
                Ok(reader.insert(Arc::new(fresh)).clone())
            }
        }
    }

    fn reopen(&self, broken: &Arc<Handle>) -> Result<Handle> {
        if !self.writer {
            return open_reader(&self.storage, self.options);
        }
        broken.close();
        open_writer(&self.storage, self.options)
    }

    /// A snapshot of the last commit.
    ///
    /// # Errors
    /// `Corrupt` for damage, or a snapshot older than HEAD; `Io` otherwise.
    pub fn begin_read(&self) -> Result<ReadTransaction> {
        loop {
            let handle = self.reading_handle()?;
            handle.check_in_place()?;
            let head = head::read(&*self.storage)?;
            let Some(transaction) = handle.begin_read()? else { continue };
            check_not_stale(&*self.storage, head, transaction.meta().commit)?;
            return Ok(transaction);
        }
    }

    /// Gives back what the catalog's file holds in unused pages, where no other process or snapshot is in the way; true
    /// if it did.
    ///
    /// # Errors
    /// `ReadOnly` when the catalog was opened for reading or an earlier write failed; `Corrupt` or `Io` otherwise.
    pub fn shrink(&self) -> Result<bool> {
        if !self.writer {
            return Ok(false);
        }
        self.handle()?.shrink()
    }

    /// Begins a write transaction, waiting for the one of another thread to end.
    ///
    /// # Errors
    /// `ReadOnly` when the catalog was opened for reading or an earlier write failed; `Corrupt` or `Io` otherwise.
    pub fn begin_write(&self) -> Result<WriteTransaction> {
        if !self.writer {
            let root = self.storage.root();
            let message = format!("{} was opened for reading only", root.display());
            return Err(Error::new(ErrorKind::ReadOnly, message).with_path(root));
        }
        let handle = self.handle()?;
        handle.check_in_place()?;
        handle.check_held()?;
        let head = head::read(&*self.storage)?;
        let transaction = handle.begin_write()?;
        check_not_stale(&*self.storage, head, transaction.meta()?.commit)?;
        Ok(transaction)
    }
}
