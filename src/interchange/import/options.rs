//! What an import is told, what it tells while it runs, and what it says in the end: data, no more.

use crate::interchange::jsonl::{ImportSpec, LineError};
use crate::types::{CommitNumber, ElementType};
use std::path::PathBuf;

/// What to import, and how; [`ImportOptions::from_file`] and then the fields that differ.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The JSONL file, plain or gzip; `-` is standard input.
    pub input: PathBuf,
    /// Which keys of a line mean what; rewrite views are added from the collection.
    pub spec: ImportSpec,
    /// A matrix whose row i belongs to line i; or the folder that an export left beside its lines, from which the
    /// collection is made with all its views.
    pub vectors: Option<PathBuf>,
    /// Element type of a view that is made; `None`: f16 for a matrix of f2, f32 otherwise.
    pub element: Option<ElementType>,
    /// Records for each durable commit; `None`: one commit for all.
    pub batch: Option<u64>,
    /// Pass over bad lines and list them.
    pub skip_bad: bool,
    /// Replace records whose ids exist. Of an id that comes twice in one input the later line counts, and the report
    /// notes it.
    pub update: bool,
    /// Keep the supplied vectors of a replaced record although its text has changed.
    pub keep_vectors: bool,
    /// Pass over records that are there already, identical.
    pub resume: bool,
    /// Leave what is embedded without vectors for now.
    pub no_embed: bool,
}

impl ImportOptions {
    /// All lines of the JSONL at `input`, plain or gzip, in one commit: `id` (or `_id`), `text`, and every other key as
    /// a field.
    pub fn from_file(input: impl Into<PathBuf>) -> Self {
        ImportOptions { input: input.into(), ..ImportOptions::default() }
    }
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Lines that were read and not blank.
    pub read: u64,
    /// Records that are new.
    pub inserted: u64,
    /// Records that were replaced or got a vector.
    pub updated: u64,
    /// Records that were there already, identical.
    pub unchanged: u64,
    /// Lines that were passed over, with the reason.
    pub skipped: Vec<LineError>,
    /// Durable commits.
    pub commits: u64,
    /// The last of them.
    pub commit: Option<CommitNumber>,
    /// Texts that an embedder knew no word of, empty ones included: their records have no vector in that view.
    pub without_words: u64,
    /// Supplied vectors of nothing but zeros: they have no direction.
    pub zero_vectors: u64,
    /// Remarks: numbers that were rounded, texts that are all empty.
    pub notes: Vec<String>,
}

impl ImportReport {
    /// Records that the input and the collection agree on by now.
    pub(super) fn kept(&self) -> u64 {
        self.inserted + self.updated + self.unchanged
    }
}

/// Who hears of an import while it runs.
pub trait ImportListener {
    /// `read` lines have been read so far, which is about this share (0 to 1) of the input; a pipe has no share.
    fn line(&mut self, _read: u64, _share: &dyn Fn() -> Option<f64>) {}
    /// A commit has become durable; `records` are in by now.
    fn commit(&mut self, _records: u64) {}
}

impl ImportListener for () {}
