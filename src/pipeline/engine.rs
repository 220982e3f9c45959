//! What files and interfaces have in common: one packet after the other is decoded and given to the connections' shards;
//! at the end they go to the sink, and the summary comes.

use std::io;
use std::num::NonZeroUsize;

use super::collect;
use super::shards::Shards;
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
    /// Shards of the connection table; the result is the same for any number.
    pub threads: NonZeroUsize,
    /// How long TIME_WAIT is assumed to last.
    pub time_wait: Span,
    /// TCP checksums are verified.
    pub verify_checksums: bool,
    /// Width of the buckets of the tables over time; `None`: chosen so that there are at most 600.
    pub bucket: Option<Span>,
    /// The ports that clients choose from.
    pub port_range: PortRange,
    /// The filter that packets had to pass, for the summary.
    pub bpf: Option<String>,
}

impl Options {
    /// What they say to the folds.
    pub const fn asked(&self) -> Asked {
        Asked { bucket: self.bucket, time_wait: self.time_wait, port_range: self.port_range }
    }
}

/// A run in progress.
pub struct Engine {
    options: Options,
    decoder: Decoder,
    shards: Shards,
    /// The last timestamp of each input, for packets that have none of their own.
    clocks: Vec<Timestamp>,
    packets: u64,
    segments: u64,
    skipped: SkipCounts,
    first_ts: Option<Timestamp>,
    last_ts: Option<Timestamp>,
}

impl Engine {
    /// Ready for the first packet.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(options: Options) -> io::Result<Self> {
        let config = Config { time_wait: options.time_wait, ..Config::default() };
        let shards = Shards::start(options.threads, &config)?;
        let mut decoder = Decoder::default();
        decoder.verify_checksums = options.verify_checksums;
        Ok(Self {
            decoder,
            options,
            shards,
            clocks: Vec::new(),
            packets: 0,
            segments: 0,
            skipped: SkipCounts::default(),
            first_ts: None,
            last_ts: None,
        })
    }

    /// Takes the next packet of the run; `file` is its input's place on the command line, from 0.
    pub fn packet(&mut self, file: u16, packet: &Packet<'_>) {
        let ts = self.clock(file, packet.ts);
        let frame = FrameId::new(file, packet.number);
        match self.decoder.decode(packet, frame, self.packets, ts) {
            Decoded::Segment { addressed, payload: _ } => {
                self.segments += 1;
                self.shards.segment(&addressed);
            }
            Decoded::Undelivered(icmp) => self.shards.undelivered(&icmp),
            Decoded::Skip(skip) => self.skipped.add(skip),
        }
        self.packets += 1;
    }

    /// The packet's time: its own, else that of the packet before it in its input, else the epoch.
    fn clock(&mut self, file: u16, own: Option<Timestamp>) -> Timestamp {
        let file = usize::from(file);
        if self.clocks.len() <= file {
            self.clocks.resize(file + 1, Timestamp::default());
        }
        let ts = own.or_else(|| self.clocks.get(file).copied()).unwrap_or_default();
        if let Some(clock) = self.clocks.get_mut(file) {
            *clock = ts;
        }
        if let Some(own) = own {
            self.first_ts = Some(self.first_ts.map_or(own, |first| first.min(own)));
            self.last_ts = Some(self.last_ts.map_or(own, |last| last.max(own)));
        }
        ts
    }

    /// Packets taken so far.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// TCP segments among them.
    pub const fn segments(&self) -> u64 {
        self.segments
    }

    /// Ends the run and hands its connections to `sink`. `captures` are its inputs, in the order of the command line.
    ///
    /// # Errors
    ///
    /// When the sink takes no more.
    pub fn finish<S: Sink>(self, captures: Vec<CaptureInfo>, sink: &mut S) -> Result<Summary, Error> {
        let end = self.last_ts.unwrap_or_default();
        let found = self.shards.finish(end);
        collect::deliver(found.reports, sink)?;
        let mut options = vec![("time_wait_ns", self.options.time_wait.as_nanos().to_string())];
        options.extend(self.options.bucket.map(|bucket| ("bucket_ns", bucket.as_nanos().to_string())));
        options.push(("port_range", self.options.port_range.to_string()));
        options.push(("verify_checksums", self.options.verify_checksums.to_string()));
        options.extend(self.options.bpf.map(|expression| ("bpf", expression)));
        Ok(Summary {
            complete: captures.iter().all(|capture| capture.error.is_none()),
            captures,
            packets: self.packets,
            tcp_segments: self.segments,
            skipped: self.skipped.iter().map(|(skip, count)| (skip.name(), count)).collect(),
            evictions: found.evictions,
            first_ts: self.first_ts,
            last_ts: self.last_ts,
            options,
        })
    }
}
