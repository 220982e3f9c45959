//! Judging with numbers: the only place with conditions. In: a segment and what is known of both endpoints. Out: what its
//! sender does and what its receiver would accept, in the order of RFC 9293 3.10.7.

use super::endpoint::Endpoint;
use super::segment::{Flags, Segment};
use super::state::State;
use super::transition::{Stimuli, Stimulus};

/// An RST is taken this far beyond what the tap saw of the sender's stream when the receiver's window is not known.
const DEFAULT_WINDOW: u32 = 65_535;

/// What a receiver makes of an RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// It accepts it.
    Accepted,
    /// It should answer with a challenge ACK, or ignore it in SYN-SENT; older stacks accept it. What it does next tells.
    Doubtful,
    /// It ignores it.
    Ignored,
}

/// Would the receiver accept this RST?
///
/// In SYN-SENT it must acknowledge the SYN (RFC 9293 3.10.7.3 second). In other states its sequence number must be
/// RCV.NXT (RFC 5961 3.2); the tap knows RCV.NXT only as a range, from what the receiver has acknowledged to all that is on its way.
pub fn rst_accepted(sender: &Endpoint, receiver: &Endpoint, receiver_state: Option<State>, seg: &Segment) -> Reset {
    let awaits_syn_ack = matches!(receiver_state, Some(State::SynSent)) || sender.snd_nxt().is_none();
    if awaits_syn_ack && receiver.iss.is_some() {
        let acks_syn = seg.flags.has_all(Flags::ACK) && receiver.syn_acceptably_acked(seg.ack);
        if acks_syn || sender.snd_nxt().is_none() {
            return if acks_syn { Reset::Accepted } else { Reset::Doubtful };
        }
    }
    if receiver.rcv_nxt == Some(seg.seq) {
        return Reset::Accepted;
    }
    // The receiver has acknowledged the FIN, so RCV.NXT is known. Linux takes the number of the FIN too (`tcp_reset_check`), but not in
    // TIME-WAIT.
    if let Some(end) = sender.fin_end.filter(|_| sender.fin_acked) {
        let before = seg.seq.plus(1) == end && receiver_state != Some(State::TimeWait);
        return if seg.seq == end || before { Reset::Accepted } else { Reset::Ignored };
    }
    let (Some(low), Some(high)) = (sender.snd_una.or(sender.first_seq), sender.snd_nxt()) else {
        return Reset::Accepted;
    };
    let window_end = high.plus((u32::from(receiver.window) << receiver.window_scale).max(DEFAULT_WINDOW));
    if !seg.seq.is_at_or_after(low) || seg.seq.is_after(window_end) {
        return Reset::Ignored;
    }
    // Bytes that the tap did not see may have moved RCV.NXT on; then the whole window is possible.
    let unseen = sender.sent.has_holes() || sender.iss.is_none();
    if unseen || high.is_at_or_after(seg.seq) { Reset::Accepted } else { Reset::Doubtful }
}

/// What `sender` does by sending this segment, SYN and RST apart, while it is believed in `state`. What only a synchronized endpoint
/// sends counts as such wherever it is believed to be: that belief may be taken back.
pub fn sent(sender: &Endpoint, peer: &Endpoint, state: Option<State>, seg: &Segment) -> Stimuli {
    let mut stimuli = Stimuli::NONE;
    let fin = seg.flags.has_all(Flags::FIN);
    let has_data = seg.payload_len > 0 || fin;
    let peer_is_seen = peer.last_seen.is_some();
    let synchronized = match (state, seg.acknowledges()) {
        // The capture began late. A FIN is its own first evidence.
        (None, _) => !fin,
        (_, None) => false,
        // A server: its peer's last ACK went unseen, or was believed lost. Under fast open it may send before that comes (RFC 7413 4.2),
        // but takes no more data in.
        (_, Some(ack)) if sender.syn_ack => {
            let takes_data = sender.takes_data(ack) && (!peer_is_seen || peer.syn_acceptably_acked(ack));
            takes_data || has_data && !fast_open(sender, peer)
        }
        // A client: the SYN-ACK went unseen, or was believed lost; an ACK in sequence shows that it arrived.
        (_, Some(ack)) => {
            (peer.iss.is_none() || peer.syn_covered_by(ack)) && sender.iss.is_some_and(|iss| seg.seq.is_after(iss))
        }
    };
    if synchronized {
        stimuli = stimuli.with(Stimulus::SndAck);
    }
    if fin {
        stimuli = stimuli.with(Stimulus::SndFin);
    }
    stimuli
}

/// Did `server` take data from the SYN of `client`? Then it may speak before the handshake is complete.
pub fn fast_open(server: &Endpoint, client: &Endpoint) -> bool {
    client.syn_data > 0 && client.iss.is_some_and(|iss| server.syn_ack_acked != Some(iss.plus(1)))
}

/// What the acknowledgement in this segment means to `receiver`: told by the first segment that says it since `receiver` last
/// sent its SYN or FIN, and by every one with a FIN, which may have to stand in for one that died.
pub fn acknowledged(receiver: &Endpoint, seg: &Segment) -> Stimuli {
    let mut stimuli = Stimuli::NONE;
    let fin = seg.flags.has_all(Flags::FIN);
    if let Some(ack) = seg.acknowledges() {
        if (receiver.syn_unanswered || fin) && receiver.syn_covered_by(ack) {
            stimuli = stimuli.with(Stimulus::RcvAckOfSyn);
        }
        if (receiver.fin_unanswered || fin) && receiver.fin_covered_by(ack) {
            stimuli = stimuli.with(Stimulus::RcvAckOfFin);
        }
    }
    stimuli
}

/// A keep-alive (RFC 9293 3.8.4): at most one byte, just before SND.NXT, with nothing outstanding.
pub fn is_keep_alive(sender: &Endpoint, seg: &Segment) -> bool {
    seg.payload_len <= 1
        && !seg.flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST))
        && sender.snd_nxt().is_some_and(|next| seg.seq.plus(1) == next)
        && sender.snd_una == sender.snd_nxt()
}

/// A probe of a closed window (RFC 9293 3.8.6.1): at most one byte at SND.UNA, or just before it, while the window is 0.
pub fn is_zero_window_probe(sender: &Endpoint, receiver: &Endpoint, seg: &Segment) -> bool {
    receiver.window == 0
        && receiver.last_sent.is_some()
        && seg.payload_len <= 1
        && !seg.flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST))
        && sender.snd_una.is_some_and(|una| seg.seq == una && seg.payload_len == 1 || seg.seq.plus(1) == una)
}
