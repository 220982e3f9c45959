//! Connections spread over threads by their flow's hash. In: segments in the order of the capture. Out: what ended, tick by tick, for whoever
//! tells it. One thread owns a flow, so each flow sees its segments in order.
//!
//! ```text
//! one thread     reader, table, telling
//! two and more   reader ─▶ tables (half of the rest, one at least) ─▶ telling, which the others help, and one
//! ```
//!
//! There are one or two threads more than asked for: whoever tells mostly waits while the reader reads, and the reader is done when most is told.

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

/// Segments, as the decoder writes them, and what the payloads of some of them told.
struct Batch {
    segments: Box<[Brief; BATCH]>,
    filled: usize,
    marks: Vec<Mark>,
}

impl Batch {
    fn new() -> Self {
        Self { segments: Box::new([Brief::default(); BATCH]), filled: 0, marks: Vec::new() }
    }

    /// Where the next segment is to be written. A batch is passed on when it is full, so there is a place.
    #[inline]
    fn place(&mut self) -> &mut Brief {
        &mut self.segments[self.filled % BATCH]
    }

    /// Takes the segment that was written, with what its payload told. Returns how many there are.
    #[inline]
    fn keep(&mut self, mark: Option<Mark>) -> usize {
        self.filled += 1;
        self.marks.extend(mark);
        self.filled
    }

    /// The tracker takes all of it; empty, it serves again.
    fn feed(&mut self, tracker: &mut Tracker) {
        tracker.feed_marked(&self.segments[..self.filled], &self.marks);
        self.filled = 0;
        self.marks.clear();
    }
}

/// What a thread with a table is sent.
enum Work {
    Batch(Batch),
    Undelivered(Undelivered),
    Tick(Tick),
    End(Timestamp),
}

/// A moment at which what has ended leaves the tables.
#[derive(Clone, Copy)]
pub struct Tick {
    /// Connections that at this packet time are long over are let go.
    pub expire: Option<Timestamp>,
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
    /// The next segments for whoever comes in front, and when they are enough.
    batch: Batch,
    enough: usize,
    whose: Whose<S>,
}

/// Who has the tables, and who tells.
enum Whose<S: Sink> {
    /// The caller.
    Own { tracker: Box<Tracker>, telling: Box<Telling<S>> },
    /// Threads.
    Threads { shards: Vec<Shard>, failed: Arc<AtomicBool>, telling: JoinHandle<Option<Told<S>>> },
}

/// What came of the run: the sink, or why it refused to go on; and how many connections were given up.
type Told<S> = (Result<S, Error>, u64);

struct Shard {
    /// What gathers for it where there are several.
    filling: Batch,
    line: Line,
    thread: JoinHandle<()>,
}

/// The way to a thread with a table, and back.
struct Line {
    full: SyncSender<Work>,
    empty: Receiver<Batch>,
}

impl Line {
    fn send(&self, work: Work) {
        // Only a thread that has panicked has left its queue; the panic is carried on when it is waited for.
        let _ = self.full.send(work);
    }

    /// Sends a batch, if there is anything in it, and puts one in its place that came back empty: nothing is allocated in the long run.
    fn pass(&self, batch: &mut Batch) {
        if batch.filled > 0 {
            let next = self.empty.try_recv().unwrap_or_else(|_| Batch::new());
            self.send(Work::Batch(mem::replace(batch, next)));
        }
    }
}

impl<S: Sink + 'static> Shards<S> {
    /// With so many threads in all. `stream`: what has ended is told at every tick.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(threads: NonZeroUsize, config: &Config, sink: S, stream: bool) -> io::Result<Self> {
        let threads = threads.get();
        let tables = (threads.saturating_sub(2) / 2).max(1);
        // The caps are the run's: each table has its part of them.
        let whole = config;
        let config = Config {
            max_connections: config.max_connections.div_ceil(tables),
            max_bytes: config.max_bytes.div_ceil(tables),
            ..config.clone()
        };
        let batch = Batch::new();
        if threads == 1 {
            let telling = Box::new(Telling::start(sink, whole, 0, stream)?);
            let whose = Whose::Own { tracker: Box::new(Tracker::new(config)), telling };
            return Ok(Self { batch, enough: OWN_BATCH, whose });
        }
        let helpers = (threads - 1).saturating_sub(tables).max(1);
        let telling = Telling::start(sink, whole, helpers, stream)?;
        let failed = Arc::new(AtomicBool::new(false));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..tables).map(|_| sync_channel(TICKS)).unzip();
        let noted = Arc::clone(&failed);
        let telling = thread::Builder::new().name("rows".into()).spawn(move || tell(telling, receivers, &noted))?;
        let shards = senders.into_iter().enumerate().map(|(number, left)| Shard::start(number, config.clone(), left));
        let shards = shards.collect::<io::Result<_>>()?;
        Ok(Self { batch, enough: BATCH, whose: Whose::Threads { shards, failed, telling } })
    }

    /// Where the next segment is to be written as it is decoded; then [`Shards::keep`].
    #[inline]
    pub fn place(&mut self) -> &mut Brief {
        self.batch.place()
    }

    /// Takes the segment that was written, in the order of the capture, with what its payload told.
    #[inline]
    pub fn keep(&mut self, mark: Option<Mark>) {
        if self.batch.keep(mark) == self.enough {
            self.pass_on();
        }
    }

    #[inline(never)]
    fn pass_on(&mut self) {
        match &mut self.whose {
            Whose::Own { tracker, .. } => self.batch.feed(tracker),
            Whose::Threads { shards, .. } => match &mut shards[..] {
                [only] => only.line.pass(&mut self.batch),
                all => spread(all, &mut self.batch),
            },
        }
    }

    /// Takes an ICMP error about a segment; it goes where the segment's flow is.
    #[inline(never)]
    pub fn undelivered(&mut self, icmp: &Undelivered) {
        self.pass_on();
        match &mut self.whose {
            Whose::Own { tracker, .. } => tracker.undelivered(icmp),
            Whose::Threads { shards, .. } => {
                of(shards, FlowKey::new(icmp.src, icmp.dst).0.flow_hash()).send(Work::Undelivered(*icmp));
            }
        }
    }

    /// Lets what has ended leave the tables. Returns whether there is any use in going on: not if the sink has refused something.
    pub fn tick(&mut self, tick: Tick) -> bool {
        self.pass_on();
        match &mut self.whose {
            Whose::Own { tracker, telling } => {
                telling.tick([ended(tracker, tick)]);
                !telling.failed()
            }
            Whose::Threads { shards, failed, telling } => {
                shards.iter_mut().for_each(|shard| shard.send(Work::Tick(tick)));
                !failed.load(Ordering::Relaxed) && !telling.is_finished()
            }
        }
    }

    /// Ends the run with nothing. When this returns, the sink is gone.
    pub fn abandon(self) {
        if let Whose::Threads { shards, telling, .. } = self.whose {
            drop(shards);
            drop(join(telling));
        }
    }

    /// Ends the capture at `end`. Returns the sink and how many connections were given up to stay within memory.
    ///
    /// # Errors
    ///
    /// Why the sink refused something.
    pub fn finish(mut self, end: Timestamp) -> Result<(S, u64), Error> {
        self.pass_on();
        let (told, evictions) = match self.whose {
            Whose::Own { mut tracker, telling } => {
                let (open, last, evictions) = (tracker.close(), tracker.take(), tracker.evictions());
                let rest: Rest = Box::new(rest(*tracker, open, end));
                (telling.finish([last], vec![rest]), evictions)
            }
            Whose::Threads { mut shards, telling, .. } => {
                shards.iter_mut().for_each(|shard| shard.send(Work::End(end)));
                shards.into_iter().for_each(|shard| join(shard.thread));
                // There is nothing only where a thread with a table has ended before its time.
                join(telling)
                    .unwrap_or_else(|| (Err(Error::Thread(io::Error::other("a thread with connections has ended"))), 0))
            }
        };
        told.map(|sink| (sink, evictions))
    }
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// Whose the flows of this hash are. There is one shard at least.
fn of(shards: &mut [Shard], hash: u64) -> &mut Shard {
    // The remainder is below the number of shards, which fits a usize.
    let index = (hash % shards.len() as u64) as usize;
    &mut shards[index]
}

/// Each segment goes to the shard of its flow, and its mark with it: the table looks for each mark's segment in the same batch.
fn spread(shards: &mut [Shard], batch: &mut Batch) {
    let mut marks = batch.marks.drain(..).peekable();
    for brief in &batch.segments[..batch.filled] {
        let shard = of(shards, brief.key.flow_hash());
        *shard.filling.place() = *brief;
        if shard.filling.keep(marks.next_if(|mark| mark.ordinal == brief.ordinal)) == BATCH {
            shard.line.pass(&mut shard.filling);
        }
    }
    drop(marks);
    batch.filled = 0;
}

fn ended(tracker: &mut Tracker, tick: Tick) -> Ended {
    if let Some(now) = tick.expire {
        tracker.expire(now);
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
        Ok(Self { filling: Batch::new(), line: Line { full, empty }, thread })
    }

    /// Sends what has gathered, and then `work`.
    fn send(&mut self, work: Work) {
        self.line.pass(&mut self.filling);
        self.line.send(work);
    }
}

/// One table's thread: batches until the end.
fn work(mut tracker: Tracker, inbox: &Receiver<Work>, outbox: &Sender<Batch>, left: &SyncSender<Left>) {
    while let Ok(work) = inbox.recv() {
        match work {
            Work::Batch(mut batch) => {
                batch.feed(&mut tracker);
                // The reader may be gone already; then nobody needs the batch.
                let _ = outbox.send(batch);
            }
            Work::Undelivered(icmp) => tracker.undelivered(&icmp),
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
