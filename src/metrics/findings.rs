//! What looks wrong in a run. In: its tables and summary. Out: findings, the gravest first, each with the frames to look at.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::overview::by_id;
use super::phrase::{many, thousands};
use super::rows::{AnomalyKind, Closing, ConnectionRow, Opening, Summary, Tables};
use crate::tcp::segment::{FrameId, HostPort};
use crate::tcp::state::{Side, State};
use crate::time::Span;

mod finding;
mod half_open;
mod ports;

use finding::{Case, Gathered};
pub use finding::{Finding, Severity};

/// A stay in CLOSE_WAIT from which on the application is said not to close.
const LONG_CLOSE_WAIT: Span = Span::from_secs(10);

/// Everything in a run that is worth a look, the gravest first, then the kinds with the most cases.
pub fn findings(tables: &Tables, summary: &Summary) -> Vec<Finding> {
    let mut out = Vec::new();
    tap(&mut out, summary);
    accept_queues(&mut out, tables);
    close_wait(&mut out, tables);
    let explained = half_open::tell(&mut out, tables, summary.last_ts);
    attempts(&mut out, tables, &explained);
    repeats(&mut out, tables);
    resets(&mut out, tables);
    ports::tell(&mut out, tables);
    anomalies(&mut out, tables);
    // A kind's findings stay together, in the order they were told.
    let mut weight: HashMap<(Severity, &'static str), u64> = HashMap::new();
    for finding in &out {
        let sum = weight.entry((finding.severity, finding.kind)).or_default();
        *sum = sum.saturating_add(finding.count);
    }
    out.sort_by_key(|finding| {
        let weight = weight.get(&(finding.severity, finding.kind)).copied();
        (finding.severity, std::cmp::Reverse(weight), finding.kind)
    });
    out
}

/// What the tap or the run itself lost.
fn tap(out: &mut Vec<Finding>, summary: &Summary) {
    for capture in &summary.captures {
        let mut push = |kind, text, count| {
            let subject = capture.path.clone();
            out.push(Finding { severity: Severity::Serious, kind, subject, text, count, frames: Vec::new() });
        };
        if let Some(drops @ 1..) = capture.drops {
            let text =
                format!("the tap dropped {}: what is missing looks like loss on the path", many(drops, "packet"));
            push("tap_drops", text, drops);
        }
        if let Some(error) = &capture.error {
            let read = many(capture.packets, "packet");
            push("input_incomplete", format!("not read to its end: {error} ({read} read)"), u64::MAX);
        }
    }
    if summary.evictions > 0 {
        out.push(Finding {
            severity: Severity::Serious,
            kind: "evictions",
            subject: "finwait".into(),
            text: format!(
                "{} given up to stay within memory: their rows end early",
                many(summary.evictions, "connection")
            ),
            count: summary.evictions,
            frames: Vec::new(),
        });
    }
}

/// Listeners whose accept queue was full, with how long they ignored final ACKs.
fn accept_queues(out: &mut Vec<Finding>, tables: &Tables) {
    let mut gathered = Gathered::new();
    for row in tables.connections.iter().filter(|row| row.accept_queue_overflow) {
        gathered.at(row.who.server).note(0, row.accept_wait_ns, Some(row.first_frame));
    }
    for row in tables.listeners.iter().filter(|row| row.accept_queue_overflows > 0) {
        let most = row.accept_queue_at_most.map(|most| format!("; the queue holds no more than {}", thousands(most)));
        let at_once = format!(", up to {} at once{}", thousands(row.held_off_peak), most.unwrap_or_default());
        gathered.at(row.server).more = at_once;
    }
    gathered.tell(
        out,
        "accept_queue_overflow",
        "listeners",
        |_| Severity::Serious,
        |case| {
            let waited = case.range().map_or_else(String::new, |range| format!(", {range} from the final ACK on"));
            let who = many(case.connections, "connection");
            format!("accept queue full: {who} kept waiting by it{waited}{}", case.more)
        },
    );
}

/// Applications that do not close.
fn close_wait(out: &mut Vec<Finding>, tables: &Tables) {
    let long = |row: &ConnectionRow, side: Side| {
        row.close_wait_ns[side.index()].filter(|&nanos| nanos >= LONG_CLOSE_WAIT.as_nanos())
    };
    let concerned = |id: &u64, side: Side, rows: &HashMap<u64, &ConnectionRow>| {
        rows.get(id).is_some_and(|row| long(row, side).is_some())
    };
    let stays_open = |row: &ConnectionRow, side: Side| u64::from(row.states[side.index()] == Some(State::CloseWait));
    let rows = by_id(tables);
    let mut entered: HashMap<(u64, Side), FrameId> = HashMap::new();
    for change in tables.transitions.iter().filter(|change| change.to_state == State::CloseWait && !change.retracted) {
        if let Some(frame) = change.frame.filter(|_| concerned(&change.conn_id, change.side, &rows)) {
            entered.insert((change.conn_id, change.side), frame);
        }
    }
    let mut by_server = Gathered::new();
    let mut by_client = Gathered::new();
    for row in &tables.connections {
        let frame = |side| entered.get(&(row.conn_id, side)).copied().or(Some(row.last_frame));
        if let Some(nanos) = long(row, Side::Server) {
            by_server.at(row.who.server).note(stays_open(row, Side::Server), Some(nanos), frame(Side::Server));
        }
        if let Some(nanos) = long(row, Side::Client) {
            by_client.at(row.who.client.ip).note(stays_open(row, Side::Client), Some(nanos), frame(Side::Client));
        }
    }
    let text = |case: &Case| {
        let (connections, range) = (many(case.connections, "connection"), case.range().unwrap_or_default());
        let open = match case.packets {
            0 => String::new(),
            open if open == case.connections => ", still in it at the capture's end".to_owned(),
            open => format!(", {} still in it at the capture's end", thousands(open)),
        };
        format!("{connections} in CLOSE_WAIT for {range}{open}: the application does not close")
    };
    by_server.tell(out, "close_wait", "listeners", |_| Severity::Serious, text);
    by_client.tell(out, "close_wait", "clients", |_| Severity::Serious, text);
}

/// Attempts that came to nothing. A listener that never let anyone in is graver than one that sometimes did not.
/// Half-open ones of the listeners in `explained` have been told already.
fn attempts(out: &mut Vec<Finding>, tables: &Tables, explained: &HashSet<HostPort>) {
    let kinds: [(Opening, &'static str, &str); 5] = [
        (Opening::NoAnswer, "no_answer", "unanswered"),
        (Opening::Refused, "refused", "refused"),
        (Opening::Unreachable, "unreachable", "answered by an ICMP error"),
        (Opening::HalfOpen, "half_open", "left half-open: the SYN-ACK was never acknowledged"),
        (Opening::Aborted, "aborted", "reset by the client before they completed"),
    ];
    for (opening, kind, what) in kinds {
        let mut gathered = Gathered::new();
        let told = |row: &ConnectionRow| opening == Opening::HalfOpen && explained.contains(&row.who.server);
        for row in tables.connections.iter().filter(|row| row.opening == opening && !told(row)) {
            gathered.at(row.who.server).note(row.syn_packets, None, Some(row.first_frame));
        }
        let severity = if opening == Opening::Unreachable { Severity::Serious } else { Severity::Notice };
        gathered.tell(
            out,
            kind,
            "listeners",
            |_| severity,
            |case| {
                let syns = if opening == Opening::NoAnswer {
                    format!(" ({})", many(case.packets, "SYN"))
                } else {
                    String::new()
                };
                format!("{} {what}{syns}", many(case.connections, "attempt"))
            },
        );
    }
}

/// SYNs and SYN-ACKs that came again although the attempt succeeded in the end.
fn repeats(out: &mut Vec<Finding>, tables: &Tables) {
    let mut syns = Gathered::<HostPort>::new();
    let mut syn_acks = Gathered::<HostPort>::new();
    for row in tables.connections.iter().filter(|row| matches!(row.opening, Opening::Handshake | Opening::Simultaneous))
    {
        if row.syn_retransmissions > 0 {
            let waited = row.syn_wait_ns.filter(|&nanos| nanos > 0);
            syns.at(row.who.server).note(row.syn_retransmissions, waited, Some(row.first_frame));
        }
        if row.syn_ack_retransmissions > 0 && !row.accept_queue_overflow {
            syn_acks.at(row.who.server).note(row.syn_ack_retransmissions, None, Some(row.first_frame));
        }
    }
    for row in tables.listeners.iter().filter(|row| row.accept_queue_overflows > 0) {
        if let Some(case) = syns.cases.get_mut(&row.server) {
            case.more = "; a full accept queue drops SYNs, too".to_owned();
        }
    }
    syns.tell(
        out,
        "syn_repeated",
        "listeners",
        |_| Severity::Notice,
        |case| {
            let repeated =
                format!("{} repeated on {}", many(case.packets, "SYN"), many(case.connections, "connection"));
            match (case.spans.len() as u64, case.range()) {
                (waited, Some(range)) => {
                    let total = if waited > 1 { format!(", {} in all", case.total()) } else { String::new() };
                    format!("{repeated}: {} waited {range} for that{total}{}", thousands(waited), case.more)
                }
                _ => format!("{repeated}{}", case.more),
            }
        },
    );
    syn_acks.tell(
        out,
        "syn_ack_repeated",
        "listeners",
        |_| Severity::Notice,
        |case| format!("{} repeated on {}", many(case.packets, "SYN-ACK"), many(case.connections, "connection")),
    );
}

/// Connections that were up and ended with an RST.
fn resets(out: &mut Vec<Finding>, tables: &Tables) {
    let up =
        |row: &&ConnectionRow| matches!(row.opening, Opening::Handshake | Opening::Simultaneous | Opening::Midstream);
    for (closing, kind, who) in [
        (Closing::ResetByServer, "reset_by_server", "the server"),
        (Closing::ResetByClient, "reset_by_client", "the client"),
    ] {
        let mut gathered = Gathered::new();
        for row in tables.connections.iter().filter(up).filter(|row| row.closing == closing) {
            gathered.at(row.who.server).note(0, None, Some(row.last_frame));
        }
        gathered.tell(
            out,
            kind,
            "listeners",
            |_| Severity::Notice,
            |case| format!("{} reset by {who}", many(case.connections, "connection")),
        );
    }
}

/// Anomalies that say something about the path, the tap or a stack, a finding a kind.
fn anomalies(out: &mut Vec<Finding>, tables: &Tables) {
    let mut by_kind: BTreeMap<AnomalyKind, Case> = BTreeMap::new();
    for row in &tables.anomalies {
        by_kind.entry(row.kind).or_default().note(row.count, None, Some(row.frame));
    }
    for (kind, case) in by_kind {
        let Some((severity, subject, what)) = meaning(kind) else { continue };
        out.push(Finding {
            severity,
            kind: kind.name(),
            subject: subject.into(),
            text: format!("{} {what}", thousands(case.packets)),
            count: case.packets,
            frames: case.frames,
        });
    }
}

/// How an anomaly reads after its number; `None` for what is part of a healthy connection's life.
fn meaning(kind: AnomalyKind) -> Option<(Severity, &'static str, &'static str)> {
    use AnomalyKind as K;
    use Severity::{Notice, Serious};
    Some(match kind {
        K::CapturedTwice => (Notice, "tap", "× packets recorded twice; left out of the counts"),
        K::TimeWentBack => (Serious, "tap", "× the clock went back: spans across it are unknown"),
        K::AckOfUnseen => {
            (Serious, "tap", "× bytes acknowledged that the capture does not hold: the tap missed packets")
        }
        K::IsnChanged => (Notice, "TCP", "× a SYN came again with another initial sequence number"),
        K::SynInConnection => (Notice, "TCP", "× a SYN inside a live connection"),
        K::ChallengeAck => (Notice, "TCP", "× a challenge ACK refused a SYN or RST"),
        K::RstOutOfWindow => (Notice, "TCP", "× an RST that its receiver ignores: stale or forged"),
        K::DataAfterRst => (Notice, "TCP", "× data sent after a reset"),
        K::DataAfterFin => (Notice, "TCP", "× data beyond the sender's own FIN"),
        K::AckNotSynAck => (Notice, "TCP", "× a SYN answered by an ACK, not a SYN-ACK"),
        K::ZeroWindowProbe => (Notice, "TCP", "× a probe of a closed window: a receiver does not keep up"),
        K::OverlapDiffers => (Serious, "TCP", "× the same bytes sent with other contents"),
        K::BadChecksum => (Notice, "path", "× a wrong TCP checksum"),
        K::TruncatedHeader => (Notice, "tap", "× TCP options cut off or broken"),
        K::PawsRejected => (Notice, "TCP", "× a segment too old by its timestamp (PAWS)"),
        K::OutOfWindow => (Notice, "TCP", "× data or a FIN from far outside the window: stale or forged"),
        K::SplitHandshake => (Notice, "TCP", "× a handshake in four packets"),
        K::KeepAlive | K::RoleFlipped => return None,
    })
}

#[cfg(test)]
mod tests;
