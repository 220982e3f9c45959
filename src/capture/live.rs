//! Packets from an interface, through libpcap. In: the interface's name and what to keep. Out: packets as they pass.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use pcap::{Active, Capture, Device, Error, Precision};

use super::error::{CaptureError, Problem};
use super::info::{Info, Seen};
use super::write::TapCounters;
use super::{LinkType, Packet, Polled, Source};
use crate::time::{NANOS_PER_SEC, Timestamp};

/// How long the kernel may collect packets before it hands them over, in milliseconds.
const HAND_OVER_MS: i32 = 50;
/// The longest wait of one call. libpcap's own waiting is of no use: on Linux it lasts until a packet comes, and nobody
/// could end a quiet capture by Ctrl-C or by its duration.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// Only Linux is sure to give nanoseconds when asked for them; elsewhere they are not asked for.
const NANOSECONDS: bool = cfg!(target_os = "linux");

/// What to capture.
#[derive(Clone, Debug)]
pub struct Options {
    /// The interface's name; `any` on Linux for all.
    pub interface: String,
    /// Bytes to keep of each packet at most.
    pub snaplen: u32,
    /// Also packets that are not for this machine.
    pub promiscuous: bool,
    /// A filter expression, as for tcpdump.
    pub filter: Option<String>,
    /// Room in the kernel for packets that wait to be read, in bytes.
    pub buffer: u32,
}

impl Options {
    /// The usual: whole packets (256 KiB, tcpdump's limit), promiscuous, no filter, 16 MiB of room.
    pub fn new(interface: impl Into<String>) -> Self {
        Self { interface: interface.into(), snaplen: 256 << 10, promiscuous: true, filter: None, buffer: 16 << 20 }
    }
}

/// An interface being captured on.
pub struct Live {
    name: String,
    capture: Capture<Active>,
    link: LinkType,
    snaplen: u32,
    /// Nanoseconds in a unit of libpcap's fraction.
    tick: i64,
    seen: Seen,
    bytes: u64,
    /// Calls without a packet since the last one.
    idle: u32,
    over: bool,
}

impl Live {
    /// Begins to capture.
    ///
    /// # Errors
    /// No such interface, no right, a filter that libpcap cannot compile, any other refusal in libpcap's words.
    pub fn open(options: &Options) -> Result<Self, CaptureError> {
        Self::begin(options).map_err(|problem| CaptureError::new(&options.interface, 0, problem))
    }

    fn begin(options: &Options) -> Result<Self, Problem> {
        let name = &options.interface;
        // `any` and some wireless cards know no promiscuous mode; libpcap calls that a warning, the crate an error.
        let opened = activate(options, options.promiscuous && name != "any")
            .or_else(|error| if options.promiscuous { activate(options, false) } else { Err(error) });
        let mut capture = opened.map_err(|error| refusal(name, &error))?;
        let link = LinkType::from_dlt(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
        if let Some(expression) = &options.filter {
            capture.filter(expression, true).map_err(|error| Problem::Filter {
                expression: expression.clone(),
                link,
                words: words(&error),
            })?;
        }
        Ok(Self {
            name: name.clone(),
            capture: capture.setnonblock().map_err(|error| refusal(name, &error))?,
            link,
            snaplen: options.snaplen,
            tick: if NANOSECONDS { 1 } else { 1_000 },
            seen: Seen::new(),
            bytes: 0,
            idle: 0,
            over: false,
        })
    }

    /// What its packets begin with.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Bytes kept of each packet at most.
    pub fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// What the system counted since the capture began; `None` when it does not tell.
    pub fn counters(&mut self) -> Option<TapCounters> {
        let stat = self.capture.stats().ok()?;
        Some(TapCounters {
            received: stat.received.into(),
            dropped_by_system: stat.dropped.into(),
            dropped_by_interface: stat.if_dropped.into(),
        })
    }
}

impl Source for Live {
    fn poll(&mut self) -> Result<Polled<'_>, CaptureError> {
        if self.over {
            return Ok(Polled::End);
        }
        match self.capture.next_packet() {
            Ok(packet) => {
                self.idle = 0;
                self.bytes += packet.data.len() as u64;
                #[allow(clippy::useless_conversion, reason = "32 bits wide on some systems")]
                let (seconds, fraction) = (i64::from(packet.header.ts.tv_sec), i64::from(packet.header.ts.tv_usec));
                let nanos = seconds.saturating_mul(NANOS_PER_SEC).saturating_add(fraction.saturating_mul(self.tick));
                let ts = Some(Timestamp::from_nanos(nanos));
                Ok(Polled::Packet(Packet {
                    ts,
                    number: self.seen.count(ts, self.link),
                    link: self.link,
                    interface: 0,
                    wire_len: packet.header.len,
                    data: packet.data,
                }))
            }
            Err(Error::TimeoutExpired) => {
                thread::sleep(Duration::from_millis(1 << self.idle.min(8)).min(LONGEST_WAIT));
                self.idle = self.idle.saturating_add(1);
                Ok(Polled::Quiet)
            }
            Err(Error::NoMorePackets) => {
                self.over = true;
                Ok(Polled::End)
            }
            Err(error) => {
                self.over = true;
                let problem = Problem::Interface { words: words(&error), midway: true };
                Err(CaptureError::new(&self.name, self.seen.packets, problem))
            }
        }
    }

    fn info(&mut self) -> Info {
        let dropped = |counters: TapCounters| counters.dropped_by_system.saturating_add(counters.dropped_by_interface);
        Info {
            path: self.name.clone(),
            format: "live".to_owned(),
            packets: self.seen.packets,
            bytes: self.bytes,
            first_ts: self.seen.first_ts(),
            last_ts: self.seen.last_ts(),
            link_types: self.seen.links(),
            drops: self.counters().map(dropped),
            snaplen: Some(self.snaplen),
        }
    }
}

/// An interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as [`Live::open`] takes it.
    pub name: String,
    /// What libpcap says of it.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// It is switched on.
    pub up: bool,
    /// It has a carrier.
    pub running: bool,
    /// It is the machine's own.
    pub loopback: bool,
    /// It is a radio.
    pub wireless: bool,
}

/// The interfaces of this machine, in libpcap's order: the likeliest first.
///
/// # Errors
/// libpcap cannot list them.
pub fn interfaces() -> Result<Vec<Interface>, CaptureError> {
    let refused =
        |error: Error| CaptureError::new("interfaces", 0, Problem::Interface { words: words(&error), midway: false });
    let devices = Device::list().map_err(refused)?;
    Ok(devices
        .into_iter()
        .map(|device| Interface {
            up: device.flags.is_up(),
            running: device.flags.is_running(),
            loopback: device.flags.is_loopback(),
            wireless: device.flags.is_wireless(),
            name: device.name,
            description: device.desc,
            addresses: device.addresses.into_iter().map(|address| address.addr).collect(),
        })
        .collect())
}

/// Whether one may capture on `interface`: opens it and closes it again.
///
/// # Errors
/// As [`Live::open`].
pub fn may_capture(interface: &str) -> Result<(), CaptureError> {
    Live::open(&Options { promiscuous: false, ..Options::new(interface) }).map(drop)
}

fn activate(options: &Options, promiscuous: bool) -> Result<Capture<Active>, Error> {
    let clamp = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let inactive = Capture::from_device(options.interface.as_str())?
        .snaplen(clamp(options.snaplen))
        .buffer_size(clamp(options.buffer))
        .promisc(promiscuous)
        .timeout(HAND_OVER_MS);
    if NANOSECONDS { inactive.precision(Precision::Nano) } else { inactive }.open()
}

/// Why libpcap refused `name`. The crate passes on its words only, not its codes.
fn refusal(name: &str, error: &Error) -> Problem {
    let known = interfaces().unwrap_or_default();
    if !known.is_empty() && !known.iter().any(|interface| interface.name == name) {
        // libpcap also lists what is switched off and what is no network at all.
        let there = known.into_iter().filter(|interface| interface.up).map(|interface| interface.name).collect();
        return Problem::NoInterface { there };
    }
    let words = words(error);
    if ["ermission", "ermitted", "CAP_NET_RAW"].iter().any(|sign| words.contains(sign)) {
        let program = std::env::current_exe().map_or_else(|_| "finwait".to_owned(), |path| path.display().to_string());
        return Problem::NoRight { program };
    }
    Problem::Interface { words, midway: false }
}

/// libpcap's words without the crate's frame around them.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::PcapError(words) => words.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_refused_with_those_that_are() {
        let Err(error) = Live::open(&Options::new("no-such-if0")) else {
            panic!("opened an interface that is not there")
        };
        let text = error.to_string();
        assert!(text.starts_with("no-such-if0: no such interface; there are: "), "{text}");
        assert_eq!(error.packets_read(), 0);
    }

    #[test]
    #[allow(clippy::disallowed_macros)] // for whoever runs the test; no user sees it
    fn a_bad_filter_is_refused_in_the_words_of_libpcap() {
        let options = Options { filter: Some("tcp prot 80".to_owned()), ..Options::new("lo") };
        match Live::open(&options).map_err(|error| error.to_string()) {
            Ok(_) => panic!("took a filter that is none"),
            Err(text) if text.contains("no right to capture") => eprintln!("skipped: {text}"),
            Err(text) => {
                assert!(text.starts_with("lo: the filter \"tcp prot 80\" does not fit Ethernet: "), "{text}");
                assert!(text.contains("syntax error"), "{text}");
            }
        }
    }

    #[test]
    #[allow(clippy::disallowed_macros)] // for whoever runs the test; no user sees it
    fn a_quiet_interface_says_so_soon_and_a_busy_one_gives_packets() {
        let options = Options { filter: Some("udp and dst port 47819".to_owned()), ..Options::new("lo") };
        let mut live = match Live::open(&options) {
            Ok(live) => live,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        assert!(matches!(live.poll(), Ok(Polled::Quiet)));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"hello, tap", "127.0.0.1:47819").unwrap();
        let mut data = None;
        for _ in 0..1_000 {
            if let Polled::Packet(packet) = live.poll().unwrap() {
                assert_eq!((packet.number, packet.link), (1, LinkType::ETHERNET));
                assert!(packet.ts.is_some_and(|ts| ts.as_nanos() > 1_500_000_000 * NANOS_PER_SEC));
                data = Some(packet.data.to_vec());
                break;
            }
        }
        assert!(data.is_some_and(|data| data.ends_with(b"hello, tap")));
        let info = live.info();
        assert_eq!((info.format.as_str(), info.packets, info.drops), ("live", 1, Some(0)));
    }
}
