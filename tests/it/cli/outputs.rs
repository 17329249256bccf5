//! Files that commands write: the earlier one stays until the new one is whole, and none is ever written into a store.

use super::{NOTES, Place, notes};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Names in the folder of the place, sorted.
fn names(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Every byte of the store but for what readers leave, in the order of the files' names.
fn bytes_of_store(place: &Place) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let (mut folders, mut files) = (vec![place.path("s")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("leases") => {}
                true => folders.push(path),
                false => files.push((path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    files.sort();
    files
}

#[track_caller]
fn fifo(place: &Place, name: &str) {
    assert!(Command::new("mkfifo").arg(place.path(name)).status().unwrap().success());
}

/// A question and its run, for `evaluate`.
fn with_queries() -> Place {
    let place = notes();
    place.write("q.jsonl", "{\"_id\": \"q1\", \"text\": \"wallet\"}\n");
    place
}

const FIND: &str = "find $q in notes";

#[test]
fn nothing_is_written_into_a_store_through_any_path() {
    let place = with_queries();
    place.run(["new", "other"]).exits(0);
    symlink("s", place.path("link")).unwrap();
    symlink("s/catalog.redb", place.path("file-link")).unwrap();
    symlink("s/segments/new.jsonl", place.path("dangling")).unwrap();
    std::fs::create_dir(place.path("out")).unwrap();
    symlink("../s/catalog.redb", place.path("out/raw.npy")).unwrap();
    let before = bytes_of_store(&place);
    for out in [
        "s/catalog.redb",
        "s/HEAD",
        "s/new.jsonl",
        "link/new.jsonl",
        "file-link",
        "dangling",
        "./out/../s/x",
        "other/x",
    ] {
        let ran = place.run(["export", "s", "notes", "-o", out]).exits(2);
        assert!(ran.stderr.contains("in the store"), "{out}: {}", ran.stderr);
        let ran = place.run(["evaluate", "s", FIND, "--queries", "q.jsonl", "--run", out]).exits(2);
        assert!(ran.stderr.contains("in the store"), "{out}: {}", ran.stderr);
    }
    for folder in ["s", "link", "s/segments/new", "other", "out"] {
        let ran = place.run(["export", "s", "notes", "-o", "o.jsonl", "--vectors", folder]).exits(2);
        assert!(ran.stderr.contains("in the store"), "{folder}: {}", ran.stderr);
        assert!(!place.path("o.jsonl").exists(), "{folder}");
    }
    assert!(before == bytes_of_store(&place), "the store is as it was");
    place.run(["check", "s"]).exits(0);
}

#[test]
fn a_failure_leaves_the_earlier_files() {
    let place = with_queries();
    for (name, bytes) in [("o.jsonl", "earlier"), ("o.jsonl.gz", "packed"), ("a.trec", "run")] {
        place.write(name, bytes);
    }
    std::fs::create_dir(place.path("v")).unwrap();
    place.write("v/raw.npy", "matrix");
    let before = names(&place);
    // The second file cannot be written: the first one stays as it was.
    symlink("/dev/full", place.path("full")).unwrap();
    place
        .run(["evaluate", "s", FIND, "--against", FIND, "--queries", "q.jsonl", "--run", "a.trec", "--run", "full"])
        .exits(2);
    std::fs::remove_file(place.path("v/raw.npy")).unwrap();
    symlink("/dev/full", place.path("v/raw.npy")).unwrap();
    for out in ["o.jsonl", "o.jsonl.gz"] {
        place.run(["export", "s", "notes", "-o", out, "--vectors", "v"]).exits(2);
    }
    place.run(["export", "s", "notes", "-o", "o.jsonl", "--vectors", "o.jsonl"]).exits(2);
    place
        .run(["evaluate", "s", FIND, "--against", FIND, "--queries", "q.jsonl", "--run", "a.trec", "--run", "./a.trec"])
        .exits(2);
    std::fs::remove_file(place.path("full")).unwrap();
    assert_eq!(names(&place), before, "nothing is left beside");
    for (name, bytes) in [("o.jsonl", "earlier"), ("o.jsonl.gz", "packed"), ("a.trec", "run")] {
        assert_eq!(std::fs::read_to_string(place.path(name)).unwrap(), bytes, "{name}");
    }
}

#[test]
fn a_signal_leaves_the_earlier_files() {
    for signal in ["-TERM", "-KILL", "-HUP"] {
        let place = notes();
        place.write("o.jsonl", "earlier");
        std::fs::create_dir(place.path("v")).unwrap();
        // The matrix goes into a pipe that nobody reads: the records are written by then, and the program waits.
        fifo(&place, "v/raw.npy");
        let mut export = place.command(["export", "s", "notes", "-o", "o.jsonl", "--vectors", "v"]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !names(&place).iter().any(|name| name.starts_with(".o.jsonl.new-")) {
            assert!(Instant::now() < until, "{:?}", names(&place));
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        Command::new("kill").args([signal, &export.id().to_string()]).status().unwrap();
        assert!(!export.wait().unwrap().success());
        assert_eq!(std::fs::read_to_string(place.path("o.jsonl")).unwrap(), "earlier", "{signal}");
        // The next run takes away what is left of this one.
        place.run(["export", "s", "notes", "-o", "o.jsonl"]).exits(0);
        assert_eq!(std::fs::read_to_string(place.path("o.jsonl")).unwrap().lines().count(), 3);
        assert!(!names(&place).iter().any(|name| name.contains(".new-")), "{:?}", names(&place));
    }
}

#[test]
fn streams_pipes_and_devices_still_work() {
    let place = with_queries();
    let plain = place.run(["export", "s", "notes", "-o", "-"]).exits(0).stdout;
    assert_eq!(plain.lines().count(), NOTES.lines().count());
    assert!(place.run(["export", "s", "notes", "-o", "/dev/stdout"]).exits(0).stdout.starts_with(&plain));
    place.run(["export", "s", "notes", "-o", "/dev/null"]).exits(0);
    // A shell's `>>` keeps what was there, and its `>` gets the records, not a file nobody has the name of.
    place.write("all.jsonl", "first\n");
    for target in ["/dev/stdout", "/proc/self/fd/1"] {
        let file = std::fs::OpenOptions::new().append(true).open(place.path("all.jsonl")).unwrap();
        assert!(place.command(["export", "s", "notes", "-o", target]).stdout(file).status().unwrap().success());
    }
    let all = std::fs::read_to_string(place.path("all.jsonl")).unwrap();
    assert!(all.starts_with("first\n") && all.matches("n31").count() == 2, "{all}");
    fifo(&place, "pipe");
    let writer = place.command(["export", "s", "notes", "-o", "pipe"]).stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(std::fs::read_to_string(place.path("pipe")).unwrap(), plain);
    assert!(writer.wait_with_output().unwrap().status.success());
    let writer = place
        .command(["evaluate", "s", FIND, "--queries", "q.jsonl", "--run", "pipe"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(std::fs::read_to_string(place.path("pipe")).unwrap().starts_with("q1 Q0 "));
    assert!(writer.wait_with_output().unwrap().status.success());
}
