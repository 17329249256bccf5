//! The sum of a view's rows, raw or each of length 1, in parts: what a commit did not change is not added up again.
//!
//! Owns [`RowSums`]. Parts are cut by row numbers alone and added in row order, each a function of its rows; so the
//! total has the same bits whether parts were taken over or not, and for any number of threads. It does not know which
//! files rows are in: whoever hands over earlier parts says that rows stand where they stood.

use super::RowSource;
use super::moments::{RowForm, sum_of_rows};
use super::tile::{self, Task};
use crate::error::Result;
use crate::linalg::stats::VectorSum;
use crate::types::RowSet;
use rayon::prelude::*;
use std::ops::Range;

/// Element-wise sums of the live rows of consecutive runs of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSums {
    form: RowForm,
    dimension: usize,
    live: RowSet,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    rows: Range<u32>,
    /// How many of them were live.
    live: u64,
    sum: VectorSum,
}

impl RowSums {
    /// The sums of the rows of `live`, as `form` says. A part of `earlier` is taken over where it is of the same rows;
    /// rows that are live in both must have the elements they had. Uses the current rayon pool.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub fn of(source: &dyn RowSource, live: &RowSet, form: RowForm, earlier: Option<&RowSums>) -> Result<Self> {
        let dimension = source.dimension();
        let earlier = earlier.filter(|earlier| (earlier.form, earlier.dimension) == (form, dimension));
        let stable = earlier.map(|earlier| live.and(&earlier.live));
        let known = |task: &Task| -> Option<Part> {
            let (earlier, stable) = (earlier?, stable.as_ref()?);
            let place = earlier.parts.binary_search_by_key(&task.rows.start, |part| part.rows.start).ok()?;
            let part = earlier.parts.get(place).filter(|part| part.rows == task.rows)?;
            let count = stable.count_range(task.rows.clone());
            let same = count == part.live && count == live.count_range(task.rows.clone());
            same.then(|| part.clone())
        };
        let part = |task: &Task| -> Result<Part> {
            if let Some(part) = known(task) {
                return Ok(part);
            }
            let (rows, sum) = (task.rows.clone(), sum_of_rows(source, live, task, form)?);
            Ok(Part { live: live.count_range(rows.clone()), rows, sum })
        };
        let parts = tile::tasks(source, tile::SUM_ROWS).par_iter().map(part).collect::<Result<_>>()?;
        Ok(RowSums { form, dimension, live: live.clone(), parts })
    }

    /// The sum of all live rows, and how many went into it.
    pub fn total(&self) -> VectorSum {
        let mut total = VectorSum::new(self.dimension);
        self.parts.iter().for_each(|part| total.merge(&part.sum));
        total
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.parts.len() * (size_of::<Part>() + self.dimension * size_of::<f64>()) + self.live.heap_bytes()
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
        let mut all = rows(9_000);
        // A row that has no length to be divided by.
        all[3 * 2_500..3 * 2_501].fill(0.0);
        let source = |count: usize| MemoryRows::new(&all[..3 * count], 3, ElementType::F32, 100);
        let mut earlier: [Option<RowSums>; 2] = [None, None];
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
            for (form, earlier) in [RowForm::Raw, RowForm::Unit].into_iter().zip(&mut earlier) {
                let anew = RowSums::of(&source(count), &live, form, None).unwrap();
                let taken = RowSums::of(&source(count), &live, form, earlier.as_ref()).unwrap();
                assert_eq!(taken, anew);
                let bits = |sums: &RowSums| sums.total().sum.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let left_out = u64::from(form == RowForm::Unit);
                assert_eq!((bits(&taken), taken.total().count), (bits(&anew), live.len() - left_out));
                *earlier = Some(anew);
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_rows_one_after_the_other() {
        let (all, live) = (rows(3_000), RowSet::from_range(5..2_999).and_not(&RowSet::from_rows([17, 1_000])));
        for element in [ElementType::F32, ElementType::F16] {
            let source = MemoryRows::new(&all, 3, element, 100);
            for form in [RowForm::Raw, RowForm::Unit] {
                let found = RowSums::of(&source, &live, form, None).unwrap().total();
                let (mut expected, mut row) = ([0.0; 3], Vec::new());
                for number in live.iter() {
                    source.rows().row_f64(number as usize, &mut row);
                    let length =
                        if form == RowForm::Unit { row.iter().map(|x| x * x).sum::<f64>().sqrt() } else { 1.0 };
                    expected.iter_mut().zip(&row).for_each(|(sum, x)| *sum += x / length);
                }
                let close = found.sum.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-12 * 2e5 * 3e3);
                assert!(close && found.count == live.len(), "{form:?} {element:?}: {found:?} {expected:?}");
            }
        }
    }

    #[test]
    fn only_parts_that_changed_are_read() {
        let (all, live) = (rows(9_000), RowSet::from_range(0..9_000));
        for form in [RowForm::Raw, RowForm::Unit] {
            let sums = RowSums::of(&MemoryRows::new(&all, 3, ElementType::F32, 100), &live, form, None).unwrap();
            // Were rows read again, their sums would be of zeros.
            let zeros = MemoryRows::new(&vec![0.0; all.len()], 3, ElementType::F32, 100);
            assert_eq!(RowSums::of(&zeros, &live, form, Some(&sums)).unwrap(), sums);
            let less = live.and_not(&RowSet::from_range(8_999..9_000));
            let found = RowSums::of(&zeros, &less, form, Some(&sums)).unwrap();
            assert_eq!(found.parts[..4], sums.parts[..4]);
            assert_eq!(found.parts[4].sum.sum, [0.0; 3]);
            let other = if form == RowForm::Raw { RowForm::Unit } else { RowForm::Raw };
            assert_ne!(RowSums::of(&zeros, &live, other, Some(&sums)).unwrap().parts, sums.parts);
        }
    }
}
