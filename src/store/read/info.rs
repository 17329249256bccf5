//! What `info` shows: collections, views, rows, bytes, dead share, projections, lenses and their age.
//!
//! Plain data with public fields, and how it is gathered from a snapshot. It only reads, and of vectors not many.

use crate::catalog::{CATALOG_FILE, CatalogRead, HEAD_FILE, SUMS_FILE, tables};
use crate::error::{Damage, Result};
use crate::segment;
use crate::storage::Storage;
use crate::store::place::segment_files;
use crate::store::place::{Leftover, leftovers};
use crate::store::read::collection::{CollectionSnapshot, Derived};
use crate::store::read::fits::{fit_summary, loses_on_new_classes};
use crate::store::read::labelled::RespectInfo;
use crate::store::read::record::RECORDS;
use crate::store::read::snapshot::Snapshot;
use crate::store::read::view::ViewSnapshot;
use crate::types::{
    CommitNumber, DerivedKind, ElementType, FieldType, LensRecord, RecordKey, RowSet, SegmentEntry, ViewKind,
};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// Bytes of vectors that are read at most to count those that are zero.
const READ_BYTES: u64 = 64 << 20;

/// A store in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreInfo {
    /// Version of the on-disk format.
    pub format: u32,
    /// The store's folder.
    pub path: PathBuf,
    /// The commit these numbers are of.
    pub commit: CommitNumber,
    /// Share of used rows whose records were removed or replaced, 0 to 1.
    pub dead_share: f64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Older commits that snapshots of this handle still show, the oldest first, with how many snapshots. As long as
    /// one is open the catalog takes new pages for every commit, instead of those of what was replaced since. Snapshots
    /// of other processes do the same, and are not known here.
    pub held: Vec<(CommitNumber, u64)>,
    /// The embedder new collections get.
    pub embedder: Option<String>,
    /// Collections by name.
    pub collections: Vec<CollectionInfo>,
    /// Projections by name.
    pub projections: Vec<ProjectionInfo>,
    /// Saved lenses by name.
    pub lenses: Vec<LensInfo>,
    /// Samples of queries by name.
    pub samples: Vec<SampleInfo>,
    /// Segment files that are missing or too short; they are not read to find out: `check` reads everything.
    pub damaged: Vec<Damage>,
    /// What killed commands have left beside the store, and what becomes of it, in words.
    pub leftovers: Vec<String>,
}

/// A collection in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionInfo {
    /// Name.
    pub name: String,
    /// Live records.
    pub records: u64,
    /// Rows whose record was removed or replaced: what `compact` would free.
    pub removed: u64,
    /// Those among them of older versions of a record, live or removed; the others are one for each record that was
    /// removed.
    pub replaced: u64,
    /// Views in the order they were made.
    pub views: Vec<ViewInfo>,
    /// Field types by name.
    pub fields: BTreeMap<String, FieldType>,
    /// Respects in which it is labelled, by name.
    pub respects: Vec<RespectInfo>,
}

/// A view in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewInfo {
    /// Name.
    pub name: String,
    /// Where its text comes from.
    pub kind: ViewKind,
    /// Dimension, once a vector has fixed it.
    pub dimension: Option<u32>,
    /// Element type.
    pub element: ElementType,
    /// Name of its embedder; `None`: vectors are supplied.
    pub embedder: Option<String>,
    /// Live records that have a vector.
    pub rows: u64,
    /// Live records that have none.
    pub absent: u64,
    /// Live records whose vector is zero, which has no direction; `None` where there is too much to read to count them.
    pub zero: Option<u64>,
    /// Segment files.
    pub segments: u64,
    /// Bytes of its segment files.
    pub bytes: u64,
}

/// A projection in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectionInfo {
    /// Name.
    pub name: String,
    /// Output dimension.
    pub rows: u32,
    /// Input dimension.
    pub columns: u32,
    /// Whether query and record sides differ.
    pub pair: bool,
    /// Where it came from, in words.
    pub origin: String,
}

/// A saved lens and how old its pinned statistics are.
#[derive(Debug, Clone, PartialEq)]
pub struct LensInfo {
    /// The lens.
    pub record: LensRecord,
    /// Oldest commit that a pinned statistic was computed at; `None`: nothing is pinned.
    pub pinned_at: Option<CommitNumber>,
    /// Commits since then that changed what a pinned statistic was computed from; the largest such number.
    pub stale_commits: u64,
    /// Where the lens's calibration came from, if it has one.
    pub calibration: Option<String>,
    /// What is kept ready of it.
    pub derived: Vec<DerivedInfo>,
    /// Of a learned lens: its fit and what held-out labels said of it, in one line.
    pub held_out: Option<String>,
    /// Of a learned lens: that it ranks new classes worse than plain cosine, where it was seen to.
    pub warning: Option<String>,
}

/// What is kept ready of a saved lens for one collection, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedInfo {
    /// The collection.
    pub collection: String,
    /// Processed rows, or scalars.
    pub kind: DerivedKind,
    /// Elements of a row.
    pub dimension: u32,
    /// Element type.
    pub element: ElementType,
    /// Live records that have a row.
    pub rows: u64,
    /// Live records with a vector that have none: it has no direction, or cannot be kept in this element type. Searches
    /// score these in full.
    pub unkept: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes of its segment files.
    pub bytes: u64,
}

/// A sample of queries in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleInfo {
    /// Name.
    pub name: String,
    /// The collection its queries ask.
    pub collection: String,
    /// Number of queries.
    pub queries: u64,
    /// The view that its vectors are for; `None`: it has texts only.
    pub view: Option<String>,
    /// Dimension of its vectors.
    pub dimension: Option<u32>,
    /// The commit that stored it.
    pub commit: CommitNumber,
}

impl StoreInfo {
    pub(in crate::store) fn gather(snapshot: &Snapshot) -> Result<StoreInfo> {
        let core = snapshot.core();
        let mut collections = Vec::new();
        let (mut rows, mut dead) = (0_u64, 0_u64);
        let mut unread = READ_BYTES;
        for def in snapshot.collections() {
            let collection = snapshot.collection(&def.name)?;
            let live = collection.live().len();
            let mut views = Vec::new();
            for view in collection.views() {
                let zero = zero_vectors(view, &mut unread);
                let (segments, bytes) = segment_bytes(view.segments());
                let view_rows = view.present().len();
                views.push(ViewInfo {
                    name: view.def().name.clone(),
                    kind: view.def().kind.clone(),
                    dimension: view.def().dimension,
                    element: view.def().element,
                    embedder: view.def().embedder.clone(),
                    rows: view_rows,
                    absent: live - view_rows,
                    zero,
                    segments,
                    bytes,
                });
            }
            let dead_rows = u64::from(def.rows) - live;
            rows += u64::from(def.rows);
            dead += dead_rows;
            let replaced = dead_rows.saturating_sub(removed_records(snapshot, &collection)?);
            let fields = def.fields.clone();
            let respects = snapshot.respect_infos(&def.name)?;
            let name = def.name.clone();
            collections.push(CollectionInfo {
                name,
                records: live,
                removed: dead_rows,
                replaced,
                views,
                fields,
                respects,
            });
        }
        Ok(StoreInfo {
            format: snapshot.meta().format,
            path: core.shared.path.clone(),
            commit: snapshot.commit(),
            dead_share: if rows == 0 { 0.0 } else { dead as f64 / rows as f64 },
            bytes: bytes_on_disk(&*core.shared.storage)?,
            held: core.shared.open_snapshots.before(snapshot.commit()),
            embedder: snapshot.meta().embedder.clone(),
            collections,
            projections: projections(snapshot)?,
            lenses: lens_infos(snapshot)?,
            samples: samples(snapshot)?,
            damaged: damaged_files(snapshot)?,
            leftovers: leftovers(&core.shared.place).iter().map(Leftover::note).collect(),
        })
    }
}

/// Live rows of nothing but zeros, where the view's bytes are within what is left to read. What cannot be read is
/// `check`'s to tell.
fn zero_vectors(view: &ViewSnapshot, unread: &mut u64) -> Option<u64> {
    let bytes = view.row_bytes() * u64::from(view.def().rows);
    *unread = unread.checked_sub(bytes)?;
    let mut zero = 0;
    for row in view.present().iter() {
        let vector = view.vector(row).ok()??;
        zero += u64::from(vector.iter().all(|value| *value == 0.0));
    }
    Some(zero)
}

/// How many different records the dead rows of a collection are of that are not live in another row.
fn removed_records(snapshot: &Snapshot, collection: &CollectionSnapshot) -> Result<u64> {
    let (def, live) = (collection.def(), collection.live());
    // Every record that was ever inserted has a key of its own: where all of them are live, dead rows are old versions.
    if u64::from(def.rows) == live.len() || def.next_key == live.len() {
        return Ok(0);
    }
    let mut dead: HashMap<RecordKey, String> = HashMap::new();
    let (rows, read) = (RowSet::from_range(0..def.rows).and_not(live), &snapshot.core().read);
    let mut next = 0;
    while let Some(row) = rows.iter_range(next..def.rows).next() {
        next = row + 1;
        match read.get(&RECORDS, &(def.id, row))? {
            Some(record) => _ = dead.insert(record.key, record.id),
            // What is not there is passed over at once, however much of it a definition claims.
            None => {
                next = read.first_key(&RECORDS, (def.id, next)..(def.id, def.rows))?.map_or(def.rows, |(_, row)| row)
            }
        }
    }
    let mut removed = 0;
    for (key, id) in dead {
        let now = collection.row_of(&id)?.map(|row| collection.record(row)).transpose()?;
        removed += u64::from(now.is_none_or(|now| now.key != key));
    }
    Ok(removed)
}

/// Segments whose files do not hold the rows that count.
fn damaged_files(snapshot: &Snapshot) -> Result<Vec<Damage>> {
    let core = snapshot.core();
    let mut found = Vec::new();
    for ((view, segment), entry) in core.read.range(&tables::SEGMENTS, ..)? {
        let name = segment::path(view, segment);
        let rows = u64::from(entry.rows) * segment::stride_bytes(entry.dimension, entry.element);
        let expected = segment::header::HEADER_BYTES as u64 + rows;
        let storage = &*core.shared.storage;
        let len = if storage.exists(&name)? { Some(storage.len(&name)?) } else { None };
        if len.is_none_or(|len| len < expected) {
            let what = if len.is_none() { "a segment is missing" } else { "a segment is shorter than its rows" };
            found.push(Damage {
                file: name.into(),
                offset: len.unwrap_or(0),
                what: what.to_string(),
                expected: format!("at least {expected} bytes"),
                found: len.map_or("nothing".to_string(), |len| format!("{len} bytes")),
            });
        }
    }
    Ok(found)
}

impl Snapshot {
    /// What is kept ready of saved lenses, by the name of the lens and then in the order of collections.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn derived_infos(&self) -> Result<BTreeMap<String, Vec<DerivedInfo>>> {
        let mut infos: BTreeMap<String, Vec<DerivedInfo>> = BTreeMap::new();
        for def in self.collections() {
            // Most collections have nothing, and need not be opened to know.
            if self.core().derived_of(def.id)?.is_empty() {
                continue;
            }
            let collection = self.collection(&def.name)?;
            for derived in collection.derived()? {
                infos.entry(derived.def.lens.clone()).or_default().push(collection.info_of(derived));
            }
        }
        Ok(infos)
    }
}

impl CollectionSnapshot {
    /// What is kept ready of `lens` for this collection.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn derived_info(&self, lens: &LensRecord) -> Result<Vec<DerivedInfo>> {
        let of_lens = self.derived()?.iter().filter(|derived| derived.def.lens == lens.name);
        Ok(of_lens.map(|derived| self.info_of(derived)).collect())
    }

    fn info_of(&self, Derived { def, rows }: &Derived) -> DerivedInfo {
        let (segments, bytes) = segment_bytes(rows.segments());
        let source = self.views().iter().find(|view| view.def().id == def.source);
        let vectors = source.map_or(0, |view| view.present().len());
        DerivedInfo {
            collection: self.def().name.clone(),
            kind: def.kind,
            dimension: def.dimension,
            element: def.element,
            rows: rows.present().len(),
            unkept: vectors - rows.present().len(),
            segments,
            bytes,
        }
    }
}

/// Number and bytes of a view's segments: what counts of them, not what a crash left behind.
fn segment_bytes<'a>(segments: impl Iterator<Item = &'a SegmentEntry>) -> (u64, u64) {
    segments.fold((0, 0), |(count, bytes), entry| {
        let rows = u64::from(entry.rows) * segment::stride_bytes(entry.dimension, entry.element);
        (count + 1, bytes + segment::header::HEADER_BYTES as u64 + rows)
    })
}

/// Bytes of the catalog's files and of all segment files.
pub(in crate::store) fn bytes_on_disk(storage: &dyn Storage) -> Result<u64> {
    let mut bytes = 0;
    for file in [CATALOG_FILE, SUMS_FILE, HEAD_FILE] {
        bytes += if storage.exists(file)? { storage.len(file)? } else { 0 };
    }
    for file in segment_files(storage)? {
        // A file may go between being listed and being asked for its length.
        bytes += storage.len(&file).or_else(|error| if storage.exists(&file)? { Err(error) } else { Ok(0) })?;
    }
    Ok(bytes)
}

fn projections(snapshot: &Snapshot) -> Result<Vec<ProjectionInfo>> {
    let heads = snapshot.projection_heads()?.into_iter();
    Ok(heads
        .map(|(name, head)| ProjectionInfo {
            name,
            rows: head.rows,
            columns: head.columns,
            pair: head.pair,
            origin: head.origin,
        })
        .collect())
}

fn lens_infos(snapshot: &Snapshot) -> Result<Vec<LensInfo>> {
    let mut derived = snapshot.derived_infos()?;
    let info = |record: LensRecord| {
        let calibration = snapshot.calibration(&record.name)?.map(|calibration| calibration.origin);
        let pinned_at = record.pinned.iter().map(|pinned| pinned.commit).min();
        let stale_commits = snapshot.commits_behind(&record);
        let derived = derived.remove(&record.name).unwrap_or_default();
        let fit = snapshot.fit_of(&record.name)?;
        let held_out = fit.as_ref().map(|(fit, figures)| fit_summary(fit, figures.as_ref()));
        let warning = fit.and_then(|(_, figures)| loses_on_new_classes(&figures?));
        Ok(LensInfo { record, pinned_at, stale_commits, calibration, derived, held_out, warning })
    };
    snapshot.lenses()?.into_iter().map(info).collect()
}

fn samples(snapshot: &Snapshot) -> Result<Vec<SampleInfo>> {
    let heads = snapshot.sample_heads()?.into_iter();
    Ok(heads
        .map(|(name, head)| {
            let (view, dimension) = head.vectors.unzip();
            let collection = snapshot.collection_name(head.collection).to_string();
            SampleInfo { name, collection, queries: head.queries, view, dimension, commit: head.commit }
        })
        .collect())
}
