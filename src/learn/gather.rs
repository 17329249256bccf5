//! From a label set in a store to examples: whose vector each question has, which records it is ranked over.
//!
//! Owns [`Gathered`]. A question's vector is the one that came along for the view, else that of the record it is, else
//! its text through the view's embedder. Questions stand in the order of their ids and pairs in that of their rows, so
//! the order in which labels were given changes nothing. What cannot take part is counted.

use super::fit::examples::centred;
use super::fit::{Examples, Relevance};
use super::groups::{MOST_COMPARED, Sets, near_duplicates};
use crate::error::{Error, Result};
use crate::exec::embed_texts;
use crate::lens::RowSource;
use crate::linalg::random::Random;
use crate::linalg::stats::VectorSum;
use crate::store::{CollectionSnapshot, LabelledQuery, Labels, ViewSnapshot};
use crate::types::{RowId, RowSet, ViewDef};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;
use xxhash_rust::xxh3::Xxh3;

/// Records that answers are ranked among, at most, beside those that are labelled.
const POOL: usize = 20_000;
/// Questions of classes, at most: every record of a class is one.
const CLASS_QUERIES: usize = 5_000;
const POOL_STREAM: u64 = 1 << 22;
const CLASS_STREAM: u64 = (1 << 22) + 1;

/// Examples with what is known about them.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) examples: Examples,
    /// Ids of the questions, in order.
    pub(crate) ids: Vec<String>,
    /// Their texts, empty where there is none.
    pub(crate) texts: Vec<String>,
    /// Labelled pairs (of classes: records that have one).
    pub(crate) labels: u64,
    /// Different records that answer something.
    pub(crate) records: u64,
    /// Order-free hash of what was labelled.
    pub(crate) label_hash: u64,
    /// What labels connect: by question.
    pub(crate) components: Vec<u32>,
    /// The same with near-duplicates joined: by question.
    pub(crate) groups: Vec<u32>,
    /// Near-duplicates of questions: by question.
    pub(crate) alike: Vec<u32>,
    /// The class of each question, the rarest of several; of listed answers, what labels connect.
    pub(crate) classes: Vec<u32>,
    /// Questions that the view has no vector for, and pairs whose record has none.
    pub(crate) left_out: u64,
    /// Remarks for the report.
    pub(crate) notes: Vec<String>,
}

/// A question on its way in.
struct Question {
    id: String,
    text: String,
    vector: Vec<f32>,
    own: Option<u32>,
    /// Rows of the collection that answer it, or numbers of its classes.
    answers: Vec<u32>,
    /// Rows that were judged and do not answer it.
    wrong: Vec<u32>,
}

/// Gathers `labels` over one view.
///
/// # Errors
/// Vectors that cannot be read or are not finite; labels that leave nothing to learn from.
pub(crate) fn gather(
    collection: &CollectionSnapshot,
    view: &ViewSnapshot,
    labels: &Labels,
    same: bool,
    seed: u64,
) -> Result<Gathered> {
    let dimension = view.dimension();
    let (mut questions, left_out, labelled) = if labels.respect.field.is_some() {
        let (questions, labelled) = of_classes(collection, view, labels, seed)?;
        (questions, 0, Some(labelled))
    } else {
        let (questions, left_out) = of_pairs(view, labels)?;
        (questions, left_out, None)
    };
    questions.sort_by(|a, b| a.id.cmp(&b.id));
    enough(&questions, labels, view, left_out)?;
    let classes = labels.respect.field.is_some();
    let pool = pool(view, &questions, labels, seed);
    let place: HashMap<u32, u32> = pool.iter().enumerate().map(|(at, row)| (*row, at as u32)).collect();
    let mut records = Vec::with_capacity(pool.len() * dimension);
    for &row in &pool {
        records.extend(finite(view.vector(row)?.unwrap_or_default(), || format!("the record at row {row}"))?);
    }
    let record_mean = mean_of(view)?;
    let at = |row: &u32| place.get(row).copied();
    let relevance = if classes {
        let mut of_record: Vec<Vec<u32>> = vec![Vec::new(); pool.len()];
        for (class, found) in labels.classes.iter().enumerate() {
            for at in found.rows.iter().filter_map(|row| at(&row.0)) {
                if let Some(classes) = of_record.get_mut(at as usize) {
                    classes.push(class as u32);
                }
            }
        }
        Relevance::Classes { queries: questions.iter().map(|q| q.answers.clone()).collect(), records: of_record }
    } else {
        let rows = |question: &Question| question.answers.iter().filter_map(at).collect();
        Relevance::Listed(questions.iter().map(rows).collect())
    };
    let examples = Examples {
        dimension,
        queries: questions.iter().flat_map(|question| question.vector.iter().copied()).collect(),
        plain: centred(&records, &vec![0.0; dimension]),
        records: centred(&records, &record_mean),
        relevance,
        wrong: questions.iter().map(|question| question.wrong.iter().filter_map(at).collect()).collect(),
        own: questions.iter().map(|question| question.own.as_ref().and_then(at)).collect(),
        record_mean,
        same,
    };
    Ok(described(examples, questions, left_out, labelled))
}

/// The rest of what is known about the examples; `labelled` are the records that share a class.
fn described(examples: Examples, questions: Vec<Question>, left_out: u64, labelled: Option<u64>) -> Gathered {
    let mut hash = 0_u64;
    let mut answers: Vec<u32> = Vec::new();
    for question in &questions {
        let judged =
            question.answers.iter().map(|row| (row, true)).chain(question.wrong.iter().map(|row| (row, false)));
        for (row, is_answer) in judged {
            let mut one = Xxh3::with_seed(u64::from(!is_answer));
            one.write(question.id.as_bytes());
            one.write_u32(*row);
            // A sum does not know the order.
            hash = hash.wrapping_add(one.finish());
        }
        answers.extend(&question.answers);
    }
    let pairs = answers.len() as u64;
    answers.sort_unstable();
    answers.dedup();
    let (labels, records) = labelled.map_or((pairs, answers.len() as u64), |labelled| (labelled, labelled));
    let mut notes = Vec::new();
    if let Some(labelled) = labelled.filter(|labelled| *labelled > questions.len() as u64) {
        notes.push(format!(
            "{labelled} records share a value: {} of them, drawn by the seed, are questions",
            questions.len()
        ));
    }
    let (components, groups, alike) = connect(&examples, &mut notes);
    let classes = match &examples.relevance {
        Relevance::Listed(_) => components.clone(),
        Relevance::Classes { queries, .. } => rarest(queries),
    };
    let (ids, texts) = questions.into_iter().map(|question| (question.id, question.text)).unzip();
    Gathered {
        examples,
        ids,
        texts,
        labels,
        records,
        label_hash: hash,
        components,
        groups,
        alike,
        classes,
        left_out,
        notes,
    }
}

/// The class of each question that the fewest have.
fn rarest(of: &[Vec<u32>]) -> Vec<u32> {
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    of.iter().flatten().for_each(|class| *sizes.entry(*class).or_default() += 1);
    let size = |class: &&u32| (sizes.get(class).copied().unwrap_or(0), **class);
    of.iter().map(|classes| classes.iter().min_by_key(size).copied().unwrap_or(u32::MAX)).collect()
}

/// Components by labels, by labels and near-duplicates, and by near-duplicates of questions alone.
fn connect(examples: &Examples, notes: &mut Vec<String>) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let (queries, dimension) = (examples.query_count(), examples.dimension);
    let unit = centred(&examples.queries, &vec![0.0; dimension]);
    let near_queries = near_duplicates(&unit, dimension);
    if queries > MOST_COMPARED {
        notes.push(format!("{queries} questions: near-duplicates among them were not looked for"));
    }
    let mut alike = Sets::new(queries);
    near_queries.iter().for_each(|&(a, b)| alike.join(a, b));
    let Relevance::Listed(relevant) = &examples.relevance else {
        // Classes are shared by design: only the same thing said twice belongs together.
        let groups = alike.names(queries);
        return ((0..queries as u32).collect(), groups.clone(), groups);
    };
    let mut answers: Vec<u32> = relevant.iter().flatten().copied().collect();
    answers.extend(examples.own.iter().flatten());
    answers.sort_unstable();
    answers.dedup();
    let node = |row: &u32| (queries + answers.binary_search(row).unwrap_or(0)) as u32;
    let mut sets = Sets::new(queries + answers.len());
    for (query, rows) in relevant.iter().enumerate() {
        let own = examples.own.get(query).copied().flatten();
        rows.iter().chain(&own).for_each(|row| sets.join(query as u32, node(row)));
    }
    let mut grouped = sets.clone();
    near_queries.iter().for_each(|&(a, b)| grouped.join(a, b));
    let rows: Vec<f32> = answers
        .iter()
        .flat_map(|&row| super::fit::examples::row(&examples.plain, row, dimension).iter().copied())
        .collect();
    for (a, b) in near_duplicates(&rows, dimension) {
        grouped.join(queries as u32 + a, queries as u32 + b);
    }
    (sets.names(queries), grouped.names(queries), alike.names(queries))
}

/// Questions with listed answers; the number of questions and pairs that cannot take part comes with them.
fn of_pairs(view: &ViewSnapshot, labels: &Labels) -> Result<(Vec<Question>, u64)> {
    let mut answers: Vec<Vec<u32>> = vec![Vec::new(); labels.queries.len()];
    let mut wrong = answers.clone();
    let mut left_out = 0;
    for pair in &labels.pairs {
        let is_itself = labels.queries.get(pair.query_idx).is_some_and(|query| query.row == Some(pair.row));
        let judged = if pair.grade() > 0 { &mut answers } else { &mut wrong };
        match judged.get_mut(pair.query_idx) {
            Some(rows) if !is_itself && view.present().contains(pair.row.0) => rows.push(pair.row.0),
            _ => left_out += u64::from(!is_itself),
        }
    }
    let vectors = query_vectors(view, &labels.queries, &answers)?;
    let mut questions = Vec::new();
    for (((asked, mut rows), mut wrong), vector) in labels.queries.iter().zip(answers).zip(wrong).zip(vectors) {
        if rows.is_empty() {
            continue;
        }
        let Some(vector) = vector else {
            left_out += 1;
            continue;
        };
        for rows in [&mut rows, &mut wrong] {
            rows.sort_unstable();
            rows.dedup();
        }
        let vector = finite(vector, || format!("question {:?}", asked.query.id))?;
        if vector.len() != view.dimension() {
            return Err(Error::invalid(format!(
                "question {:?} has a vector of {} numbers, view {} has {}",
                asked.query.id,
                vector.len(),
                view.def().name,
                view.dimension()
            )));
        }
        let text = asked.query.text.clone().unwrap_or_default();
        questions.push(Question {
            id: asked.query.id.clone(),
            text,
            vector,
            own: asked.row.map(|row| row.0),
            answers: rows,
            wrong,
        });
    }
    Ok((questions, left_out))
}

/// The vector of each question that has an answer, where there is one.
fn query_vectors(
    view: &ViewSnapshot,
    queries: &[LabelledQuery],
    answers: &[Vec<u32>],
) -> Result<Vec<Option<Vec<f32>>>> {
    let mut vectors = Vec::with_capacity(queries.len());
    let mut texts: Vec<(usize, String)> = Vec::new();
    for (idx, asked) in queries.iter().enumerate() {
        let is_asked = answers.get(idx).is_some_and(|rows| !rows.is_empty());
        let came = asked.query.vector.as_ref().filter(|vector| is_asked && vector.view == view.def().name);
        let vector = match (came, asked.row) {
            _ if !is_asked => None,
            (Some(came), _) => Some(came.data.clone()),
            (None, Some(row)) => view.vector(row.0)?,
            (None, None) => None,
        };
        if vector.is_none() && is_asked && asked.query.record.is_none() {
            texts.extend(asked.query.text.as_ref().map(|text| (idx, text.clone())));
        }
        vectors.push(vector);
    }
    if let (false, Some(embedder)) = (texts.is_empty(), view.embedder()?) {
        let (places, texts): (Vec<usize>, Vec<String>) = texts.into_iter().unzip();
        let rows = embed_texts(view, &*embedder, &texts)?;
        for (place, row) in places.into_iter().zip(rows) {
            if let Some(slot) = vectors.get_mut(place) {
                *slot = row;
            }
        }
    }
    Ok(vectors)
}

/// Records that share a class with another one, each as a question; some of them where there are very many. Their
/// number comes with them.
fn of_classes(
    collection: &CollectionSnapshot,
    view: &ViewSnapshot,
    labels: &Labels,
    seed: u64,
) -> Result<(Vec<Question>, u64)> {
    let mut classes: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (class, found) in labels.classes.iter().enumerate() {
        let rows: Vec<u32> = found.rows.iter().map(|row| row.0).filter(|row| view.present().contains(*row)).collect();
        if rows.len() > 1 {
            rows.into_iter().for_each(|row| classes.entry(row).or_default().push(class as u32));
        }
    }
    let mut rows: Vec<u32> = classes.keys().copied().collect();
    let labelled = rows.len() as u64;
    if rows.len() > CLASS_QUERIES {
        Random::of_stream(seed, CLASS_STREAM).shuffle(&mut rows);
        rows.truncate(CLASS_QUERIES);
        rows.sort_unstable();
    }
    let mut questions = Vec::with_capacity(rows.len());
    for row in rows {
        let id = format!("#{}", collection.record(RowId(row))?.id);
        let vector = finite(view.vector(row)?.unwrap_or_default(), || format!("record {id}"))?;
        let answers = classes.remove(&row).unwrap_or_default();
        questions.push(Question { id, text: String::new(), vector, own: Some(row), answers, wrong: Vec::new() });
    }
    Ok((questions, labelled))
}

/// Rows that answers are ranked among: those that are labelled, and others up to [`POOL`].
///
/// Where a field makes the labels, a record without a value of it is no wrong answer: only those that have one take
/// part.
fn pool(view: &ViewSnapshot, questions: &[Question], labels: &Labels, seed: u64) -> Vec<u32> {
    let classes = labels.respect.field.is_some();
    let mut labelled = RowSet::new();
    for question in questions {
        question.own.iter().for_each(|row| _ = labelled.insert(*row));
        if !classes {
            question.answers.iter().chain(&question.wrong).for_each(|row| _ = labelled.insert(*row));
        }
    }
    let labelled = labelled.and(view.present());
    let mut allowed = view.present().clone();
    if classes {
        allowed = RowSet::new();
        labels.classes.iter().flat_map(|class| &class.rows).for_each(|row| _ = allowed.insert(row.0));
        allowed = allowed.and(view.present());
    }
    let mut others: Vec<u32> = allowed.and_not(&labelled).iter().collect();
    let room = POOL.saturating_sub(labelled.len() as usize);
    if others.len() > room {
        Random::of_stream(seed, POOL_STREAM).shuffle(&mut others);
        others.truncate(room);
    }
    let mut rows: Vec<u32> = labelled.iter().chain(others).collect();
    rows.sort_unstable();
    rows
}

/// The mean of all records of the view, in the order of their rows.
fn mean_of(view: &ViewSnapshot) -> Result<Vec<f64>> {
    let mut whole = VectorSum { sum: vec![0.0; view.dimension()], count: 0 };
    let mut row = Vec::new();
    for block in 0..view.block_count() {
        let (range, rows) = (view.block_range(block), view.block(block)?);
        for (at, number) in range.enumerate() {
            if view.present().contains(number) {
                rows.row_f64(at, &mut row);
                whole.sum.iter_mut().zip(&row).for_each(|(sum, x)| *sum += x);
                whole.count += 1;
            }
        }
    }
    whole.sum.iter_mut().for_each(|sum| *sum /= (whole.count as f64).max(1.0));
    Ok(whole.sum)
}

fn finite(vector: Vec<f32>, whose: impl Fn() -> String) -> Result<Vec<f32>> {
    match vector.iter().position(|x| !x.is_finite()) {
        None => Ok(vector),
        Some(at) => Err(Error::invalid(format!("the vector of {} is not finite at position {at}", whose()))),
    }
}

/// Refuses labels from which nothing can be learned.
fn enough(questions: &[Question], labels: &Labels, view: &ViewSnapshot, left_out: u64) -> Result<()> {
    let name = &labels.respect.name;
    let ViewDef { name: view, embedder, .. } = view.def();
    let left = match (left_out, embedder) {
        (0, _) => String::new(),
        (_, Some(_)) => format!("; {left_out} cannot take part: no vector in view {view}"),
        // Texts alone are no questions there.
        (_, None) => format!(
            "; {left_out} cannot take part: no vector in view {view}, which takes no text: questions come with their \
             vectors (`--query-vectors V.npy` beside `--queries`)"
        ),
    };
    let refuse = |why: String| Err(Error::invalid(format!("respect {name:?} {why}{left}")));
    if labels.respect.field.is_some() {
        let mut classes: Vec<u32> = questions.iter().flat_map(|question| question.answers.iter().copied()).collect();
        classes.sort_unstable();
        classes.dedup();
        return match classes.len() {
            0 => refuse("has no class that two records share: there is nothing to learn from".to_string()),
            1 => refuse("has only one class: without another there is nothing to tell apart".to_string()),
            _ => Ok(()),
        };
    }
    if questions.is_empty() {
        let negative = labels.pairs.iter().any(|pair| pair.grade() <= 0);
        let why = if negative { "has only labels that say \"not relevant\"" } else { "has no labels that count" };
        return refuse(format!("{why}: a lens is learned from pairs that belong together"));
    }
    let mut answers: Vec<u32> = questions.iter().flat_map(|question| question.answers.iter().copied()).collect();
    answers.sort_unstable();
    answers.dedup();
    let first = &questions[0].vector;
    if answers.len() < 2 || questions.iter().all(|question| question.vector == *first) {
        let why = "has one question or one record only: at least two of each are needed to tell anything apart";
        return refuse(why.to_string());
    }
    Ok(())
}
