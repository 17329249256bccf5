//! The crash test, the failing disk, and damage: what the fuzz targets look for at random, here one after the other.

use super::crash::{self, FAULTS, Recording, fails_at};
use super::damage::{Sound, Verdict, judge, salvage};
use super::ops::{Change, Choices, Step};
use crate::storage::disk::{Dice, LOSSES, Loss};
use crate::storage::fault::{Fault, Plan};
use crate::storage::{FaultStorage, MemoryStorage, Storage};
use crate::store::Store;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let data: Vec<u8> = (0..4_000).map(|_| dice.below(256) as u8).collect();
    let mut choices = Choices::new(&data);
    std::iter::from_fn(|| Step::choose(&mut choices)).take(count).collect()
}

#[test]
fn a_loss_of_power_at_any_operation_leaves_the_state_before_or_after() {
    let start = crash::empty();
    let mut checked = 0;
    for seed in 1..=4 {
        let recording = Recording::of(&start, &steps(seed, 12), Plan::Nothing);
        recording.walk(0, 1, |done, disk| {
            recording.check(done, disk, LOSSES[(done + seed as usize) % LOSSES.len()], done as u64);
            checked += 1;
        });
    }
    assert!(checked >= 1_000, "{checked} are too few to tell");
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
    recording.walk(0, every, |done, disk| recording.check(done, disk, LOSSES[done % LOSSES.len()], done as u64));
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
    for operation in (0..operations).step_by(7) {
        for fault in [Plan::Once(operation, Fault::Error), Plan::From(operation, Fault::DiskFull)] {
            let to = FaultStorage::new(MemoryStorage::new());
            to.clock().set(fault);
            let copied = store.backup_storage(&(Arc::new(to.clone()) as Arc<dyn Storage>));
            // LOCK is for messages, and what closing writes is repaired: neither is worth an error.
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
    for (path, bytes) in &sound.files {
        let (whole, some) = match path.as_str() {
            "catalog.redb" => (340, 100),
            "catalog.sums" => (16, 40),
            "HEAD" => (32, 0),
            _ if path.starts_with("segments/") => (64, 20),
            _ => continue,
        };
        for place in places(bytes.len(), whole, some, &mut dice) {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << dice.below(8);
            let what = || format!("{path}, byte {place}: {:02x} for {:02x}", flipped[place], bytes[place]);
            let left = sound.with(path, Some(flipped.clone()));
            let verdict = judge(&left.copy(), sound, place % 3 == 0, &what);
            *refused.entry(path).or_default() += usize::from(verdict == Verdict::Refused);
            if verdict == Verdict::Refused && place % 4 == 0 {
                salvage(&left, sound, &what);
            }
        }
    }
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
            let what = || format!("{path} cut to {len} bytes");
            let left = sound.with(path, Some(bytes[..len].to_vec()));
            let verdict = judge(&left.copy(), sound, len % 2 == 0, &what);
            assert!(!is_segment || verdict == Verdict::Refused, "{}", what());
            salvage(&left, sound, &what);
        }
        let what = || format!("{path} gone");
        assert_eq!(judge(&sound.with(path, None), sound, true, &what), Verdict::Refused);
        if is_segment {
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
    for (path, bytes) in &segments {
        for (other, other_bytes) in segments.iter().filter(|(other, _)| other != path) {
            let left = sound.with(path, Some((*other_bytes).clone()));
            let what = || format!("{other} in place of {path}");
            assert_eq!(judge(&left, sound, true, &what), Verdict::Refused);
            let what = || format!("{path} and {other} swapped");
            let (files, folders) = left.parts();
            let swapped = files.into_iter().map(|(name, found)| {
                let is_other = name == **other;
                (name, if is_other { (*bytes).clone() } else { found })
            });
            let swapped = MemoryStorage::of_parts(swapped.collect(), folders);
            assert_eq!(judge(&swapped, sound, true, &what), Verdict::Refused);
        }
    }
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
