//! From a parsed search to a [`Plan`]: every name settled, every default filled in, every mistake answered.
//!
//! Owns the meaning of clauses that only fit some metrics, and what a search's collection and view are. It
//! reads definitions and never a record or a vector; parameters are settled later, when the search runs.

use super::blend::{blend_fits, gives_a_score};
use super::condition;
use super::lens::{flatten, lens_named, lens_notes, no_steps_on_texts};
use super::names::{Site, listed};
use super::params::Params;
use super::plan::{BlendedLens, Compared, DEFAULT_TOP, FlatLens, Pinning, Plan, PlannedLens, Steps};
use super::probability::shown_metric;
use super::steps::steps;
use crate::error::{Error, QueryError, Result};
use crate::query::ast::{Bound, Expr, Find, LensBase, LensExpr, Literal, Name, Operand, Spanned, Statement};
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
    let site = Site::new(text);
    let (mut lenses, mut searched) = (Vec::new(), None);
    let mut notes: Vec<String> = Vec::new();
    for (weight, name) in written(find, &site)? {
        let mut expr = find.lens.clone();
        if let Some(name) = name {
            expr.base = lens_named(snapshot, name, &site)?;
        }
        let (collection, lens) = settled(snapshot, find, &expr, &site)?;
        for note in lens_notes(&lens, &collection, snapshot)? {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        if let Some(name) = name {
            gives_a_score(name, lens.def.metric, &site)?;
        }
        lenses.push(BlendedLens { weight, name: name.map(|name| name.node.clone()), lens });
        searched = Some(collection);
    }
    let Some(collection) = searched else { return Err(Error::invalid("a search has a lens")) };
    let compared = match lenses.pop() {
        Some(BlendedLens { lens, .. }) if lens.def.metric == Metric::Levenshtein => Compared::Texts(Box::new(lens)),
        last => {
            lenses.extend(last);
            Compared::Vectors(lenses)
        }
    };
    let (snapshot, text) = (snapshot.clone(), text.to_string());
    let mut plan = Plan { snapshot, collection, compared, find: find.clone(), statement: String::new(), text, notes };
    fill_in(&mut plan);
    plan.note_old_calibration();
    Ok(plan)
}

/// The lenses of a search with their weights: those that its blend names, or its own.
fn written<'f>(find: &'f Find, site: &Site<'_>) -> Result<Vec<(f64, Option<&'f Name>)>> {
    let LensBase::Blend(parts) = &find.lens.base else { return Ok(vec![(1.0, None)]) };
    blend_fits(find, parts, site)?;
    Ok(parts.iter().map(|(weight, name)| (*weight, Some(name))).collect())
}

/// One lens of `find`, written as `expr`, over its collection.
fn settled(
    snapshot: &Snapshot,
    find: &Find,
    expr: &LensExpr,
    site: &Site<'_>,
) -> Result<(Arc<CollectionSnapshot>, PlannedLens)> {
    let collection = collection(snapshot, &find.collection, site)?;
    let flat = flatten(snapshot, expr, site)?;
    view_exists(&collection, &flat, site)?;
    if !matches!(find.lens.base, LensBase::Blend(_)) {
        // The threshold of a blend is on the sum; a lens of it could only complain about its own metric.
        bound_fits(find, shown_metric(&flat.def, flat.calibration.as_ref()), site)?;
    }
    counts_fit(find, site)?;
    if let Some(filter) = &find.output.filter
        && !mentions_param(filter)
    {
        // What needs no parameter fails now and not at the first run.
        condition::check(filter, &collection.def().fields, &Params::new(), site)?;
    }
    let steps = if flat.def.metric == Metric::Levenshtein {
        text_lens_fits(find, &flat, &collection, site)?;
        Steps::default()
    } else {
        steps(snapshot, &flat, collection.view(&flat.def.view), site)?
    };
    let pinning = flat.saved.as_ref().map(|saved| Pinning::of(saved, collection.def().id));
    let lens = PlannedLens {
        saved_name: flat.saved.map(|saved| saved.name),
        pinning,
        def: flat.def,
        steps,
        calibration: flat.calibration.map(Arc::new),
    };
    Ok((collection, lens))
}

/// Writes the defaults into the tree, and the tree as the statement.
fn fill_in(plan: &mut Plan) {
    let own = plan.own_lens().map(|lens| lens.def.clone());
    let find = &mut plan.find;
    if let Some(own) = own {
        if find.lens.base == LensBase::Default {
            find.lens.base = LensBase::View(own.view.into());
        }
        if find.lens.metric.is_none() {
            find.lens.metric = Some(own.metric.into());
            // Written behind `using`, a metric takes the place of the lens's with its `csls`.
            find.lens.csls = own.csls.map(Spanned::from);
        }
    }
    find.output.top.get_or_insert(DEFAULT_TOP.into());
    plan.statement = print(&Statement::Find(plan.find.clone()));
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

/// `above` goes with scores, `within` with distances.
fn bound_fits(find: &Find, metric: Metric, site: &Site<'_>) -> Result<()> {
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
    Ok(())
}

/// `top` and `skip` have a limit.
fn counts_fit(find: &Find, site: &Site<'_>) -> Result<()> {
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
    if find.source.node.terms.is_empty() {
        return Err(pairs_take_vectors(find, flat.def.metric, site).into());
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

/// The error for a search without a source, which compares all records with each other, under a metric of texts.
fn pairs_take_vectors(find: &Find, metric: Metric, site: &Site<'_>) -> QueryError {
    let span = find.lens.metric.as_ref().map_or(find.collection.span.clone(), |metric| metric.span.clone());
    let message = format!("`pairs` compares vectors by a score or a distance, not by `{}`", metric.as_str());
    site.error("resolve::pairs_lens", message, &span).expected(["cosine", "dot", "pearson", "euclidean"])
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
