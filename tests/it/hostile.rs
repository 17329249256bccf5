//! What attacks on a store folder did wrong once, each test named after it: links, pipes, folders and other stores in
//! place of what belongs there, and files that are cut or moved while they are in use.

use crate::store::place;
use simile::store::{CollectionSpec, Store};
use simile::{ErrorKind, Record};
use std::path::Path;

/// A store of two records with vectors, closed.
fn small(path: &Path, word: &str) {
    let store = Store::create(path).unwrap();
    let mut batch = store.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.commit().unwrap();
    for id in ["a", "b"] {
        add(&store, id, word).unwrap();
    }
}

fn add(store: &Store, id: &str, word: &str) -> simile::Result<()> {
    let mut batch = store.begin()?;
    batch.collection("c")?.insert(Record::new(id, word).vector("raw", vec![1.0, 2.0]))?;
    batch.commit().map(drop)
}

fn ids(store: &Store) -> Vec<String> {
    let collection = store.snapshot().unwrap().collection("c").unwrap();
    let id = |row| collection.record(simile::types::RowId(row)).unwrap().id;
    collection.live().iter().map(id).collect()
}

/// The error says which part of the store it is, what belongs there, and what is there.
#[track_caller]
fn assert_names(error: &simile::Error, file: &str, found: &str) {
    let damage = error.damage().unwrap_or_else(|| panic!("{error}"));
    assert_eq!((error.kind(), damage.file.as_path()), (ErrorKind::Corrupt, Path::new(file)), "{error}");
    assert_eq!(damage.found, found, "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_file_led_out_of_the_store() {
    use std::os::unix::fs::symlink;
    for file in ["LOCK", "HEAD", "catalog.redb", "catalog.sums", "segments/1/1.seg"] {
        let (dir, path) = place();
        small(&path, "t");
        let outside = dir.path().join("precious");
        std::fs::rename(path.join(file), &outside).unwrap();
        // LOCK was emptied and filled, wherever it led to.
        let precious = if file == "LOCK" { b"precious".to_vec() } else { std::fs::read(&outside).unwrap() };
        std::fs::write(&outside, &precious).unwrap();
        symlink(&outside, path.join(file)).unwrap();
        let written = Store::open(&path).and_then(|store| add(&store, "new", "t"));
        match file {
            // Nothing depends on it: who holds the lock is not told, and that is all.
            "LOCK" => written.unwrap(),
            _ => assert_names(&written.unwrap_err(), file, "a symbolic link"),
        }
        assert_eq!(std::fs::read(&outside).unwrap(), precious, "{file}");
        let read = Store::open_read_only(&path).and_then(|store| {
            let snapshot = store.snapshot()?;
            snapshot.get("c", "a").map(|record| record.unwrap().views[0].vector.clone())
        });
        match file {
            "LOCK" => assert_eq!(read.unwrap(), Some(vec![1.0, 2.0])),
            _ => assert_names(&read.unwrap_err(), file, "a symbolic link"),
        }
    }
}

#[test]
fn a_file_that_a_file_manager_left_among_the_segments_stopped_all_writing() {
    let (_dir, path) = place();
    small(&path, "t");
    for folder in [".", "segments", "segments/1", "leases"] {
        std::fs::create_dir_all(path.join(folder)).unwrap();
        std::fs::write(path.join(folder).join(".DS_Store"), b"not ours").unwrap();
    }
    let store = Store::open(&path).unwrap();
    add(&store, "new", "t").unwrap();
    store.compact().unwrap();
    assert!(store.check().unwrap().is_ok());
    assert_eq!(std::fs::read(path.join("segments/.DS_Store")).unwrap(), b"not ours");
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_folder_had_files_outside_removed() {
    use std::os::unix::fs::symlink;
    for folder in ["segments", "segments/1", "leases"] {
        let (dir, path) = place();
        small(&path, "t");
        drop(Store::open_read_only(&path).unwrap().snapshot().unwrap());
        let outside = dir.path().join("outside");
        std::fs::rename(path.join(folder), &outside).unwrap();
        // What no commit names was taken for what a crash had left.
        let names = ["77.seg", "1/77.seg", "1"].map(|name| outside.join(name));
        let precious: Vec<_> = names.iter().filter(|name| std::fs::write(name, b"precious").is_ok()).collect();
        symlink(&outside, path.join(folder)).unwrap();
        let written = Store::open(&path).and_then(|store| {
            store.begin()?.collection("c")?.remove("a")?;
            add(&store, "new", "t")?;
            store.compact()
        });
        // A lease that cannot be had costs a reader nothing; removing files is refused.
        if folder != "leases" {
            assert_names(&written.unwrap_err(), folder, "a symbolic link");
        }
        for name in precious {
            assert_eq!(std::fs::read(name).unwrap(), b"precious", "{folder}: {}", name.display());
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_head_was_waited_for_for_ever() {
    for file in ["HEAD", "catalog.redb", "segments/1/1.seg"] {
        let (_dir, path) = place();
        small(&path, "t");
        std::fs::remove_file(path.join(file)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path.join(file)).status();
        if !made.is_ok_and(|status| status.success()) {
            return;
        }
        let read = Store::open_read_only(&path).and_then(|store| store.snapshot()?.get("c", "a").map(drop));
        assert_names(&read.unwrap_err(), file, "a pipe, socket or device");
    }
}

#[test]
fn a_folder_in_place_of_head_was_taken_for_a_torn_head() {
    let (_dir, path) = place();
    small(&path, "t");
    std::fs::remove_file(path.join("HEAD")).unwrap();
    std::fs::create_dir(path.join("HEAD")).unwrap();
    assert_names(&Store::open_read_only(&path).unwrap_err(), "HEAD", "a folder");
    assert_names(&Store::open(&path).unwrap_err(), "HEAD", "a folder");
}

#[test]
fn a_folder_named_as_a_segment_kept_writers_out() {
    let (_dir, path) = place();
    small(&path, "t");
    std::fs::create_dir(path.join("segments/1/77.seg")).unwrap();
    let store = Store::open(&path).unwrap();
    add(&store, "new", "t").unwrap();
    assert_eq!(ids(&store), ["a", "b", "new"]);
    assert!(store.check().unwrap().is_ok());
    assert!(path.join("segments/1/77.seg").is_dir(), "it is none of ours");
}

#[cfg(unix)]
#[test]
fn a_store_put_in_place_of_an_open_one_got_its_head_and_vectors() {
    let (dir, path) = place();
    small(&path, "old");
    let (writer, reader) = (Store::open(&path).unwrap(), Store::open_read_only(&path).unwrap());
    let before = reader.snapshot().unwrap();
    assert_eq!(ids(&writer), ["a", "b"]);
    std::fs::rename(&path, dir.path().join("moved.simile")).unwrap();
    // Moved away, or the folder of another store in its place: either way, segments and HEAD would be found by name.
    for replaced in [false, true] {
        if replaced {
            small(&path, "new");
        }
        let written = [add(&writer, "c", "t").unwrap_err(), writer.compact().unwrap_err()];
        let read = [&reader, &writer].map(|store| store.snapshot().unwrap_err());
        for error in written.into_iter().chain(read) {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("moved, removed or replaced while it was open"), "{error}");
        }
    }
    assert_eq!(before.get("c", "a").unwrap().unwrap().text, "old", "what was taken before stays readable");
    drop((writer, reader, before));
    for (path, word) in [(path, "new"), (dir.path().join("moved.simile"), "old")] {
        let store = Store::open(path).unwrap();
        assert!(store.check().unwrap().is_ok());
        assert_eq!(store.snapshot().unwrap().get("c", "b").unwrap().unwrap().text, word);
        add(&store, "c", word).unwrap();
        assert_eq!(ids(&store), ["a", "b", "c"]);
    }
}

#[cfg(unix)]
#[test]
fn a_batch_that_was_open_wrote_its_vectors_into_the_store_that_came_in_place() {
    let (dir, path) = place();
    small(&path, "old");
    let writer = Store::open(&path).unwrap();
    for commits in [true, false] {
        let mut batch = writer.begin().unwrap();
        let mut c = batch.collection("c").unwrap();
        c.insert(Record::new("x", "t").vector("raw", vec![3.0, 4.0])).unwrap();
        let aside = dir.path().join("aside.simile");
        std::fs::rename(&path, &aside).unwrap();
        small(&path, "new");
        let files = ["HEAD", "catalog.redb", "catalog.sums", "segments/1/1.seg"];
        let bytes = || files.map(|file| std::fs::read(path.join(file)).unwrap());
        let before = bytes();
        match commits {
            true => assert_eq!(batch.commit().unwrap_err().kind(), ErrorKind::NotFound),
            false => drop(batch),
        }
        assert!(bytes() == before, "commits: {commits}");
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(ids(&writer), ["a", "b"], "it is back in its place");
    }
    add(&writer, "c", "t").unwrap();
}

#[cfg(unix)]
#[test]
fn every_file_of_a_store_a_backup_and_a_salvage_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = place();
    small(&path, "t");
    let store = Store::open(&path).unwrap();
    drop(store.snapshot().unwrap());
    let (copy, saved) = (dir.path().join("copy.simile"), dir.path().join("saved.simile"));
    store.backup(&copy).unwrap();
    drop(store);
    Store::salvage(&path, &saved, &simile::types::Control::new()).unwrap();
    let mut looked = 0;
    let mut places = vec![path, copy, saved];
    while let Some(place) = places.pop() {
        let mode = std::fs::metadata(&place).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if place.is_dir() { 0o700 } else { 0o600 }, "{}", place.display());
        looked += 1;
        if place.is_dir() {
            places.extend(std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(looked >= 20, "{looked}");
}

#[test]
fn a_missing_folder_above_was_named_by_a_path_of_ours() {
    let (dir, path) = place();
    small(&path, "t");
    let nowhere = dir.path().join("nowhere/deep.simile");
    let store = Store::open(&path).unwrap();
    for error in [Store::create(&nowhere).unwrap_err(), store.backup(&nowhere).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(!error.to_string().contains(".new-") && error.to_string().contains("make it first"), "{error}");
    }
}
