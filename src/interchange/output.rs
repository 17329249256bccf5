//! Files that simile writes for other programs.
//!
//! Owns their creation, and the choice of gzip by name: what ends in `.gz` is packed. It knows no format.

use crate::error::{Error, Result};
use crate::storage;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Makes or replaces the file at `path`.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn create_file(path: &Path) -> Result<File> {
    storage::input::create(path)
}

/// Makes the folder at `path`, and those above it.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    storage::input::create_dir(path)
}

/// A text file being written, plain or gzip by its name.
pub(crate) struct TextFile {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(BufWriter<GzEncoder<File>>),
}

impl TextFile {
    /// Makes or replaces `path`.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn create(path: &Path) -> Result<TextFile> {
        let file = create_file(path)?;
        let gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let sink = if gzip {
            Sink::Gzip(BufWriter::with_capacity(1 << 16, GzEncoder::new(file, Compression::default())))
        } else {
            Sink::Plain(BufWriter::with_capacity(1 << 16, file))
        };
        Ok(TextFile { path: path.to_path_buf(), sink })
    }

    /// Appends `line` and a newline.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        let sink: &mut dyn Write = match &mut self.sink {
            Sink::Plain(sink) => sink,
            Sink::Gzip(sink) => sink,
        };
        sink.write_all(line.as_bytes())
            .and_then(|()| sink.write_all(b"\n"))
            .map_err(|source| Error::io("write", &self.path, source))
    }

    /// Writes what is still held back, gzip's end included.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        let flushed: io::Result<()> = match self.sink {
            Sink::Plain(mut sink) => sink.flush(),
            Sink::Gzip(sink) => {
                sink.into_inner().map_err(io::IntoInnerError::into_error).and_then(|encoder| encoder.finish()).map(drop)
            }
        };
        flushed.map_err(|source| Error::io("write", &path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interchange::input::{LineReader, open};

    #[test]
    fn gz_by_name_and_back_by_magic() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "a.jsonl.gz"] {
            let path = folder.path().join(name);
            let mut file = TextFile::create(&path).unwrap();
            file.line("one").unwrap();
            file.line("two").unwrap();
            file.finish().unwrap();
            let mut reader = LineReader::new(open(&path).unwrap());
            assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"one", "{name}");
            assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"two", "{name}");
            assert!(reader.next_line().unwrap().is_none());
        }
        let packed = std::fs::read(folder.path().join("a.jsonl.gz")).unwrap();
        assert_eq!(packed.get(..2), Some(&[0x1f, 0x8b][..]));
    }
}
