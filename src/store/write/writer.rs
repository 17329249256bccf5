//! Adding, replacing and removing the records of one collection within a batch.
//!
//! Owns [`CollectionWriter`] and the rules of insert, upsert, update and remove. Every call validates the whole
//! record before it changes anything, so a refused record leaves the batch as it was.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::store::names::find_view;
use crate::store::read::record::fill_template;
use crate::store::read::record::{RECORDS, StoredRecord, put_chunk};
use crate::store::read::view_text::text_from;
use crate::store::write::append::Embedded;
use crate::store::write::batch::Batch;
use crate::store::write::flush::{self, PENDING_BYTES, PENDING_ROWS};
use crate::store::write::state::{CollectionState, PendingRow, Slot, has_empty_lists_only};
use crate::store::write::validate::{FieldChanges, check_id, check_record, check_vector};
use crate::types::{CollectionDef, Record, RecordKey, ViewDef, ViewKind, limits};

/// What a call did with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The id (or the vector) was new.
    Inserted,
    /// It was there with other contents, which were replaced.
    Updated,
    /// It was there with the same contents; nothing was done.
    Unchanged,
}

/// One collection of a [`Batch`].
///
/// Nothing counts before [`Batch::commit`]. A refused record (kind `Invalid`, `Exists`, `Limit`, `NotFound`) leaves
/// the batch usable; its error names the field where there is one ([`Error::field`]).
#[derive(Debug)]
pub struct CollectionWriter<'a> {
    batch: &'a mut Batch,
    idx: usize,
    no_embed: bool,
    keep_vectors: bool,
    /// The row that the last update left behind.
    replaced: Option<u32>,
}

impl<'a> CollectionWriter<'a> {
    pub(in crate::store) fn new(batch: &'a mut Batch, idx: usize) -> Self {
        CollectionWriter { batch, idx, no_embed: false, keep_vectors: false, replaced: None }
    }

    /// Whether records stay without vectors until [`Batch::embed`], unless they bring them.
    #[must_use]
    pub fn no_embed(mut self, no_embed: bool) -> Self {
        self.no_embed = no_embed;
        self
    }

    /// Whether supplied vectors and rewritten texts stay when a record's text changes and it does not bring new ones.
    #[must_use]
    pub fn keep_vectors(mut self, keep_vectors: bool) -> Self {
        self.keep_vectors = keep_vectors;
        self
    }

    /// Makes the vectors of the records given so far, and tells what came of their texts in each view that embeds,
    /// since the batch began: (view, its embedder, counts).
    ///
    /// # Errors
    /// What an embedder answers.
    pub fn embedded(&mut self) -> Result<Vec<(String, String, Embedded)>> {
        self.batch.usable()?;
        flush::flush(self.batch, self.idx)?;
        let state = self.batch.state(self.idx)?;
        let views = state.def.views.iter().zip(&state.views);
        Ok(views
            .filter_map(|(view, of)| Some((view.name.clone(), view.embedder.clone()?, of.embedded)))
            .filter(|(_, _, embedded)| embedded.texts > 0)
            .collect())
    }

    /// The collection as it would be if the batch were committed now.
    ///
    /// # Panics
    /// Never: the collection stays open as long as its batch.
    pub fn def(&self) -> &CollectionDef {
        &self.batch.collections[self.idx].def
    }

    /// Whether a live record has this id.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn contains(&self, id: &str) -> Result<bool> {
        Ok(self.row_of(id)?.is_some())
    }

    /// Adds a record with a new id.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] for an id that is there already or came before in this batch; `Invalid` or `Limit`, with
    /// [`Error::field`], for a record that cannot be stored.
    pub fn insert(&mut self, record: Record) -> Result<()> {
        let changes = self.check(&record)?;
        if self.row_of(&record.id)?.is_some() {
            return Err(self.exists(&record.id));
        }
        self.append(record, changes, None)
    }

    /// Adds a record with a new id under a key that it had in another store.
    pub(in crate::store) fn insert_with_key(&mut self, record: Record, key: RecordKey) -> Result<()> {
        let (idx, next_key) = (self.idx, self.def().next_key);
        self.batch.state(idx)?.def.next_key = key.0;
        let inserted = self.insert(record);
        let state = self.batch.state(idx)?;
        state.def.next_key = state.def.next_key.max(next_key);
        inserted
    }

    /// Adds records until one is refused; answers with how many. To keep all or none, drop the batch on an error. After
    /// a panic of the iterator the batch cannot commit.
    ///
    /// # Errors
    /// As [`CollectionWriter::insert`], with the record's position before the message.
    pub fn insert_many(&mut self, records: impl IntoIterator<Item = Record>) -> Result<u64> {
        let mut records = records.into_iter();
        let mut count = 0;
        // The iterator is the app's own code: a panic in it must not leave the records before it to be committed.
        while let Some(record) = self.batch.change(|_| Ok(records.next()))? {
            self.insert(record).map_err(|error| error.context(format_args!("record {}", count + 1)))?;
            count += 1;
        }
        Ok(count)
    }

    /// Adds a record, or does nothing where the same record is there already: an interrupted import is repeated with
    /// this. Vectors and view texts are compared only where the record brings them.
    ///
    /// # Errors
    /// As [`CollectionWriter::insert`]; `Exists` only where the record that is there differs.
    pub fn insert_or_skip(&mut self, record: Record) -> Result<Outcome> {
        let changes = self.check(&record)?;
        let Some(row) = self.row_of(&record.id)? else {
            self.append(record, changes, None)?;
            return Ok(Outcome::Inserted);
        };
        let old = self.stored(row)?;
        if self.is_same(row, &old, &record)? {
            return Ok(Outcome::Unchanged);
        }
        let message =
            format!("id {:?} exists already in collection {}, with other contents", record.id, self.def().name);
        Err(Error::new(ErrorKind::Exists, message).with_field("id"))
    }

    /// Adds a record, or replaces the one with its id.
    ///
    /// # Errors
    /// As [`CollectionWriter::insert`], but for `Exists`.
    pub fn upsert(&mut self, record: Record) -> Result<Outcome> {
        let changes = self.check(&record)?;
        match self.row_of(&record.id)? {
            None => self.append(record, changes, None).map(|()| Outcome::Inserted),
            Some(row) => self.replace(row, record, changes),
        }
    }

    /// Replaces the record with this id: text and fields as a whole, vectors by view. Vectors whose text did not change
    /// are kept; where it did, views with an embedder embed again, and supplied vectors become absent unless they
    /// come along (see [`CollectionWriter::keep_vectors`]).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an id that is not there; else as [`CollectionWriter::insert`].
    pub fn update(&mut self, record: Record) -> Result<Outcome> {
        let changes = self.check(&record)?;
        match self.row_of(&record.id)? {
            None => Err(self.not_found(&record.id)),
            Some(row) => self.replace(row, record, changes),
        }
    }

    /// Removes a record; false where there was none.
    ///
    /// # Errors
    /// Only where the catalog cannot be read or written.
    pub fn remove(&mut self, id: &str) -> Result<bool> {
        self.batch.usable()?;
        let Some(row) = self.row_of(id)? else { return Ok(false) };
        let idx = self.idx;
        self.batch.change(|batch| bury(batch, idx, row, id))?;
        Ok(true)
    }

    /// Gives a record that is there a vector of one view; a row that has one keeps it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown id or view, [`ErrorKind::Exists`] where there is another vector
    /// already, [`ErrorKind::Invalid`] for a vector that does not fit.
    pub fn set_vector(&mut self, id: &str, view: &str, vector: Vec<f32>) -> Result<Outcome> {
        self.put_vector(id, view, vector, false)
    }

    /// Gives a record that is there a vector of one view, in place of the one it may have.
    ///
    /// # Errors
    /// As [`CollectionWriter::set_vector`], but for `Exists`.
    pub fn replace_vector(&mut self, id: &str, view: &str, vector: Vec<f32>) -> Result<Outcome> {
        self.put_vector(id, view, vector, true)
    }

    fn put_vector(&mut self, id: &str, view: &str, vector: Vec<f32>, replace: bool) -> Result<Outcome> {
        self.batch.usable()?;
        check_id(id)?;
        let def = find_view(self.def(), view)?.clone();
        check_vector(&def, &vector)?;
        self.check_embedder_dimension(&def, &vector)?;
        let view_idx = self.def().views.iter().position(|def| def.name == view).unwrap_or(0);
        let Some(row) = self.row_of(id)? else { return Err(self.not_found(id)) };
        let old = flush::read_vector(self.batch, self.idx, view_idx, row)?;
        let outcome = match &old {
            None => Outcome::Inserted,
            Some(old) if flush::is_same_vector(&def, old, &vector) => return Ok(Outcome::Unchanged),
            Some(_) if replace => Outcome::Updated,
            Some(_) => {
                let message = format!("record {id:?} has another vector in view {view} already");
                return Err(Error::new(ErrorKind::Exists, message).with_field(view));
            }
        };
        let idx = self.idx;
        self.batch.change(|batch| flush::set_vector(batch, idx, view_idx, row, vector))?;
        Ok(outcome)
    }

    /// The row that the last record which took the place of another has left behind.
    pub(crate) fn replaced_row(&self) -> Option<u32> {
        self.replaced
    }

    /// The row of a live record.
    pub(crate) fn row_of(&self, id: &str) -> Result<Option<u32>> {
        self.batch.tx()?.get(&tables::IDS, &(self.def().id, id.to_string()))
    }

    fn stored(&self, row: u32) -> Result<StoredRecord> {
        let found = self.batch.tx()?.get(&RECORDS, &(self.def().id, row))?;
        found.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("row {row} of collection {} is missing", self.def().name))
        })
    }

    fn exists(&self, id: &str) -> Error {
        let message = format!("id {id:?} exists already in collection {}", self.def().name);
        Error::new(ErrorKind::Exists, message).with_field("id")
    }

    fn not_found(&self, id: &str) -> Error {
        Error::not_found(format!("there is no record {id:?} in collection {}", self.def().name)).with_field("id")
    }

    /// Everything that can be said against a record before anything is changed.
    fn check(&mut self, record: &Record) -> Result<FieldChanges> {
        self.batch.usable()?;
        let tx = self.batch.tx.as_ref().ok_or_else(|| Error::invalid("the batch is not open"))?;
        let Some(state) = self.batch.collections.get_mut(self.idx) else {
            return Err(Error::invalid("the collection is not open in this batch"));
        };
        let (def, filled) = (&state.def, &mut state.filled_lists);
        let changes = check_record(def, record, &mut |field| has_empty_lists_only(tx, def, filled, field))?;
        if u64::from(state.def.rows) >= limits::ROWS {
            return Err(Error::new(ErrorKind::Limit, format!("a collection has at most {} rows", limits::ROWS)));
        }
        let drops_embedder = drops_embedder(state, record);
        for (view_idx, view) in self.def().views.iter().enumerate() {
            match record.vectors.get(&view.name) {
                Some(_) if view_idx == 0 && drops_embedder => {}
                Some(vector) => self.check_embedder_dimension(view, vector)?,
                // An embedder that is not there is found out now, not in the middle of a change.
                None if !self.no_embed && view.kind != ViewKind::VectorsOnly => {
                    view.embedder.as_deref().map(|name| self.batch.shared.embedder(name)).transpose()?;
                }
                None => {}
            }
        }
        Ok(changes)
    }

    /// The first vector supplied to a view with an embedder must be one that the embedder could have made.
    fn check_embedder_dimension(&self, view: &ViewDef, vector: &[f32]) -> Result<()> {
        let (None, Some(name)) = (view.dimension, view.embedder.as_deref()) else { return Ok(()) };
        let Ok(embedder) = self.batch.shared.embedder(name) else { return Ok(()) };
        if embedder.dimension() == vector.len() {
            return Ok(());
        }
        let message = format!(
            "the vector for view {} has {} dimensions, its embedder {name} makes {}",
            view.name,
            vector.len(),
            embedder.dimension()
        );
        Err(Error::invalid(message).with_field(&view.name))
    }

    /// Whether what is stored at `row` is `record`, as far as the record says.
    fn is_same(&mut self, row: u32, old: &StoredRecord, record: &Record) -> Result<bool> {
        if !old.is_same(record, &self.def().fields) {
            return Ok(false);
        }
        for view_idx in 0..self.def().views.len() {
            let Some(view) = self.def().views.get(view_idx).cloned() else { break };
            if let Some(text) = record.view_texts.get(&view.name)
                && self.batch.tx()?.get(&tables::VIEW_TEXTS, &(view.id, row))?.as_ref() != Some(text)
            {
                return Ok(false);
            }
            if let Some(vector) = record.vectors.get(&view.name) {
                let stored = flush::read_vector(self.batch, self.idx, view_idx, row)?;
                if !stored.is_some_and(|stored| flush::is_same_vector(&view, &stored, vector)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn replace(&mut self, row: u32, record: Record, changes: FieldChanges) -> Result<Outcome> {
        let old = self.stored(row)?;
        if self.is_same(row, &old, &record)? {
            return Ok(Outcome::Unchanged);
        }
        let replaced = Replaced { row, key: old.key, same_text: old.text == record.text };
        self.append(record, changes, Some(replaced))?;
        self.replaced = Some(row);
        Ok(Outcome::Updated)
    }

    /// Adds the checked record as the next row, in place of `replaced`.
    fn append(&mut self, record: Record, changes: FieldChanges, replaced: Option<Replaced>) -> Result<()> {
        let slots = self.slots(&record, replaced.as_ref())?;
        let idx = self.idx;
        self.batch.change(|batch| append_row(batch, idx, record, changes, replaced, slots))
    }

    /// What each view gets of the record: where its vector comes from, and the text to store.
    fn slots(&mut self, record: &Record, replaced: Option<&Replaced>) -> Result<Vec<(Slot, Option<String>)>> {
        let mut slots = Vec::with_capacity(self.def().views.len());
        for view_idx in 0..self.def().views.len() {
            let Some(view) = self.def().views.get(view_idx).cloned() else { break };
            slots.push(self.slot(view_idx, &view, record, replaced)?);
        }
        Ok(slots)
    }

    fn slot(
        &mut self,
        view_idx: usize,
        view: &ViewDef,
        record: &Record,
        replaced: Option<&Replaced>,
    ) -> Result<(Slot, Option<String>)> {
        let given = record.vectors.get(&view.name);
        let (text, text_changed) = match &view.kind {
            ViewKind::TextFrom(field) => self.rewrite_text(view, field, record, replaced)?,
            _ => (None, replaced.is_none_or(|replaced| !replaced.same_text)),
        };
        if let Some(vector) = given {
            return Ok((Slot::Vector(vector.clone()), text));
        }
        let embeds = view.embedder.is_some() && view.kind != ViewKind::VectorsOnly;
        if let Some(replaced) = replaced
            && (!text_changed || (!embeds && self.keep_vectors))
            && let Some(vector) = flush::read_vector(self.batch, self.idx, view_idx, replaced.row)?
        {
            return Ok((Slot::Vector(vector), text));
        }
        if !embeds || self.no_embed {
            return Ok((Slot::Absent, text));
        }
        let slot = match &view.kind {
            ViewKind::Raw => Slot::Raw,
            ViewKind::Template(template) => Slot::Text(fill_template(template, &record.text)),
            ViewKind::TextFrom(_) => text.clone().map_or(Slot::Absent, Slot::Text),
            ViewKind::VectorsOnly => Slot::Absent,
        };
        Ok((slot, text))
    }

    /// The text of a rewrite view, and whether it differs from the replaced record's: the one that came along, else
    /// what stands in the view's field. A rewrite of a text that has changed is stale: it goes unless there is a new
    /// one.
    fn rewrite_text(
        &self,
        view: &ViewDef,
        field: &str,
        record: &Record,
        replaced: Option<&Replaced>,
    ) -> Result<(Option<String>, bool)> {
        let came = record.view_texts.get(&view.name).cloned();
        let given = came.or_else(|| text_from(&record.fields, &record.text, field));
        let Some(replaced) = replaced else { return Ok((given, true)) };
        let old = self.batch.tx()?.get(&tables::VIEW_TEXTS, &(view.id, replaced.row))?;
        match given {
            Some(text) => {
                let differs = old.as_ref() != Some(&text);
                Ok((Some(text), differs))
            }
            None if replaced.same_text || self.keep_vectors => Ok((old, false)),
            None => Ok((None, true)),
        }
    }
}

/// The record that an update replaces.
struct Replaced {
    row: u32,
    key: RecordKey,
    same_text: bool,
}

/// Whether `record` is the first of a collection that has the store's embedder only because nobody asked for another,
/// and brings a raw vector: then it is a collection of supplied vectors.
fn drops_embedder(state: &CollectionState, record: &Record) -> bool {
    state.is_embedder_default && state.def.rows == 0 && record.vectors.contains_key("raw")
}

/// Marks a row dead. Its record stays until `compact`, because columns and segments are in row order.
fn bury(batch: &mut Batch, idx: usize, row: u32, id: &str) -> Result<()> {
    let collection = batch.state(idx)?.def.id;
    batch.tx()?.remove(&tables::IDS, &(collection, id.to_string()))?;
    let state = batch.state(idx)?;
    state.live.remove(row);
    state.def.live -= 1;
    state.changed = true;
    state.removed = true;
    batch.changed = true;
    Ok(())
}

/// Adds the checked record as the next row, in place of `replaced`.
fn append_row(
    batch: &mut Batch,
    idx: usize,
    mut record: Record,
    changes: FieldChanges,
    replaced: Option<Replaced>,
    slots: Vec<(Slot, Option<String>)>,
) -> Result<()> {
    if let Some(replaced) = &replaced {
        bury(batch, idx, replaced.row, &record.id)?;
    }
    let tx = batch.tx.as_ref().ok_or_else(|| Error::invalid("the batch is not open"))?;
    let Some(state) = batch.collections.get_mut(idx) else { return Ok(()) };
    if drops_embedder(state, &record) {
        if let Some(raw) = state.def.views.first_mut() {
            raw.embedder = None;
        }
        state.is_embedder_default = false;
    }
    let row = state.def.rows;
    let key = replaced.map_or(RecordKey(state.def.next_key), |replaced| replaced.key);
    state.def.next_key = state.def.next_key.max(key.0.saturating_add(1));
    state.def.fields.extend(changes.0);
    tx.put(&RECORDS, &(state.def.id, row), &StoredRecord::new(key, &record))?;
    tx.put(&tables::IDS, &(state.def.id, std::mem::take(&mut record.id)), &row)?;
    let mut pending = PendingRow { row, text: record.text, slots: Vec::with_capacity(slots.len()), bytes: 0 };
    for (view, (slot, text)) in state.def.views.iter_mut().zip(slots) {
        if let Some(text) = &text {
            tx.put(&tables::VIEW_TEXTS, &(view.id, row), text)?;
        }
        if let Slot::Vector(vector) = &slot {
            view.dimension = Some(vector.len() as u32);
        }
        pending.slots.push(slot);
    }
    pending.measure();
    state.def.rows += 1;
    state.def.live += 1;
    state.live.insert(row);
    state.changed = true;
    let (collection, meta) = (state.def.id, &mut batch.meta);
    state.columns.push(tx, &state.def, record.fields, |field, chunk, values| {
        put_chunk(tx, meta, collection, field, chunk, values)
    })?;
    state.pending_bytes += pending.bytes;
    state.pending.push(pending);
    let is_full = state.pending.len() >= PENDING_ROWS || state.pending_bytes >= PENDING_BYTES;
    batch.changed = true;
    if is_full {
        flush::flush(batch, idx)?;
    }
    Ok(())
}
