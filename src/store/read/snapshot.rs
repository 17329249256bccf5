//! What a reader holds on to: the store as it was at one commit.
//!
//! Owns [`Snapshot`] and [`RecordView`]. A snapshot is a read transaction of the catalog, a lease on the files of its
//! generation, and readers of the segments as far as they counted at that commit; commits that come later change
//! nothing in it. It only reads.

use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::store::names::no_such_collection;
use crate::store::read::collection::CollectionSnapshot;
use crate::store::read::core::Core;
use crate::store::shared::cache::LensCache;
use crate::text::embed::Embedder;
use crate::types::{
    CollectionDef, CollectionId, CommitNumber, LensRecord, ProjectionDef, RecordKey, RowId, StoreMeta, Value, ViewKind,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// An immutable, consistent view of the store at one commit; clones share it.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("simile-doc-snapshot-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use simile::{Record, store::Store};
/// let store = Store::create(dir.join("notes.simile"))?;
/// let before = store.snapshot()?;
/// let mut batch = store.begin()?;
/// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket").field("year", 2024))?;
/// batch.commit()?;
/// assert!(before.collection("notes").is_err());
/// let record = store.snapshot()?.get("notes", "n1")?.expect("it was committed");
/// assert_eq!(record.text, "I left them in my pocket");
/// # drop((before, store));
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), simile::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

pub(in crate::store) struct Inner {
    core: Arc<Core>,
    defs: Vec<CollectionDef>,
    /// Positions in `defs`.
    by_name: HashMap<String, usize>,
    by_id: HashMap<CollectionId, usize>,
    opened: Mutex<HashMap<String, Arc<CollectionSnapshot>>>,
}

/// One view's part of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordViewPart {
    /// Name of the view.
    pub name: String,
    /// What kind of view it is.
    pub kind: ViewKind,
    /// The text as this view has it; `None` where vectors are supplied or no rewrite is there.
    pub text: Option<String>,
    /// Dimension of the view, once a vector has fixed it.
    pub dimension: Option<u32>,
    /// The stored vector, halves widened exactly; `None` where the record has none.
    pub vector: Option<Vec<f32>>,
}

/// A record whole: text, fields, and what every view has of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordView {
    /// The stable key.
    pub key: RecordKey,
    /// The row at this snapshot.
    pub row: RowId,
    /// The id.
    pub id: String,
    /// The raw text.
    pub text: String,
    /// Metadata that is not null.
    pub fields: BTreeMap<String, Value>,
    /// Every view of the collection, in the order they were made.
    pub views: Vec<RecordViewPart>,
}

impl Snapshot {
    pub(in crate::store) fn new(core: Arc<Core>, defs: Vec<CollectionDef>) -> Self {
        let by_name = defs.iter().enumerate().map(|(idx, def)| (def.name.clone(), idx)).collect();
        let by_id = defs.iter().enumerate().map(|(idx, def)| (def.id, idx)).collect();
        Snapshot { inner: Arc::new(Inner { core, defs, by_name, by_id, opened: Mutex::default() }) }
    }

    pub(in crate::store) fn from_inner(inner: Arc<Inner>) -> Self {
        Snapshot { inner }
    }

    pub(in crate::store) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    /// Whether no file that has been mapped was shortened meanwhile.
    pub(in crate::store) fn has_whole_files(&self) -> bool {
        let opened = self.inner.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.values().all(|collection| collection.has_whole_files())
    }

    /// The commit this snapshot shows; 0 for a store that nothing was committed to.
    pub fn commit(&self) -> CommitNumber {
        self.inner.core.meta.commit
    }

    /// The store's own record.
    pub fn meta(&self) -> &StoreMeta {
        &self.inner.core.meta
    }

    /// Definitions of all collections, by name.
    pub fn collections(&self) -> &[CollectionDef] {
        &self.inner.defs
    }

    /// Name of the collection with this number; empty where there is none.
    pub fn collection_name(&self, id: CollectionId) -> &str {
        self.collection_numbered(id).map_or("", |def| def.name.as_str())
    }

    /// Definition of the collection with this number.
    pub(crate) fn collection_numbered(&self, id: CollectionId) -> Option<&CollectionDef> {
        self.inner.by_id.get(&id).and_then(|&idx| self.inner.defs.get(idx))
    }

    /// One collection.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), with the nearest name and the names that exist.
    pub fn collection(&self, name: &str) -> Result<Arc<CollectionSnapshot>> {
        let mut opened = self.inner.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = opened.get(name) {
            return Ok(Arc::clone(collection));
        }
        let Some(def) = self.inner.by_name.get(name).and_then(|&idx| self.inner.defs.get(idx)) else {
            return Err(no_such_collection(name, self.inner.defs.iter().map(|def| def.name.as_str())));
        };
        let collection = Arc::new(CollectionSnapshot::open(Arc::clone(&self.inner.core), def.clone())?);
        opened.insert(name.to_string(), Arc::clone(&collection));
        Ok(collection)
    }

    /// A record whole, or `None` where the collection has no such id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown collection.
    pub fn get(&self, collection: &str, id: &str) -> Result<Option<RecordView>> {
        let collection = self.collection(collection)?;
        let Some(row) = collection.row_of(id)? else { return Ok(None) };
        let record = collection.record(row)?;
        let mut views = Vec::new();
        for view in collection.views() {
            let def = view.def();
            views.push(RecordViewPart {
                name: def.name.clone(),
                kind: def.kind.clone(),
                text: collection.view_text_of(def, row, &record.text)?,
                dimension: def.dimension,
                vector: view.vector(row.0)?,
            });
        }
        Ok(Some(RecordView { key: record.key, row, id: record.id, text: record.text, fields: record.fields, views }))
    }

    /// The saved lens of that name.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn lens(&self, name: &str) -> Result<Option<LensRecord>> {
        self.inner.core.read.get(&tables::LENSES, &name.to_string())
    }

    /// All saved lenses, by name.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn lenses(&self) -> Result<Vec<LensRecord>> {
        Ok(self.inner.core.read.range(&tables::LENSES, ..)?.into_iter().map(|(_, lens)| lens).collect())
    }

    /// The projection of that name, decoded once for each commit as long as the handle's cache has room.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn projection(&self, name: &str) -> Result<Option<Arc<ProjectionDef>>> {
        let key = format!("projection {} {name}", self.commit()).into_bytes();
        if let Some(known) = self.cache().get(&key) {
            return Ok(Some(known));
        }
        let found = self.inner.core.read.get(&tables::PROJECTIONS, &name.to_string())?;
        let Some(def) = found.map(Arc::new) else { return Ok(None) };
        let numbers = def.query.len() + def.record.as_ref().map_or(0, Vec::len);
        self.cache().insert(&key, Arc::clone(&def), numbers * 4 + def.name.len() + def.origin.len());
        Ok(Some(def))
    }

    /// All projections, by name.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn projections(&self) -> Result<Vec<ProjectionDef>> {
        Ok(self.inner.core.read.range(&tables::PROJECTIONS, ..)?.into_iter().map(|(_, def)| def).collect())
    }

    /// Where exec keeps what it computes; it belongs to the store's handle and outlives this snapshot.
    pub fn cache(&self) -> &LensCache {
        &self.inner.core.shared.cache
    }

    /// The embedder of that name.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) when this process does not have it.
    pub fn embedder(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        self.inner.core.shared.embedder(name)
    }

    /// Runs `work` in the store's own thread pool where `Options::threads` asked for one, else where it is called.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.inner.core.shared.install(work)
    }

    /// Runs `work` on this thread; what it shares ([`team`](crate::linalg::team)) is shared with threads of the store:
    /// as many in all as `Options::threads` asked for, else as the machine has.
    pub fn beside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.inner.core.shared.beside(work)
    }

    pub(in crate::store) fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("commit", &self.commit()).finish_non_exhaustive()
    }
}
