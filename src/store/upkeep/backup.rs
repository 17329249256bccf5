//! `backup`: a consistent copy of a store that is in use.
//!
//! Owns the order of the copy: one snapshot, whose lease keeps its files; segments as far as they count, every block
//! checked on the way; then the catalog's tables, every value checked, written by one transaction into a new catalog;
//! then HEAD. The copy is opened and checked, and gets its name last. What stands beyond the committed rows, dead pages
//! and garbage stay behind.

use crate::catalog::sums::read_block_sums;
use crate::catalog::{self, CatalogOptions, CatalogRead, tables};
use crate::error::Result;
use crate::segment::{self, SEGMENTS_FOLDER, SegmentReader};
use crate::storage::Storage;
use crate::store::handle::Store;
use crate::store::place;
use crate::store::read::core::Core;
use crate::store::shared::Shared;
use crate::types::{CommitNumber, Control};
use std::path::Path;
use std::sync::Arc;

/// What [`Store::backup`] copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackedUp {
    /// The commit that the copy shows.
    pub commit: CommitNumber,
    /// Segment files copied.
    pub segments: u64,
    /// Bytes of the copy's files.
    pub bytes: u64,
}

impl Store {
    /// Copies the store as it is now to `to`, where nothing may be. Readers and writers go on meanwhile. Opening the
    /// copy is restoring it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().expect("a temporary folder");
    /// use simile::{Record, Store};
    /// let store = Store::create(folder.path().join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// let commit = batch.commit()?;
    /// let copy = folder.path().join("copy.simile");
    /// assert_eq!(store.backup(&copy)?.commit, commit);
    /// assert!(Store::open(&copy)?.snapshot()?.get("notes", "n1")?.is_some());
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) when there is something at `to`,
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for damage in what is copied, `Io` when the operating system
    /// refuses. After an error there is nothing at `to`.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<BackedUp> {
        self.backup_with(to, &Control::new())
    }

    /// As [`Store::backup`], with somebody to hear of its progress (in bytes) and to stop it.
    ///
    /// # Errors
    /// As [`Store::backup`], and [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn backup_with(&self, to: impl AsRef<Path>, control: &Control) -> Result<BackedUp> {
        place::make_at(to.as_ref(), |storage| copy_into(self.shared(), storage, control))
    }

    /// As [`Store::backup`], into an empty folder: the seam that tests use.
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests back up into memory"))]
    pub(crate) fn backup_storage(&self, to: &Arc<dyn Storage>) -> Result<BackedUp> {
        copy_into(self.shared(), to, &Control::new())
    }
}

fn copy_into(shared: &Arc<Shared>, to: &Arc<dyn Storage>, control: &Control) -> Result<BackedUp> {
    let core = Core::take(shared)?;
    to.create_dir(SEGMENTS_FOLDER)?;
    let (mut segments, mut bytes) = (0, 0);
    for ((view, _), entry) in core.read.range(&tables::SEGMENTS, ..)? {
        control.checkpoint()?;
        let blocks = segment::full_blocks(entry.rows, entry.dimension, entry.element);
        let sums = read_block_sums(&core.read, entry.id, blocks)?;
        let reader = SegmentReader::open(&*shared.storage, view, &entry, sums)?;
        bytes += reader.copy_to(&**to, view, || control.checkpoint())?;
        segments += 1;
        control.report("bytes", bytes, None);
    }
    let options = CatalogOptions { cache_bytes: shared.cache_bytes(), ..CatalogOptions::default() };
    catalog::copy_to(&core.read, to, options, control)?;
    to.sync_dir("")?;
    let bytes = crate::store::read::info::bytes_on_disk(&**to)?;
    Store::verify_made(to, control)?;
    Ok(BackedUp { commit: core.meta.commit, segments, bytes })
}
