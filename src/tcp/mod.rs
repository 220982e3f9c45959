//! One connection, two endpoint state machines. In: [`Segment`](segment::Segment)s. Out: what both endpoints did.

pub mod segment;
pub mod seq;
pub mod state;
