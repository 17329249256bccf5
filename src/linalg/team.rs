//! The threads that share a piece of work: the one that asks for it, and some that help.
//!
//! Owns [`Team`], [`share`] and [`map`]. A pool's `install` hands all of the work to another thread and sleeps until
//! that one wakes it: two changes of threads before anything is done, which is a tenth of a search over ten thousand
//! rows. Here the thread that asks begins at once, and the others join in as they wake up. They have a pool of their
//! own with one thread less: a pool that finds work wakes one more thread than it needs, to look for more, and that one
//! would be in the way.

use rayon::{Scope, ThreadPool, ThreadPoolBuilder};
use std::cell::RefCell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

thread_local! {
    /// Who helps this thread; `None`: the pool that it belongs to, or rayon's own.
    static HELPERS: RefCell<Option<Helpers>> = const { RefCell::new(None) };
}

/// Looks at what the others have not finished before the thread that asks goes to sleep: some ten microseconds, as long
/// as it takes to be woken.
const SPINS: usize = 2_000;

/// Threads that help; `None`: nobody.
type Helpers = Option<Arc<ThreadPool>>;

/// So many threads that share work, the one that asks among them. They are started when they are needed first.
#[derive(Debug)]
pub struct Team {
    threads: usize,
    helpers: OnceLock<Helpers>,
}

impl Team {
    /// A team of `threads`; 0 is taken for 1.
    pub const fn new(threads: usize) -> Team {
        Team { threads, helpers: OnceLock::new() }
    }

    /// Runs `work` on this thread; what it shares is shared with the team. A thread of a pool shares with its pool
    /// instead.
    pub fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Puts back what was there before, after a panic, too.
        struct Before(Option<Helpers>);
        impl Drop for Before {
            fn drop(&mut self) {
                HELPERS.set(self.0.take());
            }
        }
        if rayon::current_thread_index().is_some() {
            return work();
        }
        let _before = Before(HELPERS.replace(Some(self.helpers().clone())));
        work()
    }

    fn helpers(&self) -> &Helpers {
        self.helpers.get_or_init(|| {
            let count = self.threads.checked_sub(1).filter(|count| *count > 0 && has_threads())?;
            let named = ThreadPoolBuilder::new().num_threads(count).thread_name(|idx| format!("simile-help-{idx}"));
            // A machine that has no thread left searches with one.
            named.build().ok().map(Arc::new)
        })
    }
}

/// What was found out about this process's threads.
#[derive(Debug)]
struct Settled {
    /// Whether some can be had beside those that are there.
    has_threads: bool,
    /// Why rayon's own pool could not be made, in the operating system's words.
    failed: Option<String>,
}

static SETTLED: OnceLock<Settled> = OnceLock::new();

/// Whether threads beside this one can be had.
pub fn has_threads() -> bool {
    SETTLED.get().is_none_or(|settled| settled.has_threads)
}

/// Sees to it, once, that rayon's own pool is there, as large as the machine lets it be: rayon makes it when it is
/// needed first, panics where it cannot, and does not try again. Where no thread can be had at all, the pool is this
/// thread `alone`, for programs that have no other; else the error says why.
///
/// # Errors
/// The operating system's words, where no thread can be had.
pub fn settle_threads(alone: bool) -> Result<(), String> {
    let settled = SETTLED.get_or_init(|| {
        let wanted = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (found, refused) = try_threads(wanted);
        let pool = ThreadPoolBuilder::new();
        let built = match found {
            0 if alone => pool.num_threads(1).use_current_thread().build_global(),
            // Their memory is not all that is needed.
            _ if found < wanted => pool.num_threads((found / 2).max(1)).build_global(),
            // As many as rayon would take, which the environment may say.
            _ => pool.build_global(),
        };
        // A pool that a program has made itself is as good.
        let failed = built.err().filter(|error| std::error::Error::source(error).is_some());
        let failed = failed.map(|error| refused.unwrap_or_else(|| error.to_string()));
        Settled { has_threads: found > 0, failed }
    });
    settled.failed.clone().map_or(Ok(()), Err)
}

/// How many of `wanted` threads can be had at a time, and why not more.
fn try_threads(wanted: usize) -> (usize, Option<String>) {
    let gate = Barrier::new();
    let mut refused = None;
    let begun: Vec<_> = (0..wanted)
        .map_while(|_| {
            let gate = Arc::clone(&gate);
            let thread = std::thread::Builder::new().spawn(move || gate.pass());
            thread.map_err(|error| refused = Some(error.to_string())).ok()
        })
        .collect();
    gate.open();
    let found = begun.len();
    begun.into_iter().for_each(|thread| _ = thread.join());
    (found, refused)
}

/// Holds threads until it is opened.
#[derive(Debug, Default)]
struct Barrier {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Barrier {
    fn new() -> Arc<Barrier> {
        Arc::default()
    }

    fn pass(&self) {
        let mut is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }
}

/// Threads that share work, this one among them; at least 1.
pub fn threads() -> usize {
    HELPERS.with_borrow(|helpers| match helpers {
        Some(helpers) => helpers.as_ref().map_or(0, |pool| pool.current_num_threads()) + 1,
        None => rayon::current_num_threads(),
    })
}

/// `run(0)` on this thread and `run(1)` to `run(count - 1)` on others; what they answer, in that order.
pub fn share<T: Send>(count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if count <= 1 {
        return (0..count).map(run).collect();
    }
    let mut answers: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    let Some((own, others)) = answers.split_first_mut() else { return Vec::new() };
    let left = AtomicUsize::new(others.len());
    let (run, left) = (&run, &left);
    in_scope(|scope| {
        for (idx, answer) in others.iter_mut().enumerate() {
            scope.spawn(move |_| {
                *answer = Some(run(idx + 1));
                left.fetch_sub(1, Relaxed);
            });
        }
        *own = Some(run(0));
        // The scope waits for the others. Relaxed: this only says when it is worth asking it.
        for _ in 0..SPINS {
            if left.load(Relaxed) == 0 {
                break;
            }
            std::hint::spin_loop();
        }
    });
    answers.into_iter().flatten().collect()
}

/// `run(0)` to `run(count - 1)`, each by whichever thread is free; what they answer, in that order.
pub fn map<T: Send>(count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let parts = share(threads().min(count), |_| {
        let claimed = std::iter::from_fn(|| Some(next.fetch_add(1, Relaxed)).filter(|idx| *idx < count));
        claimed.map(|idx| (idx, run(idx))).collect::<Vec<_>>()
    });
    let mut answers: Vec<(usize, T)> = parts.into_iter().flatten().collect();
    answers.sort_unstable_by_key(|(idx, _)| *idx);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn in_scope<'scope>(body: impl FnOnce(&Scope<'scope>)) {
    match HELPERS.with_borrow(Clone::clone).flatten() {
        Some(pool) => pool.in_place_scope(body),
        None => rayon::in_place_scope(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::panic::AssertUnwindSafe;
    use std::sync::{Barrier, Mutex};
    use std::thread::ThreadId;

    #[test]
    fn answers_come_in_order_from_this_thread_and_others() {
        let (own, team) = (std::thread::current().id(), Team::new(3));
        team.with(|| {
            assert_eq!(threads(), 3);
            // All of them are at work at the same time, or this would wait for ever.
            let barrier = Barrier::new(3);
            let found = share(3, |idx| {
                barrier.wait();
                (idx, std::thread::current().id())
            });
            assert_eq!(found.iter().map(|(idx, _)| *idx).collect::<Vec<_>>(), [0, 1, 2]);
            assert_eq!(found[0].1, own);
            assert_eq!(found.iter().map(|(_, id)| *id).collect::<HashSet<ThreadId>>().len(), 3);
            // Two for each, in turn: one after the other they would be out of order.
            let found = map(6, |idx| {
                barrier.wait();
                idx
            });
            assert_eq!(found, [0, 1, 2, 3, 4, 5]);
            for count in [0, 1, 2, 1000] {
                assert_eq!(map(count, |idx| idx * idx), (0..count).map(|idx| idx * idx).collect::<Vec<_>>());
            }
        });
    }

    #[test]
    fn what_is_shared_within_shared_work_stays_in_the_team() {
        let (own, team, seen) = (std::thread::current().id(), Team::new(3), Mutex::new(HashSet::new()));
        team.with(|| share(3, |_| share(3, |_| seen.lock().unwrap().insert(std::thread::current().id()))));
        let pool = team.helpers().as_ref().unwrap();
        let allowed = pool.broadcast(|_| std::thread::current().id()).into_iter().chain([own]);
        assert!(seen.into_inner().unwrap().is_subset(&allowed.collect()));
    }

    #[test]
    fn a_thread_of_a_pool_shares_with_its_pool() {
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let ids: HashSet<ThreadId> = pool.broadcast(|_| std::thread::current().id()).into_iter().collect();
        let (found, team) = (Mutex::new(HashSet::new()), Team::new(5));
        pool.install(|| {
            team.with(|| {
                assert_eq!(threads(), 2);
                share(9, |_| found.lock().unwrap().insert(std::thread::current().id()))
            })
        });
        assert!(found.into_inner().unwrap().is_subset(&ids));
        assert!(team.helpers.get().is_none(), "nobody was started for nothing");
    }

    #[test]
    fn a_team_of_one_starts_nobody() {
        let own = std::thread::current().id();
        for threads_wanted in [0, 1] {
            let found = Team::new(threads_wanted).with(|| {
                assert_eq!(threads(), 1);
                map(4, |_| std::thread::current().id())
            });
            assert_eq!(found, [own; 4]);
        }
    }

    #[test]
    fn a_panic_is_passed_on_and_the_team_goes_on() {
        let team = Team::new(2);
        for bad in [0, 1] {
            let caught = std::panic::catch_unwind(AssertUnwindSafe(|| {
                team.with(|| share(2, |idx| assert_ne!(idx, bad)));
            }));
            assert!(caught.is_err());
            assert!(HELPERS.with_borrow(Option::is_none));
        }
        assert_eq!(team.with(|| share(2, |idx| idx)), [0, 1]);
    }
}
