//! A Rust source as words: comments and the insides of literals gone, and what only tests compile gone too.
//!
//! This is as much of the language as the imports need. What it does not understand it passes on word by word.

/// The words of a source: names and single signs, with `::`, `'` and `"` for a path's joint, a lifetime and a literal.
pub fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut words) = (0, Vec::new());
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied().unwrap_or('\0');
        match c {
            _ if c.is_whitespace() => at += 1,
            '/' if next == '/' => at = line_end(&chars, at),
            '/' if next == '*' => at = comment_end(&chars, at),
            '"' => {
                at = string_end(&chars, at);
                words.push("\"".to_string());
            }
            '\'' => at = quoted(&chars, at, &mut words),
            ':' if next == ':' => {
                words.push("::".to_string());
                at += 2;
            }
            _ if is_word(c) => at = word(&chars, at, &mut words),
            _ => {
                words.push(c.to_string());
                at += 1;
            }
        }
    }
    words
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_end(chars: &[char], from: usize) -> usize {
    chars[from..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| from + length)
}

fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// Behind the literal whose opening quote stands at `from`.
fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A character or a lifetime: only the former closes its quote.
fn quoted(chars: &[char], from: usize, words: &mut Vec<String>) -> usize {
    let end = match chars.get(from + 1) {
        Some('\\') => chars[from + 3..].iter().position(|c| *c == '\'').map(|length| from + 4 + length),
        Some(_) if chars.get(from + 2) == Some(&'\'') => Some(from + 3),
        _ => None,
    };
    words.push(if end.is_some() { "\"" } else { "'" }.to_string());
    end.unwrap_or(from + 1)
}

/// A name or a number, or a literal that begins with letters, as `r#"` and `b'` do.
fn word(chars: &[char], from: usize, words: &mut Vec<String>) -> usize {
    let length = chars[from..].iter().take_while(|c| is_word(**c)).count();
    let text: String = chars[from..from + length].iter().collect();
    let behind = from + length;
    let raw = matches!(text.as_str(), "r" | "br" | "cr");
    if raw && matches!(chars.get(behind), Some('"' | '#')) {
        let hashes = chars[behind..].iter().take_while(|c| **c == '#').count();
        if chars.get(behind + hashes) == Some(&'"') {
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let body = behind + hashes + 1;
            let end = chars[body..].windows(close.len()).position(|part| part == close);
            words.push("\"".to_string());
            return end.map_or(chars.len(), |length| body + length + close.len());
        }
    }
    if matches!(text.as_str(), "b" | "c") && chars.get(behind) == Some(&'"') {
        return behind;
    }
    words.push(text);
    behind
}

/// The sign that closes what `open` opens.
fn closing(open: &str) -> Option<&'static str> {
    match open {
        "{" => Some("}"),
        "(" => Some(")"),
        "[" => Some("]"),
        _ => None,
    }
}

/// Behind the bracket that closes the one at `from`.
pub fn behind_group(words: &[String], from: usize) -> usize {
    let Some(close) = closing(&words[from]) else { return from + 1 };
    let mut depth = 0;
    for (at, word) in words.iter().enumerate().skip(from) {
        if *word == words[from] {
            depth += 1;
        } else if word == close {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    words.len()
}

/// The words without what stands behind `#[cfg(test)]` or the like, and the modules that were declared there.
pub fn without_tests(words: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut modules, mut at) = (Vec::new(), Vec::new(), 0);
    while at < words.len() {
        if words[at] == "#" && words.get(at + 1).is_some_and(|word| word == "[") {
            let end = behind_group(words, at + 1);
            if is_test_only(&words[at + 2..end - 1]) {
                let item = behind_attributes(words, end);
                let behind = behind_item(words, item);
                modules.extend(declared(&words[item..behind]));
                at = behind;
                continue;
            }
            // An attribute's words are no code.
            at = end;
            continue;
        }
        kept.push(words[at].clone());
        at += 1;
    }
    (kept, modules)
}

fn is_test_only(attribute: &[String]) -> bool {
    let words: Vec<&str> = attribute.iter().map(String::as_str).collect();
    matches!(words.as_slice(), ["cfg", "(", "test", ")"] | ["cfg", "(", "doctest", ")"] | ["test"])
        || (words.starts_with(&["cfg", "(", "all", "("]) && words.contains(&"test"))
}

fn behind_attributes(words: &[String], mut at: usize) -> usize {
    while words.get(at).is_some_and(|word| word == "#") {
        at = behind_group(words, at + 1);
    }
    at
}

/// Behind the item, field or statement that begins at `from`.
fn behind_item(words: &[String], from: usize) -> usize {
    let head = words[from..].iter().find(|word| !matches!(word.as_str(), "pub" | "(" | ")" | "crate" | "super"));
    let to_semicolon = head.is_some_and(|word| matches!(word.as_str(), "use" | "const" | "static" | "let"));
    let mut at = from;
    while at < words.len() {
        match words[at].as_str() {
            ";" | "," => return at + 1,
            "}" => return at,
            "{" => {
                at = behind_group(words, at);
                if !to_semicolon {
                    return at;
                }
            }
            "(" | "[" => at = behind_group(words, at),
            _ => at += 1,
        }
    }
    at
}

fn declared(item: &[String]) -> Option<String> {
    let at = item.iter().position(|word| word == "mod")?;
    (item.get(at + 2).is_some_and(|word| word == ";")).then(|| item[at + 1].clone())
}
