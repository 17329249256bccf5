//! Values as bytes: bincode with a limit, and a checksum over table, key and value.
//!
//! The only code that names bincode, so that it can be replaced in one file. The stored form is the encoded value
//! followed by 8 bytes of checksum, little-endian. A value under the wrong key, or of the wrong table, does not pass.

use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::checksum::checksum;
use crate::types::limits::VALUE_BYTES;
use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

const SUM_BYTES: usize = 8;

fn configuration() -> Configuration<LittleEndian, Varint, Limit<VALUE_BYTES>> {
    config::standard().with_limit::<VALUE_BYTES>()
}

/// The stored form of `value` under `key` of `table`.
///
/// # Errors
/// `Limit` when the value encodes to more than [`VALUE_BYTES`].
pub fn encode<V: Serialize>(table: &str, key: &[u8], value: &V) -> Result<Vec<u8>> {
    let mut bytes = bincode::serde::encode_to_vec(value, configuration()).map_err(|source| {
        Error::new(ErrorKind::Limit, format!("a value of table {table} cannot be stored: {source}"))
    })?;
    if bytes.len() > VALUE_BYTES {
        let message = format!("a value of table {table} has {} bytes, more than {VALUE_BYTES}", bytes.len());
        return Err(Error::new(ErrorKind::Limit, message));
    }
    #[cfg(test)]
    crate::storage::counted::encoded();
    let sum = value_sum(table, key, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// Bytes under the checksum that they would have as a value: what the fuzz targets decode.
#[cfg_attr(not(test), allow(dead_code, reason = "the fuzz targets use it"))]
pub fn sealed(table: &str, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    bytes.extend_from_slice(&value_sum(table, key, payload).to_le_bytes());
    bytes
}

/// Reads what [`encode`] wrote under the same `key` of the same `table`.
///
/// # Errors
/// `Corrupt` when the checksum does not fit, or the bytes are not such a value.
pub fn decode<V: DeserializeOwned>(table: &str, key: &[u8], stored: &[u8]) -> Result<V> {
    let payload = verified(table, key, stored)?;
    match bincode::serde::decode_from_slice(payload, configuration()) {
        Ok((value, used)) if used == payload.len() => Ok(value),
        Ok((_, used)) => {
            let expected = format!("a value of {used} bytes");
            Err(damaged(table, key, "a value is longer than it should be", &expected, &format!("{}", payload.len())))
        }
        Err(reason) => {
            Err(damaged(table, key, "a value cannot be decoded", "a value of this table", &reason.to_string()))
        }
    }
}

/// Reads the first fields of a value that may have more behind them.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_start<V: DeserializeOwned>(table: &str, key: &[u8], stored: &[u8]) -> Result<V> {
    let payload = verified(table, key, stored)?;
    bincode::serde::decode_from_slice(payload, configuration()).map(|(value, _)| value).map_err(|reason| {
        damaged(table, key, "a value cannot be decoded", "a value of this table", &reason.to_string())
    })
}

/// The checksum that a stored value bears; 0 for one too short to have one.
pub(super) fn stored_sum(stored: &[u8]) -> u64 {
    stored.last_chunk::<SUM_BYTES>().map_or(0, |sum| u64::from_le_bytes(*sum))
}

/// Checks the checksum of a stored value without decoding it.
///
/// # Errors
/// `Corrupt` when it does not fit.
pub(super) fn verify(table: &str, key: &[u8], stored: &[u8]) -> Result<()> {
    verified(table, key, stored).map(|_| ())
}

/// The value's bytes without the checksum, once that has been checked.
fn verified<'a>(table: &str, key: &[u8], stored: &'a [u8]) -> Result<&'a [u8]> {
    #[cfg(test)]
    crate::storage::counted::decoded(stored.len());
    let Some((payload, sum)) = stored.split_last_chunk::<SUM_BYTES>() else {
        let found = format!("{} bytes", stored.len());
        return Err(damaged(table, key, "a value is too short", "at least 8 bytes", &found));
    };
    let expected = u64::from_le_bytes(*sum);
    let found = value_sum(table, key, payload);
    if expected != found {
        let (expected, found) = (format!("checksum {expected:016x}"), format!("{found:016x}"));
        return Err(damaged(table, key, "a value's checksum does not fit", &expected, &found));
    }
    Ok(payload)
}

fn value_sum(table: &str, key: &[u8], payload: &[u8]) -> u64 {
    checksum(checksum(checksum(0, table.as_bytes()), key), payload)
}

/// Damage of one value: it has no offset of its own, so the message carries table and key.
pub(super) fn damaged(table: &str, key: &[u8], what: &str, expected: &str, found: &str) -> Error {
    Error::corrupt(Damage {
        file: super::CATALOG_FILE.into(),
        offset: 0,
        what: format!("table {table}, key {}: {what}", shown_key(key)),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// Damage of a key whose value is sound.
pub(super) fn damaged_key(table: &str, key: &[u8]) -> Error {
    damaged(table, key, "the key cannot be decoded", "a key of this table", "other bytes")
}

fn shown_key(key: &[u8]) -> String {
    key.iter().take(48).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::golden_tests::golden;
    use crate::types::definitions::{ViewDef, ViewKind};
    use crate::types::{
        Calibration, CollectionDef, CollectionId, CommitNumber, ElementType, FieldType, LabelQuery, LabelledRecord,
        LensDef, LensRecord, Metric, PairLabels, PinnedStatistic, ProjectionDef, ProjectionRef, QueryVector, RecordKey,
        RespectDef, SampleDef, SampleVectors, SegmentEntry, SegmentId, Statistic, Step, StoreMeta, Verdict, ViewId,
    };
    use std::collections::BTreeMap;

    #[test]
    fn golden_definitions() {
        golden(
            StoreMeta {
                format: 1,
                needs: "0.1.0".to_string(),
                required_features: 0,
                commit: CommitNumber(300),
                generation: 2,
                next_collection: 3,
                next_view: 4,
                next_segment: 5,
                embedder: Some("e".to_string()),
            },
            "0105302e312e3000fb2c0102030405010165",
        );
        let view = ViewDef {
            id: ViewId(1),
            name: "raw".to_string(),
            kind: ViewKind::Template("T {text}".to_string()),
            embedder: None,
            dimension: Some(384),
            element: ElementType::F16,
            rows: 9,
            revision: 6,
        };
        golden(
            CollectionDef {
                id: CollectionId(7),
                name: "notes".to_string(),
                fields: BTreeMap::from([("year".to_string(), FieldType::Integer)]),
                rows: 9,
                live: 8,
                next_key: 10,
                views: vec![view],
            },
            "07056e6f74657301047965617201\
             09080a01010372617701085420\
             7b746578747d0001fb8001010906",
        );
        golden(
            SegmentEntry {
                id: SegmentId(1),
                first_row: 2,
                rows: 3,
                dimension: 4,
                element: ElementType::F32,
                tail_sum: 0x0102_0304_0506_0708,
            },
            "0102030400fd0807060504030201",
        );
    }

    #[test]
    fn golden_lenses() {
        golden(
            ProjectionDef {
                name: "m".to_string(),
                rows: 1,
                columns: 2,
                query: vec![1.0, -2.0],
                record: None,
                origin: "o".to_string(),
                fitted_on: None,
            },
            "016d0102020000803f000000c000016f00",
        );
        let pair = ProjectionRef::Pair("a".to_string(), "b".to_string());
        let steps = vec![Step::CenterCorpus, Step::Truncate(5), Step::Project(pair)];
        golden(
            LensRecord {
                name: "l".to_string(),
                lens: LensDef { view: "raw".to_string(), steps, metric: Metric::Pearson, csls: None },
                version: 1,
                commit: CommitNumber(2),
                pinned: vec![PinnedStatistic {
                    collection: CollectionId(1),
                    step_idx: 0,
                    commit: CommitNumber(2),
                    records: 3,
                    revision: 4,
                }],
            },
            "016c037261770301070508010161016202000102010100020304",
        );
    }

    #[test]
    fn golden_samples_statistics_and_calibrations() {
        golden(
            SampleDef {
                ids: vec!["q".to_string()],
                texts: vec!["t".to_string()],
                vectors: Some(SampleVectors { view: "raw".to_string(), dimension: 2, data: vec![1.0, -2.0] }),
                ..SampleDef::new("s", CollectionId(1))
            },
            "017301010171010174010372617702020000803f000000c000",
        );
        golden(Statistic::Sides { queries: vec![1.0], records: vec![-2.0] }, "0101000000000000f03f0100000000000000c0");
        golden(
            Statistic::Directions { mean: vec![1.0], directions: vec![-2.0], divisor: Vec::new() },
            "0301000000000000f03f0100000000000000c000",
        );
        golden(
            Calibration::supplied(1.0, -2.0),
            "0000000000000000f03f00000000000000c017737570706c696564207363616c6520616e64206269617300000000",
        );
    }

    #[test]
    fn golden_labels() {
        golden(
            RespectDef {
                id: 1,
                collection: CollectionId(2),
                name: "r".to_string(),
                field: Some("f".to_string()),
                next_query: 3,
                pairs: 4,
                revision: 5,
                commit: CommitNumber(6),
            },
            "0102017201016603040506",
        );
        let record = LabelledRecord { key: RecordKey(300), id: "n1".to_string() };
        golden(
            LabelQuery {
                id: "q".to_string(),
                text: Some("t".to_string()),
                record: Some(record.clone()),
                vector: Some(QueryVector { view: "v".to_string(), data: vec![1.0, -2.0] }),
            },
            "017101017401fb2c01026e31010176020000803f000000c0",
        );
        let said = |grade| Verdict { grade, source: "s".to_string(), time: 1_763_856_000, commit: CommitNumber(7) };
        golden(
            PairLabels { record, said: vec![said(2), said(-1)] },
            "fb2c01026e3102040173fc804e226907010173fc804e226907",
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let stored = encode("t", b"key", &("text".to_string(), 77_u64)).unwrap();
        for bit_idx in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit_idx / 8] ^= 1 << (bit_idx % 8);
            let error = decode::<(String, u64)>("t", b"key", &damaged).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        assert!(decode::<(String, u64)>("t", b"kez", &stored).is_err());
        assert!(decode::<(String, u64)>("u", b"key", &stored).is_err());
        assert!(decode::<String>("t", b"key", &stored).is_err());
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        // A list that claims 2^60 items, under a right checksum.
        let mut bytes = vec![0xfd];
        bytes.extend_from_slice(&(1_u64 << 60).to_le_bytes());
        bytes.extend_from_slice(&value_sum("t", b"k", &bytes).to_le_bytes());
        assert_eq!(decode::<Vec<u64>>("t", b"k", &bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
