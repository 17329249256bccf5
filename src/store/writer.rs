//! Adding, replacing and removing the records of one collection within a batch.
//!
//! Owns [`CollectionWriter`] and the rules of insert, upsert, update and remove. Every call validates the whole
//! record before it changes anything, so a refused record leaves the batch as it was.

use super::batch::Batch;
use super::validate::{self, Checked};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{CollectionDef, Record, RowId};

/// What a call did with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The id was new.
    Inserted,
    /// The id was there with other contents, which were replaced.
    Updated,
    /// The id was there with the same contents; nothing was done.
    Unchanged,
}

/// One collection of a [`Batch`].
///
/// Nothing counts before [`Batch::commit`]. A refused record (kind `Invalid`, `Exists`, `Limit`, `NotFound`) leaves
/// the batch usable; its error names the field where there is one ([`Error::field`]).
#[derive(Debug)]
pub struct CollectionWriter<'a> {
    batch: &'a mut Batch,
    idx: usize,
    no_embed: bool,
    keep_vectors: bool,
}
