//! How many snapshots of one handle show which commit.

use crate::types::CommitNumber;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many snapshots of one handle show which commit.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct OpenSnapshots(Arc<Mutex<BTreeMap<CommitNumber, u64>>>);

impl OpenSnapshots {
    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<CommitNumber, u64>> {
        // Every change is one of a number: a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of commits before `commit`, the oldest first.
    pub(in crate::store) fn before(&self, commit: CommitNumber) -> Vec<(CommitNumber, u64)> {
        self.counts().range(..commit).map(|(commit, count)| (*commit, *count)).collect()
    }
}

/// One snapshot, counted as long as it lives.
pub(in crate::store) struct Counted(OpenSnapshots, CommitNumber);

impl Counted {
    pub(in crate::store) fn new(open: &OpenSnapshots, commit: CommitNumber) -> Counted {
        *open.counts().entry(commit).or_default() += 1;
        Counted(open.clone(), commit)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        let left = counts.get(&self.1).map_or(0, |count| count - 1);
        match left {
            0 => counts.remove(&self.1),
            left => counts.insert(self.1, left),
        };
    }
}
