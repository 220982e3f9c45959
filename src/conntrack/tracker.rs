//! Many flows: the same calls as one flow, plus the table. One tracker a shard.
//!
//! A flow begins [packed](super::packed): its segments are kept as they are, and nothing is judged. It is unpacked into a
//! [`Flow`] when it grows long or when a SYN inside it has to be judged; most end before that, and are told at once.

mod leaving;
mod marks;
mod split;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use super::apart::Apart;
use super::brief::Brief;
use super::ended::{Ended, Teller, call};
use super::flow::Flow;
use super::head::{Chunk, Head, IN_CHUNK, MOST_PACKED};
use super::index::Index;
use super::key::Key;
use super::packed::Packed;
use super::prefetch::prefetch;
use super::slab::Slab;
use crate::metrics::rows::ConnectionReport;
use crate::metrics::time_wait::Finish;
use crate::names::mark::{Mark, Marks};
use crate::tcp::segment::{Addressed, Flags, Tunnel, Undelivered};
use crate::time::Timestamp;

pub use super::config::Config;

/// Segments whose flows are fetched at once, so that the waits for memory overlap.
pub const FETCHED: usize = 16;
/// So many flows and all that is known of them stay in a cache of a core's own.
const FEW: usize = 64;
/// What an unpacked flow takes, with all that hangs on it, about.
const UNPACKED_BYTES: usize = 5_000;
/// What a flow with marks takes beside that, about.
const MARKED_BYTES: usize = 250;

/// The connections of one shard.
pub struct Tracker {
    config: Config,
    index: Index,
    seeds: [u64; 4],
    heads: Slab<Head>,
    chunks: Slab<Chunk>,
    unpacked: Slab<Option<Box<Flow>>>,
    tunnels: HashMap<u32, Tunnel>,
    apart: Apart,
    /// What payloads told, of flows that they told something of.
    marks: HashMap<u32, Box<Marks>>,
    /// By second of packet time: flows to look at then, each with the low bits of its first ordinal.
    due: BTreeMap<i64, Vec<(u32, u32)>>,
    /// Entries of `due`.
    entries: usize,
    ended: Ended,
    /// For [`Tracker::feed`], which tells at once.
    teller: Teller,
    scratch: Vec<Packed>,
    evictions: u64,
}

/// Where a segment's flow is looked for.
#[derive(Clone, Copy, Default)]
struct Wanted {
    hash: u64,
    /// The flow, probably.
    guess: Option<u32>,
}

impl Tracker {
    /// An empty table.
    pub fn new(config: Config) -> Self {
        // Nothing that comes out depends on it; who sends the packets must not be able to choose what collides.
        let random = RandomState::new();
        Self {
            index: Index::new(),
            seeds: [1_u64, 2, 3, 4].map(|n| random.hash_one(n)),
            heads: Slab::new(),
            chunks: Slab::new(),
            unpacked: Slab::new(),
            tunnels: HashMap::new(),
            apart: Apart::default(),
            marks: HashMap::new(),
            due: BTreeMap::new(),
            entries: 0,
            ended: Ended::default(),
            teller: Teller::new(config.clone()),
            scratch: Vec::new(),
            evictions: 0,
            config,
        }
    }

    /// Takes one segment, in the order of the capture. Connections that can no longer change go to `out`.
    pub fn feed(&mut self, addressed: &Addressed, out: &mut dyn FnMut(ConnectionReport)) {
        self.feed_marked(&[Brief::of(addressed)], &[]);
        self.tell(out);
    }

    /// Takes segments, in the order of the capture. Connections that can no longer change wait for [`Tracker::take`].
    pub fn feed_all(&mut self, segments: &[Addressed]) {
        let mut briefs = [Brief::default(); FETCHED];
        for some in segments.chunks(FETCHED) {
            briefs.iter_mut().zip(some).for_each(|(brief, addressed)| *brief = Brief::of(addressed));
            self.feed_marked(&briefs[..some.len()], &[]);
        }
    }

    /// The same, as a decoder writes them, with what some of the segments' payloads told, in their order.
    pub fn feed_marked(&mut self, segments: &[Brief], marks: &[Mark]) {
        let mut marks = marks.iter();
        let mut mark = marks.next();
        let mut marked = mark.map_or(u64::MAX, |mark| mark.ordinal);
        let mut wanted = [Wanted::default(); FETCHED];
        for some in segments.chunks(FETCHED) {
            self.fetch_for(some, &mut wanted);
            for (wanted, brief) in wanted.iter().zip(some) {
                self.feed_one(brief, wanted);
                if brief.ordinal == marked {
                    self.mark(brief, wanted.hash, mark);
                    mark = marks.next();
                    marked = mark.map_or(u64::MAX, |mark| mark.ordinal);
                }
            }
        }
    }

    /// Begins to load what some segments will need, step by step, so that the waits for memory overlap.
    #[inline(always)]
    fn fetch_for(&self, some: &[Brief], wanted: &mut [Wanted; FETCHED]) {
        let wanted = &mut wanted[..some.len()];
        for (wanted, brief) in wanted.iter_mut().zip(some) {
            *wanted = Wanted { hash: brief.key.hash(&self.seeds), guess: None };
            prefetch(self.index.home(wanted.hash));
        }
        // Nothing to overlap, or all of it in a cache anyway.
        if some.len() == 1 || self.heads.len() <= FEW {
            return;
        }
        for wanted in &mut *wanted {
            wanted.guess = self.index.find(wanted.hash, |_| true);
            if let Some(number) = wanted.guess {
                prefetch(self.heads.get(number));
            }
        }
        for number in wanted.iter().filter_map(|wanted| wanted.guess) {
            let head = self.heads.get(number);
            if head.is(Head::UNPACKED) {
                if let Some(flow) = self.unpacked.get(head.last) {
                    flow.prefetch();
                }
            } else if !head.count().is_multiple_of(IN_CHUNK) {
                // A full chunk is followed by another, and not looked at.
                prefetch(self.chunks.get(head.last));
            }
        }
    }

    #[inline(always)]
    fn feed_one(&mut self, brief: &Brief, wanted: &Wanted) {
        let is_it = |number: u32| self.heads.get(number).is_of(&brief.key);
        let guessed = wanted.guess.filter(|&number| is_it(number));
        match guessed.or_else(|| self.index.find(wanted.hash, is_it)) {
            Some(number) => {
                if !(self.heads.get(number).takes(brief.flags()) && self.append(number, brief)) {
                    self.feed_unusual(number, brief, wanted.hash);
                }
            }
            None => _ = self.begin(brief, wanted.hash),
        }
    }

    /// The first segment of a flow. Returns its number.
    fn begin(&mut self, brief: &Brief, hash: u64) -> u32 {
        self.ended.starts.push(brief.ordinal);
        let number = self.heads.insert(Head::new(brief));
        self.index.insert(hash, number);
        self.begin_in(number, brief);
        if self.heads.len() > self.config.max_connections || self.bytes() > self.config.max_bytes {
            self.shed(brief.ts);
        }
        number
    }

    /// The head is there and holds nothing yet.
    fn begin_in(&mut self, number: u32, brief: &Brief) {
        match brief.pack(&brief.base()) {
            Some(packed) => {
                let segments = [packed; IN_CHUNK];
                let chunk = self.chunks.insert(Chunk { segments, prev: 0, vlan: brief.vlan });
                self.heads.get_mut(number).begin(chunk, brief.flags().is_bare_syn());
                if let Some(tunnel) = brief.tunnel() {
                    self.tunnels.insert(number, tunnel);
                }
            }
            None => {
                let flow = Flow::new(&brief.addressed(), brief.direction());
                self.put_unpacked(number, Box::new(flow));
            }
        }
        if brief.flags().has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST)) {
            self.look_at(number, brief.ts);
        }
    }

    /// A segment that may not be just one more of a packed flow.
    #[inline(never)]
    fn feed_unusual(&mut self, number: u32, brief: &Brief, hash: u64) {
        let head = self.heads.get(number);
        if head.is_judged(brief.flags()) {
            self.feed_unpacked(number, brief);
        } else if head.is(Head::SPLIT) {
            self.feed_split(brief, hash);
        } else {
            self.feed_known(number, brief, hash);
        }
    }

    fn feed_known(&mut self, number: u32, brief: &Brief, hash: u64) {
        let flags = brief.flags();
        if flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST)) {
            if flags.has_any(Flags::FIN.or(Flags::RST)) && !self.heads.get(number).is(Head::TIMED) {
                self.look_at(number, brief.ts);
            }
            if flags.is_bare_syn() && self.is_elsewhere(number, brief) && self.begin_apart(number, brief, hash) {
                return;
            }
        }
        if !self.heads.get(number).is(Head::UNPACKED) {
            if self.may_append(number, brief) && self.append(number, brief) {
                return;
            }
            self.unpack(number);
        }
        self.feed_unpacked(number, brief);
    }

    /// May a segment be kept as those of its packed flow are: is there room, and does nothing have to be judged?
    fn may_append(&mut self, number: u32, brief: &Brief) -> bool {
        let head = self.heads.get_mut(number);
        let count = head.count();
        if count == MOST_PACKED {
            return false;
        }
        let is_syn = brief.flags().is_bare_syn();
        if !head.is(Head::ONLY_SYNS) {
            return !is_syn;
        }
        let first = &self.chunks.get(head.last).segments[(count - 1) % IN_CHUNK];
        let same = first.seq() == brief.seq() && first.direction() == brief.direction();
        if !is_syn {
            head.unmark(Head::ONLY_SYNS);
        }
        !is_syn || same
    }

    /// Keeps a segment packed, if it fits.
    #[inline(always)]
    fn append(&mut self, number: u32, brief: &Brief) -> bool {
        let head = self.heads.get_mut(number);
        let Some(packed) = brief.pack(&head.base()) else { return false };
        let in_last = head.count() % IN_CHUNK;
        let chunk = if in_last > 0 {
            self.chunks.get_mut(head.last)
        } else {
            let (number, chunk) = self.chunks.place();
            chunk.prev = std::mem::replace(&mut head.last, number);
            chunk
        };
        chunk.segments[in_last] = packed;
        head.counted();
        true
    }

    /// Reads the packed segments of a flow into `scratch`, in order; returns its VLAN.
    fn read(&mut self, number: u32) -> Option<u16> {
        let Self { heads, chunks, scratch, .. } = self;
        scratch.clear();
        copy(heads.get(number), chunks, true, scratch)
    }

    /// Begins to load some flows, chunk by chunk: each waits for the one before it, but not for the other flows'.
    fn fetch(&self, numbers: impl Iterator<Item = u32> + Clone) {
        numbers.clone().for_each(|number| prefetch(self.heads.get(number)));
        let mut chains = [(0, 0); FETCHED];
        for (chain, number) in chains.iter_mut().zip(numbers) {
            let head = self.heads.get(number);
            if !head.is(Head::UNPACKED) {
                *chain = (head.last, head.count().div_ceil(IN_CHUNK));
                prefetch(self.chunks.get(head.last));
            }
        }
        while chains.iter().any(|chain| chain.1 > 1) {
            for (at, left) in chains.iter_mut().filter(|chain| chain.1 > 1) {
                (*at, *left) = (self.chunks.get(*at).prev, *left - 1);
                prefetch(self.chunks.get(*at));
            }
        }
    }

    /// From here on the flow is told segment by segment.
    #[cold]
    fn unpack(&mut self, number: u32) {
        if self.heads.get(number).is(Head::UNPACKED) {
            return;
        }
        let Self { heads, chunks, scratch, .. } = self;
        scratch.clear();
        let vlan = copy(heads.get(number), chunks, false, scratch);
        let closed = self.closed(number, Finish::Capture(Timestamp::MIN), vlan, 0);
        self.tunnels.remove(&number);
        let mut flow = Box::new(Flow::new(&closed.first(&self.scratch), self.scratch[0].direction()));
        for packed in &self.scratch[1..] {
            flow.feed_known(packed.direction(), &packed.unpack(&closed.first), &self.config);
        }
        self.put_unpacked(number, flow);
    }

    fn put_unpacked(&mut self, number: u32, flow: Box<Flow>) {
        let unpacked = self.unpacked.insert(Some(flow));
        let head = self.heads.get_mut(number);
        head.mark(Head::UNPACKED);
        head.last = unpacked;
    }

    fn feed_unpacked(&mut self, number: u32, brief: &Brief) {
        let at = self.heads.get(number).last;
        let Some(flow) = self.unpacked.get_mut(at) else { return };
        if !brief.flags().has_all(Flags::SYN) && !flow.is_in_doubt() {
            return flow.feed_known(brief.direction(), &brief.segment(), &self.config);
        }
        let before = flow.starts();
        let ended = flow.feed(&brief.addressed(), brief.direction(), &self.config);
        let after = flow.starts();
        if before != after {
            let known = |start| before.contains(&start);
            self.ended.starts.extend(after.into_iter().filter(|&start| !known(start)).flatten());
            self.ended.dropped.extend(before[1].filter(|&start| !after.contains(&Some(start))));
        }
        let Some(mut report) = ended else { return };
        let (begins_anew, start) = (flow.is_fresh(), flow.starts()[0]);
        if self.heads.get(number).is(Head::NAMED)
            && let Some(mut marks) = self.take_marks(number)
        {
            call(&mut report, &marks.before(start.unwrap_or(u64::MAX)));
            if !marks.is_empty() {
                self.heads.get_mut(number).mark(Head::NAMED);
                self.marks.insert(number, marks);
            }
        }
        report.connection.split = self.heads.get(number).is(Head::SPLIT);
        self.ended.reports.push(report);
        if begins_anew {
            self.unpacked.remove(at);
            let head = self.heads.get_mut(number);
            let split = head.is(Head::SPLIT);
            *head = Head::new(brief);
            if split {
                head.mark(Head::SPLIT);
            }
            self.begin_in(number, brief);
        }
    }

    /// Takes an ICMP error that quotes a segment.
    pub fn undelivered(&mut self, icmp: &Undelivered) {
        let (key, direction) = Key::of(&icmp.src, &icmp.dst);
        let found = self.index.find(key.hash(&self.seeds), |number| self.heads.get(number).is_of(&key));
        let Some(number) = found else { return };
        self.unpack(number);
        if let Some(flow) = self.unpacked.get_mut(self.heads.get(number).last) {
            flow.undelivered(icmp, direction);
        }
    }

    /// How many connections were given up so far.
    pub const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// What has ended since this was last asked for.
    pub fn take(&mut self) -> Ended {
        let next = self.ended.alike();
        std::mem::replace(&mut self.ended, next)
    }

    fn tell(&mut self, out: &mut dyn FnMut(ConnectionReport)) {
        if self.ended.is_empty() {
            return;
        }
        let ended = self.take();
        ended.items().for_each(|item| out(self.teller.report(&ended, item)));
    }

    /// Flows to be looked at some day, those that are no more included.
    #[cfg(test)]
    pub(super) const fn entries(&self) -> usize {
        self.entries
    }

    /// What the flows take.
    fn bytes(&self) -> usize {
        self.heads.len() * (size_of::<Head>() + 12)
            + self.chunks.len() * size_of::<Chunk>()
            + self.unpacked.len() * UNPACKED_BYTES
            + self.marks.len() * MARKED_BYTES
    }

    fn unpacked_flow(&self, head: &Head) -> Option<&Flow> {
        if head.is(Head::UNPACKED) { self.unpacked.get(head.last).as_deref() } else { None }
    }

    fn numbers(&self) -> Vec<u32> {
        self.heads.places().filter(|(_, head)| head.is_taken()).map(|(number, _)| number).collect()
    }
}

/// Adds the packed segments of a flow to `to`, in order, and frees their places if they are not `kept`; returns the VLAN.
#[inline(always)]
fn copy(head: &Head, chunks: &mut Slab<Chunk>, kept: bool, to: &mut Vec<Packed>) -> Option<u16> {
    let (from, count) = (to.len(), head.count());
    to.resize(from + count, Packed::default());
    let (mut at, mut vlan) = (head.last, 0);
    for places in to[from..].chunks_mut(IN_CHUNK).rev() {
        let chunk = chunks.get(at);
        for (place, packed) in places.iter_mut().zip(&chunk.segments) {
            *place = *packed;
        }
        vlan = chunk.vlan;
        let prev = chunk.prev;
        if !kept {
            chunks.free(at);
        }
        at = prev;
    }
    vlan.checked_sub(1)
}
