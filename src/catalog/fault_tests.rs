//! A storage that fails: whatever operation of a commit fails, the state is the one before or the one after.

use super::tables::IDS;
use super::tests::meta;
use super::*;
use crate::error::{ErrorKind, Result};
use crate::storage::fault::{Fault, Plan};
use crate::storage::{FaultStorage, MemoryStorage, Storage, counted};
use crate::types::{CollectionId, CommitNumber};
use std::sync::Arc;

fn key(row: u32) -> (CollectionId, String) {
    (CollectionId(1), format!("id {row} {}", "x".repeat(row as usize % 50)))
}

/// A change that makes the file grow, frees pages and reuses them.
fn change(catalog: &Catalog, number: u64) -> Result<()> {
    let write = catalog.begin_write()?;
    for row in 0..300 {
        write.put(&IDS, &key(row), &(number as u32))?;
    }
    write.remove(&IDS, &key(number as u32 % 300))?;
    write.put_meta(&meta(number))?;
    write.commit()
}

fn check(catalog: &Catalog) -> u64 {
    let read = catalog.begin_read().unwrap();
    let number = read.meta().commit.0;
    let ids = read.range(&IDS, ..).unwrap();
    assert_eq!(ids.len(), 299);
    assert!(ids.iter().all(|(_, found)| u64::from(*found) == number), "a mixture of commits");
    number
}

/// After a failed write the store can still be read, unless the device answers nothing any more.
fn reads_on(catalog: &Catalog, acknowledged: u64, plan: Plan) {
    match catalog.begin_read() {
        Ok(_) => {
            let found = check(catalog);
            assert!(found == acknowledged || found == acknowledged + 1, "{plan:?}: {found} after {acknowledged}");
            assert_eq!(catalog.integrity(true).unwrap(), [], "{plan:?}");
        }
        Err(error) => assert!(matches!(plan, Plan::From(..)), "{plan:?}: nothing can be read any more: {error}"),
    }
}

/// Runs two commits on a store that fails as planned; false once nothing failed any more.
fn run(made: &MemoryStorage, plan: Plan) -> bool {
    let inner = made.copy();
    let failing = FaultStorage::new(inner.clone());
    failing.clock().set(plan);
    let options = CatalogOptions { cache_bytes: 100_000, ..CatalogOptions::default() };
    let mut acknowledged = 2;
    let what = format!("{plan:?}");
    let opened = Catalog::open_write(Arc::new(failing.clone()), options);
    if let Ok(catalog) = &opened {
        for number in 3..5 {
            match change(catalog, number) {
                Ok(()) => acknowledged = number,
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::ReadOnly), "{what}: {error}");
                    let again = change(catalog, number).unwrap_err();
                    assert_eq!(again.kind(), ErrorKind::ReadOnly, "{what}: the writer is poisoned: {again}");
                    assert!(again.to_string().contains("open the store again"), "{what}: {again}");
                    reads_on(catalog, acknowledged, plan);
                    break;
                }
            }
        }
    }
    drop(opened);
    let storage: Arc<dyn Storage> = Arc::new(inner);
    let found = check(&Catalog::open_read(storage.clone(), options).unwrap());
    assert!(found == acknowledged || found == acknowledged + 1, "{what}: {found} after {acknowledged}");
    let catalog = Catalog::open_write(storage, options).unwrap();
    assert_eq!(check(&catalog), found, "{what}");
    change(&catalog, found + 1).unwrap();
    assert_eq!(catalog.integrity(true).unwrap(), [], "{what}");
    failing.clock().has_fired()
}

#[test]
fn any_failed_write_or_sync_leaves_the_commit_before_or_after() {
    let made = MemoryStorage::new();
    let catalog = Catalog::create(Arc::new(made.clone()), CatalogOptions::default(), &meta(1)).unwrap();
    change(&catalog, 2).unwrap();
    drop(catalog);
    for plan in [Plan::Once, Plan::From] {
        let operations = (0..).take_while(|&operation| run(&made, plan(operation, Fault::DiskFull))).count();
        counted(operations, "failed operations");
        assert!(operations > 50, "{operations} operations are too few to tell");
    }
}

#[test]
fn a_creation_that_fails_is_no_store_or_a_whole_one() {
    let mut operations = 0;
    loop {
        let inner = MemoryStorage::new();
        let failing = FaultStorage::new(inner.clone());
        failing.clock().set(Plan::From(operations, Fault::DiskFull));
        let created = Catalog::create(Arc::new(failing), CatalogOptions::default(), &meta(1));
        let whole = created.is_ok();
        drop(created);
        match Catalog::open_read(Arc::new(inner), CatalogOptions::default()) {
            Ok(catalog) => assert_eq!(catalog.begin_read().unwrap().meta().commit, CommitNumber(1)),
            Err(error) => {
                assert!(!whole, "operation {operations}: {error}");
                assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{operations}: {error}");
            }
        }
        if whole {
            break;
        }
        operations += 1;
    }
    counted(operations as usize, "failed operations");
    assert!(operations > 10, "{operations}");
}
