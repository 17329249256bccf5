//! What an app does to the library, with code of its own that fails: embedders, listeners and iterators that panic or
//! answer errors. Whatever happens in them, a batch commits all of it or nothing, and the store goes on.

use super::store::place;
use simile::store::{Batch, CollectionSpec, CollectionWriter, Options, Store, ViewSpec};
use simile::text::embed::Embedder;
use simile::types::{
    CancelToken, Control, LensDef, Metric, ProjectionDef, ProjectionRef, SampleDef, SampleVectors, Step,
};
use simile::{Error, ErrorKind, Filter, FindBuilder, Lens, Query, Record, Result, Session, Source, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

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
    let options = Options::new().embedder(embedder).default_embedder("fused").threads(3);
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
    let mut writer = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
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

/// A collection `wide` of vectors of 3,000 numbers with fields, and a lens and a sample to ask with.
fn wide(dimension: usize) -> (tempfile::TempDir, Store) {
    let (dir, path) = place();
    let store = Store::create(path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut writer = batch.create_collection("wide", CollectionSpec::new().supplied_vectors()).unwrap();
    for n in 0..5 {
        let vector = (0..dimension).map(|i| ((i * 7 + n * 13) % 31) as f32 - 15.0).collect();
        let record = Record::new(format!("r{n}"), "t").field("n", n as i64).field("tag", "x");
        writer.insert(record.vector("raw", vector)).unwrap();
    }
    batch.commit().unwrap();
    (dir, store)
}

/// A limit of the language: how it is broken in a text, how in Rust, and the code of the error.
type Broken = (String, Box<dyn Fn(FindBuilder) -> FindBuilder>, &'static str);

fn broken_limits() -> Vec<Broken> {
    fn lens(lens: Lens) -> Box<dyn Fn(FindBuilder) -> FindBuilder> {
        Box::new(move |find| find.lens(lens.clone()))
    }
    fn filter(filter: impl Fn() -> Filter + 'static) -> Box<dyn Fn(FindBuilder) -> FindBuilder> {
        Box::new(move |find| find.filter(filter()))
    }
    let nots = |count: usize| (0..count).fold(Filter::eq("n", 1), |filter, _| filter.not());
    let groups = |count: usize| {
        (0..count).fold(Filter::eq("n", 1), |inner, n| match n % 2 {
            0 => Filter::eq("n", 2).and(Filter::eq("n", 3).or(inner)),
            _ => Filter::eq("n", 4).and(inner).not(),
        })
    };
    let list = |count: usize| format!("where n in ({})", vec!["1"; count].join(","));
    vec![
        ("above nan".into(), Box::new(|find| find.above(f64::NAN)), "parse::bad_number"),
        ("above inf".into(), Box::new(|find| find.above(f64::INFINITY)), "parse::bad_number"),
        ("within -inf".into(), Box::new(|find| find.within(f64::NEG_INFINITY)), "parse::bad_number"),
        ("top 0".into(), Box::new(|find| find.top(0)), "parse::out_of_range"),
        ("top 1000001".into(), Box::new(|find| find.top(1_000_001)), "parse::out_of_range"),
        ("where n < nan".into(), filter(|| Filter::lt("n", f64::NAN)), "parse::bad_number"),
        ("where n != -inf".into(), filter(|| Filter::ne("n", f64::NEG_INFINITY)), "parse::bad_number"),
        ("where n in (1, nan)".into(), filter(|| Filter::one_of("n", [1.0, f64::NAN])), "parse::bad_number"),
        ("where n in ()".into(), filter(|| Filter::one_of("n", Vec::<i64>::new())), "parse::empty_list"),
        (list(10_001), filter(|| Filter::one_of("n", vec![1; 10_001])), "limit::list"),
        ("where n = null".into(), filter(|| Filter::eq("n", Value::Null)), "parse::null"),
        (format!("where {}n = 1", "not ".repeat(65)), filter(move || nots(65)), "limit::nesting"),
        (format!("where {}n = 1{}", "(".repeat(65), ")".repeat(65)), filter(move || nots(6_000)), "limit::nesting"),
        (format!("where {}n = 1{}", "(".repeat(200), ")".repeat(200)), filter(move || groups(200)), "limit::nesting"),
        (format!("where {}n = 1", "not ".repeat(9_000)), filter(move || groups(6_000)), "limit::nesting"),
        ("truncate 0".into(), lens(Lens::view("raw").truncate(0)), "parse::out_of_range"),
        ("truncate 65537".into(), lens(Lens::view("raw").truncate(65_537)), "parse::out_of_range"),
        ("whiten 0".into(), lens(Lens::view("raw").whiten(0)), "parse::out_of_range"),
        ("drop 65537".into(), lens(Lens::view("raw").drop_directions(65_537)), "parse::out_of_range"),
        ("score cosine csls 0 from s".into(), lens(Lens::view("raw").csls(0, "s")), "parse::out_of_range"),
    ]
}

#[test]
fn every_limit_is_the_same_in_a_text_and_in_rust_however_long_the_vector() {
    let (_dir, store) = wide(3_000);
    let snapshot = store.snapshot().unwrap();
    let vector: Vec<f32> = (0..3_000).map(|i| (i % 31) as f32 + 0.123_456_7).collect();
    let find = |source: Source| snapshot.find(source).in_collection("wide");
    for (text, build, code) in broken_limits() {
        let written = snapshot.query(&format!("find #r1 in wide | {text}")).unwrap_err();
        let shown = text.get(..60).unwrap_or(&text);
        assert_eq!(written.query().map(|error| error.code), Some(code), "{shown}: {written}");
        for source in [Source::id("r1"), Source::vector(&vector)] {
            let built = build(find(source)).run().unwrap_err();
            assert_eq!(built.query().map(|error| error.code), Some(code), "{shown}: {built}");
            assert_eq!(built.kind(), ErrorKind::Query);
        }
        let pairs = snapshot.pairs("wide");
        let pairs = match text.as_str() {
            "top 0" => pairs.top(0),
            "above nan" => pairs.above(f64::NAN),
            "where n < nan" => pairs.filter(Filter::lt("n", f64::NAN)),
            _ => continue,
        };
        assert_eq!(pairs.run().unwrap_err().query().map(|error| error.code), Some(code), "{shown}");
    }
    // What has no text of its own.
    let code = |find: FindBuilder| find.run().unwrap_err().query().map(|error| error.code);
    assert_eq!(code(find(Source::default())), Some("parse::expected"));
    assert_eq!(code(find(Source::vector(&[]))), Some("parse::empty_list"));
    assert_eq!(code(find(Source::vector(&[f32::NAN; 3_000]))), Some("parse::bad_number"));
    assert_eq!(code(find(Source::vector(&vec![1.0; 65_537]))), Some("limit::list"));
    assert_eq!(code(find(f64::NAN * Source::id("r1"))), Some("parse::bad_number"));
    assert_eq!(code(find(Source::param("1 x"))), Some("parse::bad_param"));
    assert_eq!(code(find(Source::id("r1")).lens(Lens::blend([(f64::NAN, "plain")]))), Some("parse::bad_number"));
    assert_eq!(code(find(Source::id("r1")).lens(Lens::blend([] as [(f64, &str); 0]))), Some("parse::expected"));
    let compared = find(Source::vector(&vector)).compare(["plain"]).unwrap_err();
    assert_eq!(compared.query().map(|error| error.code), Some("parse::expected"));
    // And what is allowed is allowed both ways.
    let deep = (0..64).fold(Filter::eq("n", 1), |filter, _| filter.not());
    let many = Filter::one_of("n", vec![1; 10_000]);
    for filter in [deep, many] {
        assert_eq!(find(Source::vector(&vector)).filter(filter.clone()).run().unwrap().hits().len(), 1);
        assert_eq!(find(Source::id("r3")).filter(filter).run().unwrap().hits().len(), 1);
    }
}

#[test]
fn filters_of_any_depth_neither_overflow_nor_slow_down() {
    let work = || {
        let mut filter = Filter::eq("n", 1);
        for n in 0..6_000 {
            filter = match n % 4 {
                0 => filter.not(),
                1 => Filter::is_null("tag").or(filter),
                2 => filter.and(Filter::has("list", "x")),
                _ => Filter::ge("n", n).and(filter),
            };
        }
        let again = filter.clone();
        assert_eq!(filter, again);
        assert!(format!("{again:?}").len() < 1 << 20);
        drop(filter);
        let (_dir, store) = wide(3);
        let find = store.snapshot().unwrap().find(Source::id("r1")).in_collection("wide").filter(again);
        assert_eq!(find.run().unwrap_err().query().map(|error| error.code), Some("limit::nesting"));
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_vector_of_twenty_thousand_numbers_is_searched_as_it_is() {
    let (_dir, store) = wide(20_000);
    let snapshot = store.snapshot().unwrap();
    let vector = snapshot.get("wide", "r1").unwrap().unwrap().views[0].vector.clone().unwrap();
    let lens = || Lens::view("raw").center_corpus().truncate(19_000).cosine();
    let find = |source: Source| {
        let found = snapshot.find(source).in_collection("wide").lens(lens()).including_self().top(5).run().unwrap();
        found.hits().iter().map(|hit| (hit.id().to_string(), hit.value().to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(find(Source::vector(&vector)), find(Source::id("r1")));
    assert_eq!(find(Source::vector(&vector))[0].0, "r1");
    let short = snapshot.find(Source::vector(&vector[1..])).in_collection("wide").run().unwrap_err();
    assert_eq!(short.query().map(|error| error.code), Some("resolve::vector_dimension"));
}

/// Runs one test of this program that is otherwise ignored, in a process of its own.
fn alone(test: &str) {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .args(["--exact", &format!("library::{test}"), "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn many_different_filters_stay_within_the_cache() {
    if cfg!(target_os = "linux") {
        alone("many_different_filters");
    }
}

/// Memory of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
#[ignore = "many_different_filters_stay_within_the_cache runs it in a process of its own"]
fn many_different_filters() {
    const CACHE: usize = 1 << 20;
    let (_dir, path) = place();
    let store = Options::new().lens_cache_bytes(CACHE).threads(1).create(path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut writer = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    for n in 0..20 {
        let record = Record::new(format!("r{n}"), "t").field("n", n as i64).field("tag", "x");
        writer.insert(record.vector("raw", vec![n as f32, 1.0])).unwrap();
    }
    batch.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let search = |n: usize| {
        let filter = Filter::eq("tag", format!("{n} {}", "y".repeat(400)));
        let find = snapshot.find(Source::id("r1")).in_collection("c");
        // Other lenses take room there, too.
        let lens = Lens::view("raw").truncate(1 + n as u32 % 2).dot();
        assert!(find.filter(filter).lens(lens).run().unwrap().hits().is_empty());
    };
    (0..4_000).for_each(search);
    let before = resident();
    (4_000..20_000).for_each(search);
    let grown = resident().saturating_sub(before);
    // The keys alone are 16,000 times 400 bytes.
    assert!(grown < 3 * CACHE, "{grown} bytes for a cache of {CACHE}");
    assert!(snapshot.cache().bytes() <= CACHE && snapshot.cache().bytes() > CACHE / 2);
}

#[test]
fn a_relative_path_is_meant_from_where_the_store_was_opened() {
    alone("a_relative_path");
}

#[test]
#[ignore = "a_relative_path_is_meant_from_where_the_store_was_opened runs it in a process of its own"]
fn a_relative_path() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::env::set_current_dir(here.path()).unwrap();
    let store = Store::create("t.simile").unwrap();
    std::env::set_current_dir(there.path()).unwrap();
    let mut batch = store.begin().unwrap();
    let mut writer = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    (0..100)
        .try_for_each(|n| writer.insert(Record::new(n.to_string(), "t").vector("raw", vec![n as f32, 1.0])))
        .unwrap();
    batch.commit().unwrap();
    assert_eq!(store.snapshot().unwrap().query("find #3 in c | top 2").unwrap().run().unwrap().hits().len(), 2);
    store.begin().unwrap().collection("c").unwrap().remove("1").unwrap();
    store.compact().unwrap();
    assert!(store.check().unwrap().is_ok());
    // What a killed command has left beside it is found as well.
    let left = here.path().join("t.simile.new-7");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("catalog.redb"), "half of one").unwrap();
    let (notes, leftovers) = (store.check().unwrap().notes, store.info().unwrap().leftovers);
    assert!(notes.iter().any(|note| note.contains("t.simile.new-7")), "{notes:?}");
    assert!(leftovers.iter().any(|note| note.contains("t.simile.new-7")), "{leftovers:?}");
    std::fs::remove_dir_all(&left).unwrap();
    let moves = here.path().to_path_buf();
    let control = Control::new().on_progress(move |_| std::env::set_current_dir(&moves).unwrap());
    store.backup_with("copy.simile", &control).unwrap();
    let beside = |folder: &std::path::Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!((beside(here.path()), beside(there.path())), (1, 1), "each is where it was meant");
    assert!(Store::open(there.path().join("copy.simile")).unwrap().check().unwrap().is_ok());
}

#[test]
fn waits_and_threads_without_measure_are_taken_for_what_there_is() {
    let (_dir, path) = place();
    let options = || Options::new().busy_timeout(Duration::MAX).threads(20_000);
    let store = options().create(&path).unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(store.threads(), (8 * cores).max(64));
    let mut batch = store.begin().unwrap();
    let waiting = std::thread::spawn({
        let store = store.clone();
        move || store.begin().and_then(|batch| batch.commit())
    });
    batch.collection("c").unwrap().insert(Record::new("a", "one")).unwrap();
    batch.collection("c").unwrap().insert(Record::new("b", "two")).unwrap();
    batch.commit().unwrap();
    waiting.join().unwrap().unwrap();
    let reader = options().read_only(true).open(&path).unwrap();
    for store in [&store, &reader] {
        assert_eq!(store.snapshot().unwrap().query("find #a in c").unwrap().run().unwrap().hits().len(), 1);
    }
    assert_eq!(Options::new().threads(0).read_only(true).open(&path).unwrap().threads(), 1);
}

#[test]
fn caches_of_any_size_and_texts_of_any_length_are_taken_or_refused() {
    let (_dir, path) = place();
    Store::create(&path).unwrap();
    for (pages, lenses) in [(0, 0), (1, 1), (usize::MAX, usize::MAX)] {
        let store = Options::new().cache_bytes(pages).lens_cache_bytes(lenses).open(&path).unwrap();
        let mut batch = store.begin().unwrap();
        batch.collection("c").unwrap().upsert(Record::new("a", format!("one {pages}"))).unwrap();
        batch.collection("c").unwrap().upsert(Record::new("b", "two")).unwrap();
        batch.commit().unwrap();
        let snapshot = store.snapshot().unwrap();
        let find = |source: Source| snapshot.find(source).in_collection("c").lens(Lens::view("raw").center_corpus());
        assert_eq!(find(Source::id("a")).run().unwrap().hits().len(), 1);
        let long = "x ".repeat((8 << 20) + 1);
        let code = |result: Result<simile::Answer>| result.unwrap_err().query().map(|error| error.code);
        assert_eq!(code(find(Source::text(&long)).run()), Some("limit::text"));
        assert_eq!(code(find(Source::param("q")).bind("q", long).run()), Some("limit::text"));
    }
}

#[test]
fn a_copy_is_never_made_inside_a_store() {
    let app = app();
    for inside in [app.store.path().join("copy.simile"), app.store.path().join("segments").join("copy.simile")] {
        assert_eq!(app.store.backup(&inside).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(Store::create(&inside).unwrap_err().kind(), ErrorKind::Invalid);
        assert!(!inside.exists());
    }
    goes_on(&app, "a copy inside");
}

#[test]
fn a_name_of_no_embedder_is_found_out_at_once() {
    let (_dir, path) = place();
    let error = Options::new().default_embedder("typo").create(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("no embedder \"typo\"") && !path.exists(), "{error}");
    Store::create(&path).unwrap();
    assert_eq!(Options::new().default_embedder("typo").open(&path).unwrap_err().kind(), ErrorKind::Unsupported);
    #[derive(Debug)]
    struct Flat;
    impl Embedder for Flat {
        fn name(&self) -> &str {
            "flat"
        }

        fn dimension(&self) -> usize {
            0
        }

        fn embed(&self, _: &[&str], _: &mut Vec<f32>) -> Result<()> {
            Ok(())
        }
    }
    let error = Options::new().embedder(Arc::new(Flat)).open(&path).unwrap_err();
    assert!(error.message().contains("0 dimensions"), "{error}");
}

#[test]
fn what_a_saved_lens_is_made_of_stays_and_what_it_cannot_be_is_refused() {
    let (_dir, store) = wide(6);
    let mut batch = store.begin().unwrap();
    let matrix = |name: &str, rows: u32| ProjectionDef {
        name: name.into(),
        rows,
        columns: 6,
        query: (0..6 * rows).map(|n| n as f32).collect(),
        record: None,
        origin: "made up".into(),
        fitted_on: None,
    };
    batch.put_projection(matrix("two", 2)).unwrap();
    batch.put_projection(matrix("three", 3)).unwrap();
    let collection = store.snapshot().unwrap().collection("wide").unwrap().def().id;
    let vectors = Some(SampleVectors { view: "raw".into(), dimension: 6, data: vec![1.0; 6] });
    let (ids, texts) = (vec!["q".into()], vec![String::new()]);
    batch.put_sample(SampleDef { ids, texts, vectors, ..SampleDef::new("some", collection) }).unwrap();
    let project = |name: &str| Step::Project(ProjectionRef::One(name.into()));
    let pair = |a: &str, b: &str| Step::Project(ProjectionRef::Pair(a.into(), b.into()));
    let lens = |view: &str, steps: Vec<Step>| LensDef { view: view.into(), steps, ..LensDef::default() };
    let csls =
        |metric, csls: (u32, &str)| LensDef { metric, csls: Some((csls.0, csls.1.into())), ..LensDef::default() };
    let metric = |metric, steps| LensDef { metric, steps, ..LensDef::default() };
    use ErrorKind::{Invalid, NotFound};
    for (refused, kind, words) in [
        (lens("no such view", vec![]), NotFound, "there is no view \"no such view\" (views: raw)"),
        (lens("rav", vec![]), NotFound, "did you mean \"raw\"?"),
        (lens("raw", vec![Step::Truncate(0)]), Invalid, "`truncate 0`"),
        (lens("raw", vec![Step::Truncate(7)]), Invalid, "it keeps 7 dimensions, but its input has 6"),
        (lens("raw", vec![Step::Whiten(Some(0))]), Invalid, "`whiten 0`"),
        (lens("raw", vec![Step::Drop(0)]), Invalid, "`drop 0`"),
        (lens("raw", vec![Step::Drop(6)]), Invalid, "it removes 6 directions"),
        (lens("raw", vec![project("four")]), NotFound, "there is no projection \"four\""),
        (lens("raw", vec![pair("two", "four")]), NotFound, "there is no projection \"four\""),
        (lens("raw", vec![pair("two", "three")]), Invalid, "project two -> three"),
        (lens("raw", vec![project("two"), project("two")]), Invalid, "its input has 2"),
        (lens("raw", vec![Step::Truncate(4), project("two")]), Invalid, "its input has 4"),
        (lens("raw", vec![Step::CenterSides("asked".into())]), NotFound, "there is no sample \"asked\""),
        (csls(Metric::Cosine, (3, "asked")), NotFound, "there is no sample \"asked\""),
        (csls(Metric::Euclidean, (3, "some")), Invalid, "a distance"),
        (csls(Metric::Cosine, (0, "some")), Invalid, "a number of neighbours"),
        (csls(Metric::Cosine, (3, "some")), Invalid, "takes at least 3 queries; sample some has 1"),
        (metric(Metric::Probability, vec![]), Invalid, "score probability"),
        (metric(Metric::Levenshtein, vec![Step::Center]), Invalid, "`center` works on vectors"),
    ] {
        let error = batch.put_lens("l", refused.clone(), Vec::new()).unwrap_err();
        assert_eq!(error.kind(), kind, "{refused:?}: {error}");
        assert!(error.message().contains(words) && error.message().contains("lens l"), "{refused:?}: {error}");
    }
    batch.put_lens("l", lens("raw", vec![Step::Truncate(6), project("two")]), Vec::new()).unwrap();
    batch.put_lens("m", lens("raw", vec![Step::CenterSides("some".into())]), Vec::new()).unwrap();
    let error = batch.drop_projection("two").unwrap_err();
    assert!(error.message().contains("saved lens l: drop the lens first"), "{error}");
    assert!(batch.put_projection(matrix("two", 4)).unwrap_err().message().contains("saved lens l"));
    assert!(batch.drop_sample("some").unwrap_err().message().contains("saved lens m"));
    assert!(batch.drop_projection("three").unwrap());
    batch.commit().unwrap();
    let mut batch = store.begin().unwrap();
    assert!(batch.drop_projection("two").is_err(), "of an earlier batch, too");
    assert!(batch.drop_lens("l").unwrap() && batch.drop_projection("two").unwrap());
}

#[test]
fn a_snapshot_held_while_the_store_moves_says_that_it_moved() {
    let (_dir, store) = wide(8);
    let (path, elsewhere) = (store.path().to_path_buf(), store.path().with_file_name("elsewhere.simile"));
    let snapshot = store.snapshot().unwrap();
    std::fs::rename(&path, &elsewhere).unwrap();
    let moved = |error: simile::Error| {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.message().contains("moved, removed or replaced"), "{error}");
    };
    moved(snapshot.query("find #r1 in wide").unwrap().run().unwrap_err());
    moved(snapshot.get("wide", "r1").unwrap_err());
    moved(store.snapshot().unwrap_err());
    moved(store.begin().unwrap_err());
    // Another store in its place is another store.
    Store::create(&path).unwrap();
    moved(snapshot.query("find #r1 in wide").unwrap().run().unwrap_err());
    assert!(Store::open_read_only(&elsewhere).unwrap().check().unwrap().is_ok());
}

#[test]
fn snapshots_that_hold_older_commits_are_told() {
    let app = app();
    let (first, again) = (app.store.snapshot().unwrap(), app.store.snapshot().unwrap());
    assert!(app.store.info().unwrap().held.is_empty(), "the newest commit holds nothing back");
    for n in 1..4 {
        let mut batch = app.store.begin().unwrap();
        batch.collection("c").unwrap().insert(record(n)).unwrap();
        batch.commit().unwrap();
    }
    let held = || app.store.info().unwrap().held.iter().map(|(commit, _)| commit.0).collect::<Vec<_>>();
    assert_eq!(held(), [1]);
    drop(first);
    assert_eq!(held(), [1]);
    drop(again);
    assert!(held().is_empty());
}

#[test]
fn whoever_stops_a_lens_is_heard_between_pieces_of_its_statistics() {
    let (_dir, store) = wide(300);
    let token = CancelToken::new();
    token.cancel();
    let stopped = || Control::new().cancelled_by(token.clone());
    let snapshot = store.snapshot().unwrap();
    let find =
        || snapshot.find(Source::id("r1")).in_collection("wide").lens(Lens::view("raw").whiten(4)).control(stopped());
    let is_cancelled = |error: simile::Error| assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    is_cancelled(find().run().unwrap_err());
    is_cancelled(find().why("r2").unwrap_err());
    is_cancelled(snapshot.pairs("wide").lens(Lens::view("raw").whiten(4)).control(stopped()).run().unwrap_err());
    let mut session = Session::new(&store);
    session.set_control(stopped());
    for statement in
        ["let l = whiten 4", "find #r1 in wide | drop 2 | where n > 1", "why #r2: find #r1 in wide | whiten"]
    {
        is_cancelled(session.run(statement).unwrap_err());
    }
    assert!(store.snapshot().unwrap().lens("l").unwrap().is_none());
}
