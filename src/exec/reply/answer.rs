//! What a search answers: the lens it meant, how it was run, and the records, best first.
//!
//! Owns the result types that the table renderer, the JSON writer and library users read. It computes nothing and
//! holds no snapshot: an answer outlives the store it came from.

use super::header::{BackgroundHeader, LensHeader};
use crate::store::RecordData;
use crate::types::{CommitNumber, Metric, RecordKey, RowId, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The answer to one search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The statement in canonical form, defaults included; parameters stand as written.
    pub statement: String,
    /// The collection searched.
    pub collection: String,
    /// In what respect records were compared.
    pub header: LensHeader,
    /// How the search was run and what it saw.
    pub plan: PlanInfo,
    /// Remarks: doubtful chains, weights that do not sum to 1, text embedded as typed.
    pub notes: Vec<String>,
    /// The records found, from most to least similar.
    pub hits: Vec<Hit>,
    /// What the hits' percentiles are of; `None` where they were not asked for, and where there are none.
    pub background: Option<BackgroundHeader>,
    /// Time from binding to answer; for a batch, its time divided by its searches.
    pub elapsed: Duration,
}

/// How the note of a text without a vector ends, and no other.
pub(crate) const NOTHING_SIMILAR: &str = "nothing is similar to it";

impl Answer {
    /// The records found, from most to least similar.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// Whether a text that asks has no vector, because the embedder knows no word of it: nothing is found then.
    #[cfg(feature = "cli")]
    pub(crate) fn is_of_unknown_text(&self) -> bool {
        self.notes.iter().any(|note| note.ends_with(NOTHING_SIMILAR))
    }

    /// Time in milliseconds, as `--json` has it.
    pub fn elapsed_ms(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1000.0
    }
}

/// How a search was run, and what it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanInfo {
    /// What was gone over.
    pub path: SearchPath,
    /// Whether the answer is what comparing every record gives.
    pub exact: bool,
    /// Live records of the collection.
    pub rows: u64,
    /// Records that the condition keeps; all of them where there is none.
    pub matched: u64,
    /// Of those, records that have what the lens compares (a vector, or a text).
    pub scanned: u64,
    /// Of those, records without direction under the lens: they are never ranked.
    pub undirected: u64,
    /// Live records of the collection without a vector (or text) in the view.
    pub absent: u64,
    /// Records left out of the answer because the source names them.
    pub left_out: u64,
    /// The commit that was searched.
    pub commit: CommitNumber,
}

/// What a search goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchPath {
    /// The vectors of a view as they are, every step folded into the query.
    Scan,
    /// The processed vectors that are kept of a saved lens; of a blend, those of all its lenses.
    Materialized,
    /// The texts of a view, by edit distance.
    Texts,
    /// The vectors of a view, each with each.
    Pairs,
}

impl SearchPath {
    /// `scan`, `materialized`, `texts`, `pairs`: as `--json` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            SearchPath::Scan => "scan",
            SearchPath::Materialized => "materialized",
            SearchPath::Texts => "texts",
            SearchPath::Pairs => "pairs",
        }
    }
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub(crate) rank: u64,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
    /// The value of the lens's own metric, where `value` is a probability; the same otherwise.
    pub(crate) raw: f64,
    pub(crate) percentile: Option<f64>,
    pub(crate) row: RowId,
    /// Shared with the store's handle: the records of a long answer are spread over memory that a pass has pushed out
    /// of the caches, and a copy would read all of it.
    pub(crate) record: Arc<RecordData>,
}

impl Hit {
    /// Place in the whole answer, from 1; `skip 10` starts at 11.
    pub fn rank(&self) -> u64 {
        self.rank
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The score, higher is more similar; `None` where the metric is a distance, see [`Hit::distance`].
    pub fn score(&self) -> Option<f64> {
        (!self.metric.is_distance()).then_some(self.value)
    }

    /// The distance, lower is more similar; `None` where the metric is a score.
    pub fn distance(&self) -> Option<f64> {
        self.metric.is_distance().then_some(self.value)
    }

    /// The score or the distance, whichever the metric gives.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// How many per cent of random pairs of the collection's records are less similar under the same lens, rounded down
    /// to a tenth: 0 to 99.9. It is no probability. `None` where it was not asked for
    /// ([`Query::percentiles`](crate::Query::percentiles)), where texts are compared, and for fewer than two records.
    pub fn percentile(&self) -> Option<f64> {
        self.percentile
    }

    /// Whether [`Hit::value`] is a distance.
    pub fn is_distance(&self) -> bool {
        self.metric.is_distance()
    }

    /// The record's own text, whichever view was searched.
    pub fn text(&self) -> &str {
        &self.record.text
    }

    /// The record's metadata.
    pub fn fields(&self) -> &BTreeMap<String, Value> {
        &self.record.fields
    }

    /// The record's row at the commit searched.
    pub fn row(&self) -> RowId {
        self.row
    }

    /// The record's key, which stays the same for as long as the record lives.
    pub fn key(&self) -> RecordKey {
        self.record.key
    }
}
