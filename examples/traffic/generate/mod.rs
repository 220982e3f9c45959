//! Captures from a seed. In: a profile, how many packets, how many live connections. Out: a classic pcap, the same for the
//! same settings on every machine, in memory that depends on the live connections alone.

mod burst;
mod frame;
mod habits;
mod queue;
mod random;
mod talk;
mod told;

use std::fmt;
use std::io::{self, Write};

use frame::{ACK, Host, Ip, SYN, Said, Sink};
use habits::Habits;
use queue::Queue;
use random::Random;
use talk::{Ends, Talk};
pub use told::Told;

/// When captures begin, in microseconds since 1970: 2026-01-01 00:00 UTC.
const EPOCH: u64 = 1_767_225_600_000_000;
/// The ports that clients take one after the other, as Linux has them.
const FIRST_PORT: u16 = 32_768;
const LAST_PORT: u16 = 60_999;
/// Listening endpoints: fifty hosts with six each.
const LISTENERS: u32 = 300;

/// What kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Connections of about ten packets.
    Short,
    /// Many live connections of all lengths, Internet mix of sizes, a fifth UDP.
    Mix,
    /// A few endless transfers in full segments.
    Bulk,
    /// `Mix` cut to 96 bytes a packet.
    Headers,
    /// SYNs from everywhere to one listener.
    Flood,
    /// Very many connections that hardly speak.
    Idle,
}

impl Profile {
    pub const ALL: [Self; 6] = [Self::Short, Self::Mix, Self::Bulk, Self::Headers, Self::Flood, Self::Idle];

    /// Live connections when none are asked for; a flood has none.
    pub const fn default_flows(self) -> u32 {
        match self {
            Self::Short => 10_000,
            Self::Mix | Self::Headers => 100_000,
            Self::Bulk => 8,
            Self::Flood => 0,
            Self::Idle => 1_000_000,
        }
    }
}

/// The name, as it is asked for.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Short => "short",
            Self::Mix => "mix",
            Self::Bulk => "bulk",
            Self::Headers => "headers",
            Self::Flood => "flood",
            Self::Idle => "idle",
        })
    }
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub profile: Profile,
    pub packets: u64,
    /// Connections that are open at the same time.
    pub flows: u32,
    pub seed: u64,
    /// Packets a second of the capture's own time, about.
    pub rate: u64,
}

/// Writes the capture.
///
/// # Errors
/// Those of `out`.
pub fn write(settings: &Settings, out: impl Write) -> io::Result<Told> {
    let mut random = Random::new(settings.seed);
    let snaplen = if settings.profile == Profile::Headers { 96 } else { 262_144 };
    let mut sink = Sink::new(out, settings.packets, snaplen, &mut random)?;
    let mut told = Told::default();
    match settings.profile {
        Profile::Flood => flood(settings, &mut random, &mut told, &mut sink)?,
        _ => talks(settings, &mut random, &mut told, &mut sink)?,
    }
    told.packets = settings.packets - sink.left;
    sink.finish()?;
    Ok(told)
}

/// UDP datagrams for each TCP segment, in 65,536.
const fn noise(profile: Profile) -> u32 {
    match profile {
        Profile::Mix | Profile::Headers => 16_384,
        _ => 0,
    }
}

/// Connections: as many as asked for at any time, each end followed by a new one.
fn talks<W: Write>(settings: &Settings, random: &mut Random, told: &mut Told, sink: &mut Sink<W>) -> io::Result<()> {
    let noise = noise(settings.profile);
    let habits = Habits::new(settings, noise);
    let mut ports = vec![FIRST_PORT; 1 << 16];
    let mut queue = Queue::new(settings.flows, settings.rate);
    // All open within the time that their packets up to the first think time take at the rate.
    let opening = habits.pace * if settings.profile == Profile::Idle { 3 } else { 7 };
    let mut talks: Vec<Talk> = (0..settings.flows)
        .map(|slot| {
            let start = opening * u64::from(slot) / u64::from(settings.flows.max(1));
            queue.push(start, slot);
            let mut talk = Talk::new(&ends(&mut ports, random), EPOCH + start, &habits, random);
            if settings.profile == Profile::Idle {
                talk.stay_until(EPOCH + opening);
            }
            talk
        })
        .collect();
    while sink.left > 0
        && let Some((at, slot)) = queue.pop()
    {
        let talk = &mut talks[slot as usize];
        let next = match talk.speak(EPOCH + at, &habits, random, told, sink)? {
            Some(next) => next - EPOCH,
            None => {
                let start = at + 1 + random.wait(habits.pace);
                *talk = Talk::new(&ends(&mut ports, random), EPOCH + start, &habits, random).follows(talk);
                start
            }
        };
        queue.push(next, slot);
        if noise > 0 && sink.left > 0 && random.chance(noise) {
            told.datagrams += 1;
            datagram(EPOCH + at, random, sink)?;
        }
    }
    Ok(())
}

/// The next port of some client, and a listener; some listeners are liked better.
fn ends(ports: &mut [u16], random: &mut Random) -> Ends {
    let client = random.range(0, 1 << 16) as u16;
    let port = &mut ports[usize::from(client)];
    let taken = *port;
    *port = if taken == LAST_PORT { FIRST_PORT } else { taken + 1 };
    let listener = random.range(0, LISTENERS).min(random.range(0, LISTENERS)) as u16;
    Ends { client, port: taken, listener }
}

/// Something of the sizes of DNS and QUIC. The port is not DNS's own: dissectors would stumble over the noise in it.
fn datagram<W: Write>(at: u64, random: &mut Random, sink: &mut Sink<W>) -> io::Result<()> {
    let word = random.word();
    let client =
        Host { ip: Ip::V4(0x0a20_0000 | word as u32 & 0xffff), port: FIRST_PORT + (word >> 16) as u16 % 28_000 };
    let (port, payload) = match word >> 60 {
        0..6 => (5_053, random.range(30, 60)),
        6..9 => (5_053, random.range(80, 400)),
        9..11 => (443, random.range(30, 80)),
        _ => (443, 1_252),
    };
    let server = Host { ip: Ip::V4(0x0a01_0100 | ((word >> 32) as u32 % 64)), port };
    let (src, dst) = if word >> 63 == 0 { (client, server) } else { (server, client) };
    sink.datagram(at, src, dst, payload as u16, random.word())
}

/// Each SYN from another address, if chance has it; one in a hundred is answered.
fn flood<W: Write>(settings: &Settings, random: &mut Random, told: &mut Told, sink: &mut Sink<W>) -> io::Result<()> {
    let victim = Host { ip: Ip::V4(0x0a01_0001), port: 80 };
    // In 1/1024 of a microsecond.
    let pace = 1_024_000_000 / settings.rate.max(1);
    let mut clock = 0;
    while sink.left > 0 {
        clock += random.wait(pace);
        let at = EPOCH + (clock >> 10);
        let (address, word) = (random.word() as u32, random.word());
        let source = Host { ip: Ip::V4(unicast(address)), port: 1_024 | word as u16 };
        let mut said = Said {
            flags: SYN,
            seq: (word >> 32) as u32,
            ack: 0,
            window: 64_240,
            stamps: None,
            sack: None,
            mss: Some(1460),
            payload: 0,
            id: (word >> 16) as u16,
            vlans: [0; 2],
        };
        told.connections += 1;
        sink.segment(at, source, victim, &said)?;
        if sink.left > 0 && random.chance(656) {
            told.syn_acks += 1;
            said.flags = SYN | ACK;
            (said.seq, said.ack, said.id) = (random.word() as u32, said.seq.wrapping_add(1), 0);
            clock += 20 << 10;
            sink.segment(EPOCH + (clock >> 10), victim, source, &said)?;
        }
    }
    Ok(())
}

/// An address from 16.0.0.0 up to below 127.0.0.0, so neither private, loopback nor multicast.
const fn unicast(word: u32) -> u32 {
    let first = 16 + (((word >> 24) * 111) >> 8);
    first << 24 | word & 0x00ff_ffff
}
