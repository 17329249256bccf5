//! HEAD: the number of the last commit, beside the catalog.
//!
//! One record of 32 bytes, overwritten in place after each commit and synced once, when the store is made:
//!
//! ```text
//! 0   8  magic "SIMHEAD1"
//! 8   8  commit number, little-endian
//! 16  8  which file the catalog was when this was written, or zero where nobody can tell
//! 24  8  checksum of bytes 0..24, little-endian
//! ```
//!
//! A reader reads it before it takes its snapshot. A snapshot older than HEAD is damage (a flipped header byte can
//! make redb take its older slot); a HEAD older than the catalog is a crash between the two writes. A record that does
//! not hold together may be one that is being written: it is read again, and then says nothing.

use crate::catalog::HEAD_FILE;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::checksum::checksum;
use crate::storage::{OpenMode, Storage};
use crate::types::CommitNumber;
use std::time::Duration;

const MAGIC: &[u8; 8] = b"SIMHEAD1";
const RECORD_BYTES: usize = 32;
const SUMMED_BYTES: usize = 24;
const SEED: u64 = 0x4845_4144;

/// What HEAD says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadState {
    /// The last commit is at least this one.
    Valid(CommitNumber),
    /// The record does not hold together: it says nothing.
    Torn,
    /// There is no such file.
    Missing,
}

/// Reads HEAD, twice if it looks torn at first.
///
/// # Errors
/// `Io` when the file exists and cannot be read.
pub fn read(storage: &dyn Storage) -> Result<HeadState> {
    let mut state = read_once(storage)?;
    for _ in 0..3 {
        if state != HeadState::Torn {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
        state = read_once(storage)?;
    }
    Ok(state)
}

/// Which file the catalog was for whoever wrote HEAD; 0 where that is not known, `None` where HEAD says nothing.
///
/// # Errors
/// As [`read`].
pub fn read_stamp(storage: &dyn Storage) -> Result<Option<u64>> {
    Ok(record_of(storage)?.filter(|record| decode(record) != HeadState::Torn).map(|record| number_in(&record, 16)))
}

/// Which file the catalog is now: a copy is another one. `None` where nobody can tell.
pub fn stamp_of(storage: &dyn Storage) -> Option<u64> {
    let birth = storage.birth(crate::catalog::CATALOG_FILE).ok().flatten()?;
    // 0 stands for what is not known.
    Some(checksum(SEED, &birth.to_le_bytes()).max(1))
}

fn record_of(storage: &dyn Storage) -> Result<Option<[u8; RECORD_BYTES]>> {
    let file = match storage.open(HEAD_FILE, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut record = [0; RECORD_BYTES];
    Ok(file.read_exact_at(&mut record, 0).ok().map(|()| record))
}

fn number_in(record: &[u8; RECORD_BYTES], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&record[at..at + 8]);
    u64::from_le_bytes(bytes)
}

fn read_once(storage: &dyn Storage) -> Result<HeadState> {
    let file = match storage.open(HEAD_FILE, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(HeadState::Missing),
        Err(error) => return Err(error),
    };
    let failed = |source| Error::io("read", &storage.root().join(HEAD_FILE), source);
    if file.len().map_err(failed)? != RECORD_BYTES as u64 {
        return Ok(HeadState::Torn);
    }
    let mut record = [0; RECORD_BYTES];
    match file.read_exact_at(&mut record, 0) {
        Ok(()) => Ok(decode(&record)),
        Err(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => Ok(HeadState::Torn),
        Err(source) => Err(failed(source)),
    }
}

fn decode(record: &[u8; RECORD_BYTES]) -> HeadState {
    let number = |at| number_in(record, at);
    if record[..8] == *MAGIC && number(SUMMED_BYTES) == checksum(SEED, &record[..SUMMED_BYTES]) {
        HeadState::Valid(CommitNumber(number(8)))
    } else {
        HeadState::Torn
    }
}

fn encode(commit: CommitNumber, stamp: u64) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(MAGIC);
    record[8..16].copy_from_slice(&commit.0.to_le_bytes());
    record[16..24].copy_from_slice(&stamp.to_le_bytes());
    let sum = checksum(SEED, &record[..SUMMED_BYTES]);
    record[SUMMED_BYTES..].copy_from_slice(&sum.to_le_bytes());
    record
}

/// Makes HEAD with a store, and makes it survive a power loss.
///
/// # Errors
/// `Io` when the operating system refuses.
pub fn create(storage: &dyn Storage, commit: CommitNumber) -> Result<()> {
    let failed = |action, source| Error::io(action, &storage.root().join(HEAD_FILE), source);
    let file = storage.open(HEAD_FILE, OpenMode::CreateOrOpen)?;
    file.set_len(RECORD_BYTES as u64).map_err(|source| failed("write", source))?;
    file.write_all_at(&encode(commit, stamp_of(storage).unwrap_or(0)), 0).map_err(|source| failed("write", source))?;
    file.sync().map_err(|source| failed("sync", source))?;
    storage.sync_dir("")
}

/// Overwrites HEAD in place after a commit, without a sync: an older HEAD after a power loss is no harm.
///
/// # Errors
/// `Io` when the operating system refuses.
pub fn write(storage: &dyn Storage, commit: CommitNumber) -> Result<()> {
    let failed = |source| Error::io("write", &storage.root().join(HEAD_FILE), source);
    let file = storage.open(HEAD_FILE, OpenMode::CreateOrOpen)?;
    if file.len().map_err(failed)? != RECORD_BYTES as u64 {
        file.set_len(RECORD_BYTES as u64).map_err(failed)?;
    }
    file.write_all_at(&encode(commit, stamp_of(storage).unwrap_or(0)), 0).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn golden_head() {
        let hex: String = encode(CommitNumber(300), 0).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "53494d48454144312c0100000000000000000000000000002463b3bee822bfba");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_says_nothing() {
        let storage = MemoryStorage::new();
        assert_eq!(read(&storage).unwrap(), HeadState::Missing);
        create(&storage, CommitNumber(7)).unwrap();
        write(&storage, CommitNumber(8)).unwrap();
        assert_eq!(read(&storage).unwrap(), HeadState::Valid(CommitNumber(8)));
        let file = storage.open(HEAD_FILE, OpenMode::Write).unwrap();
        let good = encode(CommitNumber(8), 0);
        for bit_idx in 0..RECORD_BYTES * 8 {
            let mut bad = good;
            bad[bit_idx / 8] ^= 1 << (bit_idx % 8);
            assert_eq!(decode(&bad), HeadState::Torn, "bit {bit_idx}");
        }
        crate::storage::counted(RECORD_BYTES * 8, "flipped bytes");
        crate::storage::counted(RECORD_BYTES, "cut files");
        for len in 0..RECORD_BYTES as u64 {
            file.set_len(len).unwrap();
            assert_eq!(read_once(&storage).unwrap(), HeadState::Torn);
        }
        write(&storage, CommitNumber(9)).unwrap();
        assert_eq!(read(&storage).unwrap(), HeadState::Valid(CommitNumber(9)), "the next writer rewrites it");
    }
}
