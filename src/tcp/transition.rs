//! The table beside RFC 9293 figure 5. In: a state and a stimulus. Out: the next state and the section that says so.
//! No row has a condition: whatever needs numbers was judged before, in [`stimulus`](super::stimulus).

use super::state::State::{self, *};
use crate::time::Span;

/// What happens to an endpoint. `Snd…`: it sends; `Rcv…`: it receives something that it accepts. In the order in which one segment shows
/// them: to its sender, then, as RFC 9293 3.10.7 checks it, to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stimulus {
    /// It sends a SYN without ACK.
    SndSyn,
    /// It sends a SYN,ACK.
    SndSynAck,
    /// It sends what only a synchronized endpoint sends: data, or an ACK of the peer's SYN.
    SndAck,
    /// It sends its FIN.
    SndFin,
    /// It gives up with an RST.
    SndRst,
    /// An ICMP error says that its SYN could not be delivered.
    RcvUnreachable,
    /// An RST that it accepts reaches it.
    RcvRst,
    /// A SYN without ACK reaches it.
    RcvSyn,
    /// A SYN,ACK that acknowledges its SYN reaches it.
    RcvSynAck,
    /// Its SYN is acknowledged.
    RcvAckOfSyn,
    /// Its FIN is acknowledged.
    RcvAckOfFin,
    /// The peer's FIN reaches it and nothing before it is missing.
    RcvFin,
    /// A new incarnation of the 4-tuple takes its place.
    Reused,
    /// The TIME-WAIT timer runs out.
    TwoMsl,
    /// It gives up what nobody answers: it no longer repeats it.
    GaveUp,
}

use Stimulus::*;

impl Stimulus {
    /// All of them.
    pub const ALL: [Self; 15] = [
        SndSyn,
        SndSynAck,
        SndAck,
        SndFin,
        SndRst,
        RcvUnreachable,
        RcvRst,
        RcvSyn,
        RcvSynAck,
        RcvAckOfSyn,
        RcvAckOfFin,
        RcvFin,
        Reused,
        TwoMsl,
        GaveUp,
    ];

    /// The words of the `trigger` column.
    pub const fn trigger(self) -> &'static str {
        match self {
            SndSyn => "snd SYN",
            SndSynAck => "snd SYN,ACK",
            SndAck => "snd ACK",
            SndFin => "snd FIN",
            SndRst => "snd RST",
            RcvSyn => "rcv SYN",
            RcvSynAck => "rcv SYN,ACK",
            RcvAckOfSyn => "rcv ACK of SYN",
            RcvAckOfFin => "rcv ACK of FIN",
            RcvFin => "rcv FIN",
            RcvRst => "rcv RST",
            RcvUnreachable => "rcv ICMP unreachable",
            Reused => "reused",
            TwoMsl => "timeout 2MSL",
            GaveUp => "gave up",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of stimuli, given out in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stimuli(u16);

impl Stimuli {
    /// None.
    pub const NONE: Self = Self(0);
    /// Those of a receiver.
    const RECEIVED: u16 = !(RcvUnreachable.bit() - 1) & (Reused.bit() - 1);

    /// With `stimulus` too.
    pub const fn with(self, stimulus: Stimulus) -> Self {
        Self(self.0 | stimulus.bit())
    }

    /// Without `stimulus`.
    pub const fn without(self, stimulus: Stimulus) -> Self {
        Self(self.0 & !stimulus.bit())
    }

    /// Is `stimulus` among them?
    #[inline]
    pub const fn has(self, stimulus: Stimulus) -> bool {
        self.0 & stimulus.bit() != 0
    }

    /// Is there none?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a receiver goes through, in the RFC's order.
    #[inline]
    pub fn received(self) -> impl Iterator<Item = Stimulus> {
        Self(self.0 & Self::RECEIVED).each()
    }

    /// What a sender goes through.
    #[inline]
    pub fn sent(self) -> impl Iterator<Item = Stimulus> {
        Self(self.0 & (RcvUnreachable.bit() - 1)).each()
    }

    fn each(self) -> impl Iterator<Item = Stimulus> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = Stimulus::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*next)
        })
    }
}

/// A row of the table: in any of `from`, `on` leads `to`.
#[derive(Debug)]
pub struct Rule {
    /// Where it applies.
    pub from: &'static [State],
    /// What happens.
    pub on: Stimulus,
    /// Where it leads.
    pub to: State,
    /// The section of RFC 9293 that says so.
    pub cite: &'static str,
}

const fn r(from: &'static [State], on: Stimulus, to: State, cite: &'static str) -> Rule {
    Rule { from, on, to, cite }
}

/// Every arrow of figure 5 that a tap can see, RST in every state, and what an unseen packet forces.
///
/// Two deliberate departures, both what kernels do: the sender of an RST is CLOSED at once (figure 5 note 3 would have
/// it wait in TIME-WAIT), and an RST in SYN-RECEIVED leads to CLOSED, for the listener itself never left LISTEN.
pub const RULES: &[Rule] = &[
    r(&[Closed, Listen], SndSyn, SynSent, "3.10.1"),
    r(&[Closed, Listen], RcvSyn, SynReceived, "3.10.7.2 third"),
    // Linux gives up at the first; RFC 1122 4.2.3.9 would have it go on: then the SYN comes again.
    r(&[SynSent], RcvUnreachable, Closed, "3.9.2.2"),
    r(&[SynSent], RcvSyn, SynReceived, "3.10.7.3 fourth"),
    r(&[SynSent], RcvSynAck, Established, "3.10.7.3 fourth"),
    r(&[SynSent], SndAck, Established, "3.10.7.3 fourth"),
    r(&[SynReceived], RcvSynAck, Established, "3.5 figure 7"),
    r(&[SynReceived], RcvAckOfSyn, Established, "3.10.7.4 fifth"),
    r(&[SynReceived], SndAck, Established, "3.10.7.4 fifth"),
    r(&[SynReceived, Established], SndFin, FinWait1, "3.10.4"),
    r(&[CloseWait], SndFin, LastAck, "3.10.4"),
    r(&[SynReceived, Established], RcvFin, CloseWait, "3.10.7.4 eighth"),
    r(&[FinWait1], RcvAckOfFin, FinWait2, "3.10.7.4 fifth"),
    r(&[FinWait1], RcvFin, Closing, "3.10.7.4 eighth"),
    r(&[FinWait2], RcvFin, TimeWait, "3.10.7.4 eighth"),
    r(&[Closing], RcvAckOfFin, TimeWait, "3.10.7.4 fifth"),
    r(&[LastAck], RcvAckOfFin, Closed, "3.10.7.4 fifth"),
    r(&[TimeWait], TwoMsl, Closed, "3.10.8"),
    r(&[TimeWait], Reused, Closed, "3.6.1"),
    r(&[SynSent, SynReceived, FinWait1, Closing, LastAck], GaveUp, Closed, "3.8.3"),
    // Its host forgot the connection and begins another.
    r(&[SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck], Reused, Closed, "3.5.1"),
    r(&[SynSent], RcvRst, Closed, "3.10.7.3 second"),
    r(
        &[SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait],
        RcvRst,
        Closed,
        "3.10.7.4 second",
    ),
    r(
        &[SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait],
        SndRst,
        Closed,
        "3.10.5",
    ),
];

/// Where an endpoint enters the picture when the capture began after its connection did: the first evidence decides.
pub const MIDSTREAM: &[Rule] = &[
    r(&[], SndSynAck, SynReceived, "3.10.7.2 third"),
    r(&[], SndAck, Established, "3.3.2"),
    r(&[], SndFin, FinWait1, "3.10.4"),
    r(&[], SndRst, Closed, "3.10.5"),
    r(&[], RcvSynAck, Established, "3.10.7.3 fourth"),
    r(&[], RcvFin, CloseWait, "3.10.7.4 eighth"),
    r(&[], RcvRst, Closed, "3.10.7.4 second"),
];

/// For each state and stimulus the rule's number, from 1; 0 where there is none. The last row is for an endpoint of which nothing is known.
const GRID: [[u8; Stimulus::ALL.len()]; State::ALL.len() + 1] = {
    let mut grid = [[0; Stimulus::ALL.len()]; State::ALL.len() + 1];
    let mut number = 0;
    while number < RULES.len() {
        let (rule, mut from) = (&RULES[number], 0);
        number += 1;
        while from < rule.from.len() {
            grid[rule.from[from] as usize][rule.on as usize] = number as u8;
            from += 1;
        }
    }
    let mut number = 0;
    while number < MIDSTREAM.len() {
        let rule = &MIDSTREAM[number];
        number += 1;
        grid[State::ALL.len()][rule.on as usize] = number as u8;
    }
    grid
};

/// Where `on` leads from `state` (`None`: nothing is known of the endpoint yet), or `None` when it changes nothing.
#[inline]
pub fn next(state: Option<State>, on: Stimulus) -> Option<&'static Rule> {
    let (row, rules) = match state {
        Some(state) => (state as usize, RULES),
        None => (State::ALL.len(), MIDSTREAM),
    };
    rules.get(usize::from(GRID[row][on as usize]).checked_sub(1)?)
}

/// How long after its own packet an endpoint may change its state. Seen on Linux: 6 to 20 us, on a busy machine up to 3,500.
const AFTER_ITS_PACKET: Span = Span::from_millis(4);

/// How long after the packet that shows it the change `to` a state may come. Linux acknowledges a FIN before it enters TIME_WAIT or CLOSING
/// (`tcp_fin`), and may send an RST before it lets go of the socket (`tcp_keepalive_timer`): a tap on the host itself sees the packet
/// before the change.
pub const fn slack(on: Stimulus, to: State) -> Span {
    match on {
        RcvFin if matches!(to, TimeWait | Closing) => AFTER_ITS_PACKET,
        SndRst => AFTER_ITS_PACKET,
        _ => Span::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_row_matches() {
        for state in State::ALL {
            for on in Stimulus::ALL {
                let rows = RULES.iter().filter(|rule| rule.on == on && rule.from.contains(&state)).count();
                assert!(rows <= 1, "{state} on {on:?}: {rows} rows");
            }
        }
        for on in Stimulus::ALL {
            assert!(MIDSTREAM.iter().filter(|rule| rule.on == on).count() <= 1, "{on:?}");
        }
    }

    #[test]
    fn every_state_is_reachable_and_every_row_changes_something() {
        let mut reached = vec![Closed, Listen];
        loop {
            let before = reached.len();
            for rule in RULES {
                assert!(!rule.from.contains(&rule.to), "{rule:?} leads nowhere");
                assert!(!rule.cite.is_empty(), "{rule:?} cites nothing");
                if rule.from.iter().any(|from| reached.contains(from)) && !reached.contains(&rule.to) {
                    reached.push(rule.to);
                }
            }
            if reached.len() == before {
                break;
            }
        }
        assert_eq!(reached.len(), State::ALL.len(), "{reached:?}");
    }

    /// The whole grid, so that a change of the table shows in full. Rows: from; columns: the stimuli in their order.
    #[test]
    fn the_grid() {
        let short = |state: State| match state {
            Closed => "CL",
            Listen => "LI",
            SynSent => "SS",
            SynReceived => "SR",
            Established => "ES",
            FinWait1 => "F1",
            FinWait2 => "F2",
            CloseWait => "CW",
            Closing => "CG",
            LastAck => "LA",
            TimeWait => "TW",
        };
        let row = |state: Option<State>| {
            let cells = Stimulus::ALL.map(|on| next(state, on).map_or("· ", |rule| short(rule.to)));
            format!("{} {}", state.map_or("??", short), cells.join(" "))
        };
        let grid: Vec<String> = [None].into_iter().chain(State::ALL.map(Some)).map(row).collect();
        let want = [
            //  sSYN sSA sACK sFIN sRST unr rRST rSYN rSA rAoS rAoF rFIN reus 2MSL gave
            "?? ·  SR ES F1 CL ·  CL ·  ES ·  ·  CW ·  ·  · ",
            "CL SS ·  ·  ·  ·  ·  ·  SR ·  ·  ·  ·  ·  ·  · ",
            "LI SS ·  ·  ·  ·  ·  ·  SR ·  ·  ·  ·  ·  ·  · ",
            "SS ·  ·  ES ·  CL CL CL SR ES ·  ·  ·  CL ·  CL",
            "SR ·  ·  ES F1 CL ·  CL ·  ES ES ·  CW CL ·  CL",
            "ES ·  ·  ·  F1 CL ·  CL ·  ·  ·  ·  CW CL ·  · ",
            "F1 ·  ·  ·  ·  CL ·  CL ·  ·  ·  F2 CG CL ·  CL",
            "F2 ·  ·  ·  ·  CL ·  CL ·  ·  ·  ·  TW CL ·  · ",
            "CW ·  ·  ·  LA CL ·  CL ·  ·  ·  ·  ·  CL ·  · ",
            "CG ·  ·  ·  ·  CL ·  CL ·  ·  ·  TW ·  CL ·  CL",
            "LA ·  ·  ·  ·  CL ·  CL ·  ·  ·  CL ·  CL ·  CL",
            "TW ·  ·  ·  ·  CL ·  CL ·  ·  ·  ·  ·  CL CL · ",
        ];
        assert_eq!(grid, want, "\n{}", grid.join("\n"));
    }
}
