//! The catalog's tables: their names, keys and values.
//!
//! A name, its key encoding and its value's serialized form are part of the disk format. Tables whose values belong to
//! higher levels are named here and typed there: `const RECORDS: Table<_, StoredRecord> = Table::new(RECORDS_NAME)`.

use super::totals::Total;
use crate::types::{
    BackgroundDef, Calibration, CollectionDef, CollectionId, DerivedDef, FitFigures, LabelQuery, LearnedDef,
    LensRecord, PairLabels, ProjectionDef, ProjectionHead, RecordKey, RespectDef, SampleDef, SampleHead, SegmentEntry,
    SegmentId, Statistic, StoreMeta, ViewId,
};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// A table of the catalog: a name with the types of its keys and values.
#[derive(Debug)]
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// The table `name`, which must be one of [`NAMES`].
    pub const fn new(name: &'static str) -> Self {
        Table { name, types: PhantomData }
    }

    /// The table's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// [`META_KEY`] -> the store's own record.
pub const META: Table<String, StoreMeta> = Table::new("meta");
/// The one key of [`META`].
pub const META_KEY: &str = "store";
/// Collections by name.
pub const COLLECTIONS: Table<String, CollectionDef> = Table::new("collections");
/// Record ids -> rows.
pub const IDS: Table<(CollectionId, String), u32> = Table::new("ids");
/// Texts of a view's rows, where they are not the record's own.
pub const VIEW_TEXTS: Table<(ViewId, u32), String> = Table::new("view_texts");
/// Segments of a view.
pub const SEGMENTS: Table<(ViewId, SegmentId), SegmentEntry> = Table::new("segments");
/// Checksums of a segment's full blocks, in chunks; see [`super::sums`].
pub const BLOCK_SUMS: Table<(SegmentId, u32), Vec<u64>> = Table::new("block_sums");
/// Live rows of a collection, by chunks of 65,536 rows.
pub const LIVE: Table<(CollectionId, u32), Vec<u8>> = Table::new("live");
/// Rows without a vector in a view, by chunks of 65,536 rows.
pub const ABSENT: Table<(ViewId, u32), Vec<u8>> = Table::new("absent");
/// Projections by name.
pub const PROJECTIONS: Table<String, ProjectionDef> = Table::new("projections");
/// Lenses by name.
pub const LENSES: Table<String, LensRecord> = Table::new("lenses");
/// What lenses pin, by collection, lens and place in the chain.
pub const STATISTICS: Table<(CollectionId, String, u32), Statistic> = Table::new("statistics");
/// Samples of queries by name.
pub const SAMPLES: Table<String, SampleDef> = Table::new("samples");
/// Calibrations by name of the lens.
pub const CALIBRATIONS: Table<String, Calibration> = Table::new("calibrations");
/// Rows and scalars kept ready for lenses, by their own view number.
pub const DERIVED: Table<ViewId, DerivedDef> = Table::new("derived");
/// Respects in which a collection is labelled, by name.
pub const RESPECTS: Table<(CollectionId, String), RespectDef> = Table::new("respects");
/// Questions of a respect, by its number and theirs.
pub const LABEL_QUERIES: Table<(u32, u32), LabelQuery> = Table::new("label_queries");
/// Numbers of questions by their ids.
pub const LABEL_QUERY_IDS: Table<(u32, String), u32> = Table::new("label_query_ids");
/// Labels by respect, question and record.
pub const LABELS: Table<(u32, u32, RecordKey), PairLabels> = Table::new("labels");
/// Fits of learned lenses by name and number.
pub const LEARNED: Table<(String, u32), LearnedDef> = Table::new("learned");
/// Scores of random pairs, by collection and lens.
pub const BACKGROUNDS: Table<(CollectionId, String), BackgroundDef> = Table::new("backgrounds");
/// What the lifts of fits were measured as, by name and number of the fit.
pub const FIT_FIGURES: Table<(String, u32), FitFigures> = Table::new("fit_figures");
/// [`TOTALS_KEY`] -> number of entries and order-free sum of each table but this one, by name.
pub const TOTALS: Table<String, BTreeMap<String, Total>> = Table::new("totals");
/// The one key of [`TOTALS`].
pub const TOTALS_KEY: &str = "all";
/// Shapes and origins of projections by name, so that listing them reads no matrix. It is right as long as what stands
/// under [`HEADS_OF_KEY`] is the total of [`PROJECTIONS`]: earlier similes do not know it.
pub const PROJECTION_HEADS: Table<String, ProjectionHead> = Table::new("projection_heads");
/// The same of [`SAMPLES`].
pub const SAMPLE_HEADS: Table<String, SampleHead> = Table::new("sample_heads");
/// The total under [`HEADS_OF_KEY`] in the table of heads `NAME`.
pub const fn heads_of<H>(heads: &Table<String, H>) -> Table<String, Total> {
    Table::new(heads.name())
}
/// Where a table of heads says what it is of; nothing can have this name.
pub const HEADS_OF_KEY: &str = "\0";
/// (generation, path) of files that nobody who starts reading now needs.
pub const GARBAGE: Table<(u64, String), ()> = Table::new("garbage");

/// Name of the table of records, by (collection, row).
pub const RECORDS_NAME: &str = "records";
/// Name of the table of metadata columns, by (collection, field, chunk).
pub const COLUMNS_NAME: &str = "columns";

/// Tables that were added to the format later: where one is missing, it is empty. Earlier similes pass over them.
pub const LATER_NAMES: [&str; 3] = [PROJECTION_HEADS.name(), SAMPLE_HEADS.name(), FIT_FIGURES.name()];

/// All other tables; they are made with the catalog, so that a missing one is damage.
pub const NAMES: [&str; 24] = [
    META.name(),
    COLLECTIONS.name(),
    RECORDS_NAME,
    IDS.name(),
    VIEW_TEXTS.name(),
    SEGMENTS.name(),
    BLOCK_SUMS.name(),
    LIVE.name(),
    ABSENT.name(),
    COLUMNS_NAME,
    PROJECTIONS.name(),
    LENSES.name(),
    STATISTICS.name(),
    SAMPLES.name(),
    CALIBRATIONS.name(),
    DERIVED.name(),
    RESPECTS.name(),
    LABEL_QUERIES.name(),
    LABEL_QUERY_IDS.name(),
    LABELS.name(),
    LEARNED.name(),
    BACKGROUNDS.name(),
    TOTALS.name(),
    GARBAGE.name(),
];
