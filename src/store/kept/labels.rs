//! Labels in a batch: what is said about pairs of a question and a record, in one respect, and taken back again.
//!
//! Owns the tables of respects, questions and labels, and how they depend on each other: a respect's number stands
//! before everything of it, a question is stored as long as something is said with it, and what was said stays in the
//! order it was said. Everything is checked before anything is written. What labels teach is decided above.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::query::suggest;
use crate::store::kept::question::{NewLabels, Question};
use crate::store::names::find_view;
use crate::store::read::labelled::no_such_respect;
use crate::store::read::labelled::respects_of;
use crate::store::read::record::RECORDS;
use crate::store::write::batch::Batch;
use crate::store::write::validate::check_vector;
use crate::types::{
    CollectionDef, CollectionId, ElementType, FieldType, LabelQuery, LabelledRecord, PairLabels, RecordKey, RespectDef,
    Verdict, ViewDef, limits,
};
use std::collections::HashMap;

/// What became of labels that were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelsStored {
    /// Labels that were added.
    pub labels: u64,
    /// Labels that were there already: the last word on the pair, from the same source.
    pub unchanged: u64,
    /// Pairs of a question and a record that had no label before.
    pub new_pairs: u64,
    /// Questions that had no label before.
    pub new_queries: u64,
    /// Pairs among the added ones that were called relevant once and not relevant another time.
    pub contradicting: u64,
}

/// A question on its way into the catalog.
struct Asked {
    number: u32,
    query: LabelQuery,
    is_new: bool,
    changed: bool,
}

impl Batch {
    /// Stores labels in a respect, which is made when it is not there. A label is added to what was said about its pair
    /// before; the last word counts. One that the same source said last is not said again.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-labels-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// use simile::store::{NewLabels, Question};
    /// use simile::{Record, Store};
    /// let store = Store::create(dir.join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// let mut labels = NewLabels::from_source("by hand");
    /// let keys = labels.question(Question::text("Where are my keys?"));
    /// labels.say(keys, "n1", 1);
    /// batch.put_labels("notes", "answers", &labels)?;
    /// batch.commit()?;
    /// let labels = store.snapshot()?.labels("notes", "answers")?;
    /// assert_eq!(labels.pairs[0].grade(), 1);
    /// assert_eq!(labels.queries[0].query.text.as_deref(), Some("Where are my keys?"));
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a collection, record or view that is not there; [`ErrorKind::Invalid`] for a name
    /// that is none, a question without text, vector or record, one that is stored with another text, a vector that
    /// does not fit its view, and a respect whose labels are the values of a field; [`ErrorKind::Limit`] for what is
    /// too large. After these nothing has changed.
    pub fn put_labels(&mut self, collection: &str, respect: &str, labels: &NewLabels) -> Result<LabelsStored> {
        check_respect_name(respect)?;
        let def = self.collection_def(collection)?;
        let mut target = self.respect_or_new(&def, respect)?;
        if let Some(field) = &target.field {
            let message = format!(
                "the labels of {respect:?} are the values of field {field}: give labels of pairs a respect of their own"
            );
            return Err(Error::invalid(message));
        }
        let asked = self.asked(&def, &target, labels)?;
        let records = self.labelled_records(&def, labels.said.iter().map(|said| said.record.as_str()))?;
        let next_query = asked.iter().flatten().map(|asked| asked.number.saturating_add(1)).max().unwrap_or(0);
        target.next_query = target.next_query.max(next_query);
        let written = self.write_labels(target, &asked, &records, labels);
        self.note(written)
    }

    fn write_labels(
        &mut self,
        mut target: RespectDef,
        asked: &[Option<Asked>],
        records: &HashMap<&str, LabelledRecord>,
        labels: &NewLabels,
    ) -> Result<LabelsStored> {
        let mut stored = LabelsStored::default();
        let commit = self.next_commit();
        let tx = self.tx()?;
        let questions: Vec<&Asked> = asked.iter().flatten().filter(|asked| asked.changed).collect();
        for Asked { number, query, is_new, .. } in &questions {
            tx.put(&tables::LABEL_QUERIES, &(target.id, *number), query)?;
            if *is_new {
                tx.put(&tables::LABEL_QUERY_IDS, &(target.id, query.id.clone()), number)?;
                stored.new_queries += 1;
            }
        }
        for said in &labels.said {
            let Some(Some(asked)) = asked.get(said.question_idx) else { continue };
            let Some(record) = records.get(said.record.as_str()) else { continue };
            let key = (target.id, asked.number, record.key);
            let found = tx.get(&tables::LABELS, &key)?;
            stored.new_pairs += u64::from(found.is_none());
            let mut pair = found.unwrap_or_else(|| PairLabels { record: record.clone(), said: Vec::new() });
            if pair.said.last().is_some_and(|last| last.grade == said.grade && last.source == labels.source) {
                stored.unchanged += 1;
                continue;
            }
            pair.said.push(Verdict { grade: said.grade, source: labels.source.clone(), time: labels.time, commit });
            stored.labels += 1;
            stored.contradicting += u64::from(pair.contradicts_itself());
            tx.put(&tables::LABELS, &key, &pair)?;
        }
        if stored.labels > 0 || !questions.is_empty() {
            target.pairs += stored.new_pairs;
            self.put_respect(target)?;
        }
        Ok(stored)
    }

    /// Makes a respect of a metadata field: two records are alike when they share a value of it. Nothing but that is
    /// stored; what the classes are is read from the records.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a collection or field that is not there, [`ErrorKind::Invalid`] for a nested field
    /// and a name that is none, [`ErrorKind::Exists`] for a respect that has labels or another field.
    pub fn put_class_respect(&mut self, collection: &str, respect: &str, field: &str) -> Result<RespectDef> {
        check_respect_name(respect)?;
        let def = self.collection_def(collection)?;
        check_class_field(&def, field)?;
        let mut target = self.respect_or_new(&def, respect)?;
        if target.field.as_deref() == Some(field) {
            return Ok(target);
        }
        let is_taken = target.pairs > 0 || target.field.is_some();
        if is_taken {
            let has = target.field.map_or("labels of its own".to_string(), |field| format!("the classes of {field}"));
            let message = format!("respect {respect:?} of {collection} has {has}: take another name, or drop it first");
            return Err(Error::new(ErrorKind::Exists, message));
        }
        target.field = Some(field.to_string());
        let written = self.put_respect(target.clone());
        self.note(written)?;
        Ok(target)
    }

    /// Takes back the last word on a pair, and with it the pair and the question where nothing is left of them. Answers
    /// with what was taken back; `None` where nothing was said.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a collection or respect that is not there.
    pub fn take_back_label(
        &mut self,
        collection: &str,
        respect: &str,
        question: &str,
        record: &str,
    ) -> Result<Option<Verdict>> {
        let def = self.collection_def(collection)?;
        let target = self.respect_in(&def, respect)?;
        let tx = self.tx()?;
        let Some(number) = tx.get(&tables::LABEL_QUERY_IDS, &(target.id, question.to_string()))? else {
            return Ok(None);
        };
        let all = (target.id, number, RecordKey(0))..=(target.id, number, RecordKey(u64::MAX));
        let mut pairs = tx.range(&tables::LABELS, all)?;
        // Of a record that was removed and inserted again the newer one is meant.
        let Some(at) = pairs.iter().rposition(|(_, pair)| pair.record.id == record) else { return Ok(None) };
        let (key, pair) = pairs.swap_remove(at);
        let taken = self.take_last(target, key, pair, pairs.is_empty(), question);
        self.note(taken)
    }

    fn take_last(
        &mut self,
        mut target: RespectDef,
        key: (u32, u32, RecordKey),
        mut pair: PairLabels,
        is_only_pair: bool,
        question: &str,
    ) -> Result<Option<Verdict>> {
        let taken = pair.said.pop();
        let tx = self.tx()?;
        if pair.said.is_empty() {
            tx.remove(&tables::LABELS, &key)?;
            target.pairs = target.pairs.saturating_sub(1);
            if is_only_pair {
                tx.remove(&tables::LABEL_QUERIES, &(key.0, key.1))?;
                tx.remove(&tables::LABEL_QUERY_IDS, &(key.0, question.to_string()))?;
            }
        } else {
            tx.put(&tables::LABELS, &key, &pair)?;
        }
        self.put_respect(target)?;
        Ok(taken)
    }

    /// Forgets a respect with all its labels; false where there was none.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a collection that is not there.
    pub fn drop_respect(&mut self, collection: &str, respect: &str) -> Result<bool> {
        let def = self.collection_def(collection)?;
        let key = (def.id, respect.to_string());
        let Some(target) = self.tx()?.get(&tables::RESPECTS, &key)? else { return Ok(false) };
        let removed = self.forget_respect(&key, target.id);
        self.note(removed)?;
        Ok(true)
    }

    fn forget_respect(&mut self, key: &(CollectionId, String), id: u32) -> Result<()> {
        self.changed = true;
        let tx = self.tx()?;
        let all = (id, 0, RecordKey(0))..=(id, u32::MAX, RecordKey(u64::MAX));
        tx.for_each(&tables::LABELS, all, |key, _| tx.remove(&tables::LABELS, &key).map(|_| ()))?;
        tx.for_each(&tables::LABEL_QUERIES, (id, 0)..=(id, u32::MAX), |key, query| {
            tx.remove(&tables::LABEL_QUERIES, &key)?;
            tx.remove(&tables::LABEL_QUERY_IDS, &(id, query.id)).map(|_| ())
        })?;
        tx.remove(&tables::RESPECTS, key).map(|_| ())
    }

    /// Stores a respect that has changed.
    fn put_respect(&mut self, mut respect: RespectDef) -> Result<()> {
        respect.revision = respect.revision.saturating_add(1);
        self.changed = true;
        self.tx()?.put(&tables::RESPECTS, &(respect.collection, respect.name.clone()), &respect)
    }

    fn collection_def(&mut self, collection: &str) -> Result<CollectionDef> {
        let idx = self.require(collection)?;
        Ok(self.state(idx)?.def.clone())
    }

    fn respect_in(&self, def: &CollectionDef, name: &str) -> Result<RespectDef> {
        let tx = self.tx()?;
        match tx.get(&tables::RESPECTS, &(def.id, name.to_string()))? {
            Some(found) => Ok(found),
            None => Err(no_such_respect(&def.name, name, &respects_of(tx, def.id)?)),
        }
    }

    fn respect_or_new(&self, def: &CollectionDef, name: &str) -> Result<RespectDef> {
        let tx = self.tx()?;
        if let Some(found) = tx.get(&tables::RESPECTS, &(def.id, name.to_string()))? {
            return Ok(found);
        }
        let mut id = 1;
        tx.for_each(&tables::RESPECTS, .., |_, respect| {
            id = id.max(respect.id.saturating_add(1));
            Ok(())
        })?;
        Ok(RespectDef {
            id,
            collection: def.id,
            name: name.to_string(),
            field: None,
            next_query: 0,
            pairs: 0,
            revision: 0,
            commit: self.next_commit(),
        })
    }

    /// The questions that something is said with, as they will be stored, under their places in `labels`.
    fn asked(&self, def: &CollectionDef, target: &RespectDef, labels: &NewLabels) -> Result<Vec<Option<Asked>>> {
        let mut asked: Vec<Option<Asked>> = Vec::new();
        asked.resize_with(labels.questions.len(), || None);
        let mut used = vec![false; labels.questions.len()];
        for said in &labels.said {
            match used.get_mut(said.question_idx) {
                Some(used) => *used = true,
                None => return Err(Error::invalid(format!("there is no question {} here", said.question_idx))),
            }
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut next = target.next_query;
        for (idx, question) in labels.questions.iter().enumerate() {
            if !used.get(idx).is_some_and(|used| *used) {
                continue;
            }
            let given = self.label_query(def, question)?;
            if let Some(first) = seen.insert(&question.id, idx) {
                let message = format!("question {:?} is given twice (numbers {first} and {idx})", question.id);
                return Err(Error::invalid(message));
            }
            let made = match self.stored_query(target, &question.id)? {
                Some((number, stored)) => merged(number, stored, given)?,
                None if given.text.is_none() && given.record.is_none() && given.vector.is_none() => {
                    let message = format!(
                        "question {:?} has no text, no vector and no record: one of them has to say what is asked",
                        given.id
                    );
                    return Err(Error::invalid(message));
                }
                None => {
                    let number = next;
                    next = next.checked_add(1).ok_or_else(|| Error::new(ErrorKind::Limit, "too many questions"))?;
                    Asked { number, query: given, is_new: true, changed: true }
                }
            };
            if let Some(slot) = asked.get_mut(idx) {
                *slot = Some(made);
            }
        }
        Ok(asked)
    }

    fn stored_query(&self, target: &RespectDef, id: &str) -> Result<Option<(u32, LabelQuery)>> {
        let tx = self.tx()?;
        let Some(number) = tx.get(&tables::LABEL_QUERY_IDS, &(target.id, id.to_string()))? else { return Ok(None) };
        Ok(tx.get(&tables::LABEL_QUERIES, &(target.id, number))?.map(|query| (number, query)))
    }

    /// A question as it would be stored, if it is one.
    fn label_query(&self, def: &CollectionDef, question: &Question) -> Result<LabelQuery> {
        if question.id.is_empty() {
            return Err(Error::invalid("a question needs an id, and an id is not empty"));
        }
        if question.id.len() > limits::QUESTION_ID_BYTES {
            let message = format!("the id of a question has at most {} bytes", limits::QUESTION_ID_BYTES);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let text = question.text.clone().filter(|text| !text.trim().is_empty());
        if text.as_ref().is_some_and(|text| text.len() > limits::TEXT_BYTES) {
            return Err(Error::new(ErrorKind::Limit, format!("the text of question {:?} is too long", question.id)));
        }
        if let Some(vector) = &question.vector {
            // The vector is kept in single precision, whatever the view's rows are.
            let view = ViewDef { element: ElementType::F32, ..find_view(def, &vector.view)?.clone() };
            check_vector(&view, &vector.data).map_err(|error| error.context(format!("question {:?}", question.id)))?;
        }
        let record = match &question.record {
            Some(id) => self.labelled_records(def, [id.as_str()])?.remove(id.as_str()),
            None => None,
        };
        Ok(LabelQuery { id: question.id.clone(), text, record, vector: question.vector.clone() })
    }

    /// The records of these ids, which must be there.
    fn labelled_records<'a>(
        &self,
        def: &CollectionDef,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<&'a str, LabelledRecord>> {
        let tx = self.tx()?;
        let mut found = HashMap::new();
        for id in ids {
            if found.contains_key(id) {
                continue;
            }
            let row = tx.get(&tables::IDS, &(def.id, id.to_string()))?;
            let record = row.map(|row| tx.get(&RECORDS, &(def.id, row))).transpose()?.flatten();
            let Some(record) = record else {
                let message = format!("{} has no record {id:?}: labels are about records that are there", def.name);
                return Err(Error::not_found(message));
            };
            found.insert(id, LabelledRecord { key: record.key, id: record.id });
        }
        Ok(found)
    }
}

/// What is stored of a question, with what it is given with now.
fn merged(number: u32, stored: LabelQuery, given: LabelQuery) -> Result<Asked> {
    let refuse = |what: &str| {
        let message = format!("question {:?} is stored with another {what}: give this one another id", stored.id);
        Err(Error::invalid(message))
    };
    if given.text.is_some() && stored.text.is_some() && given.text != stored.text {
        return refuse("text");
    }
    if given.record.is_some() && stored.record.is_some() && given.record != stored.record {
        return refuse("record");
    }
    let query = LabelQuery {
        text: given.text.or_else(|| stored.text.clone()),
        record: given.record.or_else(|| stored.record.clone()),
        vector: given.vector.or_else(|| stored.vector.clone()),
        id: given.id,
    };
    Ok(Asked { number, changed: query != stored, is_new: false, query })
}

/// A respect is named in plain words: anything on one line that is not too long.
pub(in crate::store) fn check_respect_name(name: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::invalid(format!("{name:?} {why}")).with_field("respect"));
    if name.trim() != name || name.is_empty() {
        return refuse("cannot name a respect: it is empty, or begins or ends with a blank");
    }
    if name.len() > limits::NAME_BYTES {
        return refuse(&format!("is too long to name a respect: at most {} bytes", limits::NAME_BYTES));
    }
    if name.chars().any(char::is_control) {
        return refuse("cannot name a respect: it holds a control character");
    }
    Ok(())
}

fn check_class_field(def: &CollectionDef, field: &str) -> Result<()> {
    let Some(field_type) = def.fields.get(field) else {
        let nearest = suggest(field, def.fields.keys().map(String::as_str));
        let meant = nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default();
        let names: Vec<&str> = def.fields.keys().map(String::as_str).collect();
        let message = format!("{} has no field {field:?}{meant} (fields: {})", def.name, names.join(", "));
        return Err(Error::not_found(message).with_field(field));
    };
    if *field_type == FieldType::Json {
        let message = format!("field {field} holds nested values: classes are texts, numbers, or lists of text");
        return Err(Error::invalid(message).with_field(field));
    }
    Ok(())
}
