//! See `simile::fuzzing::forged_store`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: simile::fuzzing::spare_caught_panics(), |data: &[u8]| simile::fuzzing::forged_store(data));
