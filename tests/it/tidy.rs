//! The house rules that a machine can hold the code to.
//!
//! Reads the sources as text: which file imports which (`layers`), how long files and functions are, whether every file
//! says what it is for, where `unsafe` stands, and whether the documents' links lead somewhere.

mod house;
mod layers;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines before its tests.
const FILE_LINES: usize = 600;
/// Longest function, in lines from its first to its closing brace.
const FUNCTION_LINES: usize = 70;
/// The only files that may hold `unsafe` code.
const UNSAFE_FILES: &[&str] = &["storage/mmap.rs", "linalg/simd/x86.rs"];

/// A Rust file of the project, with its path from `src/`.
struct Source {
    name: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.contains("/tests/")
    }

    /// The lines before the tests at the end of the file, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self
            .text
            .lines()
            .collect::<Vec<_>>()
            .windows(2)
            .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "))
            .unwrap_or(usize::MAX);
        self.text.lines().take(end).enumerate().map(|(idx, line)| (idx + 1, line))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let name = |path: &Path| path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|path| Source { name: name(path), text: fs::read_to_string(path).unwrap() }).collect()
}

fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Functions of `code` that are longer than the limit: (line, name, length).
fn long_functions<'a>(code: impl Iterator<Item = (usize, &'a str)>) -> Vec<(usize, String, usize)> {
    let (mut open, mut long) = (Vec::<(usize, usize, String)>::new(), Vec::new());
    for (number, line) in code {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        if let Some(name) = function_name(body) {
            open.push((number, indent, name));
        }
        // rustfmt puts a function's closing brace at the indent of its first line.
        let ends = body.starts_with('}') || (body.ends_with(';') && function_name(body).is_some());
        let at = open.iter().rposition(|(_, start_indent, _)| ends && *start_indent == indent);
        if let Some(at) = at {
            let (start, _, name) = open.swap_remove(at);
            open.truncate(at);
            if number - start + 1 > FUNCTION_LINES {
                long.push((start, name, number - start + 1));
            }
        }
    }
    long
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| {
        word.starts_with("pub") || matches!(*word, "const" | "async" | "unsafe" | "extern" | "\"C\"" | "in" | "default")
    });
    (words.next() == Some("fn")).then(|| head(words.next().unwrap_or_default()))
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn files_and_functions_are_short() {
    let (mut files, mut functions) = (Vec::new(), Vec::new());
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.code().count();
        if lines > FILE_LINES {
            files.push(format!("{}: {lines} lines", source.name));
        }
        for (line, name, length) in long_functions(source.code()) {
            functions.push(format!("{}:{line}: {name} has {length} lines", source.name));
        }
    }
    assert_none("files over the limit", &files);
    assert_none("functions over the limit", &functions);
}

/// Widest line, in columns; what formats code leaves comments and texts alone.
const LINE_COLUMNS: usize = 120;
/// Where lines are still wider, and how many: these only fall.
const WIDE: &[(&str, usize)] = &[("store", 7)];

#[test]
fn lines_are_short() {
    let mut wide = BTreeMap::<String, usize>::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let count = source.code().filter(|(_, line)| line.chars().count() > LINE_COLUMNS).count();
        if count > 0 {
            let folder = source.name.split('/').next().unwrap_or_default();
            *wide.entry(folder.to_string()).or_default() += count;
        }
    }
    let known: BTreeMap<String, usize> = WIDE.iter().map(|(folder, count)| (folder.to_string(), *count)).collect();
    assert_eq!(wide, known, "lines over {LINE_COLUMNS} columns, by folder of src");
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        let folder = root().join(folder);
        if folder.is_dir() {
            rust_files(&folder, &mut files);
        }
    }
    let headless = files.iter().filter(|path| {
        let text = fs::read_to_string(path).unwrap();
        // An inner attribute may come first, as `#![no_main]` does.
        !text
            .lines()
            .find(|line| !line.starts_with("#![") && !line.is_empty())
            .is_some_and(|line| line.starts_with("//!"))
    });
    let headless: Vec<String> = headless.map(|path| path.display().to_string()).collect();
    assert_none("files without a //! header", &headless);
}

#[test]
fn unsafe_stands_in_two_files_only() {
    let mut found = Vec::new();
    for source in sources() {
        if UNSAFE_FILES.contains(&source.name.as_str()) {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| word == "unsafe") && !code.contains('"') {
                found.push(format!("{}:{}", source.name, number + 1));
            }
        }
    }
    assert_none("unsafe code outside its two files", &found);
}

/// Targets of the links of a Markdown text that are files of the project, code blocks left out.
fn links(text: &str) -> Vec<String> {
    let (mut links, mut in_code) = (Vec::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let starts = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
        let inline =
            starts.filter_map(|rest| rest.split(')').next()).map(|link| link.split(' ').next().unwrap_or(link));
        let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, link)| link.trim());
        for link in inline.chain(reference) {
            let outside = link.contains("://") || link.starts_with("mailto:");
            if !outside && !link.is_empty() {
                links.push(link.to_string());
            }
        }
    }
    links
}

/// The anchors of a Markdown text's headings, as the common hosts make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            words
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut dead = Vec::new();
    let mut texts = BTreeMap::new();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        if let Ok(text) = fs::read_to_string(root().join(name)) {
            texts.insert(name, text);
        }
    }
    for (name, text) in &texts {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { root().join(name) } else { root().join(file) };
            let alive = target.exists()
                && (anchor.is_empty()
                    || fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(&anchor.to_string())));
            if !alive {
                dead.push(format!("{name}: {link}"));
            }
        }
    }
    assert_none("dead links", &dead);
}

/// The rules themselves are held to examples: a check that cannot fail is none.
mod the_checks_see {
    use super::*;

    #[test]
    fn a_function_over_the_limit() {
        let body = |lines: usize| {
            format!("impl A {{\n    pub(crate) fn long(\n    ) {{\n{}    }}\n}}\n", "        x();\n".repeat(lines))
        };
        let check = |text: &str| long_functions(text.lines().enumerate().map(|(idx, line)| (idx + 1, line)));
        assert_eq!(check(&body(FUNCTION_LINES - 2)), [(2, "long".to_string(), FUNCTION_LINES + 1)]);
        assert!(check(&body(FUNCTION_LINES - 3)).is_empty());
    }

    #[test]
    fn links_and_anchors() {
        let text =
            "See [a](src/a.rs \"title\") and [b](#the-one-idea).\n```\n[c](none)\n```\n[d]: docs/d.md\n[e](https://x)";
        assert_eq!(links(text), ["src/a.rs", "#the-one-idea", "docs/d.md"]);
        assert_eq!(anchors("# Title\n## The one idea: *x*"), ["title", "the-one-idea-x"]);
    }
}
