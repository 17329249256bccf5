//! A collection made again from its own export, by the one command that `export` prints: for collections of every make.

use super::Place;
use simile::store::{CollectionSpec, Snapshot, Store, ViewSpec};
use simile::types::{ElementType, Value};
use simile::{Param, Record, Session};

/// A sequence that looks random and is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn happens(&mut self, one_in: u64) -> bool {
        self.roll(one_in) == 0
    }

    fn of<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[self.roll(among.len() as u64) as usize]
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        if self.happens(9) {
            return vec![0.0; dimension];
        }
        (0..dimension).map(|_| self.roll(4001) as f32 / 1000.0 - 2.0).collect()
    }
}

const WORDS: [&str; 10] =
    ["keys", "wallet", "a red boat", "rain in the morning", "ключи", "", "phone", "鍵", "x\u{1f600}", "locksmith"];

fn value(dice: &mut Dice, field: &str) -> Value {
    if dice.happens(6) {
        return Value::Null;
    }
    match field {
        "whole" => Value::Integer(*[i64::MAX, i64::MIN, 0, 7, -3].get(dice.roll(5) as usize).unwrap()),
        "float" => match dice.roll(5) {
            0 => Value::Integer(9_007_199_254_740_993),
            1 => Value::Float(-0.0),
            2 => Value::Float(1e300),
            3 => Value::Float(0.1),
            _ => Value::Float(2.0),
        },
        "flag" => Value::Bool(dice.happens(2)),
        "tags" => match dice.roll(4) {
            0 => Value::TextList(Vec::new()),
            1 => Value::Json("[null]".to_string()),
            _ => Value::TextList(vec![dice.of(&WORDS).to_string(), "b".to_string()]),
        },
        "nested" => match dice.of(&[r#"{"z":123456789012345678901,"a":[1.10],"k":"deep"}"#, "[1,2]", "[]", "{}"]) {
            "[]" => Value::TextList(Vec::new()),
            json => Value::Json(json.to_string()),
        },
        "day" => dice.of(&["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T12:00:00.5Z", "later"]).into(),
        _ => dice.of(&["short", "ключи", "", "a green house"]).into(),
    }
}

/// A collection `c` of some make, and the names of its views.
fn build(store: &Store, dice: &mut Dice) -> Vec<&'static str> {
    let mut views = vec!["raw"];
    let mut batch = store.begin().unwrap();
    let raw_is_supplied = dice.happens(2);
    let element = if dice.happens(2) { ElementType::F16 } else { ElementType::F32 };
    let spec = CollectionSpec::new().element(element);
    batch.create_collection("c", if raw_is_supplied { spec.supplied_vectors() } else { spec }).unwrap();
    let specs: Vec<(&'static str, ViewSpec)> = vec![
        ("given", ViewSpec::vectors_only("given").element(element)),
        ("other.view", ViewSpec::vectors_only("other.view")),
        ("asked", ViewSpec::template("asked", "About {text}: {text}")),
        ("rewritten", ViewSpec::text_from("rewritten", "short")),
        ("deep", ViewSpec::text_from("deep", "nested.k")),
        ("unused", ViewSpec::vectors_only("unused")),
    ];
    for (name, spec) in specs {
        if dice.happens(3) {
            continue;
        }
        batch.add_view("c", spec).unwrap();
        views.push(name);
    }
    let fields = ["whole", "float", "flag", "tags", "nested", "day", "short", "id", "text", "_id"];
    for number in 0..5 + dice.roll(30) {
        let id = match dice.roll(3) {
            0 => format!("{number}"),
            1 => format!("0{number}e5"),
            _ => format!("ü \"{number}\"\n"),
        };
        let mut record = Record::new(id, dice.of(&WORDS));
        for field in fields {
            if !dice.happens(4) {
                record = record.field(field, value(dice, field));
            }
        }
        for view in &views {
            let is_supplied = matches!(*view, "given" | "other.view") || *view == "raw" && raw_is_supplied;
            if is_supplied && !dice.happens(3) {
                let dimension = if *view == "other.view" { 2 } else { 3 };
                record = record.vector(*view, dice.vector(dimension));
            }
            if *view == "rewritten" && dice.happens(3) {
                record = record.view_text(*view, "a text of its own");
            }
        }
        batch.collection("c").unwrap().no_embed(dice.happens(5)).insert(record).unwrap();
    }
    batch.commit().unwrap();
    // Updates and removals leave dead rows, types of fields that nobody has any more, and other row numbers.
    let mut batch = store.begin().unwrap();
    let live = batch.collection("c").unwrap().def().live;
    for number in 0..live {
        let mut writer = batch.collection("c").unwrap();
        if dice.happens(4) {
            writer.remove(&format!("{number}")).unwrap();
        }
        if dice.happens(6) {
            let record = Record::new(format!("{number}"), dice.of(&WORDS)).field("whole", 5_i64);
            writer.upsert(record).unwrap();
        }
    }
    batch.commit().unwrap();
    views
}

/// Everything of every record, in order.
fn records(snapshot: &Snapshot) -> Vec<String> {
    let collection = snapshot.collection("c").unwrap();
    let bits = |vector: &Vec<f32>| vector.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let rows = collection.live().iter();
    rows.map(|row| {
        let id = collection.record(simile::types::RowId(row)).unwrap().id;
        let record = snapshot.get("c", &id).unwrap().unwrap();
        let views: Vec<_> = record
            .views
            .iter()
            .map(|view| (view.name.clone(), view.text.clone(), view.vector.as_ref().map(bits)))
            .collect();
        format!("{id:?} {:?} {:?} {views:?}", record.text, record.fields)
    })
    .collect()
}

fn definition(snapshot: &Snapshot) -> String {
    let def = snapshot.collection("c").unwrap().def().clone();
    let views: Vec<_> = def
        .views
        .iter()
        .map(|view| format!("{:?}", (&view.name, &view.kind, &view.embedder, view.element, view.dimension)))
        .collect();
    format!("{:?} {views:?}", def.fields)
}

fn answers(store: &Store, views: &[&str]) -> Vec<String> {
    let mut answers = Vec::new();
    for view in views {
        let snapshot = store.snapshot().unwrap();
        let by_text = snapshot.collection("c").unwrap().view(view).unwrap().def().embedder.is_some();
        for lens in ["score cosine", "center corpus | score cosine", "standardize | score dot", "score euclidean"] {
            for condition in ["", "| where whole > 0", "| where float < 2.5 or tags has \"b\"", "| where tags is null"]
            {
                let mut session = Session::new(store);
                let dimension = if *view == "other.view" { 2 } else { 3 };
                let source =
                    if by_text { Param::Text("keys".to_string()) } else { Param::Vector(vec![0.3; dimension]) };
                session.bind("q", source);
                let statement = format!("find $q in c | view {view} | {lens} {condition} | top 50");
                let reply = match session.run(&statement) {
                    Ok(simile::Reply::Answer(answer)) => {
                        let hits: Vec<_> =
                            answer.hits().iter().map(|hit| (hit.id().to_string(), hit.value())).collect();
                        format!("{hits:?} {} {} {:?}", answer.plan.absent, answer.plan.undirected, answer.notes)
                    }
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => error.message().to_string(),
                };
                answers.push(format!("{statement}: {reply}"));
            }
        }
    }
    answers
}

#[test]
fn an_export_makes_the_collection_again() {
    for seed in 0..24 {
        let place = Place::new();
        let mut dice = Dice(seed);
        let store = Store::create(place.path("s")).unwrap();
        let views = build(&store, &mut dice);
        let out = if seed % 2 == 0 { "out.jsonl" } else { "out 2.jsonl.gz" };
        let exported = place.run(["--json", "export", "s", "c", "-o", out, "--vectors", "v"]).exits(0).json();
        let again = exported["again"].as_str().unwrap();
        let shown = place.run(["export", "s", "c", "-o", out, "--vectors", "v"]).exits(0).stdout;
        assert!(shown.contains(again), "{shown}");
        place.run(["new", "t"]).exits(0);
        let words = again.replace("STORE", "t").replace(&format!("'{out}'"), "OUT");
        let words: Vec<&str> = words.split(' ').skip(1).map(|word| if word == "OUT" { out } else { word }).collect();
        // In one commit, or in several.
        let batches: &[&str] = if seed % 3 == 0 { &["--batch", "4"] } else { &[] };
        place.run(words.iter().chain(batches)).exits(0);
        place.run(["check", "t"]).exits(0);
        let other = Store::open_read_only(place.path("t")).unwrap();
        let (first, second) = (store.snapshot().unwrap(), other.snapshot().unwrap());
        assert_eq!(definition(&first), definition(&second), "seed {seed}");
        assert_eq!(records(&first), records(&second), "seed {seed}");
        assert_eq!(answers(&store, &views), answers(&other, &views), "seed {seed}");
        // What is there already is passed over, and nothing else goes in.
        let resumed = place.run(words.iter().chain(&["--resume", "--json"])).exits(0).json();
        assert_eq!(resumed["unchanged"], exported["records"], "seed {seed}");
        place.run(&words).exits(2);
    }
}

#[test]
fn a_folder_that_does_not_belong_to_the_lines_is_refused() {
    let place = super::notes();
    place.write("given.jsonl", "{\"id\": \"n31\", \"v\": [1, 2]}\n{\"id\": \"n08\", \"v\": [3, 4]}");
    place.run(["view", "s", "notes", "given", "--vectors-only"]).exits(0);
    let arguments = ["import", "s", "notes", "given.jsonl", "--only-vectors", "--vector-field", "v", "--view", "given"];
    place.run(arguments).exits(0);
    place.run(["export", "s", "notes", "-o", "out.jsonl", "--vectors", "v"]).exits(0);
    place.run(["new", "t"]).exits(0);
    let import = |file: &str, rest: &[&str], code: i32| {
        let arguments = ["--json", "import", "t", "notes", file, "--vectors", "v"];
        let ran = place.run(arguments.iter().chain(rest)).exits(code);
        if code == 0 { String::new() } else { ran.json_error()["message"].as_str().unwrap().to_string() }
    };
    let lines = std::fs::read_to_string(place.path("out.jsonl")).unwrap();
    let mut reversed: Vec<&str> = lines.lines().collect();
    reversed.reverse();
    place.write("short.jsonl", lines.lines().next().unwrap());
    place.write("reversed.jsonl", reversed.join("\n"));
    assert!(import("short.jsonl", &[], 2).contains("1 records"), "{}", import("short.jsonl", &[], 2));
    assert!(import("reversed.jsonl", &[], 2).contains("names record"), "{}", import("reversed.jsonl", &[], 2));
    for flag in ["--update", "--skip-bad", "--only-vectors", "--type=f16", "--view=given"] {
        assert!(import("out.jsonl", &[flag], 2).contains("does not go with the folder"), "{flag}");
    }
    let views = std::fs::read_to_string(place.path("v/views.json")).unwrap();
    for (from, to, wanted) in [
        ("\"raw.npy\"", "\"../raw.npy\"", "no name of a file in this folder"),
        ("\"raw.npy\"", "\"gone.npy\"", "no file"),
        ("\"simile_export\": 1", "\"simile_export\": 2", "layout 2"),
        ("\"kind\": \"raw\"", "\"kind\": \"cooked\"", "of no kind"),
        ("\"integer\"", "\"complex\"", "no field is of type"),
        ("\"dimension\": 2,", "\"dimension\": 0,", "a dimension that no vector has"),
        ("{", "", "not what `simile export` writes"),
    ] {
        assert!(views.contains(from), "{views}");
        place.write("v/views.json", views.replacen(from, to, 1));
        let message = import("out.jsonl", &[], 2);
        assert!(message.contains(wanted), "{to}: {message}");
        assert_eq!(place.run(["--json", "info", "t"]).exits(0).json()["collections"].as_array().unwrap().len(), 0);
    }
    place.write("v/views.json", views);
    import("out.jsonl", &[], 0);
}
