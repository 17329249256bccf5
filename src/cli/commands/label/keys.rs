//! What a person answers: one key at a terminal, one line of anything else.
//!
//! Owns the meaning of keys. The end of the input, Ctrl-C and Ctrl-D are `Quit`.

use crate::error::{Error, Result};
use console::{Key, Term};
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// Relevant, and how much; 0: not.
    Grade(i64),
    /// Another time.
    Skip,
    /// The last answer was wrong.
    Undo,
    /// Enough.
    Quit,
    /// No key of ours.
    Unknown,
}

/// What the keys are, for the line under a pair.
pub(super) const HELP: &str = "y yes · n no · s skip · u undo · q quit";

/// Where answers come from.
pub(super) struct Keys {
    terminal: Option<Term>,
}

impl Keys {
    /// Standard input: keys where it is a terminal, lines otherwise.
    pub(super) fn open() -> Keys {
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        Keys { terminal: is_terminal.then(Term::stdout) }
    }

    /// Whether single keys are read.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// The next answer.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(super) fn next(&mut self) -> Result<Answered> {
        if let Some(terminal) = &self.terminal {
            match terminal.read_key_raw() {
                Ok(key) => return Ok(of_key(&key)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Answered::Quit),
                // A terminal that gives no keys still gives lines.
                Err(_) => self.terminal = None,
            }
        }
        let mut line = Vec::new();
        let read = io::stdin()
            .lock()
            .read_until(b'\n', &mut line)
            .map_err(|source| Error::io("read", Path::new("standard input"), source))?;
        if read == 0 {
            return Ok(Answered::Quit);
        }
        Ok(of_line(&String::from_utf8_lossy(&line)))
    }
}

fn of_key(key: &Key) -> Answered {
    match key {
        Key::Char('\u{4}') | Key::CtrlC | Key::Escape => Answered::Quit,
        Key::Char(' ') | Key::ArrowRight => Answered::Skip,
        Key::Backspace | Key::ArrowLeft => Answered::Undo,
        Key::Char(key) => of_line(&key.to_string()),
        _ => Answered::Unknown,
    }
}

fn of_line(line: &str) -> Answered {
    let word = line.trim().to_lowercase();
    match word.as_str() {
        "y" | "yes" => Answered::Grade(1),
        "n" | "no" => Answered::Grade(0),
        "s" | "skip" => Answered::Skip,
        "u" | "undo" => Answered::Undo,
        "q" | "quit" => Answered::Quit,
        digit if digit.len() == 1 => digit.parse().map_or(Answered::Unknown, Answered::Grade),
        _ => Answered::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_lines_mean_the_same() {
        let yes = Answered::Grade(1);
        assert_eq!([of_line("y\n"), of_line(" YES \r\n"), of_line("1"), of_key(&Key::Char('Y'))], [yes; 4]);
        assert_eq!(
            (of_line("n"), of_line("0"), of_line("3")),
            (Answered::Grade(0), Answered::Grade(0), Answered::Grade(3))
        );
        assert_eq!((of_line("skip"), of_key(&Key::Char(' '))), (Answered::Skip, Answered::Skip));
        assert_eq!((of_line("u"), of_key(&Key::Backspace)), (Answered::Undo, Answered::Undo));
        assert_eq!(
            (of_line("q"), of_key(&Key::CtrlC), of_key(&Key::Char('\u{4}'))),
            (Answered::Quit, Answered::Quit, Answered::Quit)
        );
        assert_eq!(
            [of_line(""), of_line("maybe"), of_line("12"), of_line("-"), of_key(&Key::Home)],
            [Answered::Unknown; 5]
        );
    }
}
