//! Filling a view later: embedding the records that have no vector in it yet.

use super::batch::Batch;
use super::flush::{self, EMBED_TEXTS};
use super::record::RECORDS;
use super::validate::find_view;
use super::view::fill_template;
use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, Result};
use crate::types::{CollectionDef, CollectionId, ViewDef, ViewKind};

/// Positions of the named view, or of all views that have an embedder.
///
/// # Errors
/// A view that is not there or whose vectors are supplied.
pub(super) fn views_to_fill(def: &CollectionDef, view: Option<&str>) -> Result<Vec<usize>> {
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

/// Embeds what is missing in these views.
pub(super) fn embed_missing(batch: &mut Batch, idx: usize, views: &[usize]) -> Result<u64> {
    flush::flush(batch, idx)?;
    let mut count = 0;
    for &view_idx in views {
        count += embed_view(batch, idx, view_idx)?;
    }
    Ok(count)
}

fn embed_view(batch: &mut Batch, idx: usize, view_idx: usize) -> Result<u64> {
    let state = batch.state(idx)?;
    let (Some(view), Some(view_state)) = (state.def.views.get(view_idx).cloned(), state.views.get(view_idx)) else {
        return Ok(0);
    };
    let collection = state.def.id;
    let missing: Vec<u32> = state.live.rows().iter().filter(|&row| !view_state.has_vector(&view, row)).collect();
    let Some(name) = view.embedder.as_deref().filter(|_| !missing.is_empty()) else { return Ok(0) };
    let embedder = batch.shared.embedder(name)?;
    flush::fix_dimension(batch.state(idx)?, view_idx, &*embedder)?;
    let (mut count, total) = (0, missing.len() as u64);
    for (part_idx, rows) in missing.chunks(EMBED_TEXTS).enumerate() {
        let texts = texts_of(batch, collection, &view, rows)?;
        let (rows, texts): (Vec<u32>, Vec<String>) = texts.into_iter().unzip();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = flush::embed_texts(batch, &embedder, &texts)?;
        for (row, vector) in rows.into_iter().zip(vectors) {
            flush::set_vector(batch, idx, view_idx, row, vector)?;
            count += 1;
        }
        batch.control.report("vectors", (part_idx * EMBED_TEXTS + EMBED_TEXTS).min(total as usize) as u64, Some(total));
    }
    Ok(count)
}

/// The texts that `view` embeds for `rows`; rows that a rewrite view has no text for are left out.
fn texts_of(batch: &Batch, collection: CollectionId, view: &ViewDef, rows: &[u32]) -> Result<Vec<(u32, String)>> {
    let mut texts = Vec::with_capacity(rows.len());
    for &row in rows {
        if matches!(view.kind, ViewKind::TextFrom(_)) {
            texts.extend(batch.tx()?.get(&tables::VIEW_TEXTS, &(view.id, row))?.map(|text| (row, text)));
            continue;
        }
        let Some(stored) = batch.tx()?.get(&RECORDS, &(collection, row))? else { continue };
        let text = match &view.kind {
            ViewKind::Template(template) => fill_template(template, &stored.text),
            _ => stored.text,
        };
        texts.push((row, text));
    }
    Ok(texts)
}
