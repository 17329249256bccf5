//! What the catalog stores about collections, views, segments and projections, and others read.
//!
//! Plain data with a serialized form; the codec is `catalog/`'s. A change here is a change of the disk format.

use super::ids::{CollectionId, CommitNumber, SegmentId, ViewId};
use super::learned::FittedOn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the on-disk format that this build writes; it reads no later one.
pub const FORMAT: u32 = 1;
/// The first simile that reads [`FORMAT`]: written into every store, for those that come too early.
pub const FORMAT_NEEDS: &str = "0.1.0";

/// The store's own record: one per store. Its first two fields, and the key and checksum it is stored under, stay what
/// they are in every format, so that an older simile can say which newer one a store needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreMeta {
    /// Version of the on-disk format.
    pub format: u32,
    /// Version of the first simile that reads this format.
    pub needs: String,
    /// Bit set of features a reader must know to read this store.
    pub required_features: u64,
    /// Number of the last commit.
    pub commit: CommitNumber,
    /// Grows by one whenever files that readers may hold become garbage.
    pub generation: u64,
    /// The next unused collection id.
    pub next_collection: u32,
    /// The next unused view id.
    pub next_view: u32,
    /// The next unused segment id.
    pub next_segment: u32,
    /// Name of the embedder new collections get.
    pub embedder: Option<String>,
}

/// The type of a metadata field; set by its first value that is not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldType {
    /// Text.
    Text,
    /// 64-bit integers.
    Integer,
    /// Floats; an integer field widens to this.
    Float,
    /// Booleans.
    Bool,
    /// Lists of text.
    TextList,
    /// Nested objects and other lists: kept and shown, not filterable.
    Json,
}

impl FieldType {
    /// The type's name as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            FieldType::Text => "text",
            FieldType::Integer => "integer",
            FieldType::Float => "float",
            FieldType::Bool => "boolean",
            FieldType::TextList => "list of text",
            FieldType::Json => "json",
        }
    }
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionDef {
    /// Number of the collection.
    pub id: CollectionId,
    /// Name, unique in the store.
    pub name: String,
    /// Field types by name.
    pub fields: BTreeMap<String, FieldType>,
    /// Rows ever used, dead ones included: the next record gets this row.
    pub rows: u32,
    /// Rows that are live.
    pub live: u32,
    /// The next unused record key.
    pub next_key: u64,
    /// The collection's views, in the order they were made. `raw` is always the first.
    pub views: Vec<ViewDef>,
}

/// How a view gets its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewKind {
    /// The record's own text.
    Raw,
    /// The record's text put into a template: `Nationality of {text}`.
    Template(String),
    /// A rewritten text supplied by the user in this field of the input.
    TextFrom(String),
    /// No text: vectors are supplied.
    VectorsOnly,
}

impl ViewKind {
    /// One word for `info`: `raw`, `template`, `rewrite` or `vectors`.
    pub fn as_str(&self) -> &'static str {
        match self {
            ViewKind::Raw => "raw",
            ViewKind::Template(_) => "template",
            ViewKind::TextFrom(_) => "rewrite",
            ViewKind::VectorsOnly => "vectors",
        }
    }
}

/// How vector elements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ElementType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats (IEEE 754 binary16).
    F16,
}

impl ElementType {
    /// Size of one element in bytes.
    pub fn size_bytes(self) -> usize {
        match self {
            ElementType::F32 => 4,
            ElementType::F16 => 2,
        }
    }

    /// `f32` or `f16`.
    pub fn as_str(self) -> &'static str {
        match self {
            ElementType::F32 => "f32",
            ElementType::F16 => "f16",
        }
    }
}

/// A view of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDef {
    /// Number of the view, unique in the store.
    pub id: ViewId,
    /// Name, unique in the collection.
    pub name: String,
    /// Where its text comes from.
    pub kind: ViewKind,
    /// Name of its embedder; `None`: vectors are supplied.
    pub embedder: Option<String>,
    /// Dimension, fixed by the first vector.
    pub dimension: Option<u32>,
    /// Element type of its segments.
    pub element: ElementType,
    /// Rows its segments cover; later rows of the collection are absent from the view.
    pub rows: u32,
    /// Commits that changed which vectors it has, or of which records: what is computed from them is as old as the
    /// commits between.
    pub revision: u64,
}

/// One segment file of a view, as far as it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// Number of the segment; its file is `segments/<view id>/<segment id>.seg`.
    pub id: SegmentId,
    /// First row of the collection it holds.
    pub first_row: u32,
    /// Committed rows.
    pub rows: u32,
    /// Dimension of its rows.
    pub dimension: u32,
    /// Element type of its rows.
    pub element: ElementType,
    /// Checksum of the rows of the last, partly filled block (0 when there is none).
    pub tail_sum: u64,
}

/// A named projection: one matrix for both sides, or one for each. Matrices are `k x d`, row-major, f32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectionDef {
    /// Name, unique in the store.
    pub name: String,
    /// Output dimension `k`.
    pub rows: u32,
    /// Input dimension `d`.
    pub columns: u32,
    /// The query side, or both sides.
    pub query: Vec<f32>,
    /// The record side, where it differs.
    pub record: Option<Vec<f32>>,
    /// Where it came from, in words: `identity`, `random seed 7`, `M.npy`.
    pub origin: String,
    /// The vectors it was learned from; `None`: it may be used over any of its dimension.
    pub fitted_on: Option<FittedOn>,
}
