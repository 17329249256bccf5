//! The gate: whether a way of fitting holds up on what it has not seen.
//!
//! Owns cross-fitting and what is believed of it. Labels are cut into parts (`held`); for each, the whole procedure
//! (with a validation of its own inside what is left) is fitted without it and ranks it. The lift is the mean
//! difference to plain cosine (`lift`). Every form of a fit is tested on new classes, wherever classes are labelled: a
//! form that loses there is left out while another does not, and only then is it settled what the lens is.

mod lacking;

use super::asked::Gate;
use super::fit::{Answered, Examples, Fitted, Form, Matrices, Order, Pull, Relevance, Watch, figures, fit, pulls};
use super::held::{CLASS_FOLDS, FOLDS, Kind, Part, Test, parts};
use super::lift::{ACCEPTED_Z, Answers, Design, Held, LEAST_CLASSES, LEAST_GROUPS, Measured, Missing, Pulled, lift};
use crate::error::Result;
use crate::types::{Accept, LearnMethod};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Listed answers are classes where they are shared by this many questions each, on average.
const FEW_ANSWERS: f64 = 1.5;

/// The lifts, as far as they could be measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifts {
    /// New questions over known records; of classes, new records over known ones.
    pub(crate) known_records: Option<Result<Measured, Missing>>,
    /// New records.
    pub(crate) new_records: Option<Result<Measured, Missing>>,
    /// New classes; `None` also where nothing is a class.
    pub(crate) new_classes: Option<Result<Measured, Missing>>,
    /// Forms that lose on new classes where another does not.
    pub(crate) refused: Vec<Form>,
    /// How often each method was chosen inside the parts.
    pub(crate) chosen: Vec<(LearnMethod, usize)>,
    /// Whether it was stopped before its time.
    pub(crate) interrupted: bool,
}

/// What the forms of one part's fit, in the order of preference, made of what it held out.
struct Tested {
    forms: Vec<(Form, LearnMethod)>,
    /// What was asked, and by form how it was answered.
    answers: Vec<(Kind, Vec<Answers>)>,
}

/// Measures the lifts of a fit whose forms are `forms`, in the order of preference.
///
/// # Errors
/// What a fit fails with.
pub(crate) fn gate(examples: &Examples, forms: &[Form], gate: Gate<'_>, watch: &Watch) -> Result<Lifts> {
    let parts = parts(examples, &gate);
    let done = AtomicUsize::new(0);
    let quiet = watch.quiet();
    let plain = super::fit::examples::centred(&examples.queries, &vec![0.0; examples.dimension]);
    let found: Vec<Result<Option<Tested>>> = parts
        .par_iter()
        .enumerate()
        .map(|(number, part)| {
            let nothing = part.tests.iter().all(|test| test.held.is_empty());
            if nothing || part.trained.len() < 2 || quiet.is_stopped() {
                return Ok(None);
            }
            let order = Order {
                trained: &part.trained,
                groups: gate.validated_by,
                components: gate.components,
                method: gate.method,
                averaged: gate.averaged,
                seed: gate.seed ^ (number as u64 + 1) << 32,
                splits: gate.splits,
            };
            let fitted = fit(examples, order, &quiet)?;
            let tested = tested(examples, &gate, part, &plain, &fitted);
            watch.gate(done.fetch_add(1, Ordering::Relaxed) + 1, parts.len());
            Ok(Some(tested))
        })
        .collect();
    let found: Vec<Tested> = found.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    let mut lifts = Lifts { interrupted: watch.is_stopped(), ..Lifts::default() };
    if !lifts.interrupted {
        settle(examples, forms, &gate, &found, &mut lifts);
    }
    Ok(lifts)
}

fn tested(examples: &Examples, gate: &Gate<'_>, part: &Part, plain: &[f32], fitted: &[Fitted]) -> Tested {
    let answers = part.tests.iter().map(|test| {
        let before = Ranked::new(examples, test, plain, None);
        let by_form = fitted.iter().map(|fitted| {
            let queries = examples.centred_queries(&examples.query_mean(&fitted.trained));
            answers(examples, gate, test, &before, &Ranked::new(examples, test, &queries, Some(&fitted.matrices)))
        });
        (test.kind, by_form.collect())
    });
    let answers = answers.collect();
    Tested { forms: fitted.iter().map(|fitted| (fitted.form, fitted.method)).collect(), answers }
}

/// How a test is answered by a map, and what each record of its pool does to that.
struct Ranked {
    figures: Vec<Answered>,
    pulls: Vec<Pull>,
}

impl Ranked {
    fn new(examples: &Examples, test: &Test, queries: &[f32], map: Option<&Matrices>) -> Ranked {
        let pulls = match test.kind {
            // Known records are the same ones for every question that will come.
            Kind::Known => Vec::new(),
            Kind::New | Kind::Classes => pulls(examples, queries, &test.held, &test.pool, map),
        };
        Ranked { figures: figures(examples, queries, &test.held, &test.pool, map), pulls }
    }
}

fn answers(examples: &Examples, gate: &Gate<'_>, test: &Test, before: &Ranked, after: &Ranked) -> Answers {
    let groups = match test.kind {
        Kind::New => gate.groups,
        // The records stay: what a new question stands for is other questions about them.
        Kind::Known => gate.alike,
        Kind::Classes => gate.classes,
    };
    let group = |query: u32| groups.get(query as usize).copied().unwrap_or(0);
    let all = test.held.iter().zip(&before.figures).zip(&after.figures);
    let held = all.map(|((&query, &plain), &learned)| {
        let pool = test.pool.len();
        Held { query, group: group(query), plain, learned, pool }
    });
    let of_row: BTreeMap<u32, u32> =
        gate.queries.iter().filter_map(|query| Some(((*examples.own.get(*query as usize)?)?, *query))).collect();
    let pulled = test.pool.iter().zip(&before.pulls).zip(&after.pulls).map(|((row, before), after)| {
        // A record that is no question is a group of its own.
        let alone = examples.query_count() as u32 + row;
        let group = of_row.get(row).map_or(alone, |query| group(*query));
        Pulled { group, sum: after.sum - before.sum, asked: after.asked }
    });
    Answers { held: held.collect(), pulled: pulled.collect() }
}

/// What all parts come to: first which forms lose on new classes, then the lifts of the form that is left in each part.
fn settle(examples: &Examples, forms: &[Form], gate: &Gate<'_>, found: &[Tested], lifts: &mut Lifts) {
    let listed = matches!(examples.relevance, Relevance::Listed(_));
    let names: HashSet<u32> =
        gate.queries.iter().filter_map(|query| gate.classes.get(*query as usize)).copied().collect();
    let few = names.len() as f64 * FEW_ANSWERS <= gate.queries.len() as f64;
    // Listed answers that are left out with all their questions are left out as classes are.
    let kind = if listed { Kind::New } else { Kind::Classes };
    let parts = if listed { FOLDS } else { super::held::class_folds(names.len()).unwrap_or(CLASS_FOLDS) };
    let class_lift = |form: &dyn Fn(&Tested) -> Option<usize>| {
        let mut answers: Vec<Answers> = collected(found, kind, form).into_iter().cloned().collect();
        for held in answers.iter_mut().flat_map(|answers| &mut answers.held) {
            held.group = gate.classes.get(held.query as usize).copied().unwrap_or(0);
        }
        lift(&answers.iter().collect::<Vec<_>>(), Design { parts, least: LEAST_CLASSES })
    };
    let place = |tested: &Tested, form: Form| tested.forms.iter().position(|(other, _)| *other == form);
    if !listed || few {
        let by_form: Vec<(Form, Result<Measured, Missing>)> =
            forms.iter().map(|&form| (form, class_lift(&|tested| place(tested, form)))).collect();
        let loses = |found: &Result<Measured, Missing>| found.as_ref().is_ok_and(|found| found.lift.z < -ACCEPTED_Z);
        if by_form.iter().any(|(_, found)| !loses(found)) {
            lifts.refused = by_form.iter().filter(|(_, found)| loses(found)).map(|(form, _)| *form).collect();
        }
    }
    let refused = lifts.refused.clone();
    let chosen = |tested: &Tested| tested.forms.iter().position(|(form, _)| !refused.contains(form));
    if !listed && super::held::class_folds(names.len()).is_none() {
        lifts.new_classes = Some(Err(Missing::FewGroups(names.len())));
    } else if !listed || few {
        let form = forms.iter().copied().find(|form| !refused.contains(form));
        lifts.new_classes = Some(if gate.accept == Accept::NewClasses {
            class_lift(&chosen)
        } else {
            class_lift(&|tested| form.and_then(|form| place(tested, form)))
        });
    }
    let design = Design { parts: FOLDS, least: LEAST_GROUPS };
    let measured = |kind| lift(&collected(found, kind, &chosen), design);
    lifts.new_records = Some(lacking::for_new_records(gate.queries, gate.groups).and_then(|()| measured(Kind::New)));
    let known = lacking::for_known_records(examples, gate.queries, gate.alike);
    lifts.known_records = Some(known.and_then(|()| measured(Kind::Known)));
    let mut counts: BTreeMap<&str, (LearnMethod, usize)> = BTreeMap::new();
    for tested in found.iter().filter(|tested| tested.answers.iter().any(|(kind, _)| *kind != Kind::Classes)) {
        let Some((_, method)) = chosen(tested).and_then(|at| tested.forms.get(at)) else { continue };
        counts.entry(method.as_str()).or_insert((*method, 0)).1 += 1;
    }
    lifts.chosen = counts.into_values().collect();
}

/// All answers to one kind of question, of the form that is picked in each part.
fn collected<'a>(found: &'a [Tested], kind: Kind, pick: &dyn Fn(&Tested) -> Option<usize>) -> Vec<&'a Answers> {
    let of_kind = |tested: &'a Tested| {
        let at = pick(tested);
        let answers = tested.answers.iter().filter(move |(other, _)| *other == kind);
        answers.filter_map(move |(_, by_form)| by_form.get(at?))
    };
    found.iter().flat_map(of_kind).collect()
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
