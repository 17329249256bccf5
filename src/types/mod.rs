//! Level 0: plain data that every other module may name.
//!
//! Owns ids, values, records, limits, row sets, the parts of a lens, and the definitions the catalog stores. It
//! knows no file, no parser and no arithmetic; it imports only [`crate::error`].

pub mod control;
pub mod definitions;
pub mod ids;
pub mod labels;
pub mod learned;
pub mod lens;
pub mod lens_records;
pub mod limits;
pub mod record;
pub mod rowset;
pub mod value;

pub use control::{CancelToken, Control, Progress};
pub use definitions::{
    CollectionDef, ElementType, FORMAT, FORMAT_NEEDS, FieldType, ProjectionDef, SegmentEntry, StoreMeta, ViewDef,
    ViewKind,
};
pub use ids::{CollectionId, CommitNumber, RecordKey, RowId, SegmentId, ViewId};
pub use labels::{LabelQuery, LabelledRecord, PairLabels, QueryVector, RespectDef, Verdict};
pub use learned::{
    Accept, BackgroundDef, FitFigures, FittedOn, JudgedOn, LearnMethod, LearnMode, LearnedDef, Lift, Reliability,
};
pub use lens::{LensDef, Metric, ProjectionRef, Step};
pub use lens_records::{
    Calibration, CalibrationMap, DerivedDef, DerivedKind, LensRecord, PinnedStatistic, ProjectionHead, SampleDef,
    SampleHead, SampleVectors, Statistic,
};
pub use record::Record;
pub use rowset::RowSet;
pub use value::Value;
