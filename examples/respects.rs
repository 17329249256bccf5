//! One store, one question, three meanings of "similar".
//!
//! Run with `cargo run --release --example respects`.
#![allow(clippy::disallowed_methods, reason = "an app of its own clears up with the standard library")]

use simile::{Lens, Record, Source, Store, store::ViewSpec};

fn main() -> simile::Result<()> {
    let path = std::env::temp_dir().join(format!("respects-{}.simile", std::process::id()));
    let store = Store::create(&path)?;

    // One durable batch: a collection with two views of each record, its text and a rewritten text.
    let mut batch = store.begin()?;
    batch.collection("people")?;
    batch.add_view("people", ViewSpec::text_from("origin", "origin"))?;
    let people = [
        ("newton", "Isaac Newton, physicist", "England", 1643),
        ("einstein", "Albert Einstein, physicist", "Germany", 1879),
        ("austen", "Jane Austen, novelist", "England", 1775),
        ("mann", "Thomas Mann, novelist", "Germany", 1875),
    ];
    let mut writer = batch.collection("people")?;
    for (id, text, origin, born) in people {
        writer.insert(Record::new(id, text).view_text("origin", origin).field("born", born))?;
    }
    batch.commit()?;

    // A snapshot is consistent for as long as it lives, whatever is written meanwhile.
    let snapshot = store.snapshot()?;

    // As a statement, with a value bound to a name: user text never becomes part of the language.
    let query = snapshot.query("find $who in people | center corpus | score cosine | where born >= 1700 | top 2")?;
    let answer = query.bind("who", "a scientist").run()?;
    println!("{}", answer.statement);
    for hit in answer.hits() {
        println!("  {:.3} {}", hit.value(), hit.text());
    }

    // The same language as a builder: like Newton, first in profession, then in origin.
    for view in ["raw", "origin"] {
        let lens = Lens::view(view).cosine();
        let answer = snapshot.find(Source::id("newton")).in_collection("people").lens(lens).top(2).run()?;
        println!("{}", answer.statement);
        for hit in answer.hits() {
            println!("  {:.3} {}", hit.value(), hit.text());
        }
    }

    drop((snapshot, store));
    std::fs::remove_dir_all(&path).map_err(|source| simile::Error::invalid(source.to_string()))
}
