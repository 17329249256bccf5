//! Arguments: from the table of commands to what the user asked for.
//!
//! Owns the global flags and the fate of arguments that make no sense: help and usage errors end here, in JSON where
//! `--json` was given. It runs nothing.

use super::command::Entry;
use super::commands::COMMANDS;
use super::console::{Console, stdout_error};
use super::progress::ProgressMode;
use super::render::error::{render_error_json, usage_json};
use super::streams::to_stderr;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// The whole command line as clap sees it.
pub(super) fn command() -> Command {
    let json = Arg::new("json")
        .long("json")
        .global(true)
        .action(ArgAction::SetTrue)
        .help("Print one compact JSON document on one line, and errors as JSON on stderr");
    let progress = Arg::new("progress")
        .long("progress")
        .global(true)
        .value_name("HOW")
        .value_parser(value_parser!(ProgressMode))
        .default_value("auto")
        .help("Progress of long work on stderr: a bar on a terminal, or a JSON line after each commit");
    let wait = Arg::new("wait")
        .long("wait")
        .global(true)
        .value_name("SECONDS")
        .value_parser(value_parser!(f64))
        .default_value("0")
        .help("How long to wait for another writer to finish");
    let mut command = Command::new("simile")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An embedded vector store in which every search says what it means by \"similar\"")
        .after_help("Exit codes: 0 done, 1 nothing found (or `check` found damage), 2 an error.")
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .infer_long_args(false)
        .args([json, progress, wait]);
    for entry in COMMANDS {
        // Last, because the arguments' own documentation would take its place.
        command = command.subcommand((entry.augment)(Command::new(entry.name)).about(entry.help));
    }
    command
}

/// The command asked for, its arguments, and where its output goes; or the exit code when there is nothing to run.
pub(super) fn parse(arguments: &[OsString]) -> Result<(&'static Entry, ArgMatches, Console), ExitCode> {
    let matches = command().try_get_matches_from(arguments).map_err(|error| complain(&error, arguments))?;
    let found = matches.subcommand().and_then(|(name, rest)| {
        let entry = COMMANDS.iter().find(|entry| entry.name == name)?;
        Some((entry, rest.clone()))
    });
    // Clap has refused every name that is not in the table.
    let Some((entry, rest)) = found else { return Err(ExitCode::from(2)) };
    let mode = rest.get_one::<ProgressMode>("progress").copied().unwrap_or_default();
    let wait = rest.get_one::<f64>("wait").copied().unwrap_or(0.0);
    let console = Console::standard(rest.get_flag("json"), mode, wait);
    Ok((entry, rest, console))
}

/// Prints clap's help or complaint; the exit code that goes with it.
fn complain(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let json = arguments.iter().skip(1).take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    if error.use_stderr() && json {
        to_stderr(format_args!("{}\n", usage_json(&error.to_string())));
    } else {
        let printed = error.print().and_then(|()| io::stdout().flush());
        // Nobody is left to tell when stderr is closed, and whoever closed a pipe has had enough.
        if let Err(source) = printed
            && !error.use_stderr()
            && source.kind() != io::ErrorKind::BrokenPipe
        {
            let failed = stdout_error(source);
            let text = if json { render_error_json(&failed) } else { format!("error: {}", failed.message()) };
            to_stderr(format_args!("{text}\n"));
            return ExitCode::from(2);
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_a_sound_command_line() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_a_help_and_a_unique_name() {
        for (idx, entry) in COMMANDS.iter().enumerate() {
            assert!(!entry.help.is_empty() && !entry.help.ends_with('.'), "{}", entry.name);
            let found =
                command().find_subcommand(entry.name).and_then(|found| found.get_about().map(ToString::to_string));
            assert_eq!(found.as_deref(), Some(entry.help));
            assert!(COMMANDS.iter().skip(idx + 1).all(|other| other.name != entry.name), "{} twice", entry.name);
        }
    }
}
