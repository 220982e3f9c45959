//! BPF on packets of any source. In: a filter expression, packets. Out: whether it lets them pass.

use super::{LinkType, Packet};
use machine::Program;

#[cfg(feature = "live")]
mod machine;

/// Without libpcap nothing compiles.
#[cfg(not(feature = "live"))]
mod machine {
    #[derive(Clone, Debug)]
    pub(super) enum Program {}

    impl Program {
        pub(super) fn passes(&self, _data: &[u8], _wire_len: u32) -> bool {
            match *self {}
        }
    }
}

/// A filter expression, as tcpdump takes it, compiled once for each link type that it meets. A packet of a link type that it
/// does not fit does not pass.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: String,
    /// The programs, or what libpcap said instead.
    programs: Vec<(LinkType, Result<Program, String>)>,
}

/// Link types that can do what others cannot: some expressions fit only one of them.
#[cfg(feature = "live")]
const VARIOUS: [LinkType; 8] = [
    LinkType::ETHERNET,
    LinkType::LINUX_SLL,
    LinkType::RAW,
    // 802.11 with radiotap, OpenBSD pf log, PPP with direction, SunATM, MTP2.
    LinkType(127),
    LinkType(117),
    LinkType(204),
    LinkType(123),
    LinkType(140),
];

impl Filter {
    /// Looks whether `expression` is one; it is compiled when packets come.
    ///
    /// # Errors
    /// libpcap's words if no link type can do with it, or that this build has no libpcap.
    pub fn new(expression: impl Into<String>) -> Result<Self, String> {
        let expression = expression.into();
        is_sound(&expression)?;
        Ok(Self { expression, programs: Vec::new() })
    }

    /// What was asked for.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether `packet` passes. As in libpcap, what snaplen cut away cannot be looked at, and `len`, `less`, `greater` mean the
    /// length on the wire.
    #[inline]
    pub fn passes(&mut self, packet: &Packet<'_>) -> bool {
        let known = self.programs.iter().position(|(link, _)| *link == packet.link);
        let program = match known.and_then(|index| self.programs.get(index)) {
            Some((_, program)) => program,
            None => self.meet(packet.link),
        };
        program.as_ref().is_ok_and(|program| program.passes(packet.data, packet.wire_len))
    }

    /// The link types met that it does not fit, with libpcap's words.
    pub fn unfit(&self) -> impl Iterator<Item = (LinkType, &str)> {
        self.programs.iter().filter_map(|(link, program)| Some((*link, program.as_ref().err()?.as_str())))
    }

    /// A sentence for the user if packets came and it fits none of their link types.
    pub fn misfit(&self) -> Option<String> {
        let (link, words) = self.unfit().next()?;
        let fits_none = self.unfit().count() == self.programs.len();
        fits_none.then(|| format!("--bpf '{}' does not fit {}: {words}", self.expression, link.name()))
    }

    #[cold]
    fn meet(&mut self, link: LinkType) -> &Result<Program, String> {
        let program = compile(&self.expression, link);
        let (_, program) = self.programs.push_mut((link, program));
        program
    }
}

#[cfg(feature = "live")]
fn is_sound(expression: &str) -> Result<(), String> {
    let mut first = None;
    for link in VARIOUS {
        match compile(expression, link) {
            Ok(_) => return Ok(()),
            // Asking for a name takes time, and the answer is the same on every link.
            Err(words) if words.contains("unknown host") => return Err(words),
            Err(words) => first = first.or(Some(words)),
        }
    }
    first.map_or(Ok(()), Err)
}

#[cfg(feature = "live")]
fn compile(expression: &str, link: LinkType) -> Result<Program, String> {
    use super::live::words;
    use pcap::{Capture, Linktype};

    let compiled = Capture::dead(Linktype(link.to_dlt().into()))
        .and_then(|handle| handle.compile(expression, true))
        .map_err(|error| words(&error))?;
    // The crate shows an instruction only as `tcpdump -ddd` does: its four numbers.
    let numbers = |shown: String| -> Option<[u32; 4]> {
        let numbers: Vec<u32> = shown.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        numbers.try_into().ok()
    };
    let instructions = compiled.get_instructions().iter().map(|instruction| numbers(instruction.to_string()));
    let program = instructions.collect::<Option<Vec<_>>>().and_then(Program::new);
    program.ok_or_else(|| "libpcap compiled it to something that is no filter program".to_owned())
}

#[cfg(not(feature = "live"))]
const WITHOUT: &str = "this build has no libpcap, which filter expressions need: build finwait with the feature `live`";

#[cfg(not(feature = "live"))]
fn is_sound(_expression: &str) -> Result<(), String> {
    Err(WITHOUT.to_owned())
}

#[cfg(not(feature = "live"))]
fn compile(_expression: &str, _link: LinkType) -> Result<Program, String> {
    Err(WITHOUT.to_owned())
}

#[cfg(all(test, not(feature = "live")))]
mod tests_without {
    #[test]
    fn a_build_without_libpcap_says_so() {
        assert!(super::Filter::new("tcp").unwrap_err().contains("`live`"));
    }
}

#[cfg(all(test, feature = "live"))]
mod tests {
    use super::*;
    use pcap::{Capture, Linktype};
    use proptest::prelude::*;

    /// Ethernet, IPv4, TCP to port 443.
    const TCP: [u8; 54] = {
        let mut frame = [0; 54];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[17] = 40;
        frame[23] = 6;
        frame[36] = 1;
        frame[37] = 0xbb;
        frame
    };

    fn packet(link: LinkType, data: &[u8]) -> Packet<'_> {
        Packet { ts: None, number: 1, link, interface: 0, wire_len: data.len() as u32, data }
    }

    #[test]
    fn one_expression_serves_every_link_type() {
        let mut filter = Filter::new("tcp dst port 443").unwrap();
        assert!(filter.passes(&packet(LinkType::ETHERNET, &TCP)));
        assert!(filter.passes(&packet(LinkType::RAW, &TCP[14..])));
        assert!(!filter.passes(&packet(LinkType::RAW, &TCP)));
        assert!(!filter.passes(&packet(LinkType::ETHERNET, &TCP[..20])));
        assert_eq!(filter.programs.len(), 2);
        assert_eq!(filter.misfit(), None);
    }

    #[test]
    fn an_expression_that_does_not_fit_a_link_type_says_which() {
        let mut filter = Filter::new("ether host 00:11:22:33:44:55").unwrap();
        assert!(!filter.passes(&packet(LinkType::RAW, &TCP[14..])));
        let said = filter.misfit().unwrap();
        assert!(said.starts_with("--bpf 'ether host 00:11:22:33:44:55' does not fit raw IP: "), "{said}");
        filter.passes(&packet(LinkType::ETHERNET, &TCP));
        assert_eq!(filter.misfit(), None);
        assert_eq!(filter.unfit().map(|(link, _)| link).collect::<Vec<_>>(), [LinkType::RAW]);
    }

    #[test]
    fn a_mistake_is_told_in_the_words_of_libpcap() {
        assert!(Filter::new("tcp prot 80").unwrap_err().contains("syntax error"));
        assert!(Filter::new("port 65536").unwrap_err().contains("65536"));
    }

    #[test]
    fn what_one_link_type_alone_can_do_is_no_mistake() {
        assert!(Filter::new("wlan type mgt").is_ok());
        assert!(Filter::new("inbound").is_ok());
        assert!(Filter::new("").is_ok());
    }

    #[test]
    fn lengths_are_those_of_the_wire() {
        let mut filter = Filter::new("greater 1000 and tcp").unwrap();
        assert!(filter.passes(&Packet { wire_len: 1_000, ..packet(LinkType::ETHERNET, &TCP) }));
        assert!(!filter.passes(&Packet { wire_len: 999, ..packet(LinkType::ETHERNET, &TCP) }));
    }

    /// Expressions whose programs use every kind of instruction between them.
    const VARIED: [&str; 12] = [
        "tcp port 443",
        "net 10.0.0.0/8 and not udp",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "ip6 host 2001:db8::1 or vlan 7 and tcp",
        "len - 10 * 2 / 3 % 7 > ip[0] << 2 ^ 5 | 3",
        "ether[0] & 1 = 0 and ip[16] >= 224",
        "ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0",
        "ip protochain 6",
        "ip6 protochain 6",
        "less 60 or greater 100",
        "-ip[8] > 5 and ip[len - 40] = 6",
        "mpls 1 and tcp",
    ];

    proptest! {
        #[test]
        fn the_machine_agrees_with_libpcap(
            which in 0..VARIED.len(), raw: bool, keep in 0..=54_usize, changes in prop::collection::vec((0..54_usize, any::<u8>()), 0..6),
        ) {
            let mut frame = TCP;
            for (at, byte) in changes {
                frame[at] = byte;
            }
            let link = if raw { LinkType::RAW } else { LinkType::ETHERNET };
            let data = &frame[if raw { 14.min(keep) } else { 0 }..keep];
            let ours = compile(VARIED[which], link);
            let theirs = Capture::dead(Linktype(link.to_dlt().into())).unwrap().compile(VARIED[which], true);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok());
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours.passes(data, data.len() as u32), theirs.filter(data));
            }
        }
    }
}
