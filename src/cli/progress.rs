//! Progress of long work on standard error: a bar on a terminal, JSON lines when asked, nothing in a pipe.
//!
//! Owns the bar and the wording of events. Work reports through [`Control`]; commits are told apart, because a
//! program that feeds an import acts on them.

use super::render::text::thousands;
use super::streams::to_stderr;
use crate::types::control::Control;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `--progress` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar where standard error is a terminal.
    #[default]
    Auto,
    /// A JSON line after each durable commit.
    Json,
    /// Nothing.
    None,
}

/// Shows how far one piece of work has come.
#[derive(Clone)]
pub(crate) struct Reporter {
    bar: ProgressBar,
    pace: Arc<Mutex<Pace>>,
    events: bool,
}

/// How fast one piece of work has gone so far.
#[derive(Debug, Clone, Copy)]
struct Pace {
    begun: Instant,
    done: u64,
    /// When `done` was last heard of.
    heard: Instant,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Pace { begun: now, done: 0, heard: now }
    }

    /// Takes what is done; less than before is another piece of work.
    fn take(&mut self, done: u64) {
        if done < self.done {
            *self = Pace::new();
        }
        if done != self.done {
            (self.done, self.heard) = (done, Instant::now());
        }
    }

    /// Seconds left until `total`, at the pace of what is done; `None` where nobody knows.
    fn left(&self, total: u64) -> Option<f64> {
        let taken = self.heard.duration_since(self.begun).as_secs_f64();
        left(self.done, total, taken, self.heard.elapsed().as_secs_f64())
    }
}

/// Seconds left when `done` of `total` took `taken` seconds and nothing more was heard for `since`. `None` where
/// nothing is done yet, where all is done and the work goes on all the same, and where what comes next takes longer
/// than all before: a nought would be a promise.
fn left(done: u64, total: u64, taken: f64, since: f64) -> Option<f64> {
    if done == 0 || done >= total {
        return None;
    }
    let left = taken / done as f64 * (total - done) as f64 - since;
    (left > 0.0).then_some(left)
}

impl Reporter {
    pub(super) fn new(mode: ProgressMode, is_terminal: bool, what: &str) -> Reporter {
        let pace = Arc::new(Mutex::new(Pace::new()));
        let bar = if mode == ProgressMode::Auto && is_terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style(Total::Unknown, &pace));
            bar.set_prefix(super::render::text::safe(what).into_owned());
            // The ticker is a thread, and panics where none can be had.
            if crate::linalg::team::has_threads() {
                bar.enable_steady_tick(Duration::from_millis(200));
            }
            bar
        } else {
            ProgressBar::hidden()
        };
        Reporter { bar, pace, events: mode == ProgressMode::Json }
    }

    /// Says how many there will be.
    pub(crate) fn total(&self, total: u64) {
        if self.bar.length() != Some(total) {
            self.begin();
        }
        self.bar.set_length(total);
        self.bar.set_style(style(Total::Known, &self.pace));
    }

    /// Another piece of work begins: what is left of it is told from its own pace.
    fn begin(&self) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Pace::new();
    }

    /// Says about how many there will be.
    pub(crate) fn guess_total(&self, total: u64) {
        if self.bar.length().is_none() {
            self.bar.set_style(style(Total::Guessed, &self.pace));
        }
        self.bar.set_length(total);
    }

    /// Says how many are done.
    pub(crate) fn done(&self, done: u64) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(done);
        self.bar.set_position(done);
    }

    /// Says that a commit has become durable with `records` in it and before it.
    pub(crate) fn commit(&self, records: u64) {
        if self.events {
            to_stderr(format_args!("{{\"event\": \"commit\", \"records\": {records}}}\n"));
        }
    }

    /// Says which step of which work is done, and what there is to say about it.
    pub(crate) fn step(&self, what: &str, done: u64, total: u64) {
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
            self.bar.set_style(style(Total::Steps, &self.pace));
            self.begin();
        }
        self.bar.set_prefix(what.to_string());
        self.done(done);
    }

    /// Tells a program of something besides commits.
    pub(crate) fn event(&self, event: &serde_json::Value) {
        if self.events {
            to_stderr(format_args!("{event}\n"));
        }
    }

    /// A control that moves the bar.
    pub(crate) fn control(&self) -> Control {
        self.listen(Control::new())
    }

    /// `control`, moving the bar as well.
    pub(crate) fn listen(&self, control: Control) -> Control {
        let reporter = self.clone();
        control.on_progress(move |progress| {
            if let Some(total) = progress.total
                && reporter.bar.length() != Some(total)
            {
                reporter.total(total);
            }
            reporter.done(progress.done);
        })
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        // Clones share the bar; what a clone in a control has drawn goes when the owner is done, and redrawing an
        // already cleared bar does nothing.
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

/// What is known about the number there will be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Total {
    Unknown,
    Guessed,
    Known,
    /// Few and slow ones, which are told by name.
    Steps,
}

fn style(total: Total, pace: &Arc<Mutex<Pace>>) -> ProgressStyle {
    let pace = Arc::clone(pace);
    let template = match total {
        Total::Unknown => "{prefix}  {spinner}  {human_pos}   {rate}",
        Total::Guessed => "{prefix}  {bar:15}  {human_pos} of ~{human_len}   {rate}{left}",
        Total::Known => "{prefix}  {bar:15}  {human_pos} of {human_len}   {rate}{left}",
        Total::Steps => "{prefix}  {bar:15}{left}",
    };
    // The templates are ours; where one were wrong, the plain bar would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A line that cannot be drawn is no reason to stop the work.
            let _ = write!(out, "{}/s", thousands(state.per_sec().round() as u64));
        })
        .with_key("left", move |state: &ProgressState, out: &mut dyn fmt::Write| {
            let pace = *pace.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(left) = state.len().and_then(|total| pace.left(total)) else { return };
            let part = if total == Total::Steps { " of this part" } else { "" };
            let _ = write!(out, "   {} left{part}", duration(left));
        })
        .progress_chars("█▉▊▋▌▍▎▏░")
}

/// `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        let found = [0.42, 9.4, 42.0, 185.0, 7_800.0].map(duration);
        assert_eq!(found, ["0.4 s", "9.4 s", "42 s", "3 min 5 s", "2 h 10 min"]);
    }

    #[test]
    fn the_templates_are_understood() {
        // A template that is not falls back to a bar without our keys, which would go unseen.
        let bar = ProgressBar::hidden();
        for total in [Total::Unknown, Total::Guessed, Total::Known, Total::Steps] {
            bar.set_style(style(total, &Arc::new(Mutex::new(Pace::new()))));
            bar.tick();
        }
        assert!(ProgressStyle::with_template("{prefix}  {bar:15}  {human_pos} of ~{human_len}   {rate}{left}").is_ok());
    }

    #[test]
    fn no_time_is_promised_that_nobody_knows() {
        // 4 of 10 took 8 s: 12 s, of which 3 have gone.
        assert_eq!(left(4, 10, 8.0, 3.0), Some(9.0));
        assert_eq!(left(0, 10, 0.0, 3.0), None, "nothing is done yet");
        // All steps are done, and the work goes on.
        assert_eq!(left(10, 10, 8.0, 8.0), None);
        assert_eq!(left(9, 10, 9.0, 4.0), None, "the last step takes longer than the others");
        let mut pace = Pace::new();
        pace.take(5);
        assert_eq!((pace.done, pace.left(5)), (5, None));
        pace.take(1);
        assert_eq!(pace.done, 1, "what begins anew has a pace of its own");
    }
}
