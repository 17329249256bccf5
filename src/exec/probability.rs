//! `score probability`: the score of a calibrated lens as a probability.
//!
//! Owns who has a calibration, the map itself, and what a bound on a probability says about the score below it. The
//! ranking is the score's: a map never falls, but it may make ties. Nothing is scanned here.

use super::names::Site;
use super::plan::PlannedLens;
use super::resolve::FlatLens;
use crate::error::{QueryError, Result};
use crate::query::ast::LensExpr;
use crate::query::{print_name, print_number, print_step};
use crate::store::{CollectionSnapshot, Snapshot};
use crate::types::{Calibration, CalibrationMap, LensDef, Metric};
use std::ops::Range;

/// The calibration that `score probability` (written at `span`) reads for the lens of `expr`, which is `flat` so far.
///
/// # Errors
/// A query error that says how to calibrate, or what does not go with a calibration.
pub(crate) fn calibration(
    snapshot: &Snapshot,
    flat: &FlatLens,
    expr: &LensExpr,
    span: &Range<usize>,
    site: &Site<'_>,
) -> Result<Calibration> {
    let Some(saved) = &flat.saved else {
        return Err(not_saved(snapshot, span, site)?.into());
    };
    let name = print_name(&saved.name);
    if let Some(csls) = &expr.csls {
        let message = format!("`csls` is part of the score that lens `{name}` was calibrated with, or it is not");
        let error = site.error("resolve::probability_csls", message, &csls.span);
        return Err(error.hint("save a lens with `score ... csls ...` and calibrate that one").into());
    }
    if let Some(step) = expr.steps.first() {
        let step_text = print_step(&step.node);
        let message = format!("`{step_text}` makes another score than the one that lens `{name}` was calibrated for");
        let error = site.error("resolve::probability_steps", message, &step.span);
        return Err(error.hint("save the longer chain as a lens of its own and calibrate that one").into());
    }
    let found = snapshot.calibration(&saved.name)?;
    if let Some(calibration) = found.filter(|calibration| calibration.lens_version == saved.version) {
        return Ok(calibration);
    }
    let message = match saved.version {
        1 => format!("lens `{name}` is not calibrated: its scores are not probabilities"),
        version => format!(
            "version {version} of lens `{name}` is not calibrated; a calibration belongs to one version of a lens"
        ),
    };
    let error = site.error("resolve::not_calibrated", message, span);
    Err(error.hint(format!("calibrate it: `{}`", how_to(&saved.name))).into())
}

fn not_saved(snapshot: &Snapshot, span: &Range<usize>, site: &Site<'_>) -> Result<QueryError> {
    let message =
        "`score probability` reads the score of a saved, calibrated lens, and this search has a lens of its own";
    let error = site
        .error("resolve::not_calibrated", message, span)
        .hint(format!("save the lens with `let NAME = ...`, calibrate it: `{}`", how_to("NAME")))
        .hint("then search with `using NAME | score probability`");
    let mut calibrated = Vec::new();
    for lens in snapshot.lenses()? {
        if snapshot.calibration(&lens.name)?.is_some() {
            calibrated.push(lens.name);
        }
    }
    let names: Vec<&str> = calibrated.iter().map(String::as_str).collect();
    Ok(if names.is_empty() { error } else { error.hint(format!("calibrated lenses: {}", names.join(", "))) })
}

fn how_to(lens: &str) -> String {
    format!("simile calibrate STORE {lens} --label 200` or `--judged FILE")
}

/// The probability that `map` gives a score (minus the distance, where the metric is one), 0 to 1.
pub(crate) fn probability(map: &CalibrationMap, score: f64) -> f64 {
    match map {
        CalibrationMap::Logistic { scale, bias } => 1.0 / (1.0 + (-(scale * score + bias)).exp()),
        CalibrationMap::Isotonic { scores, probabilities } => {
            let at = scores.partition_point(|from| *from <= score).saturating_sub(1);
            probabilities.get(at).copied().unwrap_or(0.0)
        }
    }
}

/// How far the probability of `score` may be off under a logistic map with this covariance of scale and bias: half of the
/// 95 % interval, by the delta method on the logit.
pub(crate) fn probability_error(map: &CalibrationMap, (a, ab, b): (f64, f64, f64), score: f64) -> Option<f64> {
    let CalibrationMap::Logistic { scale, bias } = map else { return None };
    let variance = (a * score * score + 2.0 * ab * score + b).max(0.0);
    let reach = 1.96 * variance.sqrt();
    let at = |bias: f64| probability(&CalibrationMap::Logistic { scale: *scale, bias }, score);
    let half = (at(bias + reach) - at(bias - reach)) / 2.0;
    half.is_finite().then_some(half)
}

/// Which scores can have a probability of at least some bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    /// All of them.
    Everything,
    /// None below this one; some from it on may not have it either.
    From(f64),
    /// None.
    Nothing,
}

/// Which scores can reach a probability of `least` under `map`. A logistic map is inverted with room for the rounding of
/// both directions, so that what reaches it is never missed; [`probability`] then decides.
pub(crate) fn reach(map: &CalibrationMap, least: f64) -> Reach {
    if least <= 0.0 {
        return Reach::Everything;
    }
    if least > 1.0 {
        return Reach::Nothing;
    }
    match map {
        CalibrationMap::Logistic { scale, bias } => {
            // A few roundings below the bound: near 1 many exponents give the same probability.
            let below = least * (1.0 - 8.0 * f64::EPSILON);
            let exponent = below.ln() - (-below).ln_1p();
            let room = 1e-12 * (1.0 + exponent.abs() + bias.abs());
            match (exponent - room - bias) / scale {
                score if score == f64::NEG_INFINITY => Reach::Everything,
                score if score == f64::INFINITY => Reach::Nothing,
                score => Reach::From(score),
            }
        }
        CalibrationMap::Isotonic { scores, probabilities } => {
            let at = probabilities.partition_point(|probability| *probability < least);
            match scores.get(at) {
                // The first step reaches down without end.
                _ if at == 0 => Reach::Everything,
                Some(&score) => Reach::From(score),
                None => Reach::Nothing,
            }
        }
    }
}

/// Why a calibration may no longer hold for a search that skips and lists so many hits.
pub(crate) fn stale(
    calibration: &Calibration,
    lens: &PlannedLens,
    collection: &CollectionSnapshot,
    (skip, top): (usize, usize),
) -> Option<String> {
    let statistics = lens.pinning.iter().flat_map(|pinning| &pinning.statistics).map(|statistic| statistic.commit);
    if let Some(newest) = statistics.max().filter(|newest| *newest > calibration.commit) {
        let commit = calibration.commit;
        return Some(format!("the lens's statistics are of commit {newest}, its calibration of commit {commit}"));
    }
    let judged = calibration.judged_on.as_ref()?;
    if judged.collection != collection.def().id {
        return Some("the lens was calibrated on hits of another collection".to_string());
    }
    let revision = collection.view(&lens.def.view).map_or(judged.revision, |view| view.def().revision);
    match revision.saturating_sub(judged.revision) {
        0 if skip + top > judged.k as usize => Some(format!(
            "the lens was calibrated on the first {} hits of each query, and this search lists {}",
            judged.k,
            skip + top
        )),
        0 => None,
        1 => Some("1 commit changed the records since the lens was calibrated".to_string()),
        commits => Some(format!("{commits} commits changed the records since the lens was calibrated")),
    }
}

/// The map in words, over the score below it.
pub(crate) fn map_text(calibration: &Calibration, lens: &LensDef) -> String {
    let metric = match (&lens.csls, lens.metric.is_distance()) {
        (Some(_), _) => "csls".to_string(),
        (None, true) => format!("-{}", lens.metric.as_str()),
        (None, false) => lens.metric.as_str().to_string(),
    };
    match &calibration.map {
        CalibrationMap::Logistic { scale, bias } => {
            let operator = if bias.is_sign_negative() { "-" } else { "+" };
            let (scale, bias) = (shown(*scale), shown(bias.abs()));
            format!("1 / (1 + exp(-({scale} * {metric} {operator} {bias})))")
        }
        CalibrationMap::Isotonic { scores, .. } => format!("{} steps over {metric}", scores.len()),
    }
}

/// A coefficient to five digits: what lies behind them is far below its error.
fn shown(x: f64) -> String {
    print_number(format!("{x:.4e}").parse().unwrap_or(x))
}

/// What a search shows: the probability, or the lens's own metric.
pub(crate) fn shown_metric(lens: &LensDef, calibration: Option<&Calibration>) -> Metric {
    if calibration.is_some() { Metric::Probability } else { lens.metric }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps() -> Vec<CalibrationMap> {
        let logistic = |scale, bias| CalibrationMap::Logistic { scale, bias };
        vec![
            logistic(4.0, -2.0),
            logistic(0.01, 0.0),
            logistic(1e6, -3e5),
            logistic(1e-9, 40.0),
            logistic(37.5, -1e-3),
            CalibrationMap::Isotonic { scores: vec![-0.5, 0.0, 0.0, 0.7], probabilities: vec![0.1, 0.1, 0.4, 1.0] },
            CalibrationMap::Isotonic { scores: vec![0.25], probabilities: vec![0.5] },
        ]
    }

    #[test]
    fn no_score_that_has_the_probability_is_missed() {
        let scores: Vec<f64> = (-2000..=2000).map(|step| f64::from(step) / 811.0).chain([-1e9, 1e9, 0.0]).collect();
        for map in maps() {
            for &score in &scores {
                let least = probability(&map, score);
                assert!((0.0..=1.0).contains(&least), "{map:?} {score}");
                let reached = match reach(&map, least) {
                    Reach::Everything => true,
                    Reach::From(from) => from <= score,
                    Reach::Nothing => false,
                };
                assert!(reached, "{map:?}: {score} has {least}, which {:?}", reach(&map, least));
            }
        }
    }

    #[test]
    fn what_is_far_below_is_not_even_scanned() {
        let map = CalibrationMap::Logistic { scale: 4.0, bias: -2.0 };
        assert_eq!(probability(&map, 0.5), 0.5);
        assert!(matches!(reach(&map, 0.5), Reach::From(from) if (from - 0.5).abs() < 1e-9));
        assert_eq!(
            (reach(&map, 1.5), reach(&map, -1.0), reach(&map, 0.0)),
            (Reach::Nothing, Reach::Everything, Reach::Everything)
        );
        let steps = &maps()[5];
        assert_eq!((reach(steps, 0.4), reach(steps, 0.05)), (Reach::From(0.0), Reach::Everything));
        assert_eq!(reach(&maps()[6], 0.6), Reach::Nothing);
        let of = |score| probability(steps, score);
        assert_eq!(
            [of(-9.0), of(-0.5), of(-0.1), of(0.0), of(0.69), of(0.7), of(9.0)],
            [0.1, 0.1, 0.1, 0.4, 0.4, 1.0, 1.0]
        );
    }

    #[test]
    fn maps_never_fall() {
        for map in maps() {
            let mut last = 0.0;
            for step in -4000..=4000 {
                let now = probability(&map, f64::from(step) / 1000.0);
                assert!(now >= last, "{map:?} at {step}");
                last = now;
            }
        }
    }
}
