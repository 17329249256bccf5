//! What needs no quotes, and how the rest is quoted: bare words, ids and names of parameters.
//!
//! Owns their spelling, which the lexer reads by and the printer writes by, so that the two cannot differ.

use nom::bytes::complete::take_while;
use nom::character::complete::satisfy;
use nom::combinator::recognize;
use nom::sequence::pair;
use nom::{IResult, Parser};

/// A bare word: it begins with a letter or `_` and ends in a letter, a digit or `_`.
pub(super) fn word(i: &str) -> IResult<&str, &str> {
    clinging(|c| c.is_alphabetic() || c == '_', |c| c.is_alphanumeric() || c == '_', "-.@").parse(i)
}

/// The part of a bare id behind `#`.
pub(super) fn bare_id(i: &str) -> IResult<&str, &str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    clinging(plain, plain, "-.:").parse(i)
}

/// The name of a parameter behind `$`.
pub(super) fn param_name(i: &str) -> IResult<&str, &str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    recognize(pair(satisfy(|c| c.is_ascii_alphabetic() || c == '_'), take_while(plain))).parse(i)
}

/// The longest run that starts with `head`, goes on with `plain` or `inner`, and ends in `plain`.
fn clinging<'a>(
    head: impl Fn(char) -> bool,
    plain: impl Fn(char) -> bool,
    inner: &'static str,
) -> impl Parser<&'a str, Output = &'a str, Error = nom::error::Error<&'a str>> {
    move |i: &'a str| {
        let (_, _) = satisfy(&head).parse(i)?;
        let run = i.find(|c| !(plain(c) || inner.contains(c))).map_or(i, |end| &i[..end]);
        let run = run.trim_end_matches(|c| inner.contains(c));
        Ok((&i[run.len()..], run))
    }
}

/// A string in double quotes with escapes, on one line, safe for a terminal.
pub fn quote_text(text: &str) -> String {
    quote(text, '"')
}

/// Characters that a terminal does not show as themselves, or that turn the direction of what follows.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` in this quote, with escapes.
pub(super) fn quote(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', quote]),
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
