//! What a view's vectors are like, and what that suggests to try.
//!
//! Owns [`diagnose`]: the sample, which figures are looked at, what is usual, and the words for what is not. The
//! figures themselves are `figures`'s. The thresholds were earned on two models: this is advice, and no test of
//! anything. Where the collection has labels, `try_lenses` is the test: advice that they speak against is not given.

use super::figures::{self, NEIGHBOURS, Rows};
use super::try_lenses::{Tried, TryLabels, TryReport, try_lenses};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::embed_texts;
use crate::lens::{RowReader, RowSource};
use crate::linalg::random::Random;
use crate::linalg::stats;
use crate::query::print_name;
use crate::store::{Snapshot, ViewSnapshot};
use crate::types::Accept;
use crate::types::control::Control;

/// Rows that are looked at.
pub const SAMPLE: usize = 20_000;
/// Rows below which shares and neighbours say little.
const FEW: usize = 500;

/// What [`diagnose`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The collection.
    pub collection: String,
    /// The view.
    pub view: String,
    /// Its dimension `d`.
    pub dimension: usize,
    /// Records that have a vector, and how many of them were looked at.
    pub records: u64,
    /// Records that have none.
    pub absent: u64,
    /// See [`Diagnosis::records`].
    pub sampled: u64,
    /// Queries that were looked at, where some were given.
    pub queries: Option<u64>,
    /// The figures, in the order of a table.
    pub findings: Vec<Finding>,
    /// What the labels of the collection say of ready-made lenses, where it has enough of them.
    pub labels: Option<LabelsSay>,
    /// Remarks on the sample.
    pub notes: Vec<String>,
}

/// Labels that advice was held against.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LabelsSay {
    /// The respect.
    pub respect: String,
    /// What they say.
    pub report: TryReport,
}

/// A figure and what it says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// A name that stays: `mean_cosine`.
    pub key: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// The figure.
    pub value: f64,
    /// What is usual, in words; empty where nothing is.
    pub usual: String,
    /// Whether it is not usual.
    pub flag: bool,
    /// What it means, as it is.
    pub means: String,
    /// What to try next, as it would be typed; `None` where there is nothing to do, and where labels say that it is
    /// worse.
    pub try_next: Option<String>,
    /// What else to try.
    pub also: Vec<String>,
    /// What labels say of it.
    pub verdict: Option<Tried>,
    /// The stages that are advised, as [`Tried::stages`] has them.
    stages: Option<&'static str>,
}

/// Queries to hold records against.
#[derive(Debug, Clone, PartialEq)]
pub enum Queries {
    /// Texts, embedded as the view embeds its queries.
    Texts(Vec<String>),
    /// Vectors of the view, `n x d`, row-major.
    Vectors(Vec<f32>),
}

/// Looks at a sample of the vectors of one view, and at queries where there are some. The same sample each time.
///
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// use simile::learn::diagnose::diagnose;
/// use simile::types::Control;
/// use simile::{Record, Store};
/// let store = Store::create(folder.path().join("notes.simile"))?;
/// let mut batch = store.begin()?;
/// for (id, text) in [("n1", "in my pocket"), ("n2", "a cat"), ("n3", "rain"), ("n4", "rain")] {
///     batch.collection("notes")?.insert(Record::new(id, text))?;
/// }
/// batch.commit()?;
/// let diagnosis = diagnose(&store.snapshot()?, "notes", None, None, &Control::new())?;
/// let twins = diagnosis.findings.iter().find(|finding| finding.key == "near_duplicates").unwrap();
/// assert!(twins.flag && twins.value == 0.5);
/// # Ok::<(), simile::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a collection or view that is not there,
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for fewer than two records with a vector and for queries of
/// another dimension; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
pub fn diagnose(
    snapshot: &Snapshot,
    collection: &str,
    view: Option<&str>,
    queries: Option<&Queries>,
    control: &Control,
) -> Result<Diagnosis> {
    let target = snapshot.collection(collection)?;
    let view = view_named(&target, view)?;
    let mut rows: Vec<u32> = view.present().iter().collect();
    let records = rows.len() as u64;
    if records < 2 {
        return Err(Error::invalid(format!(
            "view {} of {collection} has {records} records with a vector: there is nothing to compare",
            view.def().name
        )));
    }
    Random::new(0xd1a6).draw(&mut rows, SAMPLE);
    rows.sort_unstable();
    let dimension = view.dimension();
    let data = read(view, &rows)?;
    let mut words = Words::new(collection, view);
    let asked = queries.map(|queries| vectors_of(view, queries, &mut words.notes)).transpose()?;
    let mut findings = snapshot.install(|| findings(&data, dimension, asked.as_deref(), &words, control))?;
    let absent = target.live().len() - records;
    if absent > 0 {
        words.notes.push(format!(
            "{absent} of {} records have no vector in view {} and are in none of these figures",
            target.live().len(),
            view.def().name
        ));
    }
    let labels = labels_say(snapshot, collection, &view.def().name, control)?;
    if let Some(labels) = &labels {
        findings.iter_mut().for_each(|finding| finding.hold_against(labels));
    }
    if rows.len() < FEW {
        words.notes.push(format!("{} records are few: shares and neighbours say little", rows.len()));
    }
    if (rows.len() as u64) < records {
        words.notes.push(
            "neighbours are looked for within the sample: of all records, more have a near-duplicate".to_string(),
        );
    }
    Ok(Diagnosis {
        collection: collection.to_string(),
        view: view.def().name.clone(),
        dimension,
        records,
        absent,
        sampled: rows.len() as u64,
        queries: asked.map(|asked| (asked.len() / dimension.max(1)) as u64),
        findings,
        labels,
        notes: words.notes,
    })
}

/// What the labels of the collection say of ready-made lenses over the view: those of the respect with the most labels
/// that has enough questions.
fn labels_say(snapshot: &Snapshot, collection: &str, view: &str, control: &Control) -> Result<Option<LabelsSay>> {
    let mut respects = snapshot.respects(collection)?;
    respects.sort_by_key(|respect| std::cmp::Reverse(respect.pairs));
    for respect in respects {
        let labels = TryLabels::Respect(respect.name.clone());
        match try_lenses(snapshot, collection, view, &labels, Accept::NewRecords, 0, control) {
            Ok(report) => return Ok(Some(LabelsSay { respect: respect.name, report })),
            // Too few of them, or none that this view takes: they say nothing.
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The view of that name; without one, `raw` where it has vectors, else the first that has.
fn view_named<'a>(target: &'a crate::store::CollectionSnapshot, name: Option<&str>) -> Result<&'a ViewSnapshot> {
    let has_vectors = |view: &&ViewSnapshot| !view.present().is_empty();
    match name {
        Some(name) => target.view_named(name),
        None => {
            let first = target.views().iter().find(has_vectors);
            first.ok_or_else(|| Error::invalid(format!("no view of {} has a vector yet", target.def().name)))
        }
    }
}

fn read(view: &ViewSnapshot, rows: &[u32]) -> Result<Vec<f32>> {
    let reader = RowReader::new(view);
    let mut data = vec![0.0; rows.len() * view.dimension()];
    for (&row, out) in rows.iter().zip(data.chunks_exact_mut(view.dimension().max(1))) {
        reader.row(row)?.widen_f32(out);
    }
    Ok(data)
}

fn vectors_of(view: &ViewSnapshot, queries: &Queries, notes: &mut Vec<String>) -> Result<Vec<f32>> {
    match queries {
        Queries::Vectors(data) => {
            if data.is_empty() || !data.len().is_multiple_of(view.dimension().max(1)) {
                let (name, dimension) = (&view.def().name, view.dimension());
                return Err(Error::invalid(format!(
                    "view {name} has {dimension} numbers a vector; the queries do not"
                )));
            }
            Ok(data.clone())
        }
        Queries::Texts(texts) => {
            let Some(embedder) = view.embedder()? else {
                let name = &view.def().name;
                let message = format!("view {name} takes vectors, not texts: give them with --query-vectors");
                return Err(Error::invalid(message));
            };
            let mut texts = texts.clone();
            Random::new(0xd1a6).draw(&mut texts, SAMPLE);
            let known: Vec<Vec<f32>> = embed_texts(view, &*embedder, &texts)?.into_iter().flatten().collect();
            if known.is_empty() {
                let name = &view.def().name;
                return Err(Error::invalid(format!(
                    "none of the queries has a vector in view {name}: its embedder knows no word of them"
                )));
            }
            let without = texts.len() - known.len();
            if without > 0 {
                notes.push(format!(
                    "{without} of {} queries hold no word the embedder knows: they have no vector and are left out",
                    texts.len()
                ));
            }
            Ok(known.concat())
        }
    }
}

/// What commands are worded with.
struct Words {
    find: String,
    collection: String,
    view: String,
    notes: Vec<String>,
}

impl Words {
    fn new(collection: &str, view: &ViewSnapshot) -> Self {
        let collection = print_name(collection);
        let view = print_name(&view.def().name);
        Words { find: format!("find ... in {collection} | view {view}"), collection, view, notes: Vec::new() }
    }

    /// A search with these stages behind the view.
    fn stages(&self, stages: &str) -> Option<String> {
        Some(format!("{} | {stages}", self.find))
    }

    /// A search with these stages, which take a sample of queries that has to be stored first.
    fn sampled(&self, stages: &str) -> Option<String> {
        let Words { find, collection, .. } = self;
        Some(format!("simile sample STORE asked --in {collection} --queries queries.jsonl; then {find} | {stages}"))
    }

    /// Whatever helps, held against labels.
    fn gated(&self) -> Option<String> {
        Some(format!("simile try STORE --in {} --view {} --respect R", self.collection, self.view))
    }
}

fn findings(
    data: &[f32],
    dimension: usize,
    asked: Option<&[f32]>,
    words: &Words,
    control: &Control,
) -> Result<Vec<Finding>> {
    let rows = Rows::new(data, dimension);
    control.checkpoint()?;
    let mut found = lengths(&rows, words);
    if rows.is_empty() {
        return Ok(found);
    }
    found.extend(directions(&rows, words));
    found.push(dead_dimensions(data, dimension, words));
    if let Some(asked) = asked {
        found.push(sides(&rows, &Rows::new(asked, dimension), words));
    }
    control.report("figures", 1, Some(3));
    found.extend(spectrum(&rows, words, control)?);
    control.report("figures", 2, Some(3));
    found.extend(neighbours(&rows, words, control)?);
    control.report("figures", 3, Some(3));
    Ok(found)
}

fn finding(key: &'static str, what: &'static str, value: f64, usual: impl Into<String>) -> Finding {
    Finding {
        key,
        what,
        value,
        usual: usual.into(),
        flag: false,
        means: String::new(),
        try_next: None,
        also: Vec::new(),
        verdict: None,
        stages: None,
    }
}

impl Finding {
    /// Flags it, or says what being usual means.
    fn says(mut self, flag: bool, flagged: &str, usual: &str, try_next: Option<String>) -> Self {
        self.flag = flag;
        self.means = if flag { flagged } else { usual }.to_string();
        self.try_next = try_next.filter(|_| flag);
        self
    }

    /// Names the stages that it advises, for the labels' verdict.
    fn advising(mut self, stages: &'static str) -> Self {
        self.stages = Some(stages).filter(|_| self.flag);
        self
    }

    /// Something else to try, where it is flagged.
    fn or_try(mut self, other: Option<String>) -> Self {
        self.also.extend(other.filter(|_| self.flag));
        self
    }

    /// Adds what labels say of the advice; what they call worse is no advice.
    fn hold_against(&mut self, labels: &LabelsSay) {
        let Some(stages) = self.stages else { return };
        let Some(tried) = labels.report.tried.iter().find(|tried| tried.stages == stages) else { return };
        self.verdict = Some(tried.clone());
        if tried.difference.mean < 0.0 {
            self.try_next = if self.also.is_empty() { None } else { Some(self.also.remove(0)) };
        }
    }
}

fn lengths(rows: &Rows, words: &Words) -> Vec<Finding> {
    let bad = rows.not_finite + rows.zero;
    let spread = rows.norm_spread();
    vec![
        finding("zero_rows", "zero rows", bad as f64, "0").says(
            bad > 0,
            "these records have no direction and are never found: their text was empty, or their vector is missing",
            "every record has a direction",
            words.stages("top 1; then show undirected"),
        ),
        finding("norm_spread", "spread of lengths (sd / mean)", spread, "up to 0.02")
            .says(
                spread > 0.02,
                "vectors are not of one length: a mean is that of the long ones, and `score dot` and `score euclidean` \
                 rank differently from cosine, for better or worse: that is for labels to say",
                "vectors are of one length: cosine, dot and euclidean rank alike",
                words.stages("normalize | center corpus"),
            )
            .advising("normalize | center corpus"),
    ]
}

fn directions(rows: &Rows, words: &Words) -> Vec<Finding> {
    let (mean, high, offset) = (rows.mean_cosine(), rows.high_cosine(), rows.offset());
    vec![
        finding("mean_cosine", "mean cosine of random pairs", mean, "up to 0.2")
            .says(
                mean > 0.2,
                "all vectors point much the same way (anisotropic; 0 would be every way): what they share drowns what \
                 tells them apart",
                if mean > 0.05 {
                    "vectors share a little of a direction (0 would be every way)"
                } else {
                    "vectors point every way"
                },
                words.stages("center corpus"),
            )
            .or_try(words.stages("whiten"))
            .advising("center corpus"),
        finding("high_cosine", "99th percentile of it", high, "").says(
            false,
            "",
            &format!("a cosine of {high:.2} is ordinary here: one pair of records in 100 has it by chance"),
            None,
        ),
        finding("offset", "mean coordinate x root of the dimension", offset, "below 0.05")
            .says(
                offset >= 0.05,
                "vectors have an offset: pearson takes it off and ranks differently from cosine",
                "pearson and cosine rank alike",
                words.stages("score pearson"),
            )
            .advising("score pearson"),
    ]
}

fn dead_dimensions(data: &[f32], dimension: usize, words: &Words) -> Finding {
    let deviations = figures::deviations(data, dimension);
    let least = stats::median(&deviations) * 1e-3;
    let dead = deviations.iter().filter(|deviation| **deviation <= least).count();
    finding("dead_dimensions", "dead dimensions (sd below 0.001 of the median)", dead as f64, "0").says(
        dead > 0,
        "these dimensions hardly vary: divided by their own spread they would be noise; `whiten` and `standardize` \
         here have a floor that keeps them dead",
        "every dimension varies",
        words.gated(),
    )
}

fn sides(rows: &Rows, asked: &Rows, words: &Words) -> Finding {
    let differences = rows.mean().into_iter().zip(asked.mean()).map(|(a, b)| a - b).collect::<Vec<_>>();
    let distance = stats::norm(&differences);
    finding("sides", "distance of the queries' mean from the records'", distance, "up to 0.25").says(
        distance > 0.25,
        "queries and records lie in different places: each side less its own mean may match better (it helped on one \
         of two sets and hurt on the other, so hold it against labels)",
        "queries and records lie in the same place",
        words.sampled("center sides from asked"),
    )
    .advising("center sides from SAMPLE")
}

fn spectrum(rows: &Rows, words: &Words, control: &Control) -> Result<Vec<Finding>> {
    let shares = rows.spectrum(control)?;
    // From zero on: the sum of nothing has a sign otherwise.
    let top = |count: usize| shares.iter().take(count).fold(0.0, |sum, share| sum + share);
    let rank = if shares.is_empty() { 0.0 } else { figures::effective_rank(&shares) };
    let quarter = rows.dimension as f64 / 4.0;
    let says = |key, what, value, means: &str| finding(key, what, value, "").says(false, "", means, None);
    Ok(vec![
        says("share_1", "share of the first principal component", top(1), "how much one direction dominates"),
        says("share_5", "share of the first five", top(5), "how much five directions dominate"),
        finding("effective_rank", "effective rank (of the spectrum's entropy)", rank, format!("from {quarter:.0} on"))
            .says(
                rank < quarter,
                "most of the spread is in few directions: fewer dimensions may cost nothing, and whitening gives the \
                 others a say",
                "the spread is in many directions",
                words.stages("whiten"),
            )
            .or_try(words.gated())
            .advising("whiten"),
        says(
            "participation",
            "participation ratio",
            figures::participation_ratio(&shares),
            "as many directions of equal spread would do the same",
        ),
    ])
}

fn neighbours(rows: &Rows, words: &Words, control: &Control) -> Result<Vec<Finding>> {
    let found = rows.neighbours(control)?;
    let (skewness, near, same) = (found.skewness(), found.nearer_than(0.95), found.nearer_than(0.9999));
    let most = format!("the most frequent neighbour is one of {} records' nearest {NEIGHBOURS}", found.most());
    let says = |key, what, value, means: &str| finding(key, what, value, "").says(false, "", means, None);
    let pairs = |bound: &str| Some(format!("pairs in {} | view {} | above {bound}", words.collection, words.view));
    Ok(vec![
        finding("hub_skewness", "skewness of the 10-occurrence", skewness, "up to 1.4")
            .says(
                skewness > 1.4,
                &format!("hubs: some records turn up in very many answers; {most}"),
                &most,
                words.sampled("score cosine csls 10 from asked"),
            )
            .advising("score cosine csls 10 from SAMPLE"),
        says(
            "hub_most",
            "most answers of one record (of 10)",
            f64::from(found.most()),
            "so often the most frequent record is among the nearest 10 of others",
        ),
        says(
            "antihubs",
            "share of records that are nobody's neighbour",
            found.antihubs(),
            "these are in no other record's nearest 10: searching by example does not find them",
        ),
        finding("near_duplicates", "nearest neighbour above 0.95", near, "up to 5 %").says(
            near > 0.05,
            "near-duplicates: they fill answers, and across folds they make every figure look better",
            "few near-duplicates",
            pairs("0.95"),
        ),
        finding("duplicates", "nearest neighbour above 0.9999", same, "up to 5 %").says(
            same > 0.05,
            "many records are the same to this view",
            "few records are the same to this view",
            pairs("0.9999"),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 1500;
    const D: usize = 16;

    /// Rows about every direction, of length 1.
    fn ordinary(seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed);
        // The sum of four is round enough.
        let mut next = || (0..4).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).sum::<f32>();
        unit((0..ROWS * D).map(|_| next()).collect())
    }

    fn unit(mut data: Vec<f32>) -> Vec<f32> {
        for row in data.chunks_exact_mut(D) {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        data
    }

    fn each(data: &mut [f32], change: impl Fn(usize, &mut [f32])) {
        data.chunks_exact_mut(D).enumerate().for_each(|(at, row)| change(at, row));
    }

    fn look(data: &[f32], asked: Option<&[f32]>) -> Vec<Finding> {
        let (find, collection, view) = ("find ... in c".to_string(), "c".to_string(), "raw".to_string());
        let words = Words { find, collection, view, notes: Vec::new() };
        findings(data, D, asked, &words, &Control::default()).unwrap()
    }

    fn flags(data: &[f32]) -> Vec<&'static str> {
        look(data, None).into_iter().filter(|finding| finding.flag).map(|finding| finding.key).collect()
    }

    fn value(found: &[Finding], key: &str) -> f64 {
        found.iter().find(|finding| finding.key == key).unwrap().value
    }

    #[test]
    fn nothing_is_said_of_ordinary_vectors() {
        for seed in [1, 2, 3] {
            assert_eq!(flags(&ordinary(seed)), [""; 0]);
        }
        let found = look(&ordinary(1), Some(&ordinary(9)));
        assert!(found.iter().all(|finding| !finding.flag && finding.try_next.is_none()), "{found:?}");
        assert!(value(&found, "effective_rank") > 14.0 && value(&found, "participation") > 13.0);
        assert!(found.iter().all(|finding| finding.value.is_finite()));
    }

    #[test]
    fn an_offset_is_what_pearson_takes_off() {
        let mut data = ordinary(1);
        each(&mut data, |_, row| row.iter_mut().for_each(|x| *x += 0.06));
        let data = unit(data);
        assert_eq!(flags(&data), ["offset"]);
        assert!((value(&look(&data, None), "offset") - 0.23).abs() < 0.03);
        // A direction that all share and whose coordinates cancel is none.
        let mut data = ordinary(1);
        each(&mut data, |_, row| {
            row.iter_mut().enumerate().for_each(|(i, x)| *x += if i % 2 == 0 { 0.1 } else { -0.1 })
        });
        assert!(!flags(&unit(data)).contains(&"offset"));
    }

    #[test]
    fn a_shared_direction_is_found_and_gone_once_it_is_taken_off() {
        let mut data = ordinary(2);
        each(&mut data, |_, row| {
            row.iter_mut().enumerate().for_each(|(i, x)| *x += if i % 2 == 0 { 0.3 } else { -0.3 })
        });
        let told = look(&unit(data.clone()), None);
        let found = told.iter().find(|finding| finding.key == "mean_cosine").unwrap();
        assert!(found.flag && found.value > 0.5 && found.try_next.as_deref() == Some("find ... in c | center corpus"));
        assert!(value(&told, "high_cosine") > 0.75);
        each(&mut data, |_, row| {
            row.iter_mut().enumerate().for_each(|(i, x)| *x -= if i % 2 == 0 { 0.3 } else { -0.3 })
        });
        assert!(!flags(&data).contains(&"mean_cosine"));
    }

    #[test]
    fn dead_dimensions_are_counted() {
        let mut data = ordinary(3);
        each(&mut data, |at, row| {
            row[2] = 0.125;
            row[7] = 0.125 + 1e-7 * (at % 5) as f32;
            row[8] *= 0.02;
        });
        let found = look(&data, None);
        assert_eq!(value(&found, "dead_dimensions"), 2.0);
        assert!(flags(&data).contains(&"dead_dimensions"));
    }

    #[test]
    fn lengths_are_looked_at_and_rows_without_one() {
        let mut data = ordinary(4);
        each(&mut data, |at, row| row.iter_mut().for_each(|x| *x *= 0.5 + (at % 11) as f32 / 10.0));
        assert_eq!(flags(&data), ["norm_spread"]);
        let mut data = ordinary(4);
        each(&mut data, |at, row| row.iter_mut().for_each(|x| *x *= 3.0 + 0.001 * (at % 3) as f32));
        assert_eq!(flags(&data), [""; 0]);
        each(&mut data, |at, row| {
            row.iter_mut().for_each(|x| {
                if at % 500 == 0 {
                    *x = 0.0
                }
            })
        });
        assert_eq!((flags(&data), value(&look(&data, None), "zero_rows")), (vec!["zero_rows"], 3.0));
        let none = look(&[0.0; 3 * D], None);
        assert!(none.len() == 2 && none[0].flag);
    }

    #[test]
    fn hubs_are_records_near_to_what_all_share() {
        let mut data = ordinary(5);
        // Those with the least of their own are everybody's neighbours.
        each(&mut data, |at, row| {
            let own = if at % 50 == 0 { 0.6 } else { 1.4 };
            row.iter_mut().enumerate().for_each(|(i, x)| *x = *x * own + if i % 2 == 0 { 1.0 } else { -1.0 });
        });
        let found = look(&unit(data), None);
        assert!(value(&found, "hub_skewness") > 1.4 && value(&found, "hub_most") > 40.0, "{found:?}");
        assert!(found.iter().any(|finding| finding.key == "hub_skewness" && finding.flag));
        assert!(value(&look(&ordinary(5), None), "hub_skewness") < 1.0);
    }

    #[test]
    fn near_duplicates_are_told_from_duplicates() {
        let mut data = ordinary(6);
        let copied = data.clone();
        each(&mut data, |at, row| {
            if at % 10 == 1 {
                let own = (at - 1) * D;
                row.copy_from_slice(&copied[own..own + D]);
                row[0] += 0.1;
            }
        });
        let data = unit(data);
        assert_eq!(flags(&data), ["near_duplicates"]);
        assert!((value(&look(&data, None), "near_duplicates") - 0.2).abs() < 0.01);
        let mut data = ordinary(6);
        each(&mut data, |at, row| {
            if at % 10 == 1 {
                row.copy_from_slice(&copied[(at - 1) * D..at * D]);
            }
        });
        assert_eq!(flags(&data), ["near_duplicates", "duplicates"]);
    }

    #[test]
    fn few_directions_are_a_low_rank() {
        let mut data = ordinary(7);
        each(&mut data, |_, row| row.iter_mut().skip(2).for_each(|x| *x *= 0.05));
        let found = flags(&unit(data));
        assert!(found.contains(&"effective_rank"), "{found:?}");
    }

    #[test]
    fn two_sides_with_different_means_are_found() {
        let mut asked = ordinary(8);
        each(&mut asked, |_, row| {
            row.iter_mut().enumerate().for_each(|(i, x)| *x += if i % 2 == 0 { 0.15 } else { -0.15 })
        });
        let found = look(&ordinary(1), Some(&unit(asked)));
        let sides = found.iter().find(|finding| finding.key == "sides").unwrap();
        assert!(sides.flag && sides.value > 0.3 && sides.means.contains("own mean"), "{sides:?}");
        assert!(look(&ordinary(1), None).iter().all(|finding| finding.key != "sides"));
    }
}
