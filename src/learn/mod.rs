//! Level 5: what judged pairs teach, and how well a lens does on them.
//!
//! Owns labels as pairs to judge, the retrieval metrics with their intervals, and the run format. It asks its questions through `exec/` and knows no
//! command line.

pub mod bootstrap;
pub mod evaluate;
pub mod judge;
pub mod labels;
pub mod measure;
