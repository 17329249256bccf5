//! Whether the pages of a catalog belong together: asked once of a copy that somebody made file by file.
//!
//! A program that copies the files of a store while it is written to takes each page at another moment. Every page may
//! be sound, and fit its own checksum, and yet not be the one that the page above it names. redb writes into each page
//! the checksums of those below, up to the slot of its header, and does not look at them when it reads. They are
//! compared here, page by page, where the catalog is not in the file that its writer knew ([`head::stamp_of`]). Pages
//! that do not fit their own checksum are left to whoever reads them: that is damage of one place, which is told there.

use super::head;
use super::lease::{VERIFIED_FILE, make_folder};
use crate::catalog::backend::{PAGE_BYTES, page_sum};
use crate::catalog::{CATALOG_FILE, SUMS_FILE};
use crate::error::{Damage, Error, Result};
use crate::storage::checksum::checksum;
use crate::storage::{OpenMode, Storage, StorageFile};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

const HEADER_BYTES: usize = 320;
const SLOT_BYTES: usize = 128;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;
/// Levels of a tree that are followed: redb's own limit.
const MOST_LEVELS: u32 = 128;
/// Most bytes of one page that are read: more than the largest value takes.
const MOST_PAGE_BYTES: u64 = 1 << 30;

/// A page as its parent names it.
#[derive(Clone, Copy)]
struct Named {
    number: u64,
    sum: u128,
}

/// Widths of a table's keys and values; `None`: each has its own.
#[derive(Clone, Copy, Default)]
struct Widths {
    key: Option<usize>,
    value: Option<usize>,
}

/// Refuses a catalog whose pages do not belong together, if it may be a copy that nobody has looked at.
///
/// # Errors
/// `Corrupt`, saying that the files are of different moments; `Io` where they cannot be read.
pub(in crate::catalog) fn check(storage: &dyn Storage) -> Result<()> {
    if is_known(storage)? {
        return Ok(());
    }
    let own = head::stamp_of(storage).unwrap_or(0);
    let before = seen(storage, own);
    let Err(first) = compare(storage) else {
        remember(storage);
        return Ok(());
    };
    // A writer that is at work has looked first; whatever was compared here, it was not one state.
    if is_known(storage)? || seen(storage, own) != before { Ok(()) } else { Err(first) }
}

/// Whether this is the file that its writer wrote, or one that was looked at as it is now.
fn is_known(storage: &dyn Storage) -> Result<bool> {
    let Some(own) = head::stamp_of(storage) else { return Ok(true) };
    let written = head::read_stamp(storage)?;
    // Where no stamp was ever written, nothing can be told.
    Ok(written.is_some_and(|written| written == 0 || written == own) || verified(storage) == seen(storage, own))
}

/// What stands in [`VERIFIED_FILE`] of a catalog with this stamp and header.
fn seen(storage: &dyn Storage, own: u64) -> Option<[u8; 8]> {
    let mut header = [0; HEADER_BYTES];
    storage.open(CATALOG_FILE, OpenMode::Read).ok()?.read_exact_at(&mut header, 0).ok()?;
    Some(checksum(own, &header).to_le_bytes())
}

fn verified(storage: &dyn Storage) -> Option<[u8; 8]> {
    let mut found = [0; 8];
    let read = storage.open(VERIFIED_FILE, OpenMode::Read).ok()?.read_exact_at(&mut found, 0);
    // What is not there is no header's.
    read.ok().map(|()| found)
}

/// Who may not write here looks again the next time.
fn remember(storage: &dyn Storage) {
    let Some(seen) = head::stamp_of(storage).and_then(|own| seen(storage, own)) else { return };
    let written = make_folder(storage).and_then(|()| storage.open(VERIFIED_FILE, OpenMode::CreateOrOpen));
    if let Ok(file) = written {
        let _ = file.write_all_at(&seen, 0);
    }
}

fn compare(storage: &dyn Storage) -> Result<()> {
    let failed = |source| Error::io("read", &storage.root().join(CATALOG_FILE), source);
    let data = storage.open(CATALOG_FILE, OpenMode::Read)?;
    let len = data.len().map_err(failed)?;
    let mut header = [0; HEADER_BYTES];
    if len < PAGE_BYTES || data.read_exact_at(&mut header, 0).is_err() {
        return Ok(());
    }
    // Bit 0 picks the slot; bit 3 says that it was not safe yet, and that the other one counts.
    let picked = usize::from(header[9] & 1) ^ usize::from(header[9] >> 3 & 1);
    let slot = &header[64 + SLOT_BYTES * picked..64 + SLOT_BYTES * (picked + 1)];
    // A slot that does not fit its own checksum is damage that opening finds.
    if sum_at(slot, SLOT_BYTES - 16) != Some(xxh3_128(&slot[..SLOT_BYTES - 16])) {
        return Ok(());
    }
    let Ok(sums) = storage.open(SUMS_FILE, OpenMode::Read) else { return Ok(()) };
    let mut walk = Walk { data, sums, len, left: len / PAGE_BYTES };
    // The users' tables, then redb's own, which say what is free to be written over.
    for (flag, place) in [(1, 8), (2, 40)] {
        if slot[flag] != 0
            && let Some(root) = named_at(slot, place)
        {
            walk.tree(root, Widths::default(), true, 0)?;
        }
    }
    Ok(())
}

struct Walk {
    data: Arc<dyn StorageFile>,
    sums: Arc<dyn StorageFile>,
    len: u64,
    /// Pages that may still be looked at: a sound catalog has each once.
    left: u64,
}

impl Walk {
    /// Compares a page and all below it with what names them.
    fn tree(&mut self, named: Named, widths: Widths, is_master: bool, level: u32) -> Result<()> {
        let Some(page) = self.page(named) else { return Ok(()) };
        // A large page counts as all that it covers: named again and again it would be read as often.
        let covers = page.len() as u64 / PAGE_BYTES;
        let Some(last) = self.left.checked_sub(covers).filter(|_| level < MOST_LEVELS) else {
            return Err(mixture(named, "each page once", "a page that several name"));
        };
        self.left = last;
        let end = end_of(&page, widths);
        let sum = end.and_then(|end| page.get(..end)).map(xxh3_128);
        if sum != Some(named.sum) {
            let found = sum.map_or("no page of a table".to_string(), |sum| format!("{sum:032x}"));
            return Err(mixture(named, &format!("checksum {:032x}", named.sum), &found));
        }
        let count = count(&page);
        if page.first() == Some(&BRANCH) {
            for idx in 0..=count {
                let number = number_at(&page, 8 + 16 * (count + 1) + 8 * idx);
                if let (Some(number), Some(sum)) = (number, sum_at(&page, 8 + 16 * idx)) {
                    self.tree(Named { number, sum }, widths, is_master, level + 1)?;
                }
            }
        } else if is_master {
            for idx in 0..count {
                let Some(entry) = value_of(&page, count, idx) else { continue };
                // Its kind and length, then whether there is a root, the root, and the widths.
                if entry.get(9).is_some_and(|is_there| *is_there != 0)
                    && let Some(root) = named_at(entry, 10)
                {
                    let width = |at: usize| entry.get(at).filter(|is| **is != 0).and(half_at(entry, at + 1));
                    self.tree(root, Widths { key: width(42), value: width(47) }, false, level + 1)?;
                }
            }
        }
        Ok(())
    }

    /// The bytes of a page, if they fit their own checksums.
    fn page(&self, named: Named) -> Option<Vec<u8>> {
        let (order, region) = (named.number >> 59, named.number >> 20 & 0xf_ffff);
        let bytes = PAGE_BYTES << order;
        let place = named.number & (0xf_ffff >> order);
        let start = PAGE_BYTES + region * (PAGE_BYTES << 20) + place * bytes;
        if bytes > MOST_PAGE_BYTES || start.checked_add(bytes)? > self.len {
            return None;
        }
        let mut page = vec![0; usize::try_from(bytes).ok()?];
        self.data.read_exact_at(&mut page, start).ok()?;
        let first = start / PAGE_BYTES;
        let mut sums = vec![0; usize::try_from(bytes / PAGE_BYTES * 8).ok()?];
        self.sums.read_exact_at(&mut sums, first * 8).ok()?;
        let pairs = page.chunks_exact(PAGE_BYTES as usize).zip(sums.chunks_exact(8));
        let fits = (first..).zip(pairs).all(|(number, (page, sum))| page_sum(number, page).to_le_bytes() == *sum);
        fits.then_some(page)
    }
}

fn count(page: &[u8]) -> usize {
    page.get(2..4).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
}

fn half_at(bytes: &[u8], place: usize) -> Option<usize> {
    let bytes = bytes.get(place..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes) as usize)
}

fn number_at(bytes: &[u8], place: usize) -> Option<u64> {
    bytes.get(place..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

fn sum_at(bytes: &[u8], place: usize) -> Option<u128> {
    bytes.get(place..)?.first_chunk::<16>().map(|bytes| u128::from_le_bytes(*bytes))
}

fn named_at(bytes: &[u8], place: usize) -> Option<Named> {
    Some(Named { number: number_at(bytes, place)?, sum: sum_at(bytes, place + 8)? })
}

/// Where the part of a page ends that its checksum covers.
fn end_of(page: &[u8], widths: Widths) -> Option<usize> {
    let count = count(page);
    let last = count.checked_sub(1)?;
    match *page.first()? {
        LEAF => {
            let key_ends = if widths.key.is_none() { 4 * count } else { 0 };
            let value_ends = if widths.value.is_none() { 4 * count } else { 0 };
            let keys_end = match widths.key {
                None => half_at(page, 4 + 4 * last)?,
                Some(width) => 4 + value_ends + width.checked_mul(count)?,
            };
            match widths.value {
                None => half_at(page, 4 + key_ends + 4 * last),
                Some(width) => keys_end.checked_add(width.checked_mul(count)?),
            }
        }
        BRANCH => {
            let keys = 8 + 24 * (count + 1);
            match widths.key {
                None => half_at(page, keys + 4 * last),
                Some(width) => keys.checked_add(width.checked_mul(count)?),
            }
        }
        _ => None,
    }
}

/// The value of an entry of a leaf whose keys and values have widths of their own.
fn value_of(page: &[u8], count: usize, idx: usize) -> Option<&[u8]> {
    let start = match idx {
        0 => half_at(page, 4 + 4 * count.checked_sub(1)?)?,
        _ => half_at(page, 4 + 4 * count + 4 * (idx - 1))?,
    };
    page.get(start..half_at(page, 4 + 4 * count + 4 * idx)?)
}

fn mixture(named: Named, expected: &str, found: &str) -> Error {
    Error::corrupt(Damage {
        file: CATALOG_FILE.into(),
        offset: PAGE_BYTES + (named.number & 0xf_ffff) * PAGE_BYTES,
        what: "the files are a copy of different moments of a store that was being written to (`simile backup` makes \
               copies that hold together): a page is not the one that belongs here"
            .to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn a_large_page_that_is_named_again_and_again_is_not_read_as_often() {
        const LARGE: usize = 16;
        let storage = MemoryStorage::new();
        let file = |name| storage.open(name, OpenMode::CreateOrOpen).unwrap();
        // The header, a branch, and a leaf of 16 pages, of which the branch says that all its children are.
        let mut leaf = vec![0; LARGE * PAGE_BYTES as usize];
        leaf[..12].copy_from_slice(&[LEAF, 0, 1, 0, 12, 0, 0, 0, 12, 0, 0, 0]);
        let named = Named { number: 4 << 59 | 1, sum: xxh3_128(&leaf[..12]) };
        let children = 100;
        let mut branch = vec![BRANCH, 0, children - 1, 0, 0, 0, 0, 0];
        (0..children).for_each(|_| branch.extend(named.sum.to_le_bytes()));
        (0..children).for_each(|_| branch.extend(named.number.to_le_bytes()));
        let end = branch.len() as u32 + 4 * u32::from(children - 1);
        (1..children).for_each(|_| branch.extend(end.to_le_bytes()));
        let root = Named { number: 0, sum: xxh3_128(&branch) };
        branch.resize(PAGE_BYTES as usize, 0);
        let mut bytes = vec![0; PAGE_BYTES as usize];
        bytes.extend(branch);
        bytes.resize((1 + LARGE) * PAGE_BYTES as usize, 0);
        bytes.extend(leaf);
        let sums = bytes.chunks(PAGE_BYTES as usize).enumerate().skip(1);
        let sums: Vec<u8> = sums.flat_map(|(number, page)| page_sum(number as u64, page).to_le_bytes()).collect();
        file(CATALOG_FILE).write_all_at(&bytes, 0).unwrap();
        file(SUMS_FILE).write_all_at(&sums, 8).unwrap();
        let len = bytes.len() as u64;
        let mut walk = Walk { data: file(CATALOG_FILE), sums: file(SUMS_FILE), len, left: 40 };
        assert!(walk.page(named).is_some() && walk.page(root).is_some());
        let error = walk.tree(root, Widths::default(), false, 0).unwrap_err();
        assert!(error.to_string().contains("different moments"), "{error}");
        assert_eq!(walk.left, 40 - 1 - 2 * LARGE as u64, "a third time it was not read");
    }
}
