//! finwait: both endpoints' TCP states, from the packets that passed a tap.
//!
//! Data walks through the crate once, front to back, in the order of the modules below:
//!
//! ```text
//! capture ─Packet▶ decode ─Segment▶ conntrack ─▶ tcp (two endpoints) ─▶ metrics ─Row▶ tables ─▶ report
//! ```
//!
//! `time`, `tcp`, `streams`, `conntrack` and `metrics` are pure: no file, clock, thread or screen; the only time they
//! know is the packets' own. `pipeline` and `cli` stand around the walk. ARCHITECTURE.md says where new code goes.

pub mod error;
pub mod time;

pub mod capture;
pub mod decode;

pub mod tcp;

pub mod streams;

pub mod names;

pub mod conntrack;

pub mod metrics;

pub mod predicate;

pub mod script;

#[cfg(feature = "full")]
pub mod tables;

#[cfg(feature = "full")]
pub mod report;

#[cfg(feature = "full")]
pub mod pipeline;

#[cfg(feature = "full")]
pub mod cli;
