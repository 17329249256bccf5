//! One search of an evaluation, and what came of all questions.

use super::questions::Questions;
use crate::error::Result;
use crate::exec::{Answer, Hit, Query};
use crate::interchange::output::TextFile;
use crate::learn::evaluate::{run_line, run_scores};
use crate::learn::oddities::Named;
use crate::query::ast::Statement;
use crate::query::{parse, print};
use crate::store::Snapshot;

/// What a search may list.
const MOST_HITS: usize = 1_000_000;

/// One search and what came of all questions.
pub(super) struct Side {
    /// What the user typed for it: the statement, or the lens in its place.
    pub(super) asked: String,
    /// The search as it is shown.
    pub(super) statement: String,
    /// The search as it is run: see [`Side::deepen`].
    pub(super) query: Query,
    /// Hits to skip and to list of each answer.
    pub(super) window: (usize, usize),
    pub(super) run: Option<TextFile>,
    /// Pairs of a question's id and the ids of its hits.
    pub(super) rankings: Vec<(String, Vec<String>)>,
    /// One answer, for the header.
    pub(super) sample: Option<Answer>,
    /// Questions that could not be answered, with the reason of the first.
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
    /// Questions of which the embedder knows no word.
    pub(super) wordless: Named,
    pub(super) hits: u64,
    pub(super) seconds: f64,
}

impl Side {
    /// Where questions may find themselves: lists one hit more, and skips what is to be skipped afterwards, so that as
    /// many others are listed as were asked for.
    pub(super) fn deepen(&mut self, snapshot: &Snapshot) -> Result<()> {
        let Statement::Find(mut find) = parse(&self.statement)? else { return Ok(()) };
        let (skip, top) = self.window;
        find.output.skip = None;
        find.output.top = Some(((skip + top + 1).min(MOST_HITS) as u64).into());
        self.query = snapshot.query(&print(&Statement::Find(find)))?;
        Ok(())
    }

    pub(super) fn is_deeper(&self) -> bool {
        self.query.statement() != self.statement
    }

    /// Takes one question's answer into the run and the rankings; one that failed alone has an empty ranking. A record
    /// that asks is not its own answer.
    pub(super) fn take(&mut self, questions: &Questions, idx: usize, answer: Result<Answer>) -> Result<()> {
        let Some(question) = questions.get(idx) else { return Ok(()) };
        let mut ids = Vec::new();
        match answer {
            Ok(answer) => {
                let others = answer.hits().iter().filter(|hit| question.own.as_deref() != Some(hit.id()));
                let (skip, top) = self.window;
                let hits: Vec<&Hit> = others.skip(if self.is_deeper() { skip } else { 0 }).take(top).collect();
                let is_distance = hits.first().is_some_and(|hit| hit.is_distance());
                let scores = run_scores(hits.iter().map(|hit| hit.value()), is_distance);
                for (hit, score) in hits.into_iter().zip(scores) {
                    ids.push(hit.id().to_string());
                    if let Some(run) = &mut self.run {
                        run.line(&run_line(&question.id, hit.id(), ids.len(), score, false, "simile"))?;
                    }
                }
                self.hits += ids.len() as u64;
                if answer.is_of_unknown_text() {
                    self.wordless.add(|| question.id.clone());
                }
                self.sample.get_or_insert(answer);
            }
            Err(error) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| format!("{}: {}", question.id, error.message()));
            }
        }
        self.rankings.push((question.id.clone(), ids));
        Ok(())
    }
}
