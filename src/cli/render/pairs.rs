//! Pairs as a person and as programs see them.
//!
//! Owns the table (two lines for a pair, one under the other, so that texts can be compared) and the other formats.

use super::answer::{header_lines, milliseconds, notes, number};
use super::format::{csv_line, markdown_cell, markdown_id, number_cell};
use super::shapes::{LensShape, PlanShape, lens_shape, plan_shape};
use super::style::Style;
use super::table::{Column, lines};
use super::text::{nought, thousands};
use crate::exec::{Pair, PairRecord, Pairs};
use serde::{Serialize, Serializer};

/// Most columns of an id.
const ID: usize = 28;

/// The lines of a list of pairs.
pub(crate) fn render_pairs(pairs: &Pairs, style: Style) -> Vec<String> {
    let mut out = header_lines(&pairs.header, Some(&pairs.plan), style);
    out.extend(notes(&pairs.notes, style));
    if !pairs.pairs.is_empty() {
        out.push(String::new());
        let columns = [Column::right(value_name(pairs)), Column::id("id", ID), Column::left("text", usize::MAX)];
        let line = |value: String, record: &PairRecord| vec![value, record.id.clone(), record.text.clone()];
        let two = |pair: &Pair| [line(number(pair.value, pair.metric), &pair.a), line(String::new(), &pair.b)];
        let rows: Vec<Vec<String>> = pairs.pairs.iter().flat_map(two).collect();
        out.extend(lines(&columns, &rows, style, 1));
    }
    out.push(String::new());
    out.push(format!(" {}", style.dim(footer(pairs))));
    out
}

fn footer(pairs: &Pairs) -> String {
    let plan = &pairs.plan;
    let compared = plan.scanned.saturating_sub(plan.undirected);
    let all = compared * compared.saturating_sub(1) / 2;
    let mut parts = vec![format!("{} of {} pairs", thousands(pairs.pairs.len() as u64), thousands(all))];
    if plan.matched < plan.rows {
        parts.push(format!("{} of {} records match", thousands(plan.matched), thousands(plan.rows)));
    }
    if plan.undirected > 0 {
        parts.push(format!("{} without direction", thousands(plan.undirected)));
    }
    if plan.absent > 0 {
        parts.push(format!("{} without a vector", thousands(plan.absent)));
    }
    parts.push(milliseconds(pairs.elapsed.as_secs_f64() * 1e3));
    parts.join(" · ")
}

fn value_name(pairs: &Pairs) -> &'static str {
    if pairs.header.metric.is_distance() { "distance" } else { "score" }
}

/// A list of pairs as INTERFACES has it.
pub(crate) struct PairsDocument<'a>(pub(crate) &'a Pairs);

#[derive(Serialize)]
struct Shape<'a> {
    query: &'a str,
    lens: LensShape<'a>,
    plan: PlanShape,
    notes: &'a [String],
    results: Vec<PairShape<'a>>,
    elapsed_ms: f64,
}

/// One pair: `score` or `distance`, never both.
#[derive(Serialize)]
struct PairShape<'a> {
    rank: u64,
    a: RecordShape<'a>,
    b: RecordShape<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f64>,
}

#[derive(Serialize)]
struct RecordShape<'a> {
    id: &'a str,
    text: &'a str,
}

impl<'a> From<&'a PairRecord> for RecordShape<'a> {
    fn from(record: &'a PairRecord) -> Self {
        RecordShape { id: &record.id, text: &record.text }
    }
}

impl<'a> From<&'a Pair> for PairShape<'a> {
    fn from(pair: &'a Pair) -> Self {
        let score = pair.distance().is_none().then_some(pair.value);
        PairShape { rank: pair.rank, a: (&pair.a).into(), b: (&pair.b).into(), score, distance: pair.distance() }
    }
}

impl Serialize for PairsDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = self.0;
        let shape = Shape {
            query: &pairs.statement,
            lens: lens_shape(&pairs.header),
            plan: plan_shape(&pairs.plan),
            notes: &pairs.notes,
            results: pairs.pairs.iter().map(PairShape::from).collect(),
            elapsed_ms: super::shapes::milliseconds(pairs.elapsed),
        };
        shape.serialize(serializer)
    }
}

/// One JSON object for each pair.
pub(crate) fn pairs_jsonl(pairs: &Pairs) -> Vec<String> {
    // A pair holds nothing that JSON cannot say.
    pairs.pairs.iter().map(|pair| serde_json::to_string(&PairShape::from(pair)).unwrap_or_default()).collect()
}

/// A header line and one line for each pair.
pub(crate) fn pairs_csv(pairs: &Pairs) -> Vec<String> {
    let title = ["rank", "a", "b", value_name(pairs), "a_text", "b_text"].map(Some);
    let mut lines = vec![csv_line(&title)];
    lines.extend(pairs.pairs.iter().map(|pair| {
        let (a, b) = (pair.a.clone(), pair.b.clone());
        csv_line(&[pair.rank.to_string(), a.id, b.id, number_cell(pair.value), a.text, b.text].map(Some))
    }));
    lines
}

/// A Markdown table.
pub(crate) fn pairs_markdown(pairs: &Pairs) -> Vec<String> {
    let mut lines = vec![
        format!("| rank | {} | a | b | text of a | text of b |", value_name(pairs)),
        "| ---: | ---: | --- | --- | --- | --- |".to_string(),
    ];
    lines.extend(pairs.pairs.iter().map(|pair| {
        let (a, b) = (markdown_id(&pair.a.id), markdown_id(&pair.b.id));
        let (text_a, text_b) = (markdown_cell(&pair.a.text), markdown_cell(&pair.b.text));
        let value = nought(format!("{:.4}", pair.value));
        format!("| {} | {value} | {a} | {b} | {text_a} | {text_b} |", pair.rank)
    }));
    lines
}
