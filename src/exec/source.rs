//! What a search looks for, as numbers or as one text.
//!
//! Owns the meaning of a source: text through the view's template and embedder, `#id` as that record's vector,
//! weighted sums of raw vectors, parameters. The steps of a lens are not run here; they see only the sum.

use super::names::Site;
use super::params::{Param, Params};
use super::plan::Plan;
use super::texts::text_of;
use crate::error::{Error, QueryError, Result};
use crate::query::ast::{Operand, Spanned, Term};
use crate::query::{bounds, print_id};
use crate::store::ViewSnapshot;
use crate::text::embed::{Embedder, in_words, known_rows};
use crate::types::{RowSet, ViewKind};
use rayon::prelude::*;
use std::ops::Range;

/// Texts that one task embeds.
const TASK_TEXTS: usize = 256;

/// Rows of the records that the source names.
///
/// # Errors
/// A query error for an id that the collection does not have.
pub(crate) fn named_rows(plan: &Plan) -> Result<RowSet> {
    let mut rows = RowSet::new();
    for term in &plan.find.source.node.terms {
        if let Operand::Id(id) = &term.operand.node {
            rows.insert(row_of(plan, id, &term.operand.span)?);
        }
    }
    Ok(rows)
}

fn row_of(plan: &Plan, id: &str, span: &Range<usize>) -> Result<u32> {
    match plan.collection.row_of(id)? {
        Some(row) => Ok(row.0),
        None => {
            let message = format!("no record {} in `{}`", print_id(id), plan.collection.def().name);
            Err(Site::new(&plan.text).error("resolve::no_such_record", message, span).into())
        }
    }
}

/// A term with its parameter replaced.
enum Bound<'a> {
    Text(&'a str),
    Id(&'a str),
    Literal(&'a [f64]),
    Vector(&'a [f32]),
}

fn bind<'a>(operand: &'a Spanned<Operand>, params: &'a Params, site: &Site<'_>) -> Result<Bound<'a>> {
    let name = match &operand.node {
        Operand::Text(text) => return Ok(Bound::Text(text)),
        Operand::Id(id) => return Ok(Bound::Id(id)),
        Operand::Vector(vector) => return Ok(Bound::Literal(vector)),
        Operand::Param(name) => name,
    };
    match params.get(name) {
        Some(Param::Text(text)) => match bounds::check_text(text) {
            Ok(()) => Ok(Bound::Text(text)),
            Err(fault) => Err(site.error(fault.code, fault.message, &operand.span).into()),
        },
        Some(Param::Vector(vector)) => Ok(Bound::Vector(vector)),
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
    /// Where there are several terms, the largest of their absolute values for each coordinate: what cancels down to the
    /// rounding of these is no direction.
    pub(crate) largest: Option<Vec<f64>>,
    /// A text of the source that the view's embedder knows no word of: the source then has no vector, and nothing is
    /// found.
    pub(crate) unknown: Option<String>,
}

/// The raw vector of the source for each of `all_params`: the weighted sum of its terms, in f64.
///
/// All texts are embedded together. A source with a text that the embedder knows no word of has none ([`Sum::unknown`]).
///
/// # Errors
/// Query errors for unbound parameters, records without a vector, text where the view takes none, and vectors of
/// another dimension; one such error fails all.
pub(crate) fn vectors(plan: &Plan, view: &ViewSnapshot, all_params: &[&Params]) -> Result<Vec<Sum>> {
    let site = Site::new(&plan.text);
    let terms = &plan.find.source.node.terms;
    let mut texts = Vec::new();
    let mut text_span = None;
    let mut bound: Vec<Vec<(&Term, Bound<'_>)>> = Vec::with_capacity(all_params.len());
    for params in all_params {
        let mut parts = Vec::with_capacity(terms.len());
        for term in terms {
            let part = bind(&term.operand, params, &site)?;
            if let Bound::Text(text) = part {
                texts.push(text.to_string());
                text_span.get_or_insert_with(|| term.operand.span.clone());
            }
            parts.push((term, part));
        }
        bound.push(parts);
    }
    let embedded = match text_span {
        Some(span) => embed(plan, view, &texts, &span)?,
        None => Vec::new(),
    };
    let mut embedded = embedded.into_iter();
    bound
        .into_iter()
        .map(|parts| {
            let mut sum = Sum { largest: (parts.len() > 1).then(Vec::new), ..Sum::default() };
            for (term, part) in parts {
                match part {
                    Bound::Text(text) => match embedded.next().flatten() {
                        Some(vector) => add(&mut sum, term, vector.iter().map(|&v| f64::from(v)), view, &site)?,
                        None => sum.unknown = Some(text.to_string()),
                    },
                    Bound::Vector(vector) => add(&mut sum, term, vector.iter().map(|&v| f64::from(v)), view, &site)?,
                    Bound::Literal(vector) => add(&mut sum, term, vector.iter().copied(), view, &site)?,
                    Bound::Id(id) => {
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

/// The vectors of `texts` as `view` embeds its queries, in their order, on all cores: put into the view's template first.
/// `None` for a text that the embedder knows no word of, which has no vector.
///
/// # Errors
/// An embedder that does not fit the view, or that fails.
pub(crate) fn embed_texts(
    view: &ViewSnapshot,
    embedder: &dyn Embedder,
    texts: &[String],
) -> Result<Vec<Option<Vec<f32>>>> {
    let made = embedder.dimension();
    if let Some(dimension) = view.def().dimension
        && made != dimension as usize
    {
        return Err(Error::invalid(format!(
            "embedder {} makes {made} dimensions, view {} has {dimension}",
            embedder.name(),
            view.def().name
        )));
    }
    let is_template = matches!(view.def().kind, ViewKind::Template(_));
    let embed = |chunk: &[String]| {
        let prepared: Vec<String> = chunk.iter().map(|text| view.prepare_text(text)).collect();
        let prepared: Vec<&str> = prepared.iter().map(String::as_str).collect();
        let mut out = Vec::with_capacity(chunk.len() * made);
        embedder.embed(&prepared, &mut out)?;
        if made == 0 || out.len() != chunk.len() * made {
            return Err(Error::invalid(format!("embedder {} gave too few or too many numbers", embedder.name())));
        }
        if out.iter().any(|value| !value.is_finite()) {
            return Err(Error::invalid(format!("embedder {} gave a number that is not finite", embedder.name())));
        }
        let known = |(text, row): (&String, Option<&[f32]>)| {
            row.filter(|_| !is_template || embedder.knows(text)).map(<[f32]>::to_vec)
        };
        Ok(chunk.iter().zip(known_rows(&out, made)).map(known).collect())
    };
    if texts.len() <= TASK_TEXTS {
        return embed(texts);
    }
    let parts: Vec<Vec<Option<Vec<f32>>>> = texts.par_chunks(TASK_TEXTS).map(embed).collect::<Result<_>>()?;
    Ok(parts.concat())
}

/// What to say where a text of the source has no vector, so that nothing is found.
pub(crate) fn unknown_note(view: &ViewSnapshot, text: &str) -> String {
    const SHOWN: usize = 60;
    let name = view.def().embedder.as_deref().map_or_else(|| "the embedder".to_string(), in_words);
    if text.trim().is_empty() {
        return format!("an empty text has no vector in view `{}`: nothing is similar to it", view.def().name);
    }
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{name} knows no word of {shown:?}: it has no vector, and nothing is similar to it")
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

/// Remarks on the source that do not depend on parameters' values, but for whether one of them is a text.
pub(crate) fn notes(plan: &Plan, view: &ViewSnapshot, params: &Params) -> Vec<String> {
    let terms = &plan.find.source.node.terms;
    let mut notes = Vec::new();
    let is_text = |term: &Term| match &term.operand.node {
        Operand::Text(_) => true,
        Operand::Param(name) => matches!(params.get(name), Some(Param::Text(_))),
        Operand::Id(_) | Operand::Vector(_) => false,
    };
    if matches!(view.def().kind, ViewKind::TextFrom(_)) && terms.iter().any(is_text) {
        let verb = if plan.compares_texts() { "compared" } else { "embedded" };
        notes.push(format!("view `{}` holds rewritten texts; the query's text is {verb} as typed", view.def().name));
    }
    let weights: f64 = terms.iter().map(|term| term.weight).sum();
    if plan.centers() && (weights - 1.0).abs() > 1e-9 {
        notes.push(format!(
            "the weights sum to {}, and centering subtracts the mean once: the query is not on the records' scale",
            (weights * 1e9).round() / 1e9
        ));
    }
    notes
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
        Bound::Text(text) => Ok(view.prepare_text(text)),
        Bound::Id(id) => {
            let row = row_of(plan, id, &term.operand.span)?;
            text_of(&plan.collection, view.def(), row)?.ok_or_else(|| {
                let message = format!("{} has no text in view `{}`", print_id(id), view.def().name);
                site.error("resolve::no_text", message, &term.operand.span).into()
            })
        }
        Bound::Literal(_) | Bound::Vector(_) => {
            let message = "`score levenshtein` compares texts, and this is a vector";
            Err(site.error("resolve::levenshtein_source", message, &term.operand.span).into())
        }
    }
}
