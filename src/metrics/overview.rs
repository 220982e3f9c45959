//! The headline figures of a run. In: each connection's report, in any order. Out: counts by opening and closing, quantiles, FINs by
//! cause, TIME_WAIT by holder: what the terminal, the page and `summary.json` say first.

use std::cmp::Reverse;
use std::net::IpAddr;

use super::distinct::Distinct;
use super::keys;
use super::levels::Levels;
use super::listeners::Spans;
pub use super::listeners::busiest;
use super::registry::{MOST, Registry};
use super::rows::{
    Closing, ConnectionReport, EphemeralPortRow, FinCause, Opening, Quantiles, Tap, TimeWaitEnd, TimeWaitRow,
};
use crate::time::Timestamp;

/// Stays in TIME_WAIT whose beginnings and ends are kept one by one: those of 65,536 connections, which have two at most.
const CHANGES: usize = 4 << 16;
/// What a connection adds to them at most.
const MOST_CHANGES: usize = 4;

/// The headline figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Connections.
    pub connections: u64,
    /// Distinct addresses that opened connections; above 65,536 within about 1 %, like all distinct numbers here.
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
    /// Connections that a full accept queue kept waiting.
    pub accept_queue_overflows: u64,
    /// Connections of which a side sent a FIN.
    pub closed_with_fin: u64,
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
    /// On how many addresses.
    pub holders: u64,
    /// By the address that held them, most first; of very many addresses those with fewest are left out. Where no picture is asked for,
    /// the first alone.
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

/// How often each of `all` occurred; `counts` has a place each.
fn tally<T: Copy>(all: &[T], counts: &[u64]) -> Vec<(T, u64)> {
    all.iter().copied().zip(counts.iter().copied()).collect()
}

fn count<const N: usize>(counts: &mut [u64; N], place: usize) {
    if let Some(count) = counts.get_mut(place) {
        *count += 1;
    }
}

/// The fold of [`Overview`].
#[derive(Clone, Debug, Default)]
pub struct Headlines {
    connections: u64,
    clients: Distinct,
    listeners: Distinct,
    opened: [u64; Opening::ALL.len()],
    closed: [u64; Closing::ALL.len()],
    taps: [u64; Tap::ALL.len()],
    accept_queue_overflows: u64,
    closed_with_fin: u64,
    repeats: u64,
    repeating: u64,
    causes: [u64; FinCause::ALL.len()],
    stays: u64,
    holders: Distinct,
    by_holder: Registry<IpAddr, u64>,
    in_time_wait: Levels<1>,
    restarts: u64,
    ends: [u64; TimeWaitEnd::ALL.len()],
    reused_ns: Option<(i64, i64)>,
    assumed_ns: Option<i64>,
}

impl Headlines {
    /// Takes one connection; `listener_is_new`, `client_is_new`: they may not have been seen before. Where stays in TIME_WAIT have to be put
    /// together, stretches end at multiples of `step`.
    pub fn add(&mut self, report: &ConnectionReport, listener_is_new: bool, client_is_new: bool, step: i64) {
        let row = &report.connection;
        self.connections += 1;
        if client_is_new {
            self.clients.add(&row.who.client.ip);
        }
        if listener_is_new {
            self.listeners.add(&row.who.server);
        }
        count(&mut self.opened, row.opening as usize);
        count(&mut self.closed, row.closing as usize);
        count(&mut self.taps, row.tap as usize);
        self.accept_queue_overflows += u64::from(row.accept_queue_overflow);
        self.closed_with_fin += u64::from(row.active_closer.is_some());
        self.repeats += report.fin_retransmissions.len() as u64;
        self.repeating += u64::from(!report.fin_retransmissions.is_empty());
        for repeat in &report.fin_retransmissions {
            count(&mut self.causes, repeat.cause as usize);
        }
        for stay in &report.time_wait {
            self.stay(stay, row.who.endpoint(stay.side).ip);
        }
        let room = if self.in_time_wait.is_exact() { CHANGES } else { CHANGES / 4 };
        // Before the vector would double for a few more.
        if self.in_time_wait.kept() + MOST_CHANGES > room {
            self.in_time_wait.settle(CHANGES / 8, step);
        }
    }

    fn stay(&mut self, stay: &TimeWaitRow, holder: IpAddr) {
        self.stays += 1;
        let known = self.by_holder.len();
        *self.by_holder.entry(holder) += 1;
        if self.by_holder.len() > known {
            self.holders.add(&holder);
        }
        if self.by_holder.is_full() {
            self.by_holder.forget(MOST / 2, |stays| *stays);
        }
        self.in_time_wait.add(0, stay.entered_ts, stay.ended_ts);
        self.restarts += u64::from(stay.restarts);
        count(&mut self.ends, stay.end as usize);
        if let Some(nanos) = stay.duration_ns.filter(|_| stay.end == TimeWaitEnd::Reused) {
            let (least, most) = self.reused_ns.unwrap_or((nanos, nanos));
            self.reused_ns = Some((least.min(nanos), most.max(nanos)));
        }
        self.assumed_ns.get_or_insert(stay.assumed_ns);
    }

    /// The figures; `spans` are those of all listeners. Holders of TIME_WAIT are told all or, in less time, the first alone.
    pub fn finish(self, spans: Spans, all_holders: bool) -> Overview {
        let mut by_cause = tally(FinCause::ALL, &self.causes);
        by_cause.retain(|entry| entry.1 > 0);
        by_cause.sort_by_key(|entry| Reverse(entry.1));
        let by_holder = if all_holders { by_holder(self.by_holder.into_all()) } else { first_holder(&self.by_holder) };
        let (peak, peak_ts) = self.in_time_wait.finish().peak(0);
        Overview {
            connections: self.connections,
            clients: self.clients.count(),
            listeners: self.listeners.count(),
            opened: tally(Opening::ALL, &self.opened),
            closed: tally(Closing::ALL, &self.closed),
            tap: tap(&tally(Tap::ALL, &self.taps)),
            connect: spans.connect,
            syn_wait: spans.syn_wait,
            accept_wait: spans.accept_wait,
            handshake: spans.handshake,
            time_wait_measured: spans.time_wait_measured,
            close_wait: spans.close_wait,
            accept_queue_overflows: self.accept_queue_overflows,
            closed_with_fin: self.closed_with_fin,
            fins: Fins { repeats: self.repeats, connections: self.repeating, by_cause },
            time_wait: TimeWaits {
                stays: self.stays,
                holders: self.holders.count(),
                by_holder,
                peak,
                peak_ts,
                restarts: self.restarts,
                ends: tally(TimeWaitEnd::ALL, &self.ends),
                reused_ns: self.reused_ns,
                assumed_ns: self.assumed_ns,
            },
        }
    }
}

/// The address that holds most; of equal ones the least.
fn first_holder(held: &Registry<IpAddr, u64>) -> Vec<(IpAddr, u64)> {
    let first = held.iter().min_by_key(|&(ip, stays)| (Reverse(*stays), *ip));
    first.map(|(ip, stays)| (*ip, *stays)).into_iter().collect()
}

fn by_holder(held: Vec<(IpAddr, u64)>) -> Vec<(IpAddr, u64)> {
    let key = |place: usize| Some(u128::from(!held[place].1) << 32 | keys::v4(held[place].0)?);
    let rank = |place: usize| (Reverse(held[place].1), held[place].0);
    let order = keys::order(held.len(), key, |a, b| rank(a).cmp(&rank(b)));
    order.into_iter().map(|place| held[place as usize]).collect()
}

impl Overview {
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
fn tap(counts: &[(Tap, u64)]) -> Option<Tap> {
    let known = || counts.iter().filter(|entry| entry.0 != Tap::Unknown);
    let all: u64 = known().map(|entry| entry.1).sum();
    known().find(|entry| entry.1 * 2 > all).map(|entry| entry.0)
}

/// The clients nearest to running out of ports first; equal ones by address and listener.
pub fn fullest(users: &[EphemeralPortRow]) -> Vec<&EphemeralPortRow> {
    let mut rows: Vec<_> = users.iter().collect();
    rows.sort_by(|a, b| b.used_ratio.total_cmp(&a.used_ratio).then(a.user.cmp(&b.user)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Draft, Shape, run, told};
    use crate::tcp::state::Side;

    #[test]
    fn of_nothing_everything_is_zero_or_unknown() {
        let overview = told(&[]).overview;
        assert_eq!((overview.connections, overview.handshake.p50, overview.tap), (0, None, None));
        assert_eq!(overview.opened.len(), Opening::ALL.len());
        assert_eq!(overview.time_wait.peak_ts, None);
    }

    #[test]
    fn the_counts_add_up() {
        let overview = run(Shape { connections: 500, ..Shape::default() }).told().overview;
        assert_eq!(overview.opened.iter().map(|entry| entry.1).sum::<u64>(), 500);
        assert_eq!(overview.closed.iter().map(|entry| entry.1).sum::<u64>(), 500);
        assert_eq!(overview.time_wait.ends.iter().map(|entry| entry.1).sum::<u64>(), overview.time_wait.stays);
        assert_eq!(overview.time_wait.by_holder.iter().map(|entry| entry.1).sum::<u64>(), overview.time_wait.stays);
        assert_eq!(overview.time_wait.by_holder.len() as u64, overview.time_wait.holders);
        assert_eq!(overview.fins.by_cause.iter().map(|entry| entry.1).sum::<u64>(), overview.fins.repeats);
    }

    #[test]
    fn an_assumed_end_is_not_among_the_measured() {
        let mut assumed = Draft::to("10.0.0.9:443").time_wait(Side::Server, 0, Some(60)).done();
        assert_eq!(told(std::slice::from_ref(&assumed)).overview.time_wait_measured.count, 0);
        assumed.time_wait[0].end = TimeWaitEnd::Reused;
        assert_eq!(told(&[assumed]).overview.time_wait_measured.p50, Some(60));
    }
}
