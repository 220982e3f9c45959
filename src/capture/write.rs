//! Packets out. In: packets of any source. Out: a pcapng file of one section, with nanoseconds and drop counters.

use std::io::{self, Write};

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
    interfaces: Vec<(LinkType, u32)>,
    last_ts: u64,
    block: Vec<u8>,
}

impl<W: Write> PcapngWriter<W> {
    /// Writes the section's header.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, interfaces: Vec::new(), last_ts: 0, block: Vec::new() };
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
        let captured = u32::try_from(packet.data.len()).ok().filter(|len| *len < u32::MAX - 64);
        let captured = captured.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "packet too long"))?;
        let key = (packet.link, snaplen);
        let interface = match self.interfaces.iter().position(|known| *known == key) {
            Some(index) => index,
            None => self.describe(key)?,
        };
        if let Some(ts) = packet.ts {
            self.last_ts = u64::try_from(ts.as_nanos()).unwrap_or(0);
        }
        let ts = self.last_ts;
        self.put(ENHANCED_PACKET, |block| {
            block.extend((interface as u32).to_le_bytes());
            put_time(block, ts);
            block.extend(captured.to_le_bytes());
            block.extend(packet.wire_len.to_le_bytes());
            block.extend(packet.data);
        })
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
            let ts = self.last_ts;
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

    fn describe(&mut self, (link, snaplen): (LinkType, u32)) -> io::Result<usize> {
        self.put(INTERFACE, |block| {
            block.extend(link.0.to_le_bytes());
            block.extend(0_u16.to_le_bytes());
            block.extend(snaplen.to_le_bytes());
            put_option(block, 9, &[9]);
            put_option(block, 0, &[]);
        })?;
        self.interfaces.push((link, snaplen));
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
