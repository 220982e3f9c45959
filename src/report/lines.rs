//! A connection as a person reads it. In: its row and its stays in TIME_WAIT. Out: the words of one line, which the
//! terminal's list and the page's table share.

use super::text::clean;
use crate::metrics::overview::Overview;
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::{ActiveCloser, App, Closing, ConnectionRow, Filtered, FinCause, Opening};
use crate::tcp::state::Side;
use crate::time::{Span, Timestamp};

/// What stands where nothing is known or nothing happened.
pub const NONE: &str = "·";

/// The headings of [`line`], and whether a column is of numbers.
pub const HEADINGS: [(&str, bool); 10] = [
    ("id", true),
    ("client", false),
    ("server", false),
    ("opened", false),
    ("handshake", true),
    ("closed by", false),
    ("FIN again", true),
    ("TIME_WAIT", false),
    ("lasted", true),
    ("service", false),
];

/// What a filter let pass and what it did not, in phrases.
pub fn filter(filtered: &Filtered) -> Vec<String> {
    let mut phrases = vec![clean(&filtered.expression).into_owned()];
    phrases.extend(filtered.passed_over.map(|n| format!("{} passed over", many(n, "packet"))));
    if !filtered.unfit.is_empty() {
        phrases.push(format!("all packets of {}: it does not fit them", filtered.unfit.join(", ")));
    }
    phrases
}

fn holder(sides: [bool; 2]) -> &'static str {
    match sides {
        [true, true] => "both",
        [true, false] => Side::Client.name(),
        [false, true] => Side::Server.name(),
        [false, false] => NONE,
    }
}

/// The words of one connection, in the order of [`HEADINGS`]; `held`: which sides stayed in TIME_WAIT.
pub fn line(row: &ConnectionRow, held: [bool; 2]) -> [String; HEADINGS.len()] {
    let fins: u64 = row.fin_retransmissions.iter().sum();
    [
        row.conn_id.to_string(),
        row.who.client.to_string(),
        row.who.server.to_string(),
        opening(row.opening).into(),
        span(row.handshake_ns),
        closed_by(row),
        if fins == 0 { NONE.into() } else { thousands(fins) },
        holder(held).into(),
        row.last_ts.since(row.first_ts).to_string(),
        service(row.called.app, row.called.name.as_deref()),
    ]
}

/// What a service is called: its name, else what it speaks.
pub fn service(app: Option<App>, name: Option<&str>) -> String {
    match (app, name) {
        (_, Some(name)) => name.to_owned(),
        (Some(app), None) => app.name().to_owned(),
        (None, None) => NONE.to_owned(),
    }
}

/// A span with its unit, or [`NONE`].
pub fn span(nanos: Option<i64>) -> String {
    nanos.map_or_else(|| NONE.into(), |nanos| Span::from_nanos(nanos).to_string())
}

/// How an opening reads.
pub const fn opening(opening: Opening) -> &'static str {
    match opening {
        Opening::Handshake => "handshake",
        Opening::Simultaneous => "simultaneous",
        Opening::Refused => "refused",
        Opening::NoAnswer => "no answer",
        Opening::HalfOpen => "half-open",
        Opening::Aborted => "aborted",
        Opening::Unreachable => "unreachable",
        Opening::Midstream => "already running",
    }
}

/// How a closing reads.
pub const fn closing(closing: Closing) -> &'static str {
    match closing {
        Closing::Fin => "FIN",
        Closing::Simultaneous => "simultaneous",
        Closing::Unfinished => "FIN never acknowledged",
        Closing::HalfClosed => "half-closed",
        Closing::ResetByClient => "reset by client",
        Closing::ResetByServer => "reset by server",
        Closing::Open => "still open",
        Closing::Evicted => "given up",
    }
}

/// How the cause of a repeated FIN reads after its number.
pub const fn cause(cause: FinCause) -> &'static str {
    match cause {
        FinCause::FinLost => "FIN lost",
        FinCause::AckLost => "its ACK lost",
        FinCause::Unanswered => "unanswered",
        FinCause::Undecided => "undecided",
    }
}

fn closed_by(row: &ConnectionRow) -> String {
    let closer = match row.active_closer {
        Some(ActiveCloser::Both) => "both",
        Some(ActiveCloser::Client) => "client",
        Some(ActiveCloser::Server) => "server",
        None => "",
    };
    match row.closing {
        Closing::Fin | Closing::Simultaneous => format!("{closer} FIN"),
        Closing::Unfinished => format!("{closer} FIN, unacked"),
        Closing::HalfClosed => format!("{closer} FIN, half"),
        // The opening says it already.
        Closing::ResetByServer if row.opening == Opening::Refused => NONE.into(),
        Closing::ResetByClient if row.opening == Opening::Aborted => NONE.into(),
        Closing::ResetByClient => "client RST".into(),
        Closing::ResetByServer => "server RST".into(),
        Closing::Open => NONE.into(),
        Closing::Evicted => "given up".into(),
    }
}

/// What is to be said of TIME_WAIT in a run, a phrase each; none without stays.
pub fn time_wait(overview: &Overview) -> Vec<String> {
    use crate::metrics::rows::TimeWaitEnd as End;
    let of = &overview.time_wait;
    let Some((holder, held)) = of.by_holder.first() else { return Vec::new() };
    let share = held * 100 / of.stays.max(1);
    let stays = many(of.stays, "stay");
    let mut phrases = vec![match of.holders {
        1 => format!("{stays}, all on {holder}"),
        _ if share >= 50 => format!("{stays}, {share} % on {holder}"),
        n => format!("{stays} on {} addresses, most on {holder} ({share} %)", thousands(n)),
    }];
    if let Some(ts) = of.peak_ts.filter(|_| of.peak > 1) {
        phrases.push(format!("peak {} at {}", thousands(of.peak), clock(ts)));
    }
    if of.restarts > 0 {
        phrases.push(many(of.restarts, "restart"));
    }
    let ended = |end| overview.time_wait_ended_as(end);
    if let Some((least, most)) = of.reused_ns {
        let [least, most] = [least, most].map(Span::from_nanos);
        let range = if least == most { format!("{most}") } else { format!("{least} to {most}") };
        phrases.push(format!("{} ended early by reuse ({range})", thousands(ended(End::Reused))));
    }
    for (end, words) in [(End::AnsweredReset, "answered a late segment with an RST"), (End::Reset, "killed by an RST")]
    {
        if ended(end) > 0 {
            phrases.push(format!("{} {words}", thousands(ended(end))));
        }
    }
    if ended(End::CaptureEnd) > 0 {
        phrases.push(format!("{} still in it at the capture's end", thousands(ended(End::CaptureEnd))));
    }
    if let Some(assumed) = of.assumed_ns.filter(|_| ended(End::Assumed) > 0) {
        let assumed = Span::from_nanos(assumed);
        phrases.push(format!("{} end after an assumed {assumed} (--time-wait)", thousands(ended(End::Assumed))));
    }
    phrases
}

/// `14:03:11`, UTC.
pub fn clock(ts: Timestamp) -> String {
    ts.to_string().get(11..19).unwrap_or_default().to_owned()
}
