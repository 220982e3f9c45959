//! What looks wrong in a run. In: each connection's report, in any order, and what the other folds told. Out: findings, the
//! gravest first, each with the frames to look at.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use super::phrase::{many, thousands};
use super::registry::{MOST, Registry};
use super::rows::{AnomalyKind, ConnectionReport, EphemeralPortRow, ListenerRow, Summary};
use crate::tcp::segment::HostPort;
use crate::tcp::state::Side;
use crate::time::Timestamp;

pub(super) mod concern;
pub(super) mod finding;
mod half_open;
mod ports;

use concern::Concern;
use finding::{Case, Gathered};
pub use finding::{Finding, Severity};
use half_open::HalfOpen;
pub use ports::NEAR;

/// The word under which packets are counted that are ICMP errors about segments.
const ICMP_ERROR: &str = "icmp_error";

/// The part of the findings that is not told by listener; [`concern`] has that.
#[derive(Clone, Debug, Default)]
pub struct Suspicions {
    /// Clients whose applications do not close.
    close_wait: Registry<IpAddr, Case>,
    gone: (u64, Case),
    anomalies: BTreeMap<AnomalyKind, Case>,
    half_open: HalfOpen,
}

/// What the listeners told, by [`Concern`].
pub type ByConcern = BTreeMap<Concern, Gathered<HostPort>>;

impl Suspicions {
    /// Takes one connection; the capture is known to reach until `reaches`. `came_in`: its client came in before.
    pub fn add(&mut self, report: &ConnectionReport, reaches: Option<Timestamp>, came_in: bool) {
        if let Some((open, nanos, frame)) = concern::close_wait(report, Side::Client) {
            self.close_wait.entry(report.connection.who.client.ip).note(open, Some(nanos), Some(frame));
            if self.close_wait.is_full() {
                for (_, case) in self.close_wait.forget(MOST / 2, |case| case.connections) {
                    self.gone.0 += 1;
                    self.gone.1.merge(case);
                }
            }
        }
        for row in &report.anomalies {
            self.anomalies.entry(row.kind).or_default().note(row.count, None, Some(row.frame));
        }
        self.half_open.add(&report.connection, reaches, came_in);
    }

    /// The findings of the connections; `end` is when the capture ended.
    pub fn finish(
        self,
        listeners: &[ListenerRow],
        mut concerns: ByConcern,
        ports: &[EphemeralPortRow],
        end: Option<Timestamp>,
    ) -> Vec<Finding> {
        let mut out = Vec::new();
        accept_queues(&mut out, &mut concerns, listeners);
        let clients = Gathered {
            cases: self.close_wait.into_all().into_iter().map(|(ip, case)| (ip, case, String::new())).collect(),
            beyond: self.gone,
        };
        close_wait(&mut out, &mut concerns, clients);
        let explained = self.half_open.tell(&mut out, listeners, end);
        attempts(&mut out, &mut concerns, &explained);
        repeats(&mut out, &mut concerns, listeners);
        resets(&mut out, &mut concerns);
        ports::tell(&mut out, ports);
        anomalies(&mut out, self.anomalies);
        out
    }
}

/// Everything in a run that is worth a look, the gravest first, then the kinds with the most cases: what the connections told, and
/// what the tap and the run itself lost.
pub fn findings(told: &[Finding], summary: &Summary) -> Vec<Finding> {
    let mut out = Vec::new();
    tap(&mut out, summary);
    strangers(&mut out, told, summary);
    out.extend_from_slice(told);
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
                "{} given up to stay within --memory: their rows end early",
                many(summary.evictions, "connection")
            ),
            count: summary.evictions,
            frames: Vec::new(),
        });
    }
}

/// ICMP errors that reached no connection: those that the connections do not tell of.
fn strangers(out: &mut Vec<Finding>, told: &[Finding], summary: &Summary) {
    use AnomalyKind as K;
    let kinds = [K::IcmpUnreachable, K::IcmpFragmentationNeeded, K::IcmpTimeExceeded, K::IcmpHeaderProblem];
    let about = |finding: &&Finding| kinds.iter().any(|kind| kind.name() == finding.kind);
    let known: u64 = told.iter().filter(about).map(|finding| finding.count).sum();
    let all = summary.skipped.iter().find(|reason| reason.0 == ICMP_ERROR).map_or(0, |reason| reason.1);
    let count = all.saturating_sub(known);
    if count > 0 {
        let text = format!(
            "{} of no connection here: addresses translated on the way, or segments that the tap did not see",
            many(count, "ICMP error")
        );
        let kind = "icmp_unmatched";
        out.push(Finding { severity: Severity::Notice, kind, subject: "path".into(), text, count, frames: Vec::new() });
    }
}

fn take(concerns: &mut ByConcern, concern: Concern) -> Gathered<HostPort> {
    concerns.remove(&concern).unwrap_or_default()
}

/// Says `more` of the listeners for which there is some.
fn say_more(
    gathered: &mut Gathered<HostPort>,
    listeners: &[ListenerRow],
    more: impl Fn(&ListenerRow) -> Option<String>,
) {
    for (server, _, said) in &mut gathered.cases {
        // The rows are in the order of listeners.
        let row = listeners.binary_search_by_key(server, |row| row.server).ok().and_then(|at| listeners.get(at));
        if let Some(more) = row.and_then(&more) {
            *said = more;
        }
    }
}

/// Listeners whose accept queue was full, with how long they ignored final ACKs.
fn accept_queues(out: &mut Vec<Finding>, concerns: &mut ByConcern, listeners: &[ListenerRow]) {
    let mut gathered = take(concerns, Concern::AcceptQueue);
    say_more(&mut gathered, listeners, |row| {
        let most = row.accept_queue_at_most.map(|most| format!("; the queue holds no more than {}", thousands(most)));
        Some(format!(", up to {} at once{}", thousands(row.held_off_peak), most.unwrap_or_default()))
    });
    gathered.tell(out, "accept_queue_overflow", "listeners", Severity::Serious, |case, more| {
        let waited = case.range().map_or_else(String::new, |range| format!(", {range} from the final ACK on"));
        format!("accept queue full: {} kept waiting by it{waited}{more}", many(case.connections, "connection"))
    });
}

/// Applications that do not close.
fn close_wait(out: &mut Vec<Finding>, concerns: &mut ByConcern, clients: Gathered<IpAddr>) {
    let text = |case: &Case, _: &str| {
        let (connections, range) = (many(case.connections, "connection"), case.range().unwrap_or_default());
        let open = match case.packets {
            0 => String::new(),
            open if open == case.connections => ", still in it at the capture's end".to_owned(),
            open => format!(", {} still in it at the capture's end", thousands(open)),
        };
        format!("{connections} in CLOSE_WAIT for {range}{open}: the application does not close")
    };
    take(concerns, Concern::CloseWait).tell(out, "close_wait", "listeners", Severity::Serious, text);
    clients.tell(out, "close_wait", "clients", Severity::Serious, text);
}

/// Attempts that came to nothing. A listener that never let anyone in is graver than one that sometimes did not.
/// Half-open ones of the listeners in `explained` have been told already.
fn attempts(out: &mut Vec<Finding>, concerns: &mut ByConcern, explained: &HashSet<HostPort>) {
    let kinds: [(Concern, &'static str, &str); 5] = [
        (Concern::NoAnswer, "no_answer", "unanswered"),
        (Concern::Refused, "refused", "refused"),
        (Concern::Unreachable, "unreachable", "answered by an ICMP error"),
        (Concern::HalfOpen, "half_open", "left half-open: the SYN-ACK was never acknowledged"),
        (Concern::Aborted, "aborted", "reset by the client before they completed"),
    ];
    for (concern, kind, what) in kinds {
        let mut gathered = take(concerns, concern);
        if concern == Concern::HalfOpen {
            gathered.cases.retain(|(server, ..)| !explained.contains(server));
        }
        let severity = if concern == Concern::Unreachable { Severity::Serious } else { Severity::Notice };
        gathered.tell(out, kind, "listeners", severity, |case, _| {
            let syns = match concern {
                Concern::NoAnswer => format!(" ({})", many(case.packets, "SYN")),
                _ => String::new(),
            };
            format!("{} {what}{syns}", many(case.connections, "attempt"))
        });
    }
}

/// SYNs and SYN-ACKs that came again although the attempt succeeded in the end.
fn repeats(out: &mut Vec<Finding>, concerns: &mut ByConcern, listeners: &[ListenerRow]) {
    let mut syns = take(concerns, Concern::SynRepeated);
    say_more(&mut syns, listeners, |row| {
        (row.accept_queue_overflows > 0).then(|| "; a full accept queue drops SYNs, too".to_owned())
    });
    syns.tell(out, "syn_repeated", "listeners", Severity::Notice, |case, more| {
        let repeated = format!("{} repeated on {}", many(case.packets, "SYN"), many(case.connections, "connection"));
        match (case.total(), case.range()) {
            ((waited, total), Some(range)) => {
                let total = if waited > 1 { format!(", {total} in all") } else { String::new() };
                format!("{repeated}: {} waited {range} for that{total}{more}", thousands(waited))
            }
            _ => format!("{repeated}{more}"),
        }
    });
    let syn_acks = take(concerns, Concern::SynAckRepeated);
    syn_acks.tell(out, "syn_ack_repeated", "listeners", Severity::Notice, |case, _| {
        format!("{} repeated on {}", many(case.packets, "SYN-ACK"), many(case.connections, "connection"))
    });
}

/// Connections that were up and ended with an RST.
fn resets(out: &mut Vec<Finding>, concerns: &mut ByConcern) {
    for (concern, kind, who) in [
        (Concern::ResetByServer, "reset_by_server", "the server"),
        (Concern::ResetByClient, "reset_by_client", "the client"),
    ] {
        take(concerns, concern).tell(out, kind, "listeners", Severity::Notice, |case, _| {
            format!("{} reset by {who}", many(case.connections, "connection"))
        });
    }
}

/// Anomalies that say something about the path, the tap or a stack, a finding a kind.
fn anomalies(out: &mut Vec<Finding>, by_kind: BTreeMap<AnomalyKind, Case>) {
    for (kind, case) in by_kind {
        let Some((severity, subject, what)) = meaning(kind) else { continue };
        out.push(Finding {
            severity,
            kind: kind.name(),
            subject: subject.into(),
            text: format!("{} {what}", thousands(case.packets)),
            count: case.packets,
            frames: case.frames(),
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
        K::IcmpUnreachable => (Notice, "path", "× an ICMP error: a segment's destination is unreachable"),
        K::IcmpFragmentationNeeded => (
            Notice,
            "path",
            "× an ICMP error: a segment was longer than the path's MTU; its sender must send shorter ones",
        ),
        K::MtuIgnored => (
            Serious,
            "path",
            "× a segment repeated at a length that an ICMP error had ruled out: a path MTU black hole",
        ),
        K::IcmpTimeExceeded => {
            (Notice, "path", "× an ICMP error: a segment was forwarded too often; traceroute, or a loop")
        }
        K::IcmpHeaderProblem => (Notice, "path", "× an ICMP error: a segment's IP header was not understood"),
        K::KeepAlive | K::RoleFlipped => return None,
    })
}

#[cfg(test)]
mod tests;
