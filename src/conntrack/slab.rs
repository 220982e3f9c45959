//! Many values of one size, by number. In: values. Out: numbers to find them by; freed places are used again.
//!
//! Places come in blocks that never move, so growing copies nothing: no stop, and no second copy beside the first.

/// Places in a block: few, so that what was touched when a block was made is still in a cache when it comes to be used.
const BLOCK: usize = 1 << 9;

/// Values by number. A number is given to another value once its own was taken out.
#[derive(Debug)]
pub struct Slab<T> {
    blocks: Vec<Box<[T]>>,
    /// Places that were ever used.
    used: usize,
    /// Numbers whose values were taken out.
    free: Vec<u32>,
    len: usize,
    /// How many places of each block are in use; known from the first [`Slab::give_up`] on.
    in_use: Vec<u32>,
}

impl<T: Default> Slab<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { blocks: Vec::new(), used: 0, free: Vec::new(), len: 0, in_use: Vec::new() }
    }

    /// Values held.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Puts a value in. There are never more than 2^32 of them: memory ends before.
    #[inline]
    pub fn insert(&mut self, value: T) -> u32 {
        let (number, place) = self.place();
        *place = value;
        number
    }

    /// A place for a value, and what it has held before.
    #[inline]
    pub fn place(&mut self) -> (u32, &mut T) {
        self.len += 1;
        let number = match self.free.pop() {
            Some(number) => number,
            None => self.append(),
        };
        (number, self.get_mut(number))
    }

    fn append(&mut self) -> u32 {
        if self.used == self.blocks.len() * BLOCK {
            self.blocks.push((0..BLOCK).map(|_| T::default()).collect());
        }
        let number = self.used as u32;
        self.used += 1;
        number
    }

    /// Frees a place whose value is not needed any more.
    #[inline]
    pub fn free(&mut self, number: u32) {
        self.len -= 1;
        self.free.push(number);
    }

    /// Frees a place when no more are wanted: what all have given up goes back, block by block, to be memory of something else.
    pub fn give_up(&mut self, number: u32) {
        if self.in_use.is_empty() {
            self.count();
        }
        let block = number as usize / BLOCK;
        self.len -= 1;
        self.in_use[block] -= 1;
        if self.in_use[block] == 0 {
            self.blocks[block] = Box::default();
        }
    }

    fn count(&mut self) {
        self.in_use = vec![BLOCK as u32; self.used / BLOCK];
        self.in_use.extend((!self.used.is_multiple_of(BLOCK)).then_some((self.used % BLOCK) as u32));
        for &number in &self.free {
            self.in_use[number as usize / BLOCK] -= 1;
        }
    }

    /// Takes a value out.
    #[inline]
    pub fn remove(&mut self, number: u32) -> T {
        self.len -= 1;
        self.free.push(number);
        std::mem::take(self.get_mut(number))
    }

    /// The value with this number.
    #[inline]
    pub fn get(&self, number: u32) -> &T {
        &self.blocks[number as usize / BLOCK][number as usize % BLOCK]
    }

    /// The value with this number.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> &mut T {
        &mut self.blocks[number as usize / BLOCK][number as usize % BLOCK]
    }

    /// Every place, free ones too: those hold defaults where a value was taken out.
    pub fn places(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.blocks.iter().flat_map(|block| block.iter())).take(self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_have_given_up_is_no_memory_any_more() {
        let mut slab = Slab::new();
        let numbers: Vec<u32> = (0..2 * BLOCK as u64 + 1).map(|n| slab.insert(n)).collect();
        slab.free(3);
        let (first, rest) = numbers.split_at(BLOCK);
        first.iter().filter(|&&number| number != 3).for_each(|&number| slab.give_up(number));
        assert_eq!((slab.blocks[0].len(), slab.blocks[1].len(), slab.len()), (0, BLOCK, BLOCK + 1));
        assert!(rest.iter().all(|&number| *slab.get(number) == u64::from(number)));
        rest.iter().for_each(|&number| slab.give_up(number));
        assert!(slab.blocks.iter().all(|block| block.is_empty()));
    }

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::new();
        let numbers: Vec<u32> = (0..10_000_u64).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.remove(numbers[77]), 77);
        assert_eq!(slab.insert(5), numbers[77]);
        assert!(numbers.iter().filter(|&&n| n != numbers[77]).all(|&n| *slab.get(n) == u64::from(n)));
        assert_eq!((slab.len(), slab.places().count()), (10_000, 10_000));
    }
}
