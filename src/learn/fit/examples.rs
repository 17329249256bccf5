//! What there is to learn from, as numbers: questions, records, and which record answers which question.
//!
//! Owns [`Examples`] and the centring of rows. Questions keep their own mean out until it is known which of them are
//! trained on; records are centred by the mean of all records, which no label decides. It knows no store.

use rayon::prelude::*;

/// A row this short, relative to what it was before its mean was taken away, has no direction.
const ZERO_RATIO: f64 = 1e-6;

/// Questions whose mean is taken, at most: more would say the same and make the store larger.
pub(crate) const SAMPLE: usize = 4_000;

/// Which records are relevant to which questions.
#[derive(Debug, Clone)]
pub(crate) enum Relevance {
    /// Rows of the pool by question, ascending.
    Listed(Vec<Vec<u32>>),
    /// Classes of questions and of records, ascending; they are alike where they share one.
    Classes {
        /// By question.
        queries: Vec<Vec<u32>>,
        /// By row of the pool.
        records: Vec<Vec<u32>>,
    },
}

/// Labelled questions and the records they are ranked over.
#[derive(Debug, Clone)]
pub(crate) struct Examples {
    /// Elements of a row, `d`.
    pub(crate) dimension: usize,
    /// `n x d`, as given.
    pub(crate) queries: Vec<f32>,
    /// The pool, `r x d`, unit rows less the mean of all records; zeros where nothing is left.
    pub(crate) records: Vec<f32>,
    /// The pool once more, `r x d`, unit rows: what a plain cosine ranks.
    pub(crate) plain: Vec<f32>,
    /// What answers what.
    pub(crate) relevance: Relevance,
    /// Rows of the pool that were judged and are no answer, by question, ascending; empty where nobody said so.
    pub(crate) wrong: Vec<Vec<u32>>,
    /// Rows of the pool that are the question itself, and so are no answer.
    pub(crate) own: Vec<Option<u32>>,
    /// Mean of all records, `d`: in mode `same` that of the questions, too.
    pub(crate) record_mean: Vec<f64>,
    /// Whether both sides are of one kind: one matrix, one mean.
    pub(crate) same: bool,
}

impl Relevance {
    /// Whether record `row` is relevant to question `query`.
    pub(crate) fn holds(&self, query: u32, row: u32) -> bool {
        match self {
            Relevance::Listed(rows) => rows.get(query as usize).is_some_and(|rows| rows.binary_search(&row).is_ok()),
            Relevance::Classes { queries, records } => match (queries.get(query as usize), records.get(row as usize)) {
                (Some(a), Some(b)) => share(a, b),
                _ => false,
            },
        }
    }
}

/// Whether two ascending lists have an element in common.
pub(crate) fn share(a: &[u32], b: &[u32]) -> bool {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        match x.cmp(y) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => a.next(),
            std::cmp::Ordering::Greater => b.next(),
        };
    }
    false
}

impl Examples {
    /// Number of questions.
    pub(crate) fn query_count(&self) -> usize {
        self.queries.len() / self.dimension.max(1)
    }

    /// Number of records in the pool.
    pub(crate) fn record_count(&self) -> usize {
        self.records.len() / self.dimension.max(1)
    }

    /// Question `query` as given.
    pub(crate) fn query(&self, query: u32) -> &[f32] {
        row(&self.queries, query, self.dimension)
    }

    /// Record `record`, centred.
    pub(crate) fn record(&self, record: u32) -> &[f32] {
        row(&self.records, record, self.dimension)
    }

    /// Rows that were judged to be no answer to question `query`, ascending.
    pub(crate) fn wrong(&self, query: u32) -> &[u32] {
        self.wrong.get(query as usize).map_or(&[], Vec::as_slice)
    }

    /// The mean that questions lose where `trained` are trained on: that of [`sample`], which is stored with the lens.
    pub(crate) fn query_mean(&self, trained: &[u32]) -> Vec<f64> {
        if self.same {
            return self.record_mean.clone();
        }
        mean(sample(trained).into_iter().map(|query| self.query(query)), self.dimension)
    }

    /// All questions less `mean`, unit rows.
    pub(crate) fn centred_queries(&self, mean: &[f64]) -> Vec<f32> {
        centred(&self.queries, mean)
    }
}

/// Those of `trained` whose mean is taken: all, or [`SAMPLE`] of them at even distances.
pub(crate) fn sample(trained: &[u32]) -> Vec<u32> {
    let count = trained.len().min(SAMPLE);
    (0..count).filter_map(|at| trained.get(at * trained.len() / count).copied()).collect()
}

/// Row `idx` of a matrix.
pub(crate) fn row(rows: &[f32], idx: u32, dimension: usize) -> &[f32] {
    let start = idx as usize * dimension;
    rows.get(start..start + dimension).unwrap_or(&[])
}

/// The mean of `rows`, summed in their order; zeros for none.
pub(crate) fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, dimension: usize) -> Vec<f64> {
    let (mut sum, mut count) = (vec![0.0; dimension], 0_u64);
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        count += 1;
    }
    sum.iter_mut().for_each(|sum| *sum /= (count as f64).max(1.0));
    sum
}

/// `rows` (`n x d`) less `mean` (`d`), each divided by its length; zeros where nothing is left.
pub(crate) fn centred(rows: &[f32], mean: &[f64]) -> Vec<f32> {
    let mut out = vec![0.0; rows.len()];
    let dimension = mean.len().max(1);
    let mean_norm = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
    out.par_chunks_mut(dimension).zip(rows.par_chunks(dimension)).for_each(|(out, row)| {
        let (mut before, mut after) = (0.0, 0.0);
        for (x, mean) in row.iter().zip(mean) {
            let x = f64::from(*x);
            before += x * x;
            after += (x - mean) * (x - mean);
        }
        let after = after.sqrt();
        if after <= ZERO_RATIO * before.sqrt().max(mean_norm) {
            return;
        }
        for ((out, x), mean) in out.iter_mut().zip(row).zip(mean) {
            *out = ((f64::from(*x) - mean) / after) as f32;
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centred_rows_have_unit_length_or_are_nothing() {
        let rows = [3.0, 4.0, 1.0, 2.0, 1.0, 2.0 + 1e-7];
        let out = centred(&rows, &[1.0, 2.0]);
        assert_eq!(&out[2..], [0.0; 4], "what is the mean but for rounding has no direction");
        assert!((out[0] - 0.5_f32.sqrt()).abs() < 1e-6 && (out[1] - 0.5_f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn lists_share_what_they_share() {
        assert!(share(&[1, 4, 9], &[2, 9]));
        assert!(!share(&[1, 4], &[2, 5]));
        assert!(!share(&[], &[1]));
    }
}
