//! Files that no snapshot from now on names, and when they may go.
//!
//! A commit that takes files out of the catalog lists them under the generation that still had them, and begins the
//! next. A file goes once nobody leases its generation or an earlier one; this writer or a later one removes it.

use crate::catalog::lease;
use crate::catalog::{CatalogRead, WriteTransaction, tables};
use crate::error::{ErrorKind, Result};
use crate::store::shared::Shared;
use crate::types::StoreMeta;

/// Removes the files that nobody reads any more, and forgets them in `tx`; answers with how many.
///
/// # Errors
/// What the operating system or the catalog answers; a file that is gone already is none.
pub(in crate::store) fn collect(shared: &Shared, tx: &WriteTransaction, meta: &StoreMeta) -> Result<u64> {
    let listed = tx.range(&tables::GARBAGE, ..)?;
    if listed.is_empty() {
        return Ok(0);
    }
    let mut removed = 0;
    let oldest = lease::oldest_in_use(&*shared.storage, meta.generation)?;
    for ((generation, path), ()) in listed {
        if oldest.is_some_and(|oldest| generation >= oldest) {
            break;
        }
        match shared.storage.remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound && shared.storage.exists(&path)? => return Err(error),
            _ => {}
        }
        tx.remove(&tables::GARBAGE, &(generation, path))?;
        removed += 1;
    }
    Ok(removed)
}
