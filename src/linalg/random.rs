//! Numbers that look random and are the same everywhere.
//!
//! Owns [`Random`] (splitmix64: Steele, Lea and Flood 2014), for samples that are drawn the same way each time. It is no
//! source of secrets.

/// splitmix64 from a seed.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// A number below `n`, which is at least 1. Of `n` below 2^32 its bias is below 2^-32.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * u128::from(n)) >> 64) as u64
    }

    /// Moves `count` of `items`, drawn without replacement, to the front, in random order, and forgets the others.
    pub fn draw<T>(&mut self, items: &mut Vec<T>, count: usize) {
        let (n, kept) = (items.len(), items.len().min(count));
        for place in 0..kept {
            let other = place + self.below((n - place) as u64) as usize;
            items.swap(place, other);
        }
        items.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_distinct_the_same_each_time_and_even() {
        let mut counts = [0; 50];
        for seed in 0..2000 {
            let (mut items, mut again): (Vec<u32>, Vec<u32>) = ((0..50).collect(), (0..50).collect());
            Random(seed).draw(&mut items, 10);
            Random(seed).draw(&mut again, 10);
            assert!(items == again && items.len() == 10);
            items.sort_unstable();
            items.dedup();
            assert_eq!(items.len(), 10);
            items.iter().for_each(|&item| counts[item as usize] += 1);
        }
        // 400 are expected, with a standard deviation of 18.
        assert!(counts.iter().all(|count| (310..490).contains(count)), "{counts:?}");
        let mut few = vec![1, 2, 3];
        Random(1).draw(&mut few, 9);
        assert_eq!(few.len(), 3);
    }
}
