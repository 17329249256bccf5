//! What a lens needs to know about the records before it can be searched, wherever it comes from.
//!
//! Owns how a settled lens becomes a [`Prepared`]: kept from an earlier search, or computed. Keys name everything the
//! scalars depend on, so that nothing stale is ever found.

use super::pinned;
use super::plan::PlannedLens;
use crate::error::Result;
use crate::lens::{Chain, Prepared, RowSource, VectorMetric};
use crate::store::{Snapshot, ViewSnapshot};
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
        let prepared = Prepared::compute_pinned(chain, view, view.present(), &pinned)?;
        let bytes = prepared.bytes();
        Ok((prepared, bytes))
    };
    snapshot.cache().get_or_insert_with(&cache_key(view, lens, chain), make)
}

/// Whether [`prepared`] has nothing left to compute.
pub(crate) fn is_prepared(snapshot: &Snapshot, view: &ViewSnapshot, lens: &PlannedLens, chain: &Chain) -> bool {
    snapshot.cache().get::<Prepared>(&cache_key(view, lens, chain)).is_some()
}
