//! The gate on made classes: what it says of new records and new classes is so on records and classes that no fit saw.

use super::*;
use crate::learn::fit::{Fitted, own_rows, with_peers};
use crate::linalg::random::Random;

const DIMENSION: usize = 20;
const LABELLED: usize = 240;
const RECORDS: usize = 900;

/// Records of `classes` classes that differ in a few weak directions among strong ones that say nothing; the first
/// [`LABELLED`] are questions. `shuffled` gives those classes that are not theirs.
struct World {
    rows: Vec<f32>,
    classes: Vec<u32>,
    shown: Vec<u32>,
}

impl World {
    fn new(seed: u64, classes: u32, shuffled: bool) -> World {
        let mut random = Random::of_stream(seed, 7);
        let mut normal = || (0..6).map(|_| (random.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).sum::<f32>() * 1.4;
        let means: Vec<f32> = (0..classes as usize * 4).map(|_| 0.7 * normal()).collect();
        let of: Vec<u32> = (0..RECORDS as u32).map(|row| (row * 7 + row / 11) % classes).collect();
        let mut rows = Vec::with_capacity(RECORDS * DIMENSION);
        for class in &of {
            for axis in 0..DIMENSION {
                let mean = if axis < 4 { means[*class as usize * 4 + axis] } else { 0.0 };
                rows.push(mean + normal() * if axis < 4 { 0.5 } else { 1.0 });
            }
        }
        let mut shown = of[..LABELLED].to_vec();
        if shuffled {
            Random::of_stream(seed, 8).shuffle(&mut shown);
        }
        World { rows, classes: of, shown }
    }

    /// Examples whose questions are the first records (of the first classes, where only `known` count), ranked over
    /// `pool`.
    fn examples(&self, asked: &[u32], classes: &[u32], pool: &[u32]) -> Examples {
        let pick = |rows: &[u32]| -> Vec<f32> {
            let row = |row: &u32| &self.rows[*row as usize * DIMENSION..(*row as usize + 1) * DIMENSION];
            rows.iter().flat_map(|at| row(at).iter().copied()).collect()
        };
        let mean = crate::learn::fit::examples::mean(self.rows.chunks(DIMENSION), DIMENSION);
        let records = pick(pool);
        let place = |row: &u32| pool.iter().position(|other| other == row).map(|at| at as u32);
        let of: Vec<Vec<u32>> = classes.iter().map(|class| vec![*class]).collect();
        let in_pool = pool.iter().map(|row| {
            let asked = asked.iter().position(|other| other == row);
            asked.map_or(vec![self.classes[*row as usize]], |at| of[at].clone())
        });
        Examples {
            dimension: DIMENSION,
            queries: pick(asked),
            plain: crate::learn::fit::examples::centred(&records, &[0.0; DIMENSION]),
            records: crate::learn::fit::examples::centred(&records, &mean),
            relevance: Relevance::Classes { records: in_pool.collect(), queries: of },
            wrong: Vec::new(),
            own: asked.iter().map(place).collect(),
            record_mean: mean,
            same: true,
        }
    }
}

/// What `learn` does with the labels of some rows: the lens and what the gate says.
fn learned(world: &World, rows: &[u32], classes: &[u32], method: Option<LearnMethod>, seed: u64) -> (Fitted, Lifts) {
    let examples = world.examples(rows, classes, rows);
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    let order = Order { trained: &all, groups: &all, components: &all, method, averaged: true, seed, splits: 1 };
    let mut fitted = fit(&examples, order, &Watch::default()).unwrap();
    let asked = Gate {
        queries: &all,
        groups: &all,
        alike: &all,
        components: &all,
        classes,
        validated_by: &all,
        method,
        averaged: true,
        accept: Accept::NewRecords,
        seed,
        rounds: 1,
        splits: 1,
    };
    let forms: Vec<Form> = fitted.iter().map(|fitted| fitted.form).collect();
    let lifts = gate(&examples, &forms, asked, &Watch::default()).unwrap();
    let at = fitted.iter().position(|fitted| !lifts.refused.contains(&fitted.form)).unwrap();
    (fitted.swap_remove(at), lifts)
}

/// The mean gain of each figure over draws of `pool` of `from`, ranked among each other.
fn truth(world: &World, fitted: &Fitted, from: &[u32], pool: usize) -> (f64, f64) {
    let draws = if pool < from.len() { 30 } else { 1 };
    let mut random = Random::of_stream(1, 9);
    let (mut map, mut ten, mut count) = (0.0, 0.0, 0.0);
    for _ in 0..draws {
        let mut rows = from.to_vec();
        random.shuffle(&mut rows);
        rows.truncate(pool);
        rows.sort_unstable();
        let classes: Vec<u32> = rows.iter().map(|row| world.classes[*row as usize]).collect();
        let examples = world.examples(&rows, &classes, &rows);
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let (held, pool) = (with_peers(&examples, &all), own_rows(&examples, &all));
        let plain = crate::learn::fit::examples::centred(&examples.queries, &[0.0; DIMENSION]);
        let queries = examples.centred_queries(&examples.record_mean);
        let before = figures(&examples, &plain, &held, &pool, None);
        let after = figures(&examples, &queries, &held, &pool, Some(&fitted.matrices));
        for (before, after) in before.iter().zip(&after) {
            map += after.figure - before.figure;
            ten += after.ten - before.ten;
            count += 1.0;
        }
    }
    (map / count, ten / count)
}

/// Training takes longer: it has one turn, in which the method is open.
fn method(seed: u64) -> Option<LearnMethod> {
    (seed > 0).then_some(LearnMethod::Lda)
}

fn accepted(lifts: &Lifts) -> bool {
    lifts.new_records.is_some_and(|found| found.is_ok_and(|found| found.lift.z > ACCEPTED_Z && found.nearest >= 0.0))
}

#[test]
fn what_is_said_of_new_records_holds_on_records_that_no_fit_saw() {
    let (mut held, mut taken, mut errors) = (0, 0, 0.0);
    let rows: Vec<u32> = (0..LABELLED as u32).collect();
    let unseen: Vec<u32> = (LABELLED as u32..RECORDS as u32).collect();
    for seed in 0..4 {
        let world = World::new(seed, 24, false);
        let (fitted, lifts) = learned(&world, &rows, &world.shown, method(seed), seed);
        let found = lifts.new_records.unwrap().unwrap();
        assert_eq!((found.pool, found.lift.queries > 200), (LABELLED as u64 / FOLDS as u64, true));
        let (map, _) = truth(&world, &fitted, &unseen, found.pool as usize);
        let (_, whole) = truth(&world, &fitted, &unseen, unseen.len());
        assert!(map > 0.05 && whole > 0.0, "{map} {whole}");
        held += u32::from(found.lift.low <= map && map <= found.lift.high);
        taken += u32::from(accepted(&lifts));
        errors += found.lift.mean - map;
        // Asked about labelled records it is another figure, among other records.
        let known = lifts.known_records.unwrap().unwrap();
        assert_eq!(known.pool, (LABELLED - LABELLED / FOLDS) as u64);
    }
    assert!(held >= 3 && taken >= 3, "{held} intervals of 4 hold the truth, {taken} lenses are accepted");
    assert!((errors / 4.0).abs() < 0.03, "mean error {}", errors / 4.0);
}

#[test]
fn classes_that_say_nothing_are_not_believed() {
    let rows: Vec<u32> = (0..LABELLED as u32).collect();
    let believed = (1..4).filter(|&seed| {
        let world = World::new(seed, 24, true);
        accepted(&learned(&world, &rows, &world.shown, method(seed), seed).1)
    });
    assert!(believed.count() == 0);
}

#[test]
fn what_is_said_of_new_classes_holds_on_classes_that_no_fit_saw() {
    let mut held = 0;
    for seed in 1..4 {
        // Half of the classes are labelled, and half of those are left out at a time.
        let world = World::new(seed, 24, false);
        let known: Vec<u32> =
            (0..RECORDS as u32).filter(|row| world.classes[*row as usize] < 12).take(LABELLED).collect();
        let new: Vec<u32> = (0..RECORDS as u32).filter(|row| world.classes[*row as usize] >= 20).collect();
        let classes: Vec<u32> = known.iter().map(|row| world.classes[*row as usize]).collect();
        let (fitted, lifts) = learned(&world, &known, &classes, method(seed), seed);
        let found = lifts.new_classes.unwrap().unwrap();
        let (map, _) = truth(&world, &fitted, &new, found.pool as usize);
        held += u32::from(found.lift.low <= map && map <= found.lift.high);
    }
    assert!(held >= 2, "{held} intervals of 3 hold the truth");
}

#[test]
fn a_form_that_loses_on_new_classes_is_left_while_another_does_not() {
    let held = |query: u32, gain: f64| Held {
        query,
        group: query,
        plain: Answered { figure: 0.5, nearest: 0.5, ten: 0.5 },
        learned: Answered { figure: 0.5 + gain, nearest: 0.5, ten: 0.5 },
        pool: 40,
    };
    let classes: Vec<u32> = (0..80).map(|query| query % 8).collect();
    let all: Vec<u32> = (0..80).collect();
    let world = World::new(1, 8, false);
    let examples = world.examples(&all, &classes, &all);
    let asked = Gate {
        queries: &all,
        groups: &all,
        alike: &all,
        components: &all,
        classes: &classes,
        validated_by: &all,
        method: None,
        averaged: true,
        accept: Accept::NewRecords,
        seed: 1,
        rounds: 1,
        splits: 1,
    };
    let forms = [(Form::Lda, LearnMethod::Lda), (Form::Halved, LearnMethod::InfoNce)];
    let of = |kind, lda: f64, halved: f64| {
        let gains = |gain: f64| Answers {
            held: all.iter().map(|query| held(*query, gain + f64::from(query % 5) / 50.0)).collect(),
            pulled: Vec::new(),
        };
        Tested { forms: forms.to_vec(), answers: vec![(kind, vec![gains(lda), gains(halved)])] }
    };
    let settled = |lda: f64, halved: f64| {
        let mut lifts = Lifts::default();
        let found = [of(Kind::New, 0.2, 0.1), of(Kind::Classes, lda, halved)];
        settle(&examples, &[Form::Lda, Form::Halved], &asked, &found, &mut lifts);
        lifts
    };
    // The preferred form gains more on new records: that is not what counts.
    let lifts = settled(-0.2, -0.02);
    assert_eq!(lifts.refused, [Form::Lda]);
    assert!((lifts.new_records.unwrap().unwrap().lift.mean - 0.14).abs() < 1e-9);
    assert!(lifts.new_classes.unwrap().unwrap().lift.mean > 0.0);
    // Where both lose the better one on new records stays, and what it loses is said.
    let lifts = settled(-0.2, -0.3);
    assert_eq!(lifts.refused, []);
    assert!((lifts.new_records.unwrap().unwrap().lift.mean - 0.24).abs() < 1e-9);
    assert!(lifts.new_classes.unwrap().unwrap().lift.z < -ACCEPTED_Z);
}
