//! `simile check`: is everything on disk what was written?

use crate::cli::Outcome;
use crate::cli::commands::Run;
use crate::cli::console::Console;
use crate::cli::render::shapes::damage_json;
use crate::cli::render::text::{bytes, count, safe, thousands};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::store::{CheckReport, Salvaged, Store};
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The store
    store: PathBuf,
    /// Make a new store there of everything that is intact; nothing may be there
    #[arg(long, value_name = "DEST")]
    salvage: Option<PathBuf>,
}

impl Run for Check {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let reporter = console.reporter("checking");
        let checked = console.open_reader(&self.store).and_then(|store| store.check_with(&reporter.control()));
        reporter.clear();
        let report = match checked {
            Ok(report) => report,
            // A store too damaged to be opened is what `check` was asked about, not a failure of the check.
            Err(error) => match self.finding(&error) {
                Some(damage) => {
                    CheckReport { findings: vec![damage], notes: Vec::new(), records: 0, segments: 0, bytes_checked: 0 }
                }
                None => return Err(error),
            },
        };
        let salvaged = self.salvage.as_ref().map(|dest| salvage(console, &self.store, dest)).transpose()?;
        let is_ok = report.is_ok() && salvaged.as_ref().is_none_or(Salvaged::is_complete);
        if console.json {
            console.document(&json!({
                "ok": is_ok,
                "findings": report.findings.iter().map(damage_json).collect::<Vec<_>>(),
                "records": report.records,
                "segments": report.segments,
                "bytes_checked": report.bytes_checked,
                "notes": report.notes,
                "salvaged": salvaged.as_ref().map(salvaged_json),
            }))?;
        } else {
            print(console, &report)?;
            if let (Some(salvaged), Some(dest)) = (&salvaged, &self.salvage) {
                print_salvaged(console, salvaged, dest)?;
            } else if !report.is_ok() {
                let store = safe(&self.store.display().to_string()).into_owned();
                console
                    .line(format!("`simile check {store} --salvage DEST` copies what is intact into a new store"))?;
            }
        }
        Ok(if is_ok { Outcome::Done } else { Outcome::Nothing })
    }
}

impl Check {
    /// The damage that ended the check. What could not be read at all is no end where the rest is to be salvaged.
    fn finding(&self, error: &Error) -> Option<Damage> {
        let goes_on = self.salvage.is_some() && matches!(error.kind(), ErrorKind::Io | ErrorKind::ReadOnly);
        error.damage().cloned().or_else(|| {
            goes_on.then(|| Damage {
                file: self.store.clone(),
                offset: 0,
                what: "the check could not be made".to_string(),
                expected: "files that can be read".to_string(),
                found: error.to_string(),
            })
        })
    }
}

fn salvage(console: &mut Console, store: &Path, dest: &Path) -> Result<Salvaged> {
    let reporter = console.reporter("salvaging");
    let salvaged = Store::salvage(store, dest, &reporter.control());
    reporter.clear();
    salvaged
}

fn salvaged_json(salvaged: &Salvaged) -> Json {
    json!({
        "records": salvaged.records,
        "records_lost": salvaged.records_lost,
        "vectors": salvaged.vectors,
        "vectors_lost": salvaged.vectors_lost,
        "complete": salvaged.is_complete(),
        "lost_count": salvaged.lost_count,
        "lost": salvaged.lost.iter().map(damage_json).collect::<Vec<_>>(),
    })
}

fn print_salvaged(console: &mut Console, salvaged: &Salvaged, dest: &Path) -> Result<()> {
    for lost in &salvaged.lost {
        console.line(safe(&format!("lost: {}: {}: found {}", lost.file.display(), lost.what, lost.found)))?;
    }
    let saved = (count(salvaged.records, "record"), count(salvaged.vectors, "vector"));
    let dest = safe(&dest.display().to_string()).into_owned();
    console.line(format!("{dest} · {} and {} saved", saved.0, saved.1))?;
    if !salvaged.is_complete() {
        let lost = (count(salvaged.records_lost, "record"), count(salvaged.vectors_lost, "vector"));
        let causes = count(salvaged.lost_count, "cause");
        console.line(format!("lost: {} and {} of other records · {causes}", lost.0, lost.1))?;
    }
    let listed = salvaged.lost.len() as u64;
    if salvaged.lost_count > listed {
        console.line(format!("  {} more causes are not listed", thousands(salvaged.lost_count - listed)))?;
    }
    Ok(())
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
