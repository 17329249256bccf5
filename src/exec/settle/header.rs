//! The lens of a settled search as the line above an answer tells it.
//!
//! Owns how a plan describes itself: steps, samples, calibration, the age of what is pinned, and of a blend each lens.

use super::calibration::stale;
use super::plan::{BlendedLens, Plan, PlannedLens};
use crate::exec::reply::{BlendHeader, CalibrationHeader, CslsHeader, LensHeader, PinnedHeader};
use crate::types::PinnedStatistic;

impl Plan {
    /// The lens as it was understood.
    pub(crate) fn header(&self) -> LensHeader {
        match self.own_lens() {
            Some(lens) => self.lens_header(lens),
            None => self.blend_header(),
        }
    }

    /// One lens as it was understood.
    pub(crate) fn lens_header(&self, lens: &PlannedLens) -> LensHeader {
        let view = self.collection.view(&lens.def.view);
        LensHeader {
            name: lens.saved_name.clone(),
            view: lens.def.view.clone(),
            embedder: view.and_then(|view| view.def().embedder.clone()),
            steps: lens.def.steps.clone(),
            projections: lens.steps.projections.clone(),
            metric: lens.shown_metric(),
            samples: lens.steps.samples.clone(),
            csls: csls_header(lens),
            calibration: self.calibration_header(lens),
            pinned: self.pinned_header(lens),
            blend: Vec::new(),
        }
    }

    /// The blend as it was understood: the view that its lenses share (empty where they do not), and each of them.
    fn blend_header(&self) -> LensHeader {
        let blend: Vec<BlendHeader> = self.lenses().iter().map(|part| self.part_header(part)).collect();
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
            metric: self.shown_metric(),
            samples: Vec::new(),
            csls: None,
            calibration: None,
            pinned: None,
            blend,
        }
    }

    fn part_header(&self, part: &BlendedLens) -> BlendHeader {
        let mut lens = self.lens_header(&part.lens);
        lens.name = lens.name.or_else(|| part.name.clone());
        BlendHeader { weight: part.weight, lens }
    }

    fn calibration_header(&self, lens: &PlannedLens) -> Option<CalibrationHeader> {
        let calibration = lens.calibration.as_ref()?;
        Some(CalibrationHeader {
            metric: lens.def.metric,
            version: calibration.lens_version,
            commit: calibration.commit,
            origin: calibration.origin.clone(),
            labels: calibration.labels,
            top: calibration.judged_on.as_ref().map(|judged| judged.k),
            ece: calibration.reliability.as_ref().map(|reliability| reliability.ece),
            stale: stale(calibration, lens, &self.collection, self.window()),
        })
    }

    /// Notes why the probabilities may not hold, where that is so.
    pub(crate) fn note_old_calibration(&mut self) {
        let own = self.own_lens().and_then(|lens| Some((lens, lens.calibration.as_ref()?)));
        let why = own.and_then(|(lens, found)| stale(found, lens, &self.collection, self.window()));
        self.notes.extend(why.map(|why| format!("{why}: calibrate it again")));
    }

    fn pinned_header(&self, lens: &PlannedLens) -> Option<PinnedHeader> {
        let statistics = &lens.pinning.as_ref()?.statistics;
        let oldest = statistics.iter().min_by_key(|statistic| statistic.commit)?;
        let behind = |pinned: &PinnedStatistic| pinned.commits_behind(self.collection.def(), &lens.def.view);
        Some(PinnedHeader {
            commit: oldest.commit,
            commits_behind: statistics.iter().map(behind).max().unwrap_or(0),
            records: oldest.records,
        })
    }
}

fn csls_header(lens: &PlannedLens) -> Option<CslsHeader> {
    let (neighbours, sample) = lens.def.csls.clone()?;
    Some(CslsHeader { neighbours, sample })
}
