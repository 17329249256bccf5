//! Searches whose lens is a blend: the source through every lens's own view, one scan over all of them.
//!
//! A record takes part when it has a vector and a direction under **every** lens of the blend, one of weight 0 included.

use super::clock::{Clock, Run, Timings};
use super::hits::hits;
use super::notes::{notes_on_few, on_source};
use super::path::Path;
use super::ready::Ready;
use super::rows::{Rows, rows_of, view_of};
use super::scan::{ScanResult, scan_blend};
use crate::error::Result;
use crate::exec::reply::{Answer, PlanInfo};
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::query::ast::Bound;
use crate::types::RowSet;
use crate::types::control::Control;
use std::time::Instant;

/// Runs a search whose lens is a blend.
///
/// # Errors
/// As for any search; a query without direction under one of the lenses has none under the blend.
pub(crate) fn run(plan: &Plan, params: &Params, control: &Control) -> Result<Run> {
    let begun = Instant::now();
    let mut clock = Clock::new(begun);
    let rows = rows_of(plan, params, control)?;
    let mut timings = Timings { filter: clock.lap(), ..Timings::default() };
    let ready = Ready::new(plan, params, Some(&rows.scanned), control)?;
    timings.fold = clock.lap();
    control.checkpoint()?;
    let (skip, top) = plan.window();
    let bound = plan.find.output.bound.as_ref().map(|bound| match bound.node {
        Bound::Above(bound) | Bound::Within(bound) => bound,
    });
    let found = match &ready {
        Ok(ready) => {
            let (sources, allowed) = (ready.sources(control), rows.scanned.and_not(&rows.left_out));
            scan_blend(&ready.blend(&sources), &allowed, skip + top, bound).map_err(|error| ready.advise(error))?
        }
        Err(_) => ScanResult::default(),
    };
    timings.scan = clock.lap();
    let undirected = ready.as_ref().map(|ready| ready.undirected(&rows.scanned)).unwrap_or_default();
    let mut notes = notes(plan, params)?;
    notes.extend(ready.as_ref().err().filter(|note| !notes.contains(note)).cloned());
    for note in ready.iter().flat_map(|ready| ready.lenses()).flat_map(|lens| notes_on_few(&lens.prepared)) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    let answer = Answer {
        statement: plan.statement.clone(),
        collection: plan.collection.def().name.clone(),
        header: plan.header(),
        plan: PlanInfo {
            path: if ready.is_ok_and(|ready| ready.is_materialized()) { Path::MATERIALIZED } else { Path::SCAN },
            ..counts(plan, &rows, &undirected)?
        },
        notes,
        hits: hits(plan, found.hits)?,
        background: None,
        elapsed: begun.elapsed(),
    };
    timings.then = clock.lap();
    Ok(Run { answer, undirected, timings })
}

fn counts(plan: &Plan, rows: &Rows, undirected: &RowSet) -> Result<PlanInfo> {
    let live = plan.collection.live();
    let mut present = live.clone();
    for part in &plan.blend {
        present = present.and(view_of(&part.plan)?.present());
    }
    Ok(PlanInfo {
        path: Path::SCAN,
        exact: true,
        rows: live.len(),
        matched: rows.matched.len(),
        scanned: rows.scanned.len(),
        undirected: undirected.len(),
        absent: live.and_not(&present).len(),
        left_out: rows.left_out.and(&rows.scanned).len(),
        commit: plan.snapshot.commit(),
    })
}

fn notes(plan: &Plan, params: &Params) -> Result<Vec<String>> {
    let mut notes = plan.notes.clone();
    for part in &plan.blend {
        let view = view_of(&part.plan)?;
        let mut more = on_source(&part.plan, view, params);
        if view.def().dimension.is_none() {
            more.push(format!("view `{}` has no vectors yet", view.def().name));
        }
        for note in more {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    Ok(notes)
}
