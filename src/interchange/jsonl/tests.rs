//! What becomes of a line, and what is said about a bad one.

use super::*;

fn parse(line: &str) -> Result<Record, String> {
    parse_with(line, &ImportSpec::default())
}

fn parse_with(line: &str, spec: &ImportSpec) -> Result<Record, String> {
    parse_line(line.as_bytes(), spec).map_err(|error| match error.field {
        Some(field) => format!("{field}: {}", error.reason),
        None => error.reason,
    })
}

fn vectors() -> ImportSpec {
    ImportSpec { vector_field: Some("v".to_string()), ..ImportSpec::default() }
}

#[test]
fn id_text_and_fields_find_their_places() {
    let record = parse(r#"{"id": 7, "text": "Hello", "year": 2024, "score": 1.5, "ok": true, "none": null}"#).unwrap();
    assert_eq!((record.id.as_str(), record.text.as_str()), ("7", "Hello"));
    assert_eq!(record.fields["year"], Value::Integer(2024));
    assert_eq!(record.fields["score"], Value::Float(1.5));
    assert_eq!(record.fields["ok"], Value::Bool(true));
    assert_eq!(record.fields["none"], Value::Null);
    assert!(!record.fields.contains_key("id") && !record.fields.contains_key("text"));
}

#[test]
fn lists_of_text_are_filterable_and_the_rest_is_kept() {
    let record =
        parse(r#"{"id": "a", "tags": ["x", "y"], "nested": {"b": [1, 2.0]}, "mixed": ["x", 1], "no": []}"#).unwrap();
    assert_eq!(record.fields["tags"], Value::TextList(vec!["x".to_string(), "y".to_string()]));
    assert_eq!(record.fields["nested"], Value::Json(r#"{"b":[1,2.0]}"#.to_string()));
    assert_eq!(record.fields["mixed"], Value::Json(r#"["x",1]"#.to_string()));
    assert_eq!(record.fields["no"], Value::TextList(Vec::new()));
    assert_eq!(record.text, "");
}

#[test]
fn the_id_is_id_or_underscore_id_or_what_was_named() {
    assert_eq!(parse(r#"{"_id": "b"}"#).unwrap().id, "b");
    let both = parse(r#"{"_id": "mongo", "id": "a"}"#).unwrap();
    assert_eq!((both.id.as_str(), &both.fields["_id"]), ("a", &Value::Text("mongo".to_string())));
    let spec = ImportSpec { id: Some("key".to_string()), text: "body".to_string(), ..ImportSpec::default() };
    let named = parse_with(r#"{"key": "k", "id": 3, "body": "B", "text": "T"}"#, &spec).unwrap();
    assert_eq!((named.id.as_str(), named.text.as_str()), ("k", "B"));
    assert_eq!(named.fields["id"], Value::Integer(3));
    assert_eq!(named.fields["text"], Value::Text("T".to_string()));
}

#[test]
fn numbers_beyond_64_bits_become_floats_and_beyond_f64_are_refused() {
    let record = parse(r#"{"id": 1, "a": 9223372036854775807, "b": 9223372036854775808, "c": 1e40}"#).unwrap();
    assert_eq!(record.fields["a"], Value::Integer(i64::MAX));
    assert_eq!(record.fields["b"], Value::Float(9_223_372_036_854_775_808.0));
    assert_eq!(record.fields["c"], Value::Float(1e40));
    let error = parse(r#"{"id": 1, "c": 1e400}"#).unwrap_err();
    assert!(error.starts_with("c: ") && error.contains("out of range"), "{error}");
}

#[test]
fn a_vector_comes_back_as_the_f32_it_was_printed_from() {
    for bits in [0x3dcc_cccd_u32, 0x0000_0001, 0x7f7f_ffff, 0x8000_0000, 0x3f80_0001, 0x15ae_43fd] {
        let number = f32::from_bits(bits);
        let record = parse_with(&format!(r#"{{"id": 1, "v": [{number:?}, 2]}}"#), &vectors()).unwrap();
        assert_eq!(record.vectors["raw"].iter().map(|n| n.to_bits()).collect::<Vec<_>>(), [bits, 2.0_f32.to_bits()]);
    }
    assert!(parse_with(r#"{"id": 1, "v": null}"#, &vectors()).unwrap().vectors.is_empty());
}

#[test]
fn vectors_that_are_none_are_refused_by_number() {
    let bad = |value: &str| parse_with(&format!(r#"{{"id": 1, "v": {value}}}"#), &vectors()).unwrap_err();
    assert!(bad("[1, NaN]").starts_with("v: number 2"), "{}", bad("[1, NaN]"));
    assert!(bad("[1, 1e39]").starts_with("v: number 2"), "{}", bad("[1, 1e39]"));
    assert!(bad("[1, null]").starts_with("v: number 2"), "{}", bad("[1, null]"));
    assert!(bad("[1, [2]]").starts_with("v: number 2"), "{}", bad("[1, [2]]"));
    assert!(bad("[]").contains("at least one number"), "{}", bad("[]"));
    assert!(bad("\"1 2 3\"").contains("expected a list of numbers"), "{}", bad("\"1 2 3\""));
    let long = format!("[{}1]", "0,".repeat(DIMENSION));
    assert!(bad(&long).contains("more than"), "{}", bad(&long));
}

#[test]
fn what_is_wrong_is_said_with_the_field() {
    let cases = [
        (r#"{"text": "no id"}"#, "id: is missing"),
        (r#"{"id": null}"#, "id: expected text or a whole number, found null"),
        (r#"{"id": 1.5}"#, "id: expected text or a whole number, found a float"),
        (r#"{"id": ""}"#, "id: is empty"),
        (r#"{"id": 1, "text": 5}"#, "text: expected text, found a whole number"),
        (r#"{"id": 1, "id": 2}"#, "id: is given twice"),
        (r#"{"id": 1, "a": 1, "a": 2}"#, "a: is given twice"),
        (r#"{"id": 1, "": 2}"#, "a field needs a name"),
        (r#"{"id": 1, "a": tru}"#, "a: not valid JSON"),
        (r#"{"id": 1} x"#, "not valid JSON: trailing characters at column 11"),
        (r#"{"id": 1"#, "not valid JSON: EOF"),
        (r#"[1]"#, "expected an object"),
        ("\u{feff}{}", "not valid JSON"),
    ];
    for (line, want) in cases {
        let error = parse(line).unwrap_err();
        assert!(error.contains(want), "{line}: {error}");
        assert!(!error.contains("line 1"), "{line}: {error}");
    }
    let error = parse_line(b"{\"id\": \"\xff\"}", &ImportSpec::default()).unwrap_err();
    assert_eq!(error.at(3).to_string(), "line 3: byte 9 is not UTF-8");
}

#[test]
fn bounds_hold_to_the_byte() {
    let id = "x".repeat(ID_BYTES);
    assert_eq!(parse(&format!(r#"{{"id": "{id}"}}"#)).unwrap().id, id);
    assert!(parse(&format!(r#"{{"id": "{id}x"}}"#)).unwrap_err().contains("513 bytes"));
    let text = "x".repeat(TEXT_BYTES);
    assert_eq!(parse(&format!(r#"{{"id": 1, "text": "{text}"}}"#)).unwrap().text.len(), TEXT_BYTES);
    assert!(parse(&format!(r#"{{"id": 1, "text": "{text}x"}}"#)).unwrap_err().starts_with("text: 16777217 bytes"));
}

#[test]
fn a_rewrite_views_field_becomes_its_text_and_stays_a_field() {
    let spec = ImportSpec { view_texts: vec![("short".to_string(), "rewritten".to_string())], ..ImportSpec::default() };
    let record = parse_with(r#"{"id": 1, "text": "long", "short": "s"}"#, &spec).unwrap();
    assert_eq!(record.view_texts["rewritten"], "s");
    assert_eq!(record.fields["short"], Value::Text("s".to_string()));
    assert!(parse_with(r#"{"id": 1, "short": null}"#, &spec).unwrap().view_texts.is_empty());
    assert!(parse_with(r#"{"id": 1, "short": 5}"#, &spec).unwrap_err().contains("expected text"));
}

#[test]
fn only_vectors_reads_nothing_else() {
    let spec = ImportSpec { only_vectors: true, ..vectors() };
    let record = parse_with(r#"{"id": 1, "text": 5, "year": [], "v": [1]}"#, &spec).unwrap();
    assert!(record.fields.is_empty() && record.text.is_empty());
    assert_eq!(record.vectors["raw"], [1.0]);
}

#[test]
fn complaints_do_not_quote_megabytes() {
    let long = "x".repeat(1 << 20);
    for line in
        [format!(r#"{{"id": 1, "v": "{long}"}}"#), format!(r#"{{"id": 1, "{long}": tru}}"#), format!(r#""{long}""#)]
    {
        let error = parse_line(line.as_bytes(), &vectors()).unwrap_err();
        assert!(error.to_string().len() < 1000, "{} bytes", error.to_string().len());
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let line = format!(r#"{{"id": 1, "a": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&line).unwrap_err().contains("recursion limit"));
}

#[test]
fn json_of_undoes_value_of() {
    let json: serde_json::Value =
        serde_json::from_str(r#"{"a": 1, "b": 0.1, "c": [1, "x"], "d": ["x"], "e": null, "f": {"g": true}}"#).unwrap();
    for (_, value) in json.as_object().unwrap() {
        assert_eq!(json_of(&value_of(value.clone())), *value);
    }
}

#[test]
fn an_id_is_any_whole_number_of_64_bits_and_no_other() {
    for number in ["18446744073709551615", "9223372036854775808", "9223372036854775807", "-9223372036854775808"] {
        assert_eq!(parse(&format!(r#"{{"id": {number}}}"#)).unwrap().id, number);
        assert_eq!(parse(&format!(r#"{{"_id": {number}}}"#)).unwrap().id, number);
    }
    let beyond = parse(r#"{"id": 18446744073709551616}"#).unwrap_err();
    assert_eq!(beyond, "id: a whole number beyond 64 bits: written as text, in quotes, it can be an id");
    assert_eq!(parse(r#"{"id": 1.5}"#).unwrap_err(), "id: expected text or a whole number, found a float");
    let both = parse(r#"{"id": 1, "_id": 18446744073709551615}"#).unwrap();
    assert_eq!(both.fields["_id"], Value::Float(18_446_744_073_709_551_615.0));
}

#[test]
fn half_of_a_surrogate_pair_is_named() {
    for line in
        [r#"{"id": 1, "text": "\ud83d"}"#, r#"{"id": 1, "text": "x\ude00y"}"#, r#"{"id": 1, "a": "\ud83d\ud83d"}"#]
    {
        let error = parse(line).unwrap_err();
        assert!(error.contains("half of a surrogate pair before column") && error.contains(r"`\ufffd`"), "{error}");
    }
    assert_eq!(parse(r#"{"id": 1, "text": "\ud83d\ude00"}"#).unwrap().text, "😀");
    assert!(parse(r#"{"id": 1, "text": "\u12"}"#).unwrap_err().starts_with("text: not valid JSON"));
}
