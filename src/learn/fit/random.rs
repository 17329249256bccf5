//! Numbers that look random and come again: the one source of chance in a fit.
//!
//! Owns [`Random`], splitmix64 (Steele, Lea and Flood 2014), and shuffling with it. The same seed and the same stream
//! give the same numbers on every machine.

/// A generator; each use has a stream of its own, so that one more draw here changes nothing there.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Stream `stream` of `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Random(seed);
        let mixed = random.next() ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Random(mixed)
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is positive; the bias is below `n` in 2^64.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_come_again() {
        let draw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            (0..4).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn a_shuffle_keeps_everything_and_reaches_every_place() {
        let mut places = [0_u32; 5];
        for seed in 0..500 {
            let mut items = [0, 1, 2, 3, 4];
            Random::new(seed, 0).shuffle(&mut items);
            places[items.iter().position(|item| *item == 0).unwrap()] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        assert!(places.iter().all(|count| (60..=140).contains(count)), "{places:?}");
    }
}
