//! `why` as a person and as programs see it: what happened to the query and the record, and what the score adds up
//! from.
//!
//! Owns the wording of each step by what it did: something moved, a length kept, a length made 1.

use super::answer::{header_lines, milliseconds, notes, number, pairs_of};
use super::shapes::{LensShape, lens_shape};
use super::style::Style;
use super::text::{count, cut, date, nought, one_line, pad, safe, shown_id, thousands, width};
use crate::exec::{CalibratedValue, Change, Standing, Why, WhyPart, WhyStep, WhyTerm};
use crate::types::Metric;
use serde::{Serialize, Serializer};

/// Most columns of a step's name.
const NAME: usize = 24;

/// The lines of an explanation.
pub(crate) fn render_why(why: &Why, style: Style) -> Vec<String> {
    let mut out = header_lines(&why.header, None, style);
    out.extend(notes(&why.notes, style));
    let text = why.text.chars().take(400).collect::<String>();
    out.push(cut(&format!("{}  {}", shown_id(&why.id), one_line(&text)), style.width).into_owned());
    out.push(style.bold(headline(why)));
    out.extend(plain_line(why));
    let several = why.parts.len() > 1;
    for part in &why.parts {
        if several {
            out.push(String::new());
            out.push(part_line(part));
        }
        out.extend(part_lines(part));
    }
    if let Some(background) = &why.background {
        let what = if metric_of(why).is_distance() { "nearer than" } else { "above" };
        let share = background.percentile;
        let (pairs, of) = (thousands(background.pairs), pairs_of(background.questions.as_deref()));
        let text = format!("{what} {share:.1} % of {pairs} random pairs{of} under this lens");
        out.push(row("background", &text, why.parts.last().map_or(0, name_columns)));
    }
    if let Some(calibrated) = &why.calibrated {
        out.push(row("probability", &probability_text(calibrated), why.parts.last().map_or(0, name_columns)));
    }
    out.push(format!(" {}", style.dim(milliseconds(why.elapsed.as_secs_f64() * 1e3))));
    out
}

/// The metric of the value; of a blend, whose score is a sum, `dot`.
fn metric_of(why: &Why) -> Metric {
    match why.parts.as_slice() {
        [part] if why.header.blend.is_empty() => part.metric,
        _ => why.header.metric,
    }
}

fn headline(why: &Why) -> String {
    let metric = metric_of(why);
    let word = if metric.is_distance() { "distance" } else { "score" };
    let metric_name = why.parts.first().filter(|_| why.header.blend.is_empty());
    let metric_name = metric_name.map_or(why.header.metric_name(), |part| part.metric.as_str());
    let value = why.value.map(|value| format!("{word} {} = {metric_name}", number(value, metric)));
    let place = match (why.standing, why.rank) {
        (Standing::Ranked, Some(rank)) => {
            let listed = if why.listed { "" } else { ", not listed" };
            format!("rank {} of {}{listed}", thousands(rank), thousands(why.ranked))
        }
        (Standing::LeftOut, _) => "left out: the source names it (including self keeps it)".to_string(),
        (Standing::Filtered, _) => "not ranked: it does not satisfy the condition".to_string(),
        (Standing::Undirected, _) => "not ranked: it has no direction under this lens".to_string(),
        (Standing::Absent, _) => "not ranked: it has no vector in the view".to_string(),
        _ => String::new(),
    };
    let probability = why.probability.map(|probability| format!("probability {probability:.3}"));
    value.into_iter().chain(probability).chain([place]).collect::<Vec<_>>().join(" · ")
}

fn probability_text(calibrated: &CalibratedValue) -> String {
    let error = calibrated.error.map_or(String::new(), |error| format!(" ± {error:.2}"));
    let origin = match (calibrated.labels, calibrated.time) {
        (0, _) => "supplied scale and bias".to_string(),
        (labels, Some(time)) => format!("{}, {}", count(labels, "judged hit"), date(time)),
        (labels, None) => count(labels, "judged hit"),
    };
    let stale = calibrated.stale.as_ref().map_or(String::new(), |stale| format!("; {}", safe(stale)));
    format!("{:.2}{error} ({origin}){stale}", calibrated.probability)
}

fn plain_line(why: &Why) -> Option<String> {
    let plain = why.plain?;
    let ranks = match (plain.rank, why.rank) {
        (Some(before), Some(now)) => format!(" (rank {} -> {})", thousands(before), thousands(now)),
        _ => String::new(),
    };
    Some(format!("plain cosine says {}{ranks}", nought(format!("{:.3}", plain.cosine))))
}

fn part_line(part: &WhyPart) -> String {
    let name = one_line(part.lens.name.as_deref().unwrap_or(&part.lens.view));
    let value = part.value.map_or("-".to_string(), |value| number(value, part.metric));
    format!("{} * {name}: {} {value}", crate::query::print_number(part.weight), part.metric.as_str())
}

fn part_lines(part: &WhyPart) -> Vec<String> {
    let columns = name_columns(part);
    let mut out = vec![row("before", &before(part), columns)];
    out.extend(part.steps.iter().map(|step| row(&step.step, &step_text(step), columns)));
    if let Some(sum) = part.sum {
        out.push(row("terms", &terms_title(part), columns));
        out.extend(part.terms.iter().map(|term| row(&format!("  {}", term.name), &term_text(term), columns)));
        out.push(row("sum", &number(sum, part.metric), columns));
    }
    out
}

/// Columns that the names of a part's lines take.
fn name_columns(part: &WhyPart) -> usize {
    let names = part.steps.iter().map(|step| width(&one_line(&step.step)));
    let names = names.chain(part.terms.iter().map(|term| width(&one_line(&term.name)) + 2));
    names.chain(["probability".len()]).max().unwrap_or(0).min(NAME)
}

fn row(name: &str, text: &str, columns: usize) -> String {
    let indented = if name.starts_with("  ") { "  " } else { "" };
    let name = format!("{indented}{}", one_line(name));
    format!("  {}  {text}", pad(&cut(&name, columns), columns))
}

fn before(part: &WhyPart) -> String {
    let record = part.record_norm.map_or("no record vector".to_string(), |norm| format!("|x| {}", short(norm)));
    let angle = part.angle.map(|angle| format!("  angle {angle:.0}°")).unwrap_or_default();
    format!("|q| {}  {record}{angle}", short(part.query_norm))
}

/// A length or a term with as many digits as say something.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e5 || (size > 0.0 && size < 5e-4) { format!("{value:.2e}") } else { nought(format!("{value:.3}")) }
}

fn step_text(step: &WhyStep) -> String {
    let Some(record) = &step.record else {
        return "leaves nothing of the record: no direction".to_string();
    };
    let query = &step.query;
    let unit = |change: &Change| (change.after - 1.0).abs() < 1e-9 && change.moved.is_some();
    match (query.moved, record.moved) {
        // What ends at length 1 on both sides was a division by the lengths.
        (Some(_), Some(_)) if unit(query) && unit(record) => {
            format!("length of the query {} -> 1, of the record {} -> 1", short(query.before), short(record.before))
        }
        (Some(asked), Some(moved)) if !step.step.starts_with("project") => {
            format!("moved the query by {}, the record by {}", short(asked), short(moved))
        }
        _ => format!("keeps {} of the query's length, {} of the record's", kept(query), kept(record)),
    }
}

fn kept(change: &Change) -> String {
    if change.before > 0.0 { short(change.after / change.before) } else { "-".to_string() }
}

fn terms_title(part: &WhyPart) -> String {
    if part.metric.is_distance() { "of the squared distance".to_string() } else { "of the score".to_string() }
}

fn term_text(term: &WhyTerm) -> String {
    format!("{} * {} = {}", short(term.scalar), short(term.product), short(term.value))
}

/// An explanation for programs.
pub(crate) struct WhyDocument<'a>(pub(crate) &'a Why);

#[derive(Serialize)]
struct Shape<'a> {
    query: &'a str,
    id: &'a str,
    text: &'a str,
    lens: LensShape<'a>,
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    calibrated: Option<CalibratedShape<'a>>,
    rank: Option<u64>,
    listed: bool,
    ranked: u64,
    plain: Option<PlainShape>,
    background: Option<BackgroundShape>,
    parts: Vec<PartShape<'a>>,
    notes: &'a [String],
    elapsed_ms: f64,
}

#[derive(Serialize)]
struct PlainShape {
    cosine: f64,
    rank: Option<u64>,
}

#[derive(Serialize)]
struct CalibratedShape<'a> {
    probability: f64,
    error: Option<f64>,
    labels: u64,
    time: Option<u64>,
    stale: Option<&'a str>,
}

#[derive(Serialize)]
struct BackgroundShape {
    pairs: u64,
    of: &'static str,
    above: f64,
}

#[derive(Serialize)]
struct PartShape<'a> {
    weight: f64,
    lens: LensShape<'a>,
    value: Option<f64>,
    query_norm: f64,
    record_norm: Option<f64>,
    angle: Option<f64>,
    steps: Vec<StepShape<'a>>,
    terms: Vec<TermShape<'a>>,
    sum: Option<f64>,
}

#[derive(Serialize)]
struct StepShape<'a> {
    step: &'a str,
    query: ChangeShape,
    record: Option<ChangeShape>,
}

#[derive(Serialize)]
struct ChangeShape {
    before: f64,
    after: f64,
    moved: Option<f64>,
}

impl From<Change> for ChangeShape {
    fn from(change: Change) -> Self {
        ChangeShape { before: change.before, after: change.after, moved: change.moved }
    }
}

#[derive(Serialize)]
struct TermShape<'a> {
    name: &'a str,
    scalar: f64,
    product: f64,
    value: f64,
}

fn part_shape(part: &WhyPart) -> PartShape<'_> {
    let step = |step: &'_ WhyStep| (step.query.into(), step.record.map(ChangeShape::from));
    PartShape {
        weight: part.weight,
        lens: lens_shape(&part.lens),
        value: part.value,
        query_norm: part.query_norm,
        record_norm: part.record_norm,
        angle: part.angle,
        steps: part
            .steps
            .iter()
            .map(|traced| {
                let (query, record) = step(traced);
                StepShape { step: &traced.step, query, record }
            })
            .collect(),
        terms: part
            .terms
            .iter()
            .map(|term| TermShape { name: &term.name, scalar: term.scalar, product: term.product, value: term.value })
            .collect(),
        sum: part.sum,
    }
}

impl Serialize for WhyDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let why = self.0;
        let is_distance = metric_of(why).is_distance();
        let shape = Shape {
            query: &why.statement,
            id: &why.id,
            text: &why.text,
            lens: lens_shape(&why.header),
            standing: why.standing.as_str(),
            score: why.value.filter(|_| !is_distance),
            distance: why.value.filter(|_| is_distance),
            probability: why.probability,
            calibrated: why.calibrated.as_ref().map(|found| CalibratedShape {
                probability: found.probability,
                error: found.error,
                labels: found.labels,
                time: found.time,
                stale: found.stale.as_deref(),
            }),
            rank: why.rank,
            listed: why.listed,
            ranked: why.ranked,
            plain: why.plain.map(|plain| PlainShape { cosine: plain.cosine, rank: plain.rank }),
            background: why.background.as_ref().map(|background| BackgroundShape {
                pairs: background.pairs,
                of: if background.questions.is_some() { "questions" } else { "records" },
                above: (background.percentile * 10.0).round() / 1000.0,
            }),
            parts: why.parts.iter().map(part_shape).collect(),
            notes: &why.notes,
            elapsed_ms: super::shapes::milliseconds(why.elapsed),
        };
        shape.serialize(serializer)
    }
}
