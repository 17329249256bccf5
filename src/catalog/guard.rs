//! The place where redb's errors and panics end.
//!
//! Every call into redb runs through [`Health::run`]. A panic, or an error that redb will not get over, marks the
//! handle as broken: it is dropped and another one opened by whoever asks next. Damage that the backend saw is
//! recorded here, so that an error names file, offset, expected and found instead of redb's general words.

use super::CATALOG_FILE;
use super::files::header::HeaderLock;
use super::files::holder::{self, Holder};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::Storage;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Damage beyond this many findings is not listed one by one.
const MOST_FINDINGS: usize = 10_000;

/// What is known about one open handle of the catalog.
#[derive(Debug)]
pub(super) struct Health {
    catalog: PathBuf,
    storage: Arc<dyn Storage>,
    header: Arc<HeaderLock>,
    holder: Arc<Holder>,
    broken: AtomicBool,
    write_failed: AtomicBool,
    /// The first write or sync that failed, in the operating system's words.
    failure: Mutex<Option<io::Error>>,
    findings: Mutex<Vec<Damage>>,
}

impl Health {
    pub(super) fn new(storage: &Arc<dyn Storage>, header: &Arc<HeaderLock>, holder: &Arc<Holder>) -> Health {
        Health {
            catalog: storage.root().join(CATALOG_FILE),
            storage: Arc::clone(storage),
            header: Arc::clone(header),
            holder: Arc::clone(holder),
            broken: AtomicBool::new(false),
            write_failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            findings: Mutex::new(Vec::new()),
        }
    }

    /// Whether the handle must be dropped and another one opened.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Whether a write or sync has failed: what is on disk is then unknown until the store is opened anew.
    pub(super) fn has_write_failed(&self) -> bool {
        self.write_failed.load(Ordering::Acquire)
    }

    /// The handle is of no more use, though nothing has failed.
    pub(super) fn note_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(super) fn note_write_failed(&self) {
        self.write_failed.store(true, Ordering::Release);
        self.broken.store(true, Ordering::Release);
    }

    /// Remembers why a write or sync failed.
    pub(super) fn note_failure(&self, source: &io::Error) {
        let same = source.raw_os_error().map_or_else(|| io::Error::from(source.kind()), io::Error::from_raw_os_error);
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(same);
        self.note_write_failed();
    }

    /// The first write or sync that failed, as an error of what it was for: redb tells nobody of those in its closing.
    pub(super) fn failure(&self, action: &'static str) -> Option<Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map(|source| Error::io(action, &self.catalog, source))
    }

    /// Records damage once.
    pub(super) fn note(&self, damage: Damage) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < MOST_FINDINGS && !findings.contains(&damage) {
            findings.push(damage);
        }
    }

    /// All damage recorded so far.
    pub(super) fn findings(&self) -> Vec<Damage> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `call`, which calls redb in order to `action` ("read a value"), and turns what goes wrong into our errors.
    pub(super) fn run<T>(&self, action: &str, call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.translate(action, error)),
            Err(panic) => {
                self.broken.store(true, Ordering::Release);
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                Err(self.first_finding().unwrap_or_else(|| self.damaged(action, words)))
            }
        }
    }

    fn translate(&self, action: &str, error: redb::Error) -> Error {
        self.broken.store(true, Ordering::Release);
        if self.header.gave_up() {
            return holder::in_the_way(&*self.storage).with_source(error);
        }
        if let Some(refusal) = self.holder.refusal() {
            return refusal;
        }
        if let Some(found) = self.first_finding() {
            return found.with_source(error);
        }
        match error {
            redb::Error::Corrupted(words) => self.damaged(action, &words),
            redb::Error::TableDoesNotExist(table) => self.damaged(action, &format!("there is no table {table}")),
            // We only ever write one version of redb's format, and one type of table: anything else is damage.
            other @ (redb::Error::UpgradeRequired(_)
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }) => self.damaged(action, &other.to_string()),
            redb::Error::Io(source) if source.kind() == std::io::ErrorKind::InvalidData => {
                self.damaged(action, &source.to_string())
            }
            redb::Error::Io(source) => Error::io(action, &self.catalog, source),
            redb::Error::ValueTooLarge(bytes) => {
                Error::new(ErrorKind::Limit, format!("a value of {bytes} bytes is too large for the catalog"))
            }
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                let words = format!(
                    "cannot {action} {}: an earlier call failed; take a new snapshot to read on",
                    self.catalog.display()
                );
                Error::new(ErrorKind::Io, words).with_path(&self.catalog)
            }
            other => {
                let words = format!("cannot {action} {}: {other}", self.catalog.display());
                Error::new(ErrorKind::Io, words).with_path(&self.catalog).with_source(other)
            }
        }
    }

    fn first_finding(&self) -> Option<Error> {
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.first().cloned().map(|damage| Error::corrupt(damage).with_path(&self.catalog))
    }

    fn damaged(&self, action: &str, found: &str) -> Error {
        let damage = Damage {
            file: CATALOG_FILE.into(),
            offset: 0,
            what: format!("cannot {action} the catalog"),
            expected: "a sound catalog".to_string(),
            found: found.to_string(),
        };
        Error::corrupt(damage).with_path(&self.catalog)
    }
}
