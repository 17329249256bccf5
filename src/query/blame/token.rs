//! Mistakes below the level of words: strings without an end, odd ids, characters the language has no use for.

use crate::query::mistake::{Fix, Mistake, shown};
use crate::query::repair;
use crate::query::scene::Edit;
use crate::query::token::{escape, is_bare};
use crate::query::word::{is_invisible, quote_text};

/// What is wrong at the head of `rest`, which makes no token.
pub(in crate::query) fn invalid(rest: &str, start: usize) -> Mistake {
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        '"' | '\'' | '`' => bad_string(rest, start, 0),
        '#' if !is_bare(rest) => bad_string(rest, start, 1),
        '#' => bad_id(rest, start),
        '$' => Mistake::new("parse::bad_param", "a name follows `$` directly", start..start + 1)
            .expected("the name of a parameter, such as `$q`"),
        _ => strange_character(rest, first, start),
    }
}

/// An unknown escape, or a string without an end.
fn bad_string(rest: &str, start: usize, prefix: usize) -> Mistake {
    let quote = rest[prefix..].chars().next().unwrap_or('"');
    let mut at = prefix + 1;
    while let Some(found) = rest[at..].find([quote, '\\']) {
        at += found;
        match escape(&rest[at + 1..]) {
            Ok((after, _)) => at = rest.len() - after.len(),
            Err(_) if at + 1 == rest.len() => break,
            Err(_) => {
                return bad_escape(&rest[at..], start + at);
            }
        }
    }
    let what = if quote == '`' { "a name in backticks" } else { "a string" };
    Mistake::new("parse::unclosed_string", format!("{what} does not end"), start..start + prefix + 1)
        .expected(format!("a closing {quote}"))
        .fix(Fix::By(repair::close_string))
}

/// An escape that simile does not have: what JSON, Python and C mean by it in simile's spelling, else the backslash
/// itself.
fn bad_escape(rest: &str, start: usize) -> Mistake {
    let of = |length: usize| start..start + length;
    let (length, fix) = match foreign_escape(&rest[1..]) {
        Some((length, c)) => {
            let ours = if c == '/' { "/".to_string() } else { format!("\\u{{{:x}}}", u32::from(c)) };
            (length + 1, Fix::edit(Edit::replace(of(length + 1), ours)))
        }
        // Half of a character: there is no other way to write it.
        None if is_surrogate(&rest[1..]) => (6, Fix::None),
        None => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), Fix::edit(Edit::insert(start, "\\"))),
    };
    Mistake::new("parse::bad_escape", "unknown escape in a string", of(length))
        .expected("one of \\\\ \\\" \\' \\` \\n \\r \\t \\0 \\u{..}")
        .hint("a backslash itself is written `\\\\`")
        .fix(fix)
}

fn is_surrogate(body: &str) -> bool {
    let digits = body.strip_prefix('u').and_then(|rest| rest.get(..4));
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).is_some_and(|code| (0xd800..0xe000).contains(&code))
}

/// What other languages escape at the head of `body`, which stands behind a backslash: its length in bytes and the
/// character. `uXXXX` (two of them for what lies beyond U+FFFF), `UXXXXXXXX`, `xXX`, `/`, `b`, `f`, `v`, `a`, `e`.
fn foreign_escape(body: &str) -> Option<(usize, char)> {
    let hex = |from: usize, digits: usize| {
        let text = body.get(from..from + digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u32::from_str_radix(text, 16).ok()
    };
    let simple = |c: char| Some((1, c));
    match body.chars().next()? {
        '/' => simple('/'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'v' => simple('\u{b}'),
        'a' => simple('\u{7}'),
        'e' => simple('\u{1b}'),
        'x' => Some((3, char::from_u32(hex(1, 2)?)?)),
        'U' => Some((9, char::from_u32(hex(1, 8)?)?)),
        'u' => match hex(1, 4)? {
            high @ 0xd800..=0xdbff => {
                let low = hex(7, 4).filter(|low| (0xdc00..=0xdfff).contains(low) && body.get(5..7) == Some("\\u"))?;
                Some((11, char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?))
            }
            code => Some((5, char::from_u32(code)?)),
        },
        _ => None,
    }
}

/// `#` without an id, or an id that needs quotes.
fn bad_id(rest: &str, start: usize) -> Mistake {
    let body = &rest[1..];
    let odd = |c: char| c.is_whitespace() || matches!(c, '|' | ',' | '(' | ')');
    let end = body.find(odd).unwrap_or(body.len());
    if end == 0 {
        let gap = body.len() - body.trim_start().len();
        let fix = if gap > 0 { Fix::edit(Edit::delete(start + 1..start + 1 + gap)) } else { Fix::None };
        return Mistake::new("parse::bad_id", "an id follows `#` directly", start..start + 1).expected("#id").fix(fix);
    }
    let run = &body[..end];
    let quoted = quote_text(run);
    Mistake::new("parse::bad_id", "an id with other characters is written in quotes", start..start + 1 + end)
        .expected(format!("#{quoted}"))
        .fix(Fix::edit(Edit::replace(start + 1..start + 1 + end, quoted)))
}

/// A character the language has no use for; look-alikes from word processors are replaced.
fn strange_character(rest: &str, c: char, start: usize) -> Mistake {
    let span = start..start + c.len_utf8();
    let plain = match c {
        '“' | '”' | '„' | '«' | '»' => Some("\""),
        '‘' | '’' | '‚' => Some("'"),
        '–' | '—' | '−' => Some("-"),
        '→' | '⇒' => Some("->"),
        '≤' => Some("<="),
        '≥' => Some(">="),
        '≠' => Some("!="),
        '×' | '·' => Some("*"),
        '｜' | '¦' => Some("|"),
        '…' => None,
        c if c.is_control() || is_invisible(c) => Some(""),
        _ => None,
    };
    let mistake = Mistake::new(
        "parse::strange_character",
        format!("unexpected character {}", shown(&rest[..c.len_utf8()])),
        span.clone(),
    );
    match plain {
        Some("\"") => mistake.expected("\"").fix(Fix::By(repair::straighten_quotes)),
        Some("'") => mistake.expected("'").fix(Fix::By(repair::straighten_quotes)),
        Some(plain) => mistake
            .expected_any(Some(plain).filter(|plain| !plain.is_empty()))
            .fix(Fix::edit(Edit::replace(span, plain))),
        None => mistake,
    }
}
