//! Runs statements against a store and prints the replies, for one statement, a list of them, and who types them.

use super::command::Outcome;
use super::console::Console;
use super::render::comparison::{comparison_csv, comparison_jsonl, comparison_markdown};
use super::render::error::error_json;
use super::render::explanation::render_reply;
use super::render::format::{Format, csv, jsonl, markdown};
use super::render::json::ReplyDocument;
use super::render::pairs::{pairs_csv, pairs_jsonl, pairs_markdown};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Param, Reply, Session, is_write};
use crate::interchange::input::{LineReader, open};
use crate::store::{Snapshot, Store};
use crate::types::control::Control;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A search that found nothing.
pub(super) fn is_empty(reply: &Reply) -> bool {
    match reply {
        Reply::Answer(answer) => answer.hits().is_empty(),
        Reply::Comparison(comparison) => comparison.columns.iter().all(|answer| answer.hits().is_empty()),
        Reply::Pairs(pairs) => pairs.pairs.is_empty(),
        _ => false,
    }
}

/// Runs statements against one store, as a reader until one of them writes.
pub(super) struct Runner {
    path: PathBuf,
    store: Store,
    session: Session,
    params: Vec<(String, Param)>,
    format: Format,
    control: Control,
}

impl Runner {
    /// A runner that reads.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub(super) fn open(console: &Console, path: &Path, format: Format, params: Vec<(String, Param)>) -> Result<Runner> {
        let store = console.open_reader(path)?;
        let mut session = Session::new(&store);
        session.set_percentiles(true);
        for (name, value) in &params {
            session.bind(name, value.clone());
        }
        Ok(Runner { path: path.to_path_buf(), store, session, params, format, control: Control::default() })
    }

    /// What the store holds now.
    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        self.store.snapshot()
    }

    /// Runs one statement. One that writes opens the store for writing; it is closed again after it, so that other
    /// writers are not kept out while nothing is written.
    pub(super) fn reply(&mut self, console: &Console, statement: &str) -> Result<Reply> {
        if is_write(statement) {
            let writer = console.open_writer(&self.path)?;
            let mut session = Session::new(&writer);
            for (name, value) in &self.params {
                session.bind(name, value.clone());
            }
            session.set_control(self.control.clone());
            return session.run(statement);
        }
        self.session.run(statement)
    }

    /// Lets `control` stop the statements to come.
    pub(super) fn set_control(&mut self, control: Control) {
        self.session.set_control(control.clone());
        self.control = control;
    }

    /// Prints later replies in this format.
    pub(super) fn set_format(&mut self, format: Format) {
        self.format = format;
    }

    /// Gives a parameter its value for all statements to come.
    pub(super) fn bind(&mut self, name: &str, value: Param) {
        self.session.bind(name, value.clone());
        self.params.push((name.to_string(), value));
    }

    /// Prints a reply in the format asked for.
    pub(super) fn print(&self, console: &mut Console, reply: &Reply) -> Result<()> {
        let lines = match (self.format, reply) {
            (Format::Json, reply) => return console.document(&ReplyDocument(reply)),
            (Format::Jsonl, Reply::Answer(answer)) => jsonl(answer),
            (Format::Csv, Reply::Answer(answer)) => csv(answer),
            (Format::Markdown, Reply::Answer(answer)) => markdown(answer),
            (Format::Jsonl, Reply::Comparison(comparison)) => comparison_jsonl(comparison),
            (Format::Jsonl, Reply::Pairs(pairs)) => pairs_jsonl(pairs),
            (Format::Csv, Reply::Pairs(pairs)) => pairs_csv(pairs),
            (Format::Markdown, Reply::Pairs(pairs)) => pairs_markdown(pairs),
            (Format::Csv, Reply::Comparison(comparison)) => comparison_csv(comparison),
            (Format::Markdown, Reply::Comparison(comparison)) => comparison_markdown(comparison),
            (Format::Jsonl, reply) => return console.document(&ReplyDocument(reply)),
            (_, reply) => render_reply(reply, console.style),
        };
        lines.into_iter().try_for_each(|line| console.line(line))
    }

    /// Answers each line of standard input as it comes. An error does not end it; the exit code tells.
    pub(super) fn lines(&mut self, console: &mut Console) -> Result<Outcome> {
        let (mut failed, mut answered) = (false, false);
        let mut lines = LineReader::new(open(Path::new("-"))?);
        loop {
            let failed_read = |source| Error::io("read", Path::new("standard input"), source);
            let Some(line) = lines.next_line().map_err(failed_read)? else { break };
            let statement = match std::str::from_utf8(line.bytes) {
                Ok(text) => text.trim(),
                Err(_) => "",
            };
            // A line that is only a comment says nothing, and so does the answer.
            if statement.starts_with("--") {
                continue;
            }
            let number = line.number;
            let replied = if statement.is_empty() {
                Err(Error::new(ErrorKind::Invalid, format!("line {number} is not UTF-8")))
            } else {
                self.reply(console, statement)
            };
            match replied {
                Ok(reply) => {
                    answered |= !is_empty(&reply);
                    self.print(console, &reply)?;
                }
                Err(error) => {
                    failed = true;
                    if self.format == Format::Json {
                        console.document(&json!({"error": error_json(&error)}))?;
                    } else {
                        console.flush()?;
                        console.error(&error);
                    }
                }
            }
            // Whoever writes the statements may wait for each answer.
            console.flush()?;
        }
        Ok(match (failed, answered) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Done,
            (false, false) => Outcome::Nothing,
        })
    }
}
