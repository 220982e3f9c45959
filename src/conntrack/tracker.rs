//! Many flows: the same calls as one flow, plus the table. One tracker a shard.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use super::flow::{self, Flow};
use super::key::{Direction, FlowKey};
use crate::metrics::rows::ConnectionReport;
use crate::metrics::time_wait::Finish;
use crate::tcp::segment::{Addressed, Undelivered};
use crate::time::Timestamp;

pub use super::config::Config;

/// The connections of one shard.
pub struct Tracker {
    config: Config,
    flows: HashMap<FlowKey, Box<Flow>, BuildHasherDefault<FlowHasher>>,
    evictions: u64,
}

impl Tracker {
    /// An empty table.
    pub fn new(config: Config) -> Self {
        Self { config, flows: HashMap::default(), evictions: 0 }
    }

    /// Takes one segment, in the order of the capture. Connections that can no longer change go to `out`.
    pub fn feed(&mut self, addressed: &Addressed, out: &mut dyn FnMut(ConnectionReport)) {
        let (key, direction) = flow::key_of(addressed);
        match self.flows.entry(key) {
            Entry::Occupied(mut known) => {
                if let Some(ended) = known.get_mut().feed(addressed, direction, &self.config) {
                    out(ended);
                }
            }
            Entry::Vacant(free) => {
                free.insert(Box::new(Flow::new(addressed, direction)));
                if self.flows.len() > self.config.max_connections {
                    self.shed(addressed.segment.ts, out);
                }
            }
        }
    }

    /// Takes an ICMP error that quotes a segment.
    pub fn undelivered(&mut self, icmp: &Undelivered) {
        let (key, direction) = FlowKey::new(icmp.src, icmp.dst);
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.undelivered(icmp, direction);
        }
    }

    /// How many connections were given up so far.
    pub const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Gives up the eighth of the table that is worth least, so that the search for it is paid once in many packets.
    fn shed(&mut self, now: Timestamp, out: &mut dyn FnMut(ConnectionReport)) {
        let mut worth: Vec<_> = self.flows.iter().map(|(key, flow)| (flow.worth(), *key)).collect();
        worth.sort_unstable();
        for (_, key) in worth.iter().take((worth.len() / 8).max(1)) {
            if let Some(flow) = self.flows.remove(key) {
                self.evictions += 1;
                out(flow.finish(&self.config, Finish::Evicted(now)));
            }
        }
    }

    /// Ends the capture at `end`, the timestamp of its last packet of any kind: every open connection goes to `out`, in
    /// no particular order.
    pub fn finish(self, end: Timestamp, out: &mut dyn FnMut(ConnectionReport)) {
        for (_, flow) in self.flows {
            out(flow.finish(&self.config, Finish::Capture(end)));
        }
    }

    /// The flow of a segment, if it is known.
    pub fn flow(&self, addressed: &Addressed) -> Option<(&Flow, Direction)> {
        let (key, direction) = flow::key_of(addressed);
        self.flows.get(&key).map(|flow| (&**flow, direction))
    }
}

/// The table's hasher: folds the key's words as [`FlowKey::flow_hash`] does, which is seedless and cheap. A hostile sender
/// could aim at one bucket; hashbrown's groups and the cap on connections bound what that costs.
#[derive(Default)]
pub struct FlowHasher(u64);

impl Hasher for FlowHasher {
    fn finish(&self) -> u64 {
        let hash = (self.0 ^ self.0 >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}
