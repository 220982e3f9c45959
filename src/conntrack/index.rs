//! Where each flow is kept. In: hashes of keys. Out: the numbers of flows that may have that key.
//!
//! Open addressing with linear probing in many small tables, each of which grows on its own: a table of millions never
//! stops to be built anew, and never stands in memory twice.

/// Tables; the highest bits of a tag choose one.
const TABLES: usize = 256;
/// Slots of a table that holds little.
const FIRST: usize = 16;

/// A slot: tag in the high half, number + 1 in the low one; 0 is empty.
pub type Slot = u64;

/// Numbers by hash.
#[derive(Debug)]
pub struct Index {
    tables: Box<[Table; TABLES]>,
}

#[derive(Debug)]
struct Table {
    slots: Box<[Slot]>,
    used: usize,
}

const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

const fn slot(tag: u32, number: u32) -> Slot {
    (tag as u64) << 32 | (number as u64 + 1)
}

const fn tag_of(slot: Slot) -> u32 {
    (slot >> 32) as u32
}

const fn number_of(slot: Slot) -> u32 {
    slot as u32 - 1
}

impl Table {
    fn new(slots: usize) -> Self {
        Self { slots: vec![0; slots].into_boxed_slice(), used: 0 }
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.slots.len() - 1)
    }

    fn put(&mut self, slot: Slot) {
        let (mut at, last) = (self.home(tag_of(slot)), self.slots.len() - 1);
        while self.slots[at] != 0 {
            at = (at + 1) & last;
        }
        self.slots[at] = slot;
        self.used += 1;
    }

    fn grow(&mut self) {
        let mut larger = Self::new(self.slots.len() * 2);
        self.slots.iter().filter(|&&slot| slot != 0).for_each(|&slot| larger.put(slot));
        *self = larger;
    }

    /// Closes the gap at `at`: what probing put behind it moves up.
    fn close(&mut self, mut at: usize) {
        let last = self.slots.len() - 1;
        let mut next = at;
        loop {
            next = (next + 1) & last;
            let slot = self.slots[next];
            if slot == 0 {
                break;
            }
            // It may move to the gap unless its home lies behind that.
            if next.wrapping_sub(self.home(tag_of(slot))) & last >= next.wrapping_sub(at) & last {
                self.slots[at] = slot;
                at = next;
            }
        }
        self.slots[at] = 0;
        self.used -= 1;
    }
}

impl Index {
    /// An empty one.
    pub fn new() -> Self {
        Self { tables: Box::new(std::array::from_fn(|_| Table::new(FIRST))) }
    }

    #[inline]
    const fn table(hash: u64) -> usize {
        (hash >> 56) as usize
    }

    /// The number with this hash that `is_it` recognizes.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (table, tag) = (&self.tables[Self::table(hash)], tag(hash));
        let (mut at, last) = (table.home(tag), table.slots.len() - 1);
        loop {
            let slot = table.slots[at & last];
            if slot == 0 {
                return None;
            }
            if tag_of(slot) == tag && is_it(number_of(slot)) {
                return Some(number_of(slot));
            }
            at += 1;
        }
    }

    /// What a lookup of this hash will read first, for a prefetch.
    #[inline]
    pub fn home(&self, hash: u64) -> &Slot {
        let table = &self.tables[Self::table(hash)];
        &table.slots[table.home(tag(hash))]
    }

    /// Adds a number, which is not held yet.
    pub fn insert(&mut self, hash: u64, number: u32) {
        let table = &mut self.tables[Self::table(hash)];
        // Fuller, a lookup would pass over many others, and never the same number of them.
        if table.used * 8 >= table.slots.len() * 5 {
            table.grow();
        }
        table.put(slot(tag(hash), number));
    }

    /// Removes a number.
    pub fn remove(&mut self, hash: u64, number: u32) {
        let table = &mut self.tables[Self::table(hash)];
        let (mut at, last, wanted) = (table.home(tag(hash)), table.slots.len() - 1, slot(tag(hash), number));
        while table.slots[at] != wanted {
            if table.slots[at] == 0 {
                return;
            }
            at = (at + 1) & last;
        }
        table.close(at);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    fn held(index: &Index) -> usize {
        index.tables.iter().map(|table| table.used).sum()
    }

    proptest! {
        /// Few distinct hashes, so that they collide in every way.
        #[test]
        fn it_finds_what_a_map_would(steps in prop::collection::vec((0_u64..40, any::<bool>()), 0..400)) {
            let (mut index, mut map) = (Index::new(), HashMap::new());
            for (key, add) in steps {
                let hash = (key % 7) << 56 | (key % 5) << 32 | (key % 3) << 35;
                let number = key as u32;
                match map.remove(&key) {
                    Some(number) => index.remove(hash, number),
                    None if add => {
                        index.insert(hash, number);
                        map.insert(key, number);
                    }
                    None => {}
                }
                prop_assert_eq!(held(&index), map.len());
                for key in 0..40_u64 {
                    let hash = (key % 7) << 56 | (key % 5) << 32 | (key % 3) << 35;
                    prop_assert_eq!(index.find(hash, |n| n == key as u32), map.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn hundreds_of_thousands_are_found_again() {
        let mut index = Index::new();
        let hash = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..300_000).for_each(|n| index.insert(hash(n), n));
        (0..300_000).step_by(2).for_each(|n| index.remove(hash(n), n));
        assert!((0..300_000).all(|n| index.find(hash(n), |found| found == n).is_some() == (n % 2 == 1)));
        assert_eq!(held(&index), 150_000);
    }
}
