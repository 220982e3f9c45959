//! How near clients are to running out of ports. In: each connection's report, in any order. Out: a row a client address and
//! listener, and how that went over time.
//!
//! A port that a client's TIME_WAIT holds cannot be used again for the same listener before that ends. The ports that other
//! connections of the client hold, to other listeners, do not matter: the 4-tuple has to be free, not the port.
//!
//! Exact up to 65,536 connections. Beyond that a client counts from its first stay in TIME_WAIT on, comings and goings are put
//! together ([`levels`](super::levels)), and of very many clients those with the fewest stays are given up.

use std::cmp::Reverse;
use std::fmt;

use super::buckets::Buckets;
use super::keys;
use super::levels::Levels;
use super::over_time::OverTime;
use super::registry::Registry;
use super::rows::{Closing, ConnectionReport, EphemeralPortRow, EphemeralPortUseRow, Opening, PortUser};
use crate::tcp::state::Side;
use crate::time::{NANOS_PER_SEC, Span, Timestamp};

/// Up to so many connections every client is watched from its first one on.
const WATCHED: u64 = 1 << 16;
/// Users that are told of where there are more connections.
const USERS: usize = 1 << 14;
/// Comings and goings that are kept one by one: those of 65,536 connections, which have three at most.
const CHANGES: usize = 3 << 16;
/// A user with no more changes than that is not worth settling.
const FEW: usize = 64;
/// Most distinct ports that all users have together, and stretches of time.
const PORTS: usize = 1 << 20;
const STRETCHES: usize = 1 << 15;

/// The ports that clients take for their own end, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    low: u16,
    high: u16,
}

impl Default for PortRange {
    fn default() -> Self {
        Self::LINUX
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

impl PortRange {
    /// `net.ipv4.ip_local_port_range` as it is by default.
    pub const LINUX: Self = Self { low: 32_768, high: 60_999 };

    /// From `low` to `high`; `None` where that is no port, or where `high` is below `low`.
    pub const fn new(low: u16, high: u16) -> Option<Self> {
        if low == 0 || high < low { None } else { Some(Self { low, high }) }
    }

    /// How many ports that is; at least one.
    pub const fn ports(self) -> u64 {
        self.high as u64 - self.low as u64 + 1
    }
}

/// The fold of `ephemeral_ports` and `ephemeral_port_use`.
#[derive(Clone, Debug)]
pub struct EphemeralPorts {
    range: PortRange,
    time_wait: Span,
    users: Registry<PortUser, Use>,
    connections: u64,
    /// What users did, in the order of connections, as long as each is watched: most do so little that memory of their own would be
    /// mostly unused.
    visits: Vec<Visit>,
    changes: usize,
    ports: usize,
    /// How many changes there may be before room is made.
    room: usize,
}

/// A connection, or a stay in TIME_WAIT.
#[derive(Clone, Copy, Debug)]
struct Visit {
    /// The user's place.
    user: u32,
    port: u16,
    what: What,
    until: bool,
    ts: [Timestamp; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A connection that was already running.
    Ran,
    /// A connection that began, and when.
    Began,
    /// A port was held from then on, and until then if `until` says so.
    Held,
}

// Places of `Levels`.
/// A port is held by a TIME_WAIT.
const HELD: u8 = 0;
/// A connection has begun, and the time over which a rate is taken has not passed.
const BEGUN: u8 = 1;

/// What a client address did with a listener.
#[derive(Clone, Debug, Default)]
struct Use {
    connections: u64,
    stays: u64,
    /// A handshake of the two was measured.
    came_in: bool,
    /// Beyond what the visits tell.
    more: Option<Box<More>>,
}

/// The ports that a user took, and when.
#[derive(Clone, Debug, Default)]
struct More {
    ports: Ports,
    over_time: Levels<2>,
    /// Connections that have begun leave [`BEGUN`] again; until then only their coming is noted.
    leaves: bool,
}

impl Visit {
    /// The visits of a connection.
    fn of(report: &ConnectionReport, user: usize) -> impl Iterator<Item = Self> + '_ {
        let row = &report.connection;
        let began = row.opening != Opening::Midstream || row.syn_ack_packets > 0;
        let what = if began { What::Began } else { What::Ran };
        let visit = Self { user: user as u32, port: row.who.client.port, what, until: false, ts: [row.first_ts; 2] };
        let stays = report.time_wait.iter().filter(|stay| stay.side == Side::Client).map(move |stay| {
            // What became of an evicted connection nobody knows, so it is counted up to its last packet.
            let until = stay.ended_ts.or_else(|| (row.closing == Closing::Evicted).then_some(row.last_ts));
            let ts = [stay.entered_ts, until.unwrap_or(stay.entered_ts)];
            Self { what: What::Held, until: until.is_some(), ts, ..visit }
        });
        [visit].into_iter().chain(stays)
    }
}

impl More {
    fn add(&mut self, visit: &Visit, window: Span) {
        let [from, until] = visit.ts;
        match visit.what {
            What::Held => self.over_time.add(HELD, from, visit.until.then_some(until)),
            What::Began => self.over_time.add(BEGUN, from, self.leaves.then(|| from.plus(window))),
            What::Ran => {}
        }
        if visit.what != What::Held {
            self.ports.add(visit.port);
        }
    }
}

/// What is known of a connection's client.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// It was seen before.
    pub client: bool,
    /// A handshake of it and the listener was measured before.
    pub came_in: bool,
}

/// `ephemeral_port_use`: how many were in TIME_WAIT, most at once, connections begun.
pub type PortUse = OverTime<PortUser, 3>;

impl PortUse {
    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = EphemeralPortUseRow> + '_ {
        self.iter().map(|(bucket_ts, user, [time_wait, time_wait_peak, connections])| EphemeralPortUseRow {
            bucket_ts,
            user,
            time_wait,
            time_wait_peak,
            connections,
        })
    }
}

impl EphemeralPorts {
    /// For clients that choose from `range`, where TIME_WAIT is assumed to last `time_wait`.
    pub fn new(range: PortRange, time_wait: Span) -> Self {
        let (users, visits) = (Registry::default(), Vec::new());
        Self { range, time_wait, users, visits, connections: 0, changes: 0, ports: 0, room: CHANGES }
    }

    /// Takes one connection. Where comings and goings have to be put together, stretches end at multiples of `step`. Returns what was
    /// known before, as far as that is still known.
    pub fn add(&mut self, report: &ConnectionReport, step: i64) -> Known {
        let row = &report.connection;
        let user = PortUser { client_ip: row.who.client.ip, server: row.who.server };
        self.connections += 1;
        if self.connections == WATCHED + 1 {
            self.unroll();
        }
        let stays = report.time_wait.iter().filter(|stay| stay.side == Side::Client).count() as u64;
        let known = self.users.len();
        let watched = self.connections <= WATCHED;
        let place = if watched || stays > 0 { Some(self.users.place(user)) } else { self.users.find(user) };
        let client = self.users.len() == known;
        let Some((place, used)) = place.and_then(|place| Some((place, self.users.at(place)?))) else {
            return Known { client: false, came_in: false };
        };
        let known = Known { client, came_in: used.came_in };
        used.came_in |= row.handshake_ns.is_some() && row.opening != Opening::HalfOpen;
        used.connections += 1;
        used.stays += stays;
        if watched {
            self.visits.extend(Visit::of(report, place));
            return known;
        }
        let more = used.more.get_or_insert_default();
        let (changes, ports) = (more.over_time.kept(), more.ports.len());
        Visit::of(report, place).for_each(|visit| more.add(&visit, rate_over(self.time_wait)));
        self.changes += more.over_time.kept() - changes;
        self.ports = (self.ports + more.ports.len()).saturating_sub(ports);
        if self.users.len() > USERS || self.ports > PORTS {
            self.users.forget(self.users.len().min(USERS) / 2, |used| (used.stays, used.connections));
            self.count();
        }
        if self.changes > self.room {
            self.settle(step);
        }
        known
    }

    /// From now on not every user is watched: those that are get memory of their own.
    fn unroll(&mut self) {
        for visit in std::mem::take(&mut self.visits) {
            if let Some(used) = self.users.at(visit.user as usize).filter(|used| used.stays > 0) {
                used.more.get_or_insert_default().add(&visit, Span::ZERO);
            }
        }
        self.users.forget_if(|used| used.stays == 0);
        self.count();
    }

    fn count(&mut self) {
        let all = || self.users.iter().filter_map(|(_, used)| used.more.as_ref());
        self.changes = all().map(|more| more.over_time.kept()).sum();
        self.ports = all().map(|more| more.ports.len()).sum();
    }

    fn settle(&mut self, step: i64) {
        let window = rate_over(self.time_wait);
        let mut stretches = 0;
        for more in self.users.values().filter_map(|used| used.more.as_mut()) {
            if more.over_time.kept() > FEW {
                if !more.leaves {
                    more.leaves = true;
                    more.over_time.leave_after(BEGUN, window);
                }
                more.over_time.settle((more.over_time.kept() / 2).min(CHANGES / 8), step);
            }
            stretches += more.over_time.stretches();
        }
        if stretches > STRETCHES {
            let mut busy: Vec<&mut Use> = self.users.values().collect();
            busy.sort_by_key(|used| used.stays);
            busy.pop();
            for more in busy.into_iter().filter_map(|used| used.more.as_mut()) {
                if more.over_time.stretches() > 1 && stretches > STRETCHES / 2 {
                    stretches -= more.over_time.stretches();
                    more.over_time.collapse();
                    stretches += more.over_time.stretches();
                }
            }
        }
        self.count();
        self.room = (CHANGES / 4).max(2 * self.changes);
    }

    /// The rows of `ephemeral_ports`, by user, and of `ephemeral_port_use`, by bucket and user; of the latter those with most stays
    /// are told first.
    pub fn finish(self, buckets: Option<Buckets>, over_time: bool) -> (Vec<EphemeralPortRow>, PortUse) {
        let Self { range, time_wait, users, visits, .. } = self;
        let window = window(time_wait, buckets);
        let mut users = users.into_all();
        let visits = Visits::of(visits, users.len());
        // By user, then by who is told first.
        let sorted = by_user(&users);
        let mut order: Vec<(Reverse<u64>, u32)> = Vec::new();
        order.extend((0..).zip(&sorted).map(|(rank, &place)| (Reverse(users[place as usize].1.stays), rank)));
        order.retain(|entry| entry.0.0 > 0);
        if over_time {
            order.sort_unstable();
        }
        let mut over_time = if over_time { PortUse::default() } else { PortUse::unwanted() };
        let (mut rows, mut room) = (Vec::with_capacity(order.len()), (Vec::new(), Vec::new()));
        for (_, rank) in order {
            let place = sorted[rank as usize];
            let (user, used) = &mut users[place as usize];
            let told = used.more.take().map_or_else(
                || visits.more(place, &mut room.0),
                |more| {
                    let More { ports, over_time, leaves } = *more;
                    (ports.len_exactly(), over_time, leaves)
                },
            );
            let (ports, levels, leaves) = told;
            let (collapsed, exact) = (levels.is_collapsed(), levels.is_exact() && !leaves);
            let history = levels.finish();
            if let Some(buckets) = buckets.filter(|_| !collapsed && !over_time.is_full()) {
                // In each bucket the stays and the connections begun; a bucket with neither has no row.
                over_time.add(*user, |rows| {
                    history.in_buckets::<2>(buckets, |bucket, end, [held, begun]| {
                        if held.peak > 0 || begun.came > 0 {
                            rows.push(bucket, end, [held.at_end, held.peak, begun.came]);
                        }
                    });
                });
            }
            let (time_wait_peak, time_wait_peak_ts) = history.peak(HELD);
            let most = if exact {
                room.1.clear();
                room.1.extend(history.comings(BEGUN));
                most_within(&room.1, window)
            } else {
                history.peak(BEGUN).0
            };
            let seconds = |span: Span| span.as_nanos() as f64 / NANOS_PER_SEC as f64;
            let row = EphemeralPortRow {
                user: *user,
                connections: used.connections,
                distinct_client_ports: ports as u64,
                time_wait_stays: used.stays,
                time_wait_peak,
                time_wait_peak_ts,
                connections_per_second: most as f64 / seconds(window),
                ports_available: range.ports(),
                exhaustion_rate: (time_wait > Span::ZERO).then(|| range.ports() as f64 / seconds(time_wait)),
                used_ratio: time_wait_peak as f64 / range.ports() as f64,
            };
            rows.push((rank, row));
            room.0 = history.into_room();
        }
        rows.sort_unstable_by_key(|row| row.0);
        (rows.into_iter().map(|row| row.1).collect(), over_time.sorted())
    }
}

/// The places of users, by user.
fn by_user(users: &[(PortUser, Use)]) -> Vec<u32> {
    let key = |place: usize| {
        let user = &users[place].0;
        let (client, server) = (keys::v4(user.client_ip)?, keys::v4(user.server.ip)?);
        Some(client << 48 | server << 16 | u128::from(user.server.port))
    };
    keys::order(users.len(), key, |a, b| users[a].0.cmp(&users[b].0))
}

/// Visits by user.
struct Visits {
    all: Vec<Visit>,
    order: Vec<u32>,
    /// Where those of each user begin in `order`.
    begin: Vec<u32>,
}

impl Visits {
    fn of(all: Vec<Visit>, users: usize) -> Self {
        let mut begin = vec![0; users + 1];
        all.iter().for_each(|visit| begin[visit.user as usize] += 1);
        let mut before = 0;
        for begin in &mut begin {
            before += *begin;
            *begin = before;
        }
        let mut order = vec![0; all.len()];
        for at in (0..all.len()).rev() {
            let begin = &mut begin[all[at].user as usize];
            *begin -= 1;
            order[*begin as usize] = at as u32;
        }
        Self { all, order, begin }
    }

    /// How many ports the user at a place took, and when, in `room` that is free.
    fn more(&self, place: u32, room: &mut Vec<u64>) -> (usize, Levels<2>, bool) {
        let own = self.begin[place as usize] as usize..self.begin[place as usize + 1] as usize;
        let mut more = More { over_time: Levels::reusing(std::mem::take(room)), ..More::default() };
        self.order[own].iter().for_each(|&at| more.add(&self.all[at as usize], Span::ZERO));
        (more.ports.len_exactly(), more.over_time, false)
    }
}

/// The time over which a rate is taken: as long as a port stays in TIME_WAIT, for that is how many connections must find a
/// port; no longer than the capture, and a second at least, for a burst is no rate.
fn window(time_wait: Span, buckets: Option<Buckets>) -> Span {
    let length = buckets.map_or(time_wait, Buckets::length);
    rate_over(time_wait.min(length))
}

/// The same before the capture's length is known: in a shorter one all connections lie within it anyway.
fn rate_over(time_wait: Span) -> Span {
    time_wait.max(Span::from_secs(1))
}

/// The most of `sorted` that lie within less than `window` of each other.
fn most_within(sorted: &[Timestamp], window: Span) -> u64 {
    let mut oldest = 0;
    let counts = sorted.iter().enumerate().map(|(newest, &ts)| {
        while sorted.get(oldest).is_some_and(|&first| ts.since(first) >= window) {
            oldest += 1;
        }
        newest + 1 - oldest
    });
    counts.max().unwrap_or(0) as u64
}

/// A set of ports: a few in a list, many as bits.
#[derive(Clone, Debug, Default)]
struct Ports {
    /// The first so many are sorted and distinct.
    sorted: usize,
    list: Vec<u16>,
    bits: Option<Box<[u64; 1024]>>,
}

impl Ports {
    /// A list of more is larger than the bits.
    const LISTED: usize = 4096;

    fn add(&mut self, port: u16) {
        match &mut self.bits {
            Some(bits) => Self::set(bits, port),
            None => {
                self.list.push(port);
                if self.list.len() >= 2 * self.sorted.max(32) {
                    self.tidy();
                }
            }
        }
    }

    fn set(bits: &mut [u64; 1024], port: u16) {
        if let Some(word) = bits.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
    }

    fn tidy(&mut self) {
        self.list.sort_unstable();
        self.list.dedup();
        self.sorted = self.list.len();
        if self.list.len() > Self::LISTED {
            let mut bits = Box::new([0; 1024]);
            std::mem::take(&mut self.list).into_iter().for_each(|port| Self::set(&mut bits, port));
            self.bits = Some(bits);
        }
    }

    /// How much memory they take, in ports.
    fn len(&self) -> usize {
        if self.bits.is_some() { Self::LISTED } else { self.list.len() }
    }

    fn len_exactly(mut self) -> usize {
        self.tidy();
        self.bits.map_or(self.list.len(), |bits| bits.iter().map(|word| word.count_ones() as usize).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Draft, at};
    use crate::tcp::segment::HostPort;

    const S: i64 = NANOS_PER_SEC;
    const MINUTE: Span = Span::from_secs(60);

    /// A connection from `port` that began at second `from` and whose client sat in TIME_WAIT from a second later.
    fn stay(client: [u8; 4], port: u16, from: i64, until: Option<i64>) -> ConnectionReport {
        let draft = Draft::to("10.0.0.9:443").from(HostPort::new(client.into(), port)).handshake(from * S, 1);
        draft.time_wait(Side::Client, (from + 1) * S, until.map(|until| until * S)).done()
    }

    fn told(reports: Vec<ConnectionReport>, until: i64) -> (Vec<EphemeralPortRow>, Vec<EphemeralPortUseRow>) {
        let mut ports = EphemeralPorts::new(PortRange::default(), MINUTE);
        reports.iter().for_each(|report| {
            ports.add(report, 1);
        });
        let (rows, over_time) = ports.finish(Some(Buckets::new(at(0), at(until * S), Some(Span::from_secs(10)))), true);
        (rows, over_time.rows().collect())
    }

    #[test]
    fn a_row_is_of_a_client_address_and_a_listener() {
        let mut other = stay([10, 0, 0, 1], 40_000, 5, None);
        other.connection.who.server.port = 80;
        let reports = vec![
            stay([10, 0, 0, 1], 40_000, 0, Some(61)),
            stay([10, 0, 0, 1], 40_001, 2, None),
            stay([10, 0, 0, 2], 40_000, 3, None),
            other,
            Draft::to("10.0.0.9:443").from(HostPort::new([10, 0, 0, 1].into(), 40_001)).handshake(4 * S, 1).done(),
            Draft::to("10.0.0.9:443").from(HostPort::new([10, 0, 0, 3].into(), 40_002)).handshake(4 * S, 1).done(),
        ];
        let (rows, _) = told(reports, 70);
        let short: Vec<_> = rows
            .iter()
            .map(|row| (row.user.client_ip.to_string(), row.user.server.port, row.time_wait_stays, row.time_wait_peak))
            .collect();
        let expected = [("10.0.0.1", 80, 1, 1), ("10.0.0.1", 443, 2, 2), ("10.0.0.2", 443, 1, 1)];
        assert_eq!(short, expected.map(|(ip, port, stays, peak)| (ip.to_owned(), port, stays, peak)));
        let row = &rows[1];
        assert_eq!((row.connections, row.distinct_client_ports, row.time_wait_peak_ts), (3, 2, Some(at(3 * S))));
    }

    #[test]
    fn the_rate_is_that_of_the_busiest_time_wait_and_ends_the_ports_after_one() {
        let busy = (0..120).map(|n| stay([10, 0, 0, 1], 32_768 + n as u16, 100 + n / 2, None));
        let (rows, _) = told(busy.chain([stay([10, 0, 0, 1], 50_000, 0, Some(61))]).collect(), 300);
        assert_eq!((rows[0].connections_per_second, rows[0].ports_available), (2.0, 28_232));
        assert_eq!(rows[0].exhaustion_rate, Some(28_232.0 / 60.0));
        assert_eq!(rows[0].used_ratio, 120.0 / 28_232.0);
    }

    #[test]
    fn in_a_short_capture_the_rate_is_over_its_length_and_a_burst_over_a_second() {
        let ten = || (0..10).map(|n| stay([10, 0, 0, 1], 40_000 + n, 0, None)).collect();
        assert_eq!(told(ten(), 5).0[0].connections_per_second, 2.0);
        assert_eq!(told(ten(), 0).0[0].connections_per_second, 10.0);
    }

    #[test]
    fn over_time_both_stays_and_new_connections_are_counted() {
        let reports = vec![stay([10, 0, 0, 1], 40_000, 0, Some(31)), stay([10, 0, 0, 1], 40_001, 2, Some(25))];
        let (_, rows) = told(reports, 70);
        let short: Vec<_> = rows
            .iter()
            .map(|row| (row.bucket_ts.as_nanos() / S, row.time_wait, row.time_wait_peak, row.connections))
            .collect();
        assert_eq!(short, [(10, 2, 2, 2), (20, 2, 2, 0), (30, 1, 2, 0), (40, 0, 1, 0)]);
    }

    #[test]
    fn without_times_and_with_no_time_wait_nothing_is_divided_by_zero() {
        let mut ports = EphemeralPorts::new(PortRange::default(), Span::ZERO);
        ports.add(&stay([10, 0, 0, 1], 40_000, 0, None), 1);
        let (rows, over_time) = ports.finish(None, true);
        assert_eq!((rows[0].exhaustion_rate, rows[0].connections_per_second, over_time.len()), (None, 1.0, 0));
    }

    #[test]
    fn very_many_connections_are_counted_in_bounded_memory() {
        let mut ports = EphemeralPorts::new(PortRange::default(), MINUTE);
        for n in 0..150_000_i64 {
            // Two hundred a second, each in TIME_WAIT for a minute; two others come by without one.
            let ms = n * 5;
            let client = HostPort::new([10, 0, 0, 1].into(), 32_768 + (n % 28_232) as u16);
            let draft = Draft::to("10.0.0.9:443").from(client).handshake(ms * 1_000_000, 1);
            let until = (ms + 60_000) * 1_000_000;
            ports.add(&draft.time_wait(Side::Client, ms * 1_000_000, Some(until)).done(), 2 * S);
            if n % 1_000 == 0 {
                let other = HostPort::new([10, 0, 0, 2].into(), 1_024);
                ports.add(&Draft::to("10.0.0.9:443").from(other).handshake(ms * 1_000_000, 1).done(), 2 * S);
            }
        }
        assert!(ports.changes <= 2 * CHANGES && ports.users.len() == 1, "{} {}", ports.changes, ports.users.len());
        let (rows, over_time) = ports.finish(Some(Buckets::new(at(0), at(750 * S), Some(Span::from_secs(10)))), true);
        let (row, over_time) = (&rows[0], over_time.rows().collect::<Vec<_>>());
        assert_eq!((row.connections, row.time_wait_stays, row.distinct_client_ports), (150_000, 150_000, 28_232));
        assert_eq!((row.time_wait_peak, row.connections_per_second), (12_000, 200.0));
        assert_eq!((over_time[50].connections, over_time[50].time_wait), (2_000, 12_000));
    }

    #[test]
    fn a_range_has_both_its_ends() {
        assert_eq!(PortRange::default().ports(), 28_232);
        assert_eq!(PortRange::new(1_024, 65_535).map(PortRange::ports), Some(64_512));
        assert_eq!(PortRange::new(5, 5).map(PortRange::ports), Some(1));
        assert_eq!((PortRange::new(0, 9), PortRange::new(9, 8)), (None, None));
        assert_eq!(PortRange::default().to_string(), "32768-60999");
    }
}
