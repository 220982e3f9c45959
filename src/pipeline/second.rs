//! A second walk through the captures, for the packets of connections that the first one found. In: the captures and the chosen
//! connections. Out: each of their packets, in the order of the run, with its connection.
//!
//! The first walk cannot keep them: which packets belong to a connection's number is known at its end only, and keeping all would
//! need memory without bound. Both walks read, merge and decode alike, so a connection's packets are those of its 4-tuple from its
//! first frame to its last. That holds for merged captures too: what lies between is what is met between.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::clocks::Clocks;
use super::engine::Options;
use super::interrupt::Interrupt;
use super::offline::{Inputs, LOOK_EVERY, Reading};
use super::progress::Progress;
use super::sink::{Render, Sink};
use crate::capture::savefile::Progress as Position;
use crate::capture::{Flow, Packet};
use crate::conntrack::apart::Place;
use crate::conntrack::key::FlowKey;
use crate::decode::{Decoded, Decoder};
use crate::error::Error;
use crate::metrics::rows::{ConnectionReport, ConnectionRow};
use crate::tcp::segment::{Addressed, FrameId, HostPort, Segment, Undelivered};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::Side;
use crate::time::Timestamp;

/// What is kept of a chosen connection between the walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `ConnectionRow`")]
pub struct Choice {
    pub conn_id: u64,
    pub client: HostPort,
    pub server: HostPort,
    pub first_ts: Timestamp,
    pub last_ts: Timestamp,
    pub first_frame: FrameId,
    pub last_frame: FrameId,
    /// Where it began, if that tells its packets from another connection's.
    pub place: Option<Place>,
}

impl From<&ConnectionRow> for Choice {
    fn from(row: &ConnectionRow) -> Self {
        Self {
            conn_id: row.conn_id,
            client: row.who.client,
            server: row.who.server,
            first_ts: row.first_ts,
            last_ts: row.last_ts,
            first_frame: row.first_frame,
            last_frame: row.last_frame,
            place: row.split.then(|| Place::of(row.who.vlan, row.who.tunnel)),
        }
    }
}

impl Choice {
    /// Whose packet it is that comes from `src`. Of a socket that is connected to itself, all are the client's.
    pub fn side(&self, src: HostPort) -> Side {
        if src == self.client { Side::Client } else { Side::Server }
    }

    fn key(&self) -> (FlowKey, Option<Place>) {
        (FlowKey::new(self.client, self.server).0, self.place)
    }
}

/// Where a walk stands among the connections of one 4-tuple in one place, which follow each other.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// The one that is open, or comes next: its place in `Chosen::choices`.
    next: usize,
    end: usize,
    inside: bool,
}

/// One of several places in which a 4-tuple is in use at the same time.
#[derive(Clone, Copy, Debug)]
struct Lane {
    client: HostPort,
    place: Place,
    /// The sequence number of the client's last SYN.
    iss: Option<SeqNum>,
    /// Where the server's packets are seen, if its SYN-ACK was seen elsewhere.
    answers: Option<Place>,
}

/// The connections whose packets are wanted.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// By 4-tuple and place, then by when they began.
    choices: Vec<Choice>,
    turns: HashMap<(FlowKey, Option<Place>), Turn>,
    /// Of the 4-tuples that are in use in several places.
    lanes: HashMap<FlowKey, Vec<Lane>>,
    late_errors: bool,
}

/// What one chosen connection takes in memory, in bytes, with room for the table to grow.
pub const CHOICE_BYTES: u64 = 256;

impl Chosen {
    /// All of `choices`.
    pub fn new(choices: impl IntoIterator<Item = Choice>) -> Self {
        let mut choices: Vec<Choice> = choices.into_iter().collect();
        choices.sort_unstable_by_key(|choice| (choice.key(), choice.conn_id));
        let mut turns: HashMap<(FlowKey, Option<Place>), Turn> = HashMap::new();
        let mut lanes: HashMap<FlowKey, Vec<Lane>> = HashMap::new();
        for (at, choice) in choices.iter().enumerate() {
            let turn = turns.entry(choice.key()).or_insert_with(|| {
                if let (key, Some(place)) = choice.key() {
                    lanes.entry(key).or_default().push(Lane { client: choice.client, place, iss: None, answers: None });
                }
                Turn { next: at, end: at, inside: false }
            });
            turn.end = at + 1;
        }
        Self { choices, turns, lanes, late_errors: false }
    }

    /// ICMP errors are met after the last segment, too, until the next chosen connection of the 4-tuple begins. So the walk goes to
    /// the captures' end.
    pub fn with_late_errors(self) -> Self {
        Self { late_errors: true, ..self }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.choices.len()
    }

    /// Nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Those of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Choice> {
        self.choices.iter()
    }

    /// The connection that a packet between these ends belongs to now, if it is one of them.
    fn open(&self, src: HostPort, dst: HostPort) -> Option<&Choice> {
        let key = FlowKey::new(src, dst).0;
        let places = self.lanes.get(&key).into_iter().flatten().map(|lane| Some(lane.place));
        places.chain([None]).find_map(|place| {
            let turn = self.turns.get(&(key, place))?;
            if turn.inside {
                return self.choices.get(turn.next);
            }
            let ended = turn.next.checked_sub(1).filter(|_| self.late_errors)?;
            self.choices.get(ended).filter(|choice| choice.key() == (key, place))
        })
    }

    /// The connection that a segment belongs to, and whether it is its last.
    fn take(&mut self, addressed: &Addressed) -> Option<(&Choice, bool)> {
        let (key, frame) = (FlowKey::new(addressed.src, addressed.dst).0, addressed.segment.frame);
        let lane = if self.lanes.is_empty() { None } else { self.lane(&key, addressed) };
        // Before a 4-tuple came into use elsewhere, places did not matter.
        let (at, is_last) =
            lane.and_then(|place| self.step((key, Some(place)), frame)).or_else(|| self.step((key, None), frame))?;
        self.choices.get(at).map(|choice| (choice, is_last))
    }

    /// Which of the places that a 4-tuple is in use in a segment was seen in.
    #[cold]
    fn lane(&mut self, key: &FlowKey, addressed: &Addressed) -> Option<Place> {
        let here = Place::of(addressed.vlan, addressed.tunnel);
        let lanes = self.lanes.get_mut(key)?;
        let is_here = |lane: &Lane| match lane.client == addressed.src {
            true => lane.place == here,
            false => lane.answers.unwrap_or(lane.place) == here,
        };
        let Segment { flags, seq, ack, .. } = addressed.segment;
        if let Some(lane) = lanes.iter_mut().find(|lane| is_here(lane)) {
            if flags.is_bare_syn() && lane.client == addressed.src {
                (lane.iss, lane.answers) = (Some(seq), None);
            } else if flags.is_syn_ack() && lane.client != addressed.src {
                lane.answers = Some(here);
            }
            return Some(lane.place);
        }
        let answered = |lane: &&mut Lane| lane.answers.is_none() && lane.iss.is_some_and(|iss| iss.plus(1) == ack);
        let lane = lanes.iter_mut().find(answered).filter(|_| flags.is_syn_ack())?;
        lane.answers = Some(here);
        Some(lane.place)
    }

    /// The choice whose turn it is when `frame` comes, and whether that is its last.
    fn step(&mut self, key: (FlowKey, Option<Place>), frame: FrameId) -> Option<(usize, bool)> {
        let turn = self.turns.get_mut(&key)?;
        let at = turn.next;
        let choice = self.choices.get(at).filter(|_| at < turn.end)?;
        turn.inside |= frame == choice.first_frame;
        if !turn.inside {
            return None;
        }
        let is_last = frame == choice.last_frame;
        if is_last {
            (turn.next, turn.inside) = (at + 1, false);
        }
        Some((at, is_last))
    }
}

/// What a packet says to its connection.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// A segment of its own. One that came in fragments stands with the packet that completed it; the packets before that
    /// are not told of.
    Segment {
        /// What it says, and between whom.
        addressed: &'a Addressed,
        /// Its payload as far as it was captured.
        payload: &'a [u8],
    },
    /// An ICMP error about a segment of its own, between the connection's first packet and its last.
    Undelivered(&'a Undelivered),
}

/// A packet of a chosen connection.
#[derive(Clone, Copy, Debug)]
pub struct Met<'a> {
    /// The place on the command line of the packet's input.
    pub file: u16,
    /// As it was captured.
    pub packet: &'a Packet<'a>,
    /// When it is taken to have passed.
    pub ts: Timestamp,
    /// Its connection.
    pub choice: &'a Choice,
    /// What it says.
    pub heard: Heard<'a>,
    /// No packet of this connection comes after it.
    pub is_last: bool,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// Every packet of the chosen connections was met that can be read.
    Through,
    /// Whoever took them wanted no more.
    Enough,
    /// Ctrl-C.
    Interrupted,
}

/// Reads `inputs` again and hands the packets of `chosen` to `take`, until it breaks, or the last of them has come. What damaged
/// a capture has been told on the first walk; here it is only the end.
pub fn walk(
    inputs: Inputs,
    options: &Options,
    mut chosen: Chosen,
    interrupt: &Interrupt,
    progress: bool,
    take: &mut dyn FnMut(&Met<'_>) -> ControlFlow<()>,
) -> Walked {
    let Reading { mut merge, files, positions, .. } = inputs.read();
    let mut progress = Progress::new(progress, positions.iter().map(Position::total).sum());
    let mut decoder = Decoder::default();
    decoder.verify_checksums = options.verify_checksums;
    let (mut clocks, mut ordinal) = (Clocks::default(), 0_u64);
    let (mut period, mut bpf) = (options.period, options.bpf.clone());
    // One that never comes keeps the walk going.
    let mut missing = chosen.len() + usize::from(chosen.late_errors && !chosen.is_empty());
    let mut flow = ControlFlow::Continue(());
    let patience = interrupt.count();
    loop {
        if missing == 0 {
            return Walked::Through;
        }
        let lent = merge.each(LOOK_EVERY, |index, packet| {
            if missing == 0 || flow.is_break() {
                return;
            }
            let file = files.get(index).copied().unwrap_or_default();
            let ts = clocks.at(file, packet.ts);
            let place = ordinal;
            ordinal += 1;
            if !period.admits(packet.ts, ts) || bpf.as_mut().is_some_and(|bpf| !bpf.admits(packet)) {
                return;
            }
            let frame = FrameId::new(file, packet.number);
            match decoder.decode(packet, frame, place, ts) {
                Decoded::Segment { addressed, payload } => {
                    if let Some((choice, is_last)) = chosen.take(&addressed) {
                        missing -= usize::from(is_last);
                        let heard = Heard::Segment { addressed: &addressed, payload };
                        flow = take(&Met { file, packet, ts, choice, heard, is_last });
                    }
                }
                Decoded::Undelivered(icmp) => {
                    if let Some(choice) = chosen.open(icmp.src, icmp.dst) {
                        let heard = Heard::Undelivered(&icmp);
                        flow = take(&Met { file, packet, ts, choice, heard, is_last: false });
                    }
                }
                Decoded::Skip(_) => {}
            }
        });
        if flow.is_break() {
            return Walked::Enough;
        }
        if interrupt.count() > patience {
            return Walked::Interrupted;
        }
        if lent == Flow::End {
            return Walked::Through;
        }
        progress.reading(positions.iter().map(Position::consumed).sum(), ordinal);
    }
}

/// A longer ladder helps nobody; the rest is counted.
const MOST: usize = 1 << 20;

/// The segments of one connection.
#[derive(Debug, Default)]
pub struct Segments {
    /// The first 2^20 of them, in the order of the run.
    pub shown: Vec<Addressed>,
    /// How many more there are.
    pub more: u64,
}

/// The segments of the connection with this row.
pub fn segments(inputs: Inputs, options: &Options, row: &ConnectionRow, interrupt: &Interrupt) -> Segments {
    let mut segments = Segments::default();
    let chosen = Chosen::new([Choice::from(row)]);
    walk(inputs, options, chosen, interrupt, false, &mut |met| {
        match met.heard {
            Heard::Segment { addressed, .. } if segments.shown.len() < MOST => segments.shown.push(*addressed),
            Heard::Segment { .. } => segments.more += 1,
            Heard::Undelivered(_) => {}
        }
        ControlFlow::Continue(())
    });
    segments
}

/// The sink of the first walk: keeps of each connection that `wanted` holds for what the second needs, and counts the others.
pub struct Choosing<F> {
    wanted: F,
    /// More of them are not kept.
    most: usize,
    choices: Vec<Choice>,
    /// Connections that were told.
    told: u64,
    last_id: u64,
    /// Wanted and not kept.
    beyond: u64,
}

/// What came of choosing.
#[derive(Debug)]
pub struct Choices {
    /// Those that were wanted, as far as they are kept.
    pub choices: Vec<Choice>,
    /// How many connections the captures hold.
    pub told: u64,
    /// The highest number of one; 0 without any.
    pub last_id: u64,
    /// Wanted, but more than may be kept.
    pub beyond: u64,
}

impl<F: FnMut(&ConnectionRow) -> bool + Send> Choosing<F> {
    /// Keeps at most `most` of those that are `wanted`.
    pub fn new(most: usize, wanted: F) -> Self {
        Self { wanted, most, choices: Vec::new(), told: 0, last_id: 0, beyond: 0 }
    }

    /// What came of it.
    pub fn finish(self) -> Choices {
        let Self { wanted: _, most: _, choices, told, last_id, beyond } = self;
        Choices { choices, told, last_id, beyond }
    }
}

/// Renders nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Render for Nothing {
    type Rendered = ();

    fn render(&self, _: &[ConnectionReport]) -> Result<(), Error> {
        Ok(())
    }
}

impl<F: FnMut(&ConnectionRow) -> bool + Send> Sink for Choosing<F> {
    type Rendered = ();
    type Renderer = Nothing;

    fn renderer(&self) -> Nothing {
        Nothing
    }

    fn fold(&mut self, reports: &[ConnectionReport]) {
        for ConnectionReport { connection: row, .. } in reports {
            self.told += 1;
            self.last_id = self.last_id.max(row.conn_id);
            if !(self.wanted)(row) {
                continue;
            }
            if self.choices.len() < self.most {
                self.choices.push(Choice::from(row));
            } else {
                self.beyond += 1;
            }
        }
    }

    fn write(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::segment::{Flags, Options};

    fn end(port: u16) -> HostPort {
        HostPort::new([192, 0, 2, 1].into(), port)
    }

    fn choice(conn_id: u64, (client, server): (u16, u16), (first, last): (FrameId, FrameId)) -> Choice {
        let ts = Timestamp::default();
        Choice {
            conn_id,
            client: end(client),
            server: end(server),
            first_ts: ts,
            last_ts: ts,
            first_frame: first,
            last_frame: last,
            place: None,
        }
    }

    fn frame(number: u64) -> FrameId {
        FrameId::new(0, number)
    }

    fn seen(from: u16, to: u16, frame: FrameId) -> Addressed {
        let segment = Segment {
            ts: Timestamp::default(),
            ordinal: 0,
            frame,
            seq: SeqNum::new(0),
            ack: SeqNum::new(0),
            flags: Flags::ACK,
            window: 0,
            payload_len: 0,
            ip_len: 40,
            ip_id: None,
            checksum: 0,
            bad_checksum: false,
            options_cut: false,
            options: Options::default(),
        };
        Addressed { src: end(from), dst: end(to), vlan: None, tunnel: None, segment }
    }

    fn tagged(vlan: u16, flags: Flags, mut addressed: Addressed) -> Addressed {
        addressed.vlan = Some(vlan);
        addressed.segment.flags = flags;
        addressed
    }

    /// A SYN with this number, or a SYN-ACK that answers it.
    fn numbered(iss: u32, mut addressed: Addressed) -> Addressed {
        addressed.segment.seq = SeqNum::new(iss);
        addressed.segment.ack = SeqNum::new(iss).plus(1);
        addressed
    }

    #[test]
    fn where_a_4_tuple_is_in_use_twice_the_vlan_tells_whose_a_packet_is() {
        let in_vlan = |vlan, choice| Choice { place: Some(Place::of(Some(vlan), None)), ..choice };
        let choices = [
            in_vlan(10, choice(1, (1, 80), (frame(1), frame(7)))),
            in_vlan(20, choice(2, (1, 80), (frame(2), frame(8)))),
        ];
        let mut chosen = Chosen::new(choices);
        let syn_ack = Flags::SYN.or(Flags::ACK);
        let mut met = |from, to, number, vlan, flags| {
            let iss = if number % 3 == 1 { 1_000 } else { 5_000 };
            let taken = chosen.take(&numbered(iss, tagged(vlan, flags, seen(from, to, frame(number)))));
            taken.map(|(choice, is_last)| (choice.conn_id, is_last))
        };
        assert_eq!(met(1, 80, 1, 10, Flags::SYN), Some((1, false)));
        assert_eq!(met(1, 80, 2, 20, Flags::SYN), Some((2, false)));
        assert_eq!(met(80, 1, 3, 20, syn_ack), Some((2, false)), "the same both ways");
        assert_eq!(met(80, 1, 3, 12, syn_ack), None, "it answers no SYN of these");
        assert_eq!(met(80, 1, 4, 11, syn_ack), Some((1, false)), "another one back");
        assert_eq!(met(80, 1, 5, 11, Flags::ACK), Some((1, false)));
        assert_eq!(met(80, 1, 6, 30, Flags::ACK), None, "somebody else's");
        assert_eq!(met(1, 80, 7, 10, Flags::ACK), Some((1, true)));
        assert_eq!(met(80, 1, 8, 20, Flags::ACK), Some((2, true)));
    }

    #[test]
    fn one_of_two_that_share_a_4_tuple_does_not_get_the_others_packets() {
        let first = choice(1, (1, 80), (frame(1), frame(9)));
        let mut chosen = Chosen::new([Choice { place: Some(Place::of(Some(10), None)), ..first }]);
        let mut met = |vlan, number| chosen.take(&tagged(vlan, Flags::ACK, seen(1, 80, frame(number)))).is_some();
        assert!(met(10, 1));
        assert!(!met(20, 2));
        assert!(met(10, 9));
    }

    #[test]
    fn the_answer_to_a_syn_that_was_not_chosen_is_not_taken_for_another_ones() {
        let second = choice(2, (1, 80), (frame(2), frame(9)));
        let mut chosen = Chosen::new([Choice { place: Some(Place::of(Some(20), None)), ..second }]);
        let syn_ack = Flags::SYN.or(Flags::ACK);
        assert!(chosen.take(&numbered(5_000, tagged(20, Flags::SYN, seen(1, 80, frame(2))))).is_some());
        assert!(chosen.take(&numbered(1_000, tagged(10, syn_ack, seen(80, 1, frame(3))))).is_none());
        assert!(chosen.take(&numbered(5_000, tagged(20, syn_ack, seen(80, 1, frame(4))))).is_some());
    }

    #[test]
    fn a_late_icmp_error_belongs_to_what_ended_last() {
        let choices = || [choice(1, (1, 80), (frame(2), frame(2))), choice(3, (1, 80), (frame(7), frame(9)))];
        let mut chosen = Chosen::new(choices()).with_late_errors();
        let open = |chosen: &Chosen, port| chosen.open(end(1), end(port)).map(|choice| choice.conn_id);
        assert_eq!(open(&chosen, 80), None);
        assert!(chosen.take(&seen(1, 80, frame(2))).is_some());
        assert_eq!((open(&chosen, 80), open(&chosen, 81)), (Some(1), None));
        assert!(chosen.take(&seen(1, 80, frame(7))).is_some());
        assert_eq!(open(&chosen, 80), Some(3));
        let mut strict = Chosen::new(choices());
        assert!(strict.take(&seen(1, 80, frame(2))).is_some());
        assert_eq!(open(&strict, 80), None);
    }

    #[test]
    fn a_packet_belongs_to_the_incarnation_that_is_open() {
        let (first, third) = ((frame(2), frame(5)), (frame(20), frame(20)));
        let mut chosen = Chosen::new([choice(9, (80, 1), third), choice(1, (1, 80), first)]);
        let mut met = |from, to, number| {
            let (choice, last) = chosen.take(&seen(from, to, frame(number)))?;
            Some((choice.conn_id, choice.side(end(from)), last))
        };
        assert_eq!(met(1, 80, 1), None, "before the first");
        assert_eq!(met(1, 80, 2), Some((1, Side::Client, false)));
        assert_eq!(met(1, 81, 3), None, "another 4-tuple");
        assert_eq!(met(80, 1, 4), Some((1, Side::Server, false)));
        assert_eq!(met(80, 1, 5), Some((1, Side::Server, true)));
        assert_eq!(met(1, 80, 11), None, "the second, which was not chosen");
        assert_eq!(met(80, 1, 20), Some((9, Side::Client, true)), "roles may turn");
        assert_eq!(met(80, 1, 21), None, "after the last");
    }

    #[test]
    fn merged_captures_have_no_order_of_frames_but_that_in_which_they_are_met() {
        let chosen = [choice(1, (1, 80), (FrameId::new(1, 7), FrameId::new(0, 3)))];
        let mut chosen = Chosen::new(chosen);
        let mut met = |file, number| chosen.take(&seen(1, 80, FrameId::new(file, number))).is_some();
        assert!(!met(0, 1));
        assert!(met(1, 7));
        assert!(met(0, 2));
        assert!(met(0, 3));
        assert!(!met(1, 8));
    }

    #[test]
    fn an_icmp_error_belongs_to_what_is_open() {
        let mut chosen = Chosen::new([choice(1, (1, 80), (frame(2), frame(5)))]);
        assert!(chosen.open(end(1), end(80)).is_none());
        assert!(chosen.take(&seen(1, 80, frame(2))).is_some());
        assert_eq!(chosen.open(end(80), end(1)).map(|choice| choice.conn_id), Some(1));
        assert!(chosen.take(&seen(1, 80, frame(5))).is_some());
        assert!(chosen.open(end(1), end(80)).is_none());
    }
}
