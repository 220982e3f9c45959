//! BPF on packets of any source. In: a filter expression, packets. Out: whether it lets them pass.

use pcap::{BpfProgram, Capture, Linktype};

use super::error::Problem;
use super::live::words;
use super::{LinkType, Packet};

/// A filter expression, as tcpdump takes it, compiled once for each link type that it meets.
///
/// `len`, `less` and `greater` are judged by the bytes that were kept: libpcap is told of no others.
pub struct Filter {
    expression: String,
    programs: Vec<(LinkType, BpfProgram)>,
}

impl Filter {
    /// A filter that is compiled when the first packet comes.
    pub fn new(expression: impl Into<String>) -> Self {
        Self { expression: expression.into(), programs: Vec::new() }
    }

    /// Whether `packet` passes.
    ///
    /// # Errors
    /// The expression is none, or does not fit the packet's link type.
    pub fn passes(&mut self, packet: &Packet<'_>) -> Result<bool, Box<Problem>> {
        match self.programs.iter().find(|(link, _)| *link == packet.link) {
            Some((_, program)) => Ok(program.filter(packet.data)),
            None => Ok(self.compile(packet.link)?.filter(packet.data)),
        }
    }

    /// Compiles the expression for `link` ahead of its packets, so that a mistake is found before the work begins.
    ///
    /// # Errors
    /// As [`Filter::passes`].
    pub fn prepare(&mut self, link: LinkType) -> Result<(), Box<Problem>> {
        if self.programs.iter().any(|(known, _)| *known == link) {
            return Ok(());
        }
        self.compile(link).map(drop)
    }

    fn compile(&mut self, link: LinkType) -> Result<&BpfProgram, Box<Problem>> {
        let program = Capture::dead(Linktype(link.to_dlt().into()))
            .and_then(|handle| handle.compile(&self.expression, true))
            .map_err(|error| Problem::Filter { expression: self.expression.clone(), link, words: words(&error) })?;
        let (_, program) = self.programs.push_mut((link, program));
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut filter = Filter::new("tcp dst port 443");
        assert!(filter.passes(&packet(LinkType::ETHERNET, &TCP)).unwrap());
        assert!(filter.passes(&packet(LinkType::RAW, &TCP[14..])).unwrap());
        assert!(!filter.passes(&packet(LinkType::RAW, &TCP)).unwrap());
        assert!(!filter.passes(&packet(LinkType::ETHERNET, &TCP[..20])).unwrap());
        assert_eq!(filter.programs.len(), 2);
    }

    #[test]
    fn an_expression_that_does_not_fit_a_link_type_says_which() {
        let mut filter = Filter::new("ether host 00:11:22:33:44:55");
        filter.prepare(LinkType::ETHERNET).unwrap();
        let text = filter.prepare(LinkType::RAW).unwrap_err().to_string();
        assert!(text.starts_with("the filter \"ether host 00:11:22:33:44:55\" does not fit raw IP: "), "{text}");
    }

    #[test]
    fn a_mistake_is_told_in_the_words_of_libpcap() {
        let text = Filter::new("tcp prot 80").prepare(LinkType::ETHERNET).unwrap_err().to_string();
        assert!(text.contains("syntax error"), "{text}");
    }
}
