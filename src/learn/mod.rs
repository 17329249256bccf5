//! Level 5: what judged pairs teach, and how well a lens does on them.
//!
//! Owns labels as pairs to judge, the retrieval metrics with their intervals and the run format; learning: labels in
//! (`gather`), a matrix fitted to them (`fit`), tested on what it has not seen (`gate`), and stored as a lens with its history
//! (`learn`); and readings: what a score is worth (`calibrate`), what a view's vectors look like (`diagnose`), which ready-made
//! lens helps (`try_lenses`). It asks its questions through `exec/` and knows no command line.

mod asked;
pub mod bootstrap;
pub mod calibrate;
pub mod diagnose;
pub mod evaluate;
pub mod familiar;
mod figures;
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
pub mod reliability;
mod report;
mod tried;
pub mod try_lenses;
mod words;

pub use fit::LearnProgress;
#[cfg(feature = "cli")]
pub(crate) use learner::LEAST_LABELS;
pub use learner::Learner;
pub use lift::Missing;
pub use report::LearnReport;
