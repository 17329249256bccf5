//! Level 5: what judged pairs teach, and how well a lens does on them.
//!
//! Owns the retrieval metrics and the run format for now. It asks its questions through `exec/` and knows no
//! command line.

pub mod evaluate;
