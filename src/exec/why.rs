//! `why`: where the score of one record comes from.
//!
//! Owns [`Why`]. Nothing here computes a score in a way of its own: the value is what a scan would show, the places are
//! counted by a scan, and the steps and terms are those that `lens::trace` reports of the very same operations. A record
//! that the search would not rank is said to be so, and told of as far as it goes.

use super::answer::LensHeader;
use super::background;
use super::blend::Ready;
use super::names::Site;
use super::params::Params;
use super::plan::Plan;
use super::prepared::placed;
use super::probability::{probability, probability_error, stale};
use super::resolve::resolve;
use super::run::{Rows, rows_of};
use super::scan::{Scored, count_before};
use crate::error::{Error, Result};
use crate::lens::trace;
use crate::linalg::rows::RowRef;
use crate::linalg::{scalar, stats};
use crate::query::ast::{Find, LensBase, LensExpr, Name, Output, Spanned, Statement};
use crate::query::{print, print_id, print_step};
use crate::store::{Snapshot, fit_summary};
use crate::types::control::Control;
use crate::types::{Metric, RowSet};
use std::time::{Duration, Instant};

pub use crate::lens::trace::Change;

/// Why a record has its place in an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Why {
    /// The statement in canonical form.
    pub statement: String,
    /// The record's id.
    pub id: String,
    /// Its own text.
    pub text: String,
    /// In what respect records are compared.
    pub header: LensHeader,
    /// Whether the search ranks the record, or why not.
    pub standing: Standing,
    /// Its score, or its distance where the lens's metric is one; `None` without a vector or a direction.
    pub value: Option<f64>,
    /// Under `score probability`, what the lens's calibration reads the value as.
    pub probability: Option<f64>,
    /// What the calibration of the saved lens reads the value as, whether the search asks for a probability or not;
    /// `None` without a calibration.
    pub calibrated: Option<CalibratedValue>,
    /// Its exact place among all that the search ranks, from 1, listed or not.
    pub rank: Option<u64>,
    /// Whether the answer lists it: ranked, within `above`, `within`, `skip` and `top`.
    pub listed: bool,
    /// How many records the search ranks.
    pub ranked: u64,
    /// What plain cosine in the same view says; `None` for a blend over several views, and without a direction.
    pub plain: Option<Place>,
    /// How the value stands among those of random pairs; `None` for fewer than 2 records with a direction.
    pub background: Option<Background>,
    /// One for a lens, several for a blend.
    pub parts: Vec<WhyPart>,
    /// Remarks on the chain.
    pub notes: Vec<String>,
    /// Time from binding to answer.
    pub elapsed: Duration,
}

/// Whether a search ranks a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It does.
    Ranked,
    /// The source names the record, and `including self` is not written.
    LeftOut,
    /// It does not satisfy the condition.
    Filtered,
    /// It has no direction under the lens (under one lens of a blend).
    Undirected,
    /// It has no vector in the view (in one view of a blend).
    Absent,
}

impl Standing {
    /// `ranked`, `left out`, `filtered`, `undirected`, `absent`.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Ranked => "ranked",
            Standing::LeftOut => "left out",
            Standing::Filtered => "filtered",
            Standing::Undirected => "undirected",
            Standing::Absent => "absent",
        }
    }
}

/// A score and the place it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// The cosine.
    pub cosine: f64,
    /// The exact place among the same records; `None` where the search does not rank the record.
    pub rank: Option<u64>,
}

/// A score read as a probability.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CalibratedValue {
    /// The probability, 0 to 1.
    pub probability: f64,
    /// Half of its 95 % interval, from how much the fitted map depends on which queries were judged; `None` for a map
    /// that was supplied, or is a step function.
    pub error: Option<f64>,
    /// Judged hits that the map was fitted on; 0 where it was supplied.
    pub labels: u64,
    /// When it was fitted, in seconds since 1970.
    pub time: Option<u64>,
    /// Why it may no longer hold.
    pub stale: Option<String>,
}

/// A value among those of random pairs under the same lens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Background {
    /// Pairs it was compared with: some 100,000 drawn at random, or all of few.
    pub pairs: u64,
    /// Whose questions the pairs are of, each with a random record, in words; `None`: they are ordered pairs of records.
    pub questions: Option<std::sync::Arc<str>>,
    /// Share of them that are less similar, 0 to 1, rounded down to a thousandth. It is no probability.
    pub above: f64,
}

/// One lens of the explanation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WhyPart {
    /// What its score is multiplied by; 1 where there is no blend.
    pub weight: f64,
    /// The lens.
    pub lens: LensHeader,
    /// The metric that its value is of.
    pub metric: Metric,
    /// Its own score or distance.
    pub value: Option<f64>,
    /// Length of the query's raw vector.
    pub query_norm: f64,
    /// Length of the record's raw vector; `None` without one.
    pub record_norm: Option<f64>,
    /// Angle between the two raw vectors in degrees; `None` where one is zero.
    pub angle: Option<f64>,
    /// What each step does to both, the metric's own last; ends where the record loses its direction.
    pub steps: Vec<WhyStep>,
    /// What the value adds up from: of a score its terms, of a distance those of its square.
    pub terms: Vec<WhyTerm>,
    /// The terms added up; of a distance, the square root of that.
    pub sum: Option<f64>,
}

/// What a step does to the query and to the record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WhyStep {
    /// The step as written, or the metric's name.
    pub step: String,
    /// The query.
    pub query: Change,
    /// The record; `None` where the step leaves it without direction.
    pub record: Option<Change>,
}

/// A term of a value: `scalar * product`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WhyTerm {
    /// `alpha (w.x)` for the record's own term, the step for what it subtracts, `|q|^2` and the like for the rest.
    pub name: String,
    /// What depends on the record alone: `alpha`, `beta_j`.
    pub scalar: f64,
    /// What the query makes of it: `w.x`, `g_j`.
    pub product: f64,
    /// The term.
    pub value: f64,
}

/// Explains the place of `id` in the answer to `find`.
///
/// # Errors
/// As for the search; a query error for an id that is not there, and under a metric that compares no vectors.
pub(crate) fn why(
    snapshot: &Snapshot,
    id: &Spanned<String>,
    find: &Find,
    text: &str,
    params: &Params,
    control: &Control,
) -> Result<Why> {
    let begun = Instant::now();
    let site = Site::new(text);
    let plan = resolve(snapshot, find, text)?;
    let metric = plan.lens.def.metric;
    if plan.compares_texts() {
        let message = format!("`why` follows vectors through a lens; `score {}` is not one of them", metric.as_str());
        let span = find.lens.metric.as_ref().map_or(id.span.clone(), |metric| metric.span.clone());
        return Err(site.error("resolve::why_metric", message, &span).into());
    }
    let Some(row) = plan.collection.row_of(&id.node)? else {
        let message = format!("no record {} in `{}`", print_id(&id.node), plan.collection.def().name);
        return Err(site.error("resolve::no_such_record", message, &id.span).into());
    };
    let mut why = snapshot.install(|| explain(&plan, row.0, params, control))?;
    why.id.clone_from(&id.node);
    why.text = plan.collection.record(row)?.text;
    if let Some(name) = &plan.lens.saved_name
        && let Some((fit, figures)) = snapshot.fit_of(name)?
    {
        why.notes.push(format!("lens `{name}` is {}", fit_summary(&fit, figures.as_ref())));
    }
    why.statement = print(&Statement::Why { id: id.clone(), find: plan.find.clone() });
    why.elapsed = begun.elapsed();
    Ok(why)
}

/// [`why`] for a tree made by hand; errors point into its printed form.
///
/// # Errors
/// As [`why`].
pub(crate) fn why_tree(snapshot: &Snapshot, id: String, find: Find, params: &Params, control: &Control) -> Result<Why> {
    match placed(Statement::Why { id: id.into(), find })? {
        (Statement::Why { id, find }, text) => why(snapshot, &id, &find, &text, params, control),
        _ => Err(Error::invalid("a reason prints as a reason")),
    }
}

fn explain(plan: &Plan, row: u32, params: &Params, control: &Control) -> Result<Why> {
    let rows = rows_of(plan, params, control)?;
    let ready = match Ready::new(plan, params, None, control)? {
        Ok(ready) => ready,
        Err(message) => {
            return Err(Site::new(&plan.text).error("resolve::no_vector", message, &plan.find.source.span).into());
        }
    };
    let standing = standing(&ready, &rows, row);
    let directed = !matches!(standing, Standing::Absent | Standing::Undirected);
    let allowed = rows.scanned.and_not(&rows.left_out);
    let sources = ready.sources(control);
    let blend = ready.blend(&sources);
    let value = if directed { blend.score(&[row])?.first().map(|scored| scored.value) } else { None };
    let rank = match value {
        Some(value) if standing == Standing::Ranked => Some(count_before(&blend, &allowed, Scored { row, value })? + 1),
        _ => None,
    };
    control.checkpoint()?;
    let is_ranked = standing == Standing::Ranked;
    Ok(Why {
        statement: String::new(),
        id: String::new(),
        text: String::new(),
        header: plan.header(),
        standing,
        value,
        calibrated: value.map(|value| calibrated(plan, value)).transpose()?.flatten(),
        probability: value.filter(|_| plan.lens.calibration.is_some()).map(|value| plan.lens.shown(value)),
        rank,
        listed: is_listed(plan, value, rank),
        ranked: allowed.and_not(&ready.undirected(&allowed)).len(),
        plain: plain(plan, &allowed, row, is_ranked, params, control)?,
        background: value.map(|value| background::of(plan, value, control)).transpose()?.flatten(),
        parts: ready.lenses().iter().map(|lens| part(lens, row)).collect::<Result<_>>()?,
        notes: plan.notes.clone(),
        elapsed: Duration::ZERO,
    })
}

/// The value as the saved lens's calibration reads it.
fn calibrated(plan: &Plan, value: f64) -> Result<Option<CalibratedValue>> {
    let (Some(name), true) = (&plan.lens.saved_name, plan.blend.is_empty()) else { return Ok(None) };
    let saved = plan.snapshot.lens(name)?.filter(|saved| saved.lens == plan.lens.def);
    let Some(saved) = saved else { return Ok(None) };
    let found = plan.snapshot.calibration(name)?.filter(|found| found.lens_version == saved.version);
    let Some(found) = found else { return Ok(None) };
    let score = if plan.lens.def.metric.is_distance() { -value } else { value };
    let covariance = found.reliability.as_ref().and_then(|reliability| reliability.covariance);
    Ok(Some(CalibratedValue {
        probability: probability(&found.map, score),
        error: covariance.and_then(|covariance| probability_error(&found.map, covariance, score)),
        labels: found.labels,
        time: found.judged_on.as_ref().map(|judged| judged.time),
        // The record is one, wherever it ranks.
        stale: stale(&found, &plan.lens, &plan.collection, (0, 0)),
    }))
}

fn standing(ready: &Ready<'_>, rows: &Rows, row: u32) -> Standing {
    if ready.lenses().iter().any(|lens| !lens.view.present().contains(row)) {
        Standing::Absent
    } else if ready.lenses().iter().any(|lens| lens.prepared.undirected().contains(row)) {
        Standing::Undirected
    } else if !rows.matched.contains(row) {
        Standing::Filtered
    } else if rows.left_out.contains(row) {
        Standing::LeftOut
    } else {
        Standing::Ranked
    }
}

fn is_listed(plan: &Plan, value: Option<f64>, rank: Option<u64>) -> bool {
    use crate::query::ast::Bound;
    let (Some(value), Some(rank)) = (value, rank) else { return false };
    let (skip, top) = plan.window();
    let value = plan.lens.shown(value);
    let within = match plan.find.output.bound.as_ref().map(|bound| bound.node) {
        Some(Bound::Above(bound)) => value >= bound,
        Some(Bound::Within(bound)) => value <= bound,
        None => true,
    };
    within && rank > skip as u64 && rank <= (skip + top) as u64
}

/// The record under plain cosine in the same view, among the same records.
fn plain(
    plan: &Plan,
    allowed: &RowSet,
    row: u32,
    is_ranked: bool,
    params: &Params,
    control: &Control,
) -> Result<Option<Place>> {
    let view = plan.header().view;
    if view.is_empty() {
        return Ok(None);
    }
    let lens = LensExpr { base: LensBase::View(Name::from(view)), ..LensExpr::default() };
    let find = Find { lens, output: Output::default(), ..plan.find.clone() };
    let plan = resolve(&plan.snapshot, &find, &plan.text)?;
    let ready = match Ready::new(&plan, params, None, control) {
        // A query without direction has no cosine; under the lens itself it may well have a score.
        Err(error) if error.query().is_some_and(|error| error.code == "resolve::no_direction") => return Ok(None),
        ready => ready?,
    };
    let Ok(ready) = ready else { return Ok(None) };
    if !ready.lenses().iter().all(|lens| lens.prepared.directed().contains(row)) {
        return Ok(None);
    }
    let sources = ready.sources(control);
    let blend = ready.blend(&sources);
    let Some(cosine) = blend.score(&[row])?.first().map(|scored| scored.value) else { return Ok(None) };
    let rank = if is_ranked { Some(count_before(&blend, allowed, Scored { row, value: cosine })? + 1) } else { None };
    Ok(Some(Place { cosine, rank }))
}

fn part(lens: &super::blend::ReadyLens<'_>, row: u32) -> Result<WhyPart> {
    let query = &lens.sum.vector;
    let raw: Option<Vec<f64>> = lens.view.vector(row)?.map(|row| row.into_iter().map(f64::from).collect());
    let mut part = WhyPart {
        weight: lens.weight,
        lens: lens.plan.header(),
        metric: lens.plan.lens.def.metric,
        value: None,
        query_norm: stats::norm(query),
        record_norm: raw.as_deref().map(stats::norm),
        angle: raw.as_deref().and_then(|raw| angle(query, raw)),
        steps: Vec::new(),
        terms: Vec::new(),
        sum: None,
    };
    let Some(raw) = raw else { return Ok(part) };
    let def = &lens.plan.lens.def;
    let name = |step_idx: Option<usize>| {
        let step = step_idx.and_then(|step_idx| def.steps.get(step_idx));
        step.map_or_else(|| def.metric.as_str().to_string(), print_step)
    };
    for step in trace::trace(&lens.prepared, query, &raw) {
        part.steps.push(WhyStep { step: name(step.step_idx), query: step.query, record: step.record });
    }
    if !lens.prepared.directed().contains(row) {
        return Ok(part);
    }
    let scored = super::scan::Blend {
        sources: vec![lens.view],
        parts: vec![super::scan::Part {
            source_idx: 0,
            prepared: &lens.prepared,
            query: &lens.query,
            weight: 1.0,
            kept: None,
        }],
    };
    part.value = scored.score(&[row])?.first().map(|scored| scored.value);
    let terms = trace::terms(&lens.prepared, lens.query.processed(), &raw);
    part.terms = terms
        .into_iter()
        .map(|term| {
            let name = if term.step_idx.is_none() { "alpha (w.x)".to_string() } else { name(term.step_idx) };
            WhyTerm { name, scalar: term.scalar, product: term.product, value: term.value }
        })
        .collect();
    if let Some(row) = lens.view.vector(row)?
        && let Some(hubness) = lens.prepared.hubness(RowRef::F32(&row))
    {
        let value = -0.5 * hubness;
        part.terms.push(WhyTerm { name: "csls".to_string(), scalar: hubness, product: -0.5, value });
    }
    finish_terms(&mut part, def.metric, lens, &raw);
    Ok(part)
}

/// Adds what a distance has besides the inner product, and the sum.
fn finish_terms(part: &mut WhyPart, metric: Metric, lens: &super::blend::ReadyLens<'_>, raw: &[f64]) {
    let own = |name: &str, value: f64| WhyTerm { name: name.to_string(), scalar: value, product: 1.0, value };
    if metric.is_distance() {
        let length = |vector: &[f64]| scalar::dot_f64(vector, vector);
        part.terms.insert(0, own("|q|^2", length(lens.query.processed())));
        part.terms.insert(1, own("|x|^2", length(&trace::processed(&lens.prepared, raw))));
    }
    let sum: f64 = part.terms.iter().map(|term| term.value).sum();
    part.sum = Some(if metric.is_distance() { sum.max(0.0).sqrt() } else { sum });
}

/// The angle between two vectors in degrees; `None` where one is zero.
fn angle(a: &[f64], b: &[f64]) -> Option<f64> {
    let norms = stats::norm(a) * stats::norm(b);
    (norms > 0.0 && norms.is_finite()).then(|| (scalar::dot_f64(a, b) / norms).clamp(-1.0, 1.0).acos().to_degrees())
}
