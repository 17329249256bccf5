//! From labels to a map: how long to train, which method, and then once more on all of them.
//!
//! Owns [`fit`]. Some of the questions are held back, group by group; what ranks them best decides the method and its
//! setting (epochs, or the pull of ridge), epoch 0 and the identity being among what is tried. Then the chosen method
//! is run on all questions. It knows no gate: the questions it is given are all it sees.
//!
//! Where the method is left open and a closed form exists, what training finds is averaged with it, matrix by matrix:
//! both stay near the identity and err differently. What is trained on classes is averaged with the identity, unless it
//! is clearly better alone: on three facets of debtags that cost a point of some fifteen on the classes it knows, and
//! took what classes it does not know lose from 11 points to 3.

use super::examples::{Examples, Relevance};
use super::infonce::{EPOCHS, Trainer};
use super::lda::{KEPT, Lda, SHRINKAGES};
use super::rank::{Answered, Matrices, figures};
use super::ridge::{PULLS, Ridge};
use super::watch::Watch;
use crate::error::Result;
use crate::linalg::random::Random;
use crate::types::LearnMethod;
use rayon::prelude::*;

/// Epochs without a better validation figure after which training stops.
const PATIENCE: usize = 5;
/// Questions trained on from which training a little too long costs nothing (it was measured): there the last epoch
/// counts that is at most [`LATER`] standard errors of the difference below the best, because one lucky early peak
/// costs more. With fewer, every step too many costs: there the first counts that is at most [`EARLIER`] below.
const ENOUGH: usize = 400;
const LATER: f64 = 2.0;
const EARLIER: f64 = 0.5;
/// A closed form is preferred to training where it is more than this many standard errors better: training did better
/// on every set it was measured on.
const PREFERRED: f64 = 1.0;
/// With that many, training goes over the pairs at most so often: longer brought nothing to what the gate held out, on
/// any set it was measured on, and takes longer.
const MOST_PASSES: f64 = 24.0;
/// Up to so many questions the closed form weighs as much as what is trained; beyond, the less the more there are.
const EQUAL: f32 = 256.0;
/// Beyond so many questions training stands alone. Cross-fitted on the training labels of nl2bash (new records, two
/// seeds), averaging brought 2.2 points with 600 questions, 0.5 with 1,000, and from 1,500 on nothing that stands out
/// of the noise.
const MOST_AVERAGED: usize = 2_000;
/// Records that validation ranks over, at most, beside the answers.
const POOL: usize = 1_000;
/// Questions held back for validation: a quarter (of classes a third, because they are ranked among each other), at
/// most so many.
const MOST_VALIDATION: usize = 600;
const PARTS: usize = 4;
const CLASS_PARTS: usize = 3;
/// Chance is drawn from streams: splits, the validation's pool, trainers.
const SPLIT_STREAM: u64 = 1;
const POOL_STREAM: u64 = 2;
pub(super) const TRAINER_STREAM: u64 = 16;

/// What is to be fitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    /// Questions to learn from, ascending.
    pub(crate) trained: &'a [u32],
    /// Group of every question: validation holds back whole groups.
    pub(crate) groups: &'a [u32],
    /// Component of every question: what labels connect is no contrast.
    pub(crate) components: &'a [u32],
    /// The method; `None`: whichever validates best.
    pub(crate) method: Option<LearnMethod>,
    /// Whether what is trained may be averaged with the closed form. That helps with records that were not seen; where
    /// all were, training alone ranks them as well or better (clinc150's training labels: by 0.1 points on average).
    pub(crate) averaged: bool,
    /// Where chance comes from.
    pub(crate) seed: u64,
    /// Splits into training and validation whose figures are put together: more are steadier and slower.
    pub(crate) splits: usize,
}

/// What a map is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// Ridge regression.
    Ridge,
    /// Discriminant analysis.
    Lda,
    /// Training (averaged with ridge, where that was asked for).
    Trained,
    /// Training on classes, averaged with the identity.
    Halved,
}

impl Form {
    /// The method it belongs to.
    pub(crate) fn method(self) -> LearnMethod {
        match self {
            Form::Ridge => LearnMethod::Ridge,
            Form::Lda => LearnMethod::Lda,
            Form::Trained | Form::Halved => LearnMethod::InfoNce,
        }
    }
}

/// A map with what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Fitted {
    /// The map.
    pub(crate) matrices: Matrices,
    /// What it was made by.
    pub(crate) form: Form,
    /// How it was fitted.
    pub(crate) method: LearnMethod,
    /// Epochs, the pull, or the shrinkage.
    pub(crate) setting: f64,
    /// The pull of the ridge that training was averaged with.
    pub(crate) averaged: Option<f64>,
    /// Questions it was fitted on in the end, whose mean belongs to it.
    pub(crate) trained: Vec<u32>,
    /// Validation figures: plain, and fitted.
    pub(crate) validation: Option<(f64, f64)>,
    /// The best validation figure of each method that was tried.
    pub(crate) tried: Vec<(LearnMethod, f64)>,
    /// Whether it was stopped before its time.
    pub(crate) interrupted: bool,
}

/// One split: what is trained on, what validates, and what it is ranked over.
struct Split<'a> {
    trainer: Option<Trainer<'a>>,
    /// The closed form that what is trained is averaged with.
    closed: Option<Matrices>,
    trained: Vec<u32>,
    held: Vec<u32>,
    pool: Vec<u32>,
    queries: Vec<f32>,
}

/// Fits a map in every form that goes with the examples, the one that validates best first.
///
/// # Errors
/// None of its own; cancellation keeps the best so far.
pub(crate) fn fit(examples: &Examples, order: Order<'_>, watch: &Watch) -> Result<Vec<Fitted>> {
    let mut splits = splits(examples, order);
    let plain = plain_figure(examples, &splits);
    let wants = |method| order.method.is_none_or(|wanted| wanted == method);
    let mut choices = Vec::new();
    if wants(LearnMethod::Ridge) && !examples.same && matches!(examples.relevance, Relevance::Listed(_)) {
        let (choice, solved) = best_pull(examples, &splits);
        if order.averaged && order.method.is_none() && order.trained.len() <= MOST_AVERAGED {
            splits.iter_mut().zip(solved).for_each(|(split, closed)| split.closed = closed);
        }
        choices.push(choice);
    }
    if wants(LearnMethod::Lda) && examples.same {
        choices.push(best_shrinkage(examples, &splits));
    }
    let mut so_far = None;
    if wants(LearnMethod::InfoNce) {
        let pull = choices.first().filter(|_| splits.iter().any(|split| split.closed.is_some()));
        let pull = pull.map(|ridge: &Choice| ridge.setting);
        let (trained, map) = best_epochs(examples, &mut splits, watch);
        // Without an epoch of training there is nothing to average.
        choices.extend(
            trained.into_iter().map(|choice| Choice { averaged: pull.filter(|_| choice.setting > 0.0), ..choice }),
        );
        so_far = map;
    }
    let mut tried: Vec<(LearnMethod, f64)> = Vec::new();
    for choice in &choices {
        match tried.iter_mut().find(|(method, _)| *method == choice.form.method()) {
            Some((_, best)) => *best = best.max(choice.figure()),
            None => tried.push((choice.form.method(), choice.figure())),
        }
    }
    let validated = splits.iter().any(|split| !split.held.is_empty());
    let first = splits.first().map(|split| split.trained.clone()).unwrap_or_default();
    drop(splits);
    let mut found = finish(examples, order, &by_preference(choices), watch);
    let interrupted = watch.is_stopped();
    for (choice, fitted) in &mut found {
        if let (true, Some(matrices), LearnMethod::InfoNce) =
            (interrupted && fitted.is_none(), &so_far, choice.form.method())
        {
            *fitted = Some((matrices.clone(), first.clone()));
        }
    }
    let fitted = found.into_iter().map(|(choice, fitted)| {
        let identity = || (Matrices::identity(examples.dimension), order.trained.to_vec());
        let (matrices, trained) = fitted.unwrap_or_else(identity);
        Fitted {
            matrices,
            form: choice.form,
            method: choice.form.method(),
            setting: choice.setting,
            averaged: choice.averaged,
            trained,
            validation: validated.then_some((plain, choice.figure())),
            tried: tried.clone(),
            interrupted,
        }
    });
    Ok(fitted.collect())
}

/// The choices in the order of preference: what comes last is what there is, or training; an earlier one must be
/// clearly better.
fn by_preference(mut choices: Vec<Choice>) -> Vec<Choice> {
    let mut ordered = Vec::with_capacity(choices.len());
    while !choices.is_empty() {
        let mut chosen = choices.len() - 1;
        for (at, other) in choices.iter().enumerate().rev().skip(1) {
            if choices.get(chosen).is_some_and(|chosen| !is_near(&other.figures, &chosen.figures, PREFERRED)) {
                chosen = at;
            }
        }
        ordered.push(choices.remove(chosen));
    }
    ordered
}

/// A map and the questions whose mean belongs to it.
type Made = Option<(Matrices, Vec<u32>)>;

/// Every choice over all questions; `None` where it was stopped on the way or came to nothing.
fn finish(examples: &Examples, order: Order<'_>, choices: &[Choice], watch: &Watch) -> Vec<(Choice, Made)> {
    let queries = examples.centred_queries(&examples.query_mean(order.trained));
    let ridge = |pull: f64| Ridge::new(examples, &queries, order.trained).solve(pull);
    let epochs: Vec<usize> = choices
        .iter()
        .filter(|choice| choice.form.method() == LearnMethod::InfoNce)
        .map(|choice| choice.setting as usize)
        .collect();
    let trained = trained(examples, order, &epochs, watch);
    let made = choices.iter().map(|choice| {
        let setting = choice.setting;
        let matrices = match choice.form {
            Form::Ridge => ridge(setting),
            Form::Lda => Lda::new(examples, &queries, order.trained).and_then(|sums| sums.solve(setting, choice.kept)),
            Form::Trained | Form::Halved if setting == 0.0 => Some(Matrices::identity(examples.dimension)),
            Form::Trained | Form::Halved => {
                let matrices = trained.iter().find(|(epoch, _)| *epoch == setting as usize);
                matrices.and_then(|(_, matrices)| match (choice.form, choice.averaged) {
                    (Form::Halved, _) => Some(halved(matrices, examples.dimension)),
                    (_, Some(pull)) => Some(matrices.averaged(&ridge(pull)?, weight(order.trained.len()))),
                    (_, None) => Some(matrices.clone()),
                })
            }
        };
        let matrices = matrices.filter(Matrices::is_finite);
        (choice.clone(), matrices.map(|matrices| (matrices, order.trained.to_vec())))
    });
    made.collect()
}

/// What training on all questions has come to after each of these epochs, as far as it was not stopped.
fn trained(examples: &Examples, order: Order<'_>, epochs: &[usize], watch: &Watch) -> Vec<(usize, Matrices)> {
    let last = epochs.iter().copied().max().unwrap_or(0);
    let mut found = Vec::new();
    if last == 0 {
        return found;
    }
    let trainer = Trainer::new(examples, order.trained, order.components, order.seed, TRAINER_STREAM - 1);
    let Some(mut trainer) = trainer else { return found };
    for epoch in 1..=last {
        if watch.is_stopped() {
            break;
        }
        let loss = trainer.epoch();
        watch.finishing(epoch, last, loss);
        if epochs.contains(&epoch) {
            found.push((epoch, trainer.matrices.clone()));
        }
    }
    found
}

/// The mean of a map and the identity.
fn halved(matrices: &Matrices, dimension: usize) -> Matrices {
    matrices.averaged(&Matrices::identity(dimension), 1.0)
}

/// A form with its best setting, and the figures of the held-back questions under it.
#[derive(Debug, Clone)]
struct Choice {
    form: Form,
    setting: f64,
    /// Of discriminant analysis: what is kept of directions that do not tell the classes apart.
    kept: f64,
    averaged: Option<f64>,
    figures: Vec<Answered>,
}

impl Choice {
    /// The identity.
    fn new(form: Form) -> Self {
        Choice { form, setting: 0.0, kept: 1.0, averaged: None, figures: Vec::new() }
    }

    /// What is printed.
    fn figure(&self) -> f64 {
        self.figures.iter().map(|answered| answered.figure).sum::<f64>() / (self.figures.len() as f64).max(1.0)
    }
}

/// Trains all splits side by side until no epoch has been better for a while: the choice of an epoch for what is
/// trained, and of classes one for its mean with the identity. The first split's map at the best epoch comes with them.
fn best_epochs(examples: &Examples, splits: &mut [Split<'_>], watch: &Watch) -> (Vec<Choice>, Option<Matrices>) {
    let start = |split: &Split<'_>| split.trainer.as_ref().map(|trainer| trainer.matrices.clone());
    let first = validate(examples, splits, start);
    let mut kept = splits.first().and_then(start);
    let classes = matches!(examples.relevance, Relevance::Classes { .. });
    let forms: &[Form] = if classes { &[Form::Trained, Form::Halved] } else { &[Form::Trained] };
    let mut curves = vec![vec![first]; forms.len()];
    let mut bests = vec![0_usize; forms.len()];
    let figure = |curve: &[Vec<Answered>], epoch: usize| curve.get(epoch).map_or(0.0, |figures| average(figures));
    let many = splits.iter().all(|split| split.trained.len() >= ENOUGH);
    let last = if many { splits.iter().filter_map(longest).max().unwrap_or(EPOCHS) } else { EPOCHS };
    for epoch in 1..=last {
        let best = bests.iter().copied().max().unwrap_or(0);
        if watch.is_stopped() || epoch > best + PATIENCE || splits.iter().all(|split| split.trainer.is_none()) {
            break;
        }
        let losses: Vec<f64> =
            splits.par_iter_mut().filter_map(|split| split.trainer.as_mut()).map(Trainer::epoch).collect();
        for ((form, curve), best) in forms.iter().zip(&mut curves).zip(&mut bests) {
            let map = |split: &Split<'_>| split.matrices(*form);
            curve.push(validate(examples, splits, map));
            if figure(curve, epoch) > figure(curve, *best) {
                *best = epoch;
                // The last form is the one that is preferred.
                kept = splits.first().and_then(map);
            }
        }
        let loss = losses.iter().sum::<f64>() / (losses.len() as f64).max(1.0);
        watch.epoch(epoch, last, loss, curves.last().map_or(0.0, |curve| figure(curve, epoch)));
    }
    let choices = forms.iter().zip(curves).zip(bests).map(|((form, curve), best)| {
        let epoch = settled(&curve, best, many);
        Choice {
            setting: epoch as f64,
            figures: curve.into_iter().nth(epoch).unwrap_or_default(),
            ..Choice::new(*form)
        }
    });
    (choices.collect(), kept)
}

/// Epochs in which the pairs of a split are gone over [`MOST_PASSES`] times.
fn longest(split: &Split<'_>) -> Option<usize> {
    split.trainer.as_ref().map(|trainer| ((MOST_PASSES / trainer.passes()).ceil() as usize).clamp(1, EPOCHS))
}

/// The epoch that counts near the best one; an identity that was best stays.
fn settled(curve: &[Vec<Answered>], best: usize, many: bool) -> usize {
    let Some(peak) = curve.get(best).filter(|_| best > 0) else { return best };
    let near = |epoch: &usize, slack: f64| curve.get(*epoch).is_some_and(|figures| is_near(peak, figures, slack));
    let found = if many {
        (best..curve.len()).rev().find(|epoch| near(epoch, LATER))
    } else {
        (1..best).find(|epoch| near(epoch, EARLIER))
    };
    found.unwrap_or(best)
}

impl Split<'_> {
    /// The map so far, in one of the forms of training.
    fn matrices(&self, form: Form) -> Option<Matrices> {
        let trained = &self.trainer.as_ref()?.matrices;
        if form == Form::Halved {
            return Some(halved(trained, trained.query.len().isqrt()));
        }
        let averaged = |closed| trained.averaged(closed, weight(self.trained.len()));
        Some(self.closed.as_ref().map_or_else(|| trained.clone(), averaged))
    }
}

/// What the closed form weighs beside what was trained on so many questions. With few the mean of both beat either by
/// two points; with seven thousand half the weight cost one.
pub(super) fn weight(questions: usize) -> f32 {
    (EQUAL / questions.max(1) as f32).sqrt().min(1.0)
}

/// The figures of all held-back questions under `map`, one split after the other.
fn validate<'a>(
    examples: &Examples,
    splits: &[Split<'a>],
    map: impl Fn(&Split<'a>) -> Option<Matrices> + Sync,
) -> Vec<Answered> {
    let found = splits.par_iter().map(|split| {
        let matrices = map(split).unwrap_or_else(|| Matrices::identity(examples.dimension));
        figures(examples, &split.queries, &split.held, &split.pool, Some(&matrices))
    });
    found.collect::<Vec<_>>().concat()
}

/// Whether `figures` are at most `slack` standard errors of the difference below `peak`.
fn is_near(peak: &[Answered], figures: &[Answered], slack: f64) -> bool {
    let count = peak.len().max(1) as f64;
    let differences = || peak.iter().zip(figures).map(|(a, b)| a.choice() - b.choice());
    let mean = differences().sum::<f64>() / count;
    let variance = differences().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0).max(1.0);
    mean <= slack * (variance / count).sqrt()
}

/// The best shrinkage and the best share that is kept. Of equal figures the one nearest to a sphere counts.
fn best_shrinkage(examples: &Examples, splits: &[Split<'_>]) -> Choice {
    let sums: Vec<Option<Lda>> =
        splits.par_iter().map(|split| Lda::new(examples, &split.queries, &split.trained)).collect();
    let settings = SHRINKAGES.iter().rev().flat_map(|shrinkage| KEPT.iter().rev().map(|kept| (*shrinkage, *kept)));
    let solve = |split: usize, (shrinkage, kept): (f64, f64)| {
        sums.get(split).and_then(Option::as_ref).and_then(|sums| sums.solve(shrinkage, kept))
    };
    best_setting(examples, splits, Form::Lda, &settings.collect::<Vec<_>>(), solve)
}

/// The best pull, with what it solves to in each split. Of equal figures the one nearest to the identity counts.
fn best_pull(examples: &Examples, splits: &[Split<'_>]) -> (Choice, Vec<Option<Matrices>>) {
    let sums: Vec<Ridge> =
        splits.par_iter().map(|split| Ridge::new(examples, &split.queries, &split.trained)).collect();
    let settings: Vec<(f64, f64)> = PULLS.iter().rev().map(|pull| (*pull, 1.0)).collect();
    let solve = |split: usize, (pull, _): (f64, f64)| sums.get(split).and_then(|sums| sums.solve(pull));
    let choice = best_setting(examples, splits, Form::Ridge, &settings, solve);
    let solved = sums.par_iter().map(|sums| sums.solve(choice.setting)).collect();
    (choice, solved)
}

/// The first of `settings` (with what is kept) with the best figure; one that cannot be solved counts 0.
fn best_setting(
    examples: &Examples,
    splits: &[Split<'_>],
    form: Form,
    settings: &[(f64, f64)],
    solve: impl Fn(usize, (f64, f64)) -> Option<Matrices> + Sync,
) -> Choice {
    let tried = settings.par_iter().map(|&(setting, kept)| {
        let found = splits.iter().enumerate().map(|(idx, split)| match solve(idx, (setting, kept)) {
            Some(matrices) => figures(examples, &split.queries, &split.held, &split.pool, Some(&matrices)),
            None => vec![Answered::default(); split.held.len()],
        });
        Choice { setting, kept, figures: found.collect::<Vec<_>>().concat(), ..Choice::new(form) }
    });
    let tried: Vec<Choice> = tried.collect();
    let mut tried = tried.into_iter();
    let mut best = tried.next().unwrap_or_else(|| Choice::new(form));
    for other in tried {
        if average(&other.figures) > average(&best.figures) {
            best = other;
        }
    }
    best
}

/// What is chosen by.
fn average(figures: &[Answered]) -> f64 {
    figures.iter().map(Answered::choice).sum::<f64>() / (figures.len() as f64).max(1.0)
}

fn plain_figure(examples: &Examples, splits: &[Split<'_>]) -> f64 {
    let queries = super::examples::centred(&examples.queries, &vec![0.0; examples.dimension]);
    let found = splits.iter().map(|split| figures(examples, &queries, &split.held, &split.pool, None));
    let found = found.collect::<Vec<_>>().concat();
    found.iter().map(|answered| answered.figure).sum::<f64>() / (found.len() as f64).max(1.0)
}

/// Holds back questions, whole groups at a time: a quarter of them once, or each of several parts in turn.
fn splits<'a>(examples: &'a Examples, order: Order<'_>) -> Vec<Split<'a>> {
    let mut groups: Vec<u32> = order.trained.iter().map(|&query| group(order.groups, query)).collect();
    groups.sort_unstable();
    groups.dedup();
    Random::of_stream(order.seed, SPLIT_STREAM).shuffle(&mut groups);
    let mut by_group: std::collections::HashMap<u32, Vec<u32>> = std::collections::HashMap::new();
    for &query in order.trained {
        by_group.entry(group(order.groups, query)).or_default().push(query);
    }
    let classes = matches!(examples.relevance, Relevance::Classes { .. });
    let parts = order.splits.max(if classes { CLASS_PARTS } else { PARTS });
    let most = if order.splits > 1 { order.trained.len() } else { MOST_VALIDATION };
    let target = order.trained.len().div_ceil(parts).min(most);
    let mut held: Vec<Vec<u32>> = vec![Vec::new()];
    for group in groups {
        let members = by_group.remove(&group).unwrap_or_default();
        let full = held.last().is_some_and(|part| part.len() >= target);
        if full && held.len() < order.splits {
            held.push(Vec::new());
        } else if full {
            break;
        }
        // A group that would take most of the questions along is trained on.
        if let Some(part) = held.last_mut().filter(|part| part.len() + members.len() <= 2 * target) {
            part.extend(members);
        }
    }
    held.into_iter().enumerate().map(|(idx, held)| split(examples, order, held, idx)).collect()
}

fn group(groups: &[u32], query: u32) -> u32 {
    groups.get(query as usize).copied().unwrap_or(0)
}

fn split<'a>(examples: &'a Examples, order: Order<'_>, mut held: Vec<u32>, idx: usize) -> Split<'a> {
    held.sort_unstable();
    let trained: Vec<u32> = order.trained.iter().copied().filter(|query| held.binary_search(query).is_err()).collect();
    let stream = TRAINER_STREAM + idx as u64;
    let trainer = Trainer::new(examples, &trained, order.components, order.seed, stream);
    let queries = match &trainer {
        Some(trainer) => trainer.queries().to_vec(),
        None => examples.centred_queries(&examples.query_mean(&trained)),
    };
    let (held, pool) = match &examples.relevance {
        // Records of a class that were fitted on come up first: they say nothing of those that were not.
        Relevance::Classes { .. } => (with_peers(examples, &held), own_rows(examples, &held)),
        Relevance::Listed(_) => {
            let pool = pool(examples, &held, order.seed);
            (held, pool)
        }
    };
    Split { trainer, closed: None, trained, held, pool, queries }
}

/// The records that `queries` are, ascending.
pub(crate) fn own_rows(examples: &Examples, queries: &[u32]) -> Vec<u32> {
    let own = |query: &u32| examples.own.get(*query as usize).copied().flatten();
    let mut rows: Vec<u32> = queries.iter().filter_map(own).collect();
    rows.sort_unstable();
    rows
}

/// Those of `queries` that share a class with another one of them.
pub(crate) fn with_peers(examples: &Examples, queries: &[u32]) -> Vec<u32> {
    let Relevance::Classes { queries: classes, .. } = &examples.relevance else { return queries.to_vec() };
    let of = |query: u32| classes.get(query as usize).map_or(&[][..], Vec::as_slice);
    let mut sizes: std::collections::HashMap<u32, usize> = std::collections::HashMap::new();
    queries.iter().flat_map(|&query| of(query)).for_each(|class| *sizes.entry(*class).or_default() += 1);
    let has_peer = |query: &u32| of(*query).iter().any(|class| sizes.get(class).is_some_and(|size| *size > 1));
    queries.iter().copied().filter(has_peer).collect()
}

/// The answers of `held`, and others up to [`POOL`].
fn pool(examples: &Examples, held: &[u32], seed: u64) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..examples.record_count() as u32).collect();
    if rows.len() > POOL {
        Random::of_stream(seed, POOL_STREAM).shuffle(&mut rows);
        rows.truncate(POOL);
        if let Relevance::Listed(relevant) = &examples.relevance {
            rows.extend(held.iter().flat_map(|&query| relevant.get(query as usize).into_iter().flatten()));
        }
        rows.sort_unstable();
        rows.dedup();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_that_counts_is_late_with_many_questions_and_early_with_few() {
        // Two hundred questions; each epoch changes some of them to and fro, and the means rise to epoch 3.
        let curve: Vec<Vec<Answered>> = [0.20, 0.38, 0.395, 0.40, 0.39, 0.25]
            .iter()
            .enumerate()
            .map(|(epoch, mean)| {
                let figure = |query| mean + if (query + epoch) % 2 == 0 { 0.1 } else { -0.1 };
                let of = |query| Answered { figure: figure(query), nearest: figure(query), ten: 0.0 };
                (0..200).map(of).collect()
            })
            .collect();
        assert_eq!(settled(&curve, 3, true), 4, "later, but not as late as where it falls");
        assert_eq!(settled(&curve, 3, false), 2, "earlier, but not as early as where it has not risen");
        assert_eq!((settled(&curve, 0, true), settled(&curve, 0, false)), (0, 0));
        assert!(is_near(&curve[3], &curve[3], 0.0) && !is_near(&curve[3], &curve[0], 2.0));
    }
}
