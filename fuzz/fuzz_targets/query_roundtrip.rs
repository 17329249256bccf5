//! Any text to the parser; see `simile::fuzzing::query_roundtrip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simile::fuzzing::query_roundtrip(data));
