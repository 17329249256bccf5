//! Whose turn it is to write.
//!
//! Owns the line in which the writers of one handle stand: first come, first served, so that a loop of small batches does not
//! keep others out. Invariant: whoever leaves, served or not, leaves no place in the line behind.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often somebody who waits for long looks whether to go on waiting.
const LOOK: Duration = Duration::from_millis(50);

/// Lets one batch through at a time, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Line {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_taken: bool,
    /// Who waits, by number.
    waiting: VecDeque<u64>,
    next_number: u64,
}

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    line: Arc<Line>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.line.state().is_taken = false;
        self.line.moved.notify_all();
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn, once all who came before have had theirs; `None` where that takes longer than `patience` says. It is asked
    /// again and again, with the time that has passed, and answers with how much longer to wait: at most, and not at all
    /// where that is zero.
    pub(super) fn wait(self: &Arc<Line>, patience: impl Fn(Duration) -> Duration) -> Option<Turn> {
        let begun = Instant::now();
        let mut state = self.state();
        let own = state.next_number;
        state.next_number += 1;
        state.waiting.push_back(own);
        while state.is_taken || state.waiting.front() != Some(&own) {
            let left = patience(begun.elapsed()).min(LOOK);
            if left.is_zero() {
                state.waiting.retain(|number| *number != own);
                // The next one may have stood behind this one alone.
                self.moved.notify_all();
                return None;
            }
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting.pop_front();
        state.is_taken = true;
        Some(Turn { line: Arc::clone(self) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn at_once(_: Duration) -> Duration {
        Duration::ZERO
    }

    fn for_long(waited: Duration) -> Duration {
        Duration::from_secs(20).saturating_sub(waited)
    }

    #[test]
    fn those_who_wait_are_served_in_the_order_in_which_they_came() {
        let line = Arc::new(Line::default());
        let first = line.wait(at_once).unwrap();
        assert!(line.wait(at_once).is_none(), "it is taken");
        let (sender, served) = mpsc::channel();
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let (line_of, sender) = (Arc::clone(&line), sender.clone());
                let thread = std::thread::spawn(move || {
                    let turn = line_of.wait(for_long).unwrap();
                    sender.send(number).unwrap();
                    drop(turn);
                });
                while line.state().waiting.len() <= number {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        // Whoever comes now and gives up at once does not hold up the others.
        assert!(line.wait(at_once).is_none());
        drop(first);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(served.try_iter().collect::<Vec<usize>>(), (0..8).collect::<Vec<_>>());
        assert!(line.wait(at_once).is_some());
    }

    #[test]
    fn a_loop_of_short_turns_keeps_nobody_out() {
        let line = Arc::new(Line::default());
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (of_loop, stopped) = (Arc::clone(&line), Arc::clone(&stop));
        let short_turns = std::thread::spawn(move || {
            let mut turns = 0_u64;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let turn = of_loop.wait(for_long).unwrap();
                std::thread::sleep(Duration::from_millis(1));
                drop(turn);
                turns += 1;
            }
            turns
        });
        while line.state().next_number == 0 {
            std::thread::yield_now();
        }
        for _ in 0..50 {
            assert!(line.wait(|waited| Duration::from_secs(2).saturating_sub(waited)).is_some());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(short_turns.join().unwrap() > 0);
    }
}
