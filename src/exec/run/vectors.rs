//! Searches that compare vectors under one lens, one or many in a pass over the rows.
//!
//! Owns the order of stages and everything that is counted. An answer is the same for one search and in a batch.

use super::clock::{Clock, Run, Timings};
use super::hits::answer;
use super::notes::{notes_on_few, unknown_note};
use super::path::{Path, scan_by_path};
use super::prepare::{prepared_for, process};
use super::rows::{Rows, rows_of, view_of};
use super::scan::Scored;
use super::source::{self, Sum};
use crate::error::Result;
use crate::exec::reply::PlanInfo;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::lens::{Prepared, ProcessedQuery};
use crate::store::ViewSnapshot;
use crate::types::RowSet;
use crate::types::control::Control;
use rayon::prelude::*;
use std::time::Instant;

/// Searches of a batch that one task processes or answers, at least.
const TASK_ANSWERS: usize = 8;

pub(crate) fn run_vectors(plan: &Plan, all_params: &[&Params], control: &Control) -> Result<Vec<Result<Run>>> {
    let begun = Instant::now();
    let mut clock = Clock::new(begun);
    let Some(first) = all_params.first() else { return Ok(Vec::new()) };
    let view = view_of(plan)?;
    let rows = rows_of(plan, first, control)?;
    let mut timings = Timings { filter: clock.lap(), ..Timings::default() };
    let sums = source::vectors(plan, view, all_params)?;
    timings.source = clock.lap();
    control.checkpoint()?;
    let prepared = prepared_for(plan, view, &rows.scanned, control)?;
    let few = prepared.as_deref().map(notes_on_few).unwrap_or_default();
    let (queries, (found, path), undirected) = match prepared {
        Some(prepared) => {
            let queries = each(sums.iter().collect(), |sum| match sum.unknown {
                // Nothing is similar to a text that says nothing.
                Some(_) => Ok(None),
                None => process(plan, &prepared, sum).map(Some),
            });
            timings.fold = clock.lap();
            control.checkpoint()?;
            let found = scan_rows(plan, view, &prepared, &rows, &queries, control)?;
            let queries = queries.into_iter().map(|query| query.map(|query| query.is_some())).collect();
            (queries, found, rows.scanned.and(prepared.undirected()))
        }
        // A view without vectors has nothing to be similar to, and nothing is what is found.
        None => {
            let queries = sums.iter().map(|_| Ok(false)).collect::<Vec<Result<bool>>>();
            (queries, (Vec::new(), Path::Folded(None).name()), RowSet::new())
        }
    };
    let mut found = found.into_iter();
    timings.scan = clock.lap();
    let counts = PlanInfo {
        path,
        exact: true,
        rows: plan.collection.live().len(),
        matched: rows.matched.len(),
        scanned: rows.scanned.len(),
        undirected: undirected.len(),
        absent: plan.collection.live().and_not(view.present()).len(),
        left_out: rows.left_out.and(&rows.scanned).len(),
        commit: plan.snapshot.commit(),
    };
    // Those that were scanned for have hits, in their order.
    let mut hits_of = |is_asked: bool| if is_asked { found.next().unwrap_or_default() } else { Vec::new() };
    let found: Vec<Result<Vec<Scored>>> = queries.into_iter().map(|query| query.map(&mut hits_of)).collect();
    let run = |((found, sum), params): ((Result<Vec<Scored>>, &Sum), &&Params)| {
        let mut answer = answer(plan, view, params, counts, found?)?;
        answer.notes.extend(sum.unknown.as_deref().map(|text| unknown_note(view, text)));
        answer.notes.extend(few.iter().cloned());
        Ok(Run { answer, undirected: undirected.clone(), timings })
    };
    let mut runs = each(found.into_iter().zip(&sums).zip(all_params).collect(), run);
    timings.then = clock.lap();
    let share = begun.elapsed() / u32::try_from(runs.len()).unwrap_or(u32::MAX).max(1);
    for run in runs.iter_mut().flatten() {
        run.answer.elapsed = share;
        run.timings = timings;
    }
    Ok(runs)
}

/// What `run` answers for each search of a batch, on all threads; one alone stays on this one.
fn each<T: Send, R: Send>(mut searches: Vec<T>, run: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match searches.pop() {
        Some(only) if searches.is_empty() => vec![run(only)],
        last => {
            searches.extend(last);
            searches.into_par_iter().with_min_len(TASK_ANSWERS).map(run).collect()
        }
    }
}

/// Scans for the queries that have a direction, in their order.
fn scan_rows(
    plan: &Plan,
    view: &ViewSnapshot,
    prepared: &Prepared,
    rows: &Rows,
    queries: &[Result<Option<ProcessedQuery>>],
    control: &Control,
) -> Result<(Vec<Vec<Scored>>, &'static str)> {
    let directed: Vec<ProcessedQuery> = queries.iter().flatten().flatten().cloned().collect();
    let allowed = rows.scanned.and_not(&rows.left_out);
    let (skip, top) = plan.window();
    let bound = plan.bound().and_then(|bound| plan.lens.scan_bound(bound));
    let (found, path) = scan_by_path(plan, view, prepared, &directed, &allowed, (skip + top, bound), control)?;
    Ok((found.into_iter().map(|found| found.hits).collect(), path))
}
