//! Requests of HTTP/1. In: the first bytes of one, as far as they are there. Out: whom it is for.

use std::sync::Arc;

use httparse::{EMPTY_HEADER, Error, Request, Status};

use super::text;

/// Headers that are read; `Host` stands among the first.
const HEADERS: usize = 64;
/// What a client that knows begins HTTP/2 with (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// HTTP/2's preface: the host is in a compressed header.
    Two,
    /// An HTTP/1 request, and its host as far as it is there.
    One(Option<Arc<str>>),
    /// It may become one.
    More,
    /// None.
    Other,
}

/// Reads a request; `more`: it may go on in another segment.
pub fn asked(bytes: &[u8], more: bool) -> Asked {
    if bytes.starts_with(b"PRI ") {
        let shown = PREFACE.get(..bytes.len()).unwrap_or(PREFACE);
        return if bytes.starts_with(PREFACE) || !more && bytes.starts_with(shown) { Asked::Two } else { Asked::Other };
    }
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = Request::new(&mut headers);
    let whole = match request.parse(bytes) {
        Ok(Status::Complete(_)) => true,
        Ok(Status::Partial) => false,
        // The first of them are there.
        Err(Error::TooManyHeaders) => true,
        Err(_) => return Asked::Other,
    };
    let (method, path, version) = (request.method, request.path, request.version);
    let (Some(method), Some(path), Some(_)) = (method, path, version) else {
        return if more && !whole { Asked::More } else { Asked::Other };
    };
    // CONNECT names its host and port; an absolute form overrides the header (RFC 9112 3.2).
    let target = if method == "CONNECT" { Some(path) } else { authority(path) };
    let header = || headers.iter().find(|header| header.name.eq_ignore_ascii_case("host")).map(|header| header.value);
    let host = target.map(str::as_bytes).or_else(header).and_then(text::host);
    if host.is_none() && !whole && more { Asked::More } else { Asked::One(host) }
}

/// The host, and the port if it has one, of an absolute URI (RFC 3986 3.2), without the user's name.
fn authority(path: &str) -> Option<&str> {
    let (scheme, rest) = path.split_once("://")?;
    if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// Does a response begin here?
pub fn is_response(bytes: &[u8]) -> bool {
    matches!(bytes, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', b'1'..=b'5', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<String> {
        match asked(text.as_bytes(), false) {
            Asked::One(host) => host.map(|host| host.to_string()),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn the_host_is_the_headers_or_the_targets() {
        assert_eq!(one("GET / HTTP/1.1\r\nHost: Example.com\r\n\r\n").as_deref(), Some("example.com"));
        assert_eq!(one("GET / HTTP/1.1\r\nA: b\r\nhOST:  a.example:8080 \r\n\r\n").as_deref(), Some("a.example:8080"));
        assert_eq!(one("GET / HTTP/1.0\r\n\r\n"), None);
        assert_eq!(one("GET http://u:p@b.example/x?y=://z HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("b.example"));
        assert_eq!(one("GET /?to=http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n").as_deref(), Some("a.example"));
        assert_eq!(one("CONNECT c.example:443 HTTP/1.1\r\nHost: d\r\n\r\n").as_deref(), Some("c.example:443"));
        assert_eq!(one("POST / HTTP/1.1\r\nHost:\r\n\r\n"), None);
        assert_eq!(one("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n").as_deref(), Some("[2001:db8::1]:80"));
    }

    #[test]
    fn a_cut_request_waits_for_its_host_and_no_longer() {
        let text = b"GET /long HTTP/1.1\r\nUser-Agent: x\r\nHost: a.example\r\nAccept: */*\r\n\r\nbody";
        let host_ends = text.windows(9).position(|some| some == b"\r\nAccept:").unwrap() + 2;
        for cut in 4..text.len() {
            let got = asked(&text[..cut], true);
            if cut < host_ends {
                assert_eq!(got, Asked::More, "{cut}");
            } else if cut > host_ends {
                assert_eq!(got, Asked::One(Some("a.example".into())), "{cut}");
            }
        }
        // Cut off for good, it is a request all the same.
        assert_eq!(asked(b"GET /long HTTP/1.1\r\nUser-", false), Asked::One(None));
        assert_eq!(asked(b"GET /lo", false), Asked::Other);
    }

    #[test]
    fn other_protocols_are_none() {
        for text in
            ["OPTIONS sip:x SIP/2.0\r\n\r\n", "OPTIONS rtsp://x RTSP/1.0\r\n\r\n", "GET a b c d\r\n", "POST\x00"]
        {
            assert_eq!(asked(text.as_bytes(), true), Asked::Other, "{text:?}");
        }
        assert!(is_response(b"HTTP/1.1 200 OK\r\n") && !is_response(b"HTTP/2 200") && !is_response(b"HTTPS"));
    }

    #[test]
    fn prior_knowledge_of_http_2_is_told() {
        assert_eq!(asked(PREFACE, true), Asked::Two);
        assert_eq!(asked(b"PRI * HTTP/1.1\r\n\r\n", true), Asked::Other);
        assert_eq!(asked(&PREFACE[..18], false), Asked::Two);
    }

    #[test]
    fn hostile_requests_end() {
        let many = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n", "x: y\r\n".repeat(1_000));
        assert_eq!(asked(many.as_bytes(), true), Asked::One(Some("a.example".into())));
        let evil = "GET / HTTP/1.1\r\nHost: a\x1b]0;x\x07\r\n\r\n";
        assert!(!format!("{:?}", asked(evil.as_bytes(), true)).contains("\\u{1b}"));
    }
}
