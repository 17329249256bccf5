//! Tests of segments: rows come back bit for bit, damage is found, leftovers are overwritten.

use super::header::HEADER_BYTES;
use super::writer::Appended;
use super::*;
use crate::error::ErrorKind;
use crate::storage::{FsStorage, MemoryStorage, OpenMode, Storage};
use crate::types::SegmentEntry;
use std::sync::Arc;

const VIEW: ViewId = ViewId(3);
const SEGMENT: SegmentId = SegmentId(8);

fn both_storages(test: impl Fn(Arc<dyn Storage>)) {
    test(Arc::new(MemoryStorage::new()));
    let folder = tempfile::tempdir().unwrap();
    test(Arc::new(FsStorage::create(&folder.path().join("a.simile")).unwrap()));
}

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 1e6 - 8.0
    };
    (0..count).map(|_| next()).collect()
}

fn create(storage: &Arc<dyn Storage>, dimension: u32, element: ElementType) -> SegmentWriter {
    SegmentWriter::create(storage.clone(), VIEW, SEGMENT, 10, dimension, element).unwrap()
}

fn assert_rows(rows: SegmentRows<'_>, expected: &[f32]) {
    match rows {
        SegmentRows::F32 { data, stride, dimension } => {
            assert_eq!(data.len() / stride, expected.len() / dimension);
            assert_eq!(data.as_ptr() as usize % 8, 0);
            for (row, expected) in data.chunks(stride).zip(expected.chunks(dimension)) {
                let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&row[..dimension]), bits(expected));
                assert!(row[dimension..].iter().all(|&x| x.to_bits() == 0), "padding is zero");
            }
        }
        SegmentRows::F16 { data, stride, dimension } => {
            assert_eq!(data.len() / stride, expected.len() / dimension);
            for (row, expected) in data.chunks(stride).zip(expected.chunks(dimension)) {
                let rounded: Vec<_> = expected.iter().map(|&x| half::f16::from_f32(x)).collect();
                assert_eq!(row[..dimension], rounded);
            }
        }
    }
}

fn finish(writer: SegmentWriter) -> Appended {
    let (appended, unsynced) = writer.finish().unwrap();
    unsynced.sync().unwrap();
    appended
}

/// Appends in several commits, gathering checksums as the catalog would.
fn build(
    storage: &Arc<dyn Storage>,
    dimension: u32,
    element: ElementType,
    commits: &[usize],
) -> (SegmentEntry, Vec<u64>, Vec<f32>) {
    let all = numbers(commits.iter().sum::<usize>() * dimension as usize, dimension);
    let (mut sums, mut entry, mut done) = (Vec::new(), None::<SegmentEntry>, 0);
    for &rows in commits {
        let mut writer = match &entry {
            None => create(storage, dimension, element),
            Some(entry) => SegmentWriter::open(storage.clone(), VIEW, entry).unwrap(),
        };
        let next = done + rows * dimension as usize;
        writer.append_f32(&all[done..next]).unwrap();
        let appended = finish(writer);
        assert_eq!(appended.first_block, sums.len() as u64);
        sums.extend(appended.sums);
        entry = Some(appended.entry);
        done = next;
    }
    (entry.unwrap(), sums, all)
}

#[test]
fn rows_come_back_bit_for_bit() {
    both_storages(|storage| {
        for (dimension, element) in
            [(1, ElementType::F32), (16, ElementType::F32), (100, ElementType::F32), (384, ElementType::F16)]
        {
            let (entry, sums, all) = build(&storage, dimension, element, &[1, 3, 700, 2, 1_500]);
            assert_eq!((entry.rows, entry.first_row), (2_206, 10));
            assert_eq!(sums.len() as u64, full_blocks(entry.rows, dimension, element));
            let reader = SegmentReader::open(&*storage, VIEW, &entry, sums).unwrap();
            let d = dimension as usize;
            for range in [0..1_u32, 5..5, 3..700, 2_000..2_206, 0..2_206] {
                assert_rows(
                    reader.rows(range.clone()).unwrap(),
                    &all[range.start as usize * d..range.end as usize * d],
                );
            }
            assert_eq!(reader.rows(0..2_207).unwrap_err().kind(), ErrorKind::Invalid);
        }
    });
}

#[test]
fn rows_of_an_uncommitted_append_are_overwritten() {
    both_storages(|storage| {
        let (entry, mut sums, mut all) = build(&storage, 50, ElementType::F32, &[300]);
        // A crash after the segment was written and before the catalog was.
        let mut lost = SegmentWriter::open(storage.clone(), VIEW, &entry).unwrap();
        lost.append_f32(&numbers(50 * 900, 99)).unwrap();
        finish(lost);
        let reader = SegmentReader::open(&*storage, VIEW, &entry, sums.clone()).unwrap();
        assert_rows(reader.rows(0..300).unwrap(), &all);
        let mut writer = SegmentWriter::open(storage.clone(), VIEW, &entry).unwrap();
        let more = numbers(50 * 400, 7);
        writer.append_f32(&more).unwrap();
        let appended = finish(writer);
        sums.extend(&appended.sums);
        all.extend(more);
        let grown = reader.reopen(&*storage, VIEW, &appended.entry, sums).unwrap();
        assert_rows(grown.rows(0..700).unwrap(), &all);
        assert_rows(reader.rows(0..300).unwrap(), &all[..300 * 50]);
    });
}

#[test]
fn absent_rows_are_zeros_and_half_rows_are_refused() {
    both_storages(|storage| {
        let mut writer = create(&storage, 3, ElementType::F32);
        writer.append_absent(2).unwrap();
        writer.append_f32(&[0.5; 3]).unwrap();
        assert_eq!(writer.append_f32(&[1.0; 4]).unwrap_err().kind(), ErrorKind::Invalid);
        let appended = finish(writer);
        let reader = SegmentReader::open(&*storage, VIEW, &appended.entry, appended.sums).unwrap();
        assert_rows(reader.rows(0..3).unwrap(), &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5]);
    });
}

#[test]
fn every_damaged_byte_is_found_and_named() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let (entry, sums, all) = build(&storage, 30, ElementType::F32, &[700, 400]);
    let file = storage.open(&path(VIEW, SEGMENT), OpenMode::Write).unwrap();
    let len = HEADER_BYTES as u64 + 1_100 * 128;
    assert_eq!(file.len().unwrap(), len);
    let samples = (0..HEADER_BYTES as u64).chain((HEADER_BYTES as u64..len).step_by(61));
    for at in samples {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1 << (at % 8)], at).unwrap();
        let opened = SegmentReader::open(&*storage, VIEW, &entry, sums.clone());
        let error = opened.and_then(|reader| reader.rows(0..1_100).map(|_| ())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
        let damage = error.damage().unwrap();
        let unit = if at < HEADER_BYTES as u64 { at - at % 8 } else { at - (at - HEADER_BYTES as u64) % BLOCK_BYTES };
        assert_eq!(damage.offset, unit, "byte {at}");
        assert_eq!(damage.file, std::path::Path::new("segments/3/8.seg"));
        if at >= HEADER_BYTES as u64 {
            let reader = SegmentReader::open(&*storage, VIEW, &entry, sums.clone()).unwrap();
            let mut found = Vec::new();
            reader.verify_all(&mut found, || Ok(())).unwrap();
            assert_eq!(found.len(), 1);
            let block = (at - HEADER_BYTES as u64) / BLOCK_BYTES;
            let other_rows = if block == 0 { 520..1_000_u32 } else { 0..500 };
            if block < 2 {
                assert!(reader.rows(other_rows).is_ok(), "a block elsewhere is still good");
            }
        }
        file.write_all_at(&byte, at).unwrap();
    }
    let reader = SegmentReader::open(&*storage, VIEW, &entry, sums).unwrap();
    assert_rows(reader.rows(0..1_100).unwrap(), &all);
}

#[test]
fn cut_swapped_and_missing_files_are_damage() {
    both_storages(|storage| {
        let (entry, sums, _) = build(&storage, 30, ElementType::F32, &[700]);
        let file = storage.open(&path(VIEW, SEGMENT), OpenMode::Write).unwrap();
        let len = file.len().unwrap();
        let kind = |entry: &SegmentEntry, sums: &[u64]| {
            SegmentReader::open(&*storage, VIEW, entry, sums.to_vec()).map(|_| ()).unwrap_err().kind()
        };
        for cut in [0, 1, 4_095, 4_096, 4_097, len - 1] {
            file.set_len(cut).unwrap();
            assert_eq!(kind(&entry, &sums), ErrorKind::Corrupt, "cut to {cut}");
            assert!(SegmentWriter::open(storage.clone(), VIEW, &entry).is_err());
        }
        file.set_len(len).unwrap();
        for other in [
            SegmentEntry { first_row: 11, ..entry.clone() },
            SegmentEntry { dimension: 31, ..entry.clone() },
            SegmentEntry { element: ElementType::F16, rows: 1_400, ..entry.clone() },
            SegmentEntry { rows: 100, ..entry.clone() },
            SegmentEntry { id: SegmentId(9), ..entry.clone() },
        ] {
            assert_eq!(kind(&other, &sums), ErrorKind::Corrupt, "{other:?}");
        }
        assert_eq!(kind(&entry, &[]), ErrorKind::Corrupt);
        for claim in [(0, 1), (u32::MAX, 1), (1, u32::MAX)] {
            let claiming = SegmentEntry { dimension: claim.0, rows: claim.1, ..entry.clone() };
            assert_eq!(kind(&claiming, &[]), ErrorKind::Limit);
        }
    });
}

#[test]
fn threads_verify_the_same_blocks_at_once() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let (entry, sums, all) = build(&storage, 64, ElementType::F32, &[5_000]);
    let reader = SegmentReader::open(&*storage, VIEW, &entry, sums).unwrap();
    std::thread::scope(|scope| {
        for start in [0, 17, 1_000, 4_000] {
            let (reader, all) = (&reader, &all);
            scope.spawn(move || {
                for first in (start..5_000_u32).step_by(37) {
                    let last = (first + 50).min(5_000);
                    assert_rows(reader.rows(first..last).unwrap(), &all[first as usize * 64..last as usize * 64]);
                }
            });
        }
    });
}

#[test]
fn every_half_float_survives_the_way_through_f32() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let all: Vec<f32> = (0..=u16::MAX).map(half::f16::from_bits).filter(|x| x.is_finite()).map(f32::from).collect();
    let mut writer = create(&storage, 1, ElementType::F16);
    writer.append_f32(&all).unwrap();
    let appended = finish(writer);
    let reader = SegmentReader::open(&*storage, VIEW, &appended.entry, appended.sums).unwrap();
    let SegmentRows::F16 { data, stride, .. } = reader.rows(0..all.len() as u32).unwrap() else { panic!("f16") };
    assert!(data.iter().step_by(stride).zip(&all).all(|(stored, given)| stored.to_f32().to_bits() == given.to_bits()));
}
