//! Mistakes below the level of words: strings without an end, odd ids, characters the language has no use for.

use crate::query::mistake::{Edit, Fix, Mistake, shown};
use crate::query::printer::{is_invisible, quote_text};
use crate::query::repair;
use crate::query::token::{escape, is_bare};

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
                let end = at + 1 + rest[at + 1..].chars().next().map_or(0, char::len_utf8);
                return Mistake::new("parse::bad_escape", "unknown escape in a string", start + at..start + end)
                    .expected("one of \\\\ \\\" \\' \\` \\n \\r \\t \\0 \\u{..}")
                    .hint("a backslash itself is written `\\\\`")
                    .fix(Fix::edit(Edit::insert(start + at, "\\")));
            }
        }
    }
    let what = if quote == '`' { "a name in backticks" } else { "a string" };
    Mistake::new("parse::unclosed_string", format!("{what} does not end"), start..start + prefix + 1)
        .expected(format!("a closing {quote}"))
        .fix(Fix::By(repair::close_string))
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
