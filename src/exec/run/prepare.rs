//! What a lens needs to know about the records before it can be searched, wherever it comes from.
//!
//! Owns how a settled lens becomes a [`Prepared`]: kept from an earlier search, extended from one at an earlier commit,
//! read from what writers keep, or computed. Keys name everything the scalars depend on, so that nothing stale is ever
//! found.

use super::pinned;
use super::rows::view_of;
use super::scan::Watched;
use super::source::Sum;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::settle::names::Site;
use crate::exec::settle::plan::{Plan, PlannedLens};
use crate::lens::{Chain, Known, Prepared, ProcessedQuery, RowForm, RowSource, RowSums, StoredScalars, VectorMetric};
use crate::store::{CollectionSnapshot, Snapshot, ViewSnapshot};
use crate::types::control::Control;
use crate::types::{RowSet, SegmentEntry};
use std::sync::{Arc, Weak};

/// Where a search asks for at most one in so many of the rows, it is prepared for these alone: they are processed one
/// by one in double precision, and the others in single precision block by block.
const FEW_ROWS: u64 = 8;

/// Statistics and scalars of one lens of `plan`. `None` where the view has no vectors yet.
///
/// # Errors
/// Rows or statistics that cannot be read; a set cancellation token.
pub(crate) fn prepared(
    plan: &Plan,
    lens: &PlannedLens,
    view: &ViewSnapshot,
    control: &Control,
) -> Result<Option<Arc<Prepared>>> {
    let Some(chain) = chain(plan, lens, view)? else { return Ok(None) };
    prepared_of_all(&plan.snapshot, view, lens, &chain, control).map(Some)
}

/// [`prepared`] as far as the rows of `wanted` need it.
///
/// # Errors
/// As [`prepared`].
pub(crate) fn prepared_for(
    plan: &Plan,
    lens: &PlannedLens,
    view: &ViewSnapshot,
    wanted: &RowSet,
    control: &Control,
) -> Result<Option<Arc<Prepared>>> {
    let Some(chain) = chain(plan, lens, view)? else { return Ok(None) };
    prepared_of_wanted(&plan.snapshot, view, lens, &chain, wanted, control).map(Some)
}

fn chain(plan: &Plan, lens: &PlannedLens, view: &ViewSnapshot) -> Result<Option<Chain>> {
    chain_over(view, lens).map_err(|error| {
        // Dimensions were checked where they were written; what is left is a product of matrices out of range.
        Site::new(&plan.text).error("resolve::chain", error.message(), &plan.find.source.span).into()
    })
}

/// Whether the scalars of one lens of `plan` are there already.
///
/// # Errors
/// A view that is gone, and a chain that cannot be.
pub(crate) fn is_prepared(plan: &Plan, lens: &PlannedLens) -> Result<bool> {
    let view = view_of(plan, lens)?;
    let Some(chain) = chain(plan, lens, view)? else { return Ok(false) };
    Ok(is_known(&plan.snapshot, view, lens, &chain))
}

/// The source's vector through the chain, folded.
///
/// # Errors
/// A query error where the chain leaves it without direction, and no other.
pub(crate) fn process(plan: &Plan, prepared: &Prepared, sum: &Sum) -> Result<ProcessedQuery> {
    let processed = match &sum.largest {
        Some(largest) => prepared.process_sum(&sum.vector, largest),
        None => prepared.process(&sum.vector),
    };
    processed.map_err(|error| {
        Site::new(&plan.text).error("resolve::no_direction", error.message(), &plan.find.source.span).into()
    })
}

/// The chain of `lens` over `view`; `None` where the view has no vectors yet.
///
/// # Errors
/// Dimensions that cannot be, and products of matrices out of range.
fn chain_over(view: &ViewSnapshot, lens: &PlannedLens) -> Result<Option<Chain>> {
    let Some(dimension) = view.def().dimension else { return Ok(None) };
    let metric = VectorMetric::try_from(lens.def.metric)?;
    let chain = Chain::new(lens.steps.steps.clone(), metric, dimension as usize)?;
    match &lens.steps.csls {
        Some((neighbours, sample)) => chain.with_csls(*neighbours, sample.clone()).map(Some),
        None => Ok(Some(chain)),
    }
}

/// Everything the scalars depend on: rows (view and commit), chain, and whose pinned statistics.
fn cache_key(view: &ViewSnapshot, lens: &PlannedLens, chain: &Chain) -> Vec<u8> {
    let (view_id, commit) = view.identity();
    let pinned = pinning_name(lens);
    format!("prepared {view_id} {commit} {:032x} {pinned}", chain.fingerprint()).into_bytes()
}

/// Statistics and scalars of `chain`, kept from an earlier search where there was one.
///
/// # Errors
/// Rows or statistics that cannot be read; a set cancellation token.
fn prepared_of_all(
    snapshot: &Snapshot,
    view: &ViewSnapshot,
    lens: &PlannedLens,
    chain: &Chain,
    control: &Control,
) -> Result<Arc<Prepared>> {
    let watched = Watched::new(view, control);
    let segments: Vec<SegmentEntry> = view.segments().cloned().collect();
    let latest_key = latest_key(view, lens, chain);
    let make = || -> Result<(Prepared, usize)> {
        let pinned = pinned::statistics(snapshot, lens)?;
        let sums = |form| row_sums(snapshot, view, &watched, form, &segments);
        let known = Known { pinned: &pinned, sums: Some(&sums), ..Known::default() };
        let latest = snapshot.cache().get::<Latest<Weak<Prepared>>>(&latest_key);
        let latest = latest.filter(|latest| latest.rows_stand_in(&segments)).and_then(|latest| latest.what.upgrade());
        if let Some(earlier) = latest.filter(|earlier| earlier.row_count() <= view.row_count()) {
            let known = Known { earlier: Some(&earlier), ..known };
            let prepared = Prepared::compute_known(chain, &watched, view.present(), &known)?;
            let bytes = prepared.bytes();
            return Ok((prepared, bytes));
        }
        let collection = collection_of(snapshot, view)?;
        let kept = match &collection {
            Some(collection) => scalars(snapshot, collection, lens)?,
            None => None,
        };
        let stored = kept.map(|kept| StoredScalars { rows: kept, known: kept.present() });
        let prepared = Prepared::compute_known(chain, &watched, view.present(), &Known { stored, ..known })
            .map_err(|error| advise(error, lens, kept))?;
        let bytes = prepared.bytes();
        Ok((prepared, bytes))
    };
    let key = cache_key(view, lens, chain);
    if let Some(known) = snapshot.cache().get(&key) {
        return Ok(known);
    }
    let prepared = snapshot.install(|| snapshot.cache().get_or_insert_with(&key, make))?;
    // It does not keep the other from being forgotten.
    // The memory of its parts goes with it, its own place only with the last that knows of it.
    Latest { what: Arc::downgrade(&prepared), segments }.keep(snapshot, &latest_key, size_of::<Prepared>());
    Ok(prepared)
}

/// [`prepared_of_all`] as far as the rows of `wanted` need it: where nothing is known of the lens yet and they are few,
/// the scalars of the others are not computed. What is shown of them is the same, bit for bit.
///
/// # Errors
/// As [`prepared_of_all`].
fn prepared_of_wanted(
    snapshot: &Snapshot,
    view: &ViewSnapshot,
    lens: &PlannedLens,
    chain: &Chain,
    wanted: &RowSet,
    control: &Control,
) -> Result<Arc<Prepared>> {
    let few = |rows: &RowSet| rows.len() * FEW_ROWS <= view.present().len();
    let all = || prepared_of_all(snapshot, view, lens, chain, control);
    if !few(wanted) || is_known(snapshot, view, lens, chain) {
        return all();
    }
    let segments: Vec<SegmentEntry> = view.segments().cloned().collect();
    let latest = snapshot.cache().get::<Latest<Weak<Prepared>>>(&latest_key(view, lens, chain));
    if latest.is_some_and(|latest| latest.rows_stand_in(&segments) && latest.what.strong_count() > 0) {
        return all();
    }
    let key = [&b"some of "[..], &cache_key(view, lens, chain)[..]].concat();
    let earlier = snapshot.cache().get::<Prepared>(&key);
    let before = earlier.as_ref().map(|earlier| earlier.directed().or(earlier.undirected())).unwrap_or_default();
    let rows = wanted.and(view.present()).or(&before);
    if let Some(earlier) = earlier.as_ref().filter(|_| rows.len() == before.len()) {
        return Ok(Arc::clone(earlier));
    }
    // Filter by filter it comes to more than a pass over all of them.
    if !few(&rows) {
        return all();
    }
    let watched = Watched::new(view, control);
    let make = || -> Result<Prepared> {
        let pinned = match &earlier {
            Some(earlier) => earlier.statistics().to_vec(),
            None => pinned::statistics(snapshot, lens)?,
        };
        let sums = |form| row_sums(snapshot, view, &watched, form, &segments);
        let collection = collection_of(snapshot, view)?;
        let kept = match &collection {
            Some(collection) => scalars(snapshot, collection, lens)?,
            None => None,
        };
        let stored = kept.map(|kept| StoredScalars { rows: kept, known: kept.present() });
        let known =
            Known { pinned: &pinned, stored, earlier: earlier.as_deref(), sums: Some(&sums), only: Some(&rows) };
        Prepared::compute_known(chain, &watched, view.present(), &known).map_err(|error| advise(error, lens, kept))
    };
    let prepared = Arc::new(snapshot.install(make)?);
    snapshot.cache().insert(&key, Arc::clone(&prepared), prepared.bytes());
    Ok(prepared)
}

/// The sums of the rows of `view`, of which those are made anew that have changed since they were asked for last.
fn row_sums(
    snapshot: &Snapshot,
    view: &ViewSnapshot,
    watched: &Watched<'_>,
    form: RowForm,
    segments: &[SegmentEntry],
) -> Result<Arc<RowSums>> {
    let key = format!("sums {} {form:?}", view.identity().0).into_bytes();
    let latest = snapshot.cache().get::<Latest<Arc<RowSums>>>(&key).filter(|latest| latest.rows_stand_in(segments));
    let earlier = latest.as_ref().map(|latest| &*latest.what);
    let sums = Arc::new(RowSums::of(watched, view.present(), form, earlier)?);
    Latest { what: Arc::clone(&sums), segments: segments.to_vec() }.keep(snapshot, &key, sums.bytes());
    Ok(sums)
}

/// What was computed last of a lens or a view, and the files its rows were in.
struct Latest<T> {
    what: T,
    segments: Vec<SegmentEntry>,
}

impl<T: Send + Sync + 'static> Latest<T> {
    /// Keeps it in the place of what was kept before; `bytes` is what it holds besides itself.
    fn keep(self, snapshot: &Snapshot, key: &[u8], bytes: usize) {
        let bytes = bytes + self.segments.len() * size_of::<SegmentEntry>();
        snapshot.cache().insert(key, Arc::new(self), bytes);
    }

    /// Whether its rows are what they were, and under the same numbers: rows that are written anew come in new files.
    fn rows_stand_in(&self, segments: &[SegmentEntry]) -> bool {
        self.segments.len() <= segments.len()
            && self
                .segments
                .iter()
                .zip(segments)
                .all(|(old, new)| (old.id, old.first_row) == (new.id, new.first_row) && old.rows <= new.rows)
    }
}

/// What [`Latest`] is kept under: all that is in [`cache_key`] but the commit.
fn latest_key(view: &ViewSnapshot, lens: &PlannedLens, chain: &Chain) -> Vec<u8> {
    format!("latest {} {:032x} {}", view.identity().0, chain.fingerprint(), pinning_name(lens)).into_bytes()
}

/// The saved lens whose statistics are used; nothing where they are this commit's.
fn pinning_name(lens: &PlannedLens) -> &str {
    match (&lens.saved_name, &lens.pinning) {
        (Some(name), Some(pinning)) if !pinning.statistics.is_empty() => name,
        _ => "",
    }
}

/// Whether [`prepared_of_all`] has nothing left to compute.
fn is_known(snapshot: &Snapshot, view: &ViewSnapshot, lens: &PlannedLens, chain: &Chain) -> bool {
    snapshot.cache().get::<Prepared>(&cache_key(view, lens, chain)).is_some()
}

/// The collection that `view` is of.
fn collection_of(snapshot: &Snapshot, view: &ViewSnapshot) -> Result<Option<Arc<CollectionSnapshot>>> {
    let id = view.def().id;
    let def = snapshot.collections().iter().find(|def| def.views.iter().any(|view| view.id == id));
    def.map(|def| snapshot.collection(&def.name)).transpose()
}

/// The scalars that are kept of the saved lens, where `lens` is that lens and nothing more.
fn scalars<'a>(
    snapshot: &Snapshot,
    collection: &'a CollectionSnapshot,
    lens: &PlannedLens,
) -> Result<Option<&'a ViewSnapshot>> {
    let Some(name) = &lens.saved_name else { return Ok(None) };
    match snapshot.lens(name)? {
        Some(saved) if saved.lens == lens.def => collection.scalars(&saved),
        _ => Ok(None),
    }
}

/// Damage of kept scalars with what helps against it.
fn advise(error: Error, lens: &PlannedLens, kept: Option<&ViewSnapshot>) -> Error {
    let name = lens.saved_name.as_deref().unwrap_or("");
    match kept {
        Some(kept) if error.kind() == ErrorKind::Corrupt && kept.is_in(&error) => error
            .context(format!("kept scalars of lens {name} (saving the lens again, or `analyze`, writes them anew)")),
        _ => error,
    }
}
