//! A connection that is over and not told yet. In: what its flow knew. Out: the same, until someone tells it.

use std::ops::Range;

use super::key::{Direction, Key};
use super::packed::{Base, Packed};
use crate::metrics::time_wait::Finish;
use crate::names::mark::Marks;
use crate::tcp::segment::{Addressed, Tunnel};

/// A connection that is over and has not been told: its segments stand in [`Ended`](super::ended::Ended).
#[derive(Clone, Debug)]
pub struct Closed {
    pub(super) key: Key,
    pub(super) first: Base,
    pub(super) vlan: Option<u16>,
    pub(super) tunnel: Option<Tunnel>,
    pub(super) finish: Finish,
    pub(super) segments: Range<usize>,
    /// What its payloads told.
    pub(super) marks: Option<Box<Marks>>,
    pub(super) split: bool,
}

impl Closed {
    /// Its first segment; `segments` are its own.
    pub(super) fn first(&self, segments: &[Packed]) -> Addressed {
        let [low, high] = self.key.ends();
        let (src, dst) = if segments[0].direction() == Direction::Up { (low, high) } else { (high, low) };
        Addressed { src, dst, vlan: self.vlan, tunnel: self.tunnel, segment: segments[0].unpack(&self.first) }
    }
}
