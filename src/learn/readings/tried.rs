//! Labelled questions as `try` takes them: a vector each, the rows that answer it, and what labels connect.
//!
//! Owns [`Judged`]. Questions stand in the order of their ids, so that the order in which labels were given changes
//! nothing. It ranks nothing.

use crate::error::Result;
use crate::exec::embed_texts;
use crate::lens::RowSource;
use crate::linalg::random::Random;
use crate::store::{CollectionSnapshot, Labels, Snapshot, ViewSnapshot};
use crate::types::Accept;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Questions of classes, at most: every record that has a class is one.
const CLASS_QUESTIONS: usize = 2_000;

/// Where judgements come from.
#[derive(Debug, Clone, PartialEq)]
pub enum TryLabels {
    /// A respect of the collection.
    Respect(String),
    /// Questions given on the spot, with grades by record id.
    Given(Vec<GivenQuestion>),
}

/// A question given on the spot.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenQuestion {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its vector in the view that is looked at; without one its text is embedded.
    pub vector: Option<Vec<f32>>,
    /// Grades by record id: above 0 relevant. Without any the question takes no part.
    pub grades: HashMap<String, i64>,
    /// The id of the record that it is, which is not among its own hits; `None`, or one that is not there: none.
    pub own: Option<String>,
}

/// A judged question with a vector.
#[derive(Debug, Clone)]
pub(in crate::learn) struct Asked {
    id: String,
    pub(in crate::learn) vector: Vec<f32>,
    /// The record that it is.
    pub(in crate::learn) own: Option<u32>,
    /// Rows that answer it, or numbers of its classes. Without one it counts as 0, as trec_eval has it.
    answers: BTreeSet<u32>,
}

/// All questions.
#[derive(Debug, Default)]
pub(in crate::learn) struct Judged {
    pub(in crate::learn) asked: Vec<Asked>,
    pub(in crate::learn) classes: bool,
    /// Classes of each row.
    of_row: HashMap<u32, Vec<u32>>,
    pub(in crate::learn) left_out: u64,
}

/// A question on its way in.
struct Raw {
    id: String,
    text: Option<String>,
    vector: Option<Vec<f32>>,
    own: Option<u32>,
    /// Whether that record's vector is what is asked with.
    asks_for_itself: bool,
    answers: BTreeSet<u32>,
}

impl Judged {
    /// Gathers what `labels` says over one view.
    pub(in crate::learn) fn gather(
        snapshot: &Snapshot,
        target: &CollectionSnapshot,
        view: &ViewSnapshot,
        labels: &TryLabels,
        seed: u64,
    ) -> Result<Judged> {
        let mut judged = Judged::default();
        let raw = match labels {
            TryLabels::Respect(name) => {
                let labels = snapshot.labels(&target.def().name, name)?;
                judged.left_out = labels.orphans;
                if labels.respect.field.is_some() {
                    judged.of_classes(view, &labels, seed)
                } else {
                    judged.of_pairs(view, &labels)
                }
            }
            TryLabels::Given(questions) => judged.given(target, view, questions)?,
        };
        judged.embed(view, raw)?;
        judged.asked.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(judged)
    }

    fn of_pairs(&mut self, view: &ViewSnapshot, labels: &Labels) -> Vec<Raw> {
        let mut answers: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); labels.queries.len()];
        for pair in labels.pairs.iter().filter(|pair| pair.grade() > 0) {
            if !view.present().contains(pair.row.0) {
                self.left_out += 1;
            } else if let Some(answers) = answers.get_mut(pair.query_idx) {
                answers.insert(pair.row.0);
            }
        }
        let raw = |(query, answers): (&crate::store::LabelledQuery, BTreeSet<u32>)| Raw {
            id: query.query.id.clone(),
            text: query.query.text.clone(),
            vector: query
                .query
                .vector
                .as_ref()
                .filter(|came| came.view == view.def().name)
                .map(|came| came.data.clone()),
            own: query.row.map(|row| row.0),
            asks_for_itself: true,
            answers,
        };
        labels.queries.iter().zip(answers).map(raw).collect()
    }

    fn of_classes(&mut self, view: &ViewSnapshot, labels: &Labels, seed: u64) -> Vec<Raw> {
        self.classes = true;
        for (class, found) in labels.classes.iter().enumerate() {
            for row in found.rows.iter().filter(|row| view.present().contains(row.0)) {
                self.of_row.entry(row.0).or_default().push(class as u32);
            }
        }
        // A class of one record has no other to be found.
        let alone = |row: &u32| {
            self.of_row.get(row).is_some_and(|classes| {
                classes
                    .iter()
                    .any(|class| labels.classes.get(*class as usize).is_some_and(|found| found.rows.len() > 1))
            })
        };
        let mut rows: Vec<u32> = self.of_row.keys().copied().filter(alone).collect();
        rows.sort_unstable();
        Random::new(seed).draw(&mut rows, CLASS_QUESTIONS);
        let raw = |row: u32| Raw {
            id: format!("#{row:010}"),
            text: None,
            vector: None,
            own: Some(row),
            asks_for_itself: true,
            answers: self.of_row.get(&row).into_iter().flatten().copied().collect(),
        };
        rows.into_iter().map(raw).collect()
    }

    fn given(
        &mut self,
        target: &CollectionSnapshot,
        view: &ViewSnapshot,
        questions: &[GivenQuestion],
    ) -> Result<Vec<Raw>> {
        let mut found = Vec::with_capacity(questions.len());
        for question in questions.iter().filter(|question| !question.grades.is_empty()) {
            let mut answers = BTreeSet::new();
            for (id, _) in question.grades.iter().filter(|(_, grade)| **grade > 0) {
                match target.row_of(id)?.filter(|row| view.present().contains(row.0)) {
                    Some(row) => {
                        answers.insert(row.0);
                    }
                    None => self.left_out += 1,
                }
            }
            let (id, text, vector) = (question.id.clone(), Some(question.text.clone()), question.vector.clone());
            let own = question.own.as_deref().map(|own| target.row_of(own)).transpose()?.flatten();
            found.push(Raw { id, text, vector, own: own.map(|row| row.0), asks_for_itself: false, answers });
        }
        Ok(found)
    }

    /// Finds every question's vector: its own, its record's, or that of its text.
    fn embed(&mut self, view: &ViewSnapshot, raw: Vec<Raw>) -> Result<()> {
        let embedder = view.embedder()?;
        let (mut texts, mut waiting) = (Vec::new(), Vec::new());
        for question in raw {
            let Raw { id, text, vector, own, asks_for_itself, answers } = question;
            let vector = match (vector, own) {
                (Some(vector), _) if vector.len() == view.dimension() => Some(vector),
                (_, Some(row)) if asks_for_itself => view.vector(row)?,
                _ => None,
            };
            let text = text.filter(|text| !text.trim().is_empty() && embedder.is_some());
            match (vector, text) {
                (Some(vector), _) => self.asked.push(Asked { id, vector, own, answers }),
                (None, Some(text)) => {
                    texts.push(text);
                    waiting.push(Asked { id, vector: Vec::new(), own, answers });
                }
                (None, None) => self.left_out += 1,
            }
        }
        if let Some(embedder) = embedder.filter(|_| !texts.is_empty()) {
            let vectors = embed_texts(view, &*embedder, &texts)?;
            for (mut asked, vector) in waiting.into_iter().zip(vectors) {
                // A question that the embedder knows no word of finds nothing under any lens.
                let Some(vector) = vector else {
                    self.left_out += 1;
                    continue;
                };
                asked.vector = vector;
                self.asked.push(asked);
            }
        }
        Ok(())
    }

    /// How many questions have an answer.
    pub(in crate::learn) fn answered(&self) -> usize {
        self.asked.iter().filter(|asked| !asked.answers.is_empty()).count()
    }

    /// Whether the record at `row` answers a question.
    pub(in crate::learn) fn is_relevant(&self, asked: &Asked, row: u32) -> bool {
        if self.classes {
            return self.of_row.get(&row).into_iter().flatten().any(|class| asked.answers.contains(class));
        }
        asked.answers.contains(&row)
    }

    /// A fold for each question: whole connected components of questions and records for what must hold on new records,
    /// else question by question.
    pub(in crate::learn) fn folds(&self, count: usize, accept: Accept, seed: u64) -> Vec<usize> {
        let mut groups: Vec<usize> = (0..self.asked.len()).collect();
        if accept == Accept::NewRecords && !self.classes {
            let mut by_record: BTreeMap<u32, usize> = BTreeMap::new();
            for (at, asked) in self.asked.iter().enumerate() {
                for row in &asked.answers {
                    let other = *by_record.entry(*row).or_insert(at);
                    let (a, b) = (root(&groups, at), root(&groups, other));
                    if let Some(slot) = groups.get_mut(a.max(b)) {
                        *slot = a.min(b);
                    }
                }
            }
        }
        let mut names: Vec<usize> = (0..groups.len()).map(|at| root(&groups, at)).collect();
        let mut order = names.clone();
        order.sort_unstable();
        order.dedup();
        let all = order.len();
        Random::new(seed).draw(&mut order, all);
        let fold: HashMap<usize, usize> =
            order.into_iter().enumerate().map(|(place, name)| (name, place % count)).collect();
        names.iter_mut().for_each(|name| *name = fold.get(name).copied().unwrap_or(0));
        names
    }
}

fn root(groups: &[usize], mut at: usize) -> usize {
    while let Some(&up) = groups.get(at).filter(|up| **up != at) {
        at = up;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answers: &[&[u32]]) -> Judged {
        let asked = |(at, answers): (usize, &&[u32])| Asked {
            id: at.to_string(),
            vector: Vec::new(),
            own: None,
            answers: answers.iter().copied().collect(),
        };
        Judged { asked: answers.iter().enumerate().map(asked).collect(), ..Judged::default() }
    }

    #[test]
    fn what_labels_connect_stays_in_one_fold() {
        let chain: Vec<Vec<u32>> = (0..40).map(|at| if at < 10 { vec![at, at + 1] } else { vec![100 + at] }).collect();
        let chain: Vec<&[u32]> = chain.iter().map(Vec::as_slice).collect();
        let judged = judged(&chain);
        let by_record = judged.folds(5, Accept::NewRecords, 3);
        assert!(by_record[..10].iter().all(|fold| *fold == by_record[0]));
        let by_question = judged.folds(5, Accept::KnownRecords, 3);
        assert!(by_question[..10].iter().any(|fold| *fold != by_question[0]));
        for fold in 0..5 {
            assert_eq!(by_question.iter().filter(|other| **other == fold).count(), 8);
            assert!(by_record.contains(&fold));
        }
        assert_eq!(by_record, judged.folds(5, Accept::NewRecords, 3));
    }
}
