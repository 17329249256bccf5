//! The one checksum of everything on disk: 64-bit XXH3, seeded.
//!
//! It detects damage (flipped bits, torn and misplaced writes), not forgery. The seed says what a unit is and where
//! it stands, so that a page or block that lands in the wrong place does not pass.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Checksum of `bytes` for the place `seed`.
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_because_it_is_part_of_the_format() {
        assert_eq!(checksum(0, b""), 0x2d06_8005_38d3_94c2);
        assert_ne!(checksum(1, b"abc"), checksum(2, b"abc"));
        assert_ne!(checksum(1, b"abc"), checksum(1, b"abd"));
    }
}
