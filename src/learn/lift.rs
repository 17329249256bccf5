//! How much better a lens ranks what was held out, and how far that can be believed.
//!
//! Owns the estimate: the mean difference to plain cosine with its standard error, interval and z. Differences of one group
//! do not count twice, and neither do those of one question that was held out in several rounds. The standard error over
//! groups is widened, because the fits share most of what they were trained on: with `n` rounds of `p` parts the variance of
//! independent tests is multiplied by `1 + p * tested / trained` (Nadeau & Bengio 2003, "Inference for the generalization
//! error", whose `1/J + tested/trained` times the variance of `J` splits this is). Where records are ranked among each other
//! each is asked and ranked, so a question's figure hangs on the others as its own does on it: the variance of such a mean
//! over pairs (Hoeffding 1948) is up to four times that of questions taken alone, and is counted twice. Over splits of
//! facets of debtags the error was 1.7 to 2.8 standard errors of questions taken alone; this gives 2.1. Intervals are
//! Student's: groups are few.

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

/// A question that was held out: which, of what group, how well plain cosine and the lens answer it, and among how many.
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
    /// Whether questions are ranked among each other.
    pub(crate) mutual: bool,
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

/// The lift over `held`.
pub(crate) fn lift(held: &[Held], design: Design) -> Result<Measured, Missing> {
    let mut by_group: BTreeMap<u32, (f64, usize)> = BTreeMap::new();
    let (mut asked, mut moved) = (HashSet::new(), HashSet::new());
    for one in held {
        let difference = one.learned.figure - one.plain.figure;
        asked.insert(one.query);
        if difference != 0.0 {
            moved.insert(one.query);
        }
        let sum = by_group.entry(one.group).or_default();
        *sum = (sum.0 + difference, sum.1 + 1);
    }
    if asked.len() < LEAST_QUERIES {
        return Err(Missing::FewQuestions(asked.len()));
    }
    if by_group.len() < design.least {
        return Err(Missing::FewGroups(by_group.len()));
    }
    let sums: Vec<(f64, usize)> = by_group.into_values().collect();
    let count = held.len() as f64;
    let mean = sums.iter().map(|(sum, _)| sum).sum::<f64>() / count;
    // The standard error of a mean over groups of unequal size.
    let groups = sums.len() as f64;
    let spread: f64 = sums.iter().map(|(sum, size)| (sum - mean * *size as f64).powi(2)).sum();
    let parts = design.parts as f64;
    let shared = (1.0 + parts / (parts - 1.0).max(1.0)) * if design.mutual { 2.0 } else { 1.0 };
    let error = (shared * spread * groups / (groups - 1.0)).sqrt() / count;
    let student = student(sums.len() - 1);
    // Where all groups gained the same there is no error to divide by. Of few groups z is what a normal one would be.
    let z = match (error > 0.0, mean == 0.0) {
        (true, _) => mean / error * NORMAL / student,
        (false, true) => 0.0,
        (false, false) => LARGEST_Z.copysign(mean),
    };
    let z = if moved.len() < LEAST_MOVED { 0.0 } else { z.clamp(-LARGEST_Z, LARGEST_Z) };
    let of = |figure: &dyn Fn(&Held) -> f64| held.iter().map(figure).sum::<f64>() / count;
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Design = Design { parts: 5, least: 10, mutual: false };

    fn held(query: u32, group: u32, plain: f64, learned: f64) -> Held {
        let answered = |figure| Answered { figure, nearest: figure, ten: figure };
        Held { query, group, plain: answered(plain), learned: answered(learned), pool: 50 }
    }

    #[test]
    fn questions_about_the_same_thing_do_not_count_twice() {
        let gain = |q: u32| if (q / 4).is_multiple_of(3) { 0.2 } else { 0.5 };
        let alone: Vec<Held> = (0..120).map(|q| held(q, q, 0.3, gain(q))).collect();
        let fours: Vec<Held> = (0..120).map(|q| held(q, q / 4, 0.3, gain(q))).collect();
        let (apart, together) = (lift(&alone, FIVE).unwrap().lift, lift(&fours, FIVE).unwrap().lift);
        assert!((apart.mean - 0.1).abs() < 1e-12 && (apart.plain - 0.3).abs() < 1e-12);
        assert!((apart.mean - together.mean).abs() < 1e-12);
        assert!((apart.z / together.z - 2.0).abs() < 0.1, "{} {}", apart.z, together.z);
        assert!((together.high - together.low) / (apart.high - apart.low) > 1.9);
        // Held out twice it says as much as once.
        let twice: Vec<Held> = alone.iter().chain(&alone).copied().collect();
        let twice = lift(&twice, FIVE).unwrap().lift;
        assert!((twice.z - apart.z).abs() < 1e-9 && twice.queries == 120);
        // The standard error of independent tests, times 1.5 for fits of five parts that share three quarters.
        let plain_error = (0.3_f64 * 0.3 * (1.0 / 3.0) * (2.0 / 3.0) / 119.0).sqrt();
        let error = (apart.high - apart.low) / 2.0 / student(119);
        assert!((error / plain_error - 1.5).abs() < 0.01, "{error} {plain_error}");
        let mutual = lift(&alone, Design { mutual: true, ..FIVE }).unwrap().lift;
        assert!((apart.z / mutual.z - 2.0_f64.sqrt()).abs() < 1e-9 && mutual.mean == apart.mean);
    }

    #[test]
    fn too_few_questions_and_no_difference_at_all_accept_nothing() {
        let few: Vec<Held> = (0..10).map(|q| held(q, q, 0.5, 0.9)).collect();
        assert_eq!(lift(&few, FIVE), Err(Missing::FewQuestions(10)));
        let one_group: Vec<Held> = (0..40).map(|q| held(q, 0, 0.5, 0.9)).collect();
        assert_eq!(lift(&one_group, FIVE), Err(Missing::FewGroups(1)));
        let lucky: Vec<Held> = (0..40).map(|q| held(q, q, 0.5, if q < 8 { 1.0 } else { 0.5 })).collect();
        let found = lift(&lucky, FIVE).unwrap().lift;
        assert_eq!(found.z, 0.0, "eight of forty moved");
        assert!(found.mean > 0.0);
        let all_worse: Vec<Held> = (0..40).map(|q| held(q, q, 0.5, 0.25)).collect();
        assert_eq!(lift(&all_worse, FIVE).unwrap().lift.z, -LARGEST_Z);
        let equal: Vec<Held> = (0..40).map(|q| held(q, q, 0.5, 0.5)).collect();
        let found = lift(&equal, FIVE).unwrap().lift;
        assert_eq!((found.mean, found.z), (0.0, 0.0));
    }
}
