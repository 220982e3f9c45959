//! A connection's changes of state, walked once for all folds. In: its report. Out: where each of its ends was from when on, how its
//! changes are known, and the instants that it reaches from and to.

use super::rows::ConnectionReport;
use crate::tcp::state::{Evidence, Side, State};
use crate::time::Timestamp;

/// What the changes of one connection come to. Made once and taken from one connection to the next, so that its lists have room.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    first: Timestamp,
    last: Timestamp,
    sides: [Vec<Entry>; 2],
    changes: Changes,
}

/// An endpoint came into a state.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Entry {
    pub state: State,
    pub at: Timestamp,
}

impl Lives {
    /// Those of a connection.
    #[cfg(test)]
    pub fn of(report: &ConnectionReport) -> Self {
        let mut lives = Self::default();
        lives.walk(report);
        lives
    }

    /// Walks the changes of a connection; what another one left is forgotten.
    pub fn walk(&mut self, report: &ConnectionReport) {
        let row = &report.connection;
        let (mut first, mut last) = (row.first_ts, row.last_ts);
        self.sides.iter_mut().for_each(Vec::clear);
        // By evidence, and whether it is confirmed: places, so that there is nothing to guess.
        let mut ways = [[0_u32; 2]; WAYS];
        let mut now = [Timestamp::MIN; 2];
        for change in &report.transitions {
            (first, last) = (first.min(change.ts), last.max(change.ts));
            if change.retracted {
                continue;
            }
            ways[change.evidence as usize][usize::from(change.confirmed)] += 1;
            let side = change.side.index();
            now[side] = now[side].max(change.ts);
            self.sides[side].push(Entry { state: change.to_state, at: now[side] });
        }
        (self.first, self.last) = (first, last);
        self.changes = known(ways);
    }

    /// The earliest and the latest instant that its packets or changes have.
    pub const fn reach(&self) -> (Timestamp, Timestamp) {
        (self.first, self.last)
    }

    /// When the end on `side` came into which state, in order. A change whose timestamp lies before the one before it counts from there.
    pub fn of_side(&self, side: Side) -> &[Entry] {
        &self.sides[side.index()]
    }

    /// How the changes are known.
    pub const fn changes(&self) -> Changes {
        self.changes
    }
}

/// How the changes of state are known that stand in the lives, in the order: seen in a packet of the endpoint's own, inferred and proved by a
/// later packet of its own, inferred, assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Changes {
    pub observed: u64,
    pub confirmed: u64,
    pub inferred: u64,
    pub assumed: u64,
}

impl Changes {
    /// All of them.
    pub const fn all(self) -> u64 {
        self.observed + self.confirmed + self.inferred + self.assumed
    }

    /// Adds those of more connections.
    pub const fn take(&mut self, more: Self) {
        self.observed += more.observed;
        self.confirmed += more.confirmed;
        self.inferred += more.inferred;
        self.assumed += more.assumed;
    }
}

/// Kinds of evidence.
const WAYS: usize = 3;

/// Whether it is confirmed matters for what is inferred alone.
fn known(ways: [[u32; 2]; WAYS]) -> Changes {
    let of = |evidence: Evidence| ways[evidence as usize].map(u64::from);
    let [inferred, confirmed] = of(Evidence::Inferred);
    let both = |evidence| of(evidence).iter().sum();
    Changes { observed: both(Evidence::Observed), confirmed, inferred, assumed: both(Evidence::Assumed) }
}
