//! Where results, notes and errors go.
//!
//! Owns standard output (buffered, results only), standard error (notes, progress, errors), and what is known about
//! both: terminal or not, width, colour. Nothing else in the program prints.

use super::progress::{ProgressMode, Reporter};
use super::render::error::{render_error, render_error_json};
use super::render::style::DEFAULT_WIDTH;
pub(crate) use super::render::style::Style;
use super::render::text::safe;
use super::streams::to_stderr;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Options, Store};
use crate::types::CommitNumber;
use crate::types::control::{CancelToken, Control};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

/// How errors of standard output begin.
const NO_OUTPUT: &str = "cannot write to standard output";

/// The streams of one run of the program.
pub(crate) struct Console {
    out: BufWriter<Box<dyn Write>>,
    /// Whether results are JSON.
    pub(crate) json: bool,
    /// How to draw on standard output.
    pub(crate) style: Style,
    /// Whether standard output is a terminal.
    pub(crate) is_terminal: bool,
    error_style: Style,
    progress: ProgressMode,
    wait: Duration,
    /// The store that is open for writing, and the commit that it began with.
    writes_to: OnceLock<(PathBuf, CommitNumber)>,
}

impl Console {
    /// The process's own streams.
    pub(super) fn standard(json: bool, progress: ProgressMode, wait_seconds: f64) -> Console {
        let is_terminal = io::stdout().is_terminal();
        let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let width =
            |term: console::Term| term.size_checked().map_or(DEFAULT_WIDTH, |(_, columns)| usize::from(columns));
        let wait = Duration::try_from_secs_f64(wait_seconds.clamp(0.0, 1e9)).unwrap_or_default();
        Console {
            out: BufWriter::with_capacity(1 << 16, Box::new(io::stdout())),
            json,
            style: Style {
                colour: is_terminal && wants_colour,
                width: if is_terminal { width(console::Term::stdout()).max(40) } else { DEFAULT_WIDTH },
            },
            is_terminal,
            error_style: Style {
                colour: io::stderr().is_terminal() && wants_colour,
                width: width(console::Term::stderr()).max(40),
            },
            progress,
            wait,
            writes_to: OnceLock::new(),
        }
    }

    /// Opens a store for reading only.
    pub(crate) fn open_reader(&self, path: &Path) -> Result<Store> {
        Options::new().read_only(true).busy_timeout(self.wait).open(path)
    }

    /// Opens a store for writing.
    pub(crate) fn open_writer(&self, path: &Path) -> Result<Store> {
        let store = Options::new().busy_timeout(self.wait).open(path)?;
        if self.writes_to.get().is_none() {
            _ = self.writes_to.set((path.to_path_buf(), store.snapshot()?.commit()));
        }
        Ok(store)
    }

    /// Adds to the error of an output that was not taken what is kept all the same.
    pub(super) fn say_what_is_kept(&self, error: Error) -> Error {
        let Some((path, before)) = self.writes_to.get().filter(|_| is_of_stdout(&error)) else { return error };
        let now = Store::open_read_only(path).and_then(|store| Ok(store.snapshot()?.commit()));
        match now {
            Ok(now) if now > *before => error.followed_by(format!("; what was changed is kept (commit {now})")),
            _ => error,
        }
    }

    /// Prints one line (or several) of a result.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<()> {
        writeln!(self.out, "{line}").map_err(stdout_error)
    }

    /// Prints one JSON document on one line.
    pub(crate) fn document<T: Serialize>(&mut self, document: &T) -> Result<()> {
        serde_json::to_writer(&mut self.out, document).map_err(|source| match source.io_error_kind() {
            Some(_) => stdout_error(source.into()),
            None => Error::invalid("the answer cannot be written as JSON").with_source(source),
        })?;
        self.line("")
    }

    /// Prints one JSON document on standard error, where standard output is full of something else.
    pub(crate) fn document_aside<T: Serialize>(&mut self, document: &T) -> Result<()> {
        let text = serde_json::to_string(document)
            .map_err(|source| Error::invalid("the report cannot be written as JSON").with_source(source))?;
        to_stderr(format_args!("{text}\n"));
        Ok(())
    }

    /// Hands everything printed so far to whoever reads it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(stdout_error)
    }

    /// A remark that is no result.
    pub(crate) fn note(&mut self, note: impl Display) {
        // Results printed before it come first; an error of theirs is found at the next line.
        let _ = self.out.flush();
        if !self.json {
            to_stderr(format_args!("{}\n", safe(&note.to_string())));
        }
    }

    /// Shows an error, as JSON where results are.
    pub(crate) fn error(&self, error: &Error) {
        if self.json {
            to_stderr(format_args!("{}\n", render_error_json(error)));
        } else {
            to_stderr(render_error(error, self.error_style));
        }
    }

    /// Somebody to report the progress of long work to.
    pub(crate) fn reporter(&self, what: &str) -> Reporter {
        Reporter::new(self.progress, io::stderr().is_terminal() && !self.json, what)
    }
}

/// A control that Ctrl-C sets, in place of the one before; a second Ctrl-C ends the program as it always does.
pub(crate) fn interruptible() -> Control {
    static CURRENT: Mutex<Option<CancelToken>> = Mutex::new(None);
    static HANDLER: Once = Once::new();
    let current = || CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    // Where no handler can be set, Ctrl-C ends the program without keeping anything.
    HANDLER.call_once(|| {
        _ = ctrlc::set_handler(move || match &*current() {
            Some(token) if !token.is_cancelled() => token.cancel(),
            _ => std::process::exit(130),
        });
    });
    let token = CancelToken::new();
    *current() = Some(token.clone());
    Control::new().cancelled_by(token)
}

/// The error of an output that nobody takes.
pub(super) fn stdout_error(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{NO_OUTPUT}: {source}")).with_source(source)
}

fn is_of_stdout(error: &Error) -> bool {
    error.kind() == ErrorKind::Io && error.path().is_none() && error.message().starts_with(NO_OUTPUT)
}
