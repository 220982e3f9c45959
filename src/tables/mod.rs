//! Rows → columns with names, types, units and meanings. In: the rows of a run. Out: polars frames and the dictionary.

pub mod cell;
mod dictionary;
pub mod frame;
pub mod schema;
