//! What the gate is asked about: labelled questions, what belongs together among them, and how to hold them out.

use crate::types::{Accept, LearnMethod};

/// What the gate looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate<'a> {
    /// Labelled questions.
    pub(crate) queries: &'a [u32],
    /// What labels connect, near-duplicates joined: by question.
    pub(crate) groups: &'a [u32],
    /// Near-duplicates of questions alone: by question.
    pub(crate) alike: &'a [u32],
    /// What labels connect: by question.
    pub(crate) components: &'a [u32],
    /// The class of every question, the rarest of several; of listed answers, what labels connect.
    pub(crate) classes: &'a [u32],
    /// What the validation of the fit in question holds back whole: by question.
    pub(crate) validated_by: &'a [u32],
    /// The method, or all of them.
    pub(crate) method: Option<LearnMethod>,
    /// Whether training may be averaged with the closed form.
    pub(crate) averaged: bool,
    /// Which lift decides.
    pub(crate) accept: Accept,
    /// Where chance comes from.
    pub(crate) seed: u64,
    /// How often labels are cut anew.
    pub(crate) rounds: usize,
    /// Splits that validate inside each part.
    pub(crate) splits: usize,
}
