//! What people see for typical mistakes, as one file of snapshots: `tests/snapshots/bad_errors.txt`.
//!
//! The file is written anew with `UPDATE=1 cargo test bad_errors`; read the difference before committing it.

use crate::error::QueryError;
use crate::query::{parse, parse_expr};
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// Statements with a mistake.
const STATEMENTS: &[&str] = &[
    // Verbs.
    "",
    "   -- nothing but a comment",
    "fnd \"keys\" in notes",
    "search \"keys\" in notes | top 5",
    "select \"keys\" in notes",
    "\"keys\" in notes | top 5",
    "#n1 + #n2 in notes",
    "center corpus | top 5",
    "hello there",
    "| top 5",
    "show lense",
    "show",
    "list views",
    "delete answering",
    "drop",
    "drop \"answering\"",
    "explain pairs in notes",
    "explain analyse find \"x\" in notes",
    "pairs notes | above 0.9",
    "compare plain: find #newton in people",
    "compare plain nationality: find #newton in people",
    "compare plain and nationality: find #newton in people",
    "compare plain, nationality find #newton in people",
    "why n08: find \"keys\" in notes",
    "why #n08 find \"keys\" in notes",
    "why #n08:find \"keys\" in notes",
    "let top = view raw",
    "let answering view raw | center",
    "let answering == view raw",
    "let answering =",
    "let answering = view raw | where year > 2020 | score dot",
    "let answering = top 5 | center",
    "find \"keys\" in notes;",
    // Sources.
    "find keys in notes",
    "find what's in my bag in notes | top 5",
    "find in notes",
    "find \"keys\"",
    "find \"keys\" notes",
    "find \"keys\" from notes",
    "find \"keys\" | top 5 in notes",
    "find \"keys\" in \"notes\"",
    "find \"keys\" in #notes",
    "find \"keys\" in",
    "find \"keys\" in top | top 5",
    "find \"keys\" in notes, people",
    "find \"keys in notes | top 5",
    "find \"keys\" in notes | where tag = \"draft | top 5",
    "find \"a\\d\" in notes",
    "find \"caf\\u00e9\" in notes",
    "find \"so \\ud83d\\ude00 happy\" in notes",
    "find \"half \\ud83d\" in notes",
    "find #\"a\\/b\" in notes",
    "find \"caf\\xe9\\U0001f600\\b\" in notes",
    "find “keys” in notes",
    "find #king - man + woman in words",
    "find #king-#man in words",
    "find #king -man in words",
    "find # king in words",
    "find #c++ in packages",
    "find #king * 2 in words",
    "find 2 #king in words",
    "find #king #man in words",
    "find #king + in words",
    "find [1 2 -3] in words",
    "find [1, 2, in words",
    "find [1, 2,] in words",
    "find [] in words",
    "find [1, nan] in words",
    "find 1e999 * #king in words",
    "find $ in words",
    "find `keys` in notes",
    // Stages.
    "find \"keys\" in notes | normalize | truncate 64 | scor cosine",
    "find \"keys\" in notes | noramlize",
    "find \"keys\" in notes | normalise | centre",
    "find \"keys\" in notes | limit 5",
    "find \"keys\" in notes | 5",
    "find \"keys\" in notes | top 5 | where year > 2020",
    "find \"keys\" in notes | center | view raw",
    "find \"keys\" in notes | score cosine | center corpus | top 3",
    "find \"keys\" in notes | top 5 | skip 2 | above 0.5 | where a = 1 | score dot | center | view v",
    "find \"keys\" in notes | view raw | view titles",
    "find \"keys\" in notes | view raw | using answering",
    "find \"keys\" in notes | where a = 1 or b = 2 | where c = 3",
    "find \"keys\" in notes | above 0.5 | within 2",
    "find \"keys\" in notes | top 5 | top 6",
    "find \"keys\" in notes | top -1",
    "find \"keys\" in notes | top 0",
    "find \"keys\" in notes | top 5.0",
    "find \"keys\" in notes | top ten",
    "find \"keys\" in notes | top",
    "find \"keys\" in notes | top 10,000",
    "find \"keys\" in notes | top 2000000",
    "find \"keys\" in notes | truncate",
    "find \"keys\" in notes | truncate to 64",
    "find \"keys\" in notes | truncate 64d",
    "find \"keys\" in notes | truncate 0",
    "find \"keys\" in notes |",
    "find \"keys\" in notes | | top 5",
    "find \"keys\" in notes || top 5",
    "find \"keys\" in notes top 5",
    "find \"keys\" in notes center corpus top 5",
    "find \"keys\" in notes | center corpsu",
    "find \"keys\" in notes | center_corpus",
    "find \"keys\" in notes | center sides asked",
    "find \"keys\" in notes | cosine",
    "find \"keys\" in notes | euclid",
    "find \"keys\" in notes | score l2",
    "find \"keys\" in notes | score cos",
    "find \"keys\" in notes | score cosin",
    "find \"keys\" in notes | score by dot",
    "find \"keys\" in notes | score = dot",
    "find \"keys\" in notes | score manhattan",
    "find \"keys\" in notes | score",
    "find \"keys\" in notes | score csls 10 from asked",
    "find \"keys\" in notes | score cosine csls from asked",
    "find \"keys\" in notes | project asks to answers",
    "find \"keys\" in notes | project asks => answers",
    "find \"keys\" in notes | project",
    "find \"keys\" in notes | using",
    "find \"keys\" in notes | using top | top 5",
    "find \"keys\" in notes | blend topic + nationality",
    "find \"keys\" in notes | blend 0.7 topic",
    "find \"keys\" in notes | above = 0.5",
    "find \"keys\" in notes | above \"0.5\"",
    "find \"keys\" in notes | include self",
    "find \"keys\" in notes | including",
    "find \"keys\" in notes | order by score | top 5",
    "find \"keys\" in notes | year > 2020",
    "find \"keys\" in notes | judge \"Is it?\"",
    // Conditions.
    "find \"keys\" in notes | where year == 2020",
    "find \"keys\" in notes | where year > 2020 && tag = \"x\"",
    "find \"keys\" in notes | where year > 2020 || tag = \"x\"",
    "find \"keys\" in notes | where year > 2020, tag = \"x\"",
    "find \"keys\" in notes | where year > 2020 tag = \"x\"",
    "find \"keys\" in notes | where !(year > 2020)",
    "find \"keys\" in notes | where year <> 2020",
    "find \"keys\" in notes | where year => 2020",
    "find \"keys\" in notes | where year > = 2020",
    "find \"keys\" in notes | where tag = draft",
    "find \"keys\" in notes | where tag = very old draft | top 5",
    "find \"keys\" in notes | where \"tag\" = \"draft\"",
    "find \"keys\" in notes | where 2020 < year",
    "find \"keys\" in notes | where tag = null",
    "find \"keys\" in notes | where tag != null",
    "find \"keys\" in notes | where tag is \"x\"",
    "find \"keys\" in notes | where tag is not \"x\"",
    "find \"keys\" in notes | where tag is missing",
    "find \"keys\" in notes | where tag not in (\"a\", \"b\")",
    "find \"keys\" in notes | where tag in \"a\", \"b\" | top 5",
    "find \"keys\" in notes | where tag in [\"a\", \"b\"]",
    "find \"keys\" in notes | where tag in (\"a\" \"b\")",
    "find \"keys\" in notes | where tag in (\"a\", \"b\" | top 5",
    "find \"keys\" in notes | where tag in ()",
    "find \"keys\" in notes | where tag in (\"a\",)",
    "find \"keys\" in notes | where tag = (\"a\", \"b\")",
    "find \"keys\" in notes | where tags contains \"a\"",
    "find \"keys\" in notes | where tag like \"a%\"",
    "find \"keys\" in notes | where year between 2000 and 2020",
    "find \"keys\" in notes | where not year between 2000 and 2020 and tag = \"a\"",
    "find \"keys\" in notes | where year not between 2000 and 2020",
    "find \"keys\" in notes | where year > 2000 and < 2020",
    "find \"keys\" in notes | where (year > 2000 and (tag = \"x\" | top 5",
    "find \"keys\" in notes | where year > 2000) | top 5",
    "find \"keys\" in notes | where | top 5",
    "find \"keys\" in notes | where year > 2000 and | top 5",
    "find \"keys\" in notes | where year >",
    "find \"keys\" in notes | where published | top 5",
    "find \"keys\" in notes | where date > 2020-01-31",
    "find \"keys\" in notes | where year > 2_000",
    "find \"keys\" in notes | where year > 99999999999999999999",
    "find \"keys\" in notes | where year + 1 > 2000",
    "find \"keys\" in notes | where my field = 1",
    "find \"keys\" in notes | where year ≥ 2020",
    // Places behind wide characters, and characters a terminal would act on.
    "find \"鍵はどこ？\" in notes | scor cosine",
    "find \"keys\" in notes | scor\u{1b}[31m cosine",
    "find \"a\u{1b}[2J\" in notes | limit 5",
    "find \"keys\"\u{200b} in notes",
    "find \"keys\" in notes\n  | normalize\n  | tpo 5",
];

/// Conditions with a mistake, as for `remove --where`.
const CONDITIONS: &[&str] = &[
    "",
    "where year > 2020",
    "year > 2020 | top 5",
    "year > 2020)",
    "(year > 2020",
    "year > 2020 tag = \"x\"",
    "tag = draft",
];

/// An error as plain text, much as the command line shows it.
fn sketch(error: &QueryError) -> String {
    let mut out = String::new();
    let start = error.text[..error.span.start].rfind('\n').map_or(0, |at| at + 1);
    let line = error.text[start..].lines().next().unwrap_or("");
    let mut gap = String::new();
    let mut shown = String::new();
    let mut carets = 0;
    for (at, c) in line.char_indices() {
        let c = if c.is_control() || crate::query::is_invisible(c) { '?' } else { c };
        shown.push(c);
        if start + at < error.span.start {
            gap.push(c);
        } else if start + at < error.span.end {
            carets += c.to_string().width();
        }
    }
    let _ = writeln!(out, "  {shown}");
    let _ = writeln!(out, "  {}{} {}", " ".repeat(gap.width()), "^".repeat(carets.max(1)), error.message);
    let _ = writeln!(out, "  [{}]", error.code);
    // A single thing that the message already names is not said twice.
    let said = error.expected.len() == 1 && error.message.contains(&error.expected[0]);
    if !error.expected.is_empty() && !said {
        let _ = writeln!(out, "  expected: {}", error.expected.join(", "));
    }
    for hint in &error.hints {
        let _ = writeln!(out, "  {hint}");
    }
    if let Some(corrected) = &error.corrected {
        let _ = writeln!(out, "  => {}", corrected.replace('\n', "\n     "));
    }
    out
}

/// What holds for every error, whatever was typed.
pub(super) fn check_error(typed: &str, error: &QueryError) {
    assert!(error.span.start <= error.span.end, "{typed:?}: {error:?}");
    assert!(error.text.get(error.span.clone()).is_some(), "{typed:?}: {error:?}");
    let safe = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n');
    assert!(safe(&error.message) && safe(&error.found), "{typed:?}: {error:?}");
    assert!(error.hints.iter().chain(&error.expected).chain(&error.corrected).all(|text| safe(text)), "{typed:?}");
}

#[test]
fn bad_errors() {
    let mut out = String::from("What is answered to typical mistakes. Written by `UPDATE=1 cargo test bad_errors`.\n");
    for typed in STATEMENTS {
        let error = parse(typed).expect_err(typed);
        check_error(typed, &error);
        if let Some(corrected) = &error.corrected {
            parse(corrected).unwrap_or_else(|error| panic!("{typed}: {corrected}: {error:?}"));
        }
        let _ = write!(out, "\n{}", sketch(&error));
    }
    out.push_str("\nConditions alone.\n");
    for typed in CONDITIONS {
        let error = parse_expr(typed).expect_err(typed);
        check_error(typed, &error);
        if let Some(corrected) = &error.corrected {
            parse_expr(corrected).unwrap_or_else(|error| panic!("{typed}: {corrected}: {error:?}"));
        }
        let _ = write!(out, "\n{}", sketch(&error));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/bad_errors.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &out).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    for (line, (kept, made)) in kept.lines().zip(out.lines()).enumerate() {
        assert_eq!(kept, made, "line {} of {}; UPDATE=1 writes the file anew", line + 1, path.display());
    }
    assert_eq!(kept.lines().count(), out.lines().count(), "UPDATE=1 writes {} anew", path.display());
}
