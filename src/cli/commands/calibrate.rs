//! `simile calibrate`: how a saved lens's score becomes a probability.
//!
//! Owns the forms in which judgements come, and what is said of the fit: how far to believe it, on queries it was not
//! fitted on.

use super::Run;
use super::evaluate::odd_json;
use super::label::{self, ToJudge};
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::shapes::milliseconds;
use crate::cli::render::text::{count, one_line, safe};
use crate::error::{Error, Result};
use crate::exec::map_text;
use crate::interchange::NpyReader;
use crate::interchange::read_queries;
use crate::interchange::{JudgedBy, read_judged};
use crate::learn::calibrate::{Asked, CalibrationReport, Calibrator, JudgedQuery, LEAST, TOP, judged_of_labels};
use crate::learn::oddities::Oddities;
use crate::query::print_name;
use crate::store::{CANDIDATE, Snapshot, Store};
use crate::types::{Calibration, CalibrationMap, Control, LearnMode, LearnedDef, Reliability};
use clap::{ArgGroup, Args};
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("how").required(true).multiple(true).args(["judged", "respect", "label", "scale"])))]
#[command(group(ArgGroup::new("asking").multiple(true).args(["judged", "label"])))]
pub(in crate::cli) struct Calibrate {
    /// The store
    store: PathBuf,
    /// The saved lens
    lens: String,
    /// Fit it to judged hits: {"query": TEXT, "record": ID, "grade": N} a line, or BEIR's qrels with --queries
    #[arg(long, value_name = "FILE", conflicts_with_all = ["respect", "label", "scale"])]
    judged: Option<PathBuf>,
    /// Fit it to the labels of this respect, as far as they are of first hits
    #[arg(long, value_name = "NAME", conflicts_with = "scale")]
    respect: Option<String>,
    /// The queries that the judgements name, or whose hits are to be judged, as BEIR has them: {"_id": ..., "text":
    /// ...} a line
    #[arg(long, value_name = "queries.jsonl", requires = "asking")]
    queries: Option<PathBuf>,
    /// Vectors of the queries; row i belongs to line i
    #[arg(long, value_name = "V.npy", requires = "queries")]
    query_vectors: Option<PathBuf>,
    /// Count the judgements of so many first hits of each query: as many as are going to be shown
    #[arg(long, value_name = "K", default_value_t = TOP, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    top: u32,
    /// The collection that was judged, where several have the lens's view
    #[arg(long = "in", value_name = "COLLECTION")]
    collection: Option<String>,
    /// Fit it to hits that you judge now, N of them: of --queries, or else of
    /// records drawn at random. They are kept as labels of --respect
    #[arg(long, value_name = "N", conflicts_with = "scale", value_parser = clap::value_parser!(u64).range(1..))]
    label: Option<u64>,
    /// Seed of what is drawn to be judged
    #[arg(long, value_name = "N", default_value = "0", requires = "label")]
    seed: u64,
    /// A of 1 / (1 + exp(-(A * score + B))); positive; a distance counts as minus the distance
    #[arg(long, value_name = "A", requires = "bias", allow_hyphen_values = true)]
    scale: Option<f64>,
    /// B of it
    #[arg(long, value_name = "B", requires = "scale", allow_hyphen_values = true)]
    bias: Option<f64>,
}

impl Run for Calibrate {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        if let (Some(scale), Some(bias)) = (self.scale, self.bias) {
            return self.supplied(console, scale, bias);
        }
        let (queries, odd) = match (&self.judged, self.label, &self.respect) {
            (Some(judged), ..) => self.judged_queries(judged)?,
            (None, Some(number), _) => {
                let respect = self.judge(console, number)?;
                (self.labelled_queries(console, &respect)?, Oddities::default())
            }
            (None, None, Some(respect)) => (self.labelled_queries(console, respect)?, Oddities::default()),
            // The arguments are not accepted without one of these.
            (None, None, None) => (Vec::new(), Oddities::default()),
        };
        self.fit(console, &queries, odd)
    }
}

impl Calibrate {
    fn supplied(&self, console: &mut Console, scale: f64, bias: f64) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let old = store.snapshot()?.calibration(&self.lens)?;
        let mut batch = store.begin()?;
        let calibration = batch.put_calibration(&self.lens, Calibration::supplied(scale, bias))?;
        let commit = batch.commit()?;
        let lens = store.snapshot()?.lens(&self.lens)?.map(|saved| saved.lens).unwrap_or_default();
        if console.json {
            console.document(&json!({
                "lens": self.lens, "version": calibration.lens_version, "metric": lens.metric.as_str(),
                "scale": scale, "bias": bias, "origin": calibration.origin, "replaced": old.is_some(),
                "commit": commit.0,
            }))?;
            return Ok(Outcome::Done);
        }
        let (name, version) = (one_line(&self.lens), calibration.lens_version);
        let map = map_text(&calibration, &lens);
        console.line(format!("lens {name}, version {version}: probability = {map} (commit {commit})"))?;
        self.last_lines(console, old.as_ref())?;
        Ok(Outcome::Done)
    }

    fn last_lines(&self, console: &mut Console, old: Option<&Calibration>) -> Result<()> {
        if let Some(old) = old {
            console.line(format!("in place of: {} of commit {}", one_line(&old.origin), old.commit))?;
        }
        console.line(format!("find ... | using {} | score probability", one_line(&print_name(&self.lens))))
    }

    /// The judgements of a file, by query, with what contradicts and which queries are not there.
    fn judged_queries(&self, path: &Path) -> Result<(Vec<JudgedQuery>, Oddities)> {
        let known = self.known_queries()?;
        let mut odd = Oddities::default();
        let mut missing: HashSet<String> = HashSet::new();
        let mut places: HashMap<JudgedBy, usize> = HashMap::new();
        let mut queries: Vec<JudgedQuery> = Vec::new();
        for line in read_judged(path)? {
            if let (JudgedBy::Id(id), Some(known)) = (&line.query, &known)
                && !known.contains_key(id)
            {
                if missing.insert(id.clone()) {
                    odd.unknown_queries.add(|| id.clone());
                }
                continue;
            }
            let place = match places.get(&line.query) {
                Some(place) => *place,
                None => {
                    queries.push(asked(&line.query, known.as_ref())?);
                    places.insert(line.query, queries.len() - 1);
                    queries.len() - 1
                }
            };
            // The last word counts.
            let Some(query) = queries.get_mut(place) else { continue };
            let before = query.grades.insert(line.record.clone(), line.grade);
            if let Some(before) = before.filter(|before| *before != line.grade) {
                odd.contradicting.add(|| format!("{} {}: {before}, then {}", query.id, line.record, line.grade));
            }
        }
        if queries.is_empty() && !missing.is_empty() {
            let some = odd.unknown_queries.text("query is judged", "queries are judged");
            return Err(Error::not_found(format!("{some}, but none of them is among the queries")));
        }
        if queries.is_empty() {
            return Err(Error::invalid(format!("{} holds no judgements", path.display())));
        }
        Ok((queries, odd))
    }

    /// Has hits of the lens judged, `number` of them, drawn from the first ones of each query; the respect that keeps
    /// them.
    fn judge(&self, console: &mut Console, number: u64) -> Result<String> {
        let store = console.open_writer(&self.store)?;
        let snapshot = store.snapshot()?;
        let Some(lens) = snapshot.lens(&self.lens)? else {
            return Err(store.begin()?.no_such_lens(&self.lens)?);
        };
        let collection = self.calibrator(&store).collection_of(&snapshot, &lens)?;
        // Not the respect it was learned in: labels of that are what the lens does best on, and seldom of wrong hits.
        let respect = self.respect.clone().unwrap_or_else(|| format!("hits of {}", self.learned_as()));
        if self.queries.is_none() && self.last_fit(&snapshot)?.is_some_and(|fit| fit.mode == LearnMode::Pair) {
            return Err(Error::invalid(format!(
                "{} answers questions: give some with --queries that it was not learned from, as it does better on \
                 those than on any other",
                self.lens
            )));
        }
        let asked = ToJudge {
            collection: &collection,
            respect: &respect,
            lens: &self.lens,
            queries: self.queries.as_deref(),
            query_vectors: self.query_vectors.as_deref(),
            depth: self.top,
            number,
            least: LEAST as u64,
            seed: self.seed,
        };
        label::judge(&asked, console, &store)?;
        Ok(respect)
    }

    /// The lens's name without the mark of a candidate.
    fn learned_as(&self) -> &str {
        self.lens.strip_suffix(CANDIDATE).unwrap_or(&self.lens)
    }

    /// The last fit of the lens, where it was learned.
    fn last_fit(&self, snapshot: &Snapshot) -> Result<Option<LearnedDef>> {
        Ok(snapshot.learned(self.learned_as())?.pop())
    }

    fn calibrator(&self, store: &Store) -> Calibrator {
        let calibrator = Calibrator::new(store, &self.lens).top(self.top);
        match &self.collection {
            Some(collection) => calibrator.in_collection(collection),
            None => calibrator,
        }
    }

    /// The judgements that are stored as labels.
    fn labelled_queries(&self, console: &Console, respect: &str) -> Result<Vec<JudgedQuery>> {
        let store = console.open_reader(&self.store)?;
        let snapshot = store.snapshot()?;
        let Some(lens) = snapshot.lens(&self.lens)? else {
            return Err(Error::not_found(format!("there is no lens {:?}", self.lens)));
        };
        let labels = snapshot.labels(&self.calibrator(&store).collection_of(&snapshot, &lens)?, respect)?;
        judged_of_labels(&labels, &lens.lens.view)
    }

    /// The queries of `--queries` by id.
    fn known_queries(&self) -> Result<Option<HashMap<String, Asked>>> {
        let Some(path) = &self.queries else { return Ok(None) };
        let lines = read_queries(path)?;
        let Some(vectors) = &self.query_vectors else {
            return Ok(Some(lines.into_iter().map(|line| (line.id, Asked::Text(line.text))).collect()));
        };
        let mut reader = NpyReader::open(vectors)?;
        if reader.rows() != lines.len() as u64 {
            let (lines, rows) = (lines.len(), reader.rows());
            return Err(Error::invalid(format!("{lines} queries, but {rows} vectors: row i belongs to line i")));
        }
        let mut known = HashMap::with_capacity(lines.len());
        for line in lines {
            let mut row = Vec::new();
            reader.next_row(&mut row)?;
            known.insert(line.id, Asked::Vector(row));
        }
        Ok(Some(known))
    }

    fn fit(&self, console: &mut Console, queries: &[JudgedQuery], odd: Oddities) -> Result<Outcome> {
        let begun = Instant::now();
        let store = console.open_writer(&self.store)?;
        let reporter = console.reporter("scoring judged hits");
        let control = Control::new().on_progress({
            let reporter = reporter.clone();
            move |progress| {
                reporter.total(progress.total.unwrap_or(0));
                reporter.done(progress.done);
            }
        });
        let mut report = self.calibrator(&store).control(control).calibrate(queries)?;
        drop(reporter);
        report.warnings.extend(odd.notes(&report.collection));
        if odd.unknown_queries.count > 0 {
            let some = odd.unknown_queries.text("judged query is", "judged queries are");
            report.warnings.push(format!("{some} not among the queries, and not counted"));
        }
        report.odd.contradicting = odd.contradicting;
        report.odd.unknown_queries.count += odd.unknown_queries.count;
        report.odd.unknown_queries.examples.extend(odd.unknown_queries.examples);
        if console.json {
            console.document(&report_json(&report, begun))?;
            return Ok(Outcome::Done);
        }
        self.print(console, &report)?;
        Ok(Outcome::Done)
    }

    fn print(&self, console: &mut Console, report: &CalibrationReport) -> Result<()> {
        let calibration = &report.calibration;
        let queries = calibration.judged_on.as_ref().map_or(0, |judged| judged.queries);
        let (hits, relevant) = report.judged;
        let outside = match report.outside {
            0 => String::new(),
            outside => format!(" · {} outside the first {}, not counted", count(outside, "judged pair"), self.top),
        };
        console.line(format!(
            "{} among the first {} of {} · {relevant} relevant{outside}",
            count(hits, "judged hit"),
            self.top,
            count(queries, "query")
        ))?;
        let ranks = if self.top == 1 { "rank 1".to_string() } else { format!("ranks 1 to {}", self.top) };
        console.line(format!("fitted for hits of {ranks}: what searches that list so many are to show"))?;
        if report.undirected > 0 {
            console.line(format!("{} without direction under the lens", count(report.undirected, "query")))?;
        }
        let (name, version) = (one_line(&self.lens), calibration.lens_version);
        let map = map_text(calibration, &report.lens.lens);
        console.line(format!("lens {name}, version {version}: probability = {map} (commit {})", report.commit))?;
        if let Some(reliability) = &calibration.reliability {
            self.reliability(console, reliability, report)?;
        }
        for warning in &report.warnings {
            console.line(format!("note: {}", safe(warning)))?;
        }
        self.last_lines(console, report.replaced.as_ref())
    }

    fn reliability(&self, console: &mut Console, reliability: &Reliability, report: &CalibrationReport) -> Result<()> {
        let raw = report.raw_ece.map_or(String::new(), |raw| format!(" (the score itself: {raw:.3})"));
        console.line("on queries that this map was not fitted on (cross-validated):")?;
        console.line(format!(
            "  calibration error {:.3} [{:.3}, {:.3}]{raw} · log-loss {:.3}, of the base rate {:.3}",
            reliability.ece,
            report.ece_interval.0,
            report.ece_interval.1,
            reliability.log_loss,
            reliability.base_log_loss
        ))?;
        console.line(console.style.dim("   said  was     hits".to_string()))?;
        for (said, was, hits) in &reliability.table {
            console.line(format!("  {said:>5.2}  {was:<5.2}  {hits:>5}"))?;
        }
        if let Some((said, was, hits)) = report.first_hits {
            console.line(format!(
                "  of the {} alone: said {said:.2}, was {was:.2}; `--top 1` fits them by themselves",
                count(hits, "first hit")
            ))?;
        }
        Ok(())
    }
}

fn asked(by: &JudgedBy, known: Option<&HashMap<String, Asked>>) -> Result<JudgedQuery> {
    let (id, asked) = match by {
        JudgedBy::Text(text) => (text, Asked::Text(text.clone())),
        JudgedBy::Record(id) => (id, Asked::Record(id.clone())),
        JudgedBy::Id(id) => match known {
            None => {
                let message = format!("the judgements name query {id:?}: say which queries there are with --queries");
                return Err(Error::invalid(message));
            }
            Some(known) => match known.get(id) {
                Some(asked) => (id, asked.clone()),
                None => return Err(Error::not_found(format!("query {id:?} is judged, but not among the queries"))),
            },
        },
    };
    Ok(JudgedQuery { id: id.clone(), asked, grades: HashMap::new() })
}

fn report_json(report: &CalibrationReport, begun: Instant) -> Json {
    let calibration = &report.calibration;
    let (scale, bias, steps) = match &calibration.map {
        CalibrationMap::Logistic { scale, bias } => (Some(*scale), Some(*bias), None),
        CalibrationMap::Isotonic { scores, .. } => (None, None, Some(scores.len())),
    };
    let judged = calibration.judged_on.as_ref();
    let reliability = calibration.reliability.as_ref().map(|found| {
        let table: Vec<Json> = found
            .table
            .iter()
            .map(|(said, was, hits)| json!({"probability": said, "relevant": was, "hits": hits}))
            .collect();
        json!({
            "ece": found.ece, "ece_low": report.ece_interval.0, "ece_high": report.ece_interval.1,
            "log_loss": found.log_loss, "base_log_loss": found.base_log_loss, "table": table,
        })
    });
    let first_hits =
        report.first_hits.map(|(said, was, hits)| json!({"probability": said, "relevant": was, "hits": hits}));
    json!({
        "lens": report.lens.name, "version": calibration.lens_version, "metric": report.lens.lens.metric.as_str(),
        "collection": report.collection,
        "method": if scale.is_some() { "platt" } else { "isotonic" },
        "scale": scale, "bias": bias, "steps": steps, "origin": calibration.origin,
        "judged": report.judged.0, "relevant": report.judged.1, "queries": judged.map(|judged| judged.queries),
        "top": judged.map(|judged| judged.k), "ranks": judged.map(|judged| [1, judged.k]), "first_hits": first_hits,
        "qrels": odd_json(&report.odd), "outside": report.outside, "undirected": report.undirected,
        "raw_ece": report.raw_ece, "reliability": reliability, "warnings": report.warnings,
        "replaced": report.replaced.is_some(), "commit": report.commit.0,
        "seconds": milliseconds(begun.elapsed()) / 1e3,
    })
}
