//! Connections spread over threads by their flow's hash. In: segments in the order of the capture. Out: what ended, tick by tick, for whoever
//! tells it. One thread owns a flow, so each flow sees its segments in order.
//!
//! ```text
//! one thread     reader, table, telling
//! two, three     reader, table ─▶ telling, which one or two help
//! four and more  reader ─▶ tables (half of the rest) ─▶ telling, which as many help as there are left, and one
//! ```
//!
//! There is one thread more than asked for: whoever tells mostly waits while the reader reads, and the reader is done when most is told.

use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::sink::Sink;
use super::telling::{Rest, Telling};
use crate::conntrack::brief::Brief;
use crate::conntrack::ended::Ended;
use crate::conntrack::key::FlowKey;
use crate::conntrack::tracker::{Config, Tracker};
use crate::error::Error;
use crate::names::mark::Mark;
use crate::tcp::segment::Undelivered;
use crate::time::Timestamp;

/// Segments a thread is given at once: enough to make handing over cheap, few enough to stay in a cache.
const BATCH: usize = 256;
/// Segments that the reader's own table is given at once.
const OWN_BATCH: usize = 64;
/// Batches that may wait for a thread; the reader waits when they are full, so memory is bounded.
const QUEUE: usize = 16;
/// Ticks whose connections may wait to be told.
const TICKS: usize = 2;
/// Connections that leave a table at once when the capture is over.
const PORTION: usize = 1 << 10;

/// What a table is told.
enum Item {
    Segment(Brief),
    /// Of the segment before it.
    Mark(Mark),
    Undelivered(Undelivered),
}

/// What a thread with a table is sent.
enum Work {
    Batch(Vec<Item>),
    Tick(Tick),
    End(Timestamp),
}

/// A moment at which what has ended leaves the tables.
#[derive(Clone, Copy)]
pub struct Tick {
    /// The packet time.
    pub now: Timestamp,
    /// Connections that are long over are let go.
    pub expire: bool,
}

/// What a table gives up to be told.
enum Left {
    /// Since the last tick.
    Tick(Ended),
    /// Since the last tick, of which there is no other; and how many connections were given up for want of memory.
    Last(Ended, u64),
    /// A part of what was still open.
    Rest(Ended),
}

/// The connection table in one or several parts, and the telling.
pub struct Shards<S: Sink> {
    /// The next segments for whoever comes in front, so many of them, and what their payloads told.
    batch: Box<[Brief; OWN_BATCH]>,
    filled: usize,
    marks: Vec<Mark>,
    front: Front,
    back: Back<S>,
}

enum Front {
    Here(Box<Tracker>),
    Threads(Vec<Shard>),
}

enum Back<S: Sink> {
    Here(Box<Telling<S>>),
    /// `to` is there while the table is the caller's own.
    Thread {
        to: Option<SyncSender<Left>>,
        failed: Arc<AtomicBool>,
        thread: JoinHandle<Option<Told<S>>>,
    },
}

/// What came of the run: the sink, or why it refused to go on; and how many connections were given up.
type Told<S> = (Result<S, Error>, u64);

struct Shard {
    filling: Vec<Item>,
    full: SyncSender<Work>,
    empty: Receiver<Vec<Item>>,
    thread: JoinHandle<()>,
}

impl<S: Sink + 'static> Shards<S> {
    /// With so many threads in all. `stream`: what has ended is told at every tick.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(threads: NonZeroUsize, config: &Config, sink: S, stream: bool) -> io::Result<Self> {
        let threads = threads.get();
        let tables = if threads < 4 { 1 } else { (threads - 2) / 2 };
        // The caps are the run's: each table has its part of them.
        let whole = config;
        let config = Config {
            max_connections: config.max_connections.div_ceil(tables),
            max_bytes: config.max_bytes.div_ceil(tables),
            ..config.clone()
        };
        let here = || Front::Here(Box::new(Tracker::new(config.clone())));
        let batch = Box::new([Brief::default(); OWN_BATCH]);
        if threads == 1 {
            let telling = Telling::start(sink, whole, 0, stream)?;
            return Ok(Self {
                batch,
                filled: 0,
                marks: Vec::new(),
                front: here(),
                back: Back::Here(Box::new(telling)),
            });
        }
        let own = threads < 4;
        let helpers = if own { threads - 1 } else { threads - 1 - tables };
        let telling = Telling::start(sink, whole, helpers, stream)?;
        let failed = Arc::new(AtomicBool::new(false));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..tables).map(|_| sync_channel(TICKS)).unzip();
        let noted = Arc::clone(&failed);
        let thread = thread::Builder::new().name("rows".into()).spawn(move || tell(telling, receivers, &noted))?;
        let mut senders = senders.into_iter();
        let (front, to) = if own {
            (here(), senders.next())
        } else {
            let shards = senders.enumerate().map(|(number, left)| Shard::start(number, config.clone(), left));
            (Front::Threads(shards.collect::<io::Result<_>>()?), None)
        };
        Ok(Self { batch, filled: 0, marks: Vec::new(), front, back: Back::Thread { to, failed, thread } })
    }

    /// Where the next segment is to be written as it is decoded; then [`Shards::keep`].
    #[inline]
    pub fn place(&mut self) -> &mut Brief {
        // It is passed on when it is full, so there is always a place.
        &mut self.batch[self.filled % OWN_BATCH]
    }

    /// Takes the segment that was written, in the order of the capture, with what its payload told.
    #[inline]
    pub fn keep(&mut self, mark: Option<Mark>) {
        self.filled += 1;
        self.marks.extend(mark);
        if self.filled == OWN_BATCH {
            self.pass_on();
        }
    }

    #[inline(never)]
    fn pass_on(&mut self) {
        let batch = &self.batch[..self.filled];
        match &mut self.front {
            Front::Here(tracker) => {
                tracker.feed_marked(batch, &self.marks);
                self.marks.clear();
            }
            Front::Threads(shards) => {
                let mut marks = self.marks.drain(..).peekable();
                for brief in batch {
                    let mark = marks.next_if(|mark| mark.ordinal == brief.ordinal);
                    route(shards, brief.key.flow_hash(), Item::Segment(*brief), mark);
                }
            }
        }
        self.filled = 0;
    }

    /// Takes an ICMP error about a segment; it goes where the segment's flow is.
    #[inline(never)]
    pub fn undelivered(&mut self, icmp: &Undelivered) {
        self.pass_on();
        match &mut self.front {
            Front::Here(tracker) => tracker.undelivered(icmp),
            Front::Threads(shards) => {
                route(shards, FlowKey::new(icmp.src, icmp.dst).0.flow_hash(), Item::Undelivered(*icmp), None)
            }
        }
    }

    /// Lets what has ended leave the tables. Returns whether there is any use in going on: not if the sink has refused something.
    pub fn tick(&mut self, tick: Tick) -> bool {
        self.pass_on();
        match &mut self.front {
            Front::Here(tracker) => {
                let ended = ended(tracker, tick);
                match &mut self.back {
                    Back::Here(telling) => telling.tick([ended]),
                    Back::Thread { to, .. } => {
                        if let Some(to) = to {
                            // Only a thread that has panicked does not take it; that shows when it is waited for.
                            let _ = to.send(Left::Tick(ended));
                        }
                    }
                }
            }
            Front::Threads(shards) => {
                for shard in shards {
                    shard.hand_over();
                    shard.send(Work::Tick(tick));
                }
            }
        }
        match &self.back {
            Back::Here(telling) => !telling.failed(),
            Back::Thread { failed, thread, .. } => !failed.load(Ordering::Relaxed) && !thread.is_finished(),
        }
    }

    /// Ends the run with nothing. When this returns, the sink is gone.
    pub fn abandon(self) {
        let Self { batch: _, filled: _, marks: _, front, back } = self;
        drop(front);
        if let Back::Thread { to, thread, .. } = back {
            drop(to);
            drop(join(thread));
        }
    }

    /// Ends the capture at `end`. Returns the sink and how many connections were given up to stay within memory.
    ///
    /// # Errors
    ///
    /// Why the sink refused something.
    pub fn finish(mut self, end: Timestamp) -> Result<(S, u64), Error> {
        self.pass_on();
        let (told, evictions) = match (self.front, self.back) {
            (Front::Here(mut tracker), Back::Here(telling)) => {
                let (open, last, evictions) = (tracker.close(), tracker.take(), tracker.evictions());
                let rest: Rest = Box::new(rest(*tracker, open, end));
                (telling.finish([last], vec![rest]), evictions)
            }
            (Front::Here(tracker), Back::Thread { to, thread, .. }) => {
                if let Some(to) = to {
                    leave(*tracker, end, &to);
                }
                told(join(thread))
            }
            (Front::Threads(mut shards), Back::Thread { thread, .. }) => {
                for shard in &mut shards {
                    shard.hand_over();
                    shard.send(Work::End(end));
                }
                shards.into_iter().for_each(|shard| join(shard.thread));
                told(join(thread))
            }
            (Front::Threads(_), Back::Here(telling)) => (telling.finish([], Vec::new()), 0),
        };
        told.map(|sink| (sink, evictions))
    }
}

/// There is nothing only where a thread with a table has ended before its time.
fn told<S: Sink>(told: Option<Told<S>>) -> Told<S> {
    told.unwrap_or_else(|| (Err(Error::Thread(io::Error::other("a thread with connections has ended"))), 0))
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// A segment and its mark go together: the table looks for each mark's segment in the same batch.
fn route(shards: &mut [Shard], hash: u64, item: Item, mark: Option<Mark>) {
    // The remainder is below the number of shards, which fits a usize.
    let index = (hash % shards.len().max(1) as u64) as usize;
    if let Some(shard) = shards.get_mut(index) {
        shard.filling.push(item);
        shard.filling.extend(mark.map(Item::Mark));
        if shard.filling.len() >= BATCH {
            shard.hand_over();
        }
    }
}

fn ended(tracker: &mut Tracker, tick: Tick) -> Ended {
    if tick.expire {
        tracker.expire(tick.now);
    }
    tracker.take()
}

/// What is still open when the capture ends, a portion at a time.
fn rest(mut tracker: Tracker, open: Vec<(u64, u32)>, end: Timestamp) -> impl FnMut() -> Option<Ended> {
    let mut from = 0;
    move || {
        let some = open.get(from..)?.chunks(PORTION).next()?;
        from += some.len();
        Some(tracker.end_some(some, end))
    }
}

/// Everything that a table still holds goes to be told.
fn leave(mut tracker: Tracker, end: Timestamp, to: &SyncSender<Left>) {
    // Whoever tells is gone only after a panic of its own.
    let (open, last, evictions) = (tracker.close(), tracker.take(), tracker.evictions());
    let mut wanted = to.send(Left::Last(last, evictions)).is_ok();
    let mut rest = rest(tracker, open, end);
    while let Some(ended) = rest().filter(|_| wanted) {
        wanted = to.send(Left::Rest(ended)).is_ok();
    }
}

impl Shard {
    fn start(number: usize, config: Config, left: SyncSender<Left>) -> io::Result<Self> {
        let (full, inbox) = sync_channel(QUEUE);
        let (outbox, empty) = channel();
        let thread = thread::Builder::new()
            .name(format!("shard {number}"))
            .spawn(move || work(Tracker::new(config), &inbox, &outbox, &left))?;
        Ok(Self { filling: Vec::with_capacity(BATCH), full, empty, thread })
    }

    /// Sends what has gathered and goes on with a batch that came back empty, so that nothing is allocated in the long run.
    fn hand_over(&mut self) {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        let batch = mem::replace(&mut self.filling, next);
        if !batch.is_empty() {
            self.send(Work::Batch(batch));
        }
    }

    fn send(&mut self, work: Work) {
        // Only a thread that has panicked has left its queue; the panic is carried on when it is waited for.
        let _ = self.full.send(work);
    }
}

/// One table's thread: batches until the end.
fn work(mut tracker: Tracker, inbox: &Receiver<Work>, outbox: &Sender<Vec<Item>>, left: &SyncSender<Left>) {
    let (mut segments, mut marks) = (Vec::with_capacity(BATCH), Vec::new());
    while let Ok(work) = inbox.recv() {
        match work {
            Work::Batch(mut batch) => {
                for item in batch.drain(..) {
                    match item {
                        Item::Segment(brief) => segments.push(brief),
                        Item::Mark(mark) => marks.push(mark),
                        Item::Undelivered(icmp) => {
                            tracker.feed_marked(&segments, &marks);
                            segments.clear();
                            marks.clear();
                            tracker.undelivered(&icmp);
                        }
                    }
                }
                tracker.feed_marked(&segments, &marks);
                segments.clear();
                marks.clear();
                // The reader may be gone already; then nobody needs the batch.
                let _ = outbox.send(batch);
            }
            Work::Tick(tick) => {
                if left.send(Left::Tick(ended(&mut tracker, tick))).is_err() {
                    return;
                }
            }
            Work::End(end) => return leave(tracker, end, left),
        }
    }
}

/// The telling thread: a tick of every table, then the next; at the end what is left of each.
/// `None` if the reader leaves without an end.
fn tell<S: Sink>(mut telling: Telling<S>, tables: Vec<Receiver<Left>>, failed: &AtomicBool) -> Option<Told<S>> {
    loop {
        let (mut ticks, mut evictions, mut over) = (Vec::with_capacity(tables.len()), 0, false);
        for table in &tables {
            match table.recv() {
                Ok(Left::Tick(ended) | Left::Rest(ended)) => ticks.push(ended),
                Ok(Left::Last(ended, given_up)) => {
                    ticks.push(ended);
                    evictions += given_up;
                    over = true;
                }
                Err(_) => return None,
            }
        }
        if over {
            let rest = |table: Receiver<Left>| -> Rest {
                Box::new(move || match table.recv() {
                    Ok(Left::Rest(ended)) => Some(ended),
                    _ => None,
                })
            };
            return Some((telling.finish(ticks, tables.into_iter().map(rest).collect()), evictions));
        }
        telling.tick(ticks);
        failed.fetch_or(telling.failed(), Ordering::Relaxed);
    }
}
