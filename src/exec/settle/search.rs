//! From a parsed search to a [`Plan`]: every name settled, every default filled in, every mistake answered.
//!
//! Owns the meaning of clauses that only fit some metrics, and what a search's collection and view are. It
//! reads definitions and never a record or a vector; parameters are settled later, when the search runs.

use super::blend::{stages_fit, weights_fit};
use super::condition;
use super::lens::{flatten, lens_named, lens_notes, no_steps_on_texts};
use super::names::{Site, listed};
use super::params::Params;
use super::plan::{BlendPart, DEFAULT_TOP, FlatLens, Pinning, Plan, PlannedLens, Steps};
use super::probability::shown_metric;
use super::steps::steps;
use crate::error::{Error, Result};
use crate::query::ast::{Bound, Expr, Find, LensBase, Literal, Name, Operand, Spanned, Statement};
use crate::query::print;
use crate::store::{CollectionSnapshot, Snapshot};
use crate::types::limits::TOP;
use crate::types::{Metric, ViewKind};
use std::sync::Arc;

/// Settles `find`, which was parsed from (or printed as) `text`.
///
/// # Errors
/// A query error for every name that does not exist and every clause that does not fit.
pub(crate) fn resolve(snapshot: &Snapshot, find: &Find, text: &str) -> Result<Plan> {
    if let LensBase::Blend(parts) = &find.lens.base {
        return resolve_blend(snapshot, find, parts, text);
    }
    let site = Site::new(text);
    let collection = collection(snapshot, &find.collection, &site)?;
    let flat = flatten(snapshot, &find.lens, &site)?;
    view_exists(&collection, &flat, &site)?;
    let metric = flat.def.metric;
    clauses_fit(find, shown_metric(&flat.def, flat.calibration.as_ref()), &site)?;
    if let Some(filter) = &find.output.filter
        && !mentions_param(filter)
    {
        // What needs no parameter fails now and not at the first run.
        condition::check(filter, &collection.def().fields, &Params::new(), &site)?;
    }
    let steps = if metric == Metric::Levenshtein {
        text_lens_fits(find, &flat, &collection, &site)?;
        Steps::default()
    } else {
        steps(snapshot, &flat, collection.view(&flat.def.view), &site)?
    };
    let mut filled = find.clone();
    if filled.lens.base == LensBase::Default {
        filled.lens.base = LensBase::View(flat.def.view.clone().into());
    }
    if filled.lens.metric.is_none() {
        filled.lens.metric = Some(metric.into());
        // Written behind `using`, a metric takes the place of the lens's with its `csls`.
        filled.lens.csls = flat.def.csls.clone().map(Spanned::from);
    }
    filled.output.top.get_or_insert(DEFAULT_TOP.into());
    let statement = print(&Statement::Find(filled.clone()));
    let pinning = flat.saved.as_ref().map(|saved| Pinning::of(saved, collection.def().id));
    let lens = PlannedLens {
        saved_name: flat.saved.map(|saved| saved.name),
        pinning,
        def: flat.def,
        steps,
        calibration: flat.calibration.map(Arc::new),
    };
    let mut plan = Plan {
        snapshot: snapshot.clone(),
        notes: lens_notes(&lens, &collection, snapshot)?,
        collection,
        blend: Vec::new(),
        lens,
        find: filled,
        statement,
        text: text.to_string(),
    };
    plan.note_old_calibration();
    Ok(plan)
}

/// Settles a search whose lens is the blend `parts`.
///
/// # Errors
/// A query error for every lens that does not exist or does not fit, and for stages that a blend does not take.
fn resolve_blend(snapshot: &Snapshot, find: &Find, parts: &[(f64, Name)], text: &str) -> Result<Plan> {
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

fn collection(snapshot: &Snapshot, name: &Name, site: &Site<'_>) -> Result<Arc<CollectionSnapshot>> {
    if snapshot.collections().iter().any(|def| def.name == name.node) {
        return snapshot.collection(&name.node);
    }
    let message = if name.node.is_empty() {
        "a search names its collection".to_string()
    } else {
        format!("no collection of the name `{}` in this store", name.node)
    };
    let names = snapshot.collections().iter().map(|def| def.name.as_str());
    Err(site.no_such("resolve::no_such_collection", "collection", &message, &name.span, &name.node, names).into())
}

fn view_exists(collection: &CollectionSnapshot, flat: &FlatLens, site: &Site<'_>) -> Result<()> {
    if collection.view(&flat.def.view).is_some() {
        return Ok(());
    }
    let name = &collection.def().name;
    let names = || collection.views().iter().map(|view| view.def().name.as_str());
    let error = match &flat.saved {
        Some(saved) => site
            .error(
                "resolve::no_such_view",
                format!("lens `{}` looks at view `{}`, which `{name}` does not have", saved.name, flat.def.view),
                &flat.view_span,
            )
            .hint(listed("view", &names().collect::<Vec<_>>())),
        None => site.no_such(
            "resolve::no_such_view",
            "view",
            &format!("no view of the name `{}` in `{name}`", flat.def.view),
            &flat.view_span,
            &flat.def.view,
            names(),
        ),
    };
    Err(error.into())
}

/// `above` goes with scores, `within` with distances, and `top` has a limit.
fn clauses_fit(find: &Find, metric: Metric, site: &Site<'_>) -> Result<()> {
    if let Some(bound) = &find.output.bound {
        let (keyword, instead, kind) = match (bound.node, metric.is_distance()) {
            (Bound::Above(_), true) => ("above", "within", "a distance: lower is more similar"),
            (Bound::Within(_), false) => ("within", "above", "a score: higher is more similar"),
            _ => ("", "", ""),
        };
        if !keyword.is_empty() {
            let error = site
                .error(
                    "resolve::bound_direction",
                    format!("`{keyword}` does not fit `score {}`, which is {kind}", metric.as_str()),
                    &bound.span,
                )
                .expected([instead]);
            let word = bound.span.start..bound.span.start + keyword.len();
            let is_written = site.text().get(word.clone()).is_some_and(|found| found.eq_ignore_ascii_case(keyword));
            let error = if is_written { site.respell(error, &[(word, instead.to_string())]) } else { error };
            return Err(error.into());
        }
    }
    for (clause, written) in [("top", &find.output.top), ("skip", &find.output.skip)] {
        let Some(count) = written else { continue };
        if count.node > TOP {
            let message = format!("`{clause}` is at most {TOP}");
            return Err(site.error("resolve::limit", message, &count.span).into());
        }
    }
    Ok(())
}

/// Edit distance takes one text or record, no steps, and a view with texts.
fn text_lens_fits(find: &Find, flat: &FlatLens, collection: &CollectionSnapshot, site: &Site<'_>) -> Result<()> {
    no_steps_on_texts(flat, site)?;
    let takes = "`score levenshtein` compares one text with others: it takes a text or an #id";
    let fits = match find.source.node.terms.as_slice() {
        [term] => term.weight == 1.0 && !matches!(term.operand.node, Operand::Vector(_)),
        _ => false,
    };
    if !fits {
        return Err(site.error("resolve::levenshtein_source", takes, &find.source.span).into());
    }
    let has_texts = |kind: &ViewKind| *kind != ViewKind::VectorsOnly;
    if collection.view(&flat.def.view).is_some_and(|view| !has_texts(&view.def().kind)) {
        let views: Vec<&str> = collection
            .views()
            .iter()
            .map(|view| view.def())
            .filter(|def| has_texts(&def.kind))
            .map(|def| def.name.as_str())
            .collect();
        return Err(site
            .error(
                "resolve::no_texts",
                format!("view `{}` holds vectors without texts; `score levenshtein` compares texts", flat.def.view),
                &flat.view_span,
            )
            .expected(views)
            .into());
    }
    Ok(())
}

/// Whether a condition names a parameter.
fn mentions_param(expr: &Expr) -> bool {
    let is_param = |literal: &Spanned<Literal>| matches!(literal.node, Literal::Param(_));
    match expr {
        Expr::Compare { value, .. } | Expr::Has { value, .. } => is_param(value),
        Expr::In { values, .. } => values.iter().any(is_param),
        Expr::IsNull { .. } => false,
        Expr::Not(inner) => mentions_param(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().any(mentions_param),
    }
}
