//! Two lives told from one log. In: notes, in order. Out: each endpoint's changes of state, and what was believed in between.
//!
//! A note is **sent by one endpoint** (seen) and **received by the other** (inferred). When later packets disprove that
//! a note acted, the notes are told again from the start; what no longer happens is kept as retracted.

use super::log::{Acted, Note};
use super::segment::FrameId;
use super::seq::SeqNum;
use super::state::{Evidence, Side, State};
use super::transition::{self, Stimuli, Stimulus};
use crate::time::{Span, Timestamp};

/// Beliefs taken back beyond this many are not kept for audit.
const MAX_RETRACTED: usize = 1_024;

/// A change of state of one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Before; `None` when nothing was known.
    pub from: Option<State>,
    /// After.
    pub to: State,
    /// What did it.
    pub stimulus: Stimulus,
    /// When the packet passed the tap, never before the step before.
    pub ts: Timestamp,
    /// The packet; `None` for a timer.
    pub frame: Option<FrameId>,
    /// The note that the packet is.
    pub note: Option<usize>,
    /// How it is known.
    pub evidence: Evidence,
    /// When a packet of the endpoint's own proved it.
    pub confirmed: Option<Timestamp>,
    /// The endpoint cannot have changed before.
    pub earliest: Option<Timestamp>,
    /// The endpoint had changed by then.
    pub latest: Option<Timestamp>,
}

impl Step {
    const fn slack(&self) -> Span {
        transition::slack(self.stimulus, self.to)
    }

    /// Is it into CLOSE_WAIT, and did nothing of the endpoint's own prove it yet?
    pub fn is_doubtful_close_wait(&self) -> bool {
        self.to == State::CloseWait && self.confirmed.is_none()
    }

    /// The same change by the same packet?
    fn is_change(&self, other: &Self) -> bool {
        (self.note, self.stimulus, self.from, self.to) == (other.note, other.stimulus, other.from, other.to)
    }
}

/// What a packet of an endpoint's own proves.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// When it passed the tap.
    pub ts: Timestamp,
    /// What it acknowledges.
    pub ack: Option<SeqNum>,
    /// It is a FIN.
    pub fin: bool,
    /// Only a synchronized endpoint sends such a packet.
    pub synchronized: bool,
    /// All that the endpoint had sent before was acknowledged, nothing of it waits for its peer's window, and no FIN of it died unseen.
    pub idle: bool,
    /// How far the endpoint is from the tap, by the quickest of its answers, if two were about as quick.
    pub reach: Option<Span>,
}

/// Where both endpoints stand, and how they came there.
#[derive(Clone, Debug)]
pub struct Life {
    start: [Option<State>; 2],
    state: [Option<State>; 2],
    steps: [Vec<Step>; 2],
    retracted: Vec<(Side, Step)>,
    /// When the first doubtful note passed that could have caused what has not happened yet.
    doubts: [Vec<(Stimulus, Timestamp)>; 2],
    /// A step of that side waits for its proof.
    unproved: [bool; 2],
    deferred: bool,
}

impl Life {
    /// Lives that begin in `start` (client, server); `None` where the capture began too late to know.
    pub const fn new(start: [Option<State>; 2]) -> Self {
        Self {
            start,
            state: start,
            steps: [Vec::new(), Vec::new()],
            retracted: Vec::new(),
            doubts: [Vec::new(), Vec::new()],
            unproved: [false; 2],
            deferred: false,
        }
    }

    /// Begins anew, in the same memory.
    pub fn renew(&mut self, start: [Option<State>; 2]) {
        (self.start, self.state, self.unproved, self.deferred) = (start, start, [false; 2], false);
        self.steps.iter_mut().for_each(Vec::clear);
        self.doubts.iter_mut().for_each(Vec::clear);
        self.retracted.clear();
    }

    /// The state believed now; timers that have run out are not regarded.
    pub const fn state(&self, side: Side) -> Option<State> {
        self.state[side.index()]
    }

    /// The changes of one side, in order.
    pub fn steps(&self, side: Side) -> &[Step] {
        &self.steps[side.index()]
    }

    /// What was believed and then disproved, in the order of its disproof.
    pub fn retracted(&self) -> &[(Side, Step)] {
        &self.retracted
    }

    /// When and how `side` came to where it is.
    pub fn last_step(&self, side: Side) -> Option<&Step> {
        self.steps[side.index()].last()
    }

    /// The step that brought `side` into `state`.
    pub fn entry(&self, side: Side, state: State) -> Option<&Step> {
        self.steps(side).iter().find(|step| step.to == state)
    }

    /// Tells the newest note.
    pub fn tell_last(&mut self, log: &[Note]) {
        if let Some(index) = log.len().checked_sub(1) {
            self.tell(log, index);
        }
    }

    /// Tells the whole log again: something in it is no longer believed, or acts elsewhere.
    pub fn retell(&mut self, log: &[Note], start: [Option<State>; 2]) {
        let before = std::mem::take(&mut self.steps);
        self.start = start;
        self.state = start;
        self.doubts.iter_mut().for_each(Vec::clear);
        self.deferred = log.iter().enumerate().any(|(index, note)| note.after != index);
        for index in 0..log.len() {
            self.tell(log, index);
        }
        // What was taken back and now happens after all is no longer audited as disproved.
        let steps = &self.steps;
        let happens = |side: Side, old: &Step| steps[side.index()].iter().any(|new| new.is_change(old));
        self.retracted.retain(|(side, old)| !happens(*side, old));
        for side in Side::BOTH {
            for old in &before[side.index()] {
                let mut now = self.steps[side.index()].iter_mut();
                let same = now.find(|new| new.note == old.note && new.stimulus == old.stimulus && new.to == old.to);
                let kept = same.is_some_and(|same| {
                    same.confirmed = same.confirmed.or(old.confirmed);
                    same.from == old.from
                });
                if !kept && self.retracted.len() < MAX_RETRACTED {
                    self.retracted.push((side, old.clone()));
                }
            }
            self.look_for_unproved(side);
        }
    }

    fn tell(&mut self, log: &[Note], index: usize) {
        let note = &log[index];
        if note.sent {
            for stimulus in note.snd.sent() {
                // A late capture does not show whether the peer's FIN had come before.
                let state = self.state[note.side.index()];
                let first = stimulus == Stimulus::SndFin && state.is_none();
                let doubtful = note.may_precede && state == Some(State::CloseWait);
                let evidence = if note.unseen || doubtful || first { Evidence::Inferred } else { Evidence::Observed };
                self.step(note.side, stimulus, evidence, note, index);
            }
        }
        if note.after == index {
            self.deliver(log, index);
        }
        if self.deferred {
            for earlier in (0..index).filter(|&earlier| log[earlier].after == index) {
                self.deliver(log, earlier);
            }
        }
    }

    fn deliver(&mut self, log: &[Note], index: usize) {
        let note = &log[index];
        let receiver = note.to;
        match note.acted {
            Acted::Believed => {
                for stimulus in note.rcv.received() {
                    self.step(receiver, stimulus, Evidence::Inferred, note, index);
                }
            }
            Acted::Doubtful => {
                let mut state = self.state[receiver.index()];
                let doubts = &mut self.doubts[receiver.index()];
                for stimulus in note.rcv.received() {
                    let Some(rule) = transition::next(state, stimulus) else { continue };
                    state = Some(rule.to);
                    if !doubts.iter().any(|doubt| doubt.0 == stimulus) {
                        doubts.push((stimulus, note.ts));
                    }
                }
            }
            Acted::Disproved => {}
        }
    }

    fn step(&mut self, side: Side, stimulus: Stimulus, evidence: Evidence, note: &Note, index: usize) {
        let from = self.state[side.index()];
        let Some(rule) = transition::next(from, stimulus) else { return };
        let (earliest, latest) = match evidence {
            // Mid-stream the change itself lies before the capture.
            _ if from.is_none() && note.side == side => (None, Some(note.ts)),
            Evidence::Observed => (note.known_ts, Some(note.ts)),
            // Asked by the stimulus, not by the side: an endpoint that is its own peer receives what it has sent.
            Evidence::Inferred if stimulus == Stimulus::SndFin && !note.unseen => (None, Some(note.ts)),
            _ if note.unseen => (None, Some(note.ts).filter(|_| stimulus != Stimulus::RcvAckOfFin)),
            Evidence::Inferred | Evidence::Assumed => {
                let doubts = &mut self.doubts[side.index()];
                let doubt = doubts.iter().position(|doubt| doubt.0 == stimulus).map(|index| doubts.swap_remove(index));
                let by = note.arrived_by.filter(|_| note.after == index);
                (Some(doubt.map_or(note.since.unwrap_or(note.ts), |doubt| doubt.1)), by)
            }
        };
        self.state[side.index()] = Some(rule.to);
        self.unproved[side.index()] |= evidence != Evidence::Observed;
        let steps = &mut self.steps[side.index()];
        let not_before = steps.last().map_or(note.ts, |step| step.ts);
        steps.push(Step {
            from,
            to: rule.to,
            stimulus,
            ts: note.ts.max(not_before),
            frame: Some(note.frame),
            note: Some(index),
            evidence,
            confirmed: (evidence == Evidence::Observed).then_some(note.ts),
            earliest,
            latest,
        });
    }

    /// May an application still hold the socket of `side`: it has not closed?
    pub const fn owned(&self, side: Side) -> bool {
        use State::{Closing, FinWait1, FinWait2, LastAck, TimeWait};
        !matches!(self.state(side), Some(FinWait1 | FinWait2 | Closing | LastAck | TimeWait))
    }

    /// Would one of `stimuli`, sent by `side`, change its state?
    pub fn would_change(&self, side: Side, stimuli: Stimuli) -> bool {
        stimuli.sent().any(|stimulus| transition::next(self.state(side), stimulus).is_some())
    }

    /// Confirms what a packet of `side`'s own proves of its past.
    pub fn confirm(&mut self, log: &[Note], side: Side, proof: Proof) {
        let Proof { ts, ack, fin, synchronized, idle, reach } = proof;
        // The acknowledgement of a FIN proves that a copy of it arrived, not which: what only a later copy carries stays unproved.
        let carried_by_all = |stimulus: Stimulus, of: &Note| {
            let mut first = log.iter().filter(|note| note.side == of.side && note.is_fin() && !note.repeat);
            !of.repeat || first.all(|note| note.rcv.has(stimulus))
        };
        let closes_for_certain =
            self.entry(side, State::FinWait1).is_none_or(|step| step.evidence == Evidence::Observed);
        for step in self.steps[side.index()].iter_mut().filter(|step| step.confirmed.is_none()) {
            if step.stimulus == Stimulus::RcvAckOfFin
                && !step.note.and_then(|note| log.get(note)).is_some_and(|note| carried_by_all(step.stimulus, note))
            {
                continue;
            }
            let acked = step.note.and_then(|note| log.get(note)).and_then(|note| note.proof);
            let proved = match step.stimulus {
                // No acknowledgement tells out of which state it sent.
                Stimulus::SndFin => false,
                Stimulus::RcvSyn => ack.is_some(),
                Stimulus::RcvAckOfSyn if synchronized => true,
                // Out of SYN_RECEIVED (simultaneous open) its own SYN,ACK acknowledges as much without proving anything.
                Stimulus::RcvSynAck if step.from == Some(State::SynReceived) => synchronized,
                _ => matches!((ack, acked), (Some(ack), Some(proof)) if ack.is_at_or_after(proof)),
            };
            if !proved || step.evidence != Evidence::Inferred {
                continue;
            }
            // What answers an ACK that came behind the FIN comes no sooner than a round trip after that, which may be shorter than any that was measured.
            let overtaken = || {
                let fin = step.note.map_or(step.ts, |note| log[note].ts);
                let behind = |note: &&Note| note.to == side && note.ts > fin && note.rcv.has(Stimulus::RcvAckOfFin);
                let answered =
                    |note: &Note| reach.is_none_or(|reach| ts.since(note.ts).as_nanos() >= reach.as_nanos() / 4 * 3);
                log.iter().filter(behind).any(answered)
            };
            let certain = match step.to {
                // With data out, it may have closed already and its FIN may be waiting behind that: then this is CLOSING.
                State::CloseWait if !idle => false,
                // Acknowledged late, a FIN may have been overtaken by the ACK behind it: FIN_WAIT_2, not CLOSING.
                State::Closing if !closes_for_certain || overtaken() => false,
                // Nobody repeats a FIN that was acknowledged.
                State::TimeWait if fin => false,
                // Late captures: the peer's FIN may have come before.
                _ => step.from.is_some() || step.stimulus != Stimulus::RcvFin,
            };
            if certain {
                step.confirmed = Some(ts);
            } else if step.latest.is_none_or(|latest| ts < latest) {
                // Whatever it did, it had done by then.
                step.latest = Some(ts.plus(step.slack()));
            }
        }
        self.look_for_unproved(side);
    }

    /// A packet of `side`'s own, seen at `ts`, that it sends only from where it is believed to be.
    pub fn confirm_last(&mut self, side: Side, ts: Timestamp) {
        if let Some(step) = self.steps[side.index()].last_mut().filter(|step| step.evidence == Evidence::Inferred) {
            step.confirmed.get_or_insert(ts);
        }
        self.look_for_unproved(side);
    }

    /// Is there a step of `side` that waits for its proof?
    pub fn unconfirmed(&self, side: Side) -> bool {
        self.unproved[side.index()]
    }

    fn look_for_unproved(&mut self, side: Side) {
        self.unproved[side.index()] = self.steps(side).iter().any(|step| step.confirmed.is_none());
    }

    /// Adds a step that no note tells: a timer that ran out, or the next incarnation.
    pub fn add(&mut self, side: Side, stimulus: Stimulus, ts: Timestamp, frame: Option<FrameId>, evidence: Evidence) {
        let from = self.state[side.index()];
        let Some(rule) = transition::next(from, stimulus) else { return };
        self.state[side.index()] = Some(rule.to);
        self.unproved[side.index()] = true;
        let steps = &mut self.steps[side.index()];
        let not_before = steps.last().map_or(ts, |step| step.ts);
        steps.push(Step {
            from,
            to: rule.to,
            stimulus,
            ts: ts.max(not_before),
            frame,
            note: None,
            evidence,
            confirmed: None,
            earliest: None,
            latest: None,
        });
    }

    /// `side`'s first step, which note `note` tells, did not happen before `earliest`.
    pub fn bound_first(&mut self, side: Side, note: usize, earliest: Timestamp) {
        if let Some(step) = self.steps[side.index()].first_mut().filter(|step| step.note == Some(note)) {
            step.earliest = Some(earliest);
        }
    }

    /// Sets the bounds of `side`'s last step, if no note tells it.
    pub fn bound_last(&mut self, side: Side, bounds: impl FnOnce(&Step) -> (Option<Timestamp>, Option<Timestamp>)) {
        if let Some(step) = self.steps[side.index()].last_mut().filter(|step| step.note.is_none()) {
            (step.earliest, step.latest) = bounds(step);
        }
    }

    /// Forgets everything about `side`: it never had a life (a refused or unanswered SYN leaves a listener where it was).
    pub fn erase(&mut self, side: Side) {
        self.steps[side.index()].clear();
        (self.state[side.index()], self.unproved[side.index()]) = (None, false);
        self.retracted.retain(|(whose, _)| *whose != side);
    }

    /// Narrows every interval by its neighbours: states follow each other, so a step is no earlier than the one before
    /// can have been, and no later than the one after must have been.
    pub fn settle_bounds(&mut self) {
        for steps in &mut self.steps {
            let mut earliest = None;
            for step in steps.iter_mut() {
                earliest = earliest.max(step.earliest);
                step.earliest = earliest;
                let shown = step.confirmed.map(|ts| ts.plus(step.slack()));
                step.latest = match (step.latest, shown) {
                    (Some(known), Some(shown)) if step.evidence == Evidence::Inferred => Some(known.min(shown)),
                    (_, shown @ Some(_)) => shown,
                    (known, None) => known,
                };
            }
            let mut latest: Option<Timestamp> = None;
            for step in steps.iter_mut().rev() {
                latest = match (latest, step.latest) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                step.latest = latest;
                // A clock that went back: the interval would be empty, and says nothing.
                if matches!((step.earliest, step.latest), (Some(low), Some(high)) if low > high) {
                    step.earliest = step.latest;
                }
            }
        }
    }
}
