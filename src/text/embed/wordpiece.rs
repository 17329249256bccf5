//! WordPiece: words to tokens of a vocabulary, the longest match first.
//!
//! A word's first piece is looked up as it stands, the others as `##piece`; a word that cannot be covered, or is longer
//! than 100 characters, is one `[UNK]`. Invariant: the ids of [`Vocabulary::encode`] equal those of the `tokenizers`
//! crate for the same vocabulary, except that names of special tokens inside a text (`[SEP]`) are ordinary text here.
//! What is embedded ([`Vocabulary::encode_apart`]) differs from them only where a word with a symbol in it is unknown.

use xxhash_rust::xxh3::xxh3_64;

use super::normalize::{for_each_piece, for_each_word, is_symbol, normalize};
use crate::error::{Error, Result};

/// Words of more characters than this are unknown as a whole.
const LONGEST_WORD_CHARS: usize = 100;

/// What a token starts with if it continues a word.
const CONTINUATION: &str = "##";

/// The token for words that cannot be covered.
const UNKNOWN: &str = "[UNK]";

/// The tokens in the order of their ids, and the two indexes that find them.
#[derive(Debug)]
pub struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    starting: Index,
    continuing: Index,
    unknown: u32,
}

impl<'a> Vocabulary<'a> {
    /// A vocabulary from its text: one token per line, the line number (from 0) is the id.
    ///
    /// # Errors
    /// An empty or repeated line, or no line `[UNK]`.
    pub fn parse(text: &'a str) -> Result<Self> {
        let tokens: Vec<&str> = text.lines().collect();
        let mut starting = Index::with_capacity(tokens.len());
        let mut continuing = Index::with_capacity(tokens.len());
        let mut unknown = None;
        for (id, token) in (0u32..).zip(&tokens) {
            if token.is_empty() {
                return Err(Error::invalid(format!("vocabulary line {}: a token must not be empty", id + 1)));
            }
            if !starting.insert(id, token, |other| tokens.get(other as usize).copied()) {
                return Err(Error::invalid(format!("vocabulary line {}: {token:?} stands there twice", id + 1)));
            }
            if let Some(piece) = token.strip_prefix(CONTINUATION).filter(|piece| !piece.is_empty()) {
                continuing.insert(id, piece, |other| continued(&tokens, other));
            }
            if *token == UNKNOWN {
                unknown = Some(id);
            }
        }
        let unknown = unknown.ok_or_else(|| Error::invalid(format!("the vocabulary has no token {UNKNOWN}")))?;
        Ok(Vocabulary { tokens, starting, continuing, unknown })
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token; never true of a parsed vocabulary.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token with that id, `##` included.
    pub fn token(&self, id: u32) -> Option<&'a str> {
        self.tokens.get(id as usize).copied()
    }

    /// The id that stands for words outside the vocabulary.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Writes the token ids of `text` over `ids`, using `buffer` for the cleaned text. A word that the vocabulary
    /// cannot cover is cut at its symbols and tried again piece by piece, so that an emoji behind a word does not hide
    /// the word.
    pub fn encode_apart(&self, text: &str, buffer: &mut String, ids: &mut Vec<u32>) {
        ids.clear();
        normalize(text, buffer);
        for_each_word(buffer, |word| {
            let before = ids.len();
            self.encode_word(word, ids);
            let is_unknown = ids.get(before..).is_some_and(|ids| ids.contains(&self.unknown));
            if is_unknown && word.contains(is_symbol) {
                ids.truncate(before);
                for_each_piece(word, |piece| self.encode_word(piece, ids));
            }
        });
    }

    /// The token ids of `text` as BERT has them.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let (mut buffer, mut ids) = (String::new(), Vec::new());
        normalize(text, &mut buffer);
        for_each_word(&buffer, |word| self.encode_word(word, &mut ids));
        ids
    }

    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        let before = ids.len();
        let mut rest = word;
        let short_enough = word.len() <= LONGEST_WORD_CHARS || word.chars().count() <= LONGEST_WORD_CHARS;
        while short_enough && !rest.is_empty() {
            let found = if ids.len() == before {
                self.starting.longest_match(rest, |id| self.token(id))
            } else {
                self.continuing.longest_match(rest, |id| continued(&self.tokens, id))
            };
            let Some((id, length)) = found else { break };
            ids.push(id);
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            // One uncovered piece makes the whole word unknown, the pieces already found included.
            ids.truncate(before);
            ids.push(self.unknown);
        }
    }
}

/// The text of a continuing token without its `##`.
fn continued<'a>(tokens: &[&'a str], id: u32) -> Option<&'a str> {
    tokens.get(id as usize)?.strip_prefix(CONTINUATION)
}

/// An open-addressed hash table from text to token id that stores only ids: the text is read from the vocabulary.
#[derive(Debug)]
struct Index {
    /// A power of two of slots, at most half of them used; [`Index::FREE`] marks an unused one.
    slots: Vec<u32>,
    /// Bytes of the longest key.
    longest_bytes: usize,
}

impl Index {
    const FREE: u32 = u32::MAX;

    fn with_capacity(keys: usize) -> Self {
        Index { slots: vec![Self::FREE; (2 * keys).next_power_of_two().max(2)], longest_bytes: 0 }
    }

    /// The slots to look at for `key`, in order.
    fn probe(&self, key: &str) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        // Truncation keeps the low bits, which is all a mask needs.
        let home = xxh3_64(key.as_bytes()) as usize & mask;
        (0..=mask).map(move |step| (home + step) & mask)
    }

    /// Adds `key`; false if it is there already.
    fn insert<'t>(&mut self, id: u32, key: &str, text: impl Fn(u32) -> Option<&'t str>) -> bool {
        for slot in self.probe(key) {
            let held = self.slots[slot];
            if held == Self::FREE {
                self.slots[slot] = id;
                self.longest_bytes = self.longest_bytes.max(key.len());
                return true;
            }
            if text(held) == Some(key) {
                return false;
            }
        }
        false
    }

    fn get<'t>(&self, key: &str, text: &impl Fn(u32) -> Option<&'t str>) -> Option<u32> {
        for slot in self.probe(key) {
            let held = self.slots[slot];
            if held == Self::FREE {
                return None;
            }
            if text(held) == Some(key) {
                return Some(held);
            }
        }
        None
    }

    /// The id and length in bytes of the longest key that `rest` starts with.
    fn longest_match<'t>(&self, rest: &str, text: impl Fn(u32) -> Option<&'t str>) -> Option<(u32, usize)> {
        let mut length = rest.len().min(self.longest_bytes);
        while length > 0 {
            if let Some(key) = rest.get(..length)
                && let Some(id) = self.get(key, &text)
            {
                return Some((id, length));
            }
            length -= 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: &str = "[UNK]\nun\n##aff\n##able\nunaff\n,\n##é\n日\nß";

    #[test]
    fn takes_the_longest_piece_first() {
        let vocabulary = Vocabulary::parse(TOKENS).unwrap();
        let long = "un".repeat(51);
        let cases: &[(&str, &[u32])] = &[
            ("unaffable", &[4, 3]),
            ("Un, unAffAble", &[1, 5, 4, 3]),
            ("un日unable", &[1, 7, 1, 3]),
            ("unx un", &[0, 1]),
            ("able", &[0]),
            (&long, &[0]),
            ("ß", &[8]),
            ("[UNK]", &[0, 0, 0]),
            ("##able", &[0, 0, 0]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(vocabulary.encode(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_a_broken_vocabulary() {
        for (text, message) in [
            ("a\nb", "no token [UNK]"),
            ("[UNK]\n\nb", "line 2: a token must not be empty"),
            ("[UNK]\nb\nb", "line 3: \"b\" stands there twice"),
        ] {
            let error = Vocabulary::parse(text).unwrap_err();
            assert!(error.message().contains(message), "{text:?}: {error}");
        }
    }
}
