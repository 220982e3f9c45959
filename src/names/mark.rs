//! What payloads told of a flow. In: marks, in the order of their segments. Out: what each connection is called.

use std::sync::Arc;

use crate::tcp::seq::SeqNum;
use crate::tcp::words::words;

words! {
    /// What a connection speaks, as its first bytes show.
    App {
        /// TLS (RFC 8446 and before).
        Tls = "tls",
        /// HTTP/1.0 or HTTP/1.1 (RFC 9112).
        Http = "http",
        /// HTTP/2 by prior knowledge (RFC 9113 3.3).
        Http2 = "http2",
        /// SSH (RFC 4253).
        Ssh = "ssh",
    }
}

words! {
    /// The version of TLS that a server chose.
    TlsVersion {
        /// TLS 1.0 (RFC 2246).
        Tls10 = "1.0",
        /// TLS 1.1 (RFC 4346).
        Tls11 = "1.1",
        /// TLS 1.2 (RFC 5246).
        Tls12 = "1.2",
        /// TLS 1.3 (RFC 8446).
        Tls13 = "1.3",
    }
}

/// What one side said of the service. The same thing said on many connections is kept once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// What it speaks.
    pub app: App,
    /// TLS: the server name; HTTP: the host; SSH: the banner.
    pub name: Option<Arc<str>>,
    /// ALPN (RFC 7301): offered by a client, separated by commas; chosen by a server.
    pub alpn: Option<Arc<str>>,
    /// Chosen by a server.
    pub version: Option<TlsVersion>,
}

/// What a payload told.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A ClientHello or a request.
    Asked(Arc<Name>),
    /// A ServerHello or a response.
    Answered(Arc<Name>),
    /// An SSH banner; both sides send one.
    Banner(Arc<Name>),
    /// A TLS handshake is complete.
    Secured {
        /// The place in the run of the segment that its ClientHello began in.
        began: u64,
        /// Nanoseconds since that segment.
        took: i64,
    },
}

/// What a segment's payload told of its flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The segment's place in the run.
    pub ordinal: u64,
    /// What it told.
    pub what: What,
}

/// How far into a side's stream a request or banner may stand: lines of a proxy or of an SSH server come before it. What looks
/// like one farther on is data.
const NEAR: u32 = 4_096;

impl Mark {
    /// Does it count only among the first bytes of a side? TLS may begin later (STARTTLS), and its hellos are not mistaken.
    pub fn is_of_beginning(&self) -> bool {
        match &self.what {
            What::Asked(name) | What::Answered(name) | What::Banner(name) => name.app != App::Tls,
            What::Secured { .. } => false,
        }
    }

    /// Is a payload at `seq` near the beginning of the stream whose SYN had the number `isn`?
    pub const fn is_near(isn: SeqNum, seq: SeqNum) -> bool {
        seq.ahead_of(isn.plus(1)) < NEAR
    }
}

/// Marks that a flow keeps: an ordinary one has three.
const MOST: usize = 16;

/// The marks of one flow, each with whether its segment went down.
#[derive(Clone, Debug, Default)]
pub struct Marks(Vec<(Mark, bool)>);

/// What a connection is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// What it speaks; `None` when its first bytes do not show.
    pub app: Option<App>,
    /// TLS server name, HTTP host, the server's SSH banner.
    pub name: Option<Arc<str>>,
    /// ALPN: chosen, or where that is encrypted, offered.
    pub alpn: Option<Arc<str>>,
    /// The version that the server chose.
    pub tls_version: Option<TlsVersion>,
    /// ClientHello → application data may flow.
    pub tls_handshake_ns: Option<i64>,
}

impl Marks {
    /// Takes the next one; of very many the first count.
    pub fn push(&mut self, mark: Mark, down: bool) {
        if self.0.len() < MOST {
            self.0.push((mark, down));
        }
    }

    /// Takes those out that were made before the segment at `ordinal`: another connection of the same addresses began there.
    pub fn before(&mut self, ordinal: u64) -> Self {
        let later = self.0.iter().position(|(mark, _)| mark.ordinal >= ordinal).unwrap_or(self.0.len());
        let rest = self.0.split_off(later);
        Self(std::mem::replace(&mut self.0, rest))
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they say of the connection that began at `first`, whose server sends `down`.
    pub fn called(&self, first: u64, server_down: bool) -> Called {
        let mut called = Called::default();
        let (mut offered, mut chosen) = (None, None);
        for (mark, down) in &self.0 {
            let (Mark { what, .. }, from_server) = (mark, *down == server_down);
            match what {
                What::Asked(name) => {
                    // Of a proxy and what is spoken through it, the first to speak is the service.
                    if *called.app.get_or_insert(name.app) == name.app {
                        called.name = called.name.or_else(|| name.name.clone());
                    }
                    offered = offered.or_else(|| name.alpn.clone());
                }
                What::Answered(name) => {
                    called.app.get_or_insert(name.app);
                    called.tls_version = called.tls_version.or(name.version);
                    chosen = chosen.or_else(|| name.alpn.clone());
                }
                What::Banner(name) => {
                    if *called.app.get_or_insert(name.app) == name.app && from_server {
                        called.name = called.name.or_else(|| name.name.clone());
                    }
                }
                What::Secured { began, took } => {
                    let own = *began >= first && *took >= 0;
                    called.tls_handshake_ns = called.tls_handshake_ns.or(own.then_some(*took));
                }
            }
        }
        // Before 1.3 the ServerHello has the choice, or there was none.
        let encrypted = called.tls_version.is_none_or(|version| version == TlsVersion::Tls13);
        called.alpn = chosen.or(offered.filter(|_| encrypted));
        called
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(app: App, name: &str, alpn: &str, version: Option<TlsVersion>) -> Arc<Name> {
        let text = |text: &str| (!text.is_empty()).then(|| Arc::<str>::from(text));
        Arc::new(Name { app, name: text(name), alpn: text(alpn), version })
    }

    fn marks(all: Vec<(What, bool)>) -> Marks {
        let mut marks = Marks::default();
        (10..).zip(all).for_each(|(ordinal, (what, down))| marks.push(Mark { ordinal, what }, down));
        marks
    }

    #[test]
    fn tls_is_called_what_the_client_asked_for() {
        let hello = What::Asked(name(App::Tls, "a.example", "h2,http/1.1", None));
        let answered = |alpn, version| What::Answered(name(App::Tls, "", alpn, version));
        for (answer, alpn) in [
            (answered("", Some(TlsVersion::Tls13)), Some("h2,http/1.1")),
            (answered("h2", Some(TlsVersion::Tls12)), Some("h2")),
            (answered("", Some(TlsVersion::Tls12)), None),
            (answered("", None), Some("h2,http/1.1")),
        ] {
            let secured = What::Secured { began: 10, took: 7 };
            let called = marks(vec![(hello.clone(), false), (answer, true), (secured, false)]).called(0, true);
            assert_eq!((called.app, called.name.as_deref()), (Some(App::Tls), Some("a.example")));
            assert_eq!((called.alpn.as_deref(), called.tls_handshake_ns), (alpn, Some(7)));
        }
    }

    #[test]
    fn ssh_is_called_as_its_server_says() {
        let banner = |text, down| (What::Banner(name(App::Ssh, text, "", None)), down);
        let both = marks(vec![banner("SSH-2.0-client", false), banner("SSH-2.0-server", true)]);
        assert_eq!(both.called(0, true).name.as_deref(), Some("SSH-2.0-server"));
        assert_eq!(both.called(0, false).name.as_deref(), Some("SSH-2.0-client"));
        let one = marks(vec![banner("SSH-2.0-client", false)]).called(0, true);
        assert_eq!((one.app, one.name), (Some(App::Ssh), None));
    }

    #[test]
    fn through_a_proxy_the_first_to_speak_is_the_service() {
        let called = marks(vec![
            (What::Asked(name(App::Http, "b.example:443", "", None)), false),
            (What::Asked(name(App::Tls, "b.example", "h2", None)), false),
        ])
        .called(0, true);
        assert_eq!((called.app, called.name.as_deref()), (Some(App::Http), Some("b.example:443")));
        assert_eq!(called.alpn.as_deref(), Some("h2"));
    }

    #[test]
    fn each_incarnation_has_its_own() {
        let mut all = marks(vec![
            (What::Asked(name(App::Http, "a.example", "", None)), false),
            (What::Asked(name(App::Http, "b.example", "", None)), false),
        ]);
        assert_eq!(all.before(11).called(0, true).name.as_deref(), Some("a.example"));
        assert_eq!(all.called(11, true).name.as_deref(), Some("b.example"));
        // A handshake that began in the connection before says nothing of this one.
        let late = marks(vec![(What::Secured { began: 3, took: 9 }, false)]);
        assert_eq!((late.called(4, true).tls_handshake_ns, late.called(3, true).tls_handshake_ns), (None, Some(9)));
    }

    #[test]
    fn a_flow_keeps_only_so_many() {
        let same = name(App::Http, "", "", None);
        assert_eq!(marks(vec![(What::Answered(same), true); 100]).0.len(), MOST);
    }
}
