//! Packets out. In: packets of any source. Out: a pcapng file of one section, with nanoseconds and drop counters.

use std::io::{self, Write};

use super::info::Interface as Described;
use super::{LinkType, Packet};

const SECTION: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const NOT_KNOWN: u64 = u64::MAX;

/// What the tap says it did with packets, for the file's last blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapCounters {
    /// Packets that passed the filter.
    pub received: u64,
    /// Dropped by the system for want of room in the capture's buffer.
    pub dropped_by_system: u64,
    /// Dropped by the interface or its driver.
    pub dropped_by_interface: u64,
}

/// Writes packets to a pcapng file (draft-ietf-opsawg-pcapng 1.0, little-endian). An interface is described for each
/// link type and snap length met. What it writes is whole after every packet, so a file cut short by a crash loses only
/// what lay in buffers.
pub struct PcapngWriter<W: Write> {
    out: W,
    /// Decimal places of a second of each interface that is described.
    interfaces: Vec<u8>,
    /// Those that packets of a tap brought with them: link type, snap length, number.
    met: Vec<(LinkType, u32, usize)>,
    last_ts: u64,
    block: Vec<u8>,
}

impl<W: Write> PcapngWriter<W> {
    /// Writes the section's header.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, interfaces: Vec::new(), met: Vec::new(), last_ts: 0, block: Vec::new() };
        let program = concat!("finwait ", env!("CARGO_PKG_VERSION"));
        writer.put(SECTION, |block| {
            block.extend(BYTE_ORDER_MAGIC.to_le_bytes());
            block.extend(1_u16.to_le_bytes());
            block.extend(0_u16.to_le_bytes());
            block.extend(NOT_KNOWN.to_le_bytes());
            put_option(block, 4, program.as_bytes());
            put_option(block, 0, &[]);
        })?;
        Ok(writer)
    }

    /// Writes one packet, of which `snaplen` bytes at most were kept (0: no limit).
    ///
    /// The format has neither times before 1970 nor enhanced packets without a time: the former become 1970, the latter
    /// get the time of the packet before them.
    ///
    /// # Errors
    /// Those of `out`, and `InvalidInput` for a packet longer than a block can be.
    pub fn write(&mut self, packet: &Packet<'_>, snaplen: u32) -> io::Result<()> {
        let known = self.met.iter().find(|(link, length, _)| (*link, *length) == (packet.link, snaplen));
        let interface = match known {
            Some((.., number)) => *number,
            None => {
                let interface = Described { name: None, snaplen: (snaplen > 0).then_some(snaplen), decimals: 9 };
                let number = self.describe(packet.link, &interface)?;
                self.met.push((packet.link, snaplen, number));
                number
            }
        };
        self.write_on(packet, interface)
    }

    /// Writes one packet of an interface that [`describe`](Self::describe) numbered; as [`write`](Self::write). Below the
    /// interface's decimal places its time is cut.
    ///
    /// # Errors
    /// As `write`, and `InvalidInput` for an interface that was not described.
    pub fn write_on(&mut self, packet: &Packet<'_>, interface: usize) -> io::Result<()> {
        let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
        let captured = u32::try_from(packet.data.len()).ok().filter(|len| *len < u32::MAX - 64);
        let captured = captured.ok_or_else(|| refused("packet too long"))?;
        let ticks = self.ticks(interface).ok_or_else(|| refused("unknown interface"))?;
        if let Some(ts) = packet.ts {
            self.last_ts = u64::try_from(ts.as_nanos()).unwrap_or(0);
        }
        let ts = self.last_ts / ticks;
        self.put(ENHANCED_PACKET, |block| {
            block.extend((interface as u32).to_le_bytes());
            put_time(block, ts);
            block.extend(captured.to_le_bytes());
            block.extend(packet.wire_len.to_le_bytes());
            block.extend(packet.data);
        })
    }

    /// Nanoseconds in a tick of an interface's clock.
    fn ticks(&self, interface: usize) -> Option<u64> {
        let decimals = *self.interfaces.get(interface)?;
        Some(10_u64.pow(9 - u32::from(decimals.min(9))))
    }

    /// Writes what the tap says of itself, flushes, and gives `out` back. The counters are those of the whole capture, so
    /// they go to the first interface.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self, counters: Option<TapCounters>) -> io::Result<W> {
        if let Some(counters) = counters
            && !self.interfaces.is_empty()
        {
            let ts = self.last_ts / self.ticks(0).unwrap_or(1);
            self.put(STATISTICS, |block| {
                block.extend(0_u32.to_le_bytes());
                put_time(block, ts);
                put_option(block, 4, &counters.received.to_le_bytes());
                put_option(block, 5, &counters.dropped_by_interface.to_le_bytes());
                put_option(block, 7, &counters.dropped_by_system.to_le_bytes());
                put_option(block, 0, &[]);
            })?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// Describes an interface whose packets begin with `link`, and gives it its number.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn describe(&mut self, link: LinkType, interface: &Described) -> io::Result<usize> {
        let decimals = interface.decimals.min(9);
        self.put(INTERFACE, |block| {
            block.extend(link.0.to_le_bytes());
            block.extend(0_u16.to_le_bytes());
            block.extend(interface.snaplen.unwrap_or(0).to_le_bytes());
            if let Some(name) = interface.name.as_deref().filter(|name| u16::try_from(name.len()).is_ok()) {
                put_option(block, 2, name.as_bytes());
            }
            put_option(block, 9, &[decimals]);
            put_option(block, 0, &[]);
        })?;
        self.interfaces.push(decimals);
        Ok(self.interfaces.len() - 1)
    }

    /// Writes a block in one piece: its type and length, what `body` adds, padding, its length again.
    fn put(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let block = &mut self.block;
        block.clear();
        block.extend(kind.to_le_bytes());
        block.extend([0; 4]);
        body(block);
        block.resize(block.len().next_multiple_of(4), 0);
        let length = (block.len() as u32 + 4).to_le_bytes();
        block.extend(length);
        if let Some(field) = block.get_mut(4..8) {
            field.copy_from_slice(&length);
        }
        self.out.write_all(block)
    }
}

/// The upper half comes first, whatever the byte order.
fn put_time(block: &mut Vec<u8>, nanos: u64) {
    block.extend(((nanos >> 32) as u32).to_le_bytes());
    block.extend((nanos as u32).to_le_bytes());
}

fn put_option(block: &mut Vec<u8>, code: u16, value: &[u8]) {
    block.extend(code.to_le_bytes());
    block.extend((value.len() as u16).to_le_bytes());
    block.extend(value);
    block.resize(block.len().next_multiple_of(4), 0);
}
