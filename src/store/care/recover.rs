//! Making a store, and putting one in order when a writer opens it.
//!
//! A crash leaves at most: bytes beyond the committed rows (ignored and overwritten), segment files that no commit
//! names, garbage that was not unlinked yet, and a torn HEAD. This is where the last three go.

use crate::catalog::head::{self, HeadState};
use crate::catalog::{Catalog, CatalogOptions, CatalogRead, tables};
use crate::error::Result;
use crate::segment::{self, SEGMENTS_FOLDER};
use crate::storage::Storage;
use crate::store::options::Options;
use crate::store::place::files_of;
use crate::store::place::segment_files;
use crate::store::shared::Shared;
use crate::store::write::garbage;
use crate::types::{CommitNumber, FORMAT, FORMAT_NEEDS, SegmentId, StoreMeta, ViewId};
use std::collections::HashSet;
use std::sync::Arc;

/// Makes an empty store in an empty folder.
///
/// # Errors
/// What the operating system answers.
pub(in crate::store) fn format_new(storage: &Arc<dyn Storage>, options: &Options) -> Result<()> {
    let meta = StoreMeta {
        format: FORMAT,
        needs: FORMAT_NEEDS.to_string(),
        required_features: 0,
        commit: CommitNumber(0),
        generation: 1,
        next_collection: 1,
        next_view: 1,
        next_segment: 1,
        embedder: options.new_store_embedder(),
    };
    let catalog_options = CatalogOptions { cache_bytes: options.cache_bytes, busy_timeout: options.busy_timeout };
    drop(Catalog::create(Arc::clone(storage), catalog_options, &meta)?);
    storage.create_dir(SEGMENTS_FOLDER)?;
    storage.sync_dir("")
}

/// Folders of segments that a writer looks through where the one before has closed the store: what stands in them that
/// should not was left by something else than a crash of simile, and is found by this writer or one that comes later.
const FOLDERS_AT_ONCE: u32 = 64;

/// Removes what a crash may have left. Only the one writer of the store may call this. After a crash all of the store
/// is looked through, otherwise no more of it than [`FOLDERS_AT_ONCE`].
///
/// # Errors
/// What the operating system or the catalog answers.
pub(in crate::store) fn tidy(shared: &Shared) -> Result<()> {
    // The transaction is dropped: it only sees to it that nobody else writes, and what it forgets of the garbage list
    // is forgotten again by the first batch.
    let tx = shared.catalog.begin_write()?;
    let meta = tx.meta()?;
    garbage::collect(shared, &tx, &meta)?;
    let mut named: HashSet<String> = HashSet::new();
    for ((_, path), ()) in tx.range(&tables::GARBAGE, ..)? {
        named.insert(path);
    }
    let storage = &*shared.storage;
    let files = if shared.catalog.was_left_open() || meta.next_view <= FOLDERS_AT_ONCE {
        for ((view, segment), _) in tx.range(&tables::SEGMENTS, ..)? {
            named.insert(segment::path(view, segment));
        }
        segment_files(storage)?
    } else {
        let first = (meta.commit.0.wrapping_mul(FOLDERS_AT_ONCE.into()) % u64::from(meta.next_view)) as u32;
        let mut files = Vec::new();
        for offset in 0..FOLDERS_AT_ONCE {
            let view = ViewId(((u64::from(first) + u64::from(offset)) % u64::from(meta.next_view)) as u32);
            let found = files_of(storage, &segment::folder(view))?;
            if !found.is_empty() {
                let all = (view, SegmentId(0))..=(view, SegmentId(u32::MAX));
                named.extend(tx.range(&tables::SEGMENTS, all)?.iter().map(|((view, id), _)| segment::path(*view, *id)));
            }
            files.extend(found);
        }
        files
    };
    for path in files.iter().filter(|path| !named.contains(*path)) {
        storage.remove(path)?;
    }
    // A copy that was found to hold together is this writer's from now on.
    let is_stamped = head::read_stamp(&*shared.storage)? == Some(head::stamp_of(&*shared.storage).unwrap_or(0));
    if head::read(&*shared.storage)? != HeadState::Valid(meta.commit) || !is_stamped {
        head::write(&*shared.storage, meta.commit)?;
    }
    Ok(())
}
