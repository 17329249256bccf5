//! Level 5: what judged pairs teach, and how well a lens does on them.
//!
//! Owns the retrieval metrics and the run format for now. It asks its questions through `exec/` and knows no
//! command line.

pub mod calibrate;
pub mod diagnose;
pub mod evaluate;
mod figures;
mod interval;
pub mod reliability;
mod tried;
pub mod try_lenses;
