//! What a value means to a question: how it stands among those of stored questions and random records under the same
//! lens.
//!
//! Owns which questions those are: the sample of the lens, else a sample of the collection, else the questions of its
//! labels, wherever at least [`LEAST`] of them have a vector in the lens's views. A text or a vector lies elsewhere
//! than records do, and its first hit may score below most pairs of records; held against other questions it has its
//! place. Nothing of it is stored: it is computed when it is first needed, and kept while questions, records and lens
//! stay the same.

use super::values::{LensRecords, key_of, readied};
use crate::error::{Error, Result};
use crate::exec::settle::embed::embed_texts;
use crate::exec::settle::plan::Plan;
use crate::lens::{Percentiles, ProcessedQuery, RowSource};
use crate::linalg::random::Random;
use crate::query::ast::Operand;
use crate::store::{LabelledQuery, Snapshot, ViewSnapshot};
use crate::types::control::Control;
use crate::types::{RowSet, SampleDef};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Questions that take part, at most; records that they are held against; pairs of the two that are drawn.
const QUESTIONS: usize = 1_000;
const RECORDS: usize = 2_048;
const PAIRS: usize = 100_000;
/// Questions below which they say too little of others.
const LEAST: usize = 20;

/// Stored questions with their vectors in each view that a search looks at.
#[derive(Debug)]
struct Questions {
    /// Where they are from, in words: `sample asked`.
    words: String,
    /// What tells them from any others.
    identity: String,
    /// By name of the view, the vectors in the order of the questions.
    vectors: BTreeMap<String, Vec<Vec<f32>>>,
}

/// What values are held against.
#[derive(Debug)]
pub(super) struct AskedTable {
    pub(super) table: Percentiles,
    /// Whose questions, in words.
    pub(super) words: Arc<str>,
}

/// The table for the question of `plan`; `None` where a record asks, and where no questions are stored that its lenses
/// take.
///
/// # Errors
/// Rows that cannot be read, and a set cancellation token.
pub(super) fn table(plan: &Plan, control: &Control) -> Result<Option<Arc<AskedTable>>> {
    let terms = &plan.find.source.node.terms;
    if terms.is_empty() || terms.iter().any(|term| matches!(term.operand.node, Operand::Id(_))) {
        return Ok(None);
    }
    let Some(lenses) = readied(plan, control)? else { return Ok(None) };
    let Some(questions) = questions(plan, &lenses)? else { return Ok(None) };
    let key = format!("asked {} {}", questions.identity, key_of(plan, &lenses)).into_bytes();
    if let Some(kept) = plan.snapshot.cache().get(&key) {
        return Ok(Some(kept));
    }
    let values = pairs(&lenses, &questions, control)?;
    let is_distance = matches!(lenses.as_slice(), [lens] if lens.lens.def.metric.is_distance());
    let Some(table) = Percentiles::new(values, is_distance) else { return Ok(None) };
    let made = Arc::new(AskedTable { table, words: questions.words.as_str().into() });
    plan.snapshot.cache().insert(&key, Arc::clone(&made), size_of::<f64>() * 1100);
    Ok(Some(made))
}

/// The questions that are stored for the collection, the lens's own first.
fn questions(plan: &Plan, lenses: &[LensRecords<'_>]) -> Result<Option<Arc<Questions>>> {
    let snapshot = &plan.snapshot;
    let own: Vec<&str> =
        lenses.iter().flat_map(|lens| &lens.lens.steps.samples).map(|sample| sample.name.as_str()).collect();
    let views: Vec<&ViewSnapshot> = lenses.iter().map(|lens| lens.view).collect();
    let names: Vec<String> = views.iter().map(|view| format!("{} {:?}", view.def().id, view.def().dimension)).collect();
    let key = format!("questions at {} {own:?} {names:?} of {}", snapshot.commit(), plan.collection.def().id);
    if let Some(known) = snapshot.cache().get::<Option<Arc<Questions>>>(key.as_bytes()) {
        return Ok((*known).clone());
    }
    let found = find(snapshot, plan, &own, &views)?.map(Arc::new);
    let numbers = found.iter().flat_map(|found| found.vectors.values().flatten()).map(Vec::len).sum::<usize>();
    snapshot.cache().insert(key.as_bytes(), Arc::new(found.clone()), 512 + size_of::<f32>() * numbers);
    Ok(found)
}

fn find(snapshot: &Snapshot, plan: &Plan, own: &[&str], views: &[&ViewSnapshot]) -> Result<Option<Questions>> {
    let collection = plan.collection.def();
    let mut samples = snapshot.samples()?;
    samples.retain(|sample| sample.collection == collection.id || own.contains(&sample.name.as_str()));
    // What a lens takes from a sample is taken from these very questions.
    samples.sort_by_key(|sample| !own.contains(&sample.name.as_str()));
    for sample in &samples {
        let asked = |view: &ViewSnapshot, places: &[usize]| of_sample(sample, view, places);
        let (words, identity) =
            (format!("sample {}", sample.name), format!("sample {} {}", sample.commit, sample.name));
        if let Some(found) = gathered(words, identity, sample.ids.len(), views, asked)? {
            return Ok(Some(found));
        }
    }
    for respect in snapshot.respects(&collection.name)?.into_iter().filter(|respect| respect.field.is_none()) {
        let labels = snapshot.labels(&collection.name, &respect.name)?;
        let asking: Vec<&LabelledQuery> = labels.queries.iter().filter(|query| query.query.record.is_none()).collect();
        let asked = |view: &ViewSnapshot, places: &[usize]| of_labels(&asking, view, places);
        let words = format!("the labels of {:?}", respect.name);
        let identity = format!("respect {} {} {}", respect.id, respect.revision, respect.commit);
        if let Some(found) = gathered(words, identity, asking.len(), views, asked)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Questions among `count` that have a vector in every view, drawn where they are many; `None` of too few. `asked`
/// gives the vectors of those at some places.
fn gathered(
    words: String,
    identity: String,
    count: usize,
    views: &[&ViewSnapshot],
    asked: impl Fn(&ViewSnapshot, &[usize]) -> Result<Vec<Option<Vec<f32>>>>,
) -> Result<Option<Questions>> {
    let by_name: BTreeMap<&str, &ViewSnapshot> = views.iter().map(|view| (view.def().name.as_str(), *view)).collect();
    let drawn = drawn(count, |places| {
        let mut rows: Vec<Option<Vec<Vec<f32>>>> = vec![Some(Vec::new()); places.len()];
        for view in by_name.values() {
            let mut found = asked(view, places)?.into_iter();
            for row in &mut rows {
                let found = found.next().flatten();
                *row = row.take().zip(found).map(|(mut row, found)| {
                    row.push(found);
                    row
                });
            }
        }
        Ok(rows)
    })?;
    if drawn.len() < LEAST {
        return Ok(None);
    }
    let mut vectors: BTreeMap<String, Vec<Vec<f32>>> = BTreeMap::new();
    for row in drawn {
        for (view, vector) in by_name.keys().zip(row) {
            vectors.entry(view.to_string()).or_default().push(vector);
        }
    }
    Ok(Some(Questions { words, identity, vectors }))
}

/// [`QUESTIONS`] of `count` that `fetch` has something of, drawn without replacement; fewer where there are no more. It
/// is asked for no more than are wanted, unless it lacks some of them: to have it may take embedding a text.
fn drawn<T>(count: usize, mut fetch: impl FnMut(&[usize]) -> Result<Vec<Option<T>>>) -> Result<Vec<T>> {
    if count < LEAST {
        return Ok(Vec::new());
    }
    let mut places: Vec<usize> = (0..count).collect();
    Random::new(0xa5ed).draw(&mut places, count);
    let mut drawn = Vec::new();
    for places in places.chunks(QUESTIONS) {
        drawn.extend(fetch(places)?.into_iter().flatten());
        if drawn.len() >= QUESTIONS {
            break;
        }
    }
    drawn.truncate(QUESTIONS);
    Ok(drawn)
}

fn of_sample(sample: &SampleDef, view: &ViewSnapshot, places: &[usize]) -> Result<Vec<Option<Vec<f32>>>> {
    let dimension = view.dimension();
    let came = sample.vectors.as_ref().filter(|came| came.view == view.def().name);
    if let Some(came) = came.filter(|came| came.dimension as usize == dimension) {
        let row = |at: &usize| came.data.get(at * dimension..(at + 1) * dimension).map(<[f32]>::to_vec);
        return Ok(places.iter().map(row).collect());
    }
    embedded(&places.iter().map(|at| sample.texts.get(*at).map(String::as_str)).collect::<Vec<_>>(), view)
}

fn of_labels(asking: &[&LabelledQuery], view: &ViewSnapshot, places: &[usize]) -> Result<Vec<Option<Vec<f32>>>> {
    let asking: Vec<&LabelledQuery> = places.iter().filter_map(|at| asking.get(*at).copied()).collect();
    let texts: Vec<Option<&str>> = asking.iter().map(|query| query.query.text.as_deref()).collect();
    let mut rows = embedded(&texts, view)?;
    for (row, query) in rows.iter_mut().zip(asking) {
        let came = query.query.vector.as_ref().filter(|came| came.view == view.def().name);
        if let Some(came) = came.filter(|came| came.data.len() == view.dimension()) {
            *row = Some(came.data.clone());
        }
    }
    Ok(rows)
}

/// Texts as the view embeds its questions; `None` for what it cannot embed.
fn embedded(texts: &[Option<&str>], view: &ViewSnapshot) -> Result<Vec<Option<Vec<f32>>>> {
    let mut rows = vec![None; texts.len()];
    let Some(embedder) = view.embedder()? else { return Ok(rows) };
    let has_text = |at: &usize| texts.get(*at).copied().flatten().is_some_and(|text| !text.trim().is_empty());
    let places: Vec<usize> = (0..texts.len()).filter(has_text).collect();
    let texts: Vec<String> =
        places.iter().filter_map(|at| texts.get(*at).copied().flatten()).map(str::to_string).collect();
    if texts.is_empty() {
        return Ok(rows);
    }
    for (at, vector) in places.into_iter().zip(embed_texts(view, &*embedder, &texts)?) {
        if let Some(row) = rows.get_mut(at) {
            // Nothing is similar to nothing.
            *row = vector.filter(|vector| vector.iter().any(|x| *x != 0.0));
        }
    }
    Ok(rows)
}

/// What questions find random records with, as a search shows it: all pairs of few, [`PAIRS`] of many.
fn pairs(lenses: &[LensRecords<'_>], questions: &Questions, control: &Control) -> Result<Vec<f64>> {
    let own = lenses.iter().map(|lens| lens.prepared.directed());
    let directed = own.fold(None, |all: Option<RowSet>, own| Some(all.map_or_else(|| own.clone(), |all| all.and(own))));
    let mut rows: Vec<u32> = directed.unwrap_or_default().iter().collect();
    Random::new(0x5eed).draw(&mut rows, RECORDS);
    rows.sort_unstable();
    let count = questions.vectors.values().map(Vec::len).min().unwrap_or(0);
    if rows.is_empty() || count == 0 {
        return Ok(Vec::new());
    }
    let each = PAIRS.div_ceil(count).max(1);
    let mut values: Vec<Vec<f64>> = (0..count).map(|_| Vec::new()).collect();
    for lens in lenses {
        let records = lens.prepared.exact_records(lens.view, &rows)?;
        let Some(asked) = questions.vectors.get(&lens.view.def().name) else { return Ok(Vec::new()) };
        values.par_iter_mut().zip(asked).enumerate().try_for_each(|(at, (values, vector))| {
            control.checkpoint()?;
            let wide: Vec<f64> = vector.iter().map(|&x| f64::from(x)).collect();
            let query: Option<ProcessedQuery> = lens.prepared.process(&wide).ok();
            let mut random = Random::new(0xa5ed_0000 + at as u64);
            let all = records.len() <= each;
            let wanted = if all { records.len() } else { each };
            values.resize(wanted, 0.0);
            for (place, value) in values.iter_mut().enumerate() {
                let record = records.get(if all { place } else { random.below(records.len()) });
                // What has no direction as a question finds nothing.
                let found = query.as_ref().zip(record).map(|(query, record)| lens.prepared.exact_score(query, record));
                *value += lens.weight * found.unwrap_or(f64::NAN);
            }
            Ok::<_, Error>(())
        })?;
    }
    Ok(values.into_iter().flatten().filter(|value| !value.is_nan()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_questions_are_asked_for_than_are_wanted() {
        let mut asked = 0;
        let all = drawn(10_000, |places| {
            asked += places.len();
            Ok(places.iter().copied().map(Some).collect())
        });
        let mut all = all.unwrap();
        assert_eq!((all.len(), asked), (QUESTIONS, QUESTIONS));
        all.sort_unstable();
        all.dedup();
        assert!(all.len() == QUESTIONS && all[0] < 100 && all[QUESTIONS - 1] > 9_900, "from everywhere, each once");
        // Where many have nothing to give, others are asked.
        let odd = |at: &usize| at.is_multiple_of(8).then_some(*at);
        let fetch = |places: &[usize]| Ok(places.iter().map(odd).collect());
        assert_eq!(drawn(16_000, fetch).unwrap().len(), QUESTIONS);
        assert_eq!(drawn(4_000, fetch).unwrap().len(), 500);
        assert!(drawn(LEAST - 1, |places| Ok(places.iter().copied().map(Some).collect())).unwrap().is_empty());
    }
}
