//! `check`: every checksum and every invariant, read once, all findings listed.
//!
//! Owns [`CheckReport`] and the order of the walk: HEAD, the catalog's own pages, then the tables through one
//! snapshot, then segments and files. It goes on after a finding: after damage that redb does not get over, it takes
//! the snapshot again, as long as that shows the same commit. It changes nothing.

mod derived;
mod labels;
mod learned;
mod lenses;
mod records;
mod views;

use crate::catalog::head::{self, HeadState};
use crate::catalog::{CATALOG_FILE, CatalogRead, HEAD_FILE, KeyBytes, Table, tables};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::store::kept::heads;
use crate::store::place::segment_files;
use crate::store::place::{Leftover, leftovers};
use crate::store::read::core::Core;
use crate::store::read::rows;
use crate::store::shared::Shared;
use crate::types::{CollectionDef, CommitNumber, Control, ProjectionHead};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Snapshots taken again after damage before the walk gives up.
const MOST_RETAKES: u32 = 64;
/// Findings listed one by one.
const MOST_FINDINGS: usize = 10_000;

/// What [`Store::check`](crate::store::Store::check) found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Everything that is wrong, in the order it was found; empty means that the store is whole.
    pub findings: Vec<Damage>,
    /// Things worth knowing that are no damage: a torn HEAD that the next writer rewrites, what a crash left behind.
    pub notes: Vec<String>,
    /// Live records seen.
    pub records: u64,
    /// Segment files seen.
    pub segments: u64,
    /// Bytes of catalog and segments whose checksums were computed.
    pub bytes_checked: u64,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }
}

/// The walk and what it has found so far.
struct Checker<'a> {
    shared: &'a Arc<Shared>,
    control: &'a Control,
    core: Arc<Core>,
    retakes: u32,
    /// Numbers that may yet be passed over without knowing whether anything stands under them: as many as the file
    /// could hold.
    steps: u64,
    report: CheckReport,
}

/// What the walk over collections counted, to be compared with the tables' own sizes: an entry more or less somewhere
/// is an entry that nobody reaches.
#[derive(Debug, Default)]
struct Counts {
    records: u64,
    ids: u64,
    columns: u64,
    view_texts: u64,
    live_chunks: u64,
    absent_chunks: u64,
    segments: u64,
    sum_chunks: u64,
}

/// Checks the store that `shared` has open, with redb's own check of its pages or without.
///
/// # Errors
/// [`ErrorKind::Cancelled`], and where a file cannot be read at all.
pub(in crate::store) fn run(shared: &Arc<Shared>, control: &Control, with_redb: bool) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let head = head::read(&*shared.storage)?;
    for damage in shared.catalog.integrity(with_redb)? {
        push(&mut report, damage);
    }
    let core = match Core::take(shared) {
        Ok(core) => Arc::new(core),
        Err(error) => {
            push(&mut report, as_damage(&error));
            return Ok(report);
        }
    };
    report.bytes_checked += shared.storage.len(CATALOG_FILE)?;
    let steps = rows::most_entries(&core.read);
    let mut checker = Checker { shared, control, core, retakes: 0, steps, report };
    checker.check_head(head);
    checker.check_tables()?;
    checker.check_files()?;
    Ok(checker.report)
}

impl Checker<'_> {
    fn check_head(&mut self, head: HeadState) {
        match head {
            HeadState::Valid(CommitNumber(commit)) if commit < self.core.meta.commit.0 => {
                let note = format!(
                    "HEAD says commit {commit}, the catalog has {}: a crash, or a writer at work; no harm",
                    self.core.meta.commit
                );
                self.report.notes.push(note);
            }
            // A HEAD newer than the catalog was refused when the snapshot was taken.
            HeadState::Valid(_) => {}
            HeadState::Torn => self.report.notes.push(format!("{HEAD_FILE} is torn; the next writer rewrites it")),
            HeadState::Missing => self.report.notes.push(format!("{HEAD_FILE} is missing; the next writer makes it")),
        }
    }

    fn check_tables(&mut self) -> Result<()> {
        let listed = self.core.read.range(&tables::COLLECTIONS, ..);
        let collections = self.keep(listed)?.unwrap_or_default();
        let mut counts = Counts::default();
        for (name, def) in &collections {
            if *name != def.name {
                self.find(format!("collection {name}"), format!("a definition of {name}"), format!("of {}", def.name));
            }
            self.check_definition(def);
            self.check_collection(def, &mut counts)?;
        }
        let defs: Vec<CollectionDef> = collections.into_iter().map(|(_, def)| def).collect();
        self.check_derived(&defs, &mut counts)?;
        self.check_labels(&defs)?;
        self.check_learned(&defs)?;
        self.check_counts(&counts)?;
        self.check_named_things()
    }

    fn check_definition(&mut self, def: &CollectionDef) {
        let meta = &self.core.meta;
        let (next_collection, next_view) = (meta.next_collection, meta.next_view);
        if def.id.0 >= next_collection {
            let what = format!("collection {}: its number was never given", def.name);
            self.find(what, format!("below {next_collection}"), def.id.to_string());
        }
        for view in &def.views {
            if view.id.0 >= next_view || view.rows > def.rows {
                let what = format!("collection {}, view {}", def.name, view.name);
                let expected = format!("a number below {next_view} and at most {} rows", def.rows);
                self.find(what, expected, format!("number {} and {} rows", view.id, view.rows));
            }
        }
    }

    /// Projections, lenses, samples and garbage can be read, and stand under their own names.
    fn check_named_things(&mut self) -> Result<()> {
        self.check_lenses()?;
        let core = Arc::clone(&self.core);
        let heads = heads::PROJECTIONS.stored(&core.read);
        let mut heads = self.keep(heads)?.flatten();
        let walked = core.read.for_each(&tables::PROJECTIONS, .., |name, projection| {
            self.control.checkpoint()?;
            let head = ProjectionHead::of(&projection);
            if let Some(found) = heads.as_mut().map(|heads| heads.remove(&name)).filter(|found| *found != Some(head)) {
                self.find(format!("projection {name}"), "its own head".to_string(), format!("{found:?}"));
            }
            if let Err(error) = crate::store::kept::lenses::check_projection(&projection) {
                self.find(format!("projection {name}"), "a matrix of finite numbers".to_string(), error.to_string());
            }
            if name != projection.name {
                let found = projection.name;
                self.find(format!("projection {name}"), format!("a projection named {name}"), found);
            }
            Ok(())
        });
        self.keep(walked)?;
        if let Some(name) = heads.and_then(|heads| heads.into_keys().next()) {
            self.find(
                format!("head of projection {name}"),
                "a projection of that name".to_string(),
                "none".to_string(),
            );
        }
        let garbage = self.core.read.range(&tables::GARBAGE, ..);
        let garbage = self.keep(garbage)?.unwrap_or_default();
        if !garbage.is_empty() {
            self.report.notes.push(format!("{} replaced files wait for their last reader", garbage.len()));
        }
        Ok(())
    }

    /// Every table holds exactly what the walk has reached.
    fn check_counts(&mut self, counts: &Counts) -> Result<()> {
        self.check_count(&crate::store::read::record::RECORDS, counts.records)?;
        self.check_count(&tables::IDS, counts.ids)?;
        self.check_count(&crate::store::read::record::COLUMNS, counts.columns)?;
        self.check_count(&tables::VIEW_TEXTS, counts.view_texts)?;
        self.check_count(&tables::LIVE, counts.live_chunks)?;
        self.check_count(&tables::ABSENT, counts.absent_chunks)?;
        self.check_count(&tables::SEGMENTS, counts.segments)?;
        self.check_count(&tables::BLOCK_SUMS, counts.sum_chunks)
    }

    fn check_count<K, V>(&mut self, table: &Table<K, V>, reached: u64) -> Result<()> {
        let counted = self.core.read.count(table);
        if let Some(count) = self.keep(counted)?.filter(|&count| count != reached) {
            self.find(format!("table {}", table.name()), format!("{reached} entries"), format!("{count}"));
        }
        Ok(())
    }

    /// Every segment file is named by the catalog, or waits for its last reader, or is a crash's.
    fn check_files(&mut self) -> Result<()> {
        let segments = self.core.read.range(&tables::SEGMENTS, ..);
        let garbage = self.core.read.range(&tables::GARBAGE, ..);
        let (Some(segments), Some(garbage)) = (self.keep(segments)?, self.keep(garbage)?) else { return Ok(()) };
        let mut named: HashSet<String> =
            segments.into_iter().map(|((view, segment), _)| crate::segment::path(view, segment)).collect();
        named.extend(garbage.into_iter().map(|((_, path), ())| path));
        let unnamed = segment_files(&*self.shared.storage)?.into_iter().filter(|path| !named.contains(path)).count();
        if unnamed > 0 {
            let note = format!(
                "{unnamed} segment files belong to no commit so far; a writer that opens the store removes them"
            );
            self.report.notes.push(note);
        }
        self.report.notes.extend(leftovers(&self.shared.place).iter().map(Leftover::note));
        Ok(())
    }

    /// The next of `numbers` that has an entry in `table`, behind the first one, which has none; their end if none has.
    fn next_number<K: KeyBytes, V>(
        &mut self,
        table: &Table<K, V>,
        numbers: Range<u32>,
        key: impl Fn(u32) -> K,
        number: impl Fn(K) -> u32,
    ) -> Result<u32> {
        let found = self.core.read.first_key(table, key(numbers.start)..key(numbers.end));
        Ok(match self.keep(found)? {
            Some(found) => found.map_or(numbers.end, number).clamp(numbers.start + 1, numbers.end),
            None => self.step_over(numbers.start, numbers.end),
        })
    }

    /// The number behind one under which nothing can be read; the end once there were more than the file could hold.
    fn step_over(&mut self, number: u32, end: u32) -> u32 {
        match self.steps.checked_sub(1) {
            Some(left) => {
                self.steps = left;
                number + 1
            }
            None => end,
        }
    }

    /// Lists damage of the catalog that has no place of its own.
    fn find(&mut self, what: String, expected: String, found: String) {
        push(&mut self.report, Damage { file: CATALOG_FILE.into(), offset: 0, what, expected, found });
    }

    /// The value, or `None` after listing what is wrong.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], and where the snapshot cannot be taken again.
    fn keep<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => error,
        };
        push(&mut self.report, as_damage(&error));
        if self.core.read.count(&tables::META).is_err() {
            self.retake(error)?;
        }
        Ok(None)
    }

    /// Takes the snapshot again after damage has made the old one unusable.
    fn retake(&mut self, cause: Error) -> Result<()> {
        self.retakes += 1;
        if self.retakes > MOST_RETAKES {
            return Err(cause.context("too much of the catalog is damaged to check the rest"));
        }
        let core = Core::take(self.shared)?;
        if core.meta.commit != self.core.meta.commit {
            let message = "the store was changed while its damage was being listed; check it again";
            return Err(Error::new(ErrorKind::Locked, message));
        }
        self.core = Arc::new(core);
        Ok(())
    }
}

fn push(report: &mut CheckReport, damage: Damage) {
    if report.findings.len() < MOST_FINDINGS && !report.findings.contains(&damage) {
        report.findings.push(damage);
    }
}

/// An error as a finding: its own damage where it has one.
fn as_damage(error: &Error) -> Damage {
    error.damage().cloned().unwrap_or_else(|| Damage {
        file: error.path().map_or_else(|| CATALOG_FILE.into(), std::path::Path::to_path_buf),
        offset: 0,
        what: error.to_string(),
        expected: "something that can be read".to_string(),
        found: error.kind().as_str().to_string(),
    })
}
