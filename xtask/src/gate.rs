//! Whether the gate says what is so: `learn` is repeated over splits of labelled sets, and every figure it prints is
//! held against the same figure of records, questions and classes that no fit saw.
//!
//! A run takes a set, some labels of it (of all classes, or of half of them; or of classes that were shuffled), learns
//! a lens from them as a user does, and then looks at the rest of the set, which it alone knows the labels of. The
//! truth is the mean over many draws of as many records as the gate ranked among. *Whole* is the collection as it will
//! be: all records that were not labelled, and the share of the first ten that are of the class (of pairs: MRR@10 among
//! all of them).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use rayon::prelude::*;
use simile::learn::{LearnReport, Learner};
use simile::store::{CollectionSpec, NewLabels, Question};
use simile::types::{Accept, Lift};
use simile::{Record, Store};

use crate::Result;
use crate::matrix::{Matrix, dot};
use crate::random::Random;
use crate::sets::{Labels, Set, sets};

/// Draws of a truth.
const DRAWS: usize = 30;
/// Questions of a draw, and of the whole collection, at most.
const ASKED: usize = 300;

/// Rows whose cosine is above this are the same thing said twice, as they are to the gate.
const NEAR_DUPLICATE: f32 = 0.9;

/// What `gate` takes.
#[derive(Args)]
pub struct Options {
    /// The folder with `clinc150`, `debtags`, `nl2bash`, `stackfaq`.
    #[arg(long)]
    data: PathBuf,
    /// Only sets whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
    /// Splits of each set and number of labels.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Only so many labels.
    #[arg(long)]
    labels: Option<usize>,
}

/// A lens as matrices and means.
struct Lens {
    query_mean: Vec<f32>,
    record_mean: Vec<f32>,
    query: Matrix,
    record: Matrix,
}

/// A printed lift and the truth, with the truth's own standard error.
struct Checked {
    lift: Lift,
    truth: f64,
    error: f64,
}

impl Checked {
    /// Whether the printed interval holds the truth.
    fn holds(&self) -> bool {
        self.lift.low <= self.truth && self.truth <= self.lift.high
    }
}

/// One run.
struct Run {
    what: String,
    accepted: bool,
    new: Option<Checked>,
    known: Option<Checked>,
    classes: Option<Checked>,
    /// Difference on the whole collection, and its standard error.
    whole: (f64, f64),
    report: String,
}

/// Repeats `learn` and prints what it said beside what is so.
///
/// # Errors
/// If a set cannot be read, or the library fails.
pub fn print(options: &Options) -> Result<()> {
    let mut runs = Vec::new();
    for set in sets(&options.data, &options.only)? {
        let kinds: &[&str] = match set.labels {
            Labels::Classes(_) => &["all", "half", "shuffled"],
            Labels::Pairs { .. } => &["all", "shuffled"],
        };
        let sizes: &[usize] = match set.labels {
            Labels::Classes(_) => &[100, 200, 500, 1000, 2000],
            Labels::Pairs { .. } => &[100, 300, 1000, 2000],
        };
        for &size in sizes.iter().filter(|size| options.labels.is_none_or(|wanted| wanted == **size)) {
            for kind in kinds {
                // Shuffled labels are the same at any size; whole classes cost what all do.
                if *kind == "shuffled" && size != sizes[1] {
                    continue;
                }
                for seed in 0..options.seeds {
                    if let Some(run) = run(&set, size, kind, seed)? {
                        println!("{}", line(&run));
                        runs.push(run);
                    }
                }
            }
        }
    }
    summary(&runs);
    Ok(())
}

fn line(run: &Run) -> String {
    let shown = |checked: &Option<Checked>| match checked {
        Some(checked @ Checked { lift, truth, error }) => {
            let miss = if checked.holds() { ' ' } else { '!' };
            format!("{:+.3} [{:+.3}, {:+.3}] is {truth:+.3} ({error:.3}){miss}", lift.mean, lift.low, lift.high)
        }
        None => format!("{:41}", "not measured"),
    };
    format!(
        "{:34} {} new {} known {} classes {} whole {:+.3} ({:.3}) {}",
        run.what,
        if run.accepted { "yes" } else { "no " },
        shown(&run.new),
        shown(&run.known),
        shown(&run.classes),
        run.whole.0,
        run.whole.1,
        run.report
    )
}

fn summary(runs: &[Run]) {
    type Pick = fn(&Run) -> Option<&Checked>;
    let picks: [(&str, Pick); 3] = [
        ("new records", |run| run.new.as_ref()),
        ("known records", |run| run.known.as_ref()),
        ("new classes", |run| run.classes.as_ref()),
    ];
    println!(
        "\n| figure | runs | held by the 95 % interval | mean error | mean size of the error |\n| --- | --- | --- | \
         --- | --- |"
    );
    for (name, pick) in picks {
        let found: Vec<&Checked> = runs.iter().filter_map(pick).collect();
        let count = found.len().max(1) as f64;
        let held = found.iter().filter(|one| one.holds()).count();
        let error = found.iter().map(|one| one.lift.mean - one.truth).sum::<f64>() / count;
        let size = found.iter().map(|one| (one.lift.mean - one.truth).abs()).sum::<f64>() / count;
        println!(
            "| {name} | {} | {held} ({:.0} %) | {error:+.4} | {size:.4} |",
            found.len(),
            100.0 * held as f64 / count
        );
    }
    let accepted: Vec<&Run> = runs.iter().filter(|run| run.accepted).collect();
    let is_lost = |truth: f64, error: f64| truth < -1.96 * error;
    let worse = |run: &&&Run| {
        is_lost(run.whole.0, run.whole.1) || run.new.as_ref().is_some_and(|new| is_lost(new.truth, new.error))
    };
    let harmed: Vec<&str> = accepted.iter().filter(worse).map(|run| run.what.as_str()).collect();
    let strong: Vec<&Run> = runs.iter().filter(|run| run.new.as_ref().is_some_and(|new| new.truth >= 0.05)).collect();
    let taken = strong.iter().filter(|run| run.accepted).count();
    println!("\n{} of {} accepted; accepted though worse in truth: {harmed:?}", accepted.len(), runs.len());
    println!("true lift of .05 or more: {taken} of {} accepted", strong.len());
    let shuffled: Vec<&Run> = runs.iter().filter(|run| run.what.contains("shuffled")).collect();
    println!("shuffled: {} of {} refused", shuffled.iter().filter(|run| !run.accepted).count(), shuffled.len());
}

fn run(set: &Set, size: usize, kind: &str, seed: u64) -> Result<Option<Run>> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ size as u64 ^ 0x5bd1_e995);
    let what = format!("{} {size} {kind} {seed}", set.name);
    let folder = std::env::temp_dir().join(format!("simile-gate-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let found = match &set.labels {
        Labels::Classes(classes) => of_classes(set, classes, (size, kind), &mut random, &folder, what),
        Labels::Pairs { queries, answers } => of_pairs(set, queries, answers, (size, kind), &mut random, &folder, what),
    };
    let _ = std::fs::remove_dir_all(&folder);
    found
}

fn of_classes(
    set: &Set,
    classes: &[Vec<usize>],
    (size, kind): (usize, &str),
    random: &mut Random,
    folder: &Path,
    what: String,
) -> Result<Option<Run>> {
    let count = classes.iter().flatten().max().map_or(0, |class| class + 1);
    let mut order: Vec<usize> = (0..count).collect();
    random.shuffle(&mut order);
    let new: HashSet<usize> =
        if kind == "half" { order.split_off(count / 2).into_iter().collect() } else { HashSet::new() };
    let all_in = |row: &usize, of_new: bool| classes[*row].iter().all(|class| new.contains(class) == of_new);
    let mut old: Vec<usize> = (0..set.records.rows()).filter(|row| all_in(row, false)).collect();
    random.shuffle(&mut old);
    if old.len() < size + 300 {
        return Ok(None);
    }
    let unseen = old.split_off(size);
    let labelled = old;
    // What was labelled in another guise was seen.
    let unseen = not_near(&unseen, &set.records, &set.records.pick(&labelled));
    let mut shown: Vec<Vec<usize>> = labelled.iter().map(|row| classes[*row].clone()).collect();
    if kind == "shuffled" {
        random.shuffle(&mut shown);
    }
    let store = Store::create(folder)?;
    let mut batch = store.begin()?;
    let mut things = batch.create_collection("things", CollectionSpec::new().supplied_vectors())?;
    let given: HashMap<usize, &Vec<usize>> = labelled.iter().copied().zip(&shown).collect();
    for row in 0..set.records.rows() {
        let mut record = Record::new(format!("r{row}"), "").vector("raw", set.records.row(row).to_vec());
        if let Some(classes) = given.get(&row) {
            let names: Vec<String> = classes.iter().map(|class| format!("c{class}")).collect();
            record = record.field("class", names);
        }
        things.insert(record)?;
    }
    batch.put_class_respect("things", "lens", "class")?;
    batch.commit()?;
    let (report, seconds) = learned(&store)?;
    let lens = lens(&store, &report, set, None)?;
    let figures = &report.figures;
    let of = |row: usize| given.get(&row).map_or(&classes[row], |classes| *classes);
    let share = |a: usize, b: usize| of(a).iter().any(|class| of(b).contains(class));
    let rows = Sides { set, lens: &lens, queries: &set.records };
    let mut gains = Vec::new();
    for _ in 0..DRAWS {
        let pool = random.draw(&unseen, figures.new_pool as usize);
        gains.extend(rows.gains(&pool[..pool.len().min(ASKED)], &pool, true, &share, Figure::Map));
    }
    let asked = |count: usize| &unseen[..unseen.len().min(count)];
    let known = &labelled[..labelled.len().min(figures.known_pool as usize)];
    let known = rows.gains(asked(5 * ASKED), known, true, &share, Figure::Map);
    let whole = estimated(&rows.gains(asked(2 * ASKED), &unseen, true, &share, Figure::Ten));
    let mut class_truth = || class_truth(set, classes, &new, &rows, figures.classes_pool as usize, &shown, random);
    // Of shuffled labels there is no other record that bears one.
    let has_truth = kind != "shuffled";
    Ok(Some(Run {
        what,
        accepted: report.fit.accepted,
        new: report.fit.new_records.filter(|_| has_truth).map(|lift| checked(lift, &gains)),
        known: report.fit.known_records.filter(|_| has_truth).map(|lift| checked(lift, &known)),
        classes: figures.new_classes.filter(|_| kind == "half").map(|lift| checked(lift, &class_truth())),
        whole,
        report: described(&report, seconds),
    }))
}

fn checked(lift: Lift, gains: &[(usize, f64)]) -> Checked {
    let (truth, error) = estimated(gains);
    Checked { lift, truth, error }
}

/// Those of `which` whose unit row in `of` is not one of `rows` said again.
fn not_near(which: &[usize], of: &Matrix, rows: &Matrix) -> Vec<usize> {
    let products = of.pick(which).times(&rows.transposed());
    let is_new = |at: &usize| products.row(*at).iter().all(|cosine| *cosine <= NEAR_DUPLICATE);
    (0..which.len()).filter(is_new).map(|at| which[at]).collect()
}

/// As many records of as many classes as the gate left out at a time, of classes of which none was labelled.
fn class_truth(
    set: &Set,
    classes: &[Vec<usize>],
    new: &HashSet<usize>,
    rows: &Sides<'_>,
    pool: usize,
    shown: &[Vec<usize>],
    random: &mut Random,
) -> Vec<(usize, f64)> {
    let labelled: HashSet<usize> = shown.iter().flatten().copied().collect();
    let at_once = (labelled.len() / (labelled.len() / 2).clamp(1, 3)).min(new.len());
    let mut names: Vec<usize> = new.iter().copied().collect();
    names.sort_unstable();
    let share = |a: usize, b: usize| classes[a].iter().any(|class| classes[b].contains(class));
    let mut gains = Vec::new();
    for number in 0..2 * DRAWS {
        random.shuffle(&mut names);
        let held: HashSet<usize> = names[..at_once].iter().copied().collect();
        let from: Vec<usize> =
            (0..set.records.rows()).filter(|row| classes[*row].iter().all(|class| held.contains(class))).collect();
        let pool = random.draw(&from, pool);
        let found = rows.gains(&pool[..pool.len().min(ASKED)], &pool, true, &share, Figure::Map);
        // Every draw counts the same, as every part of the classes does.
        gains.extend((!found.is_empty()).then(|| (number, estimated(&found).0)));
    }
    gains
}

fn of_pairs(
    set: &Set,
    queries: &Matrix,
    answers: &[Vec<usize>],
    (size, kind): (usize, &str),
    random: &mut Random,
    folder: &Path,
    what: String,
) -> Result<Option<Run>> {
    // Whole components of questions and answers are labelled or not, as far as that gives enough.
    let mut by_answer: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (query, answers) in answers.iter().enumerate() {
        answers.first().iter().for_each(|first| by_answer.entry(**first).or_default().push(query));
    }
    let mut groups: Vec<Vec<usize>> = by_answer.into_values().collect();
    random.shuffle(&mut groups);
    let (mut trained, mut same, mut other) = (Vec::new(), Vec::new(), Vec::new());
    let half = groups.len() / 2;
    for (at, mut group) in groups.into_iter().enumerate() {
        random.shuffle(&mut group);
        if at < half && trained.len() < size {
            // Some questions about the same answers are kept: new questions about known records.
            let kept = group.len().div_ceil(2).min(size - trained.len());
            same.extend(group.split_off(kept));
            trained.extend(group);
        } else if at >= half {
            other.extend(group);
        }
    }
    if trained.len() < size * 9 / 10 || other.len() < 100 {
        return Ok(None);
    }
    let mut shown: Vec<Vec<usize>> = trained.iter().map(|query| answers[*query].clone()).collect();
    if kind == "shuffled" {
        random.shuffle(&mut shown);
    }
    let store = Store::create(folder)?;
    let mut batch = store.begin()?;
    let mut things = batch.create_collection("things", CollectionSpec::new().supplied_vectors())?;
    for row in 0..set.records.rows() {
        things.insert(Record::new(format!("r{row}"), "").vector("raw", set.records.row(row).to_vec()))?;
    }
    let mut labels = NewLabels::from_source("xtask");
    for (query, answers) in trained.iter().zip(&shown) {
        let question = Question::new(format!("q{query}")).with_vector("raw", queries.row(*query).to_vec());
        let asked = labels.question(question);
        answers.iter().for_each(|row| labels.say(asked, format!("r{row}"), 1));
    }
    batch.put_labels("things", "lens", &labels)?;
    batch.commit()?;
    let (report, seconds) = learned(&store)?;
    let lens = lens(&store, &report, set, Some((queries, &trained)))?;
    let rows = Sides { set, lens: &lens, queries };
    let answered = |query: usize, row: usize| answers[query].contains(&row);
    let seen: HashSet<usize> = shown.iter().flatten().copied().collect();
    let unseen: Vec<usize> = (0..set.records.rows()).filter(|row| !seen.contains(row)).collect();
    let all: Vec<usize> = (0..set.records.rows()).collect();
    random.shuffle(&mut other);
    // What was labelled in another guise was seen.
    let asked_of = queries.pick(&trained);
    let mut other = not_near(&other, queries, &asked_of);
    let same = not_near(&same, queries, &asked_of);
    other.truncate(3 * ASKED);
    let mut gains = Vec::new();
    let pool = (report.figures.new_pool as usize).min(unseen.len());
    let asked: Vec<usize> =
        other.iter().copied().filter(|query| answers[*query].iter().all(|row| !seen.contains(row))).collect();
    for asked in asked.chunks(asked.len().div_ceil(4).max(1)) {
        let needed: HashSet<usize> = asked.iter().flat_map(|query| answers[*query].iter().copied()).collect();
        let others: Vec<usize> = unseen.iter().copied().filter(|row| !needed.contains(row)).collect();
        let mut rows_of: Vec<usize> = random.draw(&others, pool.saturating_sub(needed.len()));
        rows_of.extend(needed);
        gains.extend(rows.gains(asked, &rows_of, false, &answered, Figure::First));
    }
    let known = rows.gains(&same, &all, false, &answered, Figure::First);
    let whole = estimated(&rows.gains(&asked, &all, false, &answered, Figure::First));
    let has_truth = kind != "shuffled";
    Ok(Some(Run {
        what,
        accepted: report.fit.accepted,
        new: report.fit.new_records.filter(|_| has_truth).map(|lift| checked(lift, &gains)),
        known: report.fit.known_records.filter(|_| known.len() >= 100 && has_truth).map(|lift| checked(lift, &known)),
        classes: report.figures.new_classes.filter(|_| has_truth).map(|lift| checked(lift, &gains)),
        whole,
        report: described(&report, seconds),
    }))
}

fn learned(store: &Store) -> Result<(LearnReport, f64)> {
    let begun = Instant::now();
    let learner = Learner::new(store, "lens").in_collection("things").accept(Accept::NewRecords);
    let report = learner.run()?;
    Ok((report, begun.elapsed().as_secs_f64()))
}

fn described(report: &LearnReport, seconds: f64) -> String {
    let pools = (report.figures.new_pool, report.figures.classes_pool);
    let near = report.figures.nearest.map_or(String::new(), |nearest| format!(" near {nearest:+.3}"));
    let z = report.fit.new_records.map_or(0.0, |lift| lift.z);
    let validation = report.fit.validation.map_or(0.0, |(_, fitted)| fitted);
    format!(
        "{:?} {} validated {validation:.3} z {z:.1}{near} pools {pools:?} {seconds:.1} s",
        report.fit.method, report.setting
    )
}

fn lens(store: &Store, report: &LearnReport, set: &Set, asked: Option<(&Matrix, &[usize])>) -> Result<Lens> {
    let snapshot = store.snapshot()?;
    let def = snapshot.projection(&report.name)?.ok_or("the lens has no projection")?;
    let columns = def.columns as usize;
    let record_mean = set.records.mean();
    let query_mean = asked.map_or_else(|| record_mean.clone(), |(queries, rows)| queries.pick(rows).mean());
    let record = def.record.clone().unwrap_or_else(|| def.query.clone());
    Ok(Lens {
        query_mean,
        record_mean,
        query: Matrix::new(columns, def.query.clone()),
        record: Matrix::new(columns, record),
    })
}

/// What is ranked by.
#[derive(Clone, Copy)]
enum Figure {
    /// Average precision.
    Map,
    /// The share of the first ten.
    Ten,
    /// 1 / rank of the first answer among ten.
    First,
}

/// Questions and records under a lens and plain.
struct Sides<'a> {
    set: &'a Set,
    lens: &'a Lens,
    queries: &'a Matrix,
}

impl Sides<'_> {
    /// Questions that have an answer in `pool`, with the figure under the lens less that under plain cosine. Where
    /// `same`, questions are records and do not find themselves.
    fn gains(
        &self,
        asked: &[usize],
        pool: &[usize],
        same: bool,
        answers: &(dyn Fn(usize, usize) -> bool + Sync),
        figure: Figure,
    ) -> Vec<(usize, f64)> {
        let records = self.set.records.pick(pool);
        let learned = moved(&records, &self.lens.record_mean, &self.lens.record);
        let plain = self.queries.pick(asked);
        let through = moved(&plain, &self.lens.query_mean, &self.lens.query);
        let found = asked.par_iter().enumerate().map(|(place, &query)| {
            let is_answer: Vec<bool> = pool.iter().map(|&row| !(same && row == query) && answers(query, row)).collect();
            if !is_answer.contains(&true) {
                return None;
            }
            let own = pool.iter().position(|&row| same && row == query);
            let score = |asked: &[f32], rows: &Matrix| {
                let mut hits: Vec<(f32, bool)> = (0..pool.len())
                    .filter(|at| Some(*at) != own)
                    .map(|at| (dot(asked, rows.row(at)), is_answer[at]))
                    .collect();
                hits.sort_by(|a, b| b.0.total_cmp(&a.0));
                value(&hits, figure)
            };
            Some((query, score(through.row(place), &learned) - score(plain.row(place), &records)))
        });
        found.collect::<Vec<_>>().into_iter().flatten().collect()
    }
}

fn value(hits: &[(f32, bool)], figure: Figure) -> f64 {
    let ranks = hits.iter().enumerate().filter(|(_, (_, hit))| *hit).map(|(at, _)| at + 1);
    match figure {
        Figure::Ten => ranks.take_while(|rank| *rank <= 10).count() as f64 / 10.0,
        Figure::First => ranks.take(1).find(|rank| *rank <= 10).map_or(0.0, |rank| 1.0 / rank as f64),
        Figure::Map => {
            let precisions: Vec<f64> = ranks.enumerate().map(|(at, rank)| (at + 1) as f64 / rank as f64).collect();
            mean(&precisions)
        }
    }
}

/// Unit rows less a mean, multiplied with a matrix, made unit again.
fn moved(rows: &Matrix, mean: &[f32], matrix: &Matrix) -> Matrix {
    let mut centred = rows.clone();
    centred.subtract_from_rows(mean);
    centred.normalize_rows();
    let mut out = centred.times(&matrix.transposed());
    out.normalize_rows();
    out
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len() as f64).max(1.0)
}

/// The mean of all gains, and its standard error over questions.
fn estimated(gains: &[(usize, f64)]) -> (f64, f64) {
    let mut by_question: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (question, gain) in gains {
        let sum = by_question.entry(*question).or_default();
        *sum = (sum.0 + gain, sum.1 + 1.0);
    }
    let count = gains.len().max(1) as f64;
    let mean = by_question.values().map(|(sum, _)| sum).sum::<f64>() / count;
    let spread: f64 = by_question.values().map(|(sum, size)| (sum - mean * size).powi(2)).sum();
    (mean, spread.sqrt() / count)
}
