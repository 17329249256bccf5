//! LOCK: who writes to the store. A second guard, for where the operating system's locks do not reach.
//!
//! The lock itself is the operating system's, on bytes of the catalog's file. It does not reach from one mount of a
//! folder to another of the same (FUSE), nor everywhere over a network. So a writer writes its name and a token into
//! LOCK before it changes the header for the first time, and looks whether its token still stands there before every
//! later change of the header and every append: who finds another one there writes no more. What stands in LOCK when a
//! writer comes decides only where it is sure: an owner that runs, or ran on another machine that may reach the folder,
//! is not shoved aside; one that is gone is, and so is one of whom nothing is known: the operating system has given its
//! lock. Whoever comes only to repair leaves there again what it found; the next writer learns from it whether the last
//! one has closed the store.

use crate::catalog::{CATALOG_FILE, LOCK_FILE};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::checksum::checksum;
use crate::storage::process::{Fate, ProcessMark, line};
use crate::storage::{OpenMode, Storage};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

const MOST_BYTES: usize = 2_048;
const TOKEN_DIGITS: usize = 32;

/// One opening for writing, as LOCK has it.
#[derive(Debug)]
pub(in crate::catalog) struct Holder {
    storage: Arc<dyn Storage>,
    token: String,
    state: Mutex<State>,
    /// What stood in LOCK before.
    before: Mutex<Vec<u8>>,
    /// Whether this is a writer, and not only somebody who repairs.
    announced: AtomicBool,
    was_left_open: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// Nothing has been written.
    New,
    /// The token stands in LOCK, or could not be written there: that is no reason not to write to the store.
    Claimed,
    /// Somebody else's does.
    Refused(String),
}

/// What stands in LOCK.
struct Claim {
    mark: ProcessMark,
    token: String,
    /// The catalog's file as the owner saw it.
    file: String,
}

impl Claim {
    /// Whether all of it is there: on a full disk some may be missing.
    fn is_whole(&self) -> bool {
        self.token.len() == TOKEN_DIGITS
    }
}

impl Holder {
    pub(in crate::catalog) fn new(storage: &Arc<dyn Storage>) -> Holder {
        Holder {
            storage: Arc::clone(storage),
            token: token(),
            state: Mutex::new(State::New),
            before: Mutex::default(),
            announced: AtomicBool::new(false),
            was_left_open: AtomicBool::new(false),
        }
    }

    /// From now on this is a writer: it leaves LOCK empty when it closes.
    pub(in crate::catalog) fn announce(&self) {
        self.announced.store(true, Ordering::Relaxed);
    }

    /// Whether LOCK still named the writer before when this one came.
    pub(in crate::catalog) fn was_left_open(&self) -> bool {
        self.was_left_open.load(Ordering::Relaxed)
    }

    /// Called before the header is changed, and before bytes that a commit will count on are appended: the first time,
    /// this opening's name is written into LOCK; later, it must still stand there.
    ///
    /// # Errors
    /// `Locked`, naming the other writer and what to do.
    pub(in crate::catalog) fn hold(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Refused(message) => return Err(self.error(message)),
            State::Claimed => {
                if let Some(other) = read(&*self.storage).filter(|claim| claim.is_whole() && claim.token != self.token)
                {
                    let message = format!(
                        "{} was taken over by {}; nothing more is written from here. \
                         Locks do not reach between the two: let one process write, on one mount of the folder",
                        self.storage.root().display(),
                        other.mark.shown()
                    );
                    *state = State::Refused(message.clone());
                    return Err(self.error(&message));
                }
            }
            State::New => {
                if let Some(message) = read(&*self.storage).and_then(|claim| self.stands_against(&claim)) {
                    *state = State::Refused(message.clone());
                    return Err(self.error(&message));
                }
                self.was_left_open.store(is_announced(&*self.storage), Ordering::Relaxed);
                *self.before.lock().unwrap_or_else(PoisonError::into_inner) = bytes(&*self.storage).unwrap_or_default();
                self.write(self.text().as_bytes());
                *state = State::Claimed;
            }
        }
        Ok(())
    }

    /// Why `claim` is not shoved aside, if it is not.
    fn stands_against(&self, claim: &Claim) -> Option<String> {
        // The folder may be a copy that was made while its original was written to: LOCK came along.
        let is_copy = !claim.file.is_empty() && claim.file != self.file();
        if is_copy || !claim.is_whole() || claim.mark.is_own() {
            return None;
        }
        let why = match claim.mark.fate() {
            Fate::Runs => "which runs, though the operating system's locks say nothing of it",
            // What other machines cannot reach was left before this one was started anew, or by a container.
            Fate::Elsewhere if self.storage.is_remote() => "whose end cannot be seen from here",
            Fate::Elsewhere | Fate::Gone | Fate::Unknown => return None,
        };
        let lock = self.storage.root().join(LOCK_FILE);
        Some(format!(
            "{} is being written by {}, {why}; where that process has ended, or does not write to this store, remove \
             {}",
            self.storage.root().display(),
            claim.mark.shown(),
            lock.display()
        ))
    }

    /// The number of the catalog's file: the same by every way to it, and another one's in a copy.
    fn file(&self) -> String {
        let identity = self.storage.identity(CATALOG_FILE).ok().flatten();
        identity.map(|identity| identity.1.to_string()).unwrap_or_default()
    }

    fn text(&self) -> String {
        format!("{}token={}\nfile={}\n", ProcessMark::own().to_lines(), self.token, self.file())
    }

    fn write(&self, text: &[u8]) {
        if let Ok(file) = self.storage.open(LOCK_FILE, OpenMode::CreateOrOpen) {
            let _ = file.set_len(0).and_then(|()| if text.is_empty() { Ok(()) } else { file.write_all_at(text, 0) });
        }
    }

    /// Takes this opening's name out of LOCK when it closes, if it stands there.
    pub(in crate::catalog) fn withdraw(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Claimed) {
            return;
        }
        *state = State::New;
        if read(&*self.storage).is_none_or(|claim| claim.token != self.token) {
            return;
        }
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(if self.announced.load(Ordering::Relaxed) { &[] } else { &before });
    }

    /// The refusal, if there was one.
    pub(in crate::catalog) fn refusal(&self) -> Option<Error> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Refused(message) => Some(self.error(message)),
            State::New | State::Claimed => None,
        }
    }

    fn error(&self, message: &str) -> Error {
        Error::new(ErrorKind::Locked, message).with_path(self.storage.root())
    }
}

/// An opening that failed on the way has no other end.
impl Drop for Holder {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Nobody else's: made of who, when, and how many before.
fn token() -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let text = format!("{}{now}{made}{:?}", ProcessMark::own().to_lines(), std::thread::current().id());
    format!("{:016x}{:016x}", checksum(1, text.as_bytes()), checksum(2, text.as_bytes()))
}

/// The error of a second writer: it names the store and, where LOCK tells, the holder.
pub(in crate::catalog) fn locked(storage: &dyn Storage) -> Error {
    let root = storage.root();
    let message = format!("{} is being written by {}; one process writes at a time", root.display(), shown(storage));
    Error::new(ErrorKind::Locked, message).with_path(root)
}

/// The error of whoever waited in vain for a moment at which the store can be looked at.
pub(in crate::catalog) fn in_the_way(storage: &dyn Storage) -> Error {
    let root = storage.root();
    let message = format!(
        "{} cannot be opened just now: {} keeps its catalog locked, and may have been stopped; \
         let it go on, end it, or wait longer (--wait)",
        root.display(),
        shown(storage)
    );
    Error::new(ErrorKind::Locked, message).with_path(root)
}

fn shown(storage: &dyn Storage) -> String {
    read(storage).map_or_else(|| "another process".to_string(), |claim| claim.mark.shown())
}

/// Whether a writer stands in LOCK.
fn is_announced(storage: &dyn Storage) -> bool {
    storage.exists(LOCK_FILE).unwrap_or(true) && storage.len(LOCK_FILE).map_or(true, |len| len > 0)
}

fn bytes(storage: &dyn Storage) -> Option<Vec<u8>> {
    let file = storage.open(LOCK_FILE, OpenMode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?.min(MOST_BYTES)];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

fn read(storage: &dyn Storage) -> Option<Claim> {
    let bytes = bytes(storage)?;
    let text = String::from_utf8_lossy(&bytes);
    let mark = ProcessMark::of_lines(&text)?;
    let field = |name: &str| line(&text, name).unwrap_or_default().to_string();
    Some(Claim { mark, token: field("token"), file: field("file") })
}
