//! `simile evaluate`: questions answered at once, as a run and as figures, through one lens or several side by side.
//!
//! Owns the arguments, where questions and judgements come from, and the order of work: each batch of questions goes
//! through every lens. Figures are `learn/measure`'s, what is shown is `report`'s.

mod questions;
mod report;
mod side;

use self::questions::Questions;
use self::report::Report;
pub(super) use self::report::odd_json;
use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::error::{Error, Result};
use crate::interchange::output::{TextFile, publish};
use crate::learn::familiar::Familiar;
use crate::learn::measure::{Measure, measure};
use crate::learn::oddities::Named;
use crate::query::ast::{LensBase, LensExpr, Statement};
use crate::query::{parse, print};
use crate::store::Snapshot;
use crate::types::Metric;
use clap::Args;
use side::Side;
use std::path::PathBuf;
use std::time::Instant;

/// Questions answered in one go; it bounds the answers held at once.
const BATCH: usize = 4096;
/// What a search lists where it does not say.
const DEFAULT_TOP: usize = 10;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Evaluate {
    /// The store
    store: PathBuf,
    /// The search, with $q in the place of the query: 'find $q in notes | top 10'
    statement: String,
    /// Queries as BEIR has them: {"_id": ..., "text": ...} a line
    #[arg(long, value_name = "queries.jsonl", required_unless_present = "respect")]
    queries: Option<PathBuf>,
    /// Vectors of the queries; row i belongs to line i
    #[arg(long, value_name = "queries.npy", requires = "queries")]
    query_vectors: Option<PathBuf>,
    /// Judgements: query-id, corpus-id and score with tabs between, after a header line
    #[arg(long, value_name = "qrels.tsv", requires = "queries")]
    qrels: Option<PathBuf>,
    /// Ask and judge by the labels that are stored in this respect
    #[arg(long, value_name = "NAME", conflicts_with_all = ["queries", "qrels"])]
    respect: Option<String>,
    /// Another search, or a saved lens (or `plain`) to put in the place of the first one's: both are compared query by
    /// query. May be given more than once
    #[arg(long, value_name = "SEARCH or LENS")]
    against: Vec<String>,
    /// Depths of the figures, as in `--at 1,10,100`
    #[arg(long, value_name = "K", value_delimiter = ',', default_value = "10",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    at: Vec<u32>,
    /// Ask only the queries that are judged
    #[arg(long)]
    judged_only: bool,
    /// Leave the record whose id is the query's out of the answers, as where the queries are records
    #[arg(long)]
    exclude_own_id: bool,
    /// Write the answers as a TREC run; given once for each search, in their order
    #[arg(long, value_name = "out.trec")]
    run: Vec<PathBuf>,
}

impl Run for Evaluate {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        if self.run.len() > self.against.len() + 1 {
            let message = format!("{} runs for {} searches", self.run.len(), self.against.len() + 1);
            return Err(Error::invalid(message));
        }
        let snapshot = console.open_reader(&self.store)?.snapshot()?;
        let mut sides = self.sides(&snapshot)?;
        let mut questions = self.questions(&snapshot)?;
        if questions.may_find_themselves() {
            sides.iter_mut().try_for_each(|side| side.deepen(&snapshot))?;
        }
        let reporter = console.reporter("answering");
        reporter.total(questions.len() as u64);
        let mut done = 0;
        while done < questions.len() {
            let end = questions.len().min(done + BATCH);
            let params = questions.params(done..end)?;
            for side in &mut sides {
                let start = Instant::now();
                for (idx, answer) in (done..end).zip(side.query.run_each(&params)?) {
                    side.take(&questions, idx, answer)?;
                }
                side.seconds += start.elapsed().as_secs_f64();
            }
            done = end;
            reporter.done(done as u64);
        }
        drop(reporter);
        let hits: u64 = sides.iter().map(|side| side.hits).sum();
        let runs = sides.iter_mut().filter_map(|side| side.run.take());
        publish(runs.map(TextFile::finish).collect::<Result<Vec<_>>>()?)?;
        let warnings = familiar(&snapshot, &mut questions, &sides)?;
        self.report(&questions, &sides, warnings).print(console)?;
        let found = hits > 0 && !questions.odd.is_hopeless();
        Ok(if found { Outcome::Done } else { Outcome::Nothing })
    }
}

impl Evaluate {
    fn sides(&self, snapshot: &Snapshot) -> Result<Vec<Side>> {
        let mut runs = self.run.iter();
        let mut sides = Vec::new();
        for (idx, asked) in std::iter::once(&self.statement).chain(&self.against).enumerate() {
            let text = if idx == 0 || is_search(asked) { asked.clone() } else { self.through(snapshot, asked)? };
            let query = snapshot.query(&text)?;
            if !query.params().iter().any(|name| name == "q") {
                let message = "the search needs $q in the place of the query: find $q in COLLECTION | ...";
                return Err(Error::invalid(message));
            }
            let run = runs.next().map(|path| TextFile::create(path)).transpose()?;
            sides.push(Side {
                asked: asked.clone(),
                statement: query.statement().to_string(),
                window: window_of(query.statement()),
                query,
                run,
                rankings: Vec::new(),
                sample: None,
                failed: 0,
                first_failure: None,
                wordless: Named::default(),
                hits: 0,
                seconds: 0.0,
            });
        }
        Ok(sides)
    }

    /// The first search with another lens in the place of its own; `plain`, unless a lens is named so, is the same view
    /// by cosine.
    fn through(&self, snapshot: &Snapshot, lens: &str) -> Result<String> {
        let Statement::Find(mut find) = parse(&self.statement)? else {
            return Err(Error::invalid("the first search is a `find`"));
        };
        let base = if lens == "plain" && snapshot.lens(lens)?.is_none() {
            match &find.lens.base {
                LensBase::Using(saved) => {
                    let view = snapshot.lens(&saved.node)?.map_or("raw".to_string(), |saved| saved.lens.view);
                    LensBase::View(view.into())
                }
                LensBase::View(view) => LensBase::View(view.clone()),
                LensBase::Default | LensBase::Blend(_) => LensBase::Default,
            }
        } else {
            LensBase::Using(lens.to_string().into())
        };
        let metric = matches!(base, LensBase::View(_)).then(|| Metric::Cosine.into());
        find.lens = LensExpr { base, metric, ..LensExpr::default() };
        Ok(print(&Statement::Find(find)))
    }

    fn questions(&self, snapshot: &Snapshot) -> Result<Questions> {
        let mut questions = match (&self.respect, &self.queries) {
            (Some(respect), _) => Questions::from_labels(snapshot, &self.statement, respect)?,
            (None, Some(queries)) => {
                Questions::from_files(queries, self.query_vectors.as_deref(), self.qrels.as_deref())?
            }
            (None, None) => return Err(Error::invalid("what is asked? --queries FILE or --respect NAME")),
        };
        if self.judged_only {
            questions.keep_judged();
        }
        if self.exclude_own_id {
            questions.exclude_own_ids();
        }
        if let Ok(Statement::Find(find)) = parse(&self.statement) {
            questions.look_at(snapshot, &find.collection.node)?;
        }
        if questions.len() == 0 {
            return Err(Error::invalid("there is nothing to ask: no query is judged"));
        }
        Ok(questions)
    }

    /// The figures that are asked for, the first depth's first, and those that old fields name.
    fn measures(&self) -> Vec<Measure> {
        let mut measures: Vec<Measure> = self.at.iter().flat_map(|&k| Measure::at(k as usize)).collect();
        measures.extend([Measure::FirstHit, Measure::Map]);
        let mut seen = Vec::new();
        measures.retain(|measure| {
            let is_new = !seen.contains(measure);
            seen.push(*measure);
            is_new
        });
        measures
    }

    fn report<'a>(&'a self, questions: &'a Questions, sides: &'a [Side], warnings: Vec<String>) -> Report<'a> {
        let shown = self.measures();
        let mut all = shown.clone();
        all.extend([Measure::Mrr(10), Measure::Ndcg(10)].into_iter().filter(|old| !shown.contains(old)));
        let figures = questions
            .qrels
            .as_ref()
            .map(|qrels| sides.iter().map(|side| measure(&side.rankings, qrels, &all, 0)).collect());
        let deepest = u64::from(self.at.iter().copied().max().unwrap_or(0));
        let too_short: Vec<&str> = sides
            .iter()
            .filter(|side| questions.qrels.is_some() && (side.window.1 as u64) < deepest)
            .map(|side| side.asked.as_str())
            .collect();
        Report { sides, questions, runs: &self.run, shown, figures, warnings, too_short, deepest }
    }
}

/// Whether the text is a statement and not the name of a lens.
fn is_search(text: &str) -> bool {
    text.trim_start().split(char::is_whitespace).next().is_some_and(|word| word.eq_ignore_ascii_case("find"))
}

/// How many hits a search skips, and how many it lists.
fn window_of(statement: &str) -> (usize, usize) {
    let Ok(Statement::Find(find)) = parse(statement) else { return (0, DEFAULT_TOP) };
    let count = |written: Option<u64>, default| written.map_or(default, |count| count as usize);
    let (skip, top) = (find.output.skip.map(|skip| skip.node), find.output.top.map(|top| top.node));
    (count(skip, 0), count(top, DEFAULT_TOP))
}

/// What each search's lens has seen of the questions before, as warnings.
fn familiar(snapshot: &Snapshot, questions: &mut Questions, sides: &[Side]) -> Result<Vec<String>> {
    let mut warnings: Vec<String> = Vec::new();
    for answer in sides.iter().filter_map(|side| side.sample.as_ref()) {
        for known in Familiar::of(snapshot, &answer.header)? {
            let (seen, asked) = questions.count_known(&known)?;
            warnings.extend(known.warning(seen, asked).filter(|warning| !warnings.contains(warning)));
        }
    }
    Ok(warnings)
}
