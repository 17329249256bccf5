//! Tests of the catalog as a whole: commits, snapshots, the writer's lock, repair.

use super::tables::{COLLECTIONS, FIT_FIGURES, IDS, LATER_NAMES, NAMES};
use super::*;
use crate::error::ErrorKind;
use crate::storage::{FsStorage, MemoryStorage, Storage};
use crate::types::{CollectionId, CommitNumber, FitFigures, StoreMeta};
use std::sync::Arc;

/// The record of a store at `commit`.
pub(super) fn meta(commit: u64) -> StoreMeta {
    StoreMeta {
        format: 1,
        needs: "0.1.0".to_string(),
        required_features: 0,
        commit: CommitNumber(commit),
        generation: 0,
        next_collection: 0,
        next_view: 0,
        next_segment: 0,
        embedder: None,
    }
}

fn put_ids(catalog: &Catalog, commit: u64, rows: std::ops::Range<u32>) {
    let write = catalog.begin_write().unwrap();
    for row in rows {
        write.put(&IDS, &(CollectionId(1), format!("id {row}")), &row).unwrap();
    }
    write.put_meta(&meta(commit)).unwrap();
    write.commit().unwrap();
}

fn both_storages(test: impl Fn(Arc<dyn Storage>)) {
    test(Arc::new(MemoryStorage::new()));
    let folder = tempfile::tempdir().unwrap();
    test(Arc::new(FsStorage::create(&folder.path().join("a.simile")).unwrap()));
}

#[test]
fn commits_are_read_back_and_readers_follow() {
    both_storages(|storage| {
        let options = CatalogOptions::default();
        let writer = Catalog::create(storage.clone(), options, &meta(1)).unwrap();
        let reader = Catalog::open_read(storage.clone(), options).unwrap();
        let first = reader.begin_read().unwrap();
        put_ids(&writer, 2, 0..2_000);
        assert_eq!(first.meta().commit, CommitNumber(1));
        assert_eq!(first.count(&IDS).unwrap(), 0, "a snapshot does not move");
        let second = reader.begin_read().unwrap();
        assert_eq!(second.meta().commit, CommitNumber(2));
        assert_eq!(second.get(&IDS, &(CollectionId(1), "id 7".to_string())).unwrap(), Some(7));
        assert_eq!(second.get(&IDS, &(CollectionId(2), "id 7".to_string())).unwrap(), None);
        let all = second.range(&IDS, (CollectionId(1), String::new())..(CollectionId(2), String::new())).unwrap();
        assert_eq!(all.len(), 2_000, "more than one batch");
        assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(second.range(&COLLECTIONS, "b".to_string().."a".to_string()).unwrap().is_empty());
        drop(writer);
        drop(reader);
        let reader = Catalog::open_read(storage, options).unwrap();
        assert_eq!(reader.begin_read().unwrap().count(&IDS).unwrap(), 2_000);
        assert_eq!(reader.begin_write().unwrap_err().kind(), ErrorKind::ReadOnly);
    });
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    both_storages(|storage| {
        let catalog = Catalog::create(storage, CatalogOptions::default(), &meta(1)).unwrap();
        let write = catalog.begin_write().unwrap();
        write.put(&IDS, &(CollectionId(1), "x".to_string()), &1).unwrap();
        assert_eq!(write.get(&IDS, &(CollectionId(1), "x".to_string())).unwrap(), Some(1), "it sees its own writes");
        drop(write);
        put_ids(&catalog, 2, 0..1);
        assert_eq!(catalog.begin_read().unwrap().count(&IDS).unwrap(), 1);
    });
}

#[test]
fn a_second_writer_is_refused_and_told_the_holder() {
    both_storages(|storage| {
        let options = CatalogOptions::default();
        let writer = Catalog::create(storage.clone(), options, &meta(1)).unwrap();
        let error = Catalog::open_write(storage.clone(), options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert_eq!(error.path(), Some(storage.root()));
        let process = format!("process {}", std::process::id());
        assert!(error.message().contains(&process), "{error}");
        assert!(error.message().contains(&storage.root().display().to_string()), "{error}");
        drop(writer);
        drop(Catalog::open_write(storage, options).unwrap());
    });
}

#[test]
fn no_store_is_said_to_be_no_store() {
    both_storages(|storage| {
        for error in [
            Catalog::open_read(storage.clone(), CatalogOptions::default()).unwrap_err(),
            Catalog::open_write(storage.clone(), CatalogOptions::default()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
    });
}

#[test]
fn names_are_distinct() {
    let distinct: std::collections::BTreeSet<_> = NAMES.iter().chain(&LATER_NAMES).collect();
    assert_eq!(distinct.len(), NAMES.len() + LATER_NAMES.len());
}

#[test]
fn a_table_that_came_later_is_empty_until_something_is_put_into_it() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let catalog = Catalog::create(storage.clone(), CatalogOptions::default(), &meta(1)).unwrap();
    let key = ("l".to_string(), 1);
    let read = catalog.begin_read().unwrap();
    assert_eq!(read.get(&FIT_FIGURES, &key).unwrap(), None);
    assert_eq!((read.range(&FIT_FIGURES, ..).unwrap(), read.count(&FIT_FIGURES).unwrap()), (Vec::new(), 0));
    assert_eq!(catalog.integrity(true).unwrap(), []);
    let figures = FitFigures {
        metric: "MAP".to_string(),
        known_pool: 1,
        new_pool: 2,
        new_classes: None,
        classes_pool: 3,
        has_classes: true,
        nearest: Some(0.25),
        ten: None,
    };
    let write = catalog.begin_write().unwrap();
    write.put(&FIT_FIGURES, &key, &figures).unwrap();
    write.commit().unwrap();
    let read = catalog.begin_read().unwrap();
    assert_eq!(read.get(&FIT_FIGURES, &key).unwrap(), Some(figures.clone()));
    assert_eq!(catalog.integrity(true).unwrap(), []);
    let copy: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    super::copy::copy_to(&read, &copy, CatalogOptions::default(), &crate::types::Control::default()).unwrap();
    let copied = Catalog::open_read(copy, CatalogOptions::default()).unwrap();
    assert_eq!(copied.begin_read().unwrap().get(&FIT_FIGURES, &key).unwrap(), Some(figures));
}

#[test]
fn block_sums_come_back_over_chunk_borders() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let catalog = Catalog::create(storage, CatalogOptions::default(), &meta(1)).unwrap();
    let segment = crate::types::SegmentId(3);
    let write = catalog.begin_write().unwrap();
    let all: Vec<u64> = (0..700).collect();
    for (start, end) in [(0, 5), (5, 256), (256, 600), (600, 700)] {
        sums::put_block_sums(&write, segment, start as u64, &all[start..end]).unwrap();
    }
    assert_eq!(sums::read_block_sums(&write, segment, 700).unwrap(), all);
    assert_eq!(sums::read_block_sums(&write, segment, 300).unwrap(), all[..300]);
    assert_eq!(sums::read_block_sums(&write, segment, 701).unwrap_err().kind(), ErrorKind::Corrupt);
    // What a crash left beyond the committed blocks is overwritten.
    sums::put_block_sums(&write, segment, 3, &[9]).unwrap();
    assert_eq!(sums::read_block_sums(&write, segment, 4).unwrap(), [0, 1, 2, 9]);
    sums::remove_block_sums(&write, segment).unwrap();
    assert_eq!(sums::read_block_sums(&write, segment, 1).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A store folder this process may not write to.
#[derive(Debug)]
pub(super) struct ReadOnlyStorage(pub(super) Arc<dyn Storage>);

impl ReadOnlyStorage {
    fn refuse<T>(&self) -> crate::error::Result<T> {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        Err(crate::error::Error::io("write", self.0.root(), source))
    }
}

impl Storage for ReadOnlyStorage {
    fn root(&self) -> &std::path::Path {
        self.0.root()
    }
    fn open(
        &self,
        path: &str,
        mode: crate::storage::OpenMode,
    ) -> crate::error::Result<Arc<dyn crate::storage::StorageFile>> {
        if mode == crate::storage::OpenMode::Read { self.0.open(path, mode) } else { self.refuse() }
    }
    fn exists(&self, path: &str) -> crate::error::Result<bool> {
        self.0.exists(path)
    }
    fn len(&self, path: &str) -> crate::error::Result<u64> {
        self.0.len(path)
    }
    fn create_dir(&self, _path: &str) -> crate::error::Result<()> {
        self.refuse()
    }
    fn list(&self, path: &str) -> crate::error::Result<Vec<String>> {
        self.0.list(path)
    }
    fn remove(&self, _path: &str) -> crate::error::Result<()> {
        self.refuse()
    }
    fn remove_dir(&self, _path: &str) -> crate::error::Result<()> {
        self.refuse()
    }
    fn rename(&self, _from: &str, _to: &str) -> crate::error::Result<()> {
        self.refuse()
    }
    fn sync_dir(&self, _path: &str) -> crate::error::Result<()> {
        self.refuse()
    }
    fn map(&self, path: &str, len: u64) -> crate::error::Result<crate::storage::Mapping> {
        self.0.map(path, len)
    }
    fn try_lock(
        &self,
        _path: &str,
        _kind: crate::storage::LockKind,
    ) -> crate::error::Result<Option<Box<dyn crate::storage::LockGuard>>> {
        self.refuse()
    }
}

#[test]
#[ignore = "prints figures; run it by name in release"]
fn speed() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FsStorage::create(&folder.path().join("a.simile")).unwrap());
    let catalog = Catalog::create(storage, CatalogOptions::default(), &meta(1)).unwrap();
    let start = std::time::Instant::now();
    let write = catalog.begin_write().unwrap();
    for row in 0..200_000_u32 {
        write.put(&IDS, &(CollectionId(1), format!("id {row}")), &row).unwrap();
    }
    println!("200,000 puts: {:?}", start.elapsed());
    write.put_meta(&meta(2)).unwrap();
    write.commit().unwrap();
    println!("and committed: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    let read = catalog.begin_read().unwrap();
    for row in 0..200_000_u32 {
        assert_eq!(read.get(&IDS, &(CollectionId(1), format!("id {row}"))).unwrap(), Some(row));
    }
    println!("200,000 gets: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    println!("range of {}: {:?}", read.range(&IDS, ..).unwrap().len(), start.elapsed());
    let start = std::time::Instant::now();
    for commit in 3..203 {
        put_ids(&catalog, commit, commit as u32 * 10..commit as u32 * 10 + 10);
    }
    println!("a commit of 10: {:?}", start.elapsed() / 200);
}
