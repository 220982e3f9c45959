//! A packed connection that took its usual course, told in one pass. In: its segments. Out: its report, or nothing where something was unusual: then
//! every segment has to be judged.

use super::config::Config;
use super::packed::{Base, Packed};
use crate::metrics::history::History;
use crate::metrics::rows::{ConnectionReport, Who};
use crate::metrics::time_wait::Finish;
use crate::metrics::transfer::Transfer;
use crate::metrics::usual::report;
use crate::tcp::connection::Outcome;
use crate::tcp::segment::Addressed;
use crate::tcp::state::Side;
use crate::tcp::usual::Usual;

/// Tells usual connections one after the other, in the same memory.
#[derive(Debug, Default)]
pub struct UsualTeller {
    conn: Usual,
    history: History,
}

impl UsualTeller {
    /// All that the tables say of a connection with these `segments`, if nothing in it is unusual.
    /// `first` is the first of them.
    pub fn report(
        &mut self,
        first: &Addressed,
        segments: &[Packed],
        config: &Config,
        finish: Finish,
    ) -> Option<ConnectionReport> {
        if !first.segment.flags.is_bare_syn() || first.src == first.dst || matches!(finish, Finish::Reuse { .. }) {
            return None;
        }
        let base = Base::of(&first.segment);
        let Self { conn, history } = self;
        conn.renew();
        history.renew();
        let mut transfer = Transfer::new(&first.segment);
        let client = segments[0].direction();
        for packed in segments {
            let side = if packed.direction() == client { Side::Client } else { Side::Server };
            let seg = packed.unpack(&base);
            if !conn.take(side, &seg) {
                return None;
            }
            let outcome = Outcome { new_bytes: seg.payload_len.into(), ..Outcome::default() };
            transfer.add(side, &seg, &outcome);
            history.add(side, &seg, &outcome);
        }
        let who =
            Who { client: first.src, server: first.dst, role_known: true, vlan: first.vlan, tunnel: first.tunnel };
        Some(report(conn, who, &transfer, history, config.time_wait, finish))
    }
}
