//! Events → numbers. In: what a connection did. Out: the rows of the report.

pub mod quantiles;
pub mod rows;
