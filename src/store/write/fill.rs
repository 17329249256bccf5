//! Filling a view later: embedding the records that have no vector in it yet.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, Result};
use crate::store::names::find_view;
use crate::store::read::record::RECORDS;
use crate::store::read::record::fill_template;
use crate::store::read::view_text::text_from;
use crate::store::write::append::Embedded;
use crate::store::write::batch::Batch;
use crate::store::write::flush::{self, EMBED_TEXTS, Wording};
use crate::types::{CollectionDef, CollectionId, ViewDef, ViewKind};

/// Positions of the named view, or of all views that have an embedder.
///
/// # Errors
/// A view that is not there or whose vectors are supplied.
pub(in crate::store) fn views_to_fill(def: &CollectionDef, view: Option<&str>) -> Result<Vec<usize>> {
    let embeds = |view: &ViewDef| view.embedder.is_some() && view.kind != ViewKind::VectorsOnly;
    if let Some(name) = view {
        let view = find_view(def, name)?;
        if !embeds(view) {
            let message = format!("view {name} has no embedder for its texts: its vectors are supplied");
            return Err(Error::invalid(message).with_field(name));
        }
    }
    let chosen = |def: &ViewDef| view.map_or_else(|| embeds(def), |name| def.name == name);
    Ok(def.views.iter().enumerate().filter(|(_, view)| chosen(view)).map(|(view_idx, _)| view_idx).collect())
}

/// Embeds what is missing in these views. Texts that an embedder knows no word of are looked at again each time and
/// stay without a vector; they are counted apart.
pub(in crate::store) fn embed_missing(batch: &mut Batch, idx: usize, views: &[usize]) -> Result<Embedded> {
    flush::flush(batch, idx)?;
    let mut counts = Embedded::default();
    for &view_idx in views {
        counts = counts.and(embed_view(batch, idx, view_idx)?);
    }
    Ok(counts)
}

fn embed_view(batch: &mut Batch, idx: usize, view_idx: usize) -> Result<Embedded> {
    let mut counts = Embedded::default();
    let state = batch.state(idx)?;
    let (Some(view), Some(view_state)) = (state.def.views.get(view_idx).cloned(), state.views.get(view_idx)) else {
        return Ok(counts);
    };
    let collection = state.def.id;
    let missing: Vec<u32> = state.live.rows().iter().filter(|&row| !view_state.has_vector(&view, row)).collect();
    let Some(name) = view.embedder.as_deref().filter(|_| !missing.is_empty()) else { return Ok(counts) };
    let embedder = batch.shared.embedder(name)?;
    flush::fix_dimension(batch.state(idx)?, view_idx, &*embedder)?;
    let total = missing.len() as u64;
    for (part_idx, rows) in missing.chunks(EMBED_TEXTS).enumerate() {
        let found = texts_of(batch, collection, &view, rows)?;
        counts.without_text += (rows.len() - found.len()) as u64;
        let texts: Vec<Wording<'_>> =
            found.iter().map(|found| Wording { text: &found.text, within: found.within.as_deref() }).collect();
        let embedded = flush::embed_texts(batch, &embedder, &texts)?;
        counts = counts.and(embedded.counts);
        for (Found { row, text, is_new, .. }, vector) in found.iter().zip(embedded.vectors) {
            if *is_new {
                batch.tx()?.put(&tables::VIEW_TEXTS, &(view.id, *row), text)?;
            }
            if let Some(vector) = vector {
                flush::set_vector(batch, idx, view_idx, *row, vector)?;
            }
        }
        batch.control.report("vectors", (part_idx * EMBED_TEXTS + EMBED_TEXTS).min(total as usize) as u64, Some(total));
    }
    Ok(counts)
}

/// The text of a row that has no vector yet.
struct Found {
    row: u32,
    text: String,
    within: Option<String>,
    /// Whether the view has not kept it yet.
    is_new: bool,
}

/// The texts that `view` embeds for `rows`; rows that a view of rewritten texts has no text for are left out.
fn texts_of(batch: &Batch, collection: CollectionId, view: &ViewDef, rows: &[u32]) -> Result<Vec<Found>> {
    let mut texts = Vec::with_capacity(rows.len());
    for &row in rows {
        let kept = match view.kind {
            ViewKind::TextFrom(_) => batch.tx()?.get(&tables::VIEW_TEXTS, &(view.id, row))?,
            _ => None,
        };
        if let Some(text) = kept {
            texts.push(Found { row, text, within: None, is_new: false });
            continue;
        }
        let Some(stored) = batch.tx()?.get(&RECORDS, &(collection, row))? else { continue };
        texts.extend(match &view.kind {
            ViewKind::Template(template) => {
                let text = fill_template(template, &stored.text);
                Some(Found { row, text, within: Some(stored.text), is_new: false })
            }
            // The view is younger than the record, or the record came without the field and has it now.
            ViewKind::TextFrom(field) => {
                let text = text_from(&stored.fields(), &stored.text, field);
                text.map(|text| Found { row, text, within: None, is_new: true })
            }
            ViewKind::Raw | ViewKind::VectorsOnly => {
                Some(Found { row, text: stored.text, within: None, is_new: false })
            }
        });
    }
    Ok(texts)
}

/// Gives a new view that takes its texts from a field the texts of the records that are there.
pub(in crate::store) fn take_texts(batch: &mut Batch, idx: usize, field: &str) -> Result<()> {
    let state = batch.state(idx)?;
    let Some(view) = state.def.views.last().map(|view| view.id) else { return Ok(()) };
    let (collection, live) = (state.def.id, state.live.rows().clone());
    for row in live.iter() {
        let Some(stored) = batch.tx()?.get(&RECORDS, &(collection, row))? else { continue };
        if let Some(text) = text_from(&stored.fields(), &stored.text, field) {
            batch.tx()?.put(&tables::VIEW_TEXTS, &(view, row), &text)?;
        }
    }
    Ok(())
}
