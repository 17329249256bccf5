//! The records of what was found, and the answer around them.
//!
//! Only the records that are listed are read from the catalog.

use super::notes::on_search;
use super::scan::Scored;
use crate::error::Result;
use crate::exec::reply::{Answer, Hit, PlanInfo};
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::linalg::team;
use crate::types::{Control, RowId};
use std::time::Duration;

/// Records that one task reads, at least: below that, waking another thread takes as long as it saves.
const TASK_RECORDS: usize = 100;

/// The records of what was found, best first, within the plan's window. A million of them take seconds to read, in
/// which `control` may say to stop.
pub(crate) fn hits(plan: &Plan, found: Vec<Scored>, control: &Control) -> Result<Vec<Hit>> {
    let (skip, top) = plan.window();
    let metric = plan.shown_metric();
    let shown = found.into_iter().map(|hit| (hit.value, Scored { value: plan.shown(hit.value), ..hit }));
    // A bound on a probability was only an estimate for the score below it.
    let least = plan.bound().filter(|_| plan.is_calibrated());
    let kept = shown.filter(|(_, hit)| least.is_none_or(|least| hit.value >= least));
    let listed: Vec<(usize, (f64, Scored))> = kept.enumerate().skip(skip).take(top).collect();
    let hit = |(place, (raw, hit)): (usize, (f64, Scored))| {
        control.checkpoint()?;
        let record = plan.collection.shown_record(RowId(hit.row))?;
        Ok(Hit { rank: place as u64 + 1, metric, value: hit.value, raw, percentile: None, row: RowId(hit.row), record })
    };
    if listed.len() < 2 * TASK_RECORDS {
        return listed.into_iter().map(hit).collect();
    }
    let tasks: Vec<&[(usize, (f64, Scored))]> = listed.chunks(TASK_RECORDS).collect();
    let read = |idx: usize| tasks[idx].iter().map(|listed| hit(*listed)).collect::<Result<Vec<_>>>();
    let mut hits = Vec::with_capacity(listed.len());
    for read in team::map(tasks.len(), read) {
        hits.extend(read?);
    }
    Ok(hits)
}

/// Puts the answer together and reads the records it lists. `found` has the best first.
///
/// # Errors
/// Records that cannot be read; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) once `control` says so.
pub(crate) fn answer(
    plan: &Plan,
    params: &Params,
    counts: PlanInfo,
    found: Vec<Scored>,
    control: &Control,
) -> Result<Answer> {
    Ok(Answer {
        statement: plan.statement.clone(),
        collection: plan.collection.def().name.clone(),
        header: plan.header(),
        plan: counts,
        hits: hits(plan, found, control)?,
        notes: on_search(plan, params)?,
        background: None,
        elapsed: Duration::ZERO,
    })
}
