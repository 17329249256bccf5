//! The lenses of a search with their records ready, as tables of values need them, and what such a table depends on.
//!
//! It scores nothing: what is held against what is decided in `background` and `questions`.

use crate::error::Result;
use crate::exec::run::prepare::prepared;
use crate::exec::run::rows::view_of;
use crate::exec::settle::plan::{BlendedLens, Pinning, Plan, PlannedLens};
use crate::lens::Prepared;
use crate::store::ViewSnapshot;
use crate::types::control::Control;
use std::fmt::Write;
use std::sync::Arc;

/// What the values of pairs depend on: the collection, and of each lens its view, chain and statistics.
pub(super) fn key_of(plan: &Plan, lenses: &[LensRecords<'_>]) -> String {
    let mut key = plan.collection.def().id.to_string();
    for lens in lenses {
        let def = lens.view.def();
        let (weight, fingerprint) = (lens.weight, lens.prepared.chain().fingerprint());
        // Writing to a string cannot fail.
        let _ = write!(key, " {weight} {} {} {fingerprint:032x} {}", def.id, def.revision, pinned_key(lens.lens));
    }
    key
}

/// A lens of a search with its records ready.
pub(super) struct LensRecords<'a> {
    pub(super) lens: &'a PlannedLens,
    pub(super) weight: f64,
    pub(super) view: &'a ViewSnapshot,
    pub(super) prepared: Arc<Prepared>,
}

/// The lenses of a search; `None` where texts are compared, and where a view has no vectors.
///
/// # Errors
/// As any search; a set cancellation token.
pub(super) fn readied<'a>(plan: &'a Plan, control: &Control) -> Result<Option<Vec<LensRecords<'a>>>> {
    let mut lenses = Vec::new();
    for BlendedLens { weight, lens, .. } in plan.lenses() {
        let view = view_of(plan, lens)?;
        let Some(prepared) = prepared(plan, lens, view, control)? else { return Ok(None) };
        lenses.push(LensRecords { lens, weight: *weight, view, prepared });
    }
    Ok((!lenses.is_empty()).then_some(lenses))
}

/// Whose pinned statistics a lens has; nothing where they are those of the view's revision.
fn pinned_key(lens: &PlannedLens) -> String {
    let mut key = String::new();
    if let (Some(name), Some(Pinning { statistics })) = (&lens.saved_name, &lens.pinning) {
        for place in statistics {
            let _ = write!(key, "{} {} {} {name:?},", place.step_idx, place.commit, place.revision);
        }
    }
    key
}
