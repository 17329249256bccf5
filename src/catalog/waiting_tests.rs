//! Nobody who reads waits long for whoever writes, and who waits in vain is told for whom.

use super::tables::VIEW_TEXTS;
use super::tests::meta;
use super::*;
use crate::error::ErrorKind;
use crate::storage::fault::Plan;
use crate::storage::{FaultStorage, FsStorage, MemoryStorage, OpenMode, Storage};
use crate::types::ViewId;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn options(busy_timeout: Duration) -> CatalogOptions {
    CatalogOptions { cache_bytes: 1 << 20, busy_timeout }
}

/// A catalog of some megabytes, most of them in unused pages.
fn with_room(storage: &Arc<dyn Storage>) -> Catalog {
    let catalog = Catalog::create(storage.clone(), options(Duration::ZERO), &meta(1)).unwrap();
    let put = catalog.begin_write().unwrap();
    for row in 0..3_000 {
        put.put(&VIEW_TEXTS, &(ViewId(1), row), &format!("{row} ").repeat(400)).unwrap();
    }
    put.put_meta(&meta(2)).unwrap();
    put.commit().unwrap();
    let remove = catalog.begin_write().unwrap();
    remove.remove_range(&VIEW_TEXTS, (ViewId(1), 0)..=(ViewId(1), 2_200)).unwrap();
    remove.put_meta(&meta(3)).unwrap();
    remove.commit().unwrap();
    catalog
}

/// Opens for reading again and again until `done`; how often that was, and how long the longest took.
fn read_until(storage: &Arc<dyn Storage>, done: &AtomicBool) -> (u32, Duration) {
    let (mut opened, mut longest) = (0, Duration::ZERO);
    while !done.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let catalog = Catalog::open_read(storage.clone(), options(Duration::from_secs(30))).unwrap();
        assert!(catalog.begin_read().unwrap().get(&VIEW_TEXTS, &(ViewId(1), 2_500)).unwrap().is_some());
        longest = longest.max(begun.elapsed());
        opened += 1;
    }
    (opened, longest)
}

#[test]
fn readers_are_let_in_while_the_file_shrinks() {
    let faulty = FaultStorage::new(MemoryStorage::new());
    let (slow, plain): (Arc<dyn Storage>, Arc<dyn Storage>) =
        (Arc::new(faulty.clone()), Arc::new(faulty.memory().clone()));
    let catalog = with_room(&slow);
    let before = plain.len(CATALOG_FILE).unwrap();
    faulty.clock().set(Plan::Slow { sync: Duration::from_millis(20), other: Duration::from_millis(2) });
    let done = AtomicBool::new(false);
    let (took, (opened, longest), own) = std::thread::scope(|scope| {
        let shrinking = scope.spawn(|| {
            let begun = Instant::now();
            let shrunk = catalog.shrink();
            done.store(true, Ordering::SeqCst);
            (shrunk, begun.elapsed())
        });
        let reading = scope.spawn(|| read_until(&plain, &done));
        // Within the process, and by the handle itself, too.
        let mut own = Duration::ZERO;
        while !done.load(Ordering::SeqCst) {
            let begun = Instant::now();
            drop(catalog.begin_read().unwrap());
            own = own.max(begun.elapsed());
            std::thread::sleep(Duration::from_millis(5));
        }
        let (shrunk, took) = shrinking.join().unwrap();
        shrunk.unwrap();
        (took, reading.join().unwrap(), own)
    });
    faulty.clock().set(Plan::Nothing);
    assert!(took > Duration::from_millis(600), "it took {took:?}, too little to tell");
    assert!(opened >= 3 && longest < took / 2, "{opened} readers, the longest {longest:?} of {took:?}");
    assert!(own < took / 2, "{own:?} of {took:?}");
    drop(catalog);
    assert!(plain.len(CATALOG_FILE).unwrap() < before / 2, "it has not become smaller");
    let catalog = Catalog::open_write(plain.clone(), options(Duration::ZERO)).unwrap();
    assert_eq!(catalog.integrity(true).unwrap(), []);
}

#[test]
fn a_reader_that_stays_ends_the_shrinking_and_nothing_else() {
    let faulty = FaultStorage::new(MemoryStorage::new());
    let (slow, plain): (Arc<dyn Storage>, Arc<dyn Storage>) =
        (Arc::new(faulty.clone()), Arc::new(faulty.memory().clone()));
    let catalog = with_room(&slow);
    faulty.clock().set(Plan::Slow { sync: Duration::from_millis(20), other: Duration::from_millis(2) });
    let (shrunk, took, staying) = std::thread::scope(|scope| {
        let shrinking = scope.spawn(|| {
            let begun = Instant::now();
            (catalog.shrink(), begun.elapsed())
        });
        std::thread::sleep(Duration::from_millis(150));
        let reader = Catalog::open_read(plain.clone(), options(Duration::from_secs(30))).unwrap();
        let staying = reader.begin_read().unwrap();
        let (shrunk, took) = shrinking.join().unwrap();
        (shrunk, took, staying)
    });
    faulty.clock().set(Plan::Nothing);
    assert!(!shrunk.unwrap() && took < Duration::from_secs(120), "{took:?}");
    let rows = |read: &ReadTransaction| read.range(&VIEW_TEXTS, ..).unwrap().len();
    for number in 4..8 {
        let write = catalog.begin_write().unwrap();
        write.put(&VIEW_TEXTS, &(ViewId(2), number), &"more ".repeat(9_000)).unwrap();
        write.put_meta(&meta(u64::from(number))).unwrap();
        write.commit().unwrap();
        assert_eq!((staying.meta().commit.0, rows(&staying)), (3, 799), "a snapshot that is held does not move");
    }
    drop(staying);
    assert_eq!(rows(&catalog.begin_read().unwrap()), 799 + 4);
    drop(catalog);
    let catalog = Catalog::open_write(plain, options(Duration::ZERO)).unwrap();
    assert_eq!(catalog.integrity(true).unwrap(), []);
}

#[test]
fn a_slow_sync_keeps_no_reader_waiting() {
    let faulty = FaultStorage::new(MemoryStorage::new());
    let (slow, plain): (Arc<dyn Storage>, Arc<dyn Storage>) =
        (Arc::new(faulty.clone()), Arc::new(faulty.memory().clone()));
    drop(with_room(&slow));
    let sync = Duration::from_millis(1_200);
    faulty.clock().set(Plan::Slow { sync, other: Duration::ZERO });
    let done = AtomicBool::new(false);
    let (opened, longest) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let catalog = Catalog::open_write(slow.clone(), options(Duration::ZERO)).unwrap();
            let write = catalog.begin_write().unwrap();
            write.put_meta(&meta(4)).unwrap();
            write.commit().unwrap();
            drop(catalog);
            done.store(true, Ordering::SeqCst);
        });
        read_until(&plain, &done)
    });
    assert!(opened > 3 && longest < sync, "{opened} readers, the longest {longest:?}, a sync {sync:?}");
}

/// Sends `signal` to a process.
#[cfg(unix)]
fn signal(child: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_writer_that_was_stopped_is_named_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FsStorage::create(&folder.path().join("s")).unwrap());
    drop(Catalog::create(storage.clone(), options(Duration::ZERO), &meta(1)).unwrap());
    // As a writer does that is stopped while it publishes a commit: its name stands in LOCK, the header is locked.
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    signal(child.id(), "-STOP");
    let lock = storage.open(LOCK_FILE, OpenMode::CreateOrOpen).unwrap();
    lock.write_all_at(format!("pid={}\nprogram=simile\n", child.id()).as_bytes(), 0).unwrap();
    let locks = super::files::locks::Locks::of(&*storage.open(CATALOG_FILE, OpenMode::Write).unwrap()).unwrap();
    let (start, end) = (std::ops::Bound::Included(0), std::ops::Bound::Excluded(320));
    assert!(locks.try_lock(start, end, true).unwrap());
    let begun = Instant::now();
    let error = Catalog::open_read(storage.clone(), options(Duration::from_millis(300))).unwrap_err();
    let waited = begun.elapsed();
    signal(child.id(), "-CONT");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    let named = format!("simile (process {})", child.id());
    assert!(error.to_string().contains(&named) && error.to_string().contains("--wait"), "{error}");
    locks.unlock(start, end).unwrap();
    drop(Catalog::open_read(storage, options(Duration::from_millis(300))).unwrap());
}
