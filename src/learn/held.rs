//! What is held out: the parts into which labels are cut, and what each is asked among.
//!
//! Owns [`Part`]. What is called *new* is new on both sides: questions that no fit saw are ranked among records that
//! the fit did not see, neither as answers nor as what was judged wrong. *Known records* are the others: a new question
//! (of classes, a new record) asked about records that were labelled. *New classes* leave out whole classes and rank
//! their records among records of classes that were left out. Every part is fitted on what it does not hold out, by the
//! whole procedure.

use super::asked::Gate;
use super::fit::{Examples, Relevance, own_rows, with_peers};
use super::groups::folds;
use super::lift::LEAST_CLASSES;
use std::collections::{BTreeMap, HashSet};

/// Parts that questions are cut into.
pub(crate) const FOLDS: usize = 5;
/// Parts that classes are cut into, where there are enough for two in each.
pub(crate) const CLASS_FOLDS: usize = 3;
/// Records that no question is, which new ones of a field are ranked among, at most.
const MOST_OTHERS: usize = 2_000;
const FOLD_STREAM: u64 = 1 << 20;

/// What a test asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    New,
    Known,
    Classes,
}

/// Questions that were held out, and the rows they are ranked among.
#[derive(Debug, PartialEq)]
pub(crate) struct Test {
    pub(crate) kind: Kind,
    pub(crate) held: Vec<u32>,
    pub(crate) pool: Vec<u32>,
}

/// What is fitted on, and what is asked of the fit.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) trained: Vec<u32>,
    pub(crate) tests: Vec<Test>,
}

/// All parts of all rounds.
pub(crate) fn parts(examples: &Examples, gate: &Gate<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    for round in 0..gate.rounds as u64 {
        match &examples.relevance {
            Relevance::Listed(rows) => parts.extend(of_pairs(examples, rows, gate, round)),
            Relevance::Classes { queries, .. } => {
                parts.extend(of_records(examples, gate, round));
                parts.extend(of_classes(examples, queries, gate, round));
            }
        }
    }
    parts
}

/// Parts into which so many classes are cut; `None` where a part would hold one alone.
pub(crate) fn class_folds(classes: usize) -> Option<usize> {
    (classes >= LEAST_CLASSES).then_some((classes / 2).min(CLASS_FOLDS))
}

/// Records of a field: a fifth is held out at a time, near-duplicates together.
fn of_records(examples: &Examples, gate: &Gate<'_>, round: u64) -> Vec<Part> {
    let own: HashSet<u32> = own_rows(examples, gate.queries).into_iter().collect();
    let others = (0..examples.record_count() as u32).filter(|row| !own.contains(row)).take(MOST_OTHERS);
    let others: Vec<u32> = others.collect();
    let by_group = folds(gate.queries, gate.groups, FOLDS, gate.seed, FOLD_STREAM + 4 * round);
    let part = |number: usize| {
        let in_fold = |keep: bool| {
            let of = gate.queries.iter().zip(&by_group).filter(move |(_, fold)| (**fold == number) == keep);
            of.map(|(query, _)| *query).collect::<Vec<u32>>()
        };
        let (held, trained) = (in_fold(true), in_fold(false));
        let mut unseen = own_rows(examples, &held);
        unseen.extend(&others);
        unseen.sort_unstable();
        let new = Test { kind: Kind::New, held: with_peers(examples, &held), pool: unseen };
        let seen = own_rows(examples, &trained);
        let has_answer = |query: &u32| seen.iter().any(|row| examples.relevance.holds(*query, *row));
        let known = held.iter().copied().filter(has_answer).collect();
        Part { trained, tests: vec![new, Test { kind: Kind::Known, held: known, pool: seen }] }
    };
    (0..FOLDS).map(part).collect()
}

/// Whole classes: a third of them is held out at a time (half, where they are few). A record of several classes takes
/// part where all of them are on one side.
fn of_classes(examples: &Examples, of: &[Vec<u32>], gate: &Gate<'_>, round: u64) -> Vec<Part> {
    let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
    let classes_of = |query: &u32| of.get(*query as usize).map_or(&[][..], Vec::as_slice);
    gate.queries.iter().flat_map(classes_of).for_each(|class| *sizes.entry(*class).or_default() += 1);
    let classes: Vec<u32> = sizes.iter().filter(|(_, size)| **size > 1).map(|(class, _)| *class).collect();
    let Some(count) = class_folds(classes.len()) else { return Vec::new() };
    // Each class once for every record of it, so that parts hold about as many records.
    let places: Vec<u32> = classes
        .iter()
        .enumerate()
        .flat_map(|(at, class)| std::iter::repeat_n(at as u32, sizes.get(class).map_or(0, |size| *size as usize)))
        .collect();
    let names: Vec<u32> = (0..classes.len() as u32).collect();
    let cut = folds(&places, &names, count, gate.seed, FOLD_STREAM + 4 * round + 2);
    let fold_of: BTreeMap<u32, usize> =
        places.iter().zip(cut).filter_map(|(at, fold)| Some((*classes.get(*at as usize)?, fold))).collect();
    let part = |number: usize| {
        let is_held = |class: &u32| fold_of.get(class) == Some(&number);
        let whole = |query: &u32, held: bool| {
            !classes_of(query).is_empty() && classes_of(query).iter().all(|class| is_held(class) == held)
        };
        let of = |held: bool| gate.queries.iter().copied().filter(|query| whole(query, held)).collect::<Vec<u32>>();
        let (held, trained) = (of(true), of(false));
        let test = Test { kind: Kind::Classes, pool: own_rows(examples, &held), held: with_peers(examples, &held) };
        Part { trained, tests: vec![test] }
    };
    (0..count).map(part).collect()
}

/// Questions with listed answers. Every question is in the new part of one fold, whole groups together; a question that
/// could be known is so in one fold at most.
fn of_pairs(examples: &Examples, rows: &[Vec<u32>], gate: &Gate<'_>, round: u64) -> Vec<Part> {
    let by_group = folds(gate.queries, gate.groups, FOLDS, gate.seed, FOLD_STREAM + 4 * round);
    let by_query = folds(gate.queries, gate.alike, FOLDS, gate.seed, FOLD_STREAM + 4 * round + 1);
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
        // Near-duplicates of a question that is held out are held out with it; what is not known without it is trained
        // on.
        let name = |query: &u32| gate.alike.get(*query as usize).copied();
        let held: HashSet<Option<u32>> = over_known_records(rows, &asked, &rest).iter().map(name).collect();
        let (held, back): (Vec<u32>, Vec<u32>) = asked.into_iter().partition(|query| held.contains(&name(query)));
        let mut trained: Vec<u32> = rest.into_iter().chain(back).collect();
        trained.sort_unstable();
        let known = over_known_records(rows, &held, &trained);
        let all: Vec<u32> = (0..examples.record_count() as u32).collect();
        let seen = seen(examples, rows, &trained);
        let unseen = all.iter().copied().filter(|row| !seen.contains(row)).collect();
        let tests =
            vec![Test { kind: Kind::New, held: new, pool: unseen }, Test { kind: Kind::Known, held: known, pool: all }];
        Part { trained, tests }
    };
    (0..FOLDS).map(fold).collect()
}

/// Records that a fit on `trained` sees: their answers, what was judged wrong, and what they are themselves.
fn seen(examples: &Examples, rows: &[Vec<u32>], trained: &[u32]) -> HashSet<u32> {
    let mut seen: HashSet<u32> = own_rows(examples, trained).into_iter().collect();
    for query in trained {
        seen.extend(rows.get(*query as usize).into_iter().flatten());
        seen.extend(examples.wrong(*query));
    }
    seen
}

/// Those of `held` that have an answer among the answers of `trained`.
fn over_known_records(rows: &[Vec<u32>], held: &[u32], trained: &[u32]) -> Vec<u32> {
    let answers = |query: &u32| rows.get(*query as usize).into_iter().flatten().copied();
    let known: HashSet<u32> = trained.iter().flat_map(answers).collect();
    held.iter().copied().filter(|query| answers(query).any(|row| known.contains(&row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Accept;

    fn gate<'a>(queries: &'a [u32], groups: &'a [u32], alike: &'a [u32]) -> Gate<'a> {
        Gate {
            queries,
            groups,
            alike,
            components: groups,
            classes: groups,
            validated_by: groups,
            method: None,
            averaged: true,
            accept: Accept::NewRecords,
            seed: 1,
            rounds: 2,
            splits: 1,
        }
    }

    fn examples(relevance: Relevance, own: Vec<Option<u32>>, records: usize) -> Examples {
        Examples {
            dimension: 1,
            queries: vec![1.0; own.len()],
            records: vec![1.0; records],
            plain: vec![1.0; records],
            relevance,
            wrong: Vec::new(),
            own,
            record_mean: vec![0.0],
            same: false,
        }
    }

    fn held(parts: &[Part], kind: Kind) -> Vec<&Test> {
        parts.iter().flat_map(|part| &part.tests).filter(|test| test.kind == kind).collect()
    }

    #[test]
    fn new_questions_are_asked_among_records_that_no_fit_saw() {
        // Questions 0 to 59 share their record with two others, 60 to 99 have one each; 0 and 1 are the same thing said
        // twice; records 100 to 119 answer nothing, and 110 was called wrong for question 7.
        let answer = |query: u32| if query < 60 { query / 3 } else { query };
        let queries: Vec<u32> = (0..100).collect();
        let groups: Vec<u32> = queries.iter().map(|query| answer(*query)).collect();
        let alike: Vec<u32> = queries.iter().map(|query| if *query == 1 { 0 } else { *query }).collect();
        let listed = Relevance::Listed(queries.iter().map(|query| vec![answer(*query)]).collect());
        let mut examples = examples(listed, vec![None; 100], 120);
        examples.wrong = queries.iter().map(|query| if *query == 7 { vec![110] } else { Vec::new() }).collect();
        let parts = parts(&examples, &gate(&queries, &groups, &alike));
        assert_eq!(parts.len(), 2 * FOLDS);
        let (first, _) = parts.split_at(FOLDS);
        for part in &parts {
            let [new, known] = part.tests.as_slice() else { panic!("{part:?}") };
            let trained: HashSet<u32> = part.trained.iter().copied().collect();
            let seen: HashSet<u32> = part.trained.iter().map(|query| answer(*query)).collect();
            assert!(new.held.iter().all(|query| !seen.contains(&answer(*query)) && new.pool.contains(&answer(*query))));
            assert!(new.pool.iter().all(|row| !seen.contains(row)), "what was fitted on is nothing new");
            assert_eq!(new.pool.contains(&110), !trained.contains(&7), "nor is what was called wrong");
            assert!(new.pool.contains(&119));
            assert!(known.held.iter().all(|query| seen.contains(&answer(*query)) && !trained.contains(query)));
            assert_eq!(known.pool.len(), 120);
            assert!(
                !(known.held.contains(&0) && trained.contains(&1) || known.held.contains(&1) && trained.contains(&0))
            );
            // What nobody asks about otherwise is not taken away from the fit.
            assert!(queries.iter().all(|query| *query < 60 || trained.contains(query) != new.held.contains(query)));
        }
        let mut asked: Vec<u32> = held(first, Kind::New).into_iter().flat_map(|test| test.held.clone()).collect();
        asked.sort_unstable();
        assert_eq!(asked, queries);
        let mut known: Vec<u32> = held(first, Kind::Known).into_iter().flat_map(|test| test.held.clone()).collect();
        let all = known.len();
        known.sort_unstable();
        known.dedup();
        assert!(all == known.len() && all > 30, "{all}");
    }

    #[test]
    fn records_of_a_field_are_asked_among_those_that_were_held_out_with_them() {
        // Seven classes of twenty; record 139 has a class of its own and is no question.
        let queries: Vec<u32> = (0..139).collect();
        let class = |row: u32| if row == 139 { 7 } else { row % 7 };
        let relevance = Relevance::Classes {
            queries: queries.iter().map(|row| vec![class(*row)]).collect(),
            records: (0..140).map(|row| vec![class(row)]).collect(),
        };
        let examples = examples(relevance, queries.iter().copied().map(Some).collect(), 140);
        let alone: Vec<u32> = queries.clone();
        let parts = parts(&examples, &gate(&queries, &alone, &alone));
        assert_eq!(parts.len(), 2 * (FOLDS + 3));
        for part in &parts {
            let trained: HashSet<u32> = part.trained.iter().copied().collect();
            for test in &part.tests {
                assert!(test.held.iter().all(|query| !trained.contains(query)), "{:?}", test.kind);
                match test.kind {
                    Kind::New => {
                        assert!(
                            test.pool.iter().all(|row| !trained.contains(row)),
                            "what was fitted on is nothing new"
                        );
                        assert!(test.pool.contains(&139) && test.pool.len() >= 139 / FOLDS);
                    }
                    Kind::Known => assert_eq!(test.pool, part.trained),
                    Kind::Classes => {
                        let fitted: HashSet<u32> = part.trained.iter().map(|row| class(*row)).collect();
                        assert!(test.pool.iter().all(|row| !fitted.contains(&class(*row))), "a class is on one side");
                        assert!(test.held.iter().map(|row| class(*row)).collect::<HashSet<_>>().len() >= 2);
                    }
                }
            }
        }
        assert_eq!(
            (class_folds(3), class_folds(4), class_folds(6), class_folds(70)),
            (None, Some(2), Some(3), Some(3))
        );
    }
}
