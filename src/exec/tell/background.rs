//! What a value means: how it stands among those of random pairs of records under the same lens.
//!
//! Owns the sample. Pairs `(i, j)`, `i` not `j`, are drawn from a fixed seed among the records that have a direction
//! (all ordered pairs of a collection that has no more of them), `i` as the query, whatever a search's condition keeps.
//! Of a large collection the pairs are among [`ROWS`] records drawn first, so that what it costs does not grow with it.
//! Under `csls` the record's correction is taken off as from any score. Tables are kept under all they depend on: the
//! view's revision, the chain, and whose statistics; of saved lenses writers store them. A percentile is not a
//! probability. Where a text or a vector asks and the store has questions, `questions` says what values are held
//! against instead.

use super::questions::{self, AskedTable};
use super::values::{LensRecords, key_of, readied};
use crate::error::{Error, Result};
use crate::exec::reply::{Answer, Background, BackgroundHeader};
use crate::exec::run::rows::view_of;
use crate::exec::settle::plan::{Plan, PlannedLens};
use crate::lens::program::Traveller;
use crate::lens::{Percentiles, Prepared, ProcessedQuery, Rough, RoughPass, RowReader, Side};
use crate::linalg::random::Random;
use crate::linalg::rows::RowRef;
use crate::linalg::simd;
use crate::types::control::Control;
use crate::types::{CommitNumber, RowSet};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Pairs drawn; fewer say too little about the far end.
const PAIRS: u64 = 100_000;

/// Records that they are drawn among, at most: with more of them a share of the pairs is no better known.
const ROWS: usize = 16_384;

/// Rows of a tile: as queries and as records they stay in the second-level cache.
const TILE_ROWS: usize = 128;

/// Rows below which there are two tiles.
const FEW_ROWS: usize = 2048;

/// Tiles that one task goes through.
const RUN: usize = 8;

/// Gives every hit of the answers to `plan` its percentile.
///
/// # Errors
/// Rows that cannot be read, and a set cancellation token.
pub(crate) fn attach<'a>(plan: &Plan, answers: impl Iterator<Item = &'a mut Answer>, control: &Control) -> Result<()> {
    let begun = Instant::now();
    let mut answers: Vec<&mut Answer> = answers.filter(|answer| !answer.hits.is_empty()).collect();
    if answers.is_empty() {
        return Ok(());
    }
    let Some((table, questions)) = plan.snapshot.install(|| table_of(plan, control))? else { return Ok(()) };
    let elapsed = begun.elapsed() / u32::try_from(answers.len()).unwrap_or(u32::MAX).max(1);
    for answer in &mut answers {
        answer.background = Some(BackgroundHeader { pairs: table.count(), questions: questions.clone(), elapsed });
        for hit in &mut answer.hits {
            hit.percentile = Some(table.percentile(hit.raw));
        }
    }
    Ok(())
}

/// Where `value` stands under the lens of `plan`; `None` for fewer than two records with a direction.
///
/// # Errors
/// As [`attach`].
pub(crate) fn of(plan: &Plan, value: f64, control: &Control) -> Result<Option<Background>> {
    let place = |(table, questions): (Yardstick, Option<Arc<str>>)| Background {
        pairs: table.count(),
        questions,
        percentile: table.percentile(value),
    };
    Ok(table_of(plan, control)?.map(place))
}

/// What values are held against.
enum Yardstick {
    Records(Arc<Percentiles>),
    Questions(Arc<AskedTable>),
}

impl std::ops::Deref for Yardstick {
    type Target = Percentiles;

    fn deref(&self) -> &Percentiles {
        match self {
            Yardstick::Records(table) => table,
            Yardstick::Questions(asked) => &asked.table,
        }
    }
}

/// The table that the plan's question is held against, and whose questions it is of: pairs with stored questions where
/// a text or a vector asks and there are some, else pairs of records.
fn table_of(plan: &Plan, control: &Control) -> Result<Option<(Yardstick, Option<Arc<str>>)>> {
    if let Some(asked) = questions::table(plan, control)? {
        let words = Arc::clone(&asked.words);
        return Ok(Some((Yardstick::Questions(asked), Some(words))));
    }
    Ok(table(plan, control)?.map(|table| (Yardstick::Records(table), None)))
}

/// The table of the plan's lens: kept, stored, or computed now. `None` where texts are compared, where a view has no
/// vectors, and for fewer than two records with a direction.
pub(crate) fn table(plan: &Plan, control: &Control) -> Result<Option<Arc<Percentiles>>> {
    let Some(lenses) = readied(plan, control)? else { return Ok(None) };
    let key = format!("background {}", key_of(plan, &lenses));
    if let Some(kept) = plan.snapshot.cache().get(key.as_bytes()) {
        return Ok(Some(kept));
    }
    let table = match stored(plan)? {
        Some(stored) => Some(stored),
        None => sample(&lenses, control)?,
    };
    let Some(table) = table.map(Arc::new) else { return Ok(None) };
    plan.snapshot.cache().insert(key.as_bytes(), Arc::clone(&table), size_of::<f64>() * 1024);
    Ok(Some(table))
}

/// The oldest statistic that a lens pins, as [`BackgroundDef`](crate::types::BackgroundDef) has it.
pub(crate) fn statistics_of(lens: &PlannedLens) -> CommitNumber {
    let pinned = lens.pinning.iter().flat_map(|pinning| &pinning.statistics).map(|place| place.commit);
    pinned.min().unwrap_or(CommitNumber(0))
}

/// What a writer stored of the saved lens that `plan` searches with, where it is still true.
fn stored(plan: &Plan) -> Result<Option<Percentiles>> {
    let own = plan.own_lens().and_then(|lens| Some((lens, lens.saved_name.as_ref()?)));
    let Some((lens, name)) = own else { return Ok(None) };
    let Some(saved) = plan.snapshot.lens(name)?.filter(|saved| saved.lens == lens.def) else { return Ok(None) };
    let Some(def) = plan.snapshot.background(name, plan.collection.def().id)? else { return Ok(None) };
    let now = (saved.version, view_of(plan, lens)?.def().revision, statistics_of(lens));
    if (def.lens_version, def.revision, def.statistics) != now {
        return Ok(None);
    }
    Ok(Percentiles::from_quantiles(&def.quantiles, lens.def.metric.is_distance(), def.pairs))
}

/// The table of random pairs.
fn sample(lenses: &[LensRecords<'_>], control: &Control) -> Result<Option<Percentiles>> {
    let own = lenses.iter().map(|lens| lens.prepared.directed());
    let directed = own.fold(None, |all: Option<RowSet>, own| Some(all.map_or_else(|| own.clone(), |all| all.and(own))));
    let rows: Vec<u32> = directed.unwrap_or_default().iter().collect();
    let n = rows.len() as u64;
    let values = if n * n.saturating_sub(1) <= PAIRS {
        all_pairs(lenses, &rows, control)?
    } else {
        random_pairs(lenses, rows, control)?
    };
    let is_distance = matches!(lenses, [lens] if lens.lens.def.metric.is_distance());
    Ok(Percentiles::new(values, is_distance))
}

/// The values of all ordered pairs of different rows, as searches show them.
fn all_pairs(lenses: &[LensRecords<'_>], rows: &[u32], control: &Control) -> Result<Vec<f64>> {
    let n = rows.len();
    let mut values = vec![0.0; n * n];
    for lens in lenses {
        let records = lens.prepared.exact_records(lens.view, rows)?;
        let reader = RowReader::new(lens.view);
        values.par_chunks_mut(n.max(1)).zip(rows).try_for_each(|(values, &row)| {
            control.checkpoint()?;
            let query = as_query(&lens.prepared, &reader, row)?;
            for (value, record) in values.iter_mut().zip(&records) {
                // What has no direction as a query finds nothing.
                let score = query.as_ref().map_or(f64::NAN, |query| lens.prepared.exact_score(query, record));
                *value += lens.weight * score;
            }
            Ok::<_, Error>(())
        })?;
    }
    let others = values.into_iter().enumerate().filter(|(at, _)| at % (n + 1) != 0);
    Ok(others.map(|(_, value)| value).filter(|value| !value.is_nan()).collect())
}

fn as_query(prepared: &Prepared, reader: &RowReader<'_>, row: u32) -> Result<Option<ProcessedQuery>> {
    let mut vector = Vec::new();
    reader.row(row)?.widen_f64(&mut vector);
    Ok(prepared.process(&vector).ok())
}

/// Rows in random order, cut into tiles: each tile asks the next one. So a task reads few rows, each of them several
/// times, while any two rows are as likely a pair as any other two.
struct Drawn {
    rows: Vec<u32>,
    tiles: usize,
}

impl Drawn {
    fn new(mut rows: Vec<u32>) -> Self {
        Random::new(0x5eed).draw(&mut rows, ROWS);
        // A tile asks no other than the next: of few rows, large tiles leave more different pairs to draw.
        let tiles = if rows.len() < FEW_ROWS { 2 } else { rows.len() / TILE_ROWS };
        Drawn { tiles, rows }
    }

    fn places(&self, tile: usize) -> Range<usize> {
        let n = self.rows.len();
        tile * n / self.tiles..(tile + 1) * n / self.tiles
    }

    /// The rows of a tile, the one after the last being the first again.
    fn tile(&self, tile: usize) -> &[u32] {
        self.rows.get(self.places(tile % self.tiles)).unwrap_or_default()
    }

    /// Pairs of a tile with the next: places in the one, and in the other.
    fn pairs(&self, tile: usize) -> Vec<(u32, u32)> {
        let (places, n) = (self.places(tile), self.rows.len() as u64);
        // Each row asks as often as any other, but for rounding.
        let count = |place: usize| PAIRS * place as u64 / n;
        let (asking, asked) = (places.len(), self.tile(tile + 1).len());
        let mut random = Random::new(0x5eed_0000 + tile as u64);
        let wanted = count(places.end) - count(places.start);
        (0..wanted).map(|_| (random.below(asking) as u32, random.below(asked) as u32)).collect()
    }
}

/// The values of [`PAIRS`] random pairs of `rows`, up to the rounding of single precision.
fn random_pairs(lenses: &[LensRecords<'_>], rows: Vec<u32>, control: &Control) -> Result<Vec<f64>> {
    let drawn = Drawn::new(rows);
    let runs: Vec<Range<usize>> = (0..drawn.tiles).step_by(RUN).map(|tile| tile..drawn.tiles.min(tile + RUN)).collect();
    let values: Vec<Vec<f64>> = runs
        .into_par_iter()
        .map(|run| {
            control.checkpoint()?;
            let pairs: Vec<Vec<(u32, u32)>> = run.clone().map(|tile| drawn.pairs(tile)).collect();
            let mut values: Vec<Vec<f64>> = pairs.iter().map(|pairs| vec![0.0; pairs.len()]).collect();
            for lens in lenses {
                add_scores(lens, &drawn, run.clone(), &pairs, &mut values)?;
            }
            finished(lenses, &drawn, run, &pairs, values)
        })
        .collect::<Result<_>>()?;
    Ok(values.concat())
}

/// Adds what the tiles of `run` find in the next ones with `pairs`; not a number where one of a pair has no direction.
fn add_scores(
    lens: &LensRecords<'_>,
    drawn: &Drawn,
    run: Range<usize>,
    pairs: &[Vec<(u32, u32)>],
    values: &mut [Vec<f64>],
) -> Result<()> {
    let prepared = &lens.prepared;
    let is_distance = prepared.chain().metric().is_distance();
    let records_pass = RoughPass::new(prepared, lens.view, Side::Record);
    let queries_pass = prepared.sides_differ().then(|| RoughPass::new(prepared, lens.view, Side::Query));
    let (mut queries, mut records) = (Rough::default(), Rough::default());
    let mut widened = (Vec::new(), Vec::new());
    for (step, tile) in run.enumerate() {
        let asked = drawn.tile(tile + 1);
        match &queries_pass {
            Some(pass) => pass.process(drawn.tile(tile), &mut queries)?,
            // What was asked last asks now.
            None if step > 0 => std::mem::swap(&mut queries, &mut records),
            None => records_pass.process(drawn.tile(tile), &mut queries)?,
        }
        records_pass.process(asked, &mut records)?;
        let corrections: Vec<f64> = asked.iter().map(|&row| prepared.rough_correction(row)).collect();
        let (Some(pairs), Some(values)) = (pairs.get(step), values.get_mut(step)) else { continue };
        for (value, &(i, j)) in values.iter_mut().zip(pairs) {
            let (i, j) = (i as usize, j as usize);
            let (query, record) = (queries.row(i), records.row(j));
            let score = if !is_distance {
                f64::from(simd::dot_row(query, RowRef::F32(record)))
            } else {
                rough_distance(query, record, &mut widened)
            };
            let directed = queries.directed.get(i) == Some(&true) && records.directed.get(j) == Some(&true);
            let correction = corrections.get(j).copied().unwrap_or(0.0);
            *value += if directed { lens.weight * (score - correction) } else { f64::NAN };
        }
    }
    Ok(())
}

fn rough_distance(query: &[f32], record: &[f32], (a, b): &mut (Vec<f64>, Vec<f64>)) -> f64 {
    a.clear();
    b.clear();
    a.extend(query.iter().map(|&x| f64::from(x)));
    b.extend(record.iter().map(|&x| f64::from(x)));
    simd::squared_distance_f64(a, b).sqrt()
}

/// The values that mean something. What single precision could not say is computed as a search computes it.
fn finished(
    lenses: &[LensRecords<'_>],
    drawn: &Drawn,
    run: Range<usize>,
    pairs: &[Vec<(u32, u32)>],
    values: Vec<Vec<f64>>,
) -> Result<Vec<f64>> {
    let mut kept = Vec::new();
    for ((tile, pairs), values) in run.zip(pairs).zip(values) {
        for (value, &(i, j)) in values.into_iter().zip(pairs) {
            let row = |tile, place: u32| drawn.tile(tile).get(place as usize).copied().unwrap_or_default();
            let value = match value.is_finite() {
                true => Some(value),
                false => exact_pair(lenses, (row(tile, i), row(tile + 1, j)))?,
            };
            kept.extend(value.filter(|value| !value.is_nan()));
        }
    }
    Ok(kept)
}

/// What record `i` as a query finds record `j` with; `None` where it has no direction as a query.
fn exact_pair(lenses: &[LensRecords<'_>], (i, j): (u32, u32)) -> Result<Option<f64>> {
    let mut sum = 0.0;
    let mut traveller = Traveller::default();
    for lens in lenses {
        let reader = RowReader::new(lens.view);
        let Some(query) = as_query(&lens.prepared, &reader, i)? else { return Ok(None) };
        let score = lens.prepared.exact(&query, reader.row(j)?, &mut traveller);
        sum += lens.weight * score;
    }
    Ok(Some(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(drawn: &Drawn) -> Vec<(u32, u32)> {
        let of = |tile: usize| {
            let row = move |tile, place: u32| drawn.tile(tile)[place as usize];
            drawn.pairs(tile).into_iter().map(move |(i, j)| (row(tile, i), row(tile + 1, j)))
        };
        (0..drawn.tiles).flat_map(of).collect()
    }

    #[test]
    fn pairs_are_of_different_rows_and_the_same_each_time() {
        for n in [317, 1000, 5000] {
            let rows: Vec<u32> = (0..n).map(|row| row * 3).collect();
            let drawn = all(&Drawn::new(rows.clone()));
            assert_eq!((drawn.len() as u64, &drawn), (PAIRS, &all(&Drawn::new(rows.clone()))));
            assert!(drawn.iter().all(|(i, j)| i != j && i % 3 == 0 && j % 3 == 0));
            // Every row asks and is asked: 20 times are expected, and none is a chance of one in 10^8.
            let asking: std::collections::HashSet<u32> = drawn.iter().map(|pair| pair.0).collect();
            let asked: std::collections::HashSet<u32> = drawn.iter().map(|pair| pair.1).collect();
            assert!(asking.len() == rows.len() && asked.len() == rows.len());
        }
    }

    #[test]
    fn of_many_rows_some_are_drawn_first_from_all_over() {
        let drawn = Drawn::new((0..200_000).collect());
        let rows: std::collections::HashSet<u32> = drawn.rows.iter().copied().collect();
        assert_eq!(rows.len(), ROWS);
        let low = drawn.rows.iter().filter(|row| **row < 100_000).count();
        assert!((ROWS / 2 - 400..ROWS / 2 + 400).contains(&low), "{low}");
        assert_eq!(all(&drawn).len() as u64, PAIRS);
    }
}
