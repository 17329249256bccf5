//! Where the machine says no: an output that is full, files that may not grow, threads that cannot be had.

use super::{NOTES, Place, Ran, notes, npy};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// The program with its standard output on a full device.
fn run_full(place: &Place, arguments: &[&str]) -> Ran {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    Ran::from(place.command(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap())
}

#[test]
fn a_full_output_is_an_error_with_words() {
    let place = notes();
    place.write("q.jsonl", "{\"_id\": \"q1\", \"text\": \"wallet\"}\n");
    let reading: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["query", "--help"],
        &["info", "s"],
        &["--json", "info", "s"],
        &["check", "s"],
        &["get", "s", "notes", "n17"],
        &["query", "s", "find \"wallet\" in notes"],
        &["query", "s", "find \"wallet\" in notes", "--format", "csv"],
        &["export", "s", "notes", "-o", "-"],
        &["evaluate", "s", "find $q in notes", "--queries", "q.jsonl"],
        &["diagnose", "s", "notes"],
        &["history", "s", "none"],
    ];
    for arguments in reading {
        let ran = run_full(&place, arguments).exits(2);
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
        assert!(!ran.stderr.contains("is kept"), "{arguments:?}: {}", ran.stderr);
    }
    assert!(run_full(&place, &["--help"]).stderr.contains("cannot write to standard output"));
    // Whoever has had enough is no error.
    for arguments in [&["--help"][..], &["export", "s", "notes", "-o", "-"]] {
        let mut child = place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_change_whose_report_is_not_taken_is_said_to_be_kept() {
    let place = notes();
    place.write("more.jsonl", "{\"id\": \"m1\", \"text\": \"more\"}\n");
    place.write("again.jsonl", "{\"id\": \"m2\", \"text\": \"more\"}\n");
    let changes: &[&[&str]] = &[
        &["import", "s", "notes", "more.jsonl"],
        &["--json", "import", "s", "notes", "again.jsonl"],
        &["remove", "s", "notes", "m1"],
        &["view", "s", "notes", "quoted", "--template", "a note: {text}"],
        &["query", "s", "let mine = center corpus | score cosine"],
        &["compact", "s"],
    ];
    let mut commit = place.run(["--json", "info", "s"]).exits(0).json()["commit"].as_u64().unwrap();
    for arguments in changes {
        let ran = run_full(&place, arguments).exits(2);
        let now = place.run(["--json", "info", "s"]).exits(0).json()["commit"].as_u64().unwrap();
        assert!(now > commit, "{arguments:?}");
        let kept = format!("what was changed is kept (commit {now})");
        assert!(ran.stderr.contains(&kept), "{arguments:?}: {}", ran.stderr);
        commit = now;
    }
    let ran = run_full(&place, &["remove", "s", "notes", "nobody"]);
    assert!(!ran.stderr.contains("is kept"), "{}", ran.stderr);
}

#[test]
fn an_import_names_its_commit() {
    let place = Place::with_store();
    place.write("notes.jsonl", NOTES);
    let done = place.run(["--json", "import", "s", "notes", "notes.jsonl", "--batch", "2"]).exits(0).json();
    let commit = place.run(["--json", "info", "s"]).exits(0).json()["commit"].clone();
    assert_eq!((&done["commit"], &done["commits"]), (&commit, &serde_json::json!(2)));
}

#[test]
fn a_file_that_may_not_grow_is_an_error_with_words() {
    let place = notes();
    let line = |n: usize| format!("{{\"id\": \"x{n}\", \"text\": \"{}\"}}\n", "some words ".repeat(400));
    place.write("large.jsonl", (0..400).map(line).collect::<String>());
    let program = env!("CARGO_BIN_EXE_simile");
    let limited = |rest: &str| {
        let script = format!("ulimit -f 600; exec '{program}' {rest}");
        let mut command = Command::new("sh");
        Ran::from(command.args(["-c", &script]).current_dir(place.folder.path()).output().unwrap())
    };
    let ran = limited("import s notes large.jsonl").exits(2);
    assert!(ran.stderr.contains("large"), "{}", ran.stderr);
    assert_eq!(place.records("notes"), 3, "nothing of it counts");
    place.run(["import", "s", "notes", "large.jsonl"]).exits(0);
    let ran = limited("export s notes -o out.jsonl").exits(2);
    assert!(ran.stderr.contains("out.jsonl"), "{}", ran.stderr);
    assert!(!place.path("out.jsonl").exists());
    place.run(["check", "s"]).exits(0);
}

/// `program` with one process and no further thread. The user of other processes may have none, so root becomes nobody.
fn alone(place: &Place, program: &str, arguments: &[&str]) -> Option<Ran> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let mut command = Command::new(if is_root { "setpriv" } else { "prlimit" });
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit"]);
    }
    command.args(["--nproc=1", program]).args(arguments).current_dir(place.folder.path());
    command.output().ok().map(Ran::from)
}

#[test]
fn without_further_threads_there_is_one() {
    let place = notes();
    place.write("q.jsonl", "{\"_id\": \"q1\", \"text\": \"wallet\"}\n");
    let records = |n: usize| {
        format!("{{\"id\": \"l{n}\", \"text\": \"{} number {n}\", \"kind\": \"k{}\"}}\n", ["tea", "ink"][n % 2], n % 2)
    };
    place.write("labelled.jsonl", (0..40).map(records).collect::<String>());
    let vectors: Vec<[f32; 4]> = (0..40).map(|n| [n % 2, n % 3, n % 5, 1].map(|part| part as f32)).collect();
    place.write("labelled.npy", npy(&vectors.iter().map(|row| &row[..]).collect::<Vec<_>>()));
    place.run(["import", "s", "labelled", "labelled.jsonl", "--vectors", "labelled.npy"]).exits(0);
    std::fs::set_permissions(place.folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let _ = Command::new("chown").args(["-R", "65534:65534"]).arg(place.path("s")).status();
    let program = env!("CARGO_BIN_EXE_simile");
    // Where a second process can be had all the same, there is nothing to be seen.
    match alone(&place, "sh", &["-c", "sh -c : ; echo had $?"]) {
        Some(ran) if ran.stdout.is_empty() => {}
        _ => return eprintln!("threads cannot be limited here"),
    }
    if alone(&place, program, &["--version"]).is_none_or(|ran| ran.code != 0) {
        return eprintln!("nobody may not run the program here");
    }
    let with = place.run(["query", "s", "find \"wallet\" in notes | center corpus", "--format", "csv"]).exits(0).stdout;
    let commands: &[&[&str]] = &[
        &["query", "s", "find \"wallet\" in notes | center corpus", "--format", "csv"],
        &["query", "s", "find \"wallet\" in notes | whiten | standardize | score cosine"],
        &["query", "s", "pairs in notes | top 2"],
        &["check", "s"],
        &["info", "s"],
        &["diagnose", "s", "notes"],
        &["evaluate", "s", "find $q in notes", "--queries", "q.jsonl"],
        &["query", "s", "let mine = center corpus | score cosine"],
        &["materialize", "s", "mine"],
        &["learn", "s", "learned", "--in", "labelled", "--same-field", "kind"],
        &["export", "s", "notes", "-o", "-"],
        &["compact", "s"],
    ];
    for arguments in commands {
        let ran = alone(&place, program, arguments).unwrap();
        assert!(!ran.stderr.contains("panicked"), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        if arguments.contains(&"csv") {
            assert_eq!(ran.stdout, with);
        }
    }
}
