//! What a person is asked about: questions, the hits of a lens for them, less what was judged before.
//!
//! Owns where questions come from; in what order pairs are asked about is `learn/judge`'s.

use super::args::Label;
use crate::error::{Error, Result};
use crate::exec::Param;
use crate::interchange::labels::{next_vector, open_vectors};
use crate::interchange::read_queries;
use crate::learn::judge::{Candidate, Strategy, order};
use crate::query::ast::{LensBase, Statement};
use crate::query::{check_name, parse, print_name};
use crate::store::{Question, Snapshot};
use crate::types::{Metric, RowId};
use std::collections::HashSet;
use std::path::Path;

/// Questions searched for at once.
const BATCH: usize = 1_024;

/// A question and what to show of it.
pub(super) struct Asking {
    pub(super) question: Question,
    pub(super) text: String,
    param: Param,
    /// The record that it is.
    pub(super) own: Option<String>,
}

/// Everything to ask about, in order.
pub(super) struct Pairs {
    pub(super) questions: Vec<Asking>,
    pub(super) candidates: Vec<Candidate>,
    /// The view that is searched.
    pub(super) view: String,
    /// The search in canonical form.
    pub(super) statement: String,
    /// `score`, `probability` or `distance`.
    pub(super) value_name: &'static str,
    /// Pairs among the hits that were judged before.
    pub(super) judged: u64,
}

/// Finds what to ask about.
///
/// # Errors
/// For a lens, sample or file that is not there, and as any search.
pub(super) fn find(label: &Label, snapshot: &Snapshot) -> Result<Pairs> {
    let strategy = Strategy::from(label.strategy);
    let (text, is_probability) = statement(label, snapshot, strategy)?;
    let query = snapshot.query(&text)?;
    let view = view_of(snapshot, &text)?;
    let questions = questions(label, snapshot, &view)?;
    let before = judged(label, snapshot)?;
    let mut pairs = Pairs {
        view,
        statement: query.statement().to_string(),
        value_name: if is_probability { "probability" } else { "score" },
        questions,
        candidates: Vec::new(),
        judged: 0,
    };
    for start in (0..pairs.questions.len()).step_by(BATCH) {
        let chunk = pairs.questions.iter().enumerate().skip(start).take(BATCH);
        let params: Vec<Param> = chunk.clone().map(|(_, asking)| asking.param.clone()).collect();
        for ((query_idx, asking), answer) in chunk.zip(query.run_each(&params)?) {
            let answer = answer.map_err(|error| error.context(format!("question {:?}", asking.question.id())))?;
            let hits = answer.hits().iter().filter(|hit| asking.own.as_deref() != Some(hit.id()));
            for (hit, rank) in hits.zip(1..) {
                if hit.is_distance() {
                    pairs.value_name = "distance";
                }
                if before.contains(&(asking.question.id().to_string(), hit.id().to_string())) {
                    pairs.judged += 1;
                    continue;
                }
                pairs.candidates.push(Candidate { query_idx, record: hit.id().to_string(), rank, value: hit.value() });
            }
        }
    }
    order(&mut pairs.candidates, strategy, is_probability.then_some(0.5), label.seed);
    Ok(pairs)
}

/// The search for the hits of a question, and whether its values are probabilities.
fn statement(label: &Label, snapshot: &Snapshot, strategy: Strategy) -> Result<(String, bool)> {
    let (collection, depth) = (&label.collection, label.depth);
    let Some(lens) = &label.lens else {
        let view = print_name(&label.view);
        return Ok((format!("find $q in {collection} | view {view} | score cosine | top {depth}"), false));
    };
    if check_name(lens).is_err() {
        let stages = lens.trim().trim_start_matches('|');
        return Ok((format!("find $q in {collection} | {stages} | top {depth}"), false));
    }
    let calibrated = strategy == Strategy::Uncertain
        && snapshot.calibration(lens)?.is_some_and(
            |calibration| matches!(snapshot.lens(lens), Ok(Some(record)) if record.version == calibration.lens_version),
        );
    let score = if calibrated { " | score probability" } else { "" };
    Ok((format!("find $q in {collection} | using {lens}{score} | top {depth}"), calibrated))
}

/// The view that a search looks at.
fn view_of(snapshot: &Snapshot, text: &str) -> Result<String> {
    let Statement::Find(find) = parse(text)? else { return Ok("raw".to_string()) };
    if find.lens.metric.is_some_and(|metric| metric.node == Metric::Levenshtein) {
        return Ok(String::new());
    }
    Ok(match find.lens.base {
        LensBase::View(view) => view.node,
        LensBase::Using(lens) => snapshot.lens(&lens.node)?.map_or("raw".to_string(), |lens| lens.lens.view),
        LensBase::Default | LensBase::Blend(_) => "raw".to_string(),
    })
}

/// Pairs of a question's id and a record's that have a label already.
fn judged(label: &Label, snapshot: &Snapshot) -> Result<HashSet<(String, String)>> {
    let Some(respect) = snapshot.respect(&label.collection, &label.respect)? else { return Ok(HashSet::new()) };
    if let Some(field) = &respect.field {
        let message = format!(
            "the labels of {:?} are the values of field {field}: judge pairs in a respect of their own",
            label.respect
        );
        return Err(Error::invalid(message));
    }
    let labels = snapshot.labels(&label.collection, &label.respect)?;
    let id = |query_idx: usize| labels.queries.get(query_idx).map_or(String::new(), |query| query.query.id.clone());
    Ok(labels.pairs.iter().map(|pair| (id(pair.query_idx), pair.record.id.clone())).collect())
}

fn questions(label: &Label, snapshot: &Snapshot, view: &str) -> Result<Vec<Asking>> {
    let questions = if let Some(path) = &label.queries {
        of_file(path, label.query_vectors.as_deref(), view)?
    } else if let Some(sample) = &label.sample {
        of_sample(snapshot, sample, view)?
    } else if let Some(records) = label.records {
        of_records(label, snapshot, records, view)?
    } else {
        label.query.iter().map(|text| typed(text)).collect()
    };
    if questions.is_empty() {
        return Err(Error::invalid("there is nothing to ask"));
    }
    Ok(questions)
}

fn typed(text: &str) -> Asking {
    Asking { question: Question::text(text), text: text.to_string(), param: text.into(), own: None }
}

fn of_file(path: &Path, vectors: Option<&Path>, view: &str) -> Result<Vec<Asking>> {
    let lines = read_queries(path)?;
    let mut vectors = vectors.map(|path| open_vectors(path, lines.len())).transpose()?;
    let mut questions = Vec::with_capacity(lines.len());
    for line in lines {
        let vector = vectors.as_mut().map(next_vector).transpose()?;
        questions.push(with_vector(Question::new(line.id), line.text, vector, view));
    }
    Ok(questions)
}

fn of_sample(snapshot: &Snapshot, name: &str, view: &str) -> Result<Vec<Asking>> {
    let Some(sample) = snapshot.sample(name)? else {
        let names: Vec<String> = snapshot.sample_heads()?.into_keys().collect();
        let listed =
            if names.is_empty() { "there are none".to_string() } else { format!("samples: {}", names.join(", ")) };
        return Err(Error::not_found(format!("there is no sample {name:?} ({listed})")));
    };
    let vectors = sample.vectors.as_ref().filter(|vectors| vectors.view == view);
    let mut rows = vectors.map(|vectors| vectors.data.chunks_exact(vectors.dimension.max(1) as usize));
    let list = sample.ids.into_iter().zip(sample.texts);
    Ok(list
        .map(|(id, text)| {
            let vector = rows.as_mut().and_then(Iterator::next).map(<[f32]>::to_vec);
            with_vector(Question::new(id), text, vector, view)
        })
        .collect())
}

fn with_vector(question: Question, text: String, vector: Option<Vec<f32>>, view: &str) -> Asking {
    let question = question.with_text(&text);
    match vector {
        Some(vector) => {
            Asking { question: question.with_vector(view, vector.clone()), text, param: vector.into(), own: None }
        }
        None => Asking { question, param: text.as_str().into(), text, own: None },
    }
}

/// Records drawn at random, each as a question.
fn of_records(label: &Label, snapshot: &Snapshot, number: u32, view: &str) -> Result<Vec<Asking>> {
    let collection = snapshot.collection(&label.collection)?;
    let rows = collection.view(view);
    let mut live: Vec<u32> =
        rows.map_or_else(|| collection.live().iter().collect(), |rows| rows.present().iter().collect());
    crate::learn::judge::draw(&mut live, number as usize, label.seed);
    let mut questions = Vec::with_capacity(live.len());
    for row in live {
        let record = collection.record(RowId(row))?;
        let vector = rows.map(|rows| rows.vector(row)).transpose()?.flatten();
        let param = vector.map_or_else(|| Param::from(record.text.as_str()), Param::from);
        questions.push(Asking {
            question: Question::record(&record.id),
            text: record.text,
            param,
            own: Some(record.id),
        });
    }
    Ok(questions)
}
