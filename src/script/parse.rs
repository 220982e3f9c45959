//! Script text → segments with numbers, and expectations. In: a script. Out: [`Script`].

use crate::tcp::segment::{Flags, FrameId, Options, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::{Side, State};
use crate::time::{Span, Timestamp};

/// What a lane is expected to show after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The state; `None` for unknown, written `-`.
    pub state: Option<State>,
    /// How it is known.
    pub mark: Mark,
}

/// How a state is known, as the right-hand side writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Observed or confirmed: no mark.
    Known,
    /// `?`
    Inferred,
    /// `~`
    Assumed,
    /// `!`: this line took back what was believed.
    Retracted,
}

/// One line: a packet, or only time that passes.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number in the script, from 1.
    pub number: usize,
    /// When, since the start.
    pub at: Span,
    /// Who sends what; `None` when only time passes.
    pub packet: Option<(Side, Segment)>,
    /// An ICMP error instead: this segment could not be delivered.
    pub undelivered: Option<(Side, Segment)>,
    /// What both lanes should show then, client first; `None` is not checked.
    pub expected: [Option<Expected>; 2],
}

/// An `expect` line: a table, and column=value pairs that one of its rows must have; `none` means no such row. A time may also
/// be `column<=value` or `column>=value`, which an unknown one (an open bound) meets too.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Its number in the script, from 1.
    pub number: usize,
    /// There must be no such row.
    pub none: bool,
    /// The table's name.
    pub table: String,
    /// Columns and their values.
    pub columns: Vec<(String, String)>,
}

/// A script, ready to run.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The prose at its head.
    pub says: String,
    /// Its lines, in order.
    pub lines: Vec<Line>,
    /// What the tables should say in the end.
    pub expectations: Vec<Expectation>,
    /// The assumed length of TIME_WAIT, if the script sets one.
    pub time_wait: Option<Span>,
    /// The width of the buckets of the tables over time, if the script sets one.
    pub bucket: Option<Span>,
    /// A self-connect: the client is its own peer, and its lane the only one.
    pub alone: bool,
}

/// What is wrong with a script, and where.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ScriptError {
    line: usize,
    what: String,
}

/// How scripts are turned into numbers: the variants that must not matter.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// The ISN of the client's first SYN and the server's.
    pub isn: [u32; 2],
    /// When the script starts.
    pub start: Timestamp,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { isn: [1_000, 5_000], start: Timestamp::from_nanos(1_700_000_000_000_000_000) }
    }
}

/// One lane while it is being read: an endpoint that sends what is next.
#[derive(Clone, Debug)]
struct Lane {
    isn: SeqNum,
    next: SeqNum,
    received: Option<SeqNum>,
    /// Delivered only after its next packet.
    late: Option<SeqNum>,
    id: u16,
    sent: Vec<Segment>,
}

impl Script {
    /// Reads a script. Errors name the line and what is wrong with it.
    pub fn parse(text: &str, numbers: Numbers) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        let lane = |isn: u32| Lane {
            isn: SeqNum::new(isn),
            next: SeqNum::new(isn),
            received: None,
            late: None,
            id: 1,
            sent: Vec::new(),
        };
        let mut lanes = numbers.isn.map(lane);
        let mut at = Span::ZERO;
        let mut frame = 0;
        for (index, raw) in text.lines().enumerate() {
            let number = index + 1;
            let error = |what: String| ScriptError { line: number, what };
            let line = raw.split('#').next().unwrap_or_default().trim_end();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                ["says", ..] => script.says = line.trim_start_matches("says").trim().to_owned(),
                ["cites", ..] | ["client", ..] => {}
                ["isn", client, server] => {
                    let isn =
                        |text: &str| text.parse().map(SeqNum::new).map_err(|_| error(format!("{text}: no number")));
                    for (lane, isn) in lanes.iter_mut().zip([isn(client)?, isn(server)?]) {
                        (lane.isn, lane.next) = (isn, isn);
                    }
                }
                ["self-connect"] => {
                    script.alone = true;
                    lanes[1] = lanes[0].clone();
                }
                ["time-wait", span] => script.time_wait = Some(duration(span).map_err(error)?),
                ["bucket", span] => script.bucket = Some(duration(span).map_err(error)?),
                ["expect", ref rest @ ..] => {
                    script.expectations.push(expectation(number, rest).map_err(error)?);
                }
                [time, ..] if time.starts_with(['+', '-']) => {
                    let step = duration(&time[1..]).map_err(error)?.as_nanos();
                    let step = if time.starts_with('-') { -step } else { step };
                    at = Span::from_nanos(at.as_nanos() + step);
                    let (left, right) = line.split_once('|').unwrap_or((line, ""));
                    let left = left.trim_start().trim_start_matches(time).trim();
                    let expected = expected(right).map_err(error)?;
                    let mut now = Line { number, at, packet: None, undelivered: None, expected };
                    if left != "-" {
                        frame += 1;
                        let ts = numbers.start.plus(at);
                        if left.split_whitespace().any(|word| word == "unreachable") {
                            now.undelivered = Some(undelivered(left, &lanes, ts, frame).map_err(error)?);
                        } else {
                            now.packet = Some(packet(left, &mut lanes, ts, frame).map_err(error)?);
                        }
                    }
                    script.lines.push(now);
                }
                _ => return Err(error(format!("what is this? {line}"))),
            }
        }
        Ok(script)
    }

    /// When the script ends: its last line.
    pub fn end(&self, numbers: Numbers) -> Timestamp {
        numbers.start.plus(self.lines.last().map_or(Span::ZERO, |line| line.at))
    }
}

/// `40ms`, `1.5s`, `200us`, `3min`, `0`.
pub fn duration(text: &str) -> Result<Span, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (value, unit) = text.split_at(digits);
    let nanos = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "min" => 60e9,
        "h" => 3600e9,
        "" if value == "0" => 0.0,
        _ => return Err(format!("{text}: a time needs a unit (ns us ms s min h)")),
    };
    value
        .parse::<f64>()
        .map(|value| Span::from_nanos((value * nanos).round() as i64))
        .map_err(|_| format!("{text}: no time"))
}

fn expectation(number: usize, words: &[&str]) -> Result<Expectation, String> {
    let (none, words) = match words {
        ["none", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (table, columns) = words.split_first().ok_or("expect what?")?;
    let pair = |word: &&str| match word.split_once('=') {
        Some((column, value)) => Ok((column.to_owned(), value.to_owned())),
        None => Err(format!("{word}: column=value is wanted")),
    };
    let columns = columns.iter().map(pair).collect::<Result<_, _>>()?;
    Ok(Expectation { number, none, table: (*table).to_owned(), columns })
}

fn expected(right: &str) -> Result<[Option<Expected>; 2], String> {
    let words: Vec<&str> = right.split_whitespace().collect();
    let mut lanes = [None; 2];
    for (lane, word) in lanes.iter_mut().zip(words) {
        if word == "*" {
            continue;
        }
        let (name, mark) = match word.as_bytes().last() {
            Some(b'?') => (&word[..word.len() - 1], Mark::Inferred),
            Some(b'~') => (&word[..word.len() - 1], Mark::Assumed),
            Some(b'!') => (&word[..word.len() - 1], Mark::Retracted),
            _ => (word, Mark::Known),
        };
        let state = match name {
            "-" => None,
            _ => Some(State::from_name(name).ok_or_else(|| format!("{name}: no such state"))?),
        };
        *lane = Some(Expected { state, mark });
    }
    Ok(lanes)
}

/// A SYN that the other side's SYN may cross.
fn opens(last: &Segment) -> bool {
    last.flags.is_bare_syn()
}

fn is_arrow(word: &&str) -> bool {
    word.len() >= 3 && word.chars().all(|c| "-<>x~".contains(c)) && word.contains("--")
}

/// An ICMP error about the last segment of the side that the arrow points to.
fn undelivered(left: &str, lanes: &[Lane; 2], ts: Timestamp, frame: u64) -> Result<(Side, Segment), String> {
    let side = if left.starts_with(|c: char| c.is_ascii_alphabetic()) { Side::Server } else { Side::Client };
    let last = lanes[side.index()].sent.last().ok_or("nothing was sent before")?;
    Ok((side, Segment { ts, ordinal: frame - 1, frame: FrameId::new(0, frame), ..*last }))
}

/// Where a packet goes.
enum Fate {
    Delivered,
    Late,
    Dies,
}

fn packet(left: &str, lanes: &mut [Lane; 2], ts: Timestamp, frame: u64) -> Result<(Side, Segment), String> {
    let words: Vec<&str> = left.split_whitespace().collect();
    let arrow = words.iter().position(is_arrow).ok_or("an arrow is wanted")?;
    let (side, what) = match (&words[..arrow], &words[arrow + 1..]) {
        (what, []) => (Side::Client, what),
        ([], what) => (Side::Server, what),
        _ => return Err("one lane speaks at a time".to_owned()),
    };
    let fate = match words[arrow] {
        word if word.contains('x') => Fate::Dies,
        word if word.contains('~') => Fate::Late,
        _ => Fate::Delivered,
    };
    let segment = segment(what, side, lanes, ts, frame)?;
    let (own, peer) = match lanes {
        [client, server] if side == Side::Client => (client, server),
        [client, server] => (server, client),
    };
    if let Some(late) = own.late.take() {
        own.received = Some(late);
    }
    let moves = !segment.flags.has_all(Flags::RST) && segment.end().is_after(own.next);
    if moves || own.sent.is_empty() {
        own.next = segment.end();
    }
    if !segment.flags.has_all(Flags::RST) {
        let in_order = peer
            .received
            .is_none_or(|received| received.is_at_or_after(segment.seq) && segment.end().is_after(received));
        if segment.flags.is_bare_syn() && !own.sent.iter().any(|old| old.seq == segment.seq) {
            own.received = own.received.filter(|_| segment.seq == own.isn && peer.sent.last().is_some_and(opens));
        }
        let in_order = in_order || segment.flags.has_all(Flags::SYN);
        match fate {
            Fate::Delivered if in_order => peer.received = Some(segment.end()),
            Fate::Late if in_order => peer.late = Some(segment.end()),
            _ => {}
        }
    }
    own.sent.push(segment);
    Ok((side, segment))
}

fn segment(what: &[&str], side: Side, lanes: &mut [Lane; 2], ts: Timestamp, frame: u64) -> Result<Segment, String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text}: no number"));
    let peer_isn = lanes[side.peer().index()].isn;
    let lane = &mut lanes[side.index()];
    let mut flags = Flags::default();
    let mut payload_len = 0;
    let (mut seq, mut ack, mut window, mut again, mut copy, mut no_ack) = (None, None, 1_000, false, false, false);
    let mut options = Options::default();
    let (mut id, mut offloaded) = (None, false);
    let mut words = what.iter().peekable();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("seq", value)) => seq = Some(number(value)?),
            Some(("ack", value)) => ack = Some(number(value)?),
            Some(("win", value)) => window = number(value)? as u16,
            Some(("id", value)) => id = Some(number(value)? as u16),
            Some(("iplen", "0")) => offloaded = true,
            Some(("isn", value)) => {
                let isn = SeqNum::new(lane.isn.raw().wrapping_add(number(value)?));
                (lane.isn, lane.next) = (isn, isn);
            }
            Some(("ts", value)) => {
                let (value, echo) = value.split_once('/').ok_or("ts=VAL/ECR")?;
                options.timestamps = Some((number(value)?, number(echo)?));
            }
            Some(("sack", value)) => {
                let (left, right) = value.split_once('-').ok_or("sack=LEFT-RIGHT")?;
                options.sack = Some((peer_isn.plus(number(left)?), peer_isn.plus(number(right)?)));
            }
            Some(_) => return Err(format!("{word}: what is that?")),
            None if *word == "again" => again = true,
            None if *word == "copy" => copy = true,
            None if *word == "noack" => no_ack = true,
            None if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                payload_len = number(word)?;
                words.next_if(|next| next.starts_with("byte"));
            }
            None => {
                for flag in word.split(',') {
                    flags = flags.or(match flag {
                        "SYN" => Flags::SYN,
                        "ACK" => Flags::ACK,
                        "FIN" => Flags::FIN,
                        "RST" => Flags::RST,
                        "ECE" => Flags::from_bits(0x40),
                        "CWR" => Flags::from_bits(0x80),
                        _ => return Err(format!("{flag}: no such flag")),
                    });
                }
            }
        }
    }
    if flags == Flags::default() && payload_len > 0 {
        flags = Flags::ACK;
    }
    if flags == Flags::FIN && !no_ack {
        flags = flags.or(Flags::ACK);
    }
    if copy || again {
        let like = |old: &&Segment| old.flags == flags && (payload_len == 0 || old.payload_len == payload_len);
        let last = *lane.sent.iter().rev().find(like).ok_or("nothing like it was sent before")?;
        if copy {
            return Ok(Segment { ts, ordinal: frame - 1, frame: FrameId::new(0, frame), ..last });
        }
        seq = seq.or(Some(last.seq.ahead_of(lane.isn)));
        payload_len = last.payload_len;
    }
    if flags.has_any(Flags::SYN) && !again && !copy {
        seq = seq.or(Some(0));
    }
    lane.id = lane.id.wrapping_add(1);
    let ack = match (ack, lane.received) {
        (Some(ack), _) => peer_isn.plus(ack),
        (None, Some(received)) => received,
        (None, None) if flags.has_all(Flags::ACK) => peer_isn.plus(1),
        (None, None) => SeqNum::default(),
    };
    Ok(Segment {
        ts,
        ordinal: frame - 1,
        frame: FrameId::new(0, frame),
        seq: seq.map_or(lane.next, |seq| lane.isn.plus(seq)),
        ack: if flags.has_all(Flags::ACK) { ack } else { SeqNum::default() },
        flags,
        window,
        payload_len,
        ip_len: if offloaded { 0 } else { 40 + payload_len },
        ip_id: Some(id.unwrap_or(lane.id)),
        checksum: 0,
        bad_checksum: false,
        options_cut: false,
        options,
    })
}
