//! Operations on a store, chosen by bytes, and what they should have made of it.
//!
//! Owns [`Step`], which any bytes give a list of and which has a form in files, how a list is carried out, and
//! [`Model`], what the records must be afterwards. It knows nothing of faults.

use super::learned;
use crate::error::{ErrorKind, Result};
use crate::store::{Batch, CollectionSpec, NewLabels, Options, Question, Store, ViewSpec};
use crate::text::embed::Embedder;
use crate::types::{
    Calibration, CalibrationMap, CollectionId, CommitNumber, ElementType, JudgedOn, LensDef, Metric, PinnedStatistic,
    ProjectionDef, ProjectionRef, Record, Reliability, SampleDef, SampleVectors, Statistic, Step as LensStep,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes as choices; zeros when they have run out.
pub(super) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Choices(data)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    pub(super) fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound.max(1)
    }
}

/// One change within a batch. Numbers name records, texts and vectors. The serialized names are those in the files of
/// kept lists: a change that is gone or has other fields makes old files unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    Put {
        collection: u8,
        id: u8,
        text: u8,
        vector: u8,
        embed: bool,
    },
    PutMany {
        collection: u8,
        count: u16,
    },
    Remove {
        collection: u8,
        id: u8,
    },
    RemoveMany {
        collection: u8,
        every: u8,
    },
    SetVector {
        collection: u8,
        id: u8,
        vector: u8,
    },
    AddView {
        collection: u8,
        kind: u8,
    },
    Embed {
        collection: u8,
    },
    Projection(u8),
    Lens(u8),
    Sample(u8),
    Calibration(u8),
    Materialize(u8),
    /// Records of a collection with rows long enough that what is kept ready of a lens is shorter.
    Wide {
        count: u16,
    },
    WideLens(u8),
    /// What a question has to do with a record of the collection.
    Label {
        collection: u8,
        question: u8,
        id: u8,
        grade: u8,
    },
    TakeBack {
        collection: u8,
        question: u8,
        id: u8,
    },
    /// A respect whose classes are the values of a field, or no such respect any more.
    Classes {
        collection: u8,
        drop: bool,
    },
    /// A fit of a learned lens, accepted or kept as a candidate.
    Learn {
        number: u8,
        seed: u8,
        accepted: bool,
    },
    Promote(u8),
    Demote(u8),
    DropLens(u8),
    /// What random pairs score under a lens.
    Background(u8),
}

/// One thing that is done to a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// A batch that is committed, or given up.
    Batch(Vec<Change>, bool),
    Reopen,
    Compact,
}

impl Change {
    fn choose(choices: &mut Choices<'_>) -> Change {
        let (kind, collection) = (choices.below(30), choices.below(2));
        let (id, number) = (choices.below(24), choices.byte());
        match kind {
            0..6 => Change::Put { collection, id, text: number % 8, vector: number / 8, embed: number % 3 > 0 },
            6 => Change::PutMany { collection, count: u16::from(number % 40) },
            7 | 8 => Change::Remove { collection, id },
            9 => Change::RemoveMany { collection, every: 1 + number % 5 },
            10 => Change::SetVector { collection, id, vector: number },
            11 => Change::AddView { collection, kind: number % 4 },
            12 => Change::Embed { collection },
            13 => Change::Projection(number % 3),
            14 => Change::Lens(number % 3),
            16 => Change::Materialize(number % 3),
            17 => Change::Wide { count: u16::from(number % 9) },
            18 => Change::WideLens(number % 2),
            19..22 => Change::Label { collection, question: number % 4, id: id % 6, grade: number / 4 % 3 },
            22 => Change::TakeBack { collection, question: number % 4, id: id % 6 },
            23 => Change::Classes { collection, drop: number % 4 == 0 },
            24 | 25 => Change::Learn { number: id % 2, seed: number, accepted: number % 3 == 0 },
            26 => Change::Promote(number % 2),
            27 => Change::Demote(number % 2),
            28 => Change::Background(number % 5),
            29 => Change::DropLens(number % 3),
            _ if number % 2 == 0 => Change::Sample(number % 3),
            _ => Change::Calibration(number % 3),
        }
    }
}

impl Step {
    /// The next step; none when the bytes have run out.
    pub(super) fn choose(choices: &mut Choices<'_>) -> Option<Step> {
        if choices.is_empty() {
            return None;
        }
        Some(match choices.below(12) {
            0 => Step::Reopen,
            1 | 2 => Step::Compact,
            kind => {
                let changes = (0..=choices.below(6)).map(|_| Change::choose(choices)).collect();
                Step::Batch(changes, kind != 3)
            }
        })
    }
}

/// What the records must be: by collection and id, text and supplied vector.
pub(super) type Model = BTreeMap<(String, String), (String, Option<Vec<f32>>)>;

/// Makes a vector of three numbers of any text, fast.
#[derive(Debug)]
pub(super) struct Toy;

impl Toy {
    fn vector(text: &str) -> Vec<f32> {
        let sum = crate::storage::checksum::checksum(3, text.as_bytes());
        vec![(sum % 97) as f32 + 1.0, (sum / 97 % 89) as f32, -((sum / 8_633 % 83) as f32)]
    }
}

impl Embedder for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    fn dimension(&self) -> usize {
        3
    }

    fn embed(&self, texts: &[&str], out: &mut Vec<f32>) -> Result<()> {
        texts.iter().for_each(|text| out.extend(Toy::vector(text)));
        Ok(())
    }
}

/// How the stores of these tests are opened.
pub(super) fn options() -> Options {
    Options::new().embedder(Arc::new(Toy)).default_embedder("toy").cache_bytes(1 << 20).lens_cache_bytes(1 << 20)
}

fn collection_name(number: u8) -> String {
    format!("c{number}")
}

/// A refused change leaves the batch as it was; anything else ends the step.
fn unless_refused(result: Result<()>) -> Result<()> {
    use ErrorKind::{Exists, Invalid, Limit, NotFound};
    match result {
        Err(error) if matches!(error.kind(), Exists | Invalid | Limit | NotFound) => Ok(()),
        other => other,
    }
}

fn put(batch: &mut Batch, model: &mut Model, name: &str, record: Record, embed: bool) -> Result<()> {
    let key = (name.to_string(), record.id.clone());
    let (text, given) = (record.text.clone(), record.vectors.get("v").cloned());
    batch.collection(name)?.no_embed(!embed).upsert(record)?;
    let kept = model.get(&key).filter(|(old, _)| *old == text).and_then(|(_, vector)| vector.clone());
    model.insert(key, (text, given.or(kept)));
    Ok(())
}

impl Change {
    fn apply(&self, batch: &mut Batch, model: &mut Model) -> Result<()> {
        match self {
            Change::Put { collection, id, text, vector, embed } => {
                let name = collection_name(*collection);
                open(batch, &name)?;
                let mut record = Record::new(format!("r{id}"), format!("text {text}")).field("year", i64::from(*text));
                if vector % 3 == 0 {
                    record = record.vector("v", vec![f32::from(*vector), -0.0, 0.5]);
                }
                put(batch, model, &name, record, *embed)
            }
            Change::PutMany { collection, count } => {
                let name = collection_name(*collection);
                open(batch, &name)?;
                for number in 0..*count {
                    let record = Record::new(format!("m{number}"), format!("many {count} {number}"))
                        .field("tag", format!("t{}", number % 5))
                        .vector("v", vec![f32::from(number), f32::from(*count), 1.0]);
                    put(batch, model, &name, record, number % 2 == 0)?;
                }
                Ok(())
            }
            Change::Remove { collection, id } => remove(batch, model, &collection_name(*collection), &format!("r{id}")),
            Change::RemoveMany { collection, every } => {
                let name = collection_name(*collection);
                for number in (0..40).step_by(usize::from(*every)) {
                    remove(batch, model, &name, &format!("m{number}"))?;
                }
                Ok(())
            }
            Change::SetVector { collection, id, vector } => {
                let (name, id) = (collection_name(*collection), format!("r{id}"));
                let vector = vec![f32::from(*vector), 7.0, 1.0e-40];
                let mut writer = batch.existing_collection(&name)?;
                writer.replace_vector(&id, "v", vector.clone())?;
                if let Some(record) = model.get_mut(&(name, id)) {
                    record.1 = Some(vector);
                }
                Ok(())
            }
            Change::Wide { count } => {
                if !batch.has_collection("wide")? {
                    batch.create_collection("wide", CollectionSpec::new().supplied_vectors())?;
                }
                for number in 0..*count {
                    let vector = wide_row(*count, number);
                    let key = ("wide".to_string(), format!("w{number}"));
                    let record = Record::new(&key.1, "").vector("raw", vector);
                    batch.collection("wide")?.upsert(record)?;
                    model.insert(key, (String::new(), None));
                }
                Ok(())
            }
            other => other.apply_definition(batch),
        }
    }

    fn apply_definition(&self, batch: &mut Batch) -> Result<()> {
        match self {
            Change::AddView { collection, kind } => batch.add_view(
                &collection_name(*collection),
                match kind {
                    0 => ViewSpec::template("t", "Topic of {text}"),
                    1 => ViewSpec::text_from("w", "rewritten"),
                    2 => ViewSpec::vectors_only("x"),
                    _ => ViewSpec::template("u", "{text}").element(ElementType::F16),
                },
            ),
            Change::Embed { collection } => batch.embed(&collection_name(*collection), None).map(drop),
            Change::Projection(number) => batch.put_projection(ProjectionDef {
                name: format!("p{number}"),
                rows: 2,
                columns: 3,
                query: vec![f32::from(*number); 6],
                record: None,
                origin: "made up".to_string(),
                fitted_on: None,
            }),
            Change::Lens(number) => {
                let (view, steps) = ("raw".to_string(), vec![LensStep::CenterCorpus]);
                let lens = LensDef { view, steps, metric: Metric::Cosine, csls: None };
                let (collection, commit) = (CollectionId(1), CommitNumber(0));
                let pinned = PinnedStatistic { collection, step_idx: 0, commit, records: 2, revision: 0 };
                let statistic = Statistic::Mean(vec![f64::from(*number); 3]);
                batch.put_lens(&format!("l{number}"), lens, vec![(pinned, statistic)]).map(drop)
            }
            Change::Sample(number) => {
                let vectors =
                    SampleVectors { view: "v".to_string(), dimension: 3, data: vec![1.0, 2.0, f32::from(*number)] };
                let sample = SampleDef {
                    ids: vec!["q".to_string()],
                    texts: vec![format!("question {number}")],
                    vectors: Some(vectors),
                    ..SampleDef::new(format!("s{number}"), CollectionId(1))
                };
                batch.put_sample(sample).map(drop)
            }
            Change::Calibration(number) => batch.put_calibration(&format!("l{number}"), calibration(*number)).map(drop),
            Change::Materialize(number) => batch.materialize(&format!("l{number}"), ElementType::F32).map(drop),
            Change::WideLens(number) => wide_lens(batch, *number),
            Change::Label { collection, question, id, grade } => {
                let mut labels = NewLabels::from_source(format!("source {}", question / 2)).at(7);
                let asked = match question {
                    0 => Question::record(format!("r{}", (id + 1) % 6)),
                    1 => Question::text("question 1").with_vector("v", vec![1.0, 2.0, 3.0]),
                    _ => Question::text(format!("question {question}")),
                };
                let asked = labels.question(asked);
                labels.say(asked, format!("r{id}"), i64::from(*grade));
                batch.put_labels(&collection_name(*collection), "about", &labels).map(drop)
            }
            Change::TakeBack { collection, question, id } => {
                let question = format!("question {question}");
                batch.take_back_label(&collection_name(*collection), "about", &question, &format!("r{id}")).map(drop)
            }
            Change::Classes { collection, drop: true } => {
                batch.drop_respect(&collection_name(*collection), "classes").map(drop)
            }
            Change::Classes { collection, .. } => {
                batch.put_class_respect(&collection_name(*collection), "classes", "year").map(drop)
            }
            other => other.apply_learned(batch),
        }
    }

    fn apply_learned(&self, batch: &mut Batch) -> Result<()> {
        match self {
            Change::Learn { number, seed, accepted } => learned::learn(batch, *number, *seed, *accepted),
            Change::Promote(number) => learned::promote(batch, *number),
            Change::Demote(number) => learned::demote(batch, *number),
            Change::DropLens(number) => learned::drop_lens(batch, *number),
            Change::Background(number) => learned::background(batch, *number),
            _ => Ok(()),
        }
    }
}

/// Given, or fitted on judgements.
fn calibration(number: u8) -> Calibration {
    let (origin, commit, lens_version) = ("made up".to_string(), CommitNumber(0), 0);
    if number == 0 {
        let map = CalibrationMap::Logistic { scale: 2.0, bias: f64::from(number) };
        return Calibration { lens_version, map, origin, labels: 0, judged_on: None, reliability: None, commit };
    }
    let map = CalibrationMap::Isotonic { scores: vec![-0.5, 0.0, 0.75], probabilities: vec![0.0, 0.25, 1.0] };
    let judged_on = Some(JudgedOn { collection: CollectionId(1), revision: 3, k: 10, queries: 4, hash: 77, time: 1 });
    let table = vec![(0.05, 0.0, 7), (0.9, 1.0, 3)];
    let reliability =
        Some(Reliability { ece: 0.02, log_loss: 0.3, base_log_loss: 0.6, table, covariance: Some((0.1, 0.01, 0.2)) });
    Calibration { lens_version, map, origin, labels: 10, judged_on, reliability, commit }
}

/// Numbers of a row of the collection `wide`.
const WIDE: u16 = 40;

fn wide_row(count: u16, number: u16) -> Vec<f32> {
    (0..WIDE).map(|place| f32::from((place * 7 + number * 13 + count) % 31) - 15.0).collect()
}

/// A saved lens that projects the rows of `wide`, with its rows kept: in `f32` for number 0, halves for number 1.
fn wide_lens(batch: &mut Batch, number: u8) -> Result<()> {
    let name = format!("wide{number}");
    batch.put_projection(ProjectionDef {
        name: name.clone(),
        rows: 4,
        columns: u32::from(WIDE),
        query: (0..4 * WIDE).map(|place| f32::from(place % 11) - f32::from(number)).collect(),
        record: None,
        origin: "made up".to_string(),
        fitted_on: None,
    })?;
    let steps = vec![LensStep::Project(ProjectionRef::One(name.clone()))];
    let lens = LensDef { view: "raw".to_string(), steps, metric: Metric::Cosine, csls: None };
    batch.put_lens(&name, lens, Vec::new())?;
    let element = if number == 0 { ElementType::F32 } else { ElementType::F16 };
    batch.materialize(&name, element).map(drop)
}

/// A collection with a view of supplied vectors.
fn open(batch: &mut Batch, name: &str) -> Result<()> {
    if !batch.has_collection(name)? {
        batch.create_collection(name, CollectionSpec::new())?;
        batch.add_view(name, ViewSpec::vectors_only("v"))?;
    }
    Ok(())
}

fn remove(batch: &mut Batch, model: &mut Model, name: &str, id: &str) -> Result<()> {
    if batch.existing_collection(name)?.remove(id)? {
        model.remove(&(name.to_string(), id.to_string()));
    }
    Ok(())
}

/// Carries out all changes of a batch and commits it, or gives it up; `model` changes only with a commit.
pub(super) fn run_batch(store: &Store, changes: &[Change], keep: bool, model: &mut Model) -> Result<()> {
    let mut next = model.clone();
    let mut batch = store.begin()?;
    for change in changes {
        unless_refused(change.apply(&mut batch, &mut next))?;
    }
    if keep {
        batch.commit()?;
        *model = next;
    }
    Ok(())
}
