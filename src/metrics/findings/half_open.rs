//! Why connections stay half-open. In: a run's connections and listeners. Out: what fills a SYN queue: a flood, a path that
//! carries one way only, or a slow server.
//!
//! A client that wants in and hears nothing repeats its SYN; one that hears the SYN-ACK acknowledges it, or resets what it did
//! not ask for. Forged addresses do neither.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::finding::{FRAMES, Finding, Severity};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::listeners::Listeners;
    use crate::metrics::rows::ConnectionReport;
    use crate::metrics::synthetic::{Draft, at};
    use crate::tcp::state::{Side, State};

    const S: i64 = 1_000_000_000;

    fn from(n: u32, opening: Opening) -> Draft {
        let client = HostPort::new(Ipv4Addr::from_bits(0x0a01_0000 + n * 77).into(), 1_024 + n as u16);
        Draft::to("10.0.0.5:443").from(client).opening(opening)
    }

    /// A half-open attempt of client number `n` at second `n`/100.
    fn half_open(n: u32) -> Draft {
        let ts = i64::from(n) * S / 100;
        let draft = from(n, Opening::HalfOpen).changes(Side::Server, &[(ts, State::SynReceived)]);
        draft.with(|report| (report.connection.first_ts, report.connection.last_ts) = (at(ts), at(ts)))
    }

    fn repeating(n: u32) -> Draft {
        half_open(n).with(|report| report.connection.syn_retransmissions = 2)
    }

    fn completed(n: u32) -> ConnectionReport {
        from(n, Opening::Handshake).handshake(0, S).done()
    }

    fn told(reports: Vec<ConnectionReport>) -> Vec<(&'static str, String, u64)> {
        let (mut tables, mut listeners) = (Tables::default(), Listeners::default());
        for report in reports {
            listeners.add(&report);
            tables.connections.push(report.connection);
        }
        tables.listeners = listeners.finish(None).0;
        let mut out = Vec::new();
        tell(&mut out, &tables, Some(at(60 * S)));
        out.into_iter().map(|finding| (finding.kind, finding.text, finding.count)).collect()
    }

    #[test]
    fn many_addresses_that_answer_nothing_are_a_flood() {
        let reports = (0..200).map(|n| half_open(n).done()).chain((300..340).map(completed)).collect();
        let text = "SYN flood, or a scan with forged addresses: 200 attempts from 200 addresses stayed half-open, up to \
                    200 in SYN_RECEIVED at once, because their clients sent one SYN and answered the SYN-ACK with \
                    nothing, not even an RST; 40 of 240 attempts completed; no SYN-ACK was repeated: SYN cookies, perhaps";
        assert_eq!(told(reports), [("syn_flood", text.to_owned(), 200)]);
    }

    #[test]
    fn one_address_that_answers_nothing_is_told_apart() {
        let one = |n| half_open(n).from(HostPort::new([10, 9, 9, 9].into(), n as u16)).done();
        let told = told((1..=100).map(one).collect());
        assert!(
            told[0].1.starts_with("SYN flood or scan by a few hosts: 100 attempts from 1 address stayed"),
            "{told:?}"
        );
    }

    #[test]
    fn clients_that_repeat_their_syn_are_cut_off() {
        let neighbour = |n: u32| repeating(n).from(HostPort::new([192, 0, 2, n as u8].into(), 5_000)).done();
        let reports = (1..=7).map(neighbour).chain((300..340).map(completed)).collect();
        let text = "one-way path to 192.0.2.0/24: SYN-ACKs passed but do not arrive, because 7 attempts from there repeated \
                    the SYN all the same and none ever completed";
        assert_eq!(told(reports), [("one_way_path", text.to_owned(), 7)]);
    }

    #[test]
    fn a_network_from_which_anyone_came_in_is_not_cut_off() {
        let neighbour = |n: u8| HostPort::new([192, 0, 2, n].into(), 5_000);
        let up = from(0, Opening::Handshake).handshake(0, S).from(neighbour(99)).done();
        let reports = (1..=7).map(|n| repeating(n.into()).from(neighbour(n)).done()).chain([up]).collect();
        assert_eq!(told(reports), []);
    }

    #[test]
    fn a_long_queue_whose_connections_complete_is_no_flood() {
        let slow = |n: u32| {
            let changes = [(0, State::SynReceived), (S, State::Established)];
            from(n, Opening::Handshake).handshake(0, S).changes(Side::Server, &changes)
        };
        let far = told((0..100).map(|n| slow(n).done()).collect());
        let text = "100 connections in SYN_RECEIVED at once at 1970-01-01T00:00:00.000000000Z; no flood, because 100 of 100 \
                    attempts completed: many at once, or far away";
        assert_eq!(far, [("half_open_peak", text.to_owned(), 100)]);
        let full = slow(0).with(|report| report.connection.accept_queue_overflow = true).done();
        let full = told((1..100).map(|n| slow(n).done()).chain([full]).collect());
        assert!(full[0].1.ends_with(": the server did not accept them"), "{full:?}");
    }

    #[test]
    fn attempts_at_the_captures_end_have_not_had_the_time_to_answer() {
        let late = |n: u32| half_open(5_800).from(HostPort::new(Ipv4Addr::from_bits(n).into(), 5_000)).done();
        let told = told((0..100).map(late).collect());
        let text =
            "100 connections in SYN_RECEIVED at once at 1970-01-01T00:00:58.000000000Z; 0 of 100 attempts completed";
        assert_eq!(told, [("half_open_peak", text.to_owned(), 100)]);
    }
}
