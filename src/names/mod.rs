//! What people call a service, from the first bytes of each side: TLS server name and ALPN, HTTP Host, SSH banner.
//! In: a segment and its payload. Out: now and then a [`Mark`](mark::Mark) for the segment's flow.
//!
//! Payloads are gone once a segment is decoded, and most of them say nothing here: [`reader::Reader::concerns`] looks at one byte.

mod begins;
mod http;
pub mod mark;
pub mod reader;
mod recent;
mod ssh;
mod text;
mod tls;
