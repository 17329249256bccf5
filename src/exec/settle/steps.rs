//! The steps of a chain with everything they name: projections and samples fetched, dimensions checked.
//!
//! Owns the errors of dimensions that cannot be, of projections that are not there and of `csls` that cannot be, at the
//! place they were written. Statistics of the records are not its business.

use super::names::Site;
use super::plan::{FlatLens, Steps};
use super::sample::{Sample, sample};
use crate::error::{QueryError, Result};
use crate::exec::reply::{ProjectionHeader, SampleHeader};
use crate::lens::{Projection, ResolvedStep};
use crate::store::{Snapshot, ViewSnapshot};
use crate::types::{CollectionDef, Metric, ProjectionDef, ProjectionRef, Step, ViewKind};
use std::ops::Range;
use std::sync::Arc;

/// Checks the chain's dimensions in `view` and fetches its projections and samples.
///
/// A view that has no vector yet has no dimension (and before its collection is there, it is `None`); then the chain's
/// is known from its first projection on.
///
/// # Errors
/// A query error for what is missing and for dimensions that cannot be.
pub(crate) fn steps(
    snapshot: &Snapshot,
    flat: &FlatLens,
    view: Option<&ViewSnapshot>,
    site: &Site<'_>,
) -> Result<Steps> {
    let mut resolved = Steps::default();
    let mut dimension = view.and_then(|view| view.def().dimension).map(|dimension| dimension as usize);
    for (step, span) in flat.def.steps.iter().zip(&flat.spans) {
        let step = match step {
            Step::Center => ResolvedStep::Center,
            Step::CenterCorpus => ResolvedStep::CenterCorpus,
            Step::Normalize => ResolvedStep::Normalize,
            Step::Standardize => ResolvedStep::Standardize,
            Step::CenterSides(name) => {
                let sample = sample(snapshot, name, view, &word_of(name, span, site), site)?;
                resolved.uses(&sample);
                ResolvedStep::CenterSides(sample.rows.clone())
            }
            Step::Whiten(k) => {
                let k = k.map(|k| k as usize);
                if let Some(k) = k {
                    keeps_some_of("whiten", k, dimension, span, site)?;
                }
                dimension = k.or(dimension);
                ResolvedStep::Whiten(k)
            }
            Step::Drop(k) => {
                let k = *k as usize;
                drop_fits(k, dimension, span, site)?;
                ResolvedStep::Drop(k)
            }
            Step::Truncate(k) => {
                let k = *k as usize;
                keeps_some_of("truncate", k, dimension, span, site)?;
                dimension = Some(k);
                ResolvedStep::Truncate(k)
            }
            Step::Project(reference) => {
                let projection = projection(snapshot, reference, span, site)?;
                fitted_here(snapshot, reference, view, span, site)?;
                let header = projection_fits(&projection, dimension, span, site)?;
                dimension = Some(header.to);
                resolved.projections.push(header);
                ResolvedStep::Project(Projection::clone(&projection))
            }
        };
        resolved.steps.push(step);
    }
    if let Some((neighbours, name)) = &flat.def.csls {
        let span = &flat.csls_span;
        csls_fits(*neighbours, flat.def.metric, span, site)?;
        let sample = sample(snapshot, name, view, &word_of(name, span, site), site)?;
        enough_queries(*neighbours, &sample.header, span, site)?;
        resolved.uses(&sample);
        resolved.csls = Some((*neighbours as usize, sample.rows.clone()));
    }
    Ok(resolved)
}

impl Steps {
    fn uses(&mut self, sample: &Sample) {
        if self.samples.iter().all(|known| known.name != sample.header.name) {
            self.samples.push(sample.header.clone());
        }
    }
}

/// `csls` corrects a similarity.
pub(crate) fn csls_fits(neighbours: u32, metric: Metric, span: &Range<usize>, site: &Site<'_>) -> Result<()> {
    if metric.is_distance() {
        let message = format!("`csls` corrects a similarity, and `score {}` is a distance", metric.as_str());
        let error = site.error("resolve::csls_metric", message, span);
        return Err(error.expected(["score cosine", "score dot", "score pearson"]).into());
    }
    if neighbours == 0 {
        let message = "`csls 0` takes the mean of nothing: it needs at least 1 neighbour";
        return Err(site.error("resolve::csls_neighbours", message, span).into());
    }
    Ok(())
}

fn enough_queries(neighbours: u32, sample: &SampleHeader, span: &Range<usize>, site: &Site<'_>) -> Result<()> {
    if u64::from(neighbours) <= sample.queries {
        return Ok(());
    }
    let plural = if sample.queries == 1 { "query" } else { "queries" };
    let message = format!(
        "`csls {neighbours}` takes at least {neighbours} queries; sample `{}` has {} {plural}",
        sample.name, sample.queries
    );
    Err(site.error("resolve::csls_neighbours", message, span).into())
}

fn drop_fits(k: usize, dimension: Option<usize>, span: &Range<usize>, site: &Site<'_>) -> Result<()> {
    let message = match dimension {
        _ if k == 0 => "`drop 0` removes nothing: it takes at least 1 direction".to_string(),
        Some(dimension) if k >= dimension => {
            format!("`drop {k}` leaves nothing: the vectors here have {dimension} dimensions")
        }
        _ => return Ok(()),
    };
    Err(site.error("resolve::dimension", message, span).into())
}

/// The place of `name` within `span`, which covers the stage that says it.
fn word_of(name: &str, span: &Range<usize>, site: &Site<'_>) -> Range<usize> {
    let written = site.text().get(span.clone()).unwrap_or("");
    written.rfind(name).map_or_else(|| span.clone(), |at| span.start + at..span.start + at + name.len())
}

/// `truncate K`, `whiten K`: at least one dimension, and no more than there are.
fn keeps_some_of(word: &str, k: usize, dimension: Option<usize>, span: &Range<usize>, site: &Site<'_>) -> Result<()> {
    let message = match dimension {
        _ if k == 0 => format!("`{word} 0` leaves nothing"),
        Some(dimension) if k > dimension => format!("`{word} {k}`: the vectors here have {dimension} dimensions"),
        _ => return Ok(()),
    };
    Err(site.error("resolve::dimension", message, span).into())
}

fn projection_fits(
    projection: &Projection,
    dimension: Option<usize>,
    span: &Range<usize>,
    site: &Site<'_>,
) -> Result<ProjectionHeader> {
    for side in [projection.query(), projection.record()] {
        if let Some(dimension) = dimension
            && side.columns() != dimension
        {
            let message = format!(
                "projection `{}` takes {} dimensions, the vectors here have {dimension}",
                projection.name(),
                side.columns()
            );
            return Err(site.error("resolve::dimension", message, span).into());
        }
    }
    let (from, to) = (projection.query().columns(), projection.query().rows());
    Ok(ProjectionHeader { name: projection.name().to_string(), from, to })
}

/// A matrix that was fitted on vectors means nothing over others: of another collection, view, embedder or template.
fn fitted_here(
    snapshot: &Snapshot,
    reference: &ProjectionRef,
    view: Option<&ViewSnapshot>,
    span: &Range<usize>,
    site: &Site<'_>,
) -> Result<()> {
    let names: &[&String] = match reference {
        ProjectionRef::One(name) => &[name],
        ProjectionRef::Pair(query, record) => &[query, record],
    };
    for name in names {
        let Some(def) = snapshot.projection(name)? else { continue };
        let (Some(fitted), Some(view)) = (&def.fitted_on, view.map(ViewSnapshot::def)) else { continue };
        let holds = |def: &&CollectionDef| def.views.iter().any(|other| other.id == view.id);
        let collection = snapshot.collections().iter().find(holds).map_or("", |def| def.name.as_str());
        let template = if let ViewKind::Template(template) = &view.kind { Some(template) } else { None };
        let said = |what: Option<&String>| what.map_or("none".to_string(), |what| format!("`{what}`"));
        let differs = [
            ("collection", format!("`{}`", fitted.collection), format!("`{collection}`")),
            ("view", format!("`{}`", fitted.view), format!("`{}`", view.name)),
            ("embedder", said(fitted.embedder.as_ref()), said(view.embedder.as_ref())),
            ("template", said(fitted.template.as_ref()), said(template)),
        ];
        let differs: Vec<String> = differs
            .into_iter()
            .filter(|(_, then, now)| then != now)
            .map(|(what, then, now)| format!("{what} {then}, here {now}"))
            .collect();
        if !differs.is_empty() {
            let message = format!("projection `{name}` was fitted on other vectors: {}", differs.join("; "));
            let error = site.error("resolve::fitted_elsewhere", message, span);
            return Err(error.hint("a learned matrix means nothing over other vectors: learn one for these").into());
        }
    }
    Ok(())
}

/// A projection by name; its matrices are decoded once for each commit.
fn projection(
    snapshot: &Snapshot,
    reference: &ProjectionRef,
    span: &Range<usize>,
    site: &Site<'_>,
) -> Result<Arc<Projection>> {
    let key = format!("projection {} {reference:?}", snapshot.commit()).into_bytes();
    if let Some(projection) = snapshot.cache().get::<Projection>(&key) {
        return Ok(projection);
    }
    let def = |name: &str| -> Result<Arc<ProjectionDef>> {
        match snapshot.projection(name)? {
            Some(def) => Ok(def),
            None => Err(no_such_projection(snapshot, name, span, site)?.into()),
        }
    };
    let projection = match reference {
        ProjectionRef::One(name) => Projection::from_def(&*def(name)?)?,
        ProjectionRef::Pair(query, record) => {
            let (query, record) = (def(query)?, def(record)?);
            // What does not fit together is said where it was written.
            Projection::pair(&query, &record)
                .map_err(|error| site.error("resolve::projection_pair", error.message(), span))?
        }
    };
    let bytes = projection.heap_bytes();
    let projection = Arc::new(projection);
    snapshot.cache().insert(&key, Arc::clone(&projection), bytes);
    Ok(projection)
}

fn no_such_projection(snapshot: &Snapshot, name: &str, span: &Range<usize>, site: &Site<'_>) -> Result<QueryError> {
    let all = snapshot.projection_heads()?;
    let word = word_of(name, span, site);
    let message = format!("no projection of the name `{name}` in this store");
    let names = all.keys().map(String::as_str);
    let error = site.no_such("resolve::no_such_projection", "projection", &message, &word, name, names);
    // A word that is the whole span was not found in it: there is nothing to respell.
    Ok(if word == *span { QueryError { corrected: None, ..error } } else { error })
}
