//! Compressed files, told by their first bytes. In: a reader of compressed bytes. Out: a reader of what they hold.

#[cfg(not(feature = "compression"))]
use std::io::Read;

use super::compression::Compression;
use super::error::Problem;

/// A reader of what `compressed` holds. Data cut short end in an error of kind `UnexpectedEof`.
#[cfg(not(feature = "compression"))]
pub(super) fn open(
    compression: Compression,
    _compressed: Box<dyn Read + Send>,
) -> Result<Box<dyn Read + Send>, Problem> {
    Err(Problem::NoDecompressor(compression))
}

#[cfg(feature = "compression")]
pub(super) use decoders::open;

#[cfg(feature = "compression")]
mod decoders {
    use std::io::{self, BufRead, BufReader, ErrorKind, Read};

    use flate2::bufread::GzDecoder;

    use super::{Compression, Problem};

    type Input = BufReader<Box<dyn Read + Send>>;

    /// Compressed bytes a read.
    const INPUT: usize = 64 << 10;

    pub(in crate::capture) fn open(
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
