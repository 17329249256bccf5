//! Learned lenses in a batch and in a snapshot: the parts of one, its fits, and its way between candidate and promoted.
//!
//! Owns what belongs to a learned lens (a sample of its questions, a projection, the lens with what it pins, its
//! calibration) and moves it as one. Invariant: a lens and its parts bear one name, `LENS` where it was promoted and
//! `LENS@candidate` where not, and every fit stays in the history. What a fit is worth is decided above.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::query::suggest;
use crate::store::kept::heads;
use crate::store::kept::lenses::check_projection;
use crate::store::kept::samples::check_sample;
use crate::store::read::snapshot::Snapshot;
use crate::store::write::batch::Batch;
use crate::store::write::validate::check_name;
use crate::types::{
    Accept, Calibration, FitFigures, LearnedDef, LensDef, LensRecord, Lift, PinnedStatistic, ProjectionDef,
    ProjectionRef, SampleDef, Statistic, Step, limits,
};

/// What stands behind the name of a lens that was not promoted.
pub const CANDIDATE: &str = "@candidate";

/// Bit of `StoreMeta::required_features` that a store has from the first fit on that was to be accepted for new
/// classes: the history of such a store cannot be read by a simile that does not know them.
pub(in crate::store) const NEW_CLASSES: u64 = 2;

/// What happens to a fit when it is stored.
const ACCEPTED: &str = "accepted";
const KEPT: &str = "kept as a candidate";

/// Name of the sample of questions that belongs to a learned lens.
pub fn sample_of(lens: &str) -> String {
    format!("{lens}.queries")
}

/// Name of the candidate of a learned lens.
pub fn candidate_of(lens: &str) -> String {
    format!("{lens}{CANDIDATE}")
}

/// A learned lens on its way into the store. Names inside are filled in when it is stored.
#[derive(Debug, Clone)]
pub struct LearnedLens {
    /// The questions whose mean the lens subtracts; `None` where it subtracts one mean from both sides.
    pub sample: Option<SampleDef>,
    /// The matrix, or the pair of them.
    pub projection: ProjectionDef,
    /// The lens over both.
    pub lens: LensDef,
    /// What it pins.
    pub pinned: Vec<(PinnedStatistic, Statistic)>,
    /// The fit; its number, commit and events are filled in.
    pub def: LearnedDef,
}

/// Everything that bears the name of a learned lens.
struct Taken {
    record: LensRecord,
    pinned: Vec<(PinnedStatistic, Statistic)>,
    projection: Option<ProjectionDef>,
    sample: Option<SampleDef>,
    calibration: Option<Calibration>,
}

impl Batch {
    /// Stores a fit with all its parts, under the lens's own name where it is accepted and under `LENS@candidate` where
    /// not; what bore that name goes. An accepted fit takes the place of a candidate, too. Answers with the fit as
    /// stored.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a collection that is not there, [`ErrorKind::Invalid`] for a name that cannot be
    /// one, for figures that are not numbers, for a lens of that name that was not learned, and for parts that another
    /// saved lens uses; [`ErrorKind::Limit`] for parts that are too large.
    pub fn put_learned(&mut self, learned: LearnedLens) -> Result<LearnedDef> {
        let mut def = learned.def.clone();
        check_learned_name(&def.lens)?;
        let fits = self.fits(&def.lens)?;
        let own = self.tx()?.get(&tables::LENSES, &def.lens)?;
        if own.is_some() && fits.is_empty() {
            let message =
                format!("lens {} was not learned: give the learned one another name, or drop it first", def.lens);
            return Err(Error::new(ErrorKind::Exists, message));
        }
        let name = if def.accepted { def.lens.clone() } else { candidate_of(&def.lens) };
        let named = learned.named(&name);
        if let Some(sample) = &named.sample {
            check_sample(sample)?;
            self.check_place(sample)?;
        }
        self.collection_numbered(def.collection)?;
        check_figures(&def)?;
        check_projection(&named.projection)?;
        if named.sample.is_none() {
            self.check_samples_of(&named.lens)?;
        }
        self.refuse_under_others(&name)?;
        def.fit = fits.last().map_or(1, |last| last.fit + 1);
        def.commit = self.next_commit();
        let what = if def.accepted { ACCEPTED } else { KEPT };
        def.events = vec![(what.to_string(), def.commit)];
        let result = self.write_learned(&name, named, &def);
        self.note(result)?;
        Ok(def)
    }

    fn write_learned(&mut self, name: &str, named: LearnedLens, def: &LearnedDef) -> Result<()> {
        let version = self.take_learned(name)?.map_or(0, |old| old.record.version);
        if def.accepted {
            self.take_learned(&candidate_of(&def.lens))?;
        }
        let record = LensRecord {
            name: name.to_string(),
            lens: named.lens,
            version: crate::store::names::counted_up(version)?,
            commit: def.commit,
            pinned: Vec::new(),
        };
        let (pinned, projection, sample) = (named.pinned, Some(named.projection), named.sample);
        self.give_learned(name, Taken { record, pinned, projection, sample, calibration: None })?;
        self.put_fit(def)
    }

    /// Writes a fit into the history; the store says so where an earlier simile could not read it.
    pub(in crate::store) fn put_fit(&mut self, def: &LearnedDef) -> Result<()> {
        if def.accept == Accept::NewClasses {
            self.meta.required_features |= NEW_CLASSES;
        }
        self.tx()?.put(&tables::LEARNED, &(def.lens.clone(), def.fit), def)
    }

    /// Stores what the lifts of a fit were measured as.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a fit that is not there, [`ErrorKind::Invalid`] for figures that are not numbers.
    pub fn put_fit_figures(&mut self, lens: &str, fit: u32, figures: &FitFigures) -> Result<()> {
        let key = (lens.to_string(), fit);
        if self.tx()?.get(&tables::LEARNED, &key)?.is_none() {
            return Err(Error::not_found(format!("there is no fit {fit} of lens {lens}")));
        }
        check_fit_figures(&key, figures)?;
        let result = self.tx()?.put(&tables::FIT_FIGURES, &key, figures);
        self.note(result)
    }

    /// Lets `LENS@candidate` take the name `LENS`; a lens that had it becomes the candidate. Answers with the fit.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no candidate.
    pub fn promote(&mut self, lens: &str) -> Result<LearnedDef> {
        let candidate = candidate_of(lens);
        self.require_learned(lens, &candidate)?;
        self.refuse_under_others(lens)?;
        self.refuse_under_others(&candidate)?;
        let result = self.exchange(lens, &candidate, "promoted");
        self.note(result)
    }

    /// Lets `LENS` become `LENS@candidate`. Answers with the fit.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no learned lens of that name, [`ErrorKind::Exists`] where there is a
    /// candidate already.
    pub fn demote(&mut self, lens: &str) -> Result<LearnedDef> {
        let candidate = candidate_of(lens);
        self.require_learned(lens, lens)?;
        if self.tx()?.get(&tables::LENSES, &candidate)?.is_some() {
            let message = format!(
                "there is a candidate {candidate} already: `promote {lens}` lets the two change places, `drop \
                 {candidate}` makes room"
            );
            return Err(Error::new(ErrorKind::Exists, message));
        }
        self.refuse_under_others(lens)?;
        let result = self.exchange(lens, &candidate, "demoted");
        self.note(result)
    }

    /// Lets two names change places, and writes down that `event` happened to `lens`.
    fn exchange(&mut self, lens: &str, candidate: &str, event: &str) -> Result<LearnedDef> {
        let (own, other) = (self.take_learned(lens)?, self.take_learned(candidate)?);
        let newest = own.iter().chain(&other).map(|taken| taken.record.version).max().unwrap_or(0);
        let commit = self.next_commit();
        for (name, taken) in [(candidate, own), (lens, other)] {
            if let Some(mut taken) = taken {
                taken.record.version = newest + 1;
                self.give_learned(name, taken)?;
            }
        }
        let mut fits = self.fits(lens)?;
        let now = standing(&fits);
        // The fit that is moved by name: a demoted one has the lens's name before, a promoted one after.
        let moved = if event == "demoted" { now.own } else { now.candidate };
        let Some(def) = fits.iter_mut().find(|def| Some(def.fit) == moved) else {
            return Err(Error::not_found(format!("lens {lens} has no history")));
        };
        def.events.push((event.to_string(), commit));
        let def = def.clone();
        self.put_fit(&def)?;
        Ok(def)
    }

    /// Removes everything that bears the name of a learned lens, and answers with it.
    fn take_learned(&mut self, name: &str) -> Result<Option<Taken>> {
        let Some(record) = self.tx()?.get(&tables::LENSES, &name.to_string())? else { return Ok(None) };
        let mut pinned = Vec::new();
        for place in &record.pinned {
            let key = (place.collection, record.name.clone(), place.step_idx);
            pinned.extend(self.tx()?.get(&tables::STATISTICS, &key)?.map(|statistic| (place.clone(), statistic)));
        }
        let calibration = self.tx()?.get(&tables::CALIBRATIONS, &name.to_string())?;
        self.drop_lens(name)?;
        let tx = self.tx()?;
        let projection = tx.get(&tables::PROJECTIONS, &name.to_string())?;
        heads::PROJECTIONS.remove(tx, name)?;
        let sample = tx.get(&tables::SAMPLES, &sample_of(name))?;
        heads::SAMPLES.remove(tx, &sample_of(name))?;
        Ok(Some(Taken { record, pinned, projection, sample, calibration }))
    }

    /// Stores under `name` what was taken from another.
    fn give_learned(&mut self, name: &str, taken: Taken) -> Result<()> {
        let Taken { record, pinned, projection, sample, calibration } = taken;
        let commit = self.next_commit();
        if let Some(sample) = sample {
            let sample = SampleDef { name: sample_of(name), commit, ..sample };
            heads::SAMPLES.put(self.tx()?, &sample.name, &sample)?;
        }
        if let Some(projection) = projection {
            let projection = ProjectionDef { name: name.to_string(), ..projection };
            heads::PROJECTIONS.put(self.tx()?, &projection.name, &projection)?;
        }
        let lens = renamed(record.lens, name);
        let record = LensRecord { name: name.to_string(), lens, commit, ..record };
        let record = self.keep_lens(record, pinned)?;
        if let Some(calibration) = calibration {
            let calibration = Calibration { lens_version: record.version, ..calibration };
            self.tx()?.put(&tables::CALIBRATIONS, &record.name, &calibration)?;
        }
        Ok(())
    }

    /// All fits of a lens, in their order.
    fn fits(&self, lens: &str) -> Result<Vec<LearnedDef>> {
        fits(self.tx()?, lens)
    }

    fn require_learned(&self, lens: &str, name: &str) -> Result<()> {
        let fits = self.fits(lens)?;
        let Some(last) = fits.last() else {
            let all = self.tx()?.range(&tables::LEARNED, ..)?;
            return Err(not_learned(lens, all.into_iter().map(|(_, def)| def.lens).collect()));
        };
        if self.tx()?.get(&tables::LENSES, &name.to_string())?.is_some() {
            return Ok(());
        }
        let what = last.events.last().map_or("stored", |(event, _)| event.as_str());
        Err(Error::not_found(format!("there is no lens {name}; the last fit of {lens} was {what}")))
    }

    /// Refuses to change a projection or sample that another saved lens uses.
    fn refuse_under_others(&self, name: &str) -> Result<()> {
        let sample = sample_of(name);
        for (other, record) in self.tx()?.range(&tables::LENSES, ..)? {
            let uses = |step: &Step| match step {
                Step::CenterSides(used) => *used == sample,
                Step::Project(ProjectionRef::One(used)) => used == name,
                Step::Project(ProjectionRef::Pair(query, record)) => query == name || record == name,
                _ => false,
            };
            let in_csls = record.lens.csls.as_ref().is_some_and(|(_, used)| *used == sample);
            if other != name && (in_csls || record.lens.steps.iter().any(uses)) {
                let message =
                    format!("lens {other} uses the parts of {name}: drop it first, or learn under another name");
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }
}

/// Which fits bear a lens's name and that of its candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The fit under the lens's own name.
    pub own: Option<u32>,
    /// The fit under its candidate's.
    pub candidate: Option<u32>,
}

/// Where the fits of a lens stand after everything that happened to them.
pub fn standing(fits: &[LearnedDef]) -> Standing {
    let events = fits.iter().flat_map(|def| def.events.iter().map(|(what, commit)| (*commit, def.fit, what.as_str())));
    let mut events: Vec<_> = events.collect();
    events.sort_unstable();
    let mut now = Standing::default();
    for (_, fit, what) in events {
        now = match what {
            ACCEPTED => Standing { own: Some(fit), candidate: None },
            KEPT => Standing { candidate: Some(fit), ..now },
            // Promoted, demoted: the two names change places.
            _ => Standing { own: now.candidate, candidate: now.own },
        };
    }
    now
}

impl LearnedLens {
    /// With all names inside those of `name`.
    fn named(mut self, name: &str) -> LearnedLens {
        if let Some(sample) = &mut self.sample {
            sample.name = sample_of(name);
        }
        self.projection.name = name.to_string();
        self.lens = renamed(self.lens, name);
        self
    }
}

/// A learned lens under another name: the sample and the projection it names are those of that name.
fn renamed(mut lens: LensDef, name: &str) -> LensDef {
    for step in &mut lens.steps {
        match step {
            Step::CenterSides(sample) => *sample = sample_of(name),
            Step::Project(reference) => *reference = ProjectionRef::One(name.to_string()),
            _ => {}
        }
    }
    lens
}

fn check_learned_name(lens: &str) -> Result<()> {
    check_name("lens", lens)?;
    if lens.ends_with(CANDIDATE) {
        let message = format!("{lens:?} is the name of a candidate: give the lens's own, without {CANDIDATE}");
        return Err(Error::invalid(message).with_field("lens"));
    }
    let longest = limits::NAME_BYTES - sample_of(CANDIDATE).len();
    if lens.len() > longest {
        return Err(
            Error::invalid(format!("the name of a learned lens has at most {longest} bytes")).with_field("lens")
        );
    }
    Ok(())
}

/// Refuses figures that no measurement gives.
pub(in crate::store) fn check_figures(def: &LearnedDef) -> Result<()> {
    // A spread of nothing has no finite z.
    let lift = |lift: &Lift| lift.mean.is_finite() && lift.plain.is_finite();
    let validation = def.validation.is_none_or(|(plain, learned)| plain.is_finite() && learned.is_finite());
    if validation && [&def.known_records, &def.new_records].into_iter().flatten().all(lift) {
        return Ok(());
    }
    Err(Error::invalid(format!("the figures of a fit of lens {} are not all numbers", def.lens)))
}

/// Refuses figures that no measurement gives.
pub(in crate::store) fn check_fit_figures((lens, fit): &(String, u32), figures: &FitFigures) -> Result<()> {
    let lift = figures.new_classes.is_none_or(|lift| lift.mean.is_finite() && lift.plain.is_finite());
    let ten = figures.ten.is_none_or(|(plain, learned)| plain.is_finite() && learned.is_finite());
    if lift && ten && figures.nearest.is_none_or(f64::is_finite) {
        return Ok(());
    }
    Err(Error::invalid(format!("the figures of fit {fit} of lens {lens} are not all numbers")))
}

/// Whether a history tells what became of a fit from the commit that stored it on.
pub(in crate::store) fn has_beginning(def: &LearnedDef) -> bool {
    let began = def.events.first().is_some_and(|(what, _)| what == if def.accepted { ACCEPTED } else { KEPT });
    began && def.events.is_sorted_by_key(|(_, commit)| *commit)
}

fn fits(read: &impl CatalogRead, lens: &str) -> Result<Vec<LearnedDef>> {
    let all = (lens.to_string(), 0)..=(lens.to_string(), u32::MAX);
    Ok(read.range(&tables::LEARNED, all)?.into_iter().map(|(_, def)| def).collect())
}

/// The error for a lens that was never learned: the names that were (several of one lens count once), and the nearest.
pub(crate) fn not_learned(lens: &str, mut names: Vec<String>) -> Error {
    names.dedup();
    let nearest = suggest(lens, names.iter().map(String::as_str));
    let meant = nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default();
    let listed =
        if names.is_empty() { "none was learned yet".to_string() } else { format!("learned: {}", names.join(", ")) };
    Error::not_found(format!("no lens {lens:?} was learned in this store{meant} ({listed})"))
}

impl Snapshot {
    /// All fits of a learned lens (its own name, without `@candidate`), in their order; empty where it was never
    /// learned.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn learned(&self, lens: &str) -> Result<Vec<LearnedDef>> {
        fits(&self.core().read, lens)
    }

    /// What the lifts of a fit were measured as; `None` for a fit of before that was stored.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn fit_figures(&self, lens: &str, fit: u32) -> Result<Option<FitFigures>> {
        self.core().read.get(&tables::FIT_FIGURES, &(lens.to_string(), fit))
    }

    /// The fit that a saved lens is, with what its lifts were measured as; `None` for a lens that was not learned.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn fit_of(&self, saved: &str) -> Result<Option<(LearnedDef, Option<FitFigures>)>> {
        let lens = saved.strip_suffix(CANDIDATE).unwrap_or(saved);
        let fits = self.learned(lens)?;
        let now = standing(&fits);
        let number = if lens == saved { now.own } else { now.candidate };
        let Some(def) = fits.into_iter().find(|def| Some(def.fit) == number) else { return Ok(None) };
        let figures = self.fit_figures(lens, def.fit)?;
        Ok(Some((def, figures)))
    }

    /// The fits of all learned lenses, by name and number.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn all_learned(&self) -> Result<Vec<LearnedDef>> {
        Ok(self.core().read.range(&tables::LEARNED, ..)?.into_iter().map(|(_, def)| def).collect())
    }
}
