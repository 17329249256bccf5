//! `explain`, `let`, `drop` and `show` as a person sees them.
//!
//! Owns their layout. What is said comes from the reply; nothing is looked up here.

use super::answer::{header_lines, milliseconds, notes, render_answer};
use super::comparison::render_comparison;
use super::pairs::render_pairs;
use super::style::Style;
use super::table::{Column, lines};
use super::text::{count, pad, safe, width};
use super::why::render_why;
use crate::exec::{Explanation, Listing, Reply, Saved};
use crate::types::Value;

/// The lines of any reply.
pub(crate) fn render_reply(reply: &Reply, style: Style) -> Vec<String> {
    match reply {
        Reply::Answer(answer) => render_answer(answer, style),
        Reply::Comparison(comparison) => render_comparison(comparison, style),
        Reply::Pairs(pairs) => render_pairs(pairs, style),
        Reply::Why(why) => render_why(why, style),
        Reply::Explanation(explanation) => render_explanation(explanation, style),
        Reply::Saved(saved) => render_saved(saved, style),
        Reply::Dropped { name, commit } => vec![format!("dropped lens {} (commit {commit})", safe(name))],
        Reply::Listing(listing) => render_listing(listing, style),
    }
}

fn render_explanation(explanation: &Explanation, style: Style) -> Vec<String> {
    let mut out = header_lines(&explanation.header, explanation.plan.as_ref(), style);
    for stage in &explanation.stages {
        let mut text = safe(&stage.text).into_owned();
        if let Some(elapsed) = stage.elapsed {
            text.push_str(&format!(" · {}", milliseconds(elapsed.as_secs_f64() * 1e3)));
        }
        out.extend(wrapped(&format!("  {}", pad(stage.name, 8)), &text, style.width));
    }
    if let Some(memory) = explanation.memory {
        let [resident, mapped] = [memory.resident_bytes, memory.mapped_bytes].map(|bytes| bytes as f64 / 1e6);
        let text = format!("{resident:.1} MB resident, of which {mapped:.1} MB are pages of mapped files");
        out.extend(wrapped(&format!("  {}", pad("memory", 8)), &text, style.width));
    }
    out.extend(notes(&explanation.notes, style));
    if let Some(elapsed) = explanation.elapsed {
        out.push(format!(" {}", style.dim(milliseconds(elapsed.as_secs_f64() * 1e3))));
    }
    out
}

/// `text` behind `margin`, broken between words; later lines are indented by the margin's width.
fn wrapped(margin: &str, text: &str, columns: usize) -> Vec<String> {
    let indent = width(margin) + 1;
    let mut out = vec![margin.to_string()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line_idx = out.len() - 1;
        let Some(line) = out.get_mut(line_idx) else { break };
        if width(line) > indent && width(line) + 1 + width(word) > columns {
            out.push(format!("{}{word}", " ".repeat(indent)));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    out
}

/// Collections that `let` names; of more it says how many there are.
const MOST_NAMES: usize = 3;

fn render_saved(saved: &Saved, style: Style) -> Vec<String> {
    let mut out = vec![
        format!("{}", safe(&saved.statement)),
        format!("saved lens {}, version {} (commit {})", safe(&saved.name), saved.version, saved.commit),
    ];
    if !saved.pinned_collections.is_empty() {
        let collections = &saved.pinned_collections;
        let names =
            if collections.len() > MOST_NAMES { String::new() } else { format!(": {}", collections.join(", ")) };
        out.push(format!("statistics pinned for {}{}", count(collections.len() as u64, "collection"), safe(&names)));
    }
    out.extend(notes(&saved.notes, style));
    out
}

fn render_listing(listing: &Listing, style: Style) -> Vec<String> {
    let is_number = |idx: usize| {
        let mut cells = listing.rows.iter().filter_map(|row| row.get(idx));
        cells.all(|value| matches!(value, Value::Integer(_) | Value::Float(_) | Value::Null))
    };
    let columns: Vec<Column> =
        listing
            .columns
            .iter()
            .enumerate()
            .map(|(idx, title)| {
                if is_number(idx) && !listing.rows.is_empty() { Column::right(title) } else { Column::left(title, 40) }
            })
            .collect();
    let cell = |value: &Value| match value {
        Value::Null => "-".to_string(),
        value => value.to_string(),
    };
    let rows: Vec<Vec<String>> = listing.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    if rows.is_empty() {
        return vec![format!("no {}", listing.what)];
    }
    let mut out = lines(&columns, &rows, style, 1);
    out.push(format!(" {}", style.dim(count(rows.len() as u64, "row"))));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_stages_wrap_under_their_text() {
        let found = wrapped("  scan    ", "one two three four five", 20);
        assert_eq!(found, ["  scan     one two", "           three", "           four five"]);
    }
}
