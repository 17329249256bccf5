//! Runs a settled search: filter, source, scan, records.
//!
//! Lowest first: `clock` times the stages, `scan` is the loop over rows, `filter` makes a condition a set of rows, and
//! `rows` says which take part. `pinned` and `prepare` are what a lens knows of the records, `path` which rows are read
//! for it, and `source` what is looked for. `ready` is a search over its lenses, `edit_distance` compares texts.
//! `notes` and `hits` are what is said and found, `batch` what a pass has found: that of `one_lens` or of a `blend`.
//! `vectors` and `texts` run one kind of search each, and `search` any.

pub mod scan;

pub(crate) mod batch;
pub(crate) mod blend;
pub(crate) mod clock;
pub(crate) mod edit_distance;
pub(crate) mod filter;
pub(crate) mod hits;
pub(crate) mod notes;
pub(crate) mod one_lens;
pub(crate) mod path;
pub(crate) mod pinned;
pub(crate) mod prepare;
pub(crate) mod ready;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod source;
pub(crate) mod texts;
pub(crate) mod vectors;
