//! What survives: killed imports, full disks, and the commands that copy, shrink and salvage a store.

use super::Place;
use simile::store::Store;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// `count` lines of records whose ids begin with `prefix`, with small vectors.
fn lines(prefix: &str, count: usize) -> String {
    let line =
        |n: usize| format!("{{\"id\": \"{prefix}-{n}\", \"text\": \"note {n}\", \"year\": {n}, \"v\": [{n}, 1, 2]}}\n");
    (0..count).map(line).collect()
}

fn import(file: &str) -> Vec<String> {
    let batch = ["--batch", "10", "--progress", "json", "--json", "--vector-field", "v"];
    ["import", "s", "c", file].into_iter().chain(batch).map(str::to_string).collect()
}

/// Records of the collection whose ids begin with `prefix`, each with its vector.
fn count(store: &Store, prefix: &str) -> usize {
    let snapshot = store.snapshot().unwrap();
    let Ok(collection) = snapshot.collection("c") else { return 0 };
    let view = collection.view("raw").unwrap();
    let mut count = 0;
    for row in collection.live().iter() {
        let record = collection.record(simile::types::RowId(row)).unwrap();
        let Some(number) = record.id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')) else { continue };
        let number: f32 = number.parse().unwrap();
        assert_eq!(view.vector(row).unwrap().unwrap(), [number, 1.0, 2.0], "{}", record.id);
        count += 1;
    }
    count
}

#[test]
fn fifty_killed_imports_lose_no_acknowledged_batch() {
    let place = Place::with_store();
    let mut acknowledged = Vec::new();
    let mut dice = 0x9e37_79b9_u64;
    for round in 0..50 {
        let (prefix, file) = (format!("r{round}"), format!("r{round}.jsonl"));
        place.write(&file, lines(&prefix, 20_000));
        let mut child = place.command(import(&file)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let events = BufReader::new(child.stderr.take().unwrap());
        let listener = std::thread::spawn(move || {
            let mut last = 0;
            for line in events.lines() {
                // The last line may have been cut with the process.
                let Ok(event) = serde_json::from_str::<serde_json::Value>(&line.unwrap_or_default()) else { break };
                last = event["records"].as_u64().unwrap_or(last);
            }
            last as usize
        });
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis(20 + (dice >> 33) % 160));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.push((prefix, listener.join().unwrap()));
        let store = Store::open_read_only(place.path("s")).unwrap();
        let (prefix, last) = acknowledged.last().unwrap();
        let found = count(&store, prefix);
        assert!(found == *last || found == last + 10, "{prefix}: {found} records, {last} were acknowledged");
        acknowledged.last_mut().unwrap().1 = found;
        if round % 10 == 9 {
            let report = store.check().unwrap();
            assert!(report.is_ok(), "{:?}", report.findings);
            for (prefix, expected) in &acknowledged {
                assert_eq!(count(&store, prefix), *expected, "{prefix}");
            }
        }
        std::fs::remove_file(place.path(&file)).unwrap();
    }
    let imported: usize = acknowledged.iter().map(|(_, found)| found).sum();
    assert!(imported > 100, "{imported} records are too few to tell");
}

/// Files may grow to `blocks` of 512 bytes only, as on a disk that is full from there on.
#[cfg(unix)]
fn limited(place: &Place, blocks: u32, arguments: Vec<String>) -> super::Ran {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_simile")]).args(arguments);
    super::Ran::from(command.current_dir(place.folder.path()).output().unwrap())
}

#[cfg(unix)]
#[test]
fn files_that_cannot_grow_end_an_import_and_keep_what_was_acknowledged() {
    let place = Place::with_store();
    place.write("first.jsonl", lines("first", 50));
    place.run(import("first.jsonl")).exits(0);
    place.write("more.jsonl", lines("more", 50_000));
    let largest =
        ["catalog.redb", "catalog.sums"].map(|file| std::fs::metadata(place.path("s").join(file)).unwrap().len());
    let blocks = largest.into_iter().max().unwrap() / 512 + 200;
    let ran = limited(&place, blocks as u32, import("more.jsonl")).exits(2);
    let events = ran.stderr.lines().filter(|line| line.contains("\"commit\""));
    let last =
        events.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["records"].as_u64()).next_back();
    assert!(ran.stderr.contains("cannot"), "{}", ran.stderr);
    let store = Store::open(place.path("s")).unwrap();
    let found = count(&store, "more") as u64;
    assert!(found == last.unwrap_or(0) || found == last.unwrap_or(0) + 10, "{found} records, {last:?} acknowledged");
    assert_eq!(count(&store, "first"), 50);
    assert!(store.check().unwrap().is_ok());
    drop(store);
    place.write("after.jsonl", lines("after", 20));
    place.run(import("after.jsonl")).exits(0);
    assert_eq!(place.records("c"), 70 + found);
}

const FULL: &str = "SIMILE_TEST_FULL_DISK";

/// Runs within a mount namespace of its own.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "started by a_full_disk_keeps_what_was_acknowledged"]
fn full_disk_child() {
    let Some(folder) = std::env::var_os(FULL).map(std::path::PathBuf::from) else { return };
    let mount = ["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(&folder).output().unwrap();
    if !mounted.status.success() {
        println!("skipped: {}", String::from_utf8_lossy(&mounted.stderr));
        return;
    }
    let place = Place { folder: tempfile::tempdir_in(&folder).unwrap() };
    place.run(["new", "s"]).exits(0);
    place.write("first.jsonl", lines("first", 50));
    place.run(import("first.jsonl")).exits(0);
    // Something else on the disk that will be gone later.
    place.write("ballast", vec![1; 2 << 20]);
    place.write("more.jsonl", lines("more", 30_000));
    let ran = place.run(import("more.jsonl")).exits(2);
    assert!(ran.stderr.to_lowercase().contains("no space"), "{}", ran.stderr);
    let events = ran.stderr.lines().filter(|line| line.contains("\"commit\""));
    let last =
        events.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["records"].as_u64()).next_back();
    let last = last.unwrap();
    // Not a byte more fits; readers go on all the same.
    let fill = std::fs::File::create(place.path("fill")).and_then(|mut file| {
        let write = |file: &mut std::fs::File| (0..).try_for_each(|_: u32| std::io::Write::write_all(file, &[0; 512]));
        write(&mut file)
    });
    assert!(fill.is_err());
    assert_eq!(place.records("c") - 50, last);
    place.run(["get", "s", "c", "first-7"]).exits(0);
    place.run(["query", "s", "find #first-7 in c | top 3"]).exits(0);
    place.run(["check", "s"]).exits(0);
    let store = Store::open(place.path("s")).unwrap();
    let refused = (0..1_000).find_map(|n| {
        let attempt = || -> simile::Result<()> {
            let mut batch = store.begin()?;
            let record = simile::Record::new(format!("late-{n}"), "x".repeat(9_000)).vector("raw", vec![1.0, 1.0, 2.0]);
            batch.collection("c")?.insert(record)?;
            batch.commit().map(drop)
        };
        attempt().err()
    });
    assert_eq!(refused.unwrap().kind(), simile::ErrorKind::Io);
    assert_eq!(store.begin().unwrap_err().kind(), simile::ErrorKind::ReadOnly, "the writer is poisoned");
    drop(store);
    // The catalog was not closed cleanly: without space to repair it a reader may have to say so, and nothing worse.
    match Store::open_read_only(place.path("s")) {
        Ok(store) => assert_eq!(count(&store, "more") as u64, last),
        Err(error) => assert_eq!(error.kind(), simile::ErrorKind::Io, "{error}"),
    }
    std::fs::remove_file(place.path("ballast")).unwrap();
    assert_eq!(count(&Store::open(place.path("s")).unwrap(), "more") as u64, last);
    place.write("after.jsonl", lines("after", 20));
    place.run(import("after.jsonl")).exits(0);
    place.run(["check", "s"]).exits(0);
    println!("carried out: {last} records were acknowledged before the disk was full");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    command.args(["cli::durability::full_disk_child", "--exact", "--ignored", "--nocapture"]).env(FULL, folder.path());
    match command.output() {
        Ok(output) => {
            let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            // Not every machine lets its users mount; the limit on files above is tested everywhere.
            let may_not = errors.contains("unshare") || said.contains("skipped");
            assert!(may_not || output.status.success() && said.contains("carried out"), "{said}\n{errors}");
            println!("{}", if may_not { "skipped: no file system can be mounted here" } else { said.trim() });
        }
        Err(error) => println!("skipped: {error}"),
    }
}

#[test]
fn compact_gives_space_back_and_info_offers_it() {
    let place = Place::with_store();
    place.write("a.jsonl", lines("a", 3_000));
    place.run(["import", "s", "c", "a.jsonl", "--vector-field", "v"]).exits(0);
    let before = place.run(["info", "s"]).exits(0);
    assert!(!before.stdout.contains("compact"), "{}", before.stdout);
    place.run(["remove", "s", "c", "--where", "year < 2000"]).exits(0);
    let offered = place.run(["info", "s"]).exits(0);
    assert!(offered.stdout.contains("simile compact s"), "{}", offered.stdout);
    let done = place.run(["--json", "compact", "s"]).exits(0).json();
    assert_eq!(done["rows_removed"], 2_000);
    assert_eq!(done["bytes_waiting"], 0);
    let (before, after) = (done["bytes_before"].as_u64().unwrap(), done["bytes_after"].as_u64().unwrap());
    assert!(after < before, "{before} -> {after}");
    let info = place.run(["--json", "info", "s"]).exits(0).json();
    assert_eq!(info["dead_share"].as_f64(), Some(0.0));
    // Closing the store writes down which pages of the catalog are free.
    let closed = info["bytes"].as_u64().unwrap();
    assert!(closed >= after && closed - after < 64 << 10, "{after} -> {closed}");
    place.run(["check", "s"]).exits(0);
    let found = place.run(["--json", "get", "s", "c", "a-2500", "--vectors"]).exits(0).json();
    assert_eq!(found["views"]["raw"]["vector"], serde_json::json!([2500.0, 1.0, 2.0]));
    let again = place.run(["compact", "s"]).exits(0);
    assert!(again.stdout.contains("0 dead rows gone"), "{}", again.stdout);
}

#[test]
fn a_backup_opens_as_the_store_and_refuses_what_is_there() {
    let place = Place::with_store();
    place.write("a.jsonl", lines("a", 200));
    place.run(["import", "s", "c", "a.jsonl", "--vector-field", "v"]).exits(0);
    let done = place.run(["--json", "backup", "s", "copy"]).exits(0).json();
    assert_eq!((done["segments"].as_u64(), done["commit"].as_u64()), (Some(1), Some(1)));
    place.run(["check", "copy"]).exits(0);
    let export = |store: &str| place.run(["export", store, "c", "-o", "-"]).exits(0).stdout;
    assert_eq!(export("copy"), export("s"));
    place.run(["remove", "copy", "c", "a-1"]).exits(0);
    let refused = place.run(["backup", "s", "copy"]).exits(2);
    assert!(refused.stderr.contains("copy exists already"), "{}", refused.stderr);
    assert_eq!(export("copy").lines().count(), 199, "what is there stays");
}

/// The one segment of the store.
fn segment(store: &Path) -> std::path::PathBuf {
    let folder = std::fs::read_dir(store.join("segments")).unwrap().next().unwrap().unwrap().path();
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn damage_ends_a_backup_and_is_left_behind_by_a_salvage() {
    let place = Place::with_store();
    place.write("a.jsonl", lines("a", 3_000));
    place.run(["import", "s", "c", "a.jsonl", "--vector-field", "v"]).exits(0);
    let file = segment(&place.path("s"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4_096 + 65_536 + 100] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let failed = place.run(["backup", "s", "copy"]).exits(2);
    assert!(failed.stderr.contains("checksum of block 1"), "{}", failed.stderr);
    let names: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("copy")), "{names:?}");

    let found = place.run(["--json", "check", "s", "--salvage", "saved"]).exits(1).json();
    let saved = &found["salvaged"];
    assert_eq!((saved["records"].as_u64(), saved["records_lost"].as_u64()), (Some(3_000), Some(0)));
    // Rows have 64 bytes: the block holds 1,024 of them.
    assert_eq!((saved["vectors"].as_u64(), saved["vectors_lost"].as_u64()), (Some(1_976), Some(1_024)));
    assert!(!saved["lost"].as_array().unwrap().is_empty());
    place.run(["check", "saved"]).exits(0);
    let found = place.run(["--json", "get", "saved", "c", "a-1030", "--vectors"]).exits(0).json();
    assert_eq!(
        (found["fields"]["year"].as_u64(), &found["views"]["raw"]["vector"]),
        (Some(1_030), &serde_json::Value::Null)
    );
    let shown = place.run(["check", "s", "--salvage", "again"]).exits(1);
    assert!(shown.stdout.contains("3,000 records and 1,976 vectors saved"), "{}", shown.stdout);
    place.run(["check", "s", "--salvage", "saved"]).exits(2);
}

#[test]
fn info_tells_of_segments_that_are_gone_or_cut() {
    let place = Place::with_store();
    place.write("a.jsonl", lines("a", 100));
    place.run(["import", "s", "c", "a.jsonl", "--vector-field", "v"]).exits(0);
    assert_eq!(place.run(["--json", "info", "s"]).exits(0).json()["damaged"], serde_json::json!([]));
    let file = segment(&place.path("s"));
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let told = place.run(["--json", "info", "s"]).exits(1).json();
    assert_eq!(told["damaged"][0]["found"], format!("{} bytes", bytes.len() - 1));
    std::fs::remove_file(&file).unwrap();
    let told = place.run(["info", "s"]).exits(1);
    assert!(told.stdout.contains("a segment is missing") && told.stdout.contains("simile check s"), "{}", told.stdout);
}

#[test]
fn a_store_without_its_sums_or_with_a_bad_catalog_is_salvaged() {
    let place = Place::with_store();
    place.write("a.jsonl", lines("a", 500));
    place.run(["import", "s", "c", "a.jsonl", "--vector-field", "v"]).exits(0);
    let sums = place.path("s").join("catalog.sums");
    let mut bytes = std::fs::read(&sums).unwrap();
    bytes[8..].fill(0xaa);
    std::fs::write(&sums, bytes).unwrap();
    assert_eq!(Store::open_read_only(place.path("s")).unwrap_err().kind(), simile::ErrorKind::Corrupt);
    let found = place.run(["--json", "check", "s", "--salvage", "saved"]).exits(1).json();
    assert_eq!(found["salvaged"]["records"], 500, "every value has a checksum of its own");
    assert_eq!(found["salvaged"]["vectors"], 500);
    place.run(["check", "saved"]).exits(0);

    // Without the file the store cannot be opened, but nothing else is lost.
    std::fs::remove_file(&sums).unwrap();
    let shown = place.run(["check", "s"]).exits(1);
    assert!(shown.stdout.contains("catalog.sums offset 0: a file of the store is missing"), "{}", shown.stdout);
    assert!(shown.stdout.contains("`simile check s --salvage DEST`"), "{}", shown.stdout);
    let found = place.run(["--json", "check", "s", "--salvage", "again"]).exits(1).json();
    assert_eq!(found["salvaged"]["records"], 500);
    assert_eq!(found["salvaged"]["vectors"], 500);
    assert!(found["salvaged"]["lost"].as_array().unwrap().len() <= 1, "{found}");
    assert!(!sums.exists(), "a look changes nothing");
}

#[test]
fn a_reader_of_another_process_keeps_what_it_reads_through_a_compaction() {
    let place = Place::with_store();
    place.write("a.jsonl", lines("a", 2_000));
    place.run(["import", "s", "c", "a.jsonl", "--vector-field", "v"]).exits(0);
    let old = segment(&place.path("s"));
    let reader = Store::open_read_only(place.path("s")).unwrap();
    let before = reader.snapshot().unwrap();
    place.run(["remove", "s", "c", "--where", "year < 1500"]).exits(0);
    let done = place.run(["--json", "compact", "s"]).exits(0).json();
    assert!(done["bytes_waiting"].as_u64().unwrap() > 0, "{done}");
    assert!(old.exists(), "somebody reads it");
    let collection = before.collection("c").unwrap();
    assert_eq!(collection.live().len(), 2_000);
    for row in (0..2_000).step_by(37) {
        assert_eq!(collection.view("raw").unwrap().vector(row).unwrap().unwrap(), [row as f32, 1.0, 2.0]);
    }
    let after = reader.snapshot().unwrap();
    assert_eq!(after.collection("c").unwrap().live().len(), 500);
    assert_eq!(after.collection("c").unwrap().def().rows, 500);
    drop((before, collection));
    place.run(["remove", "s", "c", "a-1999"]).exits(0);
    assert!(!old.exists(), "it went with its last reader and the next commit");
    assert_eq!(after.get("c", "a-1999").unwrap().unwrap().views[0].vector, Some(vec![1_999.0, 1.0, 2.0]));
}
