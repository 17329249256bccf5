//! A stored sample of queries as vectors of one view.
//!
//! Owns which vectors those are: the ones that came along for the view, else the texts, embedded as the view embeds any
//! query. They are kept for as long as the sample stays the same. A sample may be used on another collection than its
//! own; the answer says so.

use super::embed::embed_texts;
use super::names::Site;
use crate::error::{QueryError, Result};
use crate::exec::reply::SampleHeader;
use crate::lens::SampleRows;
use crate::store::{Snapshot, ViewSnapshot};
use crate::types::SampleDef;
use std::ops::Range;
use std::sync::Arc;

/// A sample settled for one view.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) header: SampleHeader,
    pub(crate) rows: SampleRows,
}

/// The sample `name` in `view`, where `word` is the place of its name; without vectors where the view has none yet.
///
/// # Errors
/// A query error for a sample that is not there, or that has nothing the view takes.
pub(crate) fn sample(
    snapshot: &Snapshot,
    name: &str,
    view: Option<&ViewSnapshot>,
    word: &Range<usize>,
    site: &Site<'_>,
) -> Result<Arc<Sample>> {
    // A commit that leaves the sample alone leaves its vectors alone: the second key survives it.
    let view_id = view.map_or("-".to_string(), |view| format!("{} {:?}", view.def().id, view.def().dimension));
    let key = format!("sample at {} {view_id} {name}", snapshot.commit()).into_bytes();
    if let Some(known) = snapshot.cache().get::<Sample>(&key) {
        return Ok(known);
    }
    let Some(def) = snapshot.sample(name)? else {
        return Err(no_such_sample(snapshot, name, word, site)?.into());
    };
    let lasting = format!("sample of {} {view_id} {name}", def.commit).into_bytes();
    let made = match snapshot.cache().get::<Sample>(&lasting) {
        Some(made) => made,
        None => {
            let made = Arc::new(Sample {
                header: SampleHeader {
                    name: def.name.clone(),
                    queries: def.ids.len() as u64,
                    collection: snapshot.collection_name(def.collection).to_string(),
                },
                rows: rows(&def, view, word, site)?,
            });
            snapshot.cache().insert(&lasting, Arc::clone(&made), made.rows.rows().len() * 4 + 256);
            made
        }
    };
    // Either of the two keeps it when the other goes.
    snapshot.cache().insert(&key, Arc::clone(&made), made.rows.rows().len() * 4 + 256);
    Ok(made)
}

fn rows(def: &SampleDef, view: Option<&ViewSnapshot>, word: &Range<usize>, site: &Site<'_>) -> Result<SampleRows> {
    let rows = |dimension: usize, rows: Vec<f32>| SampleRows::new(def.name.clone(), dimension, rows);
    // Nothing is compared in a view without vectors.
    let Some((view, dimension)) = view.and_then(|view| Some((view, view.def().dimension?))) else {
        return Ok(rows(0, Vec::new()));
    };
    let came = def.vectors.as_ref().filter(|came| came.view == view.def().name && came.dimension == dimension);
    if let Some(came) = came {
        return Ok(rows(dimension as usize, came.data.clone()));
    }
    let has_texts = def.texts.iter().any(|text| !text.is_empty());
    let Some(embedder) = view.embedder()?.filter(|_| has_texts) else {
        return Err(nothing_fits(def, view, dimension, word, site).into());
    };
    // A query that the embedder knows no word of has no vector, and no part in a mean or a neighbourhood.
    let known: Vec<Vec<f32>> = embed_texts(view, &*embedder, &def.texts)?.into_iter().flatten().collect();
    if known.is_empty() {
        return Err(nothing_fits(def, view, dimension, word, site).into());
    }
    Ok(rows(dimension as usize, known.concat()))
}

/// The error for a sample that has nothing a view takes: what it takes, and what the sample has.
fn nothing_fits(
    def: &SampleDef,
    view: &ViewSnapshot,
    dimension: u32,
    word: &Range<usize>,
    site: &Site<'_>,
) -> QueryError {
    let (name, view) = (&def.name, view.def());
    let takes = match &view.embedder {
        Some(embedder) => format!("view `{}` takes vectors of {dimension} numbers, or texts ({embedder})", view.name),
        None => format!("view `{}` takes vectors of {dimension} numbers", view.name),
    };
    let has_texts = def.texts.iter().any(|text| !text.is_empty());
    let has = match (&def.vectors, has_texts) {
        (Some(came), true) => format!("texts, and vectors of {} numbers for view `{}`", came.dimension, came.view),
        (Some(came), false) => format!("vectors of {} numbers for view `{}`", came.dimension, came.view),
        (None, true) if view.embedder.is_some() => "no text with a word that the embedder knows".to_string(),
        (None, _) => "texts only".to_string(),
    };
    let error = site.error("resolve::sample_vectors", format!("{takes}; sample `{name}` has {has}"), word);
    error.hint(format!(
        "store its queries with vectors of this view under a name of their own: `simile sample STORE NAME --in ... \
         --queries F --query-vectors V.npy --view {}`",
        view.name
    ))
}

fn no_such_sample(snapshot: &Snapshot, name: &str, word: &Range<usize>, site: &Site<'_>) -> Result<QueryError> {
    let all = snapshot.sample_heads()?;
    let message = format!("no sample of the name `{name}` in this store");
    let names = all.keys().map(String::as_str);
    let error = site.no_such("resolve::no_such_sample", "sample", &message, word, name, names);
    Ok(if all.is_empty() {
        error.hint("`simile sample STORE NAME --in COLLECTION --queries queries.jsonl` stores one")
    } else {
        error
    })
}
