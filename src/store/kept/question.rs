//! Labels as they are given: questions, and what is said with them about records.
//!
//! Owns [`Question`] and [`NewLabels`], plain builders; whether the records exist and the vectors fit is found out when
//! they are stored.

use crate::storage::checksum::checksum;
use crate::types::{QueryVector, limits};
use std::time::{SystemTime, UNIX_EPOCH};

/// The question of a label: a text, a vector, or a record that stands for itself.
///
/// ```
/// use simile::store::Question;
/// assert_eq!(Question::text("Where are my keys?").id(), "Where are my keys?");
/// assert_eq!(Question::record("n1").id(), "#n1");
/// assert_eq!(Question::new("q7").with_vector("raw", vec![0.5, 0.5]).id(), "q7");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub(in crate::store) id: String,
    pub(in crate::store) text: Option<String>,
    pub(in crate::store) record: Option<String>,
    pub(in crate::store) vector: Option<QueryVector>,
}

impl Question {
    /// A question with an id of its own, to be given a text, a vector or both.
    pub fn new(id: impl Into<String>) -> Question {
        Question { id: id.into(), text: None, record: None, vector: None }
    }

    /// A text that is its own id; of a long one the id is its beginning and a checksum.
    pub fn text(text: impl Into<String>) -> Question {
        let text = text.into();
        let id = if text.len() <= limits::ID_BYTES {
            text.clone()
        } else {
            let mut end = limits::ID_BYTES / 2;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            format!("{}… {:016x}", text.get(..end).unwrap_or_default(), checksum(0, text.as_bytes()))
        };
        Question { text: Some(text), ..Question::new(id) }
    }

    /// The record of this id, as a question; its own id is `#` and the record's.
    pub fn record(id: impl Into<String>) -> Question {
        let record = id.into();
        Question { record: Some(record.clone()), ..Question::new(format!("#{record}")) }
    }

    /// With this id in place of the one it has by itself.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Question {
        self.id = id.into();
        self
    }

    /// With this text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Question {
        self.text = Some(text.into());
        self
    }

    /// With a vector for this view.
    #[must_use]
    pub fn with_vector(mut self, view: impl Into<String>, data: Vec<f32>) -> Question {
        self.vector = Some(QueryVector { view: view.into(), data });
        self
    }

    /// Its id, unique in a respect.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Labels to be stored together: questions, and what is said with them.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLabels {
    pub(in crate::store) source: String,
    pub(in crate::store) time: u64,
    pub(in crate::store) questions: Vec<Question>,
    pub(in crate::store) said: Vec<Said>,
}

/// One label to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Said {
    pub(in crate::store) question_idx: usize,
    pub(in crate::store) record: String,
    pub(in crate::store) grade: i64,
}

impl NewLabels {
    /// No labels yet, of this source (`qrels/train.tsv`, `terminal`), said now.
    pub fn from_source(source: impl Into<String>) -> NewLabels {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        NewLabels { source: source.into(), time: now, questions: Vec::new(), said: Vec::new() }
    }

    /// Said at this time, in seconds since 1970.
    #[must_use]
    pub fn at(mut self, time: u64) -> NewLabels {
        self.time = time;
        self
    }

    /// Adds a question and answers with its place. One that nothing is said with is not stored.
    pub fn question(&mut self, question: Question) -> usize {
        self.questions.push(question);
        self.questions.len() - 1
    }

    /// Says how relevant a record is to the question at `question_idx`: above 0 relevant, and how much; 0 or below
    /// judged, not relevant.
    pub fn say(&mut self, question_idx: usize, record: impl Into<String>, grade: i64) {
        self.said.push(Said { question_idx, record: record.into(), grade });
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.said.len()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}
