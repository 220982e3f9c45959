//! Sequence numbers on their circle, and positions on the line that a stream unrolls from it.

use std::fmt;

/// A 32-bit sequence number (RFC 9293 3.4). Not `Ord`: order on a circle is not transitive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(u32);

impl SeqNum {
    /// The number as it stands in a header.
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// The number as it stands in a header.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// `n` further along the circle.
    pub const fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// How far along the circle `self` lies from `base`, going forward: 0 ..= 2^32 − 1.
    pub const fn ahead_of(self, base: Self) -> u32 {
        self.0.wrapping_sub(base.0)
    }

    /// Strictly later than `other`. Exactly half the circle apart is neither later nor earlier.
    pub const fn is_after(self, other: Self) -> bool {
        let distance = self.ahead_of(other);
        distance != 0 && distance < 1 << 31
    }

    /// Later than `other` or the same.
    pub const fn is_at_or_after(self, other: Self) -> bool {
        self.ahead_of(other) < 1 << 31
    }

    /// The nearer way round from `base`: −2^31 ..= 2^31 − 1.
    pub const fn offset_from(self, base: Self) -> i32 {
        self.0.wrapping_sub(base.0) as i32
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in one side's stream, unrolled to 64 bits: 2^32 is the first sequence number seen from that side, so what
/// turns up before it still has a place. Ordered, unlike [`SeqNum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPos(pub u64);

impl StreamPos {
    /// The place of the first sequence number seen.
    pub const ORIGIN: Self = Self(1 << 32);

    /// The place of `seq`, taken as the one nearest to `near`, which stands at `near_seq`.
    pub const fn nearest(seq: SeqNum, near: Self, near_seq: SeqNum) -> Self {
        Self(near.0.saturating_add_signed(seq.offset_from(near_seq) as i64))
    }

    /// `n` further on, clamped at the end of the range.
    pub const fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(raw: u32) -> SeqNum {
        SeqNum::new(raw)
    }

    // The edges, with literal numbers: random ones never meet them.

    #[test]
    fn later_across_the_wrap() {
        assert!(s(0).is_after(s(4_294_967_295)));
        assert!(!s(4_294_967_295).is_after(s(0)));
        assert!(s(5).is_after(s(4_294_967_290)));
        assert_eq!(s(5).ahead_of(s(4_294_967_290)), 11);
        assert_eq!(s(4_294_967_290).offset_from(s(5)), -11);
    }

    #[test]
    fn half_the_circle_apart_is_neither_later_nor_earlier() {
        assert!(!s(2_147_483_648).is_after(s(0)));
        assert!(!s(0).is_after(s(2_147_483_648)));
        assert!(s(2_147_483_647).is_after(s(0)));
        assert!(!s(2_147_483_649).is_after(s(0)));
        assert!(s(0).is_after(s(2_147_483_649)));
    }

    #[test]
    fn equal_is_at_but_not_after() {
        assert!(!s(7).is_after(s(7)));
        assert!(s(7).is_at_or_after(s(7)));
        assert!(!s(6).is_at_or_after(s(7)));
    }

    #[test]
    fn positions_unroll_the_wrap() {
        let near = StreamPos::ORIGIN;
        assert_eq!(StreamPos::nearest(s(3), near, s(4_294_967_295)), near.plus(4));
        assert_eq!(StreamPos::nearest(s(4_294_967_295), near, s(3)), StreamPos((1 << 32) - 4));
        assert_eq!(StreamPos::nearest(s(0), StreamPos(5), s(100)), StreamPos(0), "before the line begins: clamped");
    }

    proptest! {
        #[test]
        fn plus_then_ahead_of_is_identity(base: u32, n: u32) {
            prop_assert_eq!(s(base).plus(n).ahead_of(s(base)), n);
        }

        #[test]
        fn later_is_antisymmetric(a: u32, b: u32) {
            prop_assert!(!(s(a).is_after(s(b)) && s(b).is_after(s(a))));
        }

        #[test]
        fn later_is_transitive_within_half_the_circle(a: u32, d1 in 0u32..1 << 30, d2 in 0u32..1 << 30) {
            let (b, c) = (s(a).plus(d1), s(a).plus(d1).plus(d2));
            prop_assert!(b.is_at_or_after(s(a)) && c.is_at_or_after(b) && c.is_at_or_after(s(a)));
        }

        #[test]
        fn order_does_not_depend_on_where_the_circle_starts(a: u32, b: u32, shift: u32) {
            prop_assert_eq!(s(a).is_after(s(b)), s(a).plus(shift).is_after(s(b).plus(shift)));
        }

        #[test]
        fn positions_keep_distances(base: u32, forward in 0u32..1 << 31) {
            let near = StreamPos::ORIGIN;
            prop_assert_eq!(StreamPos::nearest(s(base).plus(forward), near, s(base)), near.plus(u64::from(forward)));
        }
    }
}
