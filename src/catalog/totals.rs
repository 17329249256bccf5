//! How many entries each table has, and an order-free sum of their checksums: what `check` compares a walk with.
//!
//! Owns [`Total`] and [`Totals`], the changes of a write transaction. An entry's checksum covers table, key and value;
//! the sum of them all changes whatever entry comes, goes or changes, and does not depend on their order. Invariant: a
//! commit that changes a table changes its total, in the same transaction.

use super::codec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Total {
    /// Entries.
    pub entries: u64,
    /// Sum of their checksums, modulo 2^64.
    pub sum: u64,
}

impl Total {
    /// One entry more.
    pub fn add(&mut self, stored: &[u8]) {
        self.entries = self.entries.wrapping_add(1);
        self.sum = self.sum.wrapping_add(codec::stored_sum(stored));
    }

    /// One entry less.
    pub(super) fn take(&mut self, stored: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(codec::stored_sum(stored));
    }
}

impl Total {
    /// The total with a difference.
    pub(super) fn changed(self, change: Total) -> Total {
        Total { entries: self.entries.wrapping_add(change.entries), sum: self.sum.wrapping_add(change.sum) }
    }
}

/// What a write transaction changes of the totals: differences, modulo 2^64.
#[derive(Debug, Default)]
pub(super) struct Totals(Mutex<BTreeMap<&'static str, Total>>);

impl Totals {
    /// `new` has come in place of `old`.
    pub(super) fn replaced(&self, table: &'static str, old: Option<&[u8]>, new: Option<&[u8]>) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total = changes.entry(table).or_default();
        if let Some(old) = old {
            total.take(old);
        }
        if let Some(new) = new {
            total.add(new);
        }
    }

    /// The difference of one table so far.
    pub(super) fn change(&self, table: &str) -> Total {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(table).copied().unwrap_or_default()
    }

    /// The totals after the changes so far, which are forgotten.
    pub(super) fn apply(&self, mut totals: BTreeMap<String, Total>) -> BTreeMap<String, Total> {
        let changes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (table, change) in changes {
            let total = totals.entry(table.to_string()).or_default();
            *total = total.changed(change);
        }
        totals
    }
}
