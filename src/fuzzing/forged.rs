//! Stores that somebody made to harm whoever opens them: what is written in the catalog's pages is changed, and every
//! checksum made to fit, redb's from the leaves up to its header, ours of values, totals and pages.
//!
//! Owns [`Catalog`], the pages of `catalog.redb` as far as tables go (redb's file format 3), and [`endure`], which
//! carries out every command on such a store. Any answer and any error will do; each comes within a number of entries
//! read that the store's size bounds, and without a panic.

use super::accounts;
use super::damage::Sound;
use super::ops;
#[cfg(test)]
use crate::catalog::Table;
use crate::catalog::tables::{
    HEADS_OF_KEY, LATER_NAMES, NAMES, PROJECTION_HEADS, PROJECTIONS, SAMPLE_HEADS, SAMPLES, TOTALS, TOTALS_KEY,
};
use crate::catalog::{CATALOG_FILE, KeyBytes, SUMS_FILE, Total, codec, entries_read, limit_entries};
use crate::storage::checksum::checksum;
use crate::storage::{MemoryStorage, Storage};
use crate::store::Store;
use crate::types::{Control, Record};
#[cfg(test)]
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

const PAGE: usize = 4_096;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;
/// Where a table's root stands in its entry of the table of tables: behind its kind and length, and a byte for "not
/// empty".
const ROOT_IN_ENTRY: usize = 10;
/// Levels that are followed: a page may have come to stand above itself.
const MOST_DEPTH: u32 = 5;
/// Length of one of the two slots of the header, the last 16 bytes being its checksum.
const SLOT: usize = 128;

/// A key and a value as they are stored.
type Entry = (Vec<u8>, Vec<u8>);

/// Numbers out of the bytes that choose, two bytes each.
struct Picks<'a>(&'a [u8]);

impl Picks<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let (two, rest) = self.0.split_at(self.0.len().min(2));
        self.0 = rest;
        two.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) % bound.max(1)
    }
}

/// A leaf of one of our tables.
struct Leaf {
    table: &'static str,
    page: Range<usize>,
}

/// The bytes of `catalog.redb`.
struct Catalog(Vec<u8>);

fn number(bytes: &[u8], place: usize) -> u64 {
    bytes.get(place..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |number| u64::from_le_bytes(*number))
}

fn half(bytes: &[u8], place: usize) -> usize {
    let half = bytes.get(place..).and_then(|rest| rest.first_chunk::<4>());
    half.map_or(0, |half| u32::from_le_bytes(*half) as usize)
}

/// Where the page of this number lies: 20 bits of place within a region of 2^20 pages, 20 of region, 5 of order.
fn page_of(number: u64) -> Range<usize> {
    let (order, region) = ((number >> 59) as u32, (number >> 20 & 0xf_ffff) as usize);
    let (place, bytes) = ((number & (0xf_ffff >> order)) as usize, PAGE << order);
    let start = PAGE + region * (PAGE << 20) + place * bytes;
    start..start + bytes
}

impl Catalog {
    /// Entries of a leaf, or keys of a branch; what a change has made of it is no reason to stumble.
    fn count(&self, page: &Range<usize>) -> usize {
        half(&self.0, page.start) >> 16
    }

    /// Places of the numbers of a branch's children; their checksums stand before them.
    fn children(&self, page: &Range<usize>) -> Vec<(usize, usize)> {
        let count = self.count(page) + 1;
        let child = |idx| (page.start + 8 + 16 * count + 8 * idx, page.start + 8 + 16 * idx);
        (0..count).map(child).collect()
    }

    /// Ranges of the keys and values of a leaf, whose widths are not fixed; of one that is none any more, as far as
    /// they go.
    fn entries(&self, page: &Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
        let count = self.count(page);
        let end = |idx: usize| page.start + half(&self.0, page.start + 4 + 4 * idx);
        let key_start = |idx: usize| if idx == 0 { page.start + 4 + 8 * count } else { end(idx - 1) };
        let value_start = |idx: usize| end(if idx == 0 { count.saturating_sub(1) } else { count + idx - 1 });
        let all = (0..count).map(|idx| (key_start(idx)..end(idx), value_start(idx)..end(count + idx)));
        all.filter(|(key, value)| self.0.get(key.clone()).is_some() && self.0.get(value.clone()).is_some()).collect()
    }

    fn leaves(&self, root: u64) -> Vec<Range<usize>> {
        self.leaves_below(root, 0)
    }

    fn leaves_below(&self, root: u64, depth: u32) -> Vec<Range<usize>> {
        let page = page_of(root);
        match self.0.get(page.clone()).map(|page| page[0]) {
            Some(LEAF) => vec![page],
            Some(BRANCH) if depth < MOST_DEPTH => {
                let children = self.children(&page).into_iter();
                children.flat_map(|(place, _)| self.leaves_below(number(&self.0, place), depth + 1)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Where the slot that counts begins.
    fn slot(&self) -> usize {
        64 + SLOT * usize::from(self.0[9] & 1)
    }

    /// Places of the roots of all tables that hold anything, by name.
    fn roots(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for leaf in self.leaves(number(&self.0, self.slot() + 8)) {
            for (key, value) in self.entries(&leaf) {
                if self.0[value.start + ROOT_IN_ENTRY - 1] != 0 {
                    found.push((String::from_utf8_lossy(&self.0[key]).into_owned(), value.start + ROOT_IN_ENTRY));
                }
            }
        }
        found
    }

    fn all_leaves(&self) -> Vec<Leaf> {
        let mut all = Vec::new();
        for (name, root) in self.roots() {
            let mut tables = NAMES.into_iter().chain(LATER_NAMES);
            let Some(table) = tables.find(|table| *table == name) else { continue };
            all.extend(self.leaves(number(&self.0, root)).into_iter().map(|page| Leaf { table, page }));
        }
        all
    }

    fn read(&self, page: &Range<usize>) -> Vec<Entry> {
        let entries = self.entries(page).into_iter();
        entries.map(|(key, value)| (self.0[key].to_vec(), self.0[value].to_vec())).collect()
    }

    /// Writes a leaf anew; false if the entries do not fit into its page.
    fn write(&mut self, page: &Range<usize>, entries: &[Entry]) -> bool {
        let length: usize = entries.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
        if entries.is_empty() || 4 + length > page.len() {
            return false;
        }
        let (mut ends, mut at) = (Vec::new(), 4 + 8 * entries.len());
        let parts = entries.iter().map(|(key, _)| key).chain(entries.iter().map(|(_, value)| value));
        let mut joined: Vec<u8> = Vec::new();
        for part in parts {
            at += part.len();
            ends.extend_from_slice(&(at as u32).to_le_bytes());
            joined.extend_from_slice(part);
        }
        let mut bytes = vec![LEAF, 0];
        bytes.extend_from_slice(&(entries.len() as u16).to_le_bytes());
        bytes.extend(ends);
        bytes.extend(joined);
        self.0[page.start..page.start + bytes.len()].copy_from_slice(&bytes);
        true
    }

    /// Makes the checksum of each page below `page` fit, and answers with that of `page`. `depth` ends circles.
    fn sum_of(&mut self, page: &Range<usize>, depth: u32) -> u128 {
        if self.0.get(page.clone()).is_none() {
            return 0;
        }
        let end = match self.0[page.start] {
            LEAF => self.entries(page).last().map_or(page.end, |(_, value)| value.end),
            BRANCH if depth < MOST_DEPTH => {
                let children = self.children(page);
                for &(place, sum_place) in &children {
                    let sum = self.sum_of(&page_of(number(&self.0, place)), depth + 1);
                    self.0[sum_place..sum_place + 16].copy_from_slice(&sum.to_le_bytes());
                }
                // The keys' ends stand behind the children's numbers; the last one is the page's.
                let last_end = page.start + 8 + 24 * children.len() + 4 * children.len().saturating_sub(2);
                page.start + half(&self.0, last_end)
            }
            _ => page.end,
        };
        xxh3_128(&self.0[page.start..end.clamp(page.start, page.end)])
    }

    /// Makes every checksum of redb's fit again.
    fn seal(&mut self) {
        for (_, root) in self.roots() {
            let sum = self.sum_of(&page_of(number(&self.0, root)), 0);
            self.0[root + 8..root + 24].copy_from_slice(&sum.to_le_bytes());
        }
        let slot = self.slot();
        let sum = self.sum_of(&page_of(number(&self.0, slot + 8)), 0);
        self.0[slot + 16..slot + 32].copy_from_slice(&sum.to_le_bytes());
        let sum = xxh3_128(&self.0[slot..slot + SLOT - 16]);
        self.0[slot + SLOT - 16..slot + SLOT].copy_from_slice(&sum.to_le_bytes());
    }

    /// What the leaves of a table hold.
    fn total_of(&self, table: &str) -> Total {
        let mut total = Total::default();
        for leaf in self.all_leaves().iter().filter(|leaf| leaf.table == table) {
            self.read(&leaf.page).iter().for_each(|(_, stored)| total.add(stored));
        }
        total
    }

    /// Makes the totals of all tables what the leaves hold, those first by which heads name what they are of.
    fn seal_totals(&mut self) {
        self.seal_heads(PROJECTION_HEADS.name(), PROJECTIONS.name());
        self.seal_heads(SAMPLE_HEADS.name(), SAMPLES.name());
        let names: BTreeSet<&str> = self.all_leaves().iter().map(|leaf| leaf.table).collect();
        let names = names.into_iter().filter(|name| *name != TOTALS.name());
        let totals: BTreeMap<String, Total> = names.map(|name| (name.to_string(), self.total_of(name))).collect();
        let key = TOTALS_KEY.to_string().to_bytes();
        let Ok(stored) = codec::encode(TOTALS.name(), &key, &totals) else { return };
        for leaf in self.all_leaves().iter().filter(|leaf| leaf.table == TOTALS.name()) {
            self.write(&leaf.page, &[(key.clone(), stored.clone())]);
        }
    }

    /// Has the table `heads` say that it is of what `whole` holds now, where it says anything of that.
    fn seal_heads(&mut self, heads: &'static str, whole: &str) {
        let key = HEADS_OF_KEY.to_string().to_bytes();
        let Ok(of) = codec::encode(heads, &key, &self.total_of(whole)) else { return };
        for leaf in self.all_leaves().iter().filter(|leaf| leaf.table == heads) {
            let mut entries = self.read(&leaf.page);
            let said = entries.iter_mut().filter(|(found, stored)| *found == key && *stored != of);
            if said.map(|(_, stored)| stored.clone_from(&of)).count() > 0 {
                self.write(&leaf.page, &entries);
            }
        }
    }

    /// The checksums of the pages.
    fn page_sums(&self) -> Vec<u8> {
        let pages = self.0.chunks_exact(PAGE).enumerate().skip(1);
        let sums = pages.flat_map(|(page_idx, page)| checksum(page_idx as u64, page).to_le_bytes());
        b"SIMSUMS1".iter().copied().chain(sums).collect()
    }

    /// One change, chosen by the bytes: entries out of order, equal keys, other values, pages in the wrong place.
    fn change(&mut self, picks: &mut Picks<'_>) {
        let leaves = self.all_leaves();
        let Some(leaf) = leaves.get(picks.below(leaves.len().max(1))) else { return };
        let mut entries = self.read(&leaf.page);
        let (count, value) = (entries.len(), picks.below(256) as u8);
        let idx = picks.below(count);
        let (key, stored) = &mut entries[idx];
        let payload_end = stored.len().saturating_sub(8);
        let place = picks.below(payload_end.max(1));
        let kind = picks.below(11);
        match kind {
            0 => entries.swap(idx, (idx + 1) % count),
            1 => entries.rotate_right(1),
            2 => entries.reverse(),
            3 => {
                let (key, stored) = entries[(idx + 1) % count].clone();
                entries[idx] = (key, stored);
            }
            4 => {
                let place = picks.below(key.len().max(1));
                key.get_mut(place).into_iter().for_each(|byte| *byte ^= value | 1);
                *stored = codec::sealed(leaf.table, key, &stored[..payload_end]);
            }
            5 => {
                stored.get_mut(place).into_iter().for_each(|byte| *byte = value);
                *stored = codec::sealed(leaf.table, key, &stored[..payload_end]);
            }
            6 | 7 => {
                // A number as large as its kind can be, in place of what stands there.
                let widest: &[u8] = if kind == 6 {
                    &[0xfc, 0xff, 0xff, 0xff, 0xff]
                } else {
                    &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
                };
                let mut payload = stored[..payload_end].to_vec();
                // Of a number that takes several bytes its first one says so.
                let width = match payload.get(place) {
                    Some(0xfb) => 3,
                    Some(0xfc) => 5,
                    Some(0xfd) => 9,
                    _ => 1,
                };
                let end = (place + width).min(payload.len());
                payload.splice(place..end, widest.iter().copied());
                *stored = codec::sealed(leaf.table, key, &payload);
            }
            8 => {
                let most = self.0[leaf.page.start + 2];
                self.0[leaf.page.start + 2] = most ^ value;
                return;
            }
            _ => return self.change_branch(leaf, picks, kind == 9),
        }
        self.write(&leaf.page.clone(), &entries);
    }

    /// Has a branch name one child twice, or itself.
    fn change_branch(&mut self, leaf: &Leaf, picks: &mut Picks<'_>, itself: bool) {
        let root = self.roots().into_iter().find(|(name, _)| name == leaf.table).map_or(0, |(_, root)| root);
        let root_number = number(&self.0, root);
        let page = page_of(root_number);
        if self.0[page.start] != BRANCH {
            return;
        }
        let children = self.children(&page);
        let (from, to) = (picks.below(children.len()), picks.below(children.len()));
        let named = if itself { root_number } else { number(&self.0, children[from].0) };
        self.0[children[to].0..children[to].0 + 8].copy_from_slice(&named.to_le_bytes());
    }
}

/// A store in whose catalog `change` has been at work; then all checksums are made to fit, those of the totals if
/// asked.
fn forge_with(
    (files, folders): (&BTreeMap<String, Vec<u8>>, &BTreeSet<String>),
    with_totals: bool,
    change: impl FnOnce(&mut Catalog),
) -> MemoryStorage {
    let mut files = files.clone();
    let mut catalog = Catalog(files.remove(CATALOG_FILE).unwrap_or_default());
    change(&mut catalog);
    if with_totals {
        catalog.seal_totals();
    }
    catalog.seal();
    files.insert(SUMS_FILE.to_string(), catalog.page_sums());
    files.insert(CATALOG_FILE.to_string(), catalog.0);
    MemoryStorage::of_parts(files, folders.clone())
}

/// A sound store with changes chosen by the bytes, all of whose checksums fit. The first byte: whether the totals do,
/// too.
fn forge(data: &[u8]) -> MemoryStorage {
    let sound = Sound::get();
    let (head, rest) = data.split_at(data.len().min(1));
    let with_totals = head.first().is_some_and(|head| head % 2 == 0);
    forge_with((&sound.files, &sound.folders), with_totals, |catalog| {
        let mut picks = Picks(rest);
        for _ in 0..4 {
            if !picks.0.is_empty() {
                catalog.change(&mut picks);
            }
        }
    })
}

/// Stores like `sound`, in each of which `change` has been at work in one value of `table`; at most so many.
#[cfg(test)]
pub(super) fn replace<K: KeyBytes, V: Serialize + DeserializeOwned>(
    sound: &Sound,
    table: &Table<K, V>,
    change: impl Fn(&mut V),
    most: usize,
) -> Vec<MemoryStorage> {
    let catalog = Catalog(sound.files[CATALOG_FILE].clone());
    let mut forged = Vec::new();
    for leaf in catalog.all_leaves().into_iter().filter(|leaf| leaf.table == table.name()) {
        let entries = catalog.read(&leaf.page);
        for idx in 0..entries.len().min(most - forged.len()) {
            let mut entries = entries.clone();
            let (key, stored) = &mut entries[idx];
            let mut value: V = codec::decode(table.name(), key, stored).expect("a sound value");
            change(&mut value);
            *stored = codec::encode(table.name(), key, &value).expect("a value that can be stored");
            let parts = (&sound.files, &sound.folders);
            let mut fits = false;
            let made = forge_with(parts, true, |catalog| fits = catalog.write(&leaf.page, &entries));
            forged.extend(fits.then_some(made));
        }
    }
    forged
}

/// Entries that one command may read for each that the store could hold: each goes through it a few times.
const PASSES: u64 = 400;

/// Carries out every command on a store. Whatever they answer, they answer.
///
/// # Panics
/// Where one panics, or reads more entries than the size of the store allows.
pub(super) fn endure(forged: &MemoryStorage, what: &dyn Fn() -> String) {
    let storage = || Arc::new(forged.copy()) as Arc<dyn Storage>;
    let most = forged.len(CATALOG_FILE).unwrap_or(0) / 16 * PASSES;
    let bounded = |command: &str, call: &dyn Fn() -> crate::Result<()>| {
        limit_entries(most);
        let answer = call();
        let read = entries_read();
        limit_entries(u64::MAX);
        assert!(read < most, "{}: {command} has read {read} entries, more than {most}", what());
        // What is refused says so in words.
        let told = answer.err().map(|error| error.to_string());
        assert!(told.is_none_or(|told| !told.is_empty()), "{}: {command}", what());
    };
    let open = |read_only| Store::open_storage(storage(), ops::options().read_only(read_only));
    bounded("info", &|| open(true)?.info().map(drop));
    bounded("check", &|| open(true)?.check().map(drop));
    bounded("a query", &|| accounts::shown(&open(true)?.snapshot()?).map(drop));
    bounded("backup", &|| {
        let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        open(true)?.backup_storage(&to).map(drop)
    });
    bounded("salvage", &|| {
        let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        Store::salvage_storage(&storage(), &to, ops::options(), &Control::new()).map(drop)
    });
    bounded("a commit", &|| {
        let store = open(false)?;
        let mut batch = store.begin()?;
        batch.collection("c0")?.upsert(Record::new("new", "one more"))?;
        batch.collection("c0")?.remove("c0-2")?;
        batch.commit().map(drop)
    });
    bounded("let", &|| {
        let store = open(false)?;
        let mut batch = store.begin()?;
        for record in store.snapshot()?.lenses()? {
            batch.put_lens(&record.name, record.lens, Vec::new())?;
        }
        batch.commit().map(drop)
    });
    bounded("compact", &|| open(false)?.compact().map(drop));
}

/// A store whose checksums fit, whatever else does not: every command comes to an end.
///
/// # Panics
/// Where that does not hold.
pub fn forged_store(data: &[u8]) {
    endure(&forge(data), &|| format!("{data:?}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tables;
    use crate::error::ErrorKind;
    use crate::storage::counted;
    use crate::storage::disk::Dice;
    use crate::store::Store;
    use crate::types::{CollectionDef, RowSet, ViewDef, ViewKind};
    use std::time::Duration;

    /// What a number is called, and how it is changed.
    type NewNumber<V> = (&'static str, fn(&mut V));

    /// All commands on one store.
    const LONGEST: Duration = Duration::from_secs(60);

    /// A sound store some of whose replaced files wait for a reader.
    fn with_garbage() -> MemoryStorage {
        let memory = Sound::get().storage();
        let store = Store::open_storage(Arc::new(memory.clone()), ops::options()).unwrap();
        let reader = store.snapshot().unwrap();
        let mut batch = store.begin().unwrap();
        batch.collection("c0").unwrap().remove("2").unwrap();
        batch.commit().unwrap();
        store.compact().unwrap();
        let left = memory.copy();
        drop((reader, store));
        left
    }

    /// Every way to put the keys of one leaf out of order.
    fn disorders(entries: &[Entry]) -> Vec<Vec<Entry>> {
        let mut swapped = entries.to_vec();
        swapped.swap(0, 1);
        let mut last_first = entries.to_vec();
        last_first.rotate_right(1);
        let reversed = entries.iter().rev().cloned().collect();
        let mut again = entries.to_vec();
        again[1] = again[0].clone();
        let mut last_again = entries.to_vec();
        let last = entries.len() - 1;
        last_again[last] = last_again[last - 1].clone();
        vec![swapped, last_first, reversed, again, last_again]
    }

    #[test]
    fn keys_that_do_not_rise_are_damage_in_every_table() {
        let garbage = with_garbage();
        let sound = Sound::get();
        let (files, folders) = garbage.parts();
        let mut tried = BTreeMap::<&str, usize>::new();
        for (files, folders) in [(&sound.files, &sound.folders), (&files, &folders)] {
            let catalog = Catalog(files[CATALOG_FILE].clone());
            for leaf in catalog.all_leaves() {
                let entries = catalog.read(&leaf.page);
                if entries.len() < 2 || tried.get(leaf.table).is_some_and(|tried| *tried >= 4) {
                    continue;
                }
                for (kind, disorder) in disorders(&entries).into_iter().enumerate() {
                    let page = leaf.page.clone();
                    let mut fits = false;
                    let forged = forge_with((files, folders), true, |catalog| fits = catalog.write(&page, &disorder));
                    if !fits {
                        continue;
                    }
                    let what = || format!("{} in disorder {kind}", leaf.table);
                    endure(&forged, &what);
                    let opened = Store::open_storage(Arc::new(forged.copy()), ops::options().read_only(true));
                    let seen = match opened.and_then(|store| store.check()) {
                        Ok(report) => !report.is_ok(),
                        Err(error) => error.kind() == ErrorKind::Corrupt,
                    };
                    assert!(seen, "{}: the check has seen nothing", what());
                    *tried.entry(leaf.table).or_default() += 1;
                }
            }
        }
        for table in [
            tables::LENSES.name(),
            tables::SEGMENTS.name(),
            tables::DERIVED.name(),
            tables::LABELS.name(),
            tables::GARBAGE.name(),
            tables::IDS.name(),
            tables::COLLECTIONS.name(),
        ] {
            assert!(tried.contains_key(table), "{table} was not tried: {tried:?}");
        }
        counted(tried.values().sum(), "leaves out of order");
    }

    /// Has every command endure stores in which one number of one value was changed; how many there were.
    fn endure_numbers<K: KeyBytes, V: Serialize + DeserializeOwned>(
        table: &Table<K, V>,
        numbers: &[NewNumber<V>],
    ) -> usize {
        let mut tried = 0;
        for (name, change) in numbers {
            for forged in replace(Sound::get(), table, change, 1) {
                let begun = std::time::Instant::now();
                endure(&forged, &|| format!("{} with {name}", table.name()));
                // What is gone through in memory reads no entries. Four thousand million steps take minutes.
                assert!(begun.elapsed() < LONGEST, "{} with {name} took {:?}", table.name(), begun.elapsed());
                tried += 1;
            }
        }
        tried
    }

    #[test]
    fn numbers_beyond_what_a_store_can_hold_bound_nothing() {
        fn view(def: &mut CollectionDef) -> &mut ViewDef {
            def.views.last_mut().expect("a view")
        }
        let mut tried = endure_numbers(
            &tables::COLLECTIONS,
            &[
                ("rows", |def| def.rows = u32::MAX),
                ("as many rows as there may be", |def| def.rows = 1 << 31),
                ("live rows", |def| def.live = u32::MAX),
                ("rows, all live", |def| (def.rows, def.live) = (u32::MAX, u32::MAX)),
                ("keys", |def| def.next_key = u64::MAX),
                ("its own number", |def| def.id.0 = u32::MAX),
                ("a view's number", |def| view(def).id.0 = u32::MAX),
                ("a view's rows", |def| view(def).rows = u32::MAX),
                ("a view's and its own rows", |def| (def.rows, view(def).rows) = (u32::MAX, u32::MAX)),
                ("a dimension", |def| view(def).dimension = Some(u32::MAX)),
                ("no dimension", |def| view(def).dimension = Some(0)),
                ("a revision", |def| view(def).revision = u64::MAX),
                ("rewritten texts of all rows", |def| {
                    def.rows = u32::MAX;
                    view(def).kind = ViewKind::TextFrom("texts".to_string());
                }),
                ("no first view", |def| def.views.clear()),
            ],
        );
        tried += endure_numbers(
            &tables::SEGMENTS,
            &[
                ("rows", |entry| entry.rows = u32::MAX),
                ("a first row", |entry| entry.first_row = u32::MAX),
                ("a dimension", |entry| entry.dimension = u32::MAX),
                ("no dimension", |entry| (entry.rows, entry.dimension) = (u32::MAX, 0)),
                ("a number", |entry| entry.id.0 = u32::MAX),
            ],
        );
        tried += endure_numbers(
            &tables::DERIVED,
            &[
                ("rows", |def| def.rows = u32::MAX),
                ("a dimension", |def| def.dimension = u32::MAX),
                ("a number", |def| def.id.0 = u32::MAX),
                ("a version", |def| def.lens_version = u32::MAX),
            ],
        );
        tried += endure_numbers(
            &tables::META,
            &[
                ("a commit", |meta| meta.commit.0 = u64::MAX),
                ("a generation", |meta| meta.generation = u64::MAX),
                ("all collections", |meta| meta.next_collection = u32::MAX),
                ("all views", |meta| meta.next_view = u32::MAX),
                ("all segments", |meta| meta.next_segment = u32::MAX),
            ],
        );
        tried += endure_numbers(&tables::LENSES, &[("a version", |lens| lens.version = u32::MAX)]);
        let all: RowSet = RowSet::from_range(0..65_536).packed();
        tried += replace(Sound::get(), &tables::LIVE, |rows| rows.clone_from(&all.encode()), 1)
            .iter()
            .map(|forged| endure(forged, &|| "all rows live".to_string()))
            .count();
        counted(tried, "numbers");
    }

    #[test]
    fn what_a_definition_claims_beyond_the_file_is_damage_for_readers_writers_and_check() {
        let claims: [fn(&mut CollectionDef); 5] = [
            |def| def.rows = u32::MAX,
            |def| def.rows += 100_000,
            |def| def.live += 1,
            |def| def.views[0].rows = def.rows + 1,
            |def| def.views[0].dimension = Some(u32::MAX),
        ];
        for (place, claim) in claims.into_iter().enumerate() {
            let forged = replace(Sound::get(), &tables::COLLECTIONS, claim, 1).remove(0);
            let store = Store::open_storage(Arc::new(forged), ops::options()).unwrap();
            let snapshot = store.snapshot().unwrap();
            let name = &snapshot.collections()[0].name;
            let read = snapshot.collection(name).map(drop);
            let mut batch = store.begin().unwrap();
            let written = batch.collection(name).and_then(|mut c| c.upsert(Record::new("x", "y")).map(drop));
            let counts_live = place == 2;
            for (who, answer) in [("a reader", read), ("a writer", written)] {
                match answer {
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "claim {place}, {who}: {error}"),
                    Ok(()) => assert!(counts_live && who == "a reader", "claim {place}: {who} has seen nothing"),
                }
            }
            let findings = store.check().unwrap().findings;
            let told = |finding: &crate::error::Damage| {
                finding.what.contains("number of") || finding.what.contains("dimension")
            };
            assert!(findings.iter().any(told), "claim {place}: {findings:?}");
        }
    }

    #[test]
    fn a_store_made_to_harm_ends_every_command() {
        let count = std::env::var("SIMILE_FORGED").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
        for seed in 1..=count {
            let mut dice = Dice::new(seed);
            let data: Vec<u8> = (0..10 * (1 + seed % 4)).map(|_| dice.below(256) as u8).collect();
            endure(&forge(&data), &|| format!("seed {seed}: {data:?}"));
        }
        counted(count as usize, "forged stores");
    }

    #[test]
    fn sealing_changes_nothing_of_a_sound_store() {
        let sound = Sound::get();
        let sealed = forge_with((&sound.files, &sound.folders), false, |_| {});
        let (files, _) = sealed.parts();
        assert!(files[CATALOG_FILE] == sound.files[CATALOG_FILE], "the checksums are not redb's");
        let sealed = forge_with((&sound.files, &sound.folders), true, |_| {});
        let store = Store::open_storage(Arc::new(sealed.copy()), ops::options()).unwrap();
        assert_eq!(store.check().unwrap().findings, []);
        let catalog = Catalog(sealed.parts().0[CATALOG_FILE].clone());
        let sound = Catalog(sound.files[CATALOG_FILE].clone());
        let (sealed, sound) = (catalog.all_leaves(), sound.all_leaves());
        assert_eq!(sealed.len(), sound.len());
        let heads = [PROJECTION_HEADS.name(), SAMPLE_HEADS.name()];
        assert!(heads.iter().all(|name| sound.iter().any(|leaf| leaf.table == *name)), "no heads were tried");
    }
}
