//! How a search is run, stage by stage, as `explain` tells it.
//!
//! Owns the words for it and nothing of the running.

use super::answer::PlanInfo;
use super::header::LensHeader;
use std::time::Duration;

/// How a search is run, stage by stage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The search in canonical form, defaults included.
    pub statement: String,
    /// The lens as it was understood.
    pub header: LensHeader,
    /// What is done, in order.
    pub stages: Vec<Stage>,
    /// Remarks, as in the answer.
    pub notes: Vec<String>,
    /// What was counted; only `analyze` runs the search.
    pub plan: Option<PlanInfo>,
    /// Time from binding to answer; only `analyze` measures.
    pub elapsed: Option<Duration>,
    /// Memory of the process after the search; only `analyze` measures, and only where the system says.
    pub memory: Option<Memory>,
}

/// Memory of this process as the operating system counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes in memory, mapped files included.
    pub resident_bytes: u64,
    /// Those of them that are pages of mapped files: the system takes them back when it needs room.
    pub mapped_bytes: u64,
}

/// One stage of a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// `source`, `metric`, `fold`, `filter`, `scan`, `then`.
    pub name: &'static str,
    /// What is done there, in words.
    pub text: String,
    /// Rows it looks at, where it looks at rows.
    pub rows: Option<u64>,
    /// Bytes it reads, where they are known.
    pub bytes: Option<u64>,
    /// Time it took; only `analyze` measures.
    pub elapsed: Option<Duration>,
}
