//! Read-only memory of a file: a mapping of the operating system's, or an owned copy.
//!
//! The contract of every mapping in this crate, written once: segment files only grow, are never written below their
//! committed row, are never shortened, and are unlinked (not cut) when they become garbage; so mapped bytes below the
//! committed length do not change. Whoever shortens such a file from outside while it is mapped can make a read raise
//! SIGBUS: that the file is long enough is checked when it is mapped and whenever a snapshot is taken that would read
//! it. What happens between that and the read cannot be checked.

use crate::error::{Damage, Error, Result};
use std::ops::Deref;
use std::path::Path;

/// How mapped bytes will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Front to back: read ahead generously.
    Sequential,
    /// All of it, soon: start reading now.
    WillNeed,
}

/// Bytes of a file, readable by any number of threads. At least 8-byte aligned.
#[derive(Debug)]
pub struct Mapping {
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Mapped(memmap2::Mmap),
    /// Words, so that the bytes are aligned for any element type; the number is the length in bytes.
    Owned(Vec<u64>, usize),
}

impl Mapping {
    /// Maps the first `len` bytes of `file`.
    ///
    /// # Errors
    /// `Corrupt` when the file is shorter, `Io` when the operating system refuses.
    pub(super) fn of_file(file: &std::fs::File, len: u64, path: &Path) -> Result<Mapping> {
        let found = file.metadata().map_err(|source| Error::io("inspect", path, source))?.len();
        let len = checked_len(path, len, found)?;
        if len == 0 {
            return Ok(Mapping { bytes: Bytes::Owned(Vec::new(), 0) });
        }
        #[expect(unsafe_code, reason = "mapping a file is unsafe by nature; the contract is in this module's head")]
        #[expect(clippy::disallowed_methods, reason = "this is the one place that maps files")]
        // SAFETY: the mapping is read-only and private to this crate. The file is at least `len` bytes long (checked
        // above), and by the contract in the module's head nobody changes or cuts its first `len` bytes.
        let mapped = unsafe { memmap2::MmapOptions::new().len(len).map(file) };
        let mapped = mapped.map_err(|source| Error::io("map", path, source))?;
        Ok(Mapping { bytes: Bytes::Mapped(mapped) })
    }

    /// A copy of the first `len` of `bytes`.
    ///
    /// # Errors
    /// `Corrupt` when there are fewer.
    pub(super) fn of_bytes(bytes: &[u8], len: u64, path: &Path) -> Result<Mapping> {
        let len = checked_len(path, len, bytes.len() as u64)?;
        let mut words = vec![0_u64; len.div_ceil(8)];
        for (word, chunk) in words.iter_mut().zip(bytes[..len].chunks(8)) {
            let mut padded = [0_u8; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(padded);
        }
        Ok(Mapping { bytes: Bytes::Owned(words, len) })
    }

    /// Tells the operating system how the bytes will be read; a hint only, so failures are ignored.
    pub fn advise(&self, advice: Advice) {
        #[cfg(unix)]
        if let Bytes::Mapped(mapped) = &self.bytes {
            let advice = match advice {
                Advice::Sequential => memmap2::Advice::Sequential,
                Advice::WillNeed => memmap2::Advice::WillNeed,
            };
            let _ = mapped.advise(advice);
        }
        #[cfg(not(unix))]
        let _ = advice;
    }
}

fn checked_len(path: &Path, len: u64, found: u64) -> Result<usize> {
    if found < len {
        return Err(Error::corrupt(Damage {
            file: path.to_path_buf(),
            offset: found,
            what: "the file ends early".to_string(),
            expected: format!("at least {len} bytes"),
            found: format!("{found} bytes"),
        })
        .with_path(path));
    }
    usize::try_from(len).map_err(|_| {
        let kind = crate::error::ErrorKind::Limit;
        Error::new(kind, format!("{} is too large for this machine's address space", path.display()))
    })
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(mapped) => mapped,
            Bytes::Owned(words, len) => &bytemuck::cast_slice(words)[..*len],
        }
    }
}
