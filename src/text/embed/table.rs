//! The file of a static model: a vocabulary, and int8 rows with a scale each for the tokens that need one.
//!
//! All numbers little-endian; nothing between the parts; the length is exactly what the header says.
//!
//! ```text
//! offset  bytes  what
//!      0      8  magic "SIMTABLE"
//!      8      4  version of this layout, 1
//!     12      4  flags: bit 0 = divide each vector by its length
//!     16      4  d, the dimension
//!     20      4  t, the number of tokens
//!     24      4  n, the number of rows, at most t
//!     28      4  v, the bytes of the vocabulary
//!     32     24  name of the model in ASCII, then zero bytes
//!     56      8  XXH3-64 of bytes 0..56 followed by bytes 64..end
//!     64      v  vocabulary: t tokens in UTF-8 in the order of their ids, a line feed after each
//!              (t+7)/8  bit i%8 of byte i/8: token i has a row; the rows stand in the order of ids
//!              4n  scale of each row, f32
//!              nd  rows, i8; row r of the table is scale[r] * row[r]
//! ```
//!
//! The vocabulary is whole even where rows are left out, so that a text is cut into the same tokens whatever
//! is left out. The bytes are hostile until the checksum, every length and every scale has been looked at.

use xxhash_rust::xxh3::Xxh3;

use super::wordpiece::Vocabulary;
use crate::error::{Damage, Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"SIMTABLE";
const VERSION: u32 = 1;
const NORMALIZE: u32 = 1;
const NAME_AT: usize = 32;
const NAME_BYTES: usize = 24;
const CHECKSUM_AT: usize = 56;
const HEADER_BYTES: usize = 64;

/// The largest dimension a table may have.
pub const MAX_DIMENSION: usize = 4096;

/// Marks a token without a row in [`Table::row_of_token`].
const ABSENT: u32 = u32::MAX;

/// A decoded table; rows and vocabulary are borrowed from the file's bytes.
#[derive(Debug)]
pub struct Table<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Coordinates per row.
    pub dimension: usize,
    /// Whether vectors are divided by their length.
    pub normalize: bool,
    /// The tokens.
    pub vocabulary: Vocabulary<'a>,
    /// The row of each token id, or [`ABSENT`]; one entry per token, every other entry below `scales.len()`.
    row_of_token: Vec<u32>,
    /// One finite factor per row.
    scales: Vec<f32>,
    /// `scales.len() * dimension` numbers, row-major.
    rows: &'a [i8],
}

/// What [`encode`] writes.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The model's name: 1 to 24 printable ASCII characters without blanks.
    pub name: &'a str,
    /// Coordinates per row.
    pub dimension: usize,
    /// Whether vectors are divided by their length.
    pub normalize: bool,
    /// The vocabulary, a line feed after each token.
    pub vocabulary: &'a str,
    /// Token id and row of `dimension` finite numbers, ascending by id.
    pub rows: Vec<(u32, &'a [f32])>,
}

impl<'a> Table<'a> {
    /// Reads a table, checking everything that later code relies on.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] with the offset for damaged bytes, [`ErrorKind::Version`] for a newer layout.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let magic = reader.take("magic", MAGIC.len())?;
        if magic != MAGIC {
            return Err(damage(0, "magic", format_args!("{MAGIC:?}"), format_args!("{magic:?}")));
        }
        let version = reader.u32("version")?;
        if version != VERSION {
            let message = format!("the embedding table has layout {version}, this build reads layout {VERSION}");
            return Err(Error::new(ErrorKind::Version, message));
        }
        let flags = reader.u32("flags")?;
        let dimension = reader.u32("dimension")? as usize;
        let token_count = reader.u32("number of tokens")? as usize;
        let row_count = reader.u32("number of rows")? as usize;
        let vocabulary_bytes = reader.u32("bytes of the vocabulary")? as usize;
        let name = reader.take("name", NAME_BYTES)?;
        let checksum = reader.u64("checksum")?;
        let found = checksum_of(bytes);
        if checksum != found {
            return Err(damage(CHECKSUM_AT, "checksum", format_args!("{checksum:016x}"), format_args!("{found:016x}")));
        }
        if flags & !NORMALIZE != 0 {
            return Err(Error::new(
                ErrorKind::Version,
                format!("the embedding table needs unknown features {flags:#x}"),
            ));
        }
        if dimension == 0 || dimension > MAX_DIMENSION {
            return Err(damage(16, "dimension", format_args!("1 to {MAX_DIMENSION}"), dimension));
        }
        let name = decode_name(name)?;
        let vocabulary = decode_vocabulary(reader.take("vocabulary", vocabulary_bytes)?, token_count)?;
        let row_of_token = decode_presence(&mut reader, token_count, row_count)?;
        let scales = decode_scales(&mut reader, row_count)?;
        let rows = reader.take("rows", row_count.saturating_mul(dimension))?;
        if reader.at != bytes.len() {
            return Err(damage(reader.at, "end", "nothing more", format_args!("{} bytes", bytes.len() - reader.at)));
        }
        let normalize = flags & NORMALIZE != 0;
        Ok(Table { name, dimension, normalize, vocabulary, row_of_token, scales, rows: bytemuck::cast_slice(rows) })
    }

    /// The scale and the row of a token, unless it has none.
    pub fn row(&self, token: u32) -> Option<(f32, &'a [i8])> {
        let row = *self.row_of_token.get(token as usize)?;
        if row == ABSENT {
            return None;
        }
        let start = row as usize * self.dimension;
        Some((*self.scales.get(row as usize)?, self.rows.get(start..start + self.dimension)?))
    }

    /// The number of tokens that have a row.
    pub fn row_count(&self) -> usize {
        self.scales.len()
    }
}

/// The bytes of a table: every row is divided by its largest magnitude / 127 and rounded.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the parts do not fit each other or a number is not finite.
pub fn encode(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let vocabulary = Vocabulary::parse(parts.vocabulary)?;
    if !parts.vocabulary.ends_with('\n') {
        return Err(Error::invalid("the vocabulary must end with a line feed"));
    }
    check_name(parts.name)?;
    if parts.dimension == 0 || parts.dimension > MAX_DIMENSION {
        return Err(Error::invalid(format!("dimension {}: expected 1 to {MAX_DIMENSION}", parts.dimension)));
    }
    let mut present = vec![0u8; vocabulary.len().div_ceil(8)];
    let mut scales = Vec::with_capacity(4 * parts.rows.len());
    let mut rows = Vec::with_capacity(parts.rows.len() * parts.dimension);
    let mut lowest = 0;
    for &(token, row) in &parts.rows {
        if token < lowest || token as usize >= vocabulary.len() {
            return Err(Error::invalid(format!("row of token {token}: out of order or not in the vocabulary")));
        }
        lowest = token + 1;
        if row.len() != parts.dimension || row.iter().any(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("row of token {token}: expected {} finite numbers", parts.dimension)));
        }
        present[token as usize / 8] |= 1 << (token % 8);
        let scale = row.iter().fold(0f32, |most, x| most.max(x.abs())) / 127.0;
        scales.extend(scale.to_le_bytes());
        // A scale of zero means a row of zeros; the cast saturates, so rounding can never wrap around.
        rows.extend(row.iter().map(|x| if scale > 0.0 { (x / scale).round() as i8 } else { 0 }).map(|x| x as u8));
    }
    let counts = [
        VERSION,
        u32::from(parts.normalize) * NORMALIZE,
        count(parts.dimension)?,
        count(vocabulary.len())?,
        count(parts.rows.len())?,
        count(parts.vocabulary.len())?,
    ];
    let mut bytes = MAGIC.to_vec();
    bytes.extend(counts.iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend(parts.name.bytes().chain(std::iter::repeat(0)).take(NAME_BYTES));
    bytes.extend([0; 8]);
    for part in [parts.vocabulary.as_bytes(), &present, &scales, &rows] {
        bytes.extend_from_slice(part);
    }
    let checksum = checksum_of(&bytes);
    bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

fn count(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::invalid(format!("{n} does not fit the table's header")))
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid(format!("name {name:?}: expected 1 to {NAME_BYTES} printable ASCII characters")));
    }
    Ok(())
}

fn decode_name(field: &[u8]) -> Result<&str> {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let (name, padding) = field.split_at(end);
    let name = std::str::from_utf8(name).unwrap_or("");
    if check_name(name).is_err() || padding.iter().any(|&b| b != 0) {
        return Err(damage(NAME_AT, "name", "printable ASCII, then zeros", format_args!("{field:?}")));
    }
    Ok(name)
}

fn decode_vocabulary(bytes: &[u8], token_count: usize) -> Result<Vocabulary<'_>> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| damage(HEADER_BYTES + e.valid_up_to(), "vocabulary", "UTF-8", e))?;
    let vocabulary =
        Vocabulary::parse(text).map_err(|e| damage(HEADER_BYTES, "vocabulary", "tokens by line", e.message()))?;
    if vocabulary.len() != token_count || !text.ends_with('\n') {
        let found = format_args!("{}", vocabulary.len());
        return Err(damage(HEADER_BYTES, "vocabulary", format_args!("{token_count} whole lines"), found));
    }
    Ok(vocabulary)
}

fn decode_presence(reader: &mut Reader<'_>, token_count: usize, row_count: usize) -> Result<Vec<u32>> {
    let offset = reader.at;
    let bits = reader.take("presence bits", token_count.div_ceil(8))?;
    let mut next = 0u32;
    let mut row_of_token = Vec::with_capacity(token_count);
    for token in 0..8 * bits.len() {
        let is_present = bits[token / 8] >> (token % 8) & 1 == 1;
        if token < token_count {
            row_of_token.push(if is_present { next } else { ABSENT });
        } else if is_present {
            return Err(damage(offset + token / 8, "presence bits", "zeros after the last token", "a one"));
        }
        next += u32::from(is_present);
    }
    if next as usize != row_count {
        return Err(damage(offset, "presence bits", format_args!("{row_count} ones"), next));
    }
    Ok(row_of_token)
}

fn decode_scales(reader: &mut Reader<'_>, row_count: usize) -> Result<Vec<f32>> {
    let offset = reader.at;
    let bytes = reader.take("scales", row_count.saturating_mul(4))?;
    let (chunks, _) = bytes.as_chunks::<4>();
    let scales: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    if let Some(row) = scales.iter().position(|scale| !scale.is_finite() || *scale < 0.0) {
        return Err(damage(offset + 4 * row, "scale", "a finite number, 0 or more", scales[row]));
    }
    Ok(scales)
}

fn checksum_of(bytes: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(bytes.get(..CHECKSUM_AT).unwrap_or(bytes));
    hash.update(bytes.get(HEADER_BYTES..).unwrap_or(&[]));
    hash.digest()
}

fn damage(offset: usize, what: &str, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::corrupt(Damage {
        file: "embedding table".into(),
        offset: offset as u64,
        what: what.to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// Takes parts off the front of the file; never reads past its end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, what: &str, length: usize) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let Some(part) = rest.get(..length) else {
            let found = format_args!("{}", rest.len());
            return Err(damage(self.at, what, format_args!("{length} bytes"), found));
        };
        self.at += length;
        Ok(part)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(what, N)?);
        Ok(array)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCABULARY: &str = "[UNK]\na\nb\nc\nd\ne\nf\ng\nh\n";

    fn small() -> Vec<u8> {
        let rows: Vec<(u32, &[f32])> = vec![(1, &[1.0, -2.0, 0.5]), (3, &[0.0, 0.0, 0.0]), (8, &[1e-3, 0.0, 1e-3])];
        encode(&Parts { name: "tiny-3", dimension: 3, normalize: true, vocabulary: VOCABULARY, rows }).unwrap()
    }

    /// Puts the right checksum over bytes that a test has changed, to reach the checks behind it.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let checksum = checksum_of(&bytes);
        bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn comes_back_as_written() {
        let bytes = small();
        let table = Table::decode(&bytes).unwrap();
        assert_eq!((table.name, table.dimension, table.normalize, table.row_count()), ("tiny-3", 3, true, 3));
        assert_eq!(table.vocabulary.len(), 9);
        assert_eq!(table.row(1), Some((2.0 / 127.0, &[64, -127, 32][..])));
        assert_eq!(table.row(3), Some((0.0, &[0, 0, 0][..])));
        assert_eq!(table.row(8), Some((1e-3 / 127.0, &[127, 0, 127][..])));
        for absent in [0, 2, 7, 9, u32::MAX] {
            assert_eq!(table.row(absent), None);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = small();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let error = Table::decode(&damaged).unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Version),
                    "byte {at} bit {bit}: {error}"
                );
            }
            assert_eq!(Table::decode(&bytes[..at]).unwrap_err().kind(), ErrorKind::Corrupt, "cut at {at}");
        }
    }

    #[test]
    fn wrong_contents_under_a_right_checksum_are_refused() {
        let bytes = small();
        let bits_at = HEADER_BYTES + VOCABULARY.len();
        for (at, value, what) in [
            (8, 2, "layout 2"),
            (12, 3, "unknown features"),
            (16, 0, "dimension"),
            (16, 2, "end"),
            (16, 9, "rows"),
            (20, 10, "vocabulary"),
            (24, 2, "presence bits"),
            (28, 3, "vocabulary"),
            (32, b' ', "name"),
            (40, b'x', "name"),
            (HEADER_BYTES, 0xff, "vocabulary"),
            (HEADER_BYTES + 6, b'b', "vocabulary"),
            (bits_at, 0, "presence bits"),
            (bits_at + 1, 3, "presence bits"),
            (bits_at + 2 + 3, 0xff, "scale"),
        ] {
            let mut changed = bytes.clone();
            changed[at] = value;
            let error = Table::decode(&sealed(changed)).unwrap_err();
            assert!(error.message().contains(what), "byte {at} = {value}: {error}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_not_written() {
        let parts = |name, rows| Parts { name, dimension: 1, normalize: false, vocabulary: VOCABULARY, rows };
        let good: &[f32] = &[1.0];
        assert!(encode(&parts("x", vec![(0, good), (8, good)])).is_ok());
        for (name, rows) in [
            ("", vec![]),
            ("a b", vec![]),
            ("a-name-that-is-much-too-long", vec![]),
            ("x", vec![(9, good)]),
            ("x", vec![(2, good), (1, good)]),
            ("x", vec![(2, good), (2, good)]),
            ("x", vec![(2, &[f32::NAN][..])]),
            ("x", vec![(2, &[1.0, 2.0][..])]),
        ] {
            assert_eq!(encode(&parts(name, rows)).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
