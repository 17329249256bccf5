//! One pass over the rows under one lens, for one query or many.
//!
//! Owns the fast way: a lens alone reads nothing for the sake of others, and the queries of a batch share the pass.

use super::batch::{Found, each};
use super::clock::Clock;
use super::notes::{notes_on_few, unknown_note};
use super::path::scan_by_path;
use super::prepare::{prepared_for, process};
use super::rows::{Rows, view_of};
use super::scan::Scored;
use super::source::{self, Sum};
use crate::error::Result;
use crate::exec::reply::SearchPath;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{Plan, PlannedLens};
use crate::lens::{Prepared, ProcessedQuery};
use crate::types::RowSet;
use crate::types::control::Control;

/// Looks for the sources of all of `all_params` under `lens`, the own lens of `plan`.
///
/// # Errors
/// What concerns all of them; what concerns one (a query without direction) is that one's.
pub(crate) fn pass(
    plan: &Plan,
    lens: &PlannedLens,
    all_params: &[&Params],
    rows: &Rows,
    clock: &mut Clock,
    control: &Control,
) -> Result<Found> {
    let view = view_of(plan, lens)?;
    let sums = source::vectors(plan, view, all_params)?;
    clock.timings.source = clock.lap();
    control.checkpoint()?;
    let prepared = prepared_for(plan, lens, view, &rows.scanned, control)?;
    let few = prepared.as_deref().map(notes_on_few).unwrap_or_default();
    let unknown = |sum: &Sum| sum.unknown.as_deref().map(|text| unknown_note(view, text));
    let notes = sums.iter().map(|sum| unknown(sum).into_iter().chain(few.iter().cloned()).collect()).collect();
    // A view without vectors has nothing to be similar to, and nothing is what is found.
    let Some(prepared) = prepared else {
        let hits = sums.iter().map(|_| Ok(Vec::new())).collect();
        return Ok(Found { hits, notes, path: SearchPath::Scan, undirected: RowSet::new() });
    };
    let queries = each(sums.iter().collect(), |sum| match sum.unknown {
        // Nothing is similar to a text that says nothing.
        Some(_) => Ok(None),
        None => process(plan, &prepared, sum).map(Some),
    });
    clock.timings.fold = clock.lap();
    control.checkpoint()?;
    let (found, path) = scan_rows(plan, lens, &prepared, rows, &queries, control)?;
    // Those that were scanned for have hits, in their order.
    let mut found = found.into_iter();
    let mut hits_of = |query: Option<ProcessedQuery>| query.map_or_else(Vec::new, |_| found.next().unwrap_or_default());
    let hits = queries.into_iter().map(|query| query.map(&mut hits_of)).collect();
    Ok(Found { hits, notes, path, undirected: rows.scanned.and(prepared.undirected()) })
}

/// Scans for the queries that have a direction, in their order.
fn scan_rows(
    plan: &Plan,
    lens: &PlannedLens,
    prepared: &Prepared,
    rows: &Rows,
    queries: &[Result<Option<ProcessedQuery>>],
    control: &Control,
) -> Result<(Vec<Vec<Scored>>, SearchPath)> {
    let directed: Vec<ProcessedQuery> = queries.iter().flatten().flatten().cloned().collect();
    let allowed = rows.scanned.and_not(&rows.left_out);
    let (skip, top) = plan.window();
    let wanted = (skip + top, plan.scan_bound());
    let (found, path) = scan_by_path(plan, lens, prepared, &directed, &allowed, wanted, control)?;
    Ok((found.into_iter().map(|found| found.hits).collect(), path))
}
