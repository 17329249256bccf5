//! A new catalog with the entries of a snapshot.
//!
//! Entries are copied as they are stored, each after its checksum was found right: it covers table, key and value, so
//! it holds in the copy as well. Garbage is not copied, because its files are not; totals are counted anew.

use super::handle::Handle;
use super::options::CatalogOptions;
use super::read::RawRead;
use super::snapshot::ReadTransaction;
use super::tables::{GARBAGE, LATER_NAMES, NAMES, TOTALS};
use super::{codec, head};
use crate::error::Result;
use crate::storage::Storage;
use crate::types::Control;
use std::ops::Bound;
use std::sync::Arc;

/// Makes a catalog and HEAD in `storage` with all that `source` shows.
///
/// # Errors
/// `Exists` when there is a catalog already, `Corrupt` for damage in `source`, `Io` when the operating system refuses.
pub fn copy_to(
    source: &ReadTransaction,
    storage: &Arc<dyn Storage>,
    options: CatalogOptions,
    control: &Control,
) -> Result<()> {
    let handle = Arc::new(Handle::create(Arc::clone(storage), options)?);
    let transaction = handle.begin_write()?;
    transaction.create_tables()?;
    let mut copied = 0;
    for table in NAMES.into_iter().chain(LATER_NAMES).filter(|table| ![GARBAGE.name(), TOTALS.name()].contains(table)) {
        let (mut last, mut entries): (Option<Vec<u8>>, u64) = (None, 0);
        loop {
            control.checkpoint()?;
            let start = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let mut batch = source.raw_batch(table, start, Bound::Unbounded)?;
            for (key, stored) in &batch {
                codec::verify(table, key, stored)?;
                transaction.raw_put(table, key, stored)?;
            }
            entries += batch.len() as u64;
            copied += batch.len() as u64;
            control.report("entries", copied, None);
            match batch.pop() {
                Some((key, _)) => last = Some(key),
                None => break,
            }
        }
        // An entry that the walk did not reach would be missing in a copy that checks as sound.
        let expected = source.raw_len(table)?;
        if entries != expected {
            let what = "entries are missing or too many";
            return Err(codec::damaged(table, &[], what, &format!("{expected} entries"), &entries.to_string()));
        }
    }
    transaction.commit_without_head()?;
    head::create(&**storage, source.meta().commit)?;
    // Closing writes, too; a copy that was not closed needs a repair before anybody can read it.
    handle.close();
    handle.health.failure("close").map_or(Ok(()), Err)
}
