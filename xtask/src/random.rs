//! Chance that follows from a seed.

/// Steele, Lea and Flood's SplitMix64: the same numbers on every run.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Puts `values` into another order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            // The bias of the remainder is far below one in a billion for lists of this length.
            values.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }

    /// Up to `count` of `from`, each at most once.
    pub fn draw(&mut self, from: &[usize], count: usize) -> Vec<usize> {
        let mut all = from.to_vec();
        let count = count.min(all.len());
        for at in 0..count {
            let other = at + (self.next() % (all.len() - at) as u64) as usize;
            all.swap(at, other);
        }
        all.truncate(count);
        all
    }
}
