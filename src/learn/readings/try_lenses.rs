//! Ready-made changes to a lens, held against labels: which of them help here.
//!
//! Owns [`try_lenses`]: what is tried, on which questions, and the table. Nothing is saved and nothing is promoted.
//! What a change takes from questions (`center sides`, `csls`) it takes from other folds than it is held against; what
//! it takes from records needs no labels. All rankings are exact searches over all records.

use super::tried::{Asked, Judged};
use crate::error::{Error, Result};
use crate::exec::scan::{Watched, scan_batch};
use crate::learn::bootstrap::bootstrap;
use crate::lens::PlacedStatistic;
use crate::lens::{Chain, Prepared, ProcessedQuery, Projection, ResolvedStep, RowSource, SampleRows, VectorMetric};
use crate::linalg::random::Random;
use crate::store::{Snapshot, ViewSnapshot};
use crate::types::control::Control;
use crate::types::{Accept, ProjectionDef, Statistic};
use rayon::prelude::*;
use std::sync::Arc;

pub use super::tried::{GivenQuestion, TryLabels};
pub use crate::learn::bootstrap::Interval;

/// Folds of what takes something from questions.
const FOLDS: usize = 5;
/// Hits that count.
const DEPTH: usize = 10;
/// Questions that `csls` compares records with, at most, and that `center sides` takes its mean from.
const REFERENCE: usize = 1_000;
/// Questions below which nothing is tried.
const LEAST: usize = 20;

/// What came of a try.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TryReport {
    /// The collection.
    pub collection: String,
    /// The view.
    pub view: String,
    /// The figure: `MRR@10`, or `P@10` where the labels are classes.
    pub measure: &'static str,
    /// Questions it is over. One that is judged and has no answer that is there counts as 0, as in `evaluate`.
    pub queries: u64,
    /// Questions and pairs that could not take part: without a vector, or about records without one.
    pub left_out: u64,
    /// The plain cosine.
    pub plain: Interval,
    /// What was tried, the best first.
    pub tried: Vec<Tried>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// One lens that was tried.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tried {
    /// Its stages as they would be typed; what names a sample or a projection names one that is to be stored.
    pub stages: String,
    /// Its figure.
    pub mean: f64,
    /// What it does differently from plain cosine on the same questions.
    pub difference: Interval,
    /// Whether it is better beyond doubt: the whole interval of the difference lies above 0.
    pub clear: bool,
    /// Whether it is worse beyond doubt: the whole interval lies below 0.
    pub worse: bool,
}

/// A change to the plain lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Plain,
    CenterCorpus,
    CenterSides,
    Csls,
    Standardize,
    Whiten(Option<usize>),
    Drop(usize),
    Pca(usize),
    /// The mean of unit rows, which long ones do not lead.
    NormalizeCenter,
    Dot,
    Pearson,
}

impl Change {
    /// What is tried in `d` dimensions.
    fn all(dimension: usize) -> Vec<Change> {
        let mut all = vec![Change::CenterCorpus, Change::CenterSides, Change::Csls, Change::Standardize];
        all.push(Change::Whiten(None));
        all.extend([1, 4].into_iter().filter(|k| 2 * k < dimension).map(Change::Drop));
        let parts = [dimension / 6, dimension / 3];
        let parts = parts.into_iter().filter(|k| *k >= 2);
        all.extend(parts.flat_map(|k| [Change::Pca(k), Change::Whiten(Some(k))]));
        all.extend([Change::NormalizeCenter, Change::Dot, Change::Pearson]);
        all
    }

    fn stages(self) -> String {
        match self {
            Change::Plain => "score cosine".to_string(),
            Change::CenterCorpus => "center corpus".to_string(),
            Change::CenterSides => "center sides from SAMPLE".to_string(),
            Change::Csls => "score cosine csls 10 from SAMPLE".to_string(),
            Change::Standardize => "standardize".to_string(),
            Change::Whiten(None) => "whiten".to_string(),
            Change::Whiten(Some(k)) => format!("whiten {k}"),
            Change::Drop(k) => format!("drop {k}"),
            Change::Pca(k) => format!("center corpus | project PCA{k}"),
            Change::NormalizeCenter => "normalize | center corpus".to_string(),
            Change::Dot => "score dot".to_string(),
            Change::Pearson => "score pearson".to_string(),
        }
    }

    /// Whether it takes something from questions.
    fn asks(self) -> bool {
        matches!(self, Change::CenterSides | Change::Csls)
    }
}

/// Tries ready-made changes of the plain lens over one view against labels: centring, `center sides`, `csls`, PCA to
/// fewer dimensions, whitening with its floor, dropped directions, standardizing, other metrics. The same seed gives
/// the same table.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a collection, view or respect that is not there,
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for too few questions that have an answer;
/// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
pub fn try_lenses(
    snapshot: &Snapshot,
    collection: &str,
    view: &str,
    labels: &TryLabels,
    accept: Accept,
    seed: u64,
    control: &Control,
) -> Result<TryReport> {
    let target = snapshot.collection(collection)?;
    let looked_at = target.view_named(view)?;
    let judged = Judged::gather(snapshot, &target, looked_at, labels, seed)?;
    let answered = judged.answered();
    if answered < LEAST {
        return Err(Error::invalid(format!(
            "{answered} questions have an answer with a vector in view {view}: with fewer than {LEAST} every \
             difference is chance"
        )));
    }
    snapshot.install(|| run(collection, looked_at, &judged, accept, seed, control))
}

fn run(
    collection: &str,
    view: &ViewSnapshot,
    judged: &Judged,
    accept: Accept,
    seed: u64,
    control: &Control,
) -> Result<TryReport> {
    let folds = judged.folds(FOLDS, accept, seed);
    let trial = Trial { view, judged, folds: &folds, seed, control };
    let directions = trial.directions()?;
    let plain = trial.figures(Change::Plain, &directions)?;
    let changes = Change::all(view.dimension());
    let total = changes.len() as u64;
    let mut tried = Vec::new();
    for (done, change) in (1..).zip(changes) {
        control.checkpoint()?;
        let figures = trial.figures(change, &directions)?;
        let changes: Vec<f64> = figures.iter().zip(&plain).map(|(figure, plain)| figure - plain).collect();
        let difference = interval(&changes, seed)?;
        let mean = figures.iter().sum::<f64>() / figures.len().max(1) as f64;
        let (clear, worse) = (difference.low > 0.0, difference.high < 0.0);
        tried.push(Tried { stages: change.stages(), mean, clear, worse, difference });
        control.report("lenses", done, Some(total));
    }
    tried.sort_by(|a, b| b.difference.mean.total_cmp(&a.difference.mean));
    let plain = interval(&plain, seed)?;
    let mut notes =
        vec![format!("{} lenses were tried: the best of them looks a little better than it is", tried.len())];
    if tried.iter().all(|tried| !tried.clear) {
        notes.push("no evidence that any of them helps: the plain lens stays".to_string());
    }
    Ok(TryReport {
        collection: collection.to_string(),
        view: view.def().name.clone(),
        measure: if judged.classes { "P@10" } else { "MRR@10" },
        queries: judged.asked.len() as u64,
        left_out: judged.left_out,
        plain,
        tried,
        notes,
    })
}

/// The mean of `values`, of which there are some, with its interval.
fn interval(values: &[f64], seed: u64) -> Result<Interval> {
    bootstrap(values, seed).ok_or_else(|| Error::invalid("no question has a figure"))
}

struct Trial<'a> {
    view: &'a ViewSnapshot,
    judged: &'a Judged,
    /// The fold of each question.
    folds: &'a [usize],
    seed: u64,
    control: &'a Control,
}

impl Trial<'_> {
    /// Mean and principal directions of the records, as `drop` has them: as many as the largest change needs.
    fn directions(&self) -> Result<Vec<f32>> {
        let dimension = self.view.dimension();
        let k = (dimension / 3).max(1);
        let chain = Chain::new(vec![ResolvedStep::Drop(k)], VectorMetric::Cosine, dimension)?;
        let prepared = Prepared::compute(&chain, &Watched::new(self.view, self.control), self.view.present())?;
        let found = prepared.statistics().first().map(|placed: &PlacedStatistic| Arc::clone(&placed.statistic));
        match found.as_deref() {
            Some(Statistic::Directions { directions, .. }) => Ok(directions.iter().map(|&x| x as f32).collect()),
            _ => Ok(Vec::new()),
        }
    }

    /// The figure of every question under a change.
    fn figures(&self, change: Change, directions: &[f32]) -> Result<Vec<f64>> {
        let everything: Vec<usize> = (0..self.judged.asked.len()).collect();
        if !change.asks() {
            return self.ranked(change, None, directions, &everything);
        }
        let mut figures = vec![0.0; everything.len()];
        for fold in 0..FOLDS {
            let (held, others): (Vec<usize>, Vec<usize>) =
                everything.iter().partition(|at| self.folds.get(**at) == Some(&fold));
            if held.is_empty() || others.is_empty() {
                continue;
            }
            let sample = self.sample(others);
            for (at, figure) in held.iter().zip(self.ranked(change, Some(sample), directions, &held)?) {
                if let Some(slot) = figures.get_mut(*at) {
                    *slot = figure;
                }
            }
        }
        Ok(figures)
    }

    fn sample(&self, mut questions: Vec<usize>) -> SampleRows {
        Random::new(self.seed).draw(&mut questions, REFERENCE);
        questions.sort_unstable();
        let rows: Vec<f32> = questions
            .iter()
            .filter_map(|at| self.judged.asked.get(*at))
            .flat_map(|asked| asked.vector.clone())
            .collect();
        SampleRows::new("SAMPLE", self.view.dimension(), rows)
    }

    fn chain(&self, change: Change, sample: Option<SampleRows>, directions: &[f32]) -> Result<Chain> {
        let dimension = self.view.dimension();
        let steps = match (change, sample.clone()) {
            (Change::Plain | Change::Csls | Change::Dot | Change::Pearson, _) => Vec::new(),
            (Change::NormalizeCenter, _) => vec![ResolvedStep::Normalize, ResolvedStep::CenterCorpus],
            (Change::CenterCorpus, _) | (Change::CenterSides, None) => vec![ResolvedStep::CenterCorpus],
            (Change::CenterSides, Some(sample)) => vec![ResolvedStep::CenterSides(sample)],
            (Change::Standardize, _) => vec![ResolvedStep::Standardize],
            (Change::Whiten(k), _) => vec![ResolvedStep::Whiten(k)],
            (Change::Drop(k), _) => vec![ResolvedStep::Drop(k)],
            (Change::Pca(k), _) => {
                let projection = Projection::from_def(&ProjectionDef {
                    name: format!("PCA{k}"),
                    rows: k as u32,
                    columns: dimension as u32,
                    query: directions.get(..k * dimension).unwrap_or_default().to_vec(),
                    record: None,
                    origin: "principal directions".to_string(),
                    fitted_on: None,
                })?;
                vec![ResolvedStep::CenterCorpus, ResolvedStep::Project(projection)]
            }
        };
        let metric = match change {
            Change::Dot => VectorMetric::Dot,
            Change::Pearson => VectorMetric::Pearson,
            _ => VectorMetric::Cosine,
        };
        let chain = Chain::new(steps, metric, dimension)?;
        match (change, sample) {
            (Change::Csls, Some(sample)) => {
                let count = sample.rows().len() / dimension.max(1);
                chain.with_csls(DEPTH.min(count), sample)
            }
            _ => Ok(chain),
        }
    }

    /// The figures of `questions`, ranked over all records.
    fn ranked(
        &self,
        change: Change,
        sample: Option<SampleRows>,
        directions: &[f32],
        questions: &[usize],
    ) -> Result<Vec<f64>> {
        let chain = self.chain(change, sample, directions)?;
        let prepared = Prepared::compute(&chain, &Watched::new(self.view, self.control), self.view.present())?;
        self.control.checkpoint()?;
        let asked: Vec<&Asked> = questions.iter().filter_map(|at| self.judged.asked.get(*at)).collect();
        let process = |asked: &&Asked| {
            let wide: Vec<f64> = asked.vector.iter().map(|&x| f64::from(x)).collect();
            prepared.process(&wide).ok()
        };
        let processed: Vec<Option<ProcessedQuery>> = asked.par_iter().map(process).collect();
        let directed: Vec<ProcessedQuery> = processed.iter().flatten().cloned().collect();
        // One more, for the question that is a record itself.
        let found = scan_batch(self.view, &prepared, &directed, self.view.present(), DEPTH + 1, None)?;
        let mut found = found.into_iter();
        let figure = |(asked, processed): (&&Asked, &Option<ProcessedQuery>)| {
            let hits = if processed.is_some() { found.next().unwrap_or_default().hits } else { Vec::new() };
            let rows = hits.iter().map(|hit| hit.row).filter(|row| Some(*row) != asked.own).take(DEPTH);
            let relevant: Vec<bool> = rows.map(|row| self.judged.is_relevant(asked, row)).collect();
            if self.judged.classes {
                relevant.iter().filter(|relevant| **relevant).count() as f64 / DEPTH as f64
            } else {
                relevant.iter().position(|relevant| *relevant).map_or(0.0, |place| 1.0 / (place + 1) as f64)
            }
        };
        Ok(asked.iter().zip(&processed).map(figure).collect())
    }
}
