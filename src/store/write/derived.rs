//! Processed rows of saved lenses, kept as segments of their own beside the view they come from.
//!
//! Owns how they are made, how a commit that appends to the view or writes rows of it anew takes them along, and when
//! they go. They have a view number of their own and the files, checksums and absent rows of any view, so that a commit
//! makes both count or neither. They hold what can be computed again: where they turn out to be damaged when a commit
//! would extend them, they go and the commit goes on. Invariant: what a commit leaves covers every row of its view and
//! belongs to the lens and the statistics that the same commit has.

use crate::catalog::sums::remove_block_sums;
use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::lens::PlacedStatistic;
use crate::lens::program::Traveller;
use crate::lens::step::{SampleRows, VectorMetric};
use crate::lens::stored;
use crate::lens::{Projection, ResolvedStep, RowProcessor, ScalarProcessor};
use crate::linalg::RowsRef;
use crate::segment;
use crate::store::read::derived_def::is_current;
use crate::store::read::derived_def::oldest;
use crate::store::read::derived_def::view_def;
use crate::store::read::rows_copy::rows_ref;
use crate::store::write::append::{Appending, ViewState};
use crate::store::write::batch::Batch;
use crate::store::write::state::CollectionState;
use crate::types::{
    CollectionDef, CollectionId, Control, DerivedDef, DerivedKind, ElementType, LensRecord, Metric, PinnedStatistic,
    ProjectionDef, ProjectionRef, RowSet, SegmentId, Step, ViewId,
};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Rows that one task processes.
const TASK_ROWS: usize = 256;
/// Rows for which scalars are worth a commit's write and sync: so many, and one in so many of those that have them. For
/// fewer a search computes them itself, in less time than the sync takes.
const SCALAR_ROWS: u32 = if cfg!(test) { 256 } else { 4_096 };
const SCALAR_SHARE: u32 = 16;

impl Batch {
    /// Keeps the processed rows of a saved lens from this commit on, for every collection that has vectors in the
    /// lens's view, in place of those that are kept by now; the names of these collections. The rows are written when
    /// the batch commits, with its progress and its cancellation.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown lens; [`ErrorKind::Invalid`] for one that compares texts, one whose view
    /// has no vectors anywhere, and one that does not pin all it takes from the records (`analyze` does that).
    pub fn materialize(&mut self, lens: &str, element: ElementType) -> Result<Vec<String>> {
        let Some(record) = self.tx()?.get(&tables::LENSES, &lens.to_string())? else {
            return Err(Error::not_found(format!("there is no lens {lens:?}")));
        };
        if record.lens.metric == Metric::Levenshtein {
            return Err(Error::invalid(format!("lens {lens} compares texts: it has no vectors to keep")));
        }
        let begun = self.begin_all(&record, DerivedKind::Rows, element);
        let names = self.note(begun)?;
        if names.is_empty() {
            let message = format!("no collection has vectors in view {} that lens {lens} fits", record.lens.view);
            return Err(Error::invalid(message));
        }
        Ok(names)
    }

    /// Keeps the scalars of a lens that was saved, or pins something else now, wherever all of it is pinned.
    pub(in crate::store) fn keep_scalars(&mut self, record: &LensRecord) -> Result<()> {
        // What csls takes from its sample is not kept, and texts have no scalars.
        if record.lens.csls.is_none() && VectorMetric::try_from(record.lens.metric).is_ok() {
            self.begin_all(record, DerivedKind::Scalars, ElementType::F32)?;
        }
        Ok(())
    }

    /// Begins what is derived of `record`, in every collection that it fits and pins all it takes from; their names.
    fn begin_all(&mut self, record: &LensRecord, kind: DerivedKind, element: ElementType) -> Result<Vec<String>> {
        let (mut chosen, mut places) = (Vec::new(), HashSet::new());
        let lens = PinnedLens::new(record.clone());
        let open: HashMap<CollectionId, &CollectionDef> =
            self.collections.iter().map(|state| (state.def.id, &state.def)).collect();
        for (name, stored) in self.tx()?.range(&tables::COLLECTIONS, ..)? {
            let def = open.get(&stored.id).copied().unwrap_or(&stored);
            let view = def.views.iter().find(|view| view.name == record.lens.view);
            let Some((view, dimension)) = view.and_then(|view| Some((view, view.dimension?))) else { continue };
            // A collection that the chain does not fit is not one that the lens is for.
            let own = lens.of(def.id);
            let maker = match maker(self.tx()?, &own, def.id, dimension, kind, element) {
                Ok(maker) if maker.is_worth_keeping() => maker,
                Ok(_) => {
                    places.insert(def.id);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Invalid => continue,
                Err(error) => return Err(error),
            };
            let kept = DerivedDef {
                kind,
                lens: record.name.clone(),
                lens_version: record.version,
                statistics: oldest(&own, def.id),
                collection: def.id,
                source: view.id,
                id: ViewId(0),
                dimension: maker.dimension() as u32,
                element,
                rows: 0,
            };
            chosen.push((name, kept));
        }
        places.extend(chosen.iter().map(|(_, kept)| kept.collection));
        self.drop_derived(&record.name, |old| old.kind == kind && places.contains(&old.collection))?;
        let mut names = Vec::new();
        for (name, kept) in chosen {
            self.begin_derived(&name, kept)?;
            names.push(name);
        }
        Ok(names)
    }

    /// Forgets the processed rows that are kept of a lens; false where none are.
    ///
    /// # Errors
    /// Only where the catalog cannot be read or written.
    pub fn drop_materialized(&mut self, lens: &str) -> Result<bool> {
        let result = self.drop_derived(lens, |def| def.kind == DerivedKind::Rows);
        self.note(result)
    }

    /// Takes `def` into the catalog under a number of its own, without a row; the commit fills it. What was kept in its
    /// place is gone by then.
    fn begin_derived(&mut self, collection: &str, mut def: DerivedDef) -> Result<()> {
        def.id = self.next_view();
        def.rows = 0;
        self.tx()?.put(&tables::DERIVED, &def.id, &def)?;
        self.derived_of_lens(&def.lens.clone())?.push(def);
        self.touch(collection)
    }

    /// The processed rows kept of the lens are written anew by this commit, for statistics that have changed.
    pub(in crate::store) fn renew_derived(&mut self, record: &LensRecord) -> Result<()> {
        let is_old = |def: &DerivedDef| def.kind == DerivedKind::Rows;
        let lens = PinnedLens::new(record.clone());
        let mut renewed = Vec::new();
        for mut def in self.derived_of_lens(&record.name)?.clone().into_iter().filter(is_old) {
            let Some(name) = self.numbers()?.get(&def.collection).cloned() else { continue };
            def.lens_version = record.version;
            def.statistics = oldest(&lens.of(def.collection), def.collection);
            renewed.push((name, def));
        }
        let places: HashSet<CollectionId> = renewed.iter().map(|(_, def)| def.collection).collect();
        self.drop_derived(&record.name, |def| is_old(def) && places.contains(&def.collection))?;
        renewed.into_iter().try_for_each(|(name, def)| self.begin_derived(&name, def))
    }

    /// What is kept derived of a lens, as this batch has it; the table is gone through once for all lenses.
    fn derived_of_lens(&mut self, lens: &str) -> Result<&mut Vec<DerivedDef>> {
        if self.derived.is_none() {
            let mut found: HashMap<String, Vec<DerivedDef>> = HashMap::new();
            self.tx()?.for_each(&tables::DERIVED, .., |_, def| {
                found.entry(def.lens.clone()).or_default().push(def);
                Ok(())
            })?;
            self.derived = Some(found);
        }
        Ok(self.derived.get_or_insert_default().entry(lens.to_string()).or_default())
    }

    /// Takes what is derived of a lens and chosen out of the catalog; whether there was any.
    pub(in crate::store) fn drop_derived(&mut self, lens: &str, chosen: impl Fn(&DerivedDef) -> bool) -> Result<bool> {
        let gone: Vec<DerivedDef> = self.derived_of_lens(lens)?.extract_if(.., |def| chosen(def)).collect();
        let dropped = !gone.is_empty();
        for def in gone {
            let tx = self.tx.as_ref().ok_or_else(|| Error::invalid("the batch is not open"))?;
            let mut appending = Appending {
                shared: &self.shared,
                tx,
                meta: &mut self.meta,
                created: &mut self.created,
                garbage: &mut self.garbage,
                changed: &mut self.changed,
            };
            remove(&mut appending, &def)?;
        }
        Ok(dropped)
    }
}

/// Whether derived rows are given up for this: they are damaged, or a part of their lens is gone. They can be made
/// again, and what was asked for goes on.
pub(in crate::store) fn is_given_up(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid)
}

/// Takes derived rows out of the catalog; their files go when nobody reads them any more.
pub(in crate::store) fn remove(appending: &mut Appending<'_>, def: &DerivedDef) -> Result<()> {
    let range = (def.id, SegmentId(0))..=(def.id, SegmentId(u32::MAX));
    for ((view, id), _) in appending.tx.range(&tables::SEGMENTS, range)? {
        appending.tx.remove(&tables::SEGMENTS, &(view, id))?;
        remove_block_sums(appending.tx, id)?;
        appending.created.retain(|path| *path != segment::path(view, id));
        appending.garbage.push(segment::path(view, id));
    }
    for ((view, chunk), _) in appending.tx.range(&tables::ABSENT, (def.id, 0)..=(def.id, u32::MAX))? {
        appending.tx.remove(&tables::ABSENT, &(view, chunk))?;
    }
    appending.tx.remove(&tables::DERIVED, &def.id)?;
    // Files that this batch made for them and no entry names yet.
    let folder = format!("{}/", segment::folder(def.id));
    appending.garbage.extend(appending.created.extract_if(.., |path| path.starts_with(&folder)));
    *appending.changed = true;
    Ok(())
}

/// What makes the derived rows of a collection under a saved lens.
#[derive(Debug)]
pub(in crate::store) enum Maker {
    /// Processed rows.
    Rows(Box<RowProcessor>),
    /// Scalars.
    Scalars(ScalarProcessor),
}

impl Maker {
    /// Elements of a derived row.
    pub(in crate::store) fn dimension(&self) -> usize {
        match self {
            Maker::Rows(processor) => processor.dimension(),
            Maker::Scalars(processor) => processor.width(),
        }
    }

    /// Whether what it makes is less work to read than to make. Processed rows are kept because somebody asked for
    /// them.
    fn is_worth_keeping(&self) -> bool {
        match self {
            Maker::Rows(_) => true,
            Maker::Scalars(processor) => processor.is_worth_keeping(),
        }
    }

    /// Whether `found` is what `made` was to be. Scalars come from products of matrices, whose last bits depend on how
    /// many rows are multiplied at once; searches know them with an error.
    pub(in crate::store) fn agree(&self, made: &[f32], found: &[f32]) -> bool {
        match self {
            Maker::Rows(_) => {
                made.len() == found.len() && made.iter().zip(found).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            Maker::Scalars(_) => stored::agree(made, found),
        }
    }

    /// Appends what `rows`, the first of which is row `first`, give to `kept` and `vectors`; rows outside `present`
    /// give nothing.
    fn make(
        &self,
        first: u32,
        rows: RowsRef<'_>,
        present: &RowSet,
        kept: &mut Vec<bool>,
        vectors: &mut Vec<f32>,
    ) -> Result<()> {
        let is_present = |idx: usize| present.contains(first + idx as u32);
        match self {
            Maker::Rows(processor) => {
                let mut traveller = Traveller::default();
                let make = |idx| is_present(idx) && processor.process(rows.row(idx), &mut traveller, vectors);
                kept.extend((0..rows.len()).map(make));
            }
            Maker::Scalars(processor) => {
                kept.extend((0..rows.len()).map(is_present));
                let some = RowSet::from_rows((0..rows.len()).filter(|&idx| is_present(idx)).map(|idx| idx as u32));
                vectors.extend(processor.process(rows, &some)?);
            }
        }
        Ok(())
    }
}

/// What makes derived rows of one kind.
///
/// # Errors
/// [`ErrorKind::Invalid`] where the chain does not fit the dimension, or something is not pinned.
pub(in crate::store) fn maker(
    catalog: &impl CatalogRead,
    lens: &LensRecord,
    collection: CollectionId,
    dimension: u32,
    kind: DerivedKind,
    element: ElementType,
) -> Result<Maker> {
    let steps = lens.lens.steps.iter().map(|step| resolved(catalog, step, dimension)).collect::<Result<Vec<_>>>()?;
    let mut statistics = Vec::new();
    for place in lens.pinned.iter().filter(|place| place.collection == collection) {
        let found = catalog.get(&tables::STATISTICS, &(collection, lens.name.clone(), place.step_idx))?;
        let statistic = found.map(Arc::new).ok_or_else(|| {
            let message = format!("the statistic that lens {} pins for step {} is missing", lens.name, place.step_idx);
            Error::new(ErrorKind::Corrupt, message)
        })?;
        statistics.push(PlacedStatistic { step_idx: place.step_idx as usize, statistic, count: place.records });
    }
    let dimension = dimension as usize;
    Ok(match kind {
        DerivedKind::Rows => Maker::Rows(Box::new(RowProcessor::new(steps, dimension, &statistics, element)?)),
        DerivedKind::Scalars => {
            let metric = VectorMetric::try_from(lens.lens.metric)?;
            Maker::Scalars(ScalarProcessor::new(steps, metric, dimension, &statistics)?)
        }
    })
}

/// A step as records take it. The queries of a sample do not matter to them: what is pinned has the mean.
pub(in crate::store) fn resolved(catalog: &impl CatalogRead, step: &Step, dimension: u32) -> Result<ResolvedStep> {
    let projection = |name: &String| -> Result<ProjectionDef> {
        let found = catalog.get(&tables::PROJECTIONS, name)?;
        found.ok_or_else(|| Error::invalid(format!("there is no projection {name:?}")))
    };
    Ok(match step {
        Step::Center => ResolvedStep::Center,
        Step::CenterCorpus => ResolvedStep::CenterCorpus,
        Step::CenterSides(name) => {
            ResolvedStep::CenterSides(SampleRows::new(name.clone(), dimension as usize, Vec::new()))
        }
        Step::Normalize => ResolvedStep::Normalize,
        Step::Standardize => ResolvedStep::Standardize,
        Step::Whiten(k) => ResolvedStep::Whiten(k.map(|k| k as usize)),
        Step::Drop(k) => ResolvedStep::Drop(*k as usize),
        Step::Truncate(k) => ResolvedStep::Truncate(*k as usize),
        Step::Project(ProjectionRef::One(name)) => ResolvedStep::Project(Projection::from_def(&projection(name)?)?),
        Step::Project(ProjectionRef::Pair(query, record)) => {
            ResolvedStep::Project(Projection::pair(&projection(query)?, &projection(record)?)?)
        }
    })
}

/// A saved lens whose pinned statistics are looked up by collection.
#[derive(Debug)]
struct PinnedLens {
    /// Pins nothing.
    bare: LensRecord,
    pinned: HashMap<CollectionId, Vec<PinnedStatistic>>,
}

impl PinnedLens {
    fn new(mut record: LensRecord) -> Self {
        let mut pinned: HashMap<CollectionId, Vec<PinnedStatistic>> = HashMap::new();
        for place in std::mem::take(&mut record.pinned) {
            pinned.entry(place.collection).or_default().push(place);
        }
        PinnedLens { bare: record, pinned }
    }

    /// The lens with what it pins for one collection, and nothing else.
    fn of(&self, collection: CollectionId) -> LensRecord {
        let pinned = self.pinned.get(&collection).cloned().unwrap_or_default();
        LensRecord { pinned, ..self.bare.clone() }
    }
}

/// Saved lenses, each read once however many collections ask for it.
#[derive(Debug, Default)]
pub(in crate::store) struct KnownLenses(HashMap<String, Option<PinnedLens>>);

impl KnownLenses {
    /// The lens `name` with what it pins for `collection`; `None` where there is no such lens.
    pub(in crate::store) fn of(
        &mut self,
        catalog: &impl CatalogRead,
        name: &str,
        collection: CollectionId,
    ) -> Result<Option<LensRecord>> {
        if !self.0.contains_key(name) {
            let found = catalog.get(&tables::LENSES, &name.to_string())?;
            self.0.insert(name.to_string(), found.map(PinnedLens::new));
        }
        Ok(self.0.get(name).and_then(Option::as_ref).map(|lens| lens.of(collection)))
    }
}

/// Takes what is derived from the views of a collection to where these are, once their segments are closed. All of it
/// is `derived`.
pub(in crate::store) fn follow(
    batch: &mut Batch,
    idx: usize,
    derived: Vec<DerivedDef>,
    lenses: &mut KnownLenses,
) -> Result<()> {
    let state = batch.state(idx)?;
    let rewritten: Vec<(ViewId, RowSet)> = state
        .def
        .views
        .iter()
        .zip(&mut state.views)
        .map(|(view, state)| (view.id, RowSet::from_rows(state.take_rewritten())))
        .collect();
    let control = batch.control.clone();
    for def in derived {
        let lens = lenses.of(batch.tx()?, &def.lens, def.collection)?;
        let rewritten = rewritten.iter().find(|(view, _)| *view == def.source).map(|(_, rows)| rows);
        let (state, mut appending) = batch.appending(idx)?;
        match extend(state, &mut appending, &def, lens, rewritten, &control) {
            Err(error) if def.rows > 0 && is_given_up(&error) => remove(&mut appending, &def)?,
            other => other?,
        }
    }
    Ok(())
}

/// Processes the rows that `def` does not have yet, and those that were written anew.
fn extend(
    state: &mut CollectionState,
    appending: &mut Appending<'_>,
    def: &DerivedDef,
    lens: Option<LensRecord>,
    rewritten: Option<&RowSet>,
    control: &Control,
) -> Result<()> {
    let CollectionState { def: collection, views, live, .. } = state;
    let found = collection.views.iter().zip(views).find(|(view, _)| view.id == def.source);
    let (Some((source, source_state)), Some(lens)) = (found, lens.filter(|lens| is_current(def, lens))) else {
        return remove(appending, def);
    };
    if def.rows > source.rows {
        // More rows than there are to compute them from: whatever they are, they are not these.
        return remove(appending, def);
    }
    let rewritten = rewritten.map(|rows| rows.and(&RowSet::from_range(0..def.rows))).unwrap_or_default();
    let waits = def.kind == DerivedKind::Scalars && source.rows - def.rows < SCALAR_ROWS.max(def.rows / SCALAR_SHARE);
    let end = if waits { def.rows } else { source.rows };
    if def.rows == end && rewritten.is_empty() {
        return Ok(());
    }
    let maker = maker(appending.tx, &lens, collection.id, source.dimension.unwrap_or(0), def.kind, def.element)?;
    let mut view = view_def(def);
    let mut rows = ViewState::load(appending.tx, &view)?;
    let present = live.rows().and_not(source_state.absent.rows());
    let total = Some(u64::from(end - def.rows) + rewritten.len());
    let mut done = 0;
    for run in rewritten.runs() {
        source_state.read_range(appending, source, run, |appending, first, stored| {
            control.checkpoint()?;
            let made = appending.shared.install(|| Made::of(&maker, first, &rows_ref(stored), &present, control))?;
            for (row, vector) in made.rows() {
                match vector {
                    Some(vector) => rows.set_row(appending, &mut view, row, vector.to_vec())?,
                    None => rows.clear_row(appending, &mut view, row)?,
                }
            }
            done += made.kept.len() as u64;
            control.report("rows", done, total);
            Ok(())
        })?;
    }
    source_state.read_range(appending, source, def.rows..end, |appending, first, stored| {
        control.checkpoint()?;
        let made = appending.shared.install(|| Made::of(&maker, first, &rows_ref(stored), &present, control))?;
        for (row, vectors) in made.runs() {
            rows.append(appending, &mut view, row, vectors)?;
        }
        done += made.kept.len() as u64;
        control.report("rows", done, total);
        Ok(())
    })?;
    // Rows at the end that are not kept are absent, and said to be.
    rows.append(appending, &mut view, end, &[])?;
    rows.finish(appending, &view)?;
    appending.tx.put(&tables::DERIVED, &def.id, &DerivedDef { rows: view.rows, ..def.clone() })
}

/// Some consecutive rows behind their steps.
pub(in crate::store) struct Made {
    first: u32,
    dimension: usize,
    /// Whether a row is kept.
    kept: Vec<bool>,
    /// The kept ones one after the other.
    vectors: Vec<f32>,
}

impl Made {
    /// What `stored`, the first of which is row `first`, gives; rows outside `present` are not kept.
    pub(in crate::store) fn of(
        maker: &Maker,
        first: u32,
        stored: &RowsRef<'_>,
        present: &RowSet,
        control: &Control,
    ) -> Result<Made> {
        let count = stored.len();
        let parts: Vec<(Vec<bool>, Vec<f32>)> = (0..count.div_ceil(TASK_ROWS))
            .into_par_iter()
            .map(|task_idx| {
                control.checkpoint()?;
                let (start, end) = (task_idx * TASK_ROWS, count.min((task_idx + 1) * TASK_ROWS));
                let (mut kept, mut vectors) = (Vec::new(), Vec::new());
                maker.make(first + start as u32, stored.slice(start..end), present, &mut kept, &mut vectors)?;
                Ok((kept, vectors))
            })
            .collect::<Result<_>>()?;
        let (kept, vectors): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Ok(Made { first, dimension: maker.dimension(), kept: kept.concat(), vectors: vectors.concat() })
    }

    /// Every row, with its vector where it is kept.
    pub(in crate::store) fn rows(&self) -> impl Iterator<Item = (u32, Option<&[f32]>)> {
        let mut vectors = self.vectors.chunks_exact(self.dimension);
        let numbered = (self.first..).zip(&self.kept);
        numbered.map(move |(row, &kept)| (row, if kept { vectors.next() } else { None }))
    }

    /// Runs of rows that are kept, with their vectors one after the other.
    fn runs(&self) -> Vec<(u32, &[f32])> {
        let (mut runs, mut start, mut rest) = (Vec::new(), self.first, &self.vectors[..]);
        for run in self.kept.chunk_by(|a, b| a == b) {
            if run.first() == Some(&true) {
                let (vectors, later) = rest.split_at(run.len() * self.dimension);
                runs.push((start, vectors));
                rest = later;
            }
            start += run.len() as u32;
        }
        runs
    }
}
