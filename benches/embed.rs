//! How fast the bundled model turns text into vectors: one core for the rate per core, all of them for imports, and
//! the decoding of the table, which every cold start pays once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simile::text::embed::{StaticEmbedder, bundled};

/// Short texts of the kind people search for, each a little different.
fn texts() -> Vec<String> {
    let kinds = [
        "How do I change the default editor that opens when I commit?",
        "vector drawing program for scalable graphics",
        "What did I do with my keys?",
        "The ceasefire was broken again on Tuesday, officials said.",
        "Crème brûlée with vanilla from Réunion",
    ];
    (0..1_000).map(|i| format!("{} {i}", kinds[i % kinds.len()])).collect()
}

fn embed(c: &mut Criterion) {
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let model = bundled();
    let mut out = Vec::with_capacity(texts.len() * model.dimension());
    let mut group = c.benchmark_group("embed");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("one core, one text at a time", |b| {
        b.iter(|| {
            out.clear();
            texts.iter().for_each(|text| model.embed(&[text], &mut out).expect("the bundled model always answers"));
            black_box(&out);
        });
    });
    group.bench_function("all cores, one batch", |b| {
        b.iter(|| {
            out.clear();
            model.embed(&texts, &mut out).expect("the bundled model always answers");
            black_box(&out);
        });
    });
    group.finish();
    let table = include_bytes!("../assets/static.simtable");
    c.bench_function("decode the bundled table", |b| {
        b.iter(|| StaticEmbedder::decode(black_box(table)).expect("the bundled table is intact"));
    });
}

criterion_group!(benches, embed);
criterion_main!(benches);
