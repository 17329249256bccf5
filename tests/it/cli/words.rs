//! Texts that the bundled model knows no word of, and views that take their texts from a field.

use super::{Place, notes};
use serde_json::{Value as Json, json};

/// Twelve texts, of which the model knows no word of seven.
const TEXTS: [(&str, &str); 12] = [
    ("keys", "I lost my keys"),
    ("emoji", "I lost my keys\u{1f600}"),
    ("wallet", "Where did I put my wallet?"),
    ("rain", "Rain in the morning"),
    ("arrows", "rain→in→the→morning"),
    ("russian", "Где мои ключи"),
    ("japanese", "鍵をなくした"),
    ("other", "ラーメンをたべた"),
    ("empty", ""),
    ("blank", "  \u{200b}\n"),
    ("face", "\u{1f600}\u{1f44d}\u{1f3fd}"),
    ("star", "☆☆☆"),
];
const UNKNOWN: [&str; 7] = ["russian", "japanese", "other", "empty", "blank", "face", "star"];

fn place_of_texts(rest: &[&str]) -> (Place, Json) {
    let place = Place::with_store();
    let lines: Vec<String> = TEXTS.iter().map(|(id, text)| json!({"id": id, "text": text}).to_string()).collect();
    place.write("texts.jsonl", lines.join("\n"));
    let arguments = ["--json", "import", "s", "c", "texts.jsonl"].iter().chain(rest);
    let report = place.run(arguments).exits(0).json();
    (place, report)
}

fn query(place: &Place, statement: &str, code: i32) -> Json {
    place.run(["--json", "query", "s", statement]).exits(code).json()
}

fn ids(answer: &Json) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

fn view_of<'j>(info: &'j Json, name: &str) -> &'j Json {
    let views = info["collections"][0]["views"].as_array().unwrap();
    views.iter().find(|view| view["name"] == name).unwrap()
}

#[test]
fn a_text_without_a_known_word_has_no_vector() {
    let (place, report) = place_of_texts(&[]);
    assert_eq!((&report["inserted"], &report["without_words"]), (&12.into(), &7.into()));
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.starts_with("7 of 12 texts hold no word the bundled English model knows (1 empty)"), "{note}");
    for lens in ["score cosine", "center corpus | score cosine", "standardize | score cosine", "score dot", "whiten"] {
        let answer = query(&place, &format!("find \"lost keys\" in c | {lens} | top 20"), 0);
        assert_eq!((&answer["plan"]["absent"], &answer["plan"]["undirected"]), (&7.into(), &0.into()), "{lens}");
        let found = ids(&answer);
        assert!(found.len() == 5 && !found.iter().any(|id| UNKNOWN.contains(id)), "{lens}: {found:?}");
    }
    let answer = query(&place, "find \"I lost my keys\" in c | top 2", 0);
    assert_eq!(ids(&answer), ["keys", "emoji"]);
    assert!(answer["results"][1]["score"].as_f64().unwrap() > 0.999_999);
    let info = place.run(["--json", "info", "s"]).exits(0).json();
    assert_eq!((&view_of(&info, "raw")["rows"], &view_of(&info, "raw")["absent"]), (&5.into(), &7.into()));
    let shown = place.run(["info", "s"]).exits(0).stdout;
    assert!(shown.contains("7 records without a vector in raw"), "{shown}");
    let pairs = query(&place, "pairs in c | center corpus | score cosine | top 10", 0);
    assert_eq!(pairs["plan"]["absent"], 7);
    let diagnosis = place.run(["--json", "diagnose", "s", "c"]).exits(0).json();
    assert_eq!((&diagnosis["records"], &diagnosis["absent"]), (&5.into(), &7.into()));
    let got = place.run(["--json", "get", "s", "c", "russian", "--vectors"]).exits(0).json();
    assert_eq!(got["views"]["raw"]["vector"], Json::Null);
    let error = place.run(["--json", "query", "s", "find #russian in c"]).exits(2).json_error();
    assert!(error["message"].as_str().unwrap().contains("has no vector"), "{error}");
    place.run(["check", "s"]).exits(0);
}

#[test]
fn embed_says_what_it_cannot_embed_and_ends() {
    let (place, report) = place_of_texts(&["--no-embed", "--batch", "5"]);
    assert_eq!(report["without_words"], 0);
    let first = place.run(["--json", "embed", "s", "c"]).exits(0).json();
    assert_eq!((&first["embedded"], &first["without_words"]), (&5.into(), &7.into()));
    let second = place.run(["--json", "embed", "s", "c"]).exits(0).json();
    assert_eq!((&second["embedded"], &second["without_words"], &second["commit"]), (&0.into(), &7.into(), &Json::Null));
    let shown = place.run(["embed", "s", "c"]).exits(0).stdout;
    assert!(shown.contains("7 texts hold no word the embedder knows (1 empty)"), "{shown}");
    // A text that gets words gets a vector; one that loses them loses it.
    place.write(
        "more.jsonl",
        "{\"id\": \"russian\", \"text\": \"Where are my keys\"}\n{\"id\": \"keys\", \"text\": \"ключи\"}",
    );
    let report = place.run(["--json", "import", "s", "c", "more.jsonl", "--update"]).exits(0).json();
    assert_eq!((&report["updated"], &report["without_words"]), (&2.into(), &1.into()));
    place.run(["compact", "s"]).exits(0);
    place.run(["check", "s"]).exits(0);
    let answer = query(&place, "find \"keys\" in c | center corpus | top 20", 0);
    assert!(ids(&answer).contains(&"russian") && !ids(&answer).contains(&"keys"));
    assert_eq!(answer["plan"]["absent"], 7);
}

#[test]
fn a_query_without_a_known_word_finds_nothing_and_says_so() {
    let (place, _) = place_of_texts(&[]);
    place.run(["query", "s", "let a = center corpus | score cosine"]).exits(0);
    place.run(["query", "s", "let b = score dot"]).exits(0);
    place.run(["view", "s", "c", "asked", "--template", "Asked about: {text}"]).exits(0);
    for statement in [
        "find \"Где мои ключи\" in c",
        "find \"Где мои ключи\" in c | score euclidean",
        "find \"Где мои ключи\" in c | center corpus | score dot",
        "find \"Где мои ключи\" in c | using a",
        "find \"Где мои ключи\" in c | blend 0.5 * a + 0.5 * b",
        "find \"Где мои ключи\" in c | view asked",
        "find #keys + \"Где мои ключи\" in c",
    ] {
        let answer = query(&place, statement, 1);
        assert_eq!(answer["results"], json!([]), "{statement}");
        let notes = answer["notes"].to_string();
        assert!(notes.contains("the bundled English model knows no word of"), "{statement}: {notes}");
        let shown = place.run(["query", "s", statement]).exits(1);
        assert!((shown.stdout + &shown.stderr).contains("knows no word of"), "{statement}");
    }
    let answer = query(&place, "find \"\" in c", 1);
    assert!(answer["notes"].to_string().contains("an empty text has no vector"), "{answer}");
    let compared = place.run(["--json", "query", "s", "compare a, b: find \"ключи\" in c"]);
    assert!(compared.code < 2, "{}", compared.stderr);
    let error = place.run(["--json", "query", "s", "why #keys: find \"ключи\" in c"]).exits(2).json_error();
    assert!(error["message"].as_str().unwrap().contains("knows no word of"), "{error}");
    // Many at once: each gets its own fate.
    place.write("q.jsonl", "{\"_id\": \"1\", \"text\": \"ключи\"}\n{\"_id\": \"2\", \"text\": \"lost keys\"}");
    place.write("r.tsv", "query-id\tcorpus-id\tscore\n1\tkeys\t1\n2\tkeys\t1\n");
    let arguments =
        ["evaluate", "s", "find $q in c | top 5", "--queries", "q.jsonl", "--qrels", "r.tsv", "--run", "o.trec"];
    place.run(arguments).exits(0);
    let run = std::fs::read_to_string(place.path("o.trec")).unwrap();
    assert!(run.lines().count() == 5 && run.lines().all(|line| line.starts_with("2 ")), "{run}");
}

#[test]
fn the_words_of_a_template_do_not_stand_for_an_unknown_text() {
    let (place, _) = place_of_texts(&[]);
    let made = place.run(["--json", "view", "s", "c", "asked", "--template", "Asked about: {text}"]).exits(0).json();
    assert_eq!((&made["embedded"], &made["without_words"]), (&5.into(), &7.into()));
    place.write("more.jsonl", "{\"id\": \"new\", \"text\": \"ключ\"}\n{\"id\": \"known\", \"text\": \"a key\"}");
    let report = place.run(["--json", "import", "s", "c", "more.jsonl"]).exits(0).json();
    assert_eq!(report["without_words"], 2);
    assert!(report["notes"].to_string().contains("view asked: 1 of 2 texts holds no word"), "{report}");
    let info = place.run(["--json", "info", "s"]).exits(0).json();
    assert_eq!((&view_of(&info, "asked")["rows"], &view_of(&info, "asked")["absent"]), (&6.into(), &8.into()));
}

#[test]
fn supplied_zero_vectors_are_kept_and_counted() {
    let place = Place::with_store();
    place.write(
        "v.jsonl",
        "{\"id\": \"a\", \"v\": [0, 0]}\n{\"id\": \"b\", \"v\": [1, 0]}\n{\"id\": \"c\", \"v\": [0, 0]}",
    );
    let report = place.run(["--json", "import", "s", "c", "v.jsonl", "--vector-field", "v"]).exits(0).json();
    assert_eq!((&report["zero_vectors"], &report["without_words"]), (&2.into(), &0.into()));
    assert!(report["notes"].to_string().contains("2 of 3 supplied vectors are zero"), "{report}");
    let answer = query(&place, "find [1, 1] in c", 0);
    assert_eq!((&answer["plan"]["undirected"], &answer["plan"]["absent"]), (&2.into(), &0.into()));
    let info = place.run(["--json", "info", "s"]).exits(0).json();
    assert_eq!(view_of(&info, "raw")["zero_vectors"], 2);
    assert!(place.run(["info", "s"]).exits(0).stdout.contains("2 records with a zero vector in raw"));
}

/// The texts that a view has, by id, and its vectors' number.
fn view_texts(place: &Place, view: &str, ids: &[&str]) -> Vec<(Json, bool)> {
    let get = |id: &&str| {
        let record = place.run(["--json", "get", "s", "notes", id, "--vectors"]).exits(0).json();
        (record["views"][view]["text"].clone(), record["views"][view]["vector"].is_array())
    };
    ids.iter().map(get).collect()
}

#[test]
fn views_fill_from_the_records_that_are_there() {
    let lines = [
        r#"{"id": "a", "text": "one", "short": "a red boat", "meta": {"long": {"text": "a long story"}}}"#,
        r#"{"id": "b", "text": "two", "meta": {"long": {}}}"#,
        r#"{"id": "c", "text": "three", "short": "a green house", "meta": {"long": {"text": "ключи"}}}"#,
    ];
    for records_first in [true, false] {
        for later in [false, true] {
            let place = Place::with_store();
            place.write("in.jsonl", lines.join("\n"));
            let import = |place: &Place| drop(place.run(["import", "s", "notes", "in.jsonl"]).exits(0));
            let view = |place: &Place, name: &str, kind: [&str; 2]| {
                let mut arguments = vec!["--json", "view", "s", "notes", name, kind[0], kind[1]];
                arguments.extend(later.then_some("--no-embed"));
                place.run(arguments).exits(0).json()
            };
            if !records_first {
                place.write("none.jsonl", "");
                place.run(["import", "s", "notes", "none.jsonl"]).exits(0);
            } else {
                import(&place);
            }
            let short = view(&place, "short", ["--text-from", "short"]);
            let long = view(&place, "long", ["--text-from", "meta.long.text"]);
            view(&place, "asked", ["--template", "Asked: {text}"]);
            if records_first && !later {
                assert_eq!((&short["embedded"], &short["without_text"]), (&2.into(), &1.into()));
                assert_eq!((&long["embedded"], &long["without_text"]), (&1.into(), &1.into()));
                assert_eq!(long["without_words"], 1);
            }
            if !records_first {
                import(&place);
            }
            if records_first && later {
                let filled = place.run(["--json", "embed", "s", "notes"]).exits(0).json();
                assert_eq!((&filled["embedded"], &filled["without_text"]), (&6.into(), &2.into()));
                assert_eq!(filled["without_words"], 1);
            }
            let ids = ["a", "b", "c"];
            let expected = |texts: [Option<&str>; 3], vectors: [bool; 3]| -> Vec<(Json, bool)> {
                texts.iter().map(|text| text.map_or(Json::Null, Json::from)).zip(vectors).collect()
            };
            let of_short = expected([Some("a red boat"), None, Some("a green house")], [true, false, true]);
            assert_eq!(view_texts(&place, "short", &ids), of_short, "{records_first} {later}");
            let of_long = expected([Some("a long story"), None, Some("ключи")], [true, false, false]);
            assert_eq!(view_texts(&place, "long", &ids), of_long, "{records_first} {later}");
            place.write("update.jsonl", r#"{"id": "b", "text": "two", "short": "now it has one"}"#);
            place.run(["import", "s", "notes", "update.jsonl", "--update"]).exits(0);
            place.run(["compact", "s"]).exits(0);
            place.run(["check", "s"]).exits(0);
            let of_short = expected([Some("a red boat"), Some("now it has one"), Some("a green house")], [true; 3]);
            assert_eq!(view_texts(&place, "short", &ids), of_short);
            let answer = query(&place, "find \"a boat\" in notes | view short | top 1", 0);
            assert_eq!(super::words::ids(&answer), ["a"]);
        }
    }
}

#[test]
fn a_view_may_take_the_records_own_text() {
    let place = notes();
    let made = place.run(["--json", "view", "s", "notes", "own", "--text-from", "text"]).exits(0).json();
    assert_eq!((&made["embedded"], &made["without_text"]), (&3.into(), &0.into()));
    let distance =
        query(&place, "find \"Has anyone seen my phone?\" in notes | view own | score levenshtein | top 1", 0);
    assert_eq!(distance["results"][0]["id"], "n31");
}

#[test]
fn a_collection_of_unknown_texts_alone_answers_nothing() {
    let place = Place::with_store();
    place.write("in.jsonl", "{\"id\": \"a\", \"text\": \"ключи\"}\n{\"id\": \"b\", \"text\": \"\"}");
    let report = place.run(["--json", "import", "s", "c", "in.jsonl"]).exits(0).json();
    assert_eq!((&report["inserted"], &report["without_words"]), (&2.into(), &2.into()));
    for lens in ["score cosine", "center corpus | score cosine", "whiten | score dot", "score euclidean"] {
        let answer = query(&place, &format!("find \"keys\" in c | {lens}"), 1);
        assert_eq!((&answer["plan"]["absent"], &answer["results"]), (&2.into(), &json!([])), "{lens}");
    }
    query(&place, "pairs in c | score cosine", 1);
    place.run(["query", "s", "let a = center corpus | score cosine"]).exits(0);
    place.run(["check", "s"]).exits(0);
    place.run(["export", "s", "c", "-o", "out.jsonl", "--vectors", "v"]).exits(0);
    place.run(["new", "t"]).exits(0);
    place.run(["import", "t", "c", "out.jsonl", "--vectors", "v"]).exits(0);
    let answer = place.run(["--json", "query", "t", "find \"keys\" in c"]).exits(1).json();
    assert_eq!(answer["plan"]["absent"], 2);
}

#[test]
fn questions_without_a_known_word_are_counted_and_named() {
    let (place, _) = place_of_texts(&[]);
    let asked = [("q1", "lost keys"), ("q2", "鍵をなくした"), ("q3", ""), ("q4", "ключи"), ("q5", "\u{1f600}")];
    let lines: Vec<String> = asked.iter().map(|(id, text)| json!({"_id": id, "text": text}).to_string()).collect();
    place.write("queries.jsonl", lines.join("\n"));
    place.write("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\tkeys\t1\nq2\tjapanese\t1\n");
    let ask = ["--queries", "queries.jsonl", "--qrels", "qrels.tsv", "--against", "find $q in c | center corpus"];
    let asks = |first: &[&'static str]| [first, &["evaluate", "s", "find $q in c"], &ask].concat();
    let report = place.run(asks(&["--json"])).exits(0).json();
    assert_eq!(report["without_words"], json!({"count": 4, "examples": ["q2", "q3", "q4"]}));
    assert_eq!(report["MRR@10"], 0.5);
    let shown = place.run(asks(&[])).exits(0).stdout;
    let note = "note: 4 queries hold no word that the embedder knows (q2, q3, q4, ...): nothing is similar to what has no vector";
    assert_eq!(shown.matches("hold no word").count(), 1, "{shown}");
    assert!(shown.contains(note), "{shown}");
}
