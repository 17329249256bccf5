//! Fits a calibration of a saved lens to judged hits.
//!
//! Owns which judgements count: those of records among the first `k` that the lens finds for their query, because a
//! probability is read off hits, and off nothing else. The scores are those of the saved lens as it is. The maps
//! themselves are `reliability`'s. Hits of one query are alike, so warnings and intervals count queries.

use super::reliability::{self, JudgedScore};
use crate::error::{Error, Result};
use crate::exec::{Answer, Lens, Param, Query, Source, backgrounds_of};
use crate::learn::evaluate::Qrels;
use crate::learn::familiar::{AskedNow, Familiar};
use crate::learn::oddities::{Named, Oddities};
use crate::store::{LabelledQuery, Labels, Snapshot, Store};
use crate::types::control::Control;
use crate::types::{Calibration, CalibrationMap, CommitNumber, JudgedOn, LensRecord, Metric, Reliability};
use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::xxh3_64;

/// Judged hits below which nothing is fitted, and below which it is fitted with a warning.
pub const LEAST: usize = 50;
/// See [`LEAST`].
pub const FEW: usize = 200;
/// Queries below which a fit is warned of, however many hits they have: hits of one query are alike, and 200 of 20
/// queries say less than 200 of 100.
pub const FEW_QUERIES: u64 = 100;
/// First hits from which on it is said how the map does on them alone.
const LEAST_FIRST: usize = 20;
/// Hits of a query that count, where nothing else is said.
pub const TOP: u32 = 10;
/// Queries that are answered in one go.
const BATCH: usize = 1024;

/// What a query is.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A text, embedded as the lens's view embeds its records.
    Text(String),
    /// A vector of the lens's view.
    Vector(Vec<f32>),
    /// The id of a record that stands for itself; it is not among its own hits.
    Record(String),
}

/// A query with what was said about records.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedQuery {
    /// Its id, or its text.
    pub id: String,
    /// The query.
    pub asked: Asked,
    /// Grades by record id: above 0 relevant.
    pub grades: HashMap<String, i64>,
}

/// The labels of a respect as judgements, for a lens over the view of that name.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a respect whose labels are the values of a field: they say
/// nothing of single hits.
pub fn judged_of_labels(labels: &Labels, view: &str) -> Result<Vec<JudgedQuery>> {
    if let Some(field) = &labels.respect.field {
        let name = &labels.respect.name;
        let message =
            format!("the labels of {name:?} are the values of field {field}: a calibration needs judged hits");
        return Err(Error::invalid(message));
    }
    let mut judged: Vec<Option<JudgedQuery>> = Vec::with_capacity(labels.queries.len());
    for LabelledQuery { query, .. } in &labels.queries {
        let vector =
            query.vector.as_ref().filter(|came| came.view == view).map(|came| Asked::Vector(came.data.clone()));
        let record = || query.record.as_ref().map(|record| Asked::Record(record.id.clone()));
        let asked = vector.or_else(record).or_else(|| query.text.clone().map(Asked::Text));
        judged.push(asked.map(|asked| JudgedQuery { id: query.id.clone(), asked, grades: HashMap::new() }));
    }
    for pair in &labels.pairs {
        if let Some(Some(query)) = judged.get_mut(pair.query_idx) {
            query.grades.insert(pair.record.id.clone(), pair.grade());
        }
    }
    Ok(judged.into_iter().flatten().collect())
}

/// Fits a calibration and stores it.
///
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// use simile::learn::calibrate::{Asked, Calibrator, JudgedQuery};
/// use simile::{Record, Session, Store};
/// let store = Store::create(folder.path().join("notes.simile"))?;
/// let mut batch = store.begin()?;
/// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
/// batch.commit()?;
/// Session::new(&store).run("let plain = score cosine")?;
/// let grades = [("n1".to_string(), 1)].into();
/// let judged = [JudgedQuery { id: "q1".into(), asked: Asked::Text("a pocket".into()), grades }];
/// let refused = Calibrator::new(&store, "plain").calibrate(&judged).unwrap_err();
/// assert!(refused.to_string().contains("1 judged hit"));
/// # Ok::<(), simile::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is fitted before `calibrate`"]
pub struct Calibrator {
    store: Store,
    lens: String,
    collection: Option<String>,
    top: u32,
    control: Control,
}

/// What [`Calibrator::calibrate`] did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CalibrationReport {
    /// The lens.
    pub lens: LensRecord,
    /// The collection.
    pub collection: String,
    /// What was stored.
    pub calibration: Calibration,
    /// What it replaced.
    pub replaced: Option<Calibration>,
    /// Judged hits it was fitted on, and how many of them were relevant.
    pub judged: (u64, u64),
    /// Judged pairs that do not count: their record is not among the first hits of its query.
    pub outside: u64,
    /// Queries that have no direction under the lens.
    pub undirected: u64,
    /// 95 % interval of the calibration error: whole queries are drawn, so few of them make it wide.
    pub ece_interval: (f64, f64),
    /// Of first hits alone: what maps fitted on other queries say on average, what was so, and how many there are.
    pub first_hits: Option<(f64, f64, u64)>,
    /// What of the judgements does not fit.
    pub odd: Oddities,
    /// What the same figures say of the score itself, read as a probability; `None` for metrics that are none.
    pub raw_ece: Option<f64>,
    /// What to bear in mind.
    pub warnings: Vec<String>,
    /// The commit that stored it.
    pub commit: CommitNumber,
}

impl Calibrator {
    /// A calibrator of the saved lens `lens`, over the first [`TOP`] hits of each query.
    pub fn new(store: &Store, lens: impl Into<String>) -> Self {
        Calibrator { store: store.clone(), lens: lens.into(), collection: None, top: TOP, control: Control::default() }
    }

    /// The collection that was judged; needed where several have the lens's view.
    pub fn in_collection(mut self, name: impl Into<String>) -> Self {
        self.collection = Some(name.into());
        self
    }

    /// How many hits of each query count, at least 1: as many as are going to be shown.
    pub fn top(mut self, k: u32) -> Self {
        self.top = k;
        self
    }

    /// Reports `queries` to `control`, and stops when it says so.
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// Scores what was judged, fits the calibration and stores it in one commit.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a lens or collection that is not there,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for fewer than [`LEAST`] judged hits, judgements that are all
    /// alike or of a single query, and scores that are no higher for relevant hits; as any search.
    pub fn calibrate(self, queries: &[JudgedQuery]) -> Result<CalibrationReport> {
        // The batch keeps other writers out, so that what is fitted belongs to the lens and records it is stored for.
        let mut batch = self.store.begin_with(self.control.clone())?;
        let snapshot = self.store.snapshot()?;
        let Some(lens) = snapshot.lens(&self.lens)? else {
            return Err(batch.no_such_lens(&self.lens)?);
        };
        let collection = self.collection_of(&snapshot, &lens)?;
        let judged = self.judged(&snapshot, &lens, &collection, queries)?;
        let hits = judged.usable(&self.lens, self.top)?;
        let Some(fitted) = reliability::calibrate(hits) else {
            return Err(Error::invalid(format!(
                "under lens {} the relevant ones among the {} judged hits score no higher than the others: its score \
                 says nothing about relevance there, and no map can make a probability of it",
                self.lens,
                hits.len()
            )));
        };
        let (ece_interval, first_hits) = (fitted.ece_interval, judged.first_hits(&fitted.told));
        let calibration = self.calibration(&snapshot, &collection, &lens, &judged, fitted)?;
        let replaced = snapshot.calibration(&self.lens)?;
        let stored = batch.put_calibration(&self.lens, calibration)?;
        batch.put_backgrounds(&self.lens, backgrounds_of(&snapshot, &lens, &self.control)?)?;
        let commit = batch.commit()?;
        let relevant = judged.hits.iter().filter(|hit| hit.relevant).count() as u64;
        Ok(CalibrationReport {
            warnings: warnings(&judged, &stored, familiar(&snapshot, &lens, queries)?, &collection),
            ece_interval,
            first_hits,
            odd: judged.odd.clone(),
            raw_ece: raw_ece(lens.lens.metric, &judged.hits),
            lens,
            collection,
            calibration: stored,
            replaced,
            judged: (judged.hits.len() as u64, relevant),
            outside: judged.outside.saturating_sub(judged.odd.unknown_records.count),
            undirected: judged.undirected,
            commit,
        })
    }

    fn calibration(
        &self,
        snapshot: &Snapshot,
        collection: &str,
        lens: &LensRecord,
        judged: &Judged,
        fitted: reliability::Calibrated,
    ) -> Result<Calibration> {
        let target = snapshot.collection(collection)?;
        let revision = target.view(&lens.lens.view).map_or(0, |view| view.def().revision);
        let method = match fitted.map {
            CalibrationMap::Logistic { .. } => "Platt",
            CalibrationMap::Isotonic { .. } => "isotonic",
        };
        let origin = format!("{method}, {} judged hits of {} queries", judged.hits.len(), judged.queries);
        Ok(Calibration {
            map: fitted.map,
            origin,
            labels: judged.hits.len() as u64,
            judged_on: Some(JudgedOn {
                collection: target.def().id,
                revision,
                k: self.top,
                queries: judged.queries,
                hash: judged.hash,
                time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs()),
            }),
            reliability: Some(fitted.reliability),
            ..Calibration::supplied(1.0, 0.0)
        })
    }

    /// The collection that was judged: the one that was named, or the only one that has the lens's view.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), and [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where
    /// several have it.
    pub fn collection_of(&self, snapshot: &Snapshot, lens: &LensRecord) -> Result<String> {
        if let Some(name) = &self.collection {
            snapshot.collection(name)?;
            return Ok(name.clone());
        }
        let has_view = |def: &&crate::types::CollectionDef| {
            def.views.iter().any(|view| view.name == lens.lens.view && view.dimension.is_some())
        };
        let names: Vec<&str> = snapshot.collections().iter().filter(has_view).map(|def| def.name.as_str()).collect();
        match names.as_slice() {
            [name] => Ok((*name).to_string()),
            [] => Err(Error::not_found(format!("no collection has vectors in view {}", lens.lens.view))),
            names => Err(Error::invalid(format!(
                "several collections have view {}: say which was judged ({})",
                lens.lens.view,
                names.join(", ")
            ))),
        }
    }

    /// Runs all queries and keeps what was judged of their first hits.
    fn judged(
        &self,
        snapshot: &Snapshot,
        lens: &LensRecord,
        collection: &str,
        queries: &[JudgedQuery],
    ) -> Result<Judged> {
        if self.top == 0 {
            return Err(Error::invalid("of each query at least its first hit counts: --top 1"));
        }
        let mut judged = Judged { odd: odd(snapshot, collection, queries)?, ..Judged::default() };
        let find = |source: Source| -> Result<Query> {
            let find = snapshot.find(source).in_collection(collection).lens(Lens::saved(&lens.name));
            Ok(find.top(u64::from(self.top)).prepare()?.control(self.control.clone()))
        };
        let (records, others): (Vec<_>, Vec<_>) =
            queries.iter().partition(|query| matches!(query.asked, Asked::Record(_)));
        let prepared = find(Source::param("q"))?;
        for chunk in others.chunks(BATCH) {
            let param = |query: &&JudgedQuery| match &query.asked {
                Asked::Text(text) | Asked::Record(text) => Param::Text(text.clone()),
                Asked::Vector(vector) => Param::Vector(vector.clone()),
            };
            let params: Vec<Param> = chunk.iter().map(param).collect();
            for (query, answer) in chunk.iter().zip(prepared.run_each(&params)?) {
                judged.take(query, answer, lens.lens.metric)?;
            }
            self.control.report("queries", judged.asked, Some(queries.len() as u64));
        }
        let known = snapshot.collection(collection)?;
        for query in records {
            let Asked::Record(id) = &query.asked else { continue };
            if known.row_of(id)?.is_none() {
                judged.asked += 1;
                judged.outside += query.grades.len() as u64;
                judged.odd.unknown_queries.add(|| id.clone());
                continue;
            }
            judged.take(query, find(Source::id(id))?.run(), lens.lens.metric)?;
        }
        Ok(judged)
    }
}

/// What was judged of the first hits.
#[derive(Debug, Default)]
struct Judged {
    hits: Vec<JudgedScore>,
    /// The rank of each among the hits of its query.
    ranks: Vec<u64>,
    /// What of the judgements does not fit.
    odd: Oddities,
    /// Queries asked so far, and those that have a judged hit.
    asked: u64,
    queries: u64,
    outside: u64,
    undirected: u64,
    hash: u64,
}

impl Judged {
    fn take(&mut self, query: &JudgedQuery, answer: Result<Answer>, metric: Metric) -> Result<()> {
        self.asked += 1;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.query().is_some_and(|error| error.code == "resolve::no_direction") => {
                self.undirected += 1;
                self.outside += query.grades.len() as u64;
                return Ok(());
            }
            Err(error) => return Err(error.context(format!("query {}", query.id))),
        };
        let mut found = HashSet::new();
        for hit in answer.hits() {
            let Some(&grade) = query.grades.get(hit.id()) else { continue };
            let relevant = grade > 0;
            let score = if metric.is_distance() { -hit.value() } else { hit.value() };
            self.hits.push(JudgedScore { query: self.asked as u32, score, relevant });
            self.ranks.push(hit.rank());
            let key = format!("{}\0{}\0{relevant}", query.id, hit.id());
            self.hash = self.hash.wrapping_add(xxh3_64(key.as_bytes()));
            found.insert(hit.id());
        }
        self.queries += u64::from(!found.is_empty());
        self.outside += (query.grades.len() - found.len()) as u64;
        Ok(())
    }

    /// What was said of first hits alone, and what was so; `None` where there are few, and where there are no others.
    fn first_hits(&self, told: &[f64]) -> Option<(f64, f64, u64)> {
        let of_first = self.hits.iter().zip(told).zip(&self.ranks).filter(|(_, rank)| **rank == 1);
        let first: Vec<(f64, bool)> = of_first.map(|((hit, told), _)| (*told, hit.relevant)).collect();
        if first.len() < LEAST_FIRST || first.len() == self.hits.len() {
            return None;
        }
        let n = first.len() as f64;
        let said = first.iter().map(|(told, _)| told).sum::<f64>() / n;
        let was = first.iter().filter(|(_, relevant)| *relevant).count() as f64 / n;
        Some((said, was, first.len() as u64))
    }

    /// The hits, where they can be fitted.
    fn usable(&self, lens: &str, top: u32) -> Result<&[JudgedScore]> {
        let count = self.hits.len();
        // Judgements of records that are not there lie outside of every answer; they are told apart.
        let gone = self.odd.unknown_records.count;
        let unknown = match gone {
            0 => String::new(),
            _ => format!(
                "; {} that the collection does not have",
                self.odd.unknown_records.text("judgement names a record", "judgements name records")
            ),
        };
        let outside = match self.outside.saturating_sub(gone) {
            0 => unknown,
            n => format!(
                "; {n} more are of records beyond the first {top} hits of their query, which are not shown{unknown}"
            ),
        };
        let hits = if count == 1 { "judged hit".to_string() } else { "judged hits".to_string() };
        if count < LEAST {
            return Err(Error::invalid(format!(
                "{count} {hits}: a calibration of lens {lens} needs at least {LEAST}, better {FEW}{outside}"
            )));
        }
        let relevant = self.hits.iter().filter(|hit| hit.relevant).count();
        if relevant == 0 || relevant == count {
            let what = if relevant == 0 { "none of them is relevant" } else { "all of them are relevant" };
            return Err(Error::invalid(format!(
                "{count} {hits}, and {what}: a probability needs both kinds{}{outside}",
                if relevant == 0 { "" } else { " (judge the hits that are wrong, too, with grade 0)" }
            )));
        }
        if self.queries < 2 {
            return Err(Error::invalid(format!(
                "{count} {hits} of a single query: whether they say anything about others needs at least two"
            )));
        }
        Ok(&self.hits)
    }
}

/// What of the judgements does not fit the collection.
fn odd(snapshot: &Snapshot, collection: &str, queries: &[JudgedQuery]) -> Result<Oddities> {
    let records = snapshot.collection(collection)?;
    let mut qrels = Qrels::new();
    for query in queries {
        for (record, grade) in &query.grades {
            qrels.insert(&query.id, record, *grade);
        }
    }
    Oddities::of(&qrels, Named::default(), |_| true, |record| Ok(records.row_of(record)?.is_some()))
}

/// Warnings that the lens was learned from some of `queries`, or takes numbers from them: on them it does better than
/// on any other.
fn familiar(snapshot: &Snapshot, lens: &LensRecord, queries: &[JudgedQuery]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let known = match Familiar::of_learned(snapshot, &lens.name)? {
        Some(known) => vec![known],
        None => Familiar::of_lens(snapshot, &lens.lens)?,
    };
    for known in known {
        let seen = |query: &&JudgedQuery| {
            let (text, vector, own) = match &query.asked {
                Asked::Text(text) => (text.as_str(), None, None),
                Asked::Vector(vector) => ("", Some(vector.as_slice()), None),
                Asked::Record(id) => ("", None, Some(id.as_str())),
            };
            known.knows(&AskedNow { id: &query.id, text, vector, own })
        };
        let (count, all) = (queries.iter().filter(seen).count(), queries.len());
        warnings.extend((count > 0).then(|| {
            let what = if known.fitted { "the lens was learned from" } else { "the lens takes numbers from" };
            format!(
                "{count} of {all} queries are among those {what}, where it does better than on new ones: probabilities \
                 and the figures above are too sure (judge hits of other queries)"
            )
        }));
    }
    Ok(warnings)
}

fn warnings(judged: &Judged, stored: &Calibration, mut warnings: Vec<String>, collection: &str) -> Vec<String> {
    let no_relevant = judged.odd.without_relevant.count;
    let odd = Oddities { without_relevant: Named::default(), ..judged.odd.clone() };
    warnings.extend(odd.notes(collection));
    if odd.unknown_queries.count > 0 {
        let some = odd.unknown_queries.text("record asks", "records ask");
        warnings.push(format!("{some} that {collection} does not have: not counted"));
    }
    if no_relevant > 0 {
        let some =
            judged.odd.without_relevant.text("query without a relevant record", "queries without a relevant record");
        warnings.push(format!("{some}: all of their hits count as wrong"));
    }
    if judged.queries < FEW_QUERIES {
        let queries = judged.queries;
        warnings.push(format!(
            "{queries} queries are few, however many hits they have, because the hits of one query are alike: the \
             intervals say how far the probabilities may be off ({FEW_QUERIES} queries or more are better)"
        ));
    }
    let count = judged.hits.len();
    if count < FEW {
        warnings.push(format!("{count} judged hits are few: with {FEW} the probabilities are about twice as sure"));
    }
    let relevant = judged.hits.iter().filter(|hit| hit.relevant).count();
    let rarer = relevant.min(count - relevant);
    if rarer < 10 {
        warnings.push(format!("only {rarer} of them are of the rarer kind"));
    }
    if let Some(Reliability { log_loss, base_log_loss, .. }) = &stored.reliability
        && log_loss >= base_log_loss
    {
        warnings.push(
            "on other queries the probabilities are no better than the base rate for every hit: the score says little \
             about relevance among these hits"
                .to_string(),
        );
    }
    warnings
}

/// The calibration error of scores that look like probabilities.
fn raw_ece(metric: Metric, hits: &[JudgedScore]) -> Option<f64> {
    if !matches!(metric, Metric::Cosine | Metric::Pearson) {
        return None;
    }
    let told: Vec<_> = hits.iter().map(|hit| (hit.score.clamp(0.0, 1.0), 0.5, hit.relevant)).collect();
    Some(reliability::reliability(&told).ece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Session;
    use crate::linalg::random::Random;
    use crate::store::{CollectionSpec, NewLabels, Question};
    use crate::types::Record;

    #[test]
    fn labels_of_a_respect_are_judgements() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path().join("s")).unwrap();
        let mut random = Random::new(4);
        let mut batch = store.begin().unwrap();
        batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
        let mut vector = || (0..4).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect::<Vec<f32>>();
        let mut records = batch.collection("c").unwrap();
        for at in 0..40 {
            records.insert(Record::new(format!("r{at}"), "").vector("raw", vector()).field("even", at % 2)).unwrap();
        }
        let mut labels = NewLabels::from_source("by hand");
        for at in 0..20 {
            let question = match at % 2 {
                0 => Question::record(format!("r{at}")),
                _ => Question::new(format!("q{at}")).with_vector("raw", vector()),
            };
            let question = labels.question(question);
            (0..40).filter(|other| *other != at).for_each(|other| labels.say(question, format!("r{other}"), other % 3));
        }
        batch.put_labels("c", "near", &labels).unwrap();
        batch.put_class_respect("c", "even", "even").unwrap();
        batch.commit().unwrap();
        Session::new(&store).run("let l = score euclidean").unwrap();
        let snapshot = store.snapshot().unwrap();
        let judged = judged_of_labels(&snapshot.labels("c", "near").unwrap(), "raw").unwrap();
        assert_eq!((judged.len(), judged[0].grades.len()), (20, 39));
        assert!(matches!(&judged[0].asked, Asked::Record(id) if id == "r0"));
        assert!(matches!(&judged[1].asked, Asked::Vector(vector) if vector.len() == 4));
        let refused = judged_of_labels(&snapshot.labels("c", "even").unwrap(), "raw").unwrap_err();
        assert!(refused.to_string().contains("the values of field even"));
        // Grades that follow the distance: near hits are relevant.
        let graded: Vec<JudgedQuery> = judged
            .into_iter()
            .map(|query| {
                let find = snapshot.find(match &query.asked {
                    Asked::Record(id) => Source::id(id),
                    Asked::Vector(vector) => Source::vector(vector),
                    Asked::Text(text) => Source::text(text),
                });
                let answer = find.in_collection("c").lens(Lens::saved("l")).top(10).run().unwrap();
                let hits = answer.hits().iter().enumerate();
                let grades = hits.map(|(at, hit)| (hit.id().to_string(), i64::from(hit.value() < 0.9 && at != 2)));
                JudgedQuery { grades: grades.collect(), ..query }
            })
            .collect();
        let report = Calibrator::new(&store, "l").calibrate(&graded).unwrap();
        assert_eq!((report.judged.0, report.outside, report.raw_ece), (200, 0, None));
        let snapshot = store.snapshot().unwrap();
        let stored = snapshot.calibration("l").unwrap().unwrap();
        assert_eq!(stored, report.calibration);
        let judged = stored.judged_on.as_ref().unwrap();
        assert_eq!((judged.k, judged.queries), (10, 20));
        assert!(judged.time > 1_700_000_000 && judged.hash != 0);
        // Nearer is more probable.
        let at = |distance: f64| reliability::probability(&stored.map, -distance);
        assert!(at(0.2) > 0.8 && at(1.8) < 0.2, "{stored:?}");
        assert!(stored.reliability.as_ref().unwrap().log_loss < stored.reliability.as_ref().unwrap().base_log_loss);
    }
}
