//! Streams of lines from a file, standard input or any reader.
//!
//! Owns the recognition of gzip (by its first bytes, concatenated members too), the byte order mark, both line
//! endings, and the numbering of lines. It keeps at most one line in memory, and a line is bounded: the rest of a
//! longer one is passed over, so that a caller who skips bad lines can go on behind it.

use crate::error::{Error, Result};
use crate::storage::input;
use flate2::bufread::GzDecoder;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest line of an input, in bytes: a text and metadata at their limits, with room for JSON's escapes.
pub(crate) const LINE_BYTES: usize = 64 << 20;

/// A boxed stream of bytes.
pub(crate) type Source = Box<dyn Read + Send>;

/// Opens the file at `path`, or standard input for `-`; gzip is unpacked.
///
/// # Errors
/// When the file cannot be opened, is a folder, or its first bytes cannot be read.
pub(crate) fn open(path: &Path) -> Result<Source> {
    Ok(open_with_position(path)?.0)
}

/// Opens a file of the user's for reading; a folder is refused by name.
///
/// # Errors
/// When there is no such file, or it is a folder.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    let file = input::open(path)?;
    let metadata = file.metadata().map_err(|source| Error::io("read", path, source))?;
    if metadata.is_dir() {
        return Err(Error::invalid(format!("{} is a folder, not a file", path.display())).with_path(path));
    }
    Ok(file)
}

/// How far a stream has been read: bytes of the file itself, packed or not, and its length where it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    done: Arc<AtomicU64>,
    length: Option<u64>,
}

impl Position {
    /// The share of the input that has been read, 0 to 1; `None` for pipes.
    pub(crate) fn share(&self) -> Option<f64> {
        let length = self.length.filter(|length| *length > 0)?;
        Some((self.done.load(Ordering::Relaxed) as f64 / length as f64).min(1.0))
    }
}

/// Counts the bytes that pass.
struct Counted {
    source: Source,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// As [`open`], with somebody to ask how far it has been read.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_with_position(path: &Path) -> Result<(Source, Position)> {
    let (source, length): (Source, _) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = open_file(path)?;
        let length = file.metadata().ok().filter(Metadata::is_file).map(|found| found.len());
        (Box::new(file), length)
    };
    let position = Position { done: Arc::default(), length };
    let counted = Counted { source, done: Arc::clone(&position.done) };
    let source = decoded(Box::new(counted)).map_err(|source| Error::io("read", path, source))?;
    Ok((source, position))
}

/// Passes `source` on, unpacked if it starts like gzip.
fn decoded(mut source: Source) -> io::Result<Source> {
    let mut prefix = [0_u8; 2];
    let mut filled = 0;
    while let Some(rest) = prefix.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole = Cursor::new(prefix).take(filled as u64).chain(source);
    if filled == 2 && prefix == GZIP { Ok(Box::new(Members::new(Box::new(whole)))) } else { Ok(Box::new(whole)) }
}

/// The first bytes of a gzip member.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The members of a gzip file, one behind the other. Zeros may stand behind each: tapes and block devices are filled up
/// with them, and gzip passes over them as well. Anything else there is an error.
struct Members {
    /// `None` behind the last member.
    member: Option<GzDecoder<BufReader<Source>>>,
}

impl Members {
    fn new(source: Source) -> Self {
        Members { member: Some(GzDecoder::new(BufReader::with_capacity(1 << 16, source))) }
    }

    /// Goes on to what stands behind a member that has ended.
    fn next_member(&mut self) -> io::Result<()> {
        let Some(mut reader) = self.member.take().map(GzDecoder::into_inner) else { return Ok(()) };
        loop {
            let available = match reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            let zeros = available.iter().take_while(|byte| **byte == 0).count();
            match available.get(zeros) {
                None if available.is_empty() => return Ok(()),
                None => reader.consume(zeros),
                Some(byte) if *byte == GZIP[0] => {
                    reader.consume(zeros);
                    self.member = Some(GzDecoder::new(reader));
                    return Ok(());
                }
                Some(_) => {
                    let words = "what stands behind its gzip data is neither gzip nor zeros";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, words));
                }
            }
        }
    }
}

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            match member.read(buffer)? {
                0 if !buffer.is_empty() => self.next_member()?,
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}

/// One line of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its number in the file; the first line is 1.
    pub(crate) number: u64,
    /// Its bytes without the line's end; cut at the limit when `too_long`.
    pub(crate) bytes: &'a [u8],
    /// Whether the line was longer than the limit.
    pub(crate) too_long: bool,
}

/// Cuts a stream into lines; lines of nothing but blanks are passed over, though they count.
pub(crate) struct LineReader {
    reader: BufReader<Source>,
    number: u64,
    line: Vec<u8>,
    limit: usize,
}

impl LineReader {
    /// Reads lines of at most [`LINE_BYTES`] from `source`.
    pub(crate) fn new(source: Source) -> Self {
        LineReader::with_limit(source, LINE_BYTES)
    }

    fn with_limit(source: Source, limit: usize) -> Self {
        LineReader { reader: BufReader::with_capacity(1 << 16, source), number: 0, line: Vec::new(), limit }
    }

    /// The next line that is not blank, or `None` at the end.
    ///
    /// # Errors
    /// When the stream fails, damaged gzip included.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.line.clear();
            let Some(too_long) = self.fill_line()? else { return Ok(None) };
            self.number += 1;
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !too_long && self.line.ends_with(b"\r") {
                self.line.pop();
            }
            if too_long || !self.line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                // A huge line must not keep its memory for the rest of the file.
                self.line.shrink_to(self.line.len().max(1 << 16));
                return Ok(Some(Line { number: self.number, bytes: &self.line, too_long }));
            }
        }
    }

    /// Reads up to and with the next `\n` into `self.line`, without it; whether it was cut, `None` at the end.
    fn fill_line(&mut self) -> io::Result<Option<bool>> {
        let (mut seen_any, mut too_long) = (false, false);
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok(seen_any.then_some(too_long));
            }
            seen_any = true;
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            let room = self.limit - self.line.len();
            too_long |= part.len() > room;
            self.line.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn lines(bytes: &[u8], limit: usize) -> Vec<(u64, String, bool)> {
        let source = decoded(Box::new(Cursor::new(bytes.to_vec()))).unwrap();
        let mut reader = LineReader::with_limit(source, limit);
        let mut out = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            out.push((line.number, String::from_utf8_lossy(line.bytes).into_owned(), line.too_long));
        }
        out
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn numbers_lines_as_an_editor_does() {
        let found = lines(b"\xef\xbb\xbfone\r\n\r\n  \t\ntwo\n\nthree", 100);
        let want = [(1, "one", false), (4, "two", false), (6, "three", false)];
        assert_eq!(found, want.map(|(number, text, long)| (number, text.to_string(), long)));
        assert!(lines(b"", 100).is_empty());
        assert!(lines(b"\n\n", 100).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let found = lines(b"0123456789\nshort\n01234", 5);
        assert_eq!(found[0], (1, "01234".to_string(), true));
        assert_eq!(found[1], (2, "short".to_string(), false));
        assert_eq!(found[2], (3, "01234".to_string(), false));
    }

    #[test]
    fn gzip_is_known_by_its_bytes_and_members_are_joined() {
        let mut bytes = gzip(b"one\ntw");
        bytes.extend(gzip(b"o\n"));
        assert_eq!(lines(&bytes, 100).into_iter().map(|line| line.1).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn zeros_behind_gzip_are_passed_over_and_nothing_else_is() {
        let mut bytes = gzip(b"one\n");
        bytes.extend([0; 100]);
        assert_eq!(lines(&bytes, 100).len(), 1);
        bytes.extend(gzip(b"two\n"));
        // More than the decoder reads at a time.
        bytes.extend(vec![0; 200_000]);
        assert_eq!(lines(&bytes, 100).into_iter().map(|line| line.1).collect::<Vec<_>>(), ["one", "two"]);
        bytes.extend(b"junk");
        let source = decoded(Box::new(Cursor::new(bytes))).unwrap();
        let mut reader = LineReader::new(source);
        assert!(reader.next_line().unwrap().is_some() && reader.next_line().unwrap().is_some());
        assert!(reader.next_line().unwrap_err().to_string().contains("neither gzip nor zeros"));
    }

    #[test]
    fn cut_gzip_is_an_error_and_not_a_short_file() {
        let bytes = gzip(b"one\ntwo\nthree\n");
        let source = decoded(Box::new(Cursor::new(bytes[..bytes.len() - 6].to_vec()))).unwrap();
        let mut reader = LineReader::new(source);
        let mut result = reader.next_line().map(|line| line.is_some());
        while let Ok(true) = result {
            result = reader.next_line().map(|line| line.is_some());
        }
        assert!(result.is_err());
    }

    /// A pipe may hand out one byte at a time; the magic bytes must still be seen together.
    #[test]
    fn one_byte_reads_are_enough() {
        struct Slow(Cursor<Vec<u8>>);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let take = buffer.len().min(1);
                self.0.read(&mut buffer[..take])
            }
        }
        let mut reader = LineReader::new(decoded(Box::new(Slow(Cursor::new(gzip(b"a\nb\n"))))).unwrap());
        assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"a");
        assert_eq!(reader.next_line().unwrap().unwrap().number, 2);
        assert!(reader.next_line().unwrap().is_none());
    }
}
