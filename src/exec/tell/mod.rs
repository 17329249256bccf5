//! What can be told of a search beyond its hits.
//!
//! Lowest first: `explain` says how a search runs, with `kept_rows` for a blend's rows; `values`, `questions` and
//! `background` what a value means among those of random pairs; `why` where one record's score comes from; `compare`
//! runs lenses side by side, and `pairs` all records against each other.

pub(crate) mod background;
pub(crate) mod compare;
pub(crate) mod explain;
pub(crate) mod explain_blend;
pub(crate) mod pairs;
pub(crate) mod questions;
pub(crate) mod values;
pub(crate) mod why;
