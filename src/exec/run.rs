//! Runs a settled search: filter, source, fold, scan, records.
//!
//! Owns the order of these and everything an answer counts. One search and a batch take the same way, and an
//! answer is the same for both. Only the records that are listed are read from the catalog.

use super::answer::{Answer, Hit, PlanInfo};
use super::filter;
use super::names::Site;
use super::params::Params;
use super::path::{Path, scan_by_path};
use super::plan::Plan;
use super::resolve::param_names;
use super::scan::Scored;
use super::source::{self, Sum};
use super::texts::{TextRows, scan_texts};
use super::{blend, condition, ready};
use crate::error::{Error, Result};
use crate::lens::{Chain, FewRecords, Prepared, ProcessedQuery};
use crate::linalg::team;
use crate::query::ast::Source;
use crate::query::print_expr;
use crate::store::ViewSnapshot;
use crate::types::control::Control;
use crate::types::{RowId, RowSet};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Searches of a batch that one task processes or answers, at least.
const TASK_ANSWERS: usize = 8;

/// Records that one task reads, at least: below that, waking another thread takes as long as it saves.
const TASK_RECORDS: usize = 100;

/// What one search came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) answer: Answer,
    /// Rows of the matched set without direction.
    pub(crate) undirected: RowSet,
    pub(crate) timings: Timings,
}

/// Time of each stage; of a batch, all its searches together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timings {
    pub(crate) filter: Duration,
    pub(crate) source: Duration,
    pub(crate) fold: Duration,
    pub(crate) scan: Duration,
    pub(crate) then: Duration,
}

impl Timings {
    /// The time of a stage that `explain` names.
    pub(crate) fn of(&self, stage: &str) -> Option<Duration> {
        match stage {
            "filter" => Some(self.filter),
            "source" => Some(self.source),
            "fold" => Some(self.fold),
            "scan" => Some(self.scan),
            "then" => Some(self.then),
            _ => None,
        }
    }
}

/// Times stages one after the other.
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock whose first stage began at `begun`.
    pub(crate) fn new(begun: Instant) -> Self {
        Clock(begun)
    }

    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now - self.0;
        self.0 = now;
        lap
    }
}

/// The rows a search is about, before anything is compared.
pub(crate) struct Rows {
    pub(crate) matched: RowSet,
    /// Matched rows that have a vector.
    pub(crate) scanned: RowSet,
    /// Rows that the source names and that are not wanted.
    pub(crate) left_out: RowSet,
}

/// Live rows that the condition keeps; all live rows where there is none.
///
/// # Errors
/// Query errors for unbound parameters and constants that do not fit their fields; damaged columns.
pub(crate) fn matched(plan: &Plan, params: &Params, control: &Control) -> Result<RowSet> {
    let live = plan.collection.live();
    let Some(expr) = &plan.find.output.filter else { return Ok(live.clone()) };
    // The rows are the same for every search of the snapshot that asks this.
    let bound: Vec<_> = param_names(&Source::default(), Some(expr)).into_iter().map(|name| params.get(&name)).collect();
    let (collection, commit) = (plan.collection.def().id, plan.snapshot.commit());
    let key = format!("matched {collection} {commit} {} {bound:?}", print_expr(expr)).into_bytes();
    let make = || {
        let condition = condition::check(expr, &plan.collection.def().fields, params, &Site::new(&plan.text))?;
        let column = |field: &str| {
            control.checkpoint()?;
            plan.collection.column(field)
        };
        let select = || filter::select(&condition, live, &column);
        // The clone is what is kept: it holds no more than it needs.
        let rows = plan.snapshot.install(select)?.clone();
        let bytes = rows.heap_bytes();
        Ok::<_, Error>((rows, bytes))
    };
    Ok(RowSet::clone(&*plan.snapshot.cache().get_or_insert_with(&key, make)?))
}

/// Rows of `matched` that have a vector in the view; for a blend, in the views of all its lenses.
pub(crate) fn scannable(plan: &Plan, matched: &RowSet) -> RowSet {
    if !plan.blend.is_empty() {
        return plan.blend.iter().fold(matched.clone(), |rows, part| scannable(&part.plan, &rows));
    }
    match plan.collection.view(&plan.lens.def.view) {
        Some(view) if !plan.compares_texts() => matched.and(view.present()),
        _ => matched.clone(),
    }
}

/// Runs `plan` once for each of `all_params`, together where that is possible.
///
/// # Errors
/// What concerns all of them; what concerns one (a query without direction) is that one's answer.
pub(crate) fn run_all(plan: &Plan, all_params: &[&Params], control: &Control) -> Result<Vec<Result<Run>>> {
    // One pass needs one set of rows.
    let one_pass = all_params.len() == 1 || plan.filter_is_same(all_params) && !plan.compares_texts();
    if !one_pass {
        let mut runs = Vec::with_capacity(all_params.len());
        for params in all_params {
            runs.extend(run_all(plan, &[*params], control)?);
        }
        return Ok(runs);
    }
    let Some(first) = all_params.first() else { return Ok(Vec::new()) };
    control.checkpoint()?;
    if all_params.len() == 1 && plan.blend.is_empty() && !plan.compares_texts() {
        // What one search shares is worth waking threads for here and there, but not for all of it.
        return plan.snapshot.beside(|| run_vectors(plan, all_params, control));
    }
    plan.snapshot.install(|| {
        if !plan.blend.is_empty() {
            // One pass over the rows for each query: a blend reads them for several lenses at once already.
            Ok(all_params.iter().map(|params| blend::run(plan, params, control)).collect())
        } else if plan.compares_texts() {
            Ok(vec![run_text(plan, first, control)])
        } else {
            run_vectors(plan, all_params, control)
        }
    })
}

pub(crate) fn view_of(plan: &Plan) -> Result<&ViewSnapshot> {
    let missing = || Error::not_found(format!("view {} is gone", plan.lens.def.view));
    plan.collection.view(&plan.lens.def.view).ok_or_else(missing)
}

pub(crate) fn rows_of(plan: &Plan, params: &Params, control: &Control) -> Result<Rows> {
    let matched = matched(plan, params, control)?;
    let scanned = scannable(plan, &matched);
    let named = source::named_rows(plan)?;
    let left_out = if plan.find.output.including_self { RowSet::new() } else { named };
    Ok(Rows { matched, scanned, left_out })
}

fn run_vectors(plan: &Plan, all_params: &[&Params], control: &Control) -> Result<Vec<Result<Run>>> {
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
        answer.notes.extend(sum.unknown.as_deref().map(|text| source::unknown_note(view, text)));
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

/// Says which steps have too few records for what they take of them.
pub(crate) fn notes_on_few(prepared: &Prepared) -> Vec<String> {
    prepared.of_few_records().iter().map(FewRecords::to_string).collect()
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

fn run_text(plan: &Plan, params: &Params, control: &Control) -> Result<Run> {
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

/// The records of what was found, best first, within the plan's window.
pub(crate) fn hits(plan: &Plan, found: Vec<Scored>) -> Result<Vec<Hit>> {
    let (skip, top) = plan.window();
    let metric = plan.lens.shown_metric();
    let shown = found.into_iter().map(|hit| (hit.value, Scored { value: plan.lens.shown(hit.value), ..hit }));
    // A bound on a probability was only an estimate for the score below it.
    let least = plan.bound().filter(|_| plan.lens.calibration.is_some());
    let kept = shown.filter(|(_, hit)| least.is_none_or(|least| hit.value >= least));
    let listed: Vec<(usize, (f64, Scored))> = kept.enumerate().skip(skip).take(top).collect();
    let hit = |(place, (raw, hit)): (usize, (f64, Scored))| {
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
fn answer(plan: &Plan, view: &ViewSnapshot, params: &Params, counts: PlanInfo, found: Vec<Scored>) -> Result<Answer> {
    let hits = hits(plan, found)?;
    let mut notes = plan.notes.clone();
    notes.extend(source::notes(plan, view, params));
    if !plan.compares_texts() && view.def().dimension.is_none() {
        notes.push(format!("view `{}` has no vectors yet", view.def().name));
    }
    Ok(Answer {
        statement: plan.statement.clone(),
        collection: plan.collection.def().name.clone(),
        header: plan.header(),
        plan: counts,
        notes,
        hits,
        background: None,
        elapsed: Duration::ZERO,
    })
}

/// Statistics and scalars of the plan's chain. `None` where the view has no vectors yet.
pub(crate) fn prepared(plan: &Plan, view: &ViewSnapshot, control: &Control) -> Result<Option<Arc<Prepared>>> {
    let Some(chain) = chain(plan, view)? else { return Ok(None) };
    ready::prepared(&plan.snapshot, view, &plan.lens, &chain, control).map(Some)
}

/// [`prepared`] as far as the rows of `wanted` need it.
pub(crate) fn prepared_for(
    plan: &Plan,
    view: &ViewSnapshot,
    wanted: &RowSet,
    control: &Control,
) -> Result<Option<Arc<Prepared>>> {
    let Some(chain) = chain(plan, view)? else { return Ok(None) };
    ready::prepared_for(&plan.snapshot, view, &plan.lens, &chain, wanted, control).map(Some)
}

fn chain(plan: &Plan, view: &ViewSnapshot) -> Result<Option<Chain>> {
    ready::chain(view, &plan.lens).map_err(|error| {
        // Dimensions were checked where they were written; what is left is a product of matrices out of range.
        Site::new(&plan.text).error("resolve::chain", error.message(), &plan.find.source.span).into()
    })
}

/// Whether the scalars of the plan's lens are there already.
pub(crate) fn is_prepared(plan: &Plan) -> Result<bool> {
    for part in &plan.blend {
        if !is_prepared(&part.plan)? {
            return Ok(false);
        }
    }
    let view = view_of(plan)?;
    let Some(chain) = chain(plan, view)? else { return Ok(false) };
    Ok(ready::is_prepared(&plan.snapshot, view, &plan.lens, &chain))
}

pub(crate) fn process(plan: &Plan, prepared: &Prepared, sum: &Sum) -> Result<ProcessedQuery> {
    let processed = match &sum.largest {
        Some(largest) => prepared.process_sum(&sum.vector, largest),
        None => prepared.process(&sum.vector),
    };
    processed.map_err(|error| {
        Site::new(&plan.text).error("resolve::no_direction", error.message(), &plan.find.source.span).into()
    })
}

/// Ids of the matched records without direction.
///
/// # Errors
/// As [`run_all`].
pub(crate) fn undirected_ids(plan: &Plan, params: &Params) -> Result<Vec<String>> {
    if plan.compares_texts() {
        return Ok(Vec::new());
    }
    let control = Control::default();
    let scanned = scannable(plan, &matched(plan, params, &control)?);
    if !plan.blend.is_empty() {
        let mut rows = RowSet::new();
        for part in &plan.blend {
            let view = view_of(&part.plan)?;
            if let Some(prepared) = plan.snapshot.install(|| prepared_for(&part.plan, view, &scanned, &control))? {
                rows = rows.or(prepared.undirected());
            }
        }
        return rows.and(&scanned).iter().map(|row| Ok(plan.collection.record(RowId(row))?.id)).collect();
    }
    let view = view_of(plan)?;
    let Some(prepared) = plan.snapshot.install(|| prepared_for(plan, view, &scanned, &control))? else {
        return Ok(Vec::new());
    };
    let rows = scanned.and(prepared.undirected());
    rows.iter().map(|row| Ok(plan.collection.record(RowId(row))?.id)).collect()
}
