//! Any bytes as a line of an import; see `simile::fuzzing::import_line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simile::fuzzing::import_line(data));
