//! `simile try`: ready-made changes to a lens, held against labels.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::json::milliseconds;
use crate::cli::render::table::{Column, lines};
use crate::cli::render::text::{count, one_line, safe};
use crate::error::{Error, Result};
use crate::interchange::beir::{read_qrels, read_queries};
use crate::interchange::npy::NpyReader;
use crate::learn::try_lenses::{GivenQuestion, TryLabels, TryReport, try_lenses};
use crate::types::{Accept, Control};
use clap::{ArgGroup, Args};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `try`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("labels").required(true).args(["respect", "qrels"])))]
pub(in crate::cli) struct Try {
    /// The store
    store: PathBuf,
    /// The collection
    #[arg(long = "in", value_name = "COLLECTION")]
    collection: String,
    /// The view
    #[arg(long, value_name = "VIEW", default_value = "raw")]
    view: String,
    /// The respect whose labels decide
    #[arg(long, value_name = "R")]
    respect: Option<String>,
    /// Judgements in place of a respect: query-id, corpus-id and score with tabs between
    #[arg(long, value_name = "qrels.tsv", requires = "queries")]
    qrels: Option<PathBuf>,
    /// Their queries: {"_id": ..., "text": ...} a line
    #[arg(long, value_name = "queries.jsonl", requires = "qrels")]
    queries: Option<PathBuf>,
    /// Vectors of the queries; row i belongs to line i
    #[arg(long, value_name = "V.npy", requires = "queries")]
    query_vectors: Option<PathBuf>,
    /// What must be new to what is taken from questions: the records they ask for, or only the questions
    #[arg(long, value_name = "WHAT", default_value = "new-records")]
    accept: New,
    /// Where chance comes from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// What must be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum New {
    /// Questions about records that no other question asks for
    NewRecords,
    /// Questions alone
    KnownRecords,
}

impl Run for Try {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let begun = Instant::now();
        let labels = match &self.respect {
            Some(respect) => TryLabels::Respect(respect.clone()),
            None => TryLabels::Given(self.given()?),
        };
        let snapshot = console.open_reader(&self.store)?.snapshot()?;
        let reporter = console.reporter("trying");
        let control = Control::new().on_progress({
            let reporter = reporter.clone();
            move |progress| {
                reporter.total(progress.total.unwrap_or(0));
                reporter.done(progress.done);
            }
        });
        let accept = match self.accept {
            New::NewRecords => Accept::NewRecords,
            New::KnownRecords => Accept::KnownRecords,
        };
        let report = try_lenses(&snapshot, &self.collection, &self.view, &labels, accept, self.seed, &control)?;
        drop(reporter);
        let seconds = milliseconds(begun.elapsed()) / 1e3;
        if console.json {
            console.document(&report_json(&report, seconds))?;
        } else {
            print(console, &report, seconds)?;
        }
        Ok(Outcome::Done)
    }
}

impl Try {
    fn given(&self) -> Result<Vec<GivenQuestion>> {
        let (Some(queries), Some(qrels)) = (&self.queries, &self.qrels) else {
            return Err(Error::invalid("judgements need their queries: --qrels with --queries"));
        };
        let mut grades: HashMap<String, HashMap<String, i64>> = HashMap::new();
        for judgement in read_qrels(qrels)? {
            grades.entry(judgement.query).or_default().insert(judgement.record, judgement.grade);
        }
        let lines = read_queries(queries)?;
        let mut reader = self.query_vectors.as_deref().map(NpyReader::open).transpose()?;
        if let Some(reader) = reader.as_ref().filter(|reader| reader.rows() != lines.len() as u64) {
            let (lines, rows) = (lines.len(), reader.rows());
            return Err(Error::invalid(format!("{lines} queries, but {rows} vectors: row i belongs to line i")));
        }
        let mut questions = Vec::with_capacity(lines.len());
        for line in lines {
            let mut vector = None;
            if let Some(reader) = &mut reader {
                let mut row = Vec::new();
                reader.next_row(&mut row)?;
                vector = Some(row);
            }
            if let Some(grades) = grades.remove(&line.id) {
                questions.push(GivenQuestion { id: line.id, text: line.text, vector, grades });
            }
        }
        Ok(questions)
    }
}

fn print(console: &mut Console, report: &TryReport, seconds: f64) -> Result<()> {
    let (collection, view) = (one_line(&report.collection), one_line(&report.view));
    let left_out = match report.left_out {
        0 => String::new(),
        n => format!(" · {n} left out"),
    };
    let measure = report.measure;
    let asked = count(report.queries, "question");
    console.line(console.style.accent(format!("{collection} · view {view} · {asked}{left_out}")))?;
    let columns = [
        Column::left("lens", 40),
        Column::right(measure),
        Column::right("change"),
        Column::left("95 %", 16),
        Column::right("z"),
        Column::left("", 8),
    ];
    let percent = |value: f64| format!("{:.1}", value * 100.0);
    let mut rows: Vec<Vec<String>> = report
        .tried
        .iter()
        .map(|tried| {
            let found = &tried.difference;
            let z = found.z();
            vec![
                tried.stages.clone(),
                percent(tried.mean),
                format!("{:+.1}", found.mean * 100.0),
                format!("[{:+.1}, {:+.1}]", found.low * 100.0, found.high * 100.0),
                if z.is_finite() { format!("{z:.1}") } else { "-".to_string() },
                if tried.clear { "better".to_string() } else { String::new() },
            ]
        })
        .collect();
    let place = report.tried.iter().filter(|tried| tried.difference.mean > 0.0).count();
    let plain = ["score cosine (plain)", &percent(report.plain.mean), "", "", "", ""].map(str::to_string);
    rows.insert(place, plain.to_vec());
    for line in lines(&columns, &rows, console.style, 1) {
        console.line(line)?;
    }
    for note in &report.notes {
        console.line(console.style.dim(format!("note: {}", safe(note))))?;
    }
    console.line(console.style.dim(format!("nothing was saved · {seconds:.1} s")))
}

fn report_json(report: &TryReport, seconds: f64) -> Json {
    let tried: Vec<Json> = report
        .tried
        .iter()
        .map(|tried| {
            let (found, z) = (&tried.difference, tried.difference.z());
            json!({
                "lens": tried.stages, "mean": tried.mean, "difference": found.mean, "low": found.low, "high": found.high,
                "z": z.is_finite().then_some(z), "better": tried.clear,
            })
        })
        .collect();
    json!({
        "collection": report.collection, "view": report.view, "measure": report.measure, "queries": report.queries,
        "left_out": report.left_out,
        "plain": {"mean": report.plain.mean, "low": report.plain.low, "high": report.plain.high},
        "tried": tried, "notes": report.notes, "seconds": seconds,
    })
}
