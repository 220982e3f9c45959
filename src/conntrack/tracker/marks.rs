//! What payloads told, by flow. In: a mark and the segment that bears it. Out: the marks of a flow that ends or begins anew.

use super::Tracker;
use crate::conntrack::brief::Brief;
use crate::conntrack::head::Head;
use crate::conntrack::key::Direction;
use crate::conntrack::packed::Packed;
use crate::names::mark::{Mark, Marks};
use crate::tcp::segment::Flags;
use crate::tcp::seq::SeqNum;

impl Tracker {
    /// Keeps what a segment's payload told of its flow.
    #[cold]
    pub(super) fn mark(&mut self, brief: &Brief, hash: u64, mark: Option<&Mark>) {
        let Some((number, mark)) = self.find(brief, hash).zip(mark) else { return };
        if mark.is_of_beginning() {
            let isn = self.isn(number, brief.direction());
            if isn.is_some_and(|isn| !Mark::is_near(isn, brief.segment().payload_seq())) {
                return;
            }
        }
        self.heads.get_mut(number).mark(Head::NAMED);
        self.marks.entry(number).or_default().push(mark.clone(), brief.direction() == Direction::Down);
    }

    /// The sequence number of the last SYN that went this way, if one was seen.
    fn isn(&mut self, number: u32, direction: Direction) -> Option<SeqNum> {
        let head = self.heads.get(number);
        if head.is(Head::UNPACKED) {
            return self.unpacked.get(head.last).as_ref().and_then(|flow| flow.isn(direction));
        }
        self.read(number);
        let is_syn = |packed: &&Packed| packed.direction() == direction && packed.flags().has_all(Flags::SYN);
        self.scratch.iter().rev().find(is_syn).map(Packed::seq)
    }

    /// What payloads told of a flow, which has ended or begins anew.
    pub(super) fn take_marks(&mut self, number: u32) -> Option<Box<Marks>> {
        if !self.heads.get(number).is(Head::NAMED) {
            return None;
        }
        self.heads.get_mut(number).unmark(Head::NAMED);
        self.marks.remove(&number)
    }
}
