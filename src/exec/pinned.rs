//! Statistics that a saved lens keeps: the records' mean at the time the lens was saved.
//!
//! Owns what `let` computes and how a later search uses it. A lens pins one mean for each collection that has its
//! view and each `center corpus` of its chain; collections that come later are looked at as they are.

use super::names::Site;
use super::plan::Plan;
use super::resolve::FlatLens;
use super::steps::steps;
use crate::error::Result;
use crate::lens::prepared::CorpusMean;
use crate::lens::{Chain, Prepared, VectorMetric};
use crate::store::Snapshot;
use crate::types::control::Control;
use crate::types::definitions::PinnedStatistic;
use crate::types::{Metric, Step};
use std::sync::Arc;

/// The means that `flat` pins at this snapshot.
///
/// # Errors
/// Rows that cannot be read, or a set cancellation token.
pub(crate) fn pin(
    snapshot: &Snapshot,
    flat: &FlatLens,
    site: &Site<'_>,
    control: &Control,
) -> Result<Vec<PinnedStatistic>> {
    let mut pinned = Vec::new();
    if flat.def.metric == Metric::Levenshtein || !flat.def.steps.contains(&Step::CenterCorpus) {
        return Ok(pinned);
    }
    for def in snapshot.collections() {
        control.checkpoint()?;
        let collection = snapshot.collection(&def.name)?;
        let Some(view) = collection.view(&flat.def.view) else { continue };
        let Some(dimension) = view.def().dimension else { continue };
        // A collection whose dimension the chain does not fit pins nothing: the lens is not for it.
        let Ok(resolved) = steps(snapshot, flat, Some(dimension), site) else { continue };
        let chain = Chain::new(resolved.steps, VectorMetric::try_from(flat.def.metric)?, dimension as usize)?;
        let prepared = snapshot.install(|| Prepared::compute(&chain, view, view.present()))?;
        pinned.extend(prepared.means().iter().map(|mean| PinnedStatistic {
            collection: def.id,
            step_idx: mean.step_idx as u32,
            mean: mean.mean.to_vec(),
            commit: snapshot.commit(),
            records: mean.count,
        }));
    }
    Ok(pinned)
}

/// The means that `plan`'s saved lens pins for its collection.
pub(crate) fn means(plan: &Plan) -> Vec<CorpusMean> {
    let statistics = plan.pinning.iter().flat_map(|pinning| &pinning.statistics);
    statistics
        .map(|statistic| CorpusMean {
            step_idx: statistic.step_idx as usize,
            mean: Arc::from(statistic.mean.as_slice()),
            count: statistic.records,
        })
        .collect()
}
