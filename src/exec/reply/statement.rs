//! What a statement of any kind answers.
//!
//! Owns the choice between them, and what those say that are no search: a saved lens, a list of what there is.

use super::answer::Answer;
use super::comparison::Comparison;
use super::explanation::Explanation;
use super::pairs::Pairs;
use super::why::Why;
use crate::types::{CommitNumber, LensDef, Value};

/// What a statement answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// `find`
    Answer(Box<Answer>),
    /// `compare`
    Comparison(Box<Comparison>),
    /// `pairs`
    Pairs(Box<Pairs>),
    /// `why`
    Why(Box<Why>),
    /// `explain`
    Explanation(Box<Explanation>),
    /// `let`
    Saved(Saved),
    /// `drop`
    Dropped {
        /// The lens.
        name: String,
        /// The commit that dropped it.
        commit: CommitNumber,
    },
    /// `show`
    Listing(Listing),
}

/// A lens that was saved.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Saved {
    /// Its name.
    pub name: String,
    /// The statement in canonical form, with everything it stands for.
    pub statement: String,
    /// What it means.
    pub lens: LensDef,
    /// 1 for a new lens; one more each time it is defined again.
    pub version: u32,
    /// The commit that saved it.
    pub commit: CommitNumber,
    /// Collections for which statistics were pinned.
    pub pinned_collections: Vec<String>,
    /// Remarks on the chain.
    pub notes: Vec<String>,
}

/// A table of what there is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Listing {
    /// What is listed: `collections`, `views`, `fields`, `lenses`, `projections`, `samples`, `respects`,
    /// `undirected`.
    pub what: &'static str,
    /// Names of the columns.
    pub columns: Vec<&'static str>,
    /// One value for each column.
    pub rows: Vec<Vec<Value>>,
}
