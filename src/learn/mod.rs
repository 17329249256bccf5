//! Level 5: what judged pairs teach, and how well a lens does on them.
//!
//! Owns labels as pairs to judge, the retrieval metrics with their intervals, and the run format. It asks its questions through `exec/` and knows no
//! command line.
//! Owns the retrieval metrics and the run format, and learning: labels in (`gather`), a matrix fitted to them (`fit`), tested
//! on what it has not seen (`gate`), and stored as a lens with its history (`learn`). It asks its questions through `exec/`
//! and knows no command line.

pub mod bootstrap;
pub mod evaluate;
pub mod judge;
pub mod labels;
pub mod measure;
pub(crate) mod fit;
pub(crate) mod gate;
pub(crate) mod gather;
pub(crate) mod groups;
#[expect(clippy::module_inception, reason = "the file is named for what it owns: learning, as `gate` is the gate")]
mod learn;
mod words;

pub use fit::LearnProgress;
pub use learn::{LearnReport, Learner};
pub(crate) use words::{accept_name, method_name, mode_name};
