//! Events → numbers. In: what a connection did. Out: the rows of the report.

pub mod census;
pub mod findings;
pub mod listeners;
pub mod overview;
pub mod peak;
pub mod phrase;
pub mod quantiles;
pub mod rows;

#[cfg(test)]
pub(crate) mod synthetic;
