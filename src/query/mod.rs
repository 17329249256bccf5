//! Level 1: the query language, text to AST and back. It knows no store.
//!
//! Parsing is pure: names are resolved later, in `exec/`. `parse(print(ast)) == ast` holds for every AST.

pub mod ast;
