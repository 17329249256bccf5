//! `simile export`: a collection as JSONL, its vectors as `.npy`.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::{Console, interruptible};
use crate::cli::render::text::{count, safe, thousands};
use crate::error::Result;
use crate::interchange::export::{ExportReport, export};
use crate::interchange::output::publish;
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The store
    store: PathBuf,
    /// The collection
    collection: String,
    /// JSONL file to write, packed if it ends in .gz; `-` is standard output (with --json the report goes to standard
    /// error)
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Folder for one .npy file for each view, and what else it takes to make the collection again by one import
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
}

impl Run for Export {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_reader(&self.store)?;
        let snapshot = store.snapshot()?;
        // A name that does not exist must not leave an empty file behind.
        snapshot.collection(&self.collection)?;
        let reporter = console.reporter(&format!("exporting {}", self.collection));
        let control = reporter.listen(interruptible());
        let to_stdout = self.output == Path::new("-");
        let report = if to_stdout {
            let mut sink = |line: &str| console.line(line);
            let (report, files) = export(&snapshot, &self.collection, &mut sink, self.vectors.as_deref(), &control)?;
            console.flush()?;
            publish(files)?;
            report
        } else {
            snapshot.export_jsonl(&self.collection, &self.output, self.vectors.as_deref(), &control)?
        };
        reporter.clear();
        if to_stdout {
            // Standard output is the records', line by line; what is said about them goes beside it.
            if console.json {
                console.document_aside(&document(&self, &report))?;
            }
            return Ok(Outcome::Done);
        }
        if console.json {
            console.document(&document(&self, &report))?;
        } else {
            print(console, &self, &report)?;
        }
        Ok(Outcome::Done)
    }
}

fn document(arguments: &Export, report: &ExportReport) -> Json {
    let matrices: Vec<Json> = report
        .matrices
        .iter()
        .map(|matrix| {
            json!({
                "view": matrix.view, "file": matrix.file.display().to_string(), "rows": matrix.rows,
                "dimension": matrix.dimension, "absent": matrix.absent,
                "ids": matrix.ids.as_ref().map(|path| path.display().to_string()),
            })
        })
        .collect();
    json!({
        "file": arguments.output.display().to_string(), "records": report.records, "id": report.id_key,
        "text": report.text_key, "vectors": matrices, "again": again(arguments), "other_views": report.other_views,
    })
}

/// The command that makes the collection again in another store.
fn again(arguments: &Export) -> Option<String> {
    let vectors = arguments.vectors.as_ref()?;
    let [collection, output, vectors] =
        [arguments.collection.clone(), arguments.output.display().to_string(), vectors.display().to_string()]
            .map(|word| quoted(&word));
    Some(format!("simile import STORE {collection} {output} --vectors {vectors}"))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./@:+,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn print(console: &mut Console, arguments: &Export, report: &ExportReport) -> Result<()> {
    let output = &arguments.output;
    console.line(format!("{} in {}", count(report.records, "record"), safe(&output.display().to_string())))?;
    if arguments.vectors.is_none() && (report.id_key != "id" || report.text_key != "text") {
        console.line(format!(
            "  ids are in `{0}`, texts in `{1}` (import --id {0} --text {1})",
            safe(&report.id_key),
            safe(&report.text_key)
        ))?;
    }
    if let Some(again) = again(arguments) {
        console.line(format!("  makes it again: {}", safe(&again)))?;
    }
    if !report.other_views.is_empty() {
        let views = report.other_views.join(", ");
        console.line(format!("  without vectors and definition of view {}: --vectors DIR keeps them", safe(&views)))?;
    }
    for matrix in &report.matrices {
        let (file, rows) = (matrix.file.display().to_string(), thousands(matrix.rows));
        console.line(format!("  {rows} x {} in {}", matrix.dimension, safe(&file)))?;
        if let Some(ids) = &matrix.ids {
            let absent = count(matrix.absent, "record");
            console.line(format!(
                "    {absent} without a vector: the rows belong to the lines of {}",
                safe(&ids.display().to_string())
            ))?;
        }
    }
    Ok(())
}
