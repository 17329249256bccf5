//! Searches that compare texts by edit distance.
//!
//! Owns what is counted of them; the comparing is `edit_distance`'s.

use super::clock::{Clock, Run, Timings};
use super::edit_distance::{TextRows, scan_texts};
use super::hits::answer;
use super::rows::{rows_of, view_of};
use super::source;
use crate::error::Result;
use crate::exec::reply::PlanInfo;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::types::RowSet;
use crate::types::control::Control;
use std::time::Instant;

pub(crate) fn run_text(plan: &Plan, params: &Params, control: &Control) -> Result<Run> {
    let begun = Instant::now();
    let mut clock = Clock::new(begun);
    let view = view_of(plan)?;
    let rows = rows_of(plan, params, control)?;
    let mut timings = Timings { filter: clock.lap(), ..Timings::default() };
    let query = source::text(plan, view, params)?;
    timings.source = clock.lap();
    let (skip, top) = plan.window();
    let within = plan.bound().and_then(|bound| plan.lens.scan_bound(bound));
    let taking_part = TextRows { matched: &rows.matched, left_out: &rows.left_out };
    let scan = scan_texts(&plan.collection, view.def(), &query, taking_part, skip + top, within, control)?;
    timings.scan = clock.lap();
    let counts = PlanInfo {
        path: "texts",
        exact: true,
        rows: plan.collection.live().len(),
        matched: rows.matched.len(),
        scanned: scan.scanned,
        undirected: 0,
        absent: scan.absent,
        left_out: rows.left_out.and(&rows.matched).len(),
        commit: plan.snapshot.commit(),
    };
    let mut answer = answer(plan, view, params, counts, scan.hits)?;
    timings.then = clock.lap();
    answer.elapsed = begun.elapsed();
    Ok(Run { answer, undirected: RowSet::new(), timings })
}
