//! Which pairs of a question and a record a person is asked about, and in what order.
//!
//! Owns the strategies. Candidates come ranked from a search; those that were judged before are left out by the caller.
//! The same candidates and seed give the same order.

use crate::linalg::random::Random;

/// How pairs to judge are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// First what ranks highest, question by question: what a calibration needs, because it is what users see.
    #[default]
    Top,
    /// First what lies nearest to the middle: a probability of 0.5, or the middle of the scores.
    Uncertain,
    /// Any of the hits, at random.
    Random,
}

impl Strategy {
    /// Its name as typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::Top => "top",
            Strategy::Uncertain => "uncertain",
            Strategy::Random => "random",
        }
    }
}

/// A pair that could be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Position of the question.
    pub query_idx: usize,
    /// The record's id.
    pub record: String,
    /// Its rank among the question's hits, from 1.
    pub rank: u64,
    /// Its score, probability or distance.
    pub value: f64,
}

/// Puts candidates in the order in which they are asked about. `middle` is where nobody knows (0.5 for probabilities);
/// `None`: halfway between the lowest and the highest value.
pub fn order(candidates: &mut [Candidate], strategy: Strategy, middle: Option<f64>, seed: u64) {
    match strategy {
        Strategy::Top => candidates.sort_by_key(|candidate| (candidate.rank, candidate.query_idx)),
        Strategy::Random => Random::new(seed).shuffle(candidates),
        Strategy::Uncertain => {
            let values = || candidates.iter().map(|candidate| candidate.value);
            let (low, high) = values()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
            let middle = middle.unwrap_or(f64::midpoint(low, high));
            let doubt = |candidate: &Candidate| (candidate.value - middle).abs();
            candidates.sort_by(|a, b| doubt(a).total_cmp(&doubt(b)));
        }
    }
}

/// Leaves `number` of `items`, drawn at random, in the order they were drawn.
pub fn draw<T>(items: &mut Vec<T>, number: usize, seed: u64) {
    Random::new(seed).shuffle(items);
    items.truncate(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(strategy: Strategy, middle: Option<f64>, seed: u64) -> Vec<String> {
        let scores = [[0.9, 0.5, 0.1], [0.6, 0.4, 0.35]];
        let mut candidates: Vec<Candidate> = scores
            .iter()
            .enumerate()
            .flat_map(|(query_idx, scores)| {
                scores.iter().zip(1..).map(move |(&value, rank)| Candidate {
                    query_idx,
                    record: format!("{query_idx}{rank}"),
                    rank,
                    value,
                })
            })
            .collect();
        order(&mut candidates, strategy, middle, seed);
        candidates.into_iter().map(|candidate| candidate.record).collect()
    }

    #[test]
    fn strategies_order_as_they_say() {
        assert_eq!(ordered(Strategy::Top, None, 0), ["01", "11", "02", "12", "03", "13"]);
        // The middle of 0.1 and 0.9.
        assert_eq!(ordered(Strategy::Uncertain, None, 0), ["02", "11", "12", "13", "01", "03"]);
        assert_eq!(ordered(Strategy::Uncertain, Some(0.35), 0)[0], "13");
        let random = ordered(Strategy::Random, None, 3);
        assert_eq!(ordered(Strategy::Random, None, 3), random);
        assert!((4..9).any(|seed| ordered(Strategy::Random, None, seed) != random));
    }
}
