//! What was put in lately. In: keys and values. Out: a value, as long as not too much else has come since: memory has a bound that no
//! traffic moves, and what is given up depends on what came alone.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key in two generations: once the young one is full, the old one is given up and the young one is old.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Weight of the young ones, and when they are full.
    weight: usize,
    room: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// An empty one; a generation is full at a weight of `room`.
    pub fn new(room: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, room }
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// Puts a value in; hands what is given up for it to `lost`.
    pub fn insert(&mut self, key: K, value: V, weight: usize, lost: impl FnMut(&K, &V)) {
        self.old.remove(&key);
        if self.weight >= self.room {
            self.weight = 0;
            self.old.iter().for_each({
                let mut lost = lost;
                move |(key, value)| lost(key, value)
            });
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.weight += weight;
        self.young.insert(key, value);
    }

    /// The value of a key.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let found = self.young.remove(key).or_else(|| self.old.remove(key));
        if self.is_empty() {
            self.weight = 0;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_given_up_and_said_to_be() {
        let (mut recent, mut lost) = (Recent::new(100), Vec::new());
        for n in 0..1_000 {
            recent.insert(n, n, 1, |key, value| lost.push((*key, *value)));
        }
        assert_eq!(lost.len() + recent.young.len() + recent.old.len(), 1_000);
        assert!(recent.young.len() + recent.old.len() <= 200);
        assert_eq!((recent.get_mut(&999).copied(), recent.get_mut(&0)), (Some(999), None));
        assert_eq!((recent.remove(&999), recent.remove(&999)), (Some(999), None));
    }
}
