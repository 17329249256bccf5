//! How much better a lens ranks what was held out, and how far that can be believed.
//!
//! Owns the estimate: the mean difference to plain cosine with its standard error, interval and z. What is drawn is
//! groups (near-duplicates, what labels connect, classes): a group's part in the error is how the mean changes where it
//! is left out (the infinitesimal jackknife), by the differences of its own questions, which do not count twice,
//! neither for one group nor for one question that was held out in several rounds, and, where questions are ranked
//! among each other, by what its records do to the others'. That is widened because the fits share most of what they
//! were trained on: with `n` rounds of `p` parts the variance of independent tests is multiplied by `1 + p * tested /
//! trained` (Nadeau & Bengio 2003, "Inference for the generalization error", whose `1/J + tested/trained` times the
//! variance of `J` splits this is). The mean is over the fits of all parts and the lens is one more fit: by how much
//! parts differ beyond what their questions explain is added. Intervals are Student's, of the degrees of freedom of
//! both (Welch 1947, Satterthwaite 1946): groups and parts are few.

use super::bootstrap::student;
use super::fit::Answered;
use crate::types::Lift;
use std::collections::{BTreeMap, HashSet};

/// What z must exceed: a mistake of 5 % on one side.
pub(crate) const ACCEPTED_Z: f64 = 1.64;
/// Fewer held-out questions say nothing.
pub(crate) const LEAST_QUERIES: usize = 20;
/// Nor do they of fewer groups.
pub(crate) const LEAST_GROUPS: usize = LEAST_QUERIES / 2;
/// Fewer held-out classes say nothing.
pub(crate) const LEAST_CLASSES: usize = 4;
/// Where fewer questions moved than this, z is a matter of luck.
pub(crate) const LEAST_MOVED: usize = 10;
/// Beyond this z says nothing more.
const LARGEST_Z: f64 = 99.0;
/// 97.5th percentile of the normal distribution.
const NORMAL: f64 = 1.959_963_984_540_054;

/// A question that was held out: which, of what group, how well plain cosine and the lens answer it, and among how
/// many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    pub(crate) query: u32,
    pub(crate) group: u32,
    pub(crate) plain: Answered,
    pub(crate) learned: Answered,
    pub(crate) pool: usize,
}

/// How a lift is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design {
    /// Parts of which one is held out at a time.
    pub(crate) parts: usize,
    /// Groups needed.
    pub(crate) least: usize,
}

/// What a record of a pool does to the differences of all questions that are ranked over it: their sum with it less
/// that without it, and how many have no answer without it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pulled {
    pub(crate) group: u32,
    pub(crate) sum: f64,
    pub(crate) asked: f64,
}

/// Held-out questions of one part with the records they were ranked among, as far as those are drawn as the questions
/// are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Answers {
    pub(crate) held: Vec<Held>,
    pub(crate) pulled: Vec<Pulled>,
}

/// Why there is no lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// So many questions could be held out: too few.
    FewQuestions(usize),
    /// They are of so many groups: too few.
    FewGroups(usize),
}

/// A lift with what it was measured among.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    pub(crate) lift: Lift,
    /// Mean difference of the nearest answer's place.
    pub(crate) nearest: f64,
    /// Of classes: the share of the first ten, plain and learned.
    pub(crate) ten: (f64, f64),
    /// Records ranked among, on average.
    pub(crate) pool: u64,
}

/// The lift over the questions that were held out, part by part.
pub(crate) fn lift(parts: &[&Answers], design: Design) -> Result<Measured, Missing> {
    let held = || parts.iter().flat_map(|part| &part.held);
    let asked: HashSet<u32> = held().map(|one| one.query).collect();
    let moved: HashSet<u32> = held().filter(|one| one.difference() != 0.0).map(|one| one.query).collect();
    let groups: HashSet<u32> = held().map(|one| one.group).collect();
    if asked.len() < LEAST_QUERIES {
        return Err(Missing::FewQuestions(asked.len()));
    }
    if groups.len() < design.least {
        return Err(Missing::FewGroups(groups.len()));
    }
    let count = held().count() as f64;
    let of = |figure: &dyn Fn(&Held) -> f64| held().map(figure).sum::<f64>() / count;
    let mean = of(&Held::difference);
    let (error, student) = error(parts, mean, groups.len(), design);
    // Where all groups gained the same there is no error to divide by. Of few groups z is what a normal one would be.
    let z = match (error > 0.0, mean == 0.0) {
        (true, _) => mean / error * NORMAL / student,
        (false, true) => 0.0,
        (false, false) => LARGEST_Z.copysign(mean),
    };
    let z = if moved.len() < LEAST_MOVED { 0.0 } else { z.clamp(-LARGEST_Z, LARGEST_Z) };
    Ok(Measured {
        lift: Lift {
            mean,
            low: mean - student * error,
            high: mean + student * error,
            z,
            plain: of(&|one| one.plain.figure),
            queries: asked.len() as u64,
        },
        nearest: of(&|one| one.learned.nearest - one.plain.nearest),
        ten: (of(&|one| one.plain.ten), of(&|one| one.learned.ten)),
        pool: of(&|one| one.pool as f64).round() as u64,
    })
}

impl Held {
    /// What the lens gains.
    fn difference(&self) -> f64 {
        self.learned.figure - self.plain.figure
    }
}

/// The standard error of a mean over all parts, and Student's percentile that goes with it.
fn error(parts: &[&Answers], mean: f64, groups: usize, design: Design) -> (f64, f64) {
    let folds = design.parts as f64;
    let questions = (1.0 + folds / (folds - 1.0).max(1.0)) * variance(parts, mean);
    let (fits, count) = between(parts);
    let fits = fits * (1.0 + 1.0 / count);
    let both = questions + fits;
    let degrees = questions * questions / (groups as f64 - 1.0) + fits * fits / (count - 1.0).max(1.0);
    // Rounding must not cost a degree.
    let degrees = if degrees > 0.0 { both * both / degrees + 1e-6 } else { 1.0 };
    (both.sqrt(), student(degrees as usize))
}

/// The variance of the mean over all questions of `parts`, by groups of unequal size.
fn variance(parts: &[&Answers], mean: f64) -> f64 {
    let mut by_group: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for part in parts {
        let own = part.held.iter().map(|one| (one.group, one.difference(), 1.0));
        for (group, sum, asked) in own.chain(part.pulled.iter().map(|one| (one.group, one.sum, one.asked))) {
            let sums = by_group.entry(group).or_default();
            *sums = (sums.0 + sum, sums.1 + asked);
        }
    }
    let groups = by_group.len() as f64;
    let count: usize = parts.iter().map(|part| part.held.len()).sum();
    let spread: f64 = by_group.values().map(|(sum, size)| (sum - mean * size).powi(2)).sum();
    spread * groups / (groups - 1.0).max(1.0) / (count as f64 * count as f64).max(1.0)
}

/// By how much the means of parts vary beyond what their questions explain, and how many parts there are.
fn between(parts: &[&Answers]) -> (f64, f64) {
    let of_part = |part: &&&Answers| {
        let mean = part.held.iter().map(Held::difference).sum::<f64>() / part.held.len() as f64;
        let groups: HashSet<u32> = part.held.iter().map(|one| one.group).collect();
        // The spread of one group is not known.
        (groups.len() > 1).then(|| (mean, variance(&[part], mean)))
    };
    let found: Vec<(f64, f64)> = parts.iter().filter_map(|part| of_part(&part)).collect();
    let count = found.len() as f64;
    if found.len() < 2 {
        return (0.0, count.max(1.0));
    }
    let mean = found.iter().map(|(mean, _)| mean).sum::<f64>() / count;
    let apart = found.iter().map(|(of, _)| (of - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let within = found.iter().map(|(_, variance)| variance).sum::<f64>() / count;
    ((apart - within).max(0.0), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Design = Design { parts: 5, least: 10 };

    fn of(held: &[Held]) -> Answers {
        Answers { held: held.to_vec(), pulled: Vec::new() }
    }

    fn held(query: u32, group: u32, plain: f64, learned: f64) -> Held {
        let answered = |figure| Answered { figure, nearest: figure, ten: figure };
        Held { query, group, plain: answered(plain), learned: answered(learned), pool: 50 }
    }

    #[test]
    fn questions_about_the_same_thing_do_not_count_twice() {
        let gain = |q: u32| if (q / 4).is_multiple_of(3) { 0.2 } else { 0.5 };
        let alone: Vec<Held> = (0..120).map(|q| held(q, q, 0.3, gain(q))).collect();
        let fours: Vec<Held> = (0..120).map(|q| held(q, q / 4, 0.3, gain(q))).collect();
        let (apart, together) = (lift(&[&of(&alone)], FIVE).unwrap().lift, lift(&[&of(&fours)], FIVE).unwrap().lift);
        assert!((apart.mean - 0.1).abs() < 1e-12 && (apart.plain - 0.3).abs() < 1e-12);
        assert!((apart.mean - together.mean).abs() < 1e-12);
        assert!((apart.z / together.z - 2.0).abs() < 0.1, "{} {}", apart.z, together.z);
        assert!((together.high - together.low) / (apart.high - apart.low) > 1.9);
        // Held out twice it says as much as once.
        let twice: Vec<Held> = alone.iter().chain(&alone).copied().collect();
        let twice = lift(&[&of(&twice)], FIVE).unwrap().lift;
        assert!((twice.z - apart.z).abs() < 1e-9 && twice.queries == 120);
        // The standard error of independent tests, times 1.5 for fits of five parts that share three quarters.
        let plain_error = (0.3_f64 * 0.3 * (1.0 / 3.0) * (2.0 / 3.0) / 119.0).sqrt();
        let error = (apart.high - apart.low) / 2.0 / student(119);
        assert!((error / plain_error - 1.5).abs() < 0.01, "{error} {plain_error}");
        // Where each question's records move the others as much as its own figure does, the error is twice as large;
        // where they only take its place, there is none.
        let with = |times: f64| {
            let pulled = |one: &Held| {
                let sum = times * (one.learned.figure - one.plain.figure);
                Pulled { group: one.group, sum, asked: times }
            };
            let answers = Answers { held: alone.clone(), pulled: alone.iter().map(pulled).collect() };
            lift(&[&answers], FIVE).unwrap().lift
        };
        assert!((apart.z / with(1.0).z - 2.0).abs() < 1e-9 && with(1.0).mean == apart.mean);
        assert!((with(-1.0).high - apart.mean).abs() < 1e-9);
    }

    #[test]
    fn too_few_questions_and_no_difference_at_all_accept_nothing() {
        let few: Vec<Held> = (0..10).map(|q| held(q, q, 0.5, 0.9)).collect();
        assert_eq!(lift(&[&of(&few)], FIVE), Err(Missing::FewQuestions(10)));
        let one_group: Vec<Held> = (0..40).map(|q| held(q, 0, 0.5, 0.9)).collect();
        assert_eq!(lift(&[&of(&one_group)], FIVE), Err(Missing::FewGroups(1)));
        let lucky: Vec<Held> = (0..40).map(|q| held(q, q, 0.5, if q < 8 { 1.0 } else { 0.5 })).collect();
        let found = lift(&[&of(&lucky)], FIVE).unwrap().lift;
        assert_eq!(found.z, 0.0, "eight of forty moved");
        assert!(found.mean > 0.0);
        let all_worse: Vec<Held> = (0..40).map(|q| held(q, q, 0.5, 0.25)).collect();
        assert_eq!(lift(&[&of(&all_worse)], FIVE).unwrap().lift.z, -LARGEST_Z);
        let equal: Vec<Held> = (0..40).map(|q| held(q, q, 0.5, 0.5)).collect();
        let found = lift(&[&of(&equal)], FIVE).unwrap().lift;
        assert_eq!((found.mean, found.z), (0.0, 0.0));
    }

    #[test]
    fn fits_that_differ_widen_the_interval() {
        // Five fits that gain alike, and five of which two gain nothing; the questions of each part say the same.
        let part = |number: u32, gain: f64| {
            let gains =
                (0..40).map(|q| held(40 * number + q, 40 * number + q, 0.3, 0.3 + gain + f64::from(q % 4) / 50.0));
            of(&gains.collect::<Vec<_>>())
        };
        let lift_of = |gains: [f64; 5]| {
            let parts: Vec<Answers> = gains.into_iter().zip(0..).map(|(gain, number)| part(number, gain)).collect();
            lift(&parts.iter().collect::<Vec<_>>(), FIVE).unwrap().lift
        };
        let (alike, apart) = (lift_of([0.03; 5]), lift_of([0.05, 0.05, 0.05, 0.0, 0.0]));
        assert!((alike.mean - apart.mean).abs() < 1e-12);
        assert!(alike.z > 10.0 && apart.z < 1.64, "{alike:?} {apart:?}");
        // A sixth fit could be any of them.
        assert!(apart.low < 0.0 && apart.high > 0.08, "{apart:?}");
    }
}
