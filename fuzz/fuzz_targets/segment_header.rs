//! See `simile::fuzzing::segment_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simile::fuzzing::segment_header(data));
