//! One connection, two endpoint state machines. In: [`Segment`](segment::Segment)s. Out: what both endpoints did.

pub mod anomaly;
pub mod connection;
pub mod endpoint;
mod hindsight;
pub mod life;
pub mod log;
pub mod ranges;
pub mod reach;
pub mod segment;
pub mod seq;
pub mod state;
pub mod stimulus;
pub mod transition;
pub(crate) mod words;
