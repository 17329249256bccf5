//! Progress of long work on standard error: a bar on a terminal, JSON lines when asked, nothing in a pipe.
//!
//! Owns the bar and the wording of events. Work reports through [`Control`]; commits are told apart, because a
//! program that feeds an import acts on them.

use super::console::to_stderr;
use super::render::text::thousands;
use crate::types::control::Control;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::time::Duration;

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
    events: bool,
}

impl Reporter {
    pub(super) fn new(mode: ProgressMode, is_terminal: bool, what: &str) -> Reporter {
        let bar = if mode == ProgressMode::Auto && is_terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style(Total::Unknown));
            bar.set_prefix(super::render::text::safe(what).into_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        } else {
            ProgressBar::hidden()
        };
        Reporter { bar, events: mode == ProgressMode::Json }
    }

    /// Says how many there will be.
    pub(crate) fn total(&self, total: u64) {
        self.bar.set_length(total);
        self.bar.set_style(style(Total::Known));
    }

    /// Says about how many there will be.
    pub(crate) fn guess_total(&self, total: u64) {
        if self.bar.length().is_none() {
            self.bar.set_style(style(Total::Guessed));
        }
        self.bar.set_length(total);
    }

    /// Says how many are done.
    pub(crate) fn done(&self, done: u64) {
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
            self.bar.set_style(style(Total::Steps));
            // What is left is told from the steps of this work alone.
            self.bar.reset_eta();
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
        let reporter = self.clone();
        Control::new().on_progress(move |progress| {
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

fn style(total: Total) -> ProgressStyle {
    let template = match total {
        Total::Unknown => "{prefix}  {spinner}  {human_pos}   {rate}",
        Total::Guessed => "{prefix}  {bar:15}  {human_pos} of ~{human_len}   {rate}   {left} left",
        Total::Known => "{prefix}  {bar:15}  {human_pos} of {human_len}   {rate}   {left} left",
        Total::Steps => "{prefix}  {bar:15}  {left} left",
    };
    // The templates are ours; where one were wrong, the plain bar would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A line that cannot be drawn is no reason to stop the work.
            let _ = write!(out, "{}/s", thousands(state.per_sec().round() as u64));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&duration(state.eta().as_secs_f64()));
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
            bar.set_style(style(total));
            bar.tick();
        }
        assert!(
            ProgressStyle::with_template("{prefix}  {bar:15}  {human_pos} of ~{human_len}   {rate}   {left} left")
                .is_ok()
        );
    }
}
