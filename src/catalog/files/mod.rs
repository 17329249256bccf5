//! The small files beside the catalog's own, and the locks on them.
//!
//! Owns their bytes and what is promised of them: checksums of pages, HEAD, LOCK, leases, and the bytes of redb's
//! header that tell who shrinks and who writes.

pub(in crate::catalog) mod beside;
pub mod head;
pub(in crate::catalog) mod header;
pub(in crate::catalog) mod holder;
pub mod lease;
pub(in crate::catalog) mod locks;
pub mod sums;
pub(in crate::catalog) mod whole;
