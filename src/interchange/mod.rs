//! Level 4: files and streams of other programs, in and out.
//!
//! [`Store::import_jsonl`](crate::Store::import_jsonl) carries JSONL, with or without a matrix of vectors, into a
//! collection; [`Snapshot::export_jsonl`](crate::Snapshot::export_jsonl) writes a collection in a form that import
//! takes back; [`Store::import_labels`](crate::Store::import_labels) reads judgements; [`read_queries`],
//! [`read_qrels`], [`read_judged`] and [`NpyReader`] read the files that evaluations use.
//!
//! Owns the reading of JSONL (plain or gzip) and `.npy`, the writing of both, and the imports that carry records and
//! labels into a store. It trusts no byte it reads: every bound is checked, every complaint names line and field. It
//! knows nothing of terminals or arguments.

pub(crate) mod beir;
pub(crate) mod export;
pub(crate) mod folder;
pub(crate) mod import;
pub(crate) mod input;
pub(crate) mod jsonl;
pub(crate) mod judged;
pub(crate) mod labels;
pub(crate) mod nested;
pub(crate) mod npy;
pub(crate) mod npy_header;
pub(crate) mod output;
pub(crate) mod placed;

pub use beir::{Judgement, QueryLine, read_qrels, read_queries};
pub use export::{ExportReport, ExportedMatrix};
pub use import::{ImportListener, ImportOptions, ImportReport};
pub use jsonl::{ImportSpec, LineError};
pub use judged::{JudgedBy, JudgedLine, read_judged};
pub use labels::{LabelFiles, LabelImport};
pub use npy::NpyReader;
