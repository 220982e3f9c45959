//! The fields of a fixed header, all 32 bits wide. In: bytes and their order. Out: numbers, by one nom parser.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;
use nom::error::Error;
use nom::number::Endianness;

/// The result of every parser here: the error is only that something is too short, or it says nothing.
pub(super) type Parsed<'a, T> = IResult<&'a [u8], T, Error<&'a [u8]>>;

/// `N` numbers. Taken in one piece: a parser a field costs a call a field, which every packet would pay.
#[inline]
pub(super) fn words<const N: usize>(order: Endianness, input: &[u8]) -> Parsed<'_, [u32; N]> {
    let (rest, bytes) = take(4 * N).parse(input)?;
    let mut words = [0; N];
    for (word, four) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = match order {
            Endianness::Big => u32::from_be_bytes(*four),
            Endianness::Little => u32::from_le_bytes(*four),
            Endianness::Native => u32::from_ne_bytes(*four),
        };
    }
    Ok((rest, words))
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
