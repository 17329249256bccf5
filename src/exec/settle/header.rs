//! The lens of a settled search as the line above an answer tells it.
//!
//! Owns how a plan describes itself: steps, samples, calibration, the age of what is pinned, and of a blend each lens.

use super::calibration::stale;
use super::plan::{BlendPart, Plan};
use crate::exec::reply::{BlendHeader, CalibrationHeader, CslsHeader, LensHeader, PinnedHeader};
use crate::types::{Metric, PinnedStatistic};

impl Plan {
    /// The lens as it was understood.
    pub(crate) fn header(&self) -> LensHeader {
        if !self.blend.is_empty() {
            return blend_header(self);
        }
        let view = self.collection.view(&self.lens.def.view);
        LensHeader {
            name: self.lens.saved_name.clone(),
            view: self.lens.def.view.clone(),
            embedder: view.and_then(|view| view.def().embedder.clone()),
            steps: self.lens.def.steps.clone(),
            projections: self.lens.steps.projections.clone(),
            metric: self.lens.shown_metric(),
            samples: self.lens.steps.samples.clone(),
            csls: self.csls_header(),
            calibration: self.calibration_header(),
            pinned: self.pinned_header(),
            blend: Vec::new(),
        }
    }

    fn csls_header(&self) -> Option<CslsHeader> {
        let (neighbours, sample) = self.lens.def.csls.clone()?;
        Some(CslsHeader { neighbours, sample })
    }

    fn calibration_header(&self) -> Option<CalibrationHeader> {
        let calibration = self.lens.calibration.as_ref()?;
        Some(CalibrationHeader {
            metric: self.lens.def.metric,
            version: calibration.lens_version,
            commit: calibration.commit,
            origin: calibration.origin.clone(),
            labels: calibration.labels,
            top: calibration.judged_on.as_ref().map(|judged| judged.k),
            ece: calibration.reliability.as_ref().map(|reliability| reliability.ece),
            stale: stale(calibration, &self.lens, &self.collection, self.window()),
        })
    }

    /// Notes why the probabilities may not hold, where that is so.
    pub(crate) fn note_old_calibration(&mut self) {
        let found = self.lens.calibration.as_ref();
        let why = found.and_then(|found| stale(found, &self.lens, &self.collection, self.window()));
        self.notes.extend(why.map(|why| format!("{why}: calibrate it again")));
    }

    fn pinned_header(&self) -> Option<PinnedHeader> {
        let statistics = &self.lens.pinning.as_ref()?.statistics;
        let oldest = statistics.iter().min_by_key(|statistic| statistic.commit)?;
        let behind = |pinned: &PinnedStatistic| pinned.commits_behind(self.collection.def(), &self.lens.def.view);
        Some(PinnedHeader {
            commit: oldest.commit,
            commits_behind: statistics.iter().map(behind).max().unwrap_or(0),
            records: oldest.records,
        })
    }
}

/// The blend as it was understood: the view that its lenses share (empty where they do not), and each of them.
fn blend_header(plan: &Plan) -> LensHeader {
    let blend: Vec<BlendHeader> = plan.blend.iter().map(part_header).collect();
    let (mut view, mut embedder) = (String::new(), None);
    if let Some(first) = blend.first()
        && blend.iter().all(|part| part.lens.view == first.lens.view)
    {
        (view, embedder) = (first.lens.view.clone(), first.lens.embedder.clone());
    }
    LensHeader {
        name: None,
        view,
        embedder,
        steps: Vec::new(),
        projections: Vec::new(),
        metric: Metric::Dot,
        samples: Vec::new(),
        csls: None,
        calibration: None,
        pinned: None,
        blend,
    }
}

fn part_header(part: &BlendPart) -> BlendHeader {
    let mut lens = part.plan.header();
    lens.name.get_or_insert_with(|| part.name.clone());
    BlendHeader { weight: part.weight, lens }
}
