//! Numbers that look random and are the same everywhere: the one source of chance.
//!
//! Owns [`Random`] (splitmix64: Steele, Lea and Flood 2014), for what is drawn the same way each time. It is no source
//! of secrets.

/// splitmix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator for `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Stream `stream` of `seed`: where each use has its own, one more draw here changes nothing there.
    pub fn of_stream(seed: u64, stream: u64) -> Self {
        let mut random = Random(seed);
        let mixed = random.next() ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Random(mixed)
    }

    /// 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is positive; the bias is below `n` in 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }

    /// Moves `count` of `items`, drawn without replacement, to the front, in random order, and forgets the others.
    pub fn draw<T>(&mut self, items: &mut Vec<T>, count: usize) {
        let (n, kept) = (items.len(), items.len().min(count));
        for place in 0..kept {
            let other = place + self.below(n - place);
            items.swap(place, other);
        }
        items.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_come_again() {
        let draw = |seed, stream| {
            let mut random = Random::of_stream(seed, stream);
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
            Random::of_stream(seed, 0).shuffle(&mut items);
            places[items.iter().position(|item| *item == 0).unwrap()] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        assert!(places.iter().all(|count| (60..=140).contains(count)), "{places:?}");
    }

    #[test]
    fn draws_are_distinct_the_same_each_time_and_even() {
        let mut counts = [0; 50];
        for seed in 0..2000 {
            let (mut items, mut again): (Vec<u32>, Vec<u32>) = ((0..50).collect(), (0..50).collect());
            Random::new(seed).draw(&mut items, 10);
            Random::new(seed).draw(&mut again, 10);
            assert!(items == again && items.len() == 10);
            items.sort_unstable();
            items.dedup();
            assert_eq!(items.len(), 10);
            items.iter().for_each(|&item| counts[item as usize] += 1);
        }
        // 400 are expected, with a standard deviation of 18.
        assert!(counts.iter().all(|count| (310..490).contains(count)), "{counts:?}");
        let mut few = vec![1, 2, 3];
        Random::new(1).draw(&mut few, 9);
        assert_eq!(few.len(), 3);
    }
}
