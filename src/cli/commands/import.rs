//! `simile import`: JSONL into a collection.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::progress::Reporter;
use crate::cli::render::text::{count, safe};
use crate::error::{Error, Result};
use crate::interchange::{ImportListener, ImportOptions, ImportReport, ImportSpec, LineError};
use crate::types::ElementType;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bad lines that are shown to a person; `--json` lists all of them.
const SHOWN_LINES: usize = 20;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The store
    store: PathBuf,
    /// The collection; made when it is not there
    collection: String,
    /// JSONL, plain or gzip; `-` reads standard input
    file: PathBuf,
    /// Field that holds the id [default: id or _id]
    #[arg(long, value_name = "FIELD")]
    id: Option<String>,
    /// Field that holds the text
    #[arg(long, value_name = "FIELD", default_value = "text")]
    text: String,
    /// Matrix whose row i is the vector of line i (.npy), or the folder of an export, which makes the collection as it
    /// was
    #[arg(long, value_name = "X.npy|DIR", conflicts_with = "vector_field")]
    vectors: Option<PathBuf>,
    /// Field that holds a vector as a list of numbers; it is not kept as a field
    #[arg(long, value_name = "FIELD")]
    vector_field: Option<String>,
    /// View that supplied vectors go to
    #[arg(long, value_name = "NAME", default_value = "raw")]
    view: String,
    /// Add vectors to records that exist already, matched by id
    #[arg(long)]
    only_vectors: bool,
    /// Keep the good lines and list the bad ones
    #[arg(long)]
    skip_bad: bool,
    /// Records for each durable commit [default: one commit for all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    batch: Option<u64>,
    /// Replace records whose ids exist; of an id that comes twice the later line counts
    #[arg(long)]
    update: bool,
    /// With --update: supplied vectors stay although the text has changed
    #[arg(long, requires = "update")]
    keep_vectors: bool,
    /// Pass over records that are there already, identical
    #[arg(long)]
    resume: bool,
    /// Leave texts without vectors for now (`simile embed` fills them in)
    #[arg(long)]
    no_embed: bool,
    /// Element type of a new view of supplied vectors
    #[arg(long = "type", value_name = "TYPE")]
    element: Option<Element>,
}

/// `f32` or `f16`, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Element {
    /// 32-bit floats
    F32,
    /// 16-bit floats
    F16,
}

impl From<Element> for ElementType {
    fn from(element: Element) -> Self {
        match element {
            Element::F32 => ElementType::F32,
            Element::F16 => ElementType::F16,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    read: u64,
    inserted: u64,
    updated: u64,
    unchanged: u64,
    skipped: Vec<SkippedLine<'a>>,
    commits: u64,
    /// The last of them.
    commit: Option<u64>,
    without_words: u64,
    zero_vectors: u64,
    seconds: f64,
    notes: &'a [String],
}

#[derive(Serialize)]
struct SkippedLine<'a> {
    line: u64,
    field: Option<&'a str>,
    reason: &'a str,
}

/// Moves the bar and tells of commits.
struct Listener(Reporter);

impl ImportListener for Listener {
    fn line(&mut self, read: u64, share: &dyn Fn() -> Option<f64>) {
        // Drawing is bounded elsewhere; telling the bar of every line would still cost more than reading it.
        if read.is_multiple_of(64) {
            // The first buffers of a small file say little about its number of lines.
            if let Some(share) = share().filter(|share| *share > 0.0 && read >= 1024) {
                self.0.guess_total((read as f64 / share) as u64);
            }
            self.0.done(read);
        }
    }

    fn commit(&mut self, records: u64) {
        self.0.commit(records);
    }
}

impl Run for Import {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        if self.only_vectors && self.vectors.is_none() && self.vector_field.is_none() {
            return Err(Error::invalid("--only-vectors needs --vectors X.npy or --vector-field FIELD"));
        }
        let store = console.open_writer(&self.store)?;
        let name = self.file.file_name().unwrap_or(self.file.as_os_str()).to_string_lossy().into_owned();
        let reporter = console.reporter(&format!("importing {name}"));
        let collection = self.collection.clone();
        let options = self.options();
        let start = Instant::now();
        let control = crate::types::control::Control::new();
        let imported = store.import_jsonl_with(&collection, &options, &control, &mut Listener(reporter.clone()));
        reporter.clear();
        let report = imported?;
        let seconds = start.elapsed().as_secs_f64();
        if console.json {
            console.document(&document(&report, seconds))?;
        } else {
            print(console, &report, seconds)?;
        }
        Ok(Outcome::Done)
    }
}

impl Import {
    fn options(self) -> ImportOptions {
        ImportOptions {
            spec: ImportSpec {
                id: self.id,
                text: self.text,
                vector_field: self.vector_field,
                vector_view: self.view,
                view_texts: Vec::new(),
                only_vectors: self.only_vectors,
            },
            input: if self.file == Path::new("-") { PathBuf::from("-") } else { self.file },
            vectors: self.vectors,
            element: self.element.map(ElementType::from),
            batch: self.batch,
            skip_bad: self.skip_bad,
            update: self.update,
            keep_vectors: self.keep_vectors,
            resume: self.resume,
            no_embed: self.no_embed,
        }
    }
}

fn document(report: &ImportReport, seconds: f64) -> Document<'_> {
    let line = |problem: &'_ LineError| problem.line;
    Document {
        read: report.read,
        inserted: report.inserted,
        updated: report.updated,
        unchanged: report.unchanged,
        skipped: report
            .skipped
            .iter()
            .map(|problem| SkippedLine {
                line: line(problem),
                field: problem.field.as_deref(),
                reason: &problem.reason,
            })
            .collect(),
        commits: report.commits,
        commit: report.commit.map(|commit| commit.0),
        without_words: report.without_words,
        zero_vectors: report.zero_vectors,
        seconds: (seconds * 1000.0).round() / 1000.0,
        notes: &report.notes,
    }
}

fn print(console: &mut Console, report: &ImportReport, seconds: f64) -> Result<()> {
    let mut parts =
        vec![format!("{} in {seconds:.1} s ({})", count(report.inserted, "record"), count(report.commits, "commit"))];
    if report.updated > 0 {
        parts.push(format!("{} updated", count(report.updated, "record")));
    }
    if report.unchanged > 0 {
        parts.push(format!("{} there already", count(report.unchanged, "record")));
    }
    if !report.skipped.is_empty() {
        parts.push(format!("{} skipped", count(report.skipped.len() as u64, "line")));
    }
    console.line(parts.join(" · "))?;
    for problem in report.skipped.iter().take(SHOWN_LINES) {
        console.line(format!("  {}", safe(&problem.to_string())))?;
    }
    if report.skipped.len() > SHOWN_LINES {
        console.line(format!("  and {} more (--json lists all)", report.skipped.len() - SHOWN_LINES))?;
    }
    for note in &report.notes {
        console.line(format!("note: {}", safe(note)))?;
    }
    Ok(())
}
