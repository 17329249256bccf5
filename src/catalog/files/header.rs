//! The lock on the header of the catalog, held for as short a time as can be, and waited for no longer than asked.
//!
//! Whoever begins a snapshot takes it shared for a moment, whoever publishes a commit exclusively for one write. But
//! redb holds it over syncs while a writer opens or closes, and over all of its work while it shrinks its file. Nothing
//! of that needs it: a commit that is not lent the lock syncs without it, and frees no page that a snapshot begun
//! meanwhile sees. So it is let go of for each sync, and now and then while the file shrinks. Invariant: it is taken
//! again before redb goes on, by the thread that holds it, and never let go of for redb's look at who is reading.

use super::locks::Locks;
use redb::BackendError;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// How long a reader waits where nobody said how long.
const USUAL_PATIENCE: Duration = Duration::from_secs(5);
/// A writer waits at least this long for a reader that is looking: giving up on a commit poisons it.
const WRITER_PATIENCE: Duration = Duration::from_secs(60);
/// Until then a taken lock is tried again and again,
const SOON: Duration = Duration::from_micros(300);
/// and then this often.
const RETRY_INTERVAL: Duration = Duration::from_millis(1);
/// While the file shrinks, others are let in this often at least,
const LET_IN_EVERY: Duration = Duration::from_millis(50);
/// and for so long, within which they try several times.
const LET_IN_FOR: Duration = Duration::from_millis(5);
/// For so long shrinking goes on beside readers that were let in: until they end, it cannot.
const SHRINKING_BESIDE_READERS: Duration = Duration::from_secs(2);

/// The header's lock of one opening of the catalog.
#[derive(Debug)]
pub(in crate::catalog) struct HeaderLock {
    patience: Duration,
    /// Set once a lock was waited for in vain.
    gave_up: AtomicBool,
    shrinking: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// When shrinking first met a reader.
    met_reader: Option<Instant>,
}

/// An exclusive lock.
#[derive(Debug, Clone, Copy)]
struct Held {
    start: Bound<u64>,
    end: Bound<u64>,
    by: ThreadId,
    /// When it was taken, or others were last let in.
    since: Instant,
}

impl HeaderLock {
    /// `busy_timeout` is how long a reader waits; zero stands for what is usual.
    pub(in crate::catalog) fn new(busy_timeout: Duration) -> HeaderLock {
        let patience = if busy_timeout.is_zero() { USUAL_PATIENCE } else { busy_timeout };
        HeaderLock {
            patience,
            gave_up: AtomicBool::new(false),
            shrinking: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a lock was waited for in vain since this was last asked.
    pub(in crate::catalog) fn gave_up(&self) -> bool {
        self.gave_up.swap(false, Ordering::AcqRel)
    }

    /// From here until [`HeaderLock::end_shrinking`], others are let in while the lock is held.
    pub(in crate::catalog) fn begin_shrinking(&self) {
        self.state().met_reader = None;
        self.shrinking.store(true, Ordering::Release);
    }

    pub(in crate::catalog) fn end_shrinking(&self) {
        self.shrinking.store(false, Ordering::Release);
    }

    /// Waits for the lock, and no longer than patience lasts.
    pub(in crate::catalog) fn lock(
        &self,
        locks: &Locks,
        start: Bound<u64>,
        end: Bound<u64>,
        exclusive: bool,
    ) -> Result<(), BackendError> {
        let patience = if exclusive { self.patience.max(WRITER_PATIENCE) } else { self.patience };
        let begun = Instant::now();
        while !locks.try_lock(start, end, exclusive)? {
            if begun.elapsed() >= patience {
                self.gave_up.store(true, Ordering::Release);
                let words = format!("its header was locked for {} s", patience.as_secs_f64());
                return Err(io::Error::new(io::ErrorKind::TimedOut, words).into());
            }
            match begun.elapsed() {
                _ if locks.are_by_turns() => {}
                // Mostly it is held for one write, or for a look.
                waited if waited < SOON => std::thread::yield_now(),
                _ => std::thread::sleep(RETRY_INTERVAL),
            }
        }
        if exclusive {
            let held = Held { start, end, by: std::thread::current().id(), since: Instant::now() };
            self.state().held = Some(held);
        }
        Ok(())
    }

    pub(in crate::catalog) fn unlock(
        &self,
        locks: &Locks,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<(), BackendError> {
        {
            let mut state = self.state();
            if state.held.is_some_and(|held| (held.start, held.end) == (start, end)) {
                state.held = None;
            }
        }
        locks.unlock(start, end)
    }

    /// The lock, if this thread holds it exclusively. Another thread's reads and syncs say nothing about it.
    fn own(&self) -> Option<Held> {
        self.state().held.filter(|held| held.by == std::thread::current().id())
    }

    /// Runs `sync` without the lock.
    pub(in crate::catalog) fn without(&self, locks: &Locks, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Some(held) = self.own() else { return sync() };
        locks.unlock(held.start, held.end).map_err(as_io)?;
        let synced = sync();
        self.retake(locks, held)?;
        synced
    }

    /// Lets others in, if the file is shrinking and they have waited for a while.
    pub(in crate::catalog) fn let_in(&self, locks: &Locks) -> io::Result<()> {
        if !self.shrinking.load(Ordering::Acquire) {
            return Ok(());
        }
        let Some(held) = self.own().filter(|held| held.since.elapsed() >= LET_IN_EVERY) else { return Ok(()) };
        locks.unlock(held.start, held.end).map_err(as_io)?;
        std::thread::sleep(LET_IN_FOR);
        self.retake(locks, held)
    }

    fn retake(&self, locks: &Locks, held: Held) -> io::Result<()> {
        self.lock(locks, held.start, held.end, true).map_err(as_io)
    }

    /// Hears whether somebody holds bytes that readers take. Shrinking ends with an error where they stay: it would
    /// commit again and again until they have gone.
    pub(in crate::catalog) fn hear_of_readers(&self, there_are: bool) -> Result<(), BackendError> {
        if !there_are || !self.shrinking.load(Ordering::Acquire) {
            return Ok(());
        }
        let met = *self.state().met_reader.get_or_insert_with(Instant::now);
        if met.elapsed() < SHRINKING_BESIDE_READERS {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "readers stayed while the file was to shrink").into())
    }
}

fn as_io(error: BackendError) -> io::Error {
    match error {
        BackendError::Io(error) => error,
        other => io::Error::other(other),
    }
}
