//! How a catalog is opened.

use std::time::Duration;

/// How a catalog is opened.
#[derive(Debug, Clone, Copy)]
pub struct CatalogOptions {
    /// Memory redb may use for pages, in bytes.
    pub cache_bytes: usize,
    /// How long to wait for another writer before reporting it.
    pub busy_timeout: Duration,
}

impl Default for CatalogOptions {
    /// 64 MiB, and no waiting.
    fn default() -> Self {
        CatalogOptions { cache_bytes: 64 << 20, busy_timeout: Duration::ZERO }
    }
}
