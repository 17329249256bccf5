//! Learned lenses and backgrounds in the store: damage is found, copies have all of them, a salvage what is intact.

use crate::catalog::{Catalog, CatalogOptions, CatalogRead, WriteTransaction, codec, tables};
use crate::error::{ErrorKind, Result};
use crate::storage::{MemoryStorage, Storage};
use crate::store::care::recover;
use crate::store::handle::{Store, check_features};
use crate::store::kept::learned::{LearnedLens, NEW_CLASSES};
use crate::store::options::{CollectionSpec, Options};
use crate::store::read::column::LONG_VALUES;
use crate::store::sample_of;
use crate::types::{
    Accept, BackgroundDef, Calibration, CollectionId, CommitNumber, Control, FittedOn, LearnMethod, LearnMode,
    LearnedDef, LensDef, Lift, Metric, PinnedStatistic, ProjectionDef, ProjectionRef, Record, SampleDef, SampleVectors,
    Statistic, Step,
};
use std::sync::Arc;

const C: CollectionId = CollectionId(1);

fn learned(seed: u64, accepted: bool) -> LearnedLens {
    let vectors = SampleVectors { view: "raw".to_string(), dimension: 2, data: vec![1.0, seed as f32] };
    let (ids, texts) = (vec!["q".to_string()], vec!["keys?".to_string()]);
    let fitted_on = FittedOn {
        collection: "c".to_string(),
        view: "raw".to_string(),
        embedder: None,
        template: None,
        how: "a test".to_string(),
    };
    let projection = ProjectionDef {
        name: String::new(),
        rows: 2,
        columns: 2,
        query: vec![1.0, 0.0, 0.0, seed as f32],
        record: None,
        origin: "a test".to_string(),
        fitted_on: Some(fitted_on.clone()),
    };
    let steps = vec![Step::CenterSides(String::new()), Step::Project(ProjectionRef::One(String::new()))];
    let lift = Lift { mean: 0.25, low: 0.125, high: 0.5, z: 3.0, plain: 0.5, queries: 20 };
    let pinned = PinnedStatistic { collection: C, step_idx: 0, commit: CommitNumber(1), records: 6, revision: 1 };
    LearnedLens {
        sample: Some(SampleDef { ids, texts, vectors: Some(vectors), ..SampleDef::new("", C) }),
        projection,
        lens: LensDef { view: "raw".to_string(), steps, metric: Metric::Cosine, csls: None },
        pinned: vec![(pinned, Statistic::Sides { queries: vec![1.0, 2.0], records: vec![0.5, 0.5] })],
        def: LearnedDef {
            lens: "k".to_string(),
            fit: 0,
            collection: C,
            fitted_on,
            respect: "answers".to_string(),
            mode: LearnMode::Same,
            method: LearnMethod::Ridge,
            seed,
            labels: 9,
            queries: 8,
            records: 7,
            groups: 6,
            label_hash: 5,
            accept: Accept::KnownRecords,
            known_records: Some(lift),
            new_records: None,
            validation: None,
            accepted,
            events: Vec::new(),
            time: 1_700_000_000,
            commit: CommitNumber(0),
        },
    }
}

#[test]
fn a_store_says_what_reads_it_from_the_first_fit_that_was_to_hold_on_new_classes() {
    let (memory, store) = filled();
    let features = |store: &Store| store.snapshot().unwrap().meta().required_features;
    assert_eq!(features(&store), 0, "earlier similes read the other fits");
    let mut asked = learned(3, false);
    asked.def.accept = Accept::NewClasses;
    let mut batch = store.begin().unwrap();
    batch.put_learned(asked).unwrap();
    batch.commit().unwrap();
    assert_eq!(features(&store), NEW_CLASSES);
    let copy: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    store.backup_storage(&copy).unwrap();
    assert_eq!(features(&Store::open_storage(copy, Options::new()).unwrap()), NEW_CLASSES);
    drop(store);
    // The fit outlasts what the store said of itself: a salvage reads the fits and says it again.
    let from: Arc<dyn Storage> = Arc::new(memory.copy());
    let tx = Catalog::open_write(Arc::clone(&from), CatalogOptions::default()).unwrap().begin_write().unwrap();
    let meta = crate::types::StoreMeta { required_features: 0, ..tx.meta().unwrap() };
    tx.put_meta(&meta).unwrap();
    tx.commit_without_head().unwrap();
    let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let salvaged = Store::salvage_storage(&from, &to, Options::new(), &Control::new()).unwrap();
    assert_eq!(salvaged.lost, Vec::new());
    let new = Store::open_storage(to, Options::new()).unwrap();
    assert_eq!(features(&new), NEW_CLASSES);
    assert!(new.snapshot().unwrap().all_learned().unwrap().iter().any(|fit| fit.accept == Accept::NewClasses));
    drop(new);
    // A simile that does not know the bit refuses the store as one of a later version and does not call it damaged.
    let mut meta = Store::open_storage(Arc::new(memory), Options::new()).unwrap().snapshot().unwrap().meta().clone();
    let earlier =
        |known: u64, meta: &crate::types::StoreMeta| check_features(meta, known, std::path::Path::new("m.simile"));
    let error = earlier(LONG_VALUES, &meta).unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("0x2")), (ErrorKind::Version, true), "{error}");
    meta.required_features = LONG_VALUES;
    earlier(LONG_VALUES, &meta).unwrap();
}

fn background(lens_version: u32) -> BackgroundDef {
    let quantiles = (0..=1_000).map(|at| f64::from(at) / 1_000.0).collect();
    BackgroundDef { lens_version, revision: 1, statistics: CommitNumber(1), pairs: 30, quantiles }
}

/// A promoted lens with a calibration and a background, a candidate, and a history of three fits.
fn filled() -> (MemoryStorage, Store) {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    recover::format_new(&storage, &Options::new()).unwrap();
    let store = Store::open_storage(storage, Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    for n in 0..6_u8 {
        c.insert(Record::new(format!("r{n}"), "t").vector("raw", vec![f32::from(n), 1.0])).unwrap();
    }
    batch.commit().unwrap();
    for (seed, accepted) in [(1, true), (2, false)] {
        let mut batch = store.begin().unwrap();
        batch.put_learned(learned(seed, accepted)).unwrap();
        batch.commit().unwrap();
    }
    let mut batch = store.begin().unwrap();
    batch.promote("k").unwrap();
    batch.put_calibration("k", Calibration::supplied(2.0, -1.0)).unwrap();
    batch.put_background("k", C, background(1)).unwrap();
    batch.collection("c").unwrap().remove("r2").unwrap();
    batch.commit().unwrap();
    (memory, store)
}

/// Everything about learned lenses, but for when it was stored.
fn told(store: &Store) -> String {
    let snapshot = store.snapshot().unwrap();
    let lenses = snapshot.lenses().unwrap();
    let of_lens = |name: &str| {
        let statistic = snapshot.statistic(name, C, 0).unwrap();
        let (calibration, background) = (snapshot.calibration(name).unwrap(), snapshot.background(name, C).unwrap());
        format!("{:?} {statistic:?} {calibration:?} {background:?}", snapshot.projection(name).unwrap())
    };
    let parts: Vec<String> = lenses.iter().map(|lens| of_lens(&lens.name)).collect();
    let (fits, samples) = (snapshot.all_learned().unwrap(), snapshot.samples().unwrap());
    format!("{fits:?}\n{samples:?}\n{lenses:?}\n{parts:?}")
}

#[test]
fn copies_have_learned_lenses_with_all_that_hangs_on_them() {
    let (memory, store) = filled();
    let expected = told(&store);
    let copy: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    store.backup_storage(&copy).unwrap();
    let copy = Store::open_storage(copy, Options::new()).unwrap();
    assert_eq!(told(&copy), expected);
    assert!(copy.check().unwrap().is_ok());
    store.compact().unwrap();
    assert_eq!(told(&store), expected, "after compacting");
    assert!(store.check().unwrap().is_ok());
    drop(store);
    let (from, to): (Arc<dyn Storage>, Arc<dyn Storage>) = (Arc::new(memory), Arc::new(MemoryStorage::new()));
    let salvaged = Store::salvage_storage(&from, &to, Options::new(), &Control::new()).unwrap();
    assert_eq!(salvaged.lost, Vec::new());
    let new = Store::open_storage(to, Options::new()).unwrap();
    assert_eq!(told(&new), expected, "after a salvage");
    assert!(new.check().unwrap().is_ok());
    // The salvaged lens goes on as the other would have.
    let mut batch = new.begin().unwrap();
    let def = batch.put_learned(learned(3, false)).unwrap();
    batch.promote("k").unwrap();
    batch.commit().unwrap();
    assert_eq!(def.fit, 3);
    assert!(new.check().unwrap().is_ok());
}

/// The store with its catalog changed behind its back.
fn tampered(memory: &MemoryStorage, change: impl FnOnce(&WriteTransaction) -> Result<()>) -> MemoryStorage {
    let left = memory.copy();
    let storage: Arc<dyn Storage> = Arc::new(left.clone());
    let catalog = Catalog::open_write(storage, CatalogOptions::default()).unwrap();
    let tx = catalog.begin_write().unwrap();
    change(&tx).unwrap();
    tx.commit().unwrap();
    drop(catalog);
    left
}

fn findings(memory: MemoryStorage) -> Vec<String> {
    let report = Store::open_storage(Arc::new(memory), Options::new()).unwrap().check().unwrap();
    report.findings.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn check_sees_every_broken_invariant_of_learned_lenses() {
    let (memory, store) = filled();
    drop(store);
    assert_eq!(findings(tampered(&memory, |_| Ok(()))), Vec::<String>::new());
    type Change = Box<dyn FnOnce(&WriteTransaction) -> Result<()>>;
    let fit_with = |change: fn(&mut LearnedDef)| -> Change {
        Box::new(move |tx| {
            let (key, mut def) = tx.range(&tables::LEARNED, ..)?.remove(1);
            change(&mut def);
            tx.put(&tables::LEARNED, &key, &def)
        })
    };
    let background_with = |change: fn(&mut BackgroundDef)| -> Change {
        Box::new(move |tx| {
            let (key, mut background) = tx.range(&tables::BACKGROUNDS, ..)?.remove(0);
            change(&mut background);
            tx.put(&tables::BACKGROUNDS, &key, &background)
        })
    };
    let put_background = |lens: &'static str, collection: u32| -> Change {
        Box::new(move |tx| tx.put(&tables::BACKGROUNDS, &(CollectionId(collection), lens.to_string()), &background(1)))
    };
    let fit = "fit 2 of lens k";
    let own = "background of lens k in collection 1";
    let cases: Vec<(Change, &str)> = vec![
        (fit_with(|def| def.lens.push('x')), fit),
        (fit_with(|def| def.fit = 7), fit),
        (fit_with(|def| def.collection = CollectionId(9)), fit),
        (fit_with(|def| def.validation = Some((0.5, f64::NAN))), fit),
        (fit_with(|def| def.known_records.as_mut().unwrap().mean = f64::INFINITY), fit),
        (fit_with(|def| def.events.clear()), fit),
        (fit_with(|def| def.events.swap(0, 1)), fit),
        (fit_with(|def| def.accepted = true), fit),
        (background_with(|def| def.lens_version = 99), own),
        (background_with(|def| def.pairs = 0), own),
        (background_with(|def| def.quantiles.truncate(1_000)), own),
        (background_with(|def| def.quantiles.swap(3, 4)), own),
        (background_with(|def| def.quantiles[1_000] = f64::NAN), own),
        (put_background("nobody", 1), "background of lens nobody in collection 1"),
        (put_background("k", 9), "background of lens k in collection 9"),
        (Box::new(|tx| tx.remove(&tables::SAMPLES, &sample_of("k")).map(drop)), "lens k"),
        (Box::new(|tx| tx.remove(&tables::STATISTICS, &(C, "k".to_string(), 0)).map(drop)), "lens k, step 1"),
        (Box::new(|tx| tx.remove(&tables::LENSES, &"k".to_string()).map(drop)), "calibration of lens k"),
    ];
    for (idx, (change, place)) in cases.into_iter().enumerate() {
        let found = findings(tampered(&memory, change));
        assert!(found.iter().any(|what| what.starts_with(place)), "change {idx}: {place} is not among {found:?}");
    }
}

/// The store with the value of one key changed so that its checksum does not fit.
fn with_damaged(memory: &MemoryStorage, stored: &[u8]) -> MemoryStorage {
    let (mut files, folders) = memory.parts();
    let bytes = files.get_mut("catalog.redb").unwrap();
    let places: Vec<usize> = (0..bytes.len() - stored.len()).filter(|&at| bytes[at..].starts_with(stored)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| bytes[at + stored.len() / 2] ^= 1);
    MemoryStorage::of_parts(files, folders)
}

#[test]
fn a_salvage_takes_over_what_is_whole_of_learned_lenses() {
    use crate::catalog::KeyBytes;
    let (memory, store) = filled();
    let snapshot = store.snapshot().unwrap();
    let fits = snapshot.all_learned().unwrap();
    let (first, sample) = (&fits[0], snapshot.sample("k.queries").unwrap().unwrap());
    let (background, lens) = (snapshot.background("k", C).unwrap().unwrap(), snapshot.lens("k").unwrap().unwrap());
    let key = "k".to_string();
    let stored = [
        codec::encode("learned", &("k".to_string(), 1_u32).to_bytes(), first).unwrap(),
        codec::encode("samples", &sample.name.to_bytes(), &sample).unwrap(),
        codec::encode("backgrounds", &(C, key.clone()).to_bytes(), &background).unwrap(),
        codec::encode("lenses", &key.to_bytes(), &lens).unwrap(),
    ];
    drop((snapshot, store));
    // Fits, whether the lens k is there, whether its background is.
    let expected = [(1, true, true), (2, false, false), (2, true, false), (2, false, false)];
    for (idx, (stored, expected)) in stored.iter().zip(expected).enumerate() {
        let from: Arc<dyn Storage> = Arc::new(with_damaged(&memory, stored));
        let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let saved = Store::salvage_storage(&from, &to, Options::new(), &Control::new()).unwrap();
        assert!(!saved.lost.is_empty(), "damage {idx}");
        let new = Store::open_storage(to, Options::new()).unwrap();
        let report = new.check().unwrap();
        assert!(report.is_ok(), "damage {idx}: {:?}", report.findings);
        let snapshot = new.snapshot().unwrap();
        let lens = snapshot.lens("k").unwrap();
        let background = snapshot.background("k", C).unwrap();
        let found = (snapshot.all_learned().unwrap().len(), lens.is_some(), background.is_some());
        assert_eq!(found, expected, "damage {idx}: {:?}", saved.lost);
        assert!(snapshot.lens("k@candidate").unwrap().is_some(), "damage {idx} is not of the candidate");
        let told = saved.lost.iter().any(|damage| damage.what == "lens k" && damage.expected.contains("k.queries"));
        assert_eq!(told, idx == 1, "{:?}", saved.lost);
    }
}

#[test]
fn what_no_check_would_pass_is_not_stored() {
    let (_, store) = filled();
    let mut batch = store.begin().unwrap();
    let nowhere = batch.put_background("k", CollectionId(9), background(1)).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound, "{nowhere}");
    let newer = batch.put_background("k", C, background(99)).unwrap_err();
    assert_eq!(newer.kind(), ErrorKind::Invalid, "{newer}");
    let mut nan = learned(4, true);
    nan.def.validation = Some((f64::NAN, 0.5));
    assert_eq!(batch.put_learned(nan).unwrap_err().kind(), ErrorKind::Invalid);
    let mut nowhere = learned(4, true);
    nowhere.def.collection = CollectionId(9);
    assert_eq!(batch.put_learned(nowhere).unwrap_err().kind(), ErrorKind::NotFound);
    let unasked = LearnedLens { sample: None, ..learned(4, false) };
    let lens = LensDef { steps: vec![Step::CenterSides("nobody".to_string())], ..unasked.lens };
    assert_eq!(batch.put_lens("plain", lens, Vec::new()).unwrap_err().kind(), ErrorKind::NotFound);
    let expected = told(&store);
    batch.commit().unwrap();
    assert_eq!(told(&store), expected, "nothing was changed");
    assert!(store.check().unwrap().is_ok());
}
