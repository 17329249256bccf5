//! From pending rows to segments: embedding in bulk, appending in row order, and closing a batch's views.
//!
//! Owns the moment when new rows of a collection get their vectors. Rows are appended in row order and each view
//! covers rows only as far as its last vector: rows behind that are absent without being marked.

use crate::catalog::tables;
use crate::error::{Error, Result};
use crate::store::read::rows_copy::rounded;
use crate::store::write::append::{Appending, Embedded};
use crate::store::write::batch::Batch;
use crate::store::write::derived::KnownLenses;
use crate::store::write::state::{CollectionState, PendingRow, Slot};
use crate::text::embed::{Embedder, known_rows};
use crate::types::{DerivedDef, ViewDef, ViewKind};
use std::sync::Arc;

/// Rows that wait at most before their vectors are written.
pub(in crate::store) const PENDING_ROWS: usize = 8_192;
/// Bytes of texts and vectors that wait at most.
pub(in crate::store) const PENDING_BYTES: usize = 64 << 20;
/// Texts embedded in one call, so that progress is heard of and cancelling works.
pub(in crate::store) const EMBED_TEXTS: usize = 2_048;

/// Embeds and appends the pending rows of one collection. They are taken before they are embedded, and an embedder may
/// fail or panic: the batch is broken until this returns.
pub(in crate::store) fn flush(batch: &mut Batch, idx: usize) -> Result<()> {
    batch.change(|batch| flush_pending(batch, idx))
}

fn flush_pending(batch: &mut Batch, idx: usize) -> Result<()> {
    let state = batch.state(idx)?;
    let pending = std::mem::take(&mut state.pending);
    state.pending_bytes = 0;
    if pending.is_empty() {
        return Ok(());
    }
    for view_idx in 0..state.views.len() {
        flush_view(batch, idx, view_idx, &pending)?;
    }
    let done = batch.collections.get(idx).map_or(0, |state| u64::from(state.def.rows));
    batch.control.report("records", done, None);
    Ok(())
}

/// An embedder must make vectors of the view's dimension, which its first vector fixes.
pub(in crate::store) fn fix_dimension(
    state: &mut CollectionState,
    view_idx: usize,
    embedder: &dyn Embedder,
) -> Result<()> {
    let Some(view) = state.def.views.get_mut(view_idx) else { return Ok(()) };
    let made = embedder.dimension() as u32;
    match view.dimension {
        Some(dimension) if dimension != made => {
            let name = embedder.name();
            let message = format!("view {} has {dimension} dimensions, its embedder {name} makes {made}", view.name);
            Err(Error::invalid(message).with_field(&view.name))
        }
        _ => {
            view.dimension = Some(made);
            Ok(())
        }
    }
}

fn flush_view(batch: &mut Batch, idx: usize, view_idx: usize, pending: &[PendingRow]) -> Result<()> {
    let embedded = embed_pending(batch, idx, view_idx, pending)?;
    if let Some(view_state) = batch.state(idx)?.views.get_mut(view_idx) {
        view_state.embedded = view_state.embedded.and(embedded.counts);
    }
    let (state, mut appending) = batch.appending(idx)?;
    let (Some(view), Some(view_state)) = (state.def.views.get_mut(view_idx), state.views.get_mut(view_idx)) else {
        return Ok(());
    };
    let mut embedded = embedded.vectors.iter().map(Option::as_deref);
    let mut run = Vec::new();
    let mut run_start = None;
    let mut next_row = 0;
    for row in pending {
        let vector = match row.slots.get(view_idx) {
            Some(Slot::Vector(vector)) => Some(vector.as_slice()),
            // A text that says nothing to its embedder has no vector: the row is absent, like one without a text.
            Some(Slot::Raw | Slot::Text(_)) => embedded.next().flatten(),
            _ => None,
        };
        let Some(vector) = vector else { continue };
        // Consecutive rows are appended in one piece.
        if let Some(start) = run_start.filter(|_| next_row != row.row) {
            view_state.append(&mut appending, view, start, &run)?;
            run.clear();
            run_start = None;
        }
        run_start.get_or_insert(row.row);
        run.extend_from_slice(vector);
        next_row = row.row + 1;
    }
    match run_start {
        Some(start) => view_state.append(&mut appending, view, start, &run),
        None => Ok(()),
    }
}

/// What a view embeds of a record.
pub(in crate::store) struct Wording<'t> {
    /// The text, put into the view's template where it has one.
    pub(in crate::store) text: &'t str,
    /// The text in the template: if the embedder knows nothing of it, the template's own words must not stand for it.
    pub(in crate::store) within: Option<&'t str>,
}

/// Vectors of texts, `None` for those that the embedder knows no word of.
#[derive(Default)]
pub(in crate::store) struct EmbeddedTexts {
    pub(in crate::store) vectors: Vec<Option<Vec<f32>>>,
    pub(in crate::store) counts: Embedded,
}

/// The vectors of the pending rows whose text this view embeds, in order.
fn embed_pending(batch: &mut Batch, idx: usize, view_idx: usize, pending: &[PendingRow]) -> Result<EmbeddedTexts> {
    let view = batch.collections.get(idx).and_then(|state| state.def.views.get(view_idx));
    let is_template = view.is_some_and(|view| matches!(view.kind, ViewKind::Template(_)));
    let texts: Vec<Wording<'_>> = pending
        .iter()
        .filter_map(|row| match row.slots.get(view_idx) {
            Some(Slot::Raw) => Some(Wording { text: &row.text, within: None }),
            Some(Slot::Text(text)) => Some(Wording { text, within: is_template.then_some(row.text.as_str()) }),
            _ => None,
        })
        .collect();
    let Some(name) = view.and_then(|view| view.embedder.as_deref()).filter(|_| !texts.is_empty()) else {
        return Ok(EmbeddedTexts::default());
    };
    let embedder = batch.shared.embedder(name)?;
    fix_dimension(batch.state(idx)?, view_idx, &*embedder)?;
    embed_texts(batch, &embedder, &texts)
}

/// One vector for each text that the embedder knows a word of.
///
/// # Errors
/// What the embedder answers, or that its answer is not what it promised.
pub(in crate::store) fn embed_texts(
    batch: &mut Batch,
    embedder: &Arc<dyn Embedder>,
    texts: &[Wording<'_>],
) -> Result<EmbeddedTexts> {
    let dimension = embedder.dimension();
    let mut found = EmbeddedTexts { vectors: Vec::with_capacity(texts.len()), counts: Embedded::default() };
    for some in texts.chunks(EMBED_TEXTS) {
        batch.control.checkpoint()?;
        let mut rows = Vec::with_capacity(some.len() * dimension);
        let wordings: Vec<&str> = some.iter().map(|wording| wording.text).collect();
        let embedded = batch.shared.install(|| embedder.embed(&wordings, &mut rows));
        batch.foreign(embedded)?;
        if dimension == 0 || rows.len() != some.len() * dimension || rows.iter().any(|value| !value.is_finite()) {
            let message = format!(
                "embedder {} did not give {} vectors of {dimension} finite numbers",
                embedder.name(),
                some.len()
            );
            return Err(Error::invalid(message));
        }
        for (wording, row) in some.iter().zip(known_rows(&rows, dimension)) {
            let row = row.filter(|_| wording.within.is_none_or(|within| embedder.knows(within)));
            found.counts.texts += 1;
            if row.is_none() {
                found.counts.without_words += 1;
                found.counts.empty += u64::from(wording.within.unwrap_or(wording.text).trim().is_empty());
            }
            found.vectors.push(row.map(<[f32]>::to_vec));
        }
    }
    Ok(found)
}

/// Closes the open segments of a collection and writes what the batch changed of it to the catalog.
/// What is derived from its views is `derived`.
pub(in crate::store) fn finish_views(
    batch: &mut Batch,
    idx: usize,
    derived: Vec<DerivedDef>,
    lenses: &mut KnownLenses,
) -> Result<()> {
    let (state, mut appending) = batch.appending(idx)?;
    if !state.changed {
        return Ok(());
    }
    for (view, view_state) in state.def.views.iter_mut().zip(&mut state.views) {
        view_state.finish(&mut appending, view)?;
        if std::mem::take(&mut view_state.has_new_vectors) || state.removed {
            view.revision = view.revision.saturating_add(1);
        }
    }
    state.removed = false;
    state.live.write(appending.tx, &tables::LIVE, state.def.id)?;
    appending.tx.put(&tables::COLLECTIONS, &state.def.name, &state.def)?;
    crate::store::write::derived::follow(batch, idx, derived, lenses)
}

/// The vector that `row` has in a view at this point of the batch.
pub(in crate::store) fn read_vector(
    batch: &mut Batch,
    idx: usize,
    view_idx: usize,
    row: u32,
) -> Result<Option<Vec<f32>>> {
    if let Some(slot) = pending_slot(batch.state(idx)?, view_idx, row) {
        match slot {
            Slot::Absent => return Ok(None),
            Slot::Vector(vector) => return Ok(Some(vector.clone())),
            Slot::Raw | Slot::Text(_) => flush(batch, idx)?,
        }
    }
    let (state, mut appending) = batch.appending(idx)?;
    match (state.def.views.get(view_idx), state.views.get_mut(view_idx)) {
        (Some(view), Some(view_state)) => view_state.read_row(&mut appending, view, row),
        _ => Ok(None),
    }
}

/// Gives `row` (which exists) a vector, whether it is pending, behind the view's rows, or within them.
pub(in crate::store) fn set_vector(
    batch: &mut Batch,
    idx: usize,
    view_idx: usize,
    row: u32,
    vector: Vec<f32>,
) -> Result<()> {
    let (state, mut appending) = batch.appending(idx)?;
    state.changed = true;
    *appending.changed = true;
    if pending_slot(state, view_idx, row).is_some() {
        if let Some(view) = state.def.views.get_mut(view_idx) {
            view.dimension = Some(vector.len() as u32);
        }
        if let Some(slot) = pending_slot(state, view_idx, row) {
            *slot = Slot::Vector(vector);
        }
        return Ok(());
    }
    match (state.def.views.get_mut(view_idx), state.views.get_mut(view_idx)) {
        (Some(view), Some(view_state)) => view_state.set_row(&mut appending, view, row, vector),
        _ => Ok(()),
    }
}

fn pending_slot(state: &mut CollectionState, view_idx: usize, row: u32) -> Option<&mut Slot> {
    let found = state.pending.binary_search_by_key(&row, |pending| pending.row).ok()?;
    state.pending.get_mut(found)?.slots.get_mut(view_idx)
}

/// Whether storing `given` would change the stored vector; halves compare as they would be rounded.
pub(in crate::store) fn is_same_vector(view: &ViewDef, stored: &[f32], given: &[f32]) -> bool {
    let bits = |value: f32| rounded(view.element, value).to_bits();
    stored.len() == given.len() && stored.iter().zip(given).all(|(&a, &b)| bits(a) == bits(b))
}

impl Batch {
    /// A collection's state together with what appending to its segments needs of the batch.
    pub(in crate::store) fn appending(&mut self, idx: usize) -> Result<(&mut CollectionState, Appending<'_>)> {
        let tx = self.tx.as_ref().ok_or_else(|| Error::invalid("the batch is not open"))?;
        let state = self.collections.get_mut(idx).ok_or_else(|| Error::invalid("the collection is not open"))?;
        let appending = Appending {
            shared: &self.shared,
            tx,
            meta: &mut self.meta,
            created: &mut self.created,
            garbage: &mut self.garbage,
            changed: &mut self.changed,
        };
        Ok((state, appending))
    }
}
