//! How flows leave the table: when they are over and long silent, to make room, or because the capture ends. In: packet time. Out: what is told,
//! with all that was kept of it.

use super::{FETCHED, Tracker, copy};
use crate::conntrack::closed::Closed;
use crate::conntrack::ended::{Ended, call};
use crate::conntrack::head::Head;
use crate::conntrack::packed;
use crate::metrics::rows::ConnectionReport;
use crate::metrics::time_wait::Finish;
use crate::tcp::segment::Flags;
use crate::time::{NANOS_PER_SEC, Timestamp};

/// Entries that may be left of flows that are no more, beside four for each that is.
const MOST_PASSED: usize = 1 << 16;

impl Tracker {
    /// A flow is looked at again when it has been silent long enough to be over.
    pub(super) fn look_at(&mut self, number: u32, ts: Timestamp) {
        let head = self.heads.get_mut(number);
        head.mark(Head::TIMED);
        let second = ts.plus(self.config.linger()).as_nanos().div_euclid(NANOS_PER_SEC);
        let place = head.base().ordinal as u32;
        self.due.entry(second).or_default().push((number, place));
        self.entries += 1;
        // A 4-tuple that is used again and again leaves an entry each time.
        if self.entries > 4 * self.heads.len() + MOST_PASSED {
            let heads = &self.heads;
            for entries in self.due.values_mut() {
                entries.retain(|&(number, place)| heads.get(number).is_due(place));
            }
            self.due.retain(|_, entries| !entries.is_empty());
            self.entries = self.due.values().map(Vec::len).sum();
        }
    }

    /// Lets go of the connections that are over, and whose last packet passed long enough before `now` for nothing more to be theirs.
    pub fn expire(&mut self, now: Timestamp) {
        let before = now.as_nanos().div_euclid(NANOS_PER_SEC);
        while let Some(first) = self.due.first_entry().filter(|first| *first.key() < before) {
            let entries = first.remove();
            self.entries -= entries.len();
            for some in entries.chunks(FETCHED) {
                let still = |&&(number, place): &&(u32, u32)| self.heads.get(number).is_due(place);
                let mut numbers = [0; FETCHED];
                let count =
                    some.iter().filter(still).zip(&mut numbers).map(|(entry, number)| *number = entry.0).count();
                self.fetch(numbers[..count].iter().copied());
                numbers[..count].iter().for_each(|&number| self.look(number, now));
            }
        }
    }

    fn look(&mut self, number: u32, now: Timestamp) {
        let (last, over) = self.standing(number);
        let linger = self.config.linger();
        if last.plus(linger) > now {
            self.look_at(number, last);
        } else if over {
            self.end(number, Finish::Capture(now));
        } else {
            // It goes on in silence; the next FIN or RST has it looked at again.
            self.heads.get_mut(number).unmark(Head::TIMED);
        }
    }

    /// When a flow's last packet passed, and whether nothing more is to come: both FINs are acknowledged, or an RST was the last word, or
    /// nobody ever answered.
    pub(super) fn standing(&mut self, number: u32) -> (Timestamp, bool) {
        let head = self.heads.get(number);
        if head.is(Head::UNPACKED) {
            let Some(flow) = self.unpacked.get(head.last) else { return (Timestamp::MAX, false) };
            return (flow.last_ts(), flow.is_over());
        }
        let (base, only_syns, alone) = (head.base(), head.is(Head::ONLY_SYNS), head.key().is_self());
        self.read(number);
        let last = self.scratch.iter().map(|packed| packed.ts(&base)).max().unwrap_or(base.ts);
        (last, only_syns || packed::is_over(&self.scratch, alone))
    }

    /// Who a packed flow is, for whoever tells it; its segments begin at `from`, and it has this VLAN.
    #[inline]
    pub(super) fn closed(&self, number: u32, finish: Finish, vlan: Option<u16>, from: usize) -> Closed {
        let head = self.heads.get(number);
        let tunnel = if self.tunnels.is_empty() { None } else { self.tunnels.get(&number).copied() };
        let (split, segments) = (head.is(Head::SPLIT), from..from + head.count());
        Closed { key: head.key(), first: head.base(), vlan, tunnel, finish, segments, marks: None, split }
    }

    /// Moves a packed flow to those that have ended; what it held is not used again if it is `kept`.
    fn move_out(&mut self, number: u32, finish: Finish, kept: bool) {
        let Self { heads, chunks, ended, .. } = self;
        let from = ended.segments().len();
        let vlan = copy(heads.get(number), chunks, kept, ended.segments());
        let mut closed = self.closed(number, finish, vlan, from);
        closed.marks = self.take_marks(number);
        self.ended.push(closed);
    }

    /// A flow is one of those that have ended; its number still stands for it.
    fn leave(&mut self, number: u32, finish: Finish, kept: bool) {
        let head = *self.heads.get(number);
        if !head.is(Head::UNPACKED) {
            self.move_out(number, finish, kept);
        } else if let Some(flow) = self.unpacked.remove(head.last) {
            self.ended.dropped.extend(flow.starts()[1]);
            let mut report = flow.finish(&self.config, finish);
            report.connection.split = head.is(Head::SPLIT);
            if let Some(marks) = self.take_marks(number) {
                call(&mut report, &marks);
            }
            self.ended.reports.push(report);
        }
    }

    /// Ends a flow and forgets it.
    pub(super) fn end(&mut self, number: u32, finish: Finish) {
        self.leave(number, finish, false);
        let head = self.heads.remove(number);
        if !self.tunnels.is_empty() {
            self.tunnels.remove(&number);
        }
        if head.is(Head::SPLIT) {
            self.apart.remove(number);
        }
        self.index.remove(head.key().hash(&self.seeds), number);
    }

    /// Gives up the eighth of the table that is worth least, so that the search for it is paid once in many packets.
    #[cold]
    pub(super) fn shed(&mut self, now: Timestamp) {
        let mut worth: Vec<_> = Vec::with_capacity(self.heads.len());
        for number in self.numbers() {
            worth.push((self.worth(number), number));
        }
        let some = (worth.len() / 8).max(1);
        // Equal ones by their first packet, so that what is given up depends on the packets alone.
        let order = |&(worth, number): &((u8, Timestamp), u32)| (worth, self.heads.get(number).base().ordinal);
        worth.select_nth_unstable_by_key(some - 1, order);
        worth.truncate(some);
        for (_, number) in worth {
            self.evictions += 1;
            self.end(number, Finish::Evicted(now));
        }
    }

    /// How worthless a flow is to keep, and since when it is idle: what is shed first orders first.
    fn worth(&mut self, number: u32) -> (u8, Timestamp) {
        let head = *self.heads.get(number);
        if let Some(flow) = self.unpacked_flow(&head) {
            return flow.worth();
        }
        let (last, over) = self.standing(number);
        let class = match (over && !head.is(Head::ONLY_SYNS), &self.scratch[..]) {
            (true, _) => 0,
            (_, some) if !packed::is_established(some) && some[0].flags().has_all(Flags::SYN) => 1,
            (_, some) if !some[0].flags().is_bare_syn() => 2,
            _ => 3,
        };
        (class, last)
    }

    /// The capture is over. Returns the open connections, in the order of their first segments, for [`Tracker::end_some`]; what ended before
    /// waits for [`Tracker::take`].
    pub fn close(&mut self) -> Vec<(u64, u32)> {
        // A SYN whose meaning nothing has shown by now began no connection.
        let flows = self.unpacked.places().filter_map(|(_, flow)| flow.as_ref());
        self.ended.dropped.extend(flows.filter_map(|flow| flow.starts()[1]));
        let mut open: Vec<_> =
            self.numbers().into_iter().map(|number| (self.heads.get(number).base().ordinal, number)).collect();
        open.sort_unstable();
        open
    }

    /// Ends the capture at `end`, the timestamp of its last packet of any kind, for some of the open connections.
    pub fn end_some(&mut self, open: &[(u64, u32)], end: Timestamp) -> Ended {
        for some in open.chunks(FETCHED) {
            self.fetch(some.iter().map(|&(_, number)| number));
            // Nothing comes in any more, so nothing has to be forgotten.
            some.iter().for_each(|&(_, number)| self.leave(number, Finish::Capture(end), true));
        }
        self.take()
    }

    /// Ends the capture at `end`: every open connection goes to `out`.
    pub fn finish(mut self, end: Timestamp, out: &mut dyn FnMut(ConnectionReport)) {
        let open = self.close();
        self.tell(out);
        for some in open.chunks(1 << 12) {
            let ended = self.end_some(some, end);
            ended.items().for_each(|item| out(self.teller.report(&ended, item)));
        }
    }
}
