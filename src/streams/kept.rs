//! What waits for something before it. In: stretches of a stream, in any order. Out: the same without overlaps, from the lowest on.

use std::collections::BTreeMap;

/// What a stretch costs beside its bytes, so that many tiny ones count.
pub(super) const OVERHEAD: usize = 96;

/// Stretches that touch are joined up to this length, in bytes.
const JOINED: usize = 64 << 10;

/// One stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// So many bytes that were sent and not captured.
    Cut(u64),
}

impl Stretch {
    fn cost(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.capacity() + OVERHEAD,
            Self::Cut(_) => OVERHEAD,
        }
    }
}

/// Stretches by their places; none overlaps another. Of two copies the first is kept, but bytes take the place of a cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    stretches: BTreeMap<u64, Stretch>,
    cost: usize,
}

impl Kept {
    /// Bytes of memory.
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// Where the lowest stretch begins.
    pub(super) fn first(&self) -> Option<u64> {
        self.stretches.first_key_value().map(|(&start, _)| start)
    }

    /// Takes the lowest stretch out.
    pub(super) fn pop(&mut self) -> Option<(u64, Stretch)> {
        let (start, stretch) = self.stretches.pop_first()?;
        self.cost = self.cost.saturating_sub(stretch.cost());
        Some((start, stretch))
    }

    /// Adds `bytes` at `start`, followed by `cut` that were not captured. Returns how many of the bytes differ from the first copy.
    pub(super) fn insert(&mut self, start: u64, bytes: &[u8], cut: u64) -> u64 {
        let (mut at, mut rest, mut differing) = (start, bytes, 0);
        while !rest.is_empty() {
            let (taken, others) = match self.around(at) {
                Around::Bytes(known) => {
                    let len = known.len().min(rest.len());
                    (len, known.iter().zip(rest).filter(|(known, new)| known != new).count() as u64)
                }
                Around::Cut(begin, end) => {
                    let len = clamp(end - at).min(rest.len());
                    self.open(begin, end, at, at.saturating_add(len as u64));
                    self.add(at, rest.get(..len).unwrap_or_default());
                    (len, 0)
                }
                Around::Nothing(room) => {
                    let len = clamp(room).min(rest.len());
                    self.add(at, rest.get(..len).unwrap_or_default());
                    (len, 0)
                }
            };
            differing += others;
            at = at.saturating_add(taken as u64);
            rest = rest.get(taken.max(1)..).unwrap_or_default();
        }
        self.insert_cut(at, at.saturating_add(cut));
        differing
    }

    /// Adds what is not there of a cut.
    fn insert_cut(&mut self, mut at: u64, end: u64) {
        while at < end {
            let after = match self.around(at) {
                Around::Bytes(known) => at.saturating_add(known.len() as u64),
                Around::Cut(_, known_end) => known_end,
                Around::Nothing(room) => {
                    let len = room.min(end - at);
                    self.put(at, Stretch::Cut(len));
                    at.saturating_add(len)
                }
            };
            at = after.max(at.saturating_add(1));
        }
    }

    /// What is known at `at`, from there on.
    fn around(&self, at: u64) -> Around<'_> {
        if let Some((&start, stretch)) = self.stretches.range(..=at).next_back() {
            let offset = at - start;
            match stretch {
                Stretch::Bytes(bytes) => {
                    if let Some(known) = bytes.get(clamp(offset)..).filter(|known| !known.is_empty()) {
                        return Around::Bytes(known);
                    }
                }
                Stretch::Cut(len) if offset < *len => return Around::Cut(start, start.saturating_add(*len)),
                Stretch::Cut(_) => {}
            }
        }
        let next = self.stretches.range(at..).next().map_or(u64::MAX, |(&start, _)| start);
        Around::Nothing(next - at)
    }

    /// Takes `from..to` out of the cut `start..end`.
    fn open(&mut self, start: u64, end: u64, from: u64, to: u64) {
        if let Some(cut) = self.stretches.remove(&start) {
            self.cost = self.cost.saturating_sub(cut.cost());
        }
        if start < from {
            self.put(start, Stretch::Cut(from - start));
        }
        if to < end {
            self.put(to, Stretch::Cut(end - to));
        }
    }

    /// Adds bytes where nothing is known.
    fn add(&mut self, at: u64, bytes: &[u8]) {
        if let Some((&start, Stretch::Bytes(before))) = self.stretches.range_mut(..at).next_back()
            && start.saturating_add(before.len() as u64) == at
            && before.len() + bytes.len() <= JOINED
        {
            let was = before.capacity();
            before.extend_from_slice(bytes);
            self.cost += before.capacity() - was;
            return;
        }
        self.put(at, Stretch::Bytes(bytes.to_vec()));
    }

    fn put(&mut self, at: u64, stretch: Stretch) {
        self.cost += stretch.cost();
        self.stretches.insert(at, stretch);
    }
}

/// What is known at some place.
enum Around<'a> {
    /// These bytes from there on.
    Bytes(&'a [u8]),
    /// A cut with these bounds.
    Cut(u64, u64),
    /// Nothing, for so many bytes.
    Nothing(u64),
}

fn clamp(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut kept: Kept) -> Vec<(u64, Stretch)> {
        let found = std::iter::from_fn(|| kept.pop()).collect();
        assert_eq!(kept.cost(), 0);
        found
    }

    fn bytes(text: &str) -> Stretch {
        Stretch::Bytes(text.into())
    }

    #[test]
    fn the_first_copy_is_kept_and_others_are_compared() {
        let mut kept = Kept::default();
        assert_eq!(kept.insert(10, b"abc", 0), 0);
        assert_eq!(kept.insert(15, b"xyz", 0), 0);
        assert_eq!(kept.insert(8, b"..aBcdeXYZ!", 0), 4);
        assert_eq!(kept.first(), Some(8));
        assert_eq!(all(kept), [(8, bytes("..")), (10, bytes("abcde")), (15, bytes("xyz!"))]);
    }

    #[test]
    fn bytes_take_the_place_of_a_cut_and_a_cut_of_nothing() {
        let mut kept = Kept::default();
        assert_eq!(kept.insert(10, b"ab", 6), 0);
        assert_eq!(kept.insert(13, b"def", 0), 0);
        assert_eq!(kept.insert(9, b"_", 20), 0);
        let expected = [
            (9, bytes("_")),
            (10, bytes("ab")),
            (12, Stretch::Cut(1)),
            (13, bytes("def")),
            (16, Stretch::Cut(2)),
            (18, Stretch::Cut(12)),
        ];
        assert_eq!(all(kept), expected);
    }

    #[test]
    fn tiny_stretches_cost_more_than_their_bytes() {
        let mut kept = Kept::default();
        (0..1000).for_each(|i| _ = kept.insert(2 * i, b"x", 0));
        assert!(kept.cost() >= 1000 * OVERHEAD);
        let mut joined = Kept::default();
        (0..1000).for_each(|i| _ = joined.insert(i, b"x", 0));
        assert!(joined.cost() < 4 * 1000);
    }
}
