//! `compare`: one source through several lenses, side by side.
//!
//! Owns the two numbers that say how far two rankings agree. Each column is the answer that its lens gives alone, bit
//! for bit; nothing here scores anything.

use crate::error::{Error, Result};
use crate::exec::reply::{Agreement, Answer, Comparison};
use crate::exec::run::search::run_one;
use crate::exec::settle::lens::lens_named;
use crate::exec::settle::names::Site;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::DEFAULT_TOP;
use crate::exec::settle::search::resolve;
use crate::query::ast::{Find, LensBase, LensExpr, Name, Statement};
use crate::query::{print, print_step};
use crate::store::Snapshot;
use crate::types::control::Control;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

/// Most lenses of one comparison.
const MOST_LENSES: usize = 8;

/// Runs `find`, which names no lens, through each of `lenses`.
///
/// # Errors
/// A query error for a lens that is not there and for a search that has a lens of its own; as any search for the rest.
pub(crate) fn compare(
    snapshot: &Snapshot,
    lenses: &[Name],
    find: &Find,
    text: &str,
    params: &Params,
    control: &Control,
) -> Result<Comparison> {
    let begun = Instant::now();
    let site = Site::new(text);
    if let Some((what, span)) = own_lens(&find.lens) {
        let message =
            format!("`{what}` in a comparison: the lenses stand before the `:`, and each has stages of its own");
        let error = site.error("resolve::compare_lens", message, &span);
        return Err(error.hint("save the stages with `let`, and compare that lens").into());
    }
    if let Some(name) = lenses.get(MOST_LENSES) {
        let message = format!("`compare` takes at most {MOST_LENSES} lenses");
        return Err(site.error("resolve::limit", message, &name.span).into());
    }
    if lenses.len() < 2 {
        return Err(Error::invalid("a comparison takes at least two lenses"));
    }
    // All of them are settled before the first one runs.
    let mut plans = Vec::with_capacity(lenses.len());
    for name in lenses {
        let mut find = find.clone();
        find.lens.base = lens_named(snapshot, name, &site)?;
        plans.push(resolve(snapshot, &find, text)?);
    }
    let mut columns = Vec::with_capacity(lenses.len());
    for (plan, name) in plans.iter().zip(lenses) {
        let mut answer = run_one(plan, params, control)?.answer;
        answer.header.name.get_or_insert_with(|| name.node.clone());
        columns.push(answer);
    }
    let mut filled = find.clone();
    filled.output.top.get_or_insert(DEFAULT_TOP.into());
    Ok(Comparison {
        statement: print(&Statement::Compare { lenses: lenses.to_vec(), find: filled }),
        lenses: lenses.iter().map(|name| name.node.clone()).collect(),
        agreements: agreements(&columns),
        columns,
        elapsed: begun.elapsed(),
    })
}

/// The first piece of a lens that is written, with its place.
fn own_lens(lens: &LensExpr) -> Option<(String, Range<usize>)> {
    match &lens.base {
        LensBase::Default => {}
        LensBase::View(name) => return Some((format!("view {}", name.node), name.span.clone())),
        LensBase::Using(name) => return Some((format!("using {}", name.node), name.span.clone())),
        LensBase::Blend(parts) => {
            return Some(("blend".to_string(), parts.first().map_or(0..0, |(_, name)| name.span.clone())));
        }
    }
    if let Some(step) = lens.steps.first() {
        return Some((print_step(&step.node), step.span.clone()));
    }
    lens.metric.as_ref().map(|metric| (format!("score {}", metric.node.as_str()), metric.span.clone()))
}

fn agreements(columns: &[Answer]) -> Vec<Agreement> {
    let mut all = Vec::new();
    for (second, b) in columns.iter().enumerate() {
        for (first, a) in columns.iter().enumerate().take(second) {
            let ids = |answer: &Answer| answer.hits().iter().map(|hit| hit.id().to_string()).collect::<Vec<_>>();
            let (a, b) = (ids(a), ids(b));
            let places = shared_places(&a, &b);
            let longer = a.len().max(b.len());
            all.push(Agreement {
                first,
                second,
                shared: places.len() as u64,
                overlap: (longer > 0).then(|| places.len() as f64 / longer as f64),
                rank_correlation: rank_correlation(&places),
            });
        }
    }
    all.sort_by_key(|agreement| (agreement.first, agreement.second));
    all
}

/// Of the ids that both list, the place in `b`, in the order of `a`.
fn shared_places(a: &[String], b: &[String]) -> Vec<usize> {
    let places: HashMap<&str, usize> = b.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    a.iter().filter_map(|id| places.get(id.as_str()).copied()).collect()
}

/// Kendall's tau of `places` (distinct) against their order here.
fn rank_correlation(places: &[usize]) -> Option<f64> {
    if places.len() < 2 {
        return None;
    }
    let n = places.len() as f64;
    let discordant = inversions(&mut places.to_vec());
    Some(1.0 - 4.0 * discordant as f64 / (n * (n - 1.0)))
}

/// Pairs that stand in descending order; sorts `places` on the way (Knight 1966).
fn inversions(places: &mut [usize]) -> u64 {
    if places.len() < 2 {
        return 0;
    }
    let (left, right) = places.split_at_mut(places.len() / 2);
    let mut count = inversions(left) + inversions(right);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(&&a), Some(&&b)) = (left.peek(), right.peek()) {
        if b < a {
            count += left.len() as u64;
            merged.extend(right.next());
        } else {
            merged.extend(left.next());
        }
    }
    merged.extend(left.chain(right));
    places.copy_from_slice(&merged);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    fn tau(a: &str, b: &str) -> Option<f64> {
        rank_correlation(&shared_places(&ids(a), &ids(b)))
    }

    #[test]
    fn rank_correlation_is_kendalls() {
        assert_eq!(tau("abcde", "abcde"), Some(1.0));
        assert_eq!(tau("abcde", "edcba"), Some(-1.0));
        // scipy.stats.kendalltau([1, 2, 3, 4, 5], [3, 1, 2, 5, 4]).statistic == 0.4
        assert!((tau("abcde", "bcaed").unwrap() - 0.4).abs() < 1e-15);
        // Only what both list counts, by its order.
        assert_eq!(tau("axbyc", "cvbwa"), Some(-1.0));
        assert_eq!(tau("abc", "czz"), None);
        assert_eq!(tau("", "abc"), None);
    }

    #[test]
    fn inversions_are_counted_as_two_loops_count_them() {
        let mut state = 9_u64;
        for length in 0..60 {
            let mut places: Vec<usize> = (0..length).collect();
            for i in (1..length).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                places.swap(i, (state >> 33) as usize % (i + 1));
            }
            let naive = (0..length).flat_map(|i| (i + 1..length).map(move |j| (i, j)));
            let naive = naive.filter(|&(i, j)| places[i] > places[j]).count() as u64;
            assert_eq!(inversions(&mut places.clone()), naive);
        }
    }
}
