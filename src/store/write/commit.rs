//! The order of a commit: vectors are appended beyond the committed rows and synced, then one catalog transaction makes
//! them count, then HEAD says so.

use crate::catalog::tables;
use crate::error::{Error, Result};
use crate::store::names::counted_up;
use crate::store::read::derived_def;
use crate::store::write::batch::Batch;
use crate::store::write::derived::KnownLenses;
use crate::store::write::flush::{finish_views, flush};
use crate::types::CommitNumber;

impl Batch {
    /// Makes everything in the batch count, durably, and answers with the commit's number. A batch that changed
    /// nothing commits nothing and answers with the last commit's.
    ///
    /// # Errors
    /// After an error the store is as it was before the batch. After [`ErrorKind::Io`] it has to be opened again before
    /// anything can be written; only that shows whether a commit whose last sync failed counts.
    pub fn commit(mut self) -> Result<CommitNumber> {
        self.usable()?;
        if !self.changed {
            return Ok(self.meta.commit);
        }
        let prepared = self.prepare_commit();
        self.note(prepared)?;
        let Some(tx) = self.tx.take() else { return Err(Error::invalid("the batch is not open")) };
        // From here on the new files may belong to the store, even if the commit's last sync fails: what no commit
        // names is removed by whoever opens the store next.
        self.created.clear();
        let committed = tx.commit();
        self.note(committed)?;
        Ok(self.meta.commit)
    }

    /// Everything up to the moment that makes it count: vectors appended and synced, catalog rows written.
    fn prepare_commit(&mut self) -> Result<()> {
        let mut derived = derived_def::by_collection(self.tx()?)?;
        let mut lenses = KnownLenses::default();
        for idx in 0..self.collections.len() {
            flush(self, idx)?;
            let own = derived.remove(&self.state(idx)?.def.id).unwrap_or_default();
            finish_views(self, idx, own, &mut lenses)?;
        }
        self.settle_heads()?;
        self.meta.commit.0 = counted_up(self.meta.commit.0)?;
        if !self.garbage.is_empty() {
            let generation = self.meta.generation;
            self.meta.generation = counted_up(generation)?;
            for path in std::mem::take(&mut self.garbage) {
                self.tx()?.put(&tables::GARBAGE, &(generation, path), &())?;
            }
        }
        let meta = self.meta.clone();
        self.tx()?.put_meta(&meta)
    }
}
