//! Answers for other programs: one hit a line, comma-separated values, Markdown.
//!
//! Owns the quoting of each format. Fields become columns of their own where a format has columns.

use super::shapes::HitDocument;
use super::text::{nought, one_line, shown_id};
use crate::exec::Answer;
use crate::interchange::jsonl::{json_of, json_text};
use crate::types::Value;
use std::collections::BTreeSet;

/// How `simile query` prints an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For a person
    Table,
    /// One document
    Json,
    /// One hit a line
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
    /// A Markdown table
    Markdown,
}

/// One JSON object for each hit.
pub(crate) fn jsonl(answer: &Answer) -> Vec<String> {
    let lines = answer.hits().iter().map(|hit| serde_json::to_string(&HitDocument::from(hit)));
    // A hit holds nothing that JSON cannot say.
    lines.map(Result::unwrap_or_default).collect()
}

/// A header line and one line for each hit, quoted as RFC 4180 has it.
pub(crate) fn csv(answer: &Answer) -> Vec<String> {
    let fields = field_names(answer);
    let value_name = value_name(answer);
    let own = ["rank", "id", value_name, "percentile", "text"];
    let mut title: Vec<Option<String>> = own.map(|name| Some(name.to_string())).to_vec();
    title.extend(
        fields
            .iter()
            .map(|field| Some(if own.contains(field) { format!("fields.{field}") } else { (*field).to_string() })),
    );
    let mut lines = vec![csv_line(&title)];
    lines.extend(answer.hits().iter().map(|hit| {
        let percentile = hit.percentile().map(number_cell);
        let (rank, id, text) = (hit.rank().to_string(), hit.id().to_string(), hit.text().to_string());
        let mut cells = vec![Some(rank), Some(id), Some(number_cell(hit.value())), percentile, Some(text)];
        cells.extend(fields.iter().map(|field| hit.fields().get(*field).and_then(cell)));
        csv_line(&cells)
    }));
    lines
}

/// A Markdown table with rank, score, id and text.
pub(crate) fn markdown(answer: &Answer) -> Vec<String> {
    let mut lines =
        vec![format!("| rank | {} | id | text |", value_name(answer)), "| ---: | ---: | --- | --- |".to_string()];
    lines.extend(answer.hits().iter().map(|hit| {
        let (id, text) = (markdown_id(hit.id()), markdown_cell(hit.text()));
        format!("| {} | {} | {id} | {text} |", hit.rank(), nought(format!("{:.4}", hit.value())))
    }));
    lines
}

fn value_name(answer: &Answer) -> &'static str {
    if answer.header.metric.is_distance() { "distance" } else { "score" }
}

fn field_names(answer: &Answer) -> BTreeSet<&str> {
    answer.hits().iter().flat_map(|hit| hit.fields().keys().map(String::as_str)).collect()
}

/// A score as JSON has it, so that it comes back as the same f64.
pub(super) fn number_cell(value: f64) -> String {
    json_of(&Value::Float(value)).to_string()
}

fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text.clone()),
        other => Some(json_text(other)),
    }
}

/// One line; `None` is nothing between two commas, and a text without characters is `""`, as DuckDB and PostgreSQL tell
/// null from an empty text.
pub(super) fn csv_line<C: AsRef<str>>(cells: &[Option<C>]) -> String {
    let quoted = cells.iter().map(|cell| match cell.as_ref().map(AsRef::as_ref) {
        None => String::new(),
        Some(cell) if cell.is_empty() || cell.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", cell.replace('"', "\"\""))
        }
        Some(cell) => cell.to_string(),
    });
    quoted.collect::<Vec<_>>().join(",")
}

pub(super) fn markdown_cell(text: &str) -> String {
    markdown_escaped(&one_line(text))
}

/// An id, in quotes where it would not be shown as it is.
pub(super) fn markdown_id(id: &str) -> String {
    markdown_escaped(&shown_id(id))
}

fn markdown_escaped(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_would_break_a_line() {
        let cells = [Some("a"), Some("b,c"), Some("say \"x\""), Some("two\nlines"), None];
        assert_eq!(csv_line(&cells), "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",");
    }

    #[test]
    fn csv_tells_null_from_an_empty_text() {
        let cells =
            [Value::Text(String::new()), Value::Null, Value::Text("null".to_string())].map(|value| cell(&value));
        assert_eq!(csv_line(&cells), "\"\",,null");
    }

    #[test]
    fn markdown_cells_stay_in_their_cell() {
        assert_eq!(markdown_cell("a|b\n<i>\x1b"), "a\\|b \\<i\\>\\\\u{1b}");
        assert_eq!(markdown_id("a\n  b"), "\"a\\\\n  b\"");
    }
}
