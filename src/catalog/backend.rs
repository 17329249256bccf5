//! The file under redb, with a checksum for each of its pages.
//!
//! `catalog.sums` holds 8 bytes for each 4 KiB page of `catalog.redb`; the first entry, page 0's, is a magic number,
//! because redb changes its header page in place. Pages are checked as they are read; of the header page only the
//! geometry is compared, which is constant for us: its slots have checksums of their own, and HEAD and repair cover
//! the byte that picks one.
//!
//! Why no read races with a write: redb is copy-on-write, so a page that a snapshot reaches was written, sums and all,
//! and synced before the snapshot's commit was published, and is not written again while any process reads that
//! commit. Sums are therefore read afresh with each page and never kept. Entries of free pages may be stale.
//! A sync makes sums and data safe, in any order: a header that names a page is only written after both.

use super::files::beside::Beside;
use super::files::header::HeaderLock;
use super::files::holder::Holder;
use super::files::locks::Locks;
use super::guard::Health;
use super::{CATALOG_FILE, SUMS_FILE};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::checksum::checksum;
use crate::storage::{FileIdentity, MemoryStorage, OpenMode, Storage, StorageFile};
use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Size of a page, redb's and ours.
pub(super) const PAGE_BYTES: u64 = 4_096;
const SUM_BYTES: u64 = 8;
const SUMS_MAGIC: &[u8; 8] = b"SIMSUMS1";
/// redb's magic number, bytes 0 to 8 of its header.
const HEADER_MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];
/// Bytes 12 to 23 of redb's header: page size 4,096, no region header, 2^20 pages in a region.
const HEADER_GEOMETRY: [u8; 12] = [0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0];
const GEOMETRY_OFFSET: usize = 12;
/// How often a page is read before its damage counts.
const ATTEMPTS: usize = 3;

/// What to do about a page whose checksum does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDamage {
    /// Record it and fail the read.
    Fail,
    /// Record it and return the bytes: for `check` and salvage, which trust no value without its own checksum.
    Record,
}

/// What a backend shares with its handle.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) health: Arc<Health>,
    pub(super) header: Arc<HeaderLock>,
    pub(super) holder: Arc<Holder>,
}

impl Parts {
    pub(super) fn new(storage: &Arc<dyn Storage>, busy_timeout: Duration) -> Parts {
        let (header, holder) = (Arc::new(HeaderLock::new(busy_timeout)), Arc::new(Holder::new(storage)));
        Parts { health: Arc::new(Health::new(storage, &header, &holder)), header, holder }
    }
}

/// The catalog's two files, as redb sees them.
#[derive(Debug)]
pub(super) struct PageBackend {
    data: Arc<dyn StorageFile>,
    sums: Arc<dyn StorageFile>,
    locks: Locks,
    header: Arc<HeaderLock>,
    holder: Arc<Holder>,
    health: Arc<Health>,
    /// Synced with the next sync.
    beside: Arc<Beside>,
    on_damage: OnDamage,
    creating: bool,
    /// Whether the file of sums says what the sums are. Without it, in a store that is only looked through, that file
    /// is the finding, and not each of its pages as well.
    sums_known: bool,
    /// Set after a sum was written and cleared before the sums are synced, so that no written sum is forgotten.
    sums_dirty: AtomicBool,
}

impl PageBackend {
    /// Makes both files, which must not exist.
    pub(super) fn create(storage: &dyn Storage, parts: Parts) -> Result<PageBackend> {
        let sums = storage.open(SUMS_FILE, OpenMode::CreateNew)?;
        let failed = |source| Error::io("write", &storage.root().join(SUMS_FILE), source);
        sums.write_all_at(SUMS_MAGIC, 0).map_err(failed)?;
        let data = storage.open(CATALOG_FILE, OpenMode::CreateNew)?;
        let mut backend = PageBackend::new(storage, data, sums, parts, OnDamage::Fail)?;
        backend.creating = true;
        backend.sums_dirty.store(true, Ordering::Release);
        Ok(backend)
    }

    /// Opens both files for reading or writing.
    pub(super) fn open(
        storage: &dyn Storage,
        parts: Parts,
        mode: OpenMode,
        on_damage: OnDamage,
    ) -> Result<PageBackend> {
        let data = storage.open(CATALOG_FILE, mode)?;
        let missing = |error: &Error| on_damage == OnDamage::Record && error.kind() == ErrorKind::NotFound;
        let sums = match storage.open(SUMS_FILE, mode) {
            // What is only looked through has as much to show without its sums.
            Err(error) if missing(&error) => {
                let (what, expected) = ("the file of page checksums is missing".to_string(), "a file".to_string());
                let found = "nothing".to_string();
                parts.health.note(Damage { file: SUMS_FILE.into(), offset: 0, what, expected, found });
                let sums = MemoryStorage::new().open(SUMS_FILE, OpenMode::CreateNew)?;
                let backend = PageBackend::new(storage, data, sums, parts, on_damage)?;
                return Ok(PageBackend { sums_known: false, ..backend });
            }
            opened => opened?,
        };
        let mut magic = [0; SUMS_MAGIC.len()];
        let read = sums.read_exact_at(&mut magic, 0);
        if let Err(source) = read
            && source.kind() != io::ErrorKind::UnexpectedEof
        {
            return Err(Error::io("read", &storage.root().join(SUMS_FILE), source));
        }
        if magic != *SUMS_MAGIC {
            let (expected, found) = (hex(SUMS_MAGIC), hex(&magic));
            let what = "not a file of page checksums".to_string();
            let damage = Damage { file: SUMS_FILE.into(), offset: 0, what, expected, found };
            parts.health.note(damage.clone());
            if on_damage == OnDamage::Fail {
                return Err(Error::corrupt(damage).with_path(&storage.root().join(SUMS_FILE)));
            }
        }
        let sums_known = magic == *SUMS_MAGIC;
        Ok(PageBackend { sums_known, ..PageBackend::new(storage, data, sums, parts, on_damage)? })
    }

    fn new(
        storage: &dyn Storage,
        data: Arc<dyn StorageFile>,
        sums: Arc<dyn StorageFile>,
        Parts { health, header, holder }: Parts,
        on_damage: OnDamage,
    ) -> Result<PageBackend> {
        let path = storage.root().join(CATALOG_FILE);
        let locks = Locks::of(&*data).map_err(|source| Error::io("lock", &path, source))?;
        Ok(PageBackend {
            data,
            sums,
            locks,
            header,
            holder,
            health,
            beside: Arc::default(),
            on_damage,
            creating: false,
            sums_known: true,
            sums_dirty: AtomicBool::new(false),
        })
    }

    /// What the next sync takes along.
    pub(super) fn beside(&self) -> Arc<Beside> {
        Arc::clone(&self.beside)
    }

    /// Which file the catalog is, whatever its name means later.
    pub(super) fn identity(&self) -> Option<FileIdentity> {
        self.data.identity().ok().flatten()
    }

    /// Records damage; an error unless damage is only to be recorded.
    fn damaged(&self, offset: u64, what: &str, expected: String, found: String) -> io::Result<()> {
        self.health.note(Damage { file: CATALOG_FILE.into(), offset, what: what.to_string(), expected, found });
        match self.on_damage {
            OnDamage::Fail => Err(io::Error::new(io::ErrorKind::InvalidData, what.to_string())),
            OnDamage::Record => Ok(()),
        }
    }

    fn read_data(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.data.read_exact_at(out, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let expected = format!("{} bytes", offset.saturating_add(out.len() as u64));
                let found = format!("{} bytes", self.data.len()?);
                self.damaged(offset, "the file ends early", expected, found)?;
                Err(error)
            }
            result => result,
        }
    }

    /// Compares the constant bytes of redb's header, as far as `header` (its first bytes) goes.
    fn check_header(&self, header: &[u8]) -> io::Result<()> {
        if self.creating {
            return Ok(());
        }
        let constants: [(usize, &[u8]); 2] = [(0, &HEADER_MAGIC), (GEOMETRY_OFFSET, &HEADER_GEOMETRY)];
        for (start, expected) in constants {
            let found = header.get(start..).unwrap_or_default();
            let compared = found.len().min(expected.len());
            if found[..compared] != expected[..compared] {
                let found = hex(&found[..compared]);
                self.damaged(start as u64, "the header's geometry has changed", hex(expected), found)?;
            }
        }
        Ok(())
    }

    /// Those of the whole `pages`, the first of which is `first_page` (not 0), whose sums do not fit.
    fn mismatches(&self, first_page: u64, pages: &[u8]) -> io::Result<Vec<Mismatch>> {
        if !self.sums_known {
            return Ok(Vec::new());
        }
        let page_count = pages.len() as u64 / PAGE_BYTES;
        let mut sums = vec![0; (page_count * SUM_BYTES) as usize];
        if let Err(error) = self.sums.read_exact_at(&mut sums, first_page * SUM_BYTES) {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                return Err(error);
            }
            // The file of sums has been cut: read as far as it goes, the rest counts as zero.
            for (page_idx, sum) in sums.chunks_exact_mut(SUM_BYTES as usize).enumerate() {
                if self.sums.read_exact_at(sum, (first_page + page_idx as u64) * SUM_BYTES).is_err() {
                    sum.fill(0);
                }
            }
        }
        let mut mismatches = Vec::new();
        let pairs = pages.chunks_exact(PAGE_BYTES as usize).zip(sums.chunks_exact(SUM_BYTES as usize));
        for (page_number, (page, sum)) in (first_page..).zip(pairs) {
            let expected = u64::from_le_bytes(sum.try_into().unwrap_or_default());
            let found = page_sum(page_number, page);
            if expected != found {
                mismatches.push(Mismatch { page_number, expected, found });
            }
        }
        Ok(mismatches)
    }

    /// Reads whole pages and checks them, reading again before a mismatch counts: a device may fail once.
    fn read_pages(&self, first_page: u64, out: &mut [u8]) -> io::Result<()> {
        let mut mismatches = Vec::new();
        for _ in 0..ATTEMPTS {
            self.read_data(first_page * PAGE_BYTES, out)?;
            mismatches = self.mismatches(first_page, out)?;
            if mismatches.is_empty() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        for Mismatch { page_number, expected, found } in mismatches {
            let (expected, found) = (format!("{expected:016x}"), format!("{found:016x}"));
            self.damaged(page_number * PAGE_BYTES, "a page's checksum does not fit", expected, found)?;
        }
        Ok(())
    }

    fn write_checked(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset == 0 {
            self.holder.hold().map_err(|error| io::Error::new(io::ErrorKind::ResourceBusy, error))?;
        }
        self.data.write_all_at(data, offset)?;
        if offset < PAGE_BYTES {
            return if offset + data.len() as u64 <= PAGE_BYTES { Ok(()) } else { Err(unaligned()) };
        }
        if !offset.is_multiple_of(PAGE_BYTES) || !(data.len() as u64).is_multiple_of(PAGE_BYTES) {
            return Err(unaligned());
        }
        let first_page = offset / PAGE_BYTES;
        let pages = (first_page..).zip(data.chunks_exact(PAGE_BYTES as usize));
        let sums: Vec<u8> = pages.flat_map(|(page_number, page)| page_sum(page_number, page).to_le_bytes()).collect();
        self.sums.write_all_at(&sums, first_page * SUM_BYTES)?;
        self.sums_dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Forgets the sums of pages beyond a file of `len` bytes. Whoever cuts the file needs none of them any more,
    /// whichever of the two cuts survives a crash.
    fn cut_sums(&self, len: u64) -> io::Result<()> {
        let sums_len = len.div_ceil(PAGE_BYTES) * SUM_BYTES;
        if self.sums.len()? > sums_len { self.sums.set_len(sums_len) } else { Ok(()) }
    }

    fn sync_both(&self) -> io::Result<()> {
        let sums = self.sums_dirty.swap(false, Ordering::AcqRel).then_some(&*self.sums);
        self.header.without(&self.locks, || self.beside.sync_with(&*self.data, sums))
    }

    /// A failed write or sync is remembered: the writer is poisoned by it.
    fn note_failure(&self, result: io::Result<()>) -> io::Result<()> {
        result.inspect_err(|source| self.health.note_failure(source))
    }
}

struct Mismatch {
    page_number: u64,
    expected: u64,
    found: u64,
}

/// The checksum of a page.
pub(super) fn page_sum(page_number: u64, page: &[u8]) -> u64 {
    checksum(page_number, page)
}

fn unaligned() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the catalog is written in whole pages only")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl StorageBackend for PageBackend {
    fn len(&self) -> io::Result<u64> {
        let len = self.data.len()?;
        if len == 0 && !self.creating {
            // redb would make a new, empty catalog of it.
            self.damaged(0, "the file is empty", "a catalog".to_string(), "0 bytes".to_string())?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the catalog is empty"));
        }
        Ok(len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.header.let_in(&self.locks)?;
        let end = offset.saturating_add(out.len() as u64);
        if offset == 0 && end <= PAGE_BYTES {
            self.read_data(0, out)?;
            return self.check_header(out);
        }
        if offset >= PAGE_BYTES && offset.is_multiple_of(PAGE_BYTES) && end.is_multiple_of(PAGE_BYTES) {
            return self.read_pages(offset / PAGE_BYTES, out);
        }
        Err(unaligned())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note_failure(self.data.set_len(len).and_then(|()| self.cut_sums(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note_failure(self.sync_both())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.header.let_in(&self.locks)?;
        self.note_failure(self.write_checked(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        // While the lock is held: the next writer must not find the name of one that has gone.
        self.holder.withdraw();
        self.locks.unlock_all()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.locks.try_lock(start, end, true)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.locks.try_lock(start, end, false)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.header.lock(&self.locks, start, end, true)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.header.lock(&self.locks, start, end, false)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.header.unlock(&self.locks, start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let there_are = self.locks.is_locked_elsewhere(start, end)?;
        self.header.hear_of_readers(there_are)?;
        Ok(there_are)
    }
}
