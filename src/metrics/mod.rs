//! Events → numbers. In: what a connection did. Out: the rows of the report.

pub mod accept_queue;
pub mod buckets;
pub mod census;
pub mod distinct;
pub mod drawn;
pub mod ephemeral_ports;
pub mod findings;
pub mod folds;
pub mod give_up;
pub mod handshake;
pub mod history;
mod keys;
pub mod levels;
pub mod listeners;
pub mod lives;
pub mod over_time;
pub mod overview;
pub mod phrase;
pub mod quantiles;
pub mod registry;
pub mod report;
pub mod rows;
pub mod samples;
pub mod services;
pub mod tallies;
pub mod teardown;
pub mod time_wait;
pub mod transfer;
pub mod trust;
pub mod usual;

#[cfg(test)]
pub(crate) mod synthetic;
