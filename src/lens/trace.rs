//! One query and one record on their way through a chain, and the terms their score is made of.
//!
//! Owns [`trace`] and [`terms`]. Both run the very operations that scores are computed with, one after another in
//! `f64`, so that what they tell is what happened. An operation is either a division by the norm or affine, which is
//! all that is asked of it here: its linear part is what it does to a vector less what it does to zero.

use super::program::{Op, Program, Traveller, Undirected};
use super::{Prepared, VectorMetric};
use crate::linalg::{simd, stats};

/// What a step did to one vector.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// Length before.
    pub before: f64,
    /// Length after.
    pub after: f64,
    /// Length of the difference; `None` where the dimension changes.
    pub moved: Option<f64>,
}

/// One step on both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TracedStep {
    /// Position of the step in the chain; `None` for what the metric does.
    pub step_idx: Option<usize>,
    /// The query.
    pub query: Change,
    /// The record; `None` where the step needs a direction and the record has none.
    pub record: Option<Change>,
}

/// A term of a score: `scalar * product`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Term {
    /// Position of the step it comes from; `None` for the raw record's own term.
    pub step_idx: Option<usize>,
    /// `alpha` of the raw record's term, `beta_j` of a shift's: what the record's norms multiply it by.
    pub scalar: f64,
    /// `<w, x>`, or `g_j`: what the query gives it.
    pub product: f64,
    /// `scalar * product`, computed as one number.
    pub value: f64,
}

/// Runs `query` and `row`, raw vectors of the view, through the chain; it ends where the record has no direction.
pub(crate) fn trace(prepared: &Prepared, query: &[f64], row: &[f64]) -> Vec<TracedStep> {
    let ends = prepared.step_ends();
    let (asks, answers) = (prepared.query_program(), prepared.record_program());
    let (mut query, mut record) = (Traveller::new(query.to_vec()), Traveller::new(row.to_vec()));
    let mut steps = Vec::with_capacity(ends.len() + 1);
    let mut start = 0;
    for step_idx in 0..=ends.len() {
        let step = ends.get(step_idx).map(|_| step_idx);
        let end = ends.get(step_idx).copied().unwrap_or_else(|| asks.ops.len().max(answers.ops.len()));
        if end > start {
            // The query is known to have a direction; where it has none, the search fails before anybody asks.
            let Some(asked) = run(&mut query, asks, start, end, Undirected::GoOn) else { break };
            let record = run(&mut record, answers, start, end, Undirected::Stop);
            steps.push(TracedStep { step_idx: step, query: asked, record });
            if record.is_none() {
                break;
            }
        }
        start = end;
    }
    steps
}

fn run(
    traveller: &mut Traveller,
    program: &Program,
    start: usize,
    end: usize,
    undirected: Undirected,
) -> Option<Change> {
    let before = traveller.vector.clone();
    for op in program.ops.iter().take(end).skip(start) {
        traveller.apply(op, undirected)?;
    }
    let after = &traveller.vector;
    let moved = (before.len() == after.len())
        .then(|| stats::norm(&before.iter().zip(after).map(|(before, after)| after - before).collect::<Vec<_>>()));
    Some(Change { before: stats::norm(&before), after: stats::norm(after), moved })
}

/// The terms that the inner product of the processed query with the processed record adds up from, the raw record's
/// own first, then one for each shift on the way. Under a distance they are those of minus twice the product, and those
/// of the two squared lengths are the caller's to add.
pub(crate) fn terms(prepared: &Prepared, processed_query: &[f64], row: &[f64]) -> Vec<Term> {
    let ends = prepared.step_ends();
    let mut whole = Traveller::new(row.to_vec());
    // (the operation it comes from, its vector so far, what norms multiplied it by)
    let mut parts: Vec<(Option<usize>, Vec<f64>, f64)> = vec![(None, row.to_vec(), 1.0)];
    for (op_idx, op) in prepared.record_program().ops.iter().enumerate() {
        let dimension = whole.vector.len();
        let norm = whole.apply(op, Undirected::GoOn).unwrap_or(1.0);
        if matches!(op, Op::Normalize) {
            for (_, vector, scalar) in &mut parts {
                vector.iter_mut().for_each(|x| *x /= norm);
                *scalar /= norm;
            }
            continue;
        }
        let constant = affine(op, vec![0.0; dimension]);
        for (_, vector, _) in &mut parts {
            *vector = linear(op, std::mem::take(vector), &constant);
        }
        if constant.iter().any(|x| *x != 0.0) {
            parts.push((Some(op_idx), constant, 1.0));
        }
    }
    let factor = if prepared.chain().metric() == VectorMetric::Euclidean { -2.0 } else { 1.0 };
    let term = |(op_idx, vector, scalar): (Option<usize>, Vec<f64>, f64)| {
        let value = factor * simd::dot_f64(processed_query, &vector);
        let step_idx = op_idx.map(|op_idx| ends.partition_point(|&end| end <= op_idx));
        Term { step_idx, scalar, product: if scalar == 0.0 { 0.0 } else { value / scalar }, value }
    };
    parts.into_iter().map(term).collect()
}

/// The processed record.
pub(crate) fn processed(prepared: &Prepared, row: &[f64]) -> Vec<f64> {
    let mut traveller = Traveller::new(row.to_vec());
    prepared.record_program().run(&mut traveller, Undirected::GoOn);
    traveller.vector
}

fn affine(op: &Op, vector: Vec<f64>) -> Vec<f64> {
    let mut traveller = Traveller::new(vector);
    traveller.apply(op, Undirected::GoOn);
    traveller.vector
}

fn linear(op: &Op, vector: Vec<f64>, constant: &[f64]) -> Vec<f64> {
    // What is subtracted and added again leaves its rounding behind.
    if matches!(op, Op::Shift(_)) {
        return vector;
    }
    let mut out = affine(op, vector);
    if constant.iter().any(|x| *x != 0.0) {
        out.iter_mut().zip(constant).for_each(|(x, c)| *x -= c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::memory::MemoryRows;
    use crate::lens::{Chain, Projection, ResolvedStep};
    use crate::types::{ElementType, ProjectionDef, RowSet};

    fn prepared(steps: Vec<ResolvedStep>, metric: VectorMetric) -> (MemoryRows, Prepared) {
        let data: Vec<f32> = (0..40).map(|i| ((i * 7) % 11) as f32 - 4.0).collect();
        let source = MemoryRows::new(&data, 4, ElementType::F32, 10);
        let chain = Chain::new(steps, metric, 4).unwrap();
        let prepared = Prepared::compute(&chain, &source, &RowSet::from_range(0..10)).unwrap();
        (source, prepared)
    }

    fn project() -> ResolvedStep {
        let query = (0..8).map(|i| (i % 5) as f32 - 1.5).collect();
        let def = ProjectionDef {
            name: "m".into(),
            rows: 2,
            columns: 4,
            query,
            record: None,
            origin: String::new(),
            fitted_on: None,
        };
        ResolvedStep::Project(Projection::from_def(&def).unwrap())
    }

    #[test]
    fn terms_add_up_to_the_score() {
        let chains = [
            vec![],
            vec![ResolvedStep::CenterCorpus],
            vec![ResolvedStep::Normalize, ResolvedStep::CenterCorpus, project(), ResolvedStep::CenterCorpus],
            vec![ResolvedStep::Center, ResolvedStep::Truncate(3)],
        ];
        for steps in chains {
            for metric in [VectorMetric::Cosine, VectorMetric::Dot, VectorMetric::Pearson, VectorMetric::Euclidean] {
                let (source, prepared) = prepared(steps.clone(), metric);
                let query = prepared.process(&[1.0, -2.0, 0.5, 3.0]).unwrap();
                for row in prepared.directed().iter() {
                    let (mut raw, mut traveller) = (Vec::new(), Traveller::default());
                    source.rows().row_f64(row as usize, &mut raw);
                    let score = prepared.exact(&query, source.rows().row(row as usize), &mut traveller);
                    let terms = terms(&prepared, query.processed(), &raw);
                    let sum: f64 = terms.iter().map(|term| term.value).sum();
                    let sum = match metric {
                        VectorMetric::Euclidean => {
                            let squares = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
                            (sum + squares(query.processed()) + squares(&traveller.vector)).max(0.0).sqrt()
                        }
                        _ => sum,
                    };
                    assert!((sum - score).abs() < 1e-7, "{steps:?} {metric:?}: {sum} is {score}");
                    for term in terms {
                        assert!((term.scalar * term.product - term.value).abs() <= 1e-12 * term.value.abs());
                    }
                }
            }
        }
    }

    #[test]
    fn a_trace_tells_lengths_and_movements() {
        let (_, prepared) = prepared(vec![ResolvedStep::CenterCorpus, project()], VectorMetric::Cosine);
        let (query, row) = ([1.0, -2.0, 0.5, 3.0], [3.0, 4.0, 0.0, 0.0]);
        let steps = trace(&prepared, &query, &row);
        assert_eq!(steps.iter().map(|step| step.step_idx).collect::<Vec<_>>(), [Some(0), Some(1), None]);
        let moved = steps[0].query.moved.unwrap();
        assert_eq!((steps[0].record.unwrap().before, steps[0].record.unwrap().moved), (5.0, Some(moved)));
        assert_eq!((steps[1].query.moved, steps[1].query.before), (None, steps[0].query.after));
        assert!((steps[2].query.after - 1.0).abs() < 1e-15);
        // A record that a step leaves without direction: the trace ends there.
        let steps = trace(&prepared, &query, &[0.0; 4].map(|_: f64| 0.0));
        assert_eq!(steps.len(), 3);
        let zero = super::trace(&self::prepared(vec![], VectorMetric::Cosine).1, &query, &[0.0; 4]);
        assert_eq!((zero.len(), zero[0].record), (1, None));
    }
}
