//! The crash test, the failing disk, and damage: what the fuzz targets look for at random, here one after the other.

use super::crash::{self, FAULTS, Recording, fails_at};
use super::damage::{Sound, Verdict, judge, salvage};
use super::lists;
use super::ops::{Change, Choices, Step};
use crate::catalog::{Catalog, CatalogOptions, CatalogRead, KeyBytes, codec, tables};
use crate::storage::disk::{Dice, LOSSES, Loss};
use crate::storage::fault::{Fault, Plan};
use crate::storage::{FaultStorage, MemoryStorage, Storage, counted};
use crate::store::Store;
use crate::types::Control;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let data: Vec<u8> = (0..4_000).map(|_| dice.below(256) as u8).collect();
    let mut choices = Choices::new(&data);
    std::iter::from_fn(|| Step::choose(&mut choices)).take(count).collect()
}

/// Stopped at each `every`-th operation, losing in another way each time; how often that was.
fn survives(steps: &[Step], every: usize, seed: usize) -> usize {
    let mut checked = 0;
    let mut torn = 0;
    let recording = Recording::of(&crash::empty(), steps, Plan::Nothing);
    recording.walk(seed % every, every, |done, disk| {
        let loss = LOSSES[(done + seed) % LOSSES.len()];
        recording.check(done, disk, loss, done as u64);
        checked += 1;
        torn += usize::from(loss == Loss::Torn);
    });
    counted(checked, "losses of power");
    counted(torn, "of them with torn writes");
    checked
}

/// Lists chosen at random: `usual`, or as many as `SIMILE_LISTS` asks for.
fn list_count(usual: u64) -> u64 {
    std::env::var("SIMILE_LISTS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn a_loss_of_power_at_any_operation_leaves_the_state_before_or_after() {
    let checked = std::cell::Cell::new(0);
    for seed in 1..=list_count(4) {
        lists::hold(&steps(seed, 12), |steps| checked.set(checked.get() + survives(steps, 1, seed as usize)));
    }
    assert!(checked.get() >= 1_000, "{} are too few to tell", checked.get());
}

#[test]
fn lists_of_operations_agree_with_the_model() {
    for seed in 101..=100 + list_count(12) {
        lists::hold(&steps(seed, 24), |steps| {
            Recording::of(&crash::empty(), steps, Plan::Nothing);
        });
    }
}

#[test]
fn lists_that_failed_once_are_replayed() {
    let mut files: Vec<_> = std::fs::read_dir(lists::folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "there are no lists in {}", lists::folder().display());
    for file in files {
        // The file's name comes first, so that a failure says which list it was.
        println!("{}", file.display());
        let steps = lists::read(&std::fs::read_to_string(&file).unwrap());
        let (seed, every) = (file.as_os_str().len(), 1 + steps.len() / 12);
        survives(&steps, every, seed);
        for operation in (0..).step_by(3 * every) {
            let fault = FAULTS[operation as usize % 2];
            if !fails_at(&crash::empty(), &steps, Plan::From(operation, fault), Loss::Everything) {
                break;
            }
            counted(1, "failed operations");
        }
    }
}

/// Makes a kept list of what a fuzzer found: `SIMILE_INPUT=PATH cargo test keep_a_list -- --ignored`.
#[test]
#[ignore = "turns an input of ops_with_crash into a kept list"]
fn keep_a_list() {
    let path = std::env::var("SIMILE_INPUT").expect("SIMILE_INPUT names a file");
    let data = std::fs::read(path).unwrap();
    let mut choices = Choices::new(data.get(4..).unwrap_or_default());
    let steps: Vec<Step> = std::iter::from_fn(|| Step::choose(&mut choices)).take(24).collect();
    lists::hold(&steps, |steps| {
        for seed in 0..4 {
            survives(steps, 1, seed);
        }
    });
}

/// Segments that fill, columns that are cut into chunks, and rows that move from one to the other.
fn large() -> [Step; 4] {
    let many = |count| Change::PutMany { collection: 0, count };
    [
        Step::Batch(vec![many(2_500), Change::AddView { collection: 0, kind: 2 }], true),
        Step::Batch(vec![many(2_600), Change::RemoveMany { collection: 0, every: 2 }], true),
        Step::Compact,
        Step::Batch(vec![many(100)], true),
    ]
}

#[test]
fn a_loss_of_power_leaves_large_commits_whole() {
    let recording = Recording::of(&crash::empty(), &large(), Plan::Nothing);
    let every = recording.len() / 40 + 1;
    let mut checked = 0;
    recording.walk(0, every, |done, disk| {
        recording.check(done, disk, LOSSES[done % LOSSES.len()], done as u64);
        checked += 1;
    });
    counted(checked, "losses of power");
}

#[test]
fn the_crash_test_sees_a_sync_that_does_nothing() {
    for path in ["segments/", "segments", "catalog.redb", "catalog.sums"] {
        let plan = Plan::FalseSyncs(path);
        let recording = Recording::of(&crash::empty(), &steps(1, 6), plan);
        let seen = catch_unwind(AssertUnwindSafe(|| {
            for loss in [Loss::Everything, Loss::Some] {
                recording.walk(0, 9, |done, disk| recording.check(done, disk, loss, done as u64));
            }
        }));
        assert!(seen.is_err(), "without syncs of {path} nothing was lost");
    }
}

#[test]
fn any_operation_that_fails_leaves_the_state_before_or_after() {
    let start = crash::empty();
    let steps = steps(7, 5);
    let mut failures = 0;
    for (place, plan) in [Plan::Once, Plan::From].into_iter().enumerate() {
        for operation in (place as u64..).step_by(3) {
            let fault = FAULTS[(operation / 3) as usize % 2];
            // After a sync that failed nobody knows what is on the medium.
            let loss = [Loss::Nothing, Loss::Everything, Loss::Some][(operation / 6) as usize % 3];
            if !fails_at(&start, &steps, plan(operation, fault), loss) {
                break;
            }
            failures += 1;
        }
    }
    counted(failures, "failed operations");
    assert!(failures > 100, "{failures} are too few to tell");
}

#[test]
fn a_backup_is_the_store_or_an_error() {
    let sound = Sound::get();
    let memory: Arc<dyn Storage> = Arc::new(sound.storage());
    let store = Store::open_storage(memory, super::ops::options()).unwrap();
    let to = FaultStorage::new(MemoryStorage::new());
    store.backup_storage(&(Arc::new(to.clone()) as Arc<dyn Storage>)).unwrap();
    assert_eq!(judge(to.memory(), sound, false, &|| "the copy".to_string()), Verdict::Same);
    let operations = to.clock().operations();
    let mut disk = to.disk();
    to.clock().trace().iter().for_each(|operation| disk.apply(operation));
    let left = disk.after(Loss::Everything, &mut Dice::new(1));
    assert_eq!(judge(&left, sound, true, &|| "the copy after a power loss".to_string()), Verdict::Same);
    counted((0..operations).step_by(7).count() * 2, "failed operations");
    for operation in (0..operations).step_by(7) {
        for fault in [Plan::Once(operation, Fault::Error), Plan::From(operation, Fault::DiskFull)] {
            let to = FaultStorage::new(MemoryStorage::new());
            to.clock().set(fault);
            let copied = store.backup_storage(&(Arc::new(to.clone()) as Arc<dyn Storage>));
            // LOCK is for messages, and leases for those who come later: neither is worth an error.
            if copied.is_ok() {
                judge(to.memory(), sound, false, &|| format!("{fault:?}"));
            }
        }
    }
}

/// Places in a file of `len` bytes: all of the first `whole`, and `some` of the rest.
fn places(len: usize, whole: usize, some: u64, dice: &mut Dice) -> Vec<usize> {
    let rest = (0..some).filter(|_| len > whole).map(|_| dice.below(len as u64) as usize).collect::<Vec<_>>();
    (0..whole.min(len)).chain(rest).collect()
}

#[test]
fn a_flipped_bit_anywhere_is_seen_or_does_no_harm() {
    let sound = Sound::get();
    let mut dice = Dice::new(11);
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut flipped_count = 0;
    for (path, bytes) in &sound.files {
        let (whole, some) = match path.as_str() {
            "catalog.redb" => (340, 100),
            "catalog.sums" => (16, 40),
            "HEAD" => (32, 0),
            _ if path.starts_with("segments/") => (64, 20),
            _ => continue,
        };
        for place in places(bytes.len(), whole, some, &mut dice) {
            flipped_count += 1;
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << dice.below(8);
            let what = || format!("{path}, byte {place}: {:02x} for {:02x}", flipped[place], bytes[place]);
            let left = sound.with(path, Some(flipped.clone()));
            let verdict = judge(&left.copy(), sound, place % 3 == 0 || sound.is_derived(path), &what);
            *refused.entry(path).or_default() += usize::from(verdict != Verdict::Same);
            if verdict != Verdict::Same && place % 4 == 0 {
                salvage(&left, sound, &what);
            }
        }
    }
    counted(flipped_count, "flipped bytes");
    assert_eq!(refused["HEAD"], 0, "a torn HEAD says nothing");
    assert!(refused.iter().all(|(path, &count)| *path == "HEAD" || count > 10), "{refused:?}");
}

#[test]
fn a_cut_file_is_seen() {
    let sound = Sound::get();
    let mut dice = Dice::new(12);
    for (path, bytes) in &sound.files {
        let is_segment = path.starts_with("segments/");
        if !is_segment && !path.starts_with("catalog") {
            continue;
        }
        let fields = [0, 8, 12, 16, 20, 24, 28, 32, 40, 56, 64, 4_096, 4_097, 69_632, bytes.len().saturating_sub(1)];
        for len in fields.into_iter().chain(places(bytes.len(), 0, 12, &mut dice)).filter(|&len| len < bytes.len()) {
            counted(1, "cut files");
            let what = || format!("{path} cut to {len} bytes");
            let left = sound.with(path, Some(bytes[..len].to_vec()));
            let verdict = judge(&left.copy(), sound, len % 2 == 0 || sound.is_derived(path), &what);
            assert!(!is_segment || verdict != Verdict::Same, "{}", what());
            salvage(&left, sound, &what);
        }
        let what = || format!("{path} gone");
        assert_ne!(judge(&sound.with(path, None), sound, true, &what), Verdict::Same);
        if is_segment && !sound.is_derived(path) {
            let saved = salvage(&sound.with(path, None), sound, &what).unwrap();
            assert_eq!(saved.records as usize, sound.records.len(), "records do not go with their vectors");
            assert!(saved.vectors_lost > 0 && !saved.lost.is_empty());
        }
    }
}

#[test]
fn segments_in_each_others_place_are_seen() {
    let sound = Sound::get();
    let segments: Vec<_> = sound.files.iter().filter(|(path, _)| path.starts_with("segments/")).collect();
    assert!(segments.len() >= 4, "{}", segments.len());
    for (idx, (path, bytes)) in segments.iter().enumerate() {
        // Each with its neighbours, and some farther away.
        let others = segments.iter().enumerate().filter(|(other, _)| *other != idx && (other + idx) % 3 != 0);
        for (_, (other, other_bytes)) in others {
            let left = sound.with(path, Some(other_bytes.to_vec()));
            let what = || format!("{other} in place of {path}");
            assert_ne!(judge(&left, sound, true, &what), Verdict::Same);
            let what = || format!("{path} and {other} swapped");
            let (files, folders) = left.parts();
            let swapped = files.into_iter().map(|(name, found)| {
                let is_other = name == **other;
                (name, if is_other { bytes.to_vec() } else { found })
            });
            let swapped = MemoryStorage::of_parts(swapped.collect(), folders);
            assert_ne!(judge(&swapped, sound, true, &what), Verdict::Same);
        }
    }
}

#[test]
fn a_segment_under_a_second_name_is_left_alone_and_goes() {
    let sound = Sound::get();
    let (path, bytes) = sound.files.iter().find(|(path, _)| path.starts_with("segments/")).unwrap();
    let folder = path.rsplit_once('/').unwrap().0;
    let left = sound.with(&format!("{folder}/4000.seg"), Some(bytes.clone()));
    assert_eq!(judge(&left, sound, true, &|| "a duplicate".to_string()), Verdict::Same);
    let storage: Arc<dyn Storage> = Arc::new(left.clone());
    let store = Store::open_storage(storage, super::ops::options()).unwrap();
    assert!(!left.parts().0.contains_key(&format!("{folder}/4000.seg")), "no commit names it");
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn a_commit_goes_on_without_damaged_rows_that_were_derived() {
    let sound = Sound::get();
    let derived: Vec<&String> = sound.files.keys().filter(|path| sound.is_derived(path)).collect();
    assert!(derived.len() >= 2, "{derived:?}");
    for path in derived {
        let mut bytes = sound.files[path].clone();
        let last = bytes.len() - 1;
        bytes[last - 63] ^= 4;
        for bytes in [Some(bytes), None] {
            let storage: Arc<dyn Storage> = Arc::new(sound.with(path, bytes));
            let store = Store::open_storage(storage, super::ops::options()).unwrap();
            assert!(!store.check().unwrap().is_ok(), "{path}");
            let mut model = super::accounts::records(&store.snapshot().unwrap()).unwrap();
            let more = [Change::Wide { count: 50 }, Change::PutMany { collection: 0, count: 20 }];
            super::ops::run_batch(&store, &more, true, &mut model).unwrap();
            store.compact().unwrap();
            assert_eq!(super::accounts::records(&store.snapshot().unwrap()).unwrap(), model, "{path}");
            let report = store.check().unwrap();
            assert!(report.is_ok(), "{path}: {:?}", report.findings);
        }
    }
}

/// The catalog's files with the page `page`, sum and all, as it is in those of `old`.
fn with_old_page(sound: &Sound, old: &Sound, page: usize) -> Option<MemoryStorage> {
    let (mut files, folders) = sound.storage().parts();
    for (file, width) in [("catalog.redb", 4_096), ("catalog.sums", 8)] {
        let range = page * width..(page + 1) * width;
        let was = old.files[file].get(range.clone())?;
        files.get_mut(file)?.get_mut(range)?.copy_from_slice(was);
    }
    Some(MemoryStorage::of_parts(files, folders))
}

#[test]
fn a_page_that_was_never_written_is_seen_by_a_check() {
    // A device that lost one write and says nothing: an older page with its own fitting checksum.
    let memory = crash::empty();
    let put = |id, text| Step::Batch(vec![Change::Put { collection: 0, id, text, vector: 3, embed: true }], true);
    let many = Step::Batch(vec![Change::PutMany { collection: 0, count: 60 }, Change::Sample(1)], true);
    crash::carry_out(&memory, &[many, put(1, 1)]);
    let old = Sound::of_storage(&memory.copy());
    crash::carry_out(&memory, &[put(1, 2), put(2, 3), put(3, 3)]);
    let new = Sound::of_storage(&memory.copy());
    let (mut differ, mut seen) = (0, 0);
    for page in 1..new.files["catalog.redb"].len() / 4_096 {
        let Some(left) = with_old_page(&new, &old, page) else { continue };
        if left.parts().0["catalog.redb"] == new.files["catalog.redb"] {
            continue;
        }
        differ += 1;
        let storage: Arc<dyn Storage> = Arc::new(left);
        let opened = Store::open_storage(storage, super::ops::options().read_only(true));
        let Ok(store) = opened else { continue };
        let report = store.check().unwrap();
        let shown = store.snapshot().and_then(|snapshot| super::accounts::shown(&snapshot));
        seen += usize::from(!report.is_ok());
        assert!(!report.is_ok() || shown.is_ok_and(|shown| shown == new.shown), "page {page} is not seen");
    }
    assert!(differ >= 5 && seen >= 2, "{differ} pages differ, {seen} of them are seen");
}

#[test]
fn an_entry_that_vanished_from_any_table_is_seen() {
    use crate::catalog::tables::{GARBAGE, META, NAMES, TOTALS};
    let sound = Sound::get();
    let mut tables = 0;
    for table in NAMES.into_iter().filter(|table| ![META.name(), TOTALS.name(), GARBAGE.name()].contains(table)) {
        for place in [0, 1, usize::MAX] {
            let memory = sound.storage();
            let storage: Arc<dyn Storage> = Arc::new(memory.clone());
            if !crate::catalog::forget_entry(&storage, table, place).unwrap() {
                continue;
            }
            tables += 1;
            let opened = Store::open_storage(storage, super::ops::options().read_only(true));
            let Ok(store) = opened else { continue };
            let report = store.check().unwrap();
            let told = report.findings.iter().any(|damage| damage.what.contains(&format!("table {table}:")));
            assert!(told, "table {table}, entry {place}: {:?}", report.findings);
        }
    }
    assert!(tables >= 40, "{tables}");
}

#[test]
fn files_of_another_commit_are_seen() {
    let memory = crash::empty();
    let put = |id, text| Step::Batch(vec![Change::Put { collection: 0, id, text, vector: 3, embed: true }], true);
    crash::carry_out(&memory, &[put(1, 1)]);
    let old = Sound::of_storage(&memory.copy());
    crash::carry_out(&memory, &[put(1, 2), put(2, 3)]);
    let new = Sound::of_storage(&memory.copy());
    let with = |sound: &Sound, other: &Sound, chosen: &dyn Fn(&str) -> bool| {
        let files = sound.files.iter().map(|(path, bytes)| {
            let bytes = if chosen(path) { other.files.get(path).unwrap_or(bytes) } else { bytes };
            (path.clone(), bytes.clone())
        });
        MemoryStorage::of_parts(files.collect(), sound.folders.clone())
    };
    let segments = |path: &str| path.starts_with("segments/");
    let what = || "old segments, new catalog".to_string();
    assert_eq!(judge(&with(&new, &old, &segments), &new, true, &what), Verdict::Refused);
    let what = || "new segments, old catalog, old HEAD".to_string();
    assert_eq!(judge(&with(&old, &new, &segments), &old, true, &what), Verdict::Same, "rows beyond the commit");
    let what = || "old catalog, new HEAD".to_string();
    assert_eq!(judge(&with(&new, &old, &|path| path.starts_with("catalog")), &new, true, &what), Verdict::Refused);
    for file in ["catalog.redb", "catalog.sums"] {
        let what = || format!("old {file}");
        assert_eq!(judge(&with(&new, &old, &|path| path == file), &new, true, &what), Verdict::Refused);
    }
}

/// The store with the definitions of some collections changed, so that their checksums do not fit; or with zeros in
/// place of the pages they are on.
fn without_definitions(sound: &Sound, names: &[&str], pages: bool) -> MemoryStorage {
    let storage: Arc<dyn Storage> = Arc::new(sound.storage());
    let catalog = Catalog::open_read(storage, CatalogOptions::default()).unwrap();
    let read = catalog.begin_read().unwrap();
    let mut bytes = sound.files["catalog.redb"].clone();
    for name in names {
        let def = read.get(&tables::COLLECTIONS, &(*name).to_string()).unwrap().unwrap();
        let stored = codec::encode("collections", &(*name).to_string().to_bytes(), &def).unwrap();
        let places: Vec<usize> =
            bytes.windows(stored.len()).enumerate().filter(|(_, window)| *window == stored).map(|(at, _)| at).collect();
        assert!(!places.is_empty());
        for at in places {
            match pages {
                true => bytes[at / 4_096 * 4_096..][..4_096].fill(0),
                false => bytes[at + stored.len() / 2] ^= 1,
            }
        }
    }
    sound.with("catalog.redb", Some(bytes))
}

#[test]
fn records_are_salvaged_without_the_definition_of_their_collection() {
    let sound = Sound::get();
    for name in ["c0", "wide"] {
        let left = without_definitions(sound, &[name], false);
        assert_eq!(judge(&left, sound, true, &|| format!("no definition of {name}")), Verdict::Refused);
        let saved = salvage(&left, sound, &|| format!("no definition of {name}")).unwrap();
        assert_eq!((saved.records as usize, saved.records_lost), (sound.records.len(), 0), "{name}: {:?}", saved.lost);
        assert!(saved.vectors > 1_000 || name == "wide" && saved.vectors >= 90, "{name}: {} vectors", saved.vectors);
        let told = saved.lost.iter().any(|damage| damage.found.contains(&format!("saved as collection {name} with")));
        assert!(told, "{:?}", saved.lost);
    }
    for pages in [false, true] {
        salvaged_by_number(sound, without_definitions(sound, &["c0", "wide"], pages));
    }
}

fn salvaged_by_number(sound: &Sound, left: MemoryStorage) {
    let (from, to): (Arc<dyn Storage>, Arc<dyn Storage>) = (Arc::new(left), Arc::new(MemoryStorage::new()));
    let saved = Store::salvage_storage(&from, &to, super::ops::options(), &Control::new()).unwrap();
    assert_eq!((saved.records as usize, saved.vectors), (sound.records.len(), 0), "nobody can say whose they are");
    let store = Store::open_storage(to, super::ops::options()).unwrap();
    assert!(store.check().unwrap().is_ok());
    let found = super::accounts::records(&store.snapshot().unwrap()).unwrap();
    for ((name, id), (text, _)) in &sound.records {
        let key = (if name == "c0" { "recovered_1" } else { "recovered_2" }.to_string(), id.clone());
        assert_eq!(found.get(&key).map(|(text, _)| text), Some(text), "{key:?}");
    }
}
