//! What files and interfaces have in common: one packet after the other is decoded and given to the connections' shards;
//! at the end they go to the sink, and the summary comes.

use std::io;
use std::num::NonZeroUsize;

use super::clocks::Clocks;
use super::period::Period;
use super::shards::{Shards, Tick};
use super::sink::Sink;
use crate::capture::Packet;
use crate::capture::filter::Filter;
use crate::conntrack::brief::Brief;
use crate::conntrack::tracker::Config;
use crate::decode::skip::{Skip, SkipCounts};
use crate::decode::{Common, Decoded, Decoder};
use crate::error::Error;
use crate::metrics::ephemeral_ports::PortRange;
use crate::metrics::folds::Asked;
use crate::metrics::rows::{CaptureInfo, Filtered, Seen, Summary};
use crate::names::reader::Reader;
use crate::tcp::segment::FrameId;
use crate::time::{Span, Timestamp};

/// What a run decides about its analysis.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads of the analysis; the result is the same for any number. ARCHITECTURE.md says who does what.
    pub threads: NonZeroUsize,
    /// How long TIME_WAIT is assumed to last.
    pub time_wait: Span,
    /// TCP checksums are verified.
    pub verify_checksums: bool,
    /// VLAN and tunnel ids never separate connections of one 4-tuple.
    pub ignore_vlan: bool,
    /// Width of the buckets of the tables over time; `None`: chosen so that there are at most 600.
    pub bucket: Option<Span>,
    /// The ports that clients choose from.
    pub port_range: PortRange,
    /// Bytes of memory that the run may take; connections are given up to stay below it.
    pub memory: u64,
    /// Packets outside are read and passed over.
    pub period: Period,
    /// The filter that packets have to pass.
    pub bpf: Option<Bpf>,
}

/// A filter expression, and who applies it.
#[derive(Clone, Debug)]
pub enum Bpf {
    /// The tap has: it is only told.
    Applied(String),
    /// Packets within the period are asked one by one; those that do not pass are passed over.
    Here(Filter),
}

impl Bpf {
    /// Whether `packet` counts.
    #[inline]
    pub fn admits(&mut self, packet: &Packet<'_>) -> bool {
        match self {
            Self::Applied(_) => true,
            Self::Here(filter) => filter.passes(packet),
        }
    }

    fn told(&self, passed_over: u64) -> Filtered {
        match self {
            Self::Applied(expression) => {
                Filtered { expression: expression.clone(), passed_over: None, unfit: Vec::new() }
            }
            Self::Here(filter) => Filtered {
                expression: filter.expression().to_owned(),
                passed_over: Some(passed_over),
                unfit: filter.unfit().map(|(link, _)| link.name().into_owned()).collect(),
            },
        }
    }
}

impl Options {
    /// What they say to the folds.
    pub const fn asked(&self) -> Asked {
        Asked { bucket: self.bucket, time_wait: self.time_wait, port_range: self.port_range, ..Asked::ALL }
    }
}

/// Packets before connections that are over may leave the table: in a capture that is no longer than this they stay to its end. What has
/// gathered by then leaves little by little.
const WHOLE: u64 = 1 << 19;
/// Packets that this takes.
const CATCHING_UP: u64 = WHOLE / 4;
/// Packets between two ticks.
const TICK_PACKETS: u64 = 1 << 14;
/// Packet time between two ticks of a stream, if packets are few.
const TICK: Span = Span::from_secs(1);

/// The packet time at which connections that are over leave the table of a file, after so many `packets`; `span`: that since the first of them
/// might have left.
fn caught_up(packets: u64, now: Timestamp, span: Span) -> Option<Timestamp> {
    let left = CATCHING_UP.saturating_sub(packets.checked_sub(WHOLE)?);
    let behind = i128::from(span.max(Span::ZERO).as_nanos()) * i128::from(left) / i128::from(CATCHING_UP);
    // A part of a span is no longer than it is.
    Some(now.minus(Span::from_nanos(behind as i64)))
}

/// A run in progress, whose connections go into a sink.
pub struct Engine<S: Sink> {
    options: Options,
    decoder: Decoder,
    names: Reader,
    shards: Shards<S>,
    stream: bool,
    /// How long connections that are over stay in the table.
    linger: Span,
    /// When the last tick was: its packet time and how many packets had come.
    ticked: (Timestamp, u64),
    clocks: Clocks,
    packets: u64,
    /// Segments beyond the first of their packet: each has a place in the run of its own.
    more: u64,
    /// Packets outside of the period.
    outside: u64,
    /// Packets inside that the filter did not let pass.
    filtered: u64,
    segments: u64,
    skipped: SkipCounts,
    first_ts: Option<Timestamp>,
    last_ts: Option<Timestamp>,
    seen: Seen,
}

impl<S: Sink + 'static> Engine<S> {
    /// Ready for the first packet. `stream`: someone waits for what has ended.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(options: Options, sink: S, stream: bool) -> io::Result<Self> {
        let config =
            Config { time_wait: options.time_wait, ignore_vlan: options.ignore_vlan, ..Config::within(options.memory) };
        let (linger, shards) = (config.linger(), Shards::start(options.threads, &config, sink, stream)?);
        let mut decoder = Decoder::default();
        decoder.verify_checksums = options.verify_checksums;
        Ok(Self {
            decoder,
            names: Reader::default(),
            options,
            shards,
            stream,
            linger,
            ticked: (Timestamp::MIN, 0),
            clocks: Clocks::default(),
            packets: 0,
            more: 0,
            outside: 0,
            filtered: 0,
            segments: 0,
            skipped: SkipCounts::default(),
            first_ts: None,
            last_ts: None,
            seen: Seen::default(),
        })
    }

    /// Takes the next packet of the run; `file` is its input's place on the command line, from 0. Returns whether there is any use in
    /// giving it more: not if the sink has refused something.
    #[inline]
    pub fn packet(&mut self, file: u16, packet: &Packet<'_>) -> bool {
        let ts = self.clocks.at(file, packet.ts);
        if !self.options.period.admits(packet.ts, ts) {
            self.packets += 1;
            self.outside += 1;
            return true;
        }
        if self.options.bpf.as_mut().is_some_and(|bpf| !bpf.admits(packet)) {
            self.packets += 1;
            self.filtered += 1;
            return true;
        }
        if let Some(own) = packet.ts {
            self.first_ts = Some(self.first_ts.map_or(own, |first| first.min(own)));
            match self.last_ts {
                Some(last) if own < last => self.stepped_back(last.since(own)),
                _ => self.last_ts = Some(own),
            }
        }
        self.seen.longest = self.seen.longest.max(packet.wire_len);
        self.seen.cut += u64::from((packet.data.len() as u64) < u64::from(packet.wire_len));
        let (frame, ordinal) = (FrameId::new(file, packet.number), self.packets + self.more);
        let place = self.shards.place();
        match self.decoder.common(packet, frame, ordinal, ts, place) {
            Common::Segment(payload) => {
                self.segments += 1;
                let concerned = self.names.concerns(place.flags(), place.seq(), payload);
                let mark = if concerned { self.names.read(&place.addressed(), payload) } else { None };
                self.shards.keep(mark);
            }
            Common::Skip(skip) => self.skipped.add(skip),
            Common::No => self.uncommon(packet, frame, ordinal, ts),
        }
        self.packets += 1;
        let (then, before) = self.ticked;
        let waited_for = self.stream && !(Span::ZERO..TICK).contains(&ts.since(then));
        if waited_for || self.packets - before >= TICK_PACKETS { self.tick(ts) } else { true }
    }

    #[inline(never)]
    fn uncommon(&mut self, packet: &Packet<'_>, frame: FrameId, ordinal: u64, ts: Timestamp) {
        let Self { segments, shards, skipped, names, .. } = self;
        self.more += self.decoder.decode_then(packet, frame, ordinal, ts, |decoded| match decoded {
            Decoded::Segment { addressed, payload } => {
                *segments += 1;
                let concerned = names.concerns(addressed.segment.flags, addressed.segment.seq, payload);
                *shards.place() = Brief::of(&addressed);
                shards.keep(if concerned { names.read(&addressed, payload) } else { None });
            }
            Decoded::Undelivered(icmp) => {
                skipped.add(Skip::IcmpError);
                shards.undelivered(&icmp);
            }
            Decoded::Skip(skip) => skipped.add(skip),
        });
    }

    #[cold]
    fn stepped_back(&mut self, by: Span) {
        self.seen.stepped_back += 1;
        self.seen.back_at_most = self.seen.back_at_most.max(by);
    }

    /// More packets have to be waited for: on a stream, what has ended is told meanwhile.
    pub fn pause(&mut self) {
        if self.stream && self.packets > self.ticked.1 {
            let now = self.last_ts.unwrap_or_default();
            self.tick(now);
        }
    }

    /// What has ended leaves. Ticks depend on the packets alone, so that the tables do.
    #[cold]
    fn tick(&mut self, now: Timestamp) -> bool {
        self.ticked = (now, self.packets);
        let over_since = self.first_ts.map_or(now, |first| first.plus(self.linger));
        let expire = if self.stream { Some(now) } else { caught_up(self.packets, now, now.since(over_since)) };
        self.shards.tick(Tick { expire })
    }

    /// A sentence for the user if no packet can lie in the period that was asked for.
    pub fn contradiction(&self) -> Option<String> {
        self.options.period.contradiction()
    }

    /// A sentence for the user if packets came and the filter fits none of their link types.
    pub fn misfit(&self) -> Option<String> {
        match &self.options.bpf {
            Some(Bpf::Here(filter)) => filter.misfit(),
            _ => None,
        }
    }

    /// Packets taken so far, those outside of the period included.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// TCP segments among them.
    pub const fn segments(&self) -> u64 {
        self.segments
    }

    /// Ends the run with nothing. When this returns, the sink is gone, and with it what it had begun.
    pub fn abandon(self) {
        self.shards.abandon();
    }

    /// Ends the run. `captures` are its inputs, in the order of the command line.
    ///
    /// # Errors
    ///
    /// Why the sink refused a connection.
    pub fn finish(self, captures: Vec<CaptureInfo>) -> Result<(S, Summary), Error> {
        let end = self.last_ts.unwrap_or_default();
        let (sink, evictions) = self.shards.finish(end)?;
        let mut options = vec![("time_wait_ns", self.options.time_wait.as_nanos().to_string())];
        options.extend(self.options.bucket.map(|bucket| ("bucket_ns", bucket.as_nanos().to_string())));
        options.push(("port_range", self.options.port_range.to_string()));
        options.push(("verify_checksums", self.options.verify_checksums.to_string()));
        options.extend(self.options.ignore_vlan.then(|| ("ignore_vlan", "true".to_owned())));
        options.extend(self.options.period.told());
        let filtered = self.options.bpf.as_ref().map(|bpf| bpf.told(self.filtered));
        options.extend(filtered.iter().map(|filtered| ("bpf", filtered.expression.clone())));
        let summary = Summary {
            complete: captures.iter().all(|capture| capture.error.is_none()),
            captures,
            packets: self.packets - self.outside - self.filtered,
            tcp_segments: self.segments,
            skipped: self.skipped.iter().map(|(skip, count)| (skip.name(), count)).collect(),
            evictions,
            first_ts: self.first_ts,
            last_ts: self.last_ts,
            seen: self.seen,
            options,
            filtered,
        };
        Ok((sink, summary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_catches_up_little_by_little() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let after = |packets, now, span| caught_up(packets, at(now), Span::from_secs(span)).map(|ts| ts.since(at(0)));
        let some = |seconds| Some(Span::from_secs(seconds));
        assert_eq!((after(WHOLE - 1, 800, 740), after(WHOLE, 800, 740)), (None, some(60)));
        assert_eq!(
            (after(WHOLE + CATCHING_UP / 4, 860, 800), after(WHOLE + CATCHING_UP / 2, 860, 800)),
            (some(260), some(460))
        );
        assert_eq!((after(WHOLE + CATCHING_UP, 900, 840), after(u64::MAX, 50, -10)), (some(900), some(50)));
    }
}
