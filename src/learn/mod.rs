//! Level 5: what judged pairs teach, and how well a lens does on them.
//!
//! Owns labels as pairs to judge, the retrieval metrics with their intervals and the run format; learning: labels in
//! (`gather`), a matrix fitted to them (`fit`), tested on what it has not seen (`gate`), and stored as a lens with its
//! history (`learn`); and readings: what a score is worth (`calibrate`), what a view's vectors look like (`diagnose`),
//! which ready-made lens helps (`try_lenses`). It asks its questions through `exec/` and knows no command line.

mod asked;
pub mod bootstrap;
pub mod evaluate;
pub mod familiar;
pub(crate) mod fit;
pub(crate) mod gate;
pub(crate) mod gather;
pub(crate) mod groups;
mod held;
pub mod judge;
pub mod labels;
#[expect(clippy::module_inception, reason = "the file is named for what it owns: learning, as `gate` is the gate")]
mod learn;
mod learner;
mod lift;
pub mod measure;
pub mod oddities;
mod parts;
mod readings;
mod report;
mod words;

pub use readings::{calibrate, diagnose, reliability, try_lenses};

pub use fit::LearnProgress;
#[cfg(feature = "cli")]
pub(crate) use learner::LEAST_LABELS;
pub use learner::Learner;
pub use lift::Missing;
pub use report::LearnReport;
