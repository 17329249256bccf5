//! What every part of the parser uses: single tokens, names and numbers.

use crate::query::ast::{Name, Spanned};
use crate::query::bounds::Fault;
use crate::query::mistake::{Fix, Mistake, Parsed, described, shown};
use crate::query::name::{is_bare_name, is_keyword};
use crate::query::printer::print_name;
use crate::query::scene::Edit;
use crate::query::suggest;
use crate::query::token::{Kind, Token, Tokens};
use nom::Parser;
use nom::combinator::opt;
use std::ops::Range;

/// A token of this kind. Recoverable: an alternative may be tried.
pub(super) fn kind<'a>(kind: Kind) -> impl Parser<Tokens<'a>, Output = Token<'a>, Error = Box<Mistake>> {
    token_if(move |token| token.kind == kind)
}

/// This keyword. Recoverable.
pub(super) fn keyword<'a>(word: &'static str) -> impl Parser<Tokens<'a>, Output = Token<'a>, Error = Box<Mistake>> {
    token_if(move |token| token.is(word))
}

fn token_if<'a>(
    accepts: impl Fn(&Token<'a>) -> bool,
) -> impl Parser<Tokens<'a>, Output = Token<'a>, Error = Box<Mistake>> {
    move |i: Tokens<'a>| {
        let token = i.first();
        if accepts(&token) {
            Ok((i.rest(), token))
        } else {
            Err(nom::Err::Error(Box::new(Mistake::at(&token, "parse::unexpected", "unexpected"))))
        }
    }
}

/// The keyword `word`, and nothing else; `near` are words people write for it.
pub(super) fn required<'a>(
    word: &'static str,
    near: &'static [&'static str],
) -> impl Parser<Tokens<'a>, Output = Token<'a>, Error = Box<Mistake>> {
    move |i: Tokens<'a>| {
        let token = i.first();
        if token.is(word) {
            return Ok((i.rest(), token));
        }
        let message = format!("expected `{word}`, found {}", described(&token));
        let mistake = Mistake::at(&token, "parse::expected", message).expected(word);
        if token.is_any(near) || is_misspelt(&token, word) {
            return mistake.did_you_mean(&token, word).fail();
        }
        mistake.fix(Fix::edit(Edit::insert(token.start, format!("{word} ")))).fail()
    }
}

/// Whether the token is a word that was probably meant to be `word`.
pub(super) fn is_misspelt(token: &Token<'_>, word: &str) -> bool {
    token.kind == Kind::Word && suggest(token.text, std::iter::once(word)).is_some()
}

/// A name; `what` says whose, as in "the name of a view".
pub(super) fn name<'a>(what: &'static str) -> impl Parser<Tokens<'a>, Output = Name, Error = Box<Mistake>> {
    move |i: Tokens<'a>| {
        let token = i.first();
        match token.kind {
            Kind::Word if !is_keyword(token.text) => Ok((i.rest(), spanned(token.text.to_string(), token.span()))),
            Kind::Backtick => Ok((i.rest(), spanned(token.content(), token.span()))),
            _ => no_name(&token, what).fail(),
        }
    }
}

/// A name is missing where `token` stands.
fn no_name(token: &Token<'_>, what: &'static str) -> Mistake {
    let mistake = Mistake::missing(token, what);
    match token.kind {
        Kind::Text => mistake
            .hint("names stand without quotes, or in backticks")
            .fix(Fix::replace(token, print_name(&token.content()))),
        Kind::Id | Kind::Param if is_bare_name(&token.content()) => {
            mistake.hint("names stand without `#` and `$`").fix(Fix::replace(token, token.content()))
        }
        Kind::Word => mistake.hint("keywords are not names"),
        _ => mistake,
    }
}

/// A number as written, before it is known what it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    negative: bool,
    first: Token<'a>,
    digits: Token<'a>,
}

impl<'a> Number<'a> {
    /// Its place, sign included.
    pub fn span(&self) -> Range<usize> {
        self.first.start..self.digits.end()
    }

    /// Its value as a finite float.
    pub fn float(&self) -> Result<f64, Box<Mistake>> {
        match self.digits.text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(if self.negative { -value } else { value }),
            _ => Err(Box::new(self.too_large("at most 1.7976931348623157e308"))),
        }
    }

    /// Whether it is written without a point and an exponent.
    pub fn is_integer(&self) -> bool {
        self.digits.text.bytes().all(|b| b.is_ascii_digit())
    }

    /// Its value as a 64-bit integer.
    pub fn integer(&self) -> Result<i64, Box<Mistake>> {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}", self.digits.text).parse().map_err(|_| {
            let float = quote_free_float(self.digits.text);
            Box::new(
                self.too_large("whole numbers from -9223372036854775808 to 9223372036854775807")
                    .hint("a float has a point or an exponent")
                    .fix(Fix::edit(Edit::replace(self.digits.span(), float))),
            )
        })
    }

    fn too_large(&self, expected: &'static str) -> Mistake {
        Mistake::new("limit::number", "the number is too large", self.span()).expected(expected)
    }
}

/// Digits as the nearest float is written.
fn quote_free_float(digits: &str) -> String {
    digits
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .map_or(digits.to_string(), |value| format!("{value:?}"))
}

/// A number with an optional sign; `what` says which.
pub(super) fn number<'a>(what: &'static str) -> impl Parser<Tokens<'a>, Output = Number<'a>, Error = Box<Mistake>> {
    move |i: Tokens<'a>| {
        let first = i.first();
        let (i, minus) = opt(kind(Kind::Minus)).parse(i)?;
        let digits = i.first();
        if digits.kind == Kind::Number && is_number(digits.text) {
            return Ok((i.rest(), Number { negative: minus.is_some(), first, digits }));
        }
        no_number(&first, &digits, what).fail()
    }
}

/// Whether the text of a number token is a number in full.
pub(super) fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && text.parse::<f64>().is_ok()
}

/// Something else stands where a number should.
fn no_number(first: &Token<'_>, token: &Token<'_>, what: &'static str) -> Mistake {
    let mistake = Mistake::missing(token, what);
    match token.kind {
        Kind::Number => bad_number(token, what),
        Kind::Plus => mistake.hint("only a minus can be a sign").fix(Fix::edit(Edit::delete(token.span()))),
        Kind::Equal | Kind::Colon | Kind::GreaterEqual | Kind::LessEqual | Kind::Greater | Kind::Less => {
            mistake.fix(Fix::edit(Edit::delete(token.span())))
        }
        Kind::Word if token.is_any(&["to", "of", "by", "at", "than"]) => {
            mistake.fix(Fix::edit(Edit::delete(token.span())))
        }
        Kind::Text if is_number(&token.content()) => {
            mistake.hint("numbers stand without quotes").fix(Fix::replace(token, token.content()))
        }
        Kind::Word if token.is_any(&["nan", "inf", "infinity"]) => {
            Mistake::of(Fault::not_finite(), first.start..token.end()).expected(what)
        }
        _ => mistake,
    }
}

/// A number token that is no number: `64d`, `1_000`, `2020-01-01`.
pub(super) fn bad_number(token: &Token<'_>, what: &'static str) -> Mistake {
    let message = format!("{} is not a number", shown(token.text));
    let mistake = Mistake::at(token, "parse::bad_number", message).expected(what);
    let plain: String = token.text.chars().filter(|c| *c != '_').collect();
    if is_number(&plain) {
        return mistake.fix(Fix::replace(token, plain));
    }
    let digits = token.text.trim_end_matches(|c: char| c.is_alphabetic());
    if is_number(digits) { mistake.fix(Fix::replace(token, digits)) } else { mistake }
}

/// A whole number from `least` to `most`.
pub(super) fn count<'a>(
    what: &'static str,
    least: u64,
    most: u64,
) -> impl Parser<Tokens<'a>, Output = Spanned<u64>, Error = Box<Mistake>> {
    move |i: Tokens<'a>| {
        let (rest, number) = number(what).parse(i)?;
        let value = number.digits.text.parse::<u64>().ok().filter(|_| !number.negative);
        match value {
            Some(value) if (least..=most).contains(&value) => Ok((rest, spanned(value, number.span()))),
            _ => out_of_range(&number, what, least, most).fail(),
        }
    }
}

fn out_of_range(number: &Number<'_>, what: &'static str, least: u64, most: u64) -> Mistake {
    let mistake = Mistake::of(Fault::range(what, least, most), number.span()).expected(what);
    // The nearest number that will do; 5.0 and -5 were meant as 5.
    let nearest = match number.digits.text.parse::<f64>() {
        Ok(value) if value.is_finite() => (value.round().min(most as f64) as u64).clamp(least, most),
        _ => most,
    };
    mistake.fix(Fix::edit(Edit::replace(number.span(), nearest.to_string())))
}

/// The end of the statement.
pub(super) fn end(i: Tokens<'_>) -> Parsed<'_, ()> {
    let token = i.first();
    if token.kind == Kind::End {
        return Ok((i, ()));
    }
    let mistake = Mistake::missing(&token, "the end of the statement");
    if token.is_foreign(";") {
        return mistake.hint("a statement needs no `;`").fix(Fix::edit(Edit::delete(token.span()))).fail();
    }
    mistake.fail()
}

/// A node with its place.
pub(super) fn spanned<T>(node: T, span: Range<usize>) -> Spanned<T> {
    Spanned { node, span }
}
