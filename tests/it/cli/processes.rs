//! Two processes and one store: readers follow a writer's commits, a second writer is told who holds the lock.

use super::{NOTES, Place, Ran, notes};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};

/// An import that is fed line by line and tells of each commit.
struct Writer {
    child: Child,
    stdin: Option<ChildStdin>,
    events: BufReader<std::process::ChildStderr>,
}

impl Writer {
    fn start(place: &Place) -> Writer {
        let arguments = ["import", "s", "slow", "-", "--batch", "2", "--progress", "json", "--json"];
        let mut child = place
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let events = BufReader::new(child.stderr.take().unwrap());
        Writer { child, stdin, events }
    }

    fn feed(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for the next commit; the records in by then.
    fn committed(&mut self) -> u64 {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no event: {line}"));
        assert_eq!(event["event"], "commit");
        event["records"].as_u64().unwrap()
    }

    fn finish(mut self) -> serde_json::Value {
        drop(self.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn readers_follow_the_commits_of_a_writer() {
    let place = notes();
    let mut writer = Writer::start(&place);
    for n in 0..2 {
        writer.feed(&format!("{{\"id\": {n}, \"text\": \"note number {n}\"}}"));
    }
    assert_eq!(writer.committed(), 2);
    assert_eq!(place.records("slow"), 2);
    // One line more is in the writer's batch, and nobody sees it.
    writer.feed("{\"id\": 2, \"text\": \"note number 2\"}");
    let answer = place.run(["query", "s", "find \"note\" in slow", "--json"]).exits(0).json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
    let check = place.run(["check", "s", "--json"]).exits(0).json();
    assert_eq!(check["ok"], true);

    writer.feed("{\"id\": 3, \"text\": \"note number 3\"}");
    assert_eq!(writer.committed(), 4);
    let answer = place.run(["query", "s", "find #3 in slow", "--json"]).exits(0).json();
    assert_eq!(answer["plan"]["rows"], 4);
    place.run(["get", "s", "notes", "n17"]).exits(0);
    assert_eq!(writer.finish()["inserted"], 4);
}

#[test]
fn a_repl_beside_a_writer_sees_what_comes() {
    let place = notes();
    let mut writer = Writer::start(&place);
    let mut repl = place.command(["repl", "s", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = repl.stdin.take().unwrap();
    let mut answers = BufReader::new(repl.stdout.take().unwrap());
    let mut ask = |statement: &str| {
        writeln!(stdin, "{statement}").unwrap();
        stdin.flush().unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    assert_eq!(ask("find #n17 in notes")["results"].as_array().unwrap().len(), 2);
    writer.feed("{\"id\": 0, \"text\": \"first\"}");
    writer.feed("{\"id\": 1, \"text\": \"second\"}");
    writer.committed();
    assert_eq!(ask("find \"first\" in slow")["results"].as_array().unwrap().len(), 2);
    drop(stdin);
    repl.wait().unwrap();
    writer.finish();
}

#[test]
fn a_second_writer_is_told_who_holds_the_store() {
    let place = notes();
    let mut writer = Writer::start(&place);
    writer.feed("{\"id\": 0, \"text\": \"first\"}");
    writer.feed("{\"id\": 1, \"text\": \"second\"}");
    writer.committed();
    place.write("more.jsonl", NOTES);
    let second = place.run(["import", "s", "more", "more.jsonl", "--json"]).exits(2);
    let error = second.json_error();
    let message = error["message"].as_str().unwrap();
    assert_eq!(error["kind"], "locked");
    assert!(message.contains('s') && message.contains(&writer.child.id().to_string()), "{message}");
    let refused = place.run(["query", "s", "let x = center", "--json"]).exits(2).json_error();
    assert_eq!(refused["kind"], "locked");
    assert_eq!(writer.finish()["inserted"], 2);
    place.run(["import", "s", "more", "more.jsonl"]).exits(0);
}

/// The program as a user who may read the store and write nothing; `None` where this process cannot become one.
#[cfg(target_os = "linux")]
fn as_nobody(place: &Place, arguments: &[&str]) -> Option<Ran> {
    let program = env!("CARGO_BIN_EXE_simile");
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]).args(arguments);
    // A user who may not even reach the program is no test of it.
    let reaches = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", program, "--version"])
        .output();
    reaches.ok().filter(|output| output.status.success())?;
    Some(Ran::from(command.current_dir(place.folder.path()).stdin(Stdio::null()).output().unwrap()))
}

/// Everything below `folder` may be read by anybody and written by nobody but root.
#[cfg(target_os = "linux")]
fn open_to_readers(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => open_to_readers(&entry),
            false => std::fs::set_permissions(entry, std::fs::Permissions::from_mode(0o444)).unwrap(),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_may_not_write_reads() {
    let place = notes();
    std::fs::remove_dir_all(place.path("s").join("leases")).ok();
    open_to_readers(place.folder.path());
    let Some(ran) = as_nobody(&place, &["query", "s", "find \"keys\" in notes | top 1", "--json"]) else { return };
    assert_eq!(ran.exits(0).json()["results"][0]["id"], "n17");
    as_nobody(&place, &["check", "s"]).unwrap().exits(0);
    as_nobody(&place, &["info", "s"]).unwrap().exits(0);
    let refused = as_nobody(&place, &["--json", "remove", "s", "notes", "n17"]).unwrap().exits(2).json_error();
    assert!(refused["message"].as_str().unwrap().contains("ermission denied"), "{refused}");
    // Leases that somebody else has made change nothing.
    place.run(["import", "s", "notes", "notes.jsonl", "--update"]).exits(0);
    open_to_readers(place.folder.path());
    as_nobody(&place, &["query", "s", "find \"keys\" in notes | top 1"]).unwrap().exits(0);
}
