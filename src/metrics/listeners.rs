//! Connections → listeners. In: each connection's report, in any order. Out: a row a server address and port, its queues over
//! time, how long handshakes with it took, what may be wrong with it.
//!
//! Exact up to 65,536 connections. Beyond that memory is bounded: spans go into bins ([`samples`](super::samples)), comings and goings
//! into stretches ([`levels`](super::levels)), and of very many listeners those with the fewest attempts are given up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use super::buckets::Buckets;
use super::findings::concern::{Concern, Concerns};
use super::findings::finding::{Case, Gathered};
use super::levels::{History, Levels};
use super::lives::{Entry, Lives};
use super::over_time::{OverTime, Rows};
use super::registry::{MOST, Registry};
use super::rows::{Closing, ConnectionReport, ListenerQueueRow, ListenerRow, Opening, Quantiles};
use super::samples::{Apart, Samples, all_quantiles_of, make_room, quantiles_of};
use crate::tcp::segment::HostPort;
use crate::tcp::state::{Side, State};
use crate::time::{Span, Timestamp};

/// How long a connection is counted in SYN_RECEIVED where no packet shows how that ended. Linux repeats a SYN-ACK five times
/// (`tcp_synack_retries`) after 1, 2, 4, 8 and 16 s and gives up 32 s after the last: 63 s. Nothing on the wire shows it.
pub const HALF_OPEN_LASTS: Span = Span::from_secs(63);

/// Listeners that the terminal names; the others share a line.
pub const NAMED: usize = 6;
/// Listeners whose handshakes the picture shows one by one or in bars.
pub const DRAWN: usize = 8;

/// Comings and goings that are kept one by one: those of 65,536 connections, which have nine at most.
const CHANGES: usize = 9 << 16;
/// Words that spans may take: those of 65,536 connections, which have eight at most.
const WORDS: usize = 8 << 16;
/// Stretches of time that all listeners have together; beyond it the least busy ones are not told over time.
const STRETCHES: usize = 1 << 15;
/// A listener with no more changes than that is not worth settling, nor with half of them collapsing.
const FEW: usize = 64;

/// The fold of `listeners` and `listener_queues`. A listener is a server address and port that an attempt was made to: a
/// connection that began with a SYN or a SYN-ACK. Connections that were already running when the capture began are not its
/// attempts and, alone, make no row: no packet shows that anything listens there. Beside attempts they count where a figure is
/// about connections: repeated FINs, CLOSE_WAIT, TIME_WAIT.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    all: Registry<HostPort, Fold>,
    /// What was counted of listeners that were given up, and of the clients' side.
    beside: Samples<KINDS>,
    gone: BTreeMap<Concern, (u64, Case)>,
    changes: usize,
    stretches: usize,
    words: usize,
    room: Room,
}

/// How much there may be before room is made; more where making room did not help, so that it is not tried again and again.
#[derive(Clone, Copy, Debug)]
struct Room {
    changes: usize,
    stretches: usize,
    words: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { changes: CHANGES, stretches: STRETCHES, words: WORDS }
    }
}

// Where a server's endpoint can wait, as places of `Levels`. The first four are told over time.
const SYN_RECEIVED: u8 = 0;
/// In SYN_RECEIVED although its client has completed the handshake: the accept queue is full.
const HELD_OFF: u8 = 1;
const CLOSE_WAIT: u8 = 2;
const TIME_WAIT: u8 = 3;
const OVER_TIME: usize = 4;
/// Established, and the server has sent nothing: the application may not have accepted it.
const SILENT: u8 = 4;
const PLACES: usize = 5;

// Kinds of spans.
const CONNECT: usize = 0;
const SYN_WAIT: usize = 1;
const HANDSHAKE: usize = 2;
const ACCEPT_WAIT: usize = 3;
const CLOSE_WAITED: usize = 4;
/// Stays in TIME_WAIT whose end a packet shows; of no listener.
const TIME_WAITED: usize = 5;
const KINDS: usize = 6;

#[derive(Clone, Debug, Default)]
struct Fold {
    attempts: u64,
    established: u64,
    refused: u64,
    no_answer: u64,
    half_open: u64,
    aborted: u64,
    syn_retransmissions: u64,
    syn_ack_retransmissions: u64,
    accept_queue_overflows: u64,
    fin_retransmissions: u64,
    close_wait_open: u64,
    /// Its accept queue was full once.
    overflowed: bool,
    spans: Samples<KINDS>,
    waiting: Levels<PLACES>,
    concerns: Concerns,
}

/// `listener_queues`: how many were in SYN_RECEIVED, held off, in CLOSE_WAIT, in TIME_WAIT; and most in SYN_RECEIVED.
pub type Queues = OverTime<HostPort, 5>;

impl Queues {
    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = ListenerQueueRow> + '_ {
        self.iter().map(|(bucket_ts, server, [syn_received, held_off, close_wait, time_wait, syn_received_peak])| {
            ListenerQueueRow { bucket_ts, server, syn_received, held_off, close_wait, time_wait, syn_received_peak }
        })
    }
}

/// What the listeners told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// By server address, then port.
    pub rows: Vec<ListenerRow>,
    /// By bucket, then listener.
    pub queues: Queues,
    /// How long handshakes took.
    pub handshakes: Handshakes,
    /// Spans of all listeners together.
    pub spans: Spans,
    /// What may be wrong, by kind.
    pub concerns: BTreeMap<Concern, Gathered<HostPort>>,
}

/// Quantiles of a whole run.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Spans {
    pub connect: Quantiles,
    pub syn_wait: Quantiles,
    pub handshake: Quantiles,
    pub accept_wait: Quantiles,
    pub close_wait: Quantiles,
    pub time_wait_measured: Quantiles,
}

/// How long handshakes took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Handshakes {
    /// How many.
    pub all: u64,
    /// Of how many listeners.
    pub listeners: u64,
    /// The busiest, most handshakes first.
    pub strips: Vec<Strip>,
    /// Of all but the [`NAMED`] listeners with most attempts among those that have any.
    pub beyond_named: Quantiles,
}

/// How long the handshakes of one listener took.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// The listener.
    pub server: HostPort,
    /// The quantiles.
    pub quantiles: Quantiles,
    /// Each span with how often it occurs, in no order; in bins no wider than 0.2 % where there were very many.
    pub spans: Vec<(i64, u64)>,
}

impl Listeners {
    /// Takes one connection, whose lives are `lives`. Where comings and goings have to be put together, stretches end at multiples of
    /// `step`. Returns whether its listener was not known before.
    pub fn add(&mut self, report: &ConnectionReport, lives: &Lives, step: i64) -> bool {
        let row = &report.connection;
        let known = self.all.len();
        let place = self.all.place(row.who.server);
        if let Some(fold) = self.all.at(place) {
            let (changes, stretches) = (fold.waiting.kept(), fold.waiting.stretches());
            self.words += fold.add(report, lives);
            self.changes += fold.waiting.kept() - changes;
            self.stretches += fold.waiting.stretches() - stretches;
        }
        let mut beside = |kind, span: Option<i64>| {
            if let Some(span) = span {
                self.words += self.beside.add(kind, span);
            }
        };
        beside(CLOSE_WAITED, row.close_wait_ns[Side::Client.index()]);
        for stay in report.time_wait.iter().filter(|stay| stay.end.is_measured()) {
            beside(TIME_WAITED, stay.duration_ns);
        }
        let is_new = self.all.len() > known;
        if self.all.is_full() {
            self.give_up(MOST / 2);
        }
        if self.changes > self.room.changes || self.stretches > self.room.stretches {
            self.settle(step);
        }
        if self.words > self.room.words {
            self.summarize();
        }
        is_new
    }

    /// Keeps the `keep` listeners with most attempts. What the others told of single listeners is lost, not what they add to the run.
    fn give_up(&mut self, keep: usize) {
        for (_, fold) in self.all.forget(keep, |fold| fold.attempts) {
            self.beside.merge(&fold.spans);
            for (concern, case) in fold.concerns.into_cases() {
                let gone = self.gone.entry(concern).or_default();
                gone.0 += 1;
                gone.1.merge(case);
            }
        }
        self.count();
    }

    fn count(&mut self) {
        (self.changes, self.stretches, self.words) = (0, 0, self.beside.size());
        for fold in self.all.values() {
            self.changes += fold.waiting.kept();
            self.stretches += fold.waiting.stretches();
            self.words += fold.spans.size();
        }
    }

    /// Makes room: the busiest stay told over time as long as there is memory for their stretches, of the others the peaks stay known.
    fn settle(&mut self, step: i64) {
        let (mut stretches, mut changes) = (0, 0);
        let mut busy: Vec<&mut Fold> = self.all.values().collect();
        busy.sort_by_key(|fold| Reverse(fold.waiting.changes()));
        for fold in &mut busy {
            let waiting = &mut fold.waiting;
            if waiting.kept() > FEW {
                waiting.settle((waiting.kept() / 4).min(CHANGES / 16), step);
            }
            if stretches > 0 && stretches + waiting.stretches() > STRETCHES / 2 {
                waiting.collapse();
            }
            stretches += waiting.stretches();
            changes += waiting.kept();
        }
        // Where that did not help there are very many listeners, each with a few changes.
        for fold in busy.iter_mut().skip(1).rev() {
            if changes > CHANGES / 4 * 3 && fold.waiting.kept() > FEW / 4 {
                changes -= fold.waiting.kept();
                fold.waiting.collapse();
            }
        }
        self.count();
        // What is no longer exact need not wait so long for what comes late.
        self.room.changes = (CHANGES / 4).max(2 * self.changes);
        self.room.stretches = STRETCHES.max(2 * self.stretches);
    }

    fn summarize(&mut self) {
        let mut all: Vec<_> = self.all.values().map(|fold| &mut fold.spans).chain([&mut self.beside]).collect();
        make_room(&mut all, WORDS / 2);
        self.count();
        if self.words > 4 * WORDS {
            self.give_up(self.all.len() / 2);
        }
        self.room.words = WORDS.max(2 * self.words);
    }

    /// What they told; over time, if the `queues` are wanted, the listeners where most came and went are told first.
    pub fn finish(self, buckets: Option<Buckets>, queues: bool) -> Told {
        let Self { all, beside, gone, .. } = self;
        let queues = if queues { Queues::default() } else { Queues::unwanted() };
        let mut told = Told { queues, ..Told::default() };
        let parts = || all.iter().map(|(_, fold)| &fold.spans).chain([&beside]);
        let mut apart = parts().all(Samples::is_exact).then(Apart::default);
        if apart.is_none() {
            told.spans = spans(all_quantiles_of(parts()));
        }
        for (concern, beyond) in gone {
            told.concerns.entry(concern).or_default().beyond = beyond;
        }
        let mut folds = all.into_all();
        folds.sort_unstable_by_key(|(server, fold)| (Reverse(fold.waiting.changes()), *server));
        let mut took = Vec::with_capacity(folds.len());
        for (server, fold) in &mut folds {
            let quantiles = apart.as_mut().map_or_else(|| fold.spans.quantiles(), |apart| apart.add(&fold.spans));
            took.push(quantiles[HANDSHAKE]);
            let collapsed = fold.waiting.is_collapsed();
            let mut waiting = std::mem::take(&mut fold.waiting);
            // Who was silent is asked where the accept queue was full, and CLOSE_WAIT over time alone.
            let silent = if fold.overflowed { 0 } else { 1 << SILENT };
            waiting.forget(silent | if told.queues.is_full() { 1 << CLOSE_WAIT } else { 0 });
            let waiting = waiting.finish();
            if fold.attempts > 0 {
                if let Some(buckets) = buckets.filter(|_| !collapsed && !told.queues.is_full()) {
                    told.queues.add(*server, |rows| over_time(&waiting, buckets, rows));
                }
                told.rows.push(fold.row(*server, &waiting, &quantiles));
            }
            for (concern, case) in std::mem::take(&mut fold.concerns).into_cases() {
                told.concerns.entry(concern).or_default().cases.push((*server, case, String::new()));
            }
        }
        told.rows.sort_unstable_by_key(|row| row.server);
        told.queues = told.queues.sorted();
        let named = busiest(&told.rows).into_iter().filter(|row| row.handshake.count > 0).take(NAMED);
        let named: HashSet<HostPort> = named.map(|row| row.server).collect();
        let is_beyond = |server| !named.contains(server);
        let beyond = match apart {
            Some(mut apart) => {
                apart.add(&beside);
                let of = folds.iter().zip(&took).map(|((server, _), took)| (took.count, is_beyond(server)));
                let beyond = apart.of_some(HANDSHAKE, of);
                told.spans = spans(apart.finish());
                beyond
            }
            None => {
                let beyond = folds.iter().filter(|(server, _)| is_beyond(server)).map(|(_, fold)| &fold.spans);
                quantiles_of(beyond.chain([&beside]), HANDSHAKE)
            }
        };
        told.handshakes = Handshakes { beyond_named: beyond, ..handshakes(&folds, &took, &beside) };
        told
    }
}

/// The listeners with the most attempts first; equal ones by address and port.
pub fn busiest(listeners: &[ListenerRow]) -> Vec<&ListenerRow> {
    let mut rows: Vec<_> = listeners.iter().collect();
    rows.sort_by_key(|row| (Reverse(row.attempts), row.server));
    rows
}

fn spans(of: [Quantiles; KINDS]) -> Spans {
    Spans {
        connect: of[CONNECT],
        syn_wait: of[SYN_WAIT],
        handshake: of[HANDSHAKE],
        accept_wait: of[ACCEPT_WAIT],
        close_wait: of[CLOSE_WAITED],
        time_wait_measured: of[TIME_WAITED],
    }
}

/// But for those beyond the named; `took` is how long those of each of the `folds` took.
fn handshakes(folds: &[(HostPort, Fold)], took: &[Quantiles], beside: &Samples<KINDS>) -> Handshakes {
    let mut some: Vec<_> = folds.iter().zip(took).filter(|(_, took)| took.count > 0).collect();
    some.sort_unstable_by_key(|((server, _), took)| (Reverse(took.count), *server));
    let strip = |&((server, fold), took): &(&(HostPort, Fold), &Quantiles)| Strip {
        server: *server,
        quantiles: *took,
        spans: fold.spans.of(HANDSHAKE).collect(),
    };
    Handshakes {
        all: some.iter().map(|(_, took)| took.count).sum::<u64>() + beside.count(HANDSHAKE),
        listeners: some.len() as u64,
        strips: some.iter().take(DRAWN).map(strip).collect(),
        ..Handshakes::default()
    }
}

impl Fold {
    /// Returns how many words of memory more its spans take.
    fn add(&mut self, report: &ConnectionReport, lives: &Lives) -> usize {
        let row = &report.connection;
        // A SYN-ACK without its SYN is `midstream`, yet it shows an attempt.
        let attempt = row.opening != Opening::Midstream || row.syn_ack_packets > 0;
        self.attempts += u64::from(attempt);
        match row.opening {
            Opening::Handshake | Opening::Simultaneous => self.established += 1,
            Opening::Refused => self.refused += 1,
            Opening::NoAnswer => self.no_answer += 1,
            Opening::HalfOpen => self.half_open += 1,
            Opening::Aborted => self.aborted += 1,
            Opening::Unreachable | Opening::Midstream => {}
        }
        let words = self.spans.add_all([
            (CONNECT, row.connect_ns),
            (SYN_WAIT, row.syn_wait_ns),
            (HANDSHAKE, row.handshake_ns),
            (ACCEPT_WAIT, row.accept_wait_ns),
            (CLOSE_WAITED, row.close_wait_ns[Side::Server.index()]),
        ]);
        self.syn_retransmissions += row.syn_retransmissions;
        self.syn_ack_retransmissions += row.syn_ack_retransmissions;
        self.accept_queue_overflows += u64::from(row.accept_queue_overflow);
        self.fin_retransmissions += row.fin_retransmissions.iter().sum::<u64>();
        // Of CLOSE_WAIT nobody asks for the peak; of who is silent only how many were when the queue was full.
        self.waiting.only_sums(CLOSE_WAIT, true);
        if let Some(since) = report.waiting.held_off_since {
            self.overflowed = true;
            self.waiting.ask(SILENT, since);
        }
        self.waiting.only_sums(SILENT, !self.overflowed);
        self.concerns.note(report);
        self.wait(report, lives.of_side(Side::Server));
        words
    }

    /// Notes where the server's end of the connection waited, and how long.
    fn wait(&mut self, report: &ConnectionReport, entries: &[Entry]) {
        let row = &report.connection;
        // What became of an evicted connection nobody knows, so it is counted up to its last packet.
        let evicted = (row.closing == Closing::Evicted).then_some(row.last_ts);
        // Since when it is established, and when it did more than to take note of a FIN.
        let (mut taken, mut acts) = (None, None);
        let mut rest = entries;
        while let [entry, later @ ..] = rest {
            rest = later;
            let until = later.first().map_or(evicted, |next| Some(next.at));
            match entry.state {
                State::SynReceived | State::CloseWait => self.stay(report, entry.state, entry.at, until),
                _ => {}
            }
            match (taken, entry.state) {
                (None, State::Established | State::CloseWait) => taken = Some(entry.at),
                (Some(_), state) if state != State::CloseWait && acts.is_none() => acts = Some(entry.at),
                _ => {}
            }
        }
        for stay in report.time_wait.iter().filter(|stay| stay.side == Side::Server) {
            self.waiting.add(TIME_WAIT, stay.entered_ts, stay.ended_ts.or(evicted));
        }
        if let Some(from) = taken {
            let spoke = [report.waiting.server_spoke, acts].into_iter().flatten().min();
            self.waiting.add(SILENT, from, spoke.or(evicted));
        }
    }

    /// The server's end was in `state`; `None`: it is there still.
    #[inline]
    fn stay(&mut self, report: &ConnectionReport, state: State, from: Timestamp, until: Option<Timestamp>) {
        match state {
            State::SynReceived => {
                let until = until.unwrap_or_else(|| from.plus(HALF_OPEN_LASTS).max(report.connection.last_ts));
                self.waiting.add(SYN_RECEIVED, from, Some(until));
                if let Some(since) = report.waiting.held_off_since {
                    self.waiting.add(HELD_OFF, since.max(from), Some(until));
                }
            }
            State::CloseWait => {
                self.waiting.add(CLOSE_WAIT, from, until);
                self.close_wait_open += u64::from(until.is_none());
            }
            _ => {}
        }
    }

    fn row(&self, server: HostPort, waiting: &History<PLACES>, spans: &[Quantiles; KINDS]) -> ListenerRow {
        let (half_open_peak, half_open_peak_ts) = waiting.peak(SYN_RECEIVED);
        let (held_off_peak, held_off_peak_ts) = waiting.peak(HELD_OFF);
        ListenerRow {
            server,
            attempts: self.attempts,
            established: self.established,
            refused: self.refused,
            no_answer: self.no_answer,
            half_open: self.half_open,
            aborted: self.aborted,
            connect: spans[CONNECT],
            handshake: spans[HANDSHAKE],
            syn_retransmissions: self.syn_retransmissions,
            syn_ack_retransmissions: self.syn_ack_retransmissions,
            half_open_peak,
            half_open_peak_ts,
            accept_queue_overflows: self.accept_queue_overflows,
            fin_retransmissions: self.fin_retransmissions,
            close_wait: spans[CLOSE_WAITED],
            time_wait_peak: waiting.peak(TIME_WAIT).0,
            syn_wait: spans[SYN_WAIT],
            accept_wait: spans[ACCEPT_WAIT],
            held_off_peak,
            held_off_peak_ts,
            // The last of them was ignored, so the queue was full just then; and a full queue holds one at least.
            unaccepted_at_least: (held_off_peak > 0).then_some(held_off_peak + 1),
            // What sits in the queue is established and its server silent. If there is nobody like that, the tap does not see
            // all of the listener's connections.
            accept_queue_at_most: waiting.least(SILENT).filter(|&most| most > 0),
            close_wait_open: self.close_wait_open,
        }
    }
}

fn over_time(waiting: &History<PLACES>, buckets: Buckets, rows: &mut Rows<5>) {
    waiting.in_buckets::<OVER_TIME>(buckets, |bucket, end, levels| {
        // Who came and went inside a bucket shows in the peak of SYN_RECEIVED alone.
        if levels[0].peak > 0 || levels.iter().any(|level| level.at_end > 0) {
            let [syn_received, held_off, close_wait, time_wait] = levels.map(|level| level.at_end);
            rows.push(bucket, end, [syn_received, held_off, close_wait, time_wait, levels[0].peak]);
        }
    });
}

#[cfg(test)]
mod tests;
