//! One all-or-nothing change of the store.
//!
//! Owns [`Batch`]: the catalog's write transaction, the working state of the collections it touches, and the order of
//! a commit: vectors are appended beyond the committed rows and synced, then one catalog transaction makes them
//! count, then HEAD says so. Invariant: until that transaction commits, nothing that a reader can reach has changed.

use super::append::{Embedded, ViewState};
use super::derived::{self, KnownLenses};
use super::handle::Shared;
use super::lenses::check_name;
use super::options::{CollectionSpec, EmbedderChoice, ViewSpec};
use super::snapshot::no_such_collection;
use super::state::CollectionState;
use super::turn::Turn;
use super::writer::CollectionWriter;
use super::{fill, garbage};
use crate::catalog::{CatalogRead, WriteTransaction, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{
    CollectionDef, CollectionId, CommitNumber, Control, DerivedDef, ElementType, FieldType, StoreMeta, ViewDef, ViewId,
    ViewKind, limits,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A transaction: everything in it counts once [`Batch::commit`] returns, or nothing does.
///
/// Dropping a batch without committing undoes it. One batch is open at a time; readers go on meanwhile.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("simile-doc-batch-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use simile::{Record, store::Store};
/// let store = Store::create(dir.join("notes.simile"))?;
/// let mut batch = store.begin()?;
/// let mut notes = batch.collection("notes")?;
/// notes.insert(Record::new("n1", "Where did I put my wallet?"))?;
/// notes.insert(Record::new("n2", "I left them in my pocket"))?;
/// assert_eq!(batch.commit()?.0, 1);
/// assert_eq!(store.snapshot()?.collection("notes")?.live().len(), 2);
/// # drop(store);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), simile::Error>(())
/// ```
pub struct Batch {
    /// Dropped first: it aborts before anybody else may begin.
    pub(super) tx: Option<WriteTransaction>,
    pub(super) shared: Arc<Shared>,
    pub(super) meta: StoreMeta,
    pub(super) collections: Vec<CollectionState>,
    /// Positions in `collections`.
    by_name: HashMap<String, usize>,
    /// Names of the collections that were there when it was first asked for, by number.
    numbers: OnceLock<HashMap<CollectionId, String>>,
    /// What is kept derived, by lens, once it was asked for.
    pub(super) derived: Option<HashMap<String, Vec<DerivedDef>>>,
    /// Paths that nobody needs once this batch is committed.
    pub(super) garbage: Vec<String>,
    /// Segment files made by this batch, to be removed if it does not commit.
    pub(super) created: Vec<String>,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
    /// Why the batch cannot go on.
    broken: Option<Broken>,
    pub(super) control: Control,
    _turn: Turn,
}

/// What made a batch unusable.
struct Broken {
    kind: ErrorKind,
    reason: String,
}

impl Batch {
    pub(super) fn begin(shared: Arc<Shared>, turn: Turn, control: Control) -> Result<Batch> {
        let tx = shared.catalog.begin_write()?;
        let meta = tx.meta()?;
        garbage::collect(&shared, &tx, &meta)?;
        Ok(Batch {
            tx: Some(tx),
            shared,
            meta,
            collections: Vec::new(),
            by_name: HashMap::new(),
            numbers: OnceLock::new(),
            derived: None,
            garbage: Vec::new(),
            created: Vec::new(),
            changed: false,
            broken: None,
            control,
            _turn: turn,
        })
    }

    /// The collection of that name, made with the store's embedder when it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name the query language could not say.
    pub fn collection(&mut self, name: &str) -> Result<CollectionWriter<'_>> {
        match self.load(name)? {
            Some(idx) => Ok(CollectionWriter::new(self, idx)),
            None => self.create_collection(name, CollectionSpec::new()),
        }
    }

    /// The collection of that name, which must be there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], with the nearest name and the names that exist.
    pub fn existing_collection(&mut self, name: &str) -> Result<CollectionWriter<'_>> {
        let idx = self.require(name)?;
        Ok(CollectionWriter::new(self, idx))
    }

    /// Whether there is a collection of that name.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn has_collection(&mut self, name: &str) -> Result<bool> {
        Ok(self.load(name)?.is_some())
    }

    /// Makes a collection with one view, `raw`.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] for a name in use, [`ErrorKind::Invalid`] for one the query language could not say,
    /// [`ErrorKind::Unsupported`] for an embedder that this process does not have.
    pub fn create_collection(&mut self, name: &str, spec: CollectionSpec) -> Result<CollectionWriter<'_>> {
        check_name("collection", name)?;
        if self.load(name)?.is_some() {
            return Err(Error::new(ErrorKind::Exists, format!("collection {name} exists already")));
        }
        let embedder = match &spec.embedder {
            EmbedderChoice::StoreDefault => self.meta.embedder.clone(),
            EmbedderChoice::Supplied => None,
            EmbedderChoice::Named(name) => Some(self.shared.embedder(name)?.name().to_string()),
        };
        let raw = ViewDef {
            id: self.next_view(),
            name: "raw".to_string(),
            kind: ViewKind::Raw,
            embedder,
            dimension: None,
            element: spec.element,
            rows: 0,
            revision: 0,
        };
        let def = CollectionDef {
            id: CollectionId(self.meta.next_collection),
            name: name.to_string(),
            fields: BTreeMap::new(),
            rows: 0,
            live: 0,
            next_key: 0,
            views: vec![raw],
        };
        self.meta.next_collection = counted_up(self.meta.next_collection)?;
        self.changed = true;
        let mut state = CollectionState::new(def);
        state.is_embedder_default = spec.embedder == EmbedderChoice::StoreDefault;
        let idx = self.add_state(state);
        Ok(CollectionWriter::new(self, idx))
    }

    /// Adds a view to a collection. Its vectors come with later records, through
    /// [`CollectionWriter::set_vector`], or from [`Batch::embed`]; a view that takes its texts from a field takes those of
    /// the records that are there now.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] for a name in use, [`ErrorKind::Invalid`] for a name the query language could not say or a
    /// template without `{text}`, [`ErrorKind::Unsupported`] for an embedder that this process does not have.
    pub fn add_view(&mut self, collection: &str, spec: ViewSpec) -> Result<()> {
        let idx = self.require(collection)?;
        check_name("view", &spec.name)?;
        let ViewSpec { name, kind, embedder, element } = spec;
        if let ViewKind::Template(template) = &kind {
            if !template.contains("{text}") {
                let message = format!("the template {template:?} does not say where the text goes: it needs {{text}}");
                return Err(Error::invalid(message).with_field("template"));
            }
            if template.len() > limits::TEXT_BYTES {
                return Err(Error::new(ErrorKind::Limit, "the template is too long").with_field("template"));
            }
        }
        // Views with a text are embedded; views of supplied vectors have an embedder only for queries, if any.
        let embedder = match (embedder, &kind) {
            (None, ViewKind::VectorsOnly) => None,
            (None, _) => self.meta.embedder.clone(),
            (Some(name), _) => Some(self.shared.embedder(&name)?.name().to_string()),
        };
        let state = self.state(idx)?;
        if let ViewKind::TextFrom(field) = &kind
            && let Some(found) = state.def.fields.get(field).filter(|found| **found != FieldType::Text)
        {
            let message = format!("field {field} is {}: a view takes its texts from a field of text", found.as_str());
            return Err(Error::invalid(message).with_field(field));
        }
        let field = match &kind {
            ViewKind::TextFrom(field) => Some(field.clone()),
            _ => None,
        };
        self.push_view(idx, name, kind, embedder, element)?;
        field.map_or(Ok(()), |field| self.change(|batch| fill::take_texts(batch, idx, &field)))
    }

    /// Adds a view as another store has it, whether its embedder is known here or not.
    pub(super) fn add_unchecked_view(&mut self, collection: &str, spec: ViewSpec) -> Result<()> {
        let idx = self.require(collection)?;
        self.push_view(idx, spec.name, spec.kind, spec.embedder, spec.element)
    }

    fn push_view(
        &mut self,
        idx: usize,
        name: String,
        kind: ViewKind,
        embedder: Option<String>,
        element: ElementType,
    ) -> Result<()> {
        let state = self.state(idx)?;
        if state.def.views.iter().any(|view| view.name == name) {
            let collection = &state.def.name;
            return Err(Error::new(ErrorKind::Exists, format!("collection {collection} has a view {name} already")));
        }
        let id = self.next_view();
        let state = self.state(idx)?;
        state.def.views.push(ViewDef { id, name, kind, embedder, dimension: None, element, rows: 0, revision: 0 });
        state.views.push(ViewState::default());
        for row in &mut state.pending {
            row.slots.push(super::state::Slot::Absent);
        }
        state.changed = true;
        self.changed = true;
        Ok(())
    }

    /// Embeds what has no vector yet in `view`, or in every view that has an embedder. Answers with the number of
    /// vectors made; rows that a rewrite view has no text for stay absent, and so do texts that the embedder knows no
    /// word of.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown collection or view, [`ErrorKind::Invalid`] for a view of supplied
    /// vectors, [`ErrorKind::Unsupported`] for an embedder that this process does not have.
    pub fn embed(&mut self, collection: &str, view: Option<&str>) -> Result<u64> {
        Ok(self.embed_missing(collection, view)?.vectors())
    }

    /// As [`Batch::embed`], with what came of all the texts it looked at.
    ///
    /// # Errors
    /// As [`Batch::embed`].
    pub fn embed_missing(&mut self, collection: &str, view: Option<&str>) -> Result<Embedded> {
        let idx = self.require(collection)?;
        let views = fill::views_to_fill(&self.state(idx)?.def, view)?;
        self.change(|batch| fill::embed_missing(batch, idx, &views))
    }

    /// Makes everything in the batch count, durably, and answers with the commit's number. A batch that changed
    /// nothing commits nothing and answers with the last commit's.
    ///
    /// # Errors
    /// After an error the store is as it was before the batch. After [`ErrorKind::Io`] it has to be opened again before
    /// anything can be written; only that shows whether a commit whose last sync failed counts.
    pub fn commit(mut self) -> Result<CommitNumber> {
        self.usable()?;
        if !self.changed {
            return Ok(self.meta.commit);
        }
        let prepared = self.prepare_commit();
        self.note(prepared)?;
        let Some(tx) = self.tx.take() else { return Err(Error::invalid("the batch is not open")) };
        // From here on the new files may belong to the store, even if the commit's last sync fails: what no commit
        // names is removed by whoever opens the store next.
        self.created.clear();
        let committed = tx.commit();
        self.note(committed)?;
        Ok(self.meta.commit)
    }

    /// Everything up to the moment that makes it count: vectors appended and synced, catalog rows written.
    fn prepare_commit(&mut self) -> Result<()> {
        let mut derived = derived::by_collection(self.tx()?)?;
        let mut lenses = KnownLenses::default();
        for idx in 0..self.collections.len() {
            super::flush::flush(self, idx)?;
            let own = derived.remove(&self.state(idx)?.def.id).unwrap_or_default();
            super::flush::finish_views(self, idx, own, &mut lenses)?;
        }
        self.settle_heads()?;
        self.meta.commit.0 = counted_up(self.meta.commit.0)?;
        if !self.garbage.is_empty() {
            let generation = self.meta.generation;
            self.meta.generation = counted_up(generation)?;
            for path in std::mem::take(&mut self.garbage) {
                self.tx()?.put(&tables::GARBAGE, &(generation, path), &())?;
            }
        }
        let meta = self.meta.clone();
        self.tx()?.put_meta(&meta)
    }

    /// The open transaction of a batch that can go on.
    pub(super) fn tx(&self) -> Result<&WriteTransaction> {
        self.usable()?;
        self.tx.as_ref().ok_or_else(|| Error::invalid("the batch is not open"))
    }

    /// The working state of a collection that was loaded.
    pub(super) fn state(&mut self, idx: usize) -> Result<&mut CollectionState> {
        self.collections.get_mut(idx).ok_or_else(|| Error::invalid("the collection is not open in this batch"))
    }

    /// The commit that this batch comes after.
    pub fn follows(&self) -> CommitNumber {
        self.meta.commit
    }

    /// Makes a commit look at a collection that nothing else in this batch has changed.
    pub(super) fn touch(&mut self, name: &str) -> Result<()> {
        let idx = self.require(name)?;
        self.state(idx)?.changed = true;
        self.changed = true;
        Ok(())
    }

    /// Position of the collection's working state, read from the catalog when it is asked for first.
    pub(super) fn load(&mut self, name: &str) -> Result<Option<usize>> {
        self.usable()?;
        if let Some(&idx) = self.by_name.get(name) {
            return Ok(Some(idx));
        }
        let Some(def) = self.tx()?.get(&tables::COLLECTIONS, &name.to_string())? else { return Ok(None) };
        let mut state = CollectionState::load(self.tx()?, def)?;
        let raw = state.def.views.first().and_then(|view| view.embedder.as_ref());
        state.is_embedder_default = state.def.rows == 0 && raw.is_some() && raw == self.meta.embedder.as_ref();
        Ok(Some(self.add_state(state)))
    }

    /// Takes a collection's working state in; answers with its position.
    fn add_state(&mut self, state: CollectionState) -> usize {
        let idx = self.collections.len();
        self.by_name.insert(state.def.name.clone(), idx);
        self.collections.push(state);
        idx
    }

    /// Names of the stored collections by number; those that this batch makes may not be among them. Nothing renames or
    /// drops a collection, so they are read once.
    pub(super) fn numbers(&self) -> Result<&HashMap<CollectionId, String>> {
        if let Some(known) = self.numbers.get() {
            return Ok(known);
        }
        let mut found = HashMap::new();
        self.tx()?.for_each(&tables::COLLECTIONS, .., |name, def| {
            found.insert(def.id, name);
            Ok(())
        })?;
        Ok(self.numbers.get_or_init(|| found))
    }

    pub(super) fn require(&mut self, name: &str) -> Result<usize> {
        if let Some(idx) = self.load(name)? {
            return Ok(idx);
        }
        let stored = self.tx()?.range(&tables::COLLECTIONS, ..)?;
        let mut names: Vec<String> = stored.into_iter().map(|(name, _)| name).collect();
        names.extend(self.collections.iter().map(|state| state.def.name.clone()));
        names.sort();
        names.dedup();
        Err(no_such_collection(name, names.iter().map(String::as_str)))
    }

    pub(super) fn next_view(&mut self) -> ViewId {
        let id = ViewId(self.meta.next_view);
        self.meta.next_view = self.meta.next_view.saturating_add(1);
        id
    }

    /// Refuses a batch that cannot go on.
    pub(super) fn usable(&self) -> Result<()> {
        let Some(Broken { kind, reason }) = &self.broken else { return Ok(()) };
        Err(match kind {
            ErrorKind::Cancelled => {
                Error::new(*kind, "the batch was cancelled earlier and has changed nothing; begin another")
            }
            _ => {
                let message = format!("the batch failed earlier ({reason}) and has changed nothing; begin another");
                Error::new(ErrorKind::Broken, message)
            }
        })
    }

    /// Runs a change that may end half way: after an error, or a panic of the app's own code (its embedder, whoever hears
    /// of progress, the iterator it hands in) that passes through it, the batch cannot go on and commits nothing.
    pub(super) fn change<T>(&mut self, work: impl FnOnce(&mut Batch) -> Result<T>) -> Result<T> {
        /// Breaks the batch if it goes out of scope before the work has returned.
        struct UnderWay<'a> {
            batch: &'a mut Batch,
            has_returned: bool,
        }
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                if !self.has_returned {
                    let reason = "a panic passed through it".to_string();
                    self.batch.broken.get_or_insert(Broken { kind: ErrorKind::Broken, reason });
                }
            }
        }
        self.usable()?;
        let mut under_way = UnderWay { batch: self, has_returned: false };
        let result = work(under_way.batch);
        under_way.has_returned = true;
        under_way.batch.note(result)
    }

    /// Notes that code of the app's own failed: the batch cannot go on, but nothing is known against the files.
    pub(super) fn foreign<T>(&mut self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.break_off(error))
    }

    fn break_off(&mut self, error: &Error) {
        self.broken.get_or_insert_with(|| Broken { kind: error.kind(), reason: error.message().to_string() });
    }

    /// Passes on what a change answered. A failure in the middle of a change leaves the batch unusable, and a failed
    /// write the whole handle.
    pub(super) fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && self.broken.is_none()
        {
            self.break_off(error);
            self.shared.poison(error);
        }
        result
    }
}

/// The number behind `number`. Nobody comes to the end of them, but what a store says may stand there.
///
/// # Errors
/// [`ErrorKind::Limit`] at the end of all numbers.
pub(super) fn counted_up<N: Copy + PartialEq + TryFrom<u64> + Into<u64>>(number: N) -> Result<N> {
    let next = number.into().checked_add(1).and_then(|next| N::try_from(next).ok());
    next.ok_or_else(|| Error::new(ErrorKind::Limit, "the store has used up the numbers that it counts with"))
}

impl Drop for Batch {
    fn drop(&mut self) {
        let tx = self.tx.take();
        let is_in_place = tx.as_ref().is_some_and(|tx| tx.check_in_place().is_ok());
        drop(tx);
        self.collections.clear();
        for path in self.created.iter().filter(|_| is_in_place) {
            // What cannot be removed now is an orphan, which the next writer that opens the store removes.
            let _ = self.shared.storage.remove(path);
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("after", &self.meta.commit)
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}
