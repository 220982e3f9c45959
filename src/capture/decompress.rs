//! Compressed files, told by their first bytes. In: a reader of compressed bytes. Out: a reader of what they hold.

use std::fmt;
use std::io::Read;

use super::error::Problem;

/// A compression that captures are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, of one or many members.
    Gzip,
    /// RFC 8878, of one or many frames.
    Zstd,
    /// The LZ4 frame format, of one or many frames.
    Lz4,
}

impl Compression {
    /// Its name, which is also its command's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    /// Which one a file beginning so is in. A skippable frame (RFC 8878 3.1.2) may come before either of two; parallel
    /// zstd writes one first, no LZ4 program does.
    pub(super) fn of(first: &[u8]) -> Option<Self> {
        match first {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }

    /// A reader of what `compressed` holds. Data cut short end in an error of kind `UnexpectedEof`.
    pub(super) fn open(self, compressed: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>, Problem> {
        open(self, compressed)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(not(feature = "compression"))]
fn open(compression: Compression, _compressed: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>, Problem> {
    Err(Problem::NoDecompressor(compression))
}

#[cfg(feature = "compression")]
use decoders::open;

#[cfg(feature = "compression")]
mod decoders {
    use std::io::{self, BufRead, BufReader, ErrorKind, Read};

    use flate2::bufread::GzDecoder;

    use super::{Compression, Problem};

    type Input = BufReader<Box<dyn Read + Send>>;

    /// Compressed bytes a read.
    const INPUT: usize = 64 << 10;

    pub(super) fn open(
        compression: Compression,
        compressed: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, Problem> {
        let input = BufReader::with_capacity(INPUT, compressed);
        Ok(match compression {
            Compression::Gzip => Box::new(Members { member: Some(GzDecoder::new(input)) }),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input).map_err(Problem::Open)?),
            Compression::Lz4 => Box::new(Frames { frame: Some(lz4::Decoder::new(input).map_err(Problem::Open)?) }),
        })
    }

    /// gzip members one after another. Zeros after the last one are a tape's padding, as for gzip itself.
    struct Members {
        member: Option<GzDecoder<Input>>,
    }

    impl Read for Members {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            while let Some(member) = &mut self.member {
                let n = member.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
                let Some(mut input) = self.member.take().map(GzDecoder::into_inner) else { break };
                match skip_zeros(&mut input)? {
                    Some(0x1f) => self.member = Some(GzDecoder::new(input)),
                    Some(_) => return Err(io::Error::new(ErrorKind::InvalidData, "after a member comes no other")),
                    None => {}
                }
            }
            Ok(0)
        }
    }

    /// The first byte that is not 0, without taking it.
    fn skip_zeros(input: &mut Input) -> io::Result<Option<u8>> {
        loop {
            let held = input.fill_buf()?;
            if held.is_empty() {
                return Ok(None);
            }
            let zeros = held.iter().take_while(|byte| **byte == 0).count();
            let first = held.get(zeros).copied();
            input.consume(zeros);
            if first.is_some() {
                return Ok(first);
            }
        }
    }

    /// LZ4 frames one after another. The decoder asks for no byte beyond its frame and takes an early end for a good one,
    /// so both are seen to here.
    struct Frames {
        frame: Option<lz4::Decoder<Input>>,
    }

    impl Read for Frames {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            while let Some(frame) = &mut self.frame {
                let n = frame.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
                let Some((mut input, whole)) = self.frame.take().map(lz4::Decoder::finish) else { break };
                whole.map_err(|_| io::Error::from(ErrorKind::UnexpectedEof))?;
                if !input.fill_buf()?.is_empty() {
                    self.frame = Some(lz4::Decoder::new(input)?);
                }
            }
            Ok(0)
        }
    }
}
