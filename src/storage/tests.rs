//! The two storages mean the same; files are private; paths cannot lead outside.

use super::*;
use crate::error::ErrorKind;

fn both(test: impl Fn(&dyn Storage)) {
    test(&MemoryStorage::new());
    let folder = tempfile::tempdir().unwrap();
    test(&FsStorage::create(&folder.path().join("a.simile")).unwrap());
}

#[test]
fn files_and_folders() {
    both(|storage| {
        assert_eq!(storage.open("a", OpenMode::Read).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(storage.open("a", OpenMode::Write).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(storage.len("a").unwrap_err().kind(), ErrorKind::NotFound);
        let file = storage.open("a", OpenMode::CreateNew).unwrap();
        assert_eq!(storage.open("a", OpenMode::CreateNew).unwrap_err().kind(), ErrorKind::Exists);
        file.write_all_at(b"xyz", 5).unwrap();
        assert_eq!(storage.len("a").unwrap(), 8);
        let mut found = [9; 8];
        storage.open("a", OpenMode::Read).unwrap().read_exact_at(&mut found, 0).unwrap();
        assert_eq!(found, *b"\0\0\0\0\0xyz");
        let short = file.read_exact_at(&mut found, 1).unwrap_err();
        assert_eq!(short.kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(storage.open("a", OpenMode::Read).unwrap().write_all_at(b"x", 0).is_err(), "opened for reading");
        storage.create_dir("b/c").unwrap();
        storage.create_dir("b/c").unwrap();
        storage.open("b/c/d", OpenMode::CreateOrOpen).unwrap();
        assert!(storage.open("e/f", OpenMode::CreateNew).is_err(), "no such folder");
        assert_eq!(storage.list("").unwrap(), ["a", "b"]);
        assert_eq!(storage.list("b/c").unwrap(), ["d"]);
        assert!(storage.list("z").unwrap().is_empty());
        assert!(storage.remove_dir("b/c").is_err(), "not empty");
        storage.rename("b/c/d", "b/e").unwrap();
        storage.remove_dir("b/c").unwrap();
        storage.sync_dir("b").unwrap();
        assert!(storage.exists("b/e").unwrap() && !storage.exists("b/c/d").unwrap());
        storage.remove("b/e").unwrap();
        assert!(storage.remove("b/e").is_err());
    });
}

#[test]
fn a_mapping_never_reaches_beyond_the_file() {
    both(|storage| {
        let file = storage.open("a", OpenMode::CreateNew).unwrap();
        file.write_all_at(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 0).unwrap();
        assert_eq!(storage.map("a", 9).unwrap()[..], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(storage.map("a", 3).unwrap()[..], [1, 2, 3]);
        assert!(storage.map("a", 0).unwrap().is_empty());
        let error = storage.map("a", 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.damage().unwrap().offset, 9);
        assert_eq!(storage.map("b", 0).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn whole_file_locks_conflict_between_holders() {
    both(|storage| {
        let shared = storage.try_lock("l", LockKind::Shared).unwrap().unwrap();
        let again = storage.try_lock("l", LockKind::Shared).unwrap().unwrap();
        assert!(storage.try_lock("l", LockKind::Exclusive).unwrap().is_none());
        drop(shared);
        assert!(storage.try_lock("l", LockKind::Exclusive).unwrap().is_none());
        drop(again);
        let alone = storage.try_lock("l", LockKind::Exclusive).unwrap().unwrap();
        assert!(storage.try_lock("l", LockKind::Shared).unwrap().is_none());
        drop(alone);
        assert!(storage.try_lock("l", LockKind::Shared).unwrap().is_some());
    });
}

#[test]
fn files_are_synced_together_and_each_of_them_counts() {
    let three = |storage: &dyn Storage| {
        ["a", "b", "c"].map(|name| {
            let file = storage.open(name, OpenMode::CreateNew).unwrap();
            file.write_all_at(name.as_bytes(), 0).unwrap();
            file
        })
    };
    both(|storage| {
        let [a, b, c] = three(storage);
        a.sync_with(&[&*b, &*c]).unwrap();
        a.sync_with(&[]).unwrap();
    });
    for failing in ["a", "b", "c"] {
        let storage = FaultStorage::new(MemoryStorage::new());
        let [a, b, c] = three(&storage);
        storage.clock().set(fault::Plan::SyncsUnder(failing));
        assert!(a.sync_with(&[&*b, &*c]).is_err(), "{failing}");
        let synced = storage.clock().trace().iter().filter(|done| matches!(done, disk::Operation::Sync { .. })).count();
        assert_eq!(synced, 2, "the others are tried");
    }
}

#[cfg(unix)]
#[test]
fn a_file_is_told_from_another_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let storage = FsStorage::create(&folder.path().join("a.simile")).unwrap();
    let file = storage.open("f", OpenMode::CreateNew).unwrap();
    let identity = file.identity().unwrap();
    assert!(identity.is_some() && storage.identity("f").unwrap() == identity);
    storage.rename("f", "g").unwrap();
    assert_eq!(storage.identity("f").unwrap_err().kind(), ErrorKind::NotFound);
    storage.open("f", OpenMode::CreateNew).unwrap();
    assert_ne!(storage.identity("f").unwrap(), identity);
    assert_eq!(storage.identity("g").unwrap(), identity);
}

#[test]
fn paths_cannot_lead_outside() {
    let folder = tempfile::tempdir().unwrap();
    let storage = FsStorage::create(&folder.path().join("a.simile")).unwrap();
    for path in ["../x", "a/../../x", "/tmp/x", "./x"] {
        for kind in [
            storage.open(path, OpenMode::CreateOrOpen).unwrap_err().kind(),
            storage.remove(path).unwrap_err().kind(),
            storage.create_dir(path).unwrap_err().kind(),
        ] {
            assert_eq!(kind, ErrorKind::Invalid, "{path}");
        }
    }
    assert_eq!(FsStorage::create(&folder.path().join("a.simile")).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(FsStorage::open(&folder.path().join("b.simile")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a.simile");
    let storage = FsStorage::create(&root).unwrap();
    storage.create_dir("segments/1").unwrap();
    storage.open("segments/1/2.seg", OpenMode::CreateNew).unwrap();
    drop(storage.try_lock("segments/lock", LockKind::Shared).unwrap());
    let mode = |path: &str| std::fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["", "segments", "segments/1"].map(mode), [0o700; 3]);
    assert_eq!(["segments/1/2.seg", "segments/lock"].map(mode), [0o600; 2]);
}
