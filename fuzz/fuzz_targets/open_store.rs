//! See `simile::fuzzing::open_store`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simile::fuzzing::open_store(data));
