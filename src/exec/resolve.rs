//! From a parsed search to a [`Plan`]: every name settled, every default filled in, every mistake answered.
//!
//! Owns the meaning of names (collection, view, lens, projection) and of clauses that only fit some metrics. It
//! reads definitions and never a record or a vector; parameters are settled later, when the search runs.

use super::blend::resolve_blend;
use super::condition;
use super::names::Site;
use super::params::Params;
use super::plan::{Pinning, Plan, PlannedLens};
use super::probability::{calibration, shown_metric};
use super::steps::{Steps, csls_fits, steps};
use crate::error::{QueryError, Result};
use crate::lens::ResolvedStep;
use crate::query::ast::{Bound, Expr, Find, LensBase, LensExpr, Literal, Name, Operand, Source, Spanned, Statement};
use crate::query::{doubts, print, print_step};
use crate::store::{CANDIDATE, CollectionSnapshot, Snapshot, loses_on_new_classes};
use crate::types::limits::TOP;
use crate::types::{Calibration, CollectionDef, LensDef, LensRecord, Metric, ViewKind};
use std::ops::Range;
use std::sync::Arc;

/// `top` where none is written.
pub(crate) const DEFAULT_TOP: u64 = 10;

/// A lens expression with its names settled and a saved lens's parts put before its own.
#[derive(Debug, Clone)]
pub(crate) struct FlatLens {
    /// The saved lens it starts from.
    pub(crate) saved: Option<LensRecord>,
    /// All of it.
    pub(crate) def: LensDef,
    /// Where each step was written; the steps of a saved lens stand where the lens is named.
    pub(crate) spans: Vec<Range<usize>>,
    /// Where the view, or the lens that names it, was written.
    pub(crate) view_span: Range<usize>,
    /// Where `csls`, or the lens that has it, was written.
    pub(crate) csls_span: Range<usize>,
    /// `score probability`: what reads the lens's score as one.
    pub(crate) calibration: Option<Calibration>,
}

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

/// Remarks on a lens over a collection: doubtful chains, samples from elsewhere or too small.
fn lens_notes(lens: &PlannedLens, collection: &CollectionSnapshot, snapshot: &Snapshot) -> Result<Vec<String>> {
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
            "lens `{own}{CANDIDATE}` is a candidate: no held-out test has confirmed it, or it was demoted (`simile history STORE {own}`)"
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

/// Queries for each neighbour with which `csls` was measured: 1,000 for 10.
const CSLS_QUERIES: u64 = 100;

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
            .hint(super::names::listed("view", &names().collect::<Vec<_>>())),
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
pub(crate) fn clauses_fit(find: &Find, metric: Metric, site: &Site<'_>) -> Result<()> {
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

/// `score levenshtein` has neither steps nor a hub correction.
fn no_steps_on_texts(flat: &FlatLens, site: &Site<'_>) -> Result<()> {
    if let (Some(step), Some(span)) = (flat.def.steps.first(), flat.spans.first()) {
        let message = format!("`score levenshtein` compares texts; `{}` works on vectors", print_step(step));
        return Err(site.error("resolve::levenshtein_steps", message, span).into());
    }
    match &flat.def.csls {
        Some((neighbours, _)) => csls_fits(*neighbours, flat.def.metric, &flat.csls_span, site),
        None => Ok(()),
    }
}

/// Whether a condition names a parameter.
pub(crate) fn mentions_param(expr: &Expr) -> bool {
    let is_param = |literal: &Spanned<Literal>| matches!(literal.node, Literal::Param(_));
    match expr {
        Expr::Compare { value, .. } | Expr::Has { value, .. } => is_param(value),
        Expr::In { values, .. } => values.iter().any(is_param),
        Expr::IsNull { .. } => false,
        Expr::Not(inner) => mentions_param(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().any(mentions_param),
    }
}

/// Names of the parameters of a search, in order of appearance, each once.
pub(crate) fn param_names(source: &Source, filter: Option<&Expr>) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: &String| {
        if !names.contains(name) {
            names.push(name.clone());
        }
    };
    for term in &source.terms {
        if let Operand::Param(name) = &term.operand.node {
            add(name);
        }
    }
    let mut pending: Vec<&Expr> = filter.into_iter().collect();
    while let Some(expr) = pending.pop() {
        match expr {
            Expr::Compare { value, .. } | Expr::Has { value, .. } => {
                if let Literal::Param(name) = &value.node {
                    add(name);
                }
            }
            Expr::In { values, .. } => {
                for value in values {
                    if let Literal::Param(name) = &value.node {
                        add(name);
                    }
                }
            }
            Expr::IsNull { .. } => {}
            Expr::Not(inner) => pending.push(inner),
            Expr::And(parts) | Expr::Or(parts) => pending.extend(parts.iter().rev()),
        }
    }
    names
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
