//! What payloads told, by flow. In: a mark and the segment that bears it. Out: the marks of a flow that ends or begins anew.

use super::{Tracker, Wanted, direction};
use crate::conntrack::head::Head;
use crate::conntrack::packed::Packed;
use crate::names::mark::{Mark, Marks};
use crate::tcp::segment::{Addressed, Flags};
use crate::tcp::seq::SeqNum;

impl Tracker {
    /// Keeps what a segment's payload told of its flow.
    #[cold]
    pub(super) fn mark(&mut self, addressed: &Addressed, wanted: &Wanted, mark: Option<&Mark>) {
        let Some((number, mark)) = self.find(addressed, wanted).zip(mark) else { return };
        if mark.is_of_beginning() {
            let isn = self.isn(number, wanted.down);
            if isn.is_some_and(|isn| !Mark::is_near(isn, addressed.segment.payload_seq())) {
                return;
            }
        }
        self.heads.get_mut(number).mark(Head::NAMED);
        self.marks.entry(number).or_default().push(mark.clone(), wanted.down);
    }

    /// The sequence number of the last SYN that went this way, if one was seen.
    fn isn(&mut self, number: u32, down: bool) -> Option<SeqNum> {
        let head = self.heads.get(number);
        if head.is(Head::UNPACKED) {
            return self.unpacked.get(head.last).as_ref().and_then(|flow| flow.isn(direction(down)));
        }
        self.read(number);
        let is_syn = |packed: &&Packed| packed.direction() == direction(down) && packed.flags().has_all(Flags::SYN);
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
