//! Events → numbers. In: what a connection did. Out: the rows of the report.

pub mod census;
pub mod handshake;
pub mod history;
pub mod listeners;
pub mod peak;
pub mod quantiles;
pub mod report;
pub mod rows;
#[cfg(test)]
pub(crate) mod synthetic;
pub mod teardown;
pub mod time_wait;
pub mod transfer;
