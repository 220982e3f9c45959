//! Files that are no capture, or one that is not read here. In: their first bytes. Out: what they are, and the way out.

use super::compression::Compression;

/// First bytes that suffice to name a file; all that [`describe`] looks at.
pub(super) const LOOKED_AT: usize = 16;

/// Captures of other programs that Wireshark reads: how they begin, and what they are called.
const OTHER_CAPTURES: [(&[u8], &str); 16] = [
    (b"GMBU", "a Network Monitor capture"),
    (b"RTSS", "a Network Monitor capture"),
    (b"iptrace 1.0", "an AIX iptrace"),
    (b"iptrace 2.0", "an AIX iptrace"),
    (b"TR\0d", "an HP-UX nettl trace"),
    (b"\0\0\0\x01\0\0\0\0\x07\xd0", "an HP-UX nettl trace"),
    (b"\xaa\xaa\xaa\xaa", "a 5View capture"),
    (b"TRSNIFF data    ", "a Sniffer capture"),
    (b"XCP\0", "a NetXRay or Windows Sniffer capture"),
    (b"VL\0\0", "a NetXRay capture"),
    (b"\x05VNF", "a Visual Networks capture"),
    (b"ObserverPktBuffe", "an Observer capture"),
    (b"\x7fver", "an OmniPeek capture"),
    (b"btsnoop\0", "a Bluetooth btsnoop log"),
    (b"\x42\xd2\0\x34\x12\x66\x22\x88", "a RADCOM capture"),
    (b"EyeSDN", "an EyeSDN trace"),
];

/// Packed files whose packing is not undone here.
const PACKED: [(&[u8], &str); 5] = [
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a rar archive; unpack it first"),
    (b"\x1f\x9d", "compressed by compress; unpack it first, as in: gzip -dc FILE | finwait -"),
    (b"\x5d\0\0", "lzma-compressed; unpack it first, as in: xz -dc FILE | finwait -"),
];

/// The sentence for a file beginning with `first`, which came out of `inside`.
pub(super) fn describe(first: &[u8], inside: Option<Compression>) -> String {
    let begins = |entry: &&(&[u8], &str)| first.starts_with(entry.0);
    let capture = OTHER_CAPTURES.iter().find(begins).map(|entry| entry.1).or_else(|| erf(first));
    if let Some(capture) = capture {
        return format!("{capture}, which is not read here; convert it, as in: editcap -F pcapng FILE new.pcapng");
    }
    if let Some((_, what)) = PACKED.iter().find(begins) {
        return format!("not a capture but {what}");
    }
    if is_printed(first) {
        return "text, as tcpdump prints it; a capture is what tcpdump -w FILE writes".to_owned();
    }
    let bytes = first.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    match inside {
        None => {
            format!("not a capture (first bytes {bytes}; pcap, pcapng, snoop, gzip, zstd, lz4, xz, bzip2 are known)")
        }
        Some(inside) => {
            format!("the {inside} data hold no capture (first bytes {bytes}; pcap, pcapng and snoop are known)")
        }
    }
}

/// Endace's format has no magic number: a timestamp of 2^-32 s in little-endian order, a type, flags, two lengths. A record of a
/// known type and a sound length, stamped between 1995 and 2038, is one.
fn erf(first: &[u8]) -> Option<&'static str> {
    let &[_, _, _, _, s0, s1, s2, s3, kind, _flags, r0, r1, _, _, w0, w1] = first.first_chunk::<LOOKED_AT>()?;
    let seconds = u32::from_le_bytes([s0, s1, s2, s3]);
    let (record, wire) = (u16::from_be_bytes([r0, r1]), u16::from_be_bytes([w0, w1]));
    let sound = (0x2f00_0000..0x8000_0000).contains(&seconds)
        && (1..=48).contains(&(kind & 0x7f))
        && (24..0x4000).contains(&record)
        && record.is_multiple_of(8)
        && (14..0x4000).contains(&wire);
    sound.then_some("an ERF capture, it seems")
}

/// `10:42:07.123456 IP …`.
fn is_printed(first: &[u8]) -> bool {
    let is_like = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
    const LIKE: &[u8] = b"00:00:00.000000 ";
    first.len() == LIKE.len() && first.iter().zip(LIKE).all(is_like)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_of_other_programs_are_named_with_the_way_to_convert_them() {
        for (first, name) in OTHER_CAPTURES {
            assert!(first.len() <= LOOKED_AT, "{name}");
            let said = describe(first, None);
            assert!(said.starts_with(name) && said.ends_with("editcap -F pcapng FILE new.pcapng"), "{said}");
        }
        let erf = [0, 0, 0, 0, 0, 0, 0, 0x65, 2, 4, 0, 80, 0, 0, 0, 60];
        assert!(describe(&erf, None).starts_with("an ERF capture"), "{}", describe(&erf, None));
    }

    #[test]
    fn what_is_packed_otherwise_or_printed_is_told() {
        assert_eq!(describe(b"PK\x03\x04....", None), "not a capture but a zip archive; unpack it first");
        assert!(describe(b"10:42:07.123456 ", None).contains("tcpdump -w FILE"));
        assert!(describe(b"10:42:07 nothing", None).starts_with("not a capture"));
    }

    #[test]
    fn anything_else_is_shown_by_its_first_bytes() {
        assert!(describe(b"", None).starts_with("not a capture (first bytes ;"));
        assert!(describe(b"# Notes of ours..", None).starts_with("not a capture (first bytes 23 20 4e 6f;"));
    }
}
