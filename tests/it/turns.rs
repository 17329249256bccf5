//! Writers of one process take turns: first come, first served, and no work is lost for want of a turn.

use simile::learn::Learner;
use simile::store::{CollectionSpec, Options};
use simile::types::{Control, ElementType};
use simile::{ErrorKind, Record, Session, Store, materialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A store with 60 records of three classes, and the respect that they make.
fn store(folder: &tempfile::TempDir, patience: Duration) -> Store {
    let store = Options::new().busy_timeout(patience).threads(1).create(folder.path().join("s")).unwrap();
    let mut batch = store.begin().unwrap();
    let mut notes = batch.create_collection("notes", CollectionSpec::new().supplied_vectors()).unwrap();
    for number in 0..60_u32 {
        let class = number % 3;
        let vector = vec![(class == 0) as u32 as f32, (class == 1) as u32 as f32, number as f32 / 60.0, 0.5];
        let record = Record::new(format!("n{number}"), "a note").field("kind", format!("k{class}"));
        notes.insert(record.vector("raw", vector)).unwrap();
    }
    batch.put_class_respect("notes", "kind", "kind").unwrap();
    batch.commit().unwrap();
    store
}

fn learner(store: &Store) -> Learner {
    Learner::new(store, "learned").in_collection("notes").respect("kind")
}

/// One record in a batch of its own.
fn add(store: &Store, id: String) -> simile::Result<()> {
    let mut batch = store.begin()?;
    batch.collection("side")?.insert(Record::new(id, "").vector("raw", vec![1.0, 2.0]))?;
    batch.commit().map(drop)
}

#[test]
fn a_loop_of_small_batches_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, Duration::from_secs(5));
    store.write(|batch| batch.create_collection("side", CollectionSpec::new().supplied_vectors()).map(drop)).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                // Never a pause between two batches.
                add(&store, format!("r{count}")).unwrap();
                count += 1;
            }
            count
        });
        for round in 0..5 {
            Session::new(&store).run(&format!("let l{round} = center corpus | score cosine")).unwrap();
            store.write(|batch| batch.existing_collection("notes")?.remove(&format!("n{round}")).map(drop)).unwrap();
            store.compact().unwrap();
            store.analyze(None, &Control::new()).unwrap();
            materialize(&store, &format!("l{round}"), ElementType::F32, Control::new()).unwrap();
        }
        learner(&store).run().unwrap();
        stop.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 0);
    });
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn who_cannot_have_a_turn_hears_of_it_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, Duration::ZERO);
    let batch = store.begin().unwrap();
    let heard = std::sync::Arc::new(AtomicBool::new(false));
    let hears = std::sync::Arc::clone(&heard);
    let refused = learner(&store).on_progress(move |_| hears.store(true, Ordering::Relaxed)).run().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(!heard.load(Ordering::Relaxed), "nothing was fitted for nothing");
    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Locked);
    drop(batch);
    learner(&store).run().unwrap();
}

#[test]
fn what_was_fitted_waits_for_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, Duration::from_millis(20));
    let (other, begun) = (store.clone(), std::sync::Arc::new(AtomicBool::new(false)));
    // As soon as something is fitted somebody else begins a batch and is in no hurry.
    let report = learner(&store).on_progress(move |_| {
        if !begun.swap(true, Ordering::Relaxed) {
            let batch = other.begin().unwrap();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(1_500));
                drop(batch);
            });
        }
    });
    let report = report.run().unwrap();
    let names: Vec<String> = store.snapshot().unwrap().lenses().unwrap().into_iter().map(|lens| lens.name).collect();
    assert!(names.contains(&report.name), "{names:?}");
}

#[test]
fn write_stands_in_line_and_undoes_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, Duration::ZERO);
    let begun = Instant::now();
    let batch = store.begin().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.write(|batch| batch.existing_collection("notes")?.remove("n0")));
        std::thread::sleep(Duration::from_millis(100));
        drop(batch);
        waiting.join().unwrap().unwrap();
    });
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let failed = store.write(|batch| {
        batch.existing_collection("notes")?.remove("n1")?;
        batch.existing_collection("none").map(drop)
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.snapshot().unwrap().collection("notes").unwrap().live().len(), 59);
}
