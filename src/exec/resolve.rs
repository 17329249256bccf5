//! From a parsed search to a [`Plan`]: every name settled, every default filled in, every mistake answered.
//!
//! Owns the meaning of names (collection, view, lens, projection) and of clauses that only fit some metrics. It
//! reads definitions and never a record or a vector; parameters are settled later, when the search runs.

use super::blend::resolve_blend;
use super::condition;
use super::names::Site;
use super::params::Params;
use super::plan::{Pinning, Plan, PlannedLens};
use super::steps::{Steps, steps};
use crate::error::{QueryError, Result};
use crate::query::ast::{Bound, Expr, Find, LensBase, LensExpr, Literal, Name, Operand, Source, Spanned, Statement};
use crate::query::{doubts, print, print_step};
use crate::store::{CollectionSnapshot, Snapshot};
use crate::types::limits::TOP;
use crate::types::{CollectionDef, LensDef, LensRecord, Metric, Step, ViewKind};
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
    clauses_fit(find, metric, &site)?;
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
        let dimension = collection.view(&flat.def.view).and_then(|view| view.def().dimension);
        steps(snapshot, &flat, dimension, &site)?
    };
    let mut filled = find.clone();
    if filled.lens.base == LensBase::Default {
        filled.lens.base = LensBase::View(flat.def.view.clone().into());
    }
    filled.lens.metric.get_or_insert(metric.into());
    filled.output.top.get_or_insert(DEFAULT_TOP.into());
    let statement = print(&Statement::Find(filled.clone()));
    let pinning = flat.saved.as_ref().map(|saved| Pinning::of(saved, collection.def().id));
    Ok(Plan {
        snapshot: snapshot.clone(),
        notes: doubts(&flat.def.steps, metric),
        collection,
        blend: Vec::new(),
        lens: PlannedLens { saved_name: flat.saved.map(|saved| saved.name), pinning, def: flat.def, steps },
        find: filled,
        statement,
        text: text.to_string(),
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

/// Puts a saved lens's parts before those of `expr` and refuses what this version does not do.
///
/// # Errors
/// A query error for an unknown lens and for parts of a later version.
pub(crate) fn flatten(snapshot: &Snapshot, expr: &LensExpr, site: &Site<'_>) -> Result<FlatLens> {
    for step in &expr.steps {
        if let Some(what) = later_step(&step.node) {
            return Err(site.not_yet(&what, &step.span).into());
        }
    }
    if let Some(csls) = &expr.csls {
        return Err(site.not_yet("`csls`", &csls.span).into());
    }
    if let Some(metric) = &expr.metric
        && metric.node == Metric::Probability
    {
        return Err(site.not_yet("`score probability`", &metric.span).into());
    }
    let mut flat = base(snapshot, &expr.base, site)?;
    flat.def.steps.extend(expr.steps.iter().map(|step| step.node.clone()));
    flat.spans.extend(expr.steps.iter().map(|step| step.span.clone()));
    if let Some(metric) = &expr.metric {
        flat.def.metric = metric.node;
    }
    Ok(flat)
}

fn base(snapshot: &Snapshot, base: &LensBase, site: &Site<'_>) -> Result<FlatLens> {
    let plain = |view: Option<&Name>| FlatLens {
        saved: None,
        def: view.map_or_else(LensDef::default, |view| LensDef { view: view.node.clone(), ..LensDef::default() }),
        spans: Vec::new(),
        view_span: view.map_or(0..0, |view| view.span.clone()),
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

fn later_step(step: &Step) -> Option<String> {
    match step {
        Step::CenterSides(_) => Some("`center sides`".to_string()),
        Step::Standardize => Some("`standardize`".to_string()),
        Step::Whiten(_) => Some("`whiten`".to_string()),
        Step::Drop(_) => Some("`drop` of principal directions".to_string()),
        Step::Center | Step::CenterCorpus | Step::Normalize | Step::Truncate(_) | Step::Project(_) => None,
    }
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
    if let (Some(step), Some(span)) = (flat.def.steps.first(), flat.spans.first()) {
        let message = format!("`score levenshtein` compares texts; `{}` works on vectors", print_step(step));
        return Err(site.error("resolve::levenshtein_steps", message, span).into());
    }
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
    let with_view = |def: &CollectionDef| def.views.iter().find(|view| view.name == flat.def.view).cloned();
    let views: Vec<_> = snapshot.collections().iter().filter_map(with_view).collect();
    // In an empty store `raw` is what the first collection will have.
    if views.is_empty() && flat.def.view != "raw" {
        let mut names: Vec<&str> =
            snapshot.collections().iter().flat_map(|def| &def.views).map(|view| view.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let message = format!("no collection has a view of the name `{}`", flat.def.view);
        let view = &flat.def.view;
        return Err(site.no_such("resolve::no_such_view", "view", &message, &flat.view_span, view, names).into());
    }
    if flat.def.metric == Metric::Levenshtein {
        return match (flat.def.steps.first(), flat.spans.first()) {
            (Some(step), Some(span)) => {
                let message = format!("`score levenshtein` compares texts; `{}` works on vectors", print_step(step));
                Err(site.error("resolve::levenshtein_steps", message, span).into())
            }
            _ => Ok(()),
        };
    }
    let mut dimensions: Vec<Option<u32>> = views.iter().map(|view| view.dimension).collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    if dimensions.is_empty() {
        dimensions.push(None);
    }
    let mut refused = None;
    for dimension in dimensions {
        match steps(snapshot, flat, dimension, site) {
            Ok(_) => return Ok(()),
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(()), Err)
}
