//! What a mistake is answered with: code, the piece underlined, the corrected line.

use super::*;

/// The code, the underlined piece and the corrected line of a statement's error.
fn mistake(fixture: &Fixture, statement: &str) -> (&'static str, String, Option<String>) {
    let error = fixture.error(statement);
    let piece = error.text[error.span.clone()].to_string();
    if let Some(corrected) = &error.corrected {
        assert!(crate::query::parse(corrected).is_ok(), "{corrected}");
    }
    (error.code, piece, error.corrected)
}

#[test]
fn names_that_do_not_exist() {
    let (fixture, _) = words();
    let cases = [
        ("find #w9 in word", "resolve::no_such_collection", "word", Some("find #w9 in words")),
        ("find #w9 in zzz", "resolve::no_such_collection", "zzz", None),
        ("find #w9 in words | view othr", "resolve::no_such_view", "othr", Some("find #w9 in words | view other")),
        ("find #w9 in words | using nothing", "resolve::no_such_lens", "nothing", None),
        (
            "find #w9 in words | project tpoic",
            "resolve::no_such_projection",
            "tpoic",
            Some("find #w9 in words | project topic"),
        ),
        (
            "find #w9 in words | project asks -> answrs",
            "resolve::no_such_projection",
            "answrs",
            Some("find #w9 in words | project asks -> answers"),
        ),
        (
            "find #w9 in words | where nmber > 3",
            "resolve::no_such_field",
            "nmber",
            Some("find #w9 in words | where number > 3"),
        ),
        ("find #nobody in words", "resolve::no_such_record", "#nobody", None),
    ];
    for (statement, code, piece, corrected) in cases {
        let found = mistake(&fixture, statement);
        assert_eq!(found, (code, piece.to_string(), corrected.map(str::to_string)), "{statement}");
    }
    let error = fixture.error("find #w9 in words | view othr");
    assert_eq!(error.expected, ["raw", "other"]);
    assert!(error.hints.contains(&"views: raw, other".to_string()), "{:?}", error.hints);
    assert!(error.hints.contains(&"did you mean `other`?".to_string()), "{:?}", error.hints);
}

#[test]
fn conditions_that_do_not_fit() {
    let (fixture, _) = words();
    let cases = [
        ("tags = \"even\"", "resolve::list_needs_has", "tags", Some("tags has \"even\"")),
        ("tags != \"even\"", "resolve::list_needs_has", "tags", Some("not tags has \"even\"")),
        ("tags in (\"even\")", "resolve::list_needs_has", "tags", Some("tags has \"even\"")),
        ("tags in (\"even\", \"odd\")", "resolve::list_needs_has", "tags", None),
        ("kind has \"third\"", "resolve::has_needs_list", "kind", Some("kind = \"third\"")),
        ("number = \"12\"", "resolve::type_mismatch", "number", Some("number = 12")),
        ("number = \"twelve\"", "resolve::type_mismatch", "number", None),
        ("kind = 3", "resolve::type_mismatch", "kind", Some("kind = \"3\"")),
        ("number in (1, \"2\")", "resolve::type_mismatch", "number", Some("number in (1, 2)")),
        ("tags has 3", "resolve::type_mismatch", "tags", Some("tags has \"3\"")),
        ("number > $n", "resolve::unbound_param", "$n", None),
    ];
    for (condition, code, piece, corrected) in cases {
        let line = |condition: &str| format!("find #w9 in words | where {condition} | top 3");
        let found = mistake(&fixture, &line(condition));
        assert_eq!(found, (code, piece.to_string(), corrected.map(line)), "{condition}");
    }
}

#[test]
fn clauses_that_do_not_fit_the_metric() {
    let (fixture, _) = words();
    let cases = [
        (
            "find #w9 in words | score euclidean | above 0.5",
            "resolve::bound_direction",
            Some("find #w9 in words | score euclidean | within 0.5"),
        ),
        ("find #w9 in words | within 0.5", "resolve::bound_direction", Some("find #w9 in words | above 0.5")),
        ("find #w9 in words | center | score levenshtein", "resolve::levenshtein_steps", None),
        ("find #w9 + #w10 in words | score levenshtein", "resolve::levenshtein_source", None),
        ("find 2 * #w9 in words | score levenshtein", "resolve::levenshtein_source", None),
        ("find [1, 2] in words | score levenshtein", "resolve::levenshtein_source", None),
        ("find #w9 in words | view other | score levenshtein", "resolve::no_texts", None),
        ("find #w9 in words | score euclidean csls 3 from asked", "resolve::csls_metric", None),
        ("find #w9 in words | score levenshtein csls 3 from asked", "resolve::csls_metric", None),
    ];
    for (statement, code, corrected) in cases {
        let error = fixture.error(statement);
        assert_eq!((error.code, error.corrected.as_deref()), (code, corrected), "{statement}");
    }
}

#[test]
fn sources_and_dimensions_that_cannot_be() {
    let (fixture, _) = words();
    let cases = [
        ("find \"text\" in words", "resolve::takes_no_text", "\"text\""),
        ("find [1, 2, 3] in words", "resolve::vector_dimension", "[1, 2, 3]"),
        ("find #w6 in words | view other", "resolve::no_vector", "#w6"),
        ("find $q in words", "resolve::unbound_param", "$q"),
        ("find #w0 in words", "resolve::no_direction", "#w0"),
        ("find #w1 in words | score pearson", "resolve::no_direction", "#w1"),
        ("find #w9 - #w9 in words", "resolve::no_direction", "#w9 - #w9"),
        ("find #w9 in words | truncate 9", "resolve::dimension", "truncate 9"),
        ("find #w9 in words | truncate 4 | project topic", "resolve::dimension", "project topic"),
        ("find #w9 in words | project asks -> topic", "resolve::projection_pair", "project asks -> topic"),
        ("find #w9 in words | project both -> topic", "resolve::projection_pair", "project both -> topic"),
        ("find #w9 in words | whiten 9", "resolve::dimension", "whiten 9"),
        ("find #w9 in words | whiten 4 | truncate 5", "resolve::dimension", "truncate 5"),
        ("find #w9 in words | whiten 4 | project topic", "resolve::dimension", "project topic"),
        ("find #w9 in words | drop 8", "resolve::dimension", "drop 8"),
        ("find #w9 in words | truncate 4 | drop 4", "resolve::dimension", "drop 4"),
    ];
    for (statement, code, piece) in cases {
        let error = fixture.error(statement);
        assert_eq!((error.code, &error.text[error.span.clone()]), (code, piece), "{statement}");
    }
    let error = fixture.error("find \"text\" in words");
    assert_eq!(error.expected[..2], ["#id", "a vector of 8 numbers"]);
    let fixture = notes();
    let query = fixture.query("find $q in notes").bind("q", 3);
    assert_eq!(query.run().unwrap_err().query().unwrap().code, "resolve::param_type");
    let query = fixture.query("find $q in notes").bind("q", vec![f32::NAN; 3]);
    assert_eq!(query.run().unwrap_err().query().unwrap().code, "resolve::vector_dimension");
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let (fixture, _) = words();
    let query = fixture.query("find $q in words").bind("q", vec![f32::NAN; DIMENSION]);
    assert_eq!(query.run().unwrap_err().query().unwrap().code, "resolve::not_finite");
    let query = fixture.query("find #w9 in words | where number < $n").bind("n", f64::INFINITY);
    assert_eq!(query.run().unwrap_err().query().unwrap().code, "resolve::param_type");
}

#[test]
fn a_filter_takes_no_list_for_a_value() {
    use crate::exec::{Filter, Source};
    use crate::types::Value;
    let (fixture, _) = words();
    let list = || Value::TextList(vec!["a".into(), "b".into()]);
    let find = |filter| fixture.snapshot().find(Source::id("w9")).in_collection("words").filter(filter);
    for filter in [
        Filter::eq("name", list()),
        Filter::ne("name", list()).not(),
        Filter::ge("number", 3).and(Filter::one_of("name", [Value::from("x"), list()])),
        Filter::eq("name", list()).or(Filter::ge("number", 3)),
    ] {
        let error = find(filter.clone()).run().unwrap_err();
        let error = error.query().unwrap();
        assert_eq!(error.code, "resolve::type_mismatch");
        assert_eq!(error.message, "`name` is compared with a list, not with one value");
        assert!(find(filter.clone()).why("w1").is_err() && find(filter.clone()).compare(["plain", "plain"]).is_err());
        assert!(fixture.snapshot().pairs("words").filter(filter).run().is_err());
    }
    assert_eq!(find(Filter::ge("number", 3)).run().unwrap().hits().len(), 10);
}

#[test]
fn the_builder_gets_the_same_errors_with_places() {
    use crate::exec::{Lens, Source};
    let (fixture, _) = words();
    let search = || fixture.snapshot().find(Source::id("w9"));
    let error = search().in_collection("word").run().unwrap_err();
    let error = error.query().unwrap();
    assert_eq!((error.code, &error.text[error.span.clone()]), ("resolve::no_such_collection", "word"));
    let error = search().in_collection("words").lens(Lens::view("raw").truncate(99)).run().unwrap_err();
    assert_eq!(error.query().unwrap().code, "resolve::dimension");
    // Too long to be a statement: settled without places.
    let long = vec![0.123_456_7_f32; 30_000];
    let error = fixture.snapshot().find(Source::vector(&long)).in_collection("words").run().unwrap_err();
    assert_eq!(error.query().unwrap().code, "resolve::vector_dimension");
}
