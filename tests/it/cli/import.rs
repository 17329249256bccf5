//! Import: all or nothing, bad lines, repeated imports, vectors beside texts.

use super::{NOTES, Place, notes, npy};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};
use std::io::Write;

fn import(place: &Place, rest: &[&str]) -> Json {
    let arguments = ["--json", "import", "s", "notes"].iter().chain(rest);
    place.run(arguments).exits(0).json()
}

fn refuse(place: &Place, rest: &[&str]) -> String {
    let arguments = ["--json", "import", "s", "notes"].iter().chain(rest);
    let error = place.run(arguments).exits(2).json_error();
    error["message"].as_str().unwrap().to_string()
}

#[test]
fn one_bad_line_keeps_everything_out() {
    let place = Place::with_store();
    place.write("bad.jsonl", format!("{NOTES}\n{{\"id\": \"n99\", \"text\": 5}}\n"));
    let message = refuse(&place, &["bad.jsonl"]);
    assert!(message.contains("line 5 `text`") && message.contains("nothing was imported"), "{message}");
    assert_eq!(place.records("notes"), 0);
    place.run(["query", "s", "find \"x\" in notes"]).exits(2);
}

#[test]
fn skip_bad_keeps_the_good_lines_and_lists_the_bad_ones() {
    let place = Place::with_store();
    let bad = "{\"id\": \"n17\", \"text\": \"again\"}\n{\"id\": \"a\", \"year\": \"then\"}\nnonsense\n{\"text\": \"no id\"}\n";
    place.write("mixed.jsonl", format!("{NOTES}{bad}{{\"id\": \"last\", \"text\": \"fine\"}}\n"));
    let report = import(&place, &["mixed.jsonl", "--skip-bad"]);
    assert_eq!((&report["read"], &report["inserted"], &report["updated"]), (&8.into(), &4.into(), &0.into()));
    assert_eq!(report["commits"], 1);
    assert!(report["seconds"].is_number());
    let skipped = report["skipped"].as_array().unwrap();
    let place_of = |idx: usize| (skipped[idx]["line"].as_u64().unwrap(), skipped[idx]["field"].as_str());
    assert_eq!(place_of(0), (4, Some("id")));
    assert_eq!(skipped[0]["reason"], "already taken by line 1");
    assert_eq!(place_of(1), (5, Some("year")));
    assert_eq!(place_of(2), (6, None));
    assert_eq!(place_of(3), (7, Some("id")));
    assert_eq!(place.records("notes"), 4);
}

#[test]
fn batches_that_were_acknowledged_stay() {
    let place = Place::with_store();
    let mut lines: String = (0..25).map(|n| format!("{{\"id\": {n}, \"text\": \"note {n}\"}}\n")).collect();
    lines.push_str("{\"id\": 3}\n");
    place.write("many.jsonl", &lines);
    let ran = place.run(["import", "s", "notes", "many.jsonl", "--batch", "10", "--progress", "json"]).exits(2);
    let events: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(events, ["{\"event\": \"commit\", \"records\": 10}", "{\"event\": \"commit\", \"records\": 20}"]);
    assert!(ran.stderr.contains("line 26 `id`") && ran.stderr.contains("20 records"), "{}", ran.stderr);
    assert_eq!(place.records("notes"), 20);

    place.write("many.jsonl", lines.replace("{\"id\": 3}\n", "{\"id\": 25}\n"));
    let report = import(&place, &["many.jsonl", "--batch", "10", "--resume"]);
    assert_eq!((&report["inserted"], &report["unchanged"]), (&6.into(), &20.into()));
    assert_eq!(place.records("notes"), 26);
}

#[test]
fn an_id_that_exists_is_refused_replaced_or_skipped() {
    let place = notes();
    let error = place.run(["--json", "import", "s", "notes", "notes.jsonl"]).exits(2).json_error();
    assert_eq!((&error["kind"], &error["field"]), (&"exists".into(), &"id".into()));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("line 1 `id`") && message.contains("--update"), "{message}");

    assert_eq!(import(&place, &["notes.jsonl", "--resume"])["unchanged"], 3);
    place.write("other.jsonl", "{\"id\": \"n17\", \"text\": \"Found it\", \"year\": 2025}\n{\"id\": \"new\"}\n");
    let message = refuse(&place, &["other.jsonl", "--resume"]);
    assert!(message.contains("line 1"), "{message}");
    let report = import(&place, &["other.jsonl", "--update"]);
    assert_eq!((&report["inserted"], &report["updated"]), (&1.into(), &1.into()));
    let record = place.run(["get", "s", "notes", "n17", "--json"]).exits(0).json();
    assert_eq!((&record["text"], &record["fields"]), (&"Found it".into(), &json!({"year": 2025})));
    assert_eq!(import(&place, &["other.jsonl", "--update"])["updated"], 0);
}

#[test]
fn gzip_standard_input_and_windows_lines() {
    let place = Place::with_store();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(NOTES.as_bytes()).unwrap();
    place.write("notes.data", encoder.finish().unwrap());
    assert_eq!(import(&place, &["notes.data"])["inserted"], 3);
    let text = "\u{feff}{\"_id\": 1, \"text\": \"one\"}\r\n\r\n{\"_id\": 2}";
    let ran = place.run_with_input(["import", "s", "more", "-", "--json"], text).exits(0);
    assert_eq!(ran.json()["inserted"], 2);
    assert_eq!(place.records("more"), 2);
}

#[test]
fn named_fields_for_id_and_text() {
    let place = Place::with_store();
    place.write("x.jsonl", "{\"key\": \"k1\", \"body\": \"Hello\", \"text\": 7}\n");
    import(&place, &["x.jsonl", "--id", "key", "--text", "body"]);
    let record = place.run(["get", "s", "notes", "k1", "--json"]).exits(0).json();
    assert_eq!((&record["text"], &record["fields"]["text"]), (&"Hello".into(), &7.into()));
}

#[test]
fn vectors_beside_texts_come_back_bit_for_bit() {
    let place = Place::with_store();
    place.write("notes.jsonl", NOTES);
    let rows: [&[f32]; 3] = [&[0.1, -0.0, 3.0], &[1e-40, 2.5, -1.0], &[f32::MAX, 0.3, 0.7]];
    place.write("v.npy", npy(&rows));
    import(&place, &["notes.jsonl", "--vectors", "v.npy"]);
    for (id, row) in ["n17", "n31", "n08"].iter().zip(rows) {
        let record = place.run(["get", "s", "notes", id, "--vectors", "--json"]).exits(0).json();
        let found: Vec<u32> = record["views"]["raw"]["vector"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| (n.as_f64().unwrap() as f32).to_bits())
            .collect();
        assert_eq!(found, row.iter().map(|number| number.to_bits()).collect::<Vec<_>>(), "{id}");
    }
    let info = place.run(["info", "s", "--json"]).exits(0).json();
    assert_eq!(info["collections"][0]["views"][0]["embedder"], Json::Null);
    let asked = place.run(["query", "s", "find \"keys\" in notes", "--json"]).exits(2).json_error();
    assert_eq!(asked["kind"], "query");
    place.run(["query", "s", "find [1, 0, 0] in notes"]).exits(0);
}

#[test]
fn a_second_view_of_vectors_is_added_by_id() {
    let place = notes();
    place.write("two.jsonl", "{\"id\": \"n08\", \"v\": [1, 0]}\n{\"id\": \"n17\", \"v\": [0, 1]}\n");
    let report = import(&place, &["two.jsonl", "--only-vectors", "--vector-field", "v", "--view", "plane"]);
    assert_eq!(report["updated"], 2);
    let answer = place.run(["query", "s", "find [1, 0.1] in notes | view plane", "--json"]).exits(0).json();
    assert_eq!(answer["results"][0]["id"], "n08");
    assert_eq!(answer["plan"]["absent"], 1);
    place.write("ghost.jsonl", "{\"id\": \"ghost\", \"v\": [1, 0]}\n");
    let message = refuse(&place, &["ghost.jsonl", "--only-vectors", "--vector-field", "v", "--view", "plane"]);
    assert!(message.contains("line 1 `id`"), "{message}");
    place.run(["import", "s", "notes", "two.jsonl", "--only-vectors"]).exits(2);
}

#[test]
fn vectors_that_do_not_fit_are_refused_with_line_and_field() {
    let place = Place::with_store();
    place.write("v.jsonl", "{\"id\": 1, \"v\": [1, 2, 3]}\n{\"id\": 2, \"v\": [1, 2]}\n");
    let message = refuse(&place, &["v.jsonl", "--vector-field", "v"]);
    assert!(message.contains("line 2 `v`") && message.contains('3'), "{message}");
    place.write("nan.jsonl", "{\"id\": 1, \"v\": [1, NaN]}\n");
    let message = refuse(&place, &["nan.jsonl", "--vector-field", "v"]);
    assert!(message.contains("line 1 `v`"), "{message}");

    place.write("notes.jsonl", NOTES);
    place.write("nan.npy", npy(&[&[1.0, 2.0], &[1.0, f32::NAN], &[0.0, 1.0]]));
    let message = refuse(&place, &["notes.jsonl", "--vectors", "nan.npy"]);
    assert!(message.contains("line 2 `vectors`"), "{message}");
    place.write("short.npy", npy(&[&[1.0, 2.0], &[1.0, 0.0]]));
    let message = refuse(&place, &["notes.jsonl", "--vectors", "short.npy"]);
    assert!(message.contains("3 records") && message.contains("2 rows"), "{message}");
    place.write("cut.npy", &npy(&[&[1.0, 2.0], &[1.0, 0.0], &[3.0, 1.0]])[..70]);
    refuse(&place, &["notes.jsonl", "--vectors", "cut.npy"]);
    assert_eq!(place.records("notes"), 0);
}

#[test]
fn rows_stay_with_their_lines_when_lines_are_bad() {
    let place = Place::with_store();
    place.write("x.jsonl", "{\"id\": \"a\"}\nnonsense\n{\"id\": \"c\"}\n");
    place.write("x.npy", npy(&[&[1.0, 0.0], &[9.0, 9.0], &[0.0, 1.0]]));
    import(&place, &["x.jsonl", "--vectors", "x.npy", "--skip-bad", "--view", "v", "--no-embed", "--type", "f16"]);
    let record = place.run(["get", "s", "notes", "c", "--vectors", "--json"]).exits(0).json();
    assert_eq!(record["views"]["v"]["vector"], json!([0.0, 1.0]));
    let info = place.run(["info", "s", "--json"]).exits(0).json();
    assert_eq!(info["collections"][0]["views"][1]["type"], "f16");
}

#[test]
fn a_rewrite_view_takes_its_text_from_a_field() {
    let place = Place::with_store();
    place.write("a.jsonl", "{\"id\": 1, \"text\": \"long\", \"short\": \"keys\"}\n");
    import(&place, &["a.jsonl"]);
    place.run(["view", "s", "notes", "rewritten", "--text-from", "short"]).exits(0);
    place.write(
        "b.jsonl",
        "{\"id\": 2, \"text\": \"longer\", \"short\": \"wallet\"}\n{\"id\": 3, \"text\": \"none\"}\n",
    );
    import(&place, &["b.jsonl"]);
    let record = place.run(["get", "s", "notes", "2", "--json"]).exits(0).json();
    assert_eq!(record["views"]["rewritten"]["text"], "wallet");
    let answer = place.run(["query", "s", "find \"wallet\" in notes | view rewritten", "--json"]).exits(0).json();
    assert_eq!(answer["results"][0]["id"], "2");
}

#[test]
fn texts_in_another_field_are_asked_about() {
    let place = Place::with_store();
    place.write("x.jsonl", "{\"id\": 1, \"body\": \"Hello\"}\n");
    let shown = place.run(["import", "s", "notes", "x.jsonl"]).exits(0).stdout;
    assert!(shown.contains("--text FIELD"), "{shown}");
}

#[test]
fn halves_are_kept_and_doubles_are_rounded() {
    let place = Place::with_store();
    place.write("x.jsonl", "{\"id\": 1}\n");
    let of = |descr: &str, data: &[u8]| {
        let whole = npy(&[&[0.0]]);
        let mut bytes = whole[..whole.len() - 4].to_vec();
        let at = bytes.windows(3).position(|part| part == b"<f4").unwrap();
        bytes[at..at + 3].copy_from_slice(descr.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    };
    place.write("half.npy", of("<f2", &0x3555_u16.to_le_bytes()));
    let report = import(&place, &["x.jsonl", "--vectors", "half.npy", "--view", "half", "--no-embed"]);
    assert_eq!(report["notes"], json!([]));
    place.write("double.npy", of("<f8", &0.1_f64.to_le_bytes()));
    let double = ["x.jsonl", "--vectors", "double.npy", "--view", "double", "--only-vectors"];
    let report = import(&place, &double);
    assert!(report["notes"][0].as_str().unwrap().contains("rounded to f4"), "{report}");
    let record = place.run(["get", "s", "notes", "1", "--vectors", "--json"]).exits(0).json();
    assert_eq!(record["views"]["half"]["vector"], json!([0.333_251_95]));
    assert_eq!(record["views"]["double"]["vector"], json!([0.1]));
    let info = place.run(["info", "s", "--json"]).exits(0).json();
    assert_eq!(info["collections"][0]["views"][1]["type"], "f16");
}

#[test]
fn rows_that_no_line_of_a_pipe_came_for_keep_everything_out() {
    let place = Place::with_store();
    place.write("v.npy", npy(&[&[1.0], &[2.0], &[3.0]]));
    for (lines, want) in
        [("{\"id\": 1}\n{\"id\": 2}\n", "2 records"), ("{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n", "3 rows")]
    {
        let ran = place.run_with_input(["import", "s", "notes", "-", "--vectors", "v.npy", "--json"], lines).exits(2);
        let message = ran.json_error()["message"].as_str().unwrap().to_string();
        assert!(message.contains(want) && message.contains("nothing was imported"), "{message}");
        assert_eq!(place.records("notes"), 0);
    }
}

#[test]
fn an_id_that_comes_twice_names_the_line_that_has_it() {
    let lines = "{\"id\": \"a\", \"text\": \"one\"}\n\n{\"id\": \"b\"}\n{\"id\": \"a\", \"text\": \"two\"}\n{\"id\": \"b\", \"text\": \"x\"}\n";
    // A pipe cannot be read again, and need not be.
    for file in ["-", "twice.jsonl"] {
        for batch in [&["--batch", "1"][..], &[]] {
            let place = Place::with_store();
            place.write("twice.jsonl", lines);
            let arguments = |rest: &[&'static str]| {
                ["--json", "import", "s", "notes", file].iter().chain(batch).chain(rest).copied().collect::<Vec<_>>()
            };
            let refused = place.run_with_input(arguments(&[]), lines).exits(2).json_error();
            let message = refused["message"].as_str().unwrap();
            assert!(message.contains("line 4 `id`: already taken by line 1"), "{message}");
            assert_eq!(place.records("notes"), if batch.is_empty() { 0 } else { 2 });

            let place = Place::with_store();
            place.write("twice.jsonl", lines);
            let skipped = place.run_with_input(arguments(&["--skip-bad"]), lines).exits(0).json();
            let reasons: Vec<&str> =
                skipped["skipped"].as_array().unwrap().iter().map(|line| line["reason"].as_str().unwrap()).collect();
            assert_eq!(reasons, ["already taken by line 1", "already taken by line 3"]);

            let place = Place::with_store();
            place.write("twice.jsonl", lines);
            let updated = place.run_with_input(arguments(&["--update"]), lines).exits(0).json();
            assert_eq!((&updated["inserted"], &updated["updated"]), (&2.into(), &2.into()));
            let note = updated["notes"][0].as_str().unwrap();
            assert!(
                note.starts_with("2 lines have the id of an earlier line") && note.ends_with("line 4 replaced line 1")
            );
            let record = place.run(["get", "s", "notes", "a", "--json"]).exits(0).json();
            assert_eq!(record["text"], "two", "the later line counts");
            let again = place
                .run_with_input(arguments(&["--update"]), "{\"id\": \"a\", \"text\": \"three\"}\n")
                .exits(0)
                .json();
            if file == "-" {
                assert_eq!(
                    again["notes"].as_array().unwrap().len(),
                    0,
                    "a record that was there before is no line: {again}"
                );
            }
        }
    }
}

#[test]
fn an_import_of_nothing_says_so() {
    let place = Place::with_store();
    place.write("empty.jsonl", "\n  \n");
    let report = import(&place, &["empty.jsonl"]);
    assert_eq!(report["notes"], json!(["empty.jsonl holds no records: it has no line that is not blank"]));
    let ran = place.run_with_input(["import", "s", "notes", "-"], "").exits(0);
    assert!(ran.stdout.contains("standard input holds no records"), "{}", ran.stdout);
}

#[test]
fn records_without_a_vector_for_a_view_of_supplied_ones_are_counted() {
    let place = Place::with_store();
    place.write("some.jsonl", "{\"id\": 1, \"v\": [1, 2]}\n{\"id\": 2}\n{\"id\": 3, \"v\": null}\n");
    let note = |report: &Json| report["notes"][0].as_str().unwrap_or_default().to_string();
    let first = import(&place, &["some.jsonl", "--vector-field", "v", "--view", "image"]);
    assert!(note(&first).starts_with("2 records have no vector in view image"), "{first}");
    let one = place
        .run_with_input(["--json", "import", "s", "notes", "-", "--view", "image"], "{\"id\": 4, \"text\": \"x\"}\n");
    assert!(note(&one.exits(0).json()).starts_with("1 record has no vector in view image"));
    // Nobody asked about that view here.
    let other = place.run_with_input(["--json", "import", "s", "notes", "-"], "{\"id\": 5, \"text\": \"keys\"}\n");
    assert_eq!(other.exits(0).json()["notes"], json!([]));
}

#[test]
fn a_number_of_f8_that_f4_does_not_hold_is_named_with_its_line() {
    let place = Place::with_store();
    let data: Vec<u8> = [1.0_f64, 1e300, 2.0, 3.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }".to_vec();
    header.resize(117, b' ');
    header.push(b'\n');
    let bytes = [b"\x93NUMPY\x01\x00\x76\x00".as_slice(), &header, &data].concat();
    place.write("big.npy", bytes);
    place.write("ids.jsonl", "{\"id\": \"a\"}\n{\"id\": \"b\"}\n");
    let message = refuse(&place, &["ids.jsonl", "--vectors", "big.npy"]);
    assert!(message.starts_with("line 1 `vectors`: number 2 is 1e300, beyond 32-bit floats"), "{message}");
    let report = import(&place, &["ids.jsonl", "--vectors", "big.npy", "--skip-bad"]);
    assert_eq!((&report["inserted"], &report["skipped"][0]["line"]), (&json!(1), &json!(1)));
}

#[test]
fn only_a_whole_number_that_became_a_float_is_noted() {
    let place = Place::with_store();
    let line = "{\"id\": 18446744073709551615, \"text\": \"1234567890123456789012\", \"n\": 1234567890123456789, \"f\": 1e19}\n";
    place.write("floats.jsonl", line);
    assert_eq!(import(&place, &["floats.jsonl"])["notes"], json!([]));
    let found = place.run(["--json", "get", "s", "notes", "18446744073709551615"]).exits(0).json();
    assert_eq!(found["fields"]["n"], json!(1_234_567_890_123_456_789_i64));
    place.write("whole.jsonl", "{\"id\": \"b\", \"text\": \"\", \"f\": 12345678901234567890}\n");
    let note = import(&place, &["whole.jsonl"])["notes"].to_string();
    assert!(note.contains("line 1 `f`: a whole number beyond 64 bits"), "{note}");
}

#[test]
fn odd_ids_are_shown_in_quotes_and_can_be_pasted() {
    let place = Place::with_store();
    place.write(
        "odd.jsonl",
        "{\"id\": \" lead\", \"text\": \"one word\"}\n{\"id\": \"new\\nline\", \"text\": \"a word\"}\n",
    );
    import(&place, &["odd.jsonl"]);
    let shown = place.run(["query", "s", "find \"word\" in notes"]).exits(0).stdout;
    assert!(shown.contains("\" lead\"") && shown.contains("\"new\\nline\""), "{shown}");
    place.run(["query", "s", "find #\"new\\nline\" in notes"]).exits(0);
    let shown = place.run(["get", "s", "notes", " lead"]).exits(0).stdout;
    assert!(shown.starts_with("\" lead\"\n"), "{shown}");
}
