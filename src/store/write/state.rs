//! The working state of one collection within a batch.
//!
//! Owns what changes before a commit: the definition, live rows, records whose vectors are still to be made or
//! written, and the values of the column chunk that is being filled. It is lost with the batch.

use crate::catalog::{CatalogRead, WriteTransaction, tables};
use crate::error::Result;
use crate::store::read::column::ColumnFiller;
use crate::store::read::record::RECORDS;
use crate::store::read::rows::{self, TrackedRows, read_row_set};
use crate::store::write::append::ViewState;
use crate::types::CollectionDef;
use std::collections::BTreeSet;

/// Where the vector of a new row comes from.
#[derive(Debug, Clone)]
pub(in crate::store) enum Slot {
    /// There is none for now.
    Absent,
    /// It was supplied, or copied from the row that this one replaces.
    Vector(Vec<f32>),
    /// The record's own text is embedded.
    Raw,
    /// This text is embedded.
    Text(String),
}

/// A new row whose vectors are not in a segment yet.
#[derive(Debug)]
pub(in crate::store) struct PendingRow {
    pub(in crate::store) row: u32,
    pub(in crate::store) text: String,
    /// One for each view.
    pub(in crate::store) slots: Vec<Slot>,
    pub(in crate::store) bytes: usize,
}

impl PendingRow {
    /// Counts the memory it holds.
    pub(in crate::store) fn measure(&mut self) {
        let slot_bytes = |slot: &Slot| match slot {
            Slot::Absent | Slot::Raw => 0,
            Slot::Vector(vector) => vector.len() * 4,
            Slot::Text(text) => text.len(),
        };
        self.bytes = self.text.len() + self.slots.iter().map(slot_bytes).sum::<usize>();
    }
}

/// One collection in a batch.
#[derive(Debug)]
pub(in crate::store) struct CollectionState {
    pub(in crate::store) def: CollectionDef,
    pub(in crate::store) live: TrackedRows,
    /// One for each view of the definition.
    pub(in crate::store) views: Vec<ViewState>,
    /// New rows in row order, not yet in segments.
    pub(in crate::store) pending: Vec<PendingRow>,
    pub(in crate::store) pending_bytes: usize,
    pub(in crate::store) columns: ColumnFiller,
    /// Whether `raw` has the store's embedder without anybody having asked for it.
    pub(in crate::store) is_embedder_default: bool,
    /// Whether the definition, live rows or views differ from the catalog.
    pub(in crate::store) changed: bool,
    /// Whether a live row was removed or replaced.
    pub(in crate::store) removed: bool,
    /// Fields of lists of which at least one is known not to be empty.
    pub(in crate::store) filled_lists: BTreeSet<String>,
}

impl CollectionState {
    /// A collection that the catalog does not have yet.
    pub(in crate::store) fn new(def: CollectionDef) -> Self {
        let views = def.views.iter().map(|_| ViewState::default()).collect();
        CollectionState {
            columns: ColumnFiller::new(def.rows),
            def,
            live: TrackedRows::default(),
            views,
            pending: Vec::new(),
            pending_bytes: 0,
            is_embedder_default: false,
            changed: true,
            removed: false,
            filled_lists: BTreeSet::new(),
        }
    }

    /// A collection as the catalog has it.
    pub(in crate::store) fn load(tx: &WriteTransaction, def: CollectionDef) -> Result<Self> {
        rows::hold_claims(tx, &def)?;
        let live = TrackedRows::new(read_row_set(tx, &tables::LIVE, def.id, def.rows)?);
        rows::hold_live(&def, live.rows())?;
        let views = def.views.iter().map(|view| ViewState::load(tx, view)).collect::<Result<_>>()?;
        let mut state = CollectionState::new(def);
        state.live = live;
        state.views = views;
        state.changed = false;
        Ok(state)
    }
}

/// Whether no record, dead ones included, has anything but a list of nothing in `field`. It reads the records up to the
/// first that has, and remembers the field in `filled` then.
pub(in crate::store) fn has_empty_lists_only(
    tx: &WriteTransaction,
    def: &CollectionDef,
    filled: &mut BTreeSet<String>,
    field: &str,
) -> Result<bool> {
    const STEP_ROWS: u32 = 1_024;
    let mut start = 0;
    while start < def.rows && !filled.contains(field) {
        let end = def.rows.min(start.saturating_add(STEP_ROWS));
        let mut all_empty = true;
        tx.for_each(&RECORDS, (def.id, start)..(def.id, end), |_, stored| {
            all_empty &= stored.has_no_item(field);
            Ok(())
        })?;
        if !all_empty {
            filled.insert(field.to_string());
        }
        start = end;
    }
    Ok(!filled.contains(field))
}
