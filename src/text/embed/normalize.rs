//! BERT's uncased text cleaning and its split into words, character for character as the `tokenizers` crate does it.
//!
//! Control characters go, white space becomes a blank, CJK ideographs stand alone, letters lose case and accents;
//! then words end at blanks and around every punctuation mark. The character classes come from `unicode_categories`
//! (an old Unicode on purpose): the reference uses the same tables, and a vocabulary only fits texts that are cut
//! the way its training texts were. A test compares every character there is.

use unicode_categories::UnicodeCategories;
use unicode_normalization::UnicodeNormalization;

/// Writes the cleaned, lower-case, accent-free form of `text` over `out`.
pub(super) fn normalize(text: &str, out: &mut String) {
    out.clear();
    out.reserve(text.len());
    if text.is_ascii() {
        // ASCII has no accents and no ideographs, so one pass over the bytes does the whole job.
        out.extend(text.chars().filter_map(|c| match c {
            ' ' | '\t' | '\n' | '\r' => Some(' '),
            c if c.is_ascii_control() => None,
            c => Some(c.to_ascii_lowercase()),
        }));
        return;
    }
    let spaced = text.chars().filter(|&c| !is_removed(c)).flat_map(|c| {
        let c = if c.is_whitespace() { ' ' } else { c };
        let blank = is_ideograph(c).then_some(' ');
        [blank, Some(c), blank].into_iter().flatten()
    });
    out.extend(spaced.nfd().filter(|c| !c.is_mark_nonspacing()).flat_map(char::to_lowercase));
}

/// Calls `each` with every word of a normalized text: runs between blanks, and each punctuation mark by itself.
pub(super) fn for_each_word(normalized: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    for (at, c) in normalized.char_indices() {
        let mark = is_punctuation(c);
        if !mark && !c.is_whitespace() {
            continue;
        }
        if start < at {
            each(&normalized[start..at]);
        }
        let after = at + c.len_utf8();
        if mark {
            each(&normalized[at..after]);
        }
        start = after;
    }
    if start < normalized.len() {
        each(&normalized[start..]);
    }
}

/// Calls `each` with the pieces of a word around its symbols: runs between them, and each symbol by itself.
pub(super) fn for_each_piece(word: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    for (at, symbol) in word.match_indices(is_symbol) {
        if start < at {
            each(&word[start..at]);
        }
        each(symbol);
        start = at + symbol.len();
    }
    if start < word.len() {
        each(&word[start..]);
    }
}

/// Whether a character of a word is no part of writing it: emoji, arrows, signs. Unicode counts letters in circles and
/// squares among letters; here they are signs.
pub(super) fn is_symbol(c: char) -> bool {
    c.is_symbol() || !c.is_alphanumeric() || matches!(u32::from(c), 0x24B6..=0x24E9 | 0x1F130..=0x1F189)
}

/// Characters that cleaning deletes: NUL, the replacement character, and all controls but the three blanks.
fn is_removed(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{fffd}' => true,
        c if c.is_ascii() => c.is_ascii_control(),
        c => c.is_other(),
    }
}

/// Ideographs of the blocks that BERT surrounds with blanks; kana and hangul are written with spaces and stay words.
fn is_ideograph(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}

/// Unicode's punctuation, and all of ASCII's signs (`$`, `+`, `^` and the like, which Unicode calls symbols).
///
/// The reference cleans with an old Unicode and splits with a new one, so the newer marks are listed here.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    let code = u32::from(c);
    let is_newer = || {
        let after = NEWER_PUNCTUATION.partition_point(|(first, _)| *first <= code);
        after.checked_sub(1).and_then(|at| NEWER_PUNCTUATION.get(at)).is_some_and(|(_, last)| code <= *last)
    };
    (c.is_punctuation() && !NO_LONGER_PUNCTUATION.contains(&c)) || is_newer()
}

/// Punctuation of the old Unicode that has become something else since.
const NO_LONGER_PUNCTUATION: [char; 2] = ['\u{166d}', '\u{111c9}'];

/// First and last of each run of punctuation that the old Unicode did not know, ascending.
#[rustfmt::skip]
const NEWER_PUNCTUATION: [(u32, u32); 40] = [
    (0x61D, 0x61D), (0x9FD, 0x9FD), (0xA76, 0xA76), (0xC77, 0xC77), (0xC84, 0xC84),
    (0x1B4E, 0x1B4F), (0x1B7D, 0x1B7F), (0x2E43, 0x2E4F), (0x2E52, 0x2E5D), (0x10D6E, 0x10D6E),
    (0x10EAD, 0x10EAD), (0x10ED0, 0x10ED0), (0x10F55, 0x10F59), (0x10F86, 0x10F89), (0x113D4, 0x113D5),
    (0x113D7, 0x113D8), (0x1144B, 0x1144F), (0x1145A, 0x1145B), (0x1145D, 0x1145D), (0x11660, 0x1166C),
    (0x116B9, 0x116B9), (0x1183B, 0x1183B), (0x11944, 0x11946), (0x119E2, 0x119E2), (0x11A3F, 0x11A46),
    (0x11A9A, 0x11A9C), (0x11A9E, 0x11AA2), (0x11B00, 0x11B09), (0x11BE1, 0x11BE1), (0x11C41, 0x11C45),
    (0x11C70, 0x11C71), (0x11EF7, 0x11EF8), (0x11F43, 0x11F4F), (0x11FFF, 0x11FFF), (0x12FF1, 0x12FF2),
    (0x16D6D, 0x16D6F), (0x16E97, 0x16E9A), (0x16FE2, 0x16FE2), (0x1E5FF, 0x1E5FF), (0x1E95E, 0x1E95F),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let (mut normalized, mut words) = (String::new(), Vec::new());
        normalize(text, &mut normalized);
        for_each_word(&normalized, |word| words.push(word.to_string()));
        words
    }

    #[test]
    fn cleans_and_splits() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \t\r\n ", &[]),
            ("Don't PANIC!!", &["don", "'", "t", "panic", "!", "!"]),
            ("a\u{b}b\u{0}c\u{7f}d", &["abcd"]),
            ("naïve Ångström ĳ", &["naive", "angstrom", "ĳ"]),
            ("e\u{301}te\u{301}", &["ete"]),
            ("日本 語x漢", &["日", "本", "語", "x", "漢"]),
            ("カタカナ", &["カタカナ"]),
            ("zero\u{200b}width\u{feff} soft\u{ad}hyphen", &["zerowidth", "softhyphen"]),
            ("no\u{a0}break\u{3000}wide", &["no", "break", "wide"]),
            ("¿qué? «sí» 5€ a+b", &["¿", "que", "?", "«", "si", "»", "5€", "a", "+", "b"]),
            ("İSTANBUL STRASSE straße", &["istanbul", "strasse", "straße"]),
            ("bad\u{fffd}byte", &["badbyte"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn symbols_are_told_from_letters() {
        let pieces = |word: &str| {
            let mut pieces = Vec::new();
            for_each_piece(word, |piece| pieces.push(piece.to_string()));
            pieces
        };
        assert_eq!(pieces("keys\u{1f600}"), ["keys", "\u{1f600}"]);
        // Newer than the tables of characters, a skin tone, a flag, a letter in a square, an enclosing key.
        assert_eq!(pieces("\u{1fae0}a\u{1f44d}\u{1f3fd}b"), ["\u{1fae0}", "a", "\u{1f44d}", "\u{1f3fd}", "b"]);
        assert_eq!(pieces("\u{1f1e9}\u{1f1ea}x\u{1f170}"), ["\u{1f1e9}", "\u{1f1ea}", "x", "\u{1f170}"]);
        assert_eq!(pieces("1\u{20e3}"), ["1", "\u{20e3}"]);
        assert_eq!(pieces("20°c→5€"), ["20", "°", "c", "→", "5", "€"]);
        for word in ["straße", "ключи", "ngôn", "ⅷ", "½", "हिन्दी"] {
            let mut clean = String::new();
            normalize(word, &mut clean);
            assert_eq!(pieces(&clean), [clean.clone()], "{word}");
        }
        assert!(pieces("").is_empty());
    }

    #[test]
    fn the_short_way_for_ascii_is_the_long_way() {
        let all: String = (0..128u8).map(char::from).collect();
        let (mut short, mut long) = (String::new(), String::new());
        normalize(&all, &mut short);
        // One letter outside ASCII takes the general way; it is the last character of the answer.
        normalize(&format!("{all}ß"), &mut long);
        assert_eq!(format!("{short}ß"), long);
    }
}
