//! When each slot speaks next. In: a slot and its time. Out: the slot whose time is first.
//!
//! A wheel of intrusive lists: every slot waits for one moment only, so that a million of them need twelve bytes each and
//! none is moved before its turn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const NONE: u32 = u32::MAX;
const BUCKETS: u64 = 1 << 15;

pub struct Queue {
    at: Vec<u64>,
    next: Vec<u32>,
    heads: Vec<u32>,
    /// The bucket in `ready`, counted from time 0.
    current: u64,
    shift: u32,
    waiting: usize,
    ready: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Queue {
    /// For `slots` slots and about `rate` moments a second, which are microseconds.
    pub fn new(slots: u32, rate: u64) -> Self {
        let slots = slots as usize;
        Self {
            at: vec![0; slots],
            next: vec![NONE; slots],
            heads: vec![NONE; BUCKETS as usize],
            current: 0,
            // Some sixteen moments in a bucket.
            shift: (16_000_000 / rate.max(1)).max(1).ilog2(),
            waiting: 0,
            ready: BinaryHeap::new(),
        }
    }

    /// `slot`, which must not be waiting, waits for `at`, which must not have passed.
    pub fn push(&mut self, at: u64, slot: u32) {
        let bucket = at >> self.shift;
        if bucket <= self.current {
            self.ready.push(Reverse((at, slot)));
            return;
        }
        let head = &mut self.heads[(bucket % BUCKETS) as usize];
        self.at[slot as usize] = at;
        self.next[slot as usize] = *head;
        *head = slot;
        self.waiting += 1;
    }

    /// The next moment and its slot; of slots with the same moment the lowest.
    pub fn pop(&mut self) -> Option<(u64, u32)> {
        while self.ready.is_empty() && self.waiting > 0 {
            self.current += 1;
            self.turn();
        }
        self.ready.pop().map(|Reverse(first)| first)
    }

    /// Makes the current bucket's slots ready. Those of a later turn of the wheel stay.
    fn turn(&mut self) {
        let index = (self.current % BUCKETS) as usize;
        let mut slot = std::mem::replace(&mut self.heads[index], NONE);
        while slot != NONE {
            let at = self.at[slot as usize];
            let after = self.next[slot as usize];
            if at >> self.shift == self.current {
                self.ready.push(Reverse((at, slot)));
                self.waiting -= 1;
            } else {
                self.next[slot as usize] = self.heads[index];
                self.heads[index] = slot;
            }
            slot = after;
        }
    }
}
