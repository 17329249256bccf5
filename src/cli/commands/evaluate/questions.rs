//! What `evaluate` asks, and what is known to answer it: from files or from stored labels.
//!
//! Vectors of a file are read as they are needed. Nothing is searched here.

use crate::error::{Error, Result};
use crate::exec::Param;
use crate::interchange::beir::{read_qrels, read_queries};
use crate::interchange::labels::open_vectors;
use crate::interchange::npy::NpyReader;
use crate::learn::evaluate::Qrels;
use crate::learn::labels;
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
    /// Judged queries that are not among the questions.
    pub(super) missing: u64,
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
        let qrels = qrels.map(load_qrels).transpose()?;
        let asked: HashSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        let missing = qrels.as_ref().map_or(0, |qrels| qrels.queries().filter(|query| !asked.contains(query)).count());
        let vectors = vectors.map(|path| open_vectors(path, lines.len())).transpose()?;
        let list = lines
            .into_iter()
            .zip(0..)
            .map(|(line, row)| AskedQuestion { id: line.id, text: line.text, row, vector: None, own: None })
            .collect();
        Ok(Questions { list, vectors, next_row: 0, qrels, missing: missing as u64 })
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
                "the labels of {respect:?} are the classes of field {field}, which ask no questions: hand in queries and \
                 judgements with --queries and --qrels"
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
        Ok(Questions { list, vectors: None, next_row: 0, qrels: Some(labels::qrels(&stored)), missing: 0 })
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
                    Param::Vector(crate::interchange::labels::next_vector(vectors)?)
                }
                (None, Some(vector)) => Param::Vector(vector.clone()),
                (None, None) => Param::Text(question.text.clone()),
            });
        }
        Ok(params)
    }
}

fn load_qrels(path: &Path) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for judgement in read_qrels(path)? {
        qrels.insert(judgement.query, judgement.record, judgement.grade);
    }
    Ok(qrels)
}
