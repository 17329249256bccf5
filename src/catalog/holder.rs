//! LOCK: who holds the writer's lock, so that a refused writer can be told.
//!
//! The lock itself is the operating system's, on bytes of the catalog's file. What stands in LOCK may be out of date after
//! a crash: it tells people who holds the lock, and the next writer whether the last one has closed the store.

use super::LOCK_FILE;
use crate::error::{Error, ErrorKind};
use crate::storage::{OpenMode, Storage, input};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MOST_BYTES: usize = 1_024;

/// Writes this process's name into LOCK. Failing to is no reason not to write to the store.
pub(super) fn announce(storage: &dyn Storage) {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let text = format!(
        "pid={}\nprogram={}\nhost={}\nsince={since}\n",
        std::process::id(),
        program.unwrap_or_default(),
        input::host_name()
    );
    if let Ok(file) = storage.open(LOCK_FILE, OpenMode::CreateOrOpen) {
        let _ = file.set_len(0).and_then(|()| file.write_all_at(text.as_bytes(), 0));
    }
}

/// Whether a writer has announced itself and not withdrawn.
pub(super) fn is_announced(storage: &dyn Storage) -> bool {
    storage.exists(LOCK_FILE).unwrap_or(true) && storage.len(LOCK_FILE).map_or(true, |len| len > 0)
}

/// Empties LOCK when the writer closes.
pub(super) fn withdraw(storage: &dyn Storage) {
    if let Ok(file) = storage.open(LOCK_FILE, OpenMode::Write) {
        let _ = file.set_len(0);
    }
}

/// The error of a second writer: it names the store and, where LOCK tells, the holder.
pub(super) fn locked(storage: &dyn Storage) -> Error {
    let root = storage.root();
    let holder = read(storage).unwrap_or_else(|| "another process".to_string());
    let message = format!("{} is being written by {holder}; one process writes at a time", root.display());
    Error::new(ErrorKind::Locked, message).with_path(root)
}

fn read(storage: &dyn Storage) -> Option<String> {
    let file = storage.open(LOCK_FILE, OpenMode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?.min(MOST_BYTES)];
    file.read_exact_at(&mut bytes, 0).ok()?;
    // LOCK is read for people: control characters would reach their terminal.
    let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).filter(|value| !value.is_empty());
    let pid = field("pid=")?;
    let mut details = vec![format!("process {pid}")];
    details.extend(field("host=").map(|host| format!("on {host}")));
    if let Some(seconds) = field("since=").and_then(|since| since.parse::<u64>().ok()) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        details.push(format!("for {} s", now.saturating_sub(seconds)));
    }
    let program = field("program=").unwrap_or("another program");
    Some(format!("{program} ({})", details.join(", ")))
}
