//! See `simile::fuzzing::decode_catalog_value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simile::fuzzing::decode_catalog_value(data));
