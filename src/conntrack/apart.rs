//! Where connections of one 4-tuple were seen. In: the VLAN and tunnel of a SYN. Out: whether it belongs to the connection that has the
//! 4-tuple, or to another one elsewhere.
//!
//! A SPAN port tags the two directions differently, or shows a routed packet in both VLANs: one connection. Two customers
//! may use the same private addresses in two VLANs or virtual networks: two. A SYN tells which: the same side's, elsewhere, with another
//! sequence number, where no SYN was seen in both places. Only then is a 4-tuple split.

use std::collections::HashMap;

use super::key::Direction;
use crate::tcp::segment::{Addressed, Tunnel, TunnelKind};
use crate::tcp::seq::SeqNum;

/// Connections of one 4-tuple that are kept apart at most: more is no traffic, and each makes the others' lookups longer.
pub const MOST: usize = 16;

/// A VLAN and a virtual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    vlan: Option<u16>,
    tunnel: Option<Tunnel>,
}

impl Place {
    /// Of a packet. Only ids count that are the same in both directions and for all of a network's life.
    pub fn of(vlan: Option<u16>, tunnel: Option<Tunnel>) -> Self {
        use TunnelKind::{Geneve, Gre, Lisp, Pbb, Pppoe, Vxlan};
        let counts =
            |tunnel: &Tunnel| tunnel.id.is_some() && matches!(tunnel.kind, Vxlan | Geneve | Gre | Pppoe | Pbb | Lisp);
        Self { vlan, tunnel: tunnel.filter(counts) }
    }
}

/// How a flow began.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// Where its SYN was seen.
    pub place: Place,
    /// Which way the SYN went.
    pub direction: Direction,
    /// The SYN's sequence number.
    pub iss: SeqNum,
}

/// What a SYN says of a flow that has its 4-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nothing: it is where the flow is, or of the other side.
    Nothing,
    /// The tap sees the flow's packets in several places.
    SeveralPlaces,
    /// It begins a connection of its own, elsewhere.
    Elsewhere,
}

impl Beginning {
    /// Reads a bare SYN.
    pub fn compare(&self, syn: &Addressed, direction: Direction) -> Says {
        match (self.place == Place::of(syn.vlan, syn.tunnel), self.direction == direction) {
            (false, true) if self.iss == syn.segment.seq => Says::SeveralPlaces,
            (false, true) => Says::Elsewhere,
            _ => Says::Nothing,
        }
    }
}

/// A flow that is apart from the one that has its 4-tuple.
#[derive(Clone, Copy, Debug)]
struct Own {
    begun: Beginning,
    /// Where its answers are seen, once that is known.
    answers: Option<Place>,
}

/// The flows that are apart, by their numbers.
#[derive(Debug, Default)]
pub struct Apart(HashMap<u32, Own>);

impl Apart {
    /// A flow is apart from now on.
    pub fn insert(&mut self, number: u32, begun: Beginning) {
        self.0.insert(number, Own { begun, answers: None });
    }

    /// A flow is no more.
    pub fn remove(&mut self, number: u32) {
        self.0.remove(&number);
    }

    /// Is it apart?
    pub fn has(&self, number: u32) -> bool {
        self.0.contains_key(&number)
    }

    /// Does a segment belong to this flow? Not if the flow is not apart.
    pub fn owns(&mut self, number: u32, addressed: &Addressed, direction: Direction) -> bool {
        let Some(own) = self.0.get_mut(&number) else { return false };
        let here = Place::of(addressed.vlan, addressed.tunnel);
        if direction == own.begun.direction {
            return own.begun.place == here;
        }
        let seg = &addressed.segment;
        if own.answers.is_none() && seg.flags.is_syn_ack() && seg.ack == own.begun.iss.plus(1) {
            own.answers = Some(here);
        }
        own.answers.unwrap_or(own.begun.place) == here
    }
}
