//! The language in code: every step applied to every record, one after another, in plain `f64` loops.
//!
//! Deliberately naive, and deliberately without a line shared with what it judges: no folding, no scalars, no tiles,
//! no kernels. Besides each score it tells the size of the terms that the score is made of, so that a test can say
//! how far rounding alone may carry two right answers apart.

use super::{Projection, ResolvedStep, VectorMetric};
use crate::linalg::Matrix;

/// What the language says about one query and all records.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Whether the query has a direction wherever one is needed.
    pub query_directed: bool,
    /// By row: the score (or distance); `None` for rows without a vector or a direction, and if the query has none.
    pub values: Vec<Option<f64>>,
    /// By row: the size of the terms of the value.
    pub sizes: Vec<f64>,
    /// Rows with a vector and without a direction.
    pub undirected: Vec<u32>,
    /// Whether some norm came so close to the line between direction and none that rounding decides.
    pub on_the_line: bool,
}

/// A vector under way.
#[derive(Debug, Clone)]
struct State {
    y: Vec<f64>,
    /// Largest norm that went into a subtraction since the vector last had unit length.
    reference: f64,
    /// Size of the terms that `y` is made of.
    size: f64,
}

/// Applies `steps` and `metric` to `query` and to `records` (row by row, `None`: no vector or not live).
pub(crate) fn evaluate(
    steps: &[ResolvedStep],
    metric: VectorMetric,
    records: &[Option<Vec<f64>>],
    query: &[f64],
) -> Verdict {
    let start = |x: &Vec<f64>| State { y: x.clone(), reference: 0.0, size: length(x) };
    let mut states: Vec<Option<State>> = records.iter().map(|record| record.as_ref().map(start)).collect();
    let mut asker = Some(start(&query.to_vec()));
    let mut on_the_line = false;
    let mut steps = steps.to_vec();
    match metric {
        VectorMetric::Cosine => steps.push(ResolvedStep::Normalize),
        VectorMetric::Pearson => steps.extend([ResolvedStep::Center, ResolvedStep::Normalize]),
        VectorMetric::Dot | VectorMetric::Euclidean => {}
    }
    for step in &steps {
        let present = states.iter().flatten();
        let mean = matches!(step, ResolvedStep::CenterCorpus).then(|| mean_of(present.clone()));
        let usual = present.clone().map(|s| s.size).sum::<f64>() / present.count().max(1) as f64;
        for (is_query, state) in std::iter::once((true, &mut asker)).chain(states.iter_mut().map(|s| (false, s))) {
            *state = state.take().and_then(|s| apply(step, s, mean.as_deref(), usual, is_query, &mut on_the_line));
        }
    }
    let undirected = (0..records.len()).filter(|&row| records[row].is_some() && states[row].is_none());
    let value = |state: &Option<State>| Some(compare(metric, asker.as_ref()?, state.as_ref()?));
    let size = |state: &Option<State>| match (&asker, state) {
        (Some(u), Some(y)) if metric.is_distance() => u.size + y.size,
        (Some(u), Some(y)) => u.size * y.size,
        _ => 0.0,
    };
    Verdict {
        query_directed: asker.is_some(),
        values: states.iter().map(value).collect(),
        sizes: states.iter().map(size).collect(),
        undirected: undirected.map(|row| row as u32).collect(),
        on_the_line,
    }
}

/// The mean of the vectors that are still there; zero where there are none.
fn mean_of<'a>(states: impl Iterator<Item = &'a State>) -> Vec<f64> {
    let (mut sum, mut count) = (Vec::new(), 0.0);
    for state in states {
        sum.resize(state.y.len(), 0.0);
        for (sum, y) in sum.iter_mut().zip(&state.y) {
            *sum += y;
        }
        count += 1.0;
    }
    sum.into_iter().map(|x: f64| x / count).collect()
}

/// One step on one vector; `None` where it needs a direction and finds none.
fn apply(
    step: &ResolvedStep,
    mut s: State,
    mean: Option<&[f64]>,
    usual_size: f64,
    is_query: bool,
    on_the_line: &mut bool,
) -> Option<State> {
    match step {
        ResolvedStep::Center => {
            s.reference = s.reference.max(length(&s.y));
            let own = s.y.iter().sum::<f64>() / s.y.len() as f64;
            for y in &mut s.y {
                *y -= own;
            }
        }
        ResolvedStep::CenterCorpus => {
            let mean = mean.unwrap_or_default();
            s.reference = s.reference.max(length(&s.y)).max(length(mean));
            for (y, m) in s.y.iter_mut().zip(mean) {
                *y -= m;
            }
            // A sum errs by the size of what went into it, even where that cancels.
            s.size += usual_size;
        }
        ResolvedStep::Normalize => {
            let norm = length(&s.y);
            let ratio = norm / (1e-6 * s.reference);
            *on_the_line |= (ratio - 1.0).abs() < 1e-2;
            if norm < 1e-290 || norm <= 1e-6 * s.reference {
                return None;
            }
            for y in &mut s.y {
                *y /= norm;
            }
            s.size /= norm;
            s.reference = 0.0;
        }
        ResolvedStep::CenterSides(_) | ResolvedStep::Standardize | ResolvedStep::Whiten(_) | ResolvedStep::Drop(_) => {
            unreachable!("no test asks for it yet")
        }
        ResolvedStep::Truncate(k) => s.y.truncate(*k),
        ResolvedStep::Project(projection) => {
            let (matrix, frobenius) = side(projection, is_query);
            let k = matrix.rows();
            let d = matrix.columns();
            s.y = (0..k).map(|i| (0..d).map(|j| f64::from(matrix.data()[i * d + j]) * s.y[j]).sum()).collect();
            s.reference *= frobenius / (k.min(d) as f64).sqrt();
            s.size *= frobenius;
        }
    }
    Some(s)
}

fn side(projection: &Projection, is_query: bool) -> (&Matrix, f64) {
    let matrix = if is_query { projection.query() } else { projection.record() };
    let wide: Vec<f64> = matrix.data().iter().map(|&x| f64::from(x)).collect();
    (matrix, length(&wide))
}

fn compare(metric: VectorMetric, u: &State, y: &State) -> f64 {
    if metric.is_distance() {
        let difference: Vec<f64> = u.y.iter().zip(&y.y).map(|(a, b)| a - b).collect();
        return length(&difference);
    }
    u.y.iter().zip(&y.y).map(|(a, b)| a * b).sum()
}

/// Euclidean length, scaled so that no square overflows or vanishes.
fn length(v: &[f64]) -> f64 {
    let largest = v.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    if largest == 0.0 { 0.0 } else { v.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt() * largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the language's page in numbers one can check by hand.
    #[test]
    fn three_records_by_hand() {
        let records = vec![Some(vec![1.0, 0.0]), Some(vec![3.0, 0.0]), None, Some(vec![2.0, 3.0])];
        let centered = evaluate(&[ResolvedStep::CenterCorpus], VectorMetric::Dot, &records, &[2.0, 2.0]);
        // The mean is (2, 1): the query becomes (0, 1), the records (-1, -1), (1, -1), (0, 2).
        assert_eq!(centered.values, [Some(-1.0), Some(-1.0), None, Some(2.0)]);
        let distance = evaluate(&[], VectorMetric::Euclidean, &records, &[1.0, 4.0]);
        assert_eq!(distance.values[0], Some(4.0));
        let pearson = evaluate(&[], VectorMetric::Pearson, &records, &[0.0, 5.0]);
        assert!((pearson.values[3].unwrap() - 1.0).abs() < 1e-15);
        assert!((pearson.values[0].unwrap() + 1.0).abs() < 1e-15);
    }

    #[test]
    fn vectors_without_a_direction_are_left_out_of_later_means() {
        let records = vec![Some(vec![2.0, 2.0]), Some(vec![1.0, 0.0]), Some(vec![0.0, 0.0])];
        let steps = [ResolvedStep::Center, ResolvedStep::Normalize, ResolvedStep::CenterCorpus];
        let verdict = evaluate(&steps, VectorMetric::Euclidean, &records, &[4.0, 0.0]);
        assert_eq!(verdict.undirected, [0, 2]);
        assert_eq!(verdict.values, [None, Some(0.0), None]);
    }
}
