//! Failing lists of steps: made small, kept as data files, and replayed from there for ever.
//!
//! A file has one step a line, as JSON; lines that begin with `#` say what went wrong. [`hold`] is how tests over lists
//! chosen at random run them.

use super::ops::Step;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A list is made smaller for so long at most.
const SHRINKING: Duration = Duration::from_secs(120);

/// Where the files are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lists")
}

/// The steps of a file.
pub(super) fn read(text: &str) -> Vec<Step> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

/// A file with these steps.
pub(super) fn write(steps: &[Step], why: &str) -> String {
    let comment = why.lines().take(4).map(|line| format!("# {}\n", line.chars().take(200).collect::<String>()));
    let lines = steps.iter().map(|step| serde_json::to_string(step).unwrap() + "\n");
    comment.chain(lines).collect()
}

/// Runs `holds` over `steps`. Where it panics, the smallest list found for which it still does is written to a file,
/// and the panic goes on.
pub(super) fn hold(steps: &[Step], holds: impl Fn(&[Step])) {
    hold_in(&folder(), steps, holds);
}

fn hold_in(folder: &Path, steps: &[Step], holds: impl Fn(&[Step])) {
    let attempt = |steps: &[Step]| catch_unwind(AssertUnwindSafe(|| holds(steps))).err();
    let Some(first) = attempt(steps) else { return };
    let until = Instant::now() + SHRINKING;
    let small = shrink(steps, |steps| Instant::now() < until && attempt(steps).is_some());
    let panic = attempt(&small).unwrap_or(first);
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
    let text = write(&small, said);
    let hash = crate::storage::checksum::checksum(0, text.as_bytes()) as u32;
    let path = folder.join(format!("found-{hash:08x}.txt"));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(&path, text).unwrap();
    println!("{} steps were enough; commit {}: it is replayed from now on", small.len(), path.display());
    resume_unwind(panic);
}

/// The smallest list found by leaving out steps, then changes of batches, as long as it fails.
pub(super) fn shrink(steps: &[Step], fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut steps = leave_out(steps, &fails);
    for idx in 0..steps.len() {
        let Step::Batch(changes, keep) = steps[idx].clone() else { continue };
        let with = |changes: &[_]| {
            let mut list = steps.clone();
            list[idx] = Step::Batch(changes.to_vec(), keep);
            list
        };
        let fewer = leave_out(&changes, &|changes| fails(&with(changes)));
        steps = with(&fewer);
    }
    leave_out(&steps, &fails)
}

/// Leaves out runs of parts, shorter and shorter ones, as long as the rest fails.
fn leave_out<T: Clone>(parts: &[T], fails: &impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut parts = parts.to_vec();
    let mut run = parts.len();
    while run > 0 {
        let mut start = 0;
        while start < parts.len() {
            let mut fewer = parts.clone();
            fewer.drain(start..(start + run).min(fewer.len()));
            if fails(&fewer) {
                parts = fewer;
            } else {
                start += run;
            }
        }
        run /= 2;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::ops::Change;
    use super::*;

    #[test]
    fn a_failing_list_is_made_small_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let put = |id| Change::Put { collection: 0, id, text: 1, vector: 2, embed: true };
        let steps: Vec<Step> = (0..9)
            .flat_map(|id| [Step::Compact, Step::Batch(vec![put(id), Change::Embed { collection: 1 }], id != 4)])
            .collect();
        let said = catch_unwind(AssertUnwindSafe(|| {
            hold_in(folder.path(), &steps, |steps| {
                let has = |id| steps.iter().any(|step| matches!(step, Step::Batch(some, _) if some.contains(&put(id))));
                assert!(!(has(2) && has(7)), "two and seven");
            });
        }));
        assert!(said.is_err());
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let text = std::fs::read_to_string(&files[0]).unwrap();
        assert!(files.len() == 1 && text.starts_with("# two and seven\n"), "{text}");
        assert_eq!(read(&text), [Step::Batch(vec![put(2)], true), Step::Batch(vec![put(7)], true)]);
        assert_eq!(read(&write(&steps, "")), steps);
    }
}
