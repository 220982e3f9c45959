//! The headline figures of a run. In: its tables. Out: counts by opening and closing, quantiles, FINs by cause, TIME_WAIT
//! by holder: what the terminal, the page and `summary.json` say first.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::peak::Peak;
use super::quantiles::quantiles;
use super::rows::{
    Closing, ConnectionRow, EphemeralPortRow, FinCause, ListenerRow, Opening, Quantiles, Tables, Tap, TimeWaitEnd,
};
use crate::time::Timestamp;

/// The headline figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Connections.
    pub connections: u64,
    /// Distinct addresses that opened connections.
    pub clients: u64,
    /// Distinct addresses and ports that they were opened to.
    pub listeners: u64,
    /// Connections by opening, in the contract's order, zeros included.
    pub opened: Vec<(Opening, u64)>,
    /// Connections by closing, likewise.
    pub closed: Vec<(Closing, u64)>,
    /// Where most connections say that the tap was; `None` where they do not tell.
    pub tap: Option<Tap>,
    /// Of `connect_ns`.
    pub connect: Quantiles,
    /// Of `syn_wait_ns`.
    pub syn_wait: Quantiles,
    /// Of `accept_wait_ns`.
    pub accept_wait: Quantiles,
    /// Of `handshake_ns`.
    pub handshake: Quantiles,
    /// Of the stays in TIME_WAIT whose end a packet shows: neither assumed nor cut off by the capture's end.
    pub time_wait_measured: Quantiles,
    /// Of both sides' stays in CLOSE_WAIT.
    pub close_wait: Quantiles,
    /// Repeated FINs.
    pub fins: Fins,
    /// Stays in TIME_WAIT.
    pub time_wait: TimeWaits,
}

/// Repeated FINs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fins {
    /// How many repeats.
    pub repeats: u64,
    /// On how many connections.
    pub connections: u64,
    /// By cause, most frequent first, zeros left out.
    pub by_cause: Vec<(FinCause, u64)>,
}

/// Stays in TIME_WAIT.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeWaits {
    /// How many.
    pub stays: u64,
    /// By the address that held them, most first.
    pub by_holder: Vec<(IpAddr, u64)>,
    /// Most at once, and when; assumed ends included.
    pub peak: u64,
    /// When that was first reached.
    pub peak_ts: Option<Timestamp>,
    /// Repeated FINs that restarted the timer.
    pub restarts: u64,
    /// Stays by their end, in the contract's order, zeros included.
    pub ends: Vec<(TimeWaitEnd, u64)>,
    /// The shortest and the longest that a new incarnation ended, in nanoseconds.
    pub reused_ns: Option<(i64, i64)>,
    /// The 2MSL that was assumed, in nanoseconds.
    pub assumed_ns: Option<i64>,
}

/// How often each of `all` occurs.
fn tally<T: Copy + PartialEq>(all: &[T], found: impl Iterator<Item = T>) -> Vec<(T, u64)> {
    let mut counts: Vec<_> = all.iter().map(|&one| (one, 0)).collect();
    for one in found {
        if let Some(entry) = counts.iter_mut().find(|entry| entry.0 == one) {
            entry.1 += 1;
        }
    }
    counts
}

impl Overview {
    /// Of a run.
    pub fn of(tables: &Tables) -> Self {
        let rows = &tables.connections;
        let measured = |end| !matches!(end, TimeWaitEnd::Assumed | TimeWaitEnd::CaptureEnd);
        let stays = tables.time_wait.iter().filter(|stay| measured(stay.end));
        Self {
            connections: rows.len() as u64,
            clients: rows.iter().map(|row| row.who.client.ip).collect::<HashSet<_>>().len() as u64,
            listeners: rows.iter().map(|row| row.who.server).collect::<HashSet<_>>().len() as u64,
            opened: tally(Opening::ALL, rows.iter().map(|row| row.opening)),
            closed: tally(Closing::ALL, rows.iter().map(|row| row.closing)),
            tap: tap(rows),
            connect: quantiles(rows.iter().filter_map(|row| row.connect_ns).collect()),
            syn_wait: quantiles(rows.iter().filter_map(|row| row.syn_wait_ns).collect()),
            accept_wait: quantiles(rows.iter().filter_map(|row| row.accept_wait_ns).collect()),
            handshake: quantiles(rows.iter().filter_map(|row| row.handshake_ns).collect()),
            time_wait_measured: quantiles(stays.filter_map(|stay| stay.duration_ns).collect()),
            close_wait: quantiles(rows.iter().flat_map(|row| row.close_wait_ns).flatten().collect()),
            fins: Fins::of(tables),
            time_wait: TimeWaits::of(tables),
        }
    }

    /// How many stays in TIME_WAIT ended like that.
    pub fn time_wait_ended_as(&self, end: TimeWaitEnd) -> u64 {
        self.time_wait.ends.iter().find(|entry| entry.0 == end).map_or(0, |entry| entry.1)
    }

    /// How many connections opened like that.
    pub fn opened_as(&self, opening: Opening) -> u64 {
        self.opened.iter().find(|entry| entry.0 == opening).map_or(0, |entry| entry.1)
    }
}

/// Where more than half of the connections that tell say that the tap was.
fn tap(rows: &[ConnectionRow]) -> Option<Tap> {
    let counts = tally(Tap::ALL, rows.iter().map(|row| row.tap).filter(|&tap| tap != Tap::Unknown));
    let all: u64 = counts.iter().map(|entry| entry.1).sum();
    counts.into_iter().find(|entry| entry.1 * 2 > all).map(|entry| entry.0)
}

impl Fins {
    fn of(tables: &Tables) -> Self {
        let rows = &tables.fin_retransmissions;
        let mut by_cause = tally(FinCause::ALL, rows.iter().map(|row| row.cause));
        by_cause.retain(|entry| entry.1 > 0);
        by_cause.sort_by_key(|entry| std::cmp::Reverse(entry.1));
        Self {
            repeats: rows.len() as u64,
            connections: rows.iter().map(|row| row.conn_id).collect::<HashSet<_>>().len() as u64,
            by_cause,
        }
    }
}

impl TimeWaits {
    /// Of a run.
    pub fn of(tables: &Tables) -> Self {
        let rows = &tables.time_wait;
        let connections = by_id(tables);
        let mut by_holder: HashMap<IpAddr, u64> = HashMap::new();
        let mut peak = Peak::default();
        for stay in rows {
            if let Some(connection) = connections.get(&stay.conn_id) {
                *by_holder.entry(connection.who.endpoint(stay.side).ip).or_default() += 1;
            }
            peak.add(stay.entered_ts, stay.ended_ts.unwrap_or(Timestamp::MAX));
        }
        let mut by_holder: Vec<_> = by_holder.into_iter().collect();
        by_holder.sort_by_key(|&(ip, count)| (std::cmp::Reverse(count), ip));
        let (peak, peak_ts) = peak.finish();
        let reused = || rows.iter().filter(|stay| stay.end == TimeWaitEnd::Reused).filter_map(|stay| stay.duration_ns);
        Self {
            stays: rows.len() as u64,
            by_holder,
            peak,
            peak_ts,
            restarts: rows.iter().map(|stay| u64::from(stay.restarts)).sum(),
            ends: tally(TimeWaitEnd::ALL, rows.iter().map(|stay| stay.end)),
            reused_ns: reused().min().zip(reused().max()),
            assumed_ns: rows.first().map(|stay| stay.assumed_ns),
        }
    }
}

/// The connections by number.
pub fn by_id(tables: &Tables) -> HashMap<u64, &ConnectionRow> {
    tables.connections.iter().map(|row| (row.conn_id, row)).collect()
}

/// The clients nearest to running out of ports first; equal ones by address and listener.
pub fn fullest(users: &[EphemeralPortRow]) -> Vec<&EphemeralPortRow> {
    let mut rows: Vec<_> = users.iter().collect();
    rows.sort_by(|a, b| b.used_ratio.total_cmp(&a.used_ratio).then(a.user.cmp(&b.user)));
    rows
}

/// The listeners with the most attempts first; equal ones by address and port.
pub fn busiest(listeners: &[ListenerRow]) -> Vec<&ListenerRow> {
    let mut rows: Vec<_> = listeners.iter().collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.attempts), row.server));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Draft, Shape, run};
    use crate::tcp::state::Side;

    #[test]
    fn of_nothing_everything_is_zero_or_unknown() {
        let overview = Overview::of(&Tables::default());
        assert_eq!((overview.connections, overview.handshake.p50, overview.tap), (0, None, None));
        assert_eq!(overview.opened.len(), Opening::ALL.len());
        assert_eq!(overview.time_wait.peak_ts, None);
    }

    #[test]
    fn the_counts_add_up() {
        let (tables, _) = run(Shape { connections: 500, ..Shape::default() });
        let overview = Overview::of(&tables);
        assert_eq!(overview.opened.iter().map(|entry| entry.1).sum::<u64>(), 500);
        assert_eq!(overview.closed.iter().map(|entry| entry.1).sum::<u64>(), 500);
        assert_eq!(overview.time_wait.ends.iter().map(|entry| entry.1).sum::<u64>(), overview.time_wait.stays);
        assert_eq!(overview.time_wait.by_holder.iter().map(|entry| entry.1).sum::<u64>(), overview.time_wait.stays);
        assert_eq!(overview.fins.by_cause.iter().map(|entry| entry.1).sum::<u64>(), overview.fins.repeats);
    }

    #[test]
    fn an_assumed_end_is_not_among_the_measured() {
        let mut tables = Tables::default();
        let assumed = Draft::to("10.0.0.9:443").time_wait(Side::Server, 0, Some(60)).done();
        tables.connections.push(assumed.connection);
        tables.time_wait = assumed.time_wait;
        assert_eq!(Overview::of(&tables).time_wait_measured.count, 0);
        tables.time_wait[0].end = TimeWaitEnd::Reused;
        assert_eq!(Overview::of(&tables).time_wait_measured.p50, Some(60));
    }
}
