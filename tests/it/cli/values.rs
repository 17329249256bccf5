//! Values of fields: lists of nothing, nested values, times; what goes in comes out, and is found.

use super::Place;
use serde_json::{Value as Json, json};

fn import(place: &Place, lines: &[&str], code: i32) -> super::Ran {
    place.write("in.jsonl", lines.join("\n"));
    place.run(["--json", "import", "s", "c", "in.jsonl", "--no-embed"]).exits(code)
}

/// Ids of the records that a condition keeps, in the order they came.
fn kept(place: &Place, condition: &str) -> Vec<String> {
    let statement = format!("find [1, 0] in c | view v | score dot | where {condition} | top 100");
    let answer = place.run(["--json", "query", "s", &statement]);
    assert!(answer.code < 2, "{condition}: {}", answer.stderr);
    let hits = answer.json()["results"].as_array().unwrap().clone();
    hits.iter().map(|hit| hit["id"].as_str().unwrap().to_string()).collect()
}

/// Gives each of the records a vector in view `v`, all the same, so that a search shows what a condition keeps.
fn with_vectors(place: &Place) {
    let exported = place.run(["export", "s", "c", "-o", "-"]).exits(0).stdout;
    let lines: Vec<String> = exported
        .lines()
        .map(|line| {
            let record: Json = serde_json::from_str(line).unwrap();
            json!({"id": record["id"], "v": [1, 0]}).to_string()
        })
        .collect();
    place.write("v.jsonl", lines.join("\n"));
    place.run(["view", "s", "c", "v", "--vectors-only"]);
    let arguments = ["import", "s", "c", "v.jsonl", "--only-vectors", "--vector-field", "v", "--view", "v", "--update"];
    place.run(arguments).exits(0);
}

fn field_type(place: &Place, field: &str) -> Json {
    place.run(["--json", "info", "s"]).exits(0).json()["collections"][0]["fields"][field].clone()
}

#[test]
fn lists_of_nothing_fit_every_list_and_say_nothing_about_it() {
    let (texts, numbers) = (r#"["p"]"#, "[1,2]");
    // In any order, in one import or in several: the list that holds something decides.
    for (first, second, expected) in [
        ("[]", texts, "list of text"),
        (texts, "[]", "list of text"),
        ("[null]", texts, "list of text"),
        (texts, "[null, null]", "list of text"),
        ("[]", numbers, "json"),
        (numbers, "[]", "json"),
        ("[null]", numbers, "json"),
        (numbers, "[null]", "json"),
        ("[]", "[null]", "list of text"),
    ] {
        for apart in [false, true] {
            let place = Place::with_store();
            let lines = [format!(r#"{{"id": "a", "f": {first}}}"#), format!(r#"{{"id": "b", "f": {second}}}"#)];
            if apart {
                import(&place, &[&lines[0]], 0);
                import(&place, &[&lines[1]], 0);
            } else {
                import(&place, &[&lines[0], &lines[1]], 0);
            }
            assert_eq!(field_type(&place, "f"), expected, "{first} then {second}");
            for (id, list) in [("a", first), ("b", second)] {
                let record = place.run(["--json", "get", "s", "c", id]).exits(0).json();
                assert_eq!(record["fields"]["f"], serde_json::from_str::<Json>(list).unwrap());
            }
            place.run(["check", "s"]).exits(0);
        }
    }
}

#[test]
fn other_changes_of_a_list_are_refused_as_before() {
    for (first, second) in [
        (r#"["p"]"#, "[1]"),
        ("[1]", r#"["p"]"#),
        ("[]", r#""text""#),
        (r#""text""#, "[]"),
        ("[null]", "5"),
        ("5", "[null]"),
        (r#"["p"]"#, r#"["p", null]"#),
    ] {
        let place = Place::with_store();
        let lines = [format!(r#"{{"id": "a", "f": {first}}}"#), format!(r#"{{"id": "b", "f": {second}}}"#)];
        let error = import(&place, &[&lines[0], &lines[1]], 2).json_error();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("line 2 `f`"), "{first} then {second}: {message}");
    }
}

/// Over the end of a column's chunk, so that chunks of both kinds are written, and through an update, `compact`, and an
/// export.
#[test]
fn a_list_of_nothing_is_there_and_has_no_text() {
    for (filled, is_text) in [(r#"["p"]"#, true), ("[1]", false)] {
        let place = Place::with_store();
        let mut lines: Vec<String> = (0..5000).map(|n| format!(r#"{{"id": "e{n}", "f": []}}"#)).collect();
        lines[7] = r#"{"id": "e7"}"#.to_string();
        lines[8] = r#"{"id": "e8", "f": [null]}"#.to_string();
        lines.push(format!(r#"{{"id": "full", "f": {filled}}}"#));
        import(&place, &lines.iter().map(String::as_str).collect::<Vec<_>>(), 0);
        place.run(["check", "s"]).exits(0);
        with_vectors(&place);
        let questions = |place: &Place| {
            if is_text {
                assert_eq!(kept(place, "f has \"p\""), ["full"]);
                assert_eq!(kept(place, "f is null"), ["e7"]);
                let without = kept(place, "not (f has \"p\") and f is not null");
                assert_eq!(without.len(), 100, "{without:?}");
                assert!(!without.contains(&"e7".to_string()) && without.contains(&"e8".to_string()));
            }
        };
        questions(&place);
        place.write("more.jsonl", "{\"id\": \"e9\", \"f\": [null, null]}\n{\"id\": \"e10\"}");
        place.run(["import", "s", "c", "more.jsonl", "--update", "--no-embed"]).exits(0);
        place.run(["remove", "s", "c", "e10"]).exits(0);
        place.run(["compact", "s"]).exits(0);
        place.run(["check", "s"]).exits(0);
        questions(&place);
        place.run(["export", "s", "c", "-o", "out.jsonl"]).exits(0);
        place.run(["new", "t"]).exits(0);
        place.run(["import", "t", "c", "out.jsonl", "--no-embed"]).exits(0);
        place.run(["check", "t"]).exits(0);
        for id in ["e7", "e8", "e9", "full"] {
            let get = |store: &str| place.run(["--json", "get", store, "c", id]).exits(0).json()["fields"].clone();
            assert_eq!(get("s"), get("t"));
        }
    }
}

/// What `get --json` prints of a field, to the letter.
fn raw_field(place: &Place, store: &str, id: &str, field: &str) -> String {
    let shown = place.run(["--json", "get", store, "c", id]).exits(0).stdout;
    raw_value(&shown, field).to_string()
}

/// The text of the value behind `"field":`, by its brackets.
fn raw_value<'t>(text: &'t str, field: &str) -> &'t str {
    let start = text.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
    let mut depth = 0;
    let end = text[start..].find(|c| {
        depth += i32::from(matches!(c, '{' | '[')) - i32::from(matches!(c, '}' | ']'));
        depth == 0 && matches!(c, '}' | ']') || depth < 0
    });
    text[start..start + end.unwrap() + 1].trim()
}

#[test]
fn nested_values_stay_as_they_were_written() {
    let place = Place::with_store();
    let nested =
        r#"{"z":123456789012345678901,"a":{"n":[1.10,-0,0.1000000000000000055511151231257827,1E5],"k.l":"é\u0000"}}"#;
    let spaced = nested.replace(':', " : ").replace(',', " ,\t");
    import(
        &place,
        &[&format!(r#"{{"id": "a", "f": {spaced}, "list": [ {{"b":1,"a":2}}, 18446744073709551616 ]}}"#)],
        0,
    );
    let list = r#"[{"b":1,"a":2},18446744073709551616]"#;
    assert_eq!(raw_field(&place, "s", "a", "f"), nested);
    assert_eq!(raw_field(&place, "s", "a", "list"), list);
    with_vectors(&place);
    for format in ["json", "jsonl"] {
        let shown = place.run(["query", "s", "find [1, 0] in c | view v", "--format", format]).exits(0).stdout;
        assert_eq!((raw_value(&shown, "f"), raw_value(&shown, "list")), (nested, list), "{format}");
    }
    let shown = place.run(["query", "s", "find [1, 0] in c | view v", "--format", "csv"]).exits(0).stdout;
    assert!(shown.contains(&list.replace('"', "\"\"")), "{shown}");
    // The whole way round, twice, and identical to what is there.
    let out = place.run(["export", "s", "c", "-o", "-"]).exits(0).stdout;
    place.write("out.jsonl", &out);
    place.run(["new", "t"]).exits(0);
    place.run(["import", "t", "c", "out.jsonl", "--no-embed"]).exits(0);
    assert_eq!(raw_field(&place, "t", "a", "f"), nested);
    assert_eq!(place.run(["export", "t", "c", "-o", "-"]).exits(0).stdout, out);
    let again = place.run(["--json", "import", "t", "c", "out.jsonl", "--resume", "--no-embed"]).exits(0).json();
    assert_eq!(again["unchanged"], 1);
}

#[test]
fn what_a_nested_value_cannot_keep_is_refused_as_at_the_top() {
    for (value, wanted) in [
        (r#"{"k": 1, "k": 2}"#, "line 1 `f.k`: is given twice"),
        (r#"[{"a": {"k": 1, "\u006b": 2}}]"#, "line 1 `f[0].a.k`: is given twice"),
        ("{\"k\": 1e400}", "number out of range"),
    ] {
        let place = Place::with_store();
        let error = import(&place, &[&format!(r#"{{"id": "a", "f": {value}}}"#)], 2).json_error();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(wanted) && message.contains("nothing was imported"), "{value}: {message}");
    }
}

#[test]
fn times_are_found_as_instants() {
    let place = Place::with_store();
    let times = [
        ("half", "2024-01-01T12:00:00.500Z"),
        ("tokyo", "2024-01-01T20:00:00+09:00"),
        ("midnight", "2024-01-01"),
        ("noon", "2024-01-01t12:00:00-00:00"),
        ("words", "later"),
        ("leap", "2016-12-31T23:59:60Z"),
    ];
    let lines: Vec<String> = times.iter().map(|(id, t)| json!({"id": id, "t": t}).to_string()).collect();
    import(&place, &lines.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    import(&place, &[r#"{"id": "none"}"#], 0);
    with_vectors(&place);
    let cases: [(&str, &[&str]); 8] = [
        (r#"t > "2024-01-01T12:00:00Z""#, &["half", "words"]),
        (r#"t < "2024-01-01T12:00:00Z""#, &["tokyo", "midnight", "leap"]),
        (r#"t = "2024-01-01T21:00:00.000+09:00""#, &["noon"]),
        (r#"t != "2024-01-01T12:00:00Z""#, &["half", "tokyo", "midnight", "words", "leap"]),
        (r#"not (t >= "2024-01-01T11:00:00Z")"#, &["midnight", "leap"]),
        (r#"t in ("2024-01-01T00:00:00Z", "later", "2017-01-01")"#, &["midnight", "words"]),
        (r#"t > "2016-12-31T23:59:59.999Z" and t < "2017-01-01""#, &["leap"]),
        // One side is no time: both are text.
        (r#"t >= "2024-01-01T12:00:00""#, &["half", "tokyo", "noon", "words"]),
    ];
    for (condition, expected) in cases {
        assert_eq!(kept(&place, condition), expected, "{condition}");
    }
    let statement = "find [1, 0] in c | view v | where t > $t";
    let asked = ["--json", "query", "s", statement, "--param", "t=2024-01-01T21:00:00.25+09:00"];
    let answer = place.run(asked).exits(0).json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
}
