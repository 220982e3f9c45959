//! Why connections stay half-open. In: each connection's row, in any order, and a run's listeners. Out: what fills a SYN queue: a flood, a path that
//! carries one way only, or a slow server.
//!
//! A client that wants in and hears nothing repeats its SYN; one that hears the SYN-ACK acknowledges it, or resets what it did
//! not ask for. Forged addresses do neither.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::finding::{Finding, Frames, Severity};
use crate::metrics::distinct::{Distinct, Known, Spread, mix};
use crate::metrics::phrase::{many, thousands};
use crate::metrics::registry::{Key, MOST, Registry, Seed};
use crate::metrics::rows::{ConnectionRow, ListenerRow, Opening};
use crate::tcp::segment::{FrameId, HostPort};
use crate::time::{Span, Timestamp};

/// Connections in SYN_RECEIVED at once from which on a SYN queue is worth a look: the smallest backlogs still in use are
/// of 128, and a queue that is half full is not idle.
const MANY: u64 = 64;
/// Addresses from which on attempts do not come from a few hosts.
const MANY_ADDRESSES: u64 = 16;
/// Attempts of one network that must fail alike before the path is blamed: fewer are a host that crashed or moved away.
const ONE_WAY: u64 = 5;
/// Whoever wants in repeats its SYN within this time: after 1 s (RFC 6298 2), 3 s before that (RFC 1122 4.2.3.1). A single SYN
/// nearer to the capture's end says nothing.
const PATIENCE: Span = Span::from_secs(3);

/// The fold of what is half-open.
#[derive(Clone, Debug, Default)]
pub struct HalfOpen {
    never: Registry<HostPort, Never>,
    /// Clients that repeated their SYN though a SYN-ACK had passed, by listener and network.
    repeating: Registry<(HostPort, Network), (u64, Frames)>,
    /// Networks from which anyone came in, by listener. Among more than 65,536 one may be taken for another: then a path is not
    /// blamed that could be.
    came_in: Known,
    /// Attempts of a single SYN, in their order, of which it is not known yet whether the capture goes on long enough for another one.
    undecided: VecDeque<Undecided>,
}

/// Attempts that wait to be judged; if there are more, they came within seconds, and the oldest are taken for silent.
const UNDECIDED: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Undecided {
    since: Timestamp,
    server: HostPort,
    client: IpAddr,
    syn_acks_again: u64,
    frame: FrameId,
}

/// Attempts of a listener whose SYN-ACK nobody acknowledged.
#[derive(Clone, Debug)]
struct Never {
    all: u64,
    /// The client sent a single SYN and then, with time to do so, nothing.
    silent: u64,
    addresses: Distinct,
    /// Repeats of SYN-ACKs to those.
    syn_acks_again: u64,
    frames: Frames,
}

impl Default for Never {
    fn default() -> Self {
        let addresses = Distinct::one_of_many();
        Self { all: 0, silent: 0, addresses, syn_acks_again: 0, frames: Frames::default() }
    }
}

/// Neighbours: an IPv4 /24, an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Network(IpAddr);

impl Network {
    fn of(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (!0 << 64)).into(),
        })
    }
}

impl Key for (HostPort, Network) {
    fn hash(&self, seed: Seed) -> u64 {
        seed.address(self.0.hash(seed), self.1.0, 0)
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

impl HalfOpen {
    /// Takes one connection; the capture is known to reach until `reaches`. `came_in`: a handshake of its client with its listener
    /// was taken before.
    pub fn add(&mut self, row: &ConnectionRow, reaches: Option<Timestamp>, came_in: bool) {
        if row.opening != Opening::HalfOpen {
            if row.handshake_ns.is_some() && !came_in {
                self.came_in.add(pair(row.who.server, Network::of(row.who.client.ip)));
            }
            return;
        }
        let (server, network) = (row.who.server, Network::of(row.who.client.ip));
        self.never.entry(server).all += 1;
        if self.never.is_full() {
            self.never.forget(MOST / 2, |never| never.all);
        }
        if row.syn_retransmissions > 0 {
            let (attempts, frames) = self.repeating.entry((server, network));
            *attempts += 1;
            frames.push(row.first_frame);
            if self.repeating.is_full() {
                self.repeating.forget(MOST / 2, |(attempts, _)| *attempts);
            }
        } else {
            let (since, client, frame) = (row.first_ts, row.who.client.ip, row.first_frame);
            let syn_acks_again = row.syn_ack_retransmissions;
            self.undecided.push_back(Undecided { since, server, client, syn_acks_again, frame });
        }
        while let Some(oldest) = self.undecided.front().copied() {
            if !waited(oldest.since, reaches) && self.undecided.len() <= UNDECIDED {
                break;
            }
            self.undecided.pop_front();
            self.silent(oldest);
        }
    }

    fn silent(&mut self, attempt: Undecided) {
        let never = self.never.entry(attempt.server);
        never.silent += 1;
        never.addresses.add(&attempt.client);
        never.syn_acks_again += attempt.syn_acks_again;
        never.frames.push(attempt.frame);
    }

    /// Adds the findings; `end` is when the capture ended. Returns the listeners whose half-open attempts they explain.
    pub fn tell(
        mut self,
        out: &mut Vec<Finding>,
        listeners: &[ListenerRow],
        end: Option<Timestamp>,
    ) -> HashSet<HostPort> {
        for attempt in std::mem::take(&mut self.undecided) {
            if waited(attempt.since, end) {
                self.silent(attempt);
            }
        }
        // A network from which anyone came in is not cut off.
        let came_in = self.came_in.finish();
        let mut cut_off: BTreeMap<HostPort, BTreeMap<Network, (u64, Frames)>> = BTreeMap::new();
        for (&(server, network), &(attempts, frames)) in self.repeating.iter() {
            if attempts >= ONE_WAY && !came_in(pair(server, network)) {
                cut_off.entry(server).or_default().insert(network, (attempts, frames));
            }
        }
        let mut explained = HashSet::new();
        for row in listeners.iter().filter(|row| row.half_open_peak >= MANY || row.half_open >= ONE_WAY) {
            let mut push = |severity, kind, text, count, frames| {
                out.push(Finding { severity, kind, subject: row.server.to_string(), text, count, frames });
            };
            let none = Never::default();
            let never = self.never.get(row.server).map_or(&none, |never| never);
            if let Some(cut_off) = cut_off.get(&row.server) {
                let (text, count, frames) = one_way(cut_off);
                push(Severity::Serious, "one_way_path", text, count, frames);
                if nearly_all(count, never.all) {
                    explained.insert(row.server);
                }
            }
            if row.half_open_peak < MANY {
                continue;
            }
            if never.silent >= MANY && nearly_all(never.silent, never.all) {
                let text = flood(row, never);
                push(Severity::Serious, "syn_flood", text, never.silent, never.frames.as_slice().to_vec());
                explained.insert(row.server);
            } else {
                push(Severity::Notice, "half_open_peak", busy(row, never), row.half_open_peak, Vec::new());
            }
        }
        explained
    }
}

/// Whoever wanted in would have repeated its SYN by `end`.
fn waited(since: Timestamp, end: Option<Timestamp>) -> bool {
    end.is_some_and(|end| end.since(since) >= PATIENCE)
}

fn pair(server: HostPort, network: Network) -> u64 {
    mix(server.spread() ^ network.0.spread().rotate_left(17))
}

fn flood(row: &ListenerRow, never: &Never) -> String {
    let addresses = never.addresses.clone().count();
    let what = if addresses >= MANY_ADDRESSES {
        "SYN flood, or a scan with forged addresses"
    } else {
        "SYN flood or scan by a few hosts"
    };
    let from = match addresses {
        1 => "1 address".to_owned(),
        n => format!("{} addresses", thousands(n)),
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
fn one_way(cut_off: &BTreeMap<Network, (u64, Frames)>) -> (String, u64, Vec<FrameId>) {
    let attempts = cut_off.values().map(|(attempts, _)| attempts).sum();
    let mut frames = Frames::default();
    cut_off.values().for_each(|(_, more)| frames.merge(*more));
    let frames = frames.as_slice().to_vec();
    let mut networks = cut_off.keys();
    let first = networks.next().map_or_else(String::new, Network::to_string);
    let to = match networks.count() {
        0 => first,
        more => format!("{first} and {}", many(more as u64, "more network")),
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
    use crate::metrics::lives::Lives;
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
        let (mut half_open, mut listeners) = (HalfOpen::default(), Listeners::default());
        for report in reports {
            listeners.add(&report, &Lives::of(&report), 1);
            half_open.add(&report.connection, None, false);
        }
        let mut out = Vec::new();
        half_open.tell(&mut out, &listeners.finish(None, true).rows, Some(at(60 * S)));
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
