//! A bounded place for what readers compute: per-record scalars, statistics, prepared lenses, rows that a filter keeps.
//!
//! Owns [`LensCache`], which lives as long as the store's handle and outlives snapshots. It knows nothing of what it
//! holds: keys are bytes that must name everything the value depends on (view, chain, commit), values are opaque
//! with a size. Invariant: the sizes it holds, those of keys and of its own bookkeeping included, never add up to more
//! than its capacity. Finding, keeping and forgetting a value takes the same time however many there are.

use lru::LruCache;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What an entry takes besides its key and what its value's own heap holds: the list's node (key and slot with two
/// links, 72 bytes), its place in the table (17 bytes at 7/16 to 7/8 full, and as much again while it grows), the
/// counts in front of the shared value (16), and the allocator's own for node, key and value (16 each).
pub(in crate::store) const ENTRY_BYTES: usize = 72 + 78 + 16 + 48;

struct Slot {
    value: Arc<dyn Any + Send + Sync>,
    /// With key and bookkeeping.
    bytes: usize,
}

struct Slots {
    by_key: LruCache<Box<[u8]>, Slot>,
    bytes: usize,
}

/// Values by key; what was not asked for longest goes first when room is needed.
pub struct LensCache {
    capacity_bytes: usize,
    slots: Mutex<Slots>,
}

impl LensCache {
    /// An empty cache that keeps at most `capacity_bytes`.
    pub fn new(capacity_bytes: usize) -> Self {
        let slots = Slots { by_key: LruCache::unbounded(), bytes: 0 };
        LensCache { capacity_bytes, slots: Mutex::new(slots) }
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        // A panic elsewhere leaves the slots whole: every change below is complete before anything can fail.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value under `key`, if it is still there and is a `T`.
    pub fn get<T: Any + Send + Sync>(&self, key: &[u8]) -> Option<Arc<T>> {
        let value = Arc::clone(&self.slots().by_key.get(key)?.value);
        value.downcast().ok()
    }

    /// Keeps `value`, which takes `bytes` on the heap besides itself, under `key`; what would be larger than the whole
    /// cache is not kept.
    pub fn insert<T: Any + Send + Sync>(&self, key: &[u8], value: Arc<T>, bytes: usize) {
        let bytes = bytes.saturating_add(size_of::<T>()).saturating_add(key.len() + ENTRY_BYTES);
        // What goes is dropped behind the lock: it may be large.
        let mut gone = Vec::new();
        let mut slots = self.slots();
        if bytes > self.capacity_bytes {
            // What was there before is not what was asked to be kept.
            if let Some(old) = slots.by_key.pop(key) {
                slots.bytes -= old.bytes;
                gone.push(old);
            }
            return;
        }
        if let Some(old) = slots.by_key.put(key.into(), Slot { value, bytes }) {
            slots.bytes -= old.bytes;
            gone.push(old);
        }
        slots.bytes += bytes;
        while slots.bytes > self.capacity_bytes {
            let Some((_, oldest)) = slots.by_key.pop_lru() else { break };
            slots.bytes -= oldest.bytes;
            gone.push(oldest);
        }
        drop(slots);
    }

    /// The value under `key`, computed by `make` (which also says what it takes on the heap, in bytes) where it is not
    /// there.
    ///
    /// Two threads that ask at once may both compute it; they get equal values.
    ///
    /// # Errors
    /// Whatever `make` answers.
    pub fn get_or_insert_with<T: Any + Send + Sync, E>(
        &self,
        key: &[u8],
        make: impl FnOnce() -> Result<(T, usize), E>,
    ) -> Result<Arc<T>, E> {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let (value, bytes) = make()?;
        let value = Arc::new(value);
        self.insert(key, Arc::clone(&value), bytes);
        Ok(value)
    }

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.slots().bytes
    }

    /// Values held now.
    pub fn len(&self) -> usize {
        self.slots().by_key.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for LensCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.slots();
        f.debug_struct("LensCache")
            .field("capacity_bytes", &self.capacity_bytes)
            .field("bytes", &slots.bytes)
            .field("values", &slots.by_key.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an entry of a key of one byte and a number takes besides the bytes it says.
    const OWN: usize = ENTRY_BYTES + 1 + size_of::<u32>();

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = LensCache::new(2 * OWN + 10);
        cache.insert(b"a", Arc::new(1_u32), 4);
        cache.insert(b"b", Arc::new(2_u32), 4);
        assert_eq!(cache.get::<u32>(b"a").as_deref(), Some(&1));
        cache.insert(b"c", Arc::new(3_u32), 4);
        assert_eq!(cache.get::<u32>(b"b"), None);
        assert_eq!(cache.get::<u32>(b"a").as_deref(), Some(&1));
        assert_eq!(cache.bytes(), 2 * OWN + 8);
        cache.insert(b"d", Arc::new(4_u32), OWN + 11);
        assert_eq!((cache.get::<u32>(b"d"), cache.bytes()), (None, 2 * OWN + 8));
        cache.insert(b"a", Arc::new(5_u32), 2);
        assert_eq!((cache.get::<u32>(b"a").as_deref().copied(), cache.bytes()), (Some(5), 2 * OWN + 6));
        cache.insert(b"a", Arc::new(6_u32), usize::MAX);
        assert_eq!((cache.get::<u32>(b"a"), cache.bytes()), (None, OWN + 4), "nothing old is taken for it");
    }

    #[test]
    fn another_type_is_not_handed_out() {
        let cache = LensCache::new(1_000);
        cache.insert(b"a", Arc::new(1_u32), 4);
        assert_eq!(cache.get::<String>(b"a"), None);
    }

    #[test]
    fn values_that_take_nothing_are_counted_with_their_keys() {
        let cache = LensCache::new(1 << 20);
        let key = |n: u32| format!("matched 1 7 n = {n} and a key that is longer than what is kept under it");
        let most = (1 << 20) / (ENTRY_BYTES + key(0).len());
        for n in 0..100_000_u32 {
            cache.insert(key(n).as_bytes(), Arc::new(()), 0);
            assert!(cache.len() <= most, "{n}: {} values", cache.len());
        }
        assert!(cache.bytes() <= 1 << 20 && cache.bytes() > (1 << 20) - 1_000, "{}", cache.bytes());
    }
}
