//! Keeping the processed rows of a saved lens: what it does not pin yet is pinned, then the store writes the rows.
//!
//! Owns [`materialize`]. How the rows are written, and kept up to date by later commits, is the store's business; which
//! searches read them is `run::path`'s.

use super::backgrounds;
use super::pin::pin;
use crate::error::Result;
use crate::exec::reply::Materialized;
use crate::exec::settle::lens::{flatten, no_such_lens};
use crate::exec::settle::names::Site;
use crate::query::ast::{LensBase, LensExpr};
use crate::store::{Snapshot, Store};
use crate::types::control::Control;
use crate::types::{
    CollectionDef, CollectionId, DerivedKind, ElementType, LensRecord, Metric, PinnedStatistic, Statistic,
};
use std::collections::{HashMap, HashSet};

/// Keeps the processed rows of the saved lens `lens` as `element`, for every collection that has vectors in its view,
/// in place of those that are kept by now. Statistics that the lens does not pin yet are pinned. Later commits keep the
/// rows up to date; a redefinition of the lens drops them. `control` hears of `rows` and may cancel.
///
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// use simile::types::{Control, ElementType};
/// use simile::{Record, Session, Store, materialize};
/// let store = Store::create(folder.path().join("notes.simile"))?;
/// let mut batch = store.begin()?;
/// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
/// batch.commit()?;
/// Session::new(&store).run("let short = view raw | normalize | truncate 32 | score dot")?;
/// let done = materialize(&store, "short", ElementType::F32, Control::new())?;
/// assert_eq!((done.rows[0].rows, done.rows[0].dimension), (1, 32));
/// let answer = store.snapshot()?.query("find \"a pocket\" in notes | using short")?.run()?;
/// assert_eq!(answer.plan.path, simile::SearchPath::Materialized);
/// # Ok::<(), simile::Error>(())
/// ```
///
/// # Errors
/// [`Query`](crate::ErrorKind::Query) for an unknown lens, [`Invalid`](crate::ErrorKind::Invalid) for one without
/// vectors, [`ReadOnly`](crate::ErrorKind::ReadOnly) for a store open for reading, and what a commit answers.
pub fn materialize(store: &Store, lens: &str, element: ElementType, control: Control) -> Result<Materialized> {
    // An unknown lens is told without waiting for anybody.
    saved_lens(&store.snapshot()?, lens)?;
    // The batch keeps other writers out, so that what is computed here belongs to the last commit.
    let mut batch = store.begin_with(control.clone())?;
    let snapshot = store.snapshot()?;
    let saved = saved_lens(&snapshot, lens)?;
    let expr = LensExpr { base: LensBase::Using(lens.to_string().into()), ..LensExpr::default() };
    let added = missing(&snapshot, &saved, &expr, &control)?;
    let pins: HashSet<CollectionId> = added.iter().map(|(place, _)| place.collection).collect();
    let pinned_collections: Vec<String> =
        snapshot.collections().iter().filter(|def| pins.contains(&def.id)).map(|def| def.name.clone()).collect();
    if !added.is_empty() {
        let mut all = known(&snapshot, &saved)?;
        all.extend(added);
        batch.pin(lens, all)?;
    }
    let names = batch.materialize(lens, element)?;
    let wanted = |collection| pins.contains(&collection);
    let mut backgrounds = backgrounds::of_saved(&snapshot, &saved, &control)?;
    backgrounds.retain(|(collection, _)| !wanted(*collection));
    backgrounds.extend(backgrounds::of_fresh(&snapshot, &saved.lens, saved.version, wanted, &control)?);
    batch.put_backgrounds(lens, backgrounds)?;
    let commit = batch.commit()?;
    let snapshot = store.snapshot()?;
    let mut rows = Vec::new();
    if let Some(saved) = snapshot.lens(lens)? {
        for name in names {
            let derived = snapshot.collection(&name)?.derived_info(&saved)?;
            rows.extend(derived.into_iter().filter(|info| info.kind == DerivedKind::Rows));
        }
    }
    Ok(Materialized { lens: lens.to_string(), commit, pinned_collections, rows })
}

fn saved_lens(snapshot: &Snapshot, lens: &str) -> Result<LensRecord> {
    match snapshot.lens(lens)? {
        Some(saved) => Ok(saved),
        None => Err(no_such_lens(snapshot, &lens.to_string().into(), &Site::new(lens))?.into()),
    }
}

/// What `saved` pins by now.
fn known(snapshot: &Snapshot, saved: &LensRecord) -> Result<Vec<(PinnedStatistic, Statistic)>> {
    let mut known = Vec::with_capacity(saved.pinned.len());
    for place in &saved.pinned {
        if let Some(statistic) = snapshot.statistic(&saved.name, place.collection, place.step_idx)? {
            known.push((place.clone(), Statistic::clone(&statistic)));
        }
    }
    Ok(known)
}

/// What `saved` would have to pin, computed at this snapshot.
fn missing(
    snapshot: &Snapshot,
    saved: &LensRecord,
    expr: &LensExpr,
    control: &Control,
) -> Result<Vec<(PinnedStatistic, Statistic)>> {
    if saved.lens.metric == Metric::Levenshtein {
        return Ok(Vec::new());
    }
    let takes = saved.lens.steps.iter().filter(|step| step.takes_statistics()).count();
    let with_view =
        |def: &&CollectionDef| def.views.iter().any(|view| view.name == saved.lens.view && view.dimension.is_some());
    let mut pins: HashMap<CollectionId, usize> = HashMap::new();
    saved.pinned.iter().for_each(|place| *pins.entry(place.collection).or_default() += 1);
    let has_all = |def: &CollectionDef| pins.get(&def.id).copied().unwrap_or(0) == takes;
    if snapshot.collections().iter().filter(with_view).all(has_all) {
        return Ok(Vec::new());
    }
    let site = Site::new("");
    let flat = flatten(snapshot, expr, &site)?;
    let all = pin(snapshot, &flat, &site, control)?;
    let known: HashSet<_> = saved.pinned.iter().map(|place| (place.collection, place.step_idx)).collect();
    Ok(all.into_iter().filter(|(place, _)| !known.contains(&(place.collection, place.step_idx))).collect())
}
