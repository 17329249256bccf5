//! What `evaluate` asks, and what is known to answer it: from files or from stored labels.
//!
//! Vectors of a file are read as they are needed. Nothing is searched here.

use crate::error::{Error, Result};
use crate::exec::Param;
use crate::interchange::NpyReader;
use crate::interchange::labels::{next_vector, open_vectors};
use crate::interchange::{read_qrels, read_queries};
use crate::learn::evaluate::Qrels;
use crate::learn::familiar::{AskedNow, Familiar};
use crate::learn::labels;
use crate::learn::oddities::{Judgements, Named, Oddities};
use crate::query::ast::{LensBase, Statement};
use crate::query::parse;
use crate::store::Snapshot;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

/// Questions, their judgements, and where their vectors come from.
pub(super) struct Questions {
    list: Vec<AskedQuestion>,
    vectors: Option<NpyReader>,
    next_row: u64,
    /// `None`: nothing is judged.
    pub(super) qrels: Option<Qrels>,
    /// What of the judgements does not fit; filled in by [`Questions::look_at`].
    pub(super) odd: Oddities,
    /// Whether no record is its own answer.
    exclude_own: bool,
}

/// One question.
pub(super) struct AskedQuestion {
    pub(super) id: String,
    pub(super) text: String,
    /// Its row in the file of vectors.
    row: u64,
    /// What to search with, where no file has its vector.
    vector: Option<Vec<f32>>,
    /// The record that it is.
    pub(super) own: Option<String>,
}

impl Questions {
    /// The lines of a file of queries.
    ///
    /// # Errors
    /// When a file cannot be read or holds no queries, and where vectors and lines differ in number.
    pub(super) fn from_files(queries: &Path, vectors: Option<&Path>, qrels: Option<&Path>) -> Result<Questions> {
        let lines = read_queries(queries)?;
        if lines.is_empty() {
            return Err(Error::invalid(format!("{} holds no queries", queries.display())));
        }
        let judged = qrels.map(load_judgements).transpose()?;
        let vectors = vectors.map(|path| open_vectors(path, lines.len())).transpose()?;
        let list = lines
            .into_iter()
            .zip(0..)
            .map(|(line, row)| AskedQuestion { id: line.id, text: line.text, row, vector: None, own: None })
            .collect();
        let (qrels, contradicting) = match judged {
            Some(Judgements { qrels, contradicting }) => (Some(qrels), contradicting),
            None => (None, Named::default()),
        };
        let odd = Oddities { contradicting, ..Oddities::default() };
        Ok(Questions { list, vectors, next_row: 0, qrels, odd, exclude_own: false })
    }

    /// Compares the judgements with the questions, and with the records of `collection`.
    ///
    /// # Errors
    /// For a collection that is not there.
    pub(super) fn look_at(&mut self, snapshot: &Snapshot, collection: &str) -> Result<()> {
        let Some(qrels) = &self.qrels else { return Ok(()) };
        let asked: HashSet<&str> = self.list.iter().map(|question| question.id.as_str()).collect();
        let records = snapshot.collection(collection)?;
        let contradicting = std::mem::take(&mut self.odd.contradicting);
        let has = |record: &str| Ok(records.row_of(record)?.is_some());
        self.odd = Oddities::of(qrels, contradicting, |query| asked.contains(query), has)?;
        Ok(())
    }

    /// Leaves out of every answer the record whose id is the question's.
    pub(super) fn exclude_own_ids(&mut self) {
        self.exclude_own = true;
        for question in &mut self.list {
            question.own.get_or_insert_with(|| question.id.clone());
        }
    }

    /// Whether a question may find itself, so that a search has to list one hit more than it shows.
    pub(super) fn may_find_themselves(&self) -> bool {
        self.exclude_own || self.list.iter().any(|question| question.own.is_some())
    }

    /// The questions of stored labels. A record that asks is searched with by its own vector in the view of the search.
    ///
    /// # Errors
    /// For a respect that is not there or is made of classes, and for a question that the view cannot take.
    pub(super) fn from_labels(snapshot: &Snapshot, statement: &str, respect: &str) -> Result<Questions> {
        let Statement::Find(find) = parse(statement)? else {
            return Err(Error::invalid("the search is a `find`"));
        };
        let view = match &find.lens.base {
            LensBase::View(view) => view.node.clone(),
            LensBase::Using(lens) => snapshot.lens(&lens.node)?.map_or("raw".to_string(), |lens| lens.lens.view),
            LensBase::Default | LensBase::Blend(_) => "raw".to_string(),
        };
        let stored = snapshot.labels(&find.collection.node, respect)?;
        if let Some(field) = &stored.respect.field {
            let message = format!(
                "the labels of {respect:?} are the classes of field {field}, which ask no questions: hand in queries \
                 and judgements with --queries and --qrels"
            );
            return Err(Error::invalid(message));
        }
        let collection = snapshot.collection(&find.collection.node)?;
        let rows = collection.view(&view);
        let mut list = Vec::new();
        for query in &stored.queries {
            let given = query.query.vector.as_ref().filter(|vector| vector.view == view);
            let mut vector = given.map(|vector| vector.data.clone());
            if vector.is_none()
                && let (Some(row), Some(rows)) = (query.row, rows)
            {
                vector = rows.vector(row.0)?;
            }
            let own = query.row.and(query.query.record.as_ref()).map(|record| record.id.clone());
            let text = query.query.text.clone().unwrap_or_default();
            list.push(AskedQuestion { id: query.query.id.clone(), text, row: 0, vector, own });
        }
        let mut contradicting = Named::default();
        for found in labels::contradictions(&stored) {
            contradicting.add(|| format!("{} {}", found.asked, found.record));
        }
        let odd = Oddities { contradicting, ..Oddities::default() };
        let qrels = Some(labels::qrels(&stored));
        Ok(Questions { list, vectors: None, next_row: 0, qrels, odd, exclude_own: false })
    }

    /// Leaves out what is not judged.
    pub(super) fn keep_judged(&mut self) {
        if let Some(qrels) = &self.qrels {
            self.list.retain(|question| qrels.of(&question.id).is_some());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, idx: usize) -> Option<&AskedQuestion> {
        self.list.get(idx)
    }

    /// How many of the questions that figures are of a lens has seen, and how many these are.
    ///
    /// # Errors
    /// When the vectors cannot be read.
    pub(super) fn count_known(&mut self, known: &Familiar) -> Result<(usize, usize)> {
        let (mut count, mut asked) = (0, 0);
        for at in 0..self.list.len() {
            // What is not judged is in no figure.
            let judged = |id: &str| self.qrels.as_ref().is_none_or(|qrels| qrels.of(id).is_some());
            if !self.list.get(at).is_some_and(|question| judged(&question.id)) {
                continue;
            }
            asked += 1;
            let came = match self.params(at..at + 1)?.pop() {
                Some(Param::Vector(vector)) => Some(vector),
                _ => None,
            };
            let Some(question) = self.list.get(at) else { continue };
            let own = if self.exclude_own { None } else { question.own.as_deref() };
            let (id, text) = (question.id.as_str(), question.text.as_str());
            count += usize::from(known.knows(&AskedNow { id, text, vector: came.as_deref(), own }));
        }
        Ok((count, asked))
    }

    /// What to search with for these questions.
    ///
    /// # Errors
    /// When the vectors cannot be read.
    pub(super) fn params(&mut self, range: Range<usize>) -> Result<Vec<Param>> {
        let mut params = Vec::with_capacity(range.len());
        for question in self.list.get(range).unwrap_or_default() {
            params.push(match (&mut self.vectors, &question.vector) {
                (Some(vectors), _) => {
                    if question.row != self.next_row {
                        vectors.seek(question.row)?;
                    }
                    self.next_row = question.row + 1;
                    Param::Vector(next_vector(vectors)?)
                }
                (None, Some(vector)) => Param::Vector(vector.clone()),
                (None, None) => Param::Text(question.text.clone()),
            });
        }
        Ok(params)
    }
}

fn load_judgements(path: &Path) -> Result<Judgements> {
    let mut judged = Judgements::default();
    for judgement in read_qrels(path)? {
        judged.say(&judgement.query, &judgement.record, judgement.grade);
    }
    Ok(judged)
}
