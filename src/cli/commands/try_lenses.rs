//! `simile try`: ready-made changes to a lens, held against labels.

use super::Run;
use super::evaluate::odd_json;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::shapes::milliseconds;
use crate::cli::render::table::{Column, lines};
use crate::cli::render::text::{count, nought, one_line, safe, signed, signed_interval};
use crate::error::{Error, Result};
use crate::interchange::NpyReader;
use crate::interchange::{read_qrels, read_queries};
use crate::learn::labels::qrels;
use crate::learn::oddities::{Judgements, Named, Oddities};
use crate::learn::try_lenses::{GivenQuestion, Tried, TryLabels, TryReport, try_lenses};
use crate::store::Snapshot;
use crate::types::{Accept, Control};
use clap::{ArgGroup, Args};
use serde_json::{Value as Json, json};
use std::collections::HashSet;
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
    /// Leave the record whose id is the query's out of its hits, as where the queries are records
    #[arg(long, requires = "queries")]
    exclude_own_id: bool,
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
        let snapshot = console.open_reader(&self.store)?.snapshot()?;
        let (labels, odd) = match &self.respect {
            Some(respect) => {
                let stored = snapshot.labels(&self.collection, respect)?;
                let odd = Oddities::of(&qrels(&stored), Named::default(), |_| true, |_| Ok(true))?;
                (TryLabels::Respect(respect.clone()), odd)
            }
            None => self.given(&snapshot)?,
        };
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
            console.document(&report_json(&report, &odd, seconds))?;
        } else {
            print(console, &report, &odd, seconds)?;
        }
        Ok(Outcome::Done)
    }
}

impl Try {
    /// The judgements of the files, and what of them does not fit.
    fn given(&self, snapshot: &Snapshot) -> Result<(TryLabels, Oddities)> {
        let (Some(queries), Some(qrels)) = (&self.queries, &self.qrels) else {
            return Err(Error::invalid("judgements need their queries: --qrels with --queries"));
        };
        let mut judged = Judgements::default();
        for judgement in read_qrels(qrels)? {
            judged.say(&judgement.query, &judgement.record, judgement.grade);
        }
        let Judgements { qrels, contradicting } = judged;
        let lines = read_queries(queries)?;
        let asked: HashSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        let records = snapshot.collection(&self.collection)?;
        let has = |record: &str| Ok(records.row_of(record)?.is_some());
        let odd = Oddities::of(&qrels, contradicting, |query| asked.contains(query), has)?;
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
            if let Some(grades) = qrels.of(&line.id).cloned() {
                let own = self.exclude_own_id.then(|| line.id.clone());
                questions.push(GivenQuestion { id: line.id, text: line.text, vector, grades, own });
            }
        }
        Ok((TryLabels::Given(questions), odd))
    }
}

fn print(console: &mut Console, report: &TryReport, odd: &Oddities, seconds: f64) -> Result<()> {
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
        Column::right("difference"),
        Column::left("95 %", 22),
        Column::right("z"),
        Column::left("", 8),
    ];
    let fraction = |value: f64| format!("{value:.3}");
    let mut rows: Vec<Vec<String>> = report
        .tried
        .iter()
        .map(|tried| {
            let found = &tried.difference;
            let z = found.z();
            vec![
                tried.stages.clone(),
                fraction(tried.mean),
                signed(found.mean),
                signed_interval(found.low, found.high),
                if z.is_finite() { nought(format!("{z:.1}")) } else { "-".to_string() },
                verdict(tried).to_string(),
            ]
        })
        .collect();
    let place = report.tried.iter().filter(|tried| tried.difference.mean > 0.0).count();
    let plain = ["score cosine (plain)", &fraction(report.plain.mean), "", "", "", ""].map(str::to_string);
    rows.insert(place, plain.to_vec());
    for line in lines(&columns, &rows, console.style, 1) {
        console.line(line)?;
    }
    for note in report.notes.iter().cloned().chain(notes(report, odd)) {
        console.line(console.style.dim(format!("note: {}", safe(&note))))?;
    }
    console.line(console.style.dim(format!("nothing was saved · {seconds:.1} s")))
}

/// What the interval says: it is called better or worse where it excludes 0.
fn verdict(tried: &Tried) -> &'static str {
    match (tried.clear, tried.worse) {
        (true, _) => "better",
        (_, true) => "worse",
        _ => "",
    }
}

/// What does not fit the judgements, in words.
fn notes(report: &TryReport, odd: &Oddities) -> Vec<String> {
    let mut notes = odd.notes(&report.collection);
    if odd.unknown_queries.count > 0 {
        let some = odd.unknown_queries.text("judged query is", "judged queries are");
        notes.push(format!("{some} not in the file, and not counted"));
    }
    notes
}

fn report_json(report: &TryReport, odd: &Oddities, seconds: f64) -> Json {
    let tried: Vec<Json> = report
        .tried
        .iter()
        .map(|tried| {
            let (found, z) = (&tried.difference, tried.difference.z());
            json!({
                "lens": tried.stages, "mean": tried.mean, "difference": found.mean, "low": found.low,
                "high": found.high, "z": z.is_finite().then_some(z), "better": tried.clear, "worse": tried.worse,
            })
        })
        .collect();
    json!({
        "collection": report.collection, "view": report.view, "measure": report.measure, "metric": report.measure,
        "queries": report.queries,
        "left_out": report.left_out,
        "plain": {"mean": report.plain.mean, "low": report.plain.low, "high": report.plain.high},
        "tried": tried, "qrels": odd_json(odd), "seconds": seconds,
        "notes": report.notes.iter().cloned().chain(notes(report, odd)).collect::<Vec<_>>(),
    })
}
