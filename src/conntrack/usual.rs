//! A packed connection that took its usual course, told in one pass. In: its segments. Out: its report, or nothing where something was unusual: then
//! every segment has to be judged.

use super::config::Config;
use super::head::Key;
use super::key::Direction;
use super::packed::{Base, Packed};
use crate::metrics::history::History;
use crate::metrics::rows::{ConnectionReport, Who};
use crate::metrics::time_wait::Finish;
use crate::metrics::transfer::Transfer;
use crate::metrics::usual::report;
use crate::tcp::connection::Outcome;
use crate::tcp::state::Side;
use crate::tcp::usual::Usual;

/// Tells usual connections one after the other, in the same memory.
#[derive(Debug, Default)]
pub struct UsualTeller {
    conn: Usual,
    history: History,
}

impl UsualTeller {
    /// All that the tables say of the connection of `key` with these `segments`, if nothing in it is unusual; but for its VLAN and tunnel.
    pub fn report(
        &mut self,
        key: &Key,
        base: &Base,
        segments: &[Packed],
        config: &Config,
        finish: Finish,
    ) -> Option<ConnectionReport> {
        let first = segments.first().filter(|first| first.flags().is_bare_syn())?;
        if key.is_self() || matches!(finish, Finish::Reuse { .. }) {
            return None;
        }
        let Self { conn, history } = self;
        conn.renew();
        history.renew();
        let mut transfer = Transfer::new(&first.unpack(base));
        let upwards = first.direction();
        for packed in segments {
            let side = if packed.direction() == upwards { Side::Client } else { Side::Server };
            let seg = packed.unpack(base);
            if !conn.take(side, &seg) {
                return None;
            }
            let outcome = Outcome { new_bytes: seg.payload_len.into(), ..Outcome::default() };
            transfer.add(side, &seg, &outcome);
            history.add(side, &seg, &outcome);
        }
        let [low, high] = key.ends();
        let (client, server) = if upwards == Direction::Up { (low, high) } else { (high, low) };
        let who = Who { client, server, role_known: true, vlan: None, tunnel: None };
        Some(report(conn, who, &transfer, history, config.time_wait, finish))
    }
}
