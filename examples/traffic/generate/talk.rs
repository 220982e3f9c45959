//! One TCP connection as a tap between its ends sees it. In: the moment its next packet is due. Out: that packet, and the
//! moment of the one after it.
//!
//! A connection has one packet pending at a time, so what both ends send is told in the order of the tap; bursts are shorter
//! than the way to the receiver and back. A loss is a packet that dies behind the tap: its repeat passes later.

use std::io::{self, Write};

use super::frame::{ACK, FIN, Host, Ip, PSH, RST, SYN, Said, Sink};
use super::habits::{Habits, Kind};
use super::random::Random;
use super::told::Told;

const C: usize = 0;
const S: usize = 1;

const SECOND: u64 = 1_000_000;
/// The least retransmission timeout of Linux.
pub(super) const RTO: u64 = 200_000;

/// No packet will follow.
const OVER: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Syn,
    SynAck,
    HandshakeAck,
    Request,
    RequestAck,
    Data,
    Acks,
    Repeat,
    RepeatAck,
    Fin,
    FinAck,
    PeerFin,
    LastAck,
    Refusal,
    KeepAlive,
    KeepAliveAck,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Accepted,
    Refused,
    Unanswered,
}

/// A connection. A million of them are in memory, hence the small fields.
pub struct Talk {
    /// When its next think time ends, if it keeps its pace.
    due: u64,
    pub(super) burst_at: u64,
    pub(super) seq: [u32; 2],
    /// What the other side has received of each side's stream.
    pub(super) received: [u32; 2],
    clock: [u32; 2],
    /// The other's TSval that each side echoes.
    recent: [u32; 2],
    /// From the tap to each side and back.
    delay: [u32; 2],
    /// Segments still to send.
    pub(super) left: u32,
    pub(super) base: u32,
    id: [u16; 2],
    client: u16,
    listener: u16,
    port: u16,
    pub(super) size: u16,
    window: u16,
    /// Packets since the last think time.
    said: u16,
    pub(super) gap: u8,
    pub(super) count: u8,
    pub(super) index: u8,
    /// The segment of the burst that is lost; `count` for none.
    pub(super) lost: u8,
    tries: u8,
    pub(super) sender: u8,
    closer: u8,
    step: Step,
    fate: Fate,
    pub(super) ipv6: bool,
    pub(super) stamped: bool,
    pub(super) swapped: bool,
    vlans: [u16; 2],
}

/// Where a connection comes from and goes to: a host of the clients' /16, its port, a number of a listener.
pub struct Ends {
    pub client: u16,
    pub port: u16,
    pub listener: u16,
}

impl Talk {
    /// A connection whose SYN passes at `at`.
    pub fn new(ends: &Ends, at: u64, habits: &Habits, random: &mut Random) -> Self {
        let fate = match random.range(0, 1 << 16) {
            part if part < habits.refused => Fate::Refused,
            part if part < habits.refused + habits.unanswered => Fate::Unanswered,
            _ => Fate::Accepted,
        };
        // The tap is in the servers' building: clients are near, in the same country or abroad.
        let far = match random.range(0, 10) {
            0..7 => random.range(80, 400),
            7 | 8 => random.range(1_500, 10_000),
            _ => random.range(15_000, 80_000),
        };
        let delays = match habits.kind {
            Kind::Endless => [random.range(500, 1_000), random.range(100, 400)],
            _ => [far, random.range(60, 500)],
        };
        let word = random.word();
        let isns = [random.word() as u32, (word >> 32) as u32];
        let vlan = if random.chance(habits.tagged) { 100 + ends.listener % 8 } else { 0 };
        let stacked = vlan != 0 && word.is_multiple_of(10);
        Self {
            due: at,
            burst_at: at,
            seq: isns,
            received: isns,
            clock: [random.word() as u32, random.word() as u32],
            recent: [0; 2],
            delay: delays.map(|delay| (habits.hurried(delay) as u32).max(4)),
            left: match habits.kind {
                Kind::Short => random.range(1, 4),
                Kind::Tailed => random.heavy(),
                Kind::Endless => u32::MAX,
                Kind::Idle => 0,
            },
            base: 0,
            id: [word as u16, (word >> 16) as u16],
            client: ends.client,
            listener: ends.listener,
            port: ends.port,
            size: 0,
            window: if habits.kind == Kind::Endless { 2_000 } else { 500 },
            said: 0,
            gap: random.range(3, 12) as u8,
            count: 0,
            index: 0,
            lost: 0,
            tries: 0,
            sender: if random.chance(habits.uploads) { C as u8 } else { S as u8 },
            closer: if random.chance(36_000) { S as u8 } else { C as u8 },
            step: Step::Syn,
            fate,
            ipv6: random.chance(habits.ipv6),
            stamped: random.chance(habits.stamped),
            swapped: false,
            vlans: if stacked { [10, vlan] } else { [vlan, 0] },
        }
    }

    /// The same slot's next connection: the debt of time stays.
    pub fn follows(mut self, before: &Self) -> Self {
        self.due = before.due;
        self.said = before.said;
        self
    }

    /// Silent after its handshake until `at`.
    pub const fn stay_until(&mut self, at: u64) {
        self.due = at;
    }

    /// Says what is due at `now`; returns when to come again, or `None` after the last packet.
    pub fn speak<W: Write>(
        &mut self,
        now: u64,
        habits: &Habits,
        random: &mut Random,
        told: &mut Told,
        sink: &mut Sink<W>,
    ) -> io::Result<Option<u64>> {
        self.said = self.said.saturating_add(1);
        let lost = random.chance(habits.loss) && self.tries < 3;
        let after = match self.step {
            Step::Syn => self.syn(now, lost, told, sink)?,
            Step::SynAck => {
                told.syn_acks += 1;
                told.syn_ack_repeats += u64::from(self.tries > 0);
                self.emit(now, S, SYN | ACK, 0, sink)?;
                if lost { self.again(SECOND) } else { self.to(Step::HandshakeAck, self.delay(C)) }
            }
            Step::HandshakeAck => {
                told.openings += 1;
                self.advance(C, 1);
                self.advance(S, 1);
                self.emit(now, C, ACK, 0, sink)?;
                self.open(now, habits, random)
            }
            Step::Request => {
                let payload = if self.tries == 0 { random.range(80, 800) as u16 } else { self.size };
                self.size = payload;
                self.emit(now, C, PSH | ACK, payload, sink)?;
                told.data_repeats += u64::from(self.tries > 0);
                if lost {
                    self.again(RTO + self.round_trip())
                } else {
                    self.advance(C, u32::from(payload));
                    let next = if random.chance(20_000) { Step::RequestAck } else { Step::Data };
                    self.to(next, self.delay(S) + u64::from(random.range(5, 40)))
                }
            }
            Step::RequestAck => {
                self.emit(now, S, ACK, 0, sink)?;
                self.to(Step::Data, habits.hurried(random.range(50, 2_000)))
            }
            Step::Data => self.data(now, habits, random, sink)?,
            Step::Acks => self.acks(now, habits, random, sink)?,
            Step::Repeat => {
                told.data_repeats += 1;
                let seq = self.base.wrapping_add(u32::from(self.lost) * u32::from(self.size));
                self.burst_at = now;
                let sender = usize::from(self.sender);
                self.emit_at(now, sender, ACK, seq, self.size, None, sink)?;
                self.to(Step::RepeatAck, self.delay(1 - sender))
            }
            Step::RepeatAck => {
                let sender = usize::from(self.sender);
                self.hear(sender, self.burst_at);
                self.received[sender] = self.seq[sender];
                self.emit(now, 1 - sender, ACK, 0, sink)?;
                self.rounds(now, habits, random)
            }
            Step::Fin => self.fin(now, lost, habits, random, told, sink)?,
            Step::FinAck => {
                self.emit(now, 1 - usize::from(self.closer), ACK, 0, sink)?;
                let slow = random.chance(1_000);
                let wait = if slow { random.wait(2 * SECOND) } else { habits.hurried(random.range(30, 4_000)) };
                self.to(Step::PeerFin, wait)
            }
            Step::PeerFin => {
                let peer = 1 - usize::from(self.closer);
                told.fins += 1;
                told.fin_repeats += u64::from(self.tries > 0);
                self.emit(now, peer, FIN | ACK, 0, sink)?;
                if lost {
                    self.again(RTO + self.round_trip())
                } else {
                    self.proceed(Step::LastAck, self.delay(1 - peer))
                }
            }
            Step::LastAck => {
                let peer = 1 - usize::from(self.closer);
                self.advance(peer, 1);
                self.emit(now, 1 - peer, ACK, 0, sink)?;
                if !lost {
                    return Ok(None);
                }
                self.seq[peer] = self.seq[peer].wrapping_sub(1);
                self.tries += 1;
                self.proceed(Step::PeerFin, RTO + self.round_trip())
            }
            Step::Refusal => {
                told.refused += 1;
                self.advance(C, 1);
                self.seq[S] = 0;
                self.emit_at(now, S, RST | ACK, 0, 0, None, sink)?;
                return Ok(None);
            }
            Step::KeepAlive => {
                let side = usize::from(self.sender);
                self.emit_at(now, side, ACK, self.seq[side].wrapping_sub(1), 0, None, sink)?;
                self.to(Step::KeepAliveAck, self.delay(1 - side))
            }
            Step::KeepAliveAck => {
                self.emit(now, 1 - usize::from(self.sender), ACK, 0, sink)?;
                self.visit(now, habits, random)
            }
        };
        Ok((after != OVER).then(|| now + after.max(1)))
    }

    fn syn<W: Write>(&mut self, now: u64, lost: bool, told: &mut Told, sink: &mut Sink<W>) -> io::Result<u64> {
        told.connections += u64::from(self.tries == 0);
        told.syn_repeats += u64::from(self.tries > 0);
        self.emit(now, C, SYN, 0, sink)?;
        Ok(match self.fate {
            // 0, 1, 3 and 7 seconds; then the application gives up.
            Fate::Unanswered if self.tries < 3 => self.again(SECOND),
            Fate::Unanswered => {
                told.unanswered += 1;
                OVER
            }
            _ if lost => self.again(SECOND),
            Fate::Accepted => self.to(Step::SynAck, self.delay(S)),
            Fate::Refused => self.to(Step::Refusal, self.delay(S)),
        })
    }

    /// What follows the handshake.
    fn open(&mut self, now: u64, habits: &Habits, random: &mut Random) -> u64 {
        match habits.kind {
            Kind::Idle => self.visit(now, habits, random),
            _ if usize::from(self.sender) == C => self.to(Step::Data, u64::from(random.range(10, 200))),
            _ => self.to(Step::Request, u64::from(random.range(10, 200))),
        }
    }

    /// The next rare sign of life.
    fn visit(&mut self, now: u64, habits: &Habits, random: &mut Random) -> u64 {
        if random.chance(40_000) {
            self.sender = u8::from(random.chance(1 << 15));
            return self.think(Step::KeepAlive, now, 0, habits, random);
        }
        self.left = 1;
        self.sender = S as u8;
        self.think(Step::Request, now, 0, habits, random)
    }

    /// After a burst: the next, or the end.
    pub(super) fn rounds(&mut self, now: u64, habits: &Habits, random: &mut Random) -> u64 {
        self.index = 0;
        self.left = self.left.saturating_sub(u32::from(self.count));
        match habits.kind {
            Kind::Idle => self.visit(now, habits, random),
            Kind::Endless => self.think(Step::Data, now, self.delay(usize::from(self.sender)), habits, random),
            _ if self.left > 0 => self.think(Step::Data, now, self.delay(usize::from(self.sender)), habits, random),
            _ => self.think(Step::Fin, now, self.delay(usize::from(self.closer)), habits, random),
        }
    }

    fn fin<W: Write>(
        &mut self,
        now: u64,
        lost: bool,
        habits: &Habits,
        random: &mut Random,
        told: &mut Told,
        sink: &mut Sink<W>,
    ) -> io::Result<u64> {
        let closer = usize::from(self.closer);
        if self.tries == 0 && random.chance(habits.aborted) {
            told.aborted += 1;
            self.emit(now, closer, RST | ACK, 0, sink)?;
            return Ok(OVER);
        }
        told.fins += 1;
        told.fin_repeats += u64::from(self.tries > 0);
        self.emit(now, closer, FIN | ACK, 0, sink)?;
        if lost {
            return Ok(self.again(RTO + self.round_trip()));
        }
        self.advance(closer, 1);
        let next = if random.chance(22_000) { Step::FinAck } else { Step::PeerFin };
        Ok(self.to(next, self.delay(1 - closer)))
    }

    pub(super) const fn to(&mut self, step: Step, after: u64) -> u64 {
        self.tries = 0;
        self.proceed(step, after)
    }

    pub(super) const fn proceed(&mut self, step: Step, after: u64) -> u64 {
        self.step = step;
        after
    }

    /// The same packet after its timer, which doubles.
    const fn again(&mut self, timer: u64) -> u64 {
        self.tries += 1;
        timer << (self.tries - 1)
    }

    /// Waits until the pace allows the next packets, but at least `least`.
    fn think(&mut self, step: Step, now: u64, least: u64, habits: &Habits, random: &mut Random) -> u64 {
        self.due += random.wait(habits.pace * u64::from(self.said));
        self.said = 0;
        self.to(step, self.due.saturating_sub(now).max(least))
    }

    pub(super) const fn delay(&self, side: usize) -> u64 {
        self.delay[side] as u64
    }

    pub(super) const fn round_trip(&self) -> u64 {
        self.delay(C) + self.delay(S)
    }

    /// The other side has received `n` more of what `side` sent; for SYN, FIN and requests that is sending too.
    const fn advance(&mut self, side: usize, n: u32) {
        self.seq[side] = self.seq[side].wrapping_add(n);
        self.received[side] = self.seq[side];
    }

    /// The other side has the timestamp of what `side` sent at `at`.
    pub(super) const fn hear(&mut self, side: usize, at: u64) {
        self.recent[1 - side] = self.stamp(side, at);
    }

    /// Milliseconds of the side's own clock.
    const fn stamp(&self, side: usize, at: u64) -> u32 {
        self.clock[side].wrapping_add((at / 1000) as u32)
    }

    pub(super) fn emit<W: Write>(
        &mut self,
        at: u64,
        side: usize,
        flags: u8,
        payload: u16,
        sink: &mut Sink<W>,
    ) -> io::Result<()> {
        let seq = self.seq[side];
        self.emit_at(at, side, flags, seq, payload, None, sink)?;
        // Data of a burst is heard when it is acknowledged; everything else at once, if not lost.
        self.hear(side, at);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a segment has that many fields")]
    pub(super) fn emit_at<W: Write>(
        &mut self,
        at: u64,
        side: usize,
        flags: u8,
        seq: u32,
        payload: u16,
        sack: Option<(u32, u32)>,
        sink: &mut Sink<W>,
    ) -> io::Result<()> {
        let syn = flags & SYN != 0;
        // A listener's SYN-ACK and a closed port's RST belong to no socket yet: Linux numbers them 0.
        let id = if side == S && (syn || self.step == Step::Refusal) {
            0
        } else {
            self.id[side] = self.id[side].wrapping_add(1);
            self.id[side]
        };
        let echo = if syn && side == C { 0 } else { self.recent[side] };
        let bare = self.step == Step::Refusal;
        let said = Said {
            flags,
            seq,
            ack: match (flags & ACK != 0, syn) {
                (true, true) => self.received[1 - side].wrapping_add(1),
                (true, false) => self.received[1 - side],
                _ => 0,
            },
            window: match (syn, bare) {
                (true, _) => 64_240,
                (false, true) => 0,
                _ => self.window + seq as u16 % 8,
            },
            stamps: (self.stamped && !bare).then(|| (self.stamp(side, at), echo)),
            sack,
            mss: syn.then_some(if self.ipv6 { 1440 } else { 1460 }),
            payload,
            id,
            vlans: self.vlans,
        };
        let ends = self.hosts();
        sink.segment(at, ends[side], ends[1 - side], &said)
    }

    fn hosts(&self) -> [Host; 2] {
        let server = u32::from(self.listener / 6);
        // Ports without a dissector of their own in other tools, which would otherwise be measured on noise.
        let port = [443, 2222, 8891, 9443, 15432, 50051][usize::from(self.listener % 6)];
        let client = u32::from(self.client);
        let (from, to) = if self.ipv6 {
            let net = 0x2001_0db8_u128 << 96;
            (Ip::V6(net | 0x20 << 64 | u128::from(client)), Ip::V6(net | 0x1 << 64 | u128::from(server + 1)))
        } else {
            (Ip::V4(0x0a20_0000 | client), Ip::V4(0x0a01_0001 + server))
        };
        [Host { ip: from, port: self.port }, Host { ip: to, port }]
    }
}
