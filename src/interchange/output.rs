//! Files that simile writes for other programs.
//!
//! Owns their creation, and the choice of gzip by name: what ends in `.gz` is packed. No file is written into a store,
//! and each is written beside its place, which it takes when it is whole (`storage/replace`). It knows no format.

use crate::catalog::{CATALOG_FILE, HEAD_FILE, LOCK_FILE, SUMS_FILE};
use crate::error::{Error, Result};
use crate::storage;
use crate::storage::replace::{NewFile, Target, existing_folder, is_there};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Begins the file at `path`, which takes its place when it is published.
///
/// # Errors
/// When it would lie in a store, or the operating system refuses.
pub(crate) fn create_file(path: &Path) -> Result<NewFile> {
    let target = Target::of(path)?;
    match &target {
        Target::File(place) => keep_out_of_stores(path, place)?,
        Target::Stream(place) => existing_folder(place).map_or(Ok(()), |place| keep_out_of_stores(path, &place))?,
    }
    NewFile::create(path, target)
}

/// Makes the folder at `path`, and those above it.
///
/// # Errors
/// When it would lie in a store, or the operating system refuses.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    if let Some(there) = existing_folder(path) {
        keep_out_of_stores(path, &there)?;
    }
    storage::input::create_dir(path)
}

/// Refuses a place in a store, this one or another; all links are resolved.
fn keep_out_of_stores(asked: &Path, place: &Path) -> Result<()> {
    let Some(store) = place.ancestors().find(|above| is_store(above)) else { return Ok(()) };
    let message = format!(
        "{} lies in the store {}, where only simile's own files belong; write somewhere else",
        asked.display(),
        store.display()
    );
    Err(Error::invalid(message).with_path(asked))
}

/// Whether the folder is a store, or one that has lost a file.
fn is_store(folder: &Path) -> bool {
    let parts = [CATALOG_FILE, SUMS_FILE, HEAD_FILE, LOCK_FILE].into_iter().filter(|part| is_there(folder, part));
    is_there(folder, CATALOG_FILE) || parts.count() > 1
}

/// A file whose bytes are safe beside its place.
#[must_use = "it takes its place when it is published"]
pub(crate) struct Written(NewFile);

impl Written {
    /// What has been written to `file`, whole.
    ///
    /// # Errors
    /// When its bytes cannot be made safe.
    pub(crate) fn new(file: NewFile) -> Result<Written> {
        file.sync()?;
        Ok(Written(file))
    }
}

/// Puts files that belong together into their places, once all of them are whole.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn publish(files: impl IntoIterator<Item = Written>) -> Result<()> {
    files.into_iter().try_for_each(|file| file.0.publish())
}

/// A text file being written, plain or gzip by its name.
pub(crate) struct TextFile {
    sink: Sink,
}

enum Sink {
    Plain(BufWriter<NewFile>),
    Gzip(BufWriter<GzEncoder<NewFile>>),
}

impl TextFile {
    /// Begins `path`, which takes its place when it is published.
    ///
    /// # Errors
    /// As [`create_file`].
    pub(crate) fn create(path: &Path) -> Result<TextFile> {
        let file = create_file(path)?;
        let gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let sink = if gzip {
            Sink::Gzip(BufWriter::with_capacity(1 << 16, GzEncoder::new(file, Compression::default())))
        } else {
            Sink::Plain(BufWriter::with_capacity(1 << 16, file))
        };
        Ok(TextFile { sink })
    }

    fn path(&self) -> &Path {
        match &self.sink {
            Sink::Plain(sink) => sink.get_ref().path(),
            Sink::Gzip(sink) => sink.get_ref().get_ref().path(),
        }
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
            .map_err(|source| Error::io("write", self.path(), source))
    }

    /// Writes what is still held back, gzip's end included.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn finish(self) -> Result<Written> {
        let path = self.path().to_path_buf();
        let flushed: io::Result<NewFile> = match self.sink {
            Sink::Plain(sink) => sink.into_inner().map_err(io::IntoInnerError::into_error),
            Sink::Gzip(sink) => sink.into_inner().map_err(io::IntoInnerError::into_error).and_then(GzEncoder::finish),
        };
        Written::new(flushed.map_err(|source| Error::io("write", &path, source))?)
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
            publish([file.finish().unwrap()]).unwrap();
            let mut reader = LineReader::new(open(&path).unwrap());
            assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"one", "{name}");
            assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"two", "{name}");
            assert!(reader.next_line().unwrap().is_none());
        }
        let packed = std::fs::read(folder.path().join("a.jsonl.gz")).unwrap();
        assert_eq!(packed.get(..2), Some(&[0x1f, 0x8b][..]));
    }
}
