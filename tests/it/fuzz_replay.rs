//! The committed fuzz corpora, run without a fuzzer: an input that once broke something stays mended.

use std::path::Path;

/// Runs `target` over every file of `fuzz/corpus/NAME`.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry of the corpus").path();
        let data = std::fs::read(&path).expect("a readable file");
        // The name of the file comes first, so that a failure says which input it was.
        println!("{}", path.display());
        target(&data);
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn query_roundtrip() {
    replay("query_roundtrip", simile::fuzzing::query_roundtrip);
}

#[test]
fn import_line() {
    replay("import_line", simile::fuzzing::import_line);
}

#[test]
fn open_store() {
    replay("open_store", simile::fuzzing::open_store);
}

#[test]
fn forged_store() {
    replay("forged_store", simile::fuzzing::forged_store);
}

#[test]
fn decode_catalog_value() {
    replay("decode_catalog_value", simile::fuzzing::decode_catalog_value);
}

#[test]
fn segment_header() {
    replay("segment_header", simile::fuzzing::segment_header);
}

#[test]
fn ops_with_crash() {
    replay("ops_with_crash", simile::fuzzing::ops_with_crash);
}
