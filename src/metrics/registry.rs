//! Something known of each of many: listeners, clients, users of ports. In: keys. Out: a place for each, up to a number that
//! is never exceeded: where more come, those that are worth least are given up.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// Most that are known at a time.
pub const MOST: usize = 1 << 16;

/// Keys with what is known of them, in the order they came.
#[derive(Clone, Debug)]
pub struct Registry<K, V> {
    places: HashMap<K, u32, Seeded>,
    all: Vec<(K, V)>,
    /// Connections of one listener come in a row.
    last: Option<(K, usize)>,
}

impl<K, V> Default for Registry<K, V> {
    fn default() -> Self {
        Self { places: HashMap::default(), all: Vec::new(), last: None }
    }
}

impl<K: Copy + Eq + Hash + Ord, V: Default> Registry<K, V> {
    /// What is known of `key`: nothing, if it was not known before. The place is good until [`forget`](Self::forget).
    pub fn place(&mut self, key: K) -> usize {
        if let Some((_, place)) = self.last.filter(|last| last.0 == key) {
            return place;
        }
        let next = self.all.len();
        let place = *self.places.entry(key).or_insert(next as u32) as usize;
        if place == next {
            self.all.push((key, V::default()));
        }
        self.last = Some((key, place));
        place
    }

    /// What stands at a place.
    pub fn at(&mut self, place: usize) -> Option<&mut V> {
        self.all.get_mut(place).map(|entry| &mut entry.1)
    }

    /// What is known of `key`, if anything is.
    pub fn get(&mut self, key: K) -> Option<&mut V> {
        let place = *self.places.get(&key)? as usize;
        self.at(place)
    }

    /// What is known of `key`, or nothing yet.
    pub fn entry(&mut self, key: K) -> &mut V {
        let place = self.place(key);
        // `place` gives places that are there.
        &mut self.all[place].1
    }

    /// Gives up those that have no worth.
    pub fn forget_if(&mut self, worthless: impl Fn(&V) -> bool) {
        self.all.retain(|entry| !worthless(&entry.1));
        self.places();
    }

    fn places(&mut self) {
        self.places.clear();
        self.places.shrink_to(2 * self.all.len());
        self.places.extend((0..).zip(&self.all).map(|(place, (key, _))| (*key, place)));
        self.last = None;
    }

    /// Whether some have to be given up.
    pub fn is_full(&self) -> bool {
        self.all.len() > MOST
    }

    /// Gives up those that are worth least until no more than `keep` are left, and returns them. Which they are depends on what was
    /// taken alone; of equal ones the greatest keys go first.
    pub fn forget<W: Ord + Copy>(&mut self, keep: usize, worth: impl Fn(&V) -> W) -> Vec<(K, V)> {
        let over = self.all.len().saturating_sub(keep);
        if over == 0 {
            return Vec::new();
        }
        let mut order: Vec<_> = self.all.iter().map(|(key, value)| (worth(value), Reverse(*key))).collect();
        // The first one that stays.
        let least = if over < order.len() { Some(*order.select_nth_unstable(over).1) } else { None };
        let goes = |entry: &mut (K, V)| least.is_none_or(|least| (worth(&entry.1), Reverse(entry.0)) < least);
        let gone = self.all.extract_if(.., goes).collect();
        self.all.shrink_to_fit();
        self.places();
        gone
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.all.iter().map(|(key, value)| (key, value))
    }

    /// All of them, to change them.
    pub fn values(&mut self) -> impl Iterator<Item = &mut V> {
        self.all.iter_mut().map(|entry| &mut entry.1)
    }

    /// All of them, in no order that matters.
    pub fn into_all(self) -> Vec<(K, V)> {
        self.all
    }
}

/// Keys come from the wire, so where they hash to is nobody's to choose; and it must be fast.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(RandomState::new().build_hasher().finish() | 1)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded { state: self.0, seed: self.0 }
    }
}

/// Multiplies to twice the width and folds the halves.
#[derive(Clone, Copy, Debug)]
pub struct Folded {
    state: u64,
    seed: u64,
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|&word| self.write_u64(u64::from_le_bytes(word)));
        if let Ok(half) = rest.try_into() {
            self.write_u64(u32::from_le_bytes(half).into());
        } else if !rest.is_empty() {
            self.write_u64(rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.state ^ value) * u128::from(self.seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15);
        self.state = (product as u64) ^ (product >> 64) as u64;
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_place() {
        let mut registry = Registry::<u64, u64>::default();
        for n in 0..10_000 {
            *registry.entry(n % 1_000) += 1;
        }
        assert_eq!(registry.len(), 1_000);
        assert!(registry.iter().all(|(_, &count)| count == 10));
        assert_eq!((registry.get(7).copied(), registry.get(1_000)), (Some(10), None));
    }

    #[test]
    fn those_that_are_worth_least_are_given_up() {
        let mut registry = Registry::<u64, u64>::default();
        (0..10).for_each(|n| *registry.entry(n) = n / 2);
        let mut gone: Vec<_> = registry.forget(3, |worth| *worth).into_iter().map(|entry| entry.0).collect();
        gone.sort_unstable();
        // Of equal ones the greater key goes first.
        assert_eq!(gone, [0, 1, 2, 3, 4, 5, 7]);
        assert_eq!(registry.get(6).copied(), Some(3));
        *registry.entry(7) += 1;
        assert_eq!((registry.len(), registry.get(7).copied()), (4, Some(1)));
    }
}
