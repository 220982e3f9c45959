//! In: one record after the other at one tap; out: the figures of the table, every discrepancy in words, and whether it is enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use finwait::metrics::rows::TransitionRow;
use finwait::tcp::state::State;

use crate::facts::{self, Tally};
use crate::lives::{self, Unseen, Verdict};
use crate::record::{Change, Endpoint, Life, Record, TAPS};
use crate::told::Told;

/// What one tap came to.
#[derive(Debug, Default)]
pub struct Score {
    pub endpoints: usize,
    pub exact: usize,
    pub unseen: BTreeMap<Unseen, usize>,
    /// Lives that differ by what no tap there could see, in words.
    pub explained: Vec<String>,
    pub wrong: Vec<String>,
    /// Changes compared with their interval.
    pub changes: usize,
    pub outside: usize,
    /// Rows that claim to be certain and are not true.
    pub untrue: Vec<String>,
    /// Rows that do not, outside their interval.
    pub doubtful: Vec<String>,
    /// Of bounded intervals, in round trips of the path alone.
    pub widths_of_path: Vec<f64>,
    /// Of bounded intervals, in round trips as a handshake measured them, by kind of change.
    pub widths: BTreeMap<(State, State), Vec<f64>>,
    /// How many intervals have no bound on one side.
    pub unbounded: usize,
    pub fins: Tally,
    pub firsts_unseen: usize,
    pub stays: Tally,
    pub connects: Tally,
    pub overflows: Tally,
}

impl Score {
    /// Takes in one record at one tap; `told` is what all its taps tell.
    pub fn add(&mut self, record: &Record, tap: usize, here: &Told, told: &[Option<Told>; 3]) {
        let by_endpoint = here.lives(record.timers);
        for life in &record.lives {
            let rows = by_endpoint.get(&life.endpoint).map(Vec::as_slice).unwrap_or_default();
            let host = life.host.and_then(|host| told[host].as_ref());
            let verdict = lives::compare(life, rows, here, host);
            self.add_life(record, life, &verdict, rows);
            if verdict.right
                && let Some(host) = host
                && !verdict.unseen.iter().any(|(to, _)| *to == State::TimeWait)
            {
                self.take(record, |score| &mut score.stays, facts::stays(record, life, tap, here, host));
            }
        }
        let at_a_host = |endpoint: &Endpoint| record.lives.iter().any(|life| life.endpoint.0.ip == endpoint.0.ip);
        for (endpoint, rows) in by_endpoint.iter().filter(|(endpoint, _)| at_a_host(endpoint)) {
            if record.timers && !record.lives.iter().any(|life| life.endpoint == *endpoint) {
                self.add_stranger(record, endpoint, rows);
            }
        }
        if record.timers {
            self.take(record, |score| &mut score.fins, facts::fins(record, tap, here));
            self.firsts_unseen += facts::firsts_unseen(record, tap).len();
            if tap == 0 {
                self.take(record, |score| &mut score.connects, facts::connects(record, here));
            }
            if let Some(server) = &told[2] {
                self.take(record, |score| &mut score.overflows, facts::overflows(record, here, server));
            }
        }
    }

    /// Takes in what was told of an endpoint that no kernel had.
    fn add_stranger(&mut self, record: &Record, endpoint: &Endpoint, rows: &[(State, &TransitionRow)]) {
        self.endpoints += 1;
        let told: Vec<_> = rows.iter().map(|(state, _)| *state).collect();
        let said = format!("{} {}: the kernel had no such endpoint, told {told:?}", record.name, endpoint.0);
        if record.cookies > 0 && [State::SynReceived, State::Closed].starts_with(&told) {
            *self.unseen.entry(Unseen::Cookie).or_default() += 1;
            self.explained.push(said);
            return;
        }
        self.untrue.extend(rows.iter().filter(|(_, row)| lives::certain(row)).map(|_| said.clone()));
        self.wrong.push(said);
    }

    fn take(&mut self, record: &Record, which: fn(&mut Self) -> &mut Tally, tally: Tally) {
        let all = which(self);
        all.right += tally.right;
        all.wrong.extend(tally.wrong.into_iter().map(|wrong| format!("{} {wrong}", record.name)));
    }

    fn add_life(&mut self, record: &Record, life: &Life, verdict: &Verdict<'_>, rows: &[(State, &TransitionRow)]) {
        self.endpoints += 1;
        for row in &verdict.false_rows {
            self.untrue.push(format!("{} {}: never happened: {}", record.name, life.endpoint.0, in_words(row)));
        }
        if !verdict.right {
            self.wrong.push(format!(
                "{} {} ↔ {}\n{}",
                record.name,
                life.endpoint.0,
                life.endpoint.1,
                side_by_side(life, rows)
            ));
        } else if let Some((_, why)) = verdict.unseen.first() {
            *self.unseen.entry(*why).or_default() += 1;
            self.explained.push(format!("{} {}: {:?}", record.name, life.endpoint.0, verdict.unseen));
        } else {
            self.exact += 1;
        }
        for (change, row) in &verdict.pairs {
            self.add_change(record, life, *change, row, verdict.right);
        }
    }

    fn add_change(&mut self, record: &Record, life: &Life, change: Change, row: &TransitionRow, right: bool) {
        let Some(ts) = change.ts else { return };
        // Without timers: the listener's own move is not recorded, and a small block may take over before the FIN that TIME_WAIT waits for.
        let small_block =
            (change.from, change.to) == (State::FinWait2, State::Closed) && row.to_state == State::TimeWait;
        if !record.timers && (change.from == State::Listen || small_block) {
            return;
        }
        if right {
            self.changes += 1;
        }
        if !lives::inside(ts, row) {
            let what =
                format!("{} {}: the kernel at {}, told {}", record.name, life.endpoint.0, short(ts), in_words(row));
            if right {
                self.outside += 1;
            }
            if lives::certain(row) { &mut self.untrue } else { &mut self.doubtful }.push(what);
        }
        match (row.earliest_ts, row.latest_ts, life.round_trip_ns) {
            (Some(earliest), Some(latest), Some(round_trip)) => {
                let width = latest.since(earliest).as_nanos() as f64;
                self.widths_of_path.push(width / round_trip as f64);
                let measured = life.measured_ns.unwrap_or(round_trip);
                self.widths.entry((change.from, change.to)).or_default().push(width / measured as f64);
            }
            _ => self.unbounded += 1,
        }
    }

    /// Every discrepancy in words.
    pub fn discrepancies(&self) -> impl Iterator<Item = String> {
        let kinds: [(&str, &[String]); 7] = [
            ("life", &self.wrong),
            ("false certainty", &self.untrue),
            ("outside its interval", &self.doubtful),
            ("FIN", &self.fins.wrong),
            ("TIME_WAIT", &self.stays.wrong),
            ("connect", &self.connects.wrong),
            ("overflow", &self.overflows.wrong),
        ];
        kinds.into_iter().flat_map(|(kind, all)| all.iter().map(move |one| format!("{kind}: {one}")))
    }

    fn width(&self, share: f64) -> Option<f64> {
        quantile(self.widths.values().flatten().copied().collect(), share)
    }
}

fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get((values.len() as f64 * share) as usize).copied()
}

/// A row in words.
fn in_words(row: &TransitionRow) -> String {
    let bound = |ts: Option<finwait::time::Timestamp>| ts.map_or_else(|| "?".to_owned(), short);
    let from = row.from_state.map_or("?", State::name);
    format!(
        "{from} → {} by `{}`{} at {} in [{}, {}] {}{}",
        row.to_state,
        row.trigger.trigger(),
        row.frame.map_or_else(String::new, |frame| format!(" frame {}", frame.number())),
        short(row.ts),
        bound(row.earliest_ts),
        bound(row.latest_ts),
        row.evidence.name(),
        if row.confirmed { " confirmed" } else { "" }
    )
}

/// Minutes, seconds and microseconds of a time: enough to compare within a scenario.
fn short(ts: finwait::time::Timestamp) -> String {
    let micros = ts.as_nanos().div_euclid(1_000) % 3_600_000_000;
    format!("{:02}:{:02}.{:06}", micros / 60_000_000, micros / 1_000_000 % 60, micros % 1_000_000)
}

fn side_by_side(life: &Life, rows: &[(State, &TransitionRow)]) -> String {
    let mut text = String::new();
    for change in &life.changes {
        let when = change.ts.map_or_else(|| "—".to_owned(), short);
        let _ = writeln!(text, "    kernel  {when} {} → {}", change.from, change.to);
    }
    for (_, row) in rows {
        let _ = writeln!(text, "    finwait {}", in_words(row));
    }
    text
}

/// The figures, a tap a column.
pub fn table(scores: &[Score; 3]) -> String {
    let percent = |part: usize, whole: usize| match whole {
        0 => "—".to_owned(),
        _ => format!("{part} ({:.2} %)", part as f64 * 100.0 / whole as f64),
    };
    let tally = |tally: &Tally| format!("{} / {}", tally.right, tally.wrong.len());
    let unseen = |score: &Score, why: Unseen| score.unseen.get(&why).copied().unwrap_or_default().to_string();
    let ratio = |width: Option<f64>| width.map_or_else(|| "—".to_owned(), |width| format!("{width:.2}"));
    type Line<'a> = (&'a str, &'a dyn Fn(&Score) -> String);
    let lines: [Line<'_>; 22] = [
        ("endpoints", &|score| score.endpoints.to_string()),
        ("lives told exactly", &|score| percent(score.exact, score.endpoints)),
        ("  but: began before the capture", &|score| unseen(score, Unseen::BeforeTheCapture)),
        ("  but: gave up without a packet", &|score| unseen(score, Unseen::GaveUp)),
        ("  but: FIN never sent", &|score| unseen(score, Unseen::FinNeverSent)),
        ("  but: never passed this tap", &|score| unseen(score, Unseen::NeverPassed)),
        ("  but: the same attempt by contract", &|score| unseen(score, Unseen::SameAttempt)),
        ("  but: believed what died behind it", &|score| unseen(score, Unseen::DiedBehind)),
        ("  but: only a SYN cookie", &|score| unseen(score, Unseen::Cookie)),
        ("lives wrong", &|score| percent(score.wrong.len(), score.endpoints)),
        ("changes compared", &|score| score.changes.to_string()),
        ("  inside their interval", &|score| percent(score.changes - score.outside, score.changes)),
        ("  median width, round trips", &|score| ratio(score.width(0.5))),
        ("  median in delays of the path alone", &|score| ratio(quantile(score.widths_of_path.clone(), 0.5))),
        ("  90th percentile width", &|score| ratio(score.width(0.9))),
        ("  without a bound", &|score| score.unbounded.to_string()),
        ("false observed or confirmed", &|score| score.untrue.len().to_string()),
        ("repeated FINs right / wrong", &|score| tally(&score.fins)),
        ("  their first copy never passed", &|score| score.firsts_unseen.to_string()),
        ("TIME_WAIT stays right / wrong", &|score| tally(&score.stays)),
        ("connect() times right / wrong", &|score| tally(&score.connects)),
        ("accept-queue overflows right / wrong", &|score| tally(&score.overflows)),
    ];
    let mut text = format!("{:38}", "");
    for tap in TAPS {
        let _ = write!(text, "{tap:>16}");
    }
    for (name, of) in lines {
        let _ = write!(text, "\n{name:38}");
        for score in scores {
            let _ = write!(text, "{:>16}", if score.endpoints == 0 { "—".to_owned() } else { of(score) });
        }
    }
    let kinds: BTreeSet<_> = scores.iter().flat_map(|score| score.widths.keys().copied()).collect();
    let _ = write!(text, "\n\n{:38}", "median / 90th percentile width of");
    for (from, to) in kinds {
        let _ = write!(text, "\n{:38}", format!("  {from} → {to}"));
        for score in scores {
            let widths = score.widths.get(&(from, to)).cloned().unwrap_or_default();
            let both = format!("{} / {}", ratio(quantile(widths.clone(), 0.5)), ratio(quantile(widths, 0.9)));
            let _ = write!(text, "{both:>16}");
        }
    }
    text + "\n"
}

/// Fails where a tap's figures are not good enough.
pub fn pass(scores: &[Score; 3]) {
    for (tap, score) in TAPS.iter().zip(scores).filter(|(_, score)| score.endpoints > 0) {
        let told = score.exact + score.explained.len();
        assert!(told * 100 >= score.endpoints * 99, "{tap}: {told} of {} lives are told", score.endpoints);
        let inside = score.changes - score.outside;
        assert!(
            inside * 1_000 >= score.changes * 995,
            "{tap}: {inside} of {} changes inside their interval",
            score.changes
        );
        assert!(score.untrue.is_empty(), "{tap}: {} false observed or confirmed", score.untrue.len());
        // What ends a stay may die behind the tap with nothing to tell of it.
        let stays = &score.stays;
        assert!(stays.wrong.len() * 200 <= stays.right, "{tap}: {} wrong of kind TIME_WAIT", stays.wrong.len());
        for (what, tally) in [("FIN", &score.fins), ("connect()", &score.connects), ("overflow", &score.overflows)] {
            assert!(tally.wrong.is_empty(), "{tap}: {} wrong of kind {what}", tally.wrong.len());
        }
    }
}
