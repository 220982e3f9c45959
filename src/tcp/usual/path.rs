//! The states that one end of a usual connection goes through. In: what happens to it, in order. Out: its changes of state with their bounds, of
//! which nothing is ever taken back.

use super::Counted;
use crate::tcp::state::{Evidence, State};
use crate::tcp::transition::{self, Stimulus};

/// No instant: later than all.
pub const NEVER: i64 = i64::MAX;
/// No instant: earlier than all.
pub const EVER: i64 = i64::MIN;

/// More changes than a usual connection has.
const ROOM: usize = 8;

/// A change of state; instants are nanoseconds since the connection's first segment.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// When the packet passed, or the timer ran out.
    pub at: i64,
    /// The packet, counted from the first; `None` for a timer.
    pub frames: Option<u32>,
    /// The end cannot have changed before; [`EVER`] if nothing tells.
    pub earliest: i64,
    /// It had changed by then; [`NEVER`] if nothing tells.
    pub latest: i64,
    /// When a packet of its own proved it; [`NEVER`] without.
    pub confirmed: i64,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// What did it.
    pub stimulus: Stimulus,
    /// How it is known.
    pub evidence: Evidence,
}

const NONE: Change = Change {
    at: 0,
    frames: None,
    earliest: EVER,
    latest: NEVER,
    confirmed: NEVER,
    from: State::Closed,
    to: State::Closed,
    stimulus: Stimulus::SndSyn,
    evidence: Evidence::Assumed,
};

impl Change {
    const fn slack(&self) -> i64 {
        transition::slack(self.stimulus, self.to).as_nanos()
    }
}

/// Where one end stands, and how it came there.
#[derive(Clone, Debug)]
pub struct Path {
    /// Where it stands.
    pub state: State,
    count: u8,
    changes: [Change; ROOM],
}

impl Path {
    /// A path that begins in `state`.
    pub const fn starting(state: State) -> Self {
        Self { state, count: 0, changes: [NONE; ROOM] }
    }

    /// Begins anew.
    pub const fn renew(&mut self, state: State) {
        (self.state, self.count) = (state, 0);
    }

    /// The changes, in order.
    pub fn changes(&self) -> &[Change] {
        self.changes.get(..usize::from(self.count)).unwrap_or_default()
    }

    fn changes_mut(&mut self) -> &mut [Change] {
        self.changes.get_mut(..usize::from(self.count)).unwrap_or_default()
    }

    /// Those that wait for their proof.
    pub fn unconfirmed(&mut self) -> impl Iterator<Item = &mut Change> {
        self.changes_mut().iter_mut().filter(|change| change.confirmed == NEVER)
    }

    /// The change into `state`.
    pub fn entry(&self, state: State) -> Option<&Change> {
        self.changes().iter().find(|change| change.to == state)
    }

    /// The end has done what `seg`, its own, shows, not before `earliest`.
    pub fn own(&mut self, stimulus: Stimulus, seg: &impl Counted, earliest: i64) {
        let change = Change { earliest, latest: seg.at(), confirmed: seg.at(), evidence: Evidence::Observed, ..NONE };
        self.push(stimulus, Change { at: seg.at(), frames: Some(seg.frames()), ..change });
    }

    /// `seg`, its peer's, does something to it, by `latest`.
    pub fn peers(&mut self, stimulus: Stimulus, seg: &impl Counted, latest: i64) {
        let change = Change { earliest: seg.at(), latest, evidence: Evidence::Inferred, ..NONE };
        self.push(stimulus, Change { at: seg.at(), frames: Some(seg.frames()), ..change });
    }

    /// A timer of it ran out at `at`, between two instants.
    pub fn times_out(&mut self, stimulus: Stimulus, at: i64, earliest: i64, latest: i64) {
        self.push(stimulus, Change { at, earliest, latest, ..NONE });
    }

    #[inline]
    fn push(&mut self, stimulus: Stimulus, change: Change) {
        let Some(rule) = transition::next(Some(self.state), stimulus) else { return };
        if let Some(place) = self.changes.get_mut(usize::from(self.count)) {
            *place = Change { from: self.state, to: rule.to, stimulus, ..change };
            (self.state, self.count) = (rule.to, self.count + 1);
        }
    }

    /// A packet of its own, seen at `at`, proves the last change.
    pub fn confirm_last(&mut self, at: i64) {
        if let Some(last) = self.changes_mut().last_mut() {
            last.confirmed = at;
        }
    }

    /// The first change did not happen before `earliest`.
    pub fn first_not_before(&mut self, earliest: i64) {
        if let Some(first) = self.changes_mut().first_mut() {
            first.earliest = earliest;
        }
    }

    /// Narrows every interval by its neighbours, as [`Life::settle_bounds`](crate::tcp::life::Life::settle_bounds) does.
    pub fn settle_bounds(&mut self) {
        let mut earliest = EVER;
        for change in self.changes_mut() {
            earliest = earliest.max(change.earliest);
            change.earliest = earliest;
            if change.confirmed != NEVER {
                let shown = change.confirmed + change.slack();
                let inferred = change.evidence == Evidence::Inferred;
                change.latest = if inferred { change.latest.min(shown) } else { shown };
            }
        }
        let mut latest = NEVER;
        for change in self.changes_mut().iter_mut().rev() {
            latest = latest.min(change.latest);
            change.latest = latest;
            change.earliest = change.earliest.min(latest);
        }
    }
}
