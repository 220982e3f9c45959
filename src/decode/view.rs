//! A packet from some layer on. In: captured bytes and a length on the wire. Out: headers taken off its front.

use super::skip::Skip;

/// The layer whose header is being read, so that a missing byte is counted under the right reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Link,
    Ip,
    Tunnel,
    Tcp,
}

/// The bytes from some layer on: those that were captured, and how many there are by the lengths that the outer
/// headers state. Only the second number survives a snapshot length.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    real: usize,
    start: usize,
}

impl<'a> View<'a> {
    /// The front of a buffer. A `real` length below the number of bytes at hand is a lie of the container.
    pub(super) fn new(bytes: &'a [u8], real: usize) -> Self {
        Self { bytes, real: real.max(bytes.len()), start: 0 }
    }

    /// A part of a buffer, told by what [`View::range`] and [`View::real`] said of it.
    pub(super) fn part(buffer: &'a [u8], range: std::ops::Range<usize>, real: usize) -> Self {
        let start = range.start;
        let bytes = buffer.get(range).unwrap_or_default();
        Self { bytes, real: real.max(bytes.len()), start }
    }

    /// The captured bytes.
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes there are, captured or not.
    pub(super) const fn real(self) -> usize {
        self.real
    }

    /// Where the captured bytes lie in the buffer that the walk began with.
    pub(super) const fn range(self) -> std::ops::Range<usize> {
        self.start..self.start + self.bytes.len()
    }

    /// Every byte was captured.
    pub(super) const fn is_whole(self) -> bool {
        self.bytes.len() == self.real
    }

    /// What to count when a header does not fit into the captured bytes.
    pub(super) const fn short(self, part: Part) -> Skip {
        match (part, self.is_whole()) {
            (Part::Link, false) => Skip::CutLink,
            (Part::Ip, false) => Skip::CutIp,
            (Part::Tunnel, false) => Skip::CutTunnel,
            (Part::Tcp, false) => Skip::CutTcp,
            (Part::Link, true) => Skip::BadLinkHeader,
            (Part::Ip, true) => Skip::BadIpHeader,
            (Part::Tunnel, true) => Skip::BadTunnel,
            (Part::Tcp, true) => Skip::BadTcpHeader,
        }
    }

    /// The first `N` bytes and what follows them.
    pub(super) fn take<const N: usize>(self, part: Part) -> Result<(&'a [u8; N], Self), Skip> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(self.short(part))?;
        Ok((head, Self { bytes: rest, real: self.real - N, start: self.start + N }))
    }

    /// What follows the first `n` bytes.
    pub(super) fn skip(self, n: usize, part: Part) -> Result<Self, Skip> {
        let rest = self.bytes.get(n..).ok_or(self.short(part))?;
        Ok(Self { bytes: rest, real: self.real - n, start: self.start + n })
    }

    /// What follows the first `n` bytes; nothing, if there are not that many.
    pub(super) fn skip_up_to(self, n: usize) -> Self {
        let gone = n.min(self.bytes.len());
        let rest = self.bytes.get(gone..).unwrap_or_default();
        Self { bytes: rest, real: self.real.saturating_sub(n).max(rest.len()), start: self.start + gone }
    }

    /// No more than the first `real` bytes: padding and trailers go.
    pub(super) fn trim(self, real: usize) -> Self {
        let bytes = self.bytes.get(..real).unwrap_or(self.bytes);
        Self { bytes, real: self.real.min(real), start: self.start }
    }

    /// The high four bits of the first byte: the version, where an IP packet begins.
    pub(super) fn nibble(self) -> Option<u8> {
        self.bytes.first().map(|byte| byte >> 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_byte_is_cut_or_bad() {
        let cut = View::new(&[1, 2, 3], 10);
        assert_eq!(cut.take::<4>(Part::Ip).unwrap_err(), Skip::CutIp);
        let whole = View::new(&[1, 2, 3], 0);
        assert_eq!(whole.skip(4, Part::Ip).unwrap_err(), Skip::BadIpHeader);
    }

    #[test]
    fn lengths_and_places_follow_the_headers() {
        let view = View::new(&[1, 2, 3, 4, 5], 100);
        let (head, rest) = view.take::<2>(Part::Link).unwrap();
        assert_eq!((head, rest.bytes(), rest.real(), rest.range()), (&[1, 2], &[3, 4, 5][..], 98, 2..5));
        let trimmed = rest.trim(2);
        assert_eq!((trimmed.bytes(), trimmed.real(), trimmed.range()), (&[3, 4][..], 2, 2..4));
        assert!(trimmed.is_whole());
        let beyond = rest.skip_up_to(40);
        assert_eq!((beyond.bytes(), beyond.real(), beyond.range()), (&[][..], 58, 5..5));
        assert_eq!(rest.trim(50).real(), 50);
    }
}
