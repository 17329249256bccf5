//! Two writers where locks do not reach from one to the other: at most one of them writes, and the store stays whole.

use super::{CollectionSpec, Options, Store};
use crate::error::ErrorKind;
use crate::storage::process::ProcessMark;
use crate::storage::{MemoryStorage, OpenMode, Storage};
use crate::types::Record;
use std::path::Path;
use std::sync::Arc;

fn insert(store: &Store, id: &str) -> crate::Result<()> {
    let mut batch = store.begin()?;
    batch.collection("c")?.insert(Record::new(id, id).vector("raw", vec![1.0, 2.0]))?;
    batch.commit().map(drop)
}

fn ids(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    let mut ids: Vec<String> =
        collection.live().iter().map(|row| collection.record(crate::types::RowId(row)).unwrap().id).collect();
    ids.sort();
    ids
}

#[test]
fn of_two_writers_that_see_no_lock_one_goes_on() {
    let memory = MemoryStorage::new();
    let reached: Arc<dyn Storage> = Arc::new(memory.clone());
    let first = Store::create_storage(&reached, Options::new()).unwrap();
    let mut batch = first.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.commit().unwrap();
    insert(&first, "a").unwrap();
    // A batch that is open while another writer comes, which sees none of the locks.
    let mut batch = first.begin().unwrap();
    batch.collection("c").unwrap().insert(Record::new("lost", "lost").vector("raw", vec![3.0, 4.0])).unwrap();
    let second = Store::open_storage(Arc::new(memory.clone().out_of_reach()), Options::new()).unwrap();
    insert(&second, "b").unwrap();
    let error = batch.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains("taken over") && error.to_string().contains("one mount"), "{error}");
    assert!(insert(&first, "too late").is_err());
    insert(&second, "c").unwrap();
    assert_eq!(ids(&first), ["a", "b", "c"], "the first one reads on");
    drop(first);
    insert(&second, "d").unwrap();
    assert_eq!(second.check().unwrap().findings, []);
    drop(second);
    let store = Store::open_storage(Arc::new(memory.copy()), Options::new()).unwrap();
    assert_eq!(ids(&store), ["a", "b", "c", "d"]);
    assert_eq!(store.check().unwrap().findings, []);
}

#[cfg(target_os = "linux")]
#[test]
fn an_owner_on_another_machine_is_not_shoved_aside_where_it_may_reach_the_folder() {
    let memory = MemoryStorage::new();
    let local: Arc<dyn Storage> = Arc::new(memory.clone());
    drop(Store::create_storage(&local, Options::new()).unwrap());
    let mark = ProcessMark { boot: "b".to_string(), host: "elsewhere".to_string(), ..ProcessMark::own() };
    let text = format!("{}token={}\n", mark.to_lines(), "0".repeat(32));
    let lock = memory.open("LOCK", OpenMode::CreateOrOpen).unwrap();
    lock.write_all_at(text.as_bytes(), 0).unwrap();
    let remote = Arc::new(memory.clone().out_of_reach());
    let error = Store::open_storage(remote.clone(), Options::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains("elsewhere") && error.to_string().contains("cannot be seen"), "{error}");
    memory.remove("LOCK").unwrap();
    drop(Store::open_storage(remote, Options::new()).unwrap());
    let lock = memory.open("LOCK", OpenMode::CreateOrOpen).unwrap();
    lock.write_all_at(text.as_bytes(), 0).unwrap();
    drop(Store::open_storage(local, Options::new()).unwrap());
}

/// LOCK as the process `mark` would have left it in the store at `path`, or in a copy of it.
#[cfg(target_os = "linux")]
fn leave_lock(path: &Path, mark: &ProcessMark, is_copy: bool) {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(path.join("catalog.redb")).unwrap().ino() + u64::from(is_copy);
    let text = format!("{}token={}\nfile={file}\n", mark.to_lines(), "0".repeat(32));
    std::fs::write(path.join("LOCK"), text).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn an_owner_that_runs_is_not_shoved_aside_and_one_that_is_gone_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(Store::create(&path).unwrap());
    let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let mark = ProcessMark::of_pid(child.id()).unwrap();
    leave_lock(&path, &mark, false);
    let error = Store::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    let told = error.to_string();
    assert!(told.contains(&format!("process {}", child.id())) && told.contains("remove"), "{told}");
    assert!(told.contains(&path.join("LOCK").display().to_string()), "{told}");
    drop(Store::open_read_only(&path).unwrap().snapshot().unwrap());
    // A copy has LOCK with it, and nobody writes to it.
    leave_lock(&path, &mark, true);
    drop(Store::open(&path).unwrap());
    leave_lock(&path, &ProcessMark { boot: "b".to_string(), host: "elsewhere".to_string(), ..mark.clone() }, false);
    drop(Store::open(&path).unwrap());
    leave_lock(&path, &mark, false);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(Store::open(&path).unwrap());
    assert_eq!(std::fs::read(path.join("LOCK")).unwrap(), b"", "whoever closes leaves no name");
}
