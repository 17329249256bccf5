//! Statistics that a saved lens keeps: what its steps took from the records when the lens was saved or analyzed.
//!
//! Owns what `let` and `analyze` compute. A lens pins one statistic for each collection that has its view and each step
//! that takes one; until `analyze`, collections that come later are looked at as they are.

use crate::error::Result;
use crate::exec::run::scan::Watched;
use crate::exec::settle::names::Site;
use crate::exec::settle::plan::FlatLens;
use crate::exec::settle::steps::steps;
use crate::lens::PlacedStatistic;
use crate::lens::{Chain, Prepared, VectorMetric};
use crate::store::{Snapshot, ViewSnapshot};
use crate::types::control::Control;
use crate::types::{CollectionDef, PinnedStatistic, Statistic, Step};

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
    if !flat.def.steps.iter().any(Step::takes_statistics) {
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
