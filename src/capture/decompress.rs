//! Compressed files, told by their first bytes. In: a reader of compressed bytes. Out: a reader of what they hold.
//!
//! Every reader here gives what it has unpacked before it waits for more, so that packets of a pipe are seen as they come; goes on
//! with the next member, frame or stream after one; and tells an early end from a good one.

#[cfg(not(feature = "compression"))]
use std::io::Read;

use super::compression::Compression;
use super::error::Problem;

/// A reader of what `compressed` holds, `input` of its bytes a read. Data cut short end in an error of kind `UnexpectedEof`, data
/// that would need more memory than is allowed in one of kind `OutOfMemory`.
#[cfg(not(feature = "compression"))]
pub(super) fn open(
    compression: Compression,
    _compressed: Box<dyn Read + Send>,
    _input: usize,
) -> Result<Box<dyn Read + Send>, Problem> {
    Err(Problem::NoDecompressor(compression))
}

#[cfg(feature = "compression")]
pub(super) use decoders::open;

#[cfg(feature = "compression")]
mod decoders {
    use std::io::{self, BufRead, BufReader, ErrorKind, Read};

    use bzip2::{Decompress, Status as BzStatus};
    use flate2::{Decompress as Inflate, FlushDecompress, Status as GzStatus};
    use liblzma::stream::{Action, CONCATENATED, Error as XzError, Status as XzStatus, Stream};

    use super::{Compression, Problem};
    use crate::capture::error::MOST_TO_UNPACK;

    type Input = BufReader<Box<dyn Read + Send>>;

    pub(in crate::capture) fn open(
        compression: Compression,
        compressed: Box<dyn Read + Send>,
        input: usize,
    ) -> Result<Box<dyn Read + Send>, Problem> {
        let input = BufReader::with_capacity(input, compressed);
        Ok(match compression {
            Compression::Gzip => {
                // The greatest window that RFC 1951 knows.
                Members::of(input, |input| Steps::new(input, Inflate::new_gzip(15)), |steps| steps.input, 0x1f)
            }
            Compression::Zstd => Box::new(Zstd(zstd_within(input).map_err(Problem::Open)?)),
            Compression::Lz4 => Box::new(Frames { frame: Some(lz4::Decoder::new(input).map_err(Problem::Open)?) }),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(MOST_TO_UNPACK, CONCATENATED);
                let stream = stream.map_err(|error| Problem::Open(error.into()))?;
                Box::new(Steps::new(input, stream))
            }
            Compression::Bzip2 => {
                Members::of(input, |input| Steps::new(input, Decompress::new(false)), |steps| steps.input, b'B')
            }
        })
    }

    fn too_much_memory() -> io::Error {
        io::Error::from(ErrorKind::OutOfMemory)
    }

    type ZstdDecoder = zstd::stream::read::Decoder<'static, Input>;

    /// A frame may ask for a window of terabytes (RFC 8878 3.1.1.1.2); `zstd --long` asks for 128 MiB.
    fn zstd_within(input: Input) -> io::Result<ZstdDecoder> {
        let mut decoder = ZstdDecoder::with_buffer(input)?;
        decoder.window_log_max(MOST_TO_UNPACK.ilog2())?;
        Ok(decoder)
    }

    /// zstd frames; the library tells a window that is too large in words alone.
    struct Zstd(ZstdDecoder);

    impl Read for Zstd {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf).map_err(|error| {
                let said = error.to_string();
                if said.contains("too much memory") { too_much_memory() } else { error }
            })
        }
    }

    /// A decoder that is given bytes and room. The readers of its library lose what a step unpacked before it met damage.
    trait Step {
        /// Takes of `input` and fills of `room` what it can: how much of each, and whether the data have ended. `last`: no more comes.
        fn step(&mut self, input: &[u8], room: &mut [u8], last: bool) -> (usize, usize, io::Result<bool>);
    }

    /// What a decoder unpacks, step by step.
    struct Steps<D> {
        input: Input,
        decoder: D,
        /// Met in a step that unpacked something first.
        failed: Option<io::Error>,
        ended: bool,
    }

    impl<D> Steps<D> {
        const fn new(input: Input, decoder: D) -> Self {
            Self { input, decoder, failed: None, ended: false }
        }
    }

    impl<D: Step> Read for Steps<D> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            while !self.ended && !buf.is_empty() {
                if let Some(error) = self.failed.take() {
                    return Err(error);
                }
                let held = self.input.fill_buf()?;
                let last = held.is_empty();
                let (taken, given, outcome) = self.decoder.step(held, buf, last);
                self.input.consume(taken);
                match outcome {
                    Ok(ended) => self.ended = ended,
                    Err(error) => self.failed = Some(error),
                }
                if given > 0 {
                    return Ok(given);
                }
                if last && !self.ended && self.failed.is_none() {
                    return Err(io::Error::from(ErrorKind::UnexpectedEof));
                }
                if taken == 0 && !last && !self.ended && self.failed.is_none() {
                    return Err(io::Error::new(ErrorKind::InvalidData, "nothing can be made of them"));
                }
            }
            Ok(0)
        }
    }

    /// What a count has grown by.
    fn grown(before: u64, after: u64) -> usize {
        usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
    }

    /// xz streams. A header may ask for a dictionary of 4 GiB; the library counts before it allocates.
    impl Step for Stream {
        fn step(&mut self, input: &[u8], room: &mut [u8], last: bool) -> (usize, usize, io::Result<bool>) {
            let (taken, given) = (self.total_in(), self.total_out());
            let outcome = match self.process(input, room, if last { Action::Finish } else { Action::Run }) {
                Ok(status) => Ok(status == XzStatus::StreamEnd),
                Err(XzError::MemLimit | XzError::Mem) => Err(too_much_memory()),
                Err(error) => Err(error.into()),
            };
            (grown(taken, self.total_in()), grown(given, self.total_out()), outcome)
        }
    }

    /// One gzip member, its header and checksum included.
    impl Step for Inflate {
        fn step(&mut self, input: &[u8], room: &mut [u8], _last: bool) -> (usize, usize, io::Result<bool>) {
            let (taken, given) = (self.total_in(), self.total_out());
            let outcome = match self.decompress(input, room, FlushDecompress::None) {
                Ok(status) => Ok(status == GzStatus::StreamEnd),
                Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
            };
            (grown(taken, self.total_in()), grown(given, self.total_out()), outcome)
        }
    }

    /// One bzip2 stream.
    impl Step for Decompress {
        fn step(&mut self, input: &[u8], room: &mut [u8], _last: bool) -> (usize, usize, io::Result<bool>) {
            let (taken, given) = (self.total_in(), self.total_out());
            let outcome = match self.decompress(input, room) {
                Ok(BzStatus::MemNeeded) => Err(too_much_memory()),
                Ok(status) => Ok(status == BzStatus::StreamEnd),
                Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
            };
            (grown(taken, self.total_in()), grown(given, self.total_out()), outcome)
        }
    }

    /// gzip members or bzip2 streams one after another. Zeros after the last one are a tape's padding, as for gzip itself.
    struct Members<D> {
        member: Option<D>,
        begin: fn(Input) -> D,
        rest: fn(D) -> Input,
        /// What each begins with.
        first: u8,
    }

    impl<D: Read + Send + 'static> Members<D> {
        fn of(input: Input, begin: fn(Input) -> D, rest: fn(D) -> Input, first: u8) -> Box<dyn Read + Send> {
            Box::new(Self { member: Some(begin(input)), begin, rest, first })
        }
    }

    impl<D: Read> Read for Members<D> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            while let Some(member) = &mut self.member {
                let n = member.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
                let Some(mut input) = self.member.take().map(self.rest) else { break };
                match skip_zeros(&mut input)? {
                    Some(first) if first == self.first => self.member = Some((self.begin)(input)),
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
