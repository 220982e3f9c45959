//! In: the record of one scenario and what finwait tells at one tap; out: what is wrong with its retransmitted FINs, its stays in
//! TIME_WAIT, its connect() times and its accept-queue overflows.

use std::collections::{BTreeMap, BTreeSet};

use finwait::metrics::rows::{AnomalyKind, ConnectionReport, Opening, TimeWaitEnd};
use finwait::tcp::segment::{Addressed, Flags};
use finwait::tcp::state::{Side, State};
use finwait::time::{Span, Timestamp};

use crate::lives::identity;
use crate::record::{Endpoint, FinPass, Life, Record, Stay};
use crate::told::{Told, endpoint_of};

/// How far connect_ns may be from what the system call took: a busy machine wakes the caller late.
fn wakes(waited: i64) -> i64 {
    (waited / 10).max(2_000_000)
}
/// The same for what the kernel recorded, SYN_SENT to ESTABLISHED.
const CHANGES: i64 = 2_000_000;

/// Right and wrong of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    pub right: usize,
    pub wrong: Vec<String>,
}

impl Tally {
    fn check(&mut self, right: bool, what: impl FnOnce() -> String) {
        if right { self.right += 1 } else { self.wrong.push(what()) }
    }
}

/// The passes of each FIN, the network's copies left out.
fn by_fin(passes: &[FinPass]) -> BTreeMap<(Endpoint, u64), Vec<&FinPass>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for pass in passes.iter().filter(|pass| !pass.copy) {
        found.entry((pass.endpoint, pass.seq)).or_default().push(pass);
    }
    found
}

/// Frames by endpoint that repeat a FIN which had passed this tap before.
fn repeats(passes: &[FinPass]) -> BTreeMap<Endpoint, BTreeSet<u64>> {
    let mut found: BTreeMap<Endpoint, BTreeSet<u64>> = BTreeMap::new();
    for ((endpoint, _), passes) in by_fin(passes) {
        found.entry(endpoint).or_default().extend(passes[1..].iter().map(|pass| pass.frame));
    }
    found
}

/// The first pass of each FIN whose first copy never passed this tap: a repeat, though it looks like none unless something else tells.
pub fn firsts_unseen(record: &Record, tap: usize) -> Vec<&FinPass> {
    by_fin(&record.fins[tap]).into_values().map(|passes| passes[0]).filter(|first| first.emission > 0).collect()
}

/// Every repeated FIN that passed this tap, and no other.
pub fn fins(record: &Record, tap: usize, told: &Told) -> Tally {
    let mut tally = Tally::default();
    let wanted = repeats(&record.fins[tap]);
    let mut found: BTreeMap<Endpoint, BTreeSet<u64>> = BTreeMap::new();
    for report in &told.reports {
        for row in &report.fin_retransmissions {
            found.entry(endpoint_of(report, row.side)).or_default().insert(row.frame.number());
        }
    }
    for (endpoint, frames) in &wanted {
        for frame in frames {
            let there = found.get_mut(endpoint).is_some_and(|found| found.remove(frame));
            tally.check(there, || format!("{} missed the repeated FIN in frame {frame}", endpoint.0));
        }
    }
    for first in firsts_unseen(record, tap) {
        found.entry(first.endpoint).or_default().remove(&first.frame);
    }
    for (endpoint, frames) in found {
        tally
            .wrong
            .extend(frames.iter().map(|frame| format!("{} invented a repeated FIN in frame {frame}", endpoint.0)));
    }
    tally
}

/// How often a stay was restarted by repeated FINs. At the holder's own host that is one number. Elsewhere which of the repeats died behind
/// the tap cannot always be told: between those whose answer passed and those that passed themselves.
fn restarts(record: &Record, life: &Life, tap: usize, told: &Told, host: &Told, stay: &Stay) -> (usize, usize) {
    let (here, there) = life.endpoint;
    let own = life.host.unwrap_or(tap);
    let of_peer = |pass: &&FinPass| !pass.copy && pass.endpoint == (there, here);
    let until = stay.ended.unwrap_or(Timestamp::MAX);
    let in_the_stay = |pass: &&FinPass| pass.ts > stay.entered && pass.ts <= until;
    let arrived: Vec<_> = record.fins[own].iter().filter(of_peer).filter(in_the_stay).collect();
    if own == tap {
        return (arrived.len(), arrived.len());
    }
    let passed = |answer: &Addressed| told.segments.iter().any(|one| identity(one) == identity(answer));
    let answered = arrived.iter().filter(|pass| {
        host.segments.iter().any(|one| {
            let at_once = (0..1_000_000).contains(&one.segment.ts.since(pass.ts).as_nanos());
            (one.src, one.dst) == (here, there) && at_once && passed(one)
        })
    });
    let repeats = record.fins[tap].iter().filter(of_peer).filter(|pass| pass.emission > 0);
    (answered.count(), repeats.count())
}

/// The stays in TIME_WAIT of an endpoint: as many, restarted as often, ended as the kernel's. Their entry is a change of state.
pub fn stays(record: &Record, life: &Life, tap: usize, told: &Told, host: &Told) -> Tally {
    let mut tally = Tally::default();
    let (here, there) = life.endpoint;
    let mut rows = Vec::new();
    for report in &told.reports {
        for row in report.time_wait.iter().filter(|row| endpoint_of(report, row.side) == life.endpoint) {
            let entry = report.transitions.iter().find(|entry| {
                !entry.retracted
                    && entry.side == row.side
                    && entry.to_state == State::TimeWait
                    && entry.ts == row.entered_ts
            });
            rows.push((row, entry.and_then(|entry| entry.frame)));
        }
    }
    if rows.len() != life.stays.len() {
        tally.wrong.push(format!("{here} stays in TIME_WAIT: {} by the kernel, {} told", life.stays.len(), rows.len()));
        return tally;
    }
    for (stay, (row, entered_by)) in life.stays.iter().zip(rows) {
        let until = stay.ended.unwrap_or(Timestamp::MAX);
        let (mut least, most) = restarts(record, life, tap, told, host, stay);
        // Told to have entered by a later FIN, inside its interval all the same: then that one restarted nothing.
        let later = record.fins[tap].iter().any(|pass| {
            pass.endpoint == (there, here)
                && pass.emission > 0
                && Some(pass.frame) == entered_by.map(|frame| frame.number())
        });
        if later && life.host != Some(tap) {
            least = 0;
        }
        let at_the_end: Vec<_> = host
            .segments
            .iter()
            .filter(|one| (one.src, one.dst) == (there, here) || (one.src, one.dst) == (here, there))
            .filter(|one| {
                let since = until.since(one.segment.ts).as_nanos();
                stay.ended.is_some() && (-1_000_000..1_000_000).contains(&since)
            })
            .map(|one| one.segment.flags)
            .collect();
        let end = match stay.ended {
            None => "still there",
            Some(_) if stay.expired => "expired",
            Some(_) if at_the_end.iter().any(|flags| flags.is_bare_syn()) => "reused",
            Some(_) if at_the_end.iter().any(|flags| flags.has_all(Flags::RST)) => "reset",
            Some(_) => "ended",
        };
        // What ended it may never have passed this tap.
        let unseen_end =
            matches!(end, "reset" | "reused") && stay.ended.is_some_and(|ended| ended_unseen(life, told, host, ended));
        let same = match row.end {
            TimeWaitEnd::CaptureEnd | TimeWaitEnd::Assumed if unseen_end => true,
            TimeWaitEnd::CaptureEnd => end == "still there",
            TimeWaitEnd::Assumed | TimeWaitEnd::AnsweredReset => end == "expired",
            TimeWaitEnd::Reused => end == "reused",
            TimeWaitEnd::Reset => end == "reset",
        };
        tally.check(same && (least..=most).contains(&(row.restarts as usize)), || {
            format!(
                "{here} TIME_WAIT since {}: {least} to {most} restarts and {end} by the kernel, {} restarts and {} told",
                stay.entered,
                row.restarts,
                row.end.name()
            )
        });
    }
    tally
}

/// Did none of the packets around the end of a stay, by the host's own capture, pass this tap?
fn ended_unseen(life: &Life, told: &Told, host: &Told, ended: Timestamp) -> bool {
    let (here, there) = life.endpoint;
    let of_it = |one: &&Addressed| (one.src, one.dst) == (there, here) || (one.src, one.dst) == (here, there);
    let near = |one: &&Addressed| (-1_000_000..1_000_000).contains(&ended.since(one.segment.ts).as_nanos());
    let mut around = host.segments.iter().filter(of_it).filter(near);
    around.all(|one| !told.segments.iter().any(|other| identity(other) == identity(one)))
}

/// How long the kernel says a connect() called at `start` took.
fn recorded(record: &Record, endpoint: Endpoint, start: Timestamp) -> Option<i64> {
    let life = record.lives.iter().find(|life| life.endpoint == endpoint)?;
    let began = life.changes.iter().position(|change| change.to == State::SynSent && change.ts >= Some(start))?;
    let [began, opened] = life.changes.get(began..began + 2)? else { return None };
    (opened.to == State::Established).then_some(opened.ts?.since(began.ts?).as_nanos())
}

/// What connect() waited, at the client's own host.
pub fn connects(record: &Record, told: &Told) -> Tally {
    let mut tally = Tally::default();
    let Some(first) = told.segments.first().map(|one| one.segment.ts) else { return tally };
    let in_the_capture = record.connects.iter().filter(|connect| connect.start.plus(Span::from_millis(100)) > first);
    for connect in in_the_capture {
        let began = |ts: Timestamp| {
            let after = ts.since(connect.start).as_nanos();
            (-1_000_000..=connect.ns.unwrap_or(500_000_000)).contains(&after)
        };
        let report = told
            .reports
            .iter()
            .find(|report| endpoint_of(report, Side::Client) == connect.endpoint && began(report.connection.first_ts));
        // An earlier attempt from the same port that nobody answered is the same one by the report contract.
        let same_attempt = || {
            let of_it = |report: &&ConnectionReport| endpoint_of(report, Side::Client) == connect.endpoint;
            let changed =
                |report: &ConnectionReport| report.anomalies.iter().any(|one| one.kind == AnomalyKind::IsnChanged);
            told.reports
                .iter()
                .filter(of_it)
                .any(|report| report.connection.first_ts < connect.start && changed(report))
        };
        if report.is_none() && same_attempt() {
            continue;
        }
        let Some(report) = report else {
            tally.wrong.push(format!("{} connected at {}: no such connection told", connect.endpoint.0, connect.start));
            continue;
        };
        let row = &report.connection;
        let right = match (connect.ns, row.connect_ns) {
            (Some(waited), Some(told)) => {
                let recorded = recorded(record, connect.endpoint, connect.start);
                (waited - told).abs() <= wakes(waited) || recorded.is_some_and(|span| (span - told).abs() <= CHANGES)
            }
            (Some(_), None) => row.opening == Opening::Simultaneous,
            (None, told) => told.is_none(),
        };
        tally.check(right, || {
            let error = connect.error.as_deref().unwrap_or("ok");
            format!(
                "{} connect() took {:?} ns ({error}), told {:?} ({})",
                connect.endpoint.0,
                connect.ns,
                row.connect_ns,
                row.opening.name()
            )
        });
    }
    tally
}

/// Which servers' kernels ignored a final ACK that reached them and then repeated their SYN-ACK past this tap, and which were told to.
pub fn overflows(record: &Record, told: &Told, server: &Told) -> Tally {
    let mut tally = Tally::default();
    for life in &record.lives {
        let (here, there) = life.endpoint;
        for (index, change) in life.changes.iter().enumerate() {
            let (Some(begun), State::SynReceived, State::Listen) = (change.ts, change.to, change.from) else {
                continue;
            };
            let opened = life.changes.get(index + 1).and_then(|next| next.ts);
            let until = opened.unwrap_or(Timestamp::MAX);
            let to_it = |flags: Flags| flags.has_all(Flags::ACK) && !flags.has_any(Flags::SYN.or(Flags::RST));
            let reached = server
                .segments
                .iter()
                .find(|one| (one.src, one.dst) == (there, here) && one.segment.ts >= begun && to_it(one.segment.flags));
            let ignored = reached.filter(|one| one.segment.ts.plus(Span::from_millis(1)) < until);
            let repeated_after = |ack: Timestamp| {
                told.segments.iter().any(|one| {
                    (one.src, one.dst) == (here, there) && one.segment.flags.is_syn_ack() && one.segment.ts > ack
                })
            };
            let passed = ignored.and_then(|ack| {
                told.segments.iter().find(|one| {
                    (one.src, one.dst, one.segment.seq, one.segment.ack)
                        == (ack.src, ack.dst, ack.segment.seq, ack.segment.ack)
                        && to_it(one.segment.flags)
                })
            });
            let wanted = record.listen_overflows > 0 && passed.is_some_and(|ack| repeated_after(ack.segment.ts));
            let report = told.reports.iter().rfind(|report| {
                endpoint_of(report, Side::Server) == life.endpoint
                    && report.connection.first_ts <= begun.plus(Span::from_secs(1))
            });
            let said = report.is_some_and(|report| report.connection.accept_queue_overflow);
            if wanted || said {
                tally.check(wanted == said, || {
                    format!("{here} from {there}: accept queue overflow {wanted}, told {said}")
                });
            }
        }
    }
    tally
}
