//! Conversations of any segments through the connection table, in one and in four shards. In: segments in few bytes. Out: a panic where
//! the shards differ, where a law is broken, or where a predicted segment was judged otherwise (debug builds compare).

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use finwait::conntrack::config::Config;
use finwait::conntrack::ended::{Ended, Teller};
use finwait::conntrack::flow::key_of;
use finwait::conntrack::tracker::Tracker;
use finwait::metrics::rows::ConnectionReport;
use finwait::tcp::segment::{Addressed, Flags, FrameId, HostPort, Options, Segment, Undelivered, Why};
use finwait::tcp::seq::SeqNum;
use finwait::time::{Span, Timestamp};

use super::{Bytes, laws};

/// Segments that are looked at.
const MOST: u64 = 4_000;
const SHARDS: u64 = 4;
/// Segments that are given at once.
const LOT: usize = 5;

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A segment passes.
    Segment(Addressed),
    /// An ICMP error passes.
    Undelivered(Undelivered),
    /// What has ended is asked for.
    Expire(Timestamp),
}

/// Bits of an event's first byte.
pub mod who {
    /// The server sends.
    pub const SERVER: u8 = 1;
    /// Which client port, from the first: two bits from here on.
    pub const PORT: u8 = 2;
    /// Over IPv6.
    pub const V6: u8 = 8;
    /// The client is its own peer.
    pub const ALONE: u8 = 16;
    /// No segment but an ICMP error about the sender's last one.
    pub const UNDELIVERED: u8 = 64;
    /// No segment at all.
    pub const EXPIRE: u8 = 128;
}

/// Bits of a segment's flags byte that are no flags.
pub mod odd {
    /// The checksum is wrong.
    pub const BAD_CHECKSUM: u8 = 64;
    /// Snaplen cut the options.
    pub const OPTIONS_CUT: u8 = 128;
}

/// Which fields of a segment follow; those that do not are what one expects.
pub mod has {
    /// How far from the sender's next.
    pub const SEQ: u8 = 1;
    /// How far from the peer's next.
    pub const ACK: u8 = 2;
    /// Payload bytes.
    pub const PAYLOAD: u8 = 4;
    /// The window.
    pub const WINDOW: u8 = 8;
    /// How far from the sender's last identification and one.
    pub const ID: u8 = 16;
    /// How far from the sender's and the peer's last timestamp.
    pub const TIMESTAMPS: u8 = 32;
    /// How far from the peer's next both edges are.
    pub const SACK: u8 = 64;
    /// Window scale, checksum, and whether the IP length is zero.
    pub const REST: u8 = 128;
}

/// What one expects of an endpoint's next segment.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Its sequence number.
    pub seq: u32,
    /// Its identification.
    pub id: u16,
    /// Its timestamp.
    pub clock: u32,
}

/// What one expects of all endpoints.
#[derive(Debug, Default)]
pub struct Talk(HashMap<(HostPort, HostPort), Expected>);

impl Talk {
    /// Of the endpoint `src` that talks with `dst`.
    pub fn of(&mut self, src: HostPort, dst: HostPort) -> &mut Expected {
        let seq = if src.port == 80 { 5_000 } else { 1_000 };
        self.0.entry((src, dst)).or_insert(Expected { seq, id: 1, clock: 1 })
    }

    /// After a segment.
    pub fn sent(&mut self, addressed: &Addressed) {
        let Addressed { src, dst, segment, .. } = addressed;
        let own = self.of(*src, *dst);
        own.seq = segment.end().raw();
        own.id = segment.ip_id.unwrap_or(own.id).wrapping_add(1);
        own.clock = segment.options.timestamps.map_or(own.clock, |(value, _)| value);
    }
}

/// The endpoints that an event's first byte names: who sends, and to whom.
pub fn ends(first: u8) -> [HostPort; 2] {
    let ip = |last: u8| match first & who::V6 {
        0 => IpAddr::from(Ipv4Addr::new(10, 0, 0, last)),
        _ => IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())),
    };
    let client = HostPort::new(ip(1), 40_000 + u16::from((first / who::PORT) & 3));
    let server = if first & who::ALONE == 0 { HostPort::new(ip(2), 80) } else { client };
    if first & who::SERVER == 0 { [client, server] } else { [server, client] }
}

/// The events that an input holds.
pub fn events(input: &mut Bytes<'_>) -> Vec<Event> {
    let (mut talk, mut events) = (Talk::default(), Vec::new());
    let (mut ordinal, mut ts) = (0, Timestamp::from_nanos(1_700_000_000_000_000_000));
    while !input.is_empty() && ordinal < MOST {
        let first = input.byte();
        ts = ts.plus(Span::from_nanos(input.number().saturating_mul(1_000)));
        let [src, dst] = ends(first);
        let frame = FrameId::new(0, ordinal + 1);
        if first & who::EXPIRE != 0 {
            events.push(Event::Expire(ts));
            continue;
        }
        if first & who::UNDELIVERED != 0 {
            let seq = SeqNum::new(talk.of(src, dst).seq.wrapping_sub(input.number() as u32));
            let why = match first & who::ALONE {
                0 => Why::Unreachable { what: None },
                _ => Why::TooBig { mtu: Some(1_280) },
            };
            events.push(Event::Undelivered(Undelivered { ts, frame, src, dst, seq, from: dst.ip, why }));
        } else {
            let addressed =
                Addressed { src, dst, vlan: None, tunnel: None, segment: segment(input, &mut talk, [src, dst]) };
            let segment = Segment { ts, ordinal, frame, ..addressed.segment };
            let addressed = Addressed { segment, ..addressed };
            talk.sent(&addressed);
            events.push(Event::Segment(addressed));
        }
        ordinal += 1;
    }
    events
}

fn segment(input: &mut Bytes<'_>, talk: &mut Talk, [src, dst]: [HostPort; 2]) -> Segment {
    let (own, peer) = (*talk.of(src, dst), *talk.of(dst, src));
    let (flags, fields) = (input.byte(), input.byte());
    let mut given = |field: u8| if fields & field == 0 { 0 } else { input.number() };
    let seq = SeqNum::new(own.seq.wrapping_add(given(has::SEQ) as u32));
    let ack = SeqNum::new(peer.seq.wrapping_add(given(has::ACK) as u32));
    let payload_len = (given(has::PAYLOAD) as u32).min(1 << 20);
    let window = 1_000_u16.wrapping_add(given(has::WINDOW) as u16);
    let ip_id = src.ip.is_ipv4().then_some(own.id.wrapping_add(given(has::ID) as u16));
    let timestamps = (fields & has::TIMESTAMPS != 0).then(|| {
        let mut after = |clock: u32| clock.wrapping_add(given(has::TIMESTAMPS) as u32);
        (after(own.clock), after(peer.clock))
    });
    let sack = (fields & has::SACK != 0).then(|| {
        let mut edge = || SeqNum::new(peer.seq.wrapping_add(given(has::SACK) as u32));
        (edge(), edge())
    });
    let rest = fields & has::REST != 0;
    let window_scale = rest.then(|| input.byte()).filter(|&shift| shift <= 14);
    let checksum = if rest { input.byte().into() } else { 0 };
    let offloaded = rest && input.byte() & 1 == 1;
    Segment {
        ts: Timestamp::default(),
        ordinal: 0,
        frame: FrameId::default(),
        seq,
        ack,
        flags: Flags::from_bits(flags),
        window,
        payload_len,
        ip_len: if offloaded { 0 } else { payload_len + 40 },
        ip_id,
        checksum,
        bad_checksum: flags & odd::BAD_CHECKSUM != 0,
        options_cut: flags & odd::OPTIONS_CUT != 0,
        options: Options { timestamps, window_scale, sack },
    }
}

/// The first byte decides about the run, the others are its events.
pub fn run(bytes: &[u8]) {
    let mut input = Bytes::new(bytes);
    let first = input.byte();
    let mut config =
        Config { time_wait: Span::from_secs([60, 1, 240, 0][usize::from(first & 3)]), ..Config::default() };
    let capped = first & 4 != 0;
    if capped {
        (config.max_connections, config.max_bytes) = (3, 20_000);
    }
    let events = events(&mut input);
    let alone = alone(&events, &config);
    alone.iter().for_each(laws::check);
    laws::check_together(&alone);
    let segments = events.iter().filter(|event| matches!(event, Event::Segment(_))).count();
    let told: u64 = alone.iter().map(|report| report.connection.packets.iter().sum::<u64>()).sum();
    assert_eq!(told, segments as u64, "every segment is of one connection");
    if !capped {
        let sharded = sharded(&events, &config);
        assert_eq!(alone.len(), sharded.len());
        for (alone, sharded) in alone.iter().zip(&sharded) {
            assert_eq!(alone, sharded, "shards make no difference");
        }
    }
}

fn end(events: &[Event]) -> Timestamp {
    let at = |event: &Event| match event {
        Event::Segment(addressed) => addressed.segment.ts,
        Event::Undelivered(icmp) => icmp.ts,
        Event::Expire(ts) => *ts,
    };
    events.iter().map(at).max().unwrap_or_default()
}

/// Segment by segment through one table.
fn alone(events: &[Event], config: &Config) -> Vec<ConnectionReport> {
    let (mut tracker, mut reports) = (Tracker::new(config.clone()), Vec::new());
    let mut teller = Teller::new(config.clone());
    for event in events {
        match event {
            Event::Segment(addressed) => tracker.feed(addressed, &mut |report| reports.push(report)),
            Event::Undelivered(icmp) => tracker.undelivered(icmp),
            Event::Expire(ts) => {
                tracker.expire(*ts);
                let ended = tracker.take();
                reports.extend(ended.items().map(|item| teller.report(&ended, item)));
            }
        }
    }
    tracker.finish(end(events), &mut |report| reports.push(report));
    reports.sort_by_key(|report| report.ordinal);
    reports
}

/// What shards told, and which places in the run they said that connections begin at.
struct Told {
    teller: Teller,
    reports: Vec<ConnectionReport>,
    starts: BTreeSet<u64>,
    dropped: BTreeSet<u64>,
}

impl Told {
    fn take(&mut self, ended: &Ended) {
        self.reports.extend(ended.items().map(|item| self.teller.report(ended, item)));
        for &start in &ended.starts {
            assert!(self.starts.insert(start), "{start} began a connection twice");
        }
        for &start in &ended.dropped {
            assert!(self.starts.contains(&start), "{start} had begun nothing");
            self.dropped.insert(start);
        }
    }
}

/// In lots, by four tables, each of which is there once it is needed.
fn sharded(events: &[Event], config: &Config) -> Vec<ConnectionReport> {
    let mut shards: [Option<(Tracker, Vec<Addressed>)>; SHARDS as usize] = [const { None }; SHARDS as usize];
    let teller = Teller::new(config.clone());
    let mut told = Told { teller, reports: Vec::new(), starts: BTreeSet::new(), dropped: BTreeSet::new() };
    for event in events {
        if let Event::Segment(addressed) = event {
            let shard = &mut shards[(key_of(addressed).0.flow_hash() % SHARDS) as usize];
            let (tracker, lot) = shard.get_or_insert_with(|| (Tracker::new(config.clone()), Vec::new()));
            lot.push(*addressed);
            if lot.len() == LOT {
                tracker.feed_all(lot);
                lot.clear();
            }
            continue;
        }
        for (tracker, lot) in shards.iter_mut().flatten() {
            tracker.feed_all(lot);
            lot.clear();
            match event {
                Event::Undelivered(icmp) => tracker.undelivered(icmp),
                Event::Expire(ts) => tracker.expire(*ts),
                Event::Segment(_) => {}
            }
            told.take(&tracker.take());
        }
    }
    for (tracker, lot) in shards.iter_mut().flatten() {
        tracker.feed_all(lot);
        let open = tracker.close();
        told.take(&tracker.take());
        told.take(&tracker.end_some(&open, end(events)));
    }
    told.reports.sort_by_key(|report| report.ordinal);
    let ordinals = told.reports.iter().map(|report| report.ordinal);
    assert!(ordinals.eq(told.starts.difference(&told.dropped).copied()), "connections begin where they were said to");
    told.reports
}
