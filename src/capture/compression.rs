//! Compressions that captures are kept in. In: first bytes. Out: which one they are.

use std::fmt;

/// A compression that captures are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, of one or many members.
    Gzip,
    /// RFC 8878, of one or many frames.
    Zstd,
    /// The LZ4 frame format, of one or many frames.
    Lz4,
    /// The .xz format, of one or many streams.
    Xz,
    /// bzip2, of one or many streams.
    Bzip2,
}

impl Compression {
    /// Its name, which is also its command's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// Which one a file beginning so is in. A skippable frame (RFC 8878 3.1.2) may come before either of two; parallel
    /// zstd writes one first, no LZ4 program does.
    pub(super) fn of(first: &[u8]) -> Option<Self> {
        match first {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            [0xfd, b'7', b'z', b'X', ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
