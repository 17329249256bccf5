//! What came of learning a lens: the fit as it goes into the history, and what there is to say beside it.
//!
//! Owns [`LearnReport`] and the verdict: accepted where the lift that was asked for is clear. It measures nothing.

use super::fit::Relevance;
use super::gate::{ACCEPTED_Z, Lifts};
use super::learn::Learner;
use super::parts::Made;
use super::words::method_name;
use crate::store::candidate_of;
use crate::types::{Accept, CommitNumber, FittedOn, LearnMethod, LearnedDef, ViewKind};
use std::time::{SystemTime, UNIX_EPOCH};

/// What goes with a lens by discriminant analysis: it gives up directions that its classes do not need.
const NEW_CLASSES: &str = "lda knows the classes it was fitted on, and what is held out is of the same: records of new classes \
                           can come out worse than under plain cosine; where such come, learn with `--method infonce`";

/// What came of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LearnReport {
    /// The name it was stored under: the lens's own, or its candidate's.
    pub name: String,
    /// The fit as it stands in the history.
    pub fit: LearnedDef,
    /// Epochs of training, or the pull of ridge towards the identity.
    pub setting: f64,
    /// The pull of the ridge that training was averaged with.
    pub averaged: Option<f64>,
    /// Every method that was tried, with its validation figure.
    pub tried: Vec<(LearnMethod, f64)>,
    /// Why the method was chosen, where there was a choice.
    pub why: Option<String>,
    /// How often each method was chosen in the folds of the gate.
    pub chosen: Vec<(LearnMethod, usize)>,
    /// Labelled questions that took part.
    pub questions: u64,
    /// Those of them that plain cosine answers right in the first place.
    pub found_first: u64,
    /// Whether the labels are the classes of a field.
    pub classes: bool,
    /// Labels that were given, yes and no, whether they took part or not.
    pub said: u64,
    /// Pairs that were called relevant once and not another time, or under two ids of one question.
    pub contradictions: u64,
    /// Pairs that were judged wrong, of the questions that took part; those of `fit.labels` are right.
    pub judged_wrong: u64,
    /// Labels that could not take part: no vector in this view.
    pub left_out: u64,
    /// Whether held-out labels were to be asked.
    pub gated: bool,
    /// Whether it was stopped before its time.
    pub interrupted: bool,
    /// What would help, where it was not accepted.
    pub advice: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
    /// How long all of it took.
    pub seconds: f64,
}

/// The report on a fit; what it was stored as, advice and time are filled in later.
pub(super) fn report(learner: &Learner, made: &Made<'_>, lifts: Lifts) -> LearnReport {
    let Made { collection, view, mode, gathered, fitted, .. } = *made;
    let asked = match learner.accept {
        Accept::NewRecords => lifts.new_records,
        Accept::KnownRecords => lifts.known_records,
    };
    let accepted = asked.is_some_and(|lift| lift.z > ACCEPTED_Z);
    let template = if let ViewKind::Template(template) = &view.def().kind { Some(template.clone()) } else { None };
    let (method, labels) = (method_name(fitted.method), gathered.labels);
    let averaged = if fitted.averaged.is_some() { " averaged with ridge" } else { "" };
    let fitted_on = FittedOn {
        collection: learner.collection.clone(),
        view: learner.view.clone(),
        embedder: view.def().embedder.clone(),
        template,
        how: format!("{method}{averaged} on {labels} labels of {:?}, seed {}", learner.respect, learner.seed),
    };
    let mut groups = gathered.groups.clone();
    groups.sort_unstable();
    groups.dedup();
    let fit = LearnedDef {
        lens: learner.lens.clone(),
        fit: 0,
        collection: collection.def().id,
        fitted_on,
        respect: learner.respect.clone(),
        mode,
        method: fitted.method,
        seed: learner.seed,
        labels,
        queries: gathered.ids.len() as u64,
        records: gathered.records,
        groups: groups.len() as u64,
        label_hash: gathered.label_hash,
        accept: learner.accept,
        known_records: lifts.known_records,
        new_records: lifts.new_records,
        validation: fitted.validation,
        accepted,
        events: Vec::new(),
        time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs()),
        commit: CommitNumber(0),
    };
    let mut notes = gathered.notes.clone();
    notes.extend((fitted.method == LearnMethod::Lda).then(|| NEW_CLASSES.to_string()));
    LearnReport {
        name: if accepted { learner.lens.clone() } else { candidate_of(&learner.lens) },
        fit,
        setting: fitted.setting,
        averaged: fitted.averaged,
        tried: fitted.tried.clone(),
        why: None,
        chosen: lifts.chosen,
        questions: gathered.ids.len() as u64,
        found_first: 0,
        classes: matches!(gathered.examples.relevance, Relevance::Classes { .. }),
        said: 0,
        contradictions: 0,
        judged_wrong: gathered.examples.wrong.iter().map(|wrong| wrong.len() as u64).sum(),
        left_out: gathered.left_out,
        gated: learner.gated,
        interrupted: fitted.interrupted && learner.control.checkpoint().is_err() || lifts.interrupted,
        advice: Vec::new(),
        notes,
        seconds: 0.0,
    }
}
