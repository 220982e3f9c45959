//! Connections spread over threads by their flow's hash. In: segments in the order of the capture. Out: every
//! connection's report, in no order. One thread owns a flow, so each flow sees its segments in order.

use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::panic;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::conntrack::key::FlowKey;
use crate::conntrack::tracker::{Config, Tracker};
use crate::metrics::rows::ConnectionReport;
use crate::tcp::segment::{Addressed, HostPort, Undelivered};
use crate::time::Timestamp;

/// Segments a thread is given at once: enough to make handing over cheap, few enough to stay in a cache.
const BATCH: usize = 512;

/// Batches that may wait for a thread; the reader waits when they are full, so memory is bounded.
const QUEUE: usize = 8;

/// What a tracker found.
#[derive(Default)]
pub struct Found {
    /// A report for every connection, in no order.
    pub reports: Vec<ConnectionReport>,
    /// Connections given up to stay within memory.
    pub evictions: u64,
}

/// What a tracker is told.
enum Item {
    Segment(Addressed),
    Undelivered(Undelivered),
}

/// What a thread is sent.
enum Work {
    Batch(Vec<Item>),
    End(Timestamp),
}

/// The connection table in one or several parts.
pub struct Shards(Parts);

enum Parts {
    Inline { tracker: Box<Tracker>, reports: Vec<ConnectionReport> },
    Threads(Vec<Shard>),
}

struct Shard {
    filling: Vec<Item>,
    full: SyncSender<Work>,
    empty: Receiver<Vec<Item>>,
    thread: Option<JoinHandle<Found>>,
}

impl Shards {
    /// As many parts as asked for; one runs in the caller's thread.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(count: NonZeroUsize, config: &Config) -> io::Result<Self> {
        // The cap is the run's: each shard has its part of it.
        let config = Config { max_connections: config.max_connections.div_ceil(count.get()), ..config.clone() };
        if count.get() == 1 {
            let tracker = Box::new(Tracker::new(config));
            return Ok(Self(Parts::Inline { tracker, reports: Vec::new() }));
        }
        let shards = (0..count.get()).map(|number| Shard::start(number, config.clone())).collect::<io::Result<_>>()?;
        Ok(Self(Parts::Threads(shards)))
    }

    /// Takes a segment, in the order of the capture.
    pub fn segment(&mut self, addressed: &Addressed) {
        match &mut self.0 {
            Parts::Inline { tracker, reports } => tracker.feed(addressed, &mut |report| reports.push(report)),
            Parts::Threads(shards) => route(shards, addressed.src, addressed.dst, Item::Segment(*addressed)),
        }
    }

    /// Takes an ICMP error about a segment; it goes where the segment's flow is.
    pub fn undelivered(&mut self, icmp: &Undelivered) {
        match &mut self.0 {
            Parts::Inline { tracker, .. } => tracker.undelivered(icmp),
            Parts::Threads(shards) => route(shards, icmp.src, icmp.dst, Item::Undelivered(*icmp)),
        }
    }

    /// Ends the capture at `end`.
    pub fn finish(self, end: Timestamp) -> Found {
        match self.0 {
            Parts::Inline { tracker, reports } => ended(*tracker, end, reports),
            Parts::Threads(mut shards) => {
                for shard in &mut shards {
                    shard.hand_over();
                    shard.send(Work::End(end));
                }
                shards.iter_mut().map(Shard::join).fold(Found::default(), |mut all, found| {
                    all.reports.extend(found.reports);
                    all.evictions += found.evictions;
                    all
                })
            }
        }
    }
}

fn route(shards: &mut [Shard], src: HostPort, dst: HostPort, item: Item) {
    let hash = FlowKey::new(src, dst).0.flow_hash();
    // The remainder is below the number of shards, which fits a usize.
    let index = (hash % shards.len().max(1) as u64) as usize;
    if let Some(shard) = shards.get_mut(index) {
        shard.filling.push(item);
        if shard.filling.len() >= BATCH {
            shard.hand_over();
        }
    }
}

impl Shard {
    fn start(number: usize, config: Config) -> io::Result<Self> {
        let (full, inbox) = sync_channel(QUEUE);
        let (outbox, empty) = channel();
        let thread = thread::Builder::new()
            .name(format!("shard {number}"))
            .spawn(move || work(Tracker::new(config), &inbox, &outbox))?;
        Ok(Self { filling: Vec::with_capacity(BATCH), full, empty, thread: Some(thread) })
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
        // Only a thread that has panicked has left its queue: carry the panic on instead of losing connections.
        if self.full.send(work).is_err() {
            self.join();
        }
    }

    fn join(&mut self) -> Found {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(found)) => found,
            Some(Err(panic)) => panic::resume_unwind(panic),
            None => Found::default(),
        }
    }
}

/// One thread's life: batches until the end, then everything it found.
fn work(mut tracker: Tracker, inbox: &Receiver<Work>, outbox: &Sender<Vec<Item>>) -> Found {
    let mut reports = Vec::new();
    while let Ok(work) = inbox.recv() {
        match work {
            Work::Batch(mut batch) => {
                for item in batch.drain(..) {
                    match item {
                        Item::Segment(addressed) => tracker.feed(&addressed, &mut |report| reports.push(report)),
                        Item::Undelivered(icmp) => tracker.undelivered(&icmp),
                    }
                }
                // The reader may be gone already; then nobody needs the batch.
                let _ = outbox.send(batch);
            }
            Work::End(end) => return ended(tracker, end, reports),
        }
    }
    // The reader left without an end: nobody waits for what was found.
    Found::default()
}

fn ended(tracker: Tracker, end: Timestamp, mut reports: Vec<ConnectionReport>) -> Found {
    let evictions = tracker.evictions();
    tracker.finish(end, &mut |report| reports.push(report));
    Found { reports, evictions }
}
