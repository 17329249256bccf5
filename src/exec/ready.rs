//! What a lens needs to know about the records before it can be searched, wherever it comes from.
//!
//! Owns how a settled lens becomes a [`Prepared`]: kept from an earlier search, or computed. Keys name everything the
//! scalars depend on, so that nothing stale is ever found.

use super::pinned;
use super::plan::PlannedLens;
use crate::error::{Error, ErrorKind, Result};
use crate::lens::{Chain, Prepared, RowSource, StoredScalars, VectorMetric};
use crate::store::{CollectionSnapshot, Snapshot, ViewSnapshot};
use std::sync::Arc;

/// The chain of `lens` over `view`; `None` where the view has no vectors yet.
///
/// # Errors
/// Dimensions that cannot be, and products of matrices out of range.
pub(crate) fn chain(view: &ViewSnapshot, lens: &PlannedLens) -> Result<Option<Chain>> {
    let Some(dimension) = view.def().dimension else { return Ok(None) };
    let metric = VectorMetric::try_from(lens.def.metric)?;
    let chain = Chain::new(lens.steps.steps.clone(), metric, dimension as usize)?;
    match &lens.steps.csls {
        Some((neighbours, sample)) => chain.with_csls(*neighbours, sample.clone()).map(Some),
        None => Ok(Some(chain)),
    }
}

/// Everything the scalars depend on: rows (view and commit), chain, and whose pinned statistics.
fn cache_key(view: &ViewSnapshot, lens: &PlannedLens, chain: &Chain) -> Vec<u8> {
    let (view_id, commit) = view.identity();
    let pinned = match (&lens.saved_name, &lens.pinning) {
        (Some(name), Some(pinning)) if !pinning.statistics.is_empty() => name.as_str(),
        _ => "",
    };
    format!("prepared {view_id} {commit} {:032x} {pinned}", chain.fingerprint()).into_bytes()
}

/// Statistics and scalars of `chain`, kept from an earlier search where there was one.
///
/// # Errors
/// Rows or statistics that cannot be read.
pub(crate) fn prepared(
    snapshot: &Snapshot,
    view: &ViewSnapshot,
    lens: &PlannedLens,
    chain: &Chain,
) -> Result<Arc<Prepared>> {
    let make = || {
        let pinned = pinned::statistics(snapshot, lens)?;
        let collection = collection_of(snapshot, view)?;
        let kept = match &collection {
            Some(collection) => scalars(snapshot, collection, lens)?,
            None => None,
        };
        let stored = kept.map(|kept| StoredScalars { rows: kept, known: kept.present() });
        let prepared = Prepared::compute_stored(chain, view, view.present(), &pinned, stored)
            .map_err(|error| advise(error, lens, kept))?;
        let bytes = prepared.bytes();
        Ok((prepared, bytes))
    };
    snapshot.cache().get_or_insert_with(&cache_key(view, lens, chain), make)
}

/// Whether [`prepared`] has nothing left to compute.
pub(crate) fn is_prepared(snapshot: &Snapshot, view: &ViewSnapshot, lens: &PlannedLens, chain: &Chain) -> bool {
    snapshot.cache().get::<Prepared>(&cache_key(view, lens, chain)).is_some()
}

/// The collection that `view` is of.
fn collection_of(snapshot: &Snapshot, view: &ViewSnapshot) -> Result<Option<Arc<CollectionSnapshot>>> {
    let id = view.def().id;
    let def = snapshot.collections().iter().find(|def| def.views.iter().any(|view| view.id == id));
    def.map(|def| snapshot.collection(&def.name)).transpose()
}

/// The scalars that are kept of the saved lens, where `lens` is that lens and nothing more.
fn scalars<'a>(
    snapshot: &Snapshot,
    collection: &'a CollectionSnapshot,
    lens: &PlannedLens,
) -> Result<Option<&'a ViewSnapshot>> {
    let Some(name) = &lens.saved_name else { return Ok(None) };
    match snapshot.lens(name)? {
        Some(saved) if saved.lens == lens.def => collection.scalars(&saved),
        _ => Ok(None),
    }
}

/// Damage of kept scalars with what helps against it.
fn advise(error: Error, lens: &PlannedLens, kept: Option<&ViewSnapshot>) -> Error {
    let name = lens.saved_name.as_deref().unwrap_or("");
    match kept {
        Some(kept) if error.kind() == ErrorKind::Corrupt && kept.is_in(&error) => error
            .context(format!("kept scalars of lens {name} (saving the lens again, or `analyze`, writes them anew)")),
        _ => error,
    }
}
