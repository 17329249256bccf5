//! Which file of `src` takes something from which other, read from all paths of the code.
//!
//! A path is followed to the file that defines what it names: through `use` groups, renames, `super::` and the
//! re-exports of a `mod.rs`. A file that only declares modules and hands names on defines nothing, so no arrow ever
//! ends at it. What only tests compile is left out.

use super::words::{behind_group, is_word, without_tests, words};
use std::collections::{BTreeMap, BTreeSet};

/// A file as a module: what it declares, defines, takes and names.
#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Modules inside the file itself.
    inner: BTreeSet<String>,
    defines: BTreeSet<String>,
    /// Names of `use`, and the path behind each.
    taken: Vec<Taken>,
    /// Paths of two names and more in the code, and single names.
    paths: BTreeSet<Vec<String>>,
    names: BTreeSet<String>,
}

struct Taken {
    /// `*` for all names of a module.
    name: String,
    path: Vec<String>,
    is_public: bool,
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Module(usize),
    /// Something that this module's file defines.
    Item(usize),
}

/// All modules of a tree of sources.
pub struct House {
    modules: Vec<Module>,
}

impl House {
    /// The house of `files`, each a path from `src/` and its text, entered by `lib.rs`.
    pub fn read(files: &BTreeMap<String, String>) -> Self {
        let mut house = Self { modules: Vec::new() };
        house.add(files, "lib.rs", None);
        house
    }

    fn add(&mut self, files: &BTreeMap<String, String>, file: &str, parent: Option<usize>) -> usize {
        let (words, _tests) = without_tests(&words(&files[file]));
        let mut module = Module { file: file.to_string(), parent, ..Module::default() };
        let declared = module.read(&words);
        let own = self.modules.len();
        self.modules.push(module);
        let folder = match file.rsplit_once('/') {
            _ if file == "lib.rs" => String::new(),
            Some((folder, "mod.rs")) => format!("{folder}/"),
            _ => format!("{}/", file.trim_end_matches(".rs")),
        };
        for name in declared {
            let places = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
            if let Some(place) = places.iter().find(|place| files.contains_key(*place)) {
                let child = self.add(files, place, Some(own));
                self.modules[own].children.insert(name, child);
            }
        }
        own
    }

    /// The files that were reached: the tree without its tests.
    pub fn files(&self) -> Vec<&str> {
        self.modules.iter().map(|module| module.file.as_str()).collect()
    }

    /// Each file with the files it takes something from, and a name of what it takes.
    pub fn arrows(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut arrows = BTreeMap::new();
        for own in 0..self.modules.len() {
            let module = &self.modules[own];
            let ends: &mut BTreeMap<String, String> = arrows.entry(module.file.clone()).or_default();
            let mut note = |end: End, what: &str| {
                if let End::Item(other) = end
                    && other != own
                {
                    ends.entry(self.modules[other].file.clone()).or_insert_with(|| what.to_string());
                }
            };
            for taken in &module.taken {
                // What is handed on is an arrow of whoever takes it from here, unless it is used here as well.
                if taken.is_public && !module.names.contains(&taken.name) {
                    continue;
                }
                if taken.name == "*" {
                    for end in self.follow(own, &taken.path, 0) {
                        let End::Module(other) = end else { continue };
                        for name in &module.names {
                            self.named(other, name, 0).into_iter().for_each(|end| note(end, name));
                        }
                    }
                } else {
                    let last = taken.path.last().map_or("", String::as_str);
                    self.follow(own, &taken.path, 0).into_iter().for_each(|end| note(end, last));
                }
            }
            for path in &module.paths {
                self.follow(own, path, 0).into_iter().for_each(|end| note(end, &path.join("::")));
            }
        }
        arrows
    }

    /// Where a path that is written in module `own` leads.
    fn follow(&self, own: usize, path: &[String], depth: usize) -> Vec<End> {
        // Two modules that hand each other's names on would be followed forever.
        if depth > 16 {
            return Vec::new();
        }
        let Some((first, mut rest)) = path.split_first() else { return Vec::new() };
        let mut ends = match first.as_str() {
            "crate" => vec![End::Module(0)],
            "self" => vec![End::Module(own)],
            "super" => self.modules[own].parent.map(End::Module).into_iter().collect(),
            name => self.named(own, name, depth + 1),
        };
        while let Some((name, behind)) = rest.split_first() {
            // A variant or an associated item belongs to the file of its type; modules go on.
            let modules: Vec<usize> = ends
                .iter()
                .filter_map(|end| if let End::Module(module) = end { Some(*module) } else { None })
                .collect();
            if modules.is_empty() {
                return ends;
            }
            ends = modules
                .into_iter()
                .flat_map(|module| match name.as_str() {
                    "super" => self.modules[module].parent.map(End::Module).into_iter().collect(),
                    _ => {
                        let found = self.named(module, name, depth + 1);
                        // What a macro makes is defined where the path says.
                        if found.is_empty() && module != 0 { vec![End::Item(module)] } else { found }
                    }
                })
                .collect();
            rest = behind;
        }
        ends
    }

    /// What `name` means inside a module: a child, a definition, or what a `use` brought.
    fn named(&self, module: usize, name: &str, depth: usize) -> Vec<End> {
        if depth > 16 {
            return Vec::new();
        }
        let this = &self.modules[module];
        let mut ends: Vec<End> = this.children.get(name).map(|child| End::Module(*child)).into_iter().collect();
        if this.defines.contains(name) || this.inner.contains(name) {
            ends.push(End::Item(module));
        }
        let own_child = !ends.is_empty();
        for taken in &this.taken {
            if taken.name == name && !(own_child && taken.path == [name]) {
                ends.extend(self.follow(module, &taken.path, depth + 1));
            } else if taken.name == "*" && ends.is_empty() {
                for end in self.follow(module, &taken.path, depth + 1) {
                    let End::Module(other) = end else { continue };
                    ends.extend(self.named(other, name, depth + 1));
                }
            }
        }
        ends
    }
}

impl Module {
    /// Reads what the file's words say; the answer is the modules it declares.
    fn read(&mut self, words: &[String]) -> Vec<String> {
        let (mut declared, mut at, mut is_public) = (Vec::new(), 0, false);
        while at < words.len() {
            let next = words.get(at + 1).map_or("", String::as_str);
            match words[at].as_str() {
                "pub" => {
                    is_public = true;
                    at = if next == "(" { behind_group(words, at + 1) } else { at + 1 };
                    continue;
                }
                "use" => {
                    let end = at + words[at..].iter().position(|word| word == ";").unwrap_or(words.len() - at);
                    self.take(&words[at + 1..end], &[], is_public);
                    at = end;
                }
                "mod" if words.get(at + 2).is_some_and(|word| word == ";") => declared.push(next.to_string()),
                "mod" if words.get(at + 2).is_some_and(|word| word == "{") => {
                    self.inner.insert(next.to_string());
                }
                "struct" | "enum" | "trait" | "type" | "fn" | "const" | "static" | "union" if is_name(next) => {
                    self.defines.insert(next.to_string());
                }
                "macro_rules" => {
                    self.defines.insert(words.get(at + 2).cloned().unwrap_or_default());
                }
                word if is_name(word) && at.checked_sub(1).is_none_or(|last| words[last] != "::") => {
                    let path = path_at(words, at);
                    at += 2 * path.len() - 2;
                    self.names.insert(path[0].clone());
                    if path.len() > 1 {
                        self.paths.insert(path);
                    }
                }
                _ => {}
            }
            is_public = false;
            at += 1;
        }
        declared
    }

    /// Reads the tree of one `use`, below the path `above`.
    fn take(&mut self, tree: &[String], above: &[String], is_public: bool) {
        let (mut path, mut at) = (above.to_vec(), 0);
        let mut name = None;
        while at < tree.len() {
            match tree[at].as_str() {
                "::" => {}
                "{" => {
                    let end = behind_group(tree, at) - 1;
                    for branch in branches(&tree[at + 1..end]) {
                        self.take(branch, &path, is_public);
                    }
                    return;
                }
                "as" => {
                    name = tree.get(at + 1).cloned();
                    break;
                }
                "*" => name = Some("*".to_string()),
                "self" if !path.is_empty() => {}
                word => path.push(word.to_string()),
            }
            at += 1;
        }
        if let Some(name) = name.or_else(|| path.last().cloned()) {
            self.taken.push(Taken { name, path, is_public });
        }
    }
}

fn is_name(word: &str) -> bool {
    word.chars().next().is_some_and(|c| is_word(c) && !c.is_ascii_digit())
}

/// The names of the path that begins at `from`.
fn path_at(words: &[String], from: usize) -> Vec<String> {
    let mut path = vec![words[from].clone()];
    let mut at = from;
    while words.get(at + 1).is_some_and(|word| word == "::") && words.get(at + 2).is_some_and(|word| is_name(word)) {
        at += 2;
        path.push(words[at].clone());
    }
    path
}

/// The branches of a group: its words, cut at the commas of its own level.
fn branches(group: &[String]) -> Vec<&[String]> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, word) in group.iter().enumerate() {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&group[start..]);
    found.retain(|branch| !branch.is_empty());
    found
}

/// The circles of a graph: groups of more than one file of which each leads to each other.
pub fn circles(arrows: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|file| (file.as_str(), reached(arrows, file))).collect();
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for (file, others) in &reach {
        if !others.contains(file) || seen.contains(file) {
            continue;
        }
        let circle: Vec<&str> = others.iter().filter(|other| reach[*other].contains(file)).copied().collect();
        seen.extend(circle.iter().copied());
        found.push(circle.into_iter().map(str::to_string).collect());
    }
    found
}

/// The files that are reached from `file` by one arrow or more.
fn reached<'a>(arrows: &'a BTreeMap<String, BTreeMap<String, String>>, file: &str) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(from) = open.pop() {
        for to in arrows.get(from).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    found
}
