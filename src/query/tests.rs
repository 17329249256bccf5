//! The language as a whole: canonical texts, round trips over arbitrary trees, limits, and arbitrary input.

use super::*;

/// Statements in canonical form: they print as they stand.
const CANONICAL: &[&str] = &[
    r#"find "What did I do with my keys?" in notes"#,
    r#"find "keys" in notes | view raw | center corpus | truncate 64 | normalize | score dot | top 5"#,
    r#"find $q in notes | view rewritten | center corpus | normalize | score dot | where year >= 1900 and tag != "draft" | top 10"#,
    r#"find $q in notes | project asks -> answers | score cosine | top 10"#,
    r#"find $q in notes | using answering | score probability | above 0.5"#,
    r#"find #king - #man + #woman in words | normalize | score cosine"#,
    r#"find -#man + 2 * "woman" - 0.5 * $q + [1, -2.5, 1e-9] in words"#,
    r##"find #"C++ notes" in notes | including self | exact"##,
    r#"find #a-b.c:d in notes@v2 | blend 0.7 * topic - 0.3 * nationality | within 1.5 | skip 20 | top 1000000"#,
    r#"find "x" in notes | center sides from asked | standardize | whiten | whiten 12 | drop 3 | project M | score cosine csls 10 from asked"#,
    r#"find "x" in notes | where not (a = 1 or b = 2) and (c is null or d is not null) and e has "x" and f in (1, 2.0, -3, true, $p)"#,
    r#"find "x" in notes | where (a = 1 and b = 1) and c = 1 or (d = 1 or e = 1)"#,
    r#"find "x" in notes | where `my field` = "a\n\"b\"" and score > 0.5 and `not` = false"#,
    r#"pairs in notes | using topic | above 0.9 | top 100"#,
    r#"explain find "x" in notes"#,
    r#"explain analyze find "x" in notes"#,
    r#"compare plain, nationality: find #newton in people | top 5"#,
    r#"why #n08: find "What did I do with my keys?" in notes | using answering"#,
    r#"let answering = view rewritten | center corpus | project asks -> answers | score cosine"#,
    r#"drop answering"#,
    r#"show lenses"#,
    r#"show undirected"#,
];

#[test]
fn canonical_statements_print_as_they_stand() {
    for text in CANONICAL {
        let statement = parse(text).unwrap_or_else(|error| panic!("{text}\n{error:?}"));
        assert_eq!(print(&statement), *text);
    }
}
