//! The rules of which file may take from which: imports point down, run in no circle, and no folder is a heap.

use super::house::{House, circles};
use super::{assert_none, sources};
use std::collections::BTreeMap;

/// The rooms of a folder of `src`, from the ground up; rooms of one floor take nothing from each other. Of `src` itself
/// every room stands here, of other folders those that the order is promised for.
const FLOORS: &[(&str, &[&[&str]])] = &[
    (
        "",
        &[
            &["error"],
            &["types"],
            &["storage", "linalg"],
            &["query"],
            &["text", "segment", "lens", "catalog"],
            &["store"],
            &["exec", "interchange"],
            &["learn"],
            &["cli"],
            &["fuzzing", "bench_support"],
        ],
    ),
    (
        "store",
        &[
            &["names", "options", "place"],
            &["shared"],
            &["read"],
            &["write"],
            &["kept"],
            &["care"],
            &["handle"],
            &["upkeep"],
        ],
    ),
    ("exec", &[&["reply"], &["settle"], &["run"], &["tell"], &["ask", "keep", "listings"], &["session"]]),
];
/// Most files side by side in one folder, tests left out.
const FLAT_FILES: usize = 20;

/// What is left of the circles that were there before the check: how many files of each top folder stand in one. A
/// number only falls, and the list goes when it is empty.
const IN_CIRCLES: &[(&str, usize)] = &[];
/// The folders that are still heaps, with how many files each has: these only fall as well.
const HEAPS: &[(&str, usize)] = &[];

type Arrows = BTreeMap<String, BTreeMap<String, String>>;

fn house() -> House {
    House::read(&sources().into_iter().map(|source| (source.name, source.text)).collect())
}

/// The rooms a file stands in, from the outermost: `a/b.rs` is `b` in `a`, and a `mod.rs` is its folder.
fn rooms(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs");
    path.strip_suffix("/mod").unwrap_or(path).split('/').collect()
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The arrows between rooms of one folder that do not point to a lower floor.
fn wrong_arrows(arrows: &Arrows, floors: &[(&str, &[&[&str]])]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, ends) in arrows {
        for (to, what) in ends {
            let (own, other) = (rooms(from), rooms(to));
            let shared = own.iter().zip(&other).take_while(|(a, b)| a == b).count();
            let (Some(own_room), Some(other_room)) = (own.get(shared), other.get(shared)) else { continue };
            let folder = own[..shared].join("/");
            let Some((_, floors)) = floors.iter().find(|(name, _)| *name == folder) else { continue };
            let floor = |room: &str| floors.iter().position(|rooms| rooms.contains(&room));
            if let (Some(low), Some(high)) = (floor(own_room), floor(other_room))
                && high >= low
            {
                let way = if high > low { "up" } else { "sideways" };
                wrong.push(format!(
                    "{from} takes {what} {way} from {to}: {own_room} stands on floor {low}, {other_room} on {high}"
                ));
            }
        }
    }
    wrong
}

/// What differs between the counts found and those that are known: more is a fault, fewer is a number to lower.
fn off<'a>(found: &BTreeMap<String, usize>, known: &'a [(&'a str, usize)]) -> Vec<String> {
    let known: BTreeMap<&str, usize> = known.iter().copied().collect();
    let names = found.keys().map(String::as_str).chain(known.keys().copied());
    let names: std::collections::BTreeSet<&str> = names.collect();
    let lines = names.into_iter().filter_map(|name| {
        let (now, then) = (found.get(name).copied().unwrap_or(0), known.get(name).copied().unwrap_or(0));
        let what = if now > then { "more than" } else { "fewer, so lower the number; known were" };
        (now != then).then(|| format!("{name}: {now}, {what} {then}"))
    });
    lines.collect()
}

/// How many files of each top folder stand in a circle.
fn in_circles(circles: &[Vec<String>]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for file in circles.iter().flatten() {
        *counts.entry(rooms(file)[0].to_string()).or_insert(0) += 1;
    }
    counts
}

/// A circle as lines: each file with what it takes from the others.
fn told(circle: &[String], arrows: &Arrows) -> String {
    let lines = circle.iter().map(|file| {
        let ends = arrows[file].iter().filter(|(to, _)| circle.contains(to));
        let ends: Vec<String> = ends.map(|(to, what)| format!("{to} ({what})")).collect();
        format!("    {file} -> {}", ends.join(", "))
    });
    format!("a circle of {} files:\n{}", circle.len(), lines.collect::<Vec<_>>().join("\n"))
}

/// How many files stand side by side in each folder, its own `mod.rs` left out.
fn flat_files(files: &[&str]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for file in files.iter().filter(|file| !file.ends_with("/mod.rs")) {
        *counts.entry(folder(file).to_string()).or_insert(0) += 1;
    }
    counts.retain(|_, count| *count > FLAT_FILES);
    counts
}

#[test]
fn every_top_room_has_a_floor() {
    let house = house();
    let known: Vec<&str> = FLOORS[0].1.concat();
    let ends = ["lib", "main"];
    let tops = house.files().into_iter().map(|file| rooms(file)[0].to_string());
    let mut unknown: Vec<String> =
        tops.filter(|top| !known.contains(&top.as_str()) && !ends.contains(&top.as_str())).collect();
    unknown.dedup();
    assert_none("top rooms without a floor", &unknown);
}

#[test]
fn imports_point_down() {
    assert_none("imports that do not point down", &wrong_arrows(&house().arrows(), FLOORS));
}

#[test]
fn imports_run_in_no_circle() {
    let arrows = house().arrows();
    let circles = circles(&arrows);
    let mut wrong = off(&in_circles(&circles), IN_CIRCLES);
    if !wrong.is_empty() {
        // Of a folder that is as it was nothing is told.
        let mut tops = wrong.clone().into_iter().filter_map(|line| line.split(':').next().map(str::to_string));
        let tops: Vec<String> = tops.by_ref().collect();
        let fresh = circles.iter().filter(|circle| tops.iter().any(|top| rooms(&circle[0])[0] == top));
        wrong.extend(fresh.map(|circle| told(circle, &arrows)));
    }
    assert_none("files that import each other in a circle", &wrong);
}

#[test]
fn no_folder_is_a_heap() {
    assert_none("folders of too many files", &off(&flat_files(&house().files()), HEAPS));
}

/// The rules themselves are held to made-up trees: a check that cannot fail is none.
mod the_checks_see {
    use super::*;

    fn arrows(files: &[(&str, &str)]) -> Arrows {
        let files = files.iter().map(|(name, text)| ((*name).to_string(), (*text).to_string())).collect();
        House::read(&files).arrows()
    }

    fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        circles(&arrows(files))
    }

    #[test]
    fn a_circle_of_three_files_and_none_without_its_last_arrow() {
        let files = |last: &'static str| {
            [
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "use crate::b::Two; pub struct One(Two);"),
                ("b.rs", "pub struct Two; fn f() -> super::c::Three { todo!() }"),
                ("c.rs", last),
            ]
        };
        assert_eq!(
            circles_of(&files("pub struct Three; impl Three { fn of(x: crate::a::One) {} }")),
            [["a.rs", "b.rs", "c.rs"]]
        );
        assert!(
            circles_of(&files("pub struct Three; // crate::a::One\n const X: &str = \"crate::a::One\";")).is_empty()
        );
        let tests = "pub struct Three; #[cfg(test)] mod tests { use crate::a::One; }";
        assert!(circles_of(&files(tests)).is_empty());
    }

    #[test]
    fn through_a_re_export_the_file_that_defines() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod deep; mod other; pub use deep::Thing as Named;"),
            ("a/deep.rs", "pub enum Thing { One } pub fn f() { super::super::b::g() }"),
            ("a/other.rs", "use super::Named; fn h() -> Named { Named::One }"),
            ("b.rs", "use crate::a; pub fn g() { let x = a::Named::One; }"),
        ];
        let arrows = arrows(&files);
        assert!(arrows["a/other.rs"].contains_key("a/deep.rs"), "{arrows:?}");
        assert!(!arrows["a/other.rs"].contains_key("a/mod.rs"), "a file that only hands on is transparent");
        assert_eq!(circles(&arrows), [["a/deep.rs", "b.rs"]]);
    }

    #[test]
    fn each_branch_of_a_nested_group_and_of_a_star() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::{deep::{self, One}, two::*}; fn f() { deep::more(); Two; }"),
            ("b/mod.rs", "pub mod deep; pub mod two; pub mod three;"),
            ("b/deep.rs", "pub struct One; pub fn more() {}"),
            ("b/two.rs", "pub struct Two;"),
            ("b/three.rs", "id!(Made); fn f<'a>(x: &'a str) -> char { '\"' }"),
        ];
        let found: Vec<String> = arrows(&files)["a.rs"].keys().cloned().collect();
        assert_eq!(found, ["b/deep.rs", "b/two.rs"]);
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "use super::b::Made;"), ("b.rs", "id!(Made);")];
        assert!(arrows(&files)["a.rs"].contains_key("b.rs"), "what a macro makes stands where the path says");
    }

    #[test]
    fn a_face_that_defines_something_is_a_room() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod deep; pub use deep::f; pub struct Top;"),
            ("a/deep.rs", "use super::Top; pub fn f() {}"),
        ];
        assert!(circles_of(&files).is_empty(), "handing a name on is no arrow");
        let mut used = files;
        used[1].1 = "mod deep; pub use deep::f; pub struct Top; fn g() { f() }";
        assert_eq!(circles_of(&used), [["a/deep.rs", "a/mod.rs"]]);
    }

    #[test]
    fn arrows_up_and_sideways() {
        let floors: &[(&str, &[&[&str]])] =
            &[("", &[&["types"], &["lens", "catalog"], &["exec"]]), ("exec", &[&["reply"], &["run"]])];
        let files = [
            ("lib.rs", "mod types; mod lens; mod catalog; mod exec;"),
            ("types.rs", "pub struct Id; fn f() { crate::lens::fold() }"),
            ("lens/mod.rs", "mod chain; pub use chain::fold;"),
            ("lens/chain.rs", "use crate::{types::Id, catalog::{Table, Key}}; pub fn fold() {}"),
            ("catalog.rs", "pub struct Table; pub struct Key;"),
            ("exec/mod.rs", "mod reply; mod run;"),
            ("exec/reply.rs", "use super::run::Scan;"),
            ("exec/run.rs", "use crate::lens::fold; pub struct Scan;"),
        ];
        assert_eq!(
            wrong_arrows(&arrows(&files), floors),
            [
                "exec/reply.rs takes Scan up from exec/run.rs: reply stands on floor 0, run on 1",
                "lens/chain.rs takes Table sideways from catalog.rs: lens stands on floor 1, catalog on 1",
                "types.rs takes crate::lens::fold up from lens/chain.rs: types stands on floor 0, lens on 1",
            ]
        );
    }

    #[test]
    fn counts_that_rise_and_counts_that_fall() {
        let found: BTreeMap<String, usize> = [("a".to_string(), 2), ("b".to_string(), 1)].into();
        assert!(off(&found, &[("a", 2), ("b", 1)]).is_empty());
        assert_eq!(off(&found, &[("a", 1), ("b", 1)]), ["a: 2, more than 1"]);
        assert_eq!(off(&found, &[("a", 2), ("b", 1), ("c", 3)]), ["c: 0, fewer, so lower the number; known were 3"]);
    }

    #[test]
    fn a_heap_of_files() {
        let files: Vec<String> = (0..=FLAT_FILES).map(|number| format!("a/f{number}.rs")).collect();
        let mut files: Vec<&str> = files.iter().map(String::as_str).chain(["a/mod.rs"]).collect();
        assert_eq!(flat_files(&files), [("a".to_string(), FLAT_FILES + 1)].into());
        files.remove(0);
        assert!(flat_files(&files).is_empty());
    }
}
