//! Records that were shown lately, kept decoded: the same ones are shown again and again.
//!
//! Owns [`RecentRecords`], which lives as long as the store's handle. A row of a generation of files is given to one
//! record and never to another, and what is stored of it never changes, so an entry can be missing but not wrong. Each
//! record has one place, which the next record of that place takes. Invariant: no more than [`PLACES`] records of at
//! most [`RECORD_BYTES`] each are held.

use crate::store::shared::record_data::RecordData;
use crate::types::{CollectionId, Value};
use std::sync::{Arc, Mutex, PoisonError};

/// Records held at most; a power of two.
const PLACES: usize = 4_096;
/// Larger records are not held.
const RECORD_BYTES: usize = 4 << 10;

/// Which record: its generation of files, its collection, its row.
pub(in crate::store) type Whose = (u64, CollectionId, u32);

type Place = Mutex<Option<(Whose, Arc<RecordData>)>>;

/// Records by the place they were read from.
#[derive(Debug)]
pub(in crate::store) struct RecentRecords {
    places: Box<[Place]>,
}

impl RecentRecords {
    /// Room for records that take about `bytes` altogether, within the module's limits; 0: for none.
    pub(in crate::store) fn new(bytes: usize) -> Self {
        let places = (bytes / RECORD_BYTES).min(PLACES).checked_ilog2().map_or(0, |log| 1 << log);
        RecentRecords { places: (0..places).map(|_| Place::default()).collect() }
    }

    fn place(&self, whose: Whose) -> Option<&Place> {
        let (generation, collection, row) = whose;
        let mixed =
            (generation << 40 ^ u64::from(collection.0) << 32 ^ u64::from(row)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.places.get((mixed >> 32) as usize & self.places.len().wrapping_sub(1))
    }

    /// The record, if it is held.
    pub(in crate::store) fn get(&self, whose: Whose) -> Option<Arc<RecordData>> {
        let place = self.place(whose)?.lock().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().filter(|(held, _)| *held == whose).map(|(_, record)| Arc::clone(record))
    }

    /// Holds `record`, unless it is large.
    pub(in crate::store) fn insert(&self, whose: Whose, record: &Arc<RecordData>) {
        let Some(place) = self.place(whose) else { return };
        if bytes_of(record) <= RECORD_BYTES {
            let held = Some((whose, Arc::clone(record)));
            *place.lock().unwrap_or_else(PoisonError::into_inner) = held;
        }
    }
}

/// About what a record takes in memory.
fn bytes_of(record: &RecordData) -> usize {
    let value = |value: &Value| match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::TextList(list) => list.iter().map(|text| text.len() + size_of::<String>()).sum(),
        _ => 0,
    };
    let fields = record.fields.iter().map(|(name, field)| name.len() + value(field) + 64);
    size_of::<RecordData>() + record.id.len() + record.text.len() + fields.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RecordKey;

    fn record(id: &str, text: &str) -> Arc<RecordData> {
        let fields = Default::default();
        Arc::new(RecordData { key: RecordKey(1), id: id.into(), text: text.into(), fields })
    }

    #[test]
    fn a_record_is_found_under_its_own_row_and_generation_only() {
        let recent = RecentRecords::new(1 << 20);
        let whose = (3, CollectionId(1), 70);
        recent.insert(whose, &record("a", "text"));
        assert_eq!(recent.get(whose), Some(record("a", "text")));
        for other in [(4, CollectionId(1), 70), (3, CollectionId(2), 70), (3, CollectionId(1), 71)] {
            assert!(recent.get(other).is_none(), "{other:?}");
        }
        // Whoever shares its place takes it over; neither is ever found under the other's row.
        for row in 0..5_000 {
            recent.insert((3, CollectionId(1), row), &record(&row.to_string(), ""));
            assert_eq!(recent.get((3, CollectionId(1), row)).map(|held| held.id.clone()), Some(row.to_string()));
        }
        let held = (0..5_000).filter(|&row| recent.get((3, CollectionId(1), row)).is_some()).count();
        assert!((100..=256).contains(&held), "{held}");
    }

    #[test]
    fn large_records_and_handles_without_room_hold_nothing() {
        let whose = (0, CollectionId(0), 0);
        let recent = RecentRecords::new(1 << 20);
        recent.insert(whose, &record("a", &"x".repeat(RECORD_BYTES)));
        assert!(recent.get(whose).is_none());
        let recent = RecentRecords::new(0);
        recent.insert(whose, &record("a", ""));
        assert!(recent.get(whose).is_none());
    }
}
