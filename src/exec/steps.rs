//! The steps of a chain with everything they name: projections fetched, dimensions checked.
//!
//! Owns the errors of dimensions that cannot be and of projections that are not there, at the place they were
//! written. Statistics of the records are not its business.

use super::answer::ProjectionHeader;
use super::names::Site;
use super::resolve::FlatLens;
use crate::error::{QueryError, Result};
use crate::lens::{Projection, ResolvedStep};
use crate::query::print_step;
use crate::store::Snapshot;
use crate::types::{ProjectionDef, ProjectionRef, Step};
use std::ops::Range;
use std::sync::Arc;

/// A chain with its projections fetched and its dimensions checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    pub(crate) steps: Vec<ResolvedStep>,
    pub(crate) projections: Vec<ProjectionHeader>,
}

/// Checks the chain's dimensions from `dimension` on and fetches its projections.
///
/// A view that has no vector yet has no dimension; then the chain's is known from its first projection on.
///
/// # Errors
/// A query error for a missing projection and for dimensions that cannot be.
pub(crate) fn steps(snapshot: &Snapshot, flat: &FlatLens, dimension: Option<u32>, site: &Site<'_>) -> Result<Steps> {
    let mut resolved = Steps::default();
    let mut dimension = dimension.map(|dimension| dimension as usize);
    for (step, span) in flat.def.steps.iter().zip(&flat.spans) {
        let step = match step {
            Step::Center => ResolvedStep::Center,
            Step::CenterCorpus => ResolvedStep::CenterCorpus,
            Step::Normalize => ResolvedStep::Normalize,
            Step::Truncate(k) => {
                let k = *k as usize;
                truncate_fits(k, dimension, span, site)?;
                dimension = Some(k);
                ResolvedStep::Truncate(k)
            }
            Step::Project(reference) => {
                let projection = projection(snapshot, reference, span, site)?;
                let header = projection_fits(&projection, dimension, span, site)?;
                dimension = Some(header.to);
                resolved.projections.push(header);
                ResolvedStep::Project(Projection::clone(&projection))
            }
            Step::CenterSides(_) | Step::Standardize | Step::Whiten(_) | Step::Drop(_) => {
                return Err(site.not_yet(&format!("`{}`", print_step(step)), span).into());
            }
        };
        resolved.steps.push(step);
    }
    Ok(resolved)
}

fn truncate_fits(k: usize, dimension: Option<usize>, span: &Range<usize>, site: &Site<'_>) -> Result<()> {
    let message = match dimension {
        _ if k == 0 => "`truncate 0` leaves nothing".to_string(),
        Some(dimension) if k > dimension => format!("`truncate {k}`: the vectors here have {dimension} dimensions"),
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
    let bytes = 4 * 2 * projection.query().rows() * projection.query().columns() + 256;
    let projection = Arc::new(projection);
    snapshot.cache().insert(&key, Arc::clone(&projection), bytes);
    Ok(projection)
}

fn no_such_projection(snapshot: &Snapshot, name: &str, span: &Range<usize>, site: &Site<'_>) -> Result<QueryError> {
    let all = snapshot.projections()?;
    // The step's span covers `project` and both names; what is wrong is one word of it.
    let written = site.text().get(span.clone()).unwrap_or("");
    let word = written.rfind(name).map_or_else(|| span.clone(), |at| span.start + at..span.start + at + name.len());
    let message = format!("no projection of the name `{name}` in this store");
    let names = all.iter().map(|def| def.name.as_str());
    let error = site.no_such("resolve::no_such_projection", "projection", &message, &word, name, names);
    // A word that is the whole span was not found in it: there is nothing to respell.
    Ok(if word == *span { QueryError { corrected: None, ..error } } else { error })
}
