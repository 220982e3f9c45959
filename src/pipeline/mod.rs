//! The walk through the house, with its threads: source → decode → shards → numbered batches. In: sources and options.
//! Out: connections to a [`Sink`](sink::Sink), and the run's summary. Progress, Ctrl-C and the only clock live here; nothing here analyses.

pub mod clock;
pub mod collect;
pub mod engine;
pub mod interrupt;
pub mod live;
pub mod offline;
pub mod period;
pub mod progress;
pub mod second;
pub mod sink;

mod clocks;
mod numbers;
mod shards;
mod telling;
