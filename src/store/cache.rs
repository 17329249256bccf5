//! A bounded place for what readers compute: per-record scalars, statistics, prepared lenses.
//!
//! Owns [`LensCache`], which lives as long as the store's handle and outlives snapshots. It knows nothing of what it
//! holds: keys are bytes that must name everything the value depends on (view, chain, commit), values are opaque
//! with a size. Invariant: the sizes it holds never add up to more than its capacity.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Default capacity in bytes.
pub const DEFAULT_CACHE_BYTES: usize = 256 << 20;

struct Slot {
    value: Arc<dyn Any + Send + Sync>,
    bytes: usize,
    /// When it was last asked for, on the cache's own clock.
    used: u64,
}

#[derive(Default)]
struct Slots {
    by_key: HashMap<Vec<u8>, Slot>,
    bytes: usize,
    clock: u64,
}

/// Values by key; what was not asked for longest goes first when room is needed.
pub struct LensCache {
    capacity_bytes: usize,
    slots: Mutex<Slots>,
}

impl LensCache {
    /// An empty cache that keeps at most `capacity_bytes`.
    pub fn new(capacity_bytes: usize) -> Self {
        LensCache { capacity_bytes, slots: Mutex::default() }
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        // A panic elsewhere leaves the slots whole: every change below is complete before anything can fail.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value under `key`, if it is still there and is a `T`.
    pub fn get<T: Any + Send + Sync>(&self, key: &[u8]) -> Option<Arc<T>> {
        let mut slots = self.slots();
        slots.clock += 1;
        let now = slots.clock;
        let slot = slots.by_key.get_mut(key)?;
        slot.used = now;
        Arc::clone(&slot.value).downcast().ok()
    }

    /// Keeps `value`, which takes `bytes`, under `key`; a value larger than the whole cache is not kept.
    pub fn insert<T: Any + Send + Sync>(&self, key: &[u8], value: Arc<T>, bytes: usize) {
        if bytes > self.capacity_bytes {
            return;
        }
        let mut slots = self.slots();
        slots.clock += 1;
        let slot = Slot { value, bytes, used: slots.clock };
        if let Some(old) = slots.by_key.insert(key.to_vec(), slot) {
            slots.bytes -= old.bytes;
        }
        slots.bytes += bytes;
        while slots.bytes > self.capacity_bytes {
            let Some(oldest) = slots.by_key.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some(slot) = slots.by_key.remove(&oldest) {
                slots.bytes -= slot.bytes;
            }
        }
    }

    /// The value under `key`, computed by `make` (which also says its size in bytes) where it is not there.
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

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = LensCache::new(10);
        cache.insert(b"a", Arc::new(1_u32), 4);
        cache.insert(b"b", Arc::new(2_u32), 4);
        assert_eq!(cache.get::<u32>(b"a").as_deref(), Some(&1));
        cache.insert(b"c", Arc::new(3_u32), 4);
        assert_eq!(cache.get::<u32>(b"b"), None);
        assert_eq!(cache.get::<u32>(b"a").as_deref(), Some(&1));
        assert_eq!(cache.bytes(), 8);
        cache.insert(b"big", Arc::new(4_u32), 11);
        assert_eq!((cache.get::<u32>(b"big"), cache.bytes()), (None, 8));
        cache.insert(b"a", Arc::new(5_u32), 2);
        assert_eq!((cache.get::<u32>(b"a").as_deref().copied(), cache.bytes()), (Some(5), 6));
    }

    #[test]
    fn another_type_is_not_handed_out() {
        let cache = LensCache::new(10);
        cache.insert(b"a", Arc::new(1_u32), 4);
        assert_eq!(cache.get::<String>(b"a"), None);
    }
}
