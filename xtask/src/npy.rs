//! Reads and writes `.npy` files of two dimensions: half or single floats, little-endian, row-major.

use std::path::Path;

use half::f16;

use crate::Result;
use crate::matrix::Matrix;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads a file as single floats.
///
/// # Errors
/// If the file cannot be read or is not such a file.
pub fn read(path: &Path) -> Result<Matrix> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&bytes).ok_or_else(|| format!("{}: expected rows of <f2 or <f4 in .npy form", path.display()).into())
}

fn parse(bytes: &[u8]) -> Option<Matrix> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length_bytes, at) = if *rest.first()? == 1 { (2, 4) } else { (4, 6) };
    let length = rest.get(2..2 + length_bytes)?.iter().rev().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
    let header = std::str::from_utf8(rest.get(at..at + length)?).ok()?;
    let data = rest.get(at + length..)?;
    if !header.contains("'fortran_order': False") {
        return None;
    }
    let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let shape: Vec<usize> = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let [rows, cols] = shape[..] else { return None };
    let values: Vec<f32> = if header.contains("'<f4'") {
        data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    } else if header.contains("'<f2'") {
        data.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()
    } else {
        return None;
    };
    (values.len() == rows * cols).then(|| Matrix::new(cols, values))
}

/// Writes a matrix as half floats, which is precise enough for unit vectors that are fitted, not searched.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, matrix: &Matrix) -> Result<()> {
    let mut header =
        format!("{{'descr': '<f2', 'fortran_order': False, 'shape': ({}, {}), }}", matrix.rows(), matrix.cols());
    // The format wants the data to start at a multiple of 64, after a line feed.
    let padding = 63 - (MAGIC.len() + 4 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(u16::try_from(header.len())?.to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(matrix.data().iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()));
    std::fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_written() {
        let path = std::env::temp_dir().join(format!("xtask-npy-{}.npy", std::process::id()));
        let matrix = Matrix::new(3, vec![0.5, -1.0, 2.0, 0.25, 0.0, -8.0]);
        write(&path, &matrix).expect("written");
        assert_eq!(std::fs::read(&path).expect("read").len() % 64, 12);
        let back = read(&path).expect("read");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!((back.rows(), back.cols(), back.data()), (2, 3, matrix.data()));
    }
}
