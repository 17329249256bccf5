//! The gate: whether a way of fitting holds up on what it has not seen.
//!
//! Owns cross-fitting and the lifts. The questions are cut into five folds; for each, the whole procedure (with a validation
//! of its own, inside what is left) is fitted without it and ranks it. The lift is the mean difference to plain cosine.
//!
//! A fold holds out two kinds of questions, and one fit answers for both. Whole groups (what labels connect, near-duplicates
//! joined): nothing that answers them was seen, *new records*. And questions of the groups that stay that still have an answer
//! among the records fitted on: *known records*. Answers are ranked among all of the pool in both. Intervals are bootstrapped
//! over groups and z uses the standard error over groups, because questions about the same thing do not count twice.

use super::fit::{Examples, Order, Relevance, Watch, figures, fit};
use super::groups::folds;
use crate::error::Result;
use crate::linalg::random::Random;
use crate::types::{LearnMethod, Lift};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Parts that questions are cut into.
pub(crate) const FOLDS: usize = 5;
/// What z must exceed: a mistake of 5 % on one side.
pub(crate) const ACCEPTED_Z: f64 = 1.64;
/// Fewer held-out questions (or groups of them) say nothing.
pub(crate) const LEAST_QUERIES: usize = 20;
/// Where fewer questions moved than this, z is a matter of luck.
pub(crate) const LEAST_MOVED: usize = 10;
/// Beyond this z says nothing more.
const LARGEST_Z: f64 = 99.0;
/// Resamples of the bootstrap.
const RESAMPLES: usize = 1_000;
const FOLD_STREAM: u64 = 1 << 20;
const BOOTSTRAP_STREAM: u64 = 1 << 21;

/// What the gate looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate<'a> {
    /// Labelled questions.
    pub(crate) queries: &'a [u32],
    /// What labels connect, near-duplicates joined: by question.
    pub(crate) groups: &'a [u32],
    /// Near-duplicates of questions alone: by question.
    pub(crate) alike: &'a [u32],
    /// What labels connect: by question.
    pub(crate) components: &'a [u32],
    /// What the validation of the fit in question holds back whole: by question.
    pub(crate) validated_by: &'a [u32],
    /// The method, or all of them.
    pub(crate) method: Option<LearnMethod>,
    /// Whether training may be averaged with the closed form.
    pub(crate) averaged: bool,
    /// Where chance comes from.
    pub(crate) seed: u64,
    /// The figure of plain cosine for every question.
    pub(crate) plain: &'a [f64],
}

/// Both lifts, as far as they could be measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifts {
    /// New questions over known records.
    pub(crate) known_records: Option<Lift>,
    /// New records.
    pub(crate) new_records: Option<Lift>,
    /// How often each method was chosen inside the folds.
    pub(crate) chosen: Vec<(LearnMethod, usize)>,
    /// Whether it was stopped before its time.
    pub(crate) interrupted: bool,
}

/// One fold: what is fitted on, and the two kinds of questions that are not.
#[derive(Debug, PartialEq)]
struct Fold {
    trained: Vec<u32>,
    /// Whole groups.
    new: Vec<u32>,
    /// Questions with an answer among those of `trained`.
    known: Vec<u32>,
}

/// The method that was chosen without a fold, and the figures of its new and of its known questions.
type Tested = (LearnMethod, Vec<(u32, f64)>, Vec<(u32, f64)>);

/// Measures both lifts.
///
/// # Errors
/// What a fit fails with.
pub(crate) fn gate(examples: &Examples, gate: Gate<'_>, watch: &Watch) -> Result<Lifts> {
    let pool: Vec<u32> = (0..examples.record_count() as u32).collect();
    let parts = cut(examples, &gate);
    let done = AtomicUsize::new(0);
    let quiet = watch.quiet();
    let found: Vec<Result<Option<Tested>>> = parts
        .par_iter()
        .enumerate()
        .map(|(number, part)| {
            if part.new.is_empty() && part.known.is_empty() || part.trained.len() < 2 || quiet.is_stopped() {
                return Ok(None);
            }
            let order = Order {
                trained: &part.trained,
                groups: gate.validated_by,
                components: gate.components,
                method: gate.method,
                averaged: gate.averaged,
                seed: gate.seed ^ (number as u64 + 1) << 32,
                splits: 1,
            };
            let fitted = fit(examples, order, &quiet)?;
            let queries = examples.centred_queries(&examples.query_mean(&fitted.trained));
            let ranked = |held: &[u32]| {
                let found = figures(examples, &queries, held, &pool, Some(&fitted.matrices));
                held.iter().copied().zip(found).collect()
            };
            let tested = (fitted.method, ranked(&part.new), ranked(&part.known));
            watch.gate(done.fetch_add(1, Ordering::Relaxed) + 1, parts.len());
            Ok(Some(tested))
        })
        .collect();
    let mut lifts = Lifts { interrupted: watch.is_stopped(), ..Lifts::default() };
    let (mut known, mut new) = (Vec::new(), Vec::new());
    let mut chosen: BTreeMap<&str, (LearnMethod, usize)> = BTreeMap::new();
    for found in found {
        let Some((method, of_new, of_known)) = found? else { continue };
        chosen.entry(super::method_name(method)).or_insert((method, 0)).1 += 1;
        new.extend(of_new);
        known.extend(of_known);
    }
    lifts.chosen = chosen.into_values().collect();
    if !lifts.interrupted {
        lifts.new_records = lift(&new, &gate, 0);
        lifts.known_records = lift(&known, &gate, 1);
    }
    Ok(lifts)
}

/// The folds. Every question is in the new part of one; a question that could be known is so in one at most.
fn cut(examples: &Examples, gate: &Gate<'_>) -> Vec<Fold> {
    let by_group = folds(gate.queries, gate.groups, FOLDS, gate.seed, FOLD_STREAM);
    let by_query = folds(gate.queries, gate.alike, FOLDS, gate.seed, FOLD_STREAM + 1);
    let fold = |number: usize| {
        let (mut new, mut asked, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for ((query, group), alone) in gate.queries.iter().zip(&by_group).zip(&by_query) {
            let list = match (*group == number, *alone == number) {
                (true, _) => &mut new,
                (false, true) => &mut asked,
                (false, false) => &mut rest,
            };
            list.push(*query);
        }
        // Near-duplicates of a question that is held out are held out with it; what is not known without it is trained on.
        let name = |query: &u32| gate.alike.get(*query as usize).copied();
        let held: HashSet<Option<u32>> = over_known_records(examples, &asked, &rest).iter().map(name).collect();
        let (held, back): (Vec<u32>, Vec<u32>) = asked.into_iter().partition(|query| held.contains(&name(query)));
        let mut trained: Vec<u32> = rest.into_iter().chain(back).collect();
        trained.sort_unstable();
        Fold { known: over_known_records(examples, &held, &trained), trained, new }
    };
    (0..FOLDS).map(fold).collect()
}

/// Those of `held` that have an answer among the answers of `trained`. Of classes there are none apart: every question is a
/// record.
fn over_known_records(examples: &Examples, held: &[u32], trained: &[u32]) -> Vec<u32> {
    let Relevance::Listed(rows) = &examples.relevance else { return Vec::new() };
    let answers = |query: &u32| rows.get(*query as usize).into_iter().flatten().copied();
    let known: HashSet<u32> = trained.iter().flat_map(answers).collect();
    held.iter().copied().filter(|query| answers(query).any(|row| known.contains(&row))).collect()
}

/// The lift of `figures` over plain cosine; `None` where there are too few questions or groups.
fn lift(figures: &[(u32, f64)], gate: &Gate<'_>, stream: u64) -> Option<Lift> {
    let mut by_group: BTreeMap<u32, (f64, usize)> = BTreeMap::new();
    let (mut plain, mut moved) = (0.0, 0);
    for (query, figure) in figures {
        let before = gate.plain.get(*query as usize).copied().unwrap_or(0.0);
        plain += before;
        moved += usize::from(*figure != before);
        let group = gate.groups.get(*query as usize).copied().unwrap_or(0);
        let sum = by_group.entry(group).or_default();
        *sum = (sum.0 + figure - before, sum.1 + 1);
    }
    if figures.len() < LEAST_QUERIES || by_group.len() < LEAST_QUERIES / 2 {
        return None;
    }
    let sums: Vec<(f64, usize)> = by_group.into_values().collect();
    let count = figures.len() as f64;
    let mean = sums.iter().map(|(sum, _)| sum).sum::<f64>() / count;
    // The standard error of a mean over groups of unequal size.
    let groups = sums.len() as f64;
    let spread: f64 = sums.iter().map(|(sum, size)| (sum - mean * *size as f64).powi(2)).sum();
    let error = (spread * groups / (groups - 1.0)).sqrt() / count;
    // Where all groups gained the same there is no error to divide by.
    let z = if error > 0.0 { mean / error } else { LARGEST_Z * f64::from(u8::from(mean > 0.0)) };
    let z = if moved < LEAST_MOVED { 0.0 } else { z.clamp(-LARGEST_Z, LARGEST_Z) };
    let (low, high) = bootstrap(&sums, gate.seed, stream);
    Some(Lift { mean, low, high, z, plain: plain / count, queries: figures.len() as u64 })
}

/// 2.5th and 97.5th percentile of the mean over resampled groups.
fn bootstrap(sums: &[(f64, usize)], seed: u64, stream: u64) -> (f64, f64) {
    let mut random = Random::of_stream(seed, BOOTSTRAP_STREAM + stream);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (mut sum, mut count) = (0.0, 0);
            for _ in 0..sums.len() {
                let (part, size) = sums[random.below(sums.len())];
                sum += part;
                count += size;
            }
            sum / count as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    (means[RESAMPLES / 40], means[RESAMPLES - 1 - RESAMPLES / 40])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate<'a>(groups: &'a [u32], plain: &'a [f64]) -> Gate<'a> {
        Gate {
            queries: &[],
            groups,
            alike: groups,
            components: groups,
            validated_by: groups,
            method: None,
            averaged: true,
            seed: 1,
            plain,
        }
    }

    #[test]
    fn a_fold_holds_out_whole_groups_and_questions_about_what_is_known() {
        // Questions 0 to 59 share their record with two others, 60 to 99 have one each; 0 and 1 are the same thing said twice.
        let answer = |query: u32| if query < 60 { query / 3 } else { query };
        let queries: Vec<u32> = (0..100).collect();
        let groups: Vec<u32> = queries.iter().map(|query| answer(*query)).collect();
        let alike: Vec<u32> = queries.iter().map(|query| if *query == 1 { 0 } else { *query }).collect();
        let examples = Examples {
            dimension: 1,
            queries: vec![1.0; 100],
            records: vec![1.0; 100],
            plain: vec![1.0; 100],
            relevance: Relevance::Listed(queries.iter().map(|query| vec![answer(*query)]).collect()),
            wrong: Vec::new(),
            own: vec![None; 100],
            record_mean: vec![0.0],
            same: false,
        };
        let gate = Gate { queries: &queries, alike: &alike, ..gate(&groups, &[]) };
        let parts = cut(&examples, &gate);
        let (mut new, mut known) = (Vec::<u32>::new(), Vec::<u32>::new());
        for part in &parts {
            let trained: HashSet<u32> = part.trained.iter().copied().collect();
            let seen: HashSet<u32> = part.trained.iter().map(|query| answer(*query)).collect();
            assert!(part.new.iter().all(|query| !seen.contains(&answer(*query))), "{part:?}");
            assert!(part.known.iter().all(|query| seen.contains(&answer(*query)) && !trained.contains(query)));
            assert!(
                !(part.known.contains(&0) && trained.contains(&1) || part.known.contains(&1) && trained.contains(&0))
            );
            // What nobody asks about otherwise is not taken away from the fit.
            assert!(queries.iter().all(|query| *query < 60 || trained.contains(query) != part.new.contains(query)));
            new.extend(&part.new);
            known.extend(&part.known);
        }
        new.sort_unstable();
        assert_eq!(new, queries);
        let all = known.len();
        known.sort_unstable();
        known.dedup();
        assert!(all == known.len() && all > 30, "{all}");
    }

    #[test]
    fn questions_about_the_same_thing_do_not_count_twice() {
        let n = 120;
        let plain = vec![0.3; n];
        let figures: Vec<(u32, f64)> = (0..n as u32).map(|q| (q, if q / 4 % 3 == 0 { 0.2 } else { 0.5 })).collect();
        let alone: Vec<u32> = (0..n as u32).collect();
        let by_fours: Vec<u32> = (0..n as u32).map(|q| q / 4).collect();
        let (apart, together) =
            (lift(&figures, &gate(&alone, &plain), 0).unwrap(), lift(&figures, &gate(&by_fours, &plain), 0).unwrap());
        assert!((apart.mean - 0.1).abs() < 1e-12 && (apart.plain - 0.3).abs() < 1e-12);
        assert!((apart.mean - together.mean).abs() < 1e-12);
        assert!((apart.z / together.z - 2.0).abs() < 0.1, "{} {}", apart.z, together.z);
        assert!((together.high - together.low) / (apart.high - apart.low) > 1.7);
        assert!(apart.low < apart.mean && apart.mean < apart.high);
    }

    #[test]
    fn too_few_questions_and_no_difference_at_all_accept_nothing() {
        let plain = vec![0.5; 40];
        let groups: Vec<u32> = (0..40).collect();
        let few: Vec<(u32, f64)> = (0..10).map(|q| (q, 0.9)).collect();
        assert!(lift(&few, &gate(&groups, &plain), 0).is_none());
        let one_group = vec![0; 40];
        let all: Vec<(u32, f64)> = (0..40).map(|q| (q, 0.9)).collect();
        assert!(lift(&all, &gate(&one_group, &plain), 0).is_none());
        let lucky: Vec<(u32, f64)> = (0..40).map(|q| (q, if q < 8 { 1.0 } else { 0.5 })).collect();
        let found = lift(&lucky, &gate(&groups, &plain), 0).unwrap();
        assert_eq!(found.z, 0.0, "eight of forty moved");
        assert!(found.mean > 0.0);
        let equal: Vec<(u32, f64)> = (0..40).map(|q| (q, 0.5)).collect();
        let found = lift(&equal, &gate(&groups, &plain), 0).unwrap();
        assert_eq!((found.mean, found.z), (0.0, 0.0));
    }
}
