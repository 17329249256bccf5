//! Readers of segments, shared by the snapshots of one handle.
//!
//! Owns the promise that a block is verified once in a process and a file mapped once, however many snapshots come and
//! go: when a segment has grown, its reader is opened anew with what is known of its earlier blocks.

use crate::catalog::sums::read_block_sums;
use crate::catalog::{CatalogRead, ReadTransaction, tables};
use crate::error::Result;
use crate::segment::{SegmentReader, full_blocks};
use crate::storage::Storage;
use crate::types::{SegmentEntry, SegmentId, ViewId};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The newest reader of each segment.
#[derive(Debug, Default)]
pub(in crate::store) struct SegmentReaders {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The generation that `readers` was last compared with.
    generation: u64,
    readers: HashMap<SegmentId, Arc<SegmentReader>>,
}

impl SegmentReaders {
    /// A reader of `entry`, for a snapshot whose transaction is `read` and which may hold one (`held`) of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where file and entry do not fit, and what the operating system
    /// answers.
    pub(in crate::store) fn get(
        &self,
        storage: &dyn Storage,
        read: &ReadTransaction,
        held: Option<&Arc<SegmentReader>>,
        view: ViewId,
        entry: &SegmentEntry,
    ) -> Result<Arc<SegmentReader>> {
        let known = self.state().readers.get(&entry.id).cloned();
        let held = held.or(known.as_ref());
        if let Some(held) = held.filter(|held| held.entry() == entry) {
            held.check_length(storage)?;
            return Ok(Arc::clone(held));
        }
        let sums = read_block_sums(read, entry.id, full_blocks(entry.rows, entry.dimension, entry.element))?;
        let reader = Arc::new(match &known {
            Some(known) => known.reopen(storage, view, entry, sums)?,
            None => SegmentReader::open(storage, view, entry, sums)?,
        });
        let mut state = self.state();
        if state.readers.get(&entry.id).is_none_or(|newest| newest.entry().rows < entry.rows) {
            state.readers.insert(entry.id, Arc::clone(&reader));
        }
        Ok(reader)
    }

    /// Lets go of some segments; whoever asks for one again opens and verifies it anew.
    pub(in crate::store) fn forget(&self, segments: impl Iterator<Item = SegmentId>) {
        let mut state = self.state();
        segments.for_each(|segment| drop(state.readers.remove(&segment)));
    }

    /// Lets go of segments that the catalog no longer names, once for each generation.
    pub(in crate::store) fn forget_gone(&self, read: &ReadTransaction) -> Result<()> {
        let generation = read.meta().generation;
        if self.state().generation >= generation {
            return Ok(());
        }
        let named: HashSet<SegmentId> =
            read.range(&tables::SEGMENTS, ..)?.into_iter().map(|((_, segment), _)| segment).collect();
        let mut state = self.state();
        state.generation = generation;
        state.readers.retain(|segment, _| named.contains(segment));
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is one insertion or removal: a panic elsewhere leaves the map whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
