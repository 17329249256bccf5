//! A projection as a chain uses it: one matrix for both sides, or one for each.
//!
//! Owns [`Projection`]. Matrices are `k x d`, row-major, `f32`, and shared.

use crate::error::{Error, Result};
use crate::linalg::Matrix;
use crate::types::ProjectionDef;
use std::sync::Arc;

/// A named matrix, or a named pair of matrices of the same shape of output.
#[derive(Debug, Clone)]
pub struct Projection {
    name: String,
    query: Arc<Matrix>,
    record: Arc<Matrix>,
}

impl Projection {
    /// What its matrices take on the heap; one for both sides counts once.
    pub fn heap_bytes(&self) -> usize {
        let bytes = |matrix: &Matrix| matrix.rows() * matrix.columns() * size_of::<f32>();
        let record = if Arc::ptr_eq(&self.query, &self.record) { 0 } else { bytes(&self.record) };
        bytes(&self.query) + record + self.name.len()
    }

    /// A stored projection: symmetric, or a stored pair.
    ///
    /// # Errors
    /// When the stored shape does not fit the stored elements, or an element is not finite.
    pub fn from_def(def: &ProjectionDef) -> Result<Self> {
        let query = Arc::new(matrix(def, &def.query)?);
        let record = match &def.record {
            Some(record) => Arc::new(matrix(def, record)?),
            None => Arc::clone(&query),
        };
        Ok(Projection { name: def.name.clone(), query, record })
    }

    /// `project A -> B`: matrix A on the query, matrix B on the record.
    ///
    /// # Errors
    /// When one of them is itself a pair, or their outputs have different dimensions.
    pub fn pair(query: &ProjectionDef, record: &ProjectionDef) -> Result<Self> {
        for def in [query, record] {
            if def.record.is_some() {
                return Err(Error::invalid(format!(
                    "{} is a pair of matrices already: write `project {}`",
                    def.name, def.name
                )));
            }
        }
        if query.rows != record.rows {
            return Err(Error::invalid(format!(
                "project {} -> {}: {} gives {} dimensions and {} gives {}; the two sides must meet in the same space",
                query.name, record.name, query.name, query.rows, record.name, record.rows
            )));
        }
        Ok(Projection {
            name: format!("{} -> {}", query.name, record.name),
            query: Arc::new(matrix(query, &query.query)?),
            record: Arc::new(matrix(record, &record.query)?),
        })
    }

    /// The name, or `A -> B`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The query side.
    pub fn query(&self) -> &Arc<Matrix> {
        &self.query
    }

    /// The record side.
    pub fn record(&self) -> &Arc<Matrix> {
        &self.record
    }
}

/// The elements of one side as a matrix of the stored shape.
fn matrix(def: &ProjectionDef, data: &[f32]) -> Result<Matrix> {
    if data.iter().any(|x| !x.is_finite()) {
        return Err(Error::invalid(format!("projection {} has an element that is not finite", def.name)));
    }
    Matrix::new(def.rows as usize, def.columns as usize, data.to_vec()).ok_or_else(|| {
        Error::invalid(format!(
            "projection {} says {} x {} but has {} elements",
            def.name,
            def.rows,
            def.columns,
            data.len()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn def(name: &str, rows: u32, columns: u32) -> ProjectionDef {
        let query = vec![1.0; (rows * columns) as usize];
        ProjectionDef {
            name: name.to_string(),
            rows,
            columns,
            query,
            record: None,
            origin: String::new(),
            fitted_on: None,
        }
    }

    #[test]
    fn pairs_must_meet() {
        let error = Projection::pair(&def("asks", 3, 8), &def("answers", 4, 8)).unwrap_err();
        assert!(error.message().contains("asks gives 3 dimensions and answers gives 4"), "{error}");
        assert_eq!(Projection::pair(&def("asks", 3, 8), &def("answers", 3, 9)).unwrap().name(), "asks -> answers");
        let mut stored = def("both", 2, 2);
        stored.record = Some(vec![0.0; 4]);
        assert!(Projection::pair(&stored, &def("answers", 2, 2)).unwrap_err().message().contains("a pair"));
    }

    #[test]
    fn damaged_definitions_are_refused() {
        let mut short = def("short", 2, 2);
        short.query.pop();
        assert!(Projection::from_def(&short).unwrap_err().message().contains("2 x 2 but has 3"));
        let mut wild = def("wild", 1, 1);
        wild.query[0] = f32::NAN;
        assert!(Projection::from_def(&wild).unwrap_err().message().contains("not finite"));
    }
}
