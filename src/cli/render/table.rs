//! Tables of text that fit the width of the screen.
//!
//! Owns the layout: columns side by side with two blanks between, numbers to the right, and the last column cut
//! where the line ends. Cells are escaped here, so that callers cannot forget it.

use super::style::Style;
use super::text::{cut, one_line, pad, pad_left, shown_id, width};

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// What stands above it.
    pub(crate) title: String,
    /// Whether it holds numbers, which end at the same column.
    pub(crate) right: bool,
    /// Most columns of the screen it may take, unless it is the last.
    pub(crate) most: usize,
    /// Whether it holds ids, which are shown exactly, in quotes where need be.
    ids: bool,
}

impl Column {
    /// A column of texts.
    pub(crate) fn left(title: &str, most: usize) -> Self {
        Column { title: title.to_string(), right: false, most, ids: false }
    }

    /// A column of ids.
    pub(crate) fn id(title: &str, most: usize) -> Self {
        Column { ids: true, ..Column::left(title, most) }
    }

    /// A column of numbers.
    pub(crate) fn right(title: &str) -> Self {
        Column { title: title.to_string(), right: true, most: usize::MAX, ids: false }
    }
}

/// The lines of a table, title line first, each at most as wide as the screen.
pub(crate) fn lines(columns: &[Column], rows: &[Vec<String>], style: Style, indent: usize) -> Vec<String> {
    // Cells are bounded before they are measured: a text may have megabytes.
    let shown = |(idx, cell): (usize, &String)| {
        let is_id = columns.get(idx).is_some_and(|column| column.ids);
        let line = if is_id { shown_id(cell) } else { one_line(head(cell)).into() };
        cut(&line, style.width).into_owned()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().enumerate().map(shown).collect()).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(idx, column)| {
            let cells = rows.iter().filter_map(|row| row.get(idx)).map(|cell| width(cell));
            cells.chain([width(&column.title)]).max().unwrap_or(0).min(column.most)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = " ".repeat(indent);
        for (idx, cell) in cells.enumerate() {
            let (Some(column), Some(&columns_wide)) = (columns.get(idx), widths.get(idx)) else { break };
            if idx > 0 {
                out.push_str("  ");
            }
            let is_last = idx + 1 == columns.len();
            let room = if is_last { style.width.saturating_sub(width(&out)) } else { columns_wide };
            let cell = cut(cell, room.min(columns_wide));
            out.push_str(&if column.right {
                pad_left(&cell, columns_wide.min(room))
            } else {
                pad(&cell, columns_wide.min(room))
            });
        }
        out.truncate(out.trim_end().len());
        out
    };
    let title = line(&mut columns.iter().map(|column| column.title.as_str()));
    let mut out = vec![style.dim(title)];
    out.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    out
}

/// As much of a text as a line could need.
pub(super) fn head(text: &str) -> &str {
    const BYTES: usize = 4096;
    if text.len() <= BYTES {
        return text;
    }
    let mut end = BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // The cut must be seen: what is left is wider than any screen, so `cut` marks it.
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_one_is_cut() {
        let columns = [Column::right("score"), Column::left("id", 6), Column::left("text", usize::MAX)];
        let rows = vec![
            vec!["0.5".to_string(), "n17".to_string(), "Where did I put\nmy wallet?".to_string()],
            vec!["-0.25".to_string(), "a long id".to_string(), "日本".to_string()],
        ];
        let style = Style { colour: false, width: 30 };
        let found = lines(&columns, &rows, style, 1);
        assert_eq!(found, [" score  id      text", "   0.5  n17     Where did I p…", " -0.25  a lon…  日本"]);
    }

    #[test]
    fn ids_are_shown_exactly_and_texts_on_one_line() {
        let rows = vec![vec![" a  b".to_string(), " a  b".to_string()]];
        let found = lines(&[Column::id("id", 40), Column::left("text", 40)], &rows, Style::PLAIN, 0);
        assert_eq!(found[1], "\" a  b\"  a b");
    }

    #[test]
    fn escape_sequences_in_cells_are_written_out() {
        let found = lines(&[Column::left("id", 40)], &[vec!["\x1b[31mred".to_string()]], Style::PLAIN, 0);
        assert_eq!(found[1], "\\u{1b}[31mred");
    }
}
