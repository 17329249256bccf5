//! Reading: what a snapshot hands out, down to the rows, columns and records that it reads.

pub(in crate::store) mod collection;
pub(in crate::store) mod column;
pub(in crate::store) mod core;
pub(in crate::store) mod derived_def;
pub(in crate::store) mod fits;
pub(in crate::store) mod info;
pub(in crate::store) mod labelled;
pub(in crate::store) mod record;
pub(in crate::store) mod rows;
pub(in crate::store) mod rows_copy;
pub(in crate::store) mod segments;
pub(in crate::store) mod snapshot;
pub(in crate::store) mod view;
pub(in crate::store) mod view_text;
