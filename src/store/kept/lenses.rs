//! What lenses are made of, in a batch and in a snapshot: projections, saved lenses with what they pin, calibrations.
//! Samples of queries are in `samples`.
//!
//! Owns how these depend on each other: redefining or dropping a lens drops its statistics, its calibration and what is
//! derived from it, new statistics make the derived rows be written anew, and what a saved lens uses cannot change
//! under it. What any of it means is decided above.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::query;
use crate::store::kept::fit::check_pinned;
use crate::store::kept::heads;
use crate::store::read::snapshot::Snapshot;
use crate::store::write::batch::Batch;
use crate::store::write::validate::check_name;
use crate::types::{
    Calibration, CalibrationMap, CollectionId, CommitNumber, LensDef, LensRecord, PinnedStatistic, ProjectionDef,
    ProjectionRef, Statistic, Step, limits,
};
use std::sync::Arc;

impl Batch {
    /// Stores a projection, replacing one of the same name that no saved lens uses.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a wrong shape, for numbers that are not finite, and for a replacement that would
    /// change the meaning of a saved lens (whose pinned statistics belong to the matrix it was saved with),
    /// [`ErrorKind::Limit`] for a matrix that is too large.
    pub fn put_projection(&mut self, def: ProjectionDef) -> Result<()> {
        check_projection(&def)?;
        self.refuse_change_under_lenses(&def)?;
        let result = heads::PROJECTIONS.put(self.tx()?, &def.name, &def);
        self.changed = true;
        self.note(result)
    }

    fn refuse_change_under_lenses(&self, def: &ProjectionDef) -> Result<()> {
        let tx = self.tx()?;
        let old = tx.get(&tables::PROJECTIONS, &def.name)?;
        if old.is_none_or(|old| old == *def) {
            return Ok(());
        }
        let lenses = tx.range(&tables::LENSES, ..)?;
        match lenses.iter().find(|(_, record)| uses_projection(&record.lens, &def.name)) {
            None => Ok(()),
            Some((lens, _)) => Err(Error::invalid(format!(
                "projection {} is part of the saved lens {lens}: drop the lens first, or store the matrix under \
                 another name",
                def.name
            ))),
        }
    }

    /// Forgets a projection; false where there was none.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a projection that a saved lens uses.
    pub fn drop_projection(&mut self, name: &str) -> Result<bool> {
        let lenses = self.tx()?.range(&tables::LENSES, ..)?;
        if let Some((lens, _)) = lenses.iter().find(|(_, record)| uses_projection(&record.lens, name)) {
            let message = format!("projection {name} is part of the saved lens {lens}: drop the lens first");
            return Err(Error::invalid(message));
        }
        let result = heads::PROJECTIONS.remove(self.tx()?, name);
        let removed = self.note(result)?;
        self.changed |= removed;
        Ok(removed)
    }

    /// Saves a lens under a name, with what it pins; a redefinition gets the next version, and loses the calibration
    /// of the one before.
    ///
    /// # Errors
    /// What `let` refuses: [`ErrorKind::Invalid`] for a name the query language could not say, for numbers and
    /// dimensions that cannot be, and for statistics that are not the lens's; [`ErrorKind::NotFound`] for a view,
    /// projection or sample that is not there; [`ErrorKind::Limit`] for a statistic that is too large to be kept.
    pub fn put_lens(
        &mut self,
        name: &str,
        lens: LensDef,
        pinned: Vec<(PinnedStatistic, Statistic)>,
    ) -> Result<LensRecord> {
        check_name("lens", name)?;
        self.check_lens(name, &lens)?;
        check_pinned(name, &lens, &pinned)?;
        let commit = self.next_commit();
        let old = self.tx()?.get(&tables::LENSES, &name.to_string())?;
        let result = old.as_ref().map_or(Ok(()), |old| self.forget_what_hangs_on(old));
        self.note(result)?;
        let version = crate::store::names::counted_up(old.map_or(0, |old| old.version))?;
        let record = LensRecord { name: name.to_string(), lens, version, commit, pinned: Vec::new() };
        let result = self.write_lens(record, pinned).and_then(|record| {
            self.keep_scalars(&record)?;
            Ok(record)
        });
        self.note(result)
    }

    /// Replaces what a saved lens pins; its version and its calibration stay, and what is kept derived from it is
    /// written anew by the commit.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown lens, [`ErrorKind::Limit`] for a statistic that is too large to be kept.
    pub fn pin(&mut self, name: &str, pinned: Vec<(PinnedStatistic, Statistic)>) -> Result<LensRecord> {
        let Some(record) = self.tx()?.get(&tables::LENSES, &name.to_string())? else {
            return Err(self.no_such_lens(name)?);
        };
        let result = self.forget_statistics(&record).and_then(|()| {
            let record = self.write_lens(record, pinned)?;
            self.renew_derived(&record)?;
            self.keep_scalars(&record)?;
            Ok(record)
        });
        self.note(result)
    }

    /// Writes a lens as it is, version and all, with what it pins, and begins its scalars.
    pub(in crate::store) fn keep_lens(
        &mut self,
        record: LensRecord,
        pinned: Vec<(PinnedStatistic, Statistic)>,
    ) -> Result<LensRecord> {
        let record = self.write_lens(record, pinned)?;
        self.keep_scalars(&record)?;
        Ok(record)
    }

    fn write_lens(&mut self, mut record: LensRecord, pinned: Vec<(PinnedStatistic, Statistic)>) -> Result<LensRecord> {
        self.changed = true;
        let tx = self.tx()?;
        for (place, statistic) in &pinned {
            tx.put(&tables::STATISTICS, &(place.collection, record.name.clone(), place.step_idx), statistic)?;
        }
        record.pinned = pinned.into_iter().map(|(place, _)| place).collect();
        tx.put(&tables::LENSES, &record.name, &record)?;
        Ok(record)
    }

    /// Forgets a lens; false where there was none.
    ///
    /// # Errors
    /// Only where the catalog cannot be written.
    pub fn drop_lens(&mut self, name: &str) -> Result<bool> {
        let Some(old) = self.tx()?.get(&tables::LENSES, &name.to_string())? else { return Ok(false) };
        let removed =
            self.forget_what_hangs_on(&old).and_then(|()| self.tx()?.remove(&tables::LENSES, &name.to_string()));
        self.changed = true;
        self.note(removed)
    }

    fn forget_what_hangs_on(&mut self, old: &LensRecord) -> Result<()> {
        self.forget_statistics(old)?;
        self.drop_derived(&old.name, |_| true)?;
        self.tx()?.remove(&tables::CALIBRATIONS, &old.name)?;
        self.forget_backgrounds(&old.name)?;
        Ok(())
    }

    fn forget_statistics(&mut self, old: &LensRecord) -> Result<()> {
        for place in &old.pinned {
            self.tx()?.remove(&tables::STATISTICS, &(place.collection, old.name.clone(), place.step_idx))?;
        }
        Ok(())
    }

    /// Gives a saved lens a calibration, in place of the one it may have. Its version and commit are filled in here.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-calibration-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// use simile::types::Calibration;
    /// use simile::{Record, Session, Store};
    /// let store = Store::create(dir.join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// batch.commit()?;
    /// Session::new(&store).run("let plain = score cosine")?;
    /// let mut batch = store.begin()?;
    /// batch.put_calibration("plain", Calibration::supplied(8.0, -3.0))?;
    /// batch.commit()?;
    /// let answer = store.snapshot()?.query("find \"pockets\" in notes | using plain | score probability")?.run()?;
    /// assert!((0.0..=1.0).contains(&answer.hits()[0].value()));
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown lens, [`ErrorKind::Invalid`] for a map that is not one.
    pub fn put_calibration(&mut self, lens: &str, mut calibration: Calibration) -> Result<Calibration> {
        let Some(record) = self.tx()?.get(&tables::LENSES, &lens.to_string())? else {
            return Err(self.no_such_lens(lens)?);
        };
        check_calibration(&calibration.map)?;
        calibration.lens_version = record.version;
        calibration.commit = self.next_commit();
        let result = self.tx()?.put(&tables::CALIBRATIONS, &record.name, &calibration);
        self.changed = true;
        self.note(result)?;
        Ok(calibration)
    }

    /// The error for a lens that is not there, with the nearest name and the names that are.
    pub(crate) fn no_such_lens(&self, name: &str) -> Result<Error> {
        let names: Vec<String> = self.tx()?.range(&tables::LENSES, ..)?.into_iter().map(|(name, _)| name).collect();
        let nearest = query::suggest(name, names.iter().map(String::as_str));
        let meant = nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default();
        let listed = match names.as_slice() {
            [] => "; no lens is saved yet: `let NAME = ...` saves one".to_string(),
            names => format!(" (lenses: {})", names.join(", ")),
        };
        Ok(Error::not_found(format!("there is no lens {name:?}{meant}{listed}")))
    }

    /// The number that the commit of this batch will have.
    pub(in crate::store) fn next_commit(&self) -> CommitNumber {
        CommitNumber(self.meta.commit.0.saturating_add(1))
    }
}

impl Snapshot {
    /// What a saved lens pins for a collection at one place of its chain, read once for each commit as long as the
    /// handle's cache has room.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn statistic(&self, lens: &str, collection: CollectionId, step_idx: u32) -> Result<Option<Arc<Statistic>>> {
        let key = format!("statistic {} {collection} {step_idx} {lens}", self.commit()).into_bytes();
        if let Some(known) = self.cache().get(&key) {
            return Ok(Some(known));
        }
        let found = self.core().read.get(&tables::STATISTICS, &(collection, lens.to_string(), step_idx))?;
        let Some(statistic) = found.map(Arc::new) else { return Ok(None) };
        self.cache().insert(&key, Arc::clone(&statistic), statistic.len() * 8);
        Ok(Some(statistic))
    }

    /// Commits that changed what a saved lens's pinned statistics were computed from, since the oldest of them; 0 where
    /// it pins nothing.
    pub fn commits_behind(&self, lens: &LensRecord) -> u64 {
        let behind = |pinned: &PinnedStatistic| {
            self.collection_numbered(pinned.collection).map_or(0, |def| pinned.commits_behind(def, &lens.lens.view))
        };
        lens.pinned.iter().map(behind).max().unwrap_or(0)
    }

    /// The calibration of a saved lens.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn calibration(&self, lens: &str) -> Result<Option<Calibration>> {
        self.core().read.get(&tables::CALIBRATIONS, &lens.to_string())
    }
}

/// Whether a step of the lens names the projection.
fn uses_projection(lens: &LensDef, name: &str) -> bool {
    lens.steps.iter().any(|step| match step {
        Step::Project(ProjectionRef::One(used)) => used == name,
        Step::Project(ProjectionRef::Pair(query, record)) => query == name || record == name,
        _ => false,
    })
}

/// Refuses a projection whose shape or numbers cannot be.
pub(in crate::store) fn check_projection(def: &ProjectionDef) -> Result<()> {
    check_name("projection", &def.name)?;
    let refuse = |why: String| Error::invalid(format!("projection {} {why}", def.name));
    if def.rows == 0 || def.columns == 0 {
        return Err(refuse(format!("is {} x {}", def.rows, def.columns)));
    }
    if def.rows as usize > limits::DIMENSION || def.columns as usize > limits::DIMENSION {
        return Err(Error::new(ErrorKind::Limit, format!("projection {} has too many dimensions", def.name)));
    }
    let cells = def.rows as usize * def.columns as usize;
    for (side, matrix) in [("query", Some(&def.query)), ("record", def.record.as_ref())] {
        let Some(matrix) = matrix else { continue };
        if matrix.len() != cells {
            let why = format!("is {} x {}, but its {side} side has {} numbers", def.rows, def.columns, matrix.len());
            return Err(refuse(why));
        }
        if let Some(at) = matrix.iter().position(|value| !value.is_finite()) {
            let (row, column) = (at / def.columns as usize, at % def.columns as usize);
            return Err(refuse(format!("is not finite at row {row}, column {column} of its {side} side")));
        }
    }
    Ok(())
}

/// Refuses a map that could fall, or is not made of numbers.
pub(in crate::store) fn check_calibration(map: &CalibrationMap) -> Result<()> {
    let sound = match map {
        CalibrationMap::Logistic { scale, bias } => *scale > 0.0 && scale.is_finite() && bias.is_finite(),
        CalibrationMap::Isotonic { scores, probabilities } => {
            let rises = |values: &[f64]| values.windows(2).all(|pair| pair[0] <= pair[1]);
            !scores.is_empty()
                && scores.len() == probabilities.len()
                && scores.iter().all(|score| score.is_finite())
                && rises(scores)
                && rises(probabilities)
                && probabilities.iter().all(|p| (0.0..=1.0).contains(p))
        }
    };
    if sound {
        return Ok(());
    }
    Err(Error::invalid(match map {
        CalibrationMap::Logistic { scale, bias } => format!(
            "a scale of {scale} and a bias of {bias} are no calibration: the scale is positive, and both are finite"
        ),
        CalibrationMap::Isotonic { .. } => {
            "an isotonic calibration is one probability for each of its ascending scores, and never falls".to_string()
        }
    }))
}
