//! Rows of which no block is handed out once a search is to stop.
//!
//! Owns [`Watched`]: every pass over rows goes block by block, so that asking before each block is often enough to
//! stop soon and too seldom to cost anything.

use crate::error::Result;
use crate::lens::RowSource;
use crate::linalg::RowsRef;
use crate::types::control::Control;
use crate::types::{CommitNumber, ViewId};
use std::ops::Range;

/// A source that asks its control before each block.
pub struct Watched<'a> {
    source: &'a dyn RowSource,
    control: &'a Control,
}

impl<'a> Watched<'a> {
    /// `source`, until `control` says to stop.
    pub fn new(source: &'a dyn RowSource, control: &'a Control) -> Self {
        Watched { source, control }
    }
}

impl RowSource for Watched<'_> {
    fn dimension(&self) -> usize {
        self.source.dimension()
    }

    fn row_count(&self) -> u32 {
        self.source.row_count()
    }

    fn block_count(&self) -> usize {
        self.source.block_count()
    }

    fn block_range(&self, block: usize) -> Range<u32> {
        self.source.block_range(block)
    }

    fn block(&self, block: usize) -> Result<RowsRef<'_>> {
        self.control.checkpoint()?;
        self.source.block(block)
    }

    fn identity(&self) -> (ViewId, CommitNumber) {
        self.source.identity()
    }

    fn checkpoint(&self) -> Result<()> {
        self.control.checkpoint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Blend, WeightedLens, scan, scan_batch, scan_blend};
    use super::*;
    use crate::error::ErrorKind;
    use crate::lens::memory::MemoryRows;
    use crate::lens::{Chain, Prepared, ResolvedStep, VectorMetric};
    use crate::types::control::CancelToken;
    use crate::types::{ElementType, RowSet};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Sets the token when a block is read for the third time, or the time that `at` says.
    struct Cancelling {
        rows: MemoryRows,
        token: CancelToken,
        read: AtomicUsize,
        at: usize,
    }

    impl RowSource for Cancelling {
        fn dimension(&self) -> usize {
            self.rows.dimension()
        }

        fn row_count(&self) -> u32 {
            self.rows.row_count()
        }

        fn block_count(&self) -> usize {
            self.rows.block_count()
        }

        fn block_range(&self, block: usize) -> Range<u32> {
            self.rows.block_range(block)
        }

        fn block(&self, block: usize) -> Result<RowsRef<'_>> {
            if self.read.fetch_add(1, Ordering::Relaxed) == self.at {
                self.token.cancel();
            }
            self.rows.block(block)
        }

        fn identity(&self) -> (ViewId, CommitNumber) {
            self.rows.identity()
        }
    }

    /// Counts how often it is asked whether to go on.
    struct Asked {
        rows: MemoryRows,
        asked: AtomicUsize,
    }

    impl RowSource for Asked {
        fn dimension(&self) -> usize {
            self.rows.dimension()
        }

        fn row_count(&self) -> u32 {
            self.rows.row_count()
        }

        fn block_count(&self) -> usize {
            self.rows.block_count()
        }

        fn block_range(&self, block: usize) -> Range<u32> {
            self.rows.block_range(block)
        }

        fn block(&self, block: usize) -> Result<RowsRef<'_>> {
            self.rows.block(block)
        }

        fn identity(&self) -> (ViewId, CommitNumber) {
            self.rows.identity()
        }

        fn checkpoint(&self) -> Result<()> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn what_a_lens_takes_of_the_records_stops_between_blocks_and_asks_within_them() {
        let data: Vec<f32> = (0..4_000 * 8).map(|i| ((i * i + 3) % 17) as f32 - 8.0).collect();
        let live = RowSet::from_range(0..4_000);
        let rows = MemoryRows::new(&data, 8, ElementType::F32, 100);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let whiten = || vec![ResolvedStep::Whiten(None)];
        for steps in [
            vec![ResolvedStep::CenterCorpus],
            vec![ResolvedStep::Standardize],
            whiten(),
            vec![ResolvedStep::Normalize, ResolvedStep::CenterCorpus, ResolvedStep::Normalize, ResolvedStep::Drop(2)],
        ] {
            let chain = Chain::new(steps, VectorMetric::Cosine, 8).unwrap();
            let compute = |at: usize| {
                let token = CancelToken::new();
                let source = Cancelling { rows: rows.clone(), token: token.clone(), read: AtomicUsize::new(0), at };
                let control = Control::new().cancelled_by(token);
                let found = pool.install(|| Prepared::compute(&chain, &Watched::new(&source, &control), &live));
                (found.map(drop).map_err(|error| error.kind()), source.read.into_inner())
            };
            let (all, reads) = compute(usize::MAX);
            assert!(all.is_ok() && reads >= 80, "{reads}");
            for at in [0, 1, 39, 40, reads / 2, reads - 2] {
                assert_eq!(compute(at), (Err(ErrorKind::Cancelled), at + 1), "of {reads} reads");
            }
        }
        // A block may hold many rows: whoever computes with them asks in between.
        let asked = Asked { rows: MemoryRows::new(&data, 8, ElementType::F32, 4_000), asked: AtomicUsize::new(0) };
        let chain = Chain::new(whiten(), VectorMetric::Cosine, 8).unwrap();
        Prepared::compute(&chain, &asked, &live).unwrap();
        assert!(asked.asked.into_inner() >= 4_000 / 512, "rows between two questions");
    }

    #[test]
    fn a_scan_stops_between_blocks() {
        let data: Vec<f32> = (0..4000).map(|i| (i % 7) as f32 + 1.0).collect();
        let rows = MemoryRows::new(&data, 4, ElementType::F32, 10);
        let live = RowSet::from_range(0..1000);
        let chain = Chain::new(Vec::new(), VectorMetric::Cosine, 4).unwrap();
        let prepared = Prepared::compute(&chain, &rows, &live).unwrap();
        let query = prepared.process(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        for queries in [0, 1, 2] {
            let token = CancelToken::new();
            let source = Cancelling { rows: rows.clone(), token: token.clone(), read: AtomicUsize::new(0), at: 2 };
            let control = Control::new().cancelled_by(token);
            let watched = Watched::new(&source, &control);
            let part = WeightedLens { source_idx: 0, prepared: &prepared, query: &query, weight: 0.5, kept: None };
            let found = pool.install(|| match queries {
                0 => {
                    let blend = Blend { sources: vec![&watched], parts: vec![part; 2] };
                    scan_blend(&blend, &live, 3, None).map(|_| ())
                }
                1 => scan(&watched, &prepared, &query, &live, 3, None).map(|_| ()),
                _ => scan_batch(&watched, &prepared, &[query.clone(), query.clone()], &live, 3, None).map(|_| ()),
            });
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Cancelled);
            assert_eq!(source.read.into_inner(), 3, "of 100 blocks");
        }
    }
}
