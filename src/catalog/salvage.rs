//! Reading what is intact of a damaged catalog.
//!
//! Owns [`Salvager`]: it opens the catalog in the mode that records damaged pages and returns their bytes, trusts no
//! value whose own checksum fails, and opens it again after redb gives up. What it could not read it lists.

use super::backend::OnDamage;
use super::codec;
use super::files::holder;
use super::handle::{Handle, OpenFailure, stale_or_damaged};
use super::key::KeyBytes;
use super::options::CatalogOptions;
use super::read::{CatalogRead, RawRead};
use super::snapshot::ReadTransaction;
use super::tables::Table;
use super::walk::{InAnyOrder, out_of_order};
use super::{CATALOG_FILE, SUMS_FILE};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::checksum::checksum;
use crate::storage::{OpenMode, Storage};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How often what cannot be read is read again, and how often a lock is waited for: a device may fail once.
const ATTEMPTS: usize = 4;
const BUSY_ATTEMPTS: usize = 1_000;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Bytes that are copied at once.
const COPY_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4_096;

/// Findings listed one by one.
const MOST_FINDINGS: usize = 10_000;
/// What an entry takes of the file at least: two ends, and the checksum of its value.
const LEAST_ENTRY_BYTES: u64 = 16;

/// A damaged catalog, read as far as it goes.
#[derive(Debug)]
pub struct Salvager {
    storage: Arc<dyn Storage>,
    /// Where a catalog that may not be written is copied to for its repair.
    scratch: Arc<dyn Storage>,
    options: CatalogOptions,
    /// `None` after damage that redb does not get over, until the next reading.
    open: Option<(ReadTransaction, Arc<Handle>)>,
    findings: Vec<Damage>,
    /// How many things were found, those included that are not listed.
    count: u64,
    /// Numbers that may yet be passed over without knowing what stands under them; `None`: not asked for yet.
    steps: Option<u64>,
}

impl Salvager {
    /// Opens the catalog of a store for salvage. Where the store may not be written and needs the repair that follows a
    /// killed writer, its catalog is copied into the folder `scratch` and repaired there.
    ///
    /// # Errors
    /// `NotFound` without a store, `Locked` while somebody writes to it, `Corrupt` when nothing of it can be read.
    pub fn open(storage: &Arc<dyn Storage>, scratch: &Arc<dyn Storage>, options: CatalogOptions) -> Result<Salvager> {
        let (storage, scratch) = (Arc::clone(storage), Arc::clone(scratch));
        let mut salvager =
            Salvager { storage, scratch, options, open: None, findings: Vec::new(), count: 0, steps: None };
        patiently(|| salvager.reopen().map(drop))?;
        Ok(salvager)
    }

    fn reopen(&mut self) -> Result<&ReadTransaction> {
        if self.open.is_none() {
            let handle = Arc::new(self.open_somehow()?);
            let read = handle.begin_read_raw()?;
            self.open = Some((read, handle));
        }
        self.open.as_ref().map(|(read, _)| read).ok_or_else(|| Error::invalid("the catalog is not open"))
    }

    fn open_somehow(&mut self) -> Result<Handle> {
        for _ in 0..BUSY_ATTEMPTS {
            match Handle::open(&self.storage, self.options, OpenMode::Read, OnDamage::Record) {
                Ok(handle) => return Ok(handle),
                Err(OpenFailure::Failed(error)) => return Err(error),
                Err(OpenFailure::Busy) => {}
                // A killed writer left it: what the next writer would repair is repaired.
                Err(OpenFailure::NeedsRepair) => {
                    match Handle::open(&self.storage, self.options, OpenMode::Write, OnDamage::Record) {
                        Ok(handle) => return Ok(handle),
                        Err(OpenFailure::Failed(error)) if is_refusal(&error) => {
                            self.storage = self.copied()?;
                            continue;
                        }
                        Err(OpenFailure::Failed(error)) => return Err(error),
                        Err(OpenFailure::NeedsRepair) => {
                            let what = "the catalog cannot be repaired";
                            return Err(stale_or_damaged(&*self.storage, what, "a repair", "redb gave up repairing"));
                        }
                        Err(OpenFailure::Busy) => {}
                    }
                }
            }
            std::thread::sleep(PAUSE);
        }
        Err(holder::locked(&*self.storage))
    }

    /// The catalog's files in the scratch folder.
    fn copied(&self) -> Result<Arc<dyn Storage>> {
        for file in [CATALOG_FILE, SUMS_FILE] {
            let (from, to) = match self.storage.open(file, OpenMode::Read) {
                Ok(from) => (from, self.scratch.open(file, OpenMode::CreateOrOpen)?),
                // What the catalog has to show without its sums it shows without them.
                Err(error) if file == SUMS_FILE && error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let len = patiently(|| self.storage.len(file))?;
            let mut bytes = vec![0; COPY_BYTES];
            let mut done = 0;
            while done < len {
                let part = bytes.get_mut(..COPY_BYTES.min((len - done) as usize)).unwrap_or_default();
                let failed = |source| Error::io("read", &self.storage.root().join(file), source);
                if patiently(|| from.read_exact_at(part, done).map_err(failed)).is_err() {
                    // Page by page: what cannot be read does not fit its checksum, and the rest does.
                    for (offset, page) in (done..).step_by(PAGE_BYTES).zip(part.chunks_mut(PAGE_BYTES)) {
                        if patiently(|| from.read_exact_at(page, offset).map_err(failed)).is_err() {
                            page.fill(0);
                        }
                    }
                }
                let failed = |source| Error::io("write", &self.scratch.root().join(file), source);
                to.write_all_at(part, done).map_err(failed)?;
                done += part.len() as u64;
            }
        }
        Ok(Arc::clone(&self.scratch))
    }

    /// Lists something that is lost.
    pub fn note(&mut self, damage: Damage) {
        if self.findings.len() >= MOST_FINDINGS {
            self.count += 1;
        } else if !self.findings.contains(&damage) {
            self.count += 1;
            self.findings.push(damage);
        }
    }

    /// Lists why something could not be read.
    pub fn note_error(&mut self, what: &str, error: &Error) {
        let damage = error.damage().cloned().unwrap_or_else(|| Damage {
            file: super::CATALOG_FILE.into(),
            offset: 0,
            what: what.to_string(),
            expected: "something that can be read".to_string(),
            found: causes(error),
        });
        self.note(damage);
    }

    /// Everything that could not be read, in the order it was met, and how many such things there are.
    pub fn into_findings(mut self) -> (Vec<Damage>, u64) {
        self.close();
        (self.findings, self.count)
    }

    fn close(&mut self) {
        if let Some((read, handle)) = self.open.take() {
            drop(read);
            handle.health.findings().into_iter().for_each(|damage| self.note(damage));
        }
    }

    /// What `call` reads, or `None` after listing the damage it met.
    fn attempt<T>(&mut self, what: &str, mut call: impl FnMut(&ReadTransaction) -> Result<T>) -> Option<T> {
        let answer = patiently(|| {
            let answer = self.reopen().and_then(&mut call);
            if answer.is_err() && self.open.as_ref().is_some_and(|(_, handle)| handle.health.is_broken()) {
                self.close();
            }
            answer
        });
        answer.map_err(|error| self.note_error(what, &error)).ok()
    }

    /// The value of `key`; `None` where it is missing, `Err` where it is there and cannot be read (which is listed).
    #[allow(clippy::result_unit_err, reason = "the damage itself is in the list of findings")]
    pub fn get<K: KeyBytes, V: DeserializeOwned>(&mut self, table: &Table<K, V>, key: &K) -> Result<Option<V>, ()> {
        self.attempt(table.name(), |read| read.get(table, key)).ok_or(())
    }

    /// Entries that the file has room for.
    pub fn most_entries(&self) -> u64 {
        patiently(|| self.storage.len(super::CATALOG_FILE)).unwrap_or(0) / LEAST_ENTRY_BYTES
    }

    /// The next of `numbers` that has an entry in `table`, behind the first one, which has none; their end if none has.
    pub fn next_number<K: KeyBytes, V>(
        &mut self,
        table: &Table<K, V>,
        numbers: Range<u32>,
        key: impl Fn(u32) -> K,
        number: impl Fn(K) -> u32,
    ) -> u32 {
        match self.attempt(table.name(), |read| read.first_key(table, key(numbers.start)..key(numbers.end))) {
            Some(found) => found.map_or(numbers.end, number).clamp(numbers.start + 1, numbers.end),
            None => self.step_over(numbers.start, numbers.end),
        }
    }

    /// The number behind one under which nothing can be read; the end once there were more than the file has room for.
    pub fn step_over(&mut self, number: u32, end: u32) -> u32 {
        let left = self.steps.unwrap_or_else(|| self.most_entries()).checked_sub(1);
        self.steps = Some(left.unwrap_or(0));
        if left.is_some() { number + 1 } else { end }
    }

    /// How many entries a table says it has; `None` where that cannot be read.
    pub fn count_of<K, V>(&mut self, table: &Table<K, V>) -> Option<u64> {
        self.attempt(table.name(), |read| read.raw_len(table.name()))
    }

    /// The entries of a small table that can be read, and whose keys have `within`.
    pub fn entries<K: KeyBytes, V: DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        within: impl Fn(&K) -> bool,
    ) -> Vec<(K, V)> {
        let mut found = Vec::new();
        self.walk(table.name(), |salvager, key, stored| {
            let Some(decoded) = K::decode(key).filter(&within) else { return };
            match codec::decode(table.name(), key, stored) {
                Ok(value) => found.push((decoded, value)),
                Err(error) => salvager.note_error(table.name(), &error),
            }
        });
        found
    }

    /// The keys of the entries of a table that can be read, without their values.
    pub fn keys<K: KeyBytes, V>(&mut self, table: &Table<K, V>) -> Vec<K> {
        let mut found = Vec::new();
        self.walk(table.name(), |_, key, stored| {
            if codec::verify(table.name(), key, stored).is_ok() {
                found.extend(K::decode(key));
            }
        });
        found
    }

    /// The keys of entries whose values cannot be read. No checksum vouches for them.
    pub fn keys_of_damaged<K: KeyBytes, V>(&mut self, table: &Table<K, V>) -> Vec<K> {
        let mut found = Vec::new();
        self.walk(table.name(), |_, key, stored| {
            if codec::verify(table.name(), key, stored).is_err() {
                found.extend(K::decode(key));
            }
        });
        found
    }

    /// Visits the entries of a table, as far as they can be reached, in whatever order they lie: each key once, if its
    /// value is sound.
    fn walk(&mut self, table: &'static str, mut visit: impl FnMut(&mut Salvager, &[u8], &[u8])) {
        // Pages that several others name would show their entries again and again.
        let most = self.most_entries();
        let (mut walk, mut goes_on) = (InAnyOrder::new(most), true);
        let (mut last, mut seen, mut is_ordered) = (Vec::new(), HashSet::new(), true);
        while goes_on {
            let batch = self.attempt(table, |read| read.next_in_any_order(table, &mut walk));
            goes_on = batch.as_ref().is_some_and(|batch| !batch.is_empty());
            // What lies before the place where it cannot go on has been read.
            let batch = batch.unwrap_or_else(|| walk.take_seen());
            for (key, stored) in batch {
                if is_ordered && !seen.is_empty() && key <= last {
                    is_ordered = false;
                    self.note_error(table, &out_of_order(table, &key));
                }
                let name = u128::from(checksum(1, &key)) << 64 | u128::from(checksum(2, &key));
                if codec::verify(table, &key, &stored).is_err() || seen.insert(name) {
                    visit(self, &key, &stored);
                }
                last = key;
            }
        }
    }
}

/// What `call` answers, asked again where the operating system could not read: a device may fail once.
///
/// # Errors
/// The last answer.
pub fn patiently<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let mut answer = call();
    for _ in 1..ATTEMPTS {
        if !answer.as_ref().is_err_and(is_read_error) {
            break;
        }
        std::thread::sleep(PAUSE);
        answer = call();
    }
    answer
}

/// Whether the operating system refused, and not what was read.
fn is_read_error(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if matches!(cause.downcast_ref(), Some(redb::Error::Io(cause)) if cause.kind() != io::ErrorKind::InvalidData) {
            return true;
        }
        source = cause.source();
    }
    error.kind() == ErrorKind::Io
}

/// Whether writing is not allowed here: the medium or the permissions are against it.
fn is_refusal(error: &Error) -> bool {
    let refusals = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| refusals.contains(&source.kind()))
}

/// An error with all that is behind it.
fn causes(error: &Error) -> String {
    let (mut words, mut source) = (error.to_string(), std::error::Error::source(error));
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}
