//! Level 6: the `simile` program, from arguments to exit code.
//!
//! Owns what a person or a program at the other end of a pipe sees: the table of commands, the rendering of answers
//! and errors, progress, the REPL. It decides nothing about stores or searches; everything it does can be done with
//! the library. Exit codes: 0 done, 1 nothing found (or damage found by `check`), 2 an error.

mod args;
mod command;
mod commands;
mod console;
mod progress;
mod render;
mod repl;
mod runner;
mod shared_args;
mod streams;
mod tour;

pub(crate) use command::Outcome;

use crate::error::{Error, ErrorKind};
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

/// Runs the program with these arguments, its own name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    quiet_caught_panics();
    survive_large_files();
    // Without threads the program goes on with its own.
    let _ = crate::linalg::team::settle_threads(true);
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let (entry, matches, mut console) = match args::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let ended = (entry.run)(&matches, &mut console).and_then(|outcome| console.flush().map(|()| outcome));
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Nothing) => ExitCode::from(1),
        Ok(Outcome::Failed) => ExitCode::from(2),
        // Whoever read our output has had enough: that is how `simile ... | head` ends.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // What was printed before the error comes first.
            let _ = console.flush();
            console.error(&console.say_what_is_kept(error));
            ExitCode::from(2)
        }
    }
}

/// A file that would grow beyond what the process may write ends it without a word, unless somebody listens: then the
/// write answers with an error.
#[cfg(unix)]
fn survive_large_files() {
    use signal_hook::consts::SIGXFSZ;
    // Where nobody can listen, it stays as it was.
    let _ = signal_hook::flag::register(SIGXFSZ, Default::default());
}

#[cfg(not(unix))]
fn survive_large_files() {}

/// Panics of the catalog's engine on damaged files are caught and become errors; the default hook would print them
/// all the same. Other panics are bugs and say so.
fn quiet_caught_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let from_engine = info.location().is_some_and(|place| place.file().contains("/redb-"));
        if !from_engine {
            default(info);
        }
    }));
}

fn is_broken_pipe(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    error.kind() == ErrorKind::Io
        && error.path().is_none()
        && source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
}
