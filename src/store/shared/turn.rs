//! Whose turn it is to write.
//!
//! Owns the line in which the writers of one handle stand: first come, first served, so that a loop of small batches
//! does not keep others out. Invariant: whoever leaves, served or not, leaves no place in the line behind.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often somebody who waits for long looks whether to go on waiting.
const LOOK: Duration = Duration::from_millis(50);

/// Lets one batch through at a time, in the order in which they came.
#[derive(Debug, Default)]
pub(in crate::store) struct Line {
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
pub(in crate::store) struct Turn {
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

    /// A turn, once all who came before have had theirs; `None` where that takes longer than `patience` says. It is
    /// asked again and again, with the time that has passed, and answers with how much longer to wait: at most, and not
    /// at all where that is zero.
    pub(in crate::store) fn wait(self: &Arc<Line>, patience: impl Fn(Duration) -> Duration) -> Option<Turn> {
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

    /// Somebody who stands in the line and is asleep.
    fn stand(line: &Line) -> u64 {
        let mut state = line.state();
        let own = state.next_number;
        state.next_number += 1;
        state.waiting.push_back(own);
        own
    }

    #[test]
    fn nobody_is_served_while_one_who_came_before_still_sleeps() {
        // Threads that are woken tend to come in the order in which they fell asleep, whatever the line says: so the
        // ones before are not threads here, and do not come at all.
        let line = Arc::new(Line::default());
        let first = line.wait(at_once).unwrap();
        let (second, third) = (stand(&line), stand(&line));
        drop(first);
        assert!(!line.state().is_taken);
        assert!(line.wait(at_once).is_none(), "two stand before");
        assert_eq!(line.state().waiting, [second, third], "who goes leaves those before in their places");
        let asked = std::cell::Cell::new(0);
        let after_some_looks = |_| {
            asked.set(asked.get() + 1);
            if asked.get() < 4 { Duration::from_millis(1) } else { Duration::ZERO }
        };
        assert!(line.wait(after_some_looks).is_none(), "nor after some looks");
        assert_eq!(asked.get(), 4);
        line.state().waiting.pop_front();
        assert!(line.wait(at_once).is_none(), "one stands before");
        line.state().waiting.pop_front();
        let served = line.wait(at_once).expect("nobody stands before");
        assert!(line.state().waiting.is_empty(), "who is served stands in the line no more");
        assert!(line.wait(at_once).is_none());
        drop(served);
        assert!(line.wait(at_once).is_some());
    }

    #[test]
    fn batches_of_a_store_are_committed_in_the_order_in_which_their_writers_came() {
        use crate::store::{CollectionSpec, Options, Store};
        use crate::types::{Control, Record};
        let storage: Arc<dyn crate::storage::Storage> = Arc::new(crate::storage::MemoryStorage::new());
        let store = Store::create_storage(&storage, Options::new().busy_timeout(Duration::from_secs(20))).unwrap();
        store.write(|batch| batch.create_collection("c", CollectionSpec::new().supplied_vectors()).map(drop)).unwrap();
        let (line, first) = (Arc::clone(store.shared().line()), store.begin().unwrap());
        let insert = |batch: &mut crate::store::Batch, number: usize| {
            let record = Record::new(format!("r{number}"), "").vector("raw", vec![1.0]);
            batch.collection("c")?.insert(record)
        };
        let commits: Vec<u64> = std::thread::scope(|scope| {
            let mut writers = Vec::new();
            for number in 0..6 {
                let (store, line) = (&store, &line);
                writers.push(scope.spawn(move || match number % 2 {
                    0 => store.write(|batch| insert(batch, number)).unwrap().1.0,
                    _ => {
                        let mut batch = store.begin_with(Control::new()).unwrap();
                        insert(&mut batch, number).unwrap();
                        batch.commit().unwrap().0
                    }
                }));
                while line.state().waiting.len() <= number {
                    std::thread::yield_now();
                }
            }
            // Whoever would take a turn that is free, whoever stands before, does so now.
            line.state().waiting.push_front(u64::MAX);
            drop(first);
            std::thread::sleep(3 * LOOK);
            assert_eq!(store.snapshot().unwrap().commit().0, 1, "somebody was served out of turn");
            line.state().waiting.pop_front();
            line.moved.notify_all();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(commits, (2..8).collect::<Vec<u64>>());
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
