//! `simile project`: a matrix, or one for each side, under a name.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::one_line;
use crate::error::{Error, ErrorKind, Result};
use crate::interchange::NpyReader;
use crate::types::ProjectionDef;
use crate::types::limits::DIMENSION;
use clap::{ArgGroup, Args};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Most numbers of one matrix; it is kept in the catalog.
const NUMBERS: u64 = 1 << 23;

/// Arguments of `project`.
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("source").required(true).multiple(true).args(["matrix", "query", "record", "identity", "random"])
))]
pub(in crate::cli) struct Project {
    /// The store
    store: PathBuf,
    /// Name of the projection
    name: String,
    /// One matrix (k x d, .npy) for queries and records
    #[arg(long, value_name = "M.npy", conflicts_with_all = ["query", "record", "identity", "random"])]
    matrix: Option<PathBuf>,
    /// The queries' matrix (k x d, .npy); needs --record
    #[arg(long, value_name = "Q.npy", requires = "record", conflicts_with_all = ["identity", "random"])]
    query: Option<PathBuf>,
    /// The records' matrix (k x d, .npy); needs --query
    #[arg(long, value_name = "K.npy", requires = "query")]
    record: Option<PathBuf>,
    /// The identity of this dimension
    #[arg(long, value_name = "D", conflicts_with = "random")]
    identity: Option<u32>,
    /// A random matrix of k rows and d columns
    #[arg(long, value_name = "KxD", requires = "seed")]
    random: Option<String>,
    /// Seed of the random matrix
    #[arg(long, value_name = "N", requires = "random")]
    seed: Option<u64>,
    /// Replace a projection of this name
    #[arg(long)]
    replace: bool,
}

impl Run for Project {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let def = self.definition()?;
        let store = console.open_writer(&self.store)?;
        // The writer's lock is held, so nobody can store one of this name in between.
        if !self.replace && store.snapshot()?.projection(&self.name)?.is_some() {
            let message =
                format!("there is a projection {:?} already (--replace stores this one in its place)", self.name);
            return Err(Error::new(ErrorKind::Exists, message));
        }
        let mut batch = store.begin()?;
        batch.put_projection(def.clone())?;
        let commit = batch.commit()?;
        if console.json {
            console.document(&json!({
                "projection": def.name, "rows": def.rows, "columns": def.columns, "pair": def.record.is_some(),
                "origin": def.origin, "commit": commit.0,
            }))?;
        } else {
            let sides = if def.record.is_some() { "one matrix for each side" } else { "both sides" };
            let name = one_line(&def.name);
            console.line(format!(
                "projection {name}: {} -> {}, {sides} ({})",
                def.columns,
                def.rows,
                one_line(&def.origin)
            ))?;
        }
        Ok(Outcome::Done)
    }
}

impl Project {
    fn definition(&self) -> Result<ProjectionDef> {
        let def = |rows, columns, query, record, origin| ProjectionDef {
            name: self.name.clone(),
            rows,
            columns,
            query,
            record,
            origin,
            fitted_on: None,
        };
        if let Some(path) = &self.matrix {
            let (rows, columns, matrix) = read_matrix(path)?;
            return Ok(def(rows, columns, matrix, None, file_name(path)));
        }
        if let (Some(query_path), Some(record_path)) = (&self.query, &self.record) {
            let (rows, columns, query) = read_matrix(query_path)?;
            let (record_rows, record_columns, record) = read_matrix(record_path)?;
            if (rows, columns) != (record_rows, record_columns) {
                return Err(Error::invalid(format!(
                    "the queries' matrix is {rows} x {columns}, the records' {record_rows} x {record_columns}: both \
                     sides must agree"
                )));
            }
            let origin = format!("{}, {}", file_name(query_path), file_name(record_path));
            return Ok(def(rows, columns, query, Some(record), origin));
        }
        if let Some(dimension) = self.identity {
            check_shape(dimension, dimension)?;
            let mut matrix = vec![0.0; dimension as usize * dimension as usize];
            matrix.iter_mut().step_by(dimension as usize + 1).for_each(|number| *number = 1.0);
            return Ok(def(dimension, dimension, matrix, None, "identity".to_string()));
        }
        let (Some(shape), Some(seed)) = (&self.random, self.seed) else {
            return Err(Error::invalid("one of --matrix, --query with --record, --identity and --random is needed"));
        };
        let (rows, columns) = parse_shape(shape)?;
        check_shape(rows, columns)?;
        let matrix = random_matrix(rows, columns, seed);
        Ok(def(rows, columns, matrix, None, format!("random seed {seed}")))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read_matrix(path: &Path) -> Result<(u32, u32, Vec<f32>)> {
    let mut reader = NpyReader::open(path)?;
    let shape = (u32::try_from(reader.rows()), u32::try_from(reader.columns()));
    let (Ok(rows), Ok(columns)) = shape else { return Err(too_large(path.display().to_string())) };
    check_shape(rows, columns)?;
    Ok((rows, columns, reader.read_rest()?))
}

fn parse_shape(shape: &str) -> Result<(u32, u32)> {
    let sides =
        shape.split_once(['x', 'X']).and_then(|(rows, columns)| Some((rows.parse().ok()?, columns.parse().ok()?)));
    sides.ok_or_else(|| Error::invalid(format!("{shape:?} is no shape: expected rows x columns, as in 64x192")))
}

fn check_shape(rows: u32, columns: u32) -> Result<()> {
    if rows == 0 || columns == 0 {
        return Err(Error::invalid(format!("a matrix of {rows} x {columns} projects onto nothing")));
    }
    let too_long = rows as usize > DIMENSION || columns as usize > DIMENSION;
    if too_long || u64::from(rows) * u64::from(columns) > NUMBERS {
        return Err(too_large(format!("a matrix of {rows} x {columns}")));
    }
    Ok(())
}

fn too_large(what: String) -> Error {
    Error::new(ErrorKind::Limit, format!("{what} is too large: at most {NUMBERS} numbers are allowed"))
}

/// Independent normal numbers with variance 1/k, so that lengths are kept on average (Johnson and Lindenstrauss).
///
/// The generator is splitmix64 (Steele, Lea and Flood 2014), made normal by Box and Muller: the same seed gives the
/// same matrix on every machine whose logarithm and cosine agree.
fn random_matrix(rows: u32, columns: u32, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let scale = 1.0 / f64::from(rows).sqrt();
    let count = rows as usize * columns as usize;
    (0..count)
        .map(|_| {
            let (radius, angle) = ((-2.0 * (1.0 - next()).ln()).sqrt(), std::f64::consts::TAU * next());
            (radius * angle.cos() * scale) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_and_bounded() {
        assert_eq!(parse_shape("64x192").unwrap(), (64, 192));
        assert!(parse_shape("64").is_err() && parse_shape("x").is_err() && parse_shape("-1x2").is_err());
        assert!(check_shape(0, 5).is_err() && check_shape(65_537, 1).is_err() && check_shape(60_000, 60_000).is_err());
        assert!(check_shape(1024, 1024).is_ok());
    }

    #[test]
    fn random_matrices_repeat_and_keep_lengths() {
        let matrix = random_matrix(200, 50, 7);
        assert_eq!(matrix, random_matrix(200, 50, 7));
        assert_ne!(matrix, random_matrix(200, 50, 8));
        let mean: f64 = matrix.iter().map(|&x| f64::from(x)).sum::<f64>() / matrix.len() as f64;
        let square: f64 = matrix.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / matrix.len() as f64;
        assert!(mean.abs() < 0.005 && (square * 200.0 - 1.0).abs() < 0.05, "{mean} {square}");
    }
}
