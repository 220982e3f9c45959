//! TCP options. In: the bytes behind the fixed header. Out: the few that finwait uses.
//!
//! RFC 9293 3.2, RFC 7323 2 and 3, RFC 2018 3. Own code: etherparse's iterator ends at the first kind it has no name for, such as
//! Multipath TCP or Fast Open, and with it everything behind that option.

use crate::conntrack::brief::Brief;
use crate::tcp::segment::Options;
use crate::tcp::seq::SeqNum;

/// The largest shift that means anything (RFC 7323 2.3).
const MAX_WINDOW_SCALE: u8 = 14;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// Reads the options of a segment, whose header was written to `place` before.
#[inline(always)]
pub(super) fn read(bytes: &[u8], place: &mut Brief) {
    // The layouts that nearly every segment has, at a glance: nothing, timestamps, the SYNs of Linux with and without them, of Windows, and the
    // plainest. A SACK would cost every segment more than it saves those that have one.
    const STAMPS: u32 = u32::from_be_bytes([NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10]);
    const PERMITTED_STAMPS: u32 = u32::from_be_bytes([SACK_PERMITTED, 2, TIMESTAMPS, 10]);
    const PERMITTED: u32 = u32::from_be_bytes([NO_OPERATION, NO_OPERATION, SACK_PERMITTED, 2]);
    let (words, rest) = bytes.as_chunks::<4>();
    let word = |bytes: [u8; 4]| u32::from_be_bytes(bytes);
    let is_size = |bytes: [u8; 4]| word(bytes) >> 16 == u32::from_be_bytes([0, 0, MAXIMUM_SIZE, 4]);
    let is_scale = |bytes: [u8; 4]| word(bytes) >> 8 == u32::from_be_bytes([0, NO_OPERATION, WINDOW_SCALE, 3]);
    match *words {
        _ if !rest.is_empty() => place.options(&parse(bytes)),
        [] => {}
        [stamps, value, echo] if word(stamps) == STAMPS => place.stamps(word(value), word(echo)),
        [size, stamps, value, echo, scale] if is_size(size) && word(stamps) == PERMITTED_STAMPS && is_scale(scale) => {
            place.stamps(word(value), word(echo));
            place.scale(scale[3].min(MAX_WINDOW_SCALE));
        }
        [size, scale, permitted] if is_size(size) && is_scale(scale) && word(permitted) == PERMITTED => {
            place.scale(scale[3].min(MAX_WINDOW_SCALE));
        }
        [size, permitted, scale] if is_size(size) && word(permitted) == PERMITTED && is_scale(scale) => {
            place.scale(scale[3].min(MAX_WINDOW_SCALE));
        }
        [size] if is_size(size) => {}
        _ => place.options(&parse(bytes)),
    }
}

/// Reads up to the end-of-list option, the last byte, or the first length that does not fit. A repeated option: the first
/// counts.
#[inline(never)]
pub(super) fn parse(mut bytes: &[u8]) -> Options {
    let mut options = Options::default();
    // Each turn takes a byte or more off.
    loop {
        let (kind, length, rest) = match bytes {
            [] | [END, ..] => return options,
            [NO_OPERATION, rest @ ..] => {
                bytes = rest;
                continue;
            }
            [kind, length, rest @ ..] => (*kind, usize::from(*length), rest),
            [_] => return options,
        };
        // The length counts its own byte and the kind's.
        let Some((data, rest)) = length.checked_sub(2).and_then(|length| rest.split_at_checked(length)) else {
            return options;
        };
        match (kind, data) {
            (WINDOW_SCALE, &[shift]) if options.window_scale.is_none() => {
                options.window_scale = Some(shift.min(MAX_WINDOW_SCALE));
            }
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) if options.timestamps.is_none() => {
                options.timestamps = Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
            }
            (SACK, &[a, b, c, d, e, f, g, h, ..]) if options.sack.is_none() && data.len() % 8 == 0 => {
                let edge = |bytes| SeqNum::new(u32::from_be_bytes(bytes));
                options.sack = Some((edge([a, b, c, d]), edge([e, f, g, h])));
            }
            _ => {}
        }
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_options_of_a_linux_syn_are_read() {
        let bytes = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 2, 1, 3, 3, 7];
        let options = parse(&bytes);
        assert_eq!(options, Options { timestamps: Some((256, 2)), window_scale: Some(7), sack: None });
    }

    #[test]
    fn options_behind_an_unknown_one_are_read() {
        let bytes = [30, 4, 9, 9, 254, 2, 3, 3, 15, 1];
        assert_eq!(parse(&bytes).window_scale, Some(14));
    }

    #[test]
    fn the_first_sack_block_counts() {
        let mut bytes = vec![1, 1, 5, 18];
        bytes.extend([10_u32, 20, 30, 40].iter().flat_map(|edge| edge.to_be_bytes()));
        assert_eq!(parse(&bytes).sack, Some((SeqNum::new(10), SeqNum::new(20))));
        assert_eq!(parse(&[5, 2, 3, 3, 1]).sack, None);
    }

    #[test]
    fn nothing_is_read_behind_the_end_or_a_broken_length() {
        let scale = [3, 3, 5];
        for broken in [&[0][..], &[9, 0], &[9, 1], &[9, 200], &[9]] {
            assert_eq!(parse(&[broken, &scale].concat()), Options::default(), "{broken:?}");
        }
        assert_eq!(parse(&[8, 9, 0, 0, 0, 0, 0, 0, 0, 3, 3, 5]).timestamps, None);
    }

    proptest! {
        #[test]
        fn what_is_read_at_a_glance_reads_the_same(
            layout in prop::sample::select(vec![
                &[][..],
                &[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0],
                &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 0],
                &[2, 4, 5, 0xb4, 1, 3, 3, 0, 1, 1, 4, 2],
                &[2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 0],
                &[2, 4, 5, 0xb4],
            ]),
            values: [u8; 20],
            damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cut in 0_usize..3,
        ) {
            let mut bytes: Vec<u8> = layout.iter().zip(values).map(|(byte, value)| if *byte == 0 { value } else { *byte }).collect();
            bytes.truncate(bytes.len().saturating_sub(cut));
            if let Some((at, byte)) = damage && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let mut place = Brief::default();
            read(&bytes, &mut place);
            prop_assert_eq!(place.segment().options, parse(&bytes));
        }

        #[test]
        fn any_bytes_can_be_parsed(bytes: Vec<u8>) {
            let options = parse(&bytes);
            prop_assert!(options.window_scale.is_none_or(|shift| shift <= MAX_WINDOW_SCALE));
        }
    }
}
