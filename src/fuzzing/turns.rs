//! Processes that take turns at every single operation: what one sees of a store while others are in the midst of
//! theirs.
//!
//! Owns the order of the test only: one process commits, compacts and is stopped now and then, others look. Each look
//! is at one commit, no older than what was acknowledged before it, nor than the look before.

use super::ops;
use crate::error::ErrorKind;
use crate::storage::disk::Dice;
use crate::storage::turns::{Present, Turns};
use crate::storage::{MemoryStorage, Storage};
use crate::store::{CollectionSpec, Options, Snapshot, Store, ViewSpec};
use crate::types::{Record, RowId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Never stopped.
const FOR_EVER: u64 = u64::MAX;

fn options() -> Options {
    ops::options().busy_timeout(Duration::from_secs(60)).threads(1)
}

fn open(storage: Arc<dyn Storage>, read_only: bool) -> crate::Result<Store> {
    Store::open_storage(storage, options().read_only(read_only))
}

/// Replaces three records by ones that bear `number`, adds one and takes an older one away.
fn commit(store: &Store, number: u64) -> crate::Result<()> {
    let mut batch = store.begin()?;
    let mut c = batch.collection("c")?.no_embed(true);
    for part in 0..3_u8 {
        let vector = vec![number as f32, f32::from(part)];
        c.upsert(Record::new(format!("p{part}"), format!("{number}")).vector("v", vector))?;
    }
    c.upsert(Record::new(format!("n{number}"), format!("{number}")).vector("v", vec![number as f32, 9.0]))?;
    if number > 2 {
        c.remove(&format!("n{}", number - 2))?;
    }
    batch.commit().map(drop)
}

/// The number that all of the snapshot bears.
fn look(snapshot: &Snapshot) -> u64 {
    let collection = snapshot.collection("c").unwrap();
    let view = collection.view("v").unwrap();
    let mut records = Vec::new();
    for row in collection.live().iter() {
        let record = collection.record(RowId(row)).unwrap();
        let told: u64 = record.text.parse().unwrap();
        assert_eq!(view.vector(row).unwrap().unwrap()[0], told as f32, "{}", record.id);
        records.push((record.id, told));
    }
    records.sort();
    let number = records.iter().find(|(id, _)| id == "p0").unwrap().1;
    let mut expected: Vec<_> = (0..3).map(|part| (format!("p{part}"), number)).collect();
    expected.extend((number.saturating_sub(1).max(1)..=number).map(|told| (format!("n{told}"), told)));
    expected.sort();
    assert_eq!(records, expected, "one commit");
    number
}

/// Commits and compacts; stopped after a number of operations each time but the last, and begun again.
fn write(present: &Present, folder: &MemoryStorage, mut dice: Dice, acknowledged: &AtomicU64) {
    for life in 0..4 {
        let operations = if life == 3 { FOR_EVER } else { 30 + dice.below(400) };
        let attempt = || -> crate::Result<()> {
            let store = open(present.storage(folder, operations), false)?;
            let first = look(&store.snapshot()?);
            for number in first + 1..first + 4 {
                commit(&store, number)?;
                acknowledged.store(number, SeqCst);
                if number % 2 == 0 {
                    store.compact()?;
                }
            }
            Ok(())
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => assert!(life < 3 && error.kind() != ErrorKind::Corrupt, "{error}"),
            // What a stopped process finds when it looks is of no interest.
            Err(panic) => assert!(life < 3, "{panic:?}"),
        }
    }
}

fn read(
    present: &Present,
    folder: &MemoryStorage,
    opens_anew: bool,
    acknowledged: &AtomicU64,
    done: &AtomicBool,
) -> u64 {
    let (mut last, mut looks) = (0, 0);
    let mut store: Option<Store> = None;
    let mut kept: Option<(Snapshot, u64)> = None;
    while !done.load(SeqCst) {
        let before = acknowledged.load(SeqCst);
        let now = store.take().unwrap_or_else(|| open(present.storage(folder, FOR_EVER), true).unwrap());
        let snapshot = now.snapshot().unwrap();
        let number = look(&snapshot);
        assert!(number >= before && number >= last, "{before} was acknowledged, {last} seen, now {number}");
        (last, looks) = (number, looks + 1);
        if looks % 3 == 0
            && let Some((kept, number)) = kept.replace((snapshot, number))
        {
            assert_eq!(look(&kept), number, "a snapshot has changed");
        }
        store = (!opens_anew).then_some(now);
    }
    looks
}

/// One order of turns; the looks of all readers, and the operations of all processes.
fn run(seed: u64) -> (u64, u64) {
    let folder = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(folder.clone());
    let store = Store::create_storage(&storage, options()).unwrap();
    let mut batch = store.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    batch.commit().unwrap();
    commit(&store, 1).unwrap();
    drop(store);
    let (acknowledged, done, turns) = (AtomicU64::new(1), AtomicBool::new(false), Turns::new(seed, 3));
    let looks = std::thread::scope(|scope| {
        let (folder, acknowledged, done, turns) = (&folder, &acknowledged, &done, &turns);
        scope.spawn(move || {
            let present = Present::new(turns, 0);
            write(&present, folder, Dice::new(seed), acknowledged);
            done.store(true, SeqCst);
        });
        let readers = [false, true].map(|opens_anew| {
            scope.spawn(move || {
                let present = Present::new(turns, 1 + usize::from(opens_anew));
                read(&present, folder, opens_anew, acknowledged, done)
            })
        });
        readers.map(|reader| reader.join().unwrap()).iter().sum()
    });
    let store = open(storage, false).unwrap();
    assert!(look(&store.snapshot().unwrap()) >= acknowledged.load(SeqCst));
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    (looks, turns.operations())
}

#[test]
fn processes_that_take_turns_at_every_operation_see_one_commit_each() {
    let asked = std::env::var("SIMILE_TURNS").ok().and_then(|text| text.parse().ok());
    let (mut looks, mut operations) = (0, 0);
    for seed in 1..=asked.unwrap_or(40) {
        let (more, done) = std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| panic!("seed {seed}"));
        (looks, operations) = (looks + more, operations + done);
    }
    println!("{looks} looks, {operations} operations");
    assert!(looks > 200, "{looks} are too few to tell");
}
