//! `simile check`: is everything on disk what was written?

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::json::damage_json;
use crate::cli::render::text::{bytes, count, safe, thousands};
use crate::error::Result;
use crate::store::CheckReport;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The store
    store: PathBuf,
}

impl Run for Check {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let reporter = console.reporter("checking");
        let checked = console.open_reader(&self.store).and_then(|store| store.check_with(&reporter.control()));
        reporter.clear();
        let report = match checked {
            Ok(report) => report,
            // A store too damaged to be opened is what `check` was asked about, not a failure of the check.
            Err(error) => match error.damage() {
                Some(damage) => CheckReport {
                    findings: vec![damage.clone()],
                    notes: Vec::new(),
                    records: 0,
                    segments: 0,
                    bytes_checked: 0,
                },
                None => return Err(error),
            },
        };
        if console.json {
            console.document(&json!({
                "ok": report.is_ok(),
                "findings": report.findings.iter().map(damage_json).collect::<Vec<_>>(),
                "records": report.records,
                "segments": report.segments,
                "bytes_checked": report.bytes_checked,
                "notes": report.notes,
            }))?;
        } else {
            print(console, &report)?;
        }
        Ok(if report.is_ok() { Outcome::Done } else { Outcome::Nothing })
    }
}

fn print(console: &mut Console, report: &CheckReport) -> Result<()> {
    for finding in &report.findings {
        let offset = thousands(finding.offset);
        console.line(safe(&format!(
            "{} offset {offset}: {}: expected {}, found {}",
            finding.file.display(),
            finding.what,
            finding.expected,
            finding.found
        )))?;
    }
    for note in &report.notes {
        console.line(format!("note: {}", safe(note)))?;
    }
    let seen = format!(
        "{} · {} · {} read",
        count(report.records, "record"),
        count(report.segments, "segment"),
        bytes(report.bytes_checked)
    );
    match report.findings.len() as u64 {
        0 => console.line(format!("{seen} · all checksums hold")),
        findings => console.line(format!("{} · {seen}", count(findings, "finding"))),
    }
}
