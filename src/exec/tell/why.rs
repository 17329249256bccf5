//! `why`: where the score of one record comes from.
//!
//! Nothing here computes a score in a way of its own: the value is what a scan would show, the places are counted by a
//! scan, and the steps and terms are those that `lens::trace` reports of the very same operations. A record that the
//! search would not rank is said to be so, and told of as far as it goes.

use super::background;
use crate::error::Result;
use crate::exec::reply::{CalibratedValue, Place, Standing, Why, WhyPart, WhyStep, WhyTerm};
use crate::exec::run::ready::{Ready, ReadyLens, Unready};
use crate::exec::run::rows::{Rows, rows_of};
use crate::exec::run::scan::{Blend, Scored, WeightedLens, count_before};
use crate::exec::settle::calibration::stale;
use crate::exec::settle::names::Site;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{Compared, Plan};
use crate::exec::settle::probability::{probability, probability_error};
use crate::exec::settle::search::resolve;
use crate::lens::trace;
use crate::linalg::rows::RowRef;
use crate::linalg::{scalar, stats};
use crate::query::ast::{Bound, Find, LensBase, LensExpr, Name, Output, Spanned, Statement};
use crate::query::{print, print_id, print_step};
use crate::store::{Snapshot, fit_summary};
use crate::types::control::Control;
use crate::types::{Metric, RowSet};
use std::time::{Duration, Instant};

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
    if let Compared::Texts(lens) = &plan.compared {
        let metric = lens.def.metric;
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
    if let Some(name) = plan.lenses().first().and_then(|part| part.lens.saved_name.as_ref())
        && let Some((fit, figures)) = snapshot.fit_of(name)?
    {
        why.notes.push(format!("lens `{name}` is {}", fit_summary(&fit, figures.as_ref())));
    }
    why.statement = print(&Statement::Why { id: id.clone(), find: plan.find.clone() });
    why.elapsed = begun.elapsed();
    Ok(why)
}

fn explain(plan: &Plan, row: u32, params: &Params, control: &Control) -> Result<Why> {
    let rows = rows_of(plan, params, control)?;
    let ready = match Ready::new(plan, params, None, control)? {
        Ok(ready) => ready,
        Err(Unready::NoDirection(error)) => return Err(error),
        Err(Unready::Nothing(message)) => {
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
        probability: value.filter(|_| plan.is_calibrated()).map(|value| plan.shown(value)),
        rank,
        listed: is_listed(plan, value, rank),
        ranked: allowed.and_not(&ready.undirected(&allowed)).len(),
        plain: plain(plan, &allowed, row, is_ranked, params, control)?,
        background: value.map(|value| background::of(plan, value, control)).transpose()?.flatten(),
        parts: ready.lenses().iter().map(|lens| part(plan, lens, row)).collect::<Result<_>>()?,
        notes: plan.notes.clone(),
        elapsed: Duration::ZERO,
    })
}

/// The value as the saved lens's calibration reads it.
fn calibrated(plan: &Plan, value: f64) -> Result<Option<CalibratedValue>> {
    let own = plan.own_lens().and_then(|lens| Some((lens, lens.saved_name.as_ref()?)));
    let Some((lens, name)) = own else { return Ok(None) };
    let saved = plan.snapshot.lens(name)?.filter(|saved| saved.lens == lens.def);
    let Some(saved) = saved else { return Ok(None) };
    let found = plan.snapshot.calibration(name)?.filter(|found| found.lens_version == saved.version);
    let Some(found) = found else { return Ok(None) };
    let score = if lens.def.metric.is_distance() { -value } else { value };
    let covariance = found.reliability.as_ref().and_then(|reliability| reliability.covariance);
    Ok(Some(CalibratedValue {
        probability: probability(&found.map, score),
        error: covariance.and_then(|covariance| probability_error(&found.map, covariance, score)),
        labels: found.labels,
        time: found.judged_on.as_ref().map(|judged| judged.time),
        // The record is one, wherever it ranks.
        stale: stale(&found, lens, &plan.collection, (0, 0)),
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
    let (Some(value), Some(rank)) = (value, rank) else { return false };
    let (skip, top) = plan.window();
    let value = plan.shown(value);
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
    // A query without direction has no cosine; under the lens itself it may well have a score.
    let Ok(ready) = Ready::new(&plan, params, None, control)? else { return Ok(None) };
    if !ready.lenses().iter().all(|lens| lens.prepared.directed().contains(row)) {
        return Ok(None);
    }
    let sources = ready.sources(control);
    let blend = ready.blend(&sources);
    let Some(cosine) = blend.score(&[row])?.first().map(|scored| scored.value) else { return Ok(None) };
    let rank = if is_ranked { Some(count_before(&blend, allowed, Scored { row, value: cosine })? + 1) } else { None };
    Ok(Some(Place { cosine, rank }))
}

fn part(plan: &Plan, lens: &ReadyLens<'_>, row: u32) -> Result<WhyPart> {
    let query = &lens.sum.vector;
    let raw: Option<Vec<f64>> = lens.view.vector(row)?.map(|row| row.into_iter().map(f64::from).collect());
    let mut part = WhyPart {
        weight: lens.weight,
        lens: plan.lens_header(lens.lens),
        metric: lens.lens.def.metric,
        value: None,
        query_norm: stats::norm(query),
        record_norm: raw.as_deref().map(stats::norm),
        angle: raw.as_deref().and_then(|raw| angle(query, raw)),
        steps: Vec::new(),
        terms: Vec::new(),
        sum: None,
    };
    let Some(raw) = raw else { return Ok(part) };
    let def = &lens.lens.def;
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
    let scored = Blend {
        sources: vec![lens.view],
        parts: vec![WeightedLens {
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
fn finish_terms(part: &mut WhyPart, metric: Metric, lens: &ReadyLens<'_>, raw: &[f64]) {
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
