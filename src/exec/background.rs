//! What a value means: how it stands among those of random pairs of records under the same lens.
//!
//! Owns the sample. Pairs `(i, j)`, `i` not `j`, are drawn from a fixed seed among the records that have a direction (all
//! ordered pairs of a collection that has no more of them), `i` as the query; so the figure is the same each time, and it
//! is kept for as long as the commit is looked at. A percentile is not a probability.

use super::blend::Ready;
use super::why::Background;
use crate::error::Result;
use crate::lens::program::Traveller;
use crate::linalg::rows::RowRef;
use crate::types::control::Control;
use rayon::prelude::*;
use std::fmt::Write;

/// Pairs drawn; fewer say too little about the far end.
const PAIRS: u64 = 100_000;
/// What a share is rounded down to: nothing finer can be told from so many pairs.
const STEPS: f64 = 1000.0;

/// Where `value` stands; `None` for fewer than two records with a direction, and for lenses with `csls`.
///
/// # Errors
/// Rows that cannot be read, and a set cancellation token.
pub(crate) fn of(ready: &Ready<'_>, value: f64, control: &Control) -> Result<Option<Background>> {
    let Some(first) = ready.lenses().first() else { return Ok(None) };
    if ready.lenses().iter().any(|lens| lens.plan.lens.def.csls.is_some()) {
        return Ok(None);
    }
    let plan = first.plan;
    let mut key = format!("background {} {:?}", plan.snapshot.commit(), plan.collection.def().id);
    for lens in ready.lenses() {
        // Writing to a string cannot fail.
        let _ = write!(key, " {} {:?} {:?}", lens.weight, lens.plan.lens.saved_name, lens.plan.lens.def);
    }
    let values = plan.snapshot.cache().get_or_insert_with(key.as_bytes(), || {
        let values = sample(ready, control)?;
        let bytes = values.len() * size_of::<f64>();
        Ok::<_, crate::Error>((values, bytes))
    })?;
    if values.is_empty() {
        return Ok(None);
    }
    let distance = ready.lenses().len() == 1 && plan.lens.def.metric.is_distance();
    let below = if distance {
        values.len() - values.partition_point(|other| *other <= value)
    } else {
        values.partition_point(|other| *other < value)
    };
    let above = (below as f64 / values.len() as f64 * STEPS).floor() / STEPS;
    Ok(Some(Background { pairs: values.len() as u64, above }))
}

/// The values of random pairs, ascending.
fn sample(ready: &Ready<'_>, control: &Control) -> Result<Vec<f64>> {
    let mut directed = None;
    for lens in ready.lenses() {
        let own = lens.prepared.directed();
        directed = Some(directed.map_or_else(|| own.clone(), |rows: crate::types::RowSet| rows.and(own)));
    }
    let rows: Vec<u32> = directed.unwrap_or_default().iter().collect();
    let pairs = pairs(&rows);
    let values: Vec<Option<f64>> = pairs
        .par_chunks(512)
        .map(|pairs| {
            control.checkpoint()?;
            let mut traveller = Traveller::default();
            pairs.iter().map(|pair| pair_value(ready, *pair, &mut traveller)).collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?
        .concat();
    let mut values: Vec<f64> = values.into_iter().flatten().collect();
    values.sort_by(f64::total_cmp);
    Ok(values)
}

/// What record `i` as a query finds record `j` with; `None` where it has no direction as a query.
fn pair_value(ready: &Ready<'_>, (i, j): (u32, u32), traveller: &mut Traveller) -> Result<Option<f64>> {
    let mut sum = None;
    let single = ready.lenses().len() == 1;
    for lens in ready.lenses() {
        let (Some(query), Some(record)) = (lens.view.vector(i)?, lens.view.vector(j)?) else { return Ok(None) };
        let query: Vec<f64> = query.into_iter().map(f64::from).collect();
        let Ok(query) = lens.prepared.process(&query) else { return Ok(None) };
        let score = lens.prepared.exact(&query, RowRef::F32(&record), traveller);
        let term = if single { score } else { lens.weight * score };
        sum = Some(sum.unwrap_or(0.0) + term);
    }
    Ok(sum)
}

/// Ordered pairs of different rows: all of them where they are few, else drawn with replacement.
fn pairs(rows: &[u32]) -> Vec<(u32, u32)> {
    let n = rows.len() as u64;
    if n * n.saturating_sub(1) <= PAIRS {
        let of = |&i: &u32| rows.iter().filter(move |&&j| j != i).map(move |&j| (i, j));
        return rows.iter().flat_map(of).collect();
    }
    let mut random = Random(0x5eed);
    let draw = |_| {
        let i = random.below(n);
        // One of the others: those from `i` on move up by one.
        let j = random.below(n - 1);
        let j = if j >= i { j + 1 } else { j };
        (rows[i as usize], rows[j as usize])
    };
    (0..PAIRS).map(draw).collect()
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The bias of the high product is below 2^-32 for so few rows.
        ((u128::from(z ^ (z >> 31)) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_of_different_rows_and_the_same_each_time() {
        assert_eq!(pairs(&[4, 9]), [(4, 9), (9, 4)]);
        assert!(pairs(&[4]).is_empty() && pairs(&[]).is_empty());
        let rows: Vec<u32> = (0..1000).map(|row| row * 3).collect();
        let drawn = pairs(&rows);
        assert_eq!((drawn.len() as u64, &drawn), (PAIRS, &pairs(&rows)));
        assert!(drawn.iter().all(|(i, j)| i != j && i % 3 == 0 && j % 3 == 0));
        // Every row is drawn on both sides: 100 times are expected, and none is a thousandth of a chance.
        for row in rows {
            assert!(drawn.iter().any(|pair| pair.0 == row) && drawn.iter().any(|pair| pair.1 == row));
        }
    }
}
