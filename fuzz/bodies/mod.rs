//! What the fuzz targets do with their bytes; `tests/corpus.rs` does the same with those that were kept. In: any bytes. Out: nothing,
//! or a panic where a law is broken.

pub mod analysis;
pub mod capture;
pub mod containers;
pub mod decode;
pub mod laws;
pub mod reassembly;

/// Takes bytes off the front of an input; behind its end there are zeros, so that any bytes are an input.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// From the first one on.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Are all of them taken?
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// The next `n` bytes, or as many as there are.
    pub fn some(&mut self, n: usize) -> &'a [u8] {
        let (some, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        some
    }

    /// A number in seven bits a byte, the lowest first; small ones of either sign take one byte.
    pub fn number(&mut self) -> i64 {
        let mut bits = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        (bits >> 1) as i64 ^ -((bits & 1) as i64)
    }
}
