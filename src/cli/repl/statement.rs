//! When a statement is finished, as a person would say.
//!
//! Owns a look at quotes, brackets and the last token; the grammar is the parser's business. Never wrong in a way
//! that traps anybody: an empty line ends every statement.

/// How a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It can be a whole statement.
    Whole,
    /// It waits for another line.
    Open,
    /// It ends within a string.
    InString,
}

/// Whether `text` is a whole statement, or waits for another line.
pub(super) fn is_complete(text: &str) -> bool {
    end_of(text) == End::Whole
}

/// How `text` ends.
pub(super) fn end_of(text: &str) -> End {
    let mut last = String::new();
    let mut depth = 0_i32;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => {
                let mut closed = false;
                while let Some(inside) = chars.next() {
                    match inside {
                        '\\' => {
                            chars.next();
                        }
                        inside if inside == c => {
                            closed = true;
                            break;
                        }
                        _ => {}
                    }
                }
                if !closed {
                    return End::InString;
                }
                last = c.to_string();
            }
            '-' if chars.peek() == Some(&'-') => {
                for comment in chars.by_ref() {
                    if comment == '\n' {
                        break;
                    }
                }
            }
            '(' | '[' => {
                depth += 1;
                last = c.to_string();
            }
            ')' | ']' => {
                depth -= 1;
                last = c.to_string();
            }
            c if c.is_whitespace() => {}
            c if is_word(c) => {
                last = c.to_string();
                while let Some(next) = chars.next_if(|next| is_word(*next)) {
                    last.push(next);
                }
            }
            c => last = c.to_string(),
        }
    }
    if last == ";" || (depth <= 0 && !goes_on(&last)) { End::Whole } else { End::Open }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '#' | '$')
}

/// Whether nothing can end in this token.
fn goes_on(last: &str) -> bool {
    let word = last.to_ascii_lowercase();
    matches!(
        word.as_str(),
        "|" | ","
            | "+"
            | "-"
            | "*"
            | "="
            | "<"
            | ">"
            | ":"
            | "find"
            | "in"
            | "and"
            | "or"
            | "not"
            | "where"
            | "let"
            | "explain"
            | "view"
            | "score"
            | "using"
            | "project"
            | "top"
            | "skip"
            | "above"
            | "within"
            | "sides"
            | "from"
            | "csls"
    )
}

/// A statement without blanks around it and without the `;` that ended it.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace())
}

/// Whether the line carries on the statement before it.
pub(super) fn carries_on(line: &str) -> bool {
    line.trim_start().starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_can_end_is_a_statement() {
        for text in [
            "find \"keys\" in notes",
            "find \"keys\" in notes | top 5",
            "find \"keys\" in notes | top 5 -- first try",
            "find [1, 2.5] in notes",
            "show lenses",
            "find \"it's | here\" in notes",
            "find #a - #b in notes | center corpus | where (x = 1)",
            "quit",
            "find \"x\" in notes |;",
            "find 'a\\'b' in notes",
            "find x)",
        ] {
            assert!(is_complete(text), "{text}");
        }
    }

    #[test]
    fn what_cannot_end_there_waits() {
        for text in [
            "find \"keys\" in notes |",
            "find \"keys\" in notes | -- more to come\n",
            "find \"keys",
            "find 'a\\'",
            "find [1, 2",
            "find #a +",
            "let x =",
            "find \"keys\" in",
            "find \"keys\" in notes | where year > 2000 and",
            "find \"keys\" in notes | where (year > 2000",
        ] {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn trimming_takes_the_semicolon() {
        assert_eq!(trimmed("  show lenses ; \n"), "show lenses");
        assert!(carries_on("  | top 5") && !carries_on("find"));
    }
}
