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
use super::levels::{History, Levels};
use super::over_time::OverTime;
use super::registry::Registry;
use super::rows::{ConnectionReport, EphemeralPortRow, EphemeralPortUseRow, Opening, PortUser};
use crate::tcp::state::Side;
use crate::time::{NANOS_PER_SEC, Span, Timestamp};

mod port_set;
mod visits;

use visits::{BEGUN, HELD, Log, More, Visit};

/// Up to so many connections every client is watched from its first one on.
const WATCHED: u64 = 1 << 16;
/// Users that are told of where there are more connections.
const USERS: usize = 1 << 14;
/// Comings and goings that are kept one by one: those of 65,536 connections, which have three at most.
const CHANGES: usize = 3 << 16;
/// A user with no more changes than that is not worth settling.
const FEW: usize = 64;
/// Beyond that many connections a user with more visits has memory of its own. No visit has more than two changes, so that one without it is
/// never worth settling; nor does it have as many ports as are put in order before the end.
const IN_LOG: u64 = 32;
/// Most distinct ports that all users have together, and stretches of time.
const PORTS: usize = 1 << 20;
const STRETCHES: usize = 1 << 15;
/// Rows over time. Nobody looks for a client that runs out of ports beyond the few hundred with most stays; a row each time for every client that
/// holds one is more than the rest of a report.
const TOLD_OVER_TIME: usize = 1 << 17;

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
    log: Log,
    changes: usize,
    ports: usize,
    /// How many changes there may be before room is made.
    room: usize,
}

/// What a client address did with a listener.
#[derive(Clone, Debug, Default)]
struct Use {
    connections: u64,
    stays: u64,
    /// A handshake of the two was measured.
    came_in: bool,
    /// Where its last visit stands in the log; 0 if none does.
    last: u32,
    /// Its visits, if they are not in the log.
    more: Option<Box<More>>,
}

impl Use {
    const fn visits(&self) -> u64 {
        self.connections.saturating_add(self.stays)
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
        let (users, log) = (Registry::default(), Log::default());
        Self { range, time_wait, users, log, connections: 0, changes: 0, ports: 0, room: CHANGES }
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
        let Some(used) = place.and_then(|place| self.users.at(place)) else {
            return Known { client: false, came_in: false };
        };
        let known = Known { client, came_in: used.came_in };
        used.came_in |= row.handshake_ns.is_some() && row.opening != Opening::HalfOpen;
        used.connections += 1;
        used.stays += stays;
        let visit = Visit::connection(report);
        if watched {
            self.log.push(&mut used.last, visit);
            visit.stays(report).for_each(|stay| self.log.push(&mut used.last, stay));
            return known;
        }
        let visits = [visit].into_iter().chain(visit.stays(report));
        if used.more.is_none() && used.visits() > IN_LOG {
            used.more = Some(Box::new(More::of(self.log.in_order(std::mem::take(&mut used.last), &mut Vec::new()))));
        }
        match &mut used.more {
            None => {
                for visit in visits {
                    self.changes += visit.changes();
                    self.log.push(&mut used.last, visit);
                }
                self.ports += 1;
            }
            Some(more) => {
                let (changes, ports) = (more.over_time.kept(), more.ports.len());
                visits.for_each(|visit| more.add(&visit, rate_over(self.time_wait)));
                self.changes += more.over_time.kept() - changes;
                self.ports = (self.ports + more.ports.len()).saturating_sub(ports);
            }
        }
        if self.users.len() > USERS || self.ports > PORTS {
            self.users.forget(self.users.len().min(USERS) / 2, |used| (used.stays, used.connections));
            self.tidy();
        }
        if self.changes > self.room {
            self.settle(step);
        }
        known
    }

    /// From now on not every user is watched: those that are and come often get memory of their own.
    fn unroll(&mut self) {
        self.users.forget_if(|used| used.stays == 0);
        let mut room = Vec::new();
        for used in self.users.values().filter(|used| used.visits() > IN_LOG) {
            used.more = Some(Box::new(More::of(self.log.in_order(std::mem::take(&mut used.last), &mut room))));
        }
        self.tidy();
    }

    /// Leaves nobody's visits out of the log.
    fn tidy(&mut self) {
        let (old, mut room) = (std::mem::take(&mut self.log), Vec::new());
        for used in self.users.values() {
            used.last = self.log.take(&old, used.last, &mut room);
        }
        self.count();
    }

    fn count(&mut self) {
        (self.changes, self.ports) = (0, 0);
        for (_, used) in self.users.iter() {
            let (changes, ports) = match &used.more {
                Some(more) => (more.over_time.kept(), more.ports.len()),
                None => (self.log.back(used.last).map(Visit::changes).sum(), used.connections as usize),
            };
            self.changes += changes;
            self.ports += ports;
        }
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
        let (mut telling, mut users) = Telling::of(self, buckets);
        // By user, then by who is told first.
        let sorted = by_user(&users);
        let mut order: Vec<(Reverse<u64>, u32)> = Vec::new();
        order.extend((0..).zip(&sorted).map(|(rank, &place)| (Reverse(users[place as usize].1.stays), rank)));
        order.retain(|entry| entry.0.0 > 0);
        if over_time {
            order.sort_unstable();
        }
        let mut over_time = if over_time { PortUse::up_to(TOLD_OVER_TIME) } else { PortUse::unwanted() };
        let mut rows = Vec::with_capacity(order.len());
        for (_, rank) in order {
            let (user, used) = &mut users[sorted[rank as usize] as usize];
            let went = telling.all(used);
            if let Some(buckets) = buckets.filter(|_| !went.collapsed && !over_time.is_full()) {
                // In each bucket the stays and the connections begun; a bucket with neither has no row.
                over_time.add(*user, |rows| {
                    went.history.in_buckets::<2>(buckets, |bucket, end, [held, begun]| {
                        if held.peak > 0 || begun.came > 0 {
                            rows.push(bucket, end, [held.at_end, held.peak, begun.came]);
                        }
                    });
                });
            }
            rows.push((rank, telling.row(*user, used, went)));
        }
        rows.sort_unstable_by_key(|row| row.0);
        (rows.into_iter().map(|row| row.1).collect(), over_time.sorted())
    }

    /// The rows, by user, of the fullest one and of those that have `near` of their ports in TIME_WAIT at once.
    pub fn fullest(self, buckets: Option<Buckets>, near: f64) -> Vec<EphemeralPortRow> {
        let ports = self.range.ports() as f64;
        let (mut telling, mut users) = Telling::of(self, buckets);
        let (mut rows, mut first): (Vec<EphemeralPortRow>, Option<EphemeralPortRow>) = Default::default();
        for (user, used) in &mut users {
            // Nobody holds more ports at once than there are stays.
            let matters = |held: u64| {
                let fuller = first
                    .as_ref()
                    .is_none_or(|first| (held, Reverse(*user)) > (first.time_wait_peak, Reverse(first.user)));
                fuller || held as f64 / ports >= near
            };
            if used.stays == 0 || !matters(used.stays) || !matters(telling.most_held(used)) {
                continue;
            }
            let went = telling.all(used);
            let row = telling.row(*user, used, went);
            if row.used_ratio >= near {
                rows.push(row.clone());
            }
            let rank = |row: &EphemeralPortRow| (row.time_wait_peak, Reverse(row.user));
            if first.as_ref().is_none_or(|first| rank(&row) > rank(first)) {
                first = Some(row);
            }
        }
        rows.extend(first.filter(|first| first.used_ratio < near));
        rows.sort_unstable_by_key(|row| row.user);
        rows
    }
}

/// What it takes to tell of users, one after the other.
struct Telling {
    range: PortRange,
    time_wait: Span,
    window: Span,
    log: Log,
    visits: Vec<Visit>,
    ports: Vec<u16>,
    changes: Vec<u64>,
    begun: Vec<Timestamp>,
}

/// How it went with a user.
struct Went {
    ports: usize,
    history: History<2>,
    collapsed: bool,
    /// When connections began is known one by one.
    exact: bool,
}

impl Telling {
    fn of(fold: EphemeralPorts, buckets: Option<Buckets>) -> (Self, Vec<(PortUser, Use)>) {
        let EphemeralPorts { range, time_wait, users, log, .. } = fold;
        let window = window(time_wait, buckets);
        let (visits, ports, changes, begun) = Default::default();
        (Self { range, time_wait, window, log, visits, ports, changes, begun }, users.into_all())
    }

    /// Most ports that the user held at once, as far as that is told without putting an end to anything: no fewer than it did.
    fn most_held(&mut self, used: &Use) -> u64 {
        if used.more.is_some() || used.stays == 0 {
            return used.stays;
        }
        let mut over_time = Levels::reusing(std::mem::take(&mut self.changes));
        self.log.back(used.last).filter(|visit| visit.is_stay()).for_each(|stay| stay.note(&mut over_time));
        let history = over_time.finish();
        let (most, _) = history.peak(HELD);
        self.changes = history.into_room();
        most
    }

    /// All that is known of a user's visits.
    fn all(&mut self, used: &mut Use) -> Went {
        let (ports, levels, leaves) = match used.more.take() {
            Some(more) => (more.ports.len_exactly(), more.over_time, more.leaves),
            None => {
                let mut over_time = Levels::reusing(std::mem::take(&mut self.changes));
                self.ports.clear();
                for visit in self.log.in_order(used.last, &mut self.visits) {
                    visit.note(&mut over_time);
                    self.ports.extend(visit.port());
                }
                self.ports.sort_unstable();
                self.ports.dedup();
                (self.ports.len(), over_time, false)
            }
        };
        let (collapsed, exact) = (levels.is_collapsed(), levels.is_exact() && !leaves);
        Went { ports, history: levels.finish(), collapsed, exact }
    }

    fn row(&mut self, user: PortUser, used: &Use, went: Went) -> EphemeralPortRow {
        let Went { ports, history, exact, .. } = went;
        let (time_wait_peak, time_wait_peak_ts) = history.peak(HELD);
        let most = if exact {
            self.begun.clear();
            self.begun.extend(history.comings(BEGUN));
            most_within(&self.begun, self.window)
        } else {
            history.peak(BEGUN).0
        };
        self.changes = history.into_room();
        let seconds = |span: Span| span.as_nanos() as f64 / NANOS_PER_SEC as f64;
        let available = self.range.ports();
        EphemeralPortRow {
            user,
            connections: used.connections,
            distinct_client_ports: ports as u64,
            time_wait_stays: used.stays,
            time_wait_peak,
            time_wait_peak_ts,
            connections_per_second: most as f64 / seconds(self.window),
            ports_available: available,
            exhaustion_rate: (self.time_wait > Span::ZERO).then(|| available as f64 / seconds(self.time_wait)),
            used_ratio: time_wait_peak as f64 / available as f64,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::distinct::mix;
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
    fn the_fullest_are_those_that_all_rows_tell() {
        for near in [3.0, 5.0] {
            let mut all = EphemeralPorts::new(PortRange::default(), MINUTE);
            for n in 0..2_000_u32 {
                // Some hold several ports at once, most one after the other, and some the clock makes hold none.
                let (client, from) = (mix(n.into()) % 300, i64::from(n) / 10);
                let until = from + (mix(u64::from(n) + 7) % 100) as i64;
                let report = stay([10, 0, (client / 100) as u8, (client % 100) as u8], n as u16, from, Some(until));
                all.add(&report, 1);
            }
            let buckets = Some(Buckets::new(at(0), at(300 * S), None));
            let near = near / PortRange::default().ports() as f64;
            let told = all.clone().fullest(buckets, near);
            let rows = all.finish(buckets, false).0;
            let first = crate::metrics::overview::fullest(&rows)[0].user;
            let expected: Vec<_> = rows.into_iter().filter(|row| row.user == first || row.used_ratio >= near).collect();
            assert!(!expected.is_empty());
            assert_eq!(told, expected);
        }
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
