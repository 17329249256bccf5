//! Heads of projections and samples: what is said of them without matrices and vectors, kept beside these so that
//! listing thousands reads none of them.
//!
//! Owns [`Heads`] and when they can be believed. Earlier similes write projections and samples without them, so a table
//! of heads names the total of what it is of; where that is another than the catalog's, heads are taken from the whole
//! entries, and the next commit that changes one of these writes all heads anew.

use crate::catalog::{CatalogRead, Table, WriteTransaction, tables};
use crate::error::Result;
use crate::store::read::snapshot::Snapshot;
use crate::store::write::batch::Batch;
use crate::types::{ProjectionDef, ProjectionHead, SampleDef, SampleHead};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A table of large things by name, with the table of their heads.
pub(in crate::store) struct Heads<V, H> {
    whole: Table<String, V>,
    heads: Table<String, H>,
    head: fn(&V) -> H,
}

/// Projections.
pub(in crate::store) const PROJECTIONS: Heads<ProjectionDef, ProjectionHead> =
    Heads { whole: tables::PROJECTIONS, heads: tables::PROJECTION_HEADS, head: ProjectionHead::of };

/// Samples of queries.
pub(in crate::store) const SAMPLES: Heads<SampleDef, SampleHead> =
    Heads { whole: tables::SAMPLES, heads: tables::SAMPLE_HEADS, head: SampleHead::of };

/// The keys of heads, without the one that says what they are of.
fn names() -> (Bound<String>, Bound<String>) {
    (Bound::Excluded(tables::HEADS_OF_KEY.to_string()), Bound::Unbounded)
}

impl<V: Serialize + DeserializeOwned, H: Serialize + DeserializeOwned> Heads<V, H> {
    /// Stores something and its head.
    pub(in crate::store) fn put(&self, tx: &WriteTransaction, name: &str, whole: &V) -> Result<()> {
        tx.put(&self.whole, &name.to_string(), whole)?;
        tx.put(&self.heads, &name.to_string(), &(self.head)(whole))
    }

    /// Removes something and its head; false where there was none.
    pub(in crate::store) fn remove(&self, tx: &WriteTransaction, name: &str) -> Result<bool> {
        tx.remove(&self.heads, &name.to_string())?;
        tx.remove(&self.whole, &name.to_string())
    }

    /// The heads as they are stored; `None` where they are not those of what is there.
    pub(in crate::store) fn stored(&self, catalog: &impl CatalogRead) -> Result<Option<BTreeMap<String, H>>> {
        let of = catalog.get(&tables::heads_of(&self.heads), &tables::HEADS_OF_KEY.to_string())?.unwrap_or_default();
        if of != catalog.committed_total(&self.whole)? {
            return Ok(None);
        }
        Ok(Some(catalog.range(&self.heads, names())?.into_iter().collect()))
    }

    /// Heads by name, from the whole entries only where those that are stored are not theirs.
    fn all(&self, catalog: &impl CatalogRead) -> Result<BTreeMap<String, H>> {
        if let Some(heads) = self.stored(catalog)? {
            return Ok(heads);
        }
        let mut heads = BTreeMap::new();
        catalog.for_each(&self.whole, .., |name, whole| {
            heads.insert(name, (self.head)(&whole));
            Ok(())
        })?;
        Ok(heads)
    }

    /// Says what the heads are of, where the transaction has changed any of it; heads that are not of what was there
    /// before are made anew.
    fn settle(&self, tx: &WriteTransaction) -> Result<()> {
        let (before, now) = (tx.committed_total(&self.whole)?, tx.total(&self.whole)?);
        if before == now {
            return Ok(());
        }
        let (of, key) = (tables::heads_of(&self.heads), tables::HEADS_OF_KEY.to_string());
        if tx.get(&of, &key)?.unwrap_or_default() != before {
            tx.remove_range(&self.heads, names())?;
            tx.for_each(&self.whole, .., |name, whole| tx.put(&self.heads, &name, &(self.head)(&whole)))?;
        }
        tx.put(&of, &key, &now)
    }
}

impl Batch {
    /// Says what heads are of, as the last thing before a commit.
    pub(in crate::store) fn settle_heads(&self) -> Result<()> {
        PROJECTIONS.settle(self.tx()?)?;
        SAMPLES.settle(self.tx()?)
    }
}

impl Snapshot {
    /// Shapes and origins of all projections, by name. Matrices are read only in a store that an earlier simile has
    /// written to.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn projection_heads(&self) -> Result<BTreeMap<String, ProjectionHead>> {
        PROJECTIONS.all(&self.core().read)
    }

    /// What is said of all samples without their queries, by name, read as [`Snapshot::projection_heads`] are.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn sample_heads(&self) -> Result<BTreeMap<String, SampleHead>> {
        SAMPLES.all(&self.core().read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, CatalogOptions};
    use crate::storage::{MemoryStorage, Storage, counted};
    use crate::store::{Options, Store};
    use crate::types::CollectionId;
    use std::sync::Arc;

    fn projection(name: &str, rows: u32) -> ProjectionDef {
        ProjectionDef {
            name: name.to_string(),
            rows,
            columns: 64,
            query: vec![0.5; rows as usize * 64],
            record: (rows % 2 == 1).then(|| vec![0.25; rows as usize * 64]),
            origin: format!("made of {rows} rows"),
            fitted_on: None,
        }
    }

    fn new_store() -> (Arc<dyn Storage>, Store) {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let store = Store::create_storage(&storage, Options::new()).unwrap();
        (storage, store)
    }

    fn put(store: &Store, defs: &[ProjectionDef]) {
        let mut batch = store.begin().unwrap();
        defs.iter().for_each(|def| batch.put_projection(def.clone()).unwrap());
        batch.commit().unwrap();
    }

    fn assert_right(store: &Store) {
        let snapshot = store.snapshot().unwrap();
        let expected: BTreeMap<String, ProjectionHead> =
            snapshot.projections().unwrap().iter().map(|def| (def.name.clone(), ProjectionHead::of(def))).collect();
        assert_eq!(snapshot.projection_heads().unwrap(), expected);
        let expected: BTreeMap<String, SampleHead> =
            snapshot.samples().unwrap().iter().map(|def| (def.name.clone(), SampleHead::of(def))).collect();
        assert_eq!(snapshot.sample_heads().unwrap(), expected);
        let report = store.check().unwrap();
        assert!(report.is_ok(), "{:?}", report.findings);
    }

    #[test]
    fn listing_projections_reads_no_matrix() {
        let (_, store) = new_store();
        put(&store, &(1..=40).map(|n| projection(&format!("p{n}"), n)).collect::<Vec<_>>());
        let mut batch = store.begin().unwrap();
        batch.collection("c").unwrap();
        for n in 0..20 {
            let mut sample = SampleDef::new(format!("s{n}"), CollectionId(1));
            sample.ids = (0..100).map(|n| format!("q{n}")).collect();
            sample.texts = vec!["Where are my keys?".to_string(); 100];
            batch.put_sample(sample).unwrap();
        }
        batch.drop_sample("s3").unwrap();
        batch.commit().unwrap();
        let before = counted::so_far();
        let info = store.info().unwrap();
        assert_eq!((info.projections.len(), info.samples.len(), info.samples[0].queries), (40, 19, 100));
        let bytes = counted::so_far().since(before).bytes;
        assert!(bytes < 60 * 200, "{bytes} bytes for 60 heads");
        assert_right(&store);
    }

    #[test]
    fn heads_follow_what_is_put_replaced_and_dropped() {
        let (storage, store) = new_store();
        assert_right(&store);
        put(&store, &[projection("a", 1), projection("b", 2)]);
        put(&store, &[projection("a", 3)]);
        assert_right(&store);
        let mut batch = store.begin().unwrap();
        batch.drop_projection("b").unwrap();
        batch.put_projection(projection("c", 5)).unwrap();
        batch.commit().unwrap();
        assert_right(&store);
        let copy: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        store.backup_storage(&copy).unwrap();
        assert_right(&Store::open_storage(copy, Options::new()).unwrap());
        drop(store);
        assert_right(&Store::open_storage(storage, Options::new()).unwrap());
    }

    #[test]
    fn heads_that_an_earlier_simile_has_left_behind_are_not_believed() {
        let (storage, store) = new_store();
        put(&store, &[projection("a", 1), projection("b", 2)]);
        drop(store);
        let catalog = Catalog::open_write(Arc::clone(&storage), CatalogOptions::default()).unwrap();
        let tx = catalog.begin_write().unwrap();
        tx.put(&tables::PROJECTIONS, &"b".to_string(), &projection("b", 9)).unwrap();
        tx.remove(&tables::PROJECTIONS, &"a".to_string()).unwrap();
        tx.put(&tables::PROJECTIONS, &"old".to_string(), &projection("old", 4)).unwrap();
        tx.commit().unwrap();
        drop(catalog);
        let store = Store::open_storage(storage, Options::new()).unwrap();
        assert_eq!(store.snapshot().unwrap().projection_heads().unwrap()["b"].rows, 9);
        assert_right(&store);
        put(&store, &[projection("new", 6)]);
        let snapshot = store.snapshot().unwrap();
        assert_eq!(PROJECTIONS.stored(&snapshot.core().read).unwrap().map(|heads| heads.len()), Some(3));
        assert_right(&store);
    }
}
