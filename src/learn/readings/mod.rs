//! Readings: what a score is worth, what a view's vectors look like, which ready-made lens helps. Nothing is learned.

pub mod calibrate;
pub mod diagnose;
pub(in crate::learn) mod figures;
pub mod reliability;
pub(in crate::learn) mod tried;
pub mod try_lenses;
