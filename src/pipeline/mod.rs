//! The walk through the house, with its threads: source → decode → shards → numbered tables. In: sources and options.
//! Out: an [`Analysis`](engine::Analysis). Progress, Ctrl-C and the only clock live here; nothing here analyses.

pub mod clock;
pub mod engine;
pub mod interrupt;
pub mod live;
pub mod offline;
pub mod period;
pub mod progress;
pub mod single;

mod collect;
mod numbers;
mod shards;
pub mod sink;
mod telling;
