//! What files and interfaces have in common: one packet after the other is decoded and given to the connections' shards;
//! at the end they go to the sink, and the summary comes.

use std::io;
use std::num::NonZeroUsize;

use super::clocks::Clocks;
use super::period::Period;
use super::shards::{Shards, Tick};
use super::sink::Sink;
use crate::capture::Packet;
use crate::conntrack::tracker::Config;
use crate::decode::skip::SkipCounts;
use crate::decode::{Decoded, Decoder};
use crate::error::Error;
use crate::metrics::ephemeral_ports::PortRange;
use crate::metrics::folds::Asked;
use crate::metrics::rows::{CaptureInfo, Summary};
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
    /// Width of the buckets of the tables over time; `None`: chosen so that there are at most 600.
    pub bucket: Option<Span>,
    /// The ports that clients choose from.
    pub port_range: PortRange,
    /// Bytes of memory that the run may take; connections are given up to stay below it.
    pub memory: u64,
    /// Packets outside are read and passed over.
    pub period: Period,
    /// The filter that packets had to pass, for the summary.
    pub bpf: Option<String>,
}

impl Options {
    /// What they say to the folds.
    pub const fn asked(&self) -> Asked {
        Asked { bucket: self.bucket, time_wait: self.time_wait, port_range: self.port_range, over_time: true }
    }
}

/// Packets before connections that are over may leave the table: in a capture that is no longer than this they stay to its end.
const WHOLE: u64 = 1 << 20;
/// Packets between two ticks.
const TICK_PACKETS: u64 = 1 << 14;
/// Packet time between two ticks of a stream, if packets are few.
const TICK: Span = Span::from_secs(1);

/// A run in progress, whose connections go into a sink.
pub struct Engine<S: Sink> {
    options: Options,
    decoder: Decoder,
    shards: Shards<S>,
    stream: bool,
    /// When the last tick was: its packet time and how many packets had come.
    ticked: (Timestamp, u64),
    clocks: Clocks,
    packets: u64,
    /// Packets outside of the period.
    outside: u64,
    segments: u64,
    skipped: SkipCounts,
    first_ts: Option<Timestamp>,
    last_ts: Option<Timestamp>,
}

impl<S: Sink + 'static> Engine<S> {
    /// Ready for the first packet. `stream`: someone waits for what has ended.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(options: Options, sink: S, stream: bool) -> io::Result<Self> {
        let config = Config { time_wait: options.time_wait, ..Config::within(options.memory) };
        let shards = Shards::start(options.threads, &config, sink, stream)?;
        let mut decoder = Decoder::default();
        decoder.verify_checksums = options.verify_checksums;
        Ok(Self {
            decoder,
            options,
            shards,
            stream,
            ticked: (Timestamp::MIN, 0),
            clocks: Clocks::default(),
            packets: 0,
            outside: 0,
            segments: 0,
            skipped: SkipCounts::default(),
            first_ts: None,
            last_ts: None,
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
        if let Some(own) = packet.ts {
            self.first_ts = Some(self.first_ts.map_or(own, |first| first.min(own)));
            self.last_ts = Some(self.last_ts.map_or(own, |last| last.max(own)));
        }
        let frame = FrameId::new(file, packet.number);
        let Self { segments, shards, skipped, .. } = self;
        self.decoder.decode_then(packet, frame, self.packets, ts, |decoded| match decoded {
            Decoded::Segment { addressed, payload: _ } => {
                *segments += 1;
                shards.segment(addressed);
            }
            Decoded::Undelivered(icmp) => shards.undelivered(&icmp),
            Decoded::Skip(skip) => skipped.add(skip),
        });
        self.shards.settle();
        self.packets += 1;
        let (then, before) = self.ticked;
        let waited_for = self.stream && !(Span::ZERO..TICK).contains(&ts.since(then));
        if waited_for || self.packets - before >= TICK_PACKETS { self.tick(ts) } else { true }
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
        self.shards.tick(Tick { now, expire: self.stream || self.packets >= WHOLE })
    }

    /// A sentence for the user if no packet can lie in the period that was asked for.
    pub fn contradiction(&self) -> Option<String> {
        self.options.period.contradiction()
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
        options.extend(self.options.period.told());
        options.extend(self.options.bpf.map(|expression| ("bpf", expression)));
        let summary = Summary {
            complete: captures.iter().all(|capture| capture.error.is_none()),
            captures,
            packets: self.packets - self.outside,
            tcp_segments: self.segments,
            skipped: self.skipped.iter().map(|(skip, count)| (skip.name(), count)).collect(),
            evictions,
            first_ts: self.first_ts,
            last_ts: self.last_ts,
            options,
        };
        Ok((sink, summary))
    }
}
