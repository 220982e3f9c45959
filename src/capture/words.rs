//! The fields of a fixed header, all 32 bits wide. In: bytes and their order. Out: numbers, by one nom parser.

use nom::IResult;
use nom::error::{Error, ErrorKind};
use nom::number::Endianness;

/// The result of every parser here: the error is only that something is too short, or it says nothing.
pub(super) type Parsed<'a, T> = IResult<&'a [u8], T, Error<&'a [u8]>>;

/// A number.
#[inline(always)]
pub(super) fn word(order: Endianness, bytes: [u8; 4]) -> u32 {
    let little = u32::from_le_bytes(bytes);
    match order {
        Endianness::Little => little,
        Endianness::Big => little.swap_bytes(),
        Endianness::Native => u32::from_ne_bytes(bytes),
    }
}

/// `N` numbers. Taken in one piece: a parser a field costs a call a field, which every packet would pay.
#[inline]
pub(super) fn words<const N: usize>(order: Endianness, input: &[u8]) -> Parsed<'_, [u32; N]> {
    let short = || nom::Err::Error(Error::new(input, ErrorKind::Eof));
    let (bytes, rest) = input.split_at_checked(4 * N).ok_or_else(short)?;
    let fours = bytes.as_chunks().0.first_chunk::<N>().ok_or_else(short)?;
    Ok((rest, fours.map(|four| word(order, four))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_either_order_and_the_rest_is_left() {
        let bytes = [0, 0, 0, 1, 2, 0, 0, 0, 9];
        assert_eq!(words(Endianness::Big, &bytes).unwrap(), (&[9_u8][..], [1, 0x0200_0000]));
        assert_eq!(words(Endianness::Little, &bytes).unwrap(), (&[9_u8][..], [0x0100_0000, 2]));
        assert!(words::<3>(Endianness::Big, &bytes).is_err());
    }
}
