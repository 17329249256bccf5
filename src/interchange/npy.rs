//! NumPy's `.npy`, versions 1 and 2: two-dimensional, C order, little-endian f4, f2 or f8, and nothing else.
//!
//! Owns the header (read without trusting it, written padded to 64 bytes) and the streaming of rows; a matrix never
//! has to fit into memory. The file's length must be exactly what the header promises. It knows nothing of stores.
//!
//! ```text
//! offset  bytes  what
//!      0      6  \x93NUMPY
//!      6      2  version: major 1 or 2, minor 0
//!      8    2|4  header length, little-endian: 2 bytes in version 1, 4 in version 2
//!     10|12      a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (rows, columns), }
//!      ...       rows x columns elements, row after row
//! ```

use super::input::open_file;
use super::npy_header::{Element, Header, encode_header, parse_header};
use super::output::Written;
use crate::error::{Error, Result};
use crate::storage::replace::NewFile;
use crate::types::limits::{DIMENSION, ROWS};
use half::f16;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest header that is read; NumPy itself refuses ten times less by default.
const HEADER_BYTES: u64 = 1 << 20;

/// Rows of a `.npy` file, one after the other.
#[derive(Debug)]
pub struct NpyReader {
    path: PathBuf,
    file: BufReader<File>,
    header: Header,
    data_offset: u64,
    next_row: u64,
    bytes: Vec<u8>,
    /// What of the last row no f4 holds: the first such number and its column.
    beyond: Option<(usize, f64)>,
}

impl NpyReader {
    /// Opens `path` and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, is no `.npy` of a supported kind, or is longer or shorter than it says.
    pub fn open(path: &Path) -> Result<NpyReader> {
        let file = open_file(path)?;
        let length = file.metadata().map_err(|source| Error::io("read", path, source))?.len();
        let mut file = BufReader::with_capacity(1 << 18, file);
        let refuse = |reason: String| Error::invalid(format!("{}: {reason}", path.display())).with_path(path);
        let (data_offset, header) = read_header(&mut file).map_err(|problem| match problem {
            Problem::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                refuse("not a .npy file: it ends within its header".to_string())
            }
            Problem::Io(source) => Error::io("read", path, source),
            Problem::Format(reason) => refuse(reason),
        })?;
        if header.columns == 0 || header.columns > DIMENSION as u64 {
            return Err(refuse(format!("{} columns; a vector has 1 to {DIMENSION} numbers", header.columns)));
        }
        if header.rows > ROWS {
            return Err(refuse(format!("{} rows, at most {ROWS} are allowed", header.rows)));
        }
        // Both factors are bounded above, so this cannot overflow.
        let want = data_offset + header.rows * header.columns * header.element.size_bytes();
        if length != want {
            return Err(refuse(format!(
                "{length} bytes long, but a header of {} x {} {} needs {want}",
                header.rows,
                header.columns,
                header.element.as_str()
            )));
        }
        Ok(NpyReader {
            path: path.to_path_buf(),
            file,
            header,
            data_offset,
            next_row: 0,
            bytes: Vec::new(),
            beyond: None,
        })
    }

    /// Number of rows in the file.
    pub fn rows(&self) -> u64 {
        self.header.rows
    }

    /// Numbers in a row.
    pub fn columns(&self) -> usize {
        self.header.columns as usize
    }

    /// Type of the numbers in the file.
    pub(crate) fn element(&self) -> Element {
        self.header.element
    }

    /// Makes `row` the next one to be read.
    ///
    /// # Errors
    /// When there is no such row or the file cannot be positioned.
    pub fn seek(&mut self, row: u64) -> Result<()> {
        if row >= self.header.rows {
            let rows = self.header.rows;
            return Err(Error::not_found(format!(
                "{} has rows 0 to {}, no row {row}",
                self.path.display(),
                rows.max(1) - 1
            )));
        }
        let offset = self.data_offset + row * self.header.columns * self.header.element.size_bytes();
        self.file.seek(SeekFrom::Start(offset)).map_err(|source| Error::io("read", &self.path, source))?;
        self.next_row = row;
        Ok(())
    }

    /// Puts the next row into `row`; false after the last one. f2 widens exactly, f8 is rounded to the nearest f4.
    ///
    /// # Errors
    /// When the file cannot be read, or a number of f8 is beyond f4.
    pub fn next_row(&mut self, row: &mut Vec<f32>) -> Result<bool> {
        let found = self.next_row_as_it_is(row)?;
        match self.beyond_f4() {
            Some(problem) => {
                let (path, number) = (self.path.display(), self.next_row - 1);
                Err(Error::invalid(format!("{path}: row {number}: {problem}")).with_path(&self.path))
            }
            None => Ok(found),
        }
    }

    /// What is wrong with the last row where f4 cannot hold a number of it, in words; the row has an infinite number
    /// there.
    pub(crate) fn beyond_f4(&self) -> Option<String> {
        self.beyond.map(|(column, value)| format!("number {} is {value:e}, beyond 32-bit floats", column + 1))
    }

    /// As [`NpyReader::next_row`], for callers who judge each row by [`NpyReader::beyond_f4`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn next_row_as_it_is(&mut self, row: &mut Vec<f32>) -> Result<bool> {
        row.clear();
        self.beyond = None;
        if self.next_row == self.header.rows {
            return Ok(false);
        }
        self.bytes.resize((self.header.columns * self.header.element.size_bytes()) as usize, 0);
        self.file.read_exact(&mut self.bytes).map_err(|source| Error::io("read", &self.path, source))?;
        match self.header.element {
            Element::F4 => row.extend(self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Element::F2 => row.extend(self.bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32())),
            Element::F8 => {
                let wide = self.bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
                row.extend(wide.clone().map(|number| number as f32));
                self.beyond = wide.enumerate().find(|(_, wide)| wide.is_finite() && (*wide as f32).is_infinite());
            }
        }
        self.next_row += 1;
        Ok(true)
    }

    /// All rows that are left as one row-major matrix, for small files such as projections.
    ///
    /// # Errors
    /// When the file cannot be read or a number is not finite.
    pub fn read_rest(&mut self) -> Result<Vec<f32>> {
        let (mut matrix, mut row) = (Vec::new(), Vec::new());
        while self.next_row(&mut row)? {
            if let Some(column) = row.iter().position(|number| !number.is_finite()) {
                let (path, number) = (self.path.display(), self.next_row - 1);
                return Err(Error::invalid(format!("{path}: row {number}, column {column} is not a finite f32")));
            }
            matrix.extend_from_slice(&row);
        }
        Ok(matrix)
    }
}

/// Why a header could not be read.
enum Problem {
    Io(io::Error),
    Format(String),
}

impl From<io::Error> for Problem {
    fn from(source: io::Error) -> Self {
        Problem::Io(source)
    }
}

/// Reads magic, version and header; the offset of the first element comes with it.
fn read_header(file: &mut impl Read) -> Result<(u64, Header), Problem> {
    let mut start = [0_u8; 8];
    file.read_exact(&mut start)?;
    let [m0, m1, m2, m3, m4, m5, major, minor] = start;
    if [m0, m1, m2, m3, m4, m5] != *b"\x93NUMPY" {
        return Err(Problem::Format("not a .npy file: its first bytes are not \\x93NUMPY".to_string()));
    }
    let (prefix, length) = match major {
        1 => {
            let mut length = [0_u8; 2];
            file.read_exact(&mut length)?;
            (10, u64::from(u16::from_le_bytes(length)))
        }
        2 => {
            let mut length = [0_u8; 4];
            file.read_exact(&mut length)?;
            (12, u64::from(u32::from_le_bytes(length)))
        }
        _ => return Err(Problem::Format(format!(".npy version {major}.{minor}; versions 1 and 2 are supported"))),
    };
    if length > HEADER_BYTES {
        return Err(Problem::Format(format!("a header of {length} bytes, at most {HEADER_BYTES} are allowed")));
    }
    let mut text = vec![0_u8; length as usize];
    file.read_exact(&mut text)?;
    let header = parse_header(&text).map_err(Problem::Format)?;
    Ok((prefix + length, header))
}

/// Writes a `.npy` file whose shape is known beforehand, row after row.
pub(crate) struct NpyWriter {
    path: PathBuf,
    file: BufWriter<NewFile>,
    header: Header,
    written: u64,
}

impl NpyWriter {
    /// Begins `path`, which takes its place when it is published, for `rows` rows of `columns` numbers; `half` stores
    /// them as f2.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn create(path: &Path, rows: u64, columns: usize, half: bool) -> Result<NpyWriter> {
        let header = Header { element: if half { Element::F2 } else { Element::F4 }, rows, columns: columns as u64 };
        let file = super::output::create_file(path)?;
        let mut writer =
            NpyWriter { path: path.to_path_buf(), file: BufWriter::with_capacity(1 << 18, file), header, written: 0 };
        let bytes = encode_header(&header);
        writer.file.write_all(&bytes).map_err(|source| Error::io("write", path, source))?;
        Ok(writer)
    }

    /// Appends one row.
    ///
    /// # Errors
    /// When the row has another length than promised, or the file cannot be written.
    pub(crate) fn row(&mut self, row: &[f32]) -> Result<()> {
        if row.len() as u64 != self.header.columns || self.written == self.header.rows {
            return Err(Error::invalid(format!("{}: a row does not fit the shape in the header", self.path.display())));
        }
        let io = |source| Error::io("write", &self.path, source);
        for number in row {
            match self.header.element {
                Element::F2 => self.file.write_all(&f16::from_f32(*number).to_le_bytes()).map_err(io)?,
                _ => self.file.write_all(&number.to_le_bytes()).map_err(io)?,
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Flushes; the file then holds what its header promises.
    ///
    /// # Errors
    /// When rows are missing or the file cannot be written.
    pub(crate) fn finish(self) -> Result<Written> {
        if self.written != self.header.rows {
            let (written, rows) = (self.written, self.header.rows);
            return Err(Error::invalid(format!("{}: {written} of {rows} rows were written", self.path.display())));
        }
        let flushed = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        Written::new(flushed.map_err(|source| Error::io("write", &self.path, source))?)
    }
}

#[cfg(test)]
mod tests;
