//! See `simile::fuzzing::ops_with_crash`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: simile::fuzzing::spare_caught_panics(), |data: &[u8]| simile::fuzzing::ops_with_crash(data));
