//! Many values of one size, by number. In: values. Out: numbers to find them by; freed places are used again.
//!
//! Places come in blocks that never move, so growing copies nothing: no stop, and no second copy beside the first.

/// Places in a block: few, so that what was touched when a block was made is still in a cache when it comes to be used.
const BLOCK: usize = 1 << 9;

/// Values by number. A number is given to another value once its own was taken out.
#[derive(Debug)]
pub struct Slab<T> {
    blocks: Vec<Box<[T; BLOCK]>>,
    /// Places that were ever used.
    used: usize,
    /// Numbers whose values were taken out.
    free: Vec<u32>,
    len: usize,
}

impl<T: Default> Slab<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { blocks: Vec::new(), used: 0, free: Vec::new(), len: 0 }
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
            let block: Vec<T> = (0..BLOCK).map(|_| T::default()).collect();
            // A block has as many places as it was just given.
            self.blocks.extend(block.into_boxed_slice().try_into().ok());
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
    fn places_are_used_again() {
        let mut slab = Slab::new();
        let numbers: Vec<u32> = (0..10_000_u64).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.remove(numbers[77]), 77);
        assert_eq!(slab.insert(5), numbers[77]);
        assert!(numbers.iter().filter(|&&n| n != numbers[77]).all(|&n| *slab.get(n) == u64::from(n)));
        assert_eq!((slab.len(), slab.places().count()), (10_000, 10_000));
    }
}
