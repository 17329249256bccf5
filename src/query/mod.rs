//! Level 1: the query language, text to AST and back. It knows no store.
//!
//! Parsing is pure: names are resolved later, in `exec/`. `parse(print(ast)) == ast` holds for every AST that a
//! statement can have. One mistake is answered at a time, with its place, what was expected, and where possible
//! the whole statement repaired; a repaired statement always parses.
//!
//! # Grammar
//!
//! ```text
//! statement  = find
//!            | "pairs" place stages
//!            | "explain" [ "analyze" ] find
//!            | "compare" NAME { "," NAME } ":" find              two lenses or more
//!            | "why" ID ":" find
//!            | "let" NAME "=" lens-stage { "|" lens-stage }
//!            | "drop" NAME
//!            | "show" ( "collections" | "views" | "fields" | "lenses" | "projections" | "samples" | "respects"
//!                      | "undirected" )
//!
//! find       = "find" source place stages
//! place      = "in" NAME
//! source     = [ "-" ] term { ( "+" | "-" ) term }               a binary "-" has white space before it
//! term       = [ NUMBER "*" ] ( STRING | ID | PARAM | "[" NUMBER { "," NUMBER } "]" )
//!
//! stages     = { "|" stage }                                     in this order, each at most once but for steps
//! stage      = lens-stage
//!            | "where" condition
//!            | ( "above" | "within" ) NUMBER
//!            | "skip" COUNT
//!            | "top" COUNT
//!            | "including" "self" | "exact"                      anywhere
//! lens-stage = "view" NAME | "using" NAME | "blend" part { ( "+" | "-" ) part }
//!            | step
//!            | "score" metric [ "csls" COUNT "from" NAME ]
//! part       = NUMBER "*" NAME
//! step       = "center" [ "corpus" | "sides" "from" NAME ]
//!            | "normalize" | "standardize" | "whiten" [ COUNT ] | "drop" COUNT | "truncate" COUNT
//!            | "project" NAME [ "->" NAME ]
//! metric     = "cosine" | "dot" | "pearson" | "euclidean" | "probability" | "levenshtein"
//!
//! condition  = all { "or" all }                                  "or" binds weakest, "not" strongest
//! all        = not { "and" not }
//! not        = "not" not | "(" condition ")" | comparison
//! comparison = FIELD ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | FIELD "in" "(" value { "," value } ")"
//!            | FIELD "has" value
//!            | FIELD "is" [ "not" ] "null"
//! value      = STRING | NUMBER | "true" | "false" | PARAM
//! ```
//!
//! # Words
//!
//! ```text
//! NAME    a word that is no keyword, or any characters in backticks
//! FIELD   a word other than and, or, not, in, has, is, null, true, false; or any characters in backticks
//! word    begins with a letter or "_", goes on with letters, digits, "_", "-", "." and "@", ends in a letter,
//!         a digit or "_"
//! ID      "#" and [A-Za-z0-9_]([A-Za-z0-9_.:-]*[A-Za-z0-9_])?, or "#" and a STRING
//! PARAM   "$" and [A-Za-z_][A-Za-z0-9_]*
//! STRING  in "..." or '...', with the escapes \\ \" \' \` \n \r \t \0 \u{hex}
//! NUMBER  [ "-" ] digits, with a point or an exponent for floats; always finite
//! COUNT   a whole number without a sign
//! comment from "--" to the end of the line, wherever a word could begin
//! ```
//!
//! Keywords are read in any case; names are not. White space, line ends included, only separates. Words are taken
//! as long as they go: `a-b` is one name. Limits stand in [`crate::types::limits`].

pub mod ast;
mod blame;
pub(crate) mod bounds;
mod mistake;
mod name;
mod notes;
mod parser;
mod printer;
mod repair;
mod scene;
mod stages;
mod suggest;
mod token;
mod word;

#[cfg(test)]
mod tests;

pub use name::{check_id, check_name, is_bare_field, is_bare_id, is_bare_name, is_keyword, is_param_name};
pub use notes::doubts;
pub use printer::{print, print_expr, print_field, print_id, print_lens, print_name, print_number, print_step};
pub use suggest::suggest;
#[cfg(feature = "cli")]
pub(crate) use word::is_invisible;
pub use word::quote_text;

use crate::error::QueryError;
use crate::types::limits::STATEMENT_BYTES;
use ast::{Expr, Statement};
use mistake::{Mistake, Parsed};
use token::{Kind, Tokens, tokens};

/// The typed tree of a statement.
///
/// ```
/// use simile::query::{ast::Statement, parse};
/// let statement = parse("find #king - #man + #woman in words | normalize | top 5")?;
/// let Statement::Find(find) = statement else { panic!("a search") };
/// assert_eq!(find.source.node.terms.len(), 3);
///
/// let error = parse("find 'lost keys' in notes | scor cosine").unwrap_err();
/// assert_eq!(error.corrected.as_deref(), Some("find 'lost keys' in notes | score cosine"));
/// # Ok::<(), simile::QueryError>(())
/// ```
///
/// # Errors
/// The first mistake, with its place and, where possible, the whole statement repaired.
pub fn parse(text: &str) -> Result<Statement, QueryError> {
    with_repair(text, parser::statement)
}

/// The typed tree of a condition alone, as in `simile remove --where CONDITION`.
///
/// # Errors
/// The first mistake, as for [`parse`].
pub fn parse_expr(text: &str) -> Result<Expr, QueryError> {
    with_repair(text, parser::whole_condition)
}

fn with_repair<T>(text: &str, parser: fn(Tokens<'_>) -> Parsed<'_, T>) -> Result<T, QueryError> {
    if text.len() > STATEMENT_BYTES {
        return Err(too_long(text));
    }
    parse_once(text, parser).map_err(|mistake| {
        let check = |edited: &str| {
            if edited.len() > STATEMENT_BYTES {
                return Err(Mistake::new("limit::statement", "the statement is too long", 0..0));
            }
            parse_once(edited, parser).map(|_| ())
        };
        let corrected = repair::corrected(text, &mistake, &check);
        mistake.into_error(text, corrected)
    })
}

fn parse_once<T>(text: &str, parser: fn(Tokens<'_>) -> Parsed<'_, T>) -> Result<T, Mistake> {
    let tokens = tokens(text);
    let mistake = match parser(Tokens(&tokens)) {
        Ok((_, tree)) => return Ok(tree),
        Err(nom::Err::Error(mistake) | nom::Err::Failure(mistake)) => *mistake,
        // The parsers are complete ones; this arm only satisfies the type.
        Err(nom::Err::Incomplete(_)) => {
            Mistake::new("parse::unexpected", "the statement is incomplete", text.len()..text.len())
        }
    };
    // Where the text stopped making tokens, that is what is wrong, unless something was wrong before.
    let stop = tokens.last().filter(|last| last.kind == Kind::Invalid && last.start <= mistake.span.start);
    Err(stop.map_or(mistake, |stop| blame::invalid(&text[stop.start..], stop.start)))
}

/// The error for a statement over the limit; it keeps only the statement's beginning.
fn too_long(text: &str) -> QueryError {
    let end = (0..=80).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let head = &text[..end];
    let message = format!("a statement has at most {STATEMENT_BYTES} bytes, this one has {}", text.len());
    QueryError::new("limit::statement", message, head, head.len()..head.len())
        .hint("long texts and vectors are bound to a `$param`")
}
