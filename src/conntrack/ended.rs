//! Connections that can no longer change, on their way from the table to whoever tells them. In: packed flows and finished reports.
//! Out: one report each.

use super::closed::Closed;
use super::config::Config;
use super::flow::Flow;
use super::key::{Direction, FlowKey};
use super::packed::Packed;
use super::usual::UsualTeller;
use crate::metrics::rows::ConnectionReport;
use crate::names::mark::Marks;

/// Connections that have ended, and which numbers were given out meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    closed: Vec<Closed>,
    segments: Vec<Packed>,
    /// Those that had to be judged while they lived.
    pub reports: Vec<ConnectionReport>,
    /// The place in the run of every segment that began a connection, or may turn out to have.
    pub starts: Vec<u64>,
    /// Those of them that began none after all.
    pub dropped: Vec<u64>,
}

/// One of the connections of an [`Ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Not told yet.
    Closed(u32),
    /// Told.
    Report(u32),
}

impl Ended {
    /// Is there no connection?
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.reports.is_empty()
    }

    /// An empty one with as much room, up to some megabytes: about as many will end until the next tick.
    pub(super) fn alike(&self) -> Self {
        Self {
            closed: Vec::with_capacity(self.closed.len().min(1 << 13)),
            segments: Vec::with_capacity(self.segments.len().min(1 << 17)),
            ..Self::default()
        }
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.closed.len() + self.reports.len()
    }

    /// Where segments of the next connection go.
    pub(super) const fn segments(&mut self) -> &mut Vec<Packed> {
        &mut self.segments
    }

    /// A connection whose segments were added.
    pub(super) fn push(&mut self, closed: Closed) {
        self.closed.push(closed);
    }

    /// The connections, in no order that means anything.
    pub fn items(&self) -> impl Iterator<Item = Item> + use<> {
        let (closed, reports) = (self.closed.len() as u32, self.reports.len() as u32);
        (0..closed).map(Item::Closed).chain((0..reports).map(Item::Report))
    }

    /// The place of a connection's first segment among all packets of the run.
    pub fn ordinal(&self, item: Item) -> u64 {
        match item {
            Item::Closed(at) => self.closed[at as usize].first.ordinal,
            Item::Report(at) => self.reports[at as usize].ordinal,
        }
    }
}

/// Tells connections one after the other, in the same memory.
pub struct Teller {
    config: Config,
    usual: Box<UsualTeller>,
    flow: Option<Box<Flow>>,
}

impl Teller {
    /// For the connections of one run.
    pub fn new(config: Config) -> Self {
        Self { config, usual: Box::default(), flow: None }
    }

    /// All that the tables say of a connection of `ended`, which has no number yet.
    pub fn report(&mut self, ended: &Ended, item: Item) -> ConnectionReport {
        let mut report = ConnectionReport::blank();
        self.tell(ended, item, 0, &mut report);
        report
    }

    /// Writes all that the tables say of a connection of `ended` into `report`, whatever that held before; its number is `conn_id`.
    pub fn tell(&mut self, ended: &Ended, item: Item, conn_id: u64, report: &mut ConnectionReport) {
        let closed = match item {
            Item::Report(at) => {
                report.clone_from(&ended.reports[at as usize]);
                report.number(conn_id);
                return;
            }
            Item::Closed(at) => &ended.closed[at as usize],
        };
        let segments = &ended.segments[closed.segments.clone()];
        let is_usual = self.usual.tell(closed, segments, &self.config, conn_id, report);
        if !is_usual || cfg!(debug_assertions) {
            let mut judged = self.judge(closed, segments);
            judged.number(conn_id);
            debug_assert!(!is_usual || *report == judged, "told otherwise than judged: {report:?}\n{judged:?}");
            *report = judged;
        }
        if let Some(marks) = &closed.marks {
            call(report, marks);
        }
        report.connection.split = closed.split;
    }

    /// Judges a connection segment by segment.
    fn judge(&mut self, closed: &Closed, segments: &[Packed]) -> ConnectionReport {
        let (first, direction) = (closed.first(segments), segments[0].direction());
        let flow = match &mut self.flow {
            Some(flow) => {
                flow.renew(&first, direction);
                flow
            }
            none => none.insert(Box::new(Flow::new(&first, direction))),
        };
        for packed in &segments[1..] {
            flow.feed_known(packed.direction(), &packed.unpack(&closed.first), &self.config);
        }
        flow.report(&self.config, closed.finish)
    }
}

/// Puts what payloads told into a connection's row.
pub(super) fn call(report: &mut ConnectionReport, marks: &Marks) {
    let who = &report.connection.who;
    let (_, client) = FlowKey::new(who.client, who.server);
    report.connection.called = marks.called(report.ordinal, client == Direction::Up);
}
