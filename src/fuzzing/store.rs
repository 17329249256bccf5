//! The bodies of the fuzz targets that open stores.

use super::crash::{self, Recording};
use super::damage::{self, Sound};
use super::ops::{Choices, Step};
use crate::catalog::{Total, codec};
use crate::segment::header::Header;
use crate::storage::disk::LOSSES;
use crate::storage::fault::Plan;
use crate::store::{ColumnChunk, StoredRecord};
use crate::types::{
    BackgroundDef, Calibration, CollectionDef, DerivedDef, ElementType, LabelQuery, LearnedDef, LensRecord, PairLabels,
    ProjectionDef, RespectDef, RowSet, SampleDef, SegmentEntry, SegmentId, Statistic, StoreMeta, ViewId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// A store whose files were changed answers as before, or says what is wrong; what is salvaged of it was there. Six
/// bytes are one change: the file, what is done (a flip, a cut, a byte put), three bytes of place, a value.
///
/// # Panics
/// Where that does not hold.
pub fn open_store(data: &[u8]) {
    let sound = Sound::get();
    let mut files = sound.files.clone();
    for change in data.chunks_exact(6).take(16) {
        let &[file, kind, high, middle, low, value] = change else { continue };
        let Some((_, bytes)) = files.iter_mut().nth(usize::from(file) % sound.files.len()) else { continue };
        let place = u32::from_be_bytes([0, high, middle, low]) as usize % bytes.len().max(1);
        match (kind % 8, bytes.get_mut(place)) {
            (0, _) => bytes.truncate(place),
            (1, Some(byte)) => *byte = value,
            (_, Some(byte)) => *byte ^= 1 << (value % 8),
            _ => {}
        }
    }
    let what = || format!("{data:?}");
    let left = crate::storage::MemoryStorage::of_parts(files, sound.folders.clone());
    damage::judge(&left.copy(), sound, data.len().is_multiple_of(2), &what);
    damage::salvage(&left, sound, &what);
}

/// Steps chosen by the bytes, stopped at operations chosen by the first ones, leave the state before or after.
///
/// # Panics
/// Where that does not hold.
pub fn ops_with_crash(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(4));
    let seed = head.iter().fold(0_u64, |seed, byte| seed << 8 | u64::from(*byte));
    let mut choices = Choices::new(rest);
    let steps: Vec<Step> = std::iter::from_fn(|| Step::choose(&mut choices)).take(24).collect();
    let recording = Recording::of(&crash::empty(), &steps, Plan::Nothing);
    let every = recording.len() / 8 + 1;
    recording.walk(seed as usize % every, every, |done, disk| {
        let loss = LOSSES[(seed as usize + done) % LOSSES.len()];
        recording.check(done, disk, loss, seed ^ done as u64);
    });
}

/// Any bytes under a fitting checksum are a value that comes back from its own bytes, or an error; and without a
/// fitting checksum they are an error.
///
/// # Panics
/// Where that does not hold.
pub fn decode_catalog_value(data: &[u8]) {
    fn value<V: Serialize + DeserializeOwned>(data: &[u8]) -> Option<V> {
        assert!(codec::decode::<V>("t", b"k", data).is_err() || data.len() >= 8, "too short for a checksum");
        let value: V = codec::decode("t", b"k", &codec::sealed("t", b"k", data)).ok()?;
        let again = codec::encode("t", b"k", &value).expect("a value that was decoded");
        let twice: V = codec::decode("t", b"k", &again).expect("a value that was encoded");
        assert!(codec::encode("t", b"k", &twice).is_ok_and(|twice| twice == again), "another value came back");
        Some(value)
    }
    value::<StoreMeta>(data);
    value::<CollectionDef>(data);
    value::<SegmentEntry>(data);
    value::<ProjectionDef>(data);
    value::<LensRecord>(data);
    value::<Statistic>(data);
    value::<SampleDef>(data);
    value::<Calibration>(data);
    value::<DerivedDef>(data);
    value::<RespectDef>(data);
    value::<LabelQuery>(data);
    value::<PairLabels>(data);
    value::<LearnedDef>(data);
    value::<BackgroundDef>(data);
    value::<BTreeMap<String, Total>>(data);
    value::<StoredRecord>(data);
    value::<Vec<u64>>(data);
    if let Some(chunk) = value::<ColumnChunk>(data).filter(|chunk| chunk.is_well_formed(chunk.rows())) {
        (0..chunk.rows().min(10_000)).for_each(|row| drop(chunk.get(row as usize).map(|value| format!("{value:?}"))));
    }
    if let Some(rows) = RowSet::decode(data) {
        assert!(RowSet::decode(&rows.encode()) == Some(rows), "another set of rows came back");
    }
}

/// Bytes are a segment's header only if they are exactly the one that the catalog describes.
///
/// # Panics
/// Where that does not hold.
pub fn segment_header(data: &[u8]) {
    let (view, segment, first_row) = (ViewId(7), SegmentId(9), 4_096);
    let header = Header { view, segment, first_row, dimension: 3, element: ElementType::F16 };
    let good = header.encode();
    let mut found = good;
    for change in data.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % found.len();
        found[place] ^= change[2];
    }
    for bytes in [&found[..], data, &good[..data.len() % (good.len() + 1)]] {
        let checked = header.check(bytes, "7/9.seg", Path::new("store"));
        assert_eq!(checked.is_ok(), bytes == good, "{checked:?}");
    }
}
