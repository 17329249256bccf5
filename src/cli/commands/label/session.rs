//! A person at a terminal (or a script at a pipe) who judges pairs, one at a time.
//!
//! Owns the loop and what is shown. Every answer is a commit of its own, durable before the next pair is shown; the
//! store is held open for writing, and readers see each answer at once.

use super::args::Label;
use super::candidates::{self, Pairs};
use super::keys::{Answered, HELP, Keys};
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::{count, nought, one_line, shell_word, shown_id, wrap};
use crate::cli::streams::to_stderr;
use crate::error::{Error, Result};
use crate::learn::LEAST_LABELS;
use crate::learn::judge::{Candidate, Strategy};
use crate::store::{CollectionSnapshot, NewLabels, Snapshot, Store};
use serde_json::json;
use std::sync::Arc;

/// Lines of a text that are shown.
const TEXT_LINES: usize = 8;
/// Where answers come from, as it is stored with them.
const SOURCE: &str = "terminal";

/// What came of a session.
#[derive(Debug, Default)]
struct Tally {
    shown: u64,
    yes: u64,
    no: u64,
    skipped: u64,
    undone: u64,
}

struct Session<'a> {
    label: &'a Label,
    store: &'a Store,
    collection: Arc<CollectionSnapshot>,
    pairs: Pairs,
    tally: Tally,
    /// Positions of the candidates that were answered, with the grade, in order.
    answered: Vec<(usize, i64)>,
}

/// Asks until everything is answered or enough is, and says what was.
///
/// # Errors
/// As the search for what to ask about; where an answer cannot be stored.
pub(super) fn run(label: &Label, console: &mut Console, store: &Store) -> Result<Outcome> {
    let session = Session::held(label, console, store)?;
    session.finish(console)?;
    session.next(console)?;
    Ok(if session.pairs.candidates.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

/// [`run`] for a command that goes on with the labels: what it makes of them is its result, where results are JSON.
///
/// # Errors
/// As [`run`].
pub(super) fn ask(label: &Label, console: &mut Console, store: &Store) -> Result<()> {
    let session = Session::held(label, console, store)?;
    if console.json { Ok(()) } else { session.finish(console) }
}

impl<'a> Session<'a> {
    /// A session that was held.
    fn held(label: &'a Label, console: &mut Console, store: &'a Store) -> Result<Self> {
        let snapshot = store.snapshot()?;
        let pairs = candidates::find(label, &snapshot)?;
        refuse_too_few(label, &snapshot, &pairs)?;
        let collection = snapshot.collection(&label.collection)?;
        let mut session = Session { label, store, collection, pairs, tally: Tally::default(), answered: Vec::new() };
        session.ask_all(console)?;
        Ok(session)
    }
}

impl Session<'_> {
    fn ask_all(&mut self, console: &mut Console) -> Result<()> {
        let mut keys = Keys::open();
        let wanted = self.label.count.unwrap_or(u64::MAX);
        let mut at = 0;
        while (self.answered.len() as u64) < wanted
            && let Some(candidate) = self.pairs.candidates.get(at).cloned()
        {
            self.show(console, &candidate)?;
            self.tally.shown += 1;
            loop {
                prompt(console, &keys)?;
                match keys.next()? {
                    Answered::Quit => return Ok(()),
                    Answered::Skip => {
                        self.tally.skipped += 1;
                        at += 1;
                    }
                    Answered::Grade(grade) => {
                        self.keep(&candidate, grade)?;
                        self.answered.push((at, grade));
                        at += 1;
                    }
                    Answered::Undo => match self.undo()? {
                        Some(before) => at = before,
                        None => {
                            say(console, "nothing to undo in this session")?;
                            continue;
                        }
                    },
                    Answered::Unknown => {
                        say(console, HELP)?;
                        continue;
                    }
                }
                break;
            }
        }
        Ok(())
    }

    /// Stores one answer, durably.
    fn keep(&mut self, candidate: &Candidate, grade: i64) -> Result<()> {
        let Some(asking) = self.pairs.questions.get(candidate.query_idx) else { return Ok(()) };
        let mut labels = NewLabels::from_source(SOURCE);
        let question = labels.question(asking.question.clone());
        labels.say(question, &candidate.record, grade);
        let mut batch = self.store.begin()?;
        batch.put_labels(&self.label.collection, &self.label.respect, &labels)?;
        batch.commit()?;
        *if grade > 0 { &mut self.tally.yes } else { &mut self.tally.no } += 1;
        Ok(())
    }

    /// Takes the last answer back; answers with its place.
    fn undo(&mut self) -> Result<Option<usize>> {
        let Some((at, grade)) = self.answered.pop() else { return Ok(None) };
        let Some(candidate) = self.pairs.candidates.get(at) else { return Ok(None) };
        let Some(asking) = self.pairs.questions.get(candidate.query_idx) else { return Ok(None) };
        let mut batch = self.store.begin()?;
        let (collection, respect) = (&self.label.collection, &self.label.respect);
        batch.take_back_label(collection, respect, asking.question.id(), &candidate.record)?;
        batch.commit()?;
        let count = if grade > 0 { &mut self.tally.yes } else { &mut self.tally.no };
        *count -= 1;
        self.tally.undone += 1;
        Ok(Some(at))
    }

    fn show(&self, console: &mut Console, candidate: &Candidate) -> Result<()> {
        let Some(asking) = self.pairs.questions.get(candidate.query_idx) else { return Ok(()) };
        let width = console.style.width.min(100);
        let done = self.answered.len() as u64 + 1;
        let left = self.pairs.candidates.len() as u64;
        let of = self.label.count.map_or(left, |count| count.min(left));
        say(console, "")?;
        let head = format!("{done} of {of} · {}", one_line(&self.label.respect));
        say(console, &console.style.dim(head))?;
        let text = match &asking.own {
            Some(own) => format!("#{own}: {}", asking.text),
            None if asking.text.trim().is_empty() => asking.question.id().to_string(),
            None => asking.text.clone(),
        };
        for (idx, line) in shortened(&text, width.saturating_sub(2)).iter().enumerate() {
            let mark = if idx == 0 { "? " } else { "  " };
            say(console, &format!("{mark}{}", console.style.bold(line)))?;
        }
        say(console, "")?;
        let record = self.collection.row_of(&candidate.record)?.map(|row| self.collection.record(row)).transpose()?;
        for line in shortened(&record.map_or(String::new(), |record| record.text), width.saturating_sub(4)) {
            say(console, &format!("    {line}"))?;
        }
        let (id, rank, name) = (shown_id(&candidate.record), candidate.rank, self.pairs.value_name);
        let value = nought(format!("{:.3}", candidate.value));
        say(console, &console.style.dim(format!("    {id} · rank {rank} · {name} {value}")))
    }

    fn finish(&self, console: &mut Console) -> Result<()> {
        let snapshot = self.store.snapshot()?;
        let respect = snapshot.respect(&self.label.collection, &self.label.respect)?;
        let pairs = respect.map_or(0, |respect| respect.pairs);
        let Tally { shown, yes, no, skipped, undone } = self.tally;
        if console.json {
            return console.document(&json!({
                "respect": self.label.respect, "collection": self.label.collection,
                "query": self.pairs.statement, "strategy": Strategy::from(self.label.strategy).as_str(),
                "candidates": self.pairs.candidates.len(), "judged_before": self.pairs.judged,
                "shown": shown, "labels": yes + no, "yes": yes, "no": no, "skipped": skipped, "undone": undone,
                "pairs": pairs, "commit": commit_of(&snapshot),
            }));
        }
        console.line("")?;
        if self.pairs.candidates.is_empty() {
            console.line(format!("nothing to judge: {} judged before", count(self.pairs.judged, "pair")))?;
            return Ok(());
        }
        console.line(format!(
            "{} kept ({yes} yes, {no} no) · {skipped} skipped · {} in {:?}",
            count(yes + no, "label"),
            count(pairs, "labelled pair"),
            one_line(&self.label.respect)
        ))
    }
}

impl Session<'_> {
    /// What the labels are good for now.
    fn next(&self, console: &mut Console) -> Result<()> {
        let snapshot = self.store.snapshot()?;
        let Label { store, collection, respect, .. } = self.label;
        if console.json || snapshot.respect(collection, respect)?.is_none() {
            return Ok(());
        }
        let labels = snapshot.labels(collection, respect)?;
        let yes = labels.pairs.iter().filter(|pair| pair.grade() > 0).count() as u64;
        let said = labels.pairs.len() as u64;
        if said < LEAST_LABELS {
            let more = count(LEAST_LABELS - said, "label");
            return console.line(format!("{more} more, and what is learned from them can be tested on held-out ones"));
        }
        let store = store.display().to_string();
        let (collection, view, respect) = (collection.as_str(), self.pairs.view.as_str(), respect.as_str());
        let words = [store.as_str(), "LENS", "--in", collection, "--view", view, "--respect", respect].map(shell_word);
        console.line(format!("{yes} say yes · next: simile learn {}", words.join(" ")))
    }
}

/// Refuses, before a person has judged anything, what cannot come to as many labels as are needed.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), with the number that would do.
fn refuse_too_few(label: &Label, snapshot: &Snapshot, pairs: &Pairs) -> Result<()> {
    let respect = snapshot.respect(&label.collection, &label.respect)?;
    let before = respect.as_ref().map_or(0, |respect| respect.pairs);
    let has = match before {
        0 => format!("nothing is labelled in {:?} yet", label.respect),
        before => format!("{} stored in {:?}", count(before, "label"), label.respect),
    };
    let least = label.least;
    let wanted = label.count.unwrap_or(u64::MAX);
    if before.saturating_add(wanted) < least {
        let more = least - before;
        return Err(Error::invalid(format!(
            "{wanted} more judged hits are too few: {has}, and a calibration needs at least {least}: --label {more}, \
             better more"
        )));
    }
    let hits = pairs.candidates.len() as u64;
    if least > 0 && before + hits < least {
        return Err(Error::invalid(format!(
            "there are {} left to judge: {has}, and a calibration needs at least {least}; ask more questions, or raise \
             --top",
            count(hits, "hit")
        )));
    }
    let mut asked: Vec<usize> = pairs.candidates.iter().map(|candidate| candidate.query_idx).collect();
    asked.sort_unstable();
    asked.dedup();
    let labelled = if before > 0 { snapshot.labels(&label.collection, &label.respect)?.queries.len() } else { 0 };
    if least > 0 && asked.len() + labelled < 2 {
        let message =
            "the hits of a single question say nothing about others: a calibration needs at least two questions";
        return Err(Error::invalid(message));
    }
    Ok(())
}

fn commit_of(snapshot: &Snapshot) -> u64 {
    snapshot.commit().0
}

/// A text in lines of at most `columns`, the first of them.
fn shortened(text: &str, columns: usize) -> Vec<String> {
    let mut lines = wrap(&one_line(text), columns);
    if lines.len() > TEXT_LINES {
        lines.truncate(TEXT_LINES);
        if let Some(last) = lines.last_mut() {
            last.push_str(" …");
        }
    }
    lines
}

/// Shows a line to whoever judges; where results are JSON it is no result.
fn say(console: &mut Console, line: &str) -> Result<()> {
    if !console.json {
        return console.line(line);
    }
    if Keys::open().is_terminal() {
        to_stderr(format_args!("{line}\n"));
    }
    Ok(())
}

fn prompt(console: &mut Console, keys: &Keys) -> Result<()> {
    if keys.is_terminal() {
        say(console, &console.style.dim(HELP))?;
    }
    console.flush()
}
