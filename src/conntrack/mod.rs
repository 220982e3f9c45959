//! The connection table: who owns a segment, where an incarnation begins and ends, who is the client.
//! In: segments with addresses. Out: one [`ConnectionReport`](crate::metrics::rows::ConnectionReport) a connection.

pub mod config;
pub mod flow;
pub mod key;
pub mod role;
pub mod tracker;
