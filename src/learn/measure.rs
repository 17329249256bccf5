//! Figures of one or several rankings over the same judged queries, with intervals and paired differences.
//!
//! Owns which figures there are and what they are called. It takes rankings, not searches; the formulas of a single
//! query are in `evaluate`, resampling is in `bootstrap`.

use super::bootstrap::{Interval, bootstrap, paired};
use super::evaluate::{Qrels, average_precision, ndcg, precision, recall, reciprocal_rank};
use std::collections::HashMap;
use std::fmt;

/// A figure of a ranking, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Reciprocal rank of the first relevant record among the first k.
    Mrr(usize),
    /// Whether the first record is relevant: success at 1, which is no recall.
    FirstHit,
    /// Normalized discounted cumulative gain of the first k.
    Ndcg(usize),
    /// Share of the relevant records among the first k.
    Recall(usize),
    /// Share of the first k that is relevant.
    Precision(usize),
    /// Average precision over the whole ranking.
    Map,
}

impl Measure {
    /// The figures of depth `k`.
    pub fn at(k: usize) -> [Measure; 4] {
        [Measure::Mrr(k), Measure::Ndcg(k), Measure::Recall(k), Measure::Precision(k)]
    }

    /// The figure of one query.
    pub fn of(self, ranking: &[&str], grades: &HashMap<String, i64>) -> f64 {
        match self {
            Measure::Mrr(k) => reciprocal_rank(ranking, grades, k),
            Measure::FirstHit => reciprocal_rank(ranking, grades, 1),
            Measure::Ndcg(k) => ndcg(ranking, grades, k),
            Measure::Recall(k) => recall(ranking, grades, k),
            Measure::Precision(k) => precision(ranking, grades, k),
            Measure::Map => average_precision(ranking, grades),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Mrr(k) => write!(f, "MRR@{k}"),
            Measure::FirstHit => f.write_str("success@1"),
            Measure::Ndcg(k) => write!(f, "nDCG@{k}"),
            Measure::Recall(k) => write!(f, "recall@{k}"),
            Measure::Precision(k) => write!(f, "precision@{k}"),
            Measure::Map => f.write_str("MAP"),
        }
    }
}

/// A figure over all judged queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Which.
    pub measure: Measure,
    /// One value for each judged query, in their order.
    pub values: Vec<f64>,
    /// Their mean with its interval; `None` where no query is judged.
    pub interval: Option<Interval>,
}

/// All figures of one ranking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measurement {
    /// Positions of the queries of which something is judged: what the figures are over.
    pub judged: Vec<usize>,
    /// Queries nobody judged.
    pub unjudged: usize,
    /// Judged queries without a relevant record; each figure of theirs is 0.
    pub without_relevant: usize,
    /// One for each measure asked for, in that order.
    pub measured: Vec<Measured>,
    /// Rank of the first relevant record by judged query; `None` where the ranking lists none.
    pub first_ranks: Vec<Option<usize>>,
}

/// The figures of `rankings`, pairs of a query id and its record ids, best first. The same seed resamples alike.
///
/// ```
/// use simile::learn::evaluate::Qrels;
/// use simile::learn::measure::{Measure, measure};
/// let mut qrels = Qrels::new();
/// qrels.insert("q1", "n8", 1);
/// let rankings = vec![("q1".to_string(), vec!["n17".to_string(), "n8".to_string()])];
/// let found = measure(&rankings, &qrels, &[Measure::Mrr(10), Measure::Map], 0);
/// assert_eq!(found.measured[0].interval.unwrap().mean, 0.5);
/// assert_eq!(found.first_ranks, [Some(2)]);
/// ```
pub fn measure(rankings: &[(String, Vec<String>)], qrels: &Qrels, measures: &[Measure], seed: u64) -> Measurement {
    let mut found = Measurement::default();
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); measures.len()];
    for (idx, (query, ranking)) in rankings.iter().enumerate() {
        let Some(grades) = qrels.of(query) else {
            found.unjudged += 1;
            continue;
        };
        found.without_relevant += usize::from(!grades.values().any(|&grade| grade > 0));
        let ranking: Vec<&str> = ranking.iter().map(String::as_str).collect();
        found.judged.push(idx);
        let first = ranking.iter().position(|id| grades.get(*id).is_some_and(|&grade| grade > 0));
        found.first_ranks.push(first.map(|position| position + 1));
        for (values, measure) in values.iter_mut().zip(measures) {
            values.push(measure.of(&ranking, grades));
        }
    }
    let measured = measures.iter().zip(values);
    found.measured =
        measured.map(|(&measure, values)| Measured { measure, interval: bootstrap(&values, seed), values }).collect();
    found
}

/// How another ranking of the same queries differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// For each measure the mean of (other - one) over the queries.
    pub by_measure: Vec<(Measure, Option<Interval>)>,
    /// Positions in [`Measurement::judged`] of the queries whose first measure changed, the largest change first; ties
    /// in the queries' order.
    pub moved: Vec<usize>,
}

/// What `other` does differently from `one`, query by query.
pub fn difference(one: &Measurement, other: &Measurement, seed: u64) -> Difference {
    let both = one.measured.iter().zip(&other.measured);
    let by_measure = both.map(|(a, b)| (a.measure, paired(&a.values, &b.values, seed))).collect();
    let changes: Vec<f64> = match (one.measured.first(), other.measured.first()) {
        (Some(a), Some(b)) => a.values.iter().zip(&b.values).map(|(a, b)| (b - a).abs()).collect(),
        _ => Vec::new(),
    };
    let change = |at: usize| changes.get(at).copied().unwrap_or(0.0);
    let mut moved: Vec<usize> = (0..changes.len()).filter(|&at| change(at) > 0.0).collect();
    moved.sort_by(|&a, &b| change(b).total_cmp(&change(a)));
    Difference { by_measure, moved }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rankings(of: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        of.iter().map(|(query, ids)| (query.to_string(), ids.iter().map(ToString::to_string).collect())).collect()
    }

    #[test]
    fn figures_by_hand() {
        let mut qrels = Qrels::new();
        for (query, record, grade) in [("q1", "a", 2), ("q1", "b", 1), ("q1", "c", 0), ("q2", "x", 1), ("q3", "x", 0)] {
            qrels.insert(query, record, grade);
        }
        let found = measure(
            &rankings(&[("q1", &["c", "b", "z", "a"]), ("q2", &["y"]), ("q3", &["x"]), ("q4", &[])]),
            &qrels,
            &[Measure::Mrr(3), Measure::Recall(3), Measure::Precision(3), Measure::Map, Measure::Ndcg(3)],
            0,
        );
        let dcg = 1.0 / 3f64.log2();
        let values: Vec<Vec<f64>> = found.measured.iter().map(|measured| measured.values.clone()).collect();
        let ndcg = dcg / (2.0 + 1.0 / 3f64.log2());
        // q3 is judged and has no relevant record: it counts, as 0.
        let expected = [0.5, 0.5, 1.0 / 3.0, 0.5, ndcg].map(|first| vec![first, 0.0, 0.0]);
        assert_eq!(values, expected);
        assert_eq!((found.judged, found.unjudged, found.without_relevant), (vec![0, 1, 2], 1, 1));
        assert_eq!(found.first_ranks, [Some(2), None, None]);
        assert!((found.measured[0].interval.unwrap().mean - 0.5 / 3.0).abs() < 1e-15);
        assert_eq!(Measure::FirstHit.to_string(), "success@1");
        let names: Vec<String> = Measure::at(5).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["MRR@5", "nDCG@5", "recall@5", "precision@5"]);
    }

    #[test]
    fn a_difference_lists_who_moved_most() {
        let mut qrels = Qrels::new();
        for query in ["q1", "q2", "q3", "q4"] {
            qrels.insert(query, "a", 1);
        }
        let one = rankings(&[("q1", &["a"]), ("q2", &["x", "a"]), ("q3", &["x", "y", "a"]), ("q4", &["a"])]);
        let other = rankings(&[("q1", &["x", "a"]), ("q2", &["x", "y", "a"]), ("q3", &["a"]), ("q4", &["a"])]);
        let figures = |of| measure(of, &qrels, &[Measure::Mrr(10)], 0);
        let found = difference(&figures(&one), &figures(&other), 0);
        assert_eq!(found.moved, [2, 0, 1]);
        let mean = (-0.5 - 1.0 / 6.0 + 2.0 / 3.0) / 4.0;
        assert!((found.by_measure[0].1.unwrap().mean - mean).abs() < 1e-15);
    }
}
