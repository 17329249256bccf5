//! In what respect records are compared: a lens expression with its names settled.
//!
//! Owns the meaning of `view`, `using` and what follows them, which lens can be saved, and the remarks on one. A saved
//! lens's parts stand before those written behind it.

use super::calibration::calibration;
use super::names::Site;
use super::plan::{FlatLens, PlannedLens};
use super::steps::{csls_fits, steps};
use crate::error::{QueryError, Result};
use crate::lens::ResolvedStep;
use crate::query::ast::{LensBase, LensExpr, Name};
use crate::query::{doubts, print_step};
use crate::store::{CANDIDATE, CollectionSnapshot, Snapshot, loses_on_new_classes};
use crate::types::{CollectionDef, LensDef, Metric};

/// The lens that needs no saving: view `raw`, no steps, cosine. A saved lens of that name takes its place.
pub(crate) const PLAIN: &str = "plain";

/// Queries for each neighbour with which `csls` was measured: 1,000 for 10.
const CSLS_QUERIES: u64 = 100;

/// Puts a saved lens's parts before those of `expr` and refuses what this version does not do.
///
/// # Errors
/// A query error for an unknown lens, for `score probability` of one that is not calibrated, and for `blend`.
pub(crate) fn flatten(snapshot: &Snapshot, expr: &LensExpr, site: &Site<'_>) -> Result<FlatLens> {
    let mut flat = base(snapshot, &expr.base, site)?;
    match &expr.metric {
        Some(metric) if metric.node == Metric::Probability => {
            // What is scanned and ranked is the lens as it was saved.
            flat.calibration = Some(calibration(snapshot, &flat, expr, &metric.span, site)?);
        }
        Some(metric) => {
            flat.def.metric = metric.node;
            flat.def.csls = expr.csls.as_ref().map(|csls| csls.node.clone());
            flat.csls_span = expr.csls.as_ref().map_or(0..0, |csls| csls.span.clone());
        }
        None => {}
    }
    flat.def.steps.extend(expr.steps.iter().map(|step| step.node.clone()));
    flat.spans.extend(expr.steps.iter().map(|step| step.span.clone()));
    Ok(flat)
}

fn base(snapshot: &Snapshot, base: &LensBase, site: &Site<'_>) -> Result<FlatLens> {
    let plain = |view: Option<&Name>| FlatLens {
        saved: None,
        def: view.map_or_else(LensDef::default, |view| LensDef { view: view.node.clone(), ..LensDef::default() }),
        spans: Vec::new(),
        view_span: view.map_or(0..0, |view| view.span.clone()),
        csls_span: 0..0,
        calibration: None,
    };
    match base {
        LensBase::Default => Ok(plain(None)),
        LensBase::View(view) => Ok(plain(Some(view))),
        LensBase::Blend(parts) => {
            let span = parts.first().map_or(0..0, |(_, name)| name.span.clone());
            let message = "a blend cannot be saved: it is several lenses, each with a view of its own";
            let hint = "save its lenses, and write the blend where it is used";
            Err(site.error("resolve::blend_saved", message, &span).hint(hint).into())
        }
        LensBase::Using(name) => {
            let Some(saved) = snapshot.lens(&name.node)? else {
                return Err(no_such_lens(snapshot, name, site)?.into());
            };
            Ok(FlatLens {
                def: saved.lens.clone(),
                spans: vec![name.span.clone(); saved.lens.steps.len()],
                saved: Some(saved),
                view_span: name.span.clone(),
                csls_span: name.span.clone(),
                calibration: None,
            })
        }
    }
}

/// The error for a lens that is not there.
pub(crate) fn no_such_lens(snapshot: &Snapshot, name: &Name, site: &Site<'_>) -> Result<QueryError> {
    let lenses = snapshot.lenses()?;
    let names = lenses.iter().map(|lens| lens.name.as_str());
    let message = format!("no lens of the name `{}` in this store", name.node);
    Ok(site.no_such("resolve::no_such_lens", "lens", &message, &name.span, &name.node, names))
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

/// Remarks on a lens over a collection: doubtful chains, samples from elsewhere or too small.
pub(crate) fn lens_notes(
    lens: &PlannedLens,
    collection: &CollectionSnapshot,
    snapshot: &Snapshot,
) -> Result<Vec<String>> {
    let mut notes = doubts(&lens.def.steps, lens.def.metric);
    let own = &collection.def().name;
    for sample in &lens.steps.samples {
        if sample.collection != *own {
            notes.push(format!("sample `{}` was stored for `{}`, not for `{own}`", sample.name, sample.collection));
        }
    }
    if let Some((neighbours, name)) = &lens.def.csls
        && let Some(sample) = lens.steps.samples.iter().find(|sample| sample.name == *name)
        && sample.queries < CSLS_QUERIES * u64::from(*neighbours)
    {
        notes.push(format!(
            "`csls {neighbours}` over {} queries is rough: it was measured with {} for each neighbour",
            sample.queries, CSLS_QUERIES
        ));
    }
    if let Some(own) = lens.saved_name.as_deref().and_then(|name| name.strip_suffix(CANDIDATE))
        && lens.steps.steps.iter().any(|step| matches!(step, ResolvedStep::Project(_)))
    {
        notes.push(format!(
            "lens `{own}{CANDIDATE}` is a candidate: no held-out test has confirmed it, or it was demoted (`simile \
             history STORE {own}`)"
        ));
    }
    if let Some(name) = &lens.saved_name
        && lens.steps.steps.iter().any(|step| matches!(step, ResolvedStep::Project(_)))
        && let Some((_, Some(figures))) = snapshot.fit_of(name)?
    {
        notes.extend(loses_on_new_classes(&figures).map(|warning| format!("lens `{name}`: {warning}")));
    }
    Ok(notes)
}

/// `score levenshtein` has neither steps nor a hub correction.
pub(crate) fn no_steps_on_texts(flat: &FlatLens, site: &Site<'_>) -> Result<()> {
    if let (Some(step), Some(span)) = (flat.def.steps.first(), flat.spans.first()) {
        let message = format!("`score levenshtein` compares texts; `{}` works on vectors", print_step(step));
        return Err(site.error("resolve::levenshtein_steps", message, span).into());
    }
    match &flat.def.csls {
        Some((neighbours, _)) => csls_fits(*neighbours, flat.def.metric, &flat.csls_span, site),
        None => Ok(()),
    }
}

/// Checks that `flat` can be saved: its view exists somewhere, and its dimensions are possible there.
///
/// # Errors
/// A query error where no collection has the view, or where the chain fits none that has.
pub(crate) fn can_be_saved(snapshot: &Snapshot, flat: &FlatLens, site: &Site<'_>) -> Result<()> {
    let has_view = |def: &&CollectionDef| def.views.iter().any(|view| view.name == flat.def.view);
    let with_view: Vec<&str> = snapshot.collections().iter().filter(has_view).map(|def| def.name.as_str()).collect();
    // In an empty store `raw` is what the first collection will have.
    if with_view.is_empty() && flat.def.view != "raw" {
        let mut names: Vec<&str> =
            snapshot.collections().iter().flat_map(|def| &def.views).map(|view| view.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let message = format!("no collection has a view of the name `{}`", flat.def.view);
        let view = &flat.def.view;
        return Err(site.no_such("resolve::no_such_view", "view", &message, &flat.view_span, view, names).into());
    }
    if flat.def.metric == Metric::Levenshtein {
        return no_steps_on_texts(flat, site);
    }
    if with_view.is_empty() {
        return steps(snapshot, flat, None, site).map(|_| ());
    }
    let mut refused = None;
    for name in with_view {
        let collection = snapshot.collection(name)?;
        match steps(snapshot, flat, collection.view(&flat.def.view), site) {
            Ok(_) => return Ok(()),
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(()), Err)
}
