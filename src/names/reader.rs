//! Payloads read as they pass. In: segments in the order of the capture. Out: marks for their flows.
//!
//! What has to be remembered between segments is bounded: hellos and requests whose rest is still to come, TLS handshakes that are not
//! complete, flows whose name is known already.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use super::begins::{Begins, begins, may_begin};
use super::http::{self, Asked};
use super::mark::{App, Mark, Name, TlsVersion, What};
use super::recent::Recent;
use super::tls::{self, Hello};
use super::{ssh, text};
use crate::tcp::segment::{Addressed, Flags, HostPort};
use crate::tcp::seq::SeqNum;
use crate::time::Timestamp;

/// Bytes of beginnings that wait for their rest, a generation.
const WAITING_BYTES: usize = 4 << 20;
/// What a beginning takes beside its bytes, so that there are some thousands at most.
const WAITING_COST: usize = 1 << 10;
/// TLS handshakes that are followed, a generation.
const HANDSHAKES: usize = 1 << 14;
/// Names that are kept once for all connections.
const NAMES: usize = 1 << 16;
/// Slots for flows that have been named, and for handshakes being followed: powers of two.
const SLOTS: usize = 1 << 14;
/// Slots for the sequence numbers that are waited for.
const NUMBERS: usize = 1 << 12;

/// Both ends, in order: the same for both directions.
type Pair = (HostPort, HostPort);
/// Who sends, and to whom.
type Way = (HostPort, HostPort);

/// Counts by slot: says for certain that something is not there.
#[derive(Debug)]
struct Hints(Box<[u8]>);

impl Hints {
    fn new(slots: usize) -> Self {
        Self(vec![0; slots].into())
    }

    /// There are as many slots as a power of two, so the mask stays inside.
    fn slot(&mut self, hash: u64) -> Option<&mut u8> {
        let mask = self.0.len().wrapping_sub(1);
        self.0.get_mut(hash as usize & mask)
    }

    fn has(&self, hash: u64) -> bool {
        self.0.get(hash as usize & self.0.len().wrapping_sub(1)).is_some_and(|&count| count > 0)
    }

    fn add(&mut self, hash: u64) {
        if let Some(count) = self.slot(hash) {
            *count = count.saturating_add(1);
        }
    }

    /// One that was full once stays: it is not known how many there were.
    fn take(&mut self, hash: u64) {
        if let Some(count) = self.slot(hash).filter(|count| **count < u8::MAX) {
            *count = count.saturating_sub(1);
        }
    }
}

/// A beginning that waits for its rest.
#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    start: SeqNum,
    next: SeqNum,
    /// Its first segment.
    began: (u64, Timestamp),
}

/// A TLS handshake that is not complete.
#[derive(Debug)]
struct Handshake {
    client: HostPort,
    /// The segment that the ClientHello began in.
    began: (u64, Timestamp),
    /// What the server chose; `None` before its ServerHello, and where that does not tell.
    version: Option<TlsVersion>,
    /// The client's data may come before the handshake is complete; `None` while the hello is not read to its end.
    early_data: Option<bool>,
}

/// Reads payloads. One for a run: it must see all segments in order.
#[derive(Debug)]
pub struct Reader {
    /// Something waits for its rest.
    waits: bool,
    /// Something is known of some flow, which a SYN ends.
    knows: bool,
    numbers: Hints,
    waiting: Recent<Way, Waiting>,
    following: Hints,
    handshakes: Recent<Pair, Handshake>,
    /// By slot: a flow whose request (low bit 1) or response (0) was read. Only saves reading the next one.
    named: Vec<u64>,
    names: HashSet<Arc<Name>>,
    seed: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            waits: false,
            knows: false,
            numbers: Hints::new(NUMBERS),
            waiting: Recent::new(WAITING_BYTES),
            following: Hints::new(SLOTS),
            handshakes: Recent::new(HANDSHAKES),
            named: Vec::new(),
            names: HashSet::new(),
            // Nothing that comes out depends on it; nobody shall choose what shares a slot.
            seed: RandomState::new().hash_one(0) | 1,
        }
    }
}

impl Reader {
    /// Must [`Reader::read`] be asked about a segment? A few instructions; false for nearly every one.
    #[inline(always)]
    pub fn concerns(&self, flags: Flags, seq: SeqNum, payload: &[u8]) -> bool {
        match payload.first() {
            Some(&first) => may_begin(payload, first) || self.waits && self.numbers.has(number_hash(seq)),
            None => flags.is_bare_syn() && self.knows,
        }
    }

    /// Reads a segment that [concerns](Reader::concerns) it.
    #[cold]
    pub fn read(&mut self, addressed: &Addressed, payload: &[u8]) -> Option<Mark> {
        let is_syn = addressed.segment.flags.is_bare_syn();
        let is_wanted = self.waits && self.numbers.has(number_hash(addressed.segment.payload_seq()));
        if !is_syn && !is_wanted && begins(payload).is_none() {
            return None;
        }
        let segment = Seen::new(addressed, payload, self.seed);
        if is_syn {
            self.forget(&segment);
        }
        let what = match self.joined(&segment) {
            Some((bytes, began)) => self.begun(&bytes, &segment, began),
            None => self.begun(payload, &segment, segment.now),
        };
        Some(Mark { ordinal: addressed.segment.ordinal, what: what? })
    }

    /// What a side's bytes tell, which began in the segment at `began`.
    fn begun(&mut self, bytes: &[u8], segment: &Seen<'_>, began: (u64, Timestamp)) -> Option<What> {
        let name = match begins(bytes)? {
            Begins::Tls => return self.tls(bytes, segment, began),
            Begins::Response => {
                let is_new = http::is_response(bytes) && self.is_first(segment, 0);
                return is_new.then(|| What::Answered(self.name(App::Http, None, None, None)));
            }
            Begins::Ssh => {
                let Some(line) = ssh::line(bytes) else {
                    self.wait(bytes, segment, began);
                    return None;
                };
                return Some(What::Banner(self.name(App::Ssh, text::safe(line), None, None)));
            }
            Begins::Request if self.is_named(segment, 1) => return None,
            Begins::Request => match http::asked(bytes, segment.may_go_on(bytes)) {
                Asked::One(host) => self.name(App::Http, host, None, None),
                Asked::Two => self.name(App::Http2, None, None, None),
                Asked::Other => return None,
                Asked::More => {
                    self.wait(bytes, segment, began);
                    // What came is told should the rest not come.
                    match http::asked(bytes, false) {
                        Asked::One(_) => return Some(What::Asked(self.name(App::Http, None, None, None))),
                        _ => return None,
                    }
                }
            },
        };
        self.is_first(segment, 1);
        Some(What::Asked(name))
    }

    fn tls(&mut self, bytes: &[u8], segment: &Seen<'_>, began: (u64, Timestamp)) -> Option<What> {
        // Nearly every record is application data of a connection whose handshake is complete.
        let follows = self.following.has(segment.hash);
        if bytes.first() == Some(&0x17) && !follows {
            return None;
        }
        let told = tls::told(bytes);
        if told.goes_on {
            self.wait(bytes, segment, began);
        }
        match told.hello {
            Some((Hello::Client { name, alpn, early_data }, whole)) => {
                self.follow(segment, began, whole.then_some(early_data));
                Some(What::Asked(self.name(App::Tls, name, alpn, None)))
            }
            Some((Hello::Server { version, alpn }, _)) => {
                if let Some(handshake) = self.handshakes.get_mut(&segment.pair).filter(|it| it.client != segment.way.0)
                {
                    handshake.version = handshake.version.or(version);
                }
                Some(What::Answered(self.name(App::Tls, None, alpn, version)))
            }
            Some((Hello::Retry, _)) => None,
            None if told.data && follows => self.secured(segment),
            None => None,
        }
    }

    /// A ClientHello: its handshake is followed from its first copy on.
    fn follow(&mut self, segment: &Seen<'_>, began: (u64, Timestamp), early_data: Option<bool>) {
        if let Some(handshake) = self.handshakes.get_mut(&segment.pair).filter(|it| it.client == segment.way.0) {
            // The second one, which a server that asks for it gets, offers no early data any more; what the first sent may still come.
            handshake.early_data = match (handshake.early_data, early_data) {
                (Some(first), Some(second)) => Some(first || second),
                (first, second) => first.or(second),
            };
            return;
        }
        self.end_handshake(segment);
        let handshake = Handshake { client: segment.way.0, began, version: None, early_data };
        let (following, seed) = (&mut self.following, self.seed);
        following.add(segment.hash);
        self.knows = true;
        self.handshakes.insert(segment.pair, handshake, 1, |pair, _| following.take(pair_hash(pair, seed)));
    }

    /// A record of application data, while a handshake is followed: is that complete?
    ///
    /// Up to TLS 1.2 such a record is what it says. In TLS 1.3 what the server sends before the handshake is complete looks the same; the
    /// client's first one after the ServerHello holds its Finished, unless it has sent data early.
    fn secured(&mut self, segment: &Seen<'_>) -> Option<What> {
        let handshake = self.handshakes.get_mut(&segment.pair)?;
        let (began, then) = handshake.began;
        let from_client = handshake.client == segment.way.0;
        let told = match (handshake.version?, handshake.early_data) {
            (TlsVersion::Tls13, _) if !from_client => return None,
            (TlsVersion::Tls13, Some(false)) => true,
            (TlsVersion::Tls13, _) => false,
            _ => true,
        };
        self.end_handshake(segment);
        let took = segment.now.1.since(then).as_nanos();
        told.then_some(What::Secured { began, took })
    }

    fn end_handshake(&mut self, segment: &Seen<'_>) {
        if self.handshakes.remove(&segment.pair).is_some() {
            self.following.take(segment.hash);
        }
    }

    /// A SYN: what was known of its flow is of another connection.
    fn forget(&mut self, segment: &Seen<'_>) {
        self.end_handshake(segment);
        if let Some(slot) = self.named.get_mut(segment.slot()).filter(|slot| **slot >> 1 == segment.hash >> 1) {
            *slot = 0;
        }
        for way in [segment.way, (segment.way.1, segment.way.0)] {
            self.stop_waiting(&way);
        }
    }

    /// Was a request (1) or anything (0) of this flow read before?
    fn is_named(&self, segment: &Seen<'_>, what: u64) -> bool {
        self.named.get(segment.slot()).is_some_and(|slot| slot >> 1 == segment.hash >> 1 && slot & 1 >= what)
    }

    /// Notes that a request (1) or a response (0) was read; returns whether none was before.
    fn is_first(&mut self, segment: &Seen<'_>, what: u64) -> bool {
        if self.is_named(segment, what) {
            return false;
        }
        self.knows = true;
        self.named.resize(SLOTS, 0);
        if let Some(slot) = self.named.get_mut(segment.slot()) {
            *slot = segment.hash & !1 | what;
        }
        true
    }

    /// Keeps a beginning until its rest comes, if that can come and be put behind it.
    fn wait(&mut self, bytes: &[u8], segment: &Seen<'_>, began: (u64, Timestamp)) {
        if !segment.may_go_on(bytes) {
            return;
        }
        if let Some(known) = self.waiting.get_mut(&segment.way).filter(|known| known.start == segment.seq) {
            // The same again: the first copy is waiting.
            if known.bytes.len() >= bytes.len() {
                return;
            }
        }
        self.stop_waiting(&segment.way);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let next = segment.next;
        let waiting = Waiting { bytes: bytes.to_vec(), start: SeqNum::new(next.raw().wrapping_sub(len)), next, began };
        self.numbers.add(number_hash(next));
        (self.waits, self.knows) = (true, true);
        let numbers = &mut self.numbers;
        let weight = bytes.len() + WAITING_COST;
        self.waiting.insert(segment.way, waiting, weight, |_, lost| numbers.take(number_hash(lost.next)));
    }

    fn stop_waiting(&mut self, way: &Way) -> Option<Waiting> {
        let waiting = self.waiting.remove(way)?;
        self.numbers.take(number_hash(waiting.next));
        self.waits = !self.waiting.is_empty();
        Some(waiting)
    }

    /// The beginning that this segment continues, with it.
    fn joined(&mut self, segment: &Seen<'_>) -> Option<(Vec<u8>, (u64, Timestamp))> {
        if !self.waits || segment.payload.is_empty() {
            return None;
        }
        self.waiting.get_mut(&segment.way).filter(|waiting| waiting.next == segment.seq)?;
        let Waiting { mut bytes, began, .. } = self.stop_waiting(&segment.way)?;
        bytes.extend_from_slice(segment.payload);
        Some((bytes, began))
    }

    /// One for all connections that say the same.
    fn name(
        &mut self,
        app: App,
        name: Option<Arc<str>>,
        alpn: Option<Arc<str>>,
        version: Option<TlsVersion>,
    ) -> Arc<Name> {
        let name = Name { app, name, alpn, version };
        if let Some(known) = self.names.get(&name) {
            return Arc::clone(known);
        }
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        let name = Arc::new(name);
        self.names.insert(Arc::clone(&name));
        name
    }
}

/// A segment as it is read.
struct Seen<'a> {
    way: Way,
    pair: Pair,
    hash: u64,
    /// Where its payload begins, and what comes behind it.
    seq: SeqNum,
    next: SeqNum,
    payload: &'a [u8],
    /// It was not captured in whole.
    cut: bool,
    now: (u64, Timestamp),
}

impl<'a> Seen<'a> {
    fn new(addressed: &Addressed, payload: &'a [u8], seed: u64) -> Self {
        let Addressed { src, dst, segment, .. } = *addressed;
        let pair = (src.min(dst), src.max(dst));
        let seq = segment.payload_seq();
        Self {
            way: (src, dst),
            pair,
            hash: pair_hash(&pair, seed),
            seq,
            next: seq.plus(segment.payload_len),
            payload,
            cut: segment.payload_len as usize > payload.len(),
            now: (segment.ordinal, segment.ts),
        }
    }

    /// May what `bytes` end in the middle of go on in the next segment?
    fn may_go_on(&self, bytes: &[u8]) -> bool {
        !self.cut && bytes.len() < tls::LONGEST
    }

    /// Its place among the named: bits that its hash does not use elsewhere alone.
    const fn slot(&self) -> usize {
        (self.hash >> 48) as usize & (SLOTS - 1)
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn pair_hash(pair: &Pair, seed: u64) -> u64 {
    let mut hash = seed;
    for end in [pair.0, pair.1] {
        let (high, low) = match end.ip {
            IpAddr::V4(ip) => (0, u64::from(ip.to_bits())),
            IpAddr::V6(ip) => ((ip.to_bits() >> 64) as u64, ip.to_bits() as u64),
        };
        for word in [high, low, u64::from(end.port)] {
            hash = fold(hash ^ word, seed.rotate_left(29) ^ 0x9e37_79b9_7f4a_7c15);
        }
    }
    hash
}

const fn number_hash(seq: SeqNum) -> u64 {
    (seq.raw().wrapping_mul(0x9e37_79b1) >> 20) as u64
}

#[cfg(test)]
mod tests;
