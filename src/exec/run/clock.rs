//! What a search came to, and how long each stage of it took.
//!
//! Owns [`Run`] and the names by which `explain` asks for the time of a stage.

use crate::exec::reply::Answer;
use crate::types::RowSet;
use std::time::{Duration, Instant};

/// What one search came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) answer: Answer,
    /// Rows of the matched set without direction.
    pub(crate) undirected: RowSet,
    pub(crate) timings: Timings,
}

/// Time of each stage; of a batch, all its searches together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timings {
    pub(crate) filter: Duration,
    pub(crate) source: Duration,
    pub(crate) fold: Duration,
    pub(crate) scan: Duration,
    pub(crate) then: Duration,
}

impl Timings {
    /// The time of a stage that `explain` names.
    pub(crate) fn of(&self, stage: &str) -> Option<Duration> {
        match stage {
            "filter" => Some(self.filter),
            "source" => Some(self.source),
            "fold" => Some(self.fold),
            "scan" => Some(self.scan),
            "then" => Some(self.then),
            _ => None,
        }
    }
}

/// Times stages one after the other.
pub(crate) struct Clock {
    last: Instant,
    /// What was measured so far.
    pub(crate) timings: Timings,
}

impl Clock {
    /// A clock whose first stage began at `begun`.
    pub(crate) fn new(begun: Instant) -> Self {
        Clock { last: begun, timings: Timings::default() }
    }

    /// Time since the last lap.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now - self.last;
        self.last = now;
        lap
    }
}
