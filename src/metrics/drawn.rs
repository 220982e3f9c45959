//! What the pictures and the page show one by one. In: each connection's report. Out: the first connections, repeated FINs and
//! stays in TIME_WAIT: all of them up to 65,536, beyond that a sample or sums over time.

use std::cmp::Reverse;
use std::net::IpAddr;

use super::distinct::mix;
use super::registry::{MOST, Registry};
use super::rows::{ConnectionReport, ConnectionRow, FinCause, TimeWaitEnd, TimeWaitRow};
use super::tallies::Tallies;
use crate::tcp::segment::HostPort;
use crate::tcp::state::Side;
use crate::time::Timestamp;

/// Connections that have a line on the page.
pub const LISTED: usize = 1_000;
/// Up to so many stays in TIME_WAIT have a bar of their own.
pub const BARS: usize = 34;
/// Repeats and stays that are known one by one.
const KNOWN: usize = 1 << 16;
/// Holders of TIME_WAIT that are told apart over time once there are more stays; they are the first that come.
const BANDS: usize = 64;
/// What is hidden where a time is unknown.
const NEVER: i64 = i64::MAX;

const CAUSES: usize = FinCause::ALL.len();

/// All that is shown one by one.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// The first connections.
    pub listed: Listed,
    /// Repeated FINs.
    pub repeats: Repeats,
    /// Stays in TIME_WAIT.
    pub stays: Stays,
}

impl Drawn {
    /// Takes one connection; sums over time are kept in multiples of `step`.
    pub fn add(&mut self, report: &ConnectionReport, step: i64) {
        self.listed.add(report);
        self.repeats.add(report, step);
        self.stays.add(report, step);
    }

    /// Puts them in order.
    pub fn finish(self) -> Self {
        Self { listed: self.listed.finish(), ..self }
    }
}

/// The connections with the lowest numbers, and which of their sides stayed in TIME_WAIT.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed(pub Vec<(ConnectionRow, [bool; 2])>);

impl Listed {
    /// Takes one connection.
    pub fn add(&mut self, report: &ConnectionReport) {
        // Numbers count from 1, all but without gaps, so these are the first thousand whatever the order they come in.
        if report.connection.conn_id <= LISTED as u64 && self.0.len() < LISTED {
            self.0.push((report.connection.clone(), holders(&report.time_wait)));
        }
    }

    /// Puts them in order.
    pub fn finish(mut self) -> Self {
        self.0.sort_by_key(|(row, _)| row.conn_id);
        self
    }
}

/// Which sides stayed in TIME_WAIT.
pub fn holders(stays: &[TimeWaitRow]) -> [bool; 2] {
    let mut sides = [false; 2];
    stays.iter().for_each(|stay| sides[stay.side.index()] = true);
    sides
}

/// A repeated FIN, as far as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repeat {
    /// When it passed the tap.
    pub ts: Timestamp,
    since_previous_ns: i64,
    rank: u32,
    /// Why it came again.
    pub cause: FinCause,
    /// Whose it is.
    pub side: Side,
}

impl Repeat {
    /// Time since the copy before it.
    pub fn since_previous_ns(&self) -> Option<i64> {
        Some(self.since_previous_ns).filter(|&nanos| nanos != NEVER)
    }
}

/// The repeated FINs of a run.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    /// All of them, in the order of the table, or where there are more than 65,536 an even sample.
    pub rows: Vec<Repeat>,
    /// By cause and time; empty as long as `rows` has all.
    over_time: Tallies<CAUSES>,
    by_listener: Registry<HostPort, [u64; CAUSES]>,
    seen: u64,
    /// Rows are kept whose rank is no higher.
    threshold: u32,
}

impl Repeats {
    /// Takes one connection; sums over time are kept in multiples of `step`.
    pub fn add(&mut self, report: &ConnectionReport, step: i64) {
        if report.fin_retransmissions.is_empty() {
            return;
        }
        let causes = self.by_listener.entry(report.connection.who.server);
        for repeat in &report.fin_retransmissions {
            if let Some(count) = causes.get_mut(repeat.cause as usize) {
                *count += 1;
            }
        }
        if self.by_listener.is_full() {
            self.by_listener.forget(MOST / 2, |causes| causes.iter().sum::<u64>());
        }
        for repeat in &report.fin_retransmissions {
            let rank = (mix(self.seen) >> 32) as u32;
            self.seen += 1;
            if self.threshold != 0 {
                self.over_time.widen(step);
                self.over_time.add(repeat.ts.as_nanos(), repeat.cause as usize, 1);
            }
            if self.threshold == 0 || rank <= self.threshold {
                self.rows.push(Repeat {
                    ts: repeat.ts,
                    since_previous_ns: repeat.since_previous_ns.unwrap_or(NEVER),
                    rank,
                    cause: repeat.cause,
                    side: repeat.side,
                });
            }
            if self.rows.len() > KNOWN {
                self.thin(step);
            }
        }
    }

    fn thin(&mut self, step: i64) {
        if self.threshold == 0 {
            self.over_time.widen(step);
            for row in &self.rows {
                self.over_time.add(row.ts.as_nanos(), row.cause as usize, 1);
            }
            self.threshold = u32::MAX;
        }
        self.threshold /= 2;
        let threshold = self.threshold;
        self.rows.retain(|row| row.rank <= threshold);
    }

    /// How many there were by cause, at which instants; where there are very many, to within a bucket.
    pub fn over_time(&self) -> impl Iterator<Item = (Timestamp, FinCause, u64)> + '_ {
        let half = self.over_time.step() / 2;
        let sums = self.over_time.bins().flat_map(move |(end, sums)| {
            let middle = Timestamp::from_nanos(end.saturating_sub(half));
            FinCause::ALL.iter().zip(sums).map(move |(&cause, &sum)| (middle, cause, u64::from(sum.unsigned_abs())))
        });
        let rows = self.rows.iter().filter(|_| self.threshold == 0).map(|row| (row.ts, row.cause, 1));
        sums.filter(|sum| sum.2 > 0).chain(rows)
    }

    /// By listener, most first.
    pub fn by_listener(&self) -> Vec<(HostPort, [u64; CAUSES])> {
        let mut all: Vec<_> = self.by_listener.iter().map(|(server, causes)| (*server, *causes)).collect();
        all.sort_by_key(|(server, causes)| (Reverse(causes.iter().sum::<u64>()), *server));
        all
    }
}

/// A stay in TIME_WAIT as a bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Who stayed.
    pub holder: IpAddr,
    /// The stay.
    pub stay: TimeWaitRow,
}

/// The stays in TIME_WAIT of a run.
#[derive(Clone, Debug, Default)]
pub struct Stays {
    /// The first [`BARS`] of them.
    pub bars: Vec<Bar>,
    spans: Vec<(IpAddr, Proved)>,
    /// Once there are too many: the changes of how many are proved and how many are not, by holder.
    bands: Registry<IpAddr, Tallies<2>>,
    others: Tallies<2>,
    summed: bool,
}

/// A stay, and how long packets prove it.
#[derive(Clone, Copy, Debug)]
struct Proved {
    entered: i64,
    proved: i64,
    /// [`NEVER`] for one that lasts until the capture ends.
    ended: i64,
}

/// The stays that packets prove come first, then those that are assumed.
const PROVED: usize = 0;
const ASSUMED: usize = 1;

impl Stays {
    /// Takes one connection; sums over time are kept in multiples of `step`.
    pub fn add(&mut self, report: &ConnectionReport, step: i64) {
        for stay in &report.time_wait {
            let holder = report.connection.who.endpoint(stay.side).ip;
            if self.bars.len() < BARS {
                self.bars.push(Bar { holder, stay: stay.clone() });
            }
            let ended = stay.ended_ts.map_or(NEVER, Timestamp::as_nanos);
            let proved = proved_until(stay).as_nanos().min(ended);
            let span = Proved { entered: stay.entered_ts.as_nanos(), proved, ended };
            if self.summed {
                self.sum(holder, span, step);
            } else {
                self.spans.push((holder, span));
            }
        }
        if self.spans.len() > KNOWN {
            self.summed = true;
            for (holder, span) in std::mem::take(&mut self.spans) {
                self.sum(holder, span, step);
            }
        }
    }

    fn sum(&mut self, holder: IpAddr, span: Proved, step: i64) {
        let known = self.bands.len() < BANDS || self.bands.get(holder).is_some();
        let band = if known { self.bands.entry(holder) } else { &mut self.others };
        band.widen(step);
        span.changes(NEVER, |part, at, by| band.add(at, part, by));
    }

    /// The holders that can be told apart among `holders`, which are in the order of their stays.
    pub fn told_apart(&self, holders: impl Iterator<Item = IpAddr>) -> impl Iterator<Item = IpAddr> {
        holders.filter(|holder| !self.summed || self.bands.iter().any(|(band, _)| band == holder))
    }

    /// Each change of how many stays are proved (part 0) and not proved (part 1): whose, in which part, when, by how many. `last` is when
    /// the capture ended. Holders that are not told apart are `None`; where there are very many stays, instants are to within a bucket.
    pub fn changes(&self, last: Timestamp, mut with: impl FnMut(Option<IpAddr>, usize, Timestamp, i64)) {
        for (holder, span) in &self.spans {
            span.changes(last.as_nanos(), |part, at, by| {
                with(Some(*holder), part, Timestamp::from_nanos(at), by.into());
            });
        }
        let named = self.bands.iter().map(|(holder, band)| (Some(*holder), band));
        for (holder, band) in named.chain([(None, &self.others)]) {
            let half = band.step() / 2;
            for (end, sums) in band.bins() {
                let at = Timestamp::from_nanos(end.saturating_sub(half));
                sums.iter()
                    .enumerate()
                    .filter(|sum| *sum.1 != 0)
                    .for_each(|(part, by)| with(holder, part, at, (*by).into()));
            }
        }
    }
}

impl Proved {
    fn changes(self, last: i64, mut with: impl FnMut(usize, i64, i32)) {
        let proved = if self.ended == NEVER { self.proved.min(last) } else { self.proved };
        with(PROVED, self.entered, 1);
        with(PROVED, proved, -1);
        if self.ended != proved {
            with(ASSUMED, proved, 1);
            if self.ended != NEVER {
                with(ASSUMED, self.ended, -1);
            }
        }
    }
}

/// Until when packets prove a stay: its measured end, else the last packet or restart, else no longer than its entry.
pub fn proved_until(stay: &TimeWaitRow) -> Timestamp {
    match (stay.end, stay.ended_ts) {
        (TimeWaitEnd::Reused | TimeWaitEnd::AnsweredReset | TimeWaitEnd::Reset, Some(ended)) => ended,
        _ => {
            let proof = stay.proof_of_life_ts.max(stay.last_restart_ts);
            proof.unwrap_or(stay.entered_ts).max(stay.entered_ts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Draft, at};

    const S: i64 = 1_000_000_000;

    fn sums(stays: &Stays, last: i64) -> [i64; 2] {
        let mut sums = [0; 2];
        stays.changes(at(last), |_, part, _, by| sums[part] += by);
        sums
    }

    #[test]
    fn the_first_connections_are_listed_whatever_order_they_come_in() {
        let mut listed = Listed::default();
        for id in (1..=3_000).rev() {
            listed.add(&Draft::to("10.0.0.9:443").with(|report| report.connection.conn_id = id).done());
        }
        let listed = listed.finish().0;
        assert_eq!((listed.len(), listed[0].0.conn_id, listed[999].0.conn_id), (1_000, 1, 1_000));
    }

    #[test]
    fn very_many_repeats_are_sampled_and_counted_in_full() {
        let repeat = |n: i64| {
            Draft::to("10.0.0.9:443")
                .repeated_fin(Side::Client, at(n * S / 100), FinCause::ALL[(n % 4) as usize])
                .done()
        };
        let mut repeats = Repeats::default();
        for n in 0..140_000 {
            repeats.add(&repeat(n), S);
        }
        assert!((20_000..=KNOWN).contains(&repeats.rows.len()), "{}", repeats.rows.len());
        assert_eq!(repeats.over_time().map(|sum| sum.2).sum::<u64>(), 140_000);
        assert!(repeats.over_time().count() <= 1_401 * 4);
        assert_eq!(repeats.by_listener()[0].1, [35_000; 4]);
        let first_half = repeats.rows.iter().filter(|row| row.ts < at(700 * S)).count() * 2;
        assert!(first_half.abs_diff(repeats.rows.len()) < 1_000);
    }

    #[test]
    fn very_many_stays_keep_their_sums() {
        let mut stays = Stays::default();
        for n in 0..70_000_i64 {
            let until = (n % 3 > 0).then_some((n + 60) * S);
            stays.add(&Draft::to("10.0.0.9:443").time_wait(Side::Server, n * S, until).done(), 60 * S);
            assert_eq!(stays.summed, n >= KNOWN as i64);
        }
        // A third of them last until the end, and nothing proves any beyond its beginning.
        assert_eq!(sums(&stays, 70_000 * S), [0, 23_334]);
        assert_eq!(stays.bars.len(), BARS);
        let holder = stays.bars[0].holder;
        assert_eq!(stays.told_apart([holder].into_iter()).count(), 1);
    }

    #[test]
    fn one_by_one_their_ends_are_the_stays_own() {
        let mut stays = Stays::default();
        stays.add(&Draft::to("10.0.0.9:443").time_wait(Side::Server, 5, Some(65)).done(), 1);
        let mut changes = Vec::new();
        stays.changes(at(100), |_, part, ts, by| changes.push((part, ts.as_nanos(), by)));
        assert_eq!(changes, [(0, 5, 1), (0, 5, -1), (1, 5, 1), (1, 65, -1)]);
    }
}
