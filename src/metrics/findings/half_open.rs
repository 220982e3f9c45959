//! Why connections stay half-open. In: a run's connections and listeners. Out: what fills a SYN queue: a flood, a path that
//! carries one way only, or a slow server.
//!
//! A client that wants in and hears nothing repeats its SYN; one that hears the SYN-ACK acknowledges it, or resets what it did
//! not ask for. Forged addresses do neither.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{FRAMES, Finding, Severity};
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::{ConnectionRow, ListenerRow, Opening, Tables};
use crate::tcp::segment::{FrameId, HostPort};
use crate::time::{Span, Timestamp};

/// Connections in SYN_RECEIVED at once from which on a SYN queue is worth a look: the smallest backlogs still in use are
/// of 128, and a queue that is half full is not idle.
const MANY: u64 = 64;
/// Addresses from which on attempts do not come from a few hosts.
const MANY_ADDRESSES: usize = 16;
/// Attempts of one network that must fail alike before the path is blamed: fewer are a host that crashed or moved away.
const ONE_WAY: u64 = 5;
/// Whoever wants in repeats its SYN within this time: after 1 s (RFC 6298 2), 3 s before that (RFC 1122 4.2.3.1). A single SYN
/// nearer to the capture's end says nothing.
const PATIENCE: Span = Span::from_secs(3);

/// Attempts of a listener whose SYN-ACK nobody acknowledged.
#[derive(Default)]
struct Never {
    all: u64,
    /// The client sent a single SYN and then, with time to do so, nothing.
    silent: u64,
    addresses: Vec<IpAddr>,
    /// Repeats of SYN-ACKs to those.
    syn_acks_again: u64,
    frames: Vec<FrameId>,
    /// Clients that repeated their SYN though a SYN-ACK had passed, by network.
    repeating: BTreeMap<Network, (u64, Vec<FrameId>)>,
}

/// Neighbours: an IPv4 /24, an IPv6 /64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Network(IpAddr);

impl Network {
    fn of(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (!0 << 64)).into(),
        })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 64 })
    }
}

/// Nine in ten.
const fn nearly_all(some: u64, all: u64) -> bool {
    some.saturating_mul(10) >= all.saturating_mul(9)
}

/// Adds the findings. Returns the listeners whose half-open attempts they explain.
pub fn tell(out: &mut Vec<Finding>, tables: &Tables, end: Option<Timestamp>) -> HashSet<HostPort> {
    let looked_at = |row: &&ListenerRow| row.half_open_peak >= MANY || row.half_open >= ONE_WAY;
    let mut never: HashMap<HostPort, Never> =
        tables.listeners.iter().filter(looked_at).map(|row| (row.server, Never::default())).collect();
    if never.is_empty() {
        return HashSet::new();
    }
    for row in tables.connections.iter().filter(|row| row.opening == Opening::HalfOpen) {
        if let Some(never) = never.get_mut(&row.who.server) {
            never.take(row, end);
        }
    }
    // A network from which anyone came in is not cut off.
    for row in tables.connections.iter().filter(|row| row.opening != Opening::HalfOpen && row.handshake_ns.is_some()) {
        if let Some(never) = never.get_mut(&row.who.server) {
            never.repeating.remove(&Network::of(row.who.client.ip));
        }
    }
    let mut explained = HashSet::new();
    for row in &tables.listeners {
        let Some(never) = never.remove(&row.server) else { continue };
        let mut push = |severity, kind, text, count, frames| {
            out.push(Finding { severity, kind, subject: row.server.to_string(), text, count, frames });
        };
        let cut_off: Vec<_> = never.repeating.iter().filter(|(_, (attempts, _))| *attempts >= ONE_WAY).collect();
        if !cut_off.is_empty() {
            let (text, count, frames) = one_way(&cut_off);
            push(Severity::Serious, "one_way_path", text, count, frames);
            if nearly_all(count, never.all) {
                explained.insert(row.server);
            }
        }
        if row.half_open_peak < MANY {
            continue;
        }
        if never.silent >= MANY && nearly_all(never.silent, never.all) {
            let text = flood(row, &never);
            push(Severity::Serious, "syn_flood", text, never.silent, never.frames);
            explained.insert(row.server);
        } else {
            push(Severity::Notice, "half_open_peak", busy(row, &never), row.half_open_peak, Vec::new());
        }
    }
    explained
}

impl Never {
    fn take(&mut self, row: &ConnectionRow, end: Option<Timestamp>) {
        self.all += 1;
        if row.syn_retransmissions > 0 {
            let (attempts, frames) = self.repeating.entry(Network::of(row.who.client.ip)).or_default();
            *attempts += 1;
            if frames.len() < FRAMES {
                frames.push(row.first_frame);
            }
        } else if end.is_some_and(|end| end.since(row.first_ts) >= PATIENCE) {
            self.silent += 1;
            self.addresses.push(row.who.client.ip);
            self.syn_acks_again += row.syn_ack_retransmissions;
            if self.frames.len() < FRAMES {
                self.frames.push(row.first_frame);
            }
        }
    }
}

fn flood(row: &ListenerRow, never: &Never) -> String {
    let mut addresses = never.addresses.clone();
    addresses.sort_unstable();
    addresses.dedup();
    let what = if addresses.len() >= MANY_ADDRESSES {
        "SYN flood, or a scan with forged addresses"
    } else {
        "SYN flood or scan by a few hosts"
    };
    let from = match addresses.len() {
        1 => "1 address".to_owned(),
        n => format!("{} addresses", thousands(n as u64)),
    };
    let cookies = if never.syn_acks_again == 0 { "; no SYN-ACK was repeated: SYN cookies, perhaps" } else { "" };
    format!(
        "{what}: {} from {from} stayed half-open, up to {} in SYN_RECEIVED at once, because their clients sent one SYN \
         and answered the SYN-ACK with nothing, not even an RST; {} of {} completed{cookies}",
        many(never.silent, "attempt"),
        thousands(row.half_open_peak),
        thousands(row.established),
        many(row.attempts, "attempt"),
    )
}

/// The text, the attempts and the frames of networks that SYN-ACKs do not reach.
fn one_way(cut_off: &[(&Network, &(u64, Vec<FrameId>))]) -> (String, u64, Vec<FrameId>) {
    let attempts = cut_off.iter().map(|(_, (attempts, _))| attempts).sum();
    let mut frames: Vec<FrameId> = cut_off.iter().flat_map(|(_, (_, frames))| frames.iter().copied()).collect();
    frames.sort_unstable();
    frames.truncate(FRAMES);
    let to = match cut_off {
        [(network, _)] => network.to_string(),
        [(network, _), rest @ ..] => format!("{network} and {}", many(rest.len() as u64, "more network")),
        [] => String::new(),
    };
    let text = format!(
        "one-way path to {to}: SYN-ACKs passed but do not arrive, because {} from there repeated the SYN all the same \
         and none ever completed",
        many(attempts, "attempt")
    );
    (text, attempts, frames)
}

/// A SYN queue that is long for another reason.
fn busy(row: &ListenerRow, never: &Never) -> String {
    let when = row.half_open_peak_ts.map_or_else(String::new, |ts| format!(" at {ts}"));
    let peak = format!("{} in SYN_RECEIVED at once{when}", many(row.half_open_peak, "connection"));
    let completed = format!("{} of {} completed", thousands(row.established), many(row.attempts, "attempt"));
    if !nearly_all(row.attempts.saturating_sub(never.all), row.attempts) {
        return format!("{peak}; {completed}");
    }
    let why =
        if row.accept_queue_overflows > 0 { "the server did not accept them" } else { "many at once, or far away" };
    format!("{peak}; no flood, because {completed}: {why}")
}
