//! Crashes and failures of a store at every operation of a list of steps.
//!
//! [`Recording`] carries the steps out once on storage that writes down what is done; from that, the folder can be
//! shown as any loss of power at any operation leaves it. [`fails_at`] carries them out on storage that fails. Either
//! way the store must open as it was before or after the commit that was under way, with every acknowledged one, whole,
//! and take the next commits.

use super::ops::{self, Change, Model, Step};
use super::{accounts, learned};
use crate::error::ErrorKind;
use crate::storage::disk::{Dice, Disk, Loss};
use crate::storage::fault::{Fault, Plan};
use crate::storage::{FaultStorage, MemoryStorage, Storage};
use crate::store::Store;
use std::sync::Arc;

/// A state that a step left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// Operations when it was acknowledged.
    operations: usize,
    shown: String,
}

/// What a list of steps did.
pub(super) struct Recording {
    storage: FaultStorage,
    trace: Vec<crate::storage::disk::Operation>,
    states: Vec<State>,
}

fn shown(store: &Store) -> String {
    let snapshot = store.snapshot().expect("a snapshot");
    accounts::shown(&snapshot).expect("a snapshot that can be read")
}

/// An empty store.
pub(super) fn empty() -> MemoryStorage {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    drop(Store::create_storage(&storage, ops::options()).expect("a new store"));
    memory
}

fn open(storage: &Arc<dyn Storage>) -> crate::Result<Store> {
    Store::open_storage(Arc::clone(storage), ops::options())
}

/// Carries out `steps` on the store in `memory`.
pub(super) fn carry_out(memory: &MemoryStorage, steps: &[Step]) {
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let mut store = Some(open(&storage).expect("a store"));
    let mut model = Model::new();
    for step in steps {
        take(&mut store, &storage, step, &mut model).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }
}

/// Carries out one step.
fn take(store: &mut Option<Store>, storage: &Arc<dyn Storage>, step: &Step, model: &mut Model) -> crate::Result<()> {
    match (step, store.as_ref()) {
        (Step::Batch(changes, keep), Some(store)) => ops::run_batch(store, changes, *keep, model),
        (Step::Compact, Some(store)) => store.compact().map(drop),
        (Step::Reopen, _) | (_, None) => {
            *store = None;
            *store = Some(open(storage)?);
            Ok(())
        }
    }
}

impl Recording {
    /// Carries out `steps`, none of which fails, held against the model after each.
    pub(super) fn of(start: &MemoryStorage, steps: &[Step], plan: Plan) -> Recording {
        let faulty = FaultStorage::new(start.copy());
        faulty.clock().set(plan);
        let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
        let mut store = Some(open(&storage).expect("a store"));
        let mut model = accounts::records(&store.as_ref().expect("an open store").snapshot().expect("a snapshot"))
            .expect("records");
        let mut states = vec![State { operations: 0, shown: shown(store.as_ref().expect("an open store")) }];
        for step in steps {
            take(&mut store, &storage, step, &mut model).unwrap_or_else(|error| panic!("{step:?}: {error}"));
            let open = store.as_ref().expect("an open store");
            let found = accounts::records(&open.snapshot().expect("a snapshot")).expect("records");
            assert!(found == model, "after {step:?}: {found:?} where {model:?} should be");
            learned::stand(&open.snapshot().expect("a snapshot")).expect("learned lenses");
            accounts::search_both(&open.snapshot().expect("a snapshot"), &model)
                .unwrap_or_else(|error| panic!("after {step:?}: {error}"));
            let report = open.check().unwrap_or_else(|error| panic!("after {step:?}: {error}"));
            assert!(report.is_ok(), "after {step:?}: {:?}", report.findings);
            let state = State { operations: faulty.clock().operations() as usize, shown: shown(open) };
            if states.last().is_some_and(|last| last.shown == state.shown) {
                continue;
            }
            assert!(*step != Step::Compact, "compacting changed what is shown");
            states.push(state);
        }
        drop(store);
        let trace = faulty.clock().trace();
        Recording { storage: faulty, trace, states }
    }

    /// Number of places where the power can fail.
    pub(super) fn len(&self) -> usize {
        self.trace.len()
    }

    /// Shows every state of the medium from `first` on to `visit`, each `every` operations.
    pub(super) fn walk(&self, first: usize, every: usize, mut visit: impl FnMut(usize, &Disk)) {
        let mut disk = self.storage.disk();
        for (done, operation) in self.trace.iter().enumerate() {
            if done >= first && (done - first).is_multiple_of(every) {
                visit(done, &disk);
            }
            disk.apply(operation);
        }
        visit(self.trace.len(), &disk);
    }

    /// The store after a loss of power when `done` operations were done: before or after the step under way.
    pub(super) fn check(&self, done: usize, disk: &Disk, loss: Loss, seed: u64) {
        let what = || format!("after {done} operations, {loss:?}, seed {seed}");
        let left = disk.after(loss, &mut Dice::new(seed));
        let acknowledged = self.states.iter().rposition(|state| state.operations <= done).unwrap_or(0);
        let possible = &self.states[acknowledged..self.states.len().min(acknowledged + 2)];
        holds(&left, &possible.iter().map(|state| state.shown.as_str()).collect::<Vec<_>>(), &what);
    }
}

/// A store that opens, shows one of `possible`, passes its check and takes commits.
fn holds(left: &MemoryStorage, possible: &[&str], what: &dyn Fn() -> String) {
    let storage: Arc<dyn Storage> = Arc::new(left.clone());
    let store = open(&storage).unwrap_or_else(|error| panic!("{}: {error}", what()));
    let found = shown(&store);
    assert!(possible.contains(&found.as_str()), "{}: found\n{found}instead of\n{}", what(), possible.join("or\n"));
    learned::stand(&store.snapshot().expect("a snapshot")).unwrap_or_else(|error| panic!("{}: {error}", what()));
    let report = store.check().unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert!(report.is_ok(), "{}: {:?}", what(), report.findings);
    assert!(
        report.notes.is_empty() || report.notes.iter().all(|note| note.contains("wait")),
        "{}: {:?}",
        what(),
        report.notes
    );
    let mut model = accounts::records(&store.snapshot().expect("a snapshot")).expect("records");
    let next = [Change::Put { collection: 0, id: 99, text: 1, vector: 3, embed: true }];
    for step in [Step::Batch(next.to_vec(), true), Step::Compact] {
        let mut open = Some(store.clone());
        take(&mut open, &storage, &step, &mut model).unwrap_or_else(|error| panic!("{}: {step:?}: {error}", what()));
    }
    let found = accounts::records(&store.snapshot().expect("a snapshot")).expect("records");
    assert!(found == model, "{}: the next commits", what());
    let report = store.check().unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert!(report.is_ok(), "{}: after the next commits: {:?}", what(), report.findings);
}

/// Carries `steps` out on storage that fails as planned; false once nothing fails any more.
pub(super) fn fails_at(start: &MemoryStorage, steps: &[Step], plan: Plan, loss: Loss) -> bool {
    let what = || format!("{plan:?}, {loss:?}");
    let faulty = FaultStorage::new(start.copy());
    faulty.clock().set(plan);
    let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
    let mut model = Model::new();
    let mut store = open(&storage).ok();
    let opened = store.as_ref().and_then(|store| store.snapshot().ok());
    // Where not even a snapshot can be had, nothing is changed.
    let taken = if opened.is_some() { steps } else { &[] };
    model.extend(opened.iter().flat_map(|snapshot| accounts::records(snapshot).expect("records")));
    drop(opened);
    let mut possible = vec![shown(&open(&(Arc::new(start.copy()) as Arc<dyn Storage>)).expect("the store as it was"))];
    for step in taken {
        if let Err(error) = take(&mut store, &storage, step, &mut model) {
            assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::ReadOnly), "{}: {step:?}: {error}", what());
            // What the step would have made of it counts as well.
            possible.push(after(start, steps, step));
            reads_on(store.as_ref(), &possible, &what);
            break;
        }
        let snapshot = store.as_ref().and_then(|store| store.snapshot().ok());
        let found = snapshot.and_then(|snapshot| accounts::shown(&snapshot).ok());
        possible = vec![found.unwrap_or_else(|| after(start, steps, step))];
    }
    drop(store);
    faulty.clock().set(Plan::Nothing);
    let mut disk = faulty.disk();
    faulty.clock().trace().iter().for_each(|operation| disk.apply(operation));
    let left = disk.after(loss, &mut Dice::new(faulty.clock().operations()));
    holds(&left, &possible.iter().map(String::as_str).collect::<Vec<_>>(), &what);
    faulty.clock().has_fired()
}

/// After a failed write a store that is still open shows one of `possible`, and a check of it passes.
fn reads_on(store: Option<&Store>, possible: &[String], what: &dyn Fn() -> String) {
    let Some(store) = store else { return };
    let snapshot = store.snapshot().unwrap_or_else(|error| panic!("{}: no snapshot: {error}", what()));
    let found = accounts::shown(&snapshot).unwrap_or_else(|error| panic!("{}: reading on: {error}", what()));
    assert!(possible.contains(&found), "{}: reading on, found\n{found}instead of\n{}", what(), possible.join("or\n"));
    let report = store.check().unwrap_or_else(|error| panic!("{}: a check after it: {error}", what()));
    assert!(report.is_ok(), "{}: {:?}", what(), report.findings);
}

/// What the store shows after `steps` up to and with `last`, without a failure.
fn after(start: &MemoryStorage, steps: &[Step], last: &Step) -> String {
    let storage: Arc<dyn Storage> = Arc::new(start.copy());
    let mut store = open(&storage).ok();
    let mut model = Model::new();
    for step in steps {
        take(&mut store, &storage, step, &mut model).unwrap_or_else(|error| panic!("{step:?}: {error}"));
        if std::ptr::eq(step, last) {
            break;
        }
    }
    shown(store.as_ref().expect("an open store"))
}

/// Full disks and dead devices, as tests choose among them.
pub(super) const FAULTS: [Fault; 2] = [Fault::Error, Fault::DiskFull];
