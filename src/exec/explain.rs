//! What a search will do, or did: folded, filtered, scanned, listed.
//!
//! Owns [`Explanation`]. It says what `run` does by asking the same plan; with `analyze` it runs the search and
//! reports what was measured. It renders nothing.

use super::answer::{Answer, LensHeader, PlanInfo};
use super::params::Params;
use super::plan::Plan;
use super::run::{self, Run};
use crate::error::Result;
use crate::query::ast::Bound;
use crate::query::print_expr;
use crate::storage::resident::resident;
use crate::types::control::Control;
use crate::types::{Metric, ViewKind};
use std::time::Duration;

/// How a search is run, stage by stage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The search in canonical form, defaults included.
    pub statement: String,
    /// The lens as it was understood.
    pub header: LensHeader,
    /// What is done, in order.
    pub stages: Vec<Stage>,
    /// Remarks, as in the answer.
    pub notes: Vec<String>,
    /// What was counted; only `analyze` runs the search.
    pub plan: Option<PlanInfo>,
    /// Time from binding to answer; only `analyze` measures.
    pub elapsed: Option<Duration>,
    /// Memory of the process after the search; only `analyze` measures, and only where the system says.
    pub memory: Option<Memory>,
}

/// Memory of this process as the operating system counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes in memory, mapped files included.
    pub resident_bytes: u64,
    /// Those of them that are pages of mapped files: the system takes them back when it needs room.
    pub mapped_bytes: u64,
}

impl Memory {
    /// Of this process, now.
    fn now() -> Option<Memory> {
        let resident = resident()?;
        Some(Memory { resident_bytes: resident.bytes, mapped_bytes: resident.mapped_bytes })
    }
}

/// One stage of a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// `source`, `metric`, `fold`, `filter`, `scan`, `then`.
    pub name: &'static str,
    /// What is done there, in words.
    pub text: String,
    /// Rows it looks at, where it looks at rows.
    pub rows: Option<u64>,
    /// Bytes it reads, where they are known.
    pub bytes: Option<u64>,
    /// Time it took; only `analyze` measures.
    pub elapsed: Option<Duration>,
}

impl Stage {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        Stage { name, text: text.into(), rows: None, bytes: None, elapsed: None }
    }
}

/// Explains `plan`; with `analyze`, runs it.
///
/// # Errors
/// Those of running the parts that must run: the filter, or with `analyze` everything.
pub(crate) fn explain(plan: &Plan, params: &Params, analyze: bool, control: &Control) -> Result<Explanation> {
    let cached = !plan.compares_texts() && run::is_prepared(plan)?;
    let run = if analyze {
        let mut runs = run::run_all(plan, &[params], control)?;
        runs.pop().transpose()?
    } else {
        None
    };
    let matched = match &run {
        Some(run) => run.answer.plan.matched,
        None => run::matched(plan, params)?.len(),
    };
    let mut stages = vec![source_stage(plan)];
    if !plan.compares_texts() {
        stages.extend(metric_stage(plan));
        stages.push(fold_stage(plan, cached));
    }
    stages.extend(filter_stage(plan, matched));
    stages.push(scan_stage(plan, params, run.as_ref())?);
    stages.push(then_stage(plan));
    if let Some(run) = &run {
        for stage in &mut stages {
            stage.elapsed = run.timings.of(stage.name);
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
        memory: if analyze { Memory::now() } else { None },
    })
}

fn source_stage(plan: &Plan) -> Stage {
    let terms = plan.find.source.node.terms.len();
    let view = plan.collection.view(&plan.lens.def.view).map(|view| view.def());
    let template = match view.map(|view| &view.kind) {
        Some(ViewKind::Template(template)) => format!(", text put into \"{template}\""),
        _ => String::new(),
    };
    let what = if plan.compares_texts() {
        "one text"
    } else if terms == 1 {
        "one vector"
    } else {
        "a weighted sum of raw vectors, processed once"
    };
    Stage::new("source", format!("{what} of view {}{template}", plan.lens.def.view))
}

fn metric_stage(plan: &Plan) -> Option<Stage> {
    let text = match plan.lens.def.metric {
        Metric::Pearson => "pearson = center | normalize | dot",
        Metric::Cosine => "cosine = normalize | dot",
        Metric::Euclidean => "euclidean = |q - x|, finalists from the f64 difference",
        _ => return None,
    };
    Some(Stage::new("metric", text))
}

fn fold_stage(plan: &Plan, cached: bool) -> Stage {
    let steps = if plan.lens.def.steps.is_empty() { "no steps" } else { "every step folded into the query" };
    let statistics = match (plan.header().pinned, plan.centers()) {
        (Some(pinned), true) => format!(
            "; mean of {} records pinned at commit {} ({} commits behind)",
            pinned.records, pinned.commit, pinned.commits_behind
        ),
        (None, true) => "; mean of this commit's records".to_string(),
        _ => String::new(),
    };
    let scalars = if cached { "scalars per record cached" } else { "scalars per record computed first" };
    Stage::new("fold", format!("{steps}: one dot product per record with the raw row; {scalars}{statistics}"))
}

fn filter_stage(plan: &Plan, matched: u64) -> Option<Stage> {
    let filter = plan.find.output.filter.as_ref()?;
    let rows = plan.collection.live().len();
    let mut stage = Stage::new("filter", format!("{} keeps {matched} of {rows} (bitmap)", print_expr(filter)));
    stage.rows = Some(rows);
    Some(stage)
}

fn scan_stage(plan: &Plan, params: &Params, run: Option<&Run>) -> Result<Stage> {
    let threads = plan.snapshot.install(rayon::current_num_threads);
    let threads = if threads == 1 { "1 thread".to_string() } else { format!("{threads} threads") };
    let rows = match run {
        Some(run) => run.answer.plan.scanned,
        None => run::scannable(plan, &run::matched(plan, params)?).len(),
    };
    let view = plan.collection.view(&plan.lens.def.view).map(|view| view.def());
    let mut stage = if plan.compares_texts() {
        Stage::new("scan", format!("{rows} texts, edit distance in characters, exact, {threads}"))
    } else {
        let row_bytes = view.map_or(0, |view| view.dimension.unwrap_or(0) as usize * view.element.size_bytes()) as u64;
        let bytes = rows * row_bytes;
        let text = format!("{rows} rows, {:.1} MB, exact, {threads}", bytes as f64 / 1e6);
        Stage { bytes: Some(bytes), ..Stage::new("scan", text) }
    };
    stage.rows = Some(rows);
    Ok(stage)
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
    Stage::new("then", parts.join(", "))
}
