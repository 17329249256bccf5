//! What the arguments of several commands have in common.

use crate::error::Error;
use crate::store::Store;

/// The error for a collection that is not there, with the names that are.
pub(super) fn missing_collection(store: &Store, name: &str) -> Error {
    match store.snapshot().and_then(|snapshot| snapshot.collection(name)) {
        Err(error) => error,
        Ok(_) => Error::not_found(format!("there is no collection {name:?}")),
    }
}
