//! `simile learn`: a lens from labels, tested on those it has not seen.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::{Console, interruptible};
use crate::cli::progress::Reporter;
use crate::cli::render::learned::{fit_json, lines};
use crate::cli::render::text::one_line;
use crate::cli::shared_args::missing_collection;
use crate::error::Result;
use crate::interchange::labels::{LabelFiles, put_labels};
use crate::learn::{LearnProgress, Learner};
use crate::store::Store;
use crate::types::{Accept, LearnMethod, LearnMode};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// `--mode`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// A matrix for questions and one for records
    Pair,
    /// One matrix for both sides
    Same,
}

/// `--method`.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Method {
    /// Whichever ranks held-back labels best
    Auto,
    /// Training by contrast
    Infonce,
    /// The closed form
    Ridge,
    /// Discriminant analysis over classes
    Lda,
}

/// `--accept`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum AcceptBy {
    /// It must help with records that were not labelled
    NewRecords,
    /// It must help with new questions about labelled records
    KnownRecords,
    /// It must help with records of classes that were not labelled
    NewClasses,
}

/// Arguments of `learn`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Learn {
    /// The store
    store: PathBuf,
    /// Name of the lens
    lens: String,
    /// The collection
    #[arg(long = "in", value_name = "COLLECTION")]
    collection: String,
    /// The view whose vectors are compared
    #[arg(long, default_value = "raw")]
    view: String,
    /// The respect whose labels count [default: the lens's name]
    #[arg(long, value_name = "NAME")]
    respect: Option<String>,
    /// One matrix or two [default: pair; same where the questions are records]
    #[arg(long)]
    mode: Option<Mode>,
    /// How it is fitted
    #[arg(long, default_value = "auto")]
    method: Method,
    /// What must be shown for the lens to be used by name
    #[arg(long, value_name = "WHAT", default_value = "new-records")]
    accept: AcceptBy,
    /// Labels on the spot: queries as BEIR has them
    #[arg(long, value_name = "queries.jsonl", requires = "qrels", conflicts_with = "same_field")]
    queries: Option<PathBuf>,
    /// Vectors of these queries for the view; row i belongs to line i
    #[arg(long, value_name = "queries.npy", requires = "queries")]
    query_vectors: Option<PathBuf>,
    /// Labels on the spot: query-id, corpus-id and score with tabs between, after a header line
    #[arg(long, value_name = "train.tsv", requires = "queries")]
    qrels: Option<PathBuf>,
    /// Records with the same value of this field are alike
    #[arg(long, value_name = "FIELD")]
    same_field: Option<String>,
    /// Where chance comes from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long it may take, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Without the test on held-out labels; what is learned stays a candidate
    #[arg(long)]
    no_gate: bool,
}

impl Run for Learn {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        if store.snapshot()?.collections().iter().all(|def| def.name != self.collection) {
            return Err(missing_collection(&store, &self.collection));
        }
        let respect = self.respect.clone().unwrap_or_else(|| self.lens.clone());
        self.store_labels(&store, &respect, console)?;
        let mut learner = Learner::new(&store, &self.lens)
            .in_collection(&self.collection)
            .view(&self.view)
            .respect(respect.as_str())
            .seed(self.seed)
            .gated(!self.no_gate)
            .accept(match self.accept {
                AcceptBy::NewRecords => Accept::NewRecords,
                AcceptBy::KnownRecords => Accept::KnownRecords,
                AcceptBy::NewClasses => Accept::NewClasses,
            });
        if let Some(mode) = self.mode {
            learner = learner.mode(match mode {
                Mode::Pair => LearnMode::Pair,
                Mode::Same => LearnMode::Same,
            });
        }
        learner = match self.method {
            Method::Auto => learner,
            Method::Infonce => learner.method(LearnMethod::InfoNce),
            Method::Ridge => learner.method(LearnMethod::Ridge),
            Method::Lda => learner.method(LearnMethod::Lda),
        };
        if let Some(time) = self.time {
            learner = learner.time(time);
        }
        let reporter = console.reporter("learning");
        let heard = reporter.clone();
        learner = learner.on_progress(move |progress| hear(&heard, progress));
        let report = match learner.control(interruptible()).run() {
            Ok(report) => report,
            Err(error) => {
                if self.qrels.is_some() || self.same_field.is_some() {
                    console
                        .note(format!("note: the labels are kept all the same, as respect {:?}", one_line(&respect)));
                }
                return Err(error);
            }
        };
        reporter.commit(report.fit.records);
        reporter.clear();
        if console.json {
            console.document(&fit_json(&report))?;
            return Ok(Outcome::Done);
        }
        let style = console.style;
        for line in lines(&report, &self.store, &style) {
            console.line(line)?;
        }
        Ok(Outcome::Done)
    }
}

/// Moves the bar, or tells a program.
fn hear(reporter: &Reporter, progress: LearnProgress) {
    match progress {
        LearnProgress::Epoch { epoch, of, loss, validation } => {
            let what = format!("fitting · epoch {epoch} of {of} · loss {loss:.2} · {validation:.3} on validation");
            reporter.step(&what, epoch as u64, of as u64);
            reporter
                .event(&json!({"event": "epoch", "epoch": epoch, "of": of, "loss": loss, "validation": validation}));
        }
        LearnProgress::Finishing { epoch, of, loss } => {
            let what = format!("on all labels · epoch {epoch} of {of} · loss {loss:.2}");
            reporter.step(&what, epoch as u64, of as u64);
            reporter.event(&json!({"event": "finishing", "epoch": epoch, "of": of, "loss": loss}));
        }
        LearnProgress::Gate { done, of } => {
            reporter.step(&format!("held out · fold {done} of {of}"), done as u64, of as u64);
            reporter.event(&json!({"event": "gate", "done": done, "of": of}));
        }
    }
}

impl Learn {
    /// Stores the labels that came along.
    fn store_labels(&self, store: &Store, respect: &str, console: &mut Console) -> Result<()> {
        if let Some(field) = &self.same_field {
            let mut batch = store.begin()?;
            batch.put_class_respect(&self.collection, respect, field)?;
            batch.commit()?;
        }
        let (Some(queries), Some(qrels)) = (&self.queries, &self.qrels) else { return Ok(()) };
        let vectors = self.query_vectors.clone().map(|vectors| (vectors, self.view.clone()));
        let files = LabelFiles::Beir { queries: queries.clone(), vectors, qrels: qrels.clone() };
        let mut batch = store.begin()?;
        let import = put_labels(&mut batch, &self.collection, respect, &files, false)?;
        batch.commit()?;
        if import.stored.contradicting > 0 {
            let count = import.stored.contradicting;
            console.note(format!("note: {count} labels contradict earlier ones; the last word counts"));
        }
        Ok(())
    }
}

/// `30s`, `5m`, `1.5h`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().find(|(_, c)| c.is_alphabetic()) {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("a time is a number with s, m or h behind it".to_string()),
    };
    let seconds = number.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds * factor).ok());
    seconds.ok_or_else(|| "a time is a positive number with s, m or h behind it".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        for wrong in ["", "s", "-1s", "3 weeks", "nans", "1e300h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
