//! The catalog's own part of `check`: every page, every value's checksum, counts, and redb's integrity check.
//!
//! It goes on after the first finding: the tables are walked over a backend that records damaged pages and returns
//! their bytes, trusting no value whose own checksum fails, and with a fresh handle after each panic. Reading beside
//! a writer is fine; redb's own check runs where the writer's lock can be had.

use super::backend::{OnDamage, PAGE_BYTES};
use super::database::Catalog;
use super::handle::{Handle, OpenFailure};
use super::read::{CatalogRead, RawRead};
use super::snapshot::ReadTransaction;
use super::tables::{LATER_NAMES, NAMES, TOTALS, TOTALS_KEY};
use super::totals::Total;
use super::{CATALOG_FILE, codec};
use crate::error::{Damage, ErrorKind, Result};
use crate::storage::OpenMode;
use std::ops::Bound;
use std::sync::Arc;

impl Catalog {
    /// Reads all of the catalog and lists what is damaged; nothing, if it is sound. `with_redb` adds the check of redb
    /// itself, which opens the catalog for writing where nobody else does.
    ///
    /// # Errors
    /// `Io` when the operating system refuses; damage is no error here.
    pub fn integrity(&self, with_redb: bool) -> Result<Vec<Damage>> {
        let mut found = Vec::new();
        self.check_length(&mut found)?;
        for table in NAMES.into_iter().chain(LATER_NAMES) {
            self.walk_table(table, &mut found)?;
        }
        // redb's check may repair what it finds: not on a file that is known to be damaged.
        if with_redb && found.is_empty() {
            self.check_with_redb(&mut found)?;
        }
        Ok(found)
    }

    fn check_length(&self, found: &mut Vec<Damage>) -> Result<()> {
        let len = self.storage().len(CATALOG_FILE)?;
        if !len.is_multiple_of(PAGE_BYTES) {
            let (expected, found_len) = (format!("a multiple of {PAGE_BYTES} bytes"), format!("{len} bytes"));
            add(found, damage(len - len % PAGE_BYTES, "the file ends within a page", &expected, &found_len));
        }
        Ok(())
    }

    /// Walks one table with a handle of its own, which damage may break.
    fn walk_table(&self, table: &'static str, found: &mut Vec<Damage>) -> Result<()> {
        let handle = match Handle::open(self.storage(), self.options(), OpenMode::Read, OnDamage::Record) {
            Ok(handle) => Arc::new(handle),
            // A writer died just now, or another one repairs: the next opening for reading sees to it.
            Err(OpenFailure::Busy | OpenFailure::NeedsRepair) => return Ok(()),
            Err(OpenFailure::Failed(error)) => return add_damage_of(error, found),
        };
        let walked = handle.begin_read_raw().and_then(|read| walk(&read, table, found));
        handle.health.findings().into_iter().for_each(|damage| add(found, damage));
        walked.or_else(|error| add_damage_of(error, found))
    }

    fn check_with_redb(&self, found: &mut Vec<Damage>) -> Result<()> {
        let own = self.is_writer().then(|| self.handle()).transpose();
        let handle = match own {
            Ok(Some(handle)) => handle,
            Ok(None) => match Handle::open(self.storage(), self.options(), OpenMode::Write, OnDamage::Fail) {
                Ok(handle) => Arc::new(handle),
                // Somebody writes, or this process may not.
                Err(OpenFailure::Busy | OpenFailure::NeedsRepair) => return Ok(()),
                Err(OpenFailure::Failed(error)) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Locked) => {
                    return Ok(());
                }
                Err(OpenFailure::Failed(error)) => return add_damage_of(error, found),
            },
            // After a failed write only the files are read.
            Err(error) if error.kind() == ErrorKind::ReadOnly => return Ok(()),
            Err(error) => return add_damage_of(error, found),
        };
        let sound = handle.check_integrity();
        handle.health.findings().into_iter().for_each(|damage| add(found, damage));
        match sound {
            Ok(None | Some(true)) => Ok(()),
            Ok(Some(false)) => {
                add(found, damage(0, "redb's integrity check has repaired something", "a sound catalog", "damage"));
                Ok(())
            }
            Err(error) => add_damage_of(error, found),
        }
    }
}

/// Checks every value's checksum, that keys ascend, and that the table has as many entries as it says, and those that
/// its total says.
fn walk(read: &ReadTransaction, table: &'static str, found: &mut Vec<Damage>) -> Result<()> {
    let (mut last, mut total) = (None::<Vec<u8>>, Total::default());
    loop {
        let start = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let batch = read.raw_batch(table, start, Bound::Unbounded)?;
        if batch.is_empty() {
            break;
        }
        for (key, stored) in batch {
            if last.as_ref().is_some_and(|last| *last >= key) {
                let what = format!("table {table}: keys are out of order");
                add(found, damage(0, &what, "ascending keys", "a key again or too late"));
                return Ok(());
            }
            if let Err(error) = codec::verify(table, &key, &stored) {
                add_damage_of(error, found)?;
            }
            total.add(&stored);
            last = Some(key);
        }
    }
    let expected = read.raw_len(table)?;
    if total.entries != expected {
        let what = format!("table {table}: entries are missing or too many");
        add(found, damage(0, &what, &format!("{expected} entries"), &total.entries.to_string()));
    }
    if table != TOTALS.name() {
        check_total(read, table, total, found)?;
    }
    Ok(())
}

/// Compares what a walk has met with what the last commit that changed the table has left.
fn check_total(read: &ReadTransaction, table: &str, walked: Total, found: &mut Vec<Damage>) -> Result<()> {
    // Damage of the totals themselves is found where they are walked.
    let Ok(stored) = read.get(&TOTALS, &TOTALS_KEY.to_string()) else { return Ok(()) };
    let Some(totals) = stored else {
        add(found, damage(0, "the totals of the tables are missing", "a value", "none"));
        return Ok(());
    };
    let expected = totals.get(table).copied().unwrap_or_default();
    if walked != expected {
        let what = format!("table {table}: not the entries that were committed");
        let shown = |total: Total| format!("{} entries with the sum {:016x}", total.entries, total.sum);
        add(found, damage(0, &what, &shown(expected), &shown(walked)));
    }
    Ok(())
}

fn damage(offset: u64, what: &str, expected: &str, found: &str) -> Damage {
    let (what, expected, found) = (what.to_string(), expected.to_string(), found.to_string());
    Damage { file: CATALOG_FILE.into(), offset, what, expected, found }
}

fn add(found: &mut Vec<Damage>, damage: Damage) {
    if !found.contains(&damage) {
        found.push(damage);
    }
}

/// Damage is a finding; anything else is an error.
fn add_damage_of(error: crate::Error, found: &mut Vec<Damage>) -> Result<()> {
    match error.damage() {
        Some(damage) => {
            add(found, damage.clone());
            Ok(())
        }
        None => Err(error),
    }
}
