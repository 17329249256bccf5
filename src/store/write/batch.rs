//! One all-or-nothing change of the store.
//!
//! Owns [`Batch`]: the catalog's write transaction, and the working state of the collections it touches. Invariant:
//! until that transaction commits, nothing that a reader can reach has changed.

use crate::catalog::{CatalogRead, WriteTransaction, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::store::names::no_such_collection;
use crate::store::shared::Shared;
use crate::store::shared::turn::Turn;
use crate::store::write::garbage;
use crate::store::write::state::CollectionState;
use crate::types::{CollectionId, CommitNumber, Control, DerivedDef, StoreMeta, ViewId};
use std::collections::HashMap;
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
    pub(in crate::store) tx: Option<WriteTransaction>,
    pub(in crate::store) shared: Arc<Shared>,
    pub(in crate::store) meta: StoreMeta,
    pub(in crate::store) collections: Vec<CollectionState>,
    /// Positions in `collections`.
    by_name: HashMap<String, usize>,
    /// Names of the collections that were there when it was first asked for, by number.
    numbers: OnceLock<HashMap<CollectionId, String>>,
    /// What is kept derived, by lens, once it was asked for.
    pub(in crate::store) derived: Option<HashMap<String, Vec<DerivedDef>>>,
    /// Paths that nobody needs once this batch is committed.
    pub(in crate::store) garbage: Vec<String>,
    /// Segment files made by this batch, to be removed if it does not commit.
    pub(in crate::store) created: Vec<String>,
    /// Whether there is anything to commit.
    pub(in crate::store) changed: bool,
    /// Why the batch cannot go on.
    broken: Option<Broken>,
    pub(in crate::store) control: Control,
    _turn: Turn,
}

/// What made a batch unusable.
struct Broken {
    kind: ErrorKind,
    reason: String,
}

impl Batch {
    pub(in crate::store) fn begin(shared: Arc<Shared>, turn: Turn, control: Control) -> Result<Batch> {
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

    /// The open transaction of a batch that can go on.
    pub(in crate::store) fn tx(&self) -> Result<&WriteTransaction> {
        self.usable()?;
        self.tx.as_ref().ok_or_else(|| Error::invalid("the batch is not open"))
    }

    /// The working state of a collection that was loaded.
    pub(in crate::store) fn state(&mut self, idx: usize) -> Result<&mut CollectionState> {
        self.collections.get_mut(idx).ok_or_else(|| Error::invalid("the collection is not open in this batch"))
    }

    /// The commit that this batch comes after.
    pub fn follows(&self) -> CommitNumber {
        self.meta.commit
    }

    /// Makes a commit look at a collection that nothing else in this batch has changed.
    pub(in crate::store) fn touch(&mut self, name: &str) -> Result<()> {
        let idx = self.require(name)?;
        self.state(idx)?.changed = true;
        self.changed = true;
        Ok(())
    }

    /// Position of the collection's working state, read from the catalog when it is asked for first.
    pub(in crate::store) fn load(&mut self, name: &str) -> Result<Option<usize>> {
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
    pub(in crate::store) fn add_state(&mut self, state: CollectionState) -> usize {
        let idx = self.collections.len();
        self.by_name.insert(state.def.name.clone(), idx);
        self.collections.push(state);
        idx
    }

    /// Names of the stored collections by number; those that this batch makes may not be among them. Nothing renames or
    /// drops a collection, so they are read once.
    pub(in crate::store) fn numbers(&self) -> Result<&HashMap<CollectionId, String>> {
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

    pub(in crate::store) fn require(&mut self, name: &str) -> Result<usize> {
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

    pub(in crate::store) fn next_view(&mut self) -> ViewId {
        let id = ViewId(self.meta.next_view);
        self.meta.next_view = self.meta.next_view.saturating_add(1);
        id
    }

    /// Refuses a batch that cannot go on.
    pub(in crate::store) fn usable(&self) -> Result<()> {
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

    /// Runs a change that may end half way: after an error, or a panic of the app's own code (its embedder, whoever
    /// hears of progress, the iterator it hands in) that passes through it, the batch cannot go on and commits nothing.
    pub(in crate::store) fn change<T>(&mut self, work: impl FnOnce(&mut Batch) -> Result<T>) -> Result<T> {
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
    pub(in crate::store) fn foreign<T>(&mut self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.break_off(error))
    }

    fn break_off(&mut self, error: &Error) {
        self.broken.get_or_insert_with(|| Broken { kind: error.kind(), reason: error.message().to_string() });
    }

    /// Passes on what a change answered. A failure in the middle of a change leaves the batch unusable, and a failed
    /// write the whole handle.
    pub(in crate::store) fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && self.broken.is_none()
        {
            self.break_off(error);
            self.shared.poison(error);
        }
        result
    }
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
