//! Texts of questions as vectors of a view.
//!
//! Owns how a view embeds what is asked of it: put into its template first, checked for dimension and finiteness, on
//! all cores. What a text means to a search is decided by those who ask.

use crate::error::{Error, Result};
use crate::store::ViewSnapshot;
use crate::text::embed::{Embedder, known_rows};
use crate::types::ViewKind;
use rayon::prelude::*;

/// Texts that one task embeds.
const TASK_TEXTS: usize = 256;

/// The vectors of `texts` as `view` embeds its queries, in their order, on all cores: put into the view's template
/// first. `None` for a text that the embedder knows no word of, which has no vector.
///
/// # Errors
/// An embedder that does not fit the view, or that fails.
pub(crate) fn embed_texts(
    view: &ViewSnapshot,
    embedder: &dyn Embedder,
    texts: &[String],
) -> Result<Vec<Option<Vec<f32>>>> {
    let made = embedder.dimension();
    if let Some(dimension) = view.def().dimension
        && made != dimension as usize
    {
        return Err(Error::invalid(format!(
            "embedder {} makes {made} dimensions, view {} has {dimension}",
            embedder.name(),
            view.def().name
        )));
    }
    let is_template = matches!(view.def().kind, ViewKind::Template(_));
    let embed = |chunk: &[String]| {
        let prepared: Vec<String> = chunk.iter().map(|text| view.prepare_text(text)).collect();
        let prepared: Vec<&str> = prepared.iter().map(String::as_str).collect();
        let mut out = Vec::with_capacity(chunk.len() * made);
        embedder.embed(&prepared, &mut out)?;
        if made == 0 || out.len() != chunk.len() * made {
            return Err(Error::invalid(format!("embedder {} gave too few or too many numbers", embedder.name())));
        }
        if out.iter().any(|value| !value.is_finite()) {
            return Err(Error::invalid(format!("embedder {} gave a number that is not finite", embedder.name())));
        }
        let known = |(text, row): (&String, Option<&[f32]>)| {
            row.filter(|_| !is_template || embedder.knows(text)).map(<[f32]>::to_vec)
        };
        Ok(chunk.iter().zip(known_rows(&out, made)).map(known).collect())
    };
    if texts.len() <= TASK_TEXTS {
        return embed(texts);
    }
    let parts: Vec<Vec<Option<Vec<f32>>>> = texts.par_chunks(TASK_TEXTS).map(embed).collect::<Result<_>>()?;
    Ok(parts.concat())
}
