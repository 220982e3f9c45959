//! The back of the walk: connections that have ended are numbered, put in order and told. In: what left the tables, tick by tick. Out: reports,
//! in batches, into a [`Sink`].
//!
//! A batch is what has gathered at a tick, once that is [`BATCH`] connections, or [`LATER`] where more than a batch have begun; at the end all the
//! rest is one. Ticks depend on the packets alone, so batches do.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::thread;

use super::numbers::Numbers;
use super::sink::{Render, Sink};
use crate::conntrack::ended::{Ended, Item, Teller};
use crate::conntrack::tracker::Config;
use crate::error::Error;
use crate::metrics::rows::ConnectionReport;

/// Connections that wait until they are told together, in order.
const BATCH: usize = 1 << 16;
/// The same where it is known that they are not all in one batch.
const LATER: usize = 1 << 14;
/// So many of those that have begun may turn out to have begun none; more SYNs than that do not wait for their meaning at a time.
const MOST_DOUBTFUL: usize = 1 << 12;
/// What a connection may take while it waits to be told, in bytes, about: so much that a batch stays small beside the connections.
const TOLD_BYTES: usize = 4 << 10;
/// Connections told in one piece: enough to hand over, few enough to stay in a cache.
const CHUNK: usize = 256;
/// Pieces that a thread may have before it.
const AHEAD: usize = 2;
/// Pieces that may be told and wait for one before them.
const MOST_UNDER_WAY: usize = 12;

/// Connections of one table, in the order of their first frames.
struct Portion {
    ended: Arc<Ended>,
    order: Vec<(u64, Item)>,
    from: usize,
}

impl Portion {
    fn new(ended: Ended) -> Self {
        let mut order: Vec<_> = ended.items().map(|item| (ended.ordinal(item), item)).collect();
        // Runs in order, most of them long: merging is cheaper than what sorts without asking.
        order.sort_by_key(|entry| entry.0);
        Self { ended: Arc::new(ended), order, from: 0 }
    }

    fn last(&self) -> u64 {
        self.order.last().map_or(0, |entry| entry.0)
    }

    /// Those up to `limit` that were not taken before.
    fn up_to(&mut self, limit: u64) -> &[(u64, Item)] {
        let left = &self.order[self.from..];
        let taken = left.partition_point(|entry| entry.0 <= limit);
        self.from += taken;
        &left[..taken]
    }
}

/// Where the last connections of a table come from: in order, a portion at a time.
pub type Rest = Box<dyn FnMut() -> Option<Ended>>;

/// Some connections to be told, each with its number.
struct Piece {
    ended: Arc<[Arc<Ended>]>,
    which: Vec<(u32, Item, u64)>,
}

impl Piece {
    /// Tells them in `reports`, where others were told before: what has been allocated for one connection serves the next.
    fn tell(&self, teller: &mut Teller, mut reports: Vec<ConnectionReport>) -> Vec<ConnectionReport> {
        reports.resize_with(self.which.len(), ConnectionReport::blank);
        for (&(at, item, number), report) in self.which.iter().zip(&mut reports) {
            report.shrink();
            teller.tell(&self.ended[at as usize], item, number, report);
        }
        reports
    }
}

/// A thread that tells.
struct Worker<R: Render> {
    pieces: SyncSender<Piece>,
    told: Receiver<Told<R>>,
    /// Reports that were taken go back, to be told over.
    taken: Sender<Vec<ConnectionReport>>,
}

/// Reports, and how their rows are written.
type Told<R> = (Vec<ConnectionReport>, Result<<R as Render>::Rendered, Error>);

/// Numbers, orders and tells.
pub struct Telling<S: Sink> {
    sink: S,
    error: Option<Error>,
    renderer: S::Renderer,
    teller: Teller,
    workers: Vec<Worker<S::Renderer>>,
    /// Reports that were told here and taken.
    taken: Vec<Vec<ConnectionReport>>,
    /// Pieces that were handed out or told, and not taken: in their order.
    under_way: VecDeque<Turn<S::Renderer>>,
    numbers: Numbers,
    waiting: Vec<Portion>,
    /// Connections in `waiting`.
    count: usize,
    /// A batch is told once it has this many.
    batch: usize,
}

impl<S: Sink> Telling<S> {
    /// With so many threads beside the caller's. `stream`: nobody may be kept waiting for a batch to fill.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(sink: S, config: &Config, threads: usize, stream: bool) -> io::Result<Self> {
        let renderer = sink.renderer();
        let workers = (0..threads).map(|number| Worker::start(number, config, &renderer)).collect::<io::Result<_>>()?;
        Ok(Self {
            sink,
            error: None,
            renderer,
            teller: Teller::new(config.clone()),
            workers,
            taken: Vec::new(),
            under_way: VecDeque::new(),
            numbers: Numbers::default(),
            waiting: Vec::new(),
            count: 0,
            batch: if stream { 1 } else { BATCH.min(config.max_bytes / TOLD_BYTES).max(1) },
        })
    }

    /// The sink refused something: there is no use in going on.
    pub const fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// What left each table since the last tick.
    pub fn tick(&mut self, all: impl IntoIterator<Item = Ended>) {
        if self.failed() {
            return;
        }
        for ended in all {
            self.wait(ended);
        }
        let batch = if self.numbers.begun() > BATCH + MOST_DOUBTFUL { LATER.min(self.batch) } else { self.batch };
        if self.count >= batch {
            self.numbers.give();
            self.tell_in_order(Vec::new());
        }
    }

    fn wait(&mut self, mut ended: Ended) {
        self.numbers.note(&mut ended.starts, &mut ended.dropped);
        if !ended.is_empty() {
            self.count += ended.len();
            self.waiting.push(Portion::new(ended));
        }
    }

    /// The run is over: `last` left the tables since the last tick, and `rests` is what is still in each.
    ///
    /// # Errors
    ///
    /// The first of the sink.
    pub fn finish(mut self, last: impl IntoIterator<Item = Ended>, rests: Vec<Rest>) -> Result<S, Error> {
        if !self.failed() {
            for ended in last {
                self.wait(ended);
            }
            self.numbers.give();
            self.tell_in_order(rests);
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.sink),
        }
    }

    /// Tells all that waits and all that the `rests` give, in one order: up to the place that every rest has passed, then on.
    fn tell_in_order(&mut self, rests: Vec<Rest>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.count = 0;
        let mut rests: Vec<_> = rests.into_iter().map(|rest| (rest, None::<Portion>)).collect();
        loop {
            rests.retain_mut(|(rest, portion)| {
                if portion.as_ref().is_none_or(|portion| portion.from == portion.order.len()) {
                    *portion = rest().map(Portion::new);
                }
                portion.is_some()
            });
            let limit = rests.iter().flat_map(|(_, portion)| portion).map(Portion::last).min().unwrap_or(u64::MAX);
            let portions = waiting.iter_mut().chain(rests.iter_mut().filter_map(|(_, portion)| portion.as_mut()));
            let (mut ended, mut order) = (Vec::new(), Vec::new());
            for (at, portion) in (0..).zip(portions) {
                order.extend(portion.up_to(limit).iter().map(|&(place, item)| (place, at, item)));
                ended.push(Arc::clone(&portion.ended));
            }
            // Told in pieces, so that what was told early makes room.
            order.sort_by_key(|entry: &(u64, u32, Item)| entry.0);
            self.tell(&ended.into(), &order);
            waiting.retain(|portion| portion.from < portion.order.len());
            if rests.is_empty() || self.failed() {
                break;
            }
        }
        self.take_told(0);
        if self.error.is_none() {
            self.error = self.sink.flush().err();
        }
    }

    /// Takes what is told, in the order of the pieces; waits for it while more than `most` are under way.
    fn take_told(&mut self, most: usize) {
        let Self { sink, error, workers, taken, under_way, .. } = self;
        while let Some(told) = next(workers, under_way, most) {
            Self::take(sink, error, workers, taken, told);
        }
    }

    fn tell(&mut self, ended: &Arc<[Arc<Ended>]>, order: &[(u64, u32, Item)]) {
        let mut asking = self.numbers.ask();
        let pieces = order.chunks(CHUNK).map(|chunk| {
            let which = chunk.iter().map(|&(place, at, item)| (at, item, asking.number(place))).collect();
            Piece { ended: Arc::clone(ended), which }
        });
        // Each piece goes to a worker that has room, or is told here; what was told is taken in the order of the pieces. What is still under way
        // at the end is taken with the next ones: nobody waits between portions.
        for piece in pieces {
            let turn = match hand_out(&self.workers, piece) {
                Ok(worker) => Turn::At(worker),
                Err(piece) => {
                    let reports = piece.tell(&mut self.teller, self.taken.pop().unwrap_or_default());
                    let rendered = self.renderer.render(&reports);
                    Turn::Told((reports, rendered))
                }
            };
            self.under_way.push_back(turn);
            while let Some(told) = next(&self.workers, &mut self.under_way, MOST_UNDER_WAY) {
                Self::take(&mut self.sink, &mut self.error, &self.workers, &mut self.taken, told);
            }
            if self.error.is_some() {
                return;
            }
        }
    }

    fn take(
        sink: &mut S,
        error: &mut Option<Error>,
        workers: &[Worker<S::Renderer>],
        taken: &mut Vec<Vec<ConnectionReport>>,
        (whose, (reports, rendered)): (Option<usize>, Told<S::Renderer>),
    ) {
        if error.is_none() {
            sink.fold(&reports);
            *error = rendered.and_then(|rendered| sink.write(rendered)).err();
        }
        match whose.and_then(|number| workers.get(number)) {
            // A worker that has gone needs nothing back.
            Some(worker) => _ = worker.taken.send(reports),
            None => taken.push(reports),
        }
    }
}

/// Where a piece is.
enum Turn<R: Render> {
    /// With this worker.
    At(usize),
    /// Told by the caller.
    Told(Told<R>),
}

/// Gives a piece to a worker that has room; back if none has.
fn hand_out<R: Render>(workers: &[Worker<R>], mut piece: Piece) -> Result<usize, Piece> {
    for (number, worker) in workers.iter().enumerate() {
        piece = match worker.pieces.try_send(piece) {
            Ok(()) => return Ok(number),
            // One that has panicked is missed when its last answer is due.
            Err(TrySendError::Full(piece) | TrySendError::Disconnected(piece)) => piece,
        };
    }
    Err(piece)
}

/// The first of the pieces under way, if it is told, and by which worker; waits for it if more than `most` are.
fn next<R: Render>(
    workers: &[Worker<R>],
    under_way: &mut VecDeque<Turn<R>>,
    most: usize,
) -> Option<(Option<usize>, Told<R>)> {
    let wait = under_way.len() > most;
    match under_way.pop_front()? {
        Turn::Told(told) => Some((None, told)),
        Turn::At(number) => {
            let told = if wait {
                workers[number].told.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                workers[number].told.try_recv()
            };
            // It was the thread's own panic that ended it, and that has been printed.
            #[expect(clippy::panic, reason = "carries a panic on from the thread that had it")]
            match told {
                Ok(told) => Some((Some(number), told)),
                Err(TryRecvError::Empty) => {
                    under_way.push_front(Turn::At(number));
                    None
                }
                Err(TryRecvError::Disconnected) => panic!("a thread that tells connections has ended"),
            }
        }
    }
}

impl<R: Render> Worker<R> {
    fn start(number: usize, config: &Config, renderer: &R) -> io::Result<Self> {
        let (pieces, inbox) = sync_channel::<Piece>(AHEAD);
        let (outbox, told) = sync_channel(AHEAD);
        let (taken, back) = channel();
        let (mut teller, renderer) = (Teller::new(config.clone()), renderer.clone());
        thread::Builder::new().name(format!("rows {number}")).spawn(move || {
            while let Ok(piece) = inbox.recv() {
                let reports = piece.tell(&mut teller, back.try_recv().unwrap_or_default());
                let rendered = renderer.render(&reports);
                drop(piece);
                // Nobody waits for it any more.
                if outbox.send((reports, rendered)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { pieces, told, taken })
    }
}
