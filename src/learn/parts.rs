//! What a learned lens is stored as: an ordinary lens made of ordinary parts.
//!
//! Owns the parts: a sample with the questions' vectors, whose mean the lens subtracts; a projection that remembers
//! what it was fitted on; and a lens over both that pins its statistics. Whether it is a candidate is decided
//! elsewhere.

use super::fit::Fitted;
use super::fit::examples::sample;
use super::gather::Gathered;
use super::learner::Learner;
use crate::error::Result;
use crate::exec::pin_chain;
use crate::lens::{Chain, Projection, ResolvedStep, RowSource, SampleRows, VectorMetric};
use crate::store::{CollectionSnapshot, LearnedLens, Snapshot, ViewSnapshot, sample_of};
use crate::types::control::Control;
use crate::types::{
    LearnMode, LearnedDef, LensDef, Metric, ProjectionDef, ProjectionRef, SampleDef, SampleVectors, Step,
};

/// A fit, and what it was made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) collection: &'a CollectionSnapshot,
    pub(super) view: &'a ViewSnapshot,
    pub(super) mode: LearnMode,
    pub(super) gathered: &'a Gathered,
    pub(super) fitted: &'a Fitted,
}

/// The lens with its parts, under the name it will have, and what it pins.
pub(super) fn parts(learner: &Learner, made: &Made<'_>, def: LearnedDef) -> Result<LearnedLens> {
    let Made { snapshot, collection, view, gathered, fitted, .. } = *made;
    let (name, dimension) = (learner.lens.clone(), view.dimension());
    let same = def.mode == LearnMode::Same;
    let sample = (!same).then(|| questions(learner, collection, gathered, fitted));
    let first = match &sample {
        Some(sample) => Step::CenterSides(sample.name.clone()),
        None => Step::CenterCorpus,
    };
    let side = dimension as u32;
    let projection = ProjectionDef {
        name: name.clone(),
        rows: side,
        columns: side,
        query: fitted.matrices.query.clone(),
        record: (!same).then(|| fitted.matrices.record.clone()),
        origin: def.fitted_on.how.clone(),
        fitted_on: Some(def.fitted_on.clone()),
    };
    let centering = match &sample {
        Some(sample) => {
            let rows = sample.vectors.as_ref().map_or(Vec::new(), |vectors| vectors.data.clone());
            ResolvedStep::CenterSides(SampleRows::new(sample.name.clone(), dimension, rows))
        }
        None => ResolvedStep::CenterCorpus,
    };
    let steps = vec![centering, ResolvedStep::Project(Projection::from_def(&projection)?)];
    let chain = Chain::new(steps, VectorMetric::try_from(Metric::Cosine)?, dimension)?;
    // The fit has taken its time: whoever stops it now keeps it.
    let pinned = pin_chain(snapshot, collection.def(), view, &chain, &Control::default())?;
    let steps = vec![first, Step::Project(ProjectionRef::One(name))];
    let lens = LensDef { view: learner.view.clone(), steps, metric: Metric::Cosine, csls: None };
    Ok(LearnedLens { sample, projection, lens, pinned, def })
}

/// The questions whose mean the lens subtracts.
fn questions(learner: &Learner, collection: &CollectionSnapshot, gathered: &Gathered, fitted: &Fitted) -> SampleDef {
    let kept = sample(&fitted.trained);
    let of = |from: &[String]| kept.iter().filter_map(|&at| from.get(at as usize).cloned()).collect();
    let data = kept.iter().flat_map(|&at| gathered.examples.query(at).iter().copied()).collect();
    let dimension = gathered.examples.dimension as u32;
    SampleDef {
        ids: of(&gathered.ids),
        texts: of(&gathered.texts),
        vectors: Some(SampleVectors { view: learner.view.clone(), dimension, data }),
        ..SampleDef::new(sample_of(&learner.lens), collection.def().id)
    }
}
