//! Commands that look after a store: what is in it, whether it is sound, and what is made ready for searches.

pub(in crate::cli::commands) mod analyze;
pub(in crate::cli::commands) mod backup;
pub(in crate::cli::commands) mod check;
pub(in crate::cli::commands) mod compact;
pub(in crate::cli::commands) mod embed;
pub(in crate::cli::commands) mod info;
pub(in crate::cli::commands) mod materialize;
