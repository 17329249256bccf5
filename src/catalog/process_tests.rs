//! Real processes on one catalog: readers beside a writer, and a writer that is killed.
//!
//! A test starts its own binary again, with an environment variable that makes [`child`] do the child's part.

use super::tables::{IDS, VIEW_TEXTS};
use super::tests::meta;
use super::*;
use crate::error::ErrorKind;
use crate::storage::{FsStorage, Storage};
use crate::types::{CollectionId, CommitNumber, ViewId};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ROLE: &str = "SIMILE_TEST_CHILD";
const STORE: &str = "SIMILE_TEST_STORE";
/// Keys that every commit writes anew.
const KEYS: u32 = 60;

fn spawn(role: &str, store: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "catalog::process_tests::child", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(STORE, store).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn storage(store: &Path) -> Arc<dyn Storage> {
    Arc::new(FsStorage::open(store).unwrap())
}

/// Everything a commit writes carries its number, so that a mixture of commits is noticed.
fn commit(catalog: &Catalog, number: u64) {
    let write = catalog.begin_write().unwrap();
    assert_eq!(write.meta().unwrap().commit, CommitNumber(number - 1));
    for key in 0..KEYS {
        write.put(&IDS, &(CollectionId(key), "id".to_string()), &(number as u32)).unwrap();
    }
    let text = format!("{number} ").repeat(3_000 + number as usize % 5_000);
    write.put(&VIEW_TEXTS, &(ViewId(0), 0), &text).unwrap();
    write.put(&VIEW_TEXTS, &(ViewId(1), number as u32), &number.to_string()).unwrap();
    write.remove(&VIEW_TEXTS, &(ViewId(1), (number as u32).wrapping_sub(40))).unwrap();
    write.put_meta(&meta(number)).unwrap();
    write.commit().unwrap();
}

/// Checks that a snapshot is one commit's, whole, and returns its number.
fn check_snapshot(read: &ReadTransaction) -> u64 {
    let number = read.meta().commit.0;
    if number == 1 {
        return 1;
    }
    let ids = read.range(&IDS, ..).unwrap();
    assert_eq!(ids.len(), KEYS as usize);
    assert!(ids.iter().all(|(_, found)| u64::from(*found) == number), "a mixture of commits at {number}: {ids:?}");
    let text = read.get(&VIEW_TEXTS, &(ViewId(0), 0)).unwrap().unwrap();
    assert!(text.split_whitespace().all(|word| word == number.to_string()));
    assert_eq!(read.get(&VIEW_TEXTS, &(ViewId(1), number as u32)).unwrap(), Some(number.to_string()));
    number
}

/// Not a test of its own: the part of a child process, when this binary runs as one.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let store = std::env::var_os(STORE).unwrap();
    match role.as_str() {
        "write" => write_until_killed(Path::new(&store)),
        "read" => read_until_told(Path::new(&store)),
        other => panic!("no role {other}"),
    }
}

fn write_until_killed(store: &Path) {
    let options = CatalogOptions { busy_timeout: Duration::from_secs(10), ..CatalogOptions::default() };
    let catalog = Catalog::open_write(storage(store), options).unwrap();
    let first = catalog.begin_read().unwrap().meta().commit.0 + 1;
    for number in first.. {
        commit(&catalog, number);
        println!("committed {number}");
        std::io::stdout().flush().unwrap();
    }
}

fn read_until_told(store: &Path) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        told.store(true, Ordering::Relaxed);
    });
    let options = CatalogOptions { cache_bytes: 200_000, ..CatalogOptions::default() };
    let (mut snapshots, mut latest) = (0_u64, 0);
    let mut catalog = Catalog::open_read(storage(store), options).unwrap();
    let mut held = catalog.begin_read().unwrap();
    let held_number = check_snapshot(&held);
    let mut held_number = held_number;
    while !stop.load(Ordering::Relaxed) {
        let number = check_snapshot(&catalog.begin_read().unwrap());
        assert!(number >= latest, "commits go backwards: {number} after {latest}");
        latest = number;
        snapshots += 1;
        if snapshots.is_multiple_of(50) {
            assert_eq!(check_snapshot(&held), held_number, "a snapshot that is held does not move");
            catalog = Catalog::open_read(storage(store), options).unwrap();
            held = catalog.begin_read().unwrap();
            held_number = held.meta().commit.0;
        }
    }
    println!("\nread {snapshots} {latest}");
}

fn numbers_after(word: &str, output: impl std::io::Read) -> Vec<Vec<u64>> {
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let matching = lines.filter_map(|line| line.split_once(word).map(|(_, numbers)| numbers.to_string()));
    matching.map(|numbers| numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect()).collect()
}

#[test]
fn readers_of_other_processes_follow_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("a.simile");
    let storage: Arc<dyn Storage> = Arc::new(FsStorage::create(&store).unwrap());
    let catalog = Catalog::create(storage, CatalogOptions::default(), &meta(1)).unwrap();
    let readers: Vec<_> = (0..2).map(|_| spawn("read", &store)).collect();
    let end = Instant::now() + Duration::from_millis(2_500);
    let mut number = 1;
    while Instant::now() < end {
        number += 1;
        commit(&catalog, number);
        check_snapshot(&catalog.begin_read().unwrap());
    }
    for mut reader in readers {
        reader.stdin.take().unwrap().write_all(b"stop\n").unwrap();
        let output = reader.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let reports = numbers_after("read ", output.stdout.as_slice());
        let [snapshots, latest] = reports.last().unwrap()[..] else { panic!("{reports:?}") };
        assert!(snapshots > 20 && latest > 10, "{snapshots} snapshots up to {latest} of {number}: too few to tell");
    }
}

#[test]
fn a_killed_writer_loses_no_acknowledged_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("a.simile");
    let created: Arc<dyn Storage> = Arc::new(FsStorage::create(&store).unwrap());
    drop(Catalog::create(created, CatalogOptions::default(), &meta(1)).unwrap());
    let witness = Catalog::open_read(storage(&store), CatalogOptions::default()).unwrap();
    let mut state = 0x2545_f491_u64 ^ u64::from(std::process::id());
    let mut acknowledged = 1;
    for round in 0..10 {
        let mut writer = spawn("write", &store);
        let output = writer.stdout.take().unwrap();
        let listener = std::thread::spawn(move || numbers_after("committed ", output));
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(
            Duration::from_millis(60 + (state >> 33) % 120) + Duration::from_micros((state >> 20) % 1_000),
        );
        check_snapshot(&witness.begin_read().unwrap());
        writer.kill().unwrap();
        writer.wait().unwrap();
        let last = listener.join().unwrap().into_iter().filter_map(|line| line.first().copied()).max();
        acknowledged = last.unwrap_or(acknowledged).max(acknowledged);
        let found = if round % 2 == 0 {
            let reader = Catalog::open_read(storage(&store), CatalogOptions::default()).unwrap();
            check_snapshot(&reader.begin_read().unwrap())
        } else {
            let writer = Catalog::open_write(storage(&store), CatalogOptions::default()).unwrap();
            check_snapshot(&writer.begin_read().unwrap())
        };
        assert!(found == acknowledged || found == acknowledged + 1, "{found} after {acknowledged} was acknowledged");
        assert_eq!(check_snapshot(&witness.begin_read().unwrap()), found, "a reader from before goes on");
        acknowledged = found;
    }
    assert!(acknowledged > 10, "{acknowledged} commits are too few to tell");
    let writer = Catalog::open_write(storage(&store), CatalogOptions::default()).unwrap();
    commit(&writer, acknowledged + 1);
}

#[cfg(unix)]
#[test]
fn readers_of_a_stopped_writer_do_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("a.simile");
    let created: Arc<dyn Storage> = Arc::new(FsStorage::create(&store).unwrap());
    drop(Catalog::create(created, CatalogOptions::default(), &meta(1)).unwrap());
    let mut writer = spawn("write", &store);
    let mut output = BufReader::new(writer.stdout.take().unwrap());
    while !{
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.contains("committed 3")
    } {}
    std::thread::spawn(move || output.lines().count());
    let signal = |signal: &str| {
        assert!(Command::new("kill").args([signal, &writer.id().to_string()]).status().unwrap().success());
    };
    let mut opened = 0;
    for round in 0..30 {
        std::thread::sleep(Duration::from_micros(15_000 + 731 * round));
        signal("-STOP");
        let (tell, told) = std::sync::mpsc::channel();
        let read = storage(&store);
        std::thread::spawn(move || {
            let options = CatalogOptions { busy_timeout: Duration::from_millis(100), ..CatalogOptions::default() };
            let _ = tell.send(Catalog::open_read(read, options).map(|catalog| catalog.begin_read().map(drop)));
        });
        match told.recv_timeout(Duration::from_secs(8)).expect("a reader hangs") {
            Ok(Ok(())) => opened += 1,
            Ok(Err(error)) | Err(error) => assert_eq!(error.kind(), ErrorKind::Locked, "{error}"),
        }
        signal("-CONT");
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(opened > 0);
}

#[test]
fn an_unclean_catalog_that_may_not_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("a.simile");
    let created: Arc<dyn Storage> = Arc::new(FsStorage::create(&store).unwrap());
    drop(Catalog::create(created, CatalogOptions::default(), &meta(1)).unwrap());
    let mut writer = spawn("write", &store);
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("committed 3")));
    writer.kill().unwrap();
    writer.wait().unwrap();
    let refusing = Arc::new(super::tests::ReadOnlyStorage(storage(&store)));
    let error = Catalog::open_read(refusing, CatalogOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(error.message().contains("needs a repair"), "{error}");
    drop(Catalog::open_read(storage(&store), CatalogOptions::default()).unwrap());
    let refusing = Arc::new(super::tests::ReadOnlyStorage(storage(&store)));
    drop(Catalog::open_read(refusing, CatalogOptions::default()).unwrap());
}
