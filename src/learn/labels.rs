//! Labels as judgements: grades by question and record, and where they contradict each other.
//!
//! Pure functions of what a snapshot hands out; nothing is stored or searched here.

use super::evaluate::Qrels;
use crate::store::{LabelledPair, Labels};
use crate::types::{RecordKey, Verdict};
use std::collections::BTreeMap;

/// Labels that cannot all be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The record they are about.
    pub record: String,
    /// The question's text, or its id where it has none.
    pub asked: String,
    /// What was said, in order, each with the id of the question it was said with.
    pub said: Vec<(String, Verdict)>,
}

/// Pairs that were called relevant once and not relevant another time, and pairs of which the same text under two ids
/// says different things; in the order of their questions.
pub fn contradictions(labels: &Labels) -> Vec<Contradiction> {
    let mut alike: BTreeMap<(&str, RecordKey), Vec<&LabelledPair>> = BTreeMap::new();
    let mut found: Vec<(usize, Contradiction)> = Vec::new();
    let id = |pair: &LabelledPair| labels.queries.get(pair.query_idx).map_or("", |query| query.query.id.as_str());
    let asked = |pair: &LabelledPair| {
        let text = labels.queries.get(pair.query_idx).and_then(|query| query.query.text.clone());
        text.unwrap_or_else(|| id(pair).to_string())
    };
    for pair in &labels.pairs {
        if let Some(text) = labels.queries.get(pair.query_idx).and_then(|query| query.query.text.as_deref()) {
            alike.entry((text, pair.record.key)).or_default().push(pair);
        }
        if pair.contradicts_itself() {
            let said = pair.said.iter().map(|verdict| (id(pair).to_string(), verdict.clone())).collect();
            let record = pair.record.id.clone();
            found.push((pair.query_idx, Contradiction { record, asked: asked(pair), said }));
        }
    }
    for pairs in alike.values() {
        let relevant = pairs.iter().filter(|pair| pair.grade() > 0).count();
        let Some(first) = pairs.first().filter(|_| relevant > 0 && relevant < pairs.len()) else { continue };
        let last = |pair: &&LabelledPair| Some((id(pair).to_string(), pair.said.last()?.clone()));
        let record = first.record.id.clone();
        let said = pairs.iter().filter_map(last).collect();
        found.push((first.query_idx, Contradiction { record, asked: asked(first), said }));
    }
    found.sort_by_key(|(query_idx, _)| *query_idx);
    found.into_iter().map(|(_, contradiction)| contradiction).collect()
}

/// The grades that count, by question id and record id.
pub fn qrels(labels: &Labels) -> Qrels {
    let mut qrels = Qrels::new();
    for pair in &labels.pairs {
        if let Some(query) = labels.queries.get(pair.query_idx) {
            qrels.insert(&query.query.id, &pair.record.id, pair.grade());
        }
    }
    qrels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LabelledQuery;
    use crate::types::{CollectionId, CommitNumber, LabelQuery, LabelledRecord, RespectDef, RowId};

    fn labels(queries: &[(&str, Option<&str>)], pairs: &[(usize, u64, &[i64])]) -> Labels {
        let query = |(number, (id, text)): (usize, &(&str, Option<&str>))| LabelledQuery {
            number: number as u32,
            query: LabelQuery { id: id.to_string(), text: text.map(str::to_string), record: None, vector: None },
            row: None,
        };
        let said = |grade: &i64| Verdict { grade: *grade, source: "s".into(), time: 0, commit: CommitNumber(1) };
        let pair = |(query_idx, key, grades): &(usize, u64, &[i64])| LabelledPair {
            query_idx: *query_idx,
            record: LabelledRecord { key: RecordKey(*key), id: format!("r{key}") },
            row: RowId(0),
            said: grades.iter().map(said).collect(),
        };
        Labels {
            respect: RespectDef {
                id: 1,
                collection: CollectionId(1),
                name: "r".into(),
                field: None,
                next_query: 9,
                pairs: 9,
                revision: 1,
                commit: CommitNumber(1),
            },
            queries: queries.iter().enumerate().map(query).collect(),
            pairs: pairs.iter().map(pair).collect(),
            orphans: 0,
            classes: Vec::new(),
        }
    }

    #[test]
    fn a_change_of_mind_and_two_ids_of_one_text_contradict() {
        let found = labels(
            &[("q1", Some("keys?")), ("q2", Some("keys?")), ("q3", None), ("q4", Some("wallet?"))],
            &[
                (0, 1, &[1, 0]),
                (0, 2, &[1]),
                (0, 3, &[1, 2]),
                (1, 1, &[0]),
                (1, 2, &[0]),
                (2, 2, &[0]),
                (3, 2, &[-1, 3]),
            ],
        );
        let found: Vec<String> = contradictions(&found)
            .iter()
            .map(|found| {
                let said: Vec<String> =
                    found.said.iter().map(|(id, verdict)| format!("{id} {}", verdict.grade)).collect();
                format!("{} / {}: {}", found.asked, found.record, said.join(", "))
            })
            .collect();
        assert_eq!(found, ["keys? / r1: q1 1, q1 0", "keys? / r2: q1 1, q2 0", "wallet? / r2: q4 -1, q4 3"]);
    }

    #[test]
    fn the_last_word_is_the_grade() {
        let qrels = qrels(&labels(&[("q1", Some("keys?"))], &[(0, 1, &[1, 0]), (0, 2, &[0, 3])]));
        assert_eq!((qrels.of("q1").unwrap()["r1"], qrels.of("q1").unwrap()["r2"]), (0, 3));
    }
}
