//! Damage of the catalog's files: an answer is right, or it is an error of kind `Corrupt`; never wrong, never a panic.

use super::tables::{IDS, VIEW_TEXTS};
use super::tests::meta;
use super::*;
use crate::error::{ErrorKind, Result};
use crate::storage::{MemoryStorage, OpenMode, Storage, counted};
use crate::types::{CollectionId, CommitNumber, ViewId};
use std::sync::Arc;

const LAST_COMMIT: u64 = 6;
const ROWS: u32 = 400;

fn text(row: u32) -> String {
    format!("text {row} ").repeat(row as usize % 40)
}

/// A small store, cleanly closed: several commits, so that both header slots and free pages exist.
fn small_store() -> MemoryStorage {
    small_stores().0
}

/// The same store cleanly closed, and as a killed writer leaves it.
fn small_stores() -> (MemoryStorage, MemoryStorage) {
    let storage = MemoryStorage::new();
    let catalog = Catalog::create(Arc::new(storage.clone()), CatalogOptions::default(), &meta(1)).unwrap();
    for commit in 2..=LAST_COMMIT {
        let write = catalog.begin_write().unwrap();
        for row in (0..ROWS).filter(|row| commit == 2 || row % 7 == commit as u32) {
            write.put(&IDS, &(CollectionId(1), format!("id {row}")), &row).unwrap();
            write.put(&VIEW_TEXTS, &(ViewId(1), row), &text(row)).unwrap();
        }
        // Something is also taken away again, or a lost removal would go unnoticed.
        write.put(&IDS, &(CollectionId(2), format!("gone {commit}")), &0).unwrap();
        write.remove(&IDS, &(CollectionId(2), format!("gone {}", commit - 1))).unwrap();
        write.put_meta(&meta(commit)).unwrap();
        write.commit().unwrap();
    }
    let killed = storage.copy();
    drop(catalog);
    (storage, killed)
}

/// Reads everything; an error, or a description of the first wrong answer, or nothing to complain about.
fn read_all(catalog: &Catalog) -> Result<Option<String>> {
    let read = catalog.begin_read()?;
    if read.meta().commit != CommitNumber(LAST_COMMIT) {
        return Ok(Some(format!("an old snapshot: {:?}", read.meta())));
    }
    // Single keys come first: a range also meets the damaged keys themselves, whose values do not pass.
    for row in (0..ROWS).rev() {
        let found = read.get(&IDS, &(CollectionId(1), format!("id {row}")))?;
        if found != Some(row) || read.get(&VIEW_TEXTS, &(ViewId(1), row))? != Some(text(row)) {
            return Ok(Some(format!("row {row} is wrong")));
        }
    }
    let (ids, texts) = (read.range(&IDS, ..)?, read.range(&VIEW_TEXTS, ..)?);
    if ids.len() != ROWS as usize + 1 || texts.len() != ROWS as usize {
        return Ok(Some(format!("{} ids and {} texts", ids.len(), texts.len())));
    }
    if texts.into_iter().any(|((_, row), found)| found != text(row)) {
        return Ok(Some("a text is wrong".to_string()));
    }
    Ok(None)
}

/// Opens a damaged store in one way, reads all of it, and says whether it was right; panics if it was wrong.
fn right_or_corrupt(storage: &MemoryStorage, write: bool, what: &str) -> bool {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let options = CatalogOptions { cache_bytes: 1 << 20, ..CatalogOptions::default() };
    let opened = if write { Catalog::open_write(storage, options) } else { Catalog::open_read(storage, options) };
    match opened.and_then(|catalog| read_all(&catalog)) {
        Ok(None) => true,
        Ok(Some(wrong)) => panic!("{what}: {wrong}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            assert!(error.damage().is_some(), "{what}: {error}");
            false
        }
    }
}

fn flip(storage: &MemoryStorage, file: &str, at: u64, bit: u8) -> MemoryStorage {
    let damaged = storage.copy();
    let file = damaged.open(file, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
    damaged
}

/// The pages that a commit reaches, found by what is not zero.
fn used_pages(storage: &MemoryStorage) -> Vec<u64> {
    let file = storage.open(CATALOG_FILE, OpenMode::Read).unwrap();
    let mut page = vec![0; 4_096];
    (1..file.len().unwrap() / 4_096)
        .filter(|page_idx| {
            file.read_exact_at(&mut page, page_idx * 4_096).unwrap();
            page.iter().any(|&byte| byte != 0)
        })
        .collect()
}

#[test]
fn flipped_bits_of_pages_never_give_a_wrong_answer() {
    let storage = small_store();
    assert!(right_or_corrupt(&storage, false, "undamaged"));
    let (mut right, mut corrupt) = (0, 0);
    for (sample, page) in used_pages(&storage).into_iter().enumerate() {
        for step in 0..6 {
            let at = page * 4_096 + (sample as u64 * 977 + step * 1_361) % if step % 2 == 0 { 64 } else { 4_096 };
            let damaged = flip(&storage, CATALOG_FILE, at, (sample as u64 + step) as u8 % 8);
            let what = format!("bit of byte {at}");
            if right_or_corrupt(&damaged, step == 1, &what) { right += 1 } else { corrupt += 1 }
        }
    }
    counted(right + corrupt, "flipped bytes");
    assert!(right > 0 && corrupt > right / 4, "{right} right, {corrupt} corrupt: the sample says little");
}

#[test]
fn flipped_bits_of_the_header_never_give_a_wrong_answer() {
    let (closed, killed) = small_stores();
    let mut corrupt = 0;
    for (state, storage) in [("closed", closed), ("killed", killed)] {
        for at in 0..320 {
            // All bits of the god byte and the geometry, one of each other byte.
            for bit in if at < 24 { 0..8 } else { at as u8 % 8..at as u8 % 8 + 1 } {
                let damaged = flip(&storage, CATALOG_FILE, at, bit);
                let what = format!("{state}, bit {bit} of header byte {at}");
                counted(1, "flipped bytes");
                let read = right_or_corrupt(&damaged.copy(), false, &format!("reading, {what}"));
                let write = right_or_corrupt(&damaged, true, &format!("writing, {what}"));
                corrupt += usize::from(!read) + usize::from(!write);
                let is_geometry = at < 9 || (12..24).contains(&at);
                assert!(!is_geometry || !(read || write), "{what}: the geometry is constant");
            }
        }
    }
    assert!(corrupt > 400, "{corrupt}");
}

#[test]
fn an_emptied_catalog_is_damage_and_is_not_made_anew() {
    let storage = small_store();
    storage.open(CATALOG_FILE, OpenMode::Write).unwrap().set_len(0).unwrap();
    assert!(!right_or_corrupt(&storage, true, "emptied"));
    assert_eq!(storage.len(CATALOG_FILE).unwrap(), 0);
}

#[test]
fn flipped_bits_of_sums_never_give_a_wrong_answer() {
    let storage = small_store();
    let len = storage.len(SUMS_FILE).unwrap();
    let corrupt = (0..len).filter(|&at| {
        let damaged = flip(&storage, SUMS_FILE, at, (at % 8) as u8);
        !right_or_corrupt(&damaged, at % 3 == 0, &format!("byte {at} of the sums"))
    });
    counted(len as usize, "flipped bytes");
    assert!(corrupt.count() > 100);
}

#[test]
fn cut_files_never_give_a_wrong_answer() {
    let storage = small_store();
    for file in [CATALOG_FILE, SUMS_FILE] {
        let len = storage.len(file).unwrap();
        let cuts = [0, 1, 8, 9, 63, 64, 319, 320, 4_095, 4_096, 8_192, len / 2, len / 2 / 4_096 * 4_096, len - 1];
        for cut in cuts.into_iter().filter(|&cut| cut < len) {
            let damaged = storage.copy();
            damaged.open(file, OpenMode::Write).unwrap().set_len(cut).unwrap();
            counted(1, "cut files");
            let what = format!("{file} cut to {cut} of {len}");
            let read = right_or_corrupt(&damaged.copy(), false, &what);
            let write = right_or_corrupt(&damaged, true, &what);
            assert!(cut > len / 8 || !(read && write), "{what} was not noticed");
        }
    }
}

#[test]
fn an_older_catalog_under_a_newer_head_is_damage() {
    let storage = small_store();
    head::write(&storage, CommitNumber(LAST_COMMIT + 1)).unwrap();
    assert!(!right_or_corrupt(&storage, false, "HEAD ahead"));
    assert!(!right_or_corrupt(&storage, true, "HEAD ahead"));
    // A torn HEAD says nothing, and the next commit rewrites it.
    storage.open(HEAD_FILE, OpenMode::Write).unwrap().write_all_at(&[7], 9).unwrap();
    assert!(right_or_corrupt(&storage, false, "HEAD torn"));
    let catalog = Catalog::open_write(Arc::new(storage.clone()), CatalogOptions::default()).unwrap();
    let write = catalog.begin_write().unwrap();
    write.put_meta(&meta(LAST_COMMIT + 1)).unwrap();
    write.commit().unwrap();
    assert_eq!(head::read(&storage).unwrap(), head::HeadState::Valid(CommitNumber(LAST_COMMIT + 1)));
}

#[test]
fn a_handle_survives_damage_that_goes_away() {
    let storage = small_store();
    let catalogs = [
        Catalog::open_read(Arc::new(storage.clone()), CatalogOptions { cache_bytes: 0, ..CatalogOptions::default() }),
        Catalog::open_write(Arc::new(storage.clone()), CatalogOptions { cache_bytes: 0, ..CatalogOptions::default() }),
    ];
    let file = storage.open(CATALOG_FILE, OpenMode::Write).unwrap();
    for catalog in catalogs {
        let catalog = catalog.unwrap();
        assert_eq!(read_all(&catalog).unwrap(), None);
        let mut noticed = 0;
        for page in used_pages(&storage) {
            let mut good = vec![0; 4_096];
            file.read_exact_at(&mut good, page * 4_096).unwrap();
            let mut bad = good.clone();
            bad[100] ^= 4;
            file.write_all_at(&bad, page * 4_096).unwrap();
            match read_all(&catalog) {
                Ok(wrong) => assert_eq!(wrong, None),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    noticed += 1;
                }
            }
            file.write_all_at(&good, page * 4_096).unwrap();
            assert_eq!(read_all(&catalog).unwrap(), None, "page {page}: the handle is exchanged");
        }
        assert!(noticed > 5, "{noticed}");
    }
}

#[test]
fn check_names_each_damaged_page_and_goes_on() {
    let storage = small_store();
    let open = |storage: &MemoryStorage| {
        Catalog::open_read(Arc::new(storage.clone()), CatalogOptions::default()).unwrap().integrity(true).unwrap()
    };
    assert_eq!(open(&storage), []);
    let writer = Catalog::open_write(Arc::new(storage.clone()), CatalogOptions::default()).unwrap();
    assert_eq!(writer.integrity(true).unwrap(), [], "as a writer");
    assert_eq!(open(&storage), [], "beside a writer");
    drop(writer);
    // All pages of texts but the last are hit: leaves, whose loss leaves the rest readable.
    let file = storage.open(CATALOG_FILE, OpenMode::Write).unwrap();
    let mut page = vec![0; 4_096];
    let mut hit = Vec::new();
    for page_idx in used_pages(&storage) {
        file.read_exact_at(&mut page, page_idx * 4_096).unwrap();
        let is_leaf_of_texts =
            page[0] == 1 && page.windows(9).any(|bytes| bytes == b"text 239 " || bytes == b"text 118 ");
        if is_leaf_of_texts {
            file.write_all_at(&[page[4_000] ^ 1], page_idx * 4_096 + 4_000).unwrap();
            hit.push(page_idx * 4_096);
        }
    }
    // The store can still be opened, and the damage is listed page by page, with what it covers.
    let found = open(&storage);
    let pages = found.iter().filter(|damage| damage.what.contains("page's checksum"));
    let pages: Vec<u64> = pages.map(|damage| damage.offset).collect();
    assert!(pages.len() >= 2 && pages.iter().all(|page| hit.contains(page)), "{pages:?} of {hit:?}");
}

#[test]
fn a_changed_geometry_is_named() {
    let storage = small_store();
    for at in (0..9).chain(12..24) {
        let damaged: Arc<dyn Storage> = Arc::new(flip(&storage, CATALOG_FILE, at, (at % 8) as u8));
        let error = Catalog::open_read(damaged, CatalogOptions::default()).unwrap_err();
        let damage = error.damage().unwrap();
        assert!(damage.what.contains("geometry"), "byte {at}: {error}");
        assert_eq!(damage.offset, if at < 12 { 0 } else { 12 });
    }
}
