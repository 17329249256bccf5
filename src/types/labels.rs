//! What the catalog stores about labels: who said that which record answers which question, in which respect.
//!
//! Plain data with a serialized form; the codec is `catalog/`'s. A change here is a change of the disk format. Labels
//! hold on to records by their keys, so they survive `compact`; a record that was removed leaves its labels without
//! one.

use super::ids::{CollectionId, CommitNumber, RecordKey};
use serde::{Deserialize, Serialize};

/// A respect in which records of one collection are labelled: "answers the question", "implemented in the same
/// language".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RespectDef {
    /// Its number, unique in the store: labels are stored under it.
    pub id: u32,
    /// The collection.
    pub collection: CollectionId,
    /// Its name, unique in the collection.
    pub name: String,
    /// A metadata field whose values are classes: two records with the same value are alike. Nothing else is stored
    /// then.
    pub field: Option<String>,
    /// Next unused number of a query.
    pub next_query: u32,
    /// Pairs of a query and a record that have at least one label.
    pub pairs: u64,
    /// Grows by one with each change of its labels.
    pub revision: u64,
    /// The commit that made it.
    pub commit: CommitNumber,
}

/// The question of labels: a text, a vector that came along, or a record that stands for itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelQuery {
    /// The id it was given with, unique in its respect; for a record `#` and its id; for a text typed at a terminal the
    /// text itself.
    pub id: String,
    /// Its text, where it has one.
    pub text: Option<String>,
    /// The record that is the question, where one is.
    pub record: Option<LabelledRecord>,
    /// A vector that came along, and the view it is for.
    pub vector: Option<QueryVector>,
}

/// A vector of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryVector {
    /// Name of the view it is for.
    pub view: String,
    /// Its numbers, all finite.
    pub data: Vec<f32>,
}

/// A record as labels hold on to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LabelledRecord {
    /// Its key; a record that was removed and inserted again is another one.
    pub key: RecordKey,
    /// Its id, to find it by.
    pub id: String,
}

/// What has been said about one pair of a query and a record, in the order it was said; the last word counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairLabels {
    /// The record.
    pub record: LabelledRecord,
    /// At least one.
    pub said: Vec<Verdict>,
}

/// One label: what was said, by whom, when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Above 0: relevant, and how much; 0 or below: judged, not relevant.
    pub grade: i64,
    /// Where it came from, in words: `qrels/train.tsv`, `terminal`.
    pub source: String,
    /// Seconds since 1970.
    pub time: u64,
    /// The commit that stored it.
    pub commit: CommitNumber,
}

impl PairLabels {
    /// The last word: the grade that counts; 0 where nothing was said.
    pub fn grade(&self) -> i64 {
        self.said.last().map_or(0, |verdict| verdict.grade)
    }

    /// Whether it was called relevant once and not relevant another time.
    pub fn contradicts_itself(&self) -> bool {
        self.said.iter().any(|verdict| verdict.grade > 0) && self.said.iter().any(|verdict| verdict.grade <= 0)
    }
}
