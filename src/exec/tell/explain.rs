//! What a search will do, or did: folded, filtered, scanned, listed.
//!
//! It says what `run` does by asking the same plan; with `analyze` it runs the search and reports what was measured. It
//! renders nothing.

use super::explain_blend;
use crate::error::Result;
use crate::exec::reply::{Answer, Explanation, Memory, Stage};
use crate::exec::run::clock::Run;
use crate::exec::run::path::{self, Path};
use crate::exec::run::prepare::is_prepared;
use crate::exec::run::rows::{matched, scannable};
use crate::exec::run::search::run_one;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{Compared, Plan, PlannedLens};
use crate::exec::settle::probability::map_text;
use crate::lens::RowSource;
use crate::query::ast::Bound;
use crate::query::print_expr;
use crate::storage::resident::resident;
use crate::types::control::Control;
use crate::types::{Metric, ViewKind};

/// Memory of this process, now.
fn memory_now() -> Option<Memory> {
    let resident = resident()?;
    Some(Memory { resident_bytes: resident.bytes, mapped_bytes: resident.mapped_bytes })
}

/// A stage of which nothing is counted yet.
pub(super) fn stage(name: &'static str, text: impl Into<String>) -> Stage {
    Stage { name, text: text.into(), rows: None, bytes: None, elapsed: None }
}

/// Explains `plan`; with `analyze`, runs it.
///
/// # Errors
/// Those of running the parts that must run: the filter, or with `analyze` everything.
pub(crate) fn explain(plan: &Plan, params: &Params, analyze: bool, control: &Control) -> Result<Explanation> {
    let own = own_stages(plan)?;
    let run = if analyze { Some(run_one(plan, params, control)?) } else { None };
    let matched = match &run {
        Some(run) => run.answer.plan.matched,
        None => matched(plan, params, control)?.len(),
    };
    let mut stages = vec![source_stage(plan)];
    stages.extend(match own {
        Some(own) => own,
        None => explain_blend::stages(plan, fold_stage)?,
    });
    stages.extend(filter_stage(plan, matched));
    stages.push(scan_stage(plan, params, run.as_ref())?);
    stages.push(then_stage(plan));
    if let Some(run) = &run {
        let mut measured = Vec::new();
        for stage in &mut stages {
            // What the lenses of a blend take is measured together, and stands with the first of them.
            if !measured.contains(&stage.name) {
                stage.elapsed = run.timings.of(stage.name);
                measured.push(stage.name);
            }
        }
    }
    let notes = match &run {
        Some(run) => run.answer.notes.clone(),
        None => plan.notes.clone(),
    };
    let answer: Option<&Answer> = run.as_ref().map(|run| &run.answer);
    Ok(Explanation {
        statement: format!("explain {}{}", if analyze { "analyze " } else { "" }, plan.statement),
        header: plan.header(),
        stages,
        notes,
        plan: answer.map(|answer| answer.plan),
        elapsed: answer.map(|answer| answer.elapsed),
        memory: if analyze { memory_now() } else { None },
    })
}

fn source_stage(plan: &Plan) -> Stage {
    let terms = plan.find.source.node.terms.len();
    let what = match plan.compared {
        Compared::Texts(_) => "one text",
        Compared::Vectors(_) if terms == 1 => "one vector",
        Compared::Vectors(_) => "a weighted sum of raw vectors, processed once",
    };
    let Some(lens) = plan.own_lens() else {
        return stage("source", format!("{what}, in the view of each lens"));
    };
    let view = plan.collection.view(&lens.def.view).map(|view| view.def());
    let template = match view.map(|view| &view.kind) {
        Some(ViewKind::Template(template)) => format!(", text put into \"{template}\""),
        _ => String::new(),
    };
    stage("source", format!("{what} of view {}{template}", lens.def.view))
}

/// What the metric is made of, from the inside out: the metric itself, its hub correction, its calibration.
fn metric_stage(lens: &PlannedLens) -> Option<Stage> {
    let metric = lens.def.metric;
    let mut parts: Vec<String> = match metric {
        Metric::Pearson => vec!["pearson = center | normalize | dot".to_string()],
        Metric::Cosine => vec!["cosine = normalize | dot".to_string()],
        Metric::Euclidean => vec!["euclidean = |q - x|, finalists from the f64 difference".to_string()],
        _ => Vec::new(),
    };
    if let Some((neighbours, name)) = &lens.def.csls {
        let sample = lens.steps.samples.iter().find(|sample| sample.name == *name);
        let queries = sample.map_or(0, |sample| sample.queries);
        parts.push(format!(
            "csls = {} - 0.5 * mean of the record's {neighbours} highest with the {queries} queries of sample {name}",
            metric.as_str()
        ));
    }
    if let Some(calibration) = &lens.calibration {
        parts.push(format!(
            "probability = {}, {} (commit {}); ranked by the score below it",
            map_text(calibration, &lens.def),
            calibration.origin,
            calibration.commit
        ));
    }
    (!parts.is_empty()).then(|| stage("metric", parts.join("; ")))
}

/// The stages of a lens alone between the source and the filter; `None` for a blend.
fn own_stages(plan: &Plan) -> Result<Option<Vec<Stage>>> {
    let Some(lens) = plan.own_lens() else { return Ok(None) };
    // Texts are compared as they are.
    if plan.lenses().is_empty() {
        return Ok(Some(Vec::new()));
    }
    let fold = fold_stage(plan, lens)?;
    Ok(Some(metric_stage(lens).into_iter().chain([fold]).collect()))
}

fn fold_stage(plan: &Plan, lens: &PlannedLens) -> Result<Stage> {
    let steps = if lens.def.steps.is_empty() { "no steps" } else { "every step folded into the query" };
    let scalars =
        if is_prepared(plan, lens)? { "scalars per record cached" } else { "scalars per record computed first" };
    let mut parts = vec![format!("{steps}: one dot product per record with the raw row"), scalars.to_string()];
    parts.extend(plan.statistics_texts(lens));
    Ok(stage("fold", parts.join("; ")))
}

fn filter_stage(plan: &Plan, matched: u64) -> Option<Stage> {
    let filter = plan.find.output.filter.as_ref()?;
    let rows = plan.collection.live().len();
    let mut stage = stage("filter", format!("{} keeps {matched} of {rows} (bitmap)", print_expr(filter)));
    stage.rows = Some(rows);
    Some(stage)
}

fn scan_stage(plan: &Plan, params: &Params, run: Option<&Run>) -> Result<Stage> {
    let threads = plan.snapshot.install(rayon::current_num_threads);
    let threads = if threads == 1 { "1 thread".to_string() } else { format!("{threads} threads") };
    let rows = match run {
        Some(run) => run.answer.plan.scanned,
        None => scannable(plan, &matched(plan, params, &Control::default())?).len(),
    };
    let mut stage = match plan.compared {
        Compared::Texts(_) => stage("scan", format!("{rows} texts, edit distance in characters, exact, {threads}")),
        Compared::Vectors(_) => {
            let (row_bytes, how) = rows_read(plan, run)?;
            let bytes = rows * row_bytes;
            let text = format!("{rows} rows, {:.1} MB, exact, {threads}{how}", bytes as f64 / 1e6);
            Stage { bytes: Some(bytes), ..stage("scan", text) }
        }
    };
    stage.rows = Some(rows);
    Ok(stage)
}

/// Bytes of one record in the rows that are read, and which rows these are where that is worth a word.
fn rows_read(plan: &Plan, run: Option<&Run>) -> Result<(u64, String)> {
    let Some(lens) = plan.own_lens() else {
        return explain_blend::rows_read(plan, run.map(|run| run.answer.plan.path), row_bytes(plan));
    };
    let Some(view) = plan.collection.view(&lens.def.view) else {
        return Ok((row_bytes(plan), String::new()));
    };
    let path = path::choose(plan, lens, view)?;
    let measured = run.map(|run| run.answer.plan.path);
    Ok(match &path {
        Path::Materialized(_) if measured.is_some_and(|measured| measured != path.shown()) => {
            (row_bytes(plan), "; not the materialized rows: too many are not kept".to_string())
        }
        Path::Materialized(kept) => {
            let (from, to) = (view.dimension(), kept.dimension());
            let def = kept.def();
            let element = def.element.as_str();
            let how = format!("; materialized, {to} {element} for {from} dimensions; finalists from the raw rows");
            (to as u64 * def.element.size_bytes() as u64, how)
        }
        Path::Folded(Some(why)) => (row_bytes(plan), format!("; {why}")),
        Path::Folded(None) => (row_bytes(plan), String::new()),
    })
}

/// Bytes of one record in the views that are read.
fn row_bytes(plan: &Plan) -> u64 {
    let mut views: Vec<&str> = plan.lenses().iter().map(|part| part.lens.def.view.as_str()).collect();
    views.sort_unstable();
    views.dedup();
    let defs = views.iter().filter_map(|view| plan.collection.view(view)).map(|view| view.def());
    defs.map(|view| view.dimension.unwrap_or(0) as u64 * view.element.size_bytes() as u64).sum()
}

fn then_stage(plan: &Plan) -> Stage {
    let (skip, top) = plan.window();
    let mut parts = Vec::new();
    match plan.find.output.bound.as_ref().map(|bound| bound.node) {
        Some(Bound::Above(score)) => parts.push(format!("above {score}")),
        Some(Bound::Within(distance)) => parts.push(format!("within {distance}")),
        None => {}
    }
    if skip > 0 {
        parts.push(format!("skip {skip}"));
    }
    parts.push(format!("top {top}"));
    stage("then", parts.join(", "))
}
