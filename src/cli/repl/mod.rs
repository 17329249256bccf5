//! The REPL: read a statement, run it, show what came of it.
//!
//! Owns the loop and the words that are no statements (`help`, `quit`, `.format`, ...). It reads the store and opens it
//! for writing only while a `let` or `drop` runs, so that it keeps no other writer out; every statement sees the
//! latest commit, whoever made it.

mod complete;
mod history;
mod input;
mod statement;

use super::Outcome;
use super::console::{Console, interruptible};
use super::render::format::Format;
use super::render::text::one_line;
use super::runner::Runner;
use crate::error::{Error, Result};
use clap::ValueEnum;
use complete::Words;
use input::{Input, Read};
use std::path::Path;

const HELP: &str = "\
Statements end with the line, or with `;`. A line that ends in `|`, `,` or an operator goes on in the next one, and so
does an open string or bracket; an empty line ends them all the same. From a pipe a string ends on its line.

  find \"Where are my keys?\" in notes | center corpus | top 5
  find #n17 in notes | where year >= 2020 and tags has \"home\"
  find #king - #man + #woman in words
  find ... | blend 0.7 * a + 0.3 * b     a weighted sum of saved lenses
  compare a, b: find ...                 the answers of lenses side by side
  why #n17: find ...                     where the score of a record comes from
  pairs in notes | above 0.9 | top 20    the most similar pairs
  explain find ...                       what is folded, filtered and scanned
  let topic = view raw | center corpus   saves a lens;  ... | using topic;  drop topic
  ... | using topic | score probability  what `simile calibrate` says its scores mean
  show collections | views | fields | lenses | projections | samples | respects | undirected

  help              this page               .format FORMAT    table, json, jsonl, csv or markdown
  quit              leave (also Ctrl-D)     .bind NAME TEXT   gives $NAME a text
  Ctrl-C            ends the statement that is running, or empties the line
  Tab               completes words of the language and names of the store";

/// What a line that is no statement asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Help,
    Quit,
    Format(&'a str),
    Bind(&'a str, &'a str),
    Unknown(&'a str),
}

/// Runs the REPL until the input ends.
///
/// # Errors
/// When the store cannot be opened or standard output is closed.
pub(super) fn run(path: &Path, keep_history: bool, console: &mut Console) -> Result<Outcome> {
    let format = if console.json { Format::Json } else { Format::Table };
    let mut runner = Runner::open(console, path, format, Vec::new())?;
    let mut input = Input::open(path, keep_history, console)?;
    if input.is_terminal() {
        console.line(format!("simile {} · `help` says what can be typed", env!("CARGO_PKG_VERSION")))?;
        console.flush()?;
    }
    let mut failed = false;
    loop {
        // Names come and go, by this hand or another; a store that cannot be read says so at the next statement.
        if input.is_terminal()
            && let Ok(words) = runner.snapshot().and_then(|snapshot| Words::of(&snapshot))
        {
            input.offer(words);
        }
        let text = match input.read()? {
            Read::Statement(text) => text,
            Read::Nothing => continue,
            Read::End => break,
        };
        if input.is_terminal() {
            // Ctrl-C ends the statement, not the session.
            runner.set_control(interruptible());
        }
        match command(&text) {
            Some(Command::Quit) => break,
            Some(command) => failed |= !obey(&command, &mut runner, console)?,
            None => match runner.reply(console, statement::trimmed(&text)) {
                Ok(reply) => runner.print(console, &reply)?,
                Err(error) => {
                    failed = true;
                    console.flush()?;
                    console.error(&error);
                }
            },
        }
        console.flush()?;
    }
    // A person has seen the errors; a script needs to be told.
    Ok(if failed && !input.is_terminal() { Outcome::Failed } else { Outcome::Done })
}

/// The command in `text`, if it is no statement.
fn command(text: &str) -> Option<Command<'_>> {
    let line = statement::trimmed(text);
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    Some(match (word.to_ascii_lowercase().as_str(), rest) {
        ("help" | "?" | ".help", "") => Command::Help,
        ("quit" | "exit" | ".quit" | ".exit" | "\\q", "") => Command::Quit,
        (".format", format) => Command::Format(format),
        (".bind", pair) => {
            let (name, value) = pair.split_once(char::is_whitespace)?;
            Command::Bind(name.trim_start_matches('$'), value.trim())
        }
        (word, _) if word.starts_with('.') => Command::Unknown(line),
        _ => return None,
    })
}

/// Does what a command asks for; false when that was not possible.
fn obey(command: &Command<'_>, runner: &mut Runner, console: &mut Console) -> Result<bool> {
    match command {
        Command::Help => console.line(HELP)?,
        Command::Quit => {}
        Command::Format(name) => match Format::from_str(name, true) {
            Ok(format) => runner.set_format(format),
            Err(_) => {
                console.error(&Error::invalid(format!("no format {name:?}: table, json, jsonl, csv or markdown")));
                return Ok(false);
            }
        },
        Command::Bind(name, value) => runner.bind(name, (*value).into()),
        Command::Unknown(line) => {
            console.error(&Error::invalid(format!("no command {}: `help` lists them", one_line(line))));
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_statements() {
        assert_eq!(command("help"), Some(Command::Help));
        assert_eq!(command(" EXIT ; "), Some(Command::Quit));
        assert_eq!(command(".format  json"), Some(Command::Format("json")));
        assert_eq!(command(".bind $q  lost keys"), Some(Command::Bind("q", "lost keys")));
        assert_eq!(command(".nonsense 1"), Some(Command::Unknown(".nonsense 1")));
        assert_eq!(command("find \"help\" in notes"), None);
        assert_eq!(command("help me"), None);
    }
}
