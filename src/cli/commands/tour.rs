//! `simile tour`: the guided first look. What it asks stands in `cli/tour`; this prints it.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::explanation::render_reply;
use crate::cli::render::json::ReplyDocument;
use crate::cli::render::shapes::milliseconds;
use crate::cli::render::text::{safe, wrap};
use crate::cli::tour::{Answered, STOPS, Stop, ask, make_store};
use crate::error::Result;
use crate::exec::Session;
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Widest line of prose.
const PROSE_COLUMNS: usize = 80;

/// Arguments of `tour`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Tour {
    /// Store to make and leave behind; nothing may be there yet [default: a new path in the temporary folder]
    store: Option<PathBuf>,
}

impl Run for Tour {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let started = Instant::now();
        let path = self.store.unwrap_or_else(unused_path);
        let store = make_store(&path)?;
        let mut session = Session::new(&store);
        let mut stops = Vec::new();
        if !console.json {
            opening(console, &path)?;
        }
        for (stop_idx, stop) in STOPS.iter().enumerate() {
            let answers = ask(&mut session, stop)?;
            if console.json {
                stops.push(stop_json(stop, &answers));
            } else {
                print_stop(console, stop_idx + 1, stop, &answers)?;
            }
        }
        if console.json {
            let elapsed_ms = milliseconds(started.elapsed());
            console.document(&json!({"store": path, "stops": stops, "elapsed_ms": elapsed_ms}))?;
        } else {
            closing(console, &path, started.elapsed().as_secs_f64())?;
        }
        Ok(Outcome::Done)
    }
}

/// A path in the temporary folder where nothing is yet.
fn unused_path() -> PathBuf {
    let folder = std::env::temp_dir();
    let process = std::process::id();
    (0_u32..)
        .map(|attempt| folder.join(format!("tour-{process}-{attempt}.simile")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.join("tour.simile"))
}

fn opening(console: &mut Console, path: &Path) -> Result<()> {
    prose(
        console,
        "Similar in what respect? Every search here says which text is compared, what is done to its vector, \
                    and by which metric; the line above each answer repeats it, defaults included.",
    )?;
    console.line("")?;
    console.line(format!("The store is {}", safe(&path.display().to_string())))
}

fn print_stop(console: &mut Console, number: usize, stop: &Stop, answers: &[Answered]) -> Result<()> {
    let style = console.style;
    console.line("")?;
    console.line(style.bold(format!("{number}. {}", stop.title)))?;
    prose(console, stop.story)?;
    for answered in answers {
        console.line("")?;
        prose(console, answered.caption)?;
        console.line(format!("> {}", style.accent(answered.statement)))?;
        for line in render_reply(&answered.reply, style) {
            console.line(line)?;
        }
    }
    console.line("")?;
    prose(console, &format!("In all honesty: {}", stop.honest))
}

fn closing(console: &mut Console, path: &Path, seconds: f64) -> Result<()> {
    console.line("")?;
    prose(console, &format!("That took {seconds:.1} s, the making of the store included. It is yours now:"))?;
    console.line(format!("  simile repl {}", safe(&path.display().to_string())))
}

fn prose(console: &mut Console, text: &str) -> Result<()> {
    let columns = console.style.width.min(PROSE_COLUMNS);
    for line in wrap(text, columns) {
        console.line(line)?;
    }
    Ok(())
}

fn stop_json(stop: &Stop, answers: &[Answered]) -> Json {
    let answers: Vec<Json> = answers
        .iter()
        .map(|answered| {
            let answer = serde_json::to_value(ReplyDocument(&answered.reply)).unwrap_or(Json::Null);
            json!({"caption": answered.caption, "statement": answered.statement, "answer": answer})
        })
        .collect();
    json!({"title": stop.title, "story": stop.story, "answers": answers, "honest": stop.honest})
}
