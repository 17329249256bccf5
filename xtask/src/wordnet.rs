//! Training texts out of WordNet's database files (the format of `wndb(5WN)`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::Result;

/// The files, and the letter that pointers use for each.
const FILES: [(&str, &str); 4] = [("data.noun", "n"), ("data.verb", "v"), ("data.adj", "a"), ("data.adv", "r")];

/// One sense: words that share a meaning.
struct Sense {
    lemmas: Vec<String>,
    definition: String,
    examples: Vec<String>,
    /// Part of speech and offset of what this is a kind of, an instance of, or similar to.
    parents: Vec<(String, String)>,
}

/// Writes the texts, one a line.
///
/// # Errors
/// If a file cannot be read or written, or is not WordNet's.
pub fn write_texts(folder: &Path, long: bool, take: Option<usize>, out: &Path) -> Result<()> {
    let senses = read(folder)?;
    let texts = if long { long_texts(&senses) } else { short_texts(&senses) };
    let count = take.unwrap_or(texts.len()).min(texts.len());
    let mut lines = texts[..count].join("\n");
    lines.push('\n');
    std::fs::write(out, lines).map_err(|e| format!("{}: {e}", out.display()))?;
    println!("{count} of {} texts in {}", texts.len(), out.display());
    Ok(())
}

/// All lemmas, then all definitions, then all examples, each text once.
fn short_texts(senses: &[((String, String), Sense)]) -> Vec<String> {
    let lemmas: BTreeSet<&String> = senses.iter().flat_map(|(_, sense)| &sense.lemmas).collect();
    let definitions = senses.iter().map(|(_, sense)| &sense.definition).filter(|definition| !definition.is_empty());
    let examples = senses.iter().flat_map(|(_, sense)| &sense.examples);
    let mut seen = HashSet::new();
    let all = lemmas.into_iter().chain(definitions).chain(examples);
    all.filter(|text| seen.insert(text.as_str())).cloned().collect()
}

/// `lemma, lemma: definition. example. parent: its definition`, in the order of their hashes.
fn long_texts(senses: &[((String, String), Sense)]) -> Vec<String> {
    let by_key: HashMap<&(String, String), &Sense> = senses.iter().map(|(key, sense)| (key, sense)).collect();
    let text = |sense: &Sense| {
        let mut text = format!("{}: {}", sense.lemmas.join(", "), sense.definition);
        for example in &sense.examples {
            text.push_str(". ");
            text.push_str(example);
        }
        let parent =
            sense.parents.iter().find_map(|key| by_key.get(key)).filter(|parent| !parent.definition.is_empty());
        if let Some((parent, lemma)) = parent.and_then(|parent| Some((parent, parent.lemmas.first()?))) {
            text.push_str(&format!(". {lemma}: {}", parent.definition));
        }
        text
    };
    let with_definition = senses.iter().map(|(_, sense)| sense).filter(|sense| !sense.definition.is_empty());
    let texts: BTreeSet<(u64, String)> =
        with_definition.map(text).map(|text| (xxh3_64(text.as_bytes()), text)).collect();
    texts.into_iter().map(|(_, text)| text).collect()
}

fn read(folder: &Path) -> Result<Vec<((String, String), Sense)>> {
    let mut senses = Vec::new();
    for (file, letter) in FILES {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        // The licence at the top is indented, entries are not.
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("  ")) {
            let (offset, sense) =
                parse(line).ok_or_else(|| format!("{} line {}: not a sense", path.display(), number + 1))?;
            senses.push(((letter.to_string(), offset), sense));
        }
    }
    Ok(senses)
}

/// One line: offset, file number, part, number of words (hexadecimal), words with their ids, number of pointers,
/// pointers of four fields, and after a bar the definition with its quoted examples.
fn parse(line: &str) -> Option<(String, Sense)> {
    let (left, gloss) = line.split_once(" | ")?;
    let fields: Vec<&str> = left.split(' ').collect();
    let words = usize::from_str_radix(fields.get(3)?, 16).ok()?;
    let lemmas = fields.get(4..4 + 2 * words)?.iter().step_by(2).map(|word| lemma(word)).collect();
    let pointers: usize = fields.get(4 + 2 * words)?.parse().ok()?;
    let first = 5 + 2 * words;
    let parents = fields
        .get(first..first + 4 * pointers)?
        .as_chunks::<4>()
        .0
        .iter()
        .filter(|pointer| matches!(pointer[0], "@" | "@i" | "&"))
        .map(|pointer| (pointer[2].replace('s', "a"), pointer[1].to_string()))
        .collect();
    let gloss = gloss.trim();
    let definition = gloss.split("; \"").next()?.split(": \"").next()?.trim();
    let definition = if definition.starts_with('"') { "" } else { definition }.to_string();
    let quoted = gloss.split('"').skip(1).step_by(2);
    // A last piece without a closing mark is not quoted.
    let examples = quoted.take(gloss.matches('"').count() / 2).filter(|text| text.split_whitespace().count() > 1);
    Some((
        fields.first()?.to_string(),
        Sense { lemmas, definition, examples: examples.map(str::to_string).collect(), parents },
    ))
}

/// A word of the database as people write it: no marker of its place in a sentence, blanks for underscores.
fn lemma(word: &str) -> String {
    let word = ["(a)", "(p)", "(ip)"].iter().find_map(|marker| word.strip_suffix(marker)).unwrap_or(word);
    word.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_the_database() {
        let line = "00001740 00 s 02 able(p) 0 very_able 0 002 & 05200169 n 0000 = 05616246 n 0000 | having means; \"able to swim\"; \"able\" ";
        let (offset, sense) = parse(line).expect("a sense");
        assert_eq!(offset, "00001740");
        assert_eq!(sense.lemmas, ["able", "very able"]);
        assert_eq!(sense.definition, "having means");
        assert_eq!(sense.examples, ["able to swim"]);
        assert_eq!(sense.parents, [("n".to_string(), "05200169".to_string())]);
    }
}
