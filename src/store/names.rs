//! Which names collections, views, projections and lenses may have, and which name may have been meant.

use crate::error::{Error, ErrorKind, Result};
use crate::types::limits;

/// Words of the query language that a name would be mistaken for.
const KEYWORDS: &[&str] = &[
    "above",
    "analyze",
    "and",
    "blend",
    "center",
    "compare",
    "corpus",
    "cosine",
    "csls",
    "dot",
    "drop",
    "euclidean",
    "exact",
    "explain",
    "false",
    "find",
    "from",
    "has",
    "in",
    "including",
    "is",
    "judge",
    "let",
    "levenshtein",
    "normalize",
    "not",
    "null",
    "or",
    "pairs",
    "pearson",
    "probability",
    "project",
    "score",
    "self",
    "show",
    "sides",
    "skip",
    "standardize",
    "top",
    "true",
    "truncate",
    "using",
    "value",
    "view",
    "where",
    "whiten",
    "why",
    "within",
];

/// Refuses a name that the query language could not say: `what` is `collection`, `view`, and so on.
///
/// # Errors
/// [`ErrorKind::Invalid`] or [`ErrorKind::Limit`], with the rule that is broken.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let refuse = |why: &str| Error::invalid(format!("{name:?} cannot be the name of a {what}: {why}")).with_field(what);
    if name.is_empty() {
        return Err(refuse("it is empty"));
    }
    if name.len() > limits::NAME_BYTES {
        let message = format!("the name of a {what} has at most {} bytes, this one {}", limits::NAME_BYTES, name.len());
        return Err(Error::new(ErrorKind::Limit, message).with_field(what));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(is_word) || !name.ends_with(is_word) {
        return Err(refuse("it starts and ends with a letter, a digit or an underscore"));
    }
    if let Some(bad) = name.chars().find(|&c| !is_word(c) && !matches!(c, '-' | '.' | '@')) {
        return Err(refuse(&format!("{bad:?} is not a letter, a digit or one of _ - . @")));
    }
    if KEYWORDS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(refuse("it is a word of the query language"));
    }
    Ok(())
}

/// The candidate that differs least from `name`, if it could be a slip of the keyboard.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    let allowed = name.chars().count().div_ceil(3).max(1);
    candidates
        .map(|candidate| (strsim::osa_distance(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_language_can_say() {
        for good in ["notes", "my-notes", "a.b@c", "_x", "2024", "x_"] {
            assert!(check_name("collection", good).is_ok(), "{good}");
        }
        let long = "a".repeat(129);
        for bad in ["", "a b", "-a", "a-", "top", "Where", "ü", "a/b", "../x", &long] {
            assert!(check_name("collection", bad).is_err(), "{bad}");
        }
        assert_eq!(check_name("view", &long).unwrap_err().kind(), ErrorKind::Limit);
    }

    #[test]
    fn a_slip_is_recognised() {
        let names = ["notes", "people", "packages"];
        assert_eq!(nearest("ntoes", names.into_iter()), Some("notes"));
        assert_eq!(nearest("Packages", names.into_iter()), Some("packages"));
        assert_eq!(nearest("zebra", names.into_iter()), None);
    }
}
