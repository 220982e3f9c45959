//! IP reassembly under caps. In: fragments of both versions. Out: the datagram that the last of them completed.
//!
//! RFC 791 3.2, RFC 8200 4.5. Own code: a pool that an attacker may feed needs caps on bytes, datagrams and age. Where fragments
//! overlap, the first to arrive wins. A fragment that snaplen cut counts with its length on the wire, so the datagram's own
//! length is right, and its bytes end at the first hole.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::view::View;
use crate::tcp::segment::Tunnel;
use crate::time::{Span, Timestamp};

/// The longest payload of an IP packet that can be fragmented, in bytes.
const MAX_DATAGRAM: u32 = 65_535;

/// What a kept fragment costs beside its bytes, so that many tiny ones count.
const PIECE_OVERHEAD: usize = 96;

/// Separate pieces of a datagram that are kept; the longest has half as many where links take no more than 576 bytes. Each further fragment is
/// compared with them, so that more would let a file of fragments take minutes.
const MOST_PIECES: usize = 256;

/// What the pool of fragments may hold. The oldest datagram goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all fragments, with an allowance for keeping each.
    pub bytes: usize,
    /// Datagrams begun and not complete.
    pub datagrams: usize,
    /// How long a datagram may take from its first fragment on, in packet time (Linux: 30 s, RFC 8200 4.5: 60 s).
    pub age: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, datagrams: 4_096, age: Span::from_secs(30) }
    }
}

/// One fragment.
pub(super) struct Piece<'a> {
    /// The protocol, where it tells datagrams apart (IPv4).
    pub(super) key_protocol: Option<u8>,
    /// What the datagram holds; the first fragment's word counts.
    pub(super) protocol: u8,
    pub(super) id: u32,
    /// Where in the datagram it belongs, in bytes.
    pub(super) offset: u32,
    /// More fragments follow it.
    pub(super) more: bool,
    pub(super) view: View<'a>,
}

/// Between whom a fragment travels, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Between {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) vlan: Option<u16>,
    pub(super) tunnel: Option<Tunnel>,
}

/// A completed datagram, without its IP header.
pub(super) struct Datagram {
    pub(super) protocol: u8,
    /// The captured bytes up to the first hole.
    pub(super) bytes: Vec<u8>,
    /// How long it is.
    pub(super) real_len: usize,
    /// IP bytes of all its fragments, headers included.
    pub(super) wire_len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    between: Between,
    protocol: Option<u8>,
    id: u32,
}

/// A stretch of a datagram that one fragment brought first.
#[derive(Debug)]
struct Stretch {
    real_len: u32,
    bytes: Box<[u8]>,
}

#[derive(Debug)]
struct Partial {
    key: Key,
    begun: Timestamp,
    protocol: Option<u8>,
    /// The length, once the last fragment told it.
    total: Option<u32>,
    /// By offset; they never overlap.
    stretches: BTreeMap<u32, Stretch>,
    covered: u32,
    cost: usize,
    wire_len: usize,
}

impl Partial {
    const fn new(key: Key, begun: Timestamp) -> Self {
        let stretches = BTreeMap::new();
        Self { key, begun, protocol: None, total: None, stretches, covered: 0, cost: 0, wire_len: 0 }
    }

    /// The fragment's end does not fit with what the others said of the datagram's length.
    fn contradicts(&self, end: u32, more: bool) -> bool {
        let reached = self.stretches.last_key_value().map_or(0, |(&at, stretch)| at + stretch.real_len);
        match self.total {
            Some(total) => end > total || !more && end != total,
            None => !more && reached > end,
        }
    }

    /// Keeps of a fragment what no earlier one brought.
    fn insert(&mut self, piece: &Piece<'_>, end: u32) {
        let mut at = piece.offset;
        if let Some((&start, before)) = self.stretches.range(..=at).next_back() {
            at = at.max(start + before.real_len);
        }
        let mut gaps = Vec::new();
        for (&start, stretch) in self.stretches.range(at..end.max(at)) {
            gaps.push(at..start);
            at = start + stretch.real_len;
        }
        gaps.push(at..end);
        for gap in gaps {
            let Some(real_len) = gap.end.checked_sub(gap.start).filter(|&len| len > 0) else { continue };
            let from = piece.view.bytes().get((gap.start - piece.offset) as usize..).unwrap_or_default();
            let bytes: Box<[u8]> = from.get(..real_len as usize).unwrap_or(from).into();
            self.covered += real_len;
            self.cost += bytes.len() + PIECE_OVERHEAD;
            self.stretches.insert(gap.start, Stretch { real_len, bytes });
        }
    }

    /// The datagram, if nothing is missing.
    fn complete(&self) -> Option<(u8, usize)> {
        let total = self.total.filter(|&total| total == self.covered)?;
        Some((self.protocol?, total as usize))
    }

    /// The captured bytes up to the first hole.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.covered as usize);
        for stretch in self.stretches.values() {
            bytes.extend_from_slice(&stretch.bytes);
            if stretch.bytes.len() < stretch.real_len as usize {
                break;
            }
        }
        bytes
    }
}

/// The datagrams begun and not complete, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Pool {
    limits: Limits,
    by_key: HashMap<Key, u64>,
    partials: BTreeMap<u64, Partial>,
    cost: usize,
    begun: u64,
    shed: u64,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Datagrams given up: too old, or in the way of newer ones.
    pub(super) const fn shed(&self) -> u64 {
        self.shed
    }

    /// Takes a fragment of an IP packet of `wire_len` bytes. Gives the datagram back that it completes, if it does.
    pub(super) fn add(
        &mut self,
        piece: Piece<'_>,
        between: Between,
        wire_len: usize,
        now: Timestamp,
    ) -> Option<Datagram> {
        let limits = self.limits;
        self.shed_while(|pool| {
            pool.partials.first_key_value().is_some_and(|(_, old)| now.since(old.begun) > limits.age)
        });
        let real_len = u32::try_from(piece.view.real()).ok().filter(|&len| len > 0)?;
        let end = piece.offset.checked_add(real_len).filter(|&end| end <= MAX_DATAGRAM)?;
        let key = Key { between, protocol: piece.key_protocol, id: piece.id };
        let serial = *self.by_key.entry(key).or_insert_with(|| {
            self.begun += 1;
            self.begun
        });
        let partial = self.partials.entry(serial).or_insert_with(|| Partial::new(key, now));
        if partial.contradicts(end, piece.more) || partial.stretches.len() >= MOST_PIECES {
            return None;
        }
        if !piece.more {
            partial.total = Some(end);
        }
        if piece.offset == 0 && partial.protocol.is_none() {
            partial.protocol = Some(piece.protocol);
        }
        let cost_before = partial.cost;
        partial.wire_len += wire_len;
        partial.insert(&piece, end);
        self.cost += partial.cost - cost_before;
        if let Some((protocol, real_len)) = partial.complete() {
            let datagram = Datagram { protocol, bytes: partial.bytes(), real_len, wire_len: partial.wire_len };
            self.remove(serial);
            return Some(datagram);
        }
        self.shed_while(|pool| pool.cost > limits.bytes || pool.partials.len() > limits.datagrams);
        None
    }

    fn remove(&mut self, serial: u64) {
        if let Some(partial) = self.partials.remove(&serial) {
            self.by_key.remove(&partial.key);
            self.cost -= partial.cost;
        }
    }

    /// Gives the oldest up as long as there is a reason to.
    fn shed_while(&mut self, reason: impl Fn(&Self) -> bool) {
        while reason(self) {
            let Some((&oldest, _)) = self.partials.first_key_value() else { return };
            self.remove(oldest);
            self.shed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: u32, offset: u32, more: bool, bytes: &[u8]) -> Piece<'_> {
        Piece { key_protocol: Some(6), protocol: 6, id, offset, more, view: View::new(bytes, 0) }
    }

    fn between(vlan: Option<u16>) -> Between {
        let address = |last| IpAddr::from([192, 0, 2, last]);
        Between { src: address(1), dst: address(2), vlan, tunnel: None }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_nanos(0).plus(Span::from_secs(secs))
    }

    fn add(pool: &mut Pool, piece: Piece<'_>) -> Option<Vec<u8>> {
        pool.add(piece, between(None), 0, at(0)).map(|datagram| {
            assert_eq!(datagram.real_len, datagram.bytes.len());
            datagram.bytes
        })
    }

    #[test]
    fn any_order_completes_and_leaves_nothing_behind() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut pool = Pool::default();
            let parts = [(0, true, &b"aaaaaaaa"[..]), (8, true, b"bbbbbbbb"), (16, false, b"cc")];
            let mut done = order.map(|i| {
                let (offset, more, bytes) = parts[i];
                add(&mut pool, piece(7, offset, more, bytes))
            });
            assert_eq!(done[2].take().unwrap(), b"aaaaaaaabbbbbbbbcc");
            assert_eq!(done, [None, None, None]);
            assert_eq!((pool.cost, pool.partials.len(), pool.by_key.len()), (0, 0, 0));
        }
    }

    #[test]
    fn where_fragments_overlap_the_first_wins() {
        let mut pool = Pool::default();
        assert_eq!(add(&mut pool, piece(1, 8, true, b"11111111")), None);
        assert_eq!(add(&mut pool, piece(1, 0, true, b"222222222222222222222222")), None);
        assert_eq!(add(&mut pool, piece(1, 16, true, b"33333333")), None);
        assert_eq!(add(&mut pool, piece(1, 8, false, b"4444444444444444445")).unwrap(), b"222222221111111122222222445");
    }

    #[test]
    fn datagrams_are_told_apart_by_id_vlan_and_tunnel() {
        let mut pool = Pool::default();
        assert_eq!(add(&mut pool, piece(1, 0, true, b"aaaaaaaa")), None);
        assert_eq!(add(&mut pool, piece(2, 8, false, b"b")), None);
        assert!(pool.add(piece(1, 8, false, b"c"), between(Some(5)), 0, at(0)).is_none());
        assert_eq!(add(&mut pool, piece(1, 8, false, b"d")).unwrap(), b"aaaaaaaad");
    }

    #[test]
    fn a_fragment_that_contradicts_the_length_is_of_no_use() {
        let mut pool = Pool::default();
        assert_eq!(add(&mut pool, piece(1, 8, false, b"end")), None);
        assert_eq!(add(&mut pool, piece(1, 8, true, b"beyond the end")), None);
        assert_eq!(add(&mut pool, piece(1, 16, false, b"another end")), None);
        assert_eq!(add(&mut pool, piece(1, 0, true, b"aaaaaaaa")).unwrap(), b"aaaaaaaaend");
        assert_eq!(add(&mut pool, piece(2, 65_528, false, b"too long")), None);
        assert_eq!(pool.partials.len(), 0);
    }

    #[test]
    fn lengths_survive_snaplen_and_bytes_end_at_the_hole() {
        let mut pool = Pool::default();
        let cut = Piece { view: View::new(b"aaa", 8), ..piece(1, 0, true, b"") };
        assert!(pool.add(cut, between(None), 0, at(0)).is_none());
        let datagram = pool.add(piece(1, 8, false, b"bb"), between(None), 0, at(0)).unwrap();
        assert_eq!((&datagram.bytes[..], datagram.real_len), (&b"aaa"[..], 10));
    }

    #[test]
    fn the_oldest_goes_when_time_or_room_runs_out() {
        let mut pool = Pool::default();
        assert!(pool.add(piece(1, 0, true, b"aaaaaaaa"), between(None), 0, at(0)).is_none());
        assert!(pool.add(piece(1, 8, false, b"b"), between(None), 0, at(31)).is_none());
        assert_eq!((pool.shed(), pool.partials.len()), (1, 1));

        let mut pool = Pool::new(Limits { datagrams: 2, ..Limits::default() });
        for id in 1..=3 {
            assert_eq!(add(&mut pool, piece(id, 0, true, b"aaaaaaaa")), None);
        }
        assert_eq!((pool.shed(), pool.partials.len(), pool.by_key.len()), (1, 2, 2));
        assert_eq!(add(&mut pool, piece(1, 8, false, b"b")), None);
        assert!(add(&mut pool, piece(3, 8, false, b"b")).is_some());

        let mut pool = Pool::new(Limits { bytes: 3_000, ..Limits::default() });
        for id in 1..=100 {
            assert_eq!(add(&mut pool, piece(id, 0, true, &[0; 800])), None);
            assert!(pool.cost <= 3_000);
        }
        assert_eq!((pool.partials.len(), pool.shed()), (3, 97));
    }

    #[test]
    fn more_pieces_than_any_link_makes_are_not_kept() {
        let mut pool = Pool::default();
        for offset in (8..60_000).step_by(16) {
            assert_eq!(add(&mut pool, piece(1, offset, true, b"8 bytes!")), None);
        }
        assert_eq!(pool.partials.values().map(|partial| partial.stretches.len()).sum::<usize>(), MOST_PIECES);
        let (half, rest) = (&[1; 512][..], &[2; 8][..]);
        for offset in (0..65_000).step_by(512) {
            assert_eq!(add(&mut pool, piece(2, offset, true, half)), None);
        }
        assert_eq!(add(&mut pool, piece(2, 65_024, false, rest)).unwrap().len(), 65_032);
    }

    #[test]
    fn many_tiny_fragments_stay_within_the_caps() {
        let mut pool = Pool::new(Limits { bytes: 100_000, ..Limits::default() });
        for offset in (0..60_000).step_by(16) {
            assert_eq!(add(&mut pool, piece(1, offset, true, b"8 bytes!")), None);
            assert!(pool.cost <= 100_000);
        }
    }
}
