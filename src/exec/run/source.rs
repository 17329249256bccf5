//! What a search looks for, as numbers or as one text.
//!
//! Owns the meaning of a source: text through the view's template and embedder, `#id` as that record's vector,
//! weighted sums of raw vectors, parameters. The steps of a lens are not run here; they see only the sum.

use super::edit_distance::text_of;
use super::rows::row_of;
use crate::error::{Error, QueryError, Result};
use crate::exec::settle::embed::embed_texts;
use crate::exec::settle::names::Site;
use crate::exec::settle::params::{Param, Params};
use crate::exec::settle::plan::Plan;
use crate::query::ast::{Operand, Spanned, Term};
use crate::query::{bounds, print_id};
use crate::store::ViewSnapshot;
use std::ops::Range;

/// A term with its parameter replaced.
enum Given<'a> {
    Text(&'a str),
    Id(&'a str),
    Literal(&'a [f64]),
    Vector(&'a [f32]),
}

fn bind<'a>(operand: &'a Spanned<Operand>, params: &'a Params, site: &Site<'_>) -> Result<Given<'a>> {
    let name = match &operand.node {
        Operand::Text(text) => return Ok(Given::Text(text)),
        Operand::Id(id) => return Ok(Given::Id(id)),
        Operand::Vector(vector) => return Ok(Given::Literal(vector)),
        Operand::Param(name) => name,
    };
    match params.get(name) {
        Some(Param::Text(text)) => match bounds::check_text(text) {
            Ok(()) => Ok(Given::Text(text)),
            Err(fault) => Err(site.error(fault.code, fault.message, &operand.span).into()),
        },
        Some(Param::Vector(vector)) => Ok(Given::Vector(vector)),
        Some(_) => {
            let message = format!("`${name}` is a number or a boolean; a source takes a text or a vector");
            Err(site.error("resolve::param_type", message, &operand.span).into())
        }
        None => Err(site.unbound(name, &operand.span).into()),
    }
}

/// A weighted sum of raw vectors.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sum {
    pub(crate) vector: Vec<f64>,
    /// Where there are several terms, the largest of their absolute values for each coordinate: what cancels down to
    /// the rounding of these is no direction.
    pub(crate) largest: Option<Vec<f64>>,
    /// A text of the source that the view's embedder knows no word of: the source then has no vector, and nothing is
    /// found.
    pub(crate) unknown: Option<String>,
}

/// The raw vector of the source for each of `all_params`: the weighted sum of its terms, in f64.
///
/// All texts are embedded together. A source with a text that the embedder knows no word of has none
/// ([`Sum::unknown`]).
///
/// # Errors
/// Query errors for unbound parameters, records without a vector, text where the view takes none, and vectors of
/// another dimension; one such error fails all.
pub(crate) fn vectors(plan: &Plan, view: &ViewSnapshot, all_params: &[&Params]) -> Result<Vec<Sum>> {
    let site = Site::new(&plan.text);
    let terms = &plan.find.source.node.terms;
    let mut texts = Vec::new();
    let mut text_span = None;
    let mut given: Vec<Vec<(&Term, Given<'_>)>> = Vec::with_capacity(all_params.len());
    for params in all_params {
        let mut parts = Vec::with_capacity(terms.len());
        for term in terms {
            let part = bind(&term.operand, params, &site)?;
            if let Given::Text(text) = part {
                texts.push(text.to_string());
                text_span.get_or_insert_with(|| term.operand.span.clone());
            }
            parts.push((term, part));
        }
        given.push(parts);
    }
    let embedded = match text_span {
        Some(span) => embed(plan, view, &texts, &span)?,
        None => Vec::new(),
    };
    let mut embedded = embedded.into_iter();
    given
        .into_iter()
        .map(|parts| {
            let mut sum = Sum { largest: (parts.len() > 1).then(Vec::new), ..Sum::default() };
            for (term, part) in parts {
                match part {
                    Given::Text(text) => match embedded.next().flatten() {
                        Some(vector) => add(&mut sum, term, vector.iter().map(|&v| f64::from(v)), view, &site)?,
                        None => sum.unknown = Some(text.to_string()),
                    },
                    Given::Vector(vector) => add(&mut sum, term, vector.iter().map(|&v| f64::from(v)), view, &site)?,
                    Given::Literal(vector) => add(&mut sum, term, vector.iter().copied(), view, &site)?,
                    Given::Id(id) => {
                        let vector = record_vector(plan, view, id, &term.operand.span)?;
                        add(&mut sum, term, vector.iter().map(|&v| f64::from(v)), view, &site)?;
                    }
                }
            }
            Ok(sum)
        })
        .collect()
}

/// Adds a weighted vector to `sum`, which has the view's dimension or that of the first one.
fn add(
    sum: &mut Sum,
    term: &Term,
    vector: impl ExactSizeIterator<Item = f64>,
    view: &ViewSnapshot,
    site: &Site<'_>,
) -> Result<()> {
    let span = &term.operand.span;
    let so_far = if sum.vector.is_empty() { vector.len() } else { sum.vector.len() };
    let expected = view.def().dimension.map_or(so_far, |dimension| dimension as usize);
    if vector.len() != expected {
        let plural = if vector.len() == 1 { "" } else { "s" };
        let (found, name) = (vector.len(), &view.def().name);
        let message = format!("this vector has {found} number{plural}, view `{name}` has {expected} dimensions");
        return Err(site.error("resolve::vector_dimension", message, span).into());
    }
    sum.vector.resize(expected, 0.0);
    let mut none = Vec::new();
    let largest = sum.largest.as_mut().unwrap_or(&mut none);
    largest.resize(expected, 0.0f64);
    let mut all_finite = true;
    for ((total, largest), value) in sum.vector.iter_mut().zip(largest).zip(vector) {
        // A weight of 1 keeps the vector's own bits.
        let weighted = term.weight * value;
        *total += weighted;
        *largest = largest.max(weighted.abs());
        all_finite &= total.is_finite();
    }
    if !all_finite {
        let message = "this source leaves the range of numbers: NaN and infinite values compare with nothing";
        return Err(site.error("resolve::not_finite", message, span).into());
    }
    Ok(())
}

fn record_vector(plan: &Plan, view: &ViewSnapshot, id: &str, span: &Range<usize>) -> Result<Vec<f32>> {
    let row = row_of(plan, id, span)?;
    if let Some(vector) = view.vector(row)? {
        return Ok(vector);
    }
    let mut with_vector: Vec<&str> = Vec::new();
    for other in plan.collection.views() {
        if other.present().contains(row) {
            with_vector.push(&other.def().name);
        }
    }
    let message = format!("{} has no vector in view `{}`", print_id(id), view.def().name);
    let error = Site::new(&plan.text).error("resolve::no_vector", message, span);
    let hint = match with_vector.as_slice() {
        [] => "it has no vector in any view".to_string(),
        views => format!("views in which it has one: {}", views.join(", ")),
    };
    Err(error.hint(hint).into())
}

/// Embeds `texts` on all cores; `None` for those the embedder knows no word of.
fn embed(plan: &Plan, view: &ViewSnapshot, texts: &[String], span: &Range<usize>) -> Result<Vec<Option<Vec<f32>>>> {
    let site = Site::new(&plan.text);
    let Some(embedder) = view.embedder()? else {
        return Err(takes_no_text(plan, view, &site, span).into());
    };
    embed_texts(view, &*embedder, texts)
}

/// The error for text in a view of supplied vectors: what it takes instead.
fn takes_no_text(plan: &Plan, view: &ViewSnapshot, site: &Site<'_>, span: &Range<usize>) -> QueryError {
    let def = view.def();
    let vector = def.dimension.map_or("a vector".to_string(), |dimension| format!("a vector of {dimension} numbers"));
    let message = format!("view `{}` has no embedder: its vectors are supplied, and it takes no text", def.name);
    let error = site.error("resolve::takes_no_text", message, span).expected([
        "#id".to_string(),
        vector,
        "$param bound to a vector".to_string(),
    ]);
    let with_embedder: Vec<&str> = plan
        .collection
        .views()
        .iter()
        .filter(|view| view.def().embedder.is_some())
        .map(|view| view.def().name.as_str())
        .collect();
    match with_embedder.as_slice() {
        [] if plan.text.get(span.clone()).is_some_and(|source| source.starts_with('$')) => {
            error.hint("files of queries come with their vectors: `--query-vectors V.npy` beside `--queries`")
        }
        [] => error,
        views => error.hint(format!("views that take text: {}", views.join(", "))),
    }
}

/// The one text of an edit distance search.
///
/// # Errors
/// Query errors for an unbound parameter, a vector, an unknown id, and a record without a text in the view.
pub(crate) fn text(plan: &Plan, view: &ViewSnapshot, params: &Params) -> Result<String> {
    let site = Site::new(&plan.text);
    let Some(term) = plan.find.source.node.terms.first() else {
        return Err(Error::invalid("a source has at least one term"));
    };
    match bind(&term.operand, params, &site)? {
        Given::Text(text) => Ok(view.prepare_text(text)),
        Given::Id(id) => {
            let row = row_of(plan, id, &term.operand.span)?;
            text_of(&plan.collection, view.def(), row)?.ok_or_else(|| {
                let message = format!("{} has no text in view `{}`", print_id(id), view.def().name);
                site.error("resolve::no_text", message, &term.operand.span).into()
            })
        }
        Given::Literal(_) | Given::Vector(_) => {
            let message = "`score levenshtein` compares texts, and this is a vector";
            Err(site.error("resolve::levenshtein_source", message, &term.operand.span).into())
        }
    }
}
