//! Remarks on a search that do not change what it finds.
//!
//! Owns the words for sources that say less than they seem to, and for lenses that have few records to learn from.

use super::rows::view_of;
use crate::error::Result;
use crate::exec::reply::NOTHING_SIMILAR;
use crate::exec::settle::params::{Param, Params};
use crate::exec::settle::plan::{BlendedLens, Compared, Plan, PlannedLens};
use crate::lens::{FewRecords, Prepared};
use crate::query::ast::{Operand, Term};
use crate::store::ViewSnapshot;
use crate::text::embed::in_words;
use crate::types::ViewKind;

/// Remarks on the plan and its source, each once; of a parameter's value only whether it is a text matters.
///
/// # Errors
/// A view that is gone.
pub(crate) fn on_search(plan: &Plan, params: &Params) -> Result<Vec<String>> {
    let mut notes = plan.notes.clone();
    let mut add = |more: Vec<String>| {
        for note in more {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    };
    match &plan.compared {
        Compared::Texts(lens) => add(on_source(plan, lens, view_of(plan, lens)?, params, "compared")),
        Compared::Vectors(lenses) => {
            for BlendedLens { lens, .. } in lenses {
                let view = view_of(plan, lens)?;
                add(on_source(plan, lens, view, params, "embedded"));
                if view.def().dimension.is_none() {
                    add(vec![no_vectors_yet(view)]);
                }
            }
        }
    }
    Ok(notes)
}

/// Remarks on the source as one lens takes it; `verb` says what becomes of a text.
fn on_source(plan: &Plan, lens: &PlannedLens, view: &ViewSnapshot, params: &Params, verb: &str) -> Vec<String> {
    let terms = &plan.find.source.node.terms;
    let mut notes = Vec::new();
    let is_text = |term: &Term| match &term.operand.node {
        Operand::Text(_) => true,
        Operand::Param(name) => matches!(params.get(name), Some(Param::Text(_))),
        Operand::Id(_) | Operand::Vector(_) => false,
    };
    if matches!(view.def().kind, ViewKind::TextFrom(_)) && terms.iter().any(is_text) {
        notes.push(format!("view `{}` holds rewritten texts; the query's text is {verb} as typed", view.def().name));
    }
    let weights: f64 = terms.iter().map(|term| term.weight).sum();
    if lens.centers() && (weights - 1.0).abs() > 1e-9 {
        notes.push(format!(
            "the weights sum to {}, and centering subtracts the mean once: the query is not on the records' scale",
            (weights * 1e9).round() / 1e9
        ));
    }
    notes
}

/// What to say of a view in which nothing can be similar to anything.
pub(crate) fn no_vectors_yet(view: &ViewSnapshot) -> String {
    format!("view `{}` has no vectors yet", view.def().name)
}

/// What to say where a text of the source has no vector, so that nothing is found.
pub(crate) fn unknown_note(view: &ViewSnapshot, text: &str) -> String {
    const SHOWN: usize = 60;
    let name = view.def().embedder.as_deref().map_or_else(|| "the embedder".to_string(), in_words);
    if text.trim().is_empty() {
        return format!("an empty text has no vector in view `{}`: {NOTHING_SIMILAR}", view.def().name);
    }
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{name} knows no word of {shown:?}: it has no vector, and {NOTHING_SIMILAR}")
}

/// Says which steps have too few records for what they take of them.
pub(crate) fn notes_on_few(prepared: &Prepared) -> Vec<String> {
    prepared.of_few_records().iter().map(FewRecords::to_string).collect()
}
