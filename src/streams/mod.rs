//! The byte streams inside connections. In: a connection's segments with their payloads, in the order of the capture. Out: each
//! side's bytes in the order of the stream, and where some are missing.
//!
//! Each connection has a [`Conversation`] of two [`stream::Stream`]s. Bytes come out as soon as nothing before them is missing. What
//! the peer acknowledged and the tap has not seen is waited for a while, then it is a gap of known length; bytes are never
//! joined across one without a word. Where two segments carry the same place, the first copy wins, as in most stacks.

mod conversation;
mod kept;
mod past;
pub mod stream;
#[cfg(test)]
mod tests;

pub use conversation::Conversation;

/// What comes out of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// So many bytes of the stream are not there.
    Gap(u64, Missing),
}

/// Why bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missing {
    /// The peer acknowledged them: they passed, and the tap did not see them.
    NotCaptured,
    /// What comes behind them was seen, they were neither seen nor acknowledged.
    NotSeen,
    /// The segment was captured, its end was cut off by the snapshot length.
    Cut,
    /// They were not waited for any longer, to stay within the memory.
    NotAwaited,
}

impl Missing {
    /// The name that the tables use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotCaptured => "not_captured",
            Self::NotSeen => "not_seen",
            Self::Cut => "cut",
            Self::NotAwaited => "not_awaited",
        }
    }
}

/// What is told of one side's stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Bytes that came out.
    pub bytes: u64,
    /// Gaps that came out.
    pub gaps: u64,
    /// Bytes in them.
    pub missing: u64,
    /// Bytes that were sent again with other contents, as far as the first copy was still at hand (64 KiB and what waits).
    pub differing: u64,
    /// Captured bytes that did not come out, though no copy of them did: they came after their gap was told, lay before the
    /// first byte that came out, after the end of the stream, or too far off to belong to it.
    pub given_up: u64,
}
