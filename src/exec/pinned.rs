//! Statistics that a saved lens keeps: what its steps took from the records when the lens was saved or analyzed.
//!
//! Owns what `let` and `analyze` compute and how a later search uses it. A lens pins one statistic for each collection
//! that has its view and each step that takes one; until `analyze`, collections that come later are looked at as they
//! are.

use super::names::Site;
use super::plan::PlannedLens;
use super::resolve::FlatLens;
use super::scan::Watched;
use super::steps::{steps, takes_statistics};
use crate::error::{Error, ErrorKind, Result};
use crate::lens::prepared::PlacedStatistic;
use crate::lens::{Chain, Prepared, VectorMetric};
use crate::store::{Snapshot, ViewSnapshot};
use crate::types::control::Control;
use crate::types::{CollectionDef, PinnedStatistic, Statistic};

/// What `flat` pins at this snapshot, in every collection.
///
/// # Errors
/// Rows that cannot be read, or a set cancellation token.
pub(crate) fn pin(
    snapshot: &Snapshot,
    flat: &FlatLens,
    site: &Site<'_>,
    control: &Control,
) -> Result<Vec<(PinnedStatistic, Statistic)>> {
    let mut pinned = Vec::new();
    for def in snapshot.collections() {
        pinned.extend(pin_collection(snapshot, flat, def, site, control)?);
    }
    Ok(pinned)
}

/// What `flat` pins in one collection: nothing where no step takes statistics, or where the lens does not fit.
///
/// # Errors
/// As [`pin`].
pub(crate) fn pin_collection(
    snapshot: &Snapshot,
    flat: &FlatLens,
    def: &CollectionDef,
    site: &Site<'_>,
    control: &Control,
) -> Result<Vec<(PinnedStatistic, Statistic)>> {
    if !flat.def.steps.iter().any(takes_statistics) {
        return Ok(Vec::new());
    }
    control.checkpoint()?;
    let collection = snapshot.collection(&def.name)?;
    let Some(view) = collection.view(&flat.def.view) else { return Ok(Vec::new()) };
    let Some(dimension) = view.def().dimension else { return Ok(Vec::new()) };
    // A collection whose dimension the chain does not fit pins nothing: the lens is not for it.
    let Ok(resolved) = steps(snapshot, flat, Some(view), site) else { return Ok(Vec::new()) };
    let chain = Chain::new(resolved.steps, VectorMetric::try_from(flat.def.metric)?, dimension as usize)?;
    pin_chain(snapshot, def, view, &chain, control)
}

/// What `chain` pins over one view of the collection `def`.
///
/// # Errors
/// Rows that cannot be read, or a set cancellation token.
pub(crate) fn pin_chain(
    snapshot: &Snapshot,
    def: &CollectionDef,
    view: &ViewSnapshot,
    chain: &Chain,
    control: &Control,
) -> Result<Vec<(PinnedStatistic, Statistic)>> {
    let watched = Watched::new(view, control);
    let prepared = snapshot.install(|| Prepared::compute(chain, &watched, view.present()))?;
    let place = |placed: &PlacedStatistic| PinnedStatistic {
        collection: def.id,
        step_idx: placed.step_idx as u32,
        commit: snapshot.commit(),
        records: placed.count,
        revision: view.def().revision,
    };
    let statistics = prepared.statistics().iter();
    Ok(statistics.map(|placed| (place(placed), Statistic::clone(&placed.statistic))).collect())
}

/// The statistics that `lens` pins for the collection it was settled for; none where it was not saved.
///
/// # Errors
/// Where the catalog cannot be read, or a statistic is missing that the lens says it pins.
pub(crate) fn statistics(snapshot: &Snapshot, lens: &PlannedLens) -> Result<Vec<PlacedStatistic>> {
    let (Some(name), Some(pinning)) = (&lens.saved_name, &lens.pinning) else { return Ok(Vec::new()) };
    let mut placed = Vec::with_capacity(pinning.statistics.len());
    for place in &pinning.statistics {
        let Some(statistic) = snapshot.statistic(name, place.collection, place.step_idx)? else {
            let message = format!("the statistic that lens {name} pins for step {} is missing", place.step_idx + 1);
            return Err(Error::new(ErrorKind::Corrupt, message));
        };
        placed.push(PlacedStatistic { step_idx: place.step_idx as usize, statistic, count: place.records });
    }
    Ok(placed)
}
