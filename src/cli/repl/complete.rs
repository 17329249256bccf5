//! Tab: the words of the language and the names of the store.
//!
//! Owns what is offered for the word before the cursor, by the word or the bar before it. Nothing is offered within
//! a string; what is offered may still be wrong there, and then the parser says so.

use crate::error::Result;
use crate::query::print_field;
use crate::store::Snapshot;
use std::collections::BTreeSet;

/// What can begin a stage.
const STAGES: &[&str] = &[
    "above",
    "blend",
    "center",
    "center corpus",
    "center sides from",
    "drop",
    "exact",
    "including self",
    "normalize",
    "project",
    "score",
    "skip",
    "standardize",
    "top",
    "truncate",
    "using",
    "view",
    "where",
    "whiten",
    "within",
];
/// What can follow a word of the language.
const AFTER: &[(&str, &[&str])] = &[
    ("score", &["cosine", "dot", "euclidean", "levenshtein", "pearson", "probability"]),
    ("cosine", &["csls"]),
    ("dot", &["csls"]),
    ("pearson", &["csls"]),
    ("show", &["collections", "fields", "lenses", "projections", "respects", "samples", "undirected", "views"]),
    ("center", &["corpus", "sides"]),
    ("sides", &["from"]),
    ("including", &["self"]),
    ("explain", &["analyze", "find"]),
];
/// What can begin a line, or stand anywhere.
const WORDS: &[&str] = &[
    "and", "compare", "drop", "explain", "find", "has", "help", "in", "is", "let", "not", "null", "or", "pairs",
    "quit", "show", "why",
];

/// All names that can be completed.
#[derive(Debug, Default)]
pub(super) struct Words {
    collections: BTreeSet<String>,
    views: BTreeSet<String>,
    fields: BTreeSet<String>,
    lenses: BTreeSet<String>,
    projections: BTreeSet<String>,
    samples: BTreeSet<String>,
}

impl Words {
    /// The names in `snapshot`.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Words> {
        let mut words = Words::default();
        for def in snapshot.collections() {
            words.collections.insert(def.name.clone());
            words.views.extend(def.views.iter().map(|view| view.name.clone()));
            words.fields.extend(def.fields.keys().map(|field| print_field(field)));
        }
        words.lenses.extend(snapshot.lenses()?.into_iter().map(|lens| lens.name));
        words.projections.extend(snapshot.projection_heads()?.into_keys());
        words.samples.extend(snapshot.sample_heads()?.into_keys());
        Ok(words)
    }

    /// Where the word before `at` begins, and what it could become.
    pub(super) fn complete(&self, text: &str, at: usize) -> (usize, Vec<String>) {
        let before = text.get(..at).unwrap_or_default();
        let in_string = before.matches('"').count() % 2 == 1 || before.matches('\'').count() % 2 == 1;
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
        let start = before.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(at, |(start, _)| start);
        if in_string {
            return (at, Vec::new());
        }
        let (front, word) = before.split_at(start);
        let front = front.trim_end();
        let last = front.rsplit(|c: char| !is_part(c)).next().unwrap_or_default().to_lowercase();
        let candidates =
            if front.ends_with('|') { STAGES.iter().map(ToString::to_string).collect() } else { self.after(&last) };
        let lower = word.to_lowercase();
        let fits = |candidate: &String| candidate.to_lowercase().starts_with(&lower) && candidate.as_str() != word;
        (start, candidates.into_iter().filter(fits).collect())
    }

    /// What can follow the word `last` (empty at the beginning and behind anything that is no word).
    fn after(&self, last: &str) -> Vec<String> {
        let names = match last {
            "in" => &self.collections,
            "view" => &self.views,
            "using" | "drop" | "compare" => &self.lenses,
            "project" => &self.projections,
            "from" => &self.samples,
            "where" | "and" | "or" | "not" => &self.fields,
            _ => {
                let words = AFTER.iter().find(|(word, _)| *word == last).map_or(WORDS, |(_, words)| *words);
                return words.iter().map(ToString::to_string).collect();
            }
        };
        names.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_follow_is_offered() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let words = Words {
            collections: set(&["notes", "news"]),
            lenses: set(&["my-lens"]),
            fields: set(&["year"]),
            samples: set(&["asked"]),
            ..Words::default()
        };
        let of = |text: &str| words.complete(text, text.len());
        assert_eq!(of("find \"x\" in no"), (12, vec!["notes".to_string()]));
        assert_eq!(of("find \"x\" in ").1, ["news", "notes"]);
        assert_eq!(of("find \"x no").1, Vec::<String>::new());
        assert_eq!(of("x | NORM"), (4, vec!["normalize".to_string()]));
        assert_eq!(of("using my-l"), (6, vec!["my-lens".to_string()]));
        assert_eq!(of("find x in notes | where y").1, ["year"]);
        assert_eq!(of("find x in notes | score co").1, ["cosine"]);
        assert_eq!(of("x | center sides from as").1, ["asked"]);
        assert_eq!(of("x | score cosine c").1, ["csls"]);
        assert_eq!(of("日本 se").1, Vec::<String>::new());
        assert_eq!(of("fin").1, ["find"]);
        assert_eq!(of("").1.len(), WORDS.len());
    }
}
