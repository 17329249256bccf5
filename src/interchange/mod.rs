//! Level 4: files and streams of other programs, in and out.
//!
//! Owns the reading of JSONL (plain or gzip) and `.npy`, the writing of both, and the imports that carry records and labels
//! into a store. It trusts no byte it reads: every bound is checked, every complaint names line and field. It knows nothing
//! of terminals or arguments.

pub(crate) mod beir;
pub(crate) mod export;
pub(crate) mod folder;
pub(crate) mod import;
pub(crate) mod input;
pub(crate) mod jsonl;
pub(crate) mod judged;
pub(crate) mod labels;
pub(crate) mod nested;
pub(crate) mod npy;
pub(crate) mod npy_header;
pub(crate) mod output;
pub(crate) mod placed;
