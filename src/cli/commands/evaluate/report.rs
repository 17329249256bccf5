//! What `evaluate` found, for a person and as JSON.
//!
//! Owns the wording; every figure comes from `learn/measure`.

use super::questions::Questions;
use super::side::Side;
use crate::cli::console::Console;
use crate::cli::render::answer::header_lines;
use crate::cli::render::table::{Column, lines};
use crate::cli::render::text::{count, one_line, safe, signed_interval, thousands};
use crate::error::Result;
use crate::learn::bootstrap::Interval;
use crate::learn::measure::{Difference, Measure, Measurement, difference};
use crate::learn::oddities::{Named, Oddities};
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;

/// Questions shown that moved most, up and down together; `--json` has more.
const SHOWN_MOVES: usize = 6;
/// Questions in the JSON that moved most.
const LISTED_MOVES: usize = 50;

/// All that is known at the end.
pub(super) struct Report<'a> {
    pub(super) sides: &'a [Side],
    pub(super) questions: &'a Questions,
    pub(super) runs: &'a [PathBuf],
    /// Measures in the order they are shown.
    pub(super) shown: Vec<Measure>,
    /// One for each side; `None` without judgements.
    pub(super) figures: Option<Vec<Measurement>>,
    /// What the lenses have seen of the questions before.
    pub(super) warnings: Vec<String>,
    /// Searches that list fewer hits than the deepest figure looks at.
    pub(super) too_short: Vec<&'a str>,
    pub(super) deepest: u64,
}

impl Report<'_> {
    /// Prints it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn print(&self, console: &mut Console) -> Result<()> {
        if console.json {
            return console.document(&self.document());
        }
        for (idx, side) in self.sides.iter().enumerate() {
            if let Some(answer) = &side.sample {
                let mut header = header_lines(&answer.header, Some(&answer.plan), console.style);
                if idx > 0
                    && let Some(first) = header.first_mut()
                {
                    first.insert_str(0, "against: ");
                }
                for line in header {
                    console.line(line)?;
                }
            }
        }
        self.print_figures(console)?;
        for note in self.notes() {
            console.line(format!("note: {}", safe(&note)))?;
        }
        for side in self.sides {
            if let Some(reason) = &side.first_failure {
                console.line(format!("{} without an answer: {}", count(side.failed, "query"), safe(reason)))?;
            }
        }
        console.line(self.timing())?;
        for (side, path) in self.sides.iter().zip(self.runs) {
            console.line(format!("{} in {}", count(side.hits, "line"), safe(&path.display().to_string())))?;
        }
        Ok(())
    }

    /// How long it took: queries a second, however many searches each went through.
    fn timing(&self) -> String {
        let queries = self.questions.len() as u64;
        let seconds: f64 = self.sides.iter().map(|side| side.seconds).sum();
        let through = match self.sides.len() {
            1 => String::new(),
            searches => format!(", each through {searches} searches,"),
        };
        let rate = thousands((queries as f64 / seconds.max(1e-9)).round() as u64);
        format!("{}{through} in {seconds:.2} s ({rate} queries/s)", count(queries, "query"))
    }

    /// The figures, where there are any over at least one query.
    fn judged(&self) -> Option<&[Measurement]> {
        self.figures.as_deref().filter(|figures| figures.first().is_some_and(|first| !first.judged.is_empty()))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.figures.is_some() && self.judged().is_none() {
            notes.push("the judgements say nothing of any of the queries: there is nothing to score".to_string());
        }
        let odd = &self.questions.odd;
        if self.figures.is_some() {
            let collection = self.sides.iter().find_map(|side| Some(side.sample.as_ref()?.collection.as_str()));
            notes.extend(odd.notes(collection.unwrap_or("the collection")));
        }
        if odd.unknown_queries.count > 0 {
            let some = odd.unknown_queries.text("judged query is", "judged queries are");
            let zero = self.with_missing(0, Measure::Mrr(10)).map_or(String::new(), |mean| {
                format!(" (counted as 0, as ir_measures counts what was not asked, MRR@10 is {mean:.4})")
            });
            notes.push(format!("{some} not in the file, and not counted{zero}"));
        }
        notes.extend(self.warnings.iter().cloned());
        let mut wordless: Vec<&Named> = self.sides.iter().map(|side| &side.wordless).collect();
        wordless.retain(|some| some.count > 0);
        wordless.dedup();
        notes.extend(wordless.iter().map(|some| {
            let [one, many] =
                ["query holds", "queries hold"].map(|some| format!("{some} no word that the embedder knows"));
            format!("{}: nothing is similar to what has no vector", some.text(&one, &many))
        }));
        for search in &self.too_short {
            let search = one_line(search);
            notes.push(format!("`{search}` lists fewer hits than figures at {} look at", self.deepest));
        }
        notes
    }

    /// A mean in which judged queries that were not asked count as 0; `None` where there are none.
    fn with_missing(&self, idx: usize, measure: Measure) -> Option<f64> {
        let missing = self.questions.odd.unknown_queries.count;
        let figures = self.judged()?.get(idx).filter(|_| missing > 0)?;
        let judged = figures.judged.len() as f64;
        Some(interval(figures, measure)?.mean * judged / (judged + missing as f64))
    }

    fn print_figures(&self, console: &mut Console) -> Result<()> {
        let Some(figures) = self.judged() else { return Ok(()) };
        let Some(first) = figures.first() else { return Ok(()) };
        let mean = |measure: Measure| interval(first, measure).map_or(0.0, |interval| interval.mean);
        console.line(format!(
            "MRR@10 {:.4} · success@1 {:.4} · nDCG@10 {:.4} · {} judged",
            mean(Measure::Mrr(10)),
            mean(Measure::FirstHit),
            mean(Measure::Ndcg(10)),
            count(first.judged.len() as u64, "query")
        ))?;
        console.line("")?;
        if self.sides.len() < 2 {
            self.print_table(console, first, None)?;
        }
        for (side, other) in self.sides.iter().zip(figures).skip(1) {
            let difference = difference(other, first, 0);
            self.print_table(console, first, Some((other, &difference)))?;
            self.print_moves(console, side, other, first, &difference)?;
        }
        console.line("")
    }

    /// All measures of one search; beside them those of another, and the paired difference.
    fn print_table(
        &self,
        console: &mut Console,
        first: &Measurement,
        other: Option<(&Measurement, &Difference)>,
    ) -> Result<()> {
        let mut columns = vec![Column::left("", 16), Column::left("mean  [95 % interval]", usize::MAX)];
        if other.is_some() {
            columns.extend([Column::right("against"), Column::left("difference", usize::MAX)]);
        }
        let rows: Vec<Vec<String>> = self
            .shown
            .iter()
            .map(|&measure| {
                let mut row = vec![measure.to_string(), shown(interval(first, measure))];
                if let Some((other, difference)) = other {
                    let mean = interval(other, measure).map_or(String::new(), |other| format!("{:.4}", other.mean));
                    row.extend([mean, shown_difference(of(difference, measure))]);
                }
                row
            })
            .collect();
        lines(&columns, &rows, console.style, 1).into_iter().try_for_each(|line| console.line(line))
    }

    fn print_moves(
        &self,
        console: &mut Console,
        side: &Side,
        from: &Measurement,
        to: &Measurement,
        difference: &Difference,
    ) -> Result<()> {
        if difference.moved.is_empty() {
            return console.line(format!("no query moved against {}", one_line(&side.asked)));
        }
        let (better, worse) = split(difference, from, to);
        console.line(format!(
            "against {}: {} better, {} worse; moved most:",
            one_line(&side.asked),
            better,
            count(worse as u64, "query")
        ))?;
        let columns = [Column::right("rank"), Column::right("was"), Column::left("query", usize::MAX)];
        let rank = |rank: Option<Option<usize>>| rank.flatten().map_or("-".to_string(), |rank| rank.to_string());
        let rows: Vec<Vec<String>> = difference
            .moved
            .iter()
            .take(SHOWN_MOVES)
            .map(|&at| {
                let text = self.question_of(to, at).map_or(String::new(), |(id, text)| format!("{id}  {text}"));
                vec![rank(to.first_ranks.get(at).copied()), rank(from.first_ranks.get(at).copied()), text]
            })
            .collect();
        for line in lines(&columns, &rows, console.style, 1) {
            console.line(line)?;
        }
        Ok(())
    }

    /// Id and text of the judged question at `at`.
    fn question_of(&self, figures: &Measurement, at: usize) -> Option<(&str, &str)> {
        let question = self.questions.get(*figures.judged.get(at)?)?;
        Some((&question.id, &question.text))
    }

    fn document(&self) -> Json {
        let seconds: f64 = self.sides.iter().map(|side| side.seconds).sum();
        let mut document = Map::new();
        document.insert("queries".to_string(), json!(self.questions.len()));
        document.insert("missing".to_string(), json!(self.questions.odd.unknown_queries.count));
        document.insert("qrels".to_string(), odd_json(&self.questions.odd));
        document.insert("notes".to_string(), json!(self.notes()));
        document.insert("seconds".to_string(), json!((seconds * 1000.0).round() / 1000.0));
        let first = self.figures.as_ref().and_then(|figures| figures.first());
        document.insert("judged".to_string(), json!(first.map(|first| first.judged.len())));
        document.insert("unjudged".to_string(), json!(first.map(|first| first.unjudged)));
        self.describe(&mut document, 0);
        let against: Vec<Json> = (1..self.sides.len())
            .map(|idx| {
                let mut other = Map::new();
                self.describe(&mut other, idx);
                self.describe_difference(&mut other, idx);
                Json::Object(other)
            })
            .collect();
        if !against.is_empty() {
            document.insert("against".to_string(), Json::Array(against));
        }
        Json::Object(document)
    }

    /// What is known of one side.
    fn describe(&self, document: &mut Map<String, Json>, idx: usize) {
        let Some(side) = self.sides.get(idx) else { return };
        document.insert("query".to_string(), json!(side.statement));
        document.insert("failed".to_string(), json!(side.failed));
        document.insert("without_words".to_string(), named(&side.wordless));
        document.insert("run".to_string(), json!(self.runs.get(idx).map(|path| path.display().to_string())));
        if idx > 0 {
            document.insert("asked".to_string(), json!(side.asked));
        }
        let figures = self.judged().and_then(|figures| figures.get(idx));
        let mean = |measure| figures.and_then(|figures| interval(figures, measure)).map(|interval| interval.mean);
        for measure in [Measure::Mrr(10), Measure::FirstHit, Measure::Ndcg(10)] {
            document.insert(measure.to_string(), json!(mean(measure)));
        }
        let measures: Map<String, Json> = figures
            .iter()
            .flat_map(|figures| &figures.measured)
            .map(|measured| (measured.measure.to_string(), measured.interval.map_or(Json::Null, interval_json)))
            .collect();
        document.insert("measures".to_string(), Json::Object(measures));
        let zero: Map<String, Json> = figures
            .iter()
            .flat_map(|figures| &figures.measured)
            .filter_map(|measured| {
                Some((measured.measure.to_string(), json!(self.with_missing(idx, measured.measure)?)))
            })
            .collect();
        if !zero.is_empty() {
            document.insert("missing_as_zero".to_string(), Json::Object(zero));
        }
    }

    /// What the first search does differently from this one.
    fn describe_difference(&self, document: &mut Map<String, Json>, idx: usize) {
        let Some((first, other)) = self.judged().and_then(|figures| Some((figures.first()?, figures.get(idx)?))) else {
            return;
        };
        let found = difference(other, first, 0);
        let by_measure: Map<String, Json> = found
            .by_measure
            .iter()
            .filter_map(|(measure, interval)| {
                let interval = (*interval)?;
                let mut json = interval_json(interval);
                // JSON has no infinity: where all queries agree there is no z.
                let z = Some(interval.z()).filter(|z| z.is_finite());
                json.as_object_mut()?.insert("z".to_string(), json!(z));
                Some((measure.to_string(), json))
            })
            .collect();
        document.insert("difference".to_string(), Json::Object(by_measure));
        let (better, worse) = split(&found, other, first);
        document.insert("better".to_string(), json!(better));
        document.insert("worse".to_string(), json!(worse));
        let moved: Vec<Json> = found
            .moved
            .iter()
            .take(LISTED_MOVES)
            .filter_map(|&at| {
                let (id, text) = self.question_of(first, at)?;
                let (rank, was) = (first.first_ranks.get(at)?, other.first_ranks.get(at)?);
                Some(json!({"id": id, "text": text, "rank": rank, "was": was}))
            })
            .collect();
        document.insert("moved".to_string(), Json::Array(moved));
    }
}

/// How many questions the first measure has risen for, and fallen.
fn split(difference: &Difference, from: &Measurement, to: &Measurement) -> (usize, usize) {
    let (Some(from), Some(to)) = (from.measured.first(), to.measured.first()) else { return (0, 0) };
    let rose = difference.moved.iter().filter(|&&at| to.values.get(at) > from.values.get(at)).count();
    (rose, difference.moved.len() - rose)
}

fn interval(figures: &Measurement, measure: Measure) -> Option<Interval> {
    figures.measured.iter().find(|measured| measured.measure == measure)?.interval
}

fn of(difference: &Difference, measure: Measure) -> Option<Interval> {
    difference.by_measure.iter().find(|(of, _)| *of == measure)?.1
}

fn named(named: &Named) -> Json {
    json!({"count": named.count, "examples": named.examples})
}

/// What does not fit, each kind with its number and a few examples.
pub(in crate::cli) fn odd_json(odd: &Oddities) -> Json {
    json!({
        "unknown_queries": named(&odd.unknown_queries), "unknown_records": named(&odd.unknown_records),
        "contradicting": named(&odd.contradicting), "without_relevant": named(&odd.without_relevant),
    })
}

fn interval_json(interval: Interval) -> Json {
    json!({"mean": interval.mean, "low": interval.low, "high": interval.high})
}

fn shown(interval: Option<Interval>) -> String {
    interval.map_or(String::new(), |i| format!("{:.4}  [{:.3}, {:.3}]", i.mean, i.low, i.high))
}

fn shown_difference(interval: Option<Interval>) -> String {
    interval.map_or(String::new(), |i| format!("{:+.4}  {}", i.mean + 0.0, signed_interval(i.low, i.high)))
}
