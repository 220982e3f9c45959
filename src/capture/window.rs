//! The one buffer that a file is read through. In: any reader. Out: as many bytes in one piece as a record needs.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use super::LinkType;
use super::compression::Compression;
use super::error::{Place, Problem};
use crate::time::Timestamp;

/// One read: large enough that the system call costs nothing per packet, small enough to stay in the cache.
pub(super) const BUFFER: usize = 256 << 10;

/// A sliding view of a stream. Grows only while bytes really arrive, so a false length in a small file costs no memory;
/// callers bound the longest record.
pub(super) struct Window {
    reader: Box<dyn Read + Send>,
    compression: Option<Compression>,
    buf: Vec<u8>,
    /// Bytes of the first read.
    least: usize,
    /// `buf[start..end]` has been read and not been taken.
    start: usize,
    end: usize,
    /// Where `start` is in the stream.
    offset: u64,
    ended: bool,
    /// What is held must do for the moment.
    holds: bool,
    /// It did not do.
    fell_short: bool,
}

/// A packet that a container's reader found in the window and took from it.
pub(super) struct Found {
    pub ts: Option<Timestamp>,
    pub link: LinkType,
    pub interface: u32,
    pub wire_len: u32,
    /// For [`Window::get`].
    pub data: Range<usize>,
}

impl Window {
    /// A view of what `reader` gives, at first through a buffer of `least` bytes: [`BUFFER`], if it is to be read to its end.
    pub(super) fn new(reader: Box<dyn Read + Send>, compression: Option<Compression>, least: usize) -> Self {
        let (buf, ended, holds, fell_short) = (Vec::new(), false, false, false);
        Self { reader, compression, buf, least, start: 0, end: 0, offset: 0, ended, holds, fell_short }
    }

    /// Back into the bytes that were not taken and the reader after them.
    pub(super) fn into_rest(self) -> (Vec<u8>, Box<dyn Read + Send>) {
        (self.bytes().to_vec(), self.reader)
    }

    /// What is held and not taken.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Bytes of the stream that were taken.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the first byte not taken is, for an error.
    pub(super) fn place(&self) -> Place {
        Place { offset: self.offset, uncompressed: self.compression.is_some() }
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// Makes [`Window::bytes`] hold at least `want`; false when the stream ends before that. Returns as soon as they are
    /// there, so that a pipe's packets are not kept waiting for more of them.
    #[inline]
    pub(super) fn fill(&mut self, want: usize) -> Result<bool, Box<Problem>> {
        if self.end - self.start >= want { Ok(true) } else { self.refill(want) }
    }

    /// Whether [`Window::fill`] may read. If not, the stream seems to end where the held bytes do, and
    /// [`Window::fell_short`] tells that it only seems so.
    #[inline]
    pub(super) fn hold(&mut self, holds: bool) {
        self.holds = holds;
    }

    /// More bytes were wanted than are held while reading was not allowed.
    #[inline]
    pub(super) fn fell_short(&mut self) -> bool {
        std::mem::take(&mut self.fell_short)
    }

    #[inline(never)]
    fn refill(&mut self, want: usize) -> Result<bool, Box<Problem>> {
        if self.holds && !self.ended {
            self.fell_short = true;
            return Ok(false);
        }
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end < want {
            if self.ended {
                return Ok(false);
            }
            if self.end == self.buf.len() {
                self.buf.resize((self.buf.len() * 2).max(self.least), 0);
            }
            match self.reader.read(&mut self.buf[self.end..]) {
                Ok(0) => self.ended = true,
                // A reader that claims more than it was given room for must not make the slices below panic.
                Ok(n) => self.end = (self.end + n).min(self.buf.len()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    self.ended = true;
                    return Err(Box::new(self.explain(e)));
                }
            }
        }
        Ok(true)
    }

    /// The system's errors have a number, a decompressor's have none.
    #[cold]
    fn explain(&self, cause: io::Error) -> Problem {
        let offset = self.offset + (self.end - self.start) as u64;
        match self.compression {
            Some(compression) if cause.kind() == ErrorKind::OutOfMemory && cause.raw_os_error().is_none() => {
                Problem::Memory { compression, offset }
            }
            Some(compression) if cause.raw_os_error().is_none() => {
                Problem::Compressed { compression, offset, cut: cause.kind() == ErrorKind::UnexpectedEof, cause }
            }
            _ => Problem::Read { place: Place { offset, uncompressed: self.compression.is_some() }, cause },
        }
    }

    /// Takes the next `n` bytes, which are held. They stay readable through [`Window::get`] until the next fill.
    #[inline]
    pub(super) fn take(&mut self, n: usize) -> Range<usize> {
        let taken = self.start..(self.start + n).min(self.end);
        self.start = taken.end;
        self.offset += taken.len() as u64;
        taken
    }

    /// What was taken.
    #[inline]
    pub(super) fn get(&self, range: Range<usize>) -> &[u8] {
        self.buf.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a call.
    struct Drip(Vec<u8>, usize);

    impl Read for Drip {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match (self.0.get(self.1), buf.first_mut()) {
                (Some(byte), Some(room)) => {
                    *room = *byte;
                    self.1 += 1;
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
    }

    #[test]
    fn the_bytes_come_out_in_order_and_the_offset_counts_them() {
        let mut window = Window::new(Box::new(Drip((0..=255).collect(), 0)), None, BUFFER);
        for first in (0..250).step_by(5) {
            assert!(window.fill(5).unwrap());
            assert_eq!(window.offset(), first as u64);
            let range = window.take(5);
            assert_eq!(window.get(range), (first..first + 5).collect::<Vec<u8>>());
        }
        assert!(!window.fill(7).unwrap());
        assert_eq!(window.bytes(), [250, 251, 252, 253, 254, 255]);
    }

    #[test]
    fn a_want_beyond_the_buffer_makes_it_grow_only_with_what_arrives() {
        let mut window = Window::new(Box::new(io::repeat(7).take(600_000)), None, BUFFER);
        assert!(!window.fill(1 << 30).unwrap());
        assert_eq!(window.bytes().len(), 600_000);
        assert!(window.buf.len() <= 4 * BUFFER);
    }
}
