//! A mistake on its way out of the parser: a [`QueryError`] in the making, with a recipe for its repair.
//!
//! Owns [`Mistake`] and [`Fix`]. What it says is safe for a terminal: pieces of the statement enter its
//! messages only through [`shown`].

use super::bounds::Fault;
use super::name::is_keyword;
use super::scene::{Edit, Scene, Ways};
use super::token::{Kind, Token, Tokens};
use super::word::is_invisible;
use crate::error::QueryError;
use nom::IResult;
use nom::error::{ErrorKind, ParseError};
use std::borrow::Cow;
use std::ops::Range;

/// What the parser's functions return.
pub(super) type Parsed<'a, T> = IResult<Tokens<'a>, T, Box<Mistake>>;

/// How a mistake might be repaired.
#[derive(Debug, Clone)]
pub(super) enum Fix {
    /// Nobody knows.
    None,
    /// By these edits together.
    Edits(Vec<Edit>),
    /// By the first of the ways this function finds that leads to a statement.
    By(fn(&Scene<'_>) -> Ways),
}

impl Fix {
    /// By one edit.
    pub fn edit(edit: Edit) -> Fix {
        Fix::Edits(vec![edit])
    }

    /// By writing `with` in the place of a token.
    pub fn replace(token: &Token<'_>, with: impl Into<String>) -> Fix {
        Fix::edit(Edit::replace(token.span(), with))
    }
}

/// A mistake, before it meets the text it was made in.
#[derive(Debug, Clone)]
pub(super) struct Mistake {
    /// Stable code.
    pub code: &'static str,
    /// One sentence without the position.
    pub message: Cow<'static, str>,
    /// What is underlined.
    pub span: Range<usize>,
    /// What could stand there.
    pub expected: Vec<Cow<'static, str>>,
    /// Whether `expected` only repeats the message; anything more exact replaces it.
    vague: bool,
    /// Further lines.
    pub hints: Vec<String>,
    /// How to repair it.
    pub fix: Fix,
}

impl Mistake {
    /// A mistake at `span`.
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>, span: Range<usize>) -> Mistake {
        Mistake {
            code,
            message: message.into(),
            span,
            expected: Vec::new(),
            vague: false,
            hints: Vec::new(),
            fix: Fix::None,
        }
    }

    /// A limit that is broken at `span`.
    pub fn of(fault: Fault, span: Range<usize>) -> Mistake {
        let mistake = Mistake::new(fault.code, fault.message, span);
        fault.hint.into_iter().fold(mistake, Mistake::hint)
    }

    /// A mistake at `token`.
    pub fn at(token: &Token<'_>, code: &'static str, message: impl Into<Cow<'static, str>>) -> Mistake {
        Mistake::new(code, message, token.span())
    }

    /// `wanted` is missing: `token` stands in its place.
    pub fn missing(token: &Token<'_>, wanted: &'static str) -> Mistake {
        let message = format!("expected {wanted}, found {}", described(token));
        let mut mistake = Mistake::at(token, "parse::expected", message).expected(wanted);
        mistake.vague = true;
        mistake
    }

    /// Adds something that could stand there.
    pub fn expected(mut self, expected: impl Into<Cow<'static, str>>) -> Mistake {
        if std::mem::take(&mut self.vague) {
            self.expected.clear();
        }
        self.expected.push(expected.into());
        self
    }

    /// Adds several things that could stand there.
    pub fn expected_any(self, expected: impl IntoIterator<Item = &'static str>) -> Mistake {
        expected.into_iter().fold(self, Mistake::expected)
    }

    /// Adds a line of help.
    pub fn hint(mut self, hint: impl Into<String>) -> Mistake {
        self.hints.push(hint.into());
        self
    }

    /// Sets the recipe.
    pub fn fix(mut self, fix: Fix) -> Mistake {
        self.fix = fix;
        self
    }

    /// Replaces the token at fault by `word` and asks whether that was meant.
    pub fn did_you_mean(self, token: &Token<'_>, word: &str) -> Mistake {
        self.hint(format!("did you mean `{word}`?")).fix(Fix::replace(token, word))
    }

    /// Leaves the parser for good: no alternative is tried after it.
    pub fn fail<'a, T>(self) -> Parsed<'a, T> {
        Err(nom::Err::Failure(Box::new(self)))
    }

    /// The error users get, for the statement `text`.
    pub fn into_error(self, text: &str, corrected: Option<String>) -> QueryError {
        let mut error = QueryError::new(self.code, self.message, text, self.span);
        error.found = shorten(&error.found);
        error.expected = self.expected.into_iter().map(Cow::into_owned).collect();
        error.hints = self.hints;
        error.corrected = corrected;
        error
    }
}

impl<'a> ParseError<Tokens<'a>> for Box<Mistake> {
    fn from_error_kind(input: Tokens<'a>, _: ErrorKind) -> Self {
        let token = input.first();
        Box::new(Mistake::at(&token, "parse::unexpected", format!("unexpected {}", described(&token))))
    }

    fn append(_: Tokens<'a>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// A token in words.
pub(super) fn described(token: &Token<'_>) -> String {
    match token.kind {
        Kind::End => "the end of the statement".to_string(),
        Kind::Text => format!("the text {}", shorten(token.text)),
        Kind::Number => format!("the number {}", shorten(token.text)),
        Kind::Word if is_keyword(token.text) => format!("the keyword {}", shown(token.text)),
        _ => shown(token.text),
    }
}

/// A piece of the statement in backticks, safe to print and not too long.
pub(super) fn shown(piece: &str) -> String {
    format!("`{}`", shorten(piece))
}

/// A piece of the statement, safe to print and not too long.
fn shorten(piece: &str) -> String {
    const CHARACTERS: usize = 40;
    let mut out = String::new();
    for (position, c) in piece.chars().enumerate() {
        if position == CHARACTERS {
            out.push_str("...");
            break;
        }
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
