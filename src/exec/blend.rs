//! `blend`: a weighted sum of saved lenses as one lens.
//!
//! Owns how a blend is settled (each lens as a plan of its own over the same source), what may not stand in one, and
//! how it is run: the source through every lens's own view, one scan over all of them. A record takes part when it has
//! a vector and a direction under **every** lens of the blend, one of weight 0 included.

use super::answer::{Answer, BlendHeader, LensHeader, PlanInfo};
use super::explain::Stage;
use super::names::Site;
use super::params::Params;
use super::path::{self, Path};
use super::plan::Plan;
use super::resolve::{DEFAULT_TOP, clauses_fit, no_such_lens, resolve};
use super::run::{Clock, Rows, Run, Timings, hits, notes_on_few, prepared, prepared_for, process, rows_of, view_of};
use super::scan::{Blend, Kept, Part, ScanResult, Watched, scan_blend};
use super::source;
use crate::error::{Error, Result};
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::query::ast::{Bound, Find, LensBase, Name, Statement};
use crate::query::{print, print_number, print_step};
use crate::store::{Snapshot, ViewSnapshot};
use crate::types::control::Control;
use crate::types::{Metric, RowSet};
use std::sync::Arc;
use std::time::Instant;

/// Most lenses of one blend.
const MOST_PARTS: usize = 16;
/// Largest weight: with it, sums of the largest scores there are stay finite.
const LARGEST_WEIGHT: f64 = 1e6;
/// The lens that needs no saving: view `raw`, no steps, cosine. A saved lens of that name takes its place.
pub(crate) const PLAIN: &str = "plain";

/// One lens of a blend, settled as a search of its own.
#[derive(Debug, Clone)]
pub(crate) struct BlendPart {
    pub(crate) weight: f64,
    pub(crate) name: String,
    pub(crate) plan: Plan,
}

/// What `name` stands for where a statement names lenses: the saved lens, or `plain`.
///
/// # Errors
/// A query error that lists the lenses there are.
pub(crate) fn lens_named(snapshot: &Snapshot, name: &Name, site: &Site<'_>) -> Result<LensBase> {
    if snapshot.lens(&name.node)?.is_some() {
        return Ok(LensBase::Using(name.clone()));
    }
    if name.node == PLAIN {
        return Ok(LensBase::View(Name { node: "raw".to_string(), span: name.span.clone() }));
    }
    let error = no_such_lens(snapshot, name, site)?;
    Err(error.hint("`plain` (view raw, cosine) needs no saving").into())
}

/// Settles a search whose lens is the blend `parts`.
///
/// # Errors
/// A query error for every lens that does not exist or does not fit, and for stages that a blend does not take.
pub(crate) fn resolve_blend(snapshot: &Snapshot, find: &Find, parts: &[(f64, Name)], text: &str) -> Result<Plan> {
    let site = Site::new(text);
    stages_fit(find, &site)?;
    weights_fit(parts, &site)?;
    let mut settled = Vec::with_capacity(parts.len());
    for (weight, name) in parts {
        let mut alone = find.clone();
        alone.lens.base = lens_named(snapshot, name, &site)?;
        // The threshold is the blend's; a single lens could only complain about its own metric.
        alone.output.bound = None;
        let plan = resolve(snapshot, &alone, text)?;
        let metric = plan.lens.def.metric;
        if metric.is_distance() || metric == Metric::Probability {
            let what = if metric.is_distance() { "a distance" } else { "a probability" };
            let message = format!("lens `{}` ends in {}, {what}: a blend sums scores", name.node, metric.as_str());
            let error = site.error("resolve::blend_metric", message, &name.span);
            return Err(error.hint("save the lens under another name with `score cosine` or `score dot`").into());
        }
        settled.push(BlendPart { weight: *weight, name: name.node.clone(), plan });
    }
    let Some(first) = settled.first() else { return Err(Error::invalid("a blend has at least one lens")) };
    let mut filled = find.clone();
    filled.output.top.get_or_insert(DEFAULT_TOP.into());
    clauses_fit(&filled, Metric::Dot, &site)?;
    let mut notes: Vec<String> = Vec::new();
    for note in settled.iter().flat_map(|part| &part.plan.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    Ok(Plan {
        snapshot: snapshot.clone(),
        collection: Arc::clone(&first.plan.collection),
        lens: first.plan.lens.clone(),
        statement: print(&Statement::Find(filled.clone())),
        find: filled,
        text: text.to_string(),
        notes,
        blend: settled,
    })
}

/// The blend is the lens: no steps, no metric behind it, and no bound on a distance.
fn stages_fit(find: &Find, site: &Site<'_>) -> Result<()> {
    let after = "stages of a lens belong into the lenses that are blended";
    if let Some(step) = find.lens.steps.first() {
        let message = format!("`{}` after `blend`: the blend is the lens", print_step(&step.node));
        return Err(site.error("resolve::blend_steps", message, &step.span).hint(after).into());
    }
    if let Some(metric) = &find.lens.metric {
        let message =
            format!("`score {}` after `blend`: a blend is the sum of its lenses' scores", metric.node.as_str());
        return Err(site.error("resolve::blend_steps", message, &metric.span).hint(after).into());
    }
    if let Some(bound) = &find.output.bound
        && matches!(bound.node, Bound::Within(_))
    {
        let message = "`within` bounds a distance, and a blend is a score: higher is more similar";
        let error = site.error("resolve::bound_direction", message, &bound.span).expected(["above"]);
        return Err(error.into());
    }
    Ok(())
}

fn weights_fit(parts: &[(f64, Name)], site: &Site<'_>) -> Result<()> {
    for (idx, (weight, name)) in parts.iter().enumerate() {
        if idx >= MOST_PARTS {
            let message = format!("a blend takes at most {MOST_PARTS} lenses");
            return Err(site.error("resolve::limit", message, &name.span).into());
        }
        if weight.is_nan() || weight.abs() > LARGEST_WEIGHT {
            let message =
                format!("weight {}: weights of a blend lie between -1000000 and 1000000", print_number(*weight));
            return Err(site.error("resolve::limit", message, &name.span).into());
        }
    }
    Ok(())
}

/// The parts of a blend, or the plan itself as the only part of weight 1.
pub(crate) fn parts(plan: &Plan) -> Vec<(f64, &Plan)> {
    if plan.blend.is_empty() {
        return vec![(1.0, plan)];
    }
    plan.blend.iter().map(|part| (part.weight, &part.plan)).collect()
}

/// A search readied for rows: each lens's records and query.
pub(crate) struct Ready<'a> {
    views: Vec<&'a ViewSnapshot>,
    lenses: Vec<ReadyLens<'a>>,
}

/// One lens of it.
pub(crate) struct ReadyLens<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) weight: f64,
    pub(crate) view: &'a ViewSnapshot,
    view_idx: usize,
    /// The raw vector of the source in the view.
    pub(crate) sum: source::Sum,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) query: ProcessedQuery,
    /// The processed rows that are kept of it, where the blend reads those.
    kept: Option<KeptLens<'a>>,
}

/// A lens over its kept rows.
struct KeptLens<'a> {
    rows: &'a ViewSnapshot,
    prepared: Arc<Prepared>,
    query: ProcessedQuery,
}

impl<'a> Ready<'a> {
    /// Readies every lens of `plan`, for the rows of `wanted` where only these are asked for, or says why nothing can be similar
    /// to the source: a text of it has no vector, or a view has none yet.
    ///
    /// # Errors
    /// What a source ends in, and a query that one of the lenses leaves without direction.
    pub(crate) fn new(
        plan: &'a Plan,
        params: &Params,
        wanted: Option<&RowSet>,
        control: &Control,
    ) -> Result<Result<Ready<'a>, String>> {
        let mut ready = Ready { views: Vec::new(), lenses: Vec::new() };
        for (weight, plan) in parts(plan) {
            control.checkpoint()?;
            let view = view_of(plan)?;
            let same = |other: &&ViewSnapshot| other.def().id == view.def().id;
            let view_idx = ready.views.iter().position(same).unwrap_or(ready.views.len());
            if view_idx == ready.views.len() {
                ready.views.push(view);
            }
            // A view embeds a text once, however many lenses look at it.
            let sum = match ready.lenses.iter().find(|lens| lens.view_idx == view_idx) {
                Some(lens) => lens.sum.clone(),
                None => source::vectors(plan, view, &[params])?.pop().unwrap_or_default(),
            };
            if let Some(text) = &sum.unknown {
                return Ok(Err(source::unknown_note(view, text)));
            }
            let prepared = match wanted {
                Some(wanted) => prepared_for(plan, view, wanted, control)?,
                None => prepared(plan, view, control)?,
            };
            let Some(prepared) = prepared else {
                return Ok(Err(format!("view `{}` has no vectors yet", view.def().name)));
            };
            let query = process(plan, &prepared, &sum)?;
            ready.lenses.push(ReadyLens { plan, weight, view, view_idx, sum, prepared, query, kept: None });
        }
        ready.look_for_kept_rows(control)?;
        Ok(Ok(ready))
    }

    /// The lenses of a view whose processed rows are kept read those, where that is less.
    fn look_for_kept_rows(&mut self, control: &Control) -> Result<()> {
        let lenses: Vec<(&'a Plan, &ViewSnapshot)> = self.lenses.iter().map(|lens| (lens.plan, lens.view)).collect();
        let mut found = Vec::with_capacity(lenses.len());
        for (lens, path) in self.lenses.iter().zip(path::choose_all(&lenses)?) {
            let over = match path {
                Path::Materialized(rows) => {
                    path::over_kept(lens.plan, rows, &lens.prepared, control)?.map(|prepared| (rows, prepared))
                }
                Path::Folded(_) => None,
            };
            found.push(over.map(|(rows, prepared)| {
                let query = prepared.refold(&lens.query, rows.def().element);
                KeptLens { rows, prepared, query }
            }));
        }
        let all_kept = |view_idx: usize| {
            self.lenses.iter().zip(&found).all(|(lens, found)| lens.view_idx != view_idx || found.is_some())
        };
        let of_view: Vec<bool> = (0..self.views.len()).map(all_kept).collect();
        for (lens, found) in self.lenses.iter_mut().zip(found) {
            lens.kept = found.filter(|_| of_view[lens.view_idx]);
        }
        Ok(())
    }

    /// The lenses in the order written.
    pub(crate) fn lenses(&self) -> &[ReadyLens<'a>] {
        &self.lenses
    }

    /// All rows that are read, until `control` says to stop: those of the views, then those that are kept of lenses.
    pub(crate) fn sources<'b>(&'b self, control: &'b Control) -> Vec<Watched<'b>> {
        let kept = self.lenses.iter().filter_map(|lens| Some(lens.kept.as_ref()?.rows));
        self.views.iter().copied().chain(kept).map(|rows| Watched::new(rows, control)).collect()
    }

    /// As the scans take it, over its [`Ready::sources`].
    pub(crate) fn blend<'b>(&'b self, sources: &'b [Watched<'b>]) -> Blend<'b> {
        let mut parts = Vec::with_capacity(self.lenses.len());
        let mut rows_idx = self.views.len()..;
        for lens in &self.lenses {
            let ReadyLens { view_idx: source_idx, weight, prepared, query, kept, .. } = lens;
            let kept = kept.as_ref().zip(rows_idx.clone().next());
            rows_idx.start += usize::from(kept.is_some());
            let kept = kept.map(|(lens, source_idx)| Kept { source_idx, prepared: &lens.prepared, query: &lens.query });
            parts.push(Part { source_idx: *source_idx, prepared, query, weight: *weight, kept });
        }
        Blend { sources: sources.iter().map(|rows| rows as &dyn RowSource).collect(), parts }
    }

    /// Whether every lens reads rows that are kept of it.
    fn is_materialized(&self) -> bool {
        self.lenses.iter().all(|lens| lens.kept.is_some())
    }

    /// An error of rows, with what helps where these are kept ones.
    fn advise(&self, error: Error) -> Error {
        let kept = self.lenses.iter().filter_map(|lens| Some((lens.plan, lens.kept.as_ref()?.rows)));
        kept.fold(error, |error, (plan, rows)| path::advise(error, plan, rows))
    }

    /// Rows of `rows` without direction under at least one lens.
    pub(crate) fn undirected(&self, rows: &RowSet) -> RowSet {
        let none = RowSet::new();
        self.lenses.iter().fold(none, |all, lens| all.or(lens.prepared.undirected())).and(rows)
    }
}

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
    for note in ready.iter().flat_map(|ready| &ready.lenses).flat_map(|lens| notes_on_few(&lens.prepared)) {
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
        let mut more = source::notes(&part.plan, view, params);
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

/// The blend as it was understood: the view that its lenses share (empty where they do not), and each of them.
pub(crate) fn header(plan: &Plan) -> LensHeader {
    let blend: Vec<BlendHeader> = plan.blend.iter().map(part_header).collect();
    let (mut view, mut embedder) = (String::new(), None);
    if let Some(first) = blend.first()
        && blend.iter().all(|part| part.lens.view == first.lens.view)
    {
        (view, embedder) = (first.lens.view.clone(), first.lens.embedder.clone());
    }
    LensHeader {
        name: None,
        view,
        embedder,
        steps: Vec::new(),
        projections: Vec::new(),
        metric: Metric::Dot,
        samples: Vec::new(),
        csls: None,
        calibration: None,
        pinned: None,
        blend,
    }
}

fn part_header(part: &BlendPart) -> BlendHeader {
    let mut lens = part.plan.header();
    lens.name.get_or_insert_with(|| part.name.clone());
    BlendHeader { weight: part.weight, lens }
}

/// Bytes of one record in the rows that a blend reads, out of `raw` in its views, and which rows these are where that is worth
/// a word; `measured` is the path that a search took.
pub(crate) fn rows_read(plan: &Plan, measured: Option<&str>, raw: u64) -> Result<(u64, String)> {
    let views: Vec<&ViewSnapshot> = plan.blend.iter().map(|part| view_of(&part.plan)).collect::<Result<_>>()?;
    let lenses: Vec<(&Plan, &ViewSnapshot)> = plan.blend.iter().map(|part| &part.plan).zip(views).collect();
    let bytes = |rows: &ViewSnapshot| rows.dimension() as u64 * rows.def().element.size_bytes() as u64;
    let (mut spared, mut read, mut names, mut whys, mut views) = (0, 0, Vec::new(), Vec::new(), Vec::new());
    for (part, ((_, view), path)) in plan.blend.iter().zip(lenses.iter().zip(path::choose_all(&lenses)?)) {
        match path {
            Path::Materialized(kept) => {
                read += bytes(kept);
                if !names.contains(&part.name.as_str()) {
                    names.push(part.name.as_str());
                }
                if !views.contains(&view.def().id) {
                    views.push(view.def().id);
                    spared += bytes(view);
                }
            }
            Path::Folded(Some(why)) if !whys.contains(&why) => whys.push(why),
            Path::Folded(_) => {}
        }
    }
    let all = !names.is_empty() && lenses.iter().all(|(_, view)| views.contains(&view.def().id));
    if all && measured.is_some_and(|measured| measured != Path::MATERIALIZED) {
        return Ok((raw, "; not the materialized rows: too many are not kept".to_string()));
    }
    if !names.is_empty() {
        let others = if all { "" } else { ", raw rows for the others" };
        whys.insert(0, format!("materialized rows of {}{others}; finalists from the raw rows", names.join(", ")));
    }
    Ok((raw + read - spared, whys.iter().map(|why| format!("; {why}")).collect()))
}

/// What `explain` says of a blend between the source and the filter.
pub(crate) fn explain_stages(plan: &Plan, fold: impl Fn(&Plan) -> Result<Stage>) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for part in &plan.blend {
        let mut stage = fold(&part.plan)?;
        let lens = &part.plan.lens.def;
        stage.text = format!(
            "{} * {} (view {}, score {}): {}",
            print_number(part.weight),
            part.name,
            lens.view,
            lens.metric.as_str(),
            stage.text
        );
        stages.push(stage);
    }
    Ok(stages)
}
