//! One all-or-nothing change of the store.
//!
//! Owns [`Batch`]: the catalog's write transaction, the working state of the collections it touches, and the order of
//! a commit: vectors are appended beyond the committed rows and synced, then one catalog transaction makes them
//! count, then HEAD says so. Invariant: until that transaction commits, nothing that a reader can reach has changed.

use super::handle::{Shared, WriterTicket};
use super::names::check_name;
use super::options::{CollectionSpec, EmbedderChoice, ViewSpec};
use super::snapshot::no_such_collection;
use super::state::CollectionState;
use super::writer::CollectionWriter;
use super::{append, fill};
use crate::catalog::{CatalogRead, WriteTransaction, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::types::definitions::PinnedStatistic;
use crate::types::{
    CollectionDef, CollectionId, CommitNumber, LensDef, LensRecord, ProjectionDef, StoreMeta, ViewDef, ViewId, ViewKind,
    limits,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A transaction: everything in it counts once [`Batch::commit`] returns, or nothing does.
///
/// Dropping a batch without committing undoes it. One batch is open at a time; readers go on meanwhile.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("simile-doc-batch-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use simile::{Record, store::Store};
/// let store = Store::create(dir.join("notes.simile"))?;
/// let mut batch = store.begin()?;
/// let mut notes = batch.collection("notes")?;
/// notes.insert(Record::new("n1", "Where did I put my wallet?"))?;
/// notes.insert(Record::new("n2", "I left them in my pocket"))?;
/// assert_eq!(batch.commit()?.0, 1);
/// assert_eq!(store.snapshot()?.collection("notes")?.live().len(), 2);
/// # drop(store);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), simile::Error>(())
/// ```
pub struct Batch {
    pub(super) shared: Arc<Shared>,
    /// Dropped after the transaction, so that nobody else can begin while this one still aborts.
    pub(super) tx: Option<WriteTransaction>,
    pub(super) meta: StoreMeta,
    pub(super) collections: Vec<CollectionState>,
    /// Paths that the commit makes garbage.
    pub(super) garbage: Vec<String>,
    /// Segment files made by this batch, to be removed if it does not commit.
    pub(super) created: Vec<String>,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
    /// Why the batch cannot commit any more.
    pub(super) broken: Option<String>,
    pub(super) control: Control,
    pub(super) ticket: WriterTicket,
}
