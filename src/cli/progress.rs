//! Progress of long work on standard error: a bar on a terminal, JSON lines when asked, nothing in a pipe.
//!
//! Owns the bar and the wording of events. Work reports through [`Control`]; commits are told apart, because a
//! program that feeds an import acts on them.

use crate::types::control::Control;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
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
            bar.set_style(style(false));
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
        self.bar.set_style(style(true));
    }

    /// Says how many are done.
    pub(crate) fn done(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Says that a commit has become durable with `records` in it and before it.
    pub(crate) fn commit(&self, records: u64) {
        if self.events {
            eprintln!("{{\"event\": \"commit\", \"records\": {records}}}");
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

fn style(has_total: bool) -> ProgressStyle {
    let template = if has_total {
        "{prefix}  {bar:15}  {human_pos} of {human_len}   {per_sec}   {eta} left"
    } else {
        "{prefix}  {spinner}  {human_pos}   {per_sec}"
    };
    // The template is ours; where it were wrong, the plain bar would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("█▉▊▋▌▍▎▏░")
}
