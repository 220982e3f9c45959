//! Several sources into one. In: [`Source`]s. Out: their packets, ordered by (time, source, number).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{CaptureError, Flow, Info, LinkType, Packet, Polled, Problem, Source};
use crate::time::Timestamp;

/// Sources read as one, in time order. A single source is passed through untouched, in its own order.
///
/// Each source keeps its order even where its clock went back, and a packet without a timestamp keeps its place: it is
/// taken to be of the same time as the one before it. An error ends its source and no other. A source that says when it
/// [begins](Source::begins) is asked for nothing before that time, and one that has ended is closed.
pub struct Merge {
    lanes: Vec<Lane>,
    /// Lanes that hold a packet or have not begun, the earliest on top.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Lanes to be asked for their next packet: at first all that do not say when they begin, then the one whose packet was given
    /// last.
    due: Vec<usize>,
}

/// A source and its next packet. The packet is a copy, in a buffer that is used again: a source lends only one packet at
/// a time, and no other source's may be given while that loan lasts.
struct Lane {
    source: Box<dyn Source>,
    error: Option<CaptureError>,
    stage: Stage,
    ts: Option<Timestamp>,
    /// The time of the last packet that had one.
    clock: Timestamp,
    number: u64,
    link: LinkType,
    interface: u32,
    wire_len: u32,
    data: Vec<u8>,
}

/// How far a lane has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It stands among the heads with the time at which it begins, and has not been asked for anything.
    Asleep,
    Awake,
    Ended,
}

/// What asking a lane brought.
enum Step {
    /// A packet earlier than every other lane's: it was given at once.
    Given,
    /// A packet that others may come before: the lane holds a copy.
    Held,
    Quiet,
    Ended,
}

impl Lane {
    fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            error: None,
            stage: Stage::Awake,
            ts: None,
            clock: Timestamp::MIN,
            number: 0,
            link: LinkType::NULL,
            interface: 0,
            wire_len: 0,
            data: Vec::new(),
        }
    }

    /// Asks for the next packet. Before `next`, the time of the earliest other lane and its number, it is given to `take` as it is;
    /// otherwise it is copied. `me` is this lane's number.
    #[inline]
    fn advance(
        &mut self,
        me: usize,
        next: Option<(Timestamp, usize)>,
        take: &mut impl FnMut(usize, &Packet<'_>),
    ) -> Step {
        match self.source.poll() {
            Ok(Polled::Packet(packet)) => {
                self.clock = packet.ts.unwrap_or(self.clock);
                if next.is_none_or(|next| (self.clock, me) < next) {
                    take(me, &packet);
                    return Step::Given;
                }
                self.ts = packet.ts;
                self.number = packet.number;
                self.link = packet.link;
                self.interface = packet.interface;
                self.wire_len = packet.wire_len;
                self.data.clear();
                self.data.extend_from_slice(packet.data);
                Step::Held
            }
            Ok(Polled::Quiet) => Step::Quiet,
            Ok(Polled::End) => {
                self.end(None);
                Step::Ended
            }
            Err(error) => {
                self.end(Some(error));
                Step::Ended
            }
        }
    }

    fn is_refused(&self) -> bool {
        self.error.as_ref().is_some_and(|error| matches!(error.problem(), Problem::TooManyOpen { .. }))
    }

    /// Nothing will be asked of it again.
    #[cold]
    fn end(&mut self, error: Option<CaptureError>) {
        self.error = error;
        self.stage = Stage::Ended;
        self.data = Vec::new();
        self.source.close();
    }

    fn packet(&self) -> Packet<'_> {
        let Self { ts, number, link, interface, wire_len, .. } = *self;
        Packet { ts, number, link, interface, wire_len, data: &self.data }
    }
}

impl Merge {
    /// Reads `sources` as one. Packets name their source by its place in the list.
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        let mut this = Self { lanes: Vec::with_capacity(sources.len()), heads: BinaryHeap::new(), due: Vec::new() };
        for (index, source) in sources.into_iter().enumerate() {
            let mut lane = Lane::new(source);
            match lane.source.begins() {
                Some(begins) => {
                    lane.stage = Stage::Asleep;
                    this.heads.push(Reverse((begins, index)));
                }
                None => this.due.push(index),
            }
            this.lanes.push(lane);
        }
        this.due.reverse();
        this
    }

    /// Lends up to `most` of the next packets to `take`, with the numbers of their sources; see [`Source::each`]. Errors are
    /// kept for [`Merge::error`], and the other sources go on.
    pub fn each(&mut self, most: usize, mut take: impl FnMut(usize, &Packet<'_>)) -> Flow {
        if let [only] = &mut self.lanes[..] {
            return match only.source.each(most, &mut |packet| take(0, packet)) {
                Ok(Flow::End) => {
                    only.stage = Stage::Ended;
                    Flow::End
                }
                Ok(flow) => flow,
                Err(error) => {
                    only.end(Some(error));
                    Flow::End
                }
            };
        }
        let mut given = 0;
        while given < most {
            match self.step(&mut take) {
                Ok(true) => given += 1,
                Ok(false) => {}
                Err(flow) => return flow,
            }
        }
        Flow::More
    }

    /// Asks one lane, or gives what one holds: whether a packet was given, or why there is none.
    #[inline]
    fn step(&mut self, take: &mut impl FnMut(usize, &Packet<'_>)) -> Result<bool, Flow> {
        if let Some(&index) = self.due.last() {
            // While another is due, nobody knows whose packet is the earliest.
            let alone = self.due.len() == 1;
            let next = if alone { self.heads.peek().map(|head| head.0) } else { Some((Timestamp::MIN, 0)) };
            let Some(lane) = self.lanes.get_mut(index) else {
                self.due.pop();
                return Ok(false);
            };
            return match lane.advance(index, next, take) {
                Step::Given => Ok(true),
                // The order of the others depends on what this one says next.
                Step::Quiet => Err(Flow::Quiet),
                Step::Held => {
                    self.heads.push(Reverse((lane.clock, index)));
                    self.due.pop();
                    Ok(false)
                }
                Step::Ended => {
                    let refused = lane.is_refused();
                    self.due.pop();
                    if refused {
                        self.due.clear();
                        self.heads.clear();
                    }
                    Ok(false)
                }
            };
        }
        let Some(Reverse((_, index))) = self.heads.pop() else { return Err(Flow::End) };
        self.due.push(index);
        match self.lanes.get_mut(index) {
            Some(lane) if lane.stage == Stage::Asleep => {
                lane.stage = Stage::Awake;
                Ok(false)
            }
            Some(lane) => {
                take(index, &lane.packet());
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Whether source `index` has given all its packets, or all that an error left of them.
    pub fn has_ended(&self, index: usize) -> bool {
        self.lanes.get(index).is_some_and(|lane| lane.stage == Stage::Ended)
    }

    /// Why all sources were given up together: too many overlap in time to be open at once, and the packets of the others alone would
    /// tell another story.
    pub fn refused(&self) -> Option<&CaptureError> {
        self.lanes.iter().find(|lane| lane.is_refused())?.error.as_ref()
    }

    /// What stopped source `index` before its end.
    pub fn error(&self, index: usize) -> Option<&CaptureError> {
        self.lanes.get(index)?.error.as_ref()
    }

    /// What stopped sources before their ends, with the numbers of the sources.
    pub fn errors(&self) -> impl Iterator<Item = (usize, &CaptureError)> {
        self.lanes.iter().enumerate().filter_map(|(index, lane)| Some((index, lane.error.as_ref()?)))
    }

    /// What is known of each source up to now, in the order given.
    pub fn infos(&mut self) -> Vec<Info> {
        self.lanes.iter_mut().map(|lane| lane.source.info()).collect()
    }
}
