//! Reading what is intact of a damaged catalog.
//!
//! Owns [`Salvager`]: it opens the catalog in the mode that records damaged pages and returns their bytes, trusts no
//! value whose own checksum fails, and opens it again after redb gives up. What it could not read it lists.

use super::backend::OnDamage;
use super::codec;
use super::database::CatalogOptions;
use super::handle::{Handle, OpenFailure};
use super::holder;
use super::key::KeyBytes;
use super::read::{CatalogRead, RawRead};
use super::snapshot::ReadTransaction;
use super::tables::Table;
use super::walk::out_of_order;
use crate::error::{Damage, Error, Result};
use crate::storage::checksum::checksum;
use crate::storage::{OpenMode, Storage};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::sync::Arc;

/// Findings listed one by one.
const MOST_FINDINGS: usize = 10_000;
/// What an entry takes of the file at least: two ends, and the checksum of its value.
const LEAST_ENTRY_BYTES: u64 = 16;

/// A damaged catalog, read as far as it goes.
#[derive(Debug)]
pub struct Salvager {
    storage: Arc<dyn Storage>,
    options: CatalogOptions,
    /// `None` after damage that redb does not get over, until the next reading.
    open: Option<(ReadTransaction, Arc<Handle>)>,
    findings: Vec<Damage>,
}

impl Salvager {
    /// Opens the catalog of a store for salvage.
    ///
    /// # Errors
    /// `NotFound` without a store, `Locked` while somebody writes to it, `Corrupt` when nothing of it can be read.
    pub fn open(storage: &Arc<dyn Storage>, options: CatalogOptions) -> Result<Salvager> {
        let mut salvager = Salvager { storage: Arc::clone(storage), options, open: None, findings: Vec::new() };
        salvager.reopen()?;
        Ok(salvager)
    }

    fn reopen(&mut self) -> Result<&ReadTransaction> {
        if self.open.is_none() {
            let handle = match self.open_handle(OpenMode::Read) {
                // A killed writer left it: what the next writer would repair is repaired.
                Err(OpenFailure::NeedsRepair) => self.open_handle(OpenMode::Write),
                other => other,
            };
            let handle = Arc::new(handle.map_err(|failure| match failure {
                OpenFailure::Failed(error) => error,
                OpenFailure::Busy | OpenFailure::NeedsRepair => holder::locked(&*self.storage),
            })?);
            let read = handle.begin_read_raw()?;
            self.open = Some((read, handle));
        }
        self.open.as_ref().map(|(read, _)| read).ok_or_else(|| Error::invalid("the catalog is not open"))
    }

    fn open_handle(&self, mode: OpenMode) -> Result<Handle, OpenFailure> {
        Handle::open(&self.storage, self.options, mode, OnDamage::Record)
    }

    /// Lists something that is lost.
    pub fn note(&mut self, damage: Damage) {
        if self.findings.len() < MOST_FINDINGS && !self.findings.contains(&damage) {
            self.findings.push(damage);
        }
    }

    /// Everything that could not be read, in the order it was met.
    pub fn into_findings(mut self) -> Vec<Damage> {
        self.close();
        self.findings
    }

    fn close(&mut self) {
        if let Some((read, handle)) = self.open.take() {
            drop(read);
            handle.health.findings().into_iter().for_each(|damage| self.note(damage));
        }
    }

    /// What `call` reads, or `None` after listing the damage it met.
    fn attempt<T>(&mut self, call: impl FnOnce(&ReadTransaction) -> Result<T>) -> Option<T> {
        let answer = self.reopen().and_then(call);
        if answer.is_err() && self.open.as_ref().is_some_and(|(_, handle)| handle.health.is_broken()) {
            self.close();
        }
        answer.map_err(|error| self.note_error(&error)).ok()
    }

    fn note_error(&mut self, error: &Error) {
        let damage = error.damage().cloned().unwrap_or_else(|| Damage {
            file: super::CATALOG_FILE.into(),
            offset: 0,
            what: error.to_string(),
            expected: "something that can be read".to_string(),
            found: error.kind().as_str().to_string(),
        });
        self.note(damage);
    }

    /// The value of `key`; `None` where it is missing, `Err` where it is there and cannot be read (which is listed).
    #[allow(clippy::result_unit_err, reason = "the damage itself is in the list of findings")]
    pub fn get<K: KeyBytes, V: DeserializeOwned>(&mut self, table: &Table<K, V>, key: &K) -> Result<Option<V>, ()> {
        self.attempt(|read| read.get(table, key)).ok_or(())
    }

    /// How many entries a table says it has; `None` where that cannot be read.
    pub fn count_of<K, V>(&mut self, table: &Table<K, V>) -> Option<u64> {
        self.attempt(|read| read.raw_len(table.name()))
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
                Err(error) => salvager.note_error(&error),
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
        let most = self.storage.len(super::CATALOG_FILE).unwrap_or(0) / LEAST_ENTRY_BYTES;
        let Some(mut walk) = self.attempt(|read| read.in_any_order(table, most)) else { return };
        let (mut last, mut seen, mut is_ordered) = (Vec::new(), HashSet::new(), true);
        while let Some(batch) = self.attempt(|read| read.next_in_any_order(&mut walk)).filter(|batch| !batch.is_empty())
        {
            for (key, stored) in batch {
                if is_ordered && !seen.is_empty() && key <= last {
                    is_ordered = false;
                    self.note_error(&out_of_order(table, &key));
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
