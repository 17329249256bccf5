//! Values that declare more than there is: numbers as large as their kind can be, under checksums that fit.
//!
//! Owns the tests only; the numbers of collections are not among them. Every command on such a store ends without a
//! panic, and asks for no memory by what a number says.

use super::damage::Sound;
use super::forged::{endure, replace};
use crate::catalog::{KeyBytes, Table, tables};
use crate::storage::{MemoryStorage, counted};
use crate::types::definitions::{ProjectionDef, SegmentEntry};
use crate::types::{CollectionId, CommitNumber, DerivedDef, RespectDef, SegmentId, StoreMeta, ViewId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Address space that no command asks for, whatever a store says: far above what the other tests of the process take.
const MOST_BYTES: u64 = 6 << 30;

/// What this process has asked for at most, in bytes of address space.
fn asked_for() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// What is changed of a value, and how it is called.
type Change<V> = (&'static str, fn(&mut V));

/// Each value of `table`, changed by each of `changes` in turn.
fn declare<K: KeyBytes, V: Serialize + DeserializeOwned>(table: &Table<K, V>, changes: &[Change<V>]) {
    for (name, change) in changes {
        let forged: Vec<MemoryStorage> = replace(Sound::get(), table, *change, 2);
        assert!(!forged.is_empty(), "{} holds nothing to change", table.name());
        for forged in forged {
            let before = asked_for();
            endure(&forged, &|| format!("{}: {name}", table.name()));
            if let (Some(before), Some(after)) = (before, asked_for()) {
                assert!(after - before < MOST_BYTES, "{}: {name} asks for {} bytes", table.name(), after - before);
            }
            counted(1, "values that declare too much");
        }
    }
}

#[test]
fn numbers_of_segments_and_of_what_is_derived_are_held_against_what_is_there() {
    declare::<_, SegmentEntry>(
        &tables::SEGMENTS,
        &[
            ("all rows", |entry| entry.rows = u32::MAX),
            ("no rows", |entry| entry.rows = 0),
            ("the largest dimension", |entry| entry.dimension = u32::MAX),
            ("no dimension", |entry| entry.dimension = 0),
            ("the last row", |entry| entry.first_row = u32::MAX),
            ("the last number", |entry| entry.id = SegmentId(u32::MAX)),
        ],
    );
    declare::<_, DerivedDef>(
        &tables::DERIVED,
        &[
            ("all rows", |def| def.rows = u32::MAX),
            ("the largest dimension", |def| def.dimension = u32::MAX),
            ("no dimension", |def| def.dimension = 0),
            ("the last view", |def| def.id = ViewId(u32::MAX)),
            ("another collection", |def| def.collection = CollectionId(u32::MAX)),
            ("the last version", |def| def.lens_version = u32::MAX),
        ],
    );
}

#[test]
fn numbers_of_the_store_and_of_named_things_are_held_against_what_is_there() {
    declare::<_, StoreMeta>(
        &tables::META,
        &[
            ("the last commit", |meta| meta.commit = CommitNumber(u64::MAX)),
            ("the last generation", |meta| meta.generation = u64::MAX),
            ("the last collection", |meta| meta.next_collection = u32::MAX),
            ("the last view", |meta| meta.next_view = u32::MAX),
            ("the last segment", |meta| meta.next_segment = u32::MAX),
            ("no numbers", |meta| (meta.next_collection, meta.next_view, meta.next_segment) = (0, 0, 0)),
        ],
    );
    declare::<_, ProjectionDef>(
        &tables::PROJECTIONS,
        &[
            ("all rows", |def| def.rows = u32::MAX),
            ("the largest sides", |def| (def.rows, def.columns) = (u32::MAX, u32::MAX)),
            ("no sides", |def| (def.rows, def.columns) = (0, 0)),
        ],
    );
    declare::<_, RespectDef>(
        &tables::RESPECTS,
        &[
            ("the last question", |def| def.next_query = u32::MAX),
            ("all pairs", |def| def.pairs = u64::MAX),
            ("the last revision", |def| def.revision = u64::MAX),
            ("the last number", |def| def.id = u32::MAX),
        ],
    );
}
