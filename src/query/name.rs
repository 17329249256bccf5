//! Which words are keywords, and which names and ids need no quotes.

use super::word::{bare_id, param_name, quote_text, word};
use crate::error::{Error, Result};
use crate::types::Metric;
use crate::types::limits::{ID_BYTES, NAME_BYTES};

/// Every word that cannot be a name. Words that only mean something behind another one (`corpus`, `self`) are free.
pub(super) const KEYWORDS: &[&str] = &[
    "find",
    "in",
    "view",
    "using",
    "blend",
    "center",
    "normalize",
    "standardize",
    "whiten",
    "drop",
    "truncate",
    "project",
    "score",
    "csls",
    "from",
    "where",
    "above",
    "within",
    "skip",
    "top",
    "including",
    "exact",
    "pairs",
    "explain",
    "analyze",
    "compare",
    "why",
    "let",
    "show",
    "and",
    "or",
    "not",
    "has",
    "is",
    "null",
    "true",
    "false",
    "cosine",
    "dot",
    "pearson",
    "euclidean",
    "probability",
    "levenshtein",
];

/// Words that cannot begin a condition as the bare name of a field; other keywords can.
pub(super) const RESERVED_IN_CONDITIONS: &[&str] = &["and", "or", "not", "in", "has", "is", "null", "true", "false"];

/// Every metric, in the order they are listed to users.
pub(super) const METRICS: [Metric; 6] =
    [Metric::Cosine, Metric::Dot, Metric::Pearson, Metric::Euclidean, Metric::Probability, Metric::Levenshtein];

/// Whether `word` is a keyword, in any case.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// Whether a record's id can be written as `#id` without quotes.
pub fn is_bare_id(id: &str) -> bool {
    matches!(bare_id(id), Ok(("", _)))
}

/// Whether a name can be written without backticks: letters, digits and `_`, with `-`, `.` and `@` inside, not
/// beginning with a digit, and not a keyword.
pub fn is_bare_name(name: &str) -> bool {
    is_word(name) && !is_keyword(name)
}

/// Whether a field can be written without backticks in a condition, where most keywords are free.
pub fn is_bare_field(name: &str) -> bool {
    is_word(name) && !RESERVED_IN_CONDITIONS.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Whether `name` can follow `$`.
pub fn is_param_name(name: &str) -> bool {
    matches!(param_name(name), Ok(("", _)))
}

fn is_word(name: &str) -> bool {
    matches!(word(name), Ok(("", _)))
}

/// Checks the name of a new collection, view, lens, projection or sample: one that statements can use as it stands.
///
/// # Errors
/// Kind `Invalid`, with a message that says what is allowed.
pub fn check_name(name: &str) -> Result<()> {
    let shown = quote_text(&name.chars().take(NAME_BYTES).collect::<String>());
    if name.is_empty() {
        return Err(Error::invalid("a name has at least one character"));
    }
    if name.len() > NAME_BYTES {
        return Err(Error::invalid(format!("a name has at most {NAME_BYTES} bytes; {shown} has {}", name.len())));
    }
    if is_keyword(name) {
        return Err(Error::invalid(format!("{shown} is a keyword of the query language and cannot be a name")));
    }
    if !is_word(name) {
        let rule = "a name begins with a letter or `_`, goes on with letters, digits, `_`, `-`, `.` and `@`, and ends \
                    in a letter, a digit or `_`";
        return Err(Error::invalid(format!("{shown} cannot be a name: {rule}")));
    }
    Ok(())
}

/// Checks the id of a new record: 1 to 512 bytes. Any characters will do; odd ones are written `#"..."`.
///
/// # Errors
/// Kind `Invalid`.
pub fn check_id(id: &str) -> Result<()> {
    match id.len() {
        0 => Err(Error::invalid("an id has at least one character")),
        1..=ID_BYTES => Ok(()),
        bytes => Err(Error::invalid(format!("an id has at most {ID_BYTES} bytes, this one has {bytes}"))),
    }
}
