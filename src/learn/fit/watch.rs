//! Who hears how a fit is getting on, and what stops it.
//!
//! Owns [`Watch`]: a listener, a cancellation token, a deadline. Being stopped is no error: what there is by then is
//! kept.

use crate::types::control::Control;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// What a fit is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum LearnProgress {
    /// An epoch of training is done.
    Epoch {
        /// From 1.
        epoch: usize,
        /// Epochs at most.
        of: usize,
        /// Mean loss of a step, in nats.
        loss: f64,
        /// Validation figure, 0 to 1.
        validation: f64,
    },
    /// An epoch of the last training, on all labels, is done.
    Finishing {
        /// From 1.
        epoch: usize,
        /// Epochs in all.
        of: usize,
        /// Mean loss of a step, in nats.
        loss: f64,
    },
    /// A part of the gate is done.
    Gate {
        /// Parts done.
        done: usize,
        /// Parts in all.
        of: usize,
    },
}

/// Listener, token and deadline of a fit; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    control: Control,
    deadline: Option<Instant>,
    listener: Option<Arc<dyn Fn(LearnProgress) + Send + Sync>>,
}

impl Watch {
    /// Stopped by `control` or at `deadline`.
    pub(crate) fn new(control: Control, deadline: Option<Instant>) -> Self {
        Watch { control, deadline, listener: None }
    }

    /// Tells `listener`, too.
    pub(crate) fn heard_by(mut self, listener: Option<Arc<dyn Fn(LearnProgress) + Send + Sync>>) -> Self {
        self.listener = listener;
        self
    }

    /// The same stops, nobody listening: for the fits of a gate, which run side by side.
    pub(crate) fn quiet(&self) -> Self {
        Watch { listener: None, ..self.clone() }
    }

    /// Whether it is time to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.control.checkpoint().is_err() || self.is_late()
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub(crate) fn epoch(&self, epoch: usize, of: usize, loss: f64, validation: f64) {
        self.tell(LearnProgress::Epoch { epoch, of, loss, validation });
    }

    pub(crate) fn finishing(&self, epoch: usize, of: usize, loss: f64) {
        self.tell(LearnProgress::Finishing { epoch, of, loss });
    }

    pub(crate) fn gate(&self, done: usize, of: usize) {
        self.tell(LearnProgress::Gate { done, of });
    }

    fn tell(&self, progress: LearnProgress) {
        if let Some(listener) = &self.listener {
            listener(progress);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("control", &self.control)
            .field("deadline", &self.deadline)
            .field("listens", &self.listener.is_some())
            .finish()
    }
}
