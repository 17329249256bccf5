//! What every part of one snapshot shares: the catalog's read transaction, the lease on files, the store's handle.
//!
//! Owns [`Core`] and how it is taken: a lease on the generation, then the read transaction, and again from the
//! start if the catalog has moved to another generation meanwhile. Where no lease can be had (a full disk, a folder that
//! this process may not write to), the files themselves are opened at once. Invariant: as long as a core lives, every file
//! that its catalog names can be read.

use super::column::{CHUNK_ROWS, ColumnChunk};
use super::derived;
use super::handle::{Leased, Shared};
use super::record::COLUMNS;
use crate::catalog::lease::Lease;
use crate::catalog::tables::SEGMENTS;
use crate::catalog::{CATALOG_FILE, CatalogRead, ReadTransaction};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::segment::SegmentReader;
use crate::types::{CollectionId, CommitNumber, DerivedDef, SegmentEntry, SegmentId, StoreMeta, ViewDef};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How often a snapshot is tried while writers keep changing the generation.
const LEASE_TRIES: usize = 100;

/// The shared part of a snapshot.
pub(super) struct Core {
    /// Declared before the lease: files may go only after nobody reads the catalog that names them.
    pub(super) read: ReadTransaction,
    pub(super) meta: StoreMeta,
    pub(super) shared: Arc<Shared>,
    _counted: Counted,
    _lease: Option<Arc<Lease>>,
    /// What is kept derived, by collection; read when it is first asked for.
    derived: OnceLock<HashMap<CollectionId, Vec<DerivedDef>>>,
    /// Without a lease: readers of all segments, which others may unlink. They stay readable while they are mapped.
    held: HashMap<SegmentId, Arc<SegmentReader>>,
}

/// How many snapshots of one handle show which commit.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenSnapshots(Arc<Mutex<BTreeMap<CommitNumber, u64>>>);

impl OpenSnapshots {
    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<CommitNumber, u64>> {
        // Every change is one of a number: a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of commits before `commit`, the oldest first.
    pub(super) fn before(&self, commit: CommitNumber) -> Vec<(CommitNumber, u64)> {
        self.counts().range(..commit).map(|(commit, count)| (*commit, *count)).collect()
    }
}

/// One snapshot, counted as long as it lives.
struct Counted(OpenSnapshots, CommitNumber);

impl Counted {
    fn new(open: &OpenSnapshots, commit: CommitNumber) -> Counted {
        *open.counts().entry(commit).or_default() += 1;
        Counted(open.clone(), commit)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        let left = counts.get(&self.1).map_or(0, |count| count - 1);
        match left {
            0 => counts.remove(&self.1),
            left => counts.insert(self.1, left),
        };
    }
}

impl Core {
    /// A snapshot of what is committed now.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the catalog is older than HEAD (which the catalog reads first), or damaged.
    pub(super) fn take(shared: &Arc<Shared>) -> Result<Core> {
        let mut generation = shared.catalog.begin_read()?.meta().generation;
        for _ in 0..LEASE_TRIES {
            let lease = shared.lease(generation);
            let read = shared.catalog.begin_read()?;
            let meta = read.meta().clone();
            let found = meta.generation;
            if found == generation {
                let is_leased = matches!(lease, Leased::Held(_));
                let held_lease = if let Leased::Held(lease) = lease { Some(lease) } else { None };
                let shared = Arc::clone(shared);
                let (_counted, _lease) = (Counted::new(&shared.open_snapshots, meta.commit), held_lease);
                let (derived, held) = (OnceLock::new(), HashMap::new());
                let mut core = Core { read, meta, shared, _counted, _lease, derived, held };
                if is_leased || core.hold_files()? {
                    return Ok(core);
                }
                generation = core.shared.catalog.begin_read()?.meta().generation;
                continue;
            }
            generation = found;
        }
        let message = "the store's files change faster than a snapshot can be taken; try again";
        Err(Error::new(ErrorKind::Locked, message).with_path(&shared.path))
    }

    /// Opens every segment that the catalog names; false if files may have gone meanwhile.
    fn hold_files(&mut self) -> Result<bool> {
        let mut held = HashMap::new();
        for ((view, id), entry) in self.read.range(&SEGMENTS, ..)? {
            // What is damaged says so to whoever reads it.
            if let Ok(reader) = self.shared.readers.get(self, view, &entry) {
                held.insert(id, reader);
            }
        }
        self.held = held;
        Ok(self.shared.catalog.begin_read()?.meta().generation == self.meta.generation)
    }

    /// The reader of a segment that this core holds in place of a lease.
    pub(super) fn held(&self, segment: SegmentId) -> Option<&Arc<SegmentReader>> {
        self.held.get(&segment)
    }

    /// What is kept derived from the views of a collection. The table is gone through once for all collections.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub(super) fn derived_of(&self, collection: CollectionId) -> Result<&[DerivedDef]> {
        let known = match self.derived.get() {
            Some(known) => known,
            None => {
                let found = derived::by_collection(&self.read)?;
                self.derived.get_or_init(|| found)
            }
        };
        Ok(known.get(&collection).map_or(&[], Vec::as_slice))
    }

    /// Segments of `view`, ascending by row, checked to cover its rows without a gap.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where they do not.
    pub(super) fn segments(&self, view: &ViewDef) -> Result<Vec<SegmentEntry>> {
        read_segments(&self.read, view)
    }

    /// One chunk of a metadata column; `None`: all null. Chunks never change, so they are decoded once as long as the
    /// handle's cache has room.
    ///
    /// # Errors
    /// As [`Core::read_column_chunk`].
    pub(super) fn column_chunk(
        &self,
        collection: CollectionId,
        field: &str,
        chunk: u32,
    ) -> Result<Option<Arc<ColumnChunk>>> {
        let key = format!("column {} {collection} {chunk} {field}", self.meta.generation).into_bytes();
        if let Some(known) = self.shared.cache.get(&key) {
            return Ok(Some(known));
        }
        let read = self.read_column_chunk(collection, field, chunk)?.map(Arc::new);
        if let Some(read) = &read {
            self.shared.cache.insert(&key, Arc::clone(read), read.size_bytes());
        }
        Ok(read)
    }

    /// One chunk of a metadata column, read from the catalog.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where it is not a chunk of [`CHUNK_ROWS`] rows.
    pub(super) fn read_column_chunk(
        &self,
        collection: CollectionId,
        field: &str,
        chunk: u32,
    ) -> Result<Option<ColumnChunk>> {
        let Some(found) = self.read.get(&COLUMNS, &(collection, field.to_string(), chunk))? else { return Ok(None) };
        if !found.is_well_formed(CHUNK_ROWS) {
            return Err(Error::corrupt(Damage {
                file: CATALOG_FILE.into(),
                offset: 0,
                what: format!("table columns, collection {collection}, field {field}, chunk {chunk}"),
                expected: format!("a column chunk of {CHUNK_ROWS} rows"),
                found: "parts that do not fit together".to_string(),
            }));
        }
        Ok(Some(found))
    }
}

/// Segments of `view` in `catalog`, ascending by row.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where they leave a gap, overlap, or do not end at the view's rows.
pub(super) fn read_segments(catalog: &impl CatalogRead, view: &ViewDef) -> Result<Vec<SegmentEntry>> {
    let range = (view.id, SegmentId(0))..=(view.id, SegmentId(u32::MAX));
    let mut segments: Vec<SegmentEntry> =
        catalog.range(&SEGMENTS, range)?.into_iter().map(|(_, entry)| entry).collect();
    segments.sort_by_key(|entry| entry.first_row);
    let damaged = |expected: String, found: String| {
        Error::corrupt(Damage {
            file: CATALOG_FILE.into(),
            offset: 0,
            what: format!("table segments, view {}: segments do not fit together", view.id),
            expected,
            found,
        })
    };
    let mut next_row = 0_u32;
    for entry in &segments {
        if entry.first_row != next_row || entry.rows == 0 {
            return Err(damaged(
                format!("a segment from row {next_row}"),
                format!("{} rows from {} in segment {}", entry.rows, entry.first_row, entry.id),
            ));
        }
        if Some(entry.dimension) != view.dimension || entry.element != view.element {
            return Err(damaged(
                format!("dimension {} in {}", view.dimension.unwrap_or(0), view.element.as_str()),
                format!("{} in {} in segment {}", entry.dimension, entry.element.as_str(), entry.id),
            ));
        }
        next_row = next_row
            .checked_add(entry.rows)
            .ok_or_else(|| damaged("fewer rows".to_string(), format!("{} rows from {next_row}", entry.rows)))?;
    }
    if next_row != view.rows {
        return Err(damaged(format!("rows up to {}", view.rows), format!("rows up to {next_row}")));
    }
    Ok(segments)
}
