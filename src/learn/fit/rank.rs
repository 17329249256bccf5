//! How well questions are answered: the figures of each question when records are ranked by a fitted cosine.
//!
//! Owns the ranking of many questions over a pool by blocked products. A question that has no direction, and one whose
//! answers have none, count 0. Counts are whole numbers added up by blocks of the pool: the same figures for any number
//! of threads. Listed answers that score alike to within rounding are ranked by their row, as a search ranks them.
//!
//! Of classes the figure is average precision over the whole pool: its gain hardly depends on how many records of a
//! class the pool holds, while the share of the first ten is small in a pool of few and near 1 in a collection of many.

use super::examples::{Examples, Relevance, row};
use super::loops::{dot, unit};
use crate::linalg::dense;
use rayon::prelude::*;

/// Rows of the pool that one task looks at.
const POOL_ROWS: usize = 480;
/// Questions whose products with them are held at once.
const QUERY_ROWS: usize = 512;
/// Depth of all figures.
const DEPTH: usize = 10;
/// Questions of classes that one task ranks.
const RANKED: usize = 32;
/// Cosines this close to each other are equal.
const TIE: f32 = 1e-6;

/// A fitted map: `d x d` for each side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matrices {
    /// The question's side.
    pub(crate) query: Vec<f32>,
    /// The record's side; equal to the other in mode `same`.
    pub(crate) record: Vec<f32>,
}

impl Matrices {
    /// The identity on both sides.
    pub(crate) fn identity(dimension: usize) -> Self {
        let one: Vec<f32> =
            (0..dimension * dimension).map(|at| f32::from(u8::from(at % (dimension + 1) == 0))).collect();
        Matrices { query: one.clone(), record: one }
    }

    /// The mean of both maps, matrix by matrix, the other with `weight` and this one with 1.
    pub(crate) fn averaged(&self, other: &Matrices, weight: f32) -> Self {
        let mean = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a + weight * b) / (1.0 + weight)).collect();
        Matrices { query: mean(&self.query, &other.query), record: mean(&self.record, &other.record) }
    }

    /// Whether all numbers are.
    pub(crate) fn is_finite(&self) -> bool {
        self.query.iter().chain(&self.record).all(|x| x.is_finite())
    }
}

/// How well one question is answered, each 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Answered {
    /// What is asked for: 1 / rank of the first answer among the first ten, else 0; of classes the average precision.
    pub(crate) figure: f64,
    /// Where the nearest answer stands: the same; of classes 1 / rank of the first record of the class.
    pub(crate) nearest: f64,
    /// Of classes the share of the first ten that are of the class.
    pub(crate) ten: f64,
}

impl Answered {
    /// What a method and its setting are chosen by. Where the pool is sparser than the collection, a map can gain among
    /// what is far and lose among what is near: so both count.
    pub(crate) fn choice(&self) -> f64 {
        (self.figure + self.nearest) / 2.0
    }
}

/// The figures of `which` questions under `matrices` over `pool`, the rows of the examples' pool that take part,
/// ascending; `queries` are all questions, centred. Without matrices the rows are ranked by their plain cosine, and
/// `queries` are unit rows as they are.
pub(crate) fn figures(
    examples: &Examples,
    queries: &[f32],
    which: &[u32],
    pool: &[u32],
    matrices: Option<&Matrices>,
) -> Vec<Answered> {
    let dimension = examples.dimension;
    let asked = gathered(queries, which, dimension);
    let asked = processed(&asked, matrices.map(|matrices| &matrices.query[..]), dimension);
    // Most closed forms leave the records as they are: then there is nothing to multiply them with.
    let map = matrices.map(|matrices| &matrices.record[..]).filter(|map| !is_identity(map, dimension));
    let answers = Answers { examples, plain: matrices.is_none(), map };
    match &examples.relevance {
        Relevance::Listed(relevant) => {
            let best = best_answers(answers, &asked, which, relevant);
            let found = reciprocal_ranks(answers, &asked, which, pool, &best);
            found.into_iter().map(|rank| Answered { figure: rank, nearest: rank, ten: 0.0 }).collect()
        }
        Relevance::Classes { .. } => of_classes(answers, &asked, which, pool),
    }
}

/// The record's side of a ranking.
#[derive(Debug, Clone, Copy)]
struct Answers<'a> {
    examples: &'a Examples,
    /// Whether the rows are ranked as they are, not centred.
    plain: bool,
    /// What they are multiplied with.
    map: Option<&'a [f32]>,
}

impl Answers<'_> {
    /// The records `rows` in one piece, processed.
    fn processed(&self, rows: &[u32]) -> Vec<f32> {
        let from = if self.plain { &self.examples.plain } else { &self.examples.records };
        let dimension = self.examples.dimension;
        let rows = gathered(from, rows, dimension);
        match self.map {
            Some(map) => processed(&rows, Some(map), dimension),
            None => rows,
        }
    }
}

/// Some rows of a matrix in one piece.
fn gathered(from: &[f32], rows: &[u32], dimension: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len() * dimension);
    rows.iter().for_each(|&at| out.extend_from_slice(row(from, at, dimension)));
    out
}

fn is_identity(matrix: &[f32], dimension: usize) -> bool {
    matrix.iter().enumerate().all(|(at, x)| *x == f32::from(u8::from(at % (dimension + 1) == 0)))
}

/// `rows` under a matrix, divided by their lengths; zeros stay.
fn processed(rows: &[f32], matrix: Option<&[f32]>, dimension: usize) -> Vec<f32> {
    let Some(matrix) = matrix else { return rows.to_vec() };
    let mut out = vec![0.0; rows.len()];
    dense::times_transposed(rows, matrix, &mut out, dimension);
    out.par_chunks_mut(dimension).with_min_len(64).for_each(|row| _ = unit(row));
    out
}

fn has_direction(row: &[f32]) -> bool {
    row.iter().any(|x| *x != 0.0)
}

/// Score and row of each question's best relevant record.
fn best_answers(answers: Answers<'_>, asked: &[f32], which: &[u32], relevant: &[Vec<u32>]) -> Vec<Option<(f32, u32)>> {
    let examples = answers.examples;
    let dimension = examples.dimension;
    let of = |query: u32| relevant.get(query as usize).map_or(&[][..], Vec::as_slice);
    let mut rows: Vec<u32> = which.iter().flat_map(|&query| of(query).iter().copied()).collect();
    rows.sort_unstable();
    rows.dedup();
    let answers = answers.processed(&rows);
    let best = asked.par_chunks(dimension).zip(which).map(|(asked, &query)| {
        if !has_direction(asked) {
            return None;
        }
        let mut best: Option<(f32, u32)> = None;
        let own = examples.own.get(query as usize).copied().flatten();
        for &answer in of(query).iter().filter(|answer| Some(**answer) != own) {
            let found = rows.binary_search(&answer).ok().map(|at| row(&answers, at as u32, dimension));
            let Some(vector) = found.filter(|vector| has_direction(vector)) else { continue };
            let score = dot(asked, vector);
            if best.is_none_or(|(known, _)| score > known) {
                best = Some((score, answer));
            }
        }
        best
    });
    best.collect()
}

/// Calls `look` with (first question, first place in the pool, products) for every block; products have a row for each
/// question of the block.
fn blocks<T: Send>(
    answers: Answers<'_>,
    asked: &[f32],
    pool: &[u32],
    look: impl Fn(usize, usize, &[f32]) -> T + Sync,
) -> Vec<Vec<T>> {
    let dimension = answers.examples.dimension;
    let chunks = pool.par_chunks(POOL_ROWS).enumerate();
    let results = chunks.map(|(chunk, rows)| {
        let rows = answers.processed(rows);
        let count = rows.len() / dimension;
        let mut products = Vec::new();
        let queries = asked.chunks(QUERY_ROWS * dimension).enumerate();
        let found = queries.map(|(block, asked)| {
            products.resize(asked.len() / dimension * count, 0.0);
            dense::times_transposed(asked, &rows, &mut products, dimension);
            look(block * QUERY_ROWS, chunk * POOL_ROWS, &products)
        });
        found.collect()
    });
    results.collect()
}

fn reciprocal_ranks(
    answers: Answers<'_>,
    asked: &[f32],
    which: &[u32],
    pool: &[u32],
    best: &[Option<(f32, u32)>],
) -> Vec<f64> {
    let examples = answers.examples;
    let above = blocks(answers, asked, pool, |first, place, products| {
        let rows = pool.get(place..).unwrap_or(&[]);
        let queries = which.len().min(first + QUERY_ROWS) - first;
        let width = products.len() / queries.max(1);
        let counted = products.chunks(width.max(1)).enumerate().map(|(at, scores)| {
            let (Some(&query), Some(Some((best, answer)))) = (which.get(first + at), best.get(first + at)) else {
                return 0;
            };
            let own = examples.own.get(query as usize).copied().flatten();
            let beats = |(score, row): &(&f32, &u32)| {
                let is_above = **score > best + TIE || (**score >= best - TIE && *row < answer);
                is_above && Some(**row) != own && !examples.relevance.holds(query, **row)
            };
            scores.iter().zip(rows).filter(beats).count()
        });
        counted.collect::<Vec<usize>>()
    });
    let mut ranks = vec![1_usize; which.len()];
    for parts in above {
        for (rank, count) in ranks.iter_mut().zip(parts.into_iter().flatten()) {
            *rank += count;
        }
    }
    let figure = |(rank, best): (usize, &Option<(f32, u32)>)| match best {
        Some(_) if rank <= DEPTH => 1.0 / rank as f64,
        _ => 0.0,
    };
    ranks.into_iter().zip(best).map(figure).collect()
}

/// The figures of questions of classes over a pool that is ranked whole.
fn of_classes(answers: Answers<'_>, asked: &[f32], which: &[u32], pool: &[u32]) -> Vec<Answered> {
    let found = ranked(answers, asked, which, pool, |ranked| {
        let figures = ranked.into_iter().map(|(query, hits)| of_class(answers.examples, query, &hits));
        figures.collect::<Vec<_>>()
    });
    found.concat()
}

/// Hits of a question, best first: score and row.
type Hits = Vec<(f32, u32)>;

/// What `look` makes of some questions at a time with the pool as they rank it; one without a direction ranks nothing.
fn ranked<T: Send>(
    answers: Answers<'_>,
    asked: &[f32],
    which: &[u32],
    pool: &[u32],
    look: impl Fn(Vec<(u32, Hits)>) -> T + Sync,
) -> Vec<T> {
    let dimension = answers.examples.dimension;
    let records = answers.processed(pool);
    let tasks = which.par_chunks(RANKED).zip(asked.par_chunks(RANKED * dimension));
    let found = tasks.map(|(which, asked)| {
        let mut products = vec![0.0; which.len() * pool.len()];
        if !pool.is_empty() {
            dense::times_transposed(asked, &records, &mut products, dimension);
        }
        let questions = which.iter().zip(asked.chunks(dimension)).enumerate();
        let ranked = questions.map(|(at, (&query, asked))| {
            let scores = products.get(at * pool.len()..(at + 1) * pool.len()).unwrap_or(&[]);
            (query, if has_direction(asked) { hits(answers.examples, query, scores, pool) } else { Hits::new() })
        });
        look(ranked.collect())
    });
    found.collect()
}

/// The pool as one question ranks it, without itself.
fn hits(examples: &Examples, query: u32, scores: &[f32], pool: &[u32]) -> Hits {
    let own = examples.own.get(query as usize).copied().flatten();
    let mut hits: Hits =
        scores.iter().copied().zip(pool.iter().copied()).filter(|(_, row)| Some(*row) != own).collect();
    hits.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    hits
}

/// What a record of a pool does to the figures of all questions that are ranked over it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Pull {
    /// The sum of their figures with the record, less that without it.
    pub(crate) sum: f64,
    /// Questions that have no answer without it.
    pub(crate) asked: f64,
}

/// What each row of `pool` does to the average precisions of `which`, questions of classes (of others nothing is drawn
/// with them); the rest is as with [`figures`].
pub(crate) fn pulls(
    examples: &Examples,
    queries: &[f32],
    which: &[u32],
    pool: &[u32],
    matrices: Option<&Matrices>,
) -> Vec<Pull> {
    if !matches!(examples.relevance, Relevance::Classes { .. }) {
        return Vec::new();
    }
    let mut pulls = vec![Pull::default(); pool.len()];
    let dimension = examples.dimension;
    let asked = processed(&gathered(queries, which, dimension), matrices.map(|map| &map.query[..]), dimension);
    let map = matrices.map(|matrices| &matrices.record[..]).filter(|map| !is_identity(map, dimension));
    let answers = Answers { examples, plain: matrices.is_none(), map };
    let found = ranked(answers, &asked, which, pool, |ranked| {
        let mut pulls = vec![Pull::default(); pool.len()];
        ranked.iter().for_each(|(query, hits)| add_pulls(examples, *query, hits, pool, &mut pulls));
        pulls
    });
    // Sums in a fixed order are the same for any number of threads.
    for part in found {
        for (pull, more) in pulls.iter_mut().zip(part) {
            *pull = Pull { sum: pull.sum + more.sum, asked: pull.asked + more.asked };
        }
    }
    pulls
}

/// Adds what each record does to the average precision of one question. Without a record those behind it stand one
/// place further up; without one that counts there is one less of those, too.
fn add_pulls(examples: &Examples, query: u32, hits: &[(f32, u32)], pool: &[u32], pulls: &mut [Pull]) {
    let counts: Vec<bool> = hits.iter().map(|(_, row)| examples.relevance.holds(query, *row)).collect();
    let all = counts.iter().filter(|counts| **counts).count();
    if all == 0 {
        return;
    }
    let whole = all as f64;
    // Of what stands from a place on: precisions as they are, one place further up, and so with one hit less.
    let (mut there, mut up, mut less) = (0.0, 0.0, 0.0);
    let mut before: f64 = {
        let ranks = counts.iter().enumerate().filter(|(_, counts)| **counts).map(|(at, _)| at + 1);
        ranks.enumerate().map(|(found, rank)| (found + 1) as f64 / rank as f64).sum()
    };
    let figure = before / whole;
    let mut found = all;
    for (at, (_, row)) in hits.iter().enumerate().rev() {
        let Some(pull) = pool.binary_search(row).ok().and_then(|place| pulls.get_mut(place)) else { continue };
        let rank = (at + 1) as f64;
        if !counts.get(at).copied().unwrap_or(false) {
            pull.sum += (there - up) / whole;
            continue;
        }
        let precision = found as f64 / rank;
        before -= precision;
        if all == 1 {
            *pull = Pull { sum: pull.sum + figure, asked: pull.asked + 1.0 };
        } else {
            pull.sum += figure - (before + less) / (whole - 1.0);
        }
        there += precision;
        if at > 0 {
            up += found as f64 / (rank - 1.0);
            less += (found - 1) as f64 / (rank - 1.0);
        }
        found -= 1;
    }
}

/// The figures of one question with these hits.
fn of_class(examples: &Examples, query: u32, hits: &[(f32, u32)]) -> Answered {
    let (mut found, mut sum, mut answered) = (0_usize, 0.0, Answered::default());
    for (at, (_, row)) in hits.iter().enumerate() {
        if !examples.relevance.holds(query, *row) {
            continue;
        }
        found += 1;
        sum += found as f64 / (at + 1) as f64;
        if found == 1 {
            answered.nearest = 1.0 / (at + 1) as f64;
        }
        if at < DEPTH {
            answered.ten = found as f64 / DEPTH as f64;
        }
    }
    answered.figure = sum / (found as f64).max(1.0);
    answered
}

#[cfg(test)]
mod tests {
    use super::super::examples::centred;
    use super::*;
    use crate::linalg::random::Random;

    fn uniform(random: &mut Random, count: usize) -> Vec<f32> {
        (0..count).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    fn examples(random: &mut Random, n: usize, r: usize, d: usize, classes: bool) -> Examples {
        let records = centred(&uniform(random, r * d), &vec![0.0; d]);
        let relevance = if classes {
            let mut pick = |count: usize| (0..count).map(|_| vec![random.below(4) as u32]).collect();
            Relevance::Classes { queries: pick(n), records: pick(r) }
        } else {
            let mut pick = || {
                let mut rows: Vec<u32> = (0..1 + random.below(3)).map(|_| random.below(r) as u32).collect();
                rows.sort_unstable();
                rows.dedup();
                rows
            };
            Relevance::Listed((0..n).map(|_| pick()).collect())
        };
        let own = (0..n).map(|_| (random.below(3) == 0).then(|| random.below(r) as u32)).collect();
        let queries = uniform(random, n * d);
        let plain = Vec::new();
        Examples {
            dimension: d,
            queries,
            records,
            plain,
            relevance,
            wrong: Vec::new(),
            own,
            record_mean: vec![0.0; d],
            same: false,
        }
    }

    /// Every score in `f64`, sorted.
    fn ranked(examples: &Examples, queries: &[f32], query: u32, matrices: &Matrices) -> Vec<u32> {
        let d = examples.dimension;
        let processed = |x: &[f32], m: &[f32]| {
            let y: Vec<f64> =
                m.chunks(d).map(|m| m.iter().zip(x).map(|(m, x)| f64::from(m * x)).sum::<f64>()).collect();
            let norm = y.iter().map(|y| y * y).sum::<f64>().sqrt();
            y.into_iter().map(|y| y / norm).collect::<Vec<f64>>()
        };
        let asked = processed(row(queries, query, d), &matrices.query);
        let own = examples.own[query as usize];
        let mut scored: Vec<(f64, u32)> = (0..examples.record_count() as u32)
            .filter(|row| Some(*row) != own)
            .map(|row| {
                let record = processed(examples.record(row), &matrices.record);
                (asked.iter().zip(&record).map(|(a, b)| a * b).sum(), row)
            })
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().map(|(_, row)| row).collect()
    }

    #[test]
    fn figures_are_those_of_a_full_sort() {
        for (n, r, d, classes) in [(7, 40, 5, false), (600, 1100, 8, false), (530, 700, 8, true)] {
            let mut random = Random::of_stream(n as u64, 0);
            let examples = examples(&mut random, n, r, d, classes);
            let matrices = Matrices { query: uniform(&mut random, d * d), record: uniform(&mut random, d * d) };
            let queries = examples.centred_queries(&vec![0.0; d]);
            let which: Vec<u32> = (0..n as u32).collect();
            let pool: Vec<u32> = (0..r as u32).collect();
            let found = figures(&examples, &queries, &which, &pool, Some(&matrices));
            for query in (0..n as u32).step_by(13) {
                let ranking = ranked(&examples, &queries, query, &matrices);
                let first: Vec<bool> =
                    ranking.iter().take(10).map(|row| examples.relevance.holds(query, *row)).collect();
                let found = found[query as usize];
                // A question that is its own only answer has none.
                let mut expected = first.iter().position(|hit| *hit).map_or(0.0, |at| 1.0 / (at + 1) as f64);
                if classes {
                    let ranks: Vec<usize> = ranking
                        .iter()
                        .enumerate()
                        .filter(|(_, row)| examples.relevance.holds(query, **row))
                        .map(|(at, _)| at + 1)
                        .collect();
                    let precisions = ranks.iter().enumerate().map(|(at, rank)| (at + 1) as f64 / *rank as f64);
                    expected = precisions.sum::<f64>() / ranks.len() as f64;
                    assert!((found.ten - first.iter().filter(|hit| **hit).count() as f64 / 10.0).abs() < 1e-12);
                    assert!((found.nearest - 1.0 / ranks[0] as f64).abs() < 1e-12);
                }
                assert!((found.figure - expected).abs() < 1e-12, "{n} {query}: {found:?} {expected}");
            }
        }
    }

    #[test]
    fn a_pull_is_what_a_record_changes() {
        let mut random = Random::of_stream(5, 0);
        let (n, r, d) = (70, 90, 6);
        let mut examples = examples(&mut random, n, r, d, true);
        // Some classes have two records, so that one without the other finds nothing.
        let Relevance::Classes { queries, records } = &mut examples.relevance else { panic!() };
        for at in 0..8 {
            (queries[at], records[at]) = (vec![10 + at as u32 / 2], vec![10 + at as u32 / 2]);
            examples.own[at] = Some(at as u32);
        }
        let matrices = Matrices { query: uniform(&mut random, d * d), record: uniform(&mut random, d * d) };
        let queries = examples.centred_queries(&vec![0.0; d]);
        let which: Vec<u32> = (0..n as u32).collect();
        let pool: Vec<u32> = (0..r as u32).filter(|row| row % 7 != 6).collect();
        let sums = |pool: &[u32]| {
            let found = figures(&examples, &queries, &which, pool, Some(&matrices));
            let has_answer = |query: &u32| {
                let own = examples.own[*query as usize];
                pool.iter().any(|row| Some(*row) != own && examples.relevance.holds(*query, *row))
            };
            let asked = which.iter().filter(|query| has_answer(query)).count();
            (found.iter().map(|found| found.figure).sum::<f64>(), asked as f64)
        };
        let (sum, asked) = sums(&pool);
        let found = pulls(&examples, &queries, &which, &pool, Some(&matrices));
        let mut lost = 0.0;
        for (at, row) in pool.iter().enumerate() {
            let without: Vec<u32> = pool.iter().copied().filter(|other| other != row).collect();
            let (sum_without, asked_without) = sums(&without);
            assert!((found[at].sum - (sum - sum_without)).abs() < 1e-9, "{at}: {:?}", found[at]);
            assert_eq!(found[at].asked, asked - asked_without);
            lost += found[at].asked;
        }
        assert!(lost > 3.0, "{lost}");
    }

    #[test]
    fn equal_scores_are_ranked_by_row_and_nothing_ranks_without_direction() {
        let records = vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let relevance = Relevance::Listed(vec![vec![2], vec![3], vec![0]]);
        let queries = vec![1.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let examples = Examples {
            dimension: 2,
            queries: queries.clone(),
            records,
            plain: Vec::new(),
            relevance,
            wrong: Vec::new(),
            own: vec![Some(1), None, None],
            record_mean: vec![0.0; 2],
            same: false,
        };
        let pool = [0, 1, 2, 3];
        let found = figures(&examples, &queries, &[0, 1, 2], &pool, Some(&Matrices::identity(2)));
        // One equal record stands before row 2 (the other is the question itself); row 3 has no direction; the last
        // question has none.
        assert_eq!(found.iter().map(|found| found.figure).collect::<Vec<_>>(), [0.5, 0.0, 0.0]);
    }
}
