//! Segments with payloads through the streams of one connection. In: segments in few bytes. Out: a panic where bytes come out that were not
//! sent there, where a later copy wins, where gaps or counts do not add up, or where too much is held.

use std::collections::HashMap;

use finwait::streams::{Conversation, Missing, Piece};
use finwait::tcp::segment::{Flags, FrameId, Options, Segment};
use finwait::tcp::seq::SeqNum;
use finwait::tcp::state::Side;
use finwait::time::{Span, Timestamp};

use super::Bytes;

/// Segments that are looked at.
const MOST: usize = 3_000;
/// Runs of bytes whose counts are exact; `Told` may be off beyond.
const MOST_RUNS: usize = 400;
/// A place further off than this from what is known may be taken as another stream's.
const NEAR: i64 = 256 << 10;
/// What a conversation may hold beside what waits: of each side what came out last, and one segment.
const BESIDE: usize = 2 * (2 * (64 << 10) + 1_024);

/// Bits of an event's first byte; the two highest are which contents its payload has.
pub mod head {
    pub const SERVER: u8 = 1;
    pub const SYN: u8 = 2;
    pub const FIN: u8 = 4;
    pub const NO_ACK: u8 = 8;
    pub const RST: u8 = 16;
    pub const BAD_CHECKSUM: u8 = 32;
}

/// Which fields follow.
pub mod has {
    /// How far from the end of what its sender has sent.
    pub const SEQ: u8 = 1;
    /// How far from the end of what the peer has sent.
    pub const ACK: u8 = 2;
    pub const WINDOW: u8 = 4;
    /// Bytes that snaplen cut off.
    pub const CUT: u8 = 8;
    /// Time that has passed: two bits, none to two seconds.
    pub const TIME: u8 = 16;
}

/// What was sent at a place, as the test knows it.
#[derive(Default)]
struct Sent {
    /// By place: the first contents, a bit for each, and which segment brought the first.
    bytes: HashMap<i64, (u8, u8, usize)>,
    runs: usize,
    /// The end of what was sent.
    top: i64,
}

/// What came out.
#[derive(Default)]
struct Out {
    place: i64,
    bytes: u64,
    gaps: u64,
    missing: u64,
}

struct Run {
    /// The segment that is given.
    now: usize,
    sent: [Sent; 2],
    out: [Out; 2],
    /// Both began with a SYN, and nothing came from so far off that it might be another's.
    plain: bool,
}

/// The byte at `place` in one of four contents.
fn content(place: i64, version: u8) -> u8 {
    (place & 0x3f) as u8 | version << 6
}

impl Run {
    fn piece(&mut self, side: Side, piece: Piece<'_>) {
        let (sent, out) = (&self.sent[side.index()], &mut self.out[side.index()]);
        match piece {
            Piece::Bytes(bytes) => {
                assert!(!bytes.is_empty());
                for &byte in bytes.iter().filter(|_| self.plain) {
                    let Some(&(first, all, _)) = sent.bytes.get(&out.place) else {
                        panic!("nothing was sent at {}", out.place)
                    };
                    assert_eq!(byte & 0x3f, content(out.place, 0), "a byte of another place");
                    assert!(all & 1 << (byte >> 6) != 0 && byte >> 6 == first, "the first copy wins at {}", out.place);
                    out.place += 1;
                }
                out.bytes += bytes.len() as u64;
            }
            Piece::Gap(len, why) => {
                assert!(len > 0);
                if self.plain {
                    // A segment may have been waited for too long when it comes.
                    let hole = out.place..out.place.saturating_add_unsigned(len);
                    let before = |place: &i64| sent.bytes.get(place).is_some_and(|&(.., segment)| segment < self.now);
                    let known = hole.clone().take(1 << 16).find(before);
                    assert!(known.is_none(), "{why:?}: {known:?} of {hole:?} had been seen");
                }
                assert!(!why.name().is_empty());
                assert!(why != Missing::NotSeen || len < 1 << 33);
                out.place = out.place.saturating_add_unsigned(len);
                out.gaps += 1;
                out.missing = out.missing.saturating_add(len);
            }
        }
    }
}

/// The first byte decides about the run, the others are its segments.
pub fn run(bytes: &[u8]) {
    let mut input = Bytes::new(bytes);
    let first = input.byte();
    let side_bytes = [16 << 20, 64 << 10, 4 << 10, 300][usize::from(first >> 1 & 3)];
    let isn = if first & 8 == 0 { 1_000_u32 } else { u32::MAX - 300 };
    let mut conversation = Conversation::new(side_bytes);
    let mut run = Run { now: 0, sent: Default::default(), out: Default::default(), plain: first & 1 == 0 };
    let mut ts = Timestamp::from_nanos(1_700_000_000_000_000_000);
    let mut finished = [false; 2];
    if run.plain {
        for (side, flags) in [(Side::Client, Flags::SYN), (Side::Server, Flags::SYN.or(Flags::ACK))] {
            let syn = segment(ts, flags, [isn, isn.wrapping_add(1)], 0, 1_000);
            conversation.segment(side, &syn, &[], &mut |side, piece| run.piece(side, piece));
        }
    }
    while !input.is_empty() && run.now < MOST {
        run.now += 1;
        let (what, fields) = (input.byte(), input.byte());
        let mut given = |field: u8| if fields & field == 0 { 0 } else { input.number() };
        let (seq_off, ack_off) =
            (given(has::SEQ).clamp(-(1 << 40), 1 << 40), given(has::ACK).clamp(-(1 << 40), 1 << 40));
        let window = 1_000_u16.wrapping_add(given(has::WINDOW) as u16);
        let cut = given(has::CUT).unsigned_abs().min(1 << 20) as u32;
        ts = ts.plus(Span::from_millis([0, 1, 100, 2_000][usize::from((fields / has::TIME) & 3)]));
        let side = if what & head::SERVER == 0 { Side::Client } else { Side::Server };
        let length = input.byte();
        let version = what >> 6;
        let place = run.sent[side.index()].top + seq_off;
        let ack = run.sent[side.peer().index()].top + ack_off;
        let payload: Vec<u8> = (place..place + i64::from(length)).map(|place| content(place, version)).collect();
        let mut flags = if what & head::NO_ACK == 0 { Flags::ACK } else { Flags::default() };
        for (bit, flag) in [(head::SYN, Flags::SYN), (head::FIN, Flags::FIN), (head::RST, Flags::RST)] {
            flags = if what & bit == 0 { flags } else { flags.or(flag) };
        }
        let payload_len = u32::from(length) + cut;
        let raw = |place: i64| isn.wrapping_add(1).wrapping_add(place as u32);
        let seq = raw(place).wrapping_sub(u32::from(flags.has_all(Flags::SYN)));
        let mut seg = segment(ts, flags, [seq, raw(ack)], payload_len, window);
        seg.bad_checksum = what & head::BAD_CHECKSUM != 0;
        // A second SYN, a FIN before the end and what is far off are judged by rules that the test does not have; a single byte may
        // be a keep-alive.
        let odd = flags.has_all(Flags::SYN) || payload_len == 1 || finished[side.index()];
        run.plain &=
            !(odd || seq_off.abs() > NEAR || ack_off.abs() > NEAR || flags.has_all(Flags::FIN) && seq_off != 0);
        let counts = !seg.bad_checksum && !flags.has_all(Flags::RST);
        if counts {
            finished[side.index()] |= flags.has_all(Flags::FIN);
            let sent = &mut run.sent[side.index()];
            sent.top = sent.top.max(place + i64::from(payload_len));
            sent.runs += 1;
            for place in place..place + i64::from(length) {
                sent.bytes.entry(place).or_insert((version, 0, run.now)).1 |= 1 << version;
            }
        }
        conversation.segment(side, &seg, &payload, &mut |side, piece| run.piece(side, piece));
        assert!(conversation.cost() <= 2 * side_bytes + BESIDE, "{} bytes are held", conversation.cost());
    }
    run.now += 1;
    conversation.finish(&mut |side, piece| run.piece(side, piece));
    for side in Side::BOTH {
        let (told, out, sent) = (conversation.stream(side).told(), &run.out[side.index()], &run.sent[side.index()]);
        assert_eq!((told.bytes, told.gaps, told.missing), (out.bytes, out.gaps, out.missing));
        if run.plain && sent.runs < MOST_RUNS {
            let captured = sent.bytes.len() as u64;
            assert_eq!(told.bytes + told.given_up, captured, "every byte came out or was given up: {told:?}");
        }
    }
}

fn segment(ts: Timestamp, flags: Flags, [seq, ack]: [u32; 2], payload_len: u32, window: u16) -> Segment {
    Segment {
        ts,
        ordinal: 0,
        frame: FrameId::default(),
        seq: SeqNum::new(seq),
        ack: SeqNum::new(ack),
        flags,
        window,
        payload_len,
        ip_len: payload_len + 40,
        ip_id: None,
        checksum: 0,
        bad_checksum: false,
        options_cut: false,
        options: Options::default(),
    }
}
