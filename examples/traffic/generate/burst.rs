//! A burst of data and what the receiver says to it: an acknowledgement for every second segment, SACK behind a lost one.

use std::io::{self, Write};

use super::frame::{ACK, PSH, Sink};
use super::habits::{Habits, Kind};
use super::random::Random;
use super::talk::{RTO, Step, Talk};

impl Talk {
    /// The next segment of the burst.
    pub(super) fn data<W: Write>(
        &mut self,
        now: u64,
        habits: &Habits,
        random: &mut Random,
        sink: &mut Sink<W>,
    ) -> io::Result<u64> {
        let sender = usize::from(self.sender);
        if self.index == 0 {
            self.start_burst(now, habits, random);
        }
        let place = match self.index {
            index @ (0 | 1) if self.swapped => 1 - index,
            index => index,
        };
        let last = place + 1 == self.count;
        let seq = self.base.wrapping_add(u32::from(place) * u32::from(self.size));
        let flags = if last { PSH | ACK } else { ACK };
        self.emit_at(now, sender, flags, seq, self.size, None, sink)?;
        self.index += 1;
        if self.index < self.count {
            return Ok(u64::from(self.gap));
        }
        self.index = 0;
        // The answer to the first segment is on its way already.
        let flown = now - self.burst_at;
        Ok(self.to(Step::Acks, self.delay(1 - sender).max(flown) - flown + u64::from(self.gap)))
    }

    fn start_burst(&mut self, now: u64, habits: &Habits, random: &mut Random) {
        let sender = usize::from(self.sender);
        let headers = 40 + u32::from(self.ipv6) * 20 + u32::from(self.stamped) * 12;
        let most = 1500 - headers;
        self.size = match habits.kind {
            Kind::Short => random.range(100, most + 1) as u16,
            Kind::Tailed if random.chance(52_429) => (576 - headers) as u16,
            Kind::Idle => random.range(10, 100) as u16,
            _ => most as u16,
        };
        let count = self.left.min(random.range(habits.burst / 2, habits.burst + 1)).max(1);
        self.count = count as u8;
        let broken = random.chance((habits.loss * count).min(1 << 15));
        self.lost = if broken { random.range(0, count) as u8 } else { self.count };
        self.swapped = !broken && count > 2 && random.chance(habits.swapped);
        self.base = self.seq[sender];
        self.seq[sender] = self.base.wrapping_add(count * u32::from(self.size));
        self.burst_at = now;
    }

    /// An acknowledgement for every second segment; where one is missing, one with SACK for each that follows it.
    pub(super) fn acks<W: Write>(
        &mut self,
        now: u64,
        habits: &Habits,
        random: &mut Random,
        sink: &mut Sink<W>,
    ) -> io::Result<u64> {
        let sender = usize::from(self.sender);
        let receiver = 1 - sender;
        let (base, size) = (self.base, u32::from(self.size));
        let place = |index: u8| base.wrapping_add(u32::from(index) * size);
        let spoken = self.index;
        self.index += 1;
        if self.swapped && spoken == 0 {
            let block = (place(1), place(2));
            self.emit_at(now, receiver, ACK, self.seq[receiver], 0, Some(block), sink)?;
            return Ok(u64::from(self.gap) * 2);
        }
        let turn = spoken - u8::from(self.swapped);
        let first = turn * 2;
        if first + 2 <= self.lost || self.lost == self.count {
            let covered = (first + 2).min(self.count);
            self.received[sender] = place(covered);
            let flown = if self.swapped && first == 0 { 1 } else { first };
            self.hear(sender, self.burst_at + u64::from(self.gap) * u64::from(flown));
            self.emit(now, receiver, ACK, 0, sink)?;
            if covered == self.count {
                return Ok(self.rounds(now, habits, random));
            }
            let rest_is_lost = covered == self.lost && self.lost + 1 == self.count;
            return Ok(if rest_is_lost {
                self.to(Step::Repeat, RTO + self.round_trip())
            } else {
                u64::from(self.gap) * 2
            });
        }
        let behind = self.lost + 1 + turn - self.lost / 2;
        if behind >= self.count {
            // Nothing came behind the lost segment: silence until the sender's timer. One ACK may be left to say.
            if self.lost % 2 == 1 {
                self.hear_front(sender);
                self.emit(now, receiver, ACK, 0, sink)?;
            }
            return Ok(self.to(Step::Repeat, RTO + self.round_trip()));
        }
        if self.lost > 0 {
            self.hear_front(sender);
        }
        let block = (place(self.lost + 1), place(behind + 1));
        self.emit_at(now, receiver, ACK, self.seq[receiver], 0, Some(block), sink)?;
        self.hear(receiver, now);
        Ok(if behind + 1 == self.count { self.to(Step::Repeat, self.delay(sender)) } else { u64::from(self.gap) * 2 })
    }

    /// The receiver has everything before the lost segment. It echoes the first segment after its last ACK (RFC 7323 4.3).
    const fn hear_front(&mut self, sender: usize) {
        self.received[sender] = self.base.wrapping_add(self.lost as u32 * self.size as u32);
        self.hear(sender, self.burst_at + self.gap as u64 * ((self.lost - 1) & !1) as u64);
    }
}
