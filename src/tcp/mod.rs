//! One connection, two endpoint state machines. In: [`Segment`](segment::Segment)s. Out: what both endpoints did.

pub mod anomaly;
mod bounds;
pub mod connection;
pub mod endpoint;
mod hindsight;
pub mod life;
pub mod log;
mod opening;
mod predicted;
pub mod ranges;
pub mod reach;
mod reset;
pub mod segment;
pub mod seq;
pub mod state;
pub mod stimulus;
pub mod timestamps;
pub mod transition;
pub mod usual;
pub(crate) mod words;
