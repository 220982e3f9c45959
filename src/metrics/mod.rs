//! Events → numbers. In: what a connection did. Out: the rows of the report.

pub mod handshake;
pub mod history;
pub mod quantiles;
pub mod report;
pub mod rows;
pub mod teardown;
pub mod time_wait;
pub mod transfer;
