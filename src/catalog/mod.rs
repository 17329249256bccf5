//! Level 2: everything transactional, in `catalog.redb` and its page checksums.
//!
//! Owns the tables, the codec of their values, transactions and snapshots, HEAD, the writer's lock and leases. It is
//! the only code that names redb: its errors and panics end here, as [`crate::Error`]. It knows no segment file.

mod backend;
mod check;
pub mod codec;
mod copy;
#[cfg(test)]
mod damage_tests;
mod database;
#[cfg(test)]
mod fault_tests;
mod files;
#[cfg(test)]
pub(crate) mod golden_tests;
mod guard;
mod handle;
pub mod key;
mod options;
#[cfg(test)]
mod process_tests;
mod read;
pub mod salvage;
mod snapshot;
pub mod tables;
#[cfg(test)]
mod tests;
mod totals;
mod transaction;
#[cfg(test)]
mod waiting_tests;
mod walk;

pub use files::{head, lease, sums};

pub use copy::copy_to;
pub use database::Catalog;
pub use key::KeyBytes;
pub use options::CatalogOptions;
pub use read::{CatalogRead, newer_format};
pub use snapshot::ReadTransaction;
pub use tables::Table;
#[cfg(feature = "testing")]
pub use totals::Total;
pub use transaction::WriteTransaction;
#[cfg(test)]
pub use transaction::forget_entry;
#[cfg(feature = "testing")]
pub use walk::{entries_read, limit_entries};

/// The catalog's file.
pub const CATALOG_FILE: &str = "catalog.redb";
/// The checksums of the catalog's pages.
pub const SUMS_FILE: &str = "catalog.sums";
/// The last commit's number.
pub const HEAD_FILE: &str = "HEAD";
/// Who holds the writer's lock, for messages only.
pub const LOCK_FILE: &str = "LOCK";
/// The folder of leases.
pub const LEASES_FOLDER: &str = "leases";
