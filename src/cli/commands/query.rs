//! `simile query`: one statement, or one a line from standard input.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::format::Format;
use crate::cli::runner::{Runner, is_empty};
use crate::error::{Error, Result};
use crate::exec::Param;
use crate::interchange::NpyReader;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `query`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Query {
    /// The store
    store: PathBuf,
    /// The statement, as in 'find "keys" in notes | top 5'; `-` reads one a line from standard input
    statement: String,
    /// Bind a text to $NAME
    #[arg(long = "param", value_name = "NAME=TEXT")]
    params: Vec<String>,
    /// Bind a vector to $NAME: a row of a .npy file, the first row is 0
    #[arg(long = "param-vector", value_name = "NAME=FILE.npy:ROW")]
    param_vectors: Vec<String>,
    /// How to print the answer
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

impl Run for Query {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        // `--format json` is `--json`: errors are JSON then, too.
        console.json |= self.format == Format::Json;
        let format = if console.json { Format::Json } else { self.format };
        let params = self.bindings()?;
        let mut runner = Runner::open(console, &self.store, format, params)?;
        if self.statement == "-" {
            return runner.lines(console);
        }
        let reply = runner.reply(console, &self.statement)?;
        runner.print(console, &reply)?;
        Ok(if is_empty(&reply) { Outcome::Nothing } else { Outcome::Done })
    }
}

impl Query {
    fn bindings(&self) -> Result<Vec<(String, Param)>> {
        let mut bindings = Vec::new();
        for param in &self.params {
            let (name, text) = name_and_value(param, "--param NAME=TEXT")?;
            not_twice(&bindings, name)?;
            bindings.push((name.to_string(), Param::Text(text.to_string())));
        }
        for param in &self.param_vectors {
            const USAGE: &str = "--param-vector NAME=FILE.npy:ROW";
            let (name, place) = name_and_value(param, USAGE)?;
            not_twice(&bindings, name)?;
            let split = place.rsplit_once(':').and_then(|(file, row)| Some((file, row.parse::<u64>().ok()?)));
            let Some((file, row)) = split else {
                return Err(Error::invalid(format!("{place:?} names no row: expected {USAGE}")));
            };
            let mut reader = NpyReader::open(Path::new(file))?;
            reader.seek(row)?;
            let mut vector = Vec::new();
            reader.next_row(&mut vector)?;
            bindings.push((name.to_string(), Param::Vector(vector)));
        }
        Ok(bindings)
    }
}

/// One of two values would be passed over in silence.
fn not_twice(bindings: &[(String, Param)], name: &str) -> Result<()> {
    if bindings.iter().any(|(bound, _)| bound == name) {
        return Err(Error::invalid(format!("${name} is given twice: a parameter has one value")));
    }
    Ok(())
}

fn name_and_value<'a>(param: &'a str, usage: &str) -> Result<(&'a str, &'a str)> {
    let (name, value) =
        param.split_once('=').ok_or_else(|| Error::invalid(format!("{param:?} has no `=`: expected {usage}")))?;
    let name = name.trim_start_matches('$');
    if name.is_empty() {
        return Err(Error::invalid(format!("{param:?} has no name before `=`: expected {usage}")));
    }
    Ok((name, value))
}
