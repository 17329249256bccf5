//! `simile diagnose`: what a view's vectors are like, and what that suggests to try.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::{Console, Style};
use crate::cli::render::shapes::milliseconds;
use crate::cli::render::text::{count, nought, one_line, safe, signed, signed_interval, thousands, wrap};
use crate::error::{Error, Result};
use crate::interchange::NpyReader;
use crate::interchange::read_queries;
use crate::learn::diagnose::{Diagnosis, Finding, LabelsSay, Queries, diagnose};
use crate::learn::try_lenses::Tried;
use crate::store::Snapshot;
use crate::types::Control;
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Lenses shown that labels call better.
const SHOWN_LENSES: usize = 3;

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Diagnose {
    /// The store
    store: PathBuf,
    /// The collection
    collection: String,
    /// The view [default: the first that has vectors]
    #[arg(long, value_name = "VIEW")]
    view: Option<String>,
    /// Queries to hold the records against: {"_id": ..., "text": ...} a line
    #[arg(long, value_name = "queries.jsonl", conflicts_with = "sample")]
    queries: Option<PathBuf>,
    /// Vectors of the queries; row i belongs to line i
    #[arg(long, value_name = "V.npy", requires = "queries")]
    query_vectors: Option<PathBuf>,
    /// A stored sample of queries to hold the records against
    #[arg(long, value_name = "NAME")]
    sample: Option<String>,
}

impl Run for Diagnose {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let begun = Instant::now();
        let snapshot = console.open_reader(&self.store)?.snapshot()?;
        let queries = match (&self.queries, &self.sample) {
            (Some(path), _) => Some(self.given(path)?),
            (None, Some(name)) => Some(self.stored(&snapshot, name)?),
            (None, None) => None,
        };
        let reporter = console.reporter("looking at vectors");
        let control = Control::new().on_progress({
            let reporter = reporter.clone();
            move |progress| {
                reporter.total(progress.total.unwrap_or(0));
                reporter.done(progress.done);
            }
        });
        let found = diagnose(&snapshot, &self.collection, self.view.as_deref(), queries.as_ref(), &control)?;
        drop(reporter);
        let seconds = milliseconds(begun.elapsed()) / 1e3;
        if console.json {
            console.document(&diagnosis_json(&found, seconds))?;
        } else {
            for line in render(&found, seconds, console.style) {
                console.line(line)?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl Diagnose {
    fn given(&self, path: &Path) -> Result<Queries> {
        let lines = read_queries(path)?;
        if lines.is_empty() {
            return Err(Error::invalid(format!("{} holds no queries", path.display())));
        }
        let Some(vectors) = &self.query_vectors else {
            return Ok(Queries::Texts(lines.into_iter().map(|line| line.text).collect()));
        };
        let mut reader = NpyReader::open(vectors)?;
        if reader.rows() != lines.len() as u64 {
            let (lines, rows) = (lines.len(), reader.rows());
            return Err(Error::invalid(format!("{lines} queries, but {rows} vectors: row i belongs to line i")));
        }
        Ok(Queries::Vectors(reader.read_rest()?))
    }

    fn stored(&self, snapshot: &Snapshot, name: &str) -> Result<Queries> {
        let Some(sample) = snapshot.sample(name)? else {
            let names: Vec<String> = snapshot.sample_heads()?.into_keys().collect();
            let listed = if names.is_empty() { "none is stored".to_string() } else { names.join(", ") };
            return Err(Error::not_found(format!("there is no sample {name:?} (samples: {listed})")));
        };
        let texts = sample.texts.iter().any(|text| !text.is_empty());
        match sample.vectors {
            Some(came) if self.view.as_ref().is_none_or(|view| *view == came.view) || !texts => {
                Ok(Queries::Vectors(came.data))
            }
            _ => Ok(Queries::Texts(sample.texts)),
        }
    }
}

/// A figure with as many digits as say something.
fn value_text(finding: &Finding) -> String {
    nought(match finding.key {
        "zero_rows" | "dead_dimensions" | "hub_most" => format!("{:.0}", finding.value),
        "near_duplicates" | "duplicates" | "antihubs" | "share_1" | "share_5" => {
            format!("{:.1} %", finding.value * 100.0)
        }
        "effective_rank" | "participation" => format!("{:.0}", finding.value),
        _ => format!("{:.3}", finding.value),
    })
}

/// What labels say of one lens: `MRR@10 +0.052 [+0.031, +0.072], better`.
fn verdict_text(tried: &Tried, measure: &str) -> String {
    let found = &tried.difference;
    let word = match (tried.clear, tried.worse) {
        (true, _) => ", better",
        (_, true) => ", worse",
        _ => ", which is no clear difference",
    };
    format!("{measure} {} {}{word}", signed(found.mean), signed_interval(found.low, found.high))
}

/// What the labels of the collection say of ready-made lenses: those that are better beyond doubt, the best first.
fn labels_lines(labels: &LabelsSay) -> Vec<String> {
    let report = &labels.report;
    let (respect, asked) = (one_line(&labels.respect), count(report.queries, "question"));
    let plain = format!("plain cosine {} {:.3}", report.measure, report.plain.mean);
    let mut lines = vec![format!("by the labels of {respect:?} ({asked}; {plain}):")];
    let better: Vec<&Tried> = report.tried.iter().filter(|tried| tried.clear).take(SHOWN_LENSES).collect();
    if better.is_empty() {
        lines.push(format!("  none of {} ready-made lenses is clearly better", report.tried.len()));
    }
    lines.extend(better.iter().map(|tried| format!("  {}  {}", tried.stages, verdict_text(tried, report.measure))));
    lines
}

fn render(found: &Diagnosis, seconds: f64, style: Style) -> Vec<String> {
    let (collection, view) = (one_line(&found.collection), one_line(&found.view));
    let asked = found.queries.map_or(String::new(), |queries| format!(" · {}", count(queries, "query")));
    let of = format!("{} of {}", thousands(found.sampled), count(found.records, "record"));
    let mut out = vec![style.accent(format!("{collection} · view {view} ({}-d) · {of}{asked}", found.dimension))];
    let widest = found.findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    for finding in &found.findings {
        let mark = if finding.flag { "!" } else { " " };
        let usual = if finding.usual.is_empty() { String::new() } else { format!("usual {}", finding.usual) };
        let line = format!("{mark} {:<widest$}  {:>8}  {usual}", finding.what, value_text(finding));
        let line = line.trim_end().to_string();
        out.push(if finding.flag { style.bold(line) } else { line });
        let width = style.width.saturating_sub(6).max(30);
        let means = wrap(&finding.means, width).into_iter().map(|line| format!("      {line}"));
        out.extend(means.map(|line| if finding.flag { line } else { style.dim(line) }));
        if let (Some(tried), Some(labels)) = (&finding.verdict, &found.labels) {
            out.push(format!("      by the labels: {}  {}", tried.stages, verdict_text(tried, labels.report.measure)));
        }
        // Commands stay whole, so that they can be pasted.
        let next = finding.try_next.iter().flat_map(|next| next.split("; then "));
        out.extend(next.enumerate().map(|(at, one)| format!("      {} {one}", if at == 0 { "try:" } else { "then" })));
        out.extend(finding.also.iter().map(|other| format!("      or:  {other}")));
    }
    out.extend(found.labels.iter().flat_map(labels_lines));
    out.extend(found.notes.iter().map(|note| style.dim(format!("note: {}", safe(note)))));
    let flagged = found.findings.iter().filter(|finding| finding.flag).count() as u64;
    let told =
        if flagged == 0 { "nothing unusual".to_string() } else { format!("{} unusual", count(flagged, "figure")) };
    out.push(style.dim(format!("{told} · thresholds are advice, earned on two models · {seconds:.1} s")));
    out
}

fn tried_json(tried: &Tried) -> Json {
    let found = &tried.difference;
    json!({
        "lens": tried.stages, "mean": tried.mean, "difference": found.mean, "low": found.low, "high": found.high,
        "better": tried.clear, "worse": tried.worse,
    })
}

fn diagnosis_json(found: &Diagnosis, seconds: f64) -> Json {
    let findings: Vec<Json> = found
        .findings
        .iter()
        .map(|finding| {
            json!({
                "key": finding.key, "what": finding.what, "value": finding.value, "usual": finding.usual,
                "flag": finding.flag, "means": finding.means, "try": finding.try_next, "or_try": finding.also,
                "verdict": finding.verdict.as_ref().map(tried_json),
            })
        })
        .collect();
    json!({
        "collection": found.collection, "view": found.view, "dimension": found.dimension, "records": found.records,
        "absent": found.absent,
        "sample": found.sampled, "queries": found.queries, "findings": findings, "notes": found.notes,
        "labels": found.labels.as_ref().map(|labels| json!({
            "respect": labels.respect, "metric": labels.report.measure, "queries": labels.report.queries,
            "plain": labels.report.plain.mean,
            "tried": labels.report.tried.iter().map(tried_json).collect::<Vec<_>>(),
        })),
        "seconds": seconds,
    })
}
