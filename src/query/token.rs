//! Text to tokens, with nom: every token knows its place and its text as written.
//!
//! The lexer never fails as a whole. Punctuation the language does not have (`==`, `&&`, `;`) becomes a
//! [`Kind::Foreign`] token, so that the parser can answer in context; what cannot be a token at all ends the list
//! with [`Kind::Invalid`], and what is wrong there is for others to say. The last token is always `End` or `Invalid`,
//! and all spans lie on character boundaries.

use super::word::{bare_id, param_name, word};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, one_of, satisfy};
use nom::combinator::{opt, recognize, value, verify};
use nom::sequence::preceded;
use nom::{IResult, Input, Needed, Parser};
use std::ops::Range;

/// What sort of token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a bare name.
    Word,
    /// A name in backticks.
    Backtick,
    /// A string in either quote.
    Text,
    /// `#id` or `#"id"`.
    Id,
    /// `$name`.
    Param,
    /// Digits and what clings to them; the parser judges whether it is a number.
    Number,
    Pipe,
    Comma,
    Colon,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Plus,
    Minus,
    Star,
    Arrow,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// Punctuation of other languages.
    Foreign,
    /// The place where the text stops making tokens: its first character, or an opening quote with its `#`.
    Invalid,
    /// Behind the last token.
    End,
}

/// A token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// Its sort.
    pub kind: Kind,
    /// Its text as written, quotes included.
    pub text: &'a str,
    /// Byte offset of its text.
    pub start: usize,
    /// Whether white space or a comment stands before it.
    pub spaced: bool,
}

impl<'a> Token<'a> {
    /// Its place in the statement.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end()
    }

    /// The byte offset behind it.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is `word` in any case.
    pub fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is one of `words` in any case.
    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Whether it is this foreign punctuation.
    pub fn is_foreign(&self, text: &str) -> bool {
        self.kind == Kind::Foreign && self.text == text
    }

    /// What it stands for: escapes resolved, quotes, `#` and `$` taken off.
    pub fn content(&self) -> String {
        let body = match self.kind {
            Kind::Id | Kind::Param => &self.text[1..],
            _ => self.text,
        };
        if body.starts_with(['"', '\'', '`']) { unescape(&body[1..body.len() - 1]) } else { body.to_string() }
    }
}

/// The rest of the tokens; what nom's combinators walk over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a>(pub &'a [Token<'a>]);

impl<'a> Tokens<'a> {
    /// The token ahead. The lexer's sentinel stands at the end, and no parser steps over it.
    pub fn first(&self) -> Token<'a> {
        self.peek(0)
    }

    /// The token `ahead` places further, or the sentinel.
    pub fn peek(&self, ahead: usize) -> Token<'a> {
        let sentinel = Token { kind: Kind::End, text: "", start: 0, spaced: false };
        self.0.get(ahead).or(self.0.last()).copied().unwrap_or(sentinel)
    }

    /// The tokens behind the one ahead.
    pub fn rest(&self) -> Tokens<'a> {
        if self.0.len() > 1 { Tokens(&self.0[1..]) } else { *self }
    }
}

impl<'a> Input for Tokens<'a> {
    type Item = Token<'a>;
    type Iter = std::iter::Copied<std::slice::Iter<'a, Token<'a>>>;
    type IterIndices = std::iter::Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.0.len()
    }

    fn take(&self, index: usize) -> Self {
        Tokens(&self.0[..index])
    }

    fn take_from(&self, index: usize) -> Self {
        Tokens(&self.0[index..])
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.0.iter().position(|token| predicate(*token))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.0.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.0.iter().copied().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if count <= self.0.len() { Ok(count) } else { Err(Needed::new(count - self.0.len())) }
    }
}

/// The tokens of `text`, up to its end or to the place where it stops making tokens.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::with_capacity(32);
    let mut rest = text;
    loop {
        let before = rest.len();
        rest = skip_blank(rest);
        let start = text.len() - rest.len();
        let spaced = before != rest.len();
        if rest.is_empty() {
            tokens.push(Token { kind: Kind::End, text: "", start, spaced });
            return tokens;
        }
        match token(rest) {
            Ok((after, kind)) if !(kind == Kind::Id && is_bare(rest) && odd_id_follows(after)) => {
                tokens.push(Token { kind, text: &rest[..rest.len() - after.len()], start, spaced });
                rest = after;
            }
            _ => {
                tokens.push(Token { kind: Kind::Invalid, text: opening(rest), start, spaced });
                return tokens;
            }
        }
    }
}

/// What begins a text that makes no token: a character, or a quote with the `#` before it.
fn opening(rest: &str) -> &str {
    let hash = usize::from(rest.starts_with('#') && !is_bare(rest));
    let length = rest[hash..].chars().next().map_or(0, char::len_utf8);
    &rest[..hash + length]
}

/// Steps over white space and comments.
fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let Some(comment) = text.strip_prefix("--") else { return text };
        text = comment.find('\n').map_or("", |end| &comment[end..]);
    }
}

fn token(i: &str) -> IResult<&str, Kind> {
    alt((
        value(Kind::Word, word),
        value(Kind::Text, quoted('"')),
        value(Kind::Text, quoted('\'')),
        value(Kind::Backtick, quoted('`')),
        value(Kind::Id, preceded(char('#'), alt((bare_id, quoted('"'), quoted('\''))))),
        value(Kind::Param, preceded(char('$'), param_name)),
        value(Kind::Number, alt((dated, number))),
        symbol,
        foreign,
    ))
    .parse(i)
}

fn symbol(i: &str) -> IResult<&str, Kind> {
    let two = alt((
        value(Kind::Arrow, tag("->")),
        value(Kind::NotEqual, tag("!=")),
        value(Kind::Foreign, alt((tag("||"), tag("=="), tag("&&"), tag("<>"), tag("=>"), tag("=<"), tag("**")))),
        value(Kind::LessEqual, tag("<=")),
        value(Kind::GreaterEqual, tag(">=")),
    ));
    let one = alt((
        value(Kind::Pipe, char('|')),
        value(Kind::Comma, char(',')),
        value(Kind::Colon, char(':')),
        value(Kind::Open, char('(')),
        value(Kind::Close, char(')')),
        value(Kind::OpenBracket, char('[')),
        value(Kind::CloseBracket, char(']')),
        value(Kind::Plus, char('+')),
        value(Kind::Minus, char('-')),
        value(Kind::Star, char('*')),
        value(Kind::Equal, char('=')),
        value(Kind::Less, char('<')),
        value(Kind::Greater, char('>')),
    ));
    alt((two, one)).parse(i)
}

fn foreign(i: &str) -> IResult<&str, Kind> {
    value(Kind::Foreign, one_of("!%&/;?@^{}~.\\")).parse(i)
}

/// A string whose escapes are all known.
fn quoted<'a>(quote: char) -> impl Parser<&'a str, Output = &'a str, Error = nom::error::Error<&'a str>> {
    move |i: &'a str| {
        let (mut rest, _) = char(quote).parse(i)?;
        loop {
            (rest, _) = take_while(|c| c != quote && c != '\\').parse(rest)?;
            let (after, next) = alt((char(quote), char('\\'))).parse(rest)?;
            if next == quote {
                return Ok((after, &i[..i.len() - after.len()]));
            }
            (rest, _) = escape(after)?;
        }
    }
}

/// An escape behind its backslash.
pub(super) fn escape(i: &str) -> IResult<&str, char> {
    let hex = verify(take_while1(|c: char| c.is_ascii_hexdigit()), |digits: &str| digits.len() <= 6);
    let unicode = (tag("u{"), hex, char('}'))
        .map_opt(|(_, digits, _)| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32));
    alt((
        one_of("\\\"'`"),
        value('\n', char('n')),
        value('\r', char('r')),
        value('\t', char('t')),
        value('\0', char('0')),
        unicode,
    ))
    .parse(i)
}

/// Resolves the escapes of a body that [`quoted`] accepted.
fn unescape(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        match escape(&rest[at + 1..]) {
            Ok((after, c)) => {
                out.push(c);
                rest = after;
            }
            Err(_) => rest = &rest[at + 1..],
        }
    }
    out.push_str(rest);
    out
}

/// Digits, and the letters, dots and signed exponents that cling to them.
fn number(i: &str) -> IResult<&str, &str> {
    let (_, _) = preceded(opt(char('.')), satisfy(|c| c.is_ascii_digit())).parse(i)?;
    let mut end = 0;
    let mut last = ' ';
    for c in i.chars() {
        let next_is_digit = || i[end + 1..].starts_with(|c: char| c.is_ascii_digit());
        let plain = c.is_alphanumeric() || c == '.' || c == '_';
        // A sign belongs to the number only as the sign of an exponent: `1e-5`, but not `1e - 5` or `2-1`.
        let signs_exponent = matches!(c, '+' | '-') && matches!(last, 'e' | 'E') && next_is_digit();
        if !plain && !signs_exponent {
            break;
        }
        last = c;
        end += c.len_utf8();
    }
    Ok((&i[end..], &i[..end]))
}

/// A date without quotes, taken as one piece so that the answer can quote all of it.
fn dated(i: &str) -> IResult<&str, &str> {
    let digits = |count| verify(take_while1(|c: char| c.is_ascii_digit()), move |run: &str| run.len() == count);
    let tail = take_while(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '+'));
    recognize((digits(4), char('-'), digits(2), tail)).parse(i)
}

/// Whether the id at the head of `rest` is written without quotes.
pub(super) fn is_bare(rest: &str) -> bool {
    !rest[1..].starts_with(['"', '\''])
}

/// Whether what follows a bare id can neither separate it from the next token nor be an operator.
fn odd_id_follows(after: &str) -> bool {
    let mut chars = after.chars();
    let (Some(next), then) = (chars.next(), chars.next()) else { return false };
    match next {
        '+' | '-' | '*' => !then.is_none_or(|c| c.is_whitespace() || c.is_ascii_digit() || "#\"'$[|".contains(c)),
        ':' => !then.is_none_or(|c| c.is_whitespace() || c.is_alphabetic()),
        '.' | '/' | '@' | '~' | '%' | '&' | '\\' | '?' | '!' | '#' | '\'' | '"' | '`' | '^' => true,
        _ => next.is_alphanumeric(),
    }
}
