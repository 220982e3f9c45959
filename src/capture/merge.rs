//! Several sources into one. In: [`Source`]s. Out: their packets, ordered by (time, source, number).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{CaptureError, Flow, Info, LinkType, Packet, Polled, Source};
use crate::time::Timestamp;

/// What a [`Merge`] has for its caller.
#[derive(Clone, Copy, Debug)]
pub enum Merged<'a> {
    /// The next packet, and the number of its source, from 0 in the order given.
    Packet(usize, Packet<'a>),
    /// Nothing for the moment: see [`Polled::Quiet`].
    Quiet,
    /// Every source has ended.
    End,
}

/// Sources read as one, in time order. A single source is passed through untouched, in its own order.
///
/// Each source keeps its order even where its clock went back, and a packet without a timestamp keeps its place: it is
/// taken to be of the same time as the one before it. An error ends its source and no other.
pub struct Merge {
    lanes: Vec<Lane>,
    /// Lanes that hold a packet, the earliest on top.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Lanes to be asked for their next packet: all at first, then the one whose packet was given last.
    due: Vec<usize>,
}

/// A source and its next packet. The packet is a copy, in a buffer that is used again: a source lends only one packet at
/// a time, and no other source's may be given while that loan lasts.
struct Lane {
    source: Box<dyn Source>,
    error: Option<CaptureError>,
    ts: Option<Timestamp>,
    /// The time of the last packet that had one.
    clock: Timestamp,
    number: u64,
    link: LinkType,
    interface: u32,
    wire_len: u32,
    data: Vec<u8>,
}

/// What asking a lane brought.
enum Step {
    Held,
    Quiet,
    Ended,
}

impl Lane {
    fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            error: None,
            ts: None,
            clock: Timestamp::MIN,
            number: 0,
            link: LinkType::NULL,
            interface: 0,
            wire_len: 0,
            data: Vec::new(),
        }
    }

    fn advance(&mut self) -> Step {
        match self.source.poll() {
            Ok(Polled::Packet(packet)) => {
                self.clock = packet.ts.unwrap_or(self.clock);
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
            Ok(Polled::End) => Step::Ended,
            Err(error) => {
                self.error = Some(error);
                Step::Ended
            }
        }
    }

    fn packet(&self) -> Packet<'_> {
        let Self { ts, number, link, interface, wire_len, .. } = *self;
        Packet { ts, number, link, interface, wire_len, data: &self.data }
    }
}

impl Merge {
    /// Reads `sources` as one. Packets name their source by its place in the list.
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        let due = (0..sources.len()).rev().collect();
        Self { lanes: sources.into_iter().map(Lane::new).collect(), heads: BinaryHeap::new(), due }
    }

    /// The next packet of all. Errors are kept for [`Merge::error`], and the other sources go on.
    #[inline]
    pub fn poll(&mut self) -> Merged<'_> {
        if self.lanes.len() != 1 {
            return self.poll_many();
        }
        let Some(only) = self.lanes.first_mut() else { return Merged::End };
        match only.source.poll() {
            Ok(Polled::Packet(packet)) => Merged::Packet(0, packet),
            Ok(Polled::Quiet) => Merged::Quiet,
            Ok(Polled::End) => Merged::End,
            Err(error) => {
                only.error = Some(error);
                Merged::End
            }
        }
    }

    /// Lends up to `most` of the next packets to `take`, with the numbers of their sources; see [`Source::each`]. Errors are
    /// kept for [`Merge::error`], and the other sources go on.
    pub fn each(&mut self, most: usize, mut take: impl FnMut(usize, &Packet<'_>)) -> Flow {
        if let [only] = &mut self.lanes[..] {
            return match only.source.each(most, &mut |packet| take(0, packet)) {
                Ok(flow) => flow,
                Err(error) => {
                    only.error = Some(error);
                    Flow::End
                }
            };
        }
        for _ in 0..most {
            match self.poll_many() {
                Merged::Packet(index, packet) => take(index, &packet),
                Merged::Quiet => return Flow::Quiet,
                Merged::End => return Flow::End,
            }
        }
        Flow::More
    }

    fn poll_many(&mut self) -> Merged<'_> {
        while let Some(index) = self.due.pop() {
            let Some(lane) = self.lanes.get_mut(index) else { continue };
            match lane.advance() {
                Step::Held => self.heads.push(Reverse((lane.clock, index))),
                Step::Ended => {}
                Step::Quiet => {
                    // The order of the others depends on what this one says next.
                    self.due.push(index);
                    return Merged::Quiet;
                }
            }
        }
        let Some(Reverse((_, index))) = self.heads.pop() else { return Merged::End };
        self.due.push(index);
        match self.lanes.get(index) {
            Some(lane) => Merged::Packet(index, lane.packet()),
            None => Merged::End,
        }
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
