//! What the steps of a lens take from the records, in words.
//!
//! Owns the words and the age that goes with them. The statistics themselves are `lens`'s.

use super::plan::{Plan, PlannedLens};
use crate::types::Step;

impl Plan {
    /// What the steps take from the records and from samples, in words, each with its age.
    pub(crate) fn statistics_texts(&self, lens: &PlannedLens) -> Vec<String> {
        let pinned_at = |idx: usize| {
            let statistics = lens.pinning.iter().flat_map(|pinning| &pinning.statistics);
            statistics.into_iter().find(|pinned| pinned.step_idx as usize == idx)
        };
        let mut texts = Vec::new();
        for (idx, step) in lens.def.steps.iter().enumerate() {
            let Some(what) = statistic_words(step) else { continue };
            texts.push(match pinned_at(idx) {
                Some(pinned) => {
                    let behind = pinned.commits_behind(self.collection.def(), &lens.def.view);
                    let age = match behind {
                        0 => "nothing changed since".to_string(),
                        1 => "1 commit behind".to_string(),
                        commits => format!("{commits} commits behind"),
                    };
                    format!("{what} of {} records pinned at commit {} ({age})", pinned.records, pinned.commit)
                }
                None => format!("{what} of this commit's records"),
            });
            if let Step::CenterSides(name) = step {
                let sample = lens.steps.samples.iter().find(|sample| sample.name == *name);
                let queries = sample.map_or(0, |sample| sample.queries);
                texts.push(format!("mean of the {queries} queries of sample {name}"));
            }
        }
        texts
    }
}

/// What a step takes from the records, in words.
pub(crate) fn statistic_words(step: &Step) -> Option<String> {
    let directions = |k: u32| match k {
        1 => "mean and first principal direction".to_string(),
        k => format!("mean and first {k} principal directions"),
    };
    match step {
        Step::CenterCorpus | Step::CenterSides(_) => Some("mean".to_string()),
        Step::Standardize => Some("mean and standard deviations".to_string()),
        Step::Whiten(None) => Some("mean and principal directions".to_string()),
        Step::Whiten(Some(k)) | Step::Drop(k) => Some(directions(*k)),
        Step::Center | Step::Normalize | Step::Truncate(_) | Step::Project(_) => None,
    }
}
