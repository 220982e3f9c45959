//! One connection as a ladder: its packets between two lanes, each side's state beside them. In: its rows and segments.
//! Out: text.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::metrics::rows::{ConnectionRow, FinCause, FinRetransmissionRow, TransitionRow};
use crate::tcp::segment::{Addressed, Flags, FrameId, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::{Evidence, Side, State};
use crate::time::{Span, Timestamp};

/// Runs of plain packets (nothing changes, no SYN, FIN or RST) longer than this are shortened to their first.
const PLAIN_RUN: usize = 2;
const TIME: usize = 11;
const LANE: usize = 14;
const FRAME: usize = 7;

/// Everything a ladder shows.
#[derive(Clone, Copy, Debug)]
pub struct Ladder<'a> {
    /// The connection.
    pub row: &'a ConnectionRow,
    /// Its changes of state.
    pub transitions: &'a [TransitionRow],
    /// Its repeated FINs.
    pub fins: &'a [FinRetransmissionRow],
    /// Its segments, in the order of the capture.
    pub segments: &'a [Addressed],
    /// Segments that came after those.
    pub more: u64,
    /// The end of the capture.
    pub end: Option<Timestamp>,
    /// Show every packet, plain ones too.
    pub all: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Ladder<'_> {
    /// Writes the ladder.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.head(out)?;
        self.rungs(out)?;
        self.foot(out)
    }

    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let row = self.row;
        write!(out, "connection {}   {} → {}", row.conn_id, row.who.client, row.who.server)?;
        let half = |span: Option<i64>| span.map(|nanos| Span::from_nanos(nanos / 2));
        match (half(row.syn_ack_to_ack_ns), half(row.syn_to_syn_ack_ns)) {
            (Some(client), Some(server)) => {
                writeln!(
                    out,
                    "   tap {}: client {client}, server {server} away",
                    row.tap.name().replace('_', " the ")
                )?;
            }
            _ => writeln!(out)?,
        }
        writeln!(out, "opened {}, closed {}", spoken(row.opening.name()), spoken(row.closing.name()))?;
        let arrow = self.arrow_width();
        writeln!(out, "\n{:>TIME$}   {:LANE$} {:arrow$} {:LANE$} {:>FRAME$}", "time", "CLIENT", "", "SERVER", "frame")
    }

    fn arrow_width(&self) -> usize {
        self.width.saturating_sub(TIME + LANE * 2 + FRAME + 6).clamp(24, 50)
    }

    fn rungs(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut changes: HashMap<FrameId, [Vec<&TransitionRow>; 2]> = HashMap::new();
        for row in self.transitions {
            if let Some(frame) = row.frame {
                changes.entry(frame).or_default()[row.side.index()].push(row);
            }
        }
        let mut seen: [Vec<(u8, SeqNum)>; 2] = Default::default();
        let mut before: Option<Timestamp> = None;
        let mut index = 0;
        while let Some(addressed) = self.segments.get(index) {
            let plain = self.segments[index..].iter().take_while(|next| self.is_plain(next, &changes)).count();
            let shortened = !self.all && plain > PLAIN_RUN;
            self.rung(out, addressed, &changes, &mut seen, before)?;
            before = Some(addressed.segment.ts);
            index += 1;
            if shortened {
                let rest = &self.segments[index..index + plain - 1];
                self.elision(out, rest)?;
                before = rest.last().map(|last| last.segment.ts);
                index += rest.len();
            }
        }
        if self.more > 0 {
            writeln!(out, "{:>TIME$}   ⋮  {} more packets", "", self.more)?;
        }
        for row in self.transitions.iter().filter(|row| row.frame.is_none() && !row.retracted) {
            let later = before.map_or(Span::ZERO, |before| row.ts.since(before));
            let state = marked(row);
            let (client, server) =
                if row.side == Side::Client { (state, String::new()) } else { (String::new(), state) };
            let (later, arrow) = (format!("{later} later"), self.arrow_width());
            let line = format!("{later:>TIME$}   {client:LANE$} {:arrow$} {server}", "");
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn is_plain(&self, addressed: &Addressed, changes: &HashMap<FrameId, [Vec<&TransitionRow>; 2]>) -> bool {
        let seg = &addressed.segment;
        !changes.contains_key(&seg.frame) && !seg.flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST))
    }

    fn side(&self, addressed: &Addressed) -> Side {
        if addressed.src == self.row.who.client { Side::Client } else { Side::Server }
    }

    fn rung(
        &self,
        out: &mut dyn Write,
        addressed: &Addressed,
        changes: &HashMap<FrameId, [Vec<&TransitionRow>; 2]>,
        seen: &mut [Vec<(u8, SeqNum)>; 2],
        before: Option<Timestamp>,
    ) -> io::Result<()> {
        let (seg, side) = (&addressed.segment, self.side(addressed));
        let time = match before {
            None => "0".to_owned(),
            Some(before) if seg.ts >= before => format!("+{}", seg.ts.since(before)),
            Some(before) => seg.ts.since(before).to_string(),
        };
        let no_change = Default::default();
        let rows = changes.get(&seg.frame).unwrap_or(&no_change);
        let receiver = &rows[side.peer().index()];
        let died = !receiver.is_empty() && receiver.iter().all(|row| row.retracted);
        let mut states = Side::BOTH.map(|lane| rows[lane.index()].iter().map(|row| marked(row)).collect::<Vec<_>>());
        let restarts = self.fins.iter().find(|fin| fin.frame == seg.frame);
        if restarts.is_some_and(|fin| fin.receiver_state == Some(State::TimeWait)) && !died {
            states[side.peer().index()].push("TIME_WAIT ↻".to_owned());
        }
        let label = label(seg, &mut seen[side.index()]);
        let arrow = arrow(&label, side, died, self.arrow_width());
        let cell = |lane: usize, at: usize| states[lane].get(at).map_or("", String::as_str);
        writeln!(
            out,
            "{time:>TIME$}   {:LANE$} {arrow} {:LANE$} {:>FRAME$}",
            cell(0, 0),
            cell(1, 0),
            seg.frame.number()
        )?;
        let width = self.arrow_width();
        for at in 1..states[0].len().max(states[1].len()) {
            let line = format!("{:TIME$}   {:LANE$} {:width$} {}", "", cell(0, at), "", cell(1, at));
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn elision(&self, out: &mut dyn Write, rest: &[Addressed]) -> io::Result<()> {
        let mut bytes = [0_u64; 2];
        for addressed in rest {
            bytes[self.side(addressed).index()] += u64::from(addressed.segment.payload_len);
        }
        let mut text = format!("⋮  {} more packet{}", rest.len(), if rest.len() == 1 { "" } else { "s" });
        for (count, way) in [(bytes[0], "there"), (bytes[1], "back")] {
            if count > 0 {
                let _ = write!(text, ", {} {way}", spoken_bytes(count));
            }
        }
        writeln!(out, "{:>TIME$}   {text}", "")
    }

    fn foot(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        for (side, lead) in Side::BOTH.into_iter().zip(["in each state   client", "                server"]) {
            let dwells = self.dwells(side);
            if dwells.is_empty() {
                writeln!(out, "{lead}: nothing is known")?;
            } else {
                writeln!(out, "{lead}: {}", dwells.join(" · "))?;
            }
        }
        for fin in self.fins {
            let after =
                fin.since_previous_ns.map_or(String::new(), |nanos| format!(" after {}", Span::from_nanos(nanos)));
            let why = match fin.cause {
                FinCause::FinLost => "no ACK of it had passed, and it had not arrived",
                FinCause::AckLost => "its ACK had been sent and was lost",
                FinCause::Unanswered => "nothing answers any more",
                FinCause::Undecided => "the packets do not tell why",
            };
            writeln!(out, "FIN again       {}, frame {}{after}: {why}", fin.side, fin.frame.number())?;
        }
        writeln!(
            out,
            "                ? inferred   ~ assumed   ! believed then, disproved later   ✗ did not act behind the tap"
        )
    }

    /// `SYN_SENT 1.6 ms`, in order; the last one is open.
    fn dwells(&self, side: Side) -> Vec<String> {
        let life: Vec<&TransitionRow> =
            self.transitions.iter().filter(|row| row.side == side && !row.retracted).collect();
        let mut dwells = Vec::new();
        for (at, row) in life.iter().enumerate() {
            let next = life.get(at + 1);
            let assumed = next.is_some_and(|next| next.evidence == Evidence::Assumed);
            match (next.map(|next| next.ts).or(self.end), row.to_state) {
                (None, state) | (Some(_), state @ State::Closed) => dwells.push(state.name().to_owned()),
                (Some(until), state) => dwells.push(format!(
                    "{} {}{}",
                    state.name(),
                    until.since(row.ts),
                    match (assumed, next) {
                        (true, _) => " (assumed end)",
                        (false, None) => " so far",
                        _ => "",
                    }
                )),
            }
        }
        dwells
    }
}

fn marked(row: &TransitionRow) -> String {
    let mark = match (row.retracted, row.evidence) {
        (true, _) => "!",
        (false, Evidence::Observed) => "",
        (false, Evidence::Inferred) => "?",
        (false, Evidence::Assumed) => "~",
    };
    format!("{}{mark}", row.to_state)
}

fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

fn spoken_bytes(count: u64) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}

/// What a segment says: `SYN`, `FIN,ACK again`, `371 bytes`, `ACK`.
fn label(seg: &Segment, seen: &mut Vec<(u8, SeqNum)>) -> String {
    let mut text = String::new();
    let control = Flags::SYN.or(Flags::FIN).or(Flags::RST);
    if seg.flags.has_any(control) || seg.payload_len == 0 {
        text = seg.flags.to_string();
    }
    if seg.payload_len > 0 {
        let _ = write!(text, "{}{}", if text.is_empty() { "" } else { " " }, spoken_bytes(u64::from(seg.payload_len)));
    }
    if seg.flags.has_any(Flags::SYN.or(Flags::FIN)) {
        let kind = seg.flags.bits() & (Flags::SYN.or(Flags::FIN).or(Flags::RST)).bits();
        let mark = (kind, if seg.flags.has_all(Flags::FIN) { seg.end() } else { seg.seq });
        if seen.contains(&mark) {
            text.push_str(" again");
        } else {
            seen.push(mark);
        }
    }
    text
}

/// `── SYN ─────▶` from left to right, `◀───── SYN,ACK ──` from right to left; `✗` where it died.
fn arrow(label: &str, from: Side, died: bool, width: usize) -> String {
    let line = |count: usize| "─".repeat(count);
    let rest = width.saturating_sub(label.chars().count() + 5);
    match (from, died) {
        (Side::Client, false) => format!("── {label} {}▶", line(rest)),
        (Side::Client, true) => format!("── {label} {}✗", line(rest)),
        (Side::Server, false) => format!("◀{} {label} ──", line(rest)),
        (Side::Server, true) => format!("✗{} {label} ──", line(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::parse::{Numbers, Script};
    use crate::script::run;
    use crate::tcp::segment::HostPort;

    fn ladder(script: &str, all: bool) -> String {
        let numbers = Numbers::default();
        let script = Script::parse(script, numbers).unwrap();
        let end = |ip: [u8; 4], port| HostPort::new(ip.into(), port);
        let ends = [end([10, 0, 0, 1], 40_000), end([10, 0, 0, 2], 80)];
        let mut reports = run::run(&script, ends, numbers).unwrap();
        let mut report = reports.remove(0);
        report.connection.conn_id = 1;
        let mut text = Vec::new();
        Ladder {
            row: &report.connection,
            transitions: &report.transitions,
            fins: &report.fin_retransmissions,
            segments: &run::addressed(&script, ends),
            more: 0,
            end: Some(script.end(numbers)),
            all,
            width: 89,
        }
        .write(&mut text)
        .unwrap();
        String::from_utf8(text).unwrap()
    }

    const LAST_ACK_LOST: &str = "
+0         SYN         ------------------>
+40ms                  <------------------         SYN,ACK
+1ms       ACK         ------------------>
+1ms       300 bytes   ------------------>
+1ms                   <------------------      200 bytes
+1ms       ACK         ------------------>
+10ms      FIN,ACK     ------------------>
+40ms                  <------------------         FIN,ACK
+1ms       ACK         -----------------x
+200ms                 <------------------   FIN,ACK again
+1ms       ACK         ------------------>
+60s       -
";

    #[test]
    fn the_textbook_figure() {
        let got = ladder(LAST_ACK_LOST, false);
        let want = "\
connection 1   10.0.0.1:40000 → 10.0.0.2:80   tap near the client: client 500 µs, server 20.0 ms away
opened handshake, closed fin

       time   CLIENT                                               SERVER           frame
          0   SYN_SENT       ── SYN ─────────────────────────────▶ SYN_RECEIVED?        1
   +40.0 ms   ESTABLISHED?   ◀───────────────────────── SYN,ACK ──                      2
   +1.00 ms                  ── ACK ─────────────────────────────▶ ESTABLISHED?         3
   +1.00 ms                  ── 300 bytes ───────────────────────▶                      4
              ⋮  2 more packets, 200 bytes back
   +10.0 ms   FIN_WAIT_1     ── FIN,ACK ─────────────────────────▶ CLOSE_WAIT?          7
   +40.0 ms   FIN_WAIT_2?    ◀───────────────────────── FIN,ACK ── LAST_ACK             8
              TIME_WAIT?
   +1.00 ms                  ── ACK ─────────────────────────────✗ CLOSED!              9
    +200 ms   TIME_WAIT ↻    ◀─────────────────── FIN,ACK again ──                     10
   +1.00 ms                  ── ACK ─────────────────────────────▶ CLOSED?             11
60.0 s later   CLOSED~

in each state   client: SYN_SENT 40.0 ms · ESTABLISHED 14.0 ms · FIN_WAIT_1 40.0 ms · FIN_WAIT_2 0 ns · TIME_WAIT 60.2 s (assumed end) · CLOSED
                server: SYN_RECEIVED 41.0 ms · ESTABLISHED 13.0 ms · CLOSE_WAIT 40.0 ms · LAST_ACK 202 ms · CLOSED
FIN again       server, frame 10 after 201 ms: its ACK had been sent and was lost
                ? inferred   ~ assumed   ! believed then, disproved later   ✗ did not act behind the tap
";
        assert_eq!(got, want, "\n{got}");
    }

    #[test]
    fn every_packet_on_demand() {
        let got = ladder(LAST_ACK_LOST, true);
        assert!(!got.contains('⋮') && got.contains("200 bytes ──"), "\n{got}");
    }
}
