//! What belongs together: questions whose labels hang together, and folds that do not tear them apart.
//!
//! Owns connected components of the graph of questions and records, the joining of near-duplicates (cosine above 0.9),
//! and the cutting of groups into folds. Invariant: two questions of one group are always in the same fold, so that
//! what is held out was not seen in another guise.

use crate::linalg::dense;
use crate::linalg::random::Random;
use rayon::prelude::*;

/// Rows whose cosine is above this are the same thing said twice.
pub(crate) const NEAR_DUPLICATE: f32 = 0.9;
/// Beyond so many rows near-duplicates are not looked for among them: every pair would have to be compared.
pub(crate) const MOST_COMPARED: usize = 30_000;
/// Rows of one side of a tile of comparisons.
const TILE: usize = 512;

/// Sets that grow together (union-find with path halving).
#[derive(Debug, Clone)]
pub(crate) struct Sets(Vec<u32>);

impl Sets {
    /// `count` sets of one.
    pub(crate) fn new(count: usize) -> Self {
        Sets((0..count as u32).collect())
    }

    fn root(&mut self, mut of: u32) -> u32 {
        while self.0[of as usize] != of {
            let above = self.0[of as usize];
            self.0[of as usize] = self.0[above as usize];
            of = above;
        }
        of
    }

    /// Joins two sets; the smaller number becomes the name of both, so the order of joining does not matter.
    pub(crate) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }

    /// The name of each of the first `count` elements' set.
    pub(crate) fn names(mut self, count: usize) -> Vec<u32> {
        (0..count as u32).map(|of| self.root(of)).collect()
    }
}

/// Pairs of `rows` (`n x d`, unit rows) whose cosine is above [`NEAR_DUPLICATE`]; none where there are more than
/// [`MOST_COMPARED`].
pub(crate) fn near_duplicates(rows: &[f32], dimension: usize) -> Vec<(u32, u32)> {
    let count = rows.len() / dimension.max(1);
    if count > MOST_COMPARED {
        return Vec::new();
    }
    let tiles: Vec<(usize, usize)> = (0..count.div_ceil(TILE)).flat_map(|a| (0..=a).map(move |b| (a, b))).collect();
    let piece = |tile: usize| &rows[tile * TILE * dimension..((tile + 1) * TILE * dimension).min(rows.len())];
    let found = tiles.par_iter().map(|&(a, b)| {
        let (left, right) = (piece(a), piece(b));
        let width = right.len() / dimension;
        let mut products = vec![0.0; left.len() / dimension * width];
        dense::times_transposed(left, right, &mut products, dimension);
        let mut pairs = Vec::new();
        for (i, row) in products.chunks(width).enumerate() {
            for (j, cosine) in row.iter().enumerate() {
                let (i, j) = (a * TILE + i, b * TILE + j);
                if *cosine > NEAR_DUPLICATE && j < i {
                    pairs.push((i as u32, j as u32));
                }
            }
        }
        pairs
    });
    found.collect::<Vec<_>>().concat()
}

/// Cuts questions into `count` folds, whole groups at a time, as even as the groups allow: a fold for each of
/// `queries`.
pub(crate) fn folds(queries: &[u32], groups: &[u32], count: usize, seed: u64, stream: u64) -> Vec<usize> {
    let group = |query: u32| groups.get(query as usize).copied().unwrap_or(0);
    let mut sizes: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
    for &query in queries {
        *sizes.entry(group(query)).or_default() += 1;
    }
    let mut order: Vec<(u32, usize)> = sizes.into_iter().collect();
    Random::of_stream(seed, stream).shuffle(&mut order);
    // The largest first, each to the emptiest fold; the sort is stable, so the shuffle decides among equals.
    order.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let mut filled = vec![0_usize; count.max(1)];
    let mut fold_of = std::collections::HashMap::new();
    for (name, size) in order {
        let emptiest = (0..filled.len()).min_by_key(|&fold| filled[fold]).unwrap_or(0);
        filled[emptiest] += size;
        fold_of.insert(name, emptiest);
    }
    queries.iter().map(|&query| fold_of.get(&group(query)).copied().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_was_joined_in_any_order() {
        let pairs = [(0, 5), (5, 7), (2, 3), (8, 2), (6, 6)];
        let joined = |pairs: &[(u32, u32)]| {
            let mut sets = Sets::new(9);
            pairs.iter().for_each(|&(a, b)| sets.join(a, b));
            sets.names(9)
        };
        let forth = joined(&pairs);
        let back: Vec<(u32, u32)> = pairs.iter().rev().map(|&(a, b)| (b, a)).collect();
        assert_eq!(forth, joined(&back));
        assert_eq!(forth, [0, 1, 2, 2, 4, 0, 6, 0, 2]);
    }

    #[test]
    fn near_duplicates_are_found_across_tiles() {
        let (n, d) = (TILE + 40, 24);
        let mut random = Random::of_stream(1, 0);
        let mut rows: Vec<f32> = (0..n * d).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
        let copy = rows[3 * d..4 * d].to_vec();
        rows[(TILE + 7) * d..(TILE + 8) * d].copy_from_slice(&copy);
        for row in rows.chunks_mut(d) {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        assert_eq!(near_duplicates(&rows, d), [((TILE + 7) as u32, 3)]);
    }

    #[test]
    fn folds_keep_groups_whole_and_are_even() {
        let queries: Vec<u32> = (0..100).collect();
        let groups: Vec<u32> = (0..100).map(|query| query / 3).collect();
        let found = folds(&queries, &groups, 5, 1, 0);
        for window in 0..33 {
            assert!(found[window * 3..window * 3 + 3].windows(2).all(|pair| pair[0] == pair[1]));
        }
        let sizes: Vec<usize> = (0..5).map(|fold| found.iter().filter(|other| **other == fold).count()).collect();
        assert!(sizes.iter().all(|size| (18..=22).contains(size)), "{sizes:?}");
        assert_ne!(found, folds(&queries, &groups, 5, 2, 0));
    }
}
