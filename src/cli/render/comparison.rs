//! A comparison as a person and as programs see it: the answers of several lenses side by side.
//!
//! Owns the table (as many columns abreast as the screen has room for), the arrows that say how a record moved against
//! the first lens, and the shapes of the other formats. The arrows need no colour.

use super::answer::{header_lines, milliseconds, notes, number};
use super::format::{csv_line, markdown_cell, markdown_id, number_cell};
use super::shapes::{AnswerDocument, HitDocument};
use super::style::Style;
use super::text::{cut, nought, one_line, pad, pad_left, shown_id, width};
use crate::exec::{Agreement, Answer, Comparison, Hit};
use serde::{Serialize, Serializer};

/// Fewest columns of the screen that a lens's answer takes.
const LEAST: usize = 22;
/// Columns of the screen for the rank.
const RANK: usize = 4;
/// Columns of the screen for a score, and for how a record moved.
const SCORE: usize = 7;
const MOVED: usize = 4;

/// The lines of a comparison.
pub(crate) fn render_comparison(comparison: &Comparison, style: Style) -> Vec<String> {
    let mut out = Vec::new();
    let mut remarks: Vec<String> = Vec::new();
    for answer in &comparison.columns {
        out.extend(header_lines(&answer.header, Some(&answer.plan), style));
        remarks.extend(answer.notes.iter().cloned());
    }
    remarks.sort();
    remarks.dedup();
    out.extend(notes(&remarks, style));
    let room = style.width.saturating_sub(RANK);
    let abreast = (room / (LEAST + 2)).max(1).min(comparison.columns.len().max(1));
    let columns: Vec<usize> = (0..comparison.columns.len()).collect();
    if comparison.columns.iter().any(|answer| !answer.hits().is_empty()) {
        for group in columns.chunks(abreast) {
            out.push(String::new());
            out.extend(group_lines(comparison, group, room / abreast - 2, style));
        }
    }
    out.push(String::new());
    out.extend(agreement_lines(comparison, style));
    out
}

/// The columns of `group` abreast, each `columns` wide.
fn group_lines(comparison: &Comparison, group: &[usize], columns: usize, style: Style) -> Vec<String> {
    let mut title = pad_left("", RANK);
    for &idx in group {
        let name = comparison.lenses.get(idx).map(|name| one_line(name)).unwrap_or_default();
        title.push_str("  ");
        title.push_str(&pad(&cut(&name, columns), columns));
    }
    let cells: Vec<Vec<String>> = group.iter().map(|&idx| column_cells(comparison, idx, columns)).collect();
    let mut out = vec![style.dim(title.trim_end())];
    let rows = cells.iter().map(Vec::len).max().unwrap_or(0);
    let first_rank = comparison.columns.iter().filter_map(|answer| answer.hits().first()).map(|hit| hit.rank()).min();
    for row in 0..rows {
        let mut line = pad_left(&(first_rank.unwrap_or(1) + row as u64).to_string(), RANK);
        for column in &cells {
            line.push_str("  ");
            line.push_str(&pad(column.get(row).map_or("", String::as_str), columns));
        }
        out.push(line.trim_end().to_string());
    }
    out
}

fn column_cells(comparison: &Comparison, idx: usize, columns: usize) -> Vec<String> {
    let Some(answer) = comparison.columns.get(idx) else { return Vec::new() };
    let changes = comparison.changes(idx);
    let cell = |(hit, change): (&Hit, &Option<i64>)| {
        let mut cell = pad_left(&number(hit.value(), answer.header.metric), SCORE);
        if idx > 0 {
            cell.push(' ');
            cell.push_str(&pad(&moved(*change), MOVED));
        }
        let left = columns.saturating_sub(width(&cell) + 1);
        let id = cut(&shown_id(hit.id()), left).into_owned();
        let left = left.saturating_sub(width(&id) + 2);
        cell.push(' ');
        cell.push_str(&id);
        // A few letters of a text say nothing.
        if left >= 8 {
            cell.push_str("  ");
            cell.push_str(&cut(&one_line(&hit.text().chars().take(200).collect::<String>()), left));
        }
        cell
    };
    answer.hits().iter().zip(&changes).map(cell).collect()
}

/// `↑3`, `↓2`, `=`, or `new` where the first lens does not list the record.
fn moved(change: Option<i64>) -> String {
    match change {
        None => "new".to_string(),
        Some(0) => "=".to_string(),
        Some(places) if places > 0 => format!("↑{places}"),
        Some(places) => format!("↓{}", places.unsigned_abs()),
    }
}

fn agreement_lines(comparison: &Comparison, style: Style) -> Vec<String> {
    let k = comparison.columns.iter().map(|answer| answer.hits().len()).max().unwrap_or(0);
    let words = |agreement: &Agreement| {
        let overlap = agreement.overlap.map_or("-".to_string(), |overlap| format!("{overlap:.2}"));
        let correlation = agreement.rank_correlation.map_or("-".to_string(), |tau| nought(format!("{tau:.2}")));
        format!("overlap@{k} {overlap} · rank correlation {correlation} (of {} shared)", agreement.shared)
    };
    let elapsed = milliseconds(comparison.elapsed.as_secs_f64() * 1e3);
    if let [agreement] = comparison.agreements.as_slice() {
        return vec![format!(" {}", style.dim(format!("{} · {elapsed}", words(agreement))))];
    }
    let name = |idx: usize| comparison.lenses.get(idx).map(|name| one_line(name)).unwrap_or_default();
    let line = |agreement: &Agreement| {
        format!("{} and {}: {}", name(agreement.first), name(agreement.second), words(agreement))
    };
    let mut out: Vec<String> =
        comparison.agreements.iter().map(|agreement| format!(" {}", style.dim(line(agreement)))).collect();
    out.push(format!(" {}", style.dim(elapsed)));
    out
}

/// A comparison as INTERFACES has it.
pub(crate) struct ComparisonDocument<'a>(pub(crate) &'a Comparison);

#[derive(Serialize)]
struct Shape<'a> {
    query: &'a str,
    lenses: &'a [String],
    columns: Vec<AnswerDocument<'a>>,
    overlap: Figures,
    rank_correlation: Figures,
    pairs: Vec<PairShape<'a>>,
    changes: Vec<Vec<Option<i64>>>,
    elapsed_ms: f64,
}

/// One number for two columns, a list for more.
#[derive(Serialize)]
#[serde(untagged)]
enum Figures {
    One(Option<f64>),
    Many(Vec<Option<f64>>),
}

#[derive(Serialize)]
struct PairShape<'a> {
    lenses: [&'a str; 2],
    shared: u64,
    overlap: Option<f64>,
    rank_correlation: Option<f64>,
}

impl Serialize for ComparisonDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let comparison = self.0;
        let agreements = &comparison.agreements;
        let figures = |of: fn(&Agreement) -> Option<f64>| match agreements.as_slice() {
            [agreement] => Figures::One(of(agreement)),
            many => Figures::Many(many.iter().map(of).collect()),
        };
        let name = |idx: usize| comparison.lenses.get(idx).map(String::as_str).unwrap_or_default();
        let shape = Shape {
            query: &comparison.statement,
            lenses: &comparison.lenses,
            columns: comparison.columns.iter().map(AnswerDocument).collect(),
            overlap: figures(|agreement| agreement.overlap),
            rank_correlation: figures(|agreement| agreement.rank_correlation),
            pairs: agreements
                .iter()
                .map(|agreement| PairShape {
                    lenses: [name(agreement.first), name(agreement.second)],
                    shared: agreement.shared,
                    overlap: agreement.overlap,
                    rank_correlation: agreement.rank_correlation,
                })
                .collect(),
            changes: (0..comparison.columns.len()).map(|idx| comparison.changes(idx)).collect(),
            elapsed_ms: super::shapes::milliseconds(comparison.elapsed),
        };
        shape.serialize(serializer)
    }
}

#[derive(Serialize)]
struct LineShape<'a> {
    lens: &'a str,
    change: Option<i64>,
    #[serde(flatten)]
    hit: HitDocument<'a>,
}

/// One JSON object for each hit of each lens.
pub(crate) fn comparison_jsonl(comparison: &Comparison) -> Vec<String> {
    let lines = hits(comparison).map(|(lens, hit, change)| {
        // A hit holds nothing that JSON cannot say.
        serde_json::to_string(&LineShape { lens, change, hit: HitDocument::from(hit) }).unwrap_or_default()
    });
    lines.collect()
}

/// A header line and one line for each hit of each lens.
pub(crate) fn comparison_csv(comparison: &Comparison) -> Vec<String> {
    let title = ["lens", "rank", "id", "value", "change", "text"].map(Some);
    let mut lines = vec![csv_line(&title)];
    lines.extend(hits(comparison).map(|(lens, hit, change)| {
        csv_line(&[
            Some(lens.to_string()),
            Some(hit.rank().to_string()),
            Some(hit.id().to_string()),
            Some(number_cell(hit.value())),
            change.map(|places| places.to_string()),
            Some(hit.text().to_string()),
        ])
    }));
    lines
}

/// A Markdown table: a row for each rank, a column for each lens.
pub(crate) fn comparison_markdown(comparison: &Comparison) -> Vec<String> {
    let names: Vec<String> = comparison.lenses.iter().map(|name| markdown_cell(name)).collect();
    let mut lines =
        vec![format!("| rank | {} |", names.join(" | ")), format!("| ---: |{}", " --- |".repeat(names.len()))];
    let rows = comparison.columns.iter().map(|answer| answer.hits().len()).max().unwrap_or(0);
    let changes: Vec<Vec<Option<i64>>> = (0..names.len()).map(|idx| comparison.changes(idx)).collect();
    for row in 0..rows {
        let rank =
            comparison.columns.iter().find_map(|answer| Some(answer.hits().get(row)?.rank())).unwrap_or_default();
        let cell = |(idx, answer): (usize, &Answer)| {
            let Some(hit) = answer.hits().get(row) else { return String::new() };
            let change = changes.get(idx).and_then(|changes| changes.get(row)).copied().flatten();
            let moved = if idx == 0 { String::new() } else { format!(" ({})", moved(change)) };
            format!("{} {}{moved}", markdown_id(hit.id()), nought(format!("{:.4}", hit.value())))
        };
        let cells: Vec<String> = comparison.columns.iter().enumerate().map(cell).collect();
        lines.push(format!("| {rank} | {} |", cells.join(" | ")));
    }
    lines
}

/// Every hit with its lens and how it moved.
fn hits(comparison: &Comparison) -> impl Iterator<Item = (&str, &Hit, Option<i64>)> {
    comparison.lenses.iter().zip(&comparison.columns).enumerate().flat_map(|(idx, (lens, answer))| {
        let changes = comparison.changes(idx);
        answer.hits().iter().zip(changes).map(move |(hit, change)| (lens.as_str(), hit, change))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_read_without_colour() {
        assert_eq!([Some(3), Some(-2), Some(0), None].map(moved), ["↑3", "↓2", "=", "new"]);
    }
}
