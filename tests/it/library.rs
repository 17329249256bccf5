//! What an app does to the library, with code of its own that fails: embedders, listeners and iterators that panic or
//! answer errors. Whatever happens in them, a batch commits all of it or nothing, and the store goes on.

use super::store::place;
use simile::store::{Batch, CollectionWriter, Store, ViewSpec};
use simile::text::embed::Embedder;
use simile::types::{CancelToken, Control};
use simile::{Error, ErrorKind, Query, Record, Result, Session, Source};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

/// What the app's own code does at its n-th call, counted down.
#[derive(Debug, Default)]
struct Fuse {
    panics: AtomicI64,
    fails: AtomicI64,
}

impl Fuse {
    fn burn(&self) -> Result<()> {
        assert!(self.panics.fetch_sub(1, SeqCst) != 1, "the app's own code panics");
        match self.fails.fetch_sub(1, SeqCst) {
            1 => Err(Error::new(ErrorKind::Io, "the app's own code does not answer")),
            _ => Ok(()),
        }
    }
}

/// Vectors of two numbers, from an embedder with a fuse.
#[derive(Debug)]
struct Fused(Arc<Fuse>);

impl Embedder for Fused {
    fn name(&self) -> &str {
        "fused"
    }

    fn dimension(&self) -> usize {
        2
    }

    fn embed(&self, texts: &[&str], out: &mut Vec<f32>) -> Result<()> {
        self.0.burn()?;
        out.extend(texts.iter().flat_map(|text| [text.len() as f32, 1.0]));
        Ok(())
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::new(ErrorKind::Unsupported, "panicked")))
}

struct App {
    _dir: tempfile::TempDir,
    store: Store,
    fuse: Arc<Fuse>,
}

/// A store of one record and two views: `raw` by the fused embedder, `image` supplied.
fn app() -> App {
    let ((dir, path), fuse) = (place(), Arc::new(Fuse::default()));
    let embedder = Arc::new(Fused(Arc::clone(&fuse)));
    let options = simile::store::Options::new().embedder(embedder).default_embedder("fused").threads(3);
    let store = options.create(path).unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap();
    batch.add_view("c", ViewSpec::vectors_only("image")).unwrap();
    batch.collection("c").unwrap().insert(record(0)).unwrap();
    batch.commit().unwrap();
    App { _dir: dir, store, fuse }
}

fn record(n: usize) -> Record {
    Record::new(format!("n{n}"), format!("text {n}")).vector("image", vec![n as f32, 1.0, 2.0])
}

/// A batch that says so at every later call, commits nothing, and leaves the store as it was.
fn is_broken(app: &App, mut batch: Batch, kind: ErrorKind, what: &str) {
    let said = |result: Result<()>, call: &str| {
        let error = result.expect_err(call);
        assert_eq!(error.kind(), kind, "{what}: {call}: {error}");
        assert!(error.message().contains("begin another"), "{what}: {call}: {error}");
    };
    said(batch.collection("c").map(drop), "collection");
    said(batch.collection("new").map(drop), "collection");
    said(batch.has_collection("c").map(drop), "has_collection");
    said(batch.add_view("c", ViewSpec::vectors_only("more")), "add_view");
    said(batch.embed("c", None).map(drop), "embed");
    said(batch.drop_projection("p").map(drop), "drop_projection");
    said(batch.drop_lens("l").map(drop), "drop_lens");
    said(batch.drop_sample("s").map(drop), "drop_sample");
    said(batch.commit().map(drop), "commit");
    goes_on(app, what);
}

/// The store is at its first commit, sound, and takes the next batch whole.
fn goes_on(app: &App, what: &str) {
    let commit = app.store.snapshot().unwrap().commit();
    let mut batch = app.store.begin().unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut writer = batch.collection("c").unwrap();
    for n in 0..3 {
        writer.upsert(record(n)).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    drop(batch);
    assert_eq!(app.store.snapshot().unwrap().commit(), commit, "{what}");
    assert_eq!(app.store.snapshot().unwrap().collection("c").unwrap().live().len(), 1, "{what}");
    let report = app.store.check().unwrap();
    assert!(report.is_ok(), "{what}: {report:?}");
}

type Call = fn(&mut CollectionWriter<'_>, usize) -> Result<()>;

#[test]
fn an_embedder_that_panics_at_a_flush_loses_no_vector_of_a_commit() {
    let app = app();
    app.fuse.panics.store(1, SeqCst);
    let mut batch = app.store.begin().unwrap();
    let mut writer = batch.collection("c").unwrap();
    let (mut taken, mut refused) = (0, 0);
    for n in 1..9_051 {
        match caught(|| writer.insert(record(n))) {
            Ok(()) => taken += 1,
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Broken, "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!((taken, refused), (8_191, 858), "the flush panicked, and every insert behind it said so");
    is_broken(&app, batch, ErrorKind::Broken, "a flush");
}

#[test]
fn a_panic_or_an_error_of_an_embedder_breaks_the_batch_wherever_it_embeds() {
    // Inserting embeds at every 8,192nd record, a look at a pending vector at once, `embed` when it is asked.
    let fill: Call = |writer, first| (first..first + 8_192).try_for_each(|n| writer.insert(record(n)));
    let look: Call = |writer, _| writer.set_vector("n1", "raw", vec![9.0, 9.0]).map(drop);
    let update: Call = |writer, _| writer.update(record(1).field("a", 1)).map(drop);
    let skip: Call = |writer, _| writer.insert_or_skip(record(1).vector("raw", vec![1.0, 1.0])).map(drop);
    for (what, call) in [("insert", fill), ("set_vector", look), ("update", update), ("insert_or_skip", skip)] {
        for panics in [true, false] {
            let app = app();
            let mut batch = app.store.begin().unwrap();
            batch.collection("c").unwrap().insert(record(1)).unwrap();
            let fuse = if panics { &app.fuse.panics } else { &app.fuse.fails };
            fuse.store(1, SeqCst);
            let error = caught(|| call(&mut batch.collection("c").unwrap(), 2)).unwrap_err();
            let expected = if panics { ErrorKind::Unsupported } else { ErrorKind::Io };
            assert_eq!(error.kind(), expected, "{what}: {error}");
            is_broken(&app, batch, ErrorKind::Broken, what);
        }
    }
    for panics in [true, false] {
        let app = app();
        let mut batch = app.store.begin().unwrap();
        batch.collection("c").unwrap().no_embed(true).insert(record(1)).unwrap();
        let fuse = if panics { &app.fuse.panics } else { &app.fuse.fails };
        fuse.store(1, SeqCst);
        caught(|| batch.embed("c", None)).unwrap_err();
        is_broken(&app, batch, ErrorKind::Broken, "embed");
        let mut batch = app.store.begin().unwrap();
        batch.collection("c").unwrap().insert(record(1)).unwrap();
        fuse.store(1, SeqCst);
        caught(|| batch.commit()).unwrap_err();
        goes_on(&app, "commit");
    }
}

#[test]
fn a_listener_that_panics_leaves_everything_or_nothing() {
    let app = app();
    let panics = || Control::new().on_progress(|_| panic!("the listener panics"));
    let mut batch = app.store.begin_with(panics()).unwrap();
    let many = (1..8_193).map(record);
    caught(|| batch.collection("c").unwrap().insert_many(many)).unwrap_err();
    is_broken(&app, batch, ErrorKind::Broken, "a listener at a flush");
    let mut batch = app.store.begin_with(panics()).unwrap();
    batch.collection("c").unwrap().no_embed(true).insert(record(1)).unwrap();
    caught(|| batch.embed("c", Some("raw"))).unwrap_err();
    is_broken(&app, batch, ErrorKind::Broken, "a listener of embed");
    let mut batch = app.store.begin_with(panics()).unwrap();
    batch.collection("c").unwrap().insert(record(1)).unwrap();
    caught(|| batch.commit()).unwrap_err();
    goes_on(&app, "a listener of commit");

    let to = app.store.path().with_file_name("copy.simile");
    caught(|| app.store.backup_with(&to, &panics())).unwrap_err();
    let beside: Vec<_> = std::fs::read_dir(to.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside, ["t.simile"], "nothing is left of the copy");
    caught(|| app.store.check_with(&panics())).unwrap_err();
    caught(|| Store::salvage(app.store.path(), &to, &panics())).unwrap_err();
    let beside: Vec<_> = std::fs::read_dir(to.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside, ["t.simile"], "nothing is left of the salvaged store");
    goes_on(&app, "a listener of backup, check and salvage");
}

#[test]
fn a_listener_that_panics_while_a_store_is_compacted_leaves_it_whole() {
    let ((_dir, path), count) = (place(), 6_000);
    let store = Store::create(path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut writer = batch.create_collection("c", simile::store::CollectionSpec::new().supplied_vectors()).unwrap();
    for n in 0..count {
        writer.insert(Record::new(n.to_string(), "t").vector("raw", vec![n as f32, 1.0])).unwrap();
    }
    batch.commit().unwrap();
    let mut batch = store.begin().unwrap();
    for n in (0..count).step_by(2) {
        batch.collection("c").unwrap().remove(&n.to_string()).unwrap();
    }
    batch.commit().unwrap();
    let panics = Control::new().on_progress(|_| panic!("the listener panics"));
    caught(|| store.compact_with(&panics)).unwrap_err();
    assert!(store.check().unwrap().is_ok());
    assert_eq!(store.compact().unwrap().rows_removed, count as u64 / 2);
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn a_batch_that_a_panic_passes_by_is_undone_to_the_last_page() {
    let app = app();
    for _ in 0..3 {
        let passed = caught(|| {
            let mut batch = app.store.begin()?;
            batch.collection("c")?.insert(record(1))?;
            batch.collection("new")?.insert(Record::new("n", "text"))?;
            panic!("the app panics");
            #[expect(unreachable_code, reason = "it names the type")]
            Ok(batch)
        });
        passed.unwrap_err();
        goes_on(&app, "a panic beside the batch");
    }
}

#[test]
fn an_iterator_that_panics_breaks_the_batch() {
    let app = app();
    let mut batch = app.store.begin().unwrap();
    let records = (1..100).map(|n| if n < 50 { record(n) } else { panic!("the iterator panics") });
    caught(|| batch.collection("c").unwrap().insert_many(records)).unwrap_err();
    is_broken(&app, batch, ErrorKind::Broken, "an iterator");
}

#[test]
fn a_refused_record_or_call_changes_nothing_and_the_batch_goes_on() {
    let app = app();
    let mut batch = app.store.begin().unwrap();
    assert_eq!(batch.embed("c", Some("no such view")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(batch.embed("c", Some("image")).unwrap_err().kind(), ErrorKind::Invalid);
    let mut writer = batch.collection("new").unwrap();
    // A raw vector with the first record makes the view one of supplied vectors, but not if the record is refused.
    let error = writer.update(Record::new("none", "t").vector("raw", vec![1.0, 2.0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(writer.def().views[0].embedder.as_deref(), Some("fused"));
    writer.insert(Record::new("n1", "four")).unwrap();
    batch.commit().unwrap();
    let found = app.store.snapshot().unwrap().get("new", "n1").unwrap().unwrap();
    assert_eq!(found.views[0].vector.as_deref(), Some(&[4.0, 1.0][..]));
}

#[test]
fn a_cancelled_batch_says_that_it_was_cancelled() {
    let app = app();
    let token = CancelToken::new();
    let mut batch = app.store.begin_with(Control::new().cancelled_by(token.clone())).unwrap();
    batch.collection("c").unwrap().no_embed(true).insert(record(1)).unwrap();
    token.cancel();
    assert_eq!(batch.embed("c", None).unwrap_err().kind(), ErrorKind::Cancelled);
    is_broken(&app, batch, ErrorKind::Cancelled, "cancelled");
}

#[test]
fn a_search_whose_code_panics_on_any_thread_leaves_the_store_usable() {
    let app = app();
    let mut batch = app.store.begin().unwrap();
    batch.collection("c").unwrap().insert_many((1..300).map(record)).unwrap();
    batch.commit().unwrap();
    let snapshot = app.store.snapshot().unwrap();
    let query = || -> Query { snapshot.query("find $q in c | center corpus | top 3").unwrap() };
    let values: Vec<simile::Param> = (0..700).map(|n| format!("question {n}").into()).collect();
    let wanted = query().run_batch(&values).unwrap();
    // Texts are embedded 256 at a time on threads of the pool: each of the calls panics once.
    for call in 1..4 {
        app.fuse.panics.store(call, SeqCst);
        caught(|| query().run_batch(&values).map(drop)).unwrap_err();
        let found = query().run_batch(&values).unwrap();
        let ids = |answers: &[simile::Answer]| -> Vec<String> {
            answers.iter().flat_map(|answer| answer.hits().iter().map(|hit| hit.id().to_string())).collect()
        };
        assert_eq!(ids(&found), ids(&wanted));
    }
    app.fuse.panics.store(1, SeqCst);
    caught(|| snapshot.find(Source::text("a")).in_collection("c").run().map(drop)).unwrap_err();
    let mut session = Session::new(&app.store);
    app.fuse.panics.store(1, SeqCst);
    caught(|| session.run("find \"a\" in c").map(drop)).unwrap_err();
    session.run("find \"a\" in c").unwrap();
    session.set_control(Control::new().on_progress(|_| panic!("the listener panics")));
    caught(|| session.run("pairs in c | top 3").map(drop)).unwrap_err();
    session.set_control(Control::new());
    session.run("pairs in c | top 3").unwrap();
    assert!(app.store.check().unwrap().is_ok());
}
