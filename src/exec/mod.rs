//! Level 4: answering a statement.

pub mod scan;
