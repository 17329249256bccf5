//! Statements from a terminal with editing and history, or from a pipe.
//!
//! Owns the joining of lines into statements. On a terminal the editor asks whether a statement is finished; from a
//! pipe lines are joined by the same rule, but for a string, which ends on its line, and a line that begins with `|`
//! carries on the one before it when it is already there.

use super::complete::Words;
use super::history;
use super::statement::{End, carries_on, end_of, is_complete};
use crate::cli::console::{Console, Style};
use crate::cli::render::text::{one_line, width};
use crate::error::{Error, ErrorKind, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, IsTerminal, Stdin};
use std::path::{Path, PathBuf};

/// What came from the input.
pub(super) enum Read {
    /// A statement or a command.
    Statement(String),
    /// An empty line, or one that was given up.
    Nothing,
    /// The end.
    End,
}

/// Where statements come from.
pub(super) enum Input {
    /// A person at a terminal.
    Terminal(Box<Terminal>),
    /// A file or another program.
    Pipe(BufReader<Stdin>),
}

/// The line editor and what it remembers.
pub(super) struct Terminal {
    editor: Editor<Joiner, FileHistory>,
    prompt: String,
    history: Option<PathBuf>,
}

impl Input {
    /// Statements for the store at `path`.
    ///
    /// # Errors
    /// When the terminal cannot be prepared.
    pub(super) fn open(path: &Path, keep_history: bool, console: &Console) -> Result<Input> {
        if !io::stdin().is_terminal() || !console.is_terminal {
            return Ok(Input::Pipe(BufReader::new(io::stdin())));
        }
        let config = Config::builder()
            .history_ignore_space(true)
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config).map_err(editor_error)?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let prompt = format!("{}> ", one_line(&name));
        editor.set_helper(Some(Joiner { style: console.style, words: Words::default() }));
        let history = if keep_history { history::file() } else { None };
        if let Some(file) = &history {
            // The first session has none yet.
            let _ = editor.load_history(file);
        }
        Ok(Input::Terminal(Box::new(Terminal { editor, prompt, history })))
    }

    /// Whether a person types.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Input::Terminal(_))
    }

    /// Offers these words from now on.
    pub(super) fn offer(&mut self, words: Words) {
        if let Input::Terminal(terminal) = self
            && let Some(helper) = terminal.editor.helper_mut()
        {
            helper.words = words;
        }
    }

    /// The next statement.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(super) fn read(&mut self) -> Result<Read> {
        match self {
            Input::Terminal(terminal) => terminal.read(),
            Input::Pipe(reader) => read_piped(reader),
        }
    }
}

impl Terminal {
    fn read(&mut self) -> Result<Read> {
        match self.editor.readline(&self.prompt) {
            Ok(text) if text.trim().is_empty() => Ok(Read::Nothing),
            Ok(text) => {
                // A history that cannot be kept is no reason to stop working.
                let _ = self.editor.add_history_entry(text.trim_end());
                if let Some(file) = &self.history {
                    let _ = self.editor.append_history(file);
                }
                Ok(Read::Statement(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Read::Nothing),
            Err(ReadlineError::Eof) => Ok(Read::End),
            Err(error) => Err(editor_error(error)),
        }
    }
}

fn editor_error(error: ReadlineError) -> Error {
    Error::new(ErrorKind::Io, format!("cannot read from the terminal: {error}")).with_source(error)
}

/// Reads lines until they are a statement; an empty line or the end finishes one, too, and so does the end of a line
/// within a string (which `\n` may stand in).
fn read_piped<R: io::Read>(reader: &mut BufReader<R>) -> Result<Read> {
    let mut text = String::new();
    loop {
        let mut line = Vec::new();
        let count = reader
            .read_until(b'\n', &mut line)
            .map_err(|source| Error::io("read", Path::new("standard input"), source))?;
        if count == 0 && text.trim().is_empty() {
            return Ok(Read::End);
        }
        // What is not UTF-8 is refused by the parser at its place.
        let line = String::from_utf8_lossy(&line);
        let is_blank = line.trim().is_empty();
        text.push_str(&line);
        let is_ended = match end_of(&text) {
            End::Whole => !next_carries_on(reader),
            // Nobody is there to see that a quote is missing: the lines behind it are statements of their own.
            End::InString => true,
            End::Open => false,
        };
        if count == 0 || is_blank || is_ended {
            let is_comment = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("--"));
            return Ok(if is_comment { Read::Nothing } else { Read::Statement(text) });
        }
    }
}

/// Whether the next line is there already and begins with `|`. Waiting for it would keep an answer from a program
/// that writes one statement and then reads.
fn next_carries_on<R: io::Read>(reader: &BufReader<R>) -> bool {
    carries_on(&String::from_utf8_lossy(reader.buffer()))
}

/// Tells the editor when a statement is finished, and what a word could become.
struct Joiner {
    style: Style,
    words: Words,
}

impl Validator for Joiner {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let ended = text.ends_with('\n') || is_complete(text);
        Ok(if ended { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Highlighter for Joiner {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        debug_assert!(width(prompt) > 0, "the prompt names the store");
        Cow::Owned(self.style.bold(prompt))
    }
}

impl Completer for Joiner {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.words.complete(line, at))
    }
}

impl Hinter for Joiner {
    type Hint = String;
}

impl Helper for Joiner {}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut reader = BufReader::new(text.as_bytes());
        let mut found = Vec::new();
        loop {
            match read_piped(&mut reader).unwrap() {
                Read::Statement(text) => found.push(text.split_whitespace().collect::<Vec<_>>().join(" ")),
                Read::Nothing => {}
                Read::End => return found,
            }
        }
    }

    #[test]
    fn lines_of_a_pipe_become_statements() {
        let text = "-- notes\n\nfind 'a' in n |\n  top 5\nshow lenses\nfind 'b' in n\n| center\n| top 1\n\nfind 'open in n\nfind 'c' in n\nquit";
        let want = [
            "find 'a' in n | top 5",
            "show lenses",
            "find 'b' in n | center | top 1",
            "find 'open in n",
            "find 'c' in n",
            "quit",
        ];
        assert_eq!(all(text), want);
    }
}
