//! Searches that compare texts by edit distance.
//!
//! Owns what is counted of them; the comparing is `edit_distance`'s.

use super::clock::{Clock, Run};
use super::edit_distance::{TextRows, scan_texts};
use super::hits::answer;
use super::rows::{rows_of, view_of};
use super::source;
use crate::error::Result;
use crate::exec::reply::{PlanInfo, SearchPath};
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{Plan, PlannedLens};
use crate::types::RowSet;
use crate::types::control::Control;
use std::time::Instant;

/// Runs `plan`, which compares texts under `lens`.
///
/// # Errors
/// As for any search; a query error for a source that is no text.
pub(crate) fn run_text(plan: &Plan, lens: &PlannedLens, params: &Params, control: &Control) -> Result<Run> {
    let begun = Instant::now();
    let mut clock = Clock::new(begun);
    let view = view_of(plan, lens)?;
    let rows = rows_of(plan, params, control)?;
    clock.timings.filter = clock.lap();
    let query = source::text(plan, view, params)?;
    clock.timings.source = clock.lap();
    let (skip, top) = plan.window();
    let within = plan.scan_bound();
    let taking_part = TextRows { matched: &rows.matched, left_out: &rows.left_out };
    let scan = scan_texts(&plan.collection, view.def(), &query, taking_part, skip + top, within, control)?;
    clock.timings.scan = clock.lap();
    let counted = rows.counted(plan, SearchPath::Texts, &RowSet::new());
    let counts = PlanInfo { scanned: scan.scanned, absent: scan.absent, ..counted };
    let mut answer = answer(plan, params, counts, scan.hits, control)?;
    clock.timings.then = clock.lap();
    answer.elapsed = begun.elapsed();
    Ok(Run { answer, undirected: RowSet::new(), timings: clock.timings })
}
