//! Which line of an input each row came from, so that an id that comes again can be told where it was.
//!
//! Owns [`Placed`]: runs of rows whose lines follow one another, so that it holds a few numbers for a file without
//! gaps, and nothing of a pipe has to be read twice.

/// Rows and lines that follow one another.
#[derive(Debug, Clone, Copy)]
struct Run {
    row: u32,
    line: u64,
    count: u32,
}

/// Where the rows that an import has written came from.
#[derive(Debug, Default)]
pub(crate) struct Placed(Vec<Run>);

impl Placed {
    /// Notes that `line` became `row`; rows only ascend.
    pub(crate) fn note(&mut self, row: u32, line: u64) {
        match self.0.last_mut() {
            Some(run) if run.row + run.count == row && run.line + u64::from(run.count) == line => run.count += 1,
            _ => self.0.push(Run { row, line, count: 1 }),
        }
    }

    /// The line that became `row`; `None`: the row is not of this input.
    pub(crate) fn line_of(&self, row: u32) -> Option<u64> {
        let idx = self.0.partition_point(|run| run.row <= row).checked_sub(1)?;
        let run = self.0.get(idx)?;
        (row - run.row < run.count).then(|| run.line + u64::from(row - run.row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lead_back_to_their_lines() {
        let mut placed = Placed::default();
        let noted = [(100, 1), (101, 2), (102, 4), (103, 5), (110, 6), (111, 9)];
        noted.into_iter().for_each(|(row, line)| placed.note(row, line));
        assert_eq!(placed.0.len(), 4);
        for row in 95..115 {
            let line = noted.iter().find(|(noted, _)| *noted == row).map(|(_, line)| *line);
            assert_eq!(placed.line_of(row), line, "row {row}");
        }
    }
}
