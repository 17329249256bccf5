//! What `info` shows: collections, views, rows, bytes, dead share, projections, lenses and their age.
//!
//! Plain data with public fields, and how it is gathered from a snapshot. It only reads.

use super::core::Core;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::types::{CommitNumber, ElementType, FieldType, LensRecord, ViewKind};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// The embedder new collections get.
    pub embedder: Option<String>,
    /// Collections by name.
    pub collections: Vec<CollectionInfo>,
    /// Projections by name.
    pub projections: Vec<ProjectionInfo>,
    /// Saved lenses by name.
    pub lenses: Vec<LensInfo>,
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
    /// Views in the order they were made.
    pub views: Vec<ViewInfo>,
    /// Field types by name.
    pub fields: BTreeMap<String, FieldType>,
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
    /// Commits since then.
    pub stale_commits: u64,
}

impl StoreInfo {
    pub(super) fn gather(snapshot: &Snapshot) -> Result<StoreInfo> {
        let core = snapshot.core();
        let mut collections = Vec::new();
        let (mut rows, mut dead) = (0_u64, 0_u64);
        for def in snapshot.collections() {
            let collection = snapshot.collection(&def.name)?;
            let live = collection.live().len();
            let mut views = Vec::new();
            for view in collection.views() {
                let (segments, bytes) = segment_bytes(core, view.segments())?;
                let view_rows = view.present().len();
                views.push(ViewInfo {
                    name: view.def().name.clone(),
                    kind: view.def().kind.clone(),
                    dimension: view.def().dimension,
                    element: view.def().element,
                    embedder: view.def().embedder.clone(),
                    rows: view_rows,
                    absent: live - view_rows,
                    segments,
                    bytes,
                });
            }
            let removed = u64::from(def.rows) - live;
            rows += u64::from(def.rows);
            dead += removed;
            let fields = def.fields.clone();
            collections.push(CollectionInfo { name: def.name.clone(), records: live, removed, views, fields });
        }
        Ok(StoreInfo {
            format: snapshot.meta().format,
            path: core.shared.path.clone(),
            commit: snapshot.commit(),
            dead_share: if rows == 0 { 0.0 } else { dead as f64 / rows as f64 },
            bytes: bytes_on_disk(core)?,
            embedder: snapshot.meta().embedder.clone(),
            collections,
            projections: projections(snapshot)?,
            lenses: snapshot.lenses()?.into_iter().map(|lens| lens_info(lens, snapshot.commit())).collect(),
        })
    }
}

fn segment_bytes<'a>(
    core: &Core,
    segments: impl Iterator<Item = &'a crate::types::SegmentEntry>,
) -> Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    for entry in segments {
        count += 1;
        bytes += core.shared.segment_bytes(entry)?;
    }
    Ok((count, bytes))
}

fn projections(snapshot: &Snapshot) -> Result<Vec<ProjectionInfo>> {
    let defs = snapshot.projections()?.into_iter();
    Ok(defs
        .map(|def| ProjectionInfo {
            pair: def.record.is_some(),
            name: def.name,
            rows: def.rows,
            columns: def.columns,
            origin: def.origin,
        })
        .collect())
}

fn lens_info(record: LensRecord, now: CommitNumber) -> LensInfo {
    let pinned_at = record.pinned.iter().map(|pinned| pinned.commit).min();
    let stale_commits = pinned_at.map_or(0, |commit| now.0.saturating_sub(commit.0));
    LensInfo { record, pinned_at, stale_commits }
}
