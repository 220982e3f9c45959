//! What a capture holds, as its generator knows it.

/// Counts of what was sent; what the end of the capture cut off is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Packets written.
    pub packets: u64,
    /// UDP datagrams among them.
    pub datagrams: u64,
    /// First SYNs.
    pub connections: u64,
    /// SYN-ACKs, repeats included.
    pub syn_acks: u64,
    /// Handshakes that were completed.
    pub openings: u64,
    /// SYNs answered by RST.
    pub refused: u64,
    /// Clients that gave up.
    pub unanswered: u64,
    /// Connections that one side ended by RST.
    pub aborted: u64,
    /// FINs, repeats included.
    pub fins: u64,
    /// SYNs sent again.
    pub syn_repeats: u64,
    /// SYN-ACKs sent again.
    pub syn_ack_repeats: u64,
    /// Data segments sent again.
    pub data_repeats: u64,
    /// FINs sent again.
    pub fin_repeats: u64,
}
