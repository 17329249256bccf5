//! Reading back what was written, and files that lie about themselves.

use super::super::output::publish;
use super::*;
use std::fs;

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn file(header: &Header, data: &[u8]) -> Vec<u8> {
    let mut bytes = encode_header(header);
    bytes.extend_from_slice(data);
    bytes
}

fn rows(path: &Path) -> Vec<Vec<f32>> {
    let mut reader = NpyReader::open(path).unwrap();
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    while reader.next_row(&mut row).unwrap() {
        rows.push(row.clone());
    }
    rows
}

#[test]
fn f4_and_f2_come_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = [[0.1_f32, -0.0, f32::MIN_POSITIVE], [f32::MAX, 1e-45, -7.25]];
    let path = folder.path().join("f4.npy");
    let mut writer = NpyWriter::create(&path, 2, 3, false).unwrap();
    matrix.iter().for_each(|row| writer.row(row).unwrap());
    publish([writer.finish().unwrap()]).unwrap();
    let found = rows(&path);
    for (want, found) in matrix.iter().zip(&found) {
        assert!(want.iter().zip(found).all(|(a, b)| a.to_bits() == b.to_bits()), "{want:?} became {found:?}");
    }

    let halves: Vec<f32> = [0x3555_u16, 0x8000, 0x7bff, 0x0001].map(|bits| f16::from_bits(bits).to_f32()).to_vec();
    let path = folder.path().join("f2.npy");
    let mut writer = NpyWriter::create(&path, 1, 4, true).unwrap();
    writer.row(&halves).unwrap();
    publish([writer.finish().unwrap()]).unwrap();
    assert_eq!(NpyReader::open(&path).unwrap().element(), Element::F2);
    assert_eq!(rows(&path), [halves]);
}

#[test]
fn f8_is_rounded_to_the_nearest_f4() {
    let header = Header { element: Element::F8, rows: 1, columns: 2 };
    let data: Vec<u8> = [0.1_f64, 1e-300].iter().flat_map(|number| number.to_le_bytes()).collect();
    let (_folder, path) = write("f8.npy", &file(&header, &data));
    assert_eq!(rows(&path), [[0.1_f32, 0.0]]);
}

#[test]
fn f8_that_no_f4_holds_is_named_and_the_next_row_is_read() {
    let header = Header { element: Element::F8, rows: 3, columns: 2 };
    let numbers = [0.1_f64, -1e300, 2.0, 3.0, f64::INFINITY, 1.0];
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let (_folder, path) = write("f8.npy", &file(&header, &data));
    let (mut reader, mut row) = (NpyReader::open(&path).unwrap(), Vec::new());
    let error = reader.next_row(&mut row).unwrap_err();
    assert!(error.message().ends_with("row 0: number 2 is -1e300, beyond 32-bit floats"), "{error}");
    assert!(reader.next_row(&mut row).unwrap() && row == [2.0, 3.0]);
    // What is infinite in the file is infinite: the store says so.
    assert!(reader.next_row_as_it_is(&mut row).unwrap() && row == [f32::INFINITY, 1.0]);
    assert_eq!(reader.beyond_f4(), None);
    assert!(NpyReader::open(&path).unwrap().read_rest().unwrap_err().message().contains("row 0: number 2"));
}

#[test]
fn seek_finds_a_row_and_names_the_last_one() {
    let header = Header { element: Element::F4, rows: 3, columns: 1 };
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    let (_folder, path) = write("m.npy", &file(&header, &data));
    let mut reader = NpyReader::open(&path).unwrap();
    let mut row = Vec::new();
    reader.seek(2).unwrap();
    assert!(reader.next_row(&mut row).unwrap());
    assert_eq!(row, [3.0]);
    assert!(!reader.next_row(&mut row).unwrap());
    assert!(reader.seek(3).unwrap_err().message().contains("rows 0 to 2"));
}

#[test]
fn a_file_must_be_as_long_as_it_says() {
    let header = Header { element: Element::F4, rows: 2, columns: 2 };
    let whole = file(&header, &[0; 16]);
    let (_folder, path) = write("whole.npy", &whole);
    assert_eq!(NpyReader::open(&path).unwrap().rows(), 2);
    for bytes in [&whole[..whole.len() - 1], &[whole.as_slice(), b"x"].concat()] {
        let (_folder, path) = write("other.npy", bytes);
        let message = NpyReader::open(&path).unwrap_err().to_string();
        assert!(message.contains("2 x 2 f4 needs 144"), "{message}");
    }
}

#[test]
fn hostile_headers_are_refused_without_allocating() {
    let shapes = [(u64::MAX, 384), (4, u64::MAX), (1 << 40, 1 << 40), (1, 0), (1, 65_537)];
    for (rows, columns) in shapes {
        let (_folder, path) = write("x.npy", &file(&Header { element: Element::F8, rows, columns }, &[]));
        assert!(NpyReader::open(&path).is_err(), "{rows} x {columns}");
    }
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend_from_slice(&u32::MAX.to_le_bytes());
    let mut version = encode_header(&Header { element: Element::F4, rows: 0, columns: 1 });
    version[6] = 3;
    for bytes in [&b""[..], b"\x93NUMPY", b"PK\x03\x04 a zip of arrays", &long, &version] {
        let (_folder, path) = write("x.npy", bytes);
        assert!(NpyReader::open(&path).is_err(), "{bytes:?}");
    }
}

#[test]
fn version_2_is_read() {
    let dictionary = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }\n";
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend_from_slice(&(dictionary.len() as u32).to_le_bytes());
    bytes.extend_from_slice(dictionary);
    bytes.extend_from_slice(&2.5_f32.to_le_bytes());
    let (_folder, path) = write("v2.npy", &bytes);
    assert_eq!(rows(&path), [[2.5]]);
}

#[test]
fn the_writer_keeps_its_promise() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = NpyWriter::create(&folder.path().join("a.npy"), 2, 2, false).unwrap();
    assert!(writer.row(&[1.0]).is_err());
    writer.row(&[1.0, 2.0]).unwrap();
    assert!(writer.finish().is_err());
}
