//! Why a source could not be opened or read to its end. In: what went wrong and where. Out: one line for the user.

use std::fmt;
use std::io;

use super::LinkType;
use super::compression::Compression;
use super::foreign;

/// The most memory that unpacking a file may take for its window alone, in bytes: 256 MiB. `xz -9` asks for 64 MiB, `zstd --long` for
/// 128; what asks for more is an attack, or was packed for a machine with more memory than a tool should take unasked.
pub(super) const MOST_TO_UNPACK: u64 = 256 << 20;

/// What stopped a source, with its name and what had been read by then. Prints as one line:
/// `cut.pcap: the file ends inside record 18,220 (offset 1,402,113: 96 of 1,514 bytes); 18,219 packets read`.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CaptureError(Box<Stopped>);

/// Boxed, so that the `Result` of every packet stays small.
#[derive(Debug)]
struct Stopped {
    name: String,
    packets: u64,
    problem: Problem,
}

impl CaptureError {
    /// `problem` met in the source `name` after `packets` packets.
    #[cold]
    pub fn new(name: &str, packets: u64, problem: Problem) -> Self {
        Self(Box::new(Stopped { name: name.to_owned(), packets, problem }))
    }

    /// The file or interface, as the user wrote it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What went wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Packets that were read before it.
    pub fn packets_read(&self) -> u64 {
        self.0.packets
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name == "-" { "standard input" } else { &self.name };
        write!(f, "{name}: {}", self.problem)?;
        match (self.problem.is_midway(), self.packets) {
            (false, _) => Ok(()),
            (true, 0) => f.write_str("; no packet read"),
            (true, 1) => f.write_str("; 1 packet read"),
            (true, n) => write!(f, "; {} packets read", grouped(n)),
        }
    }
}

impl std::error::Error for Stopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.problem)
    }
}

/// A place in the stream of the container; the container is what is inside the compression, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the start of the container.
    pub offset: u64,
    /// The file is compressed, so the offset is not one of the file itself.
    pub uncompressed: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}{}", grouped(self.offset), if self.uncompressed { " uncompressed" } else { "" })
    }
}

/// What can go wrong with a source. Each says in words what it is and, where the user can do something, what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The path names nothing.
    #[error("no such file")]
    Missing,
    /// The system forbids reading it.
    #[error("no right to read it; see who owns it with: ls -l")]
    Denied,
    /// The path names a directory.
    #[error("is a directory; name the capture files in it")]
    Directory,
    /// Standard input is a keyboard.
    #[error("is a terminal; pipe a capture into it, as in: tcpdump -U -w - | finwait -")]
    Terminal,
    /// Any other refusal of the system.
    #[error("cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// No byte at all.
    #[error("{}; the capture was never written", match .inside { None => "is empty".to_owned(), Some(c) => format!("the {c} data are empty") })]
    Empty {
        /// The compression around the nothing.
        inside: Option<Compression>,
    },
    /// Neither a container nor a compression that is known.
    #[error("{}", foreign::describe(.first, *.inside))]
    NotACapture {
        /// Its first bytes, at most sixteen.
        first: Vec<u8>,
        /// The compression that it came out of.
        inside: Option<Compression>,
    },
    /// Compressed, and this build leaves the decompressors out.
    #[error("is compressed, which this build of finwait cannot read; unpack it first, as in: {} -dc FILE | finwait -", .0.name())]
    NoDecompressor(Compression),
    /// Compressed twice; only one compression is undone here.
    #[error("the {outer} data hold {inner} data: it was compressed twice; unpack it once, as in: {} -dc FILE | finwait -", .outer.name())]
    CompressedTwice {
        /// The one around the other.
        outer: Compression,
        /// The one inside.
        inner: Compression,
    },
    /// The system opens no more files, or as many are open as may be.
    #[error("cannot be opened: {open} captures that overlap in time are open already; name fewer at a time{}", if *.by_system { ", or let the system open more: ulimit -n 4096" } else { "" })]
    TooManyOpen {
        /// Captures that are open.
        open: usize,
        /// It is the system that refuses.
        by_system: bool,
    },
    /// A container in a version that nobody has described.
    #[error("{container} version {version} at {place} is unknown ({known} read); the header may be damaged")]
    Version {
        /// `pcap`, `pcapng` or `snoop`.
        container: &'static str,
        /// As people write it.
        version: String,
        /// Which ones are known, and `is` or `are`.
        known: &'static str,
        /// Where the header is.
        place: Place,
    },
    /// A link type that no registry can hold: its field is 16 bits.
    #[error("its header names link type {0:#x}, which cannot be: the header is damaged")]
    HeaderLink(u32),
    /// Ends inside the file's header.
    #[error("the file ends inside its header ({have} of {want} bytes)")]
    CutHeader {
        /// Bytes that are there.
        have: u64,
        /// Bytes that a header has.
        want: u64,
    },
    /// Ends inside a packet's record.
    #[error("the file ends inside {}record {} ({place}: {} of {} bytes)", if *.header { "the header of " } else { "" }, grouped(*.record), grouped(*.have), grouped(*.want))]
    CutRecord {
        /// The packet's number.
        record: u64,
        /// Where its record begins.
        place: Place,
        /// Bytes that are there: of the header or of the packet.
        have: u64,
        /// Bytes that should be there.
        want: u64,
        /// It is the record's header that is cut.
        header: bool,
    },
    /// Ends inside a pcapng block other than a packet's.
    #[error("the file ends inside a block ({place}: {} of {} bytes)", grouped(*.have), grouped(*.want))]
    CutBlock {
        /// Where the block begins.
        place: Place,
        /// Bytes that are there.
        have: u64,
        /// Bytes that should be there.
        want: u64,
    },
    /// A record's header claims more than a packet can have. There is no way to find the next record.
    #[error("record {} ({place}) claims {} bytes, more than the {} that a packet can have: the file is damaged there", grouped(*.record), grouped(*.claimed), grouped(*.most))]
    LongRecord {
        /// The packet's number.
        record: u64,
        /// Where its record begins.
        place: Place,
        /// The captured length that it claims.
        claimed: u64,
        /// The longest that is taken.
        most: u64,
    },
    /// A record whose lengths contradict each other. There is no way to find the next one.
    #[error("record {} ({place}) is damaged: its {} bytes cannot be a header, {} of a packet and padding", grouped(*.record), grouped(*.length), grouped(*.captured))]
    BadRecord {
        /// The packet's number.
        record: u64,
        /// Where its record begins.
        place: Place,
        /// The length of the record, as it claims.
        length: u64,
        /// The captured length, as it claims.
        captured: u64,
    },
    /// A pcapng block that contradicts itself.
    #[error("the block at {place} is damaged: {what}")]
    BadBlock {
        /// Where the block begins.
        place: Place,
        /// What is wrong with it.
        what: String,
    },
    /// The decompressor gave up.
    #[error("the {compression} data {} after {} uncompressed bytes{}", if *.cut { "end too early," } else { "are damaged" }, grouped(*.offset), if *.cut { String::new() } else { format!(" ({cause})") })]
    Compressed {
        /// Which.
        compression: Compression,
        /// Bytes that came out before.
        offset: u64,
        /// The data end inside a frame; otherwise they are wrong.
        cut: bool,
        /// The decompressor's own words.
        #[source]
        cause: io::Error,
    },
    /// Unpacking it would take more memory than is granted.
    #[error("unpacking the {compression} data on takes more than {} MiB of memory (after {} uncompressed bytes); unpack them first, as in: {} -dc{} FILE | finwait -", MOST_TO_UNPACK >> 20, grouped(*.offset), .compression.name(), if *.compression == Compression::Zstd { " --long=31" } else { "" })]
    Memory {
        /// Which.
        compression: Compression,
        /// Bytes that came out before.
        offset: u64,
    },
    /// The system could not read on.
    #[error("reading failed at {place}: {cause}")]
    Read {
        /// Where.
        place: Place,
        /// The system's own words.
        #[source]
        cause: io::Error,
    },
    /// The name is none of an interface's.
    #[error("no such interface; there are: {}", if .there.is_empty() { "none".to_owned() } else { .there.join(", ") })]
    NoInterface {
        /// The interfaces of this machine that are switched on.
        there: Vec<String>,
    },
    /// The system lets only the privileged capture.
    #[error("no right to capture. Once, as root: setcap cap_net_raw,cap_net_admin=eip {program}")]
    NoRight {
        /// The running executable.
        program: String,
    },
    /// libpcap refused or gave up an interface, in its own words.
    #[error("{words}")]
    Interface {
        /// libpcap's words.
        words: String,
        /// It had been opened before.
        midway: bool,
    },
    /// A filter expression that libpcap cannot compile.
    #[error("the filter \"{expression}\" does not fit {}: {words}", .link.name())]
    Filter {
        /// The expression.
        expression: String,
        /// The link type it was compiled for.
        link: LinkType,
        /// libpcap's words.
        words: String,
    },
}

impl Problem {
    /// It was met after the source had been opened, so packets may have been read before it.
    pub const fn is_midway(&self) -> bool {
        match self {
            Self::CutRecord { .. }
            | Self::CutBlock { .. }
            | Self::LongRecord { .. }
            | Self::BadRecord { .. }
            | Self::BadBlock { .. }
            | Self::Compressed { .. }
            | Self::Memory { .. }
            | Self::Read { .. }
            | Self::Interface { midway: true, .. } => true,
            Self::Version { place, .. } => place.offset > 0,
            _ => false,
        }
    }
}

/// A number with its thousands apart: `1,402,113`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_402_113), "1,402,113");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn a_cut_file_prints_as_the_user_is_promised() {
        let place = Place { offset: 1_402_113, uncompressed: false };
        let problem = Problem::CutRecord { record: 18_220, place, have: 96, want: 1_514, header: false };
        assert_eq!(
            CaptureError::new("cut.pcap", 18_219, problem).to_string(),
            "cut.pcap: the file ends inside record 18,220 (offset 1,402,113: 96 of 1,514 bytes); 18,219 packets read"
        );
    }

    #[test]
    fn a_foreign_file_prints_its_first_bytes() {
        let problem = Problem::NotACapture { first: b"# No".to_vec(), inside: None };
        assert_eq!(
            CaptureError::new("notes.txt", 0, problem).to_string(),
            "notes.txt: not a capture (first bytes 23 20 4e 6f; pcap, pcapng, snoop, gzip, zstd, lz4, xz, bzip2 are known)"
        );
    }

    #[test]
    fn standard_input_is_called_by_its_name() {
        assert_eq!(
            CaptureError::new("-", 0, Problem::Empty { inside: None }).to_string(),
            "standard input: is empty; the capture was never written"
        );
    }

    #[test]
    fn the_packets_read_are_counted_in_words() {
        let at = |packets| {
            let place = Place { offset: 24, uncompressed: true };
            CaptureError::new("x", packets, Problem::CutBlock { place, have: 1, want: 20 }).to_string()
        };
        assert_eq!(at(0), "x: the file ends inside a block (offset 24 uncompressed: 1 of 20 bytes); no packet read");
        assert!(at(1).ends_with("; 1 packet read"));
        assert!(at(1_000).ends_with("; 1,000 packets read"));
    }
}
