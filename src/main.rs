//! The `simile` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    simile::cli::run(std::env::args_os())
}
