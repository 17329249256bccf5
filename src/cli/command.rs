//! What a command is: a name, a line of help, arguments that know what to do, and how it may end.

use super::console::Console;
use crate::error::{Error, Result};
use clap::{ArgMatches, Args, Command};

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked.
    Done,
    /// There was nothing to find, or `check` found damage.
    Nothing,
    /// Some statements of a list failed; the errors have been shown.
    Failed,
}

/// One command of the program.
pub(super) struct Entry {
    /// What is typed.
    pub(super) name: &'static str,
    /// One line for the list of commands.
    pub(super) help: &'static str,
    /// Adds the command's own arguments.
    pub(super) augment: fn(Command) -> Command,
    /// Does the work.
    pub(super) run: fn(&ArgMatches, &mut Console) -> Result<Outcome>,
}

/// Arguments that know what to do.
pub(super) trait Run: Args {
    /// Does the work.
    ///
    /// # Errors
    /// Whatever went wrong, to be shown by the caller.
    fn run(self, console: &mut Console) -> Result<Outcome>;
}

/// The entry of the command whose arguments are `A`.
pub(super) const fn entry<A: Run>(name: &'static str, help: &'static str) -> Entry {
    Entry { name, help, augment: A::augment_args, run: run::<A> }
}

fn run<A: Run>(matches: &ArgMatches, console: &mut Console) -> Result<Outcome> {
    let arguments = A::from_arg_matches(matches).map_err(|error| Error::invalid(error.to_string()))?;
    arguments.run(console)
}
