//! `analyze`: what named lenses pin, brought up to date.
//!
//! Owns which statistics are behind: those of views that changed since, and those of collections that came after the
//! lens was saved. All of them are computed again at one commit and stored in one. Calibrations stay as they are.

use super::backgrounds;
use super::pin::pin_collection;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::reply::{Analysis, AnalyzedStatistic};
use crate::exec::settle::lens::flatten;
use crate::exec::settle::names::Site;
use crate::exec::settle::plan::FlatLens;
use crate::exec::settle::statistics::statistic_words;
use crate::query::ast::{LensBase, LensExpr};
use crate::store::{Snapshot, Store};
use crate::types::control::Control;
use crate::types::{CollectionDef, CollectionId, LensRecord, PinnedStatistic, Statistic, Step};
use std::collections::{HashMap, HashSet};

impl Store {
    /// Computes again what saved lenses pin, in one collection or in all, where the records have changed since, and for
    /// collections that came after the lens was saved. `control` hears of lenses done, and may stop it.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-analyze-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// use simile::{Record, Session, Store, types::Control};
    /// let store = Store::create(dir.join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// batch.commit()?;
    /// Session::new(&store).run("let plain = center corpus | score dot")?;
    /// assert_eq!(store.analyze(None, &Control::new())?.commit, None); // up to date
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n2", "The locksmith opens at nine"))?;
    /// batch.commit()?;
    /// let analysis = store.analyze(None, &Control::new())?;
    /// assert_eq!((analysis.statistics[0].records, analysis.unchanged), (2, 0));
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown collection, [`ErrorKind::ReadOnly`], [`ErrorKind::Locked`],
    /// [`ErrorKind::Cancelled`]; rows that cannot be read.
    pub fn analyze(&self, collection: Option<&str>, control: &Control) -> Result<Analysis> {
        // The batch keeps other writers out, so that what is computed here belongs to the last commit.
        let mut batch = self.begin_with(control.clone())?;
        let snapshot = self.snapshot()?;
        if let Some(name) = collection {
            snapshot.collection(name)?;
        }
        let mut analysis = Analysis::default();
        let lenses = snapshot.lenses()?;
        let total = lenses.len() as u64;
        for (done, lens) in (1..).zip(lenses) {
            if let Some(pinned) = renew(&snapshot, &lens, collection, control, &mut analysis)? {
                let old: HashSet<&PinnedStatistic> = lens.pinned.iter().collect();
                let fresh: HashSet<CollectionId> = pinned
                    .iter()
                    .map(|(place, _)| place)
                    .filter(|place| !old.contains(place))
                    .map(|p| p.collection)
                    .collect();
                batch.pin(&lens.name, pinned)?;
                let wanted = |collection| fresh.contains(&collection);
                let found = backgrounds::of_fresh(&snapshot, &lens.lens, lens.version, wanted, control)?;
                batch.put_backgrounds(&lens.name, found)?;
            }
            control.report("lenses", done, Some(total));
        }
        if !analysis.statistics.is_empty() {
            analysis.commit = Some(batch.commit()?);
        }
        Ok(analysis)
    }
}

/// All that `lens` is to pin; `None` where nothing has to be computed.
fn renew(
    snapshot: &Snapshot,
    lens: &LensRecord,
    only: Option<&str>,
    control: &Control,
    analysis: &mut Analysis,
) -> Result<Option<Vec<(PinnedStatistic, Statistic)>>> {
    if !lens.lens.steps.iter().any(Step::takes_statistics) {
        return Ok(None);
    }
    let site = Site::new("");
    let expr = LensExpr { base: LensBase::Using(lens.name.clone().into()), ..LensExpr::default() };
    let flat = flatten(snapshot, &expr, &site)?;
    let mut by_collection: HashMap<CollectionId, Vec<&PinnedStatistic>> = HashMap::new();
    for place in &lens.pinned {
        by_collection.entry(place.collection).or_default().push(place);
    }
    let mut fresh = Vec::new();
    for def in snapshot.collections().iter().filter(|def| only.is_none_or(|only| def.name == only)) {
        let old = by_collection.remove(&def.id).unwrap_or_default();
        if is_current(&flat, def, &old) {
            analysis.unchanged += old.len() as u64;
            continue;
        }
        let computed = pin_collection(snapshot, &flat, def, &site, control)?;
        for (place, _) in &computed {
            let step = lens.lens.steps.get(place.step_idx as usize);
            let before = old.iter().find(|before| before.step_idx == place.step_idx);
            analysis.statistics.push(AnalyzedStatistic {
                lens: lens.name.clone(),
                collection: def.name.clone(),
                step_idx: place.step_idx,
                what: step.and_then(statistic_words).unwrap_or_default(),
                records: place.records,
                commit: place.commit,
                before: before.map(|before| (before.commit, before.commits_behind(def, &lens.lens.view))),
            });
        }
        fresh.extend(computed);
    }
    if fresh.is_empty() {
        return Ok(None);
    }
    // What was not computed again stays as it was.
    let renewed: HashSet<_> = fresh.iter().map(|(place, _)| (place.collection, place.step_idx)).collect();
    for place in lens.pinned.iter().filter(|place| !renewed.contains(&(place.collection, place.step_idx))) {
        let Some(statistic) = snapshot.statistic(&lens.name, place.collection, place.step_idx)? else {
            let message =
                format!("the statistic that lens {} pins for step {} is missing", lens.name, place.step_idx + 1);
            return Err(Error::new(ErrorKind::Corrupt, message));
        };
        fresh.push((place.clone(), Statistic::clone(&statistic)));
    }
    Ok(Some(fresh))
}

/// Whether nothing would come out differently: every step has its statistic, of the view as it is now.
fn is_current(flat: &FlatLens, def: &CollectionDef, old: &[&PinnedStatistic]) -> bool {
    let Some(view) = def.views.iter().find(|view| view.name == flat.def.view) else { return true };
    let needed = flat.def.steps.iter().filter(|step| step.takes_statistics()).count();
    old.len() == needed && old.iter().all(|place| place.revision == view.revision)
}
