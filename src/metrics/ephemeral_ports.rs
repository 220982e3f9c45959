//! How near clients are to running out of ports. In: a run's connections and stays in TIME_WAIT. Out: a row a client address
//! and listener, and how that went over time.
//!
//! A port that a client's TIME_WAIT holds cannot be used again for the same listener before that ends. The ports that other
//! connections of the client hold, to other listeners, do not matter: the 4-tuple has to be free, not the port.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::buckets::{Buckets, MAX_ROWS};
use super::levels::Levels;
use super::rows::{
    Closing, ConnectionRow, EphemeralPortRow, EphemeralPortUseRow, Opening, PortUser, Tables, TimeWaitRow,
};
use crate::tcp::state::Side;
use crate::time::{NANOS_PER_SEC, Span, Timestamp};

/// Most users of ports that are told; beyond it those with fewest stays are left out. Someone near the end of the ports is
/// never among them unless 65,536 others are as near.
pub const MAX_USERS: usize = 1 << 16;

/// The ports that clients take for their own end, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    low: u16,
    high: u16,
}

impl Default for PortRange {
    /// Linux's `net.ipv4.ip_local_port_range`.
    fn default() -> Self {
        Self { low: 32_768, high: 60_999 }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

impl PortRange {
    /// From `low` to `high`; `None` where that is no port, or where `high` is below `low`.
    pub const fn new(low: u16, high: u16) -> Option<Self> {
        if low == 0 || high < low { None } else { Some(Self { low, high }) }
    }

    /// How many ports that is; at least one.
    pub const fn ports(self) -> u64 {
        self.high as u64 - self.low as u64 + 1
    }
}

/// What a client address did with a listener.
#[derive(Default)]
struct Use {
    connections: u64,
    ports: Vec<u16>,
    begun: Vec<Timestamp>,
    stays: u64,
    held: Levels,
}

/// The rows of `ephemeral_ports`, by user, and of `ephemeral_port_use`, by bucket and user; of the latter there are at most
/// [`MAX_ROWS`], those with most stays first. `time_wait` is how long TIME_WAIT is assumed to last.
pub fn rows(
    tables: &Tables,
    range: PortRange,
    time_wait: Span,
    buckets: Option<Buckets>,
) -> (Vec<EphemeralPortRow>, Vec<EphemeralPortUseRow>) {
    let window = window(time_wait, buckets);
    let mut users: Vec<_> = users(tables).into_iter().collect();
    users.sort_by_key(|(user, used)| (Reverse(used.stays), *user));
    let (mut rows, mut over_time, mut room) = (Vec::with_capacity(users.len()), Vec::new(), buckets.is_some());
    for (user, mut used) in users {
        used.begun.sort_unstable();
        let held = std::mem::take(&mut used.held).sort();
        if let Some(buckets) = buckets.filter(|_| room) {
            let mut own = Vec::new();
            // In each bucket the stays and the connections begun; a bucket with neither has no row.
            let mut levels = held.in_buckets::<1>(buckets).into_iter().peekable();
            let mut begun = used.begun.iter().peekable();
            for end in buckets.ends() {
                let level = levels.next_if(|level| level.0 == end).map(|(_, [level])| level).unwrap_or_default();
                let connections = std::iter::from_fn(|| begun.next_if(|&&ts| ts <= end)).count() as u64;
                if level.peak > 0 || connections > 0 {
                    let (time_wait, time_wait_peak) = (level.at_end, level.peak);
                    own.push(EphemeralPortUseRow { bucket_ts: end, user, time_wait, time_wait_peak, connections });
                }
            }
            room = over_time.is_empty() || over_time.len() + own.len() <= MAX_ROWS;
            if room {
                over_time.extend(own);
            }
        }
        let (time_wait_peak, time_wait_peak_ts) = held.peak(0);
        used.ports.sort_unstable();
        used.ports.dedup();
        let seconds = |span: Span| span.as_nanos() as f64 / NANOS_PER_SEC as f64;
        rows.push(EphemeralPortRow {
            user,
            connections: used.connections,
            distinct_client_ports: used.ports.len() as u64,
            time_wait_stays: used.stays,
            time_wait_peak,
            time_wait_peak_ts,
            connections_per_second: most_within(&used.begun, window) as f64 / seconds(window),
            ports_available: range.ports(),
            exhaustion_rate: (time_wait > Span::ZERO).then(|| range.ports() as f64 / seconds(time_wait)),
            used_ratio: time_wait_peak as f64 / range.ports() as f64,
        });
    }
    rows.sort_unstable_by_key(|row| row.user);
    over_time.sort_unstable_by_key(|row| (row.bucket_ts, row.user));
    (rows, over_time)
}

/// Everyone with a stay in TIME_WAIT on the client's side, and what they did.
fn users(tables: &Tables) -> BTreeMap<PortUser, Use> {
    let of = |row: &ConnectionRow| PortUser { client_ip: row.who.client.ip, server: row.who.server };
    let stays = || {
        let held = tables.time_wait.iter().filter(|stay| stay.side == Side::Client);
        held.filter_map(|stay| Some((stay, connection(&tables.connections, stay)?)))
    };
    let mut counts: HashMap<PortUser, u64> = HashMap::new();
    for (_, row) in stays() {
        *counts.entry(of(row)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|&(user, stays)| (Reverse(stays), user));
    counts.truncate(MAX_USERS);
    let mut users: BTreeMap<PortUser, Use> =
        counts.into_iter().map(|(user, stays)| (user, Use { stays, ..Use::default() })).collect();
    for row in &tables.connections {
        let Some(used) = users.get_mut(&of(row)) else { continue };
        used.connections += 1;
        used.ports.push(row.who.client.port);
        if row.opening != Opening::Midstream || row.syn_ack_packets > 0 {
            used.begun.push(row.first_ts);
        }
    }
    for (stay, row) in stays() {
        if let Some(used) = users.get_mut(&of(row)) {
            // What became of an evicted connection nobody knows, so it is counted up to its last packet.
            let until = stay.ended_ts.or_else(|| (row.closing == Closing::Evicted).then_some(row.last_ts));
            used.held.add(0, stay.entered_ts, until);
        }
    }
    users
}

/// The connection of a stay; the rows are in the order of `conn_id`.
fn connection<'a>(rows: &'a [ConnectionRow], stay: &TimeWaitRow) -> Option<&'a ConnectionRow> {
    rows.binary_search_by_key(&stay.conn_id, |row| row.conn_id).ok().and_then(|at| rows.get(at))
}

/// The time over which a rate is taken: as long as a port stays in TIME_WAIT, for that is how many connections must find a
/// port; no longer than the capture, and a second at least, for a burst is no rate.
fn window(time_wait: Span, buckets: Option<Buckets>) -> Span {
    let length = buckets.map_or(time_wait, Buckets::length);
    time_wait.min(length).max(Span::from_secs(1))
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
    use crate::metrics::rows::ConnectionReport;
    use crate::metrics::synthetic::{Draft, at};
    use crate::tcp::segment::HostPort;

    const S: i64 = NANOS_PER_SEC;
    const MINUTE: Span = Span::from_secs(60);

    fn tables(reports: Vec<ConnectionReport>) -> Tables {
        let mut tables = Tables::default();
        for (id, mut report) in (1..).zip(reports) {
            report.connection.conn_id = id;
            report.time_wait.iter_mut().for_each(|stay| stay.conn_id = id);
            tables.connections.push(report.connection);
            tables.time_wait.append(&mut report.time_wait);
        }
        tables
    }

    /// A connection from `port` that began at second `from` and whose client sat in TIME_WAIT from a second later.
    fn stay(client: [u8; 4], port: u16, from: i64, until: Option<i64>) -> ConnectionReport {
        let draft = Draft::to("10.0.0.9:443").from(HostPort::new(client.into(), port)).handshake(from * S, 1);
        draft.time_wait(Side::Client, (from + 1) * S, until.map(|until| until * S)).done()
    }

    fn told(reports: Vec<ConnectionReport>, until: i64) -> (Vec<EphemeralPortRow>, Vec<EphemeralPortUseRow>) {
        let buckets = Buckets::new(at(0), at(until * S), Some(Span::from_secs(10)));
        rows(&tables(reports), PortRange::default(), MINUTE, Some(buckets))
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
        let tables = tables(vec![stay([10, 0, 0, 1], 40_000, 0, None)]);
        let (rows, over_time) = rows(&tables, PortRange::default(), Span::ZERO, None);
        assert_eq!((rows[0].exhaustion_rate, rows[0].connections_per_second, over_time.len()), (None, 1.0, 0));
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
