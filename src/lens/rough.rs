//! Many rows of one side of a lens at once, in single precision: what samples of pairs and diagnoses look at.
//!
//! Owns [`Rough`]. Rows run in tiles of `f64` as all passes over a view do, but for matrices, whose products are in
//! `f32`; so a processed row is off by rounding, and nothing here is ever shown as a score. Whether a row has a
//! direction is decided by the same rule as everywhere.

use super::fold::ProcessedQuery;
use super::program::{Op, Traveller, Undirected};
use super::step::ResolvedStep;
use super::tile::{Steps, Tile};
use super::{Prepared, RowSource, hubs};
use crate::error::Result;
use crate::linalg::rows::RowRef;
use rayon::prelude::*;

/// A side of a lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As queries run.
    Query,
    /// As records run.
    Record,
}

/// Processed rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rough {
    /// Elements of one row.
    pub dimension: usize,
    /// `n x dimension`, row-major; a row without a direction is zero.
    pub data: Vec<f32>,
    /// Whether each row has a direction.
    pub directed: Vec<bool>,
}

impl Rough {
    /// Row `idx`.
    pub fn row(&self, idx: usize) -> &[f32] {
        self.data.get(idx * self.dimension..(idx + 1) * self.dimension).unwrap_or_default()
    }
}

/// Reads single rows of a source, wherever they are.
pub struct RowReader<'a> {
    source: &'a dyn RowSource,
    /// End of each block.
    ends: Vec<u32>,
}

impl<'a> RowReader<'a> {
    /// A reader of `source`.
    pub fn new(source: &'a dyn RowSource) -> Self {
        RowReader { source, ends: (0..source.block_count()).map(|block| source.block_range(block).end).collect() }
    }

    /// Row `row`, which the source covers.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn row(&self, row: u32) -> Result<RowRef<'a>> {
        let block = self.ends.partition_point(|&end| end <= row);
        Ok(self.source.block(block)?.row((row - self.source.block_range(block).start) as usize))
    }
}

impl Prepared {
    /// Whether a vector may become something else as a query than as a record.
    pub fn sides_differ(&self) -> bool {
        self.chain().steps().iter().any(|step| match step {
            ResolvedStep::CenterSides(_) => true,
            ResolvedStep::Project(both) => both.query().fingerprint() != both.record().fingerprint(),
            _ => false,
        })
    }

    /// `rows` as records in `f64`, each with what `csls` takes off its scores (0 without it). They must have a
    /// direction.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub(crate) fn exact_records(&self, source: &dyn RowSource, rows: &[u32]) -> Result<Vec<(Vec<f64>, f64)>> {
        let reader = RowReader::new(source);
        let process = |&row: &u32| {
            let mut traveller = Traveller::default();
            let raw = reader.row(row)?;
            raw.widen_f64(&mut traveller.vector);
            self.record_program().run(&mut traveller, Undirected::GoOn);
            let correction = self.hubness(raw).map_or(0.0, |hubness| 0.5 * hubness);
            Ok((traveller.vector, correction))
        };
        rows.par_iter().map(process).collect()
    }

    /// What `csls` takes off the scores of `row`, to single precision; not a number where that does not hold it.
    pub(crate) fn rough_correction(&self, row: u32) -> f64 {
        if self.chain().csls().is_none() {
            return 0.0;
        }
        if self.extreme().contains(row) {
            return f64::NAN;
        }
        self.scalars().hubs.0.get(row as usize).map_or(f64::NAN, |&hub| 0.5 * f64::from(hub))
    }

    /// What `query` finds a record of [`Prepared::exact_records`] with: the bits that a search shows.
    pub(crate) fn exact_score(&self, query: &ProcessedQuery, (vector, correction): &(Vec<f64>, f64)) -> f64 {
        hubs::score(self.chain().metric(), query, vector) - correction
    }
}

/// One side of a lens over the rows of one source.
pub struct RoughPass<'a> {
    steps: Steps<'a>,
    /// Directions in `f32`, by position; matrices are as they are stored.
    narrow: Vec<Vec<f32>>,
    reader: RowReader<'a>,
    dimensions: (usize, usize),
}

impl<'a> RoughPass<'a> {
    /// The `side` of `prepared` over `source`.
    pub fn new(prepared: &'a Prepared, source: &'a dyn RowSource, side: Side) -> Self {
        let program = match side {
            Side::Query => prepared.query_program(),
            Side::Record => prepared.record_program(),
        };
        let narrow = |op: &Op| match op {
            Op::Coordinates(basis) => basis.rows().iter().map(|&x| x as f32).collect(),
            _ => Vec::new(),
        };
        let narrow = program.ops.iter().map(narrow).collect();
        let dimensions = (source.dimension(), prepared.chain().output_dimension());
        RoughPass { steps: Steps::new(&program.ops, false), narrow, reader: RowReader::new(source), dimensions }
    }

    /// Processes `rows`, in place of what `out` held, on the calling thread.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub fn process(&self, rows: &[u32], out: &mut Rough) -> Result<()> {
        let mut tile = Tile::default();
        tile.clear(self.dimensions.0);
        tile.vectors.reserve_exact(rows.len() * self.dimensions.0);
        for &row in rows {
            tile.push_raw(row, self.reader.row(row)?);
        }
        tile.run_rough(&self.steps, &self.narrow);
        out.dimension = self.dimensions.1;
        out.data.clear();
        out.data.extend(tile.vectors.iter().map(|&x| x as f32));
        out.directed = tile.alive;
        Ok(())
    }
}
