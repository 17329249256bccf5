//! Labels in a snapshot: what counts now, over records that are still there.
//!
//! Owns [`Labels`]: questions and pairs of one respect with the rows their records have in this snapshot, or the
//! classes that a field makes. A record that was removed, or removed and inserted again, leaves its labels without one;
//! they are counted and left out. It only reads.

use crate::catalog::{CatalogRead, tables};
use crate::error::Error;
use crate::error::Result;
use crate::query::suggest;
use crate::store::read::collection::CollectionSnapshot;
use crate::store::read::column::ValueRef;
use crate::store::read::record::RECORDS;
use crate::store::read::snapshot::Snapshot;
use crate::types::CollectionId;
use crate::types::{LabelQuery, LabelledRecord, RecordKey, RespectDef, RowId, Verdict};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::ops::Bound::{Excluded, Included, Unbounded};

/// The labels of one respect.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// The respect.
    pub respect: RespectDef,
    /// Questions that have at least one pair below, in the order they were first asked.
    pub queries: Vec<LabelledQuery>,
    /// Pairs of a question and a record, by question and then by the record's key.
    pub pairs: Vec<LabelledPair>,
    /// Pairs that count no more: their record is gone, or their question was a record that is.
    pub orphans: u64,
    /// Where a field makes the labels: records by its values, in the values' order. Records without a value are in
    /// none.
    pub classes: Vec<LabelClass>,
}

/// A question with labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledQuery {
    /// Its number in the respect.
    pub number: u32,
    /// The question.
    pub query: LabelQuery,
    /// The row of the record that is the question.
    pub row: Option<RowId>,
}

/// A pair of a question and a record with what was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledPair {
    /// Position of its question in [`Labels::queries`].
    pub query_idx: usize,
    /// The record.
    pub record: LabelledRecord,
    /// The record's row.
    pub row: RowId,
    /// At least one; the last word counts.
    pub said: Vec<Verdict>,
}

impl LabelledPair {
    /// The grade that counts.
    pub fn grade(&self) -> i64 {
        self.said.last().map_or(0, |verdict| verdict.grade)
    }

    /// Whether it was called relevant once and not relevant another time.
    pub fn contradicts_itself(&self) -> bool {
        self.said.iter().any(|verdict| verdict.grade > 0) && self.said.iter().any(|verdict| verdict.grade <= 0)
    }
}

/// Records that share a value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelClass {
    /// The value as text.
    pub value: String,
    /// Live rows that have it, ascending.
    pub rows: Vec<RowId>,
}

/// A respect in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RespectInfo {
    /// Its name.
    pub name: String,
    /// The field whose values are classes.
    pub field: Option<String>,
    /// Pairs that have a label.
    pub pairs: u64,
    /// Questions that have one.
    pub queries: u64,
}

impl Snapshot {
    /// The respects in which a collection is labelled, by name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown collection.
    pub fn respects(&self, collection: &str) -> Result<Vec<RespectDef>> {
        respects_of(&self.core().read, self.collection(collection)?.def().id)
    }

    /// One respect of a collection; `None` where there is none of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown collection.
    pub fn respect(&self, collection: &str, name: &str) -> Result<Option<RespectDef>> {
        let id = self.collection(collection)?.def().id;
        self.core().read.get(&tables::RESPECTS, &(id, name.to_string()))
    }

    /// A collection's respects in numbers, by name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown collection.
    pub fn respect_infos(&self, collection: &str) -> Result<Vec<RespectInfo>> {
        let respects = self.respects(collection)?.into_iter();
        respects
            .map(|respect| {
                let mut queries = 0;
                let end = respect.id.checked_add(1).map_or(Unbounded, |next| Excluded((next, String::new())));
                let all = (Included((respect.id, String::new())), end);
                self.core().read.for_each(&tables::LABEL_QUERY_IDS, all, |_, _| {
                    queries += 1;
                    Ok(())
                })?;
                Ok(RespectInfo { name: respect.name, field: respect.field, pairs: respect.pairs, queries })
            })
            .collect()
    }

    /// The labels of a respect over the records that are there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown collection or respect, with the names that
    /// exist.
    pub fn labels(&self, collection: &str, respect: &str) -> Result<Labels> {
        let target = self.collection(collection)?;
        let Some(def) = self.respect(collection, respect)? else {
            return Err(no_such_respect(collection, respect, &self.respects(collection)?));
        };
        let mut labels =
            Labels { respect: def, queries: Vec::new(), pairs: Vec::new(), orphans: 0, classes: Vec::new() };
        match labels.respect.field.clone() {
            Some(field) => labels.classes = classes(&target, &field)?,
            None => self.read_pairs(&target, &mut labels)?,
        }
        Ok(labels)
    }

    fn read_pairs(&self, target: &CollectionSnapshot, labels: &mut Labels) -> Result<()> {
        let (id, read) = (labels.respect.id, &self.core().read);
        let mut rows = Rows { target, snapshot: self, known: HashMap::new() };
        let mut questions = Vec::new();
        read.for_each(&tables::LABEL_QUERIES, (id, 0)..=(id, u32::MAX), |(_, number), query| {
            questions.push((number, query));
            Ok(())
        })?;
        let mut questions = questions.into_iter().peekable();
        // The question of the pairs that come now: its place once a pair of it counts.
        let mut current: Option<(u32, Option<LabelledQuery>, Option<usize>)> = None;
        let all = (id, 0, RecordKey(0))..=(id, u32::MAX, RecordKey(u64::MAX));
        read.for_each(&tables::LABELS, all, |(_, number, _), pair| {
            if current.as_ref().is_none_or(|(at, _, _)| *at != number) {
                while questions.next_if(|(next, _)| *next < number).is_some() {}
                let query = match questions.next_if(|(next, _)| *next == number) {
                    Some((_, query)) => rows.question(number, query)?,
                    None => None,
                };
                current = Some((number, query, None));
            }
            let Some((_, query, idx)) = &mut current else { return Ok(()) };
            let row = rows.of(&pair.record)?;
            let Some(row) = row.filter(|_| query.is_some() || idx.is_some()) else {
                labels.orphans += 1;
                return Ok(());
            };
            let query_idx = *idx.get_or_insert_with(|| {
                labels.queries.extend(query.take());
                labels.queries.len() - 1
            });
            labels.pairs.push(LabelledPair { query_idx, record: pair.record, row, said: pair.said });
            Ok(())
        })
    }
}

/// Rows of records that labels hold on to.
struct Rows<'a> {
    target: &'a CollectionSnapshot,
    snapshot: &'a Snapshot,
    known: HashMap<RecordKey, Option<RowId>>,
}

impl Rows<'_> {
    /// The row of the live record that has this key and this id still.
    fn of(&mut self, record: &LabelledRecord) -> Result<Option<RowId>> {
        if let Some(known) = self.known.get(&record.key) {
            return Ok(*known);
        }
        let row = self.target.row_of(&record.id)?;
        let stored = match row {
            Some(row) => self.snapshot.core().read.get(&RECORDS, &(self.target.def().id, row.0))?,
            None => None,
        };
        let row = row.filter(|_| stored.is_some_and(|stored| stored.key == record.key));
        self.known.insert(record.key, row);
        Ok(row)
    }

    /// The question, if it can still be asked.
    fn question(&mut self, number: u32, query: LabelQuery) -> Result<Option<LabelledQuery>> {
        let row = query.record.as_ref().map(|record| self.of(record)).transpose()?.flatten();
        let can_be_asked = row.is_some() || query.text.is_some() || query.vector.is_some();
        Ok(can_be_asked.then_some(LabelledQuery { number, query, row }))
    }
}

/// Live records by the values of a field; of a list, by each of its items.
fn classes(target: &CollectionSnapshot, field: &str) -> Result<Vec<LabelClass>> {
    let Some(column) = target.column(field)? else { return Ok(Vec::new()) };
    let mut classes: BTreeMap<String, Vec<RowId>> = BTreeMap::new();
    for row in target.live().iter() {
        let mut add = |value: String| {
            let rows = classes.entry(value).or_default();
            // A list may name an item twice.
            if rows.last() != Some(&RowId(row)) {
                rows.push(RowId(row));
            }
        };
        column.with(row, |value| match value {
            Some(ValueRef::Text(text)) => add(text.to_string()),
            Some(ValueRef::Integer(number)) => add(number.to_string()),
            Some(ValueRef::Float(number)) => add(number.to_string()),
            Some(ValueRef::Bool(value)) => add(value.to_string()),
            Some(ValueRef::TextList(items)) => items.iter().for_each(|item| add(item.to_string())),
            Some(ValueRef::Json) | None => {}
        })?;
    }
    Ok(classes.into_iter().map(|(value, rows)| LabelClass { value, rows }).collect())
}

/// The respects of a collection, by name.
pub(in crate::store) fn respects_of(read: &impl CatalogRead, collection: CollectionId) -> Result<Vec<RespectDef>> {
    let next = collection.0.checked_add(1).map(|next| (CollectionId(next), String::new()));
    let own = (Bound::Included((collection, String::new())), next.map_or(Bound::Unbounded, Bound::Excluded));
    Ok(read.range(&tables::RESPECTS, own)?.into_iter().map(|(_, respect)| respect).collect())
}

/// The error for a respect that is not there, with the nearest name and the names that are.
pub(in crate::store) fn no_such_respect(collection: &str, name: &str, there: &[RespectDef]) -> Error {
    let names: Vec<&str> = there.iter().map(|respect| respect.name.as_str()).collect();
    let nearest = suggest(name, names.iter().copied());
    let meant = nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default();
    let listed = match names.as_slice() {
        [] => "; nothing is labelled yet: `simile label` does that".to_string(),
        names => format!(" (respects: {})", names.join(", ")),
    };
    Error::not_found(format!("{collection} has no labels in the respect {name:?}{meant}{listed}"))
}
