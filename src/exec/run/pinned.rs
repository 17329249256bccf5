//! Statistics that a saved lens pins, as a search uses them.
//!
//! Owns the look-up; what `let` and `analyze` compute is `keep`'s.

use crate::error::{Error, ErrorKind, Result};
use crate::exec::settle::plan::PlannedLens;
use crate::lens::PlacedStatistic;
use crate::store::Snapshot;

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
