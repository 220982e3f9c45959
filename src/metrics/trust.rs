//! How far the figures of a run can be trusted. In: each connection's report, and what the run saw of its captures. Out: how the changes
//! of state are known, how many handshakes were timed, and what limits which figure, in words.

use super::lives::{Changes, Lives};
use super::phrase::{many, thousands};
use super::rows::{AnomalyKind, Closing, ConnectionReport, Opening, Summary};
use crate::time::Span;

/// Longer than any frame of a link with the usual MTU of 1,500 bytes, its tags and headers included.
const USUAL_FRAME: u32 = 1_600;

/// What a run saw of the packets themselves, TCP or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Packets of which the snapshot length left a part only.
    pub cut: u64,
    /// The longest packet, as it was on the wire, in bytes.
    pub longest: u32,
    /// Packets stamped earlier than one before them.
    pub stepped_back: u64,
    /// How far the clock went back at most, against the latest stamp before.
    pub back_at_most: Span,
}

/// The fold, and what it tells: counts of connections, but for `changes` and `copies`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Of all connections.
    pub changes: Changes,
    /// Whose handshake completed as far as the packets tell.
    pub opened: u64,
    /// Of these, with a `handshake_ns`.
    pub timed: u64,
    /// Running when the capture began.
    pub midstream: u64,
    /// Of which neither a SYN nor a SYN-ACK says who the client is.
    pub role_guessed: u64,
    /// Not over when the capture ended.
    pub open: u64,
    /// Of which one side's packets were captured only, although the other one answered.
    pub one_way: u64,
    /// With bytes that were acknowledged and not captured.
    pub gaps: u64,
    /// With a span across which the clock went back.
    pub clock: u64,
    /// Packets that the tap recorded twice.
    pub copies: u64,
}

impl Trust {
    /// Takes one connection, whose lives are `lives`.
    pub fn add(&mut self, report: &ConnectionReport, lives: &Lives) {
        let row = &report.connection;
        self.changes.take(lives.changes());
        let up = matches!(row.opening, Opening::Handshake | Opening::Simultaneous);
        let midstream = row.opening == Opening::Midstream;
        self.opened += u64::from(up);
        self.timed += u64::from(up && row.handshake_ns.is_some());
        self.midstream += u64::from(midstream);
        self.role_guessed += u64::from(!row.who.role_known);
        self.open += u64::from(row.closing == Closing::Open && (up || midstream));
        self.one_way += u64::from((up || midstream) && row.packets.contains(&0));
        self.copies += row.capture_copies[0] + row.capture_copies[1];
        let shows = |kind| u64::from(report.anomalies.iter().any(|row| row.kind == kind));
        if !report.anomalies.is_empty() {
            self.gaps += shows(AnomalyKind::AckOfUnseen);
            self.clock += shows(AnomalyKind::TimeWentBack);
        }
    }
}

/// Something that keeps a figure from being the whole truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// A word for programs.
    pub kind: &'static str,
    /// How many packets or connections it concerns.
    pub count: u64,
    /// What it is, and which figures it touches how.
    pub text: String,
}

/// Everything that limits the figures of a run; none if nothing is known to.
pub fn limits(trust: &Trust, summary: &Summary) -> Vec<Limit> {
    let seen = &summary.seen;
    let drops: u64 = summary.captures.iter().filter_map(|capture| capture.drops).sum();
    let connections = |n| many(n, "connection");
    let packets = |n| many(n, "packet");
    let mut out = Vec::new();
    let mut push = |kind, count: u64, text: &dyn Fn() -> String| {
        if count > 0 {
            out.push(Limit { kind, count, text: text() });
        }
    };
    push("drops", drops, &|| {
        let share = share(drops, drops.saturating_add(summary.packets));
        let what = "counts are lower bounds, what looks lost on the path is an upper one";
        format!("the tap dropped {} ({share}): {what}", packets(drops))
    });
    push("gaps", trust.gaps, &|| {
        let what =
            "acknowledged bytes that were not captured: their bytes and packets are at least what was on the wire";
        format!("{} with {what}", connections(trust.gaps))
    });
    push("one_way", trust.one_way, &|| {
        format!(
            "{} in one direction only: what the silent side did is inferred from acknowledgements",
            connections(trust.one_way)
        )
    });
    push("midstream", trust.midstream, &|| {
        let guessed = match trust.role_guessed {
            0 => String::new(),
            n => format!("; of {} the client is guessed by its port", thousands(n)),
        };
        format!(
            "{} running when the capture began: no handshake, spans are at least that long{guessed}",
            connections(trust.midstream)
        )
    });
    push("open", trust.open, &|| {
        format!("{} not over when it ended: their spans are at least that long", connections(trust.open))
    });
    push("clock", seen.stepped_back, &|| {
        let touched = match trust.clock {
            0 => "no span is affected".to_owned(),
            n => format!("spans across it are unknown on {}", connections(n)),
        };
        format!(
            "{} stamped earlier than one before, by {} at most: {touched}",
            packets(seen.stepped_back),
            seen.back_at_most
        )
    });
    push("copies", trust.copies, &|| {
        format!("{} recorded twice and counted once: of repeats, the tap's copies are left out", packets(trust.copies))
    });
    push("cut", seen.cut, &|| {
        format!(
            "{} cut by the snapshot length: bytes are counted by the IP header, their contents are missing",
            packets(seen.cut)
        )
    });
    push("offload", u64::from(seen.longest > USUAL_FRAME), &|| {
        let longest = thousands(u64::from(seen.longest));
        format!(
            "packets of up to {longest} bytes (segmentation offload on the capturing host, loopback or jumbo frames): \
             counts of packets are not those of a 1,500-byte link"
        )
    });
    out
}

/// `0.4 %`.
pub fn share(part: u64, all: u64) -> String {
    match (part, part as f64 / all.max(1) as f64 * 100.0) {
        (0, _) => "0 %".to_owned(),
        (_, percent) if part == all => format!("{percent:.0} %"),
        (_, percent) if percent < 0.1 => "below 0.1 %".to_owned(),
        (_, percent) if (10.0..=99.0).contains(&percent) => format!("{percent:.0} %"),
        (_, percent) => format!("{:.1} %", percent.min(99.9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Shape, run};

    #[test]
    fn every_change_that_stands_is_known_in_one_way() {
        let run = run(Shape { connections: 300, ..Shape::default() });
        let mut trust = Trust::default();
        run.reports.iter().for_each(|report| trust.add(report, &Lives::of(report)));
        let standing = run.reports.iter().flat_map(|report| &report.transitions).filter(|change| !change.retracted);
        assert_eq!(trust.changes.all(), standing.count() as u64);
        assert!(trust.timed <= trust.opened);
        assert_eq!(run.told().trust, trust);
    }

    #[test]
    fn a_side_without_packets_is_no_attempt_without_an_answer() {
        let mut report = run(Shape { connections: 1, ..Shape::default() }).reports.remove(0);
        report.connection.opening = Opening::NoAnswer;
        report.connection.packets = [3, 0];
        let mut trust = Trust::default();
        trust.add(&report, &Lives::of(&report));
        assert_eq!(trust.one_way, 0);
        report.connection.opening = Opening::Handshake;
        trust.add(&report, &Lives::of(&report));
        assert_eq!(trust.one_way, 1);
    }

    #[test]
    fn limits_name_what_they_touch_and_nothing_gives_none() {
        let mut summary = run(Shape::default()).summary;
        summary.seen = Seen { longest: 1_514, ..Seen::default() };
        summary.captures.iter_mut().for_each(|capture| capture.drops = None);
        assert_eq!(limits(&Trust::default(), &summary), []);
        summary.seen = Seen { cut: 12, longest: 65_226, stepped_back: 2, back_at_most: Span::from_secs(3) };
        let trust = Trust { midstream: 3, role_guessed: 2, clock: 1, ..Trust::default() };
        let kinds: Vec<_> = limits(&trust, &summary).into_iter().map(|limit| (limit.kind, limit.count)).collect();
        assert_eq!(kinds, [("midstream", 3), ("clock", 2), ("cut", 12), ("offload", 1)]);
        let texts = limits(&trust, &summary);
        assert!(texts[0].text.ends_with("of 2 the client is guessed by its port"), "{:?}", texts[0]);
        assert!(texts[1].text.contains("by 3.00 s at most: spans across it are unknown on 1 connection"));
    }

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        assert_eq!(
            [(0, 5), (5, 5), (1, 1_000_000), (999_999, 1_000_000), (1, 250), (1, 3)]
                .map(|(part, all)| share(part, all)),
            ["0 %", "100 %", "below 0.1 %", "99.9 %", "0.4 %", "33 %"]
        );
    }
}
