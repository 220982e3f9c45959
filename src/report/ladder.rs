//! One connection as a ladder. In: its rows and its segments. Out: text: time, packets between two lanes, each side's states
//! beside them; a `?` is inferred, a `~` assumed, a `!` was believed and taken back.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::terminal::Style;
use crate::metrics::rows::{
    AnomalyRow, ConnectionRow, FinCause, FinRetransmissionRow, Tables, Tap, TimeWaitRow, TransitionRow,
};
use crate::tcp::segment::{Addressed, Flags, FrameId, Segment};
use crate::tcp::state::{Evidence, Side, State};
use crate::time::{Span, Timestamp};

/// Room for a span such as `+64.5 ms`.
const TIME: usize = 14;
/// Room for `SYN_RECEIVED?`, the longest state.
const STATE: usize = 15;
/// Room for a frame's number.
const FRAME: usize = 9;
/// An arrow between the lanes is at least and at most this long.
const ARROW: std::ops::RangeInclusive<usize> = 24..=56;
/// So many packets in a row that change nothing are drawn; of a longer run only the first is.
const PLAIN_RUN: usize = 3;

/// What a side has sent: numbers, and whether they were a SYN's or a FIN's.
type Sent = HashSet<(u32, u8)>;

/// Beyond this many segments, repeats are no longer named.
const MOST_REMEMBERED: usize = 1 << 20;

/// The rows of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Its row in `connections`.
    pub connection: &'a ConnectionRow,
    /// Its rows in `transitions`.
    pub transitions: &'a [TransitionRow],
    /// Its rows in `fin_retransmissions`.
    pub fins: &'a [FinRetransmissionRow],
    /// Its rows in `time_wait`.
    pub time_wait: &'a [TimeWaitRow],
    /// Its rows in `anomalies`.
    pub anomalies: &'a [AnomalyRow],
}

impl<'a> Rows<'a> {
    /// The rows of connection `conn_id`; `None` when there is no such connection. Tables are ordered by connection.
    pub fn of(tables: &'a Tables, conn_id: u64) -> Option<Self> {
        fn part<T>(rows: &[T], conn_id: u64, id: impl Fn(&T) -> u64) -> &[T] {
            let from = rows.partition_point(|row| id(row) < conn_id);
            let rest = rows.get(from..).unwrap_or_default();
            rest.get(..rest.partition_point(|row| id(row) == conn_id)).unwrap_or_default()
        }
        Some(Self {
            connection: part(&tables.connections, conn_id, |row| row.conn_id).first()?,
            transitions: part(&tables.transitions, conn_id, |row| row.conn_id),
            fins: part(&tables.fin_retransmissions, conn_id, |row| row.conn_id),
            time_wait: part(&tables.time_wait, conn_id, |row| row.conn_id),
            anomalies: part(&tables.anomalies, conn_id, |row| row.conn_id.unwrap_or_default()),
        })
    }
}

/// The packets of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    /// Its segments, in the order of the capture.
    pub segments: &'a [Addressed],
    /// How many follow that are not among them.
    pub more: u64,
    /// Draw every one, also in long runs that change nothing.
    pub all: bool,
}

/// The ladder, ending in a line feed.
pub fn ladder(rows: &Rows<'_>, packets: &Packets<'_>, style: Style) -> String {
    let room = style.width.saturating_sub(TIME + 2 * STATE + FRAME + 4);
    let mut page =
        Page { rows, style, arrow: room.clamp(*ARROW.start(), *ARROW.end()), out: String::new(), clock: None };
    page.head();
    // What no packet between the two did: timers, ICMP errors, the next connection.
    let theirs = |row: &TransitionRow| packets.segments.iter().any(|packet| Some(packet.segment.frame) == row.frame);
    let unseen = |row: &&TransitionRow| !row.retracted && (row.frame.is_none() || packets.more == 0 && !theirs(row));
    let mut timers = rows.transitions.iter().filter(unseen).collect::<Vec<_>>();
    timers.sort_by_key(|row| row.ts);
    let mut timers = timers.into_iter().peekable();
    let mut rest = packets.segments;
    let mut sent_before: [Sent; 2] = Default::default();
    while let Some((first, others)) = rest.split_first() {
        while let Some(timer) = timers.next_if(|timer| timer.ts < first.segment.ts) {
            page.timer(timer);
        }
        page.segment(first, &mut sent_before);
        rest = others;
        if !packets.all && page.is_plain(first) {
            let until = timers.peek().map_or(Timestamp::MAX, |timer| timer.ts);
            let run = rest.iter().take_while(|next| page.is_plain(next) && next.segment.ts <= until).count();
            if run >= PLAIN_RUN {
                let (run, others) = rest.split_at(run);
                page.run(run, &mut sent_before);
                rest = others;
            }
        }
    }
    if packets.more > 0 {
        let more = packets.more;
        let _ = writeln!(page.out, "{:TIME$}⋮  {more} more packets", "");
    }
    timers.for_each(|timer| page.timer(timer));
    page.foot();
    page.out
}

/// The text so far.
struct Page<'a> {
    rows: &'a Rows<'a>,
    style: Style,
    arrow: usize,
    out: String,
    /// The time of the line before.
    clock: Option<Timestamp>,
}

impl Page<'_> {
    fn head(&mut self) {
        let row = self.rows.connection;
        let mut line = format!("connection {}   {} → {}", row.conn_id, row.who.client, row.who.server);
        if let Some(vlan) = row.who.vlan {
            let _ = write!(line, "   vlan {vlan}");
        }
        if let Some(tunnel) = row.who.tunnel {
            let _ = write!(line, "   {tunnel}");
        }
        line.push_str(match row.tap {
            Tap::NearClient => "   tap near the client",
            Tap::NearServer => "   tap near the server",
            Tap::Between => "   tap between them",
            Tap::Unknown => "",
        });
        let away = [("client", row.syn_ack_to_ack_ns), ("server", row.syn_to_syn_ack_ns)];
        let away: Vec<_> =
            away.into_iter().filter_map(|(side, ns)| Some(format!("{side} {}", Span::from_nanos(ns?)))).collect();
        if row.tap != Tap::Unknown && !away.is_empty() {
            let _ = write!(line, ": there and back to the {}", away.join(", to the "));
        }
        let _ =
            writeln!(self.out, "{line}\nbegins {}   opened: {}   closed: {}\n", row.first_ts, row.opening, row.closing);
        let _ = writeln!(
            self.out,
            "{:>12}  {:STATE$}{:width$}  {:STATE$}{:>FRAME$}",
            "time",
            "CLIENT",
            "",
            "SERVER",
            "frame",
            width = self.arrow
        );
    }

    /// Changes no state and is neither a repeat of a FIN nor anything else to look at: only data and their ACKs.
    fn is_plain(&self, addressed: &Addressed) -> bool {
        let Segment { flags, frame, ts, .. } = addressed.segment;
        let changes = self.rows.transitions.iter().any(|row| row.frame == Some(frame));
        let restarts = self.rows.time_wait.iter().any(|row| row.last_restart_ts == Some(ts));
        let odd = self.rows.anomalies.iter().any(|row| row.frame == frame);
        !(flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST)) || changes || restarts || odd || self.dies(addressed))
    }

    fn side(&self, addressed: &Addressed) -> Side {
        if addressed.src == self.rows.connection.who.client { Side::Client } else { Side::Server }
    }

    /// What the report knows to have been lost behind the tap: copies of a FIN that had to come again because they never
    /// arrived, and the last bare ACK before a FIN that came again because that ACK never arrived.
    fn dies(&self, addressed: &Addressed) -> bool {
        let (side, seg) = (self.side(addressed), &addressed.segment);
        self.rows.fins.iter().any(|fin| match fin.cause {
            FinCause::FinLost => {
                seg.flags.has_all(Flags::FIN) && side == fin.side && seg.ts >= fin.first_fin_ts && seg.frame < fin.frame
            }
            FinCause::AckLost => {
                let since = fin
                    .since_previous_ns
                    .map_or(fin.first_fin_ts, |ns| fin.ts.plus(Span::from_nanos(ns.saturating_neg())));
                let bare = seg.payload_len == 0 && !seg.flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST));
                bare && side == fin.side.peer() && seg.ts >= since && seg.frame < fin.frame
            }
            FinCause::Unanswered | FinCause::Undecided => false,
        })
    }

    fn segment(&mut self, addressed: &Addressed, sent_before: &mut [Sent; 2]) {
        let (side, seg) = (self.side(addressed), &addressed.segment);
        let label = label(seg, is_repeat(seg, side, sent_before));
        let arrow = arrow(&label, side, self.dies(addressed), self.arrow);
        let mut changes = Side::BOTH.map(|side| self.changes(side, seg.frame, seg.ts));
        let lines = changes.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let time = self.time(seg.ts);
        for line in 0..lines {
            let [client, server] =
                changes.each_mut().map(|cells| cells.get_mut(line).map(std::mem::take).unwrap_or_default());
            let (time, arrow, frame) = match line {
                0 => (time.as_str(), arrow.as_str(), seg.frame.number().to_string()),
                _ => ("", "", String::new()),
            };
            let (client, server) = (client.padded(self.style), server.padded(self.style));
            let width = self.arrow;
            let text = format!("{time:>12}  {client}{arrow:width$}  {server}{frame:>FRAME$}");
            let _ = writeln!(self.out, "{}", text.trim_end());
        }
    }

    /// What becomes of `side` by the packet `frame`.
    fn changes(&self, side: Side, frame: FrameId, ts: Timestamp) -> Vec<Cell> {
        let mine = |row: &&TransitionRow| row.side == side && row.frame == Some(frame);
        let mut cells: Vec<Cell> = self.rows.transitions.iter().filter(mine).map(Cell::of).collect();
        if self.rows.time_wait.iter().any(|row| row.side == side && row.last_restart_ts == Some(ts)) && cells.is_empty()
        {
            cells.push(Cell { text: "TIME_WAIT ↻".to_owned(), state: Some(State::TimeWait) });
        }
        cells
    }

    /// Packets that change nothing, as one line.
    fn run(&mut self, run: &[Addressed], sent_before: &mut [Sent; 2]) {
        let mut bytes = [0_u64; 2];
        for addressed in run {
            let side = self.side(addressed);
            is_repeat(&addressed.segment, side, sent_before);
            if let Some(bytes) = bytes.get_mut(side.index()) {
                *bytes += u64::from(addressed.segment.payload_len);
            }
        }
        let [there, back] = bytes;
        let _ = writeln!(
            self.out,
            "{:TIME$}{:STATE$}⋮  {} more packets: {there} bytes →, {back} bytes ←",
            "",
            "",
            run.len()
        );
        self.clock = run.last().map(|last| last.segment.ts).or(self.clock);
    }

    fn timer(&mut self, row: &TransitionRow) {
        let (client, server) = match row.side {
            Side::Client => (Cell::of(row), Cell::default()),
            Side::Server => (Cell::default(), Cell::of(row)),
        };
        let later = self.clock.map_or(String::new(), |clock| format!("{} later", row.ts.since(clock)));
        let (client, server) = (client.padded(self.style), server.padded(self.style));
        let by = row.frame.map_or("", |_| row.trigger.trigger());
        let frame = row.frame.map_or(String::new(), |frame| frame.number().to_string());
        let text = format!("{later:>12}  {client}{by:^width$}  {server}{frame:>FRAME$}", width = self.arrow);
        let _ = writeln!(self.out, "{}", text.trim_end());
        self.clock = self.clock.max(Some(row.ts));
    }

    fn time(&mut self, ts: Timestamp) -> String {
        match self.clock.replace(ts) {
            None => "0".to_owned(),
            Some(before) if ts < before => ts.since(before).to_string(),
            Some(before) => format!("+{}", ts.since(before)),
        }
    }

    fn foot(&mut self) {
        for (title, side) in [("in each state   client", Side::Client), ("                server", Side::Server)] {
            let stays = stays(self.rows.transitions, side);
            if !stays.is_empty() {
                let gap = if side == Side::Client { "\n" } else { "" };
                let _ = writeln!(self.out, "{gap}{title}: {}", stays.join(" · "));
            }
        }
        for side in Side::BOTH {
            let fins: Vec<_> = self.rows.fins.iter().filter(|fin| fin.side == side).collect();
            if fins.is_empty() {
                continue;
            }
            let told: Vec<String> = fins
                .iter()
                .map(|fin| {
                    let after =
                        fin.since_previous_ns.map_or(String::new(), |ns| format!("after {}, ", Span::from_nanos(ns)));
                    format!("{after}{} (frame {})", cause(fin.cause), fin.frame.number())
                })
                .collect();
            let _ = writeln!(self.out, "FIN again       {side}: {}", told.join("; "));
        }
        for row in self.rows.anomalies {
            let side = row.side.map_or("", Side::name);
            let times = if row.count > 1 { format!(", {} times", row.count) } else { String::new() };
            let gap = if row.detail.is_empty() { "" } else { ": " };
            let _ = writeln!(
                self.out,
                "odd             {side} {}{gap}{}{times} (frame {})",
                row.kind,
                row.detail,
                row.frame.number()
            );
        }
    }
}

/// A state in a lane.
#[derive(Default)]
struct Cell {
    text: String,
    state: Option<State>,
}

impl Cell {
    fn of(row: &TransitionRow) -> Self {
        let mark = match (row.retracted, row.evidence) {
            (true, _) => "!",
            (false, Evidence::Observed) => "",
            (false, Evidence::Inferred) => "?",
            (false, Evidence::Assumed) => "~",
        };
        Self { text: format!("{}{mark}", row.to_state), state: Some(row.to_state) }
    }

    /// The text in its lane's width, coloured as the pictures are where colour is wanted.
    fn padded(&self, style: Style) -> String {
        let gap = " ".repeat(STATE.saturating_sub(self.text.chars().count()));
        match self.state.filter(|_| style.color) {
            Some(state) => format!("\u{1b}[38;5;{}m{}\u{1b}[0m{gap}", colour(state), self.text),
            None => format!("{}{gap}", self.text),
        }
    }
}

/// One of the terminal's 256 colours: opening in yellows, the active closer in blues, the passive one in oranges.
const fn colour(state: State) -> u8 {
    match state {
        State::Closed | State::Listen => 245,
        State::SynSent => 178,
        State::SynReceived => 184,
        State::Established => 35,
        State::FinWait1 => 117,
        State::FinWait2 => 75,
        State::Closing => 69,
        State::TimeWait => 33,
        State::CloseWait => 215,
        State::LastAck => 208,
    }
}

/// Whether the side sent the same kind of segment with the same number before; remembers it.
fn is_repeat(seg: &Segment, side: Side, sent_before: &mut [Sent; 2]) -> bool {
    let carries = seg.flags.bits() & Flags::SYN.or(Flags::FIN).bits();
    if seg.seg_len() == 0 {
        return false;
    }
    let Some(sent) = sent_before.get_mut(side.index()) else { return false };
    // A FIN is known by where it stands, also when it comes again without the data before it.
    let at = if carries == 0 { seg.payload_seq() } else { seg.end() };
    let mark = (at.raw(), carries);
    let again = sent.contains(&mark);
    if !again && sent.len() < MOST_REMEMBERED {
        sent.insert(mark);
    }
    again
}

/// What a packet says, in a few words.
fn label(seg: &Segment, again: bool) -> String {
    let control = seg.flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST));
    let mut label = match (control, seg.payload_len) {
        (true, 0) | (false, 0) => seg.flags.to_string(),
        (true, bytes) => format!("{} {bytes} bytes", seg.flags),
        (false, bytes) => format!("{bytes} bytes"),
    };
    if again {
        label.push_str(" again");
    }
    label
}

/// `── SYN ───────▶`, `◀─────── SYN,ACK ──`; with a cross where it dies behind the tap.
fn arrow(label: &str, from: Side, dies: bool, width: usize) -> String {
    let shaft = "─".repeat(width.saturating_sub(label.chars().count() + 5));
    match (from, dies) {
        (Side::Client, false) => format!("── {label} {shaft}▶"),
        (Side::Client, true) => format!("── {label} {shaft}✗"),
        (Side::Server, false) => format!("◀{shaft} {label} ──"),
        (Side::Server, true) => format!("✗{shaft} {label} ──"),
    }
}

const fn cause(cause: FinCause) -> &'static str {
    match cause {
        FinCause::FinLost => "the FIN had been lost",
        FinCause::AckLost => "it had arrived, but its ACK was lost",
        FinCause::Unanswered => "nothing answers",
        FinCause::Undecided => "the packets do not tell why",
    }
}

/// How long a side was in each of its states, in order; the last one has no end here.
fn stays(transitions: &[TransitionRow], side: Side) -> Vec<String> {
    let rows: Vec<_> = transitions.iter().filter(|row| row.side == side && !row.retracted).collect();
    rows.windows(2)
        .filter_map(|pair| match pair {
            [from, to] => {
                let assumed = if to.evidence == Evidence::Assumed { " (assumed end)" } else { "" };
                let stay = to.ts.since(from.ts).measured().filter(|&ns| ns > 0)?;
                Some(format!("{} {}{assumed}", from.to_state, Span::from_nanos(stay)))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::parse::{Numbers, Script};
    use crate::script::run;
    use crate::tcp::segment::HostPort;

    const LAST_ACK_LOST: &str = "
+0         SYN         ------------------>
+40ms                  <------------------         SYN,ACK
+1ms       ACK         ------------------>
+1ms       300 bytes   ------------------>
+1ms                   <------------------      200 bytes
+1ms       ACK         ------------------>
+1ms                   <------------------      200 bytes
+1ms       ACK         ------------------>
+10ms      FIN,ACK     ------------------>
+40ms                  <------------------         FIN,ACK
+1ms       ACK         -----------------x
+200ms                 <------------------   FIN,ACK again
+1ms       ACK         ------------------>
+60s       -
";

    fn draw(script: &str, all: bool, color: bool) -> String {
        let numbers = Numbers::default();
        let script = Script::parse(script, numbers).unwrap();
        let end = |ip: [u8; 4], port| HostPort::new(ip.into(), port);
        let ends = [end([10, 0, 0, 1], 40_000), end([10, 0, 0, 2], 80)];
        let report = run::run(&script, ends, numbers).unwrap().remove(0);
        let rows = Rows {
            connection: &report.connection,
            transitions: &report.transitions,
            fins: &report.fin_retransmissions,
            time_wait: &report.time_wait,
            anomalies: &report.anomalies,
        };
        let packets = Packets { segments: &run::addressed(&script, ends), more: 0, all };
        ladder(&rows, &packets, Style { color, width: 89 })
    }

    #[test]
    fn states_stand_on_the_side_that_changed_and_losses_are_crossed_out() {
        let text = draw(LAST_ACK_LOST, false, false);
        let line =
            |part: &str| text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(text.starts_with("connection 0   10.0.0.1:40000 → 10.0.0.2:80"), "{text}");
        assert!(text.contains("opened: handshake   closed: fin"), "{text}");
        assert!(line("── SYN ──").contains("0  SYN_SENT") && line("── SYN ──").contains("▶  SYN_RECEIVED?"), "{text}");
        assert!(line("SYN,ACK").contains("+40.0 ms  ESTABLISHED?   ◀──"), "{text}");
        assert!(line("FIN,ACK again").contains("TIME_WAIT ↻"), "{text}");
        assert_eq!(text.matches('✗').count(), 1, "{text}");
        assert!(line("✗").contains("── ACK ──"), "{text}");
        assert!(line("60.0 s later").contains("CLOSED~"), "{text}");
        assert!(line("FIN again ").contains("server: after 201 ms, it had arrived, but its ACK was lost"), "{text}");
        assert!(line("in each state").contains("TIME_WAIT 60.2 s (assumed end)"), "{text}");
    }

    #[test]
    fn what_no_packet_of_the_two_did_has_a_line_of_its_own() {
        let text = draw("+0 SYN ---x\n+8ms <--- unreachable\n", false, false);
        let line = text.lines().find(|line| line.contains("rcv ICMP unreachable")).expect(&text);
        assert!(line.starts_with("8.00 ms later  CLOSED?") && line.ends_with(" 2"), "{text}");
    }

    #[test]
    fn long_runs_are_shortened_unless_all_is_wanted() {
        let short = draw(LAST_ACK_LOST, false, false);
        assert!(short.contains("⋮  4 more packets: 0 bytes →, 400 bytes ←"), "{short}");
        assert_eq!(short.matches("200 bytes ──").count(), 0, "{short}");
        let long = draw(LAST_ACK_LOST, true, false);
        assert!(!long.contains('⋮'), "{long}");
        assert_eq!(long.matches("200 bytes ──").count(), 2, "{long}");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let mut plain = String::new();
        let mut in_code = false;
        for char in draw(LAST_ACK_LOST, false, true).chars() {
            match char {
                '\u{1b}' => in_code = true,
                'm' if in_code => in_code = false,
                _ if in_code => {}
                char => plain.push(char),
            }
        }
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&plain), lines(&draw(LAST_ACK_LOST, false, false)));
    }
}
