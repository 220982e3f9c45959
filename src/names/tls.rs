//! TLS hellos. In: records from the start of a segment, as far as they are there. Out: what is asked for, what is chosen, and whether
//! application data follows.
//!
//! A hello that snaplen has cut, or whose rest is in another segment, tells what it has told so far.

use std::borrow::Cow;
use std::sync::Arc;

use nom::bytes::complete::take;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u24};
use nom::{IResult, Parser};

use super::mark::TlsVersion;
use super::text;

// Record types (RFC 8446 5.1).
const CHANGE_CIPHER_SPEC: u8 = 0x14;
const APPLICATION_DATA: u8 = 0x17;
const HANDSHAKE: u8 = 0x16;

// Handshake messages (RFC 8446 4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

// Extensions.
/// RFC 6066 3.
const SERVER_NAME: u16 = 0;
/// RFC 7301 3.1.
const ALPN: u16 = 16;
/// RFC 8446 4.2.10.
const EARLY_DATA: u16 = 42;
/// RFC 8446 4.2.1.
const SUPPORTED_VERSIONS: u16 = 43;

/// A ServerHello with this for a random number asks for another ClientHello (RFC 8446 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Longest record body: 2^14 and what encryption may add (RFC 5246 6.2.3).
const LONGEST_RECORD: u16 = (1 << 14) + 2_048;
/// A hello's header, version and random number: without them it is none yet.
const LEAST: usize = 4 + 34;
/// Longest hello that is read; real ones have two thousand bytes.
pub const LONGEST: usize = 1 << 14;
/// Records of a segment that are looked at; larger numbers are no beginning.
const RECORDS: usize = 32;
/// Protocols of an ALPN list that are told.
const PROTOCOLS: usize = 16;

/// What records tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// A hello, and whether all of it is there.
    pub hello: Option<(Hello, bool)>,
    /// A ClientHello begins here and goes on behind these bytes.
    pub goes_on: bool,
    /// A record of application data is among them, or of what TLS 1.3 disguises as such.
    pub data: bool,
}

/// A hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// The client's.
    Client {
        /// The host that is asked for.
        name: Option<Arc<str>>,
        /// The protocols that are offered, separated by commas.
        alpn: Option<Arc<str>>,
        /// Data may follow before the server has answered (RFC 8446 2.3).
        early_data: bool,
    },
    /// The server's.
    Server {
        /// `None` if that part of it is missing, or for a version that nobody knows.
        version: Option<TlsVersion>,
        /// The protocol that was chosen, where that is not encrypted.
        alpn: Option<Arc<str>>,
    },
    /// The server asks for another ClientHello.
    Retry,
}

type Parsed<'a, T> = IResult<&'a [u8], T>;

/// Bytes behind a length of one byte, or of two (RFC 8446 3.4).
fn vec8(bytes: &[u8]) -> Parsed<'_, &[u8]> {
    length_data(be_u8).parse(bytes)
}

fn vec16(bytes: &[u8]) -> Parsed<'_, &[u8]> {
    length_data(be_u16).parse(bytes)
}

/// A record: its type and its body, which may be cut.
struct Record<'a> {
    kind: u8,
    body: &'a [u8],
    whole: bool,
}

fn record(bytes: &[u8]) -> Option<(&[u8], Record<'_>)> {
    let header = |bytes| -> Parsed<'_, _> {
        let (bytes, kind) = be_u8(bytes)?;
        let (bytes, version) = be_u16(bytes)?;
        let (bytes, len) = be_u16(bytes)?;
        Ok((bytes, (kind, version, len)))
    };
    let (bytes, (kind, version, len)) = header(bytes).ok()?;
    let is_record = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind)
        && (0x0300..=0x0304).contains(&version)
        && (1..=LONGEST_RECORD).contains(&len);
    let whole = bytes.len() >= usize::from(len);
    let (body, rest) = bytes.split_at_checked(len.into()).unwrap_or((bytes, &[]));
    is_record.then_some((rest, Record { kind, body, whole }))
}

/// Reads records from the start of a segment.
pub fn told(mut bytes: &[u8]) -> Told {
    let mut told = Told::default();
    // A message may be spread over records.
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    for _ in 0..RECORDS {
        let Some((rest, record)) = record(bytes) else { break };
        bytes = rest;
        match record.kind {
            APPLICATION_DATA => {
                told.data = true;
                break;
            }
            HANDSHAKE if told.hello.as_ref().is_none_or(|hello| !hello.1) => {
                if message.is_empty() {
                    message = Cow::Borrowed(record.body);
                } else {
                    message.to_mut().extend_from_slice(record.body);
                }
                told.hello = hello(&message);
                told.goes_on = match &told.hello {
                    Some((Hello::Client { .. }, whole)) => !whole,
                    Some(_) => false,
                    None => message.len() < LEAST && message.first() == Some(&CLIENT_HELLO),
                };
                if told.hello.is_none() && !told.goes_on {
                    // What is encrypted already, or another message.
                    message = Cow::Borrowed(&[]);
                }
            }
            _ => {}
        }
        if !record.whole {
            break;
        }
    }
    told
}

/// A hello at the start of `bytes`, and whether all of it is there.
fn hello(bytes: &[u8]) -> Option<(Hello, bool)> {
    let header = |bytes| -> Parsed<'_, _> {
        let (bytes, kind) = be_u8(bytes)?;
        let (bytes, len) = be_u24(bytes)?;
        Ok((bytes, (kind, len as usize)))
    };
    let (body, (kind, len)) = header(bytes).ok()?;
    if !(LEAST..LONGEST).contains(&len) {
        return None;
    }
    let whole = body.len() >= len;
    let body = body.get(..len).unwrap_or(body);
    let hello = match kind {
        CLIENT_HELLO => client(body)?,
        SERVER_HELLO => server(body, whole)?,
        _ => return None,
    };
    Some((hello, whole))
}

/// The version and the random number that both hellos begin with.
fn opening(bytes: &[u8]) -> Parsed<'_, (u16, &[u8])> {
    let (bytes, version) = be_u16(bytes)?;
    let (bytes, random) = take(32_usize)(bytes)?;
    Ok((bytes, (version, random)))
}

fn client(body: &[u8]) -> Option<Hello> {
    let (rest, (version, _)) = opening(body).ok()?;
    (0x0300..=0x0303).contains(&version).then_some(())?;
    let (mut name, mut alpn, mut early_data) = (None, None, false);
    let middle = |bytes| -> Parsed<'_, (&[u8], &[u8])> {
        let (bytes, session) = vec8(bytes)?;
        let (bytes, suites) = vec16(bytes)?;
        let (bytes, _compression) = vec8(bytes)?;
        Ok((bytes, (session, suites)))
    };
    // Encrypted bytes look like a hello once in very many times; its lengths then do not fit.
    if rest.first().is_some_and(|&session| session > 32) {
        return None;
    }
    if let Ok((rest, (_, suites))) = middle(rest) {
        (!suites.is_empty() && suites.len().is_multiple_of(2)).then_some(())?;
        for (kind, data) in extensions(rest).0 {
            match kind {
                SERVER_NAME => name = name.or_else(|| server_name(data)),
                ALPN => alpn = alpn.or_else(|| protocols(data)),
                EARLY_DATA => early_data = true,
                _ => {}
            }
        }
    }
    Some(Hello::Client { name, alpn, early_data })
}

fn server(body: &[u8], whole: bool) -> Option<Hello> {
    let (rest, (legacy, random)) = opening(body).ok()?;
    (0x0300..=0x0303).contains(&legacy).then_some(())?;
    if random == RETRY {
        return Some(Hello::Retry);
    }
    let middle = |bytes| -> Parsed<'_, u8> {
        let (bytes, _session) = vec8(bytes)?;
        let (bytes, _suite) = be_u16(bytes)?;
        be_u8(bytes)
    };
    let Ok((rest, compression)) = middle(rest) else {
        return (!whole).then_some(Hello::Server { version: None, alpn: None });
    };
    // None, or DEFLATE (RFC 3749).
    (compression < 2).then_some(())?;
    let (mut selected, mut alpn) = (None, None);
    let (all, complete) = extensions(rest);
    for (kind, data) in all {
        match kind {
            SUPPORTED_VERSIONS => selected = data.first_chunk::<2>().map(|version| u16::from_be_bytes(*version)),
            ALPN => alpn = alpn.or_else(|| protocols(data)),
            _ => {}
        }
    }
    let version = match selected.unwrap_or(legacy) {
        0x0301 => Some(TlsVersion::Tls10),
        0x0302 => Some(TlsVersion::Tls11),
        // With an extension missing it may be 1.3.
        0x0303 if complete => Some(TlsVersion::Tls12),
        0x0304 => Some(TlsVersion::Tls13),
        _ => None,
    };
    Some(Hello::Server { version, alpn })
}

/// The extensions that are there in whole, and whether these are all.
fn extensions(bytes: &[u8]) -> (Vec<(u16, &[u8])>, bool) {
    // Before TLS 1.3 a hello need not have any.
    let read: Parsed<'_, u16> = be_u16(bytes);
    let Ok((rest, len)) = read else {
        return (Vec::new(), bytes.is_empty());
    };
    let mut complete = rest.len() >= usize::from(len);
    let mut rest = rest.get(..len.into()).unwrap_or(rest);
    let extension = |bytes| -> Parsed<'_, (u16, &[u8])> {
        let (bytes, kind) = be_u16(bytes)?;
        let (bytes, data) = vec16(bytes)?;
        Ok((bytes, (kind, data)))
    };
    let mut all = Vec::new();
    while let Ok((behind, found)) = extension(rest) {
        all.push(found);
        rest = behind;
    }
    complete &= rest.is_empty();
    (all, complete)
}

/// The first host name of the list (RFC 6066 3).
fn server_name(data: &[u8]) -> Option<Arc<str>> {
    let name = |bytes| -> Parsed<'_, (u8, &[u8])> {
        let (bytes, kind) = be_u8(bytes)?;
        let (bytes, name) = vec16(bytes)?;
        Ok((bytes, (kind, name)))
    };
    let (_, mut list) = vec16(data).ok()?;
    while let Ok((rest, (kind, found))) = name(list) {
        if kind == 0 {
            return text::host(found);
        }
        list = rest;
    }
    None
}

/// The protocols of the list (RFC 7301 3.1), without those that only keep servers honest (GREASE, RFC 8701).
fn protocols(data: &[u8]) -> Option<Arc<str>> {
    let (_, mut list) = vec16(data).ok()?;
    let mut all: Vec<Arc<str>> = Vec::new();
    while let Ok((rest, protocol)) = vec8(list) {
        let grease = matches!(protocol, [high, low] if high == low && high & 0x0f == 0x0a);
        if !grease && all.len() < PROTOCOLS {
            all.extend(text::safe(protocol));
        }
        list = rest;
    }
    text::safe(all.join(",").as_bytes())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn short(bytes: &[u8]) -> Vec<u8> {
        [&[bytes.len() as u8], bytes].concat()
    }

    fn long(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &long(data)].concat()
    }

    pub fn in_record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3][..], &long(body)].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &long(body)].concat()
    }

    pub fn sni(name: &[u8]) -> Vec<u8> {
        extension(SERVER_NAME, &long(&[&[0], &long(name)[..]].concat()))
    }

    pub fn alpn(all: &[&[u8]]) -> Vec<u8> {
        extension(ALPN, &long(&all.iter().flat_map(|one| short(one)).collect::<Vec<_>>()))
    }

    /// A key share as long as a post-quantum one.
    pub fn key_share(len: usize) -> Vec<u8> {
        extension(51, &vec![0x5a; len])
    }

    pub fn client_message(extensions: &[Vec<u8>]) -> Vec<u8> {
        let fixed = [&[3, 3][..], &[7; 32], &short(&[9; 32]), &long(&[0x13, 1, 0x13, 2]), &short(&[0])].concat();
        message(CLIENT_HELLO, &[fixed, long(&extensions.concat())].concat())
    }

    pub fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        in_record(HANDSHAKE, &client_message(extensions))
    }

    pub fn server_hello(random: [u8; 32], extensions: &[Vec<u8>]) -> Vec<u8> {
        let fixed = [&[3, 3][..], &random, &short(&[9; 32]), &[0x13, 1, 0]].concat();
        in_record(HANDSHAKE, &message(SERVER_HELLO, &[fixed, long(&extensions.concat())].concat()))
    }

    pub fn chosen_13() -> Vec<u8> {
        extension(SUPPORTED_VERSIONS, &[3, 4])
    }

    pub fn retry() -> Vec<u8> {
        server_hello(RETRY, &[chosen_13()])
    }

    pub fn early_data() -> Vec<u8> {
        extension(EARLY_DATA, &[])
    }

    fn client_of(told: Told) -> (Option<String>, Option<String>, bool) {
        match told.hello {
            Some((Hello::Client { name, alpn, .. }, whole)) => {
                (name.map(|name| name.to_string()), alpn.map(|alpn| alpn.to_string()), whole)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_client_hello_tells_the_server_name_and_the_protocols() {
        let hello = client_hello(&[key_share(40), sni(b"Www.Example.com"), alpn(&[&[0x2a, 0x2a], b"h2", b"http/1.1"])]);
        let got = client_of(told(&hello));
        assert_eq!(got, (Some("www.example.com".into()), Some("h2,http/1.1".into()), true));
        assert_eq!(client_of(told(&client_hello(&[sni(b"")]))), (None, None, true));
        assert_eq!(client_of(told(&client_hello(&[]))), (None, None, true));
        let idn = client_hello(&[sni("b\u{fc}cher\u{202e}.example\u{1b}[m\n".as_bytes())]);
        assert_eq!(client_of(told(&idn)).0.as_deref(), Some("b\u{fc}cher\u{fffd}.example\u{fffd}[m"));
        assert_eq!(client_of(told(&client_hello(&[sni(b"\xff\x00a")]))).0.as_deref(), Some("\u{fffd}\u{fffd}a"));
    }

    #[test]
    fn a_cut_hello_tells_what_is_there() {
        let hello = client_hello(&[sni(b"a.example"), key_share(1_200), alpn(&[b"h2"])]);
        let name_ends = hello.windows(9).position(|some| some == b"a.example").unwrap() + 9;
        for cut in 0..hello.len() {
            let told = told(&hello[..cut]);
            // Record header, message header, version, random number.
            assert_eq!(told.hello.is_some(), cut >= 43, "{cut}");
            if let Some((Hello::Client { name, alpn, .. }, whole)) = told.hello {
                assert_eq!((name.is_some(), alpn, whole), (cut >= name_ends, None, false), "{cut}");
            }
            assert_eq!(told.goes_on, cut >= 6, "{cut}");
        }
    }

    #[test]
    fn a_message_may_be_spread_over_records() {
        let message = client_message(&[sni(b"a.example"), alpn(&[b"h2"])]);
        for at in 1..message.len() {
            let records = [in_record(HANDSHAKE, &message[..at]), in_record(HANDSHAKE, &message[at..])].concat();
            let got = client_of(told(&records));
            assert_eq!(got, (Some("a.example".into()), Some("h2".into()), true), "{at}");
        }
    }

    #[test]
    fn a_server_hello_tells_the_version_and_in_1_2_the_protocol() {
        let server = |extensions: &[Vec<u8>]| told(&server_hello([1; 32], extensions)).hello.map(|hello| hello.0);
        let expected = |version, alpn: Option<&str>| Some(Hello::Server { version, alpn: alpn.map(Into::into) });
        assert_eq!(server(&[chosen_13()]), expected(Some(TlsVersion::Tls13), None));
        assert_eq!(server(&[alpn(&[b"h2"])]), expected(Some(TlsVersion::Tls12), Some("h2")));
        assert_eq!(server(&[]), expected(Some(TlsVersion::Tls12), None));
        assert_eq!(told(&retry()).hello, Some((Hello::Retry, true)));
        // Cut before the extensions end, 1.2 may be 1.3.
        let hello = server_hello([1; 32], &[alpn(&[b"h2"]), chosen_13()]);
        assert_eq!(told(&hello[..hello.len() - 2]).hello.map(|hello| hello.0), expected(None, Some("h2")));
    }

    #[test]
    fn application_data_is_found_behind_other_records() {
        let (ccs, data) = (in_record(CHANGE_CIPHER_SPEC, &[1]), in_record(APPLICATION_DATA, &[0; 50]));
        assert!(told(&[&ccs[..], &data].concat()).data && told(&data).data && told(&data[..9]).data);
        // A Finished of TLS 1.2: encrypted, no hello.
        let finished = in_record(HANDSHAKE, &[1; 40]);
        let both = told(&[&ccs[..], &finished, &data].concat());
        assert_eq!((both.hello, both.data), (None, true));
        assert_eq!(told(&ccs), Told::default());
    }

    #[test]
    fn hostile_lengths_end() {
        let mut hello = client_hello(&[sni(b"a.example"), alpn(&[b"h2"])]);
        for at in 0..hello.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let old = std::mem::replace(&mut hello[at], byte);
                told(&hello);
                hello[at] = old;
            }
        }
        for kind in [0x14, 0x16, 0x17] {
            told(&[kind, 3, 3, 0xff, 0xff]);
            told(&[kind, 3, 3, 0, 0].repeat(1_000));
        }
        assert_eq!(told(&[&[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[3; 90]].concat()).hello, None);
    }
}
