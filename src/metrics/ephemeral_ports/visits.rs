//! What users of ports did, visit by visit. In: connections. Out: the ports that a user took, and when.
//!
//! Most users do so little that memory of their own would be mostly unused: their visits stand in one log, each with the place of the
//! one before it. Who comes often has [`More`].

use super::port_set::Ports;
use crate::metrics::levels::Levels;
use crate::metrics::rows::{Closing, ConnectionReport, Opening};
use crate::tcp::state::Side;
use crate::time::{Span, Timestamp};

// Places of `Levels`.
/// A port is held by a TIME_WAIT.
pub const HELD: u8 = 0;
/// A connection has begun, and the time over which a rate is taken has not passed.
pub const BEGUN: u8 = 1;

/// A connection, or a stay in TIME_WAIT.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// The place in the log, counted from 1, of the user's visit before; 0 for the first.
    before: u32,
    port: u16,
    what: What,
    until: bool,
    ts: [Timestamp; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A connection that was already running.
    Ran,
    /// A connection that began, and when.
    Began,
    /// A port was held from then on, and until then if `until` says so.
    Held,
}

impl Visit {
    /// The connection itself.
    pub fn connection(report: &ConnectionReport) -> Self {
        let row = &report.connection;
        let began = row.opening != Opening::Midstream || row.syn_ack_packets > 0;
        let what = if began { What::Began } else { What::Ran };
        Self { before: 0, port: row.who.client.port, what, until: false, ts: [row.first_ts; 2] }
    }

    /// The stays of its client in TIME_WAIT.
    pub fn stays(self, report: &ConnectionReport) -> impl Iterator<Item = Self> + '_ {
        let row = &report.connection;
        // What became of an evicted connection nobody knows, so it is counted up to its last packet.
        let evicted = (row.closing == Closing::Evicted).then_some(row.last_ts);
        report.time_wait.iter().filter(|stay| stay.side == Side::Client).map(move |stay| {
            let until = stay.ended_ts.or(evicted);
            let ts = [stay.entered_ts, until.unwrap_or(stay.entered_ts)];
            Self { what: What::Held, until: until.is_some(), ts, ..self }
        })
    }

    /// How many comings and goings [`More`] makes of it as long as nobody leaves [`BEGUN`].
    pub fn changes(&self) -> usize {
        match (self.what, self.until) {
            (What::Ran, _) => 0,
            (What::Began, _) | (What::Held, false) => 1,
            (What::Held, true) => 2 * usize::from(self.ts[1] > self.ts[0]),
        }
    }

    /// Whether it is a stay.
    pub fn is_stay(&self) -> bool {
        self.what == What::Held
    }

    /// The port of a connection.
    pub fn port(&self) -> Option<u16> {
        (self.what != What::Held).then_some(self.port)
    }
}

/// The visits of many users, in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Log(Vec<Visit>);

impl Log {
    /// Takes a visit of the user whose `last` visit stands there.
    #[inline]
    pub fn push(&mut self, last: &mut u32, visit: Visit) {
        self.0.push(Visit { before: *last, ..visit });
        *last = self.0.len() as u32;
    }

    /// A user's visits, the `last` first.
    pub fn back(&self, last: u32) -> impl Iterator<Item = &Visit> {
        let at = |place: u32| self.0.get((place as usize).checked_sub(1)?);
        std::iter::successors(at(last), move |visit| at(visit.before))
    }

    /// Takes a user's visits out of another log. Returns where the last stands now.
    pub fn take(&mut self, other: &Self, last: u32, room: &mut Vec<Visit>) -> u32 {
        let mut now = 0;
        other.in_order(last, room).iter().for_each(|visit| self.push(&mut now, *visit));
        now
    }

    /// A user's visits, in `room`, as they came.
    pub fn in_order<'a>(&self, last: u32, room: &'a mut Vec<Visit>) -> &'a [Visit] {
        room.clear();
        room.extend(self.back(last));
        room.reverse();
        room
    }
}

/// The ports that a user took, and when.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct More {
    pub(super) ports: Ports,
    pub over_time: Levels<2>,
    /// Connections that have begun leave [`BEGUN`] again; until then only their coming is noted.
    pub leaves: bool,
}

impl More {
    /// Of these visits.
    pub fn of(visits: &[Visit]) -> Self {
        let mut more = Self::default();
        visits.iter().for_each(|visit| more.add(visit, Span::ZERO));
        more
    }

    /// Takes a visit; who has begun a connection leaves after `window`, once anybody does.
    pub fn add(&mut self, visit: &Visit, window: Span) {
        let [from, _] = visit.ts;
        match visit.what {
            What::Began if self.leaves => self.over_time.add(BEGUN, from, Some(from.plus(window))),
            _ => visit.note(&mut self.over_time),
        }
        if let Some(port) = visit.port() {
            self.ports.add(port);
        }
    }
}

impl Visit {
    /// Notes when it came and went.
    pub fn note(&self, over_time: &mut Levels<2>) {
        let [from, until] = self.ts;
        match self.what {
            What::Held => over_time.add(HELD, from, self.until.then_some(until)),
            What::Began => over_time.add(BEGUN, from, None),
            What::Ran => {}
        }
    }
}
