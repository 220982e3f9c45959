//! The last bytes that came out of a stream. In: bytes in order. Out: whether a late copy of them says the same.

use std::collections::VecDeque;

/// So many bytes are kept, at most.
const MOST: usize = 64 << 10;

/// The end of what came out.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// The bytes up to `end`.
    bytes: VecDeque<u8>,
    end: u64,
}

impl Past {
    /// Bytes of memory.
    pub(super) fn cost(&self) -> usize {
        self.bytes.capacity()
    }

    /// These came out at `at`.
    pub(super) fn push(&mut self, at: u64, bytes: &[u8]) {
        if at != self.end {
            self.bytes.clear();
        }
        self.end = at.saturating_add(bytes.len() as u64);
        let bytes = bytes.get(bytes.len().saturating_sub(MOST)..).unwrap_or_default();
        let too_many = (self.bytes.len() + bytes.len()).saturating_sub(MOST);
        self.bytes.drain(..too_many.min(self.bytes.len()));
        self.bytes.extend(bytes);
    }

    /// How many of `bytes`, which came again at `at`, differ from what came out.
    pub(super) fn differing(&self, at: u64, bytes: &[u8]) -> u64 {
        let begin = self.end.saturating_sub(self.bytes.len() as u64);
        let (ahead, behind) = (begin.saturating_sub(at), at.saturating_sub(begin));
        let skip = |len: u64| usize::try_from(len).unwrap_or(usize::MAX);
        let known = self.bytes.iter().skip(skip(behind));
        known.zip(bytes.iter().skip(skip(ahead))).filter(|(known, new)| known != new).count() as u64
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self) {
        self.bytes = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_copy_is_compared_where_both_are_known() {
        let mut past = Past::default();
        past.push(100, b"hello");
        past.push(105, b" world");
        assert_eq!(past.differing(100, b"hello world"), 0);
        assert_eq!(past.differing(98, b"??hellO"), 1);
        assert_eq!(past.differing(106, b"WORld and more"), 3);
        assert_eq!(past.differing(111, b"later"), 0);
        past.push(200, b"beyond a gap");
        assert_eq!(past.differing(105, b"!"), 0, "forgotten");
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut past = Past::default();
        past.push(0, &[1; MOST]);
        past.push(MOST as u64, &[2; 10]);
        assert_eq!(past.differing(0, &[3; 10]), 0);
        assert_eq!(past.differing(9, &[3; 2]), 1);
        past.push(MOST as u64 + 10, &[4; 3 * MOST]);
        assert_eq!(past.bytes.len(), MOST);
    }
}
