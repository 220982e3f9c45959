//! A packed connection that took its usual course, told in one pass. In: its segments. Out: its report, or the word that something was unusual: then
//! every segment has to be judged.

use super::closed::Closed;
use super::config::Config;
use super::key::Direction;
use super::packed::Packed;
use crate::metrics::rows::{ConnectionReport, Who};
use crate::metrics::time_wait::Finish;
use crate::metrics::usual::{Tally, Told, tell};
use crate::tcp::state::Side;
use crate::tcp::usual::{Origin, Usual};

/// Tells usual connections one after the other, in the same memory.
#[derive(Debug, Default)]
pub struct UsualTeller {
    conn: Usual,
}

impl UsualTeller {
    /// Writes all that the tables say of connection `conn_id`, which has these `segments`, into `report`; `false` if anything in it is unusual.
    pub fn tell(
        &mut self,
        closed: &Closed,
        segments: &[Packed],
        config: &Config,
        conn_id: u64,
        report: &mut ConnectionReport,
    ) -> bool {
        let Some(first) = segments.first().filter(|first| first.flags().is_bare_syn()) else { return false };
        if closed.key.is_self() || matches!(closed.finish, Finish::Reuse { .. }) {
            return false;
        }
        let upwards = first.direction();
        let mut tally = Tally::BLANK;
        self.conn.renew();
        for packed in segments {
            let side = if packed.is_along(first) { Side::Client } else { Side::Server };
            if !self.conn.take(side, packed) {
                return false;
            }
            tally.add(side, packed);
        }
        let [low, high] = closed.key.ends();
        let (client, server) = if upwards == Direction::Up { (low, high) } else { (high, low) };
        let who = Who { client, server, role_known: true, vlan: closed.vlan, tunnel: closed.tunnel };
        let base = &closed.first;
        let origin = Origin { ts: base.ts, frame: base.frame, ordinal: base.ordinal };
        let (time_wait, finish) = (config.time_wait, closed.finish);
        tell(&mut self.conn, &Told { conn_id, who, origin, tally: &tally, time_wait, finish }, report);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conntrack::flow::Flow;
    use crate::conntrack::key::Key;
    use crate::conntrack::packed::Base;
    use crate::tcp::segment::{Addressed, Flags, FrameId, HostPort, Options, Segment};
    use crate::tcp::seq::SeqNum;
    use crate::time::{Span, Timestamp};

    const SYN: Flags = Flags::SYN;
    const ACK: Flags = Flags::ACK;
    const FIN: Flags = Flags::FIN.or(Flags::ACK);

    /// Two ends that talk, side 0 the client.
    struct Talk {
        said: Vec<(usize, Segment)>,
        now: i64,
        next: [u32; 2],
        heard: [u32; 2],
        stamps: bool,
        ids: [Option<u16>; 2],
        scale: Option<u8>,
        newest: [u32; 2],
    }

    impl Talk {
        fn new(stamps: bool, ids: [Option<u16>; 2], scale: Option<u8>) -> Self {
            let next = [4_294_967_000, 77];
            Self { said: Vec::new(), now: 5_000_000_000, next, heard: [0; 2], stamps, ids, scale, newest: [0; 2] }
        }

        fn say(&mut self, who: usize, flags: Flags, payload_len: u32) -> &mut Segment {
            let value = 1_000 + (self.now / 1_000_000) as u32;
            let echo = if flags.has_all(ACK) { self.newest[1 - who] } else { 0 };
            let end = self.said.len() as u64 + 1;
            if let Some(id) = self.ids[who].as_mut().filter(|id| **id != 0) {
                *id = id.wrapping_add(1);
            }
            let segment = Segment {
                ts: Timestamp::from_nanos(self.now),
                ordinal: 3,
                frame: FrameId::new(0, end),
                seq: SeqNum::new(self.next[who]),
                ack: SeqNum::new(if flags.has_all(ACK) { self.heard[who] } else { 0 }),
                flags,
                window: 500,
                payload_len,
                ip_len: 52 + payload_len,
                ip_id: self.ids[who],
                checksum: end as u16,
                bad_checksum: false,
                options_cut: false,
                options: Options {
                    timestamps: self.stamps.then_some((value, echo)),
                    window_scale: self.scale.filter(|_| flags.has_all(SYN)),
                    sack: None,
                },
            };
            self.newest[who] = value;
            self.next[who] = segment.end().raw();
            self.said.push((who, segment));
            &mut self.said.last_mut().unwrap().1
        }

        fn hear(&mut self, who: usize) {
            self.heard[who] = self.next[1 - who];
        }

        fn shake_hands(&mut self, round_trip: i64) {
            self.say(0, SYN, 0);
            self.now += round_trip;
            self.hear(1);
            self.say(1, SYN.or(ACK), 0);
            self.now += round_trip / 2;
            self.hear(0);
            self.say(0, ACK, 0);
        }

        /// One of the things that ends do, most of them usual.
        fn go_on(&mut self, what: u8, gap: i64, len: u32) {
            self.now += gap;
            let who = usize::from(what & 1);
            if what & 0b110 != 0 {
                self.hear(who);
            }
            match what >> 3 {
                0..=9 => _ = self.say(who, ACK.or(Flags::PSH), len),
                10..=17 => _ = self.say(who, ACK, 0),
                18..=22 => _ = self.say(who, FIN, len % 2 * len),
                23 => _ = self.say(who, Flags::RST, 0),
                24 => _ = self.say(who, Flags::RST.or(ACK), 0),
                25 => self.next[who] = self.next[who].wrapping_add(len),
                26 => self.say(who, ACK, 0).window = 0,
                27 => {
                    let again = self.said[self.said.len() - 1 - usize::from(what & 4 != 0)];
                    self.said.push((again.0, Segment { ts: Timestamp::from_nanos(self.now), ..again.1 }));
                }
                28 => self.say(who, ACK, 1).options.timestamps = None,
                29 => self.heard[who] = self.heard[who].wrapping_sub(len),
                30 => self.now -= gap * 2,
                _ => self.say(who, ACK, len).ip_id = Some(len as u16),
            }
        }

        /// As it is told, and as judged.
        fn told(&self, finish: Finish) -> (Option<ConnectionReport>, ConnectionReport) {
            let ends = [9, 4].map(|host| HostPort::new([10, 0, 0, host].into(), 1_000 + u16::from(host)));
            let config = Config::default();
            let addressed = |who: usize, segment| Addressed {
                src: ends[who],
                dst: ends[1 - who],
                vlan: None,
                tunnel: None,
                segment,
            };
            let first = addressed(0, self.said[0].1);
            let (key, way) = Key::of(&first.src, &first.dst);
            let ways = [way, way.reverse()];
            let base = Base::of(&first.segment);
            let mut flow = Flow::new(&first, way);
            let mut packed = vec![Packed::pack(&base, way, &first.segment).unwrap()];
            for &(who, segment) in &self.said[1..] {
                // What lies before the first is not packed.
                let Some(segment) = Packed::pack(&base, ways[who], &segment) else { continue };
                flow.feed_known(ways[who], &segment.unpack(&base), &config);
                packed.push(segment);
            }
            let segments = 0..packed.len();
            let (first, marks, split) = (base, None, false);
            let closed = Closed { key, first, vlan: None, tunnel: None, finish, segments, marks, split };
            let mut usual = ConnectionReport::blank();
            let told = UsualTeller::default().tell(&closed, &packed, &config, 0, &mut usual);
            (told.then_some(usual), flow.finish(&config, finish))
        }

        fn end(&self, after: i64) -> Timestamp {
            self.said.iter().map(|said| said.1.ts).max().unwrap_or_default().plus(Span::from_nanos(after))
        }
    }

    #[test]
    fn the_usual_courses_are_told_in_one_pass() {
        let both = |closing: &[(usize, Flags, u32)]| {
            let mut talk = Talk::new(true, [Some(5), None], Some(7));
            talk.shake_hands(30_000_000);
            for &(who, flags, len) in closing {
                talk.now += 1_000_000;
                talk.hear(who);
                talk.say(who, flags, len);
            }
            let (usual, judged) = talk.told(Finish::Capture(talk.end(90_000_000_000)));
            assert_eq!(usual.as_ref(), Some(&judged));
            usual.map(|report| (report.connection.history.to_string(), report.transitions.len())).unwrap_or_default()
        };
        let told = |letters: &str, steps| (letters.to_owned(), steps);
        assert_eq!(both(&[]), told("ShA", 4));
        let talk = [(0, ACK, 100), (1, ACK, 900), (0, ACK, 0)];
        assert_eq!(both(&[&talk[..], &[(0, FIN, 0), (1, FIN, 0), (0, ACK, 0)]].concat()), told("ShADdFf", 11));
        assert_eq!(
            both(&[&talk[..], &[(1, FIN, 0), (0, ACK, 0), (0, FIN, 0), (1, ACK, 0)]].concat()),
            told("ShADdfFa", 11)
        );
        // A FIN with data may have waited behind data.
        assert_eq!(both(&[&talk[..], &[(1, FIN, 200), (0, FIN, 0), (1, ACK, 0)]].concat()), told("ShADdfFa", 11));
        assert_eq!(both(&[&talk[..], &[(1, Flags::RST.or(ACK), 0)]].concat()), told("ShADdr", 6));
    }

    #[test]
    fn attempts_that_fail_are_usual_too() {
        let mut talk = Talk::new(false, [Some(1), Some(0)], None);
        talk.say(0, SYN, 0);
        for after in [0, 8_999_999_999, 9_000_000_000] {
            let (usual, judged) = talk.told(Finish::Capture(talk.end(after)));
            assert_eq!(usual, Some(judged));
        }
        talk.now += 70_000;
        talk.hear(1);
        talk.next[1] = 0;
        talk.say(1, Flags::RST.or(ACK), 0);
        let (usual, judged) = talk.told(Finish::Evicted(talk.end(0)));
        assert_eq!(usual, Some(judged));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn whatever_is_told_in_one_pass_is_told_as_judged(
            (stamps, ids, scale) in any::<(bool, [Option<u8>; 2], Option<u8>)>(),
            round_trip in prop::sample::select(vec![20_000, 90_000, 400_000, 3_000_000, 80_000_000]),
            steps in prop::collection::vec((any::<u8>(), 0_u8..7, 1_u32..1_500), 0..14),
            after in prop::sample::select(vec![0, 1_000_000, 20_000_000_000, 100_000_000_000]),
        ) {
            const GAPS: [i64; 7] = [1_000, 40_000, 250_000, 900_000, 5_000_000, 300_000_000, 4_000_000_000];
            // An identification of 0 is none.
            let ids = ids.map(|id| id.map(|id| u16::from(id / 64)));
            let mut talk = Talk::new(stamps, ids, scale.map(|scale| scale % 15));
            talk.shake_hands(round_trip);
            for (what, gap, len) in steps {
                talk.go_on(what, GAPS[usize::from(gap)], len);
            }
            let (usual, judged) = talk.told(Finish::Capture(talk.end(after)));
            if let Some(usual) = usual {
                prop_assert_eq!(usual, judged);
            }
        }
    }
}
