//! Errors as a person and as a program see them.
//!
//! Owns the caret under a mistake: the line it is in, underlined at the columns it takes on the screen, then what was
//! expected, what may have been meant, and the statement repaired. And the JSON of INTERFACES for the same.

use super::style::Style;
use super::text::{safe, width};
use crate::error::{Error, QueryError};
use serde_json::{Value as Json, json};
use std::ops::Range;

/// Names listed in `expected` before the rest becomes `...`.
const EXPECTED: usize = 12;

/// An error for a person; ends with a line feed.
pub(crate) fn render_error(error: &Error, style: Style) -> String {
    match error.query() {
        Some(query) => render_query_error(query, error.message(), style),
        None => format!("{} {}\n", style.red("error:"), safe(error.message())),
    }
}

/// A query error with its place in the statement.
fn render_query_error(error: &QueryError, message: &str, style: Style) -> String {
    let mut out = String::new();
    let span = clamp(&error.span, &error.text);
    let (number, line, span) = line_of(&error.text, span);
    let several = error.text.trim_end().contains('\n');
    let margin = if several { format!("  {number} | ") } else { "  ".to_string() };
    let (before, marked, after) = split(line, &span);
    let (before, marked) = (on_screen(before), on_screen(marked));
    out.push_str(&format!("{margin}{before}{marked}{}\n", on_screen(after)));
    let carets = "^".repeat(width(&marked).max(1));
    let indent = " ".repeat(width(&margin) + width(&before));
    out.push_str(&format!("{indent}{} {}\n", style.red(carets), safe(message)));
    if !error.expected.is_empty() {
        let mut expected: Vec<&str> = error.expected.iter().take(EXPECTED).map(String::as_str).collect();
        if error.expected.len() > EXPECTED {
            expected.push("...");
        }
        out.push_str(&format!("expected {}\n", safe(&expected.join(", "))));
    }
    for hint in &error.hints {
        out.push_str(&format!("{}\n", safe(hint)));
    }
    if let Some(corrected) = &error.corrected {
        for line in corrected.lines() {
            out.push_str(&format!("  {}\n", style.accent(safe(line))));
        }
    }
    out
}

/// The span within the text, at character boundaries, whatever it was.
fn clamp(span: &Range<usize>, text: &str) -> Range<usize> {
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = boundary(span.start);
    start..boundary(span.end).max(start)
}

/// The line the span starts in: its number, its text, and the part of the span that lies in it.
fn line_of(text: &str, span: Range<usize>) -> (usize, &str, Range<usize>) {
    let before = text.get(..span.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let end = (span.end - start).min(line.len());
    let begin = (span.start - start).min(end.max(span.start - start));
    (before.matches('\n').count() + 1, line, begin.min(line.len())..end.max(begin.min(line.len())))
}

fn split<'a>(line: &'a str, span: &Range<usize>) -> (&'a str, &'a str, &'a str) {
    let get = |range: Range<usize>| line.get(range).unwrap_or_default();
    (get(0..span.start), get(span.clone()), get(span.end..line.len()))
}

/// Text as it stands on the screen: one line, tabs as blanks, controls written out.
fn on_screen(text: &str) -> String {
    safe(text).replace('\n', " ")
}

/// An error for a program, on one line.
pub(crate) fn render_error_json(error: &Error) -> String {
    json!({"error": error_json(error)}).to_string()
}

/// The object under `"error"`.
pub(crate) fn error_json(error: &Error) -> Json {
    let mut object = json!({
        "kind": error.kind().as_str(),
        "message": error.message(),
        "span": null,
        "expected": [],
        "found": null,
        "hints": [],
    });
    let Some(fields) = object.as_object_mut() else { return object };
    if let Some(query) = error.query() {
        fields.insert("span".to_string(), json!([query.span.start, query.span.end]));
        fields.insert("expected".to_string(), json!(query.expected));
        fields.insert("found".to_string(), json!(query.found));
        fields.insert("hints".to_string(), json!(query.hints));
        fields.insert("code".to_string(), json!(query.code));
        fields.insert("corrected".to_string(), json!(query.corrected));
    }
    if let Some(field) = error.field() {
        fields.insert("field".to_string(), json!(field));
    }
    if let Some(path) = error.path() {
        fields.insert("path".to_string(), json!(path.display().to_string()));
    }
    if let Some(damage) = error.damage() {
        fields.insert("damage".to_string(), super::shapes::damage_json(damage));
    }
    object
}

/// A complaint about arguments as JSON, on one line.
pub(crate) fn usage_json(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let hints: Vec<&str> = lines.collect();
    let error = json!({
        "kind": "usage", "message": first, "span": null, "expected": [], "found": null, "hints": hints,
    });
    json!({"error": error}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        let error = QueryError::new("test::code", "unknown stage", text, span)
            .expected(["view", "score"])
            .hint("did you mean `score`?")
            .corrected("find \"x\" in n | score cosine");
        render_error(&error.into(), Style::PLAIN)
    }

    #[test]
    fn a_mistake_is_underlined_and_answered() {
        let text = "find \"x\" in n | scor cosine";
        let want = "  find \"x\" in n | scor cosine\n                  ^^^^ unknown stage\nexpected view, score\n\
                    did you mean `score`?\n  find \"x\" in n | score cosine\n";
        assert_eq!(shown(text, 16..20), want);
    }

    #[test]
    fn carets_stand_under_wide_characters_and_behind_tabs() {
        let text = "find \"日本\" in\tn | scor";
        let at = text.find("scor").unwrap();
        let out = shown(text, at..at + 4);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "  find \"日本\" in    n | scor");
        assert_eq!(lines[1], format!("{}^^^^ unknown stage", " ".repeat(2 + 6 + 4 + 1 + 3 + 4 + 4)));
        let wide = shown("find 日本", 5..11);
        assert!(wide.contains("\n       ^^^^ "), "{wide}");
    }

    #[test]
    fn the_right_line_of_several_is_shown() {
        let text = "find \"x\" in n\n| center\n| scor cosine";
        let at = text.find("scor").unwrap();
        let out = shown(text, at..at + 4);
        assert!(out.starts_with("  3 | | scor cosine\n        ^^^^ unknown stage\n"), "{out}");
    }

    #[test]
    fn the_end_of_the_text_and_impossible_spans_are_pointed_at_safely() {
        for span in [13..13, 99..120, 5..999, 7..7] {
            let out = shown("find \"日本", span);
            assert!(out.contains('^'), "{out}");
        }
        let multi = shown("find\n\"x\nin", 2..9);
        assert!(multi.starts_with("  1 | find\n        ^^ "), "{multi}");
    }

    #[test]
    fn control_characters_of_a_statement_are_not_obeyed() {
        let out = shown("find \"\x1b[2J\" scor", 12..16);
        assert!(!out.contains('\x1b'), "{out:?}");
    }

    #[test]
    fn json_has_the_documented_fields() {
        let error = QueryError::new("c", "m", "find x", 5..6).expected(["text"]).hint("h");
        let json: Json = serde_json::from_str(&render_error_json(&error.into())).unwrap();
        let error = &json["error"];
        assert_eq!((&error["kind"], &error["message"]), (&json!("query"), &json!("m")));
        assert_eq!((&error["span"], &error["found"]), (&json!([5, 6]), &json!("x")));
        assert_eq!((&error["expected"], &error["hints"]), (&json!(["text"]), &json!(["h"])));
        let usage: Json = serde_json::from_str(&usage_json("error: unknown\n\n  tip: x\n")).unwrap();
        assert_eq!(usage["error"]["message"], json!("unknown"));
        assert_eq!(usage["error"]["hints"], json!(["tip: x"]));
    }
}
