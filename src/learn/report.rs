//! What came of learning a lens: the fit as it goes into the history, and what there is to say beside it.
//!
//! Owns [`LearnReport`] and the verdict: accepted where the lift that was asked for is clear. It measures nothing.

use super::fit::{Form, Relevance};
use super::gate::Lifts;
use super::learner::Learner;
use super::lift::{ACCEPTED_Z, Measured, Missing};
use super::parts::Made;
use crate::store::candidate_of;
use crate::types::{Accept, CommitNumber, FitFigures, FittedOn, LearnMethod, LearnedDef, ViewKind};
use std::time::{SystemTime, UNIX_EPOCH};

/// What came of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LearnReport {
    /// The name it was stored under: the lens's own, or its candidate's.
    pub name: String,
    /// The fit as it stands in the history.
    pub fit: LearnedDef,
    /// What its lifts were measured as and among, and that on new classes.
    pub figures: FitFigures,
    /// Why the lift that was asked for could not be measured.
    pub missing: Option<Missing>,
    /// Epochs of training, or the pull of ridge towards the identity.
    pub setting: f64,
    /// The pull of the ridge that training was averaged with.
    pub averaged: Option<f64>,
    /// Whether training was averaged with the identity.
    pub halved: bool,
    /// Every method that was tried, with its validation figure.
    pub tried: Vec<(LearnMethod, f64)>,
    /// Why the method was chosen, where there was a choice.
    pub why: Option<String>,
    /// Whether another choice was left because it ranks new classes worse than plain cosine.
    pub left_for_classes: bool,
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
    let Made { collection, mode, gathered, fitted, .. } = *made;
    let classes = matches!(gathered.examples.relevance, Relevance::Classes { .. });
    let asked = match learner.accept {
        Accept::NewRecords => lifts.new_records,
        Accept::KnownRecords => lifts.known_records,
        Accept::NewClasses => lifts.new_classes,
    };
    let missing = asked.and_then(Result::err);
    let accepted = measured(asked).is_some_and(|found| found.lift.z > ACCEPTED_Z && found.nearest >= 0.0);
    let figures = figures(&lifts, asked, classes);
    let (known, new) = (measured(lifts.known_records), measured(lifts.new_records));
    let labels = gathered.labels;
    let fitted_on = fitted_on(learner, made);
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
        known_records: known.map(|found| found.lift),
        new_records: new.map(|found| found.lift),
        validation: fitted.validation,
        accepted,
        events: Vec::new(),
        time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs()),
        commit: CommitNumber(0),
    };
    let notes = gathered.notes.clone();
    LearnReport {
        name: if accepted { learner.lens.clone() } else { candidate_of(&learner.lens) },
        fit,
        figures,
        missing,
        setting: fitted.setting,
        averaged: fitted.averaged,
        halved: fitted.form == Form::Halved && fitted.setting > 0.0,
        tried: fitted.tried.clone(),
        why: None,
        left_for_classes: lifts.refused.iter().any(|form| form.method() != fitted.method),
        chosen: lifts.chosen,
        questions: gathered.ids.len() as u64,
        found_first: 0,
        classes,
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

/// What was measured, if it was.
fn measured(found: Option<Result<Measured, Missing>>) -> Option<Measured> {
    found.and_then(Result::ok)
}

/// What goes into the history beside the lifts; `asked` is the lift that decides.
fn figures(lifts: &Lifts, asked: Option<Result<Measured, Missing>>, classes: bool) -> FitFigures {
    let (known, new) = (measured(lifts.known_records), measured(lifts.new_records));
    let new_classes = measured(lifts.new_classes);
    let pool = |found: Option<Measured>| found.map_or(0, |found| found.pool);
    FitFigures {
        metric: if classes { "MAP" } else { "MRR@10" }.to_string(),
        known_pool: pool(known),
        new_pool: pool(new),
        new_classes: new_classes.map(|found| found.lift),
        classes_pool: pool(new_classes),
        has_classes: classes || lifts.new_classes.is_some(),
        nearest: measured(asked).filter(|_| classes).map(|found| found.nearest),
        ten: new.filter(|_| classes).map(|found| found.ten),
    }
}

/// The vectors, and in words how they were used.
fn fitted_on(learner: &Learner, made: &Made<'_>) -> FittedOn {
    let (def, fitted) = (made.view.def(), made.fitted);
    let template = if let ViewKind::Template(template) = &def.kind { Some(template.clone()) } else { None };
    let averaged = match (fitted.averaged, fitted.form) {
        (Some(_), _) => " averaged with ridge",
        (None, Form::Halved) if fitted.setting > 0.0 => " averaged with the identity",
        (None, _) => "",
    };
    let (method, labels) = (fitted.method.as_str(), made.gathered.labels);
    FittedOn {
        collection: learner.collection.clone(),
        view: learner.view.clone(),
        embedder: def.embedder.clone(),
        template,
        how: format!("{method}{averaged} on {labels} labels of {:?}, seed {}", learner.respect, learner.seed),
    }
}
