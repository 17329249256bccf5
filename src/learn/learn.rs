//! Learning a lens: from a respect's labels to a stored lens that was tested, or a candidate that was not believed.
//!
//! Owns what [`Learner::run`] does and the order of things: gather, fit, gate, store. The fit and the gate see the same
//! labels but never the same questions at the same time (`gate`). What is stored is in `parts`, what is said about it
//! in `report`.

use super::asked::Gate;
use super::fit::watch::Watch;
use super::fit::{Fitted, Form, Order, figures, fit};
use super::gate::{Lifts, gate};
use super::gather::{Gathered, gather};
use super::labels::contradictions;
use super::learner::{LEAST_LABELS, Learner};
use super::parts::{Made, parts};
use super::report::{LearnReport, report};
use super::words::{advice, why};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::backgrounds_of;
use crate::store::{CollectionSnapshot, Labels, ViewSnapshot};
use crate::types::{Accept, LearnMethod, LearnMode};
use std::time::Instant;

/// Up to so many questions several splits validate instead of one, and labels are held out in several rounds, which is
/// steadier and affordable. Of classes a split ranks records among each other, so it holds back a third.
const FEW_QUESTIONS: usize = 400;
const FEW_SPLITS: usize = 5;
const CLASS_SPLITS: usize = 3;
const FEW_ROUNDS: usize = 2;
/// Part of the time limit that fitting may take; the rest is the gate's.
const FIT_SHARE: f64 = 0.4;

impl Learner {
    /// Learns, tests and stores.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a collection, view or respect that is not there,
    /// [`Invalid`](crate::ErrorKind::Invalid) for labels that nothing can be learned from, for a method that does not
    /// fit them, and for vectors that are not finite; what a commit answers.
    pub fn run(&self) -> Result<LearnReport> {
        let begun = Instant::now();
        // Who could not store anything now hears of it before the work, and not after it.
        self.store.expect_turn()?;
        let snapshot = self.store.snapshot()?;
        let collection = snapshot.collection(&self.collection)?;
        let view = self.view_of(&collection)?;
        let labels = snapshot.labels(&self.collection, &self.respect)?;
        let mode = self.mode.unwrap_or_else(|| default_mode(&labels));
        self.fits_labels(mode, &labels)?;
        let (gathered, fitted, lifts) = snapshot.install(|| self.learn(&collection, view, &labels, mode, begun))?;
        let made =
            Made { snapshot: &snapshot, collection: &collection, view, mode, gathered: &gathered, fitted: &fitted };
        let mut report = report(self, &made, lifts);
        // Of classes nothing is the one answer.
        if labels.respect.field.is_none() && self.gated {
            report.found_first = snapshot.install(|| found_first(&gathered));
        }
        report.said = said(&labels, made.gathered);
        report.contradictions = contradictions(&labels).len() as u64;
        report.why = why(&report);
        report.advice = advice(&report);
        let mut batch = self.store.begin_after_work(&self.control)?;
        report.fit = batch.put_learned(parts(self, &made, report.fit.clone())?)?;
        batch.put_fit_figures(&report.fit.lens, report.fit.fit, &report.figures)?;
        batch.commit()?;
        // The lens is kept by now. What cannot be added to it is computed by whoever searches first.
        _ = self.store_background(&report.name);
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// What random pairs score under the lens, so that the first search need not ask. One that was stopped goes
    /// without.
    fn store_background(&self, name: &str) -> Result<()> {
        let snapshot = self.store.snapshot()?;
        let Some(saved) = snapshot.lens(name)? else { return Ok(()) };
        let found = match backgrounds_of(&snapshot, &saved, &self.control) {
            Err(error) if error.kind() == ErrorKind::Cancelled => return Ok(()),
            found => found?,
        };
        let mut batch = self.store.begin()?;
        batch.put_backgrounds(name, found)?;
        batch.commit()?;
        Ok(())
    }

    fn view_of<'a>(&self, collection: &'a CollectionSnapshot) -> Result<&'a ViewSnapshot> {
        let name = &collection.def().name;
        let view = collection.view_named(&self.view)?;
        if view.def().dimension.is_none() {
            return Err(Error::invalid(format!("view {} of {name} has no vectors yet", self.view)));
        }
        Ok(view)
    }

    /// Refuses a mode or method that the labels do not go with.
    fn fits_labels(&self, mode: LearnMode, labels: &Labels) -> Result<()> {
        if labels.respect.field.is_some() && mode == LearnMode::Pair {
            let message = "classes of a field make records alike: they are learned with mode same, not pair";
            return Err(Error::invalid(message).with_field("mode"));
        }
        match self.method {
            Some(LearnMethod::Ridge) if mode == LearnMode::Same => {
                let message = "ridge takes questions to records: it goes with mode pair; with same use infonce";
                Err(Error::invalid(message).with_field("method"))
            }
            Some(LearnMethod::Lda) if mode == LearnMode::Pair => {
                let message = "lda needs classes: it goes with mode same";
                Err(Error::invalid(message).with_field("method"))
            }
            _ => Ok(()),
        }
    }

    fn learn(
        &self,
        collection: &CollectionSnapshot,
        view: &ViewSnapshot,
        labels: &Labels,
        mode: LearnMode,
        begun: Instant,
    ) -> Result<(Gathered, Fitted, Lifts)> {
        let gathered = gather(collection, view, labels, mode == LearnMode::Same, self.seed)?;
        let all: Vec<u32> = (0..gathered.ids.len() as u32).collect();
        let untested = said(labels, &gathered) < LEAST_LABELS;
        let method = match self.method {
            None if gathered.labels < LEAST_LABELS && mode == LearnMode::Pair => Some(LearnMethod::Ridge),
            method => method,
        };
        let validated_by = match self.accept {
            Accept::KnownRecords => &gathered.alike,
            Accept::NewRecords => &gathered.groups,
            Accept::NewClasses => &gathered.classes,
        };
        let few = all.len() < FEW_QUESTIONS;
        let classes = labels.respect.field.is_some();
        let order = Order {
            trained: &all,
            groups: validated_by,
            components: &gathered.components,
            method,
            averaged: self.accept != Accept::KnownRecords,
            seed: self.seed,
            splits: if few { if classes { CLASS_SPLITS } else { FEW_SPLITS } } else { 1 },
        };
        let until = |share: f64| self.time.map(|time| begun + time.mul_f64(share));
        let watch = |share| Watch::new(self.control.clone(), until(share)).heard_by(self.listener.clone());
        let mut fitted = fit(&gathered.examples, order, &watch(FIT_SHARE))?;
        let mut lifts = Lifts::default();
        if self.gated && !untested && self.control.checkpoint().is_ok() {
            let asked = Gate {
                queries: &all,
                groups: &gathered.groups,
                alike: &gathered.alike,
                components: &gathered.components,
                classes: &gathered.classes,
                validated_by,
                method,
                averaged: order.averaged,
                accept: self.accept,
                seed: self.seed,
                rounds: if few { FEW_ROUNDS } else { 1 },
                splits: if few && classes { CLASS_SPLITS } else { 1 },
            };
            let forms: Vec<Form> = fitted.iter().map(|fitted| fitted.form).collect();
            lifts = gate(&gathered.examples, &forms, asked, &watch(1.0))?;
        }
        let at = fitted.iter().position(|fitted| !lifts.refused.contains(&fitted.form)).unwrap_or(0);
        let fitted = fitted.swap_remove(at);
        Ok((gathered, fitted, lifts))
    }
}

/// Labels that were given, yes and no.
fn said(labels: &Labels, gathered: &Gathered) -> u64 {
    gathered.labels.max(labels.pairs.len() as u64)
}

/// Questions that plain cosine answers right in the first place, over the whole pool.
fn found_first(gathered: &Gathered) -> u64 {
    let examples = &gathered.examples;
    let queries = super::fit::examples::centred(&examples.queries, &vec![0.0; examples.dimension]);
    let all: Vec<u32> = (0..examples.query_count() as u32).collect();
    let pool: Vec<u32> = (0..examples.record_count() as u32).collect();
    figures(examples, &queries, &all, &pool, None).iter().filter(|answered| answered.figure == 1.0).count() as u64
}

/// One matrix for both sides where the questions are records.
fn default_mode(labels: &Labels) -> LearnMode {
    let are_records = !labels.queries.is_empty() && labels.queries.iter().all(|query| query.row.is_some());
    if labels.respect.field.is_some() || are_records { LearnMode::Same } else { LearnMode::Pair }
}
