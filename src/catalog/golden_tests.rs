//! The bytes of format 1, written down: a change of any of these is another format, with a migration and a fixture.
//!
//! Owns [`golden`], with which each type that stands in a table has its test (definitions, lenses and labels in
//! `codec`, records and columns where they are defined), the keys, and the variants of every stored enumeration in
//! their order.

use super::codec::{decode, encode};
use super::key::KeyBytes;
use super::totals::Total;
use crate::types::{
    Accept, BackgroundDef, Calibration, CalibrationMap, CollectionId, CommitNumber, DerivedDef, DerivedKind,
    ElementType, FieldType, FittedOn, JudgedOn, LearnMethod, LearnMode, LearnedDef, LensDef, Lift, Metric,
    ProjectionDef, ProjectionRef, RecordKey, Reliability, SegmentId, Statistic, Step, ViewId, ViewKind,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `value` is stored as the bytes `expected`, before its checksum, and comes back from them.
#[track_caller]
pub(crate) fn golden<V: Serialize + DeserializeOwned + PartialEq + Debug>(value: V, expected: &str) {
    let bytes = encode("t", b"k", &value).unwrap();
    let (payload, _) = bytes.split_last_chunk::<8>().unwrap();
    assert_eq!(hex(payload), expected, "the stored form of {value:?} has changed: that is a new format version");
    assert_eq!(decode::<V>("t", b"k", &bytes).unwrap(), value);
}

/// The variants of an enumeration are stored as their places.
#[track_caller]
fn in_order<V: Serialize + DeserializeOwned + PartialEq + Debug>(variants: impl IntoIterator<Item = V>) {
    for (place, variant) in variants.into_iter().enumerate() {
        let bytes = encode("t", b"k", &variant).unwrap();
        assert_eq!(usize::from(bytes[0]), place, "{variant:?} has moved: that is a new format version");
        assert_eq!(decode::<V>("t", b"k", &bytes).unwrap(), variant);
    }
}

#[test]
fn golden_checksum_of_a_value() {
    let stored = encode("collections", b"key", &("text".to_string(), 300_u64)).unwrap();
    assert_eq!(hex(&stored), "0474657874fb2c015b2bddf58207b237");
}

#[test]
fn golden_keys() {
    let check = |found: Vec<u8>, expected: &str| assert_eq!(hex(&found), expected, "keys are part of the format");
    check("store".to_string().to_bytes(), "73746f7265");
    check((CollectionId(1), "a\0b".to_string()).to_bytes(), "00000001610062");
    check((CollectionId(1), 300_u32).to_bytes(), "000000010000012c");
    check((ViewId(2), SegmentId(3)).to_bytes(), "0000000200000003");
    check((CollectionId(1), "a\0b".to_string(), 2_u32).to_bytes(), "000000016100ff62000000000002");
    check(("lens".to_string(), 2_u32).to_bytes(), "6c656e73000000000002");
    check((1_u32, 2_u32, RecordKey(3)).to_bytes(), "00000001000000020000000000000003");
    check((1_u64, "segments/1/2.seg".to_string()).to_bytes(), "00000000000000017365676d656e74732f312f322e736567");
    check(ViewId(7).to_bytes(), "00000007");
}

#[test]
fn golden_plain_values() {
    golden(300_u32, "fb2c01");
    golden("text".to_string(), "0474657874");
    golden(vec![0x0102_0304_0506_0708_u64, 1], "02fd080706050403020101");
    golden(vec![1_u8, 255], "0201ff");
    golden((), "");
    golden(
        BTreeMap::from([("ids".to_string(), Total { entries: 300, sum: u64::MAX })]),
        "0103696473fb2c01fdffffffffffffffff",
    );
}

#[test]
fn golden_variants() {
    in_order([
        FieldType::Text,
        FieldType::Integer,
        FieldType::Float,
        FieldType::Bool,
        FieldType::TextList,
        FieldType::Json,
    ]);
    in_order([
        ViewKind::Raw,
        ViewKind::Template("t".to_string()),
        ViewKind::TextFrom("f".to_string()),
        ViewKind::VectorsOnly,
    ]);
    in_order([ElementType::F32, ElementType::F16]);
    let name = || "n".to_string();
    in_order([
        Step::Center,
        Step::CenterCorpus,
        Step::CenterSides(name()),
        Step::Normalize,
        Step::Standardize,
        Step::Whiten(Some(1)),
        Step::Drop(1),
        Step::Truncate(1),
        Step::Project(ProjectionRef::One(name())),
    ]);
    in_order([ProjectionRef::One(name()), ProjectionRef::Pair(name(), name())]);
    in_order([
        Metric::Cosine,
        Metric::Dot,
        Metric::Pearson,
        Metric::Euclidean,
        Metric::Probability,
        Metric::Levenshtein,
    ]);
    in_order([DerivedKind::Rows, DerivedKind::Scalars]);
    in_order([LearnMode::Pair, LearnMode::Same]);
    in_order([LearnMethod::InfoNce, LearnMethod::Ridge, LearnMethod::Lda]);
    in_order([Accept::NewRecords, Accept::KnownRecords, Accept::NewClasses]);
    in_order([
        Statistic::Mean(vec![1.0]),
        Statistic::Sides { queries: vec![1.0], records: Vec::new() },
        Statistic::Scale { mean: vec![1.0], divisor: vec![2.0] },
        Statistic::Directions { mean: vec![1.0], directions: Vec::new(), divisor: Vec::new() },
    ]);
    in_order([
        CalibrationMap::Logistic { scale: 1.0, bias: 0.0 },
        CalibrationMap::Isotonic { scores: vec![1.0], probabilities: vec![0.5] },
    ]);
}

#[test]
fn golden_steps_and_statistics() {
    let name = || "n".to_string();
    let steps = vec![Step::CenterSides(name()), Step::Whiten(None), Step::Whiten(Some(300)), Step::Drop(2)];
    golden(
        LensDef { view: name(), steps, metric: Metric::Euclidean, csls: Some((10, name())) },
        "016e0402016e05000501fb2c01060203010a016e",
    );
    golden(Statistic::Mean(vec![1.0, -2.0]), "0002000000000000f03f00000000000000c0");
    golden(Statistic::Scale { mean: vec![1.0], divisor: vec![-2.0] }, "0201000000000000f03f0100000000000000c0");
}

fn fitted_on() -> FittedOn {
    let text = |text: &str| text.to_string();
    FittedOn {
        collection: text("c"),
        view: text("v"),
        embedder: Some(text("e")),
        template: Some(text("t")),
        how: text("h"),
    }
}

#[test]
fn golden_matrix_that_was_fitted() {
    golden(
        ProjectionDef {
            name: "m".to_string(),
            rows: 1,
            columns: 1,
            query: vec![1.0],
            record: Some(vec![-2.0]),
            origin: "o".to_string(),
            fitted_on: Some(fitted_on()),
        },
        "016d0101010000803f0101000000c0016f01016301760101650101740168",
    );
}

#[test]
fn golden_calibration_that_was_fitted() {
    let judged_on = JudgedOn { collection: CollectionId(1), revision: 2, k: 10, queries: 3, hash: 4, time: 300 };
    let reliability = Reliability {
        ece: 1.0,
        log_loss: -2.0,
        base_log_loss: 1.0,
        table: vec![(1.0, -2.0, 300)],
        covariance: Some((1.0, -2.0, 1.0)),
    };
    golden(
        Calibration {
            lens_version: 5,
            map: CalibrationMap::Isotonic { scores: vec![1.0], probabilities: vec![-2.0] },
            origin: "o".to_string(),
            labels: 6,
            judged_on: Some(judged_on),
            reliability: Some(reliability),
            commit: CommitNumber(7),
        },
        "050101000000000000f03f0100000000000000c0016f060101020a0304fb2c0101000000000000f03f00000000000000\
         c0000000000000f03f01000000000000f03f00000000000000c0fb2c0101000000000000f03f00000000000000c00000\
         00000000f03f07",
    );
}

#[test]
fn golden_derived_rows() {
    golden(
        DerivedDef {
            kind: DerivedKind::Scalars,
            lens: "l".to_string(),
            lens_version: 1,
            statistics: CommitNumber(2),
            collection: CollectionId(3),
            source: ViewId(4),
            id: ViewId(5),
            dimension: 6,
            element: ElementType::F16,
            rows: 300,
        },
        "01016c01020304050601fb2c01",
    );
}

#[test]
fn golden_learned_lenses() {
    let lift = |mean: f64| Lift { mean, low: 1.0, high: 1.0, z: -2.0, plain: 1.0, queries: 300 };
    golden(
        LearnedDef {
            lens: "l".to_string(),
            fit: 1,
            collection: CollectionId(2),
            fitted_on: fitted_on(),
            respect: "r".to_string(),
            mode: LearnMode::Same,
            method: LearnMethod::Lda,
            seed: 3,
            labels: 4,
            queries: 5,
            records: 6,
            groups: 7,
            label_hash: 8,
            accept: Accept::KnownRecords,
            known_records: Some(lift(1.0)),
            new_records: None,
            validation: Some((1.0, -2.0)),
            accepted: true,
            events: vec![("accepted".to_string(), CommitNumber(9))],
            time: 1_763_856_000,
            commit: CommitNumber(9),
        },
        "016c0102016301760101650101740168017201020304050607080101000000000000f03f000000000000f03f00000000\
         0000f03f00000000000000c0000000000000f03ffb2c010001000000000000f03f00000000000000c001010861636365\
         7074656409fc804e226909",
    );
    golden(
        BackgroundDef {
            lens_version: 1,
            revision: 2,
            statistics: CommitNumber(3),
            pairs: 300,
            quantiles: vec![1.0, -2.0],
        },
        "010203fb2c0102000000000000f03f00000000000000c0",
    );
}
