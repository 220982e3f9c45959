//! Both streams of a connection. In: its segments, in the order of the capture. Out: bytes and gaps of either side, in the order in which
//! they became certain.

use super::Piece;
use super::stream::Stream;
use crate::tcp::segment::{Flags, Segment};
use crate::tcp::state::Side;
use crate::time::Timestamp;

/// What one side may hold back, in bytes of memory, unless told otherwise.
pub const SIDE_BYTES: usize = 16 << 20;

/// The largest shift of a window (RFC 7323 2.3).
const MOST_SHIFT: u8 = 14;

/// The streams of one connection.
///
/// Bytes of one side wait while acknowledged bytes of the other are awaited, so that an answer does not come out before its
/// question.
#[derive(Clone, Debug)]
pub struct Conversation {
    streams: [Stream; 2],
    /// The window scale in each side's SYN, where one was seen.
    scales: [Option<Option<u8>>; 2],
    side_bytes: usize,
    /// The time of the last segment.
    ts: Timestamp,
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new(SIDE_BYTES)
    }
}

impl Conversation {
    /// Nothing yet; each side may hold back `side_bytes` of memory.
    pub fn new(side_bytes: usize) -> Self {
        Self { streams: Default::default(), scales: [None; 2], side_bytes, ts: Timestamp::default() }
    }

    /// The stream of `side`.
    pub fn stream(&self, side: Side) -> &Stream {
        &self.streams[side.index()]
    }

    /// What it holds in memory, in bytes, beside itself.
    pub fn cost(&self) -> usize {
        self.streams.iter().map(Stream::cost).sum()
    }

    /// What both sides hold of bytes that wait for others, in bytes of memory.
    pub fn waiting_cost(&self) -> usize {
        self.streams.iter().map(Stream::waiting_cost).sum()
    }

    /// Takes the next segment of `side` and its payload, as far as it was captured; `take` gets what comes out.
    ///
    /// An RST has no data that an application would see, and a segment with a wrong checksum has none at all.
    pub fn segment(&mut self, side: Side, seg: &Segment, payload: &[u8], take: &mut dyn FnMut(Side, Piece<'_>)) {
        self.ts = seg.ts;
        if seg.bad_checksum || seg.flags.has_all(Flags::RST) {
            return;
        }
        let peer = side.peer();
        if self.streams.iter().any(Stream::waits) {
            // What was waited for long enough comes before what this segment brings.
            self.release(peer, take);
        }
        if seg.flags.has_all(Flags::SYN) {
            self.scales[side.index()] = Some(seg.options.window_scale);
        }
        let window = self.window(side, seg);
        if let Some(ack) = seg.acknowledges() {
            self.streams[peer.index()].acknowledged(ack, window, seg.ts, &mut |piece| take(peer, piece));
            self.release(peer, take);
        }
        let free = !self.streams[peer.index()].waits();
        self.streams[side.index()].sent(seg, payload, free, &mut |piece| take(side, piece));
        if seg.flags.has_all(Flags::SYN) {
            // Data in a SYN may be of an attempt that comes to nothing.
            return;
        }
        self.release(side, take);
        if self.streams.iter().any(|stream| stream.waiting_cost() > self.side_bytes) {
            self.relent(self.side_bytes, take);
        }
    }

    /// Lets out what can come out after news of `side`, which may set the peer's bytes free, too.
    fn release(&mut self, side: Side, take: &mut dyn FnMut(Side, Piece<'_>)) {
        let ts = self.ts;
        for side in [side, side.peer(), side] {
            let held_back = self.streams[side.peer().index()].waits();
            let stream = &mut self.streams[side.index()];
            stream.look(ts, &mut |piece| take(side, piece));
            if !held_back {
                stream.drain(ts, &mut |piece| take(side, piece));
            }
        }
    }

    fn window(&self, side: Side, seg: &Segment) -> u64 {
        let [own, peer] = [side, side.peer()].map(|side| self.scales[side.index()]);
        let shift = match (own, peer) {
            _ if seg.flags.has_all(Flags::SYN) => 0,
            (None, _) => MOST_SHIFT,
            (Some(_), Some(None)) => 0,
            (Some(scale), _) => scale.unwrap_or(0).min(MOST_SHIFT),
        };
        u64::from(seg.window) << shift
    }

    /// Waits no longer for what is missing, until neither side holds back more than `bytes`, and compares no more with what came out.
    pub fn relent(&mut self, bytes: usize, take: &mut dyn FnMut(Side, Piece<'_>)) {
        for side in Side::BOTH {
            let stream = &mut self.streams[side.index()];
            stream.forget();
            loop {
                let before = stream.waiting_cost();
                if before <= bytes {
                    break;
                }
                stream.relent(self.ts, &mut |piece| take(side, piece));
                if stream.waiting_cost() >= before {
                    break;
                }
            }
        }
    }

    /// No more segments: lets out all that is left.
    pub fn finish(&mut self, take: &mut dyn FnMut(Side, Piece<'_>)) {
        for side in Side::BOTH {
            self.streams[side.index()].finish(self.ts, &mut |piece| take(side, piece));
        }
    }
}
