//! The program as people and programs use it: typical work and typical mistakes, exit codes, JSON shapes.

mod again;
mod durability;
mod figures;
mod forms;
mod hints;
mod import;
mod labels;
mod learning;
mod lenses;
#[cfg(unix)]
mod limits;
mod mistakes;
#[cfg(unix)]
mod outputs;
mod processes;
mod readings;
mod search;
mod values;
mod words;

use serde_json::Value as Json;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder for one test, and the program run in it.
struct Place {
    folder: tempfile::TempDir,
}

/// What the program said and how it ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the exit code; shows everything where it is another.
    #[track_caller]
    fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as one JSON document on one line.
    #[track_caller]
    fn json(&self) -> Json {
        assert_eq!(self.stdout.lines().count(), 1, "one line of JSON: {}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The error on standard error.
    #[track_caller]
    fn json_error(&self) -> Json {
        let json: Json = serde_json::from_str(&self.stderr).unwrap_or_else(|_| panic!("no JSON: {}", self.stderr));
        json["error"].clone()
    }
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    /// A place with a store `s` in it.
    fn with_store() -> Place {
        let place = Place::new();
        place.run(["new", "s"]).exits(0);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simile"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("XDG_STATE_HOME", self.folder.path()).env_remove("NO_COLOR");
        command
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    fn run_with_input<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>, input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_string();
        // Written beside the reading, so that neither side waits for the other with full pipes.
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran::from(output)
    }

    /// The number of records of a collection.
    fn records(&self, collection: &str) -> u64 {
        let info = self.run(["--json", "info", "s"]).exits(0).json();
        let collections = info["collections"].as_array().unwrap();
        let found = collections.iter().find(|found| found["name"] == collection);
        found.map_or(0, |found| found["records"].as_u64().unwrap())
    }
}

/// Three notes: a question, another question, an answer.
const NOTES: &str = r#"{"id": "n17", "text": "Where did I put my wallet?", "year": 2024, "tags": ["home", "lost"]}
{"id": "n31", "text": "Has anyone seen my phone?", "year": 2020}
{"id": "n08", "text": "I left them in my pocket", "year": 2021, "tags": ["home"], "place": {"room": 3}}
"#;

/// A place with the notes imported.
fn notes() -> Place {
    let place = Place::with_store();
    place.write("notes.jsonl", NOTES);
    place.run(["import", "s", "notes", "notes.jsonl"]).exits(0);
    place
}

/// A `.npy` file of f4.
fn npy(rows: &[&[f32]]) -> Vec<u8> {
    let columns = rows.first().map_or(0, |row| row.len());
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {columns}), }}", rows.len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(dictionary.len() as u16).to_le_bytes());
    bytes.extend_from_slice(dictionary.as_bytes());
    for row in rows {
        row.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    }
    bytes
}

#[test]
fn the_whole_way_from_new_to_export() {
    let place = notes();
    assert_eq!(place.records("notes"), 3);
    let check = place.run(["--json", "check", "s"]).exits(0).json();
    assert_eq!((&check["ok"], &check["records"]), (&Json::from(true), &Json::from(3)));

    place.run(["export", "s", "notes", "-o", "out.jsonl.gz", "--vectors", "v"]).exits(0);
    place.run(["new", "t"]).exits(0);
    let again = ["--json", "import", "t", "notes", "out.jsonl.gz", "--vectors", "v/raw.npy"];
    let report = place.run(again).exits(0).json();
    assert_eq!(report["inserted"], 3);
    for id in ["n17", "n31", "n08"] {
        let get = |store: &str| place.run(["--json", "get", store, "notes", id, "--vectors"]).exits(0).json();
        let (first, second) = (get("s"), get("t"));
        assert_eq!(first["text"], second["text"]);
        assert_eq!(first["fields"], second["fields"]);
        assert_eq!(first["views"]["raw"]["vector"], second["views"]["raw"]["vector"]);
        assert!(first["views"]["raw"]["vector"].as_array().unwrap().len() > 1);
    }
}

#[test]
fn info_has_the_documented_shape() {
    let place = notes();
    let info = place.run(["info", "s", "--json"]).exits(0).json();
    assert_eq!(info["format"], 1);
    assert!(info["path"].is_string() && info["commit"].is_u64() && info["dead_share"].is_number());
    let notes = &info["collections"][0];
    assert_eq!((&notes["name"], &notes["records"], &notes["removed"]), (&"notes".into(), &3.into(), &0.into()));
    let view = &notes["views"][0];
    assert_eq!((&view["name"], &view["kind"], &view["rows"]), (&"raw".into(), &"raw".into(), &3.into()));
    assert!(view["dimension"].as_u64().unwrap() > 1 && view["embedder"].is_string() && view["bytes"].is_u64());
    assert_eq!(notes["fields"]["year"], "integer");
    assert_eq!(notes["fields"]["tags"], "list of text");
    assert!(info["projections"].is_array() && info["lenses"].is_array());
    let shown = place.run(["info", "s"]).exits(0).stdout;
    assert!(shown.contains("notes · 3 records") && shown.contains("year (integer)"), "{shown}");
}

#[test]
fn get_shows_a_record_and_its_views() {
    let place = notes();
    place.run(["view", "s", "notes", "asked", "--template", "Asked: {text}"]).exits(0);
    let record = place.run(["get", "s", "notes", "n08", "--json"]).exits(0).json();
    assert_eq!(record["id"], "n08");
    assert_eq!(record["fields"]["place"]["room"], 3);
    assert_eq!(record["views"]["asked"]["text"], "Asked: I left them in my pocket");
    assert!(record["views"]["raw"].get("vector").is_none());
    let shown = place.run(["get", "s", "notes", "n08"]).exits(0).stdout;
    assert!(shown.contains("I left them in my pocket") && shown.contains("year: 2021"), "{shown}");

    let missing = place.run(["get", "s", "notes", "n99", "--json"]).exits(1);
    assert_eq!(missing.json(), Json::Null);
    assert_eq!(missing.json_error()["kind"], "not_found");
}

#[test]
fn remove_by_id_and_by_condition() {
    let place = notes();
    let report = place.run(["remove", "s", "notes", "n17", "nobody", "--json"]).exits(0).json();
    assert_eq!((&report["removed"], &report["not_found"]), (&1.into(), &serde_json::json!(["nobody"])));
    place.run(["remove", "s", "notes", "n17"]).exits(1);
    place.run(["remove", "s", "notes", "--where", "year = 1900"]).exits(1);
    place.run(["remove", "s", "notes", "--where", "year <= 2020"]).exits(0);
    assert_eq!(place.records("notes"), 1);
    place.run(["get", "s", "notes", "n08"]).exits(0);
    let wrong = place.run(["remove", "s", "notes", "--where", "yeer = 1", "--json"]).exits(2);
    assert_eq!(wrong.json_error()["kind"], "query");
    assert_eq!(place.records("notes"), 1);
}

#[test]
fn check_finds_a_flipped_byte() {
    let place = notes();
    let segment = std::fs::read_dir(place.path("s/segments")).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::read_dir(segment).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(&file, bytes).unwrap();
    let report = place.run(["check", "s", "--json"]).exits(1).json();
    assert_eq!(report["ok"], false);
    let finding = &report["findings"][0];
    assert!(finding["file"].as_str().unwrap().contains("segments") && finding["offset"].is_u64(), "{report}");
    assert!(finding["what"].is_string() && finding["expected"].is_string() && finding["found"].is_string());
    let shown = place.run(["check", "s"]).exits(1).stdout;
    assert!(shown.contains("1 finding"), "{shown}");
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let place = notes();
    let mut command = place.command(["export", "s", "notes", "-o", "-"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn projections_of_every_kind() {
    let place = notes();
    place.write("m.npy", npy(&[&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0]]));
    place.write("k.npy", npy(&[&[0.0, 0.0, 1.0], &[0.0, 1.0, 0.0]]));
    place.run(["project", "s", "m", "--matrix", "m.npy"]).exits(0);
    place.run(["project", "s", "qk", "--query", "m.npy", "--record", "k.npy"]).exits(0);
    place.run(["project", "s", "same", "--identity", "3"]).exits(0);
    let random = place.run(["project", "s", "r", "--random", "2x3", "--seed", "7", "--json"]).exits(0).json();
    assert_eq!((&random["rows"], &random["columns"]), (&2.into(), &3.into()));
    place.run(["project", "s", "r", "--identity", "3"]).exits(2);
    place.run(["project", "s", "lonely", "--query", "m.npy"]).exits(2);
    place.run(["project", "s", "unseeded", "--random", "2x3"]).exits(2);
    let info = place.run(["info", "s", "--json"]).exits(0).json();
    let names: Vec<_> = info["projections"].as_array().unwrap().iter().map(|found| found["name"].clone()).collect();
    assert_eq!(names, ["m", "qk", "r", "same"]);
}

#[test]
fn embed_fills_in_what_import_left_out() {
    let place = Place::with_store();
    place.write("notes.jsonl", NOTES);
    place.run(["import", "s", "notes", "notes.jsonl", "--no-embed"]).exits(0);
    let info = place.run(["info", "s", "--json"]).exits(0).json();
    assert_eq!(info["collections"][0]["views"][0]["rows"], 0);
    let report = place.run(["embed", "s", "notes", "--json"]).exits(0).json();
    assert_eq!(report["embedded"], 3);
    let again = place.run(["embed", "s", "notes", "--json"]).exits(0).json();
    assert_eq!((&again["embedded"], &again["commit"]), (&0.into(), &Json::Null));
    place.run(["query", "s", "find \"keys\" in notes"]).exits(0);
}
