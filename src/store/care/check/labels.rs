//! What `check` sees of labels: respects, questions and what was said belong together.
//!
//! Owns the invariants between these tables: a question stands in a respect under a number that was given, its id leads
//! back to it and something is said with it; a label stands under its record's key, with a question of its respect; a
//! respect counts its pairs. Labels of records that are gone are no damage. It changes nothing.

use super::Checker;
use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::types::{CollectionDef, CollectionId, LabelQuery, LabelledRecord, PairLabels, RespectDef};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is wrong: where, what was expected, what was found.
type Finding = (String, String, String);

/// A respect and what was counted of it.
struct Counted {
    def: RespectDef,
    /// Keys below this were given to records of its collection; `None`: there is no such collection.
    next_key: Option<u64>,
    pairs: u64,
    /// Questions, and whether something is said with them.
    questions: HashMap<u32, bool>,
}

impl Checker<'_> {
    /// Respects and everything that stands under their numbers.
    pub(super) fn check_labels(&mut self, defs: &[CollectionDef]) -> Result<()> {
        let core = Arc::clone(&self.core);
        let mut findings = Vec::new();
        let mut respects = BTreeMap::new();
        let next_keys: HashMap<CollectionId, u64> = defs.iter().map(|def| (def.id, def.next_key)).collect();
        let read = core.read.range(&tables::RESPECTS, ..);
        for ((collection, name), def) in self.keep(read)?.unwrap_or_default() {
            let what = format!("respect {name:?} of collection {collection}");
            if def.collection != collection || def.name != name {
                let found = format!("{:?} of collection {}", def.name, def.collection);
                findings.push((what.clone(), "a respect of that name and collection".to_string(), found));
            }
            let next_key = next_keys.get(&collection).copied();
            if next_key.is_none() {
                findings.push((what.clone(), "a collection that is there".to_string(), "none".to_string()));
            }
            let counted = Counted { next_key, pairs: 0, questions: HashMap::new(), def };
            if let Some(other) = respects.insert(counted.def.id, counted) {
                let expected = "a number of its own".to_string();
                findings.push((what, expected, format!("that of {:?}", other.def.name)));
            }
        }
        let mut queries = 0;
        let walked = core.read.for_each(&tables::LABEL_QUERIES, .., |(respect, number), query| {
            queries += 1;
            let id = core.read.get(&tables::LABEL_QUERY_IDS, &(respect, query.id.clone()))?;
            check_query(respects.get_mut(&respect), (respect, number), &query, id, &mut findings);
            Ok(())
        });
        self.keep(walked)?;
        let walked = core.read.for_each(&tables::LABELS, .., |(respect, number, key), pair| {
            let what = || format!("label {key} of respect {respect}, question {number}");
            if pair.record.key != key {
                findings.push((what(), format!("the record with key {key}"), pair.record.key.to_string()));
            }
            check_pair(respects.get_mut(&respect), number, &pair, what, &mut findings);
            Ok(())
        });
        self.keep(walked)?;
        check_respects(&respects, &mut findings);
        for (what, expected, found) in findings {
            self.find(what, expected, found);
        }
        self.check_count(&tables::LABEL_QUERY_IDS, queries)
    }
}

fn check_query(
    respect: Option<&mut Counted>,
    (respect_id, number): (u32, u32),
    query: &LabelQuery,
    id: Option<u32>,
    findings: &mut Vec<Finding>,
) {
    let what = format!("question {number} of respect {respect_id}");
    let Some(respect) = respect else {
        findings.push((what, "a respect of that number".to_string(), "none".to_string()));
        return;
    };
    respect.questions.insert(number, false);
    if number >= respect.def.next_query {
        findings.push((what.clone(), format!("below {}", respect.def.next_query), number.to_string()));
    }
    if id != Some(number) {
        let found = id.map_or("none".to_string(), |id| format!("number {id}"));
        findings.push((what.clone(), "an id that leads back to it".to_string(), found));
    }
    if query.text.is_none() && query.vector.is_none() && query.record.is_none() {
        findings.push((what.clone(), "a text, a vector or a record".to_string(), "nothing".to_string()));
    }
    if query.vector.as_ref().is_some_and(|vector| vector.data.iter().any(|value| !value.is_finite())) {
        findings.push((what.clone(), "finite numbers".to_string(), "others".to_string()));
    }
    if let Some(record) = &query.record {
        check_key(respect, record, &what, findings);
    }
}

fn check_pair(
    respect: Option<&mut Counted>,
    number: u32,
    pair: &PairLabels,
    what: impl Fn() -> String,
    findings: &mut Vec<Finding>,
) {
    let Some(respect) = respect else {
        findings.push((what(), "a respect of that number".to_string(), "none".to_string()));
        return;
    };
    respect.pairs += 1;
    match respect.questions.get_mut(&number) {
        Some(is_labelled) => *is_labelled = true,
        None => findings.push((what(), "a question of that number".to_string(), "none".to_string())),
    }
    if pair.said.is_empty() {
        findings.push((what(), "something that was said".to_string(), "nothing".to_string()));
    }
    check_key(respect, &pair.record, &what(), findings);
}

/// The key of a record was given once, whether the record is still there or not.
fn check_key(respect: &Counted, record: &LabelledRecord, what: &str, findings: &mut Vec<Finding>) {
    if let Some(next_key) = respect.next_key.filter(|&next_key| record.key.0 >= next_key) {
        findings.push((what.to_string(), format!("a record's key below {next_key}"), record.key.to_string()));
    }
}

fn check_respects(respects: &BTreeMap<u32, Counted>, findings: &mut Vec<Finding>) {
    for counted in respects.values() {
        let what = format!("respect {:?} of collection {}", counted.def.name, counted.def.collection);
        if counted.def.pairs != counted.pairs {
            findings.push((what.clone(), format!("{} pairs", counted.def.pairs), counted.pairs.to_string()));
        }
        if counted.def.field.is_some() && !counted.questions.is_empty() {
            let found = format!("{} questions", counted.questions.len());
            findings.push((what.clone(), "the classes of a field and nothing else".to_string(), found));
        }
        let silent = counted.questions.values().filter(|is_labelled| !**is_labelled).count();
        if silent > 0 {
            findings.push((what, "a label of every question".to_string(), format!("{silent} without one")));
        }
    }
}
