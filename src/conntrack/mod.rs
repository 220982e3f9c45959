//! The connection table: who owns a segment, where an incarnation begins and ends, who is the client.
//! In: segments with addresses. Out: one [`ConnectionReport`](crate::metrics::rows::ConnectionReport) a connection.

pub mod apart;
pub mod brief;
pub mod closed;
pub mod config;
pub mod ended;
pub mod flow;
mod head;
mod index;
pub mod key;
mod packed;
mod prefetch;
pub mod role;
mod slab;
#[cfg(test)]
mod tests;
pub mod tracker;
mod usual;
