//! May a payload begin with something that has a name in it? In: its first bytes. Out: what to try.
//!
//! Asked of every segment, so the first answer takes one byte.

/// What a payload may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// A TLS record.
    Tls,
    /// An HTTP request or HTTP/2's preface.
    Request,
    /// An HTTP response.
    Response,
    /// An SSH banner, or lines in front of one.
    Ssh,
}

/// A first byte that may lead to more.
const MAYBE: u8 = 1;
/// Any other printable one: lines in front of an SSH banner begin so.
const PRINTABLE: u8 = 2;

/// By first byte.
const FIRST: [u8; 256] = {
    let mut first = [0; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        first[byte as usize] = PRINTABLE;
        byte += 1;
    }
    let mut at = 0;
    while at < METHODS.len() {
        first[METHODS[at][0] as usize] = MAYBE;
        at += 1;
    }
    // Change cipher spec, alert, handshake, application data (RFC 8446 5.1); `HTTP` and `SSH-`.
    let others = [0x14, 0x15, 0x16, 0x17, b'H', b'S'];
    at = 0;
    while at < others.len() {
        first[others[at] as usize] = MAYBE;
        at += 1;
    }
    first
};

/// How requests begin (RFC 9110 9, RFC 5789), and HTTP/2's preface (RFC 9113 3.4).
const METHODS: [&[u8; 4]; 10] =
    [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"CONN", b"OPTI", b"TRAC", b"PATC", b"PRI "];

/// Is it worth to ask [`begins`]? False for nearly everything that is encrypted or binary.
#[inline(always)]
pub fn may_begin(payload: &[u8], first: u8) -> bool {
    match FIRST[first as usize] {
        0 => false,
        // A line in front of a banner ends where the segment ends, or the banner does.
        PRINTABLE => payload.last() == Some(&b'\n'),
        _ => true,
    }
}

/// What it may begin with.
pub fn begins(payload: &[u8]) -> Option<Begins> {
    let start = payload.first_chunk::<4>()?;
    match start {
        [0x14..=0x17, 3, 0..=4, _] => Some(Begins::Tls),
        b"HTTP" => Some(Begins::Response),
        b"SSH-" => Some(Begins::Ssh),
        _ if METHODS.contains(&start) => Some(Begins::Request),
        _ if super::ssh::may_have_line(payload) => Some(Begins::Ssh),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(payload: &[u8]) -> Option<Begins> {
        let first = *payload.first()?;
        if may_begin(payload, first) { begins(payload) } else { None }
    }

    #[test]
    fn what_has_a_name_is_found_by_its_first_bytes() {
        for (payload, expected) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], Some(Begins::Tls)),
            (b"\x14\x03\x03\x00\x01\x01", Some(Begins::Tls)),
            (b"\x17\x03\x03\x00\x20", Some(Begins::Tls)),
            (b"\x17\x04\x03\x00\x20", None),
            (b"GET / HTTP/1.1\r\n", Some(Begins::Request)),
            (b"PRI * HTTP/2.0\r\n", Some(Begins::Request)),
            (b"GETTING there", None),
            (b"HTTP/1.1 200 OK\r\n", Some(Begins::Response)),
            (b"SSH-2.0-x\r\n", Some(Begins::Ssh)),
            (b"welcome\r\nSSH-2.0-x\r\n", Some(Begins::Ssh)),
            (b"220 mail.example ESMTP\r\n", None),
            (b"GE", None),
            (b"", None),
        ] {
            assert_eq!(whole(payload), expected, "{payload:?}");
        }
    }

    #[test]
    fn most_bytes_lead_nowhere() {
        let maybe = (0..=255_u8).filter(|&first| may_begin(&[first, 0, 0, 0], first)).count();
        assert_eq!(maybe, 12);
    }
}
