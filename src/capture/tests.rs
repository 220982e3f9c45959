//! Tests of the readers through [`Savefile`]: bytes built by hand in, packets out.

pub(super) mod build;
#[cfg(feature = "compression")]
mod compressed;
mod damage;
mod later;
mod merge;
mod open;
mod pcap;
mod pcapng;
mod snoop;
mod write;
