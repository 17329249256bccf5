//! What every part of one snapshot shares: the catalog's read transaction, the lease on files, the store's handle.
//!
//! Owns [`Core`] and how it is taken: a lease on the generation, then the read transaction, and again from the start if
//! the catalog has moved to another generation meanwhile. Where no lease can be had (a full disk, a folder that this
//! process may not write to), the files themselves are opened at once. Invariant: as long as a core lives, every file
//! that its catalog names can be read.

use crate::catalog::lease::Lease;
use crate::catalog::tables::SEGMENTS;
use crate::catalog::{CATALOG_FILE, CatalogRead, ReadTransaction};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::segment::SegmentReader;
use crate::store::read::column::{CHUNK_ROWS, ColumnChunk};
use crate::store::read::derived_def::by_collection;
use crate::store::read::record::COLUMNS;
use crate::store::read::segments::read_segments;
use crate::store::shared::open::Counted;
use crate::store::shared::{Leased, Shared};
use crate::types::ViewId;
use crate::types::{CollectionId, DerivedDef, SegmentEntry, SegmentId, StoreMeta, ViewDef};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// How often a snapshot is tried while writers keep changing the generation.
const LEASE_TRIES: usize = 100;

/// The shared part of a snapshot.
pub(in crate::store) struct Core {
    /// Declared before the lease: files may go only after nobody reads the catalog that names them.
    pub(in crate::store) read: ReadTransaction,
    pub(in crate::store) meta: StoreMeta,
    pub(in crate::store) shared: Arc<Shared>,
    _counted: Counted,
    _lease: Option<Arc<Lease>>,
    /// What is kept derived, by collection; read when it is first asked for.
    derived: OnceLock<HashMap<CollectionId, Vec<DerivedDef>>>,
    /// Without a lease: readers of all segments, which others may unlink. They stay readable while they are mapped.
    held: HashMap<SegmentId, Arc<SegmentReader>>,
}

impl Core {
    /// A snapshot of what is committed now.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the catalog is older than HEAD (which the catalog reads first), or damaged.
    pub(in crate::store) fn take(shared: &Arc<Shared>) -> Result<Core> {
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
            if let Ok(reader) = self.reader(view, &entry) {
                held.insert(id, reader);
            }
        }
        self.held = held;
        Ok(self.shared.catalog.begin_read()?.meta().generation == self.meta.generation)
    }

    /// A reader of `entry` as far as this snapshot sees it.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where file and entry do not fit, [`ErrorKind::NotFound`] where the store was moved since
    /// the snapshot was taken.
    pub(in crate::store) fn reader(&self, view: ViewId, entry: &SegmentEntry) -> Result<Arc<SegmentReader>> {
        let found = self.shared.readers.get(&*self.shared.storage, &self.read, self.held.get(&entry.id), view, entry);
        // Segments are found by name: of a store that was moved or replaced they are missing, or another's.
        found.map_err(|error| self.shared.catalog.check_in_place().err().unwrap_or(error))
    }

    /// What is kept derived from the views of a collection. The table is gone through once for all collections.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub(in crate::store) fn derived_of(&self, collection: CollectionId) -> Result<&[DerivedDef]> {
        let known = match self.derived.get() {
            Some(known) => known,
            None => {
                let found = by_collection(&self.read)?;
                self.derived.get_or_init(|| found)
            }
        };
        Ok(known.get(&collection).map_or(&[], Vec::as_slice))
    }

    /// Segments of `view`, ascending by row, checked to cover its rows without a gap.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where they do not.
    pub(in crate::store) fn segments(&self, view: &ViewDef) -> Result<Vec<SegmentEntry>> {
        read_segments(&self.read, view)
    }

    /// One chunk of a metadata column; `None`: all null. Chunks never change, so they are decoded once as long as the
    /// handle's cache has room.
    ///
    /// # Errors
    /// As [`Core::read_column_chunk`].
    pub(in crate::store) fn column_chunk(
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
    pub(in crate::store) fn read_column_chunk(
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
