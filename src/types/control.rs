//! Progress and cancellation of long calls, free of any rendering.
//!
//! Owns [`Control`], which long calls take, and its two parts. A call that does not care passes
//! [`Control::default`], which reports to nobody and is never cancelled.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How far a long call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being counted: `records`, `vectors`, `bytes`.
    pub unit: &'static str,
    /// How many are done.
    pub done: u64,
    /// How many there are, where that is known.
    pub total: Option<u64>,
}

/// A switch that stops long calls; clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not set.
    pub fn new() -> Self {
        CancelToken::default()
    }

    /// Asks every call that holds this token to stop at its next step.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the token is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who hears of a long call's progress, and who may stop it.
#[derive(Clone, Default)]
pub struct Control {
    progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    cancel: CancelToken,
    deadline: Option<Instant>,
}

impl Control {
    /// A control that reports to nobody.
    pub fn new() -> Self {
        Control::default()
    }

    /// Calls `progress` from time to time, possibly from several threads.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Stops the call when `token` is set.
    #[must_use]
    pub fn cancelled_by(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// Stops the call once `timeout` from now has passed; of several, the earliest counts.
    #[must_use]
    pub fn deadline(mut self, timeout: Duration) -> Self {
        // A time that no clock reaches is none.
        let wanted = Instant::now().checked_add(timeout);
        self.deadline = self.deadline.into_iter().chain(wanted).min();
        self
    }

    /// Tells the listener, if there is one, that `done` of `total` are done.
    pub fn report(&self, unit: &'static str, done: u64, total: Option<u64>) {
        if let Some(progress) = &self.progress {
            progress(Progress { unit, done, total });
        }
    }

    /// Fails once the token is set, or once the deadline has passed.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn checkpoint(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::new(ErrorKind::Cancelled, "stopped: its deadline has passed"));
        }
        Ok(())
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("listens", &self.progress.is_some())
            .field("cancelled", &self.cancel.is_cancelled())
            .field("deadline", &self.deadline)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_deadline_stops_and_the_earliest_counts() {
        Control::new().deadline(Duration::from_secs(3600)).checkpoint().unwrap();
        Control::new().deadline(Duration::MAX).checkpoint().unwrap();
        for control in [
            Control::new().deadline(Duration::ZERO),
            Control::new().deadline(Duration::ZERO).deadline(Duration::MAX),
            Control::new().deadline(Duration::from_secs(3600)).deadline(Duration::ZERO),
        ] {
            let error = control.checkpoint().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            assert!(error.to_string().contains("deadline"), "{error}");
        }
    }

    #[test]
    fn control_reports_and_stops() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let token = CancelToken::new();
        let sink = Arc::clone(&seen);
        let control = Control::new()
            .on_progress(move |progress| sink.lock().unwrap().push(progress.done))
            .cancelled_by(token.clone());
        control.report("records", 3, None);
        assert!(control.checkpoint().is_ok());
        token.cancel();
        assert_eq!(control.checkpoint().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(*seen.lock().unwrap(), [3]);
    }
}
