//! How much a test's thread has read and written: growth is tested by counting, not by seconds.
//!
//! Owns the counters of values that were decoded and encoded, and of questions to a folder. Each thread has its own, so
//! tests beside each other do not mix.

use std::cell::Cell;

/// What a thread has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Values of the catalog whose checksums were computed: those that were decoded, and others.
    pub values: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Values that were encoded.
    pub written: u64,
    /// Folders that were listed, and files that were asked for or opened by name.
    pub looks: u64,
}

impl Counts {
    /// What came since `before`.
    pub fn since(self, before: Counts) -> Counts {
        Counts {
            values: self.values - before.values,
            bytes: self.bytes - before.bytes,
            written: self.written - before.written,
            looks: self.looks - before.looks,
        }
    }

    /// All operations.
    pub fn operations(self) -> u64 {
        self.values + self.written + self.looks
    }
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { values: 0, bytes: 0, written: 0, looks: 0 }) };
}

fn change(change: impl FnOnce(&mut Counts)) {
    COUNTS.with(|counts| {
        let mut now = counts.get();
        change(&mut now);
        counts.set(now);
    });
}

/// A value of `bytes` bytes was decoded.
pub fn decoded(bytes: usize) {
    change(|counts| {
        counts.values += 1;
        counts.bytes += bytes as u64;
    });
}

/// A value was encoded.
pub fn encoded() {
    change(|counts| counts.written += 1);
}

/// Something was asked of a folder.
pub fn looked() {
    change(|counts| counts.looks += 1);
}

/// What this thread has done so far.
pub fn so_far() -> Counts {
    COUNTS.with(Cell::get)
}
