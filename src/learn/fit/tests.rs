//! Whole fits on made data: they find what is there, repeat to the bit, and survive nonsense.

use super::*;
use crate::linalg::random::Random;
use crate::types::LearnMethod;

/// `n` questions about `n` records in dimension `d`: a question is its record turned by a fixed map, plus noise.
fn turned(n: usize, d: usize, noise: f32, seed: u64) -> Examples {
    let mut random = Random::of_stream(seed, 0);
    let mut normal = || (0..6).map(|_| (random.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).sum::<f32>();
    let records: Vec<f32> = (0..n * d).map(|_| normal()).collect();
    let map: Vec<f32> =
        (0..d * d).map(|at| if at % (d + 1) == 0 { 1.0 } else { 0.0 } + 1.2 * normal() / (d as f32).sqrt()).collect();
    let queries: Vec<f32> = records
        .chunks(d)
        .flat_map(|x| map.chunks(d).map(|row| row.iter().zip(x).map(|(m, x)| m * x).sum::<f32>()).collect::<Vec<_>>())
        .collect();
    let queries = queries.into_iter().map(|x| x + noise * normal()).collect();
    let mean = examples::mean(records.chunks(d), d);
    Examples {
        dimension: d,
        queries,
        plain: examples::centred(&records, &vec![0.0; d]),
        records: examples::centred(&records, &mean),
        relevance: Relevance::Listed((0..n as u32).map(|i| vec![i]).collect()),
        wrong: Vec::new(),
        own: vec![None; n],
        record_mean: mean,
        same: false,
    }
}

fn order<'a>(trained: &'a [u32], groups: &'a [u32], method: Option<LearnMethod>) -> Order<'a> {
    Order { trained, groups, components: groups, method, averaged: true, seed: 3, splits: 1 }
}

/// The form that validates best.
fn best(examples: &Examples, order: Order<'_>, watch: &Watch) -> Fitted {
    fit(examples, order, watch).unwrap().swap_remove(0)
}

fn held_out(examples: &Examples, fitted: &Fitted, held: &[u32]) -> (f64, f64) {
    let pool: Vec<u32> = (0..examples.record_count() as u32).collect();
    let queries = examples.centred_queries(&examples.query_mean(&fitted.trained));
    let mean = |figures: Vec<Answered>| figures.iter().map(|one| one.figure).sum::<f64>() / figures.len() as f64;
    let plain = examples::centred(&examples.queries, &vec![0.0; examples.dimension]);
    (
        mean(figures(examples, &plain, held, &pool, None)),
        mean(figures(examples, &queries, held, &pool, Some(&fitted.matrices))),
    )
}

#[test]
fn every_method_finds_a_map_that_is_there() {
    let examples = turned(400, 16, 0.3, 1);
    let all: Vec<u32> = (0..400).collect();
    for method in [Some(LearnMethod::InfoNce), Some(LearnMethod::Ridge), None] {
        let fitted = best(&examples, order(&all[..300], &all, method), &Watch::default());
        let (plain, learned) = held_out(&examples, &fitted, &all[300..]);
        assert!(learned > plain + 0.1, "{method:?}: {plain} {learned}");
        let (before, after) = fitted.validation.unwrap();
        assert!(after > before && fitted.matrices.is_finite() && fitted.setting > 0.0);
        assert_eq!(fitted.trained, &all[..300]);
    }
}

#[test]
fn what_is_trained_is_averaged_with_the_closed_form_where_the_method_is_open() {
    let examples = turned(400, 16, 0.6, 1);
    let all: Vec<u32> = (0..400).collect();
    let open = best(&examples, order(&all, &all, None), &Watch::default());
    assert_eq!(open.method, LearnMethod::InfoNce);
    let pull = open.averaged.unwrap();
    let mut trainer = infonce::Trainer::new(&examples, &all, &all, 3, select::TRAINER_STREAM - 1).unwrap();
    for _ in 0..open.setting as usize {
        trainer.epoch();
    }
    let closed = ridge::Ridge::new(&examples, trainer.queries(), &all).solve(pull).unwrap();
    let weight = select::weight(400);
    assert!((weight - 0.8).abs() < 1e-6 && select::weight(100) == 1.0);
    let mean =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a + weight * b) / (1.0 + weight)).collect::<Vec<f32>>();
    assert_eq!(open.matrices.query, mean(&trainer.matrices.query, &closed.query));
    assert_eq!(open.matrices.record, mean(&trainer.matrices.record, &closed.record));
    // Asked for by name it is what it is called, and where all records are known training stands alone.
    let trained = best(&examples, order(&all, &all, Some(LearnMethod::InfoNce)), &Watch::default());
    let known = Order { averaged: false, ..order(&all, &all, None) };
    let known = best(&examples, known, &Watch::default());
    assert_eq!((trained.averaged, known.averaged), (None, None));
}

#[test]
fn a_fit_repeats_to_the_bit_for_any_number_of_threads() {
    let examples = turned(150, 12, 0.5, 2);
    let all: Vec<u32> = (0..150).collect();
    let run = |threads: usize, splits: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let order = Order { splits, ..order(&all, &all, None) };
        pool.install(|| best(&examples, order, &Watch::default()))
    };
    for splits in [1, 5] {
        let one = run(1, splits);
        let bits = |m: &Matrices| m.query.iter().chain(&m.record).map(|x| x.to_bits()).collect::<Vec<_>>();
        for threads in [2, 7] {
            let other = run(threads, splits);
            assert!(bits(&one.matrices) == bits(&other.matrices), "{threads} threads");
            assert_eq!((one.method, one.setting, one.validation), (other.method, other.setting, other.validation));
        }
    }
}

#[test]
fn labels_that_say_nothing_do_not_help_what_was_held_back() {
    let mut examples = turned(200, 16, 0.3, 4);
    let mut rows: Vec<Vec<u32>> = (0..200).map(|i| vec![i]).collect();
    Random::of_stream(9, 0).shuffle(&mut rows);
    examples.relevance = Relevance::Listed(rows);
    let all: Vec<u32> = (0..200).collect();
    let fitted = best(&examples, order(&all, &all, Some(LearnMethod::InfoNce)), &Watch::default());
    assert!(fitted.matrices.is_finite());
    let (before, after) = fitted.validation.unwrap();
    assert!((after - before).abs() < 0.1, "what was held back did not gain: {before} {after}");
}

#[test]
fn nonsense_gives_finite_matrices() {
    let two = turned(2, 4, 0.1, 5);
    let one = Examples { relevance: Relevance::Listed(vec![vec![0], vec![]]), ..two.clone() };
    let none = Examples { relevance: Relevance::Listed(vec![vec![], vec![]]), ..two.clone() };
    let mut equal = turned(60, 4, 0.1, 6);
    equal.queries.iter_mut().for_each(|x| *x = 0.5);
    let mut zero = turned(60, 4, 0.1, 7);
    zero.records.fill(0.0);
    let itself = Examples { own: (0..60).map(Some).collect(), ..turned(60, 4, 0.1, 8) };
    for (idx, examples) in [two, one, none, equal, zero, itself].into_iter().enumerate() {
        let all: Vec<u32> = (0..examples.query_count() as u32).collect();
        for method in [Some(LearnMethod::InfoNce), Some(LearnMethod::Ridge), None] {
            for splits in [1, 4] {
                let order = Order { splits, ..order(&all, &all, method) };
                let fitted = best(&examples, order, &Watch::default());
                assert!(fitted.matrices.is_finite(), "case {idx} {method:?}");
            }
        }
    }
}

#[test]
fn what_is_stopped_keeps_the_best_so_far() {
    use crate::types::control::{CancelToken, Control};
    let examples = turned(300, 16, 0.3, 1);
    let all: Vec<u32> = (0..300).collect();
    let token = CancelToken::new();
    let stop = token.clone();
    let watch =
        Watch::new(Control::new().cancelled_by(token), None).heard_by(Some(std::sync::Arc::new(move |progress| {
            if matches!(progress, LearnProgress::Epoch { epoch: 3, .. }) {
                stop.cancel();
            }
        })));
    let fitted = best(&examples, order(&all, &all, Some(LearnMethod::InfoNce)), &watch);
    assert!(fitted.interrupted && fitted.setting > 0.0 && fitted.setting <= 3.0);
    assert!(fitted.trained.len() < 300, "the mean belongs to the questions of the split that was kept");
    assert_ne!(fitted.matrices, Matrices::identity(16));
}
