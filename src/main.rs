//! The `simile` program: arguments in, exit code out.
fn main() {}
