//! What judgements say that does not fit what is asked and searched: counted, and named by a few examples.
//!
//! Owns [`Oddities`] and the words for them. Nothing is left out here: how each kind counts is the figures' business,
//! and the words say it.

use super::evaluate::Qrels;
use crate::error::Result;
use std::collections::HashMap;

/// Examples that are named.
const EXAMPLES: usize = 3;

/// How many there are of a kind, with the first few of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// How many.
    pub count: u64,
    /// The first of them, in words.
    pub examples: Vec<String>,
}

impl Named {
    /// Counts one more; what is named already is not named again.
    pub(crate) fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            let example = example();
            if !self.examples.contains(&example) {
                self.examples.push(example);
            }
        }
    }

    /// `2 judged queries (q8, q9)`: the number, the noun, and the examples.
    pub(crate) fn text(&self, one: &str, many: &str) -> String {
        let more = if self.count as usize > self.examples.len() { ", ..." } else { "" };
        let noun = if self.count == 1 { one } else { many };
        format!("{} {noun} ({}{more})", self.count, self.examples.join(", "))
    }
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Oddities {
    /// Judged queries that nobody asks.
    pub unknown_queries: Named,
    /// Judgements of records that are not there.
    pub unknown_records: Named,
    /// Judgements that say something else than an earlier one of the same pair.
    pub contradicting: Named,
    /// Queries that are judged, but without a relevant record.
    pub without_relevant: Named,
    /// Judgements of asked queries, whether their record is there or not.
    pub judgements: u64,
}

impl Oddities {
    /// What of `qrels` does not fit the queries that `asks` knows and the records that `has` knows. Contradictions are
    /// counted where judgements are read: `qrels` has only the last word on each pair.
    ///
    /// # Errors
    /// As `has`.
    pub fn of(
        qrels: &Qrels,
        contradicting: Named,
        asks: impl Fn(&str) -> bool,
        mut has: impl FnMut(&str) -> Result<bool>,
    ) -> Result<Oddities> {
        let mut found = Oddities { contradicting, ..Oddities::default() };
        let mut known: HashMap<&str, bool> = HashMap::new();
        for query in qrels.queries() {
            if !asks(query) {
                found.unknown_queries.add(|| query.to_string());
                continue;
            }
            let Some(grades) = qrels.of(query) else { continue };
            if grades.values().all(|&grade| grade <= 0) {
                found.without_relevant.add(|| query.to_string());
            }
            let mut records: Vec<&str> = grades.keys().map(String::as_str).collect();
            records.sort_unstable();
            found.judgements += records.len() as u64;
            for record in records {
                let is_there = match known.get(record) {
                    Some(is_there) => *is_there,
                    None => has(record)?,
                };
                known.insert(record, is_there);
                if !is_there {
                    found.unknown_records.add(|| record.to_string());
                }
            }
        }
        Ok(found)
    }

    /// Whether no judgement of what is asked names a record that is there: no figure over them can mean anything.
    pub fn is_hopeless(&self) -> bool {
        self.judgements > 0 && self.unknown_records.count == self.judgements
    }

    /// One remark for each kind that there is, in plain words.
    pub fn notes(&self, collection: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_hopeless() {
            let some = self.unknown_records.text("judgement", "judgements");
            notes.push(format!(
                "no judged record is in {collection}: {some}; are these the judgements of other records, or ids in \
                 another form?"
            ));
        } else if self.unknown_records.count > 0 {
            let some = self.unknown_records.text("judgement names a record", "judgements name records");
            notes.push(format!("{some} that {collection} does not have; they count as not found"));
        }
        if self.contradicting.count > 0 {
            let some =
                self.contradicting.text("judgement contradicts an earlier one", "judgements contradict earlier ones");
            notes.push(format!("{some} of the same pair; the last one counts"));
        }
        if self.without_relevant.count > 0 {
            let some = self
                .without_relevant
                .text("judged query without a relevant record", "judged queries without a relevant record");
            notes.push(format!("{some}: every figure counts 0 there, as trec_eval has it"));
        }
        notes
    }
}

/// Judgements in the order of a file, as grades by query and record, with what contradicts.
#[derive(Debug, Clone, Default)]
pub struct Judgements {
    /// The last word on each pair.
    pub qrels: Qrels,
    /// Judgements that say something else than an earlier one of the same pair.
    pub contradicting: Named,
}

impl Judgements {
    /// Takes the next judgement.
    pub fn say(&mut self, query: &str, record: &str, grade: i64) {
        if let Some(before) = self.qrels.insert(query, record, grade).filter(|before| *before != grade) {
            self.contradicting.add(|| format!("{query} {record}: {before}, then {grade}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_and_named() {
        let mut said = Judgements::default();
        for (query, record, grade) in [
            ("q1", "a", 1),
            ("q1", "gone", 1),
            ("q1", "a", 0),
            ("q1", "a", 1),
            ("q2", "b", 0),
            ("q2", "gone", -1),
            ("q9", "a", 1),
            ("q1", "b", 2),
            ("q1", "b", 2),
        ] {
            said.say(query, record, grade);
        }
        let Judgements { qrels, contradicting } = said;
        let found = Oddities::of(&qrels, contradicting, |query| query != "q9", |record| Ok(record != "gone")).unwrap();
        assert_eq!(found.unknown_queries, Named { count: 1, examples: vec!["q9".to_string()] });
        assert_eq!((found.unknown_records.count, found.judgements), (2, 5));
        assert_eq!(found.contradicting.examples, ["q1 a: 1, then 0", "q1 a: 0, then 1"]);
        assert_eq!(found.without_relevant.examples, ["q2"]);
        let notes = found.notes("things").join("\n");
        assert!(notes.contains("2 judgements name records (gone, ...) that things does not have"), "{notes}");
        assert!(
            notes.contains("2 judgements contradict earlier ones")
                && notes.contains("1 judged query without a relevant record (q2)")
        );
        assert!(!found.is_hopeless());
        let other = Oddities::of(&qrels, Named::default(), |_| true, |_| Ok(false)).unwrap();
        assert!(other.is_hopeless() && other.notes("things")[0].contains("no judged record is in things"));
        assert!(Oddities::default().notes("things").is_empty() && !Oddities::default().is_hopeless());
    }

    #[test]
    fn no_more_than_a_few_are_named() {
        let mut named = Named::default();
        (0..9).for_each(|at| named.add(|| format!("q{at}")));
        assert_eq!(named.text("query", "queries"), "9 queries (q0, q1, q2, ...)");
    }
}
