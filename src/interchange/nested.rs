//! Nested JSON as it was written: digits of numbers, order of keys, nothing dropped.
//!
//! Owns the compact form that nested metadata is kept in: white space between tokens goes, strings are written one way,
//! the rest stays. A key that comes twice in one object is refused at every depth, as it is at the top. It reads text
//! that a JSON parser has accepted already, so it looks for no other fault; on text that is no JSON it stops.

use std::collections::HashSet;

/// Deeper nesting than any JSON that was accepted before has.
const DEPTH: usize = 130;

/// The nested values of an object's own keys, compact, by their keys.
///
/// # Errors
/// The path of a key that comes twice in one object below the top, as in `meta.a[0].k`.
pub(super) fn nested_values(object: &str) -> Result<Vec<(String, String)>, String> {
    let mut reader = Reader { text: object, at: 0 };
    let mut found = Vec::new();
    reader.take('{');
    while let Some(key) = reader.string() {
        reader.take(':');
        let mut value = String::new();
        let (is_nested, path) = (matches!(reader.peek(), Some('{' | '[')), decoded(key));
        reader.value(&mut value, &path, 0)?;
        if is_nested {
            found.push((path, value));
        }
        if !reader.take(',') {
            break;
        }
    }
    Ok(found)
}

/// A JSON text in compact form; `None` for text that is no JSON value.
pub(crate) fn compact(json: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(json).ok()?;
    let mut value = String::with_capacity(json.len());
    Reader { text: json, at: 0 }.value(&mut value, "", 0).ok()?;
    Some(value)
}

fn decoded(string: &str) -> String {
    serde_json::from_str(string).unwrap_or_default()
}

/// Walks over JSON text.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// The next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += if is_there { wanted.len_utf8() } else { 0 };
        is_there
    }

    /// The next string, quotes included.
    fn string(&mut self) -> Option<&'t str> {
        if self.peek() != Some('"') {
            return None;
        }
        let rest = self.text.get(self.at..)?;
        let mut is_escaped = false;
        let end = rest.bytes().enumerate().skip(1).find(|(_, byte)| match byte {
            _ if is_escaped => {
                is_escaped = false;
                false
            }
            b'\\' => {
                is_escaped = true;
                false
            }
            byte => *byte == b'"',
        });
        let found = rest.get(..end?.0 + 1)?;
        self.at += found.len();
        Some(found)
    }

    /// Appends the next value to `out`.
    fn value(&mut self, out: &mut String, path: &str, depth: usize) -> Result<(), String> {
        match self.peek() {
            Some('{') if depth < DEPTH => self.object(out, path, depth),
            Some('[') if depth < DEPTH => self.list(out, path, depth),
            Some('"') => {
                out.push_str(&written(self.string().unwrap_or_default()));
                Ok(())
            }
            // A number, `true`, `false` or `null`: up to what may follow a value.
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let end = rest.find([',', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
                out.push_str(rest.get(..end).unwrap_or_default());
                self.at += end;
                Ok(())
            }
        }
    }

    fn object(&mut self, out: &mut String, path: &str, depth: usize) -> Result<(), String> {
        let mut seen = HashSet::new();
        self.take('{');
        out.push('{');
        while let Some(string) = self.string() {
            let key = decoded(string);
            let path = format!("{path}.{key}");
            if !seen.is_empty() {
                out.push(',');
            }
            out.push_str(&written(string));
            out.push(':');
            self.take(':');
            self.value(out, &path, depth + 1)?;
            if !seen.insert(key) {
                return Err(path);
            }
            if !self.take(',') {
                break;
            }
        }
        self.take('}');
        out.push('}');
        Ok(())
    }

    fn list(&mut self, out: &mut String, path: &str, depth: usize) -> Result<(), String> {
        self.take('[');
        out.push('[');
        let mut count = 0;
        while self.peek().is_some_and(|c| c != ']') {
            if count > 0 {
                out.push(',');
            }
            self.value(out, &format!("{path}[{count}]"), depth + 1)?;
            count += 1;
            if !self.take(',') {
                break;
            }
        }
        self.take(']');
        out.push(']');
        Ok(())
    }
}

/// A string as it is always written: `"\u0061\/"` is `"a/"`.
fn written(string: &str) -> String {
    if string.contains('\\') { serde_json::Value::from(decoded(string)).to_string() } else { string.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_stays() {
        let line = r#" {"id": "a", "s": "x{[", "m" : { "z":1, "a" : [ 123456789012345678901 , 1.10, -0, 1e5, "\u00e9\/\u0000\"", [] , {} ] ,
            "n":null,"t":true }, "l": [ [ ] ], "\u006d2": {"é": "\\"}, "v": [1, 2.50] } "#;
        let expected = [
            ("m", r#"{"z":1,"a":[123456789012345678901,1.10,-0,1e5,"é/\u0000\"",[],{}],"n":null,"t":true}"#),
            ("l", "[[]]"),
            ("m2", r#"{"é":"\\"}"#),
            ("v", "[1,2.50]"),
        ];
        let found = nested_values(line).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_key_that_comes_twice_is_told_with_its_path() {
        let twice = [
            (r#"{"m": {"k": 1, "k": 2}}"#, "m.k"),
            (r#"{"m": {"k": 1, "\u006b": 1}}"#, "m.k"),
            (r#"{"o": 1, "m": [0, {"a": {"": 1, "": 2}}]}"#, "m[1].a."),
        ];
        for (line, path) in twice {
            assert_eq!(nested_values(line), Err(path.to_string()), "{line}");
        }
        assert!(nested_values(r#"{"m": {"k": {"k": 1}, "l": {"k": 1}}, "n": [{"k": 1}, {"k": 1}]}"#).is_ok());
    }

    #[test]
    fn compact_text_means_the_same_and_nothing_else_is_compacted() {
        let json = "{\"b\" : [1 ,\n2.0 , \"a b\" ],\r\"a\":{}}";
        assert_eq!(compact(json).as_deref(), Some("{\"b\":[1,2.0,\"a b\"],\"a\":{}}"));
        for other in ["", "{", "nonsense", "{} {}", "[1,]", "{\"a\":1,\"a\":1}"] {
            assert_eq!(compact(other), None, "{other}");
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert_eq!(compact(&deep), Some(deep));
    }
}
