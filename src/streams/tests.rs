//! The laws of streams, each as a small conversation.

use proptest::prelude::*;

use super::{Conversation, Missing, Piece, Told};
use crate::tcp::segment::{Flags, FrameId, Options, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::Side::{self, Client, Server};
use crate::time::{Span, Timestamp};

const MILLI: i64 = 1_000_000;

/// A conversation that is written down: bytes as they are, gaps as `<12 not_captured>`; a `|` where the other side begins.
#[derive(Default)]
struct Talk {
    conversation: Conversation,
    clock: i64,
    said: Vec<(Side, String)>,
}

fn note(said: &mut Vec<(Side, String)>, side: Side, piece: Piece<'_>) {
    let text = match piece {
        Piece::Bytes(bytes) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        Piece::Gap(len, why) => format!("<{len} {}>", why.name()),
    };
    match said.last_mut() {
        Some((last, known)) if *last == side => known.push_str(&text),
        _ => said.push((side, text)),
    }
}

fn segment(seq: u32, ack: Option<u32>, flags: Flags, len: usize) -> Segment {
    Segment {
        ts: Timestamp::default(),
        ordinal: 0,
        frame: FrameId::new(0, 1),
        seq: SeqNum::new(seq),
        ack: SeqNum::new(ack.unwrap_or(0)),
        flags: if ack.is_some() { flags.or(Flags::ACK) } else { flags },
        window: 65_535,
        payload_len: u32::try_from(len).unwrap(),
        ip_len: 40,
        ip_id: None,
        checksum: 0,
        bad_checksum: false,
        options_cut: false,
        options: Options::default(),
    }
}

impl Talk {
    /// Both SYNs: the client's data begins at 1,000, the server's at 5,000.
    fn opened() -> Self {
        let mut talk = Self::default();
        talk.put(Client, segment(999, None, Flags::SYN, 0), b"");
        talk.put(Server, segment(4_999, Some(1_000), Flags::SYN, 0), b"");
        talk
    }

    fn put(&mut self, side: Side, mut seg: Segment, payload: &[u8]) -> &mut Self {
        self.clock += MILLI;
        seg.ts = Timestamp::from_nanos(self.clock);
        let said = &mut self.said;
        self.conversation.segment(side, &seg, payload, &mut |side, piece| note(said, side, piece));
        self
    }

    fn data(&mut self, side: Side, seq: u32, text: &str) -> &mut Self {
        self.put(side, segment(seq, None, Flags::default(), text.len()), text.as_bytes())
    }

    fn ack(&mut self, side: Side, seq: u32, ack: u32) -> &mut Self {
        self.put(side, segment(seq, Some(ack), Flags::default(), 0), b"")
    }

    fn fin(&mut self, side: Side, seq: u32, text: &str) -> &mut Self {
        self.put(side, segment(seq, None, Flags::FIN, text.len()), text.as_bytes())
    }

    fn wait(&mut self, span: Span) -> &mut Self {
        self.clock += span.as_nanos();
        self
    }

    fn finish(&mut self) -> &mut Self {
        let said = &mut self.said;
        self.conversation.finish(&mut |side, piece| note(said, side, piece));
        self
    }

    fn told(&self, side: Side) -> Told {
        *self.conversation.stream(side).told()
    }

    fn of(&self, side: Side) -> String {
        self.said.iter().filter(|(of, _)| *of == side).map(|(_, text)| text.as_str()).collect()
    }

    fn all(&self) -> String {
        self.said.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("|")
    }
}

#[test]
fn bytes_come_out_at_once_and_each_once() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "GET /");
    assert_eq!(talk.all(), "GET /");
    talk.data(Server, 5_000, "200").data(Client, 1_000, "GET /").data(Client, 1_003, " /x").finish();
    assert_eq!(talk.all(), "GET /|200|x");
    assert_eq!(talk.told(Client), Told { bytes: 6, ..Told::default() });
}

#[test]
fn out_of_order_is_put_in_order() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_006, "ghi").data(Client, 1_003, "def");
    assert_eq!(talk.all(), "");
    talk.data(Client, 1_000, "abc");
    assert_eq!(talk.all(), "abcdefghi");
}

#[test]
fn the_first_copy_wins_and_differing_bytes_are_counted() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_003, "def").data(Client, 1_002, "cDe").data(Client, 1_000, "ab");
    assert_eq!((talk.all().as_str(), talk.told(Client).differing), ("abcdef", 1));
    talk.data(Client, 1_000, "aXYd").finish();
    assert_eq!((talk.all().as_str(), talk.told(Client).differing), ("abcdef", 3));
}

#[test]
fn sequence_numbers_wrap() {
    let mut talk = Talk::default();
    talk.put(Client, segment(u32::MAX - 3, None, Flags::SYN, 0), b"");
    talk.data(Client, 1, "ef").data(Client, u32::MAX - 2, "abcd").finish();
    assert_eq!(talk.all(), "abcdef");
}

#[test]
fn a_stream_may_be_longer_than_the_circle() {
    let mut talk = Talk::opened();
    // One segment a gigabyte is captured, the others are acknowledged.
    let mut seq = 1_000_u32;
    for _ in 0..6 {
        talk.data(Client, seq, "x").wait(Span::from_secs(2));
        for part in 1..=1_024_u32 {
            talk.ack(Server, 5_000, seq.wrapping_add(part << 20));
        }
        seq = seq.wrapping_add(1 << 30);
    }
    talk.finish();
    let told = talk.told(Client);
    assert_eq!((told.bytes, told.missing, told.given_up), (6, (6 << 30) - 6, 0));
}

#[test]
fn data_in_a_syn_is_data_once_the_attempt_is_known() {
    let mut talk = Talk::default();
    let syn = segment(999, None, Flags::SYN, 5);
    talk.put(Client, syn, b"hello").put(Client, syn, b"hello");
    assert_eq!(talk.all(), "");
    talk.put(Server, segment(4_999, Some(1_000), Flags::SYN, 0), b"").data(Client, 1_000, "hello you").finish();
    assert_eq!(talk.all(), "hello you");
}

#[test]
fn another_attempt_begins_anew_until_one_is_answered() {
    let mut talk = Talk::default();
    talk.put(Client, segment(77, None, Flags::SYN, 3), b"old").put(Client, segment(999, None, Flags::SYN, 0), b"");
    talk.put(Server, segment(4_999, Some(1_000), Flags::SYN, 0), b"");
    talk.put(Client, segment(2_000_000_000, None, Flags::SYN, 0), b"").data(Client, 1_000, "new").finish();
    assert_eq!((talk.all().as_str(), talk.told(Client).given_up), ("new", 3));
}

#[test]
fn nothing_comes_after_the_fin() {
    let mut talk = Talk::opened();
    talk.fin(Client, 1_003, "def").data(Client, 1_006, "ghi").data(Client, 1_000, "abc").data(Client, 1_009, "jkl");
    talk.finish();
    assert_eq!((talk.all().as_str(), talk.told(Client).given_up), ("abcdef", 6));
}

#[test]
fn an_acknowledged_fin_is_no_missing_byte_seen_or_not() {
    let mut talk = Talk::opened();
    talk.fin(Client, 1_000, "abc").ack(Server, 5_000, 1_004).ack(Client, 1_004, 5_001).wait(Span::from_secs(9));
    talk.ack(Client, 1_004, 5_001).finish();
    assert_eq!(talk.all(), "abc");
}

#[test]
fn a_reset_carries_no_stream() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "abc").put(Client, segment(1_003, None, Flags::RST, 6), b"reason").finish();
    assert_eq!((talk.all().as_str(), talk.told(Client).given_up), ("abc", 0));
}

#[test]
fn keep_alives_say_nothing() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "abc")
        .ack(Server, 5_000, 1_003)
        .data(Client, 1_002, "\0")
        .data(Client, 1_003, "d")
        .finish();
    assert_eq!((talk.all().as_str(), talk.told(Client).differing), ("abcd", 0));
    let mut talk = Talk::default();
    talk.ack(Server, 5_000, 1_003).data(Client, 1_002, "\0").data(Client, 1_003, "d").finish();
    assert_eq!(talk.all(), "d");
}

#[test]
fn what_was_acknowledged_and_not_captured_is_a_gap() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "abc").data(Client, 1_010, "klm").ack(Server, 5_000, 1_013).data(Server, 5_000, "ok");
    assert_eq!(talk.all(), "abc", "it may be recorded late, and the answer waits for it");
    talk.wait(Span::from_secs(2)).data(Client, 1_013, "n").finish();
    assert_eq!(talk.all(), "abc<7 not_captured>klm|ok|n");
    let told = talk.told(Client);
    assert_eq!((told.gaps, told.missing, told.bytes, told.given_up), (1, 7, 7, 0));
}

#[test]
fn what_is_recorded_after_its_acknowledgement_is_no_gap() {
    let mut talk = Talk::opened();
    talk.ack(Server, 5_000, 1_003).data(Server, 5_000, "ok").data(Client, 1_000, "abc").finish();
    assert_eq!(talk.all(), "abc|ok");
}

#[test]
fn what_comes_after_its_gap_was_told_is_counted() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_003, "d").ack(Server, 5_000, 1_004).wait(Span::from_secs(2)).ack(Server, 5_000, 1_004);
    talk.data(Client, 1_001, "bc").data(Client, 1_001, "bc").finish();
    assert_eq!((talk.all().as_str(), talk.told(Client).given_up), ("<3 not_captured>d", 2));
}

#[test]
fn gaps_at_the_end_are_told_with_their_reasons() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "a").data(Client, 1_005, "f").fin(Client, 1_010, "").ack(Server, 5_000, 1_003).finish();
    assert_eq!(talk.of(Client), "a<4 not_seen>f<4 not_seen>");
    let mut talk = Talk::opened();
    talk.ack(Server, 5_000, 1_100).finish();
    assert_eq!(talk.of(Client), "<100 not_captured>");
}

#[test]
fn what_snaplen_cut_off_is_a_gap_of_known_length_unless_a_copy_has_it() {
    let mut talk = Talk::opened();
    talk.put(Client, segment(1_000, None, Flags::default(), 8), b"ab").data(Client, 1_008, "ij").finish();
    assert_eq!(talk.all(), "ab<6 cut>ij");
    let mut talk = Talk::opened();
    talk.put(Client, segment(1_004, None, Flags::default(), 4), b"e")
        .data(Client, 1_005, "fg")
        .data(Client, 1_000, "abcd");
    assert_eq!(talk.finish().all(), "abcdefg<1 cut>");
}

#[test]
fn a_stream_that_begins_before_the_capture_begins_with_what_was_seen() {
    let mut talk = Talk::default();
    talk.data(Client, 1_003, "def").data(Client, 1_000, "abc");
    assert_eq!(talk.all(), "", "something before it may be recorded late");
    talk.ack(Server, 5_000, 1_006);
    assert_eq!(talk.all(), "abcdef");
    talk.data(Client, 990, "0123456789abc").finish();
    let told = talk.told(Client);
    assert_eq!((talk.all().as_str(), told.given_up, told.differing, told.gaps), ("abcdef", 10, 0, 0));
}

#[test]
fn a_bare_acknowledgement_shows_what_its_sender_has_sent() {
    let mut talk = Talk::default();
    talk.ack(Server, 5_000, 1_000).ack(Client, 1_000, 5_000).data(Client, 1_004, "e").finish();
    assert_eq!(talk.all(), "<4 not_seen>e");
}

#[test]
fn one_segment_from_far_away_opens_no_gap() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "abc").data(Client, 1_500_000_000, "evil").data(Client, 1_003, "def");
    talk.ack(Server, 5_000, 900_000_000).finish();
    let told = talk.told(Client);
    assert_eq!((talk.all().as_str(), told.given_up, told.missing), ("abcdef", 4, 0));
}

#[test]
fn a_stream_that_goes_on_far_away_does_so_behind_a_gap() {
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "abc").data(Client, 50_001_003, "x").data(Client, 50_001_004, "y").finish();
    assert_eq!(talk.all(), "abc<50000000 not_seen>xy");
    let mut talk = Talk::opened();
    talk.data(Client, 1_000, "abc").data(Client, 50_001_003, "x").ack(Server, 5_000, 50_001_004).finish();
    assert_eq!(talk.all(), "abc<50000000 not_captured>x");
}

#[test]
fn a_wrong_checksum_makes_no_data() {
    let mut talk = Talk::opened();
    let broken = Segment { bad_checksum: true, ..segment(1_000, None, Flags::default(), 3) };
    talk.put(Client, broken, b"xyz").data(Client, 1_000, "abc").finish();
    assert_eq!((talk.all().as_str(), talk.told(Client).differing), ("abc", 0));
}

#[test]
fn a_hole_is_not_waited_for_beyond_the_memory() {
    let mut talk = Talk { conversation: Conversation::new(1 << 20), ..Talk::default() };
    talk.put(Client, segment(999, None, Flags::SYN, 0), b"");
    let block = "x".repeat(1_000);
    let mut most = 0;
    for i in 0..2_000_u32 {
        talk.data(Client, 1_001 + i * 1_000, &block);
        most = most.max(talk.conversation.waiting_cost());
    }
    assert!(most <= (1 << 20) + 2_000, "{most}");
    talk.finish();
    let told = talk.told(Client);
    assert_eq!((told.bytes, told.missing, told.given_up), (2_000_000, 1, 0));
    assert!(talk.all().starts_with("<1 not_awaited>x"));
}

#[test]
fn a_byte_at_a_time_from_the_end_stays_within_the_memory() {
    let mut talk = Talk { conversation: Conversation::new(1 << 20), ..Talk::default() };
    talk.put(Client, segment(999, None, Flags::SYN, 0), b"");
    for i in (0..60_000_u32).rev() {
        talk.data(Client, 1_000 + i, "xy");
        assert!(talk.conversation.cost() <= (1 << 20) + (512 << 10));
    }
    let told = *talk.finish().conversation.stream(Client).told();
    // Each brings a byte that was not there.
    assert_eq!(told.bytes + told.given_up, 60_001);
}

/// What a stream holds at a place, so that all copies agree.
fn byte(place: usize) -> u8 {
    b'a' + u8::try_from(place * 7 % 26).unwrap()
}

fn stretch(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(byte).collect()
}

/// Segments that cover all of a stream of `len` bytes, in any order, some of them twice, some overlapping.
fn covering() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (1_usize..400).prop_flat_map(|len| {
        let cuts = prop::collection::btree_set(0..len, 0..12);
        let more = prop::collection::vec((0..len, 1_usize..60), 0..12);
        (cuts, more).prop_flat_map(move |(cuts, more)| {
            let mut edges: Vec<usize> = cuts.into_iter().chain([0, len]).collect();
            edges.sort_unstable();
            edges.dedup();
            let mut pieces: Vec<(usize, usize)> = edges.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).collect();
            pieces.extend(more.into_iter().map(|(at, many)| (at, many.min(len - at))));
            Just(pieces).prop_shuffle().prop_map(move |pieces| (len, pieces))
        })
    })
}

proptest! {
    #[test]
    fn any_order_of_any_copies_gives_the_stream((len, pieces) in covering(), isn: u32) {
        let mut talk = Talk::default();
        talk.put(Client, segment(isn, None, Flags::SYN, 0), b"");
        for (at, many) in pieces {
            let seq = isn.wrapping_add(1).wrapping_add(u32::try_from(at).unwrap());
            talk.put(Client, segment(seq, None, Flags::default(), many), &stretch(at, many));
        }
        talk.finish();
        let expected: String = stretch(0, len).into_iter().map(char::from).collect();
        prop_assert_eq!(talk.all(), expected);
        prop_assert_eq!(talk.told(Client), Told { bytes: len as u64, ..Told::default() });
    }

    #[test]
    fn what_was_not_captured_adds_up(
        pieces in prop::collection::vec((0_usize..400, 1_usize..60, 0_usize..60, any::<bool>()), 1..20), isn: u32,
    ) {
        let (mut talk, mut captured, mut end) = (Talk::default(), [false; 520], 0);
        talk.put(Client, segment(isn, None, Flags::SYN, 0), b"");
        for (at, many, cut, acked) in pieces {
            let seq = isn.wrapping_add(1).wrapping_add(u32::try_from(at).unwrap());
            talk.put(Client, segment(seq, None, Flags::default(), many + cut), &stretch(at, many));
            captured[at..at + many].fill(true);
            end = end.max(at + many + cut);
            if acked {
                talk.ack(Server, 5_000, isn.wrapping_add(1).wrapping_add(u32::try_from(end).unwrap()));
            }
        }
        talk.finish();
        let told = talk.told(Client);
        let distinct = captured.iter().filter(|&&seen| seen).count() as u64;
        prop_assert_eq!(told.bytes + told.given_up, distinct);
        prop_assert_eq!(told.bytes + told.missing, end as u64);
        // Every byte stands where it belongs.
        let (text, mut place) = (talk.of(Client), 0);
        for part in text.split_inclusive('>') {
            let (bytes, gap) = part.split_once('<').unwrap_or((part, ""));
            prop_assert_eq!(bytes.as_bytes(), &stretch(place, bytes.len())[..]);
            place += bytes.len();
            place += gap.split(' ').next().and_then(|len| len.parse::<usize>().ok()).unwrap_or(0);
        }
        prop_assert_eq!(place, end);
    }
}

#[test]
fn reasons_have_names() {
    let all = [Missing::NotCaptured, Missing::NotSeen, Missing::Cut, Missing::NotAwaited];
    assert_eq!(all.map(Missing::name), ["not_captured", "not_seen", "cut", "not_awaited"]);
}
