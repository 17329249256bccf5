//! The sum of a view's raw rows, in parts: what a commit did not change is not added up again.
//!
//! Owns [`RowSums`]. Parts are cut by row numbers alone and added in row order, each a function of its rows; so the total
//! has the same bits whether parts were taken over or not, and for any number of threads. It does not know which files
//! rows are in: whoever hands over earlier parts says that rows stand where they stood.

use super::RowSource;
use super::moments::raw_sum_of;
use super::tile::{self, Task};
use crate::error::Result;
use crate::linalg::stats::VectorSum;
use crate::types::RowSet;
use rayon::prelude::*;
use std::ops::Range;

/// Element-wise sums of the live rows of consecutive runs of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSums {
    dimension: usize,
    live: RowSet,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    rows: Range<u32>,
    sum: VectorSum,
}

impl RowSums {
    /// The sums of the rows of `live`. A part of `earlier` is taken over where it is of the same rows; rows that are live
    /// in both must have the elements they had. Uses the current rayon pool.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub fn of(source: &dyn RowSource, live: &RowSet, earlier: Option<&RowSums>) -> Result<Self> {
        let dimension = source.dimension();
        let earlier = earlier.filter(|earlier| earlier.dimension == dimension);
        let stable = earlier.map(|earlier| live.and(&earlier.live));
        let known = |task: &Task| -> Option<VectorSum> {
            let (earlier, stable) = (earlier?, stable.as_ref()?);
            let place = earlier.parts.binary_search_by_key(&task.rows.start, |part| part.rows.start).ok()?;
            let part = earlier.parts.get(place).filter(|part| part.rows == task.rows)?;
            let count = stable.count_range(task.rows.clone());
            let same = count == part.sum.count && count == live.count_range(task.rows.clone());
            same.then(|| part.sum.clone())
        };
        let part = |task: &Task| -> Result<Part> {
            let sum = match known(task) {
                Some(sum) => sum,
                None => raw_sum_of(source, live, task)?,
            };
            Ok(Part { rows: task.rows.clone(), sum })
        };
        let parts = tile::tasks(source, tile::SUM_ROWS).par_iter().map(part).collect::<Result<_>>()?;
        Ok(RowSums { dimension, live: live.clone(), parts })
    }

    /// The sum of all live rows, and how many they are.
    pub fn total(&self) -> VectorSum {
        let mut total = VectorSum::new(self.dimension);
        self.parts.iter().for_each(|part| total.merge(&part.sum));
        total
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.parts.len() * (size_of::<Part>() + self.dimension * size_of::<f64>()) + self.live.encoded_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::memory::MemoryRows;
    use crate::linalg::random::Random;
    use crate::types::ElementType;

    fn rows(count: usize) -> Vec<f32> {
        let mut random = Random::new(7);
        (0..3 * count).map(|_| random.below(1_000_000) as f32 * 1e-3 - 200.0).collect()
    }

    #[test]
    fn parts_taken_over_give_the_bits_of_sums_made_anew() {
        let all = rows(9_000);
        let source = |count: usize| MemoryRows::new(&all[..3 * count], 3, ElementType::F32, 100);
        let mut earlier: Option<RowSums> = None;
        let mut live = RowSet::new();
        // Rows come, go, come while others go, and get a vector that they did not have.
        let steps = [
            (5_000, 40..50, 0..0),
            (5_030, 0..0, 0..0),
            (5_030, 2_100..2_101, 0..0),
            (9_000, 4_990..5_040, 0..0),
            (9_000, 0..0, 40..45),
        ];
        for (count, gone, back) in steps {
            live = live.or(&RowSet::from_range(live.iter().last().map_or(0, |row| row + 1)..count as u32));
            live = live.and_not(&RowSet::from_range(gone)).or(&RowSet::from_range(back));
            let anew = RowSums::of(&source(count), &live, None).unwrap();
            let taken = RowSums::of(&source(count), &live, earlier.as_ref()).unwrap();
            assert_eq!(taken, anew);
            let bits = |sums: &RowSums| sums.total().sum.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!((bits(&taken), taken.total().count), (bits(&anew), live.len()));
            earlier = Some(anew);
        }
    }

    #[test]
    fn only_parts_that_changed_are_read() {
        let (all, live) = (rows(9_000), RowSet::from_range(0..9_000));
        let sums = RowSums::of(&MemoryRows::new(&all, 3, ElementType::F32, 100), &live, None).unwrap();
        // Were rows read again, their sums would be of zeros.
        let zeros = MemoryRows::new(&vec![0.0; all.len()], 3, ElementType::F32, 100);
        assert_eq!(RowSums::of(&zeros, &live, Some(&sums)).unwrap(), sums);
        let less = live.and_not(&RowSet::from_range(8_999..9_000));
        let found = RowSums::of(&zeros, &less, Some(&sums)).unwrap();
        assert_eq!(found.parts[..4], sums.parts[..4]);
        assert_eq!(found.parts[4].sum.sum, [0.0; 3]);
    }
}
