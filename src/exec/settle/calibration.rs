//! `score probability`: which lens has a calibration, and whether it still holds.
//!
//! Owns the errors for those that have none, and the reasons why one may be out of date. The map is `probability`'s.

use super::names::Site;
use super::plan::{FlatLens, PlannedLens};
use crate::error::{QueryError, Result};
use crate::query::ast::LensExpr;
use crate::query::{print_name, print_step};
use crate::store::{CollectionSnapshot, Snapshot};
use crate::types::Calibration;
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
