//! Which rows a search reads: the raw ones with every step folded into the query, or the processed ones that are kept
//! of its lens.
//!
//! Owns the choice and its reason, which `explain` shows. Answers do not depend on it: either way the finalists are
//! scored from the raw rows.

use super::rows::view_of;
use super::scan::{ScanResult, StandIn, Watched, scan, scan_batch, scan_stand_in};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::reply::SearchPath;
use crate::exec::settle::plan::{Plan, PlannedLens};
use crate::lens::{Chain, Prepared, ProcessedQuery, RowSource};
use crate::store::ViewSnapshot;
use crate::types::RowSet;
use crate::types::control::Control;
use std::sync::Arc;

/// Rows that are scored in full for want of a kept one: at most one in so many, and a few always.
const UNKEPT_SHARE: u64 = 64;
const UNKEPT_ROWS: u64 = 1_000;

/// What a search reads.
#[derive(Debug, Clone)]
pub(crate) enum Path<'a> {
    /// The raw rows; why not the kept ones, where there are any.
    Folded(Option<String>),
    /// The processed rows kept of the saved lens.
    Materialized(&'a ViewSnapshot),
}

impl Path<'_> {
    /// As an answer has it.
    pub(crate) fn shown(&self) -> SearchPath {
        match self {
            Path::Folded(_) => SearchPath::Scan,
            Path::Materialized(_) => SearchPath::Materialized,
        }
    }
}

/// What one lens of `plan` would best read, by what is kept and how large it is.
///
/// # Errors
/// Where the catalog cannot be read.
pub(crate) fn choose<'a>(plan: &'a Plan, lens: &PlannedLens, view: &ViewSnapshot) -> Result<Path<'a>> {
    let Some(name) = &lens.saved_name else { return Ok(Path::Folded(None)) };
    let Some(saved) = plan.snapshot.lens(name)? else { return Ok(Path::Folded(None)) };
    let Some(kept) = plan.collection.materialized(&saved)? else { return Ok(Path::Folded(None)) };
    let because = |why: &str| Ok(Path::Folded(Some(not_kept(lens, why))));
    if lens.def.steps != saved.lens.steps || lens.def.view != saved.lens.view {
        return because("steps follow it");
    }
    if lens.def.csls.is_some() {
        return because("csls is not computed from them");
    }
    if kept.row_bytes() >= view.row_bytes() {
        return because("they are not smaller than the raw ones");
    }
    Ok(Path::Materialized(kept))
}

/// What the scan for some queries found, and by which path.
///
/// # Errors
/// Rows that cannot be read.
pub(crate) fn scan_by_path(
    plan: &Plan,
    lens: &PlannedLens,
    prepared: &Prepared,
    queries: &[ProcessedQuery],
    allowed: &RowSet,
    wanted: (usize, Option<f64>),
    control: &Control,
) -> Result<(Vec<ScanResult>, SearchPath)> {
    let (k, bound) = wanted;
    let view = view_of(plan, lens)?;
    let path = choose(plan, lens, view)?;
    let view = &Watched::new(view, control);
    if let Path::Materialized(kept) = path
        && !allowed.is_empty()
        && let Some(over) = over_kept(plan, lens, kept, prepared, control)?
    {
        let source = &Watched::new(kept, control);
        let rows = StandIn { source, prepared: &over, element: kept.def().element };
        let found = scan_stand_in(view, prepared, rows, queries, allowed, k, bound);
        return Ok((found.map_err(|error| advise(error, lens, kept))?, path.shown()));
    }
    let found = match queries {
        [query] => vec![scan(view, prepared, query, allowed, k, bound)?],
        many => scan_batch(view, prepared, many, allowed, k, bound)?,
    };
    // Of no rows it makes no difference.
    Ok((found, if allowed.is_empty() { path.shown() } else { SearchPath::Scan }))
}

/// What each lens of a blend, settled over its view, would best read: kept rows where all lenses of the view have some
/// and together these are smaller than the raw ones.
///
/// # Errors
/// Where the catalog cannot be read.
pub(crate) fn choose_all<'a>(plan: &'a Plan, lenses: &[(&PlannedLens, &ViewSnapshot)]) -> Result<Vec<Path<'a>>> {
    let paths: Vec<Path<'a>> = lenses.iter().map(|(lens, view)| choose(plan, lens, view)).collect::<Result<_>>()?;
    let against = |view: &ViewSnapshot| {
        let of_view = lenses.iter().zip(&paths).filter(|((_, other), _)| other.def().id == view.def().id);
        let bytes: Option<u64> = of_view
            .map(|(_, path)| if let Path::Materialized(kept) = path { Some(kept.row_bytes()) } else { None })
            .sum();
        match bytes {
            None => Some(format!("the raw rows of view {} are read for another lens", view.def().name)),
            Some(bytes) if bytes >= view.row_bytes() => {
                Some("together they are not smaller than the raw ones".to_string())
            }
            Some(_) => None,
        }
    };
    let against: Vec<Option<String>> = lenses.iter().map(|(_, view)| against(view)).collect();
    let settled =
        paths.into_iter().zip(lenses).zip(against).map(|((path, (lens, _)), against)| match (path, against) {
            (Path::Materialized(_), Some(why)) => Path::Folded(Some(not_kept(lens, &why))),
            (path, _) => path,
        });
    Ok(settled.collect())
}

/// Why a search does not read the rows that are kept of `lens`.
fn not_kept(lens: &PlannedLens, why: &str) -> String {
    format!("not the materialized rows of {}: {why}", lens.saved_name.as_deref().unwrap_or("the lens"))
}

/// The lens without steps over the kept rows, with the metric of the search; `None` where they cannot speak for enough
/// rows.
///
/// # Errors
/// Kept rows that cannot be read.
pub(crate) fn over_kept(
    plan: &Plan,
    lens: &PlannedLens,
    kept: &ViewSnapshot,
    prepared: &Prepared,
    control: &Control,
) -> Result<Option<Arc<Prepared>>> {
    let chain = Chain::new(Vec::new(), prepared.chain().metric(), kept.dimension())?;
    let (id, commit) = kept.identity();
    let key = format!("prepared {id} {commit} {:032x} ", chain.fingerprint()).into_bytes();
    let make = || {
        let watched = Watched::new(kept, control);
        let prepared = plan.snapshot.install(|| Prepared::compute(&chain, &watched, kept.present()))?;
        let bytes = prepared.bytes();
        Ok((prepared, bytes))
    };
    let over = plan.snapshot.cache().get_or_insert_with(&key, make).map_err(|error| advise(error, lens, kept))?;
    let rows = StandIn { source: kept, prepared: &over, element: kept.def().element };
    let unkept = prepared.directed().len() - rows.speaks_for(prepared.directed()).len();
    Ok((unkept <= UNKEPT_ROWS.max(prepared.directed().len() / UNKEPT_SHARE)).then_some(over))
}

/// Damage of kept rows with what helps against it.
pub(crate) fn advise(error: Error, lens: &PlannedLens, kept: &ViewSnapshot) -> Error {
    let name = lens.saved_name.as_deref().unwrap_or("");
    if error.kind() == ErrorKind::Corrupt && kept.is_in(&error) {
        return error
            .context(format!("materialized rows of lens {name} (`simile materialize STORE {name}` writes them anew)"));
    }
    error
}
