//! Sharing of what fleets repeat: object links, query attributes, origins of observations.
//!
//! A value is kept once and counted by its `Arc`s. Values that nobody uses any more are swept out
//! when the table has doubled since the last sweep, so that a value costs amortised constant time.

use core::hash::Hash;
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;

/// Below this many entries nothing is swept: the table is then a few kilobytes.
const SWEEP_LEN_MIN: usize = 64;

/// A set of shared values.
pub(crate) struct Interner<T: ?Sized> {
    table: HashTable<Arc<T>>,
    hasher: RandomState,
    sweep_at: usize,
}

impl<T: Hash + Eq + ?Sized> Interner<T> {
    pub(crate) const fn new(hasher: RandomState) -> Self {
        Self { table: HashTable::new(), hasher, sweep_at: SWEEP_LEN_MIN }
    }

    /// The shared value that equals `key`, if it is kept already.
    pub(crate) fn find(&self, key: &T) -> Option<Arc<T>> {
        let hash = self.hasher.hash_one(key);
        self.table.find(hash, |shared| **shared == *key).map(Arc::clone)
    }

    /// Keeps a value that [`Self::find`] does not know.
    pub(crate) fn add(&mut self, shared: Arc<T>) -> Arc<T> {
        debug_assert!(self.find(&shared).is_none());
        self.sweep_if_grown();
        let hash = self.hasher.hash_one(&*shared);
        let hasher = &self.hasher;
        self.table.insert_unique(hash, Arc::clone(&shared), |value| hasher.hash_one(&**value));
        shared
    }

    /// The values kept at this moment, used or not.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    fn sweep_if_grown(&mut self) {
        if self.table.len() >= self.sweep_at {
            self.sweep();
        }
    }

    /// Drops what nobody uses any more; for those who know that much of it is not.
    pub(crate) fn sweep(&mut self) {
        self.table.retain(|shared| Arc::strong_count(shared) > 1);
        self.sweep_at = (self.table.len() * 2).max(SWEEP_LEN_MIN);
        if self.table.capacity() > self.sweep_at * 4 {
            let hasher = &self.hasher;
            self.table.shrink_to(self.sweep_at, |value| hasher.hash_one(&**value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(interner: &mut Interner<[u8]>, bytes: &[u8]) -> Arc<[u8]> {
        interner.find(bytes).unwrap_or_else(|| interner.add(bytes.into()))
    }

    #[test]
    fn equal_values_are_one() {
        let mut interner = Interner::new(RandomState::with_seeds(1, 2, 3, 4));
        let first = intern(&mut interner, b"abc");
        let second = intern(&mut interner, b"abc");
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(interner.len(), 1);
    }

    #[test]
    fn values_out_of_use_do_not_pile_up() {
        let mut interner = Interner::new(RandomState::with_seeds(1, 2, 3, 4));
        let kept = intern(&mut interner, b"kept");
        for number in 0..10_000_u32 {
            intern(&mut interner, &number.to_be_bytes());
        }
        assert!(interner.len() <= SWEEP_LEN_MIN, "{} values are kept", interner.len());
        assert!(Arc::ptr_eq(&kept, &intern(&mut interner, b"kept")));
    }
}
