//! `simile evaluate`: a file of queries answered at once, as a run and as figures.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::answer::header_lines;
use crate::cli::render::text::{count, safe};
use crate::error::{Error, Result};
use crate::exec::{Answer, Param};
use crate::interchange::beir::{QueryLine, read_qrels, read_queries};
use crate::interchange::npy::NpyReader;
use crate::interchange::output::TextFile;
use crate::learn::evaluate::{Qrels, Report, evaluate, run_line};
use clap::Args;
use serde_json::json;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Queries answered in one go; it bounds the answers held at once.
const BATCH: usize = 4096;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Evaluate {
    /// The store
    store: PathBuf,
    /// The search, with $q in the place of the query: 'find $q in notes | top 10'
    statement: String,
    /// Queries as BEIR has them: {"_id": ..., "text": ...} a line
    #[arg(long, value_name = "queries.jsonl")]
    queries: PathBuf,
    /// Vectors of the queries; row i belongs to line i
    #[arg(long, value_name = "queries.npy")]
    query_vectors: Option<PathBuf>,
    /// Judgements: query-id, corpus-id and score with tabs between, after a header line
    #[arg(long, value_name = "qrels.tsv")]
    qrels: Option<PathBuf>,
    /// Write the answers as a TREC run
    #[arg(long, value_name = "out.trec")]
    run: Option<PathBuf>,
}

/// What came of all queries.
#[derive(Default)]
struct Outcomes {
    rankings: Vec<(String, Vec<String>)>,
    /// One answer, for the header.
    sample: Option<Answer>,
    /// Queries that could not be answered, with the reason of the first.
    failed: u64,
    first_failure: Option<String>,
    hits: u64,
    /// Queries that are judged but stand in no line of the queries.
    missing: u64,
}

impl Run for Evaluate {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let queries = read_queries(&self.queries)?;
        if queries.is_empty() {
            return Err(Error::invalid(format!("{} holds no queries", self.queries.display())));
        }
        let qrels = self.qrels.as_deref().map(load_qrels).transpose()?;
        let mut vectors = self.query_vectors.as_deref().map(NpyReader::open).transpose()?;
        if let Some(vectors) = vectors.as_ref().filter(|vectors| vectors.rows() != queries.len() as u64) {
            let (lines, rows) = (queries.len(), vectors.rows());
            return Err(Error::invalid(format!("{lines} queries, but {rows} vectors: row i belongs to line i")));
        }
        let mut run = self.run.as_deref().map(TextFile::create).transpose()?;
        let start = Instant::now();
        let mut outcomes = self.answer(console, &queries, vectors.as_mut(), run.as_mut())?;
        let seconds = start.elapsed().as_secs_f64();
        if let Some(qrels) = &qrels {
            let asked: HashSet<&str> = queries.iter().map(|query| query.id.as_str()).collect();
            outcomes.missing = qrels.queries().filter(|query| !asked.contains(query)).count() as u64;
        }
        if let Some(run) = run {
            run.finish()?;
        }
        let report = qrels.as_ref().map(|qrels| {
            let rankings = outcomes.rankings.iter().map(|(query, ids)| (query.as_str(), ids.as_slice()));
            evaluate(rankings, qrels)
        });
        self.print(console, queries.len() as u64, &outcomes, report.as_ref(), seconds)?;
        Ok(if outcomes.hits > 0 { Outcome::Done } else { Outcome::Nothing })
    }
}

impl Evaluate {
    fn answer(
        &self,
        console: &Console,
        queries: &[QueryLine],
        mut vectors: Option<&mut NpyReader>,
        mut run: Option<&mut TextFile>,
    ) -> Result<Outcomes> {
        let store = console.open_reader(&self.store)?;
        let query = store.snapshot()?.query(&self.statement)?;
        if !query.params().iter().any(|name| name == "q") {
            return Err(Error::invalid("the search needs $q in the place of the query: find $q in COLLECTION | ..."));
        }
        let reporter = console.reporter("answering");
        reporter.total(queries.len() as u64);
        let mut outcomes = Outcomes::default();
        for (chunk_idx, chunk) in queries.chunks(BATCH).enumerate() {
            let mut params = Vec::with_capacity(chunk.len());
            for line in chunk {
                params.push(match &mut vectors {
                    Some(vectors) => Param::Vector(next_vector(vectors)?),
                    None => Param::Text(line.text.clone()),
                });
            }
            for (line, answer) in chunk.iter().zip(query.run_each(&params)?) {
                outcomes.take(line, answer, run.as_deref_mut())?;
            }
            reporter.done((chunk_idx * BATCH + chunk.len()) as u64);
        }
        Ok(outcomes)
    }

    fn print(
        &self,
        console: &mut Console,
        queries: u64,
        outcomes: &Outcomes,
        report: Option<&Report>,
        seconds: f64,
    ) -> Result<()> {
        // An average over no queries is no figure.
        let judged = report.filter(|report| report.judged > 0);
        if console.json {
            let statement = outcomes.sample.as_ref().map_or(self.statement.as_str(), |answer| &answer.statement);
            return console.document(&json!({
                "query": statement,
                "queries": queries,
                "failed": outcomes.failed,
                "missing": outcomes.missing,
                "judged": report.map(|report| report.judged),
                "MRR@10": judged.map(|report| report.mrr_at_10),
                "R@1": judged.map(|report| report.recall_at_1),
                "nDCG@10": judged.map(|report| report.ndcg_at_10),
                "run": self.run.as_ref().map(|path| path.display().to_string()),
                "seconds": (seconds * 1000.0).round() / 1000.0,
            }));
        }
        if let Some(answer) = &outcomes.sample {
            for line in header_lines(&answer.header, Some(&answer.plan), console.style) {
                console.line(line)?;
            }
        }
        if report.is_some() && judged.is_none() {
            console
                .line("note: none of the queries has a relevant record in the judgements: there is nothing to score")?;
        }
        if let Some(report) = judged {
            console.line(format!(
                "MRR@10 {:.4} · R@1 {:.4} · nDCG@10 {:.4} · {} judged",
                report.mrr_at_10,
                report.recall_at_1,
                report.ndcg_at_10,
                count(report.judged as u64, "query")
            ))?;
        }
        if outcomes.missing > 0 {
            console
                .line(format!("note: {} not in the file, and not counted", count(outcomes.missing, "judged query")))?;
        }
        if let Some(reason) = &outcomes.first_failure {
            console.line(format!("{} without an answer: {}", count(outcomes.failed, "query"), safe(reason)))?;
        }
        let rate = queries as f64 / seconds.max(1e-9);
        console.line(format!("{} in {seconds:.1} s ({rate:.0}/s)", count(queries, "query")))?;
        if let Some(path) = &self.run {
            console.line(format!("{} in {}", count(outcomes.hits, "line"), safe(&path.display().to_string())))?;
        }
        Ok(())
    }
}

impl Outcomes {
    /// Takes one query's answer into the run and the rankings; a query that failed alone has an empty ranking.
    fn take(&mut self, line: &QueryLine, answer: Result<Answer>, run: Option<&mut TextFile>) -> Result<()> {
        let mut ids = Vec::new();
        match answer {
            Ok(answer) => {
                if let Some(run) = run {
                    for hit in answer.hits() {
                        let rank = hit.rank() as usize;
                        run.line(&run_line(&line.id, hit.id(), rank, hit.value(), hit.is_distance(), "simile"))?;
                    }
                }
                ids.extend(answer.hits().iter().map(|hit| hit.id().to_string()));
                self.hits += ids.len() as u64;
                self.sample.get_or_insert(answer);
            }
            Err(error) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| format!("{}: {}", line.id, error.message()));
            }
        }
        self.rankings.push((line.id.clone(), ids));
        Ok(())
    }
}

fn load_qrels(path: &Path) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for judgement in read_qrels(path)? {
        qrels.insert(judgement.query, judgement.record, judgement.grade);
    }
    Ok(qrels)
}

fn next_vector(vectors: &mut NpyReader) -> Result<Vec<f32>> {
    let mut row = Vec::new();
    if vectors.next_row(&mut row)? { Ok(row) } else { Err(Error::invalid("the vectors end before the queries")) }
}
