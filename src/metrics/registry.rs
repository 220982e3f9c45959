//! Something known of each of many: listeners, clients, users of ports. In: keys. Out: a place for each, up to a number that
//! is never exceeded: where more come, those that are worth least are given up.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use super::rows::PortUser;
use crate::tcp::segment::HostPort;

/// Most that are known at a time.
pub const MOST: usize = 1 << 16;

/// What something can be known by.
pub trait Key: Copy + Eq + Ord {
    /// A number that differs where keys do, as good as always. Keys come from the wire, so what it is with which `seed` is nobody's to
    /// choose.
    fn hash(&self, seed: Seed) -> u64;
}

/// Keys with what is known of them, in the order they came.
#[derive(Clone, Debug)]
pub struct Registry<K, V> {
    seed: Seed,
    index: Index,
    all: Vec<(K, V)>,
    /// Connections of one listener come in a row.
    last: usize,
}

impl<K, V> Default for Registry<K, V> {
    fn default() -> Self {
        Self { seed: Seed::default(), index: Index::default(), all: Vec::new(), last: 0 }
    }
}

impl<K: Key, V: Default> Registry<K, V> {
    /// What is known of `key`: nothing, if it was not known before. The place is good until [`forget`](Self::forget).
    pub fn place(&mut self, key: K) -> usize {
        if self.all.get(self.last).is_some_and(|last| last.0 == key) {
            return self.last;
        }
        let hash = key.hash(self.seed);
        let place = self.index.find(hash, |place| self.all.get(place).is_some_and(|known| known.0 == key));
        let place = place.unwrap_or_else(|| {
            self.index.insert(hash, self.all.len());
            self.all.push((key, V::default()));
            self.all.len() - 1
        });
        self.last = place;
        place
    }

    /// What stands at a place.
    pub fn at(&mut self, place: usize) -> Option<&mut V> {
        self.all.get_mut(place).map(|entry| &mut entry.1)
    }

    /// Where `key` is, if anything is known of it.
    pub fn find(&self, key: K) -> Option<usize> {
        self.index.find(key.hash(self.seed), |place| self.all.get(place).is_some_and(|known| known.0 == key))
    }

    /// What is known of `key`, if anything is.
    pub fn get(&mut self, key: K) -> Option<&mut V> {
        let place = self.find(key)?;
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
        // Most often half of them were given up, and as many come again.
        self.index = Index::for_up_to(2 * self.all.len());
        for (place, (key, _)) in self.all.iter().enumerate() {
            self.index.insert(key.hash(self.seed), place);
        }
        self.last = 0;
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

/// Where the keys of a registry stand, by their hashes: open addressing, in at most 2³¹ places.
#[derive(Clone, Debug, Default)]
struct Index {
    /// The upper half of the hash, then the place plus one; 0 is free. A power of two of them, no more than three quarters in use.
    slots: Vec<u64>,
    used: usize,
}

impl Index {
    const LEAST: usize = 8;

    /// With room for as many.
    fn for_up_to(places: usize) -> Self {
        Self { slots: vec![0; (places / 3 * 4 + 4).next_power_of_two()], used: 0 }
    }

    /// Of the places with this hash the one that is looked for.
    fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut slot = self.first(hash);
        loop {
            let known = *self.slots.get(slot)?;
            if known == 0 {
                return None;
            }
            let place = (known as u32 - 1) as usize;
            if (known ^ hash) >> 32 == 0 && is_it(place) {
                return Some(place);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The slot where the search begins: by the uppermost bits, so that what stands in the slots is enough to move them.
    fn first(&self, hash: u64) -> usize {
        (hash >> 32) as usize >> (32 - self.slots.len().max(1).ilog2())
    }

    /// Takes a place whose hash is not among the others with it.
    fn insert(&mut self, hash: u64, place: usize) {
        if self.used * 4 >= self.slots.len() * 3 {
            // By four: whoever grows that far grows on, and each time all of them move.
            let wide = vec![0; (4 * self.slots.len()).max(Self::LEAST)];
            let old = std::mem::replace(&mut self.slots, wide);
            old.into_iter().filter(|&known| known != 0).for_each(|known| self.put(known));
        }
        self.put(hash >> 32 << 32 | (place as u32 + 1) as u64);
        self.used += 1;
    }

    fn put(&mut self, known: u64) {
        let mut slot = self.first(known);
        while let Some(other) = self.slots.get_mut(slot) {
            if *other == 0 {
                *other = known;
                return;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// What hashes depend on, different in every run.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().build_hasher().finish() | 1)
    }
}

impl Seed {
    /// Adds a word to a hash: multiplies to twice the width and folds the halves.
    const fn fold(self, hash: u64, word: u64) -> u64 {
        let product = (self.0 ^ hash ^ word) as u128 * (self.0.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15) as u128;
        product as u64 ^ (product >> 64) as u64
    }

    /// Adds an address, with something of less than 32 bits that belongs to it.
    pub fn address(self, hash: u64, ip: IpAddr, more: u32) -> u64 {
        match ip {
            IpAddr::V4(ip) => self.fold(hash, u64::from(more) << 32 | u64::from(ip.to_bits())),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                let upper = self.fold(hash ^ 6, (bits >> 64) as u64);
                self.fold(self.fold(upper, bits as u64), more.into())
            }
        }
    }
}

impl Key for IpAddr {
    fn hash(&self, seed: Seed) -> u64 {
        seed.address(0, *self, 0)
    }
}

impl Key for HostPort {
    fn hash(&self, seed: Seed) -> u64 {
        seed.address(0, self.ip, self.port.into())
    }
}

impl Key for PortUser {
    fn hash(&self, seed: Seed) -> u64 {
        seed.address(seed.address(0, self.server.ip, self.server.port.into()), self.client_ip, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Key for u64 {
        fn hash(&self, seed: Seed) -> u64 {
            seed.fold(0, *self)
        }
    }

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
