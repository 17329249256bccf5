//! Training by contrast, from the identity: batches of pairs, epoch after epoch.
//!
//! Owns [`Trainer`]: which pairs go into a batch, which records that were judged wrong stand behind them, which cells
//! of it are left out because they are known to be alike, and the falling rate. When to stop is decided above. Chance
//! comes from the seed alone; the order of the pairs is the caller's.

use super::examples::{Examples, Relevance, row, share};
use super::rank::Matrices;
use super::step::{Adam, Workspace};
use crate::linalg::random::Random;
use rayon::prelude::*;
use std::collections::HashMap;

/// Epochs over which the rate falls to nothing.
pub(crate) const EPOCHS: usize = 40;
/// Length of Adam's first steps where there are up to [`BATCH`] pairs; it grows with the root of their number, up to
/// twice.
const RATE: f64 = 1e-3;
/// Divides cosines: safe over the sets it was measured on.
const TAU: f32 = 0.1;
/// Pairs of a batch while there are few: all of them, up to this.
const BATCH: usize = 256;
/// Pairs of a batch, at most. More contrasts in a step are worth a little where there are many labels.
const LARGEST_BATCH: usize = 1_024;
/// Steps of an epoch, at least.
const STEPS: usize = 8;
/// Records judged wrong behind the pairs of a batch, at most this part of their number.
const MOST_WRONG: f64 = 0.5;
/// Rows of a batch that one task compares with all others.
const MASK_ROWS: usize = 64;
/// A component that holds more than this part of the pairs says little about what is alike: then only what was labelled
/// counts as alike.
const LARGEST_COMPONENT: f64 = 0.25;

/// What makes two pairs of a batch no contrast to each other.
#[derive(Debug, Clone)]
enum Alike {
    /// Components of questions and records that labels connect, by question.
    Components(Vec<u32>),
    /// The labels themselves.
    Labels,
}

/// A map in training.
#[derive(Debug, Clone)]
pub(crate) struct Trainer<'a> {
    examples: &'a Examples,
    /// All questions less the mean of those trained on, unit rows.
    queries: Vec<f32>,
    /// Questions trained on.
    trained: Vec<u32>,
    /// Records of each class among those trained on, with their questions; only for classes.
    members: HashMap<u32, Vec<u32>>,
    pairs: Vec<(u32, u32)>,
    alike: Alike,
    /// The map so far.
    pub(crate) matrices: Matrices,
    adams: [Adam; 2],
    random: Random,
    workspace: Workspace,
    steps: usize,
    step: usize,
}

impl<'a> Trainer<'a> {
    /// A map to be trained on the labels of `trained` (ascending); `components` are those of all questions. `None`
    /// where there are fewer than two pairs that have a direction.
    pub(crate) fn new(
        examples: &'a Examples,
        trained: &[u32],
        components: &[u32],
        seed: u64,
        stream: u64,
    ) -> Option<Self> {
        let dimension = examples.dimension;
        let queries = examples.centred_queries(&examples.query_mean(trained));
        let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
        if let Relevance::Classes { queries, .. } = &examples.relevance {
            for &query in trained {
                for class in queries.get(query as usize).into_iter().flatten() {
                    members.entry(*class).or_default().push(query);
                }
            }
        }
        let mut trainer = Trainer {
            examples,
            queries,
            trained: trained.to_vec(),
            members,
            pairs: Vec::new(),
            alike: Alike::Labels,
            matrices: Matrices::identity(dimension),
            adams: [Adam::new(dimension * dimension), Adam::new(dimension * dimension)],
            random: Random::of_stream(seed, stream),
            workspace: Workspace::new(0, 0, dimension),
            steps: STEPS,
            step: 0,
        };
        trainer.draw_pairs();
        if trainer.pairs.len() < 2 {
            return None;
        }
        trainer.alike = trainer.what_is_alike(components);
        let batch = trainer.pairs.len().min((trainer.pairs.len() / STEPS).clamp(BATCH, LARGEST_BATCH));
        trainer.workspace = Workspace::new(batch, trainer.room(batch), dimension);
        trainer.steps = trainer.pairs.len().div_ceil(batch).max(STEPS);
        Some(trainer)
    }

    /// How often an epoch goes over the pairs.
    pub(crate) fn passes(&self) -> f64 {
        (self.steps * self.workspace.batch()) as f64 / self.pairs.len().max(1) as f64
    }

    /// All questions less the mean of those trained on.
    pub(crate) fn queries(&self) -> &[f32] {
        &self.queries
    }

    /// Places behind the pairs of a batch: as many as its questions have records that were judged wrong, on average.
    fn room(&self, batch: usize) -> usize {
        let judged = self.pairs.iter().filter(|(query, _)| !self.examples.wrong(*query).is_empty()).count();
        let most = (MOST_WRONG * batch as f64) as usize;
        (judged * batch).div_ceil(self.pairs.len().max(1)).min(most)
    }

    /// Pairs of a question and a record: all that were labelled, or for classes one partner for each question.
    fn draw_pairs(&mut self) {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        for &query in &self.trained {
            match &self.examples.relevance {
                Relevance::Listed(rows) => {
                    let own = self.examples.own.get(query as usize).copied().flatten();
                    let rows = rows.get(query as usize).into_iter().flatten();
                    pairs.extend(rows.filter(|row| Some(**row) != own).map(|row| (query, *row)));
                }
                Relevance::Classes { queries, .. } => {
                    let Some(classes) = queries.get(query as usize).filter(|classes| !classes.is_empty()) else {
                        continue;
                    };
                    let class = classes.get(self.random.below(classes.len()));
                    let members = class.and_then(|class| self.members.get(class)).map_or(&[][..], Vec::as_slice);
                    if members.len() < 2 {
                        continue;
                    }
                    // The one behind takes the place of the question itself.
                    let at = self.random.below(members.len());
                    let other = members.get(at).filter(|other| **other != query);
                    let other = other.or_else(|| members.get((at + 1) % members.len()));
                    let row = other.and_then(|other| self.examples.own.get(*other as usize).copied().flatten());
                    pairs.extend(row.map(|row| (query, row)));
                }
            }
        }
        let directed = |x: &[f32]| x.iter().any(|x| *x != 0.0);
        let dimension = self.examples.dimension;
        pairs.retain(|(query, record)| {
            directed(row(&self.queries, *query, dimension)) && directed(self.examples.record(*record))
        });
        self.pairs = pairs;
    }

    fn what_is_alike(&self, components: &[u32]) -> Alike {
        if matches!(self.examples.relevance, Relevance::Classes { .. }) {
            return Alike::Labels;
        }
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for (query, _) in &self.pairs {
            *sizes.entry(components.get(*query as usize).copied().unwrap_or(u32::MAX)).or_default() += 1;
        }
        let largest = sizes.values().copied().max().unwrap_or(0);
        if largest as f64 > LARGEST_COMPONENT * self.pairs.len() as f64 {
            return Alike::Labels;
        }
        Alike::Components(components.to_vec())
    }

    /// The component of each pair; nothing where labels say themselves what is alike.
    fn components_of(&self, pairs: &[(u32, u32)]) -> Vec<u32> {
        match &self.alike {
            Alike::Components(of) => {
                pairs.iter().map(|(query, _)| of.get(*query as usize).copied().unwrap_or(u32::MAX)).collect()
            }
            Alike::Labels => Vec::new(),
        }
    }

    /// Whether labels say that the question of one pair and the record of another are alike.
    fn is_alike(&self, (query, record): (u32, u32), (other_query, other_record): (u32, u32)) -> bool {
        let own = self.examples.own.get(query as usize).copied().flatten();
        query == other_query
            || record == other_record
            || own == Some(other_record)
            || self.holds(query, other_query, other_record)
    }

    fn holds(&self, query: u32, other_query: u32, other_record: u32) -> bool {
        match &self.examples.relevance {
            Relevance::Listed(_) => self.examples.relevance.holds(query, other_record),
            Relevance::Classes { queries, records } => {
                let classes = queries.get(query as usize);
                let of = |list: &[Vec<u32>], at: u32| {
                    list.get(at as usize).zip(classes).is_some_and(|(other, own)| share(own, other))
                };
                of(records, other_record) || of(queries, other_query)
            }
        }
    }

    /// One pass over the pairs (or several, where they are few); answers with the mean loss of a step.
    pub(crate) fn epoch(&mut self) -> f64 {
        if !self.members.is_empty() {
            self.draw_pairs();
        }
        let batch = self.workspace.batch();
        let mut order: Vec<(u32, u32)> = Vec::with_capacity(self.steps * batch + self.pairs.len());
        while order.len() < self.steps * batch && !self.pairs.is_empty() {
            let mut pass = self.pairs.clone();
            self.random.shuffle(&mut pass);
            order.extend(pass);
        }
        let mut loss = 0.0;
        for pairs in order.chunks_exact(batch.max(1)).take(self.steps) {
            self.fill(pairs);
            loss += self.workspace.run(&self.matrices.query, &self.matrices.record, TAU);
            self.descend();
        }
        loss / self.steps as f64
    }

    fn fill(&mut self, pairs: &[(u32, u32)]) {
        let (dimension, width) = (self.examples.dimension, self.workspace.width());
        let behind = self.wrong_records(pairs, width - pairs.len());
        let mut masked = std::mem::take(&mut self.workspace.masked);
        let components = self.components_of(pairs);
        masked.par_chunks_mut(width).zip(pairs).with_min_len(MASK_ROWS).enumerate().for_each(|(i, (cells, pair))| {
            let (own, others) = cells.split_at_mut(pairs.len());
            match components.get(i) {
                // What shares a question or a record shares its component.
                Some(component) => own.iter_mut().zip(&components).for_each(|(cell, other)| *cell = component == other),
                None => own.iter_mut().zip(pairs).for_each(|(cell, other)| *cell = self.is_alike(*pair, *other)),
            }
            let wrong = self.examples.wrong(pair.0);
            if !wrong.is_empty() {
                // What was judged is known better than what hangs together.
                let judged = own.iter_mut().zip(pairs).filter(|(_, other)| wrong.binary_search(&other.1).is_ok());
                judged.for_each(|(cell, _)| *cell = false);
            }
            if let Some(diagonal) = own.get_mut(i) {
                *diagonal = false;
            }
            // Records behind the pairs are contrasts to the questions that they were judged with, and to no other.
            let behind = behind.iter().map(|record| record.is_none_or(|record| wrong.binary_search(&record).is_err()));
            others.iter_mut().zip(behind).for_each(|(cell, is_left_out)| *cell = is_left_out);
        });
        self.workspace.masked = masked;
        let sides = (&mut self.workspace.query.input, &mut self.workspace.record.input);
        let records = pairs.iter().map(|pair| Some(pair.1)).chain(behind);
        for (query, pair) in sides.0.chunks_mut(dimension).zip(pairs) {
            query.copy_from_slice(row(&self.queries, pair.0, dimension));
        }
        for (input, record) in sides.1.chunks_mut(dimension).zip(records) {
            match record {
                Some(record) => input.copy_from_slice(self.examples.record(record)),
                None => input.fill(0.0),
            }
        }
    }

    /// For `room` of the questions a record that was judged wrong, drawn among them; `None` for places that stay empty.
    fn wrong_records(&mut self, pairs: &[(u32, u32)], room: usize) -> Vec<Option<u32>> {
        let mut found = Vec::with_capacity(room);
        for (query, _) in pairs.iter().take(if room > 0 { pairs.len() } else { 0 }) {
            let wrong = self.examples.wrong(*query);
            if found.len() < room && !wrong.is_empty() {
                found.push(wrong.get(self.random.below(wrong.len())).copied());
            }
        }
        found.resize(room, None);
        found
    }

    fn descend(&mut self) {
        let rate = RATE * (self.pairs.len() as f64 / BATCH as f64).sqrt().clamp(1.0, 2.0);
        let rate = rate * (1.0 - self.step as f64 / (EPOCHS * self.steps) as f64).max(0.0);
        self.step += 1;
        let [first, second] = &mut self.adams;
        let (query, record) = (&mut self.workspace.query.gradient, &self.workspace.record.gradient);
        if self.examples.same {
            query.iter_mut().zip(record).for_each(|(sum, other)| *sum += other);
            first.step(&mut self.matrices.query, query, rate);
            self.matrices.record.clone_from(&self.matrices.query);
            return;
        }
        let Matrices { query: query_matrix, record: record_matrix } = &mut self.matrices;
        rayon::join(|| first.step(query_matrix, query, rate), || second.step(record_matrix, record, rate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight questions with an answer each, and a ninth record; `wrong` was judged to be no answer to the first
    /// question.
    fn examples(wrong: Vec<u32>) -> Examples {
        let rows =
            |count: usize| (0..count).flat_map(|at| [(at as f32).cos(), (at as f32).sin()]).collect::<Vec<f32>>();
        Examples {
            dimension: 2,
            queries: rows(8),
            records: rows(9),
            plain: rows(9),
            relevance: Relevance::Listed((0..8).map(|at| vec![at]).collect()),
            wrong: vec![wrong],
            own: vec![None; 8],
            record_mean: vec![0.0; 2],
            same: false,
        }
    }

    #[test]
    fn wrong_answers_are_contrasts_to_their_question_and_to_no_other() {
        let all: Vec<u32> = (0..8).collect();
        let components: Vec<u32> = (0..8).map(|query| query / 2).collect();
        let examples = examples(vec![1, 8]);
        let mut trainer = Trainer::new(&examples, &all, &components, 1, 0).unwrap();
        assert_eq!((trainer.workspace.batch(), trainer.workspace.width()), (8, 9));
        let pairs = trainer.pairs.clone();
        trainer.fill(&pairs);
        let masked = |i: usize, j: usize| trainer.workspace.masked[i * 9 + j];
        assert!(masked(1, 0) && masked(2, 3), "what hangs together is no contrast");
        assert!(!masked(0, 1), "unless it was judged");
        assert!(!masked(0, 0) && !masked(0, 2) && !masked(5, 2));
        assert!(!masked(0, 8) && (1..8).all(|question| masked(question, 8)));
        let behind = &trainer.workspace.record.input[16..];
        assert!(behind == examples.record(1) || behind == examples.record(8));
    }

    #[test]
    fn without_wrong_answers_a_batch_is_its_pairs() {
        let all: Vec<u32> = (0..8).collect();
        let examples = examples(Vec::new());
        let trainer = Trainer::new(&examples, &all, &all, 1, 0).unwrap();
        assert_eq!((trainer.workspace.batch(), trainer.workspace.width()), (8, 8));
    }
}
