//! Text on a terminal: safe, measured in columns, never cut within a character.
//!
//! Owns escaping (texts of a store may hold escape sequences and characters that turn the direction of a line),
//! widths, cutting and padding, and the writing of counts.

use crate::query::{is_invisible, quote_text};
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Whether a character would act on the terminal instead of being shown.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
        // Marks, embeddings, overrides and isolates of writing direction; line and paragraph separators.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `text` with its control characters written out (`\u{1b}`); line feeds stay.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_unsafe(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => out.push_str("\\r"),
            c if is_unsafe(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// `text` safe and on one line: blanks and line ends become single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(1 << 12));
    for word in text.split(|c: char| c.is_whitespace()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&safe(word));
    }
    out
}

/// An id as a person can read and type it: as it is, or in quotes with escapes (as it stands behind `#` in a statement)
/// where a screen would not show what it is made of: blanks, line ends, control characters, nothing at all.
pub(crate) fn shown_id(id: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !(c.is_whitespace() || is_unsafe(c) || is_invisible(c) || matches!(c, '"' | '\'' | '\\'));
    if !id.is_empty() && id.chars().all(is_plain) { Cow::Borrowed(id) } else { Cow::Owned(quote_text(id)) }
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(grapheme_width).sum()
}

/// A grapheme takes at most two columns, whatever it is put together from.
fn grapheme_width(grapheme: &str) -> usize {
    UnicodeWidthStr::width(grapheme).min(2)
}

/// `text` in at most `columns` columns; what is cut off is marked by `…`.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    // A bound on the work for texts of megabytes: what fits is found before the rest is measured.
    let mut used = 0;
    let mut keep = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        let next = used + grapheme_width(grapheme);
        if next > columns {
            let mut out = text.get(..keep).unwrap_or_default().to_string();
            if columns > 0 {
                out.push('…');
            }
            return Cow::Owned(out);
        }
        used = next;
        if used < columns {
            keep = at + grapheme.len();
        }
    }
    Cow::Borrowed(text)
}

/// `text` filled up with blanks on the right to `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` filled up with blanks on the left to `columns`.
pub(crate) fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Lines of at most `columns` made of `parts` with ` · ` between them; a part is never broken.
pub(crate) fn join_wrapped(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if width(line) + 3 + width(part) <= columns => {
                line.push_str(" · ");
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

/// `text` broken between words into lines of at most `columns`; a longer word has a line of its own.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// A number with commas between groups of three digits.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `1,204 records`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!(
            "{} {}s",
            thousands(number),
            noun.strip_suffix('y').map_or(noun.to_string(), |stem| format!("{stem}ie"))
        ),
    }
}

/// A difference of figures that are fractions: `+0.052`. A nought has no sign of its own, and what is not nought is
/// never shown as one: `+0.0004`.
pub(crate) fn signed(value: f64) -> String {
    if value == 0.0 {
        return "+0.000".to_string();
    }
    let mut places = 3;
    while places < 9 && value.abs() < 0.5 * 0.1_f64.powi(places) {
        places += 1;
    }
    format!("{value:+.*}", places as usize)
}

/// A number that was printed with few places, without the sign that a nought may have: `-0.00` is `0.00`.
pub(crate) fn nought(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.contains('0') && !rest.contains(|c: char| ('1'..='9').contains(&c)) => rest.to_string(),
        _ => text,
    }
}

/// The interval of a difference: `[+0.031, +0.072]`.
pub(crate) fn signed_interval(low: f64, high: f64) -> String {
    format!("[{}, {}]", signed(low), signed(high))
}

/// `830 B`, `1.2 MB`.
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].iter();
    let mut unit = units.next().unwrap_or(&"B");
    while value >= 999.95
        && let Some(next) = units.next()
    {
        value /= 1000.0;
        unit = next;
    }
    if *unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") }
}

/// The day of a moment in seconds since 1970, in UTC: `2026-11-20` (Howard Hinnant's `civil_from_days`).
pub(crate) fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A word as it is typed in a shell, on one line.
pub(crate) fn shell_word(word: &str) -> String {
    let word = one_line(word);
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_acts_on_the_terminal() {
        assert_eq!(safe("plain ünïcode\nnext"), "plain ünïcode\nnext");
        assert_eq!(safe("\x1b[2Jx\u{9b}31m\u{7}"), "\\u{1b}[2Jx\\u{9b}31m\\u{7}");
        assert_eq!(safe("a\u{202e}b\rc"), "a\\u{202e}b\\rc");
        assert_eq!(one_line("  a\tb\r\n\nc \x1b d\u{2028}e"), "a b c \\u{1b} d e");
    }

    #[test]
    fn an_id_is_shown_as_it_is_or_in_quotes() {
        for plain in ["n1", "café", "日本", "a-b:c/d|e", "#x"] {
            assert_eq!(shown_id(plain), plain);
        }
        let odd =
            [" lead", "new\nline", "a  b", "", "nul\0\u{1c}", "zero\u{200b}", "\u{202e}x", "it's", "say \"x\"", "a\\n"];
        let shown = [
            r#"" lead""#,
            r#""new\nline""#,
            r#""a  b""#,
            r#""""#,
            r#""nul\u{0}\u{1c}""#,
            r#""zero\u{200b}""#,
            r#""\u{202e}x""#,
            r#""it's""#,
            r#""say \"x\"""#,
            r#""a\\n""#,
        ];
        assert_eq!(odd.map(|id| shown_id(id).into_owned()), shown.map(str::to_string));
    }

    #[test]
    fn cutting_never_splits_a_character_and_never_exceeds_the_columns() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("日本語テキスト", 6), "日本…");
        assert_eq!(cut("日本語", 6), "日本語");
        let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
        assert_eq!(cut(&format!("ab{family}cd"), 5), format!("ab{family}…"));
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        for columns in 0..12 {
            for text in ["日本語テキスト", "abc日def", "👨\u{200d}👩\u{200d}👧x👍🏽yz", "e\u{301}e\u{301}"]
            {
                assert!(width(&cut(text, columns)) <= columns, "{text} in {columns}");
            }
        }
        assert_eq!(pad("日", 4), "日  ");
        assert_eq!(pad_left("日", 4), "  日");
    }

    #[test]
    fn counts_are_read_easily() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(count(2, "query"), "2 queries");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_200_000), "1.2 MB");
        assert_eq!(bytes(999_960), "1.0 MB");
    }

    #[test]
    fn a_difference_never_looks_like_none_and_nought_has_one_form() {
        let found = [0.052, -0.0715, 0.0, -0.0, 0.0004, -0.000_04, 0.000_6, 1e-12].map(signed);
        let expected = ["+0.052", "-0.071", "+0.000", "+0.000", "+0.0004", "-0.00004", "+0.001", "+0.000000000"];
        assert_eq!(found, expected);
        assert_eq!(signed_interval(0.0312, 0.0721), "[+0.031, +0.072]");
        let found = ["-0.00", "-0.0 %", "-0.01", "0.0", "-"].map(|text| nought(text.to_string()));
        assert_eq!(found, ["0.00", "0.0 %", "-0.01", "0.0", "-"].map(str::to_string));
    }

    #[test]
    fn days_are_counted_with_leap_years() {
        let days = [0, 951_782_400, 951_868_800, 1_795_132_800, 4_107_542_399, 4_107_542_400];
        let names = ["1970-01-01", "2000-02-29", "2000-03-01", "2026-11-20", "2100-02-28", "2100-03-01"];
        assert_eq!(days.map(date), names);
    }

    #[test]
    fn parts_wrap_between_each_other() {
        let parts = ["view raw", "center corpus", "score cosine"].map(str::to_string);
        assert_eq!(join_wrapped(&parts, 80), ["view raw · center corpus · score cosine"]);
        assert_eq!(join_wrapped(&parts, 26), ["view raw · center corpus", "score cosine"]);
    }

    #[test]
    fn words_for_a_shell_come_back_as_they_were() {
        let found = ["notes.simile", "answers the question", "it's", "", "asks@candidate"].map(shell_word);
        assert_eq!(found, ["notes.simile", "'answers the question'", r"'it'\''s'", "''", "asks@candidate"]);
    }
}
