//! How long connections take by what people call the service. In: each connection's report, in any order. Out: a row a name.
//!
//! Exact up to 65,536 connections; beyond that spans go into bins ([`samples`](super::samples)), and of very many names those with
//! the fewest connections are given up.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::rows::{App, ConnectionReport, ServiceRow};
use super::samples::{Samples, make_room, quantiles_of};

/// Services that are known at a time.
const MOST: usize = 1 << 14;
/// Words that spans may take: those of 65,536 connections, which have two.
const WORDS: usize = 2 << 16;

// Kinds of spans.
const CONNECT: usize = 0;
const TLS: usize = 1;
const KINDS: usize = 2;

type Key = (App, Option<Arc<str>>);

/// The fold of `services`: of connections whose first bytes show what they speak.
#[derive(Clone, Debug, Default)]
pub struct Services {
    all: HashMap<Key, Fold>,
    words: usize,
    /// How many there may be before room is made; more where making room did not help.
    room: usize,
}

#[derive(Clone, Debug, Default)]
struct Fold {
    connections: u64,
    spans: Samples<KINDS>,
}

impl Services {
    /// Takes one connection.
    pub fn add(&mut self, report: &ConnectionReport) {
        let row = &report.connection;
        let Some(app) = row.called.app else { return };
        let fold = self.all.entry((app, row.called.name.clone())).or_default();
        fold.connections += 1;
        for (kind, span) in [(CONNECT, row.connect_ns), (TLS, row.called.tls_handshake_ns)] {
            if let Some(span) = span {
                self.words += fold.spans.add(kind, span);
            }
        }
        if self.all.len() > MOST {
            self.give_up();
        }
        if self.words > self.room.max(WORDS) {
            let mut spans: Vec<_> = self.all.values_mut().map(|fold| &mut fold.spans).collect();
            make_room(&mut spans, WORDS / 2);
            self.count();
            self.room = 2 * self.words;
        }
    }

    fn count(&mut self) {
        self.words = self.all.values().map(|fold| fold.spans.size()).sum();
    }

    /// Half of them goes. Which they are depends on what was taken alone; of equal ones the greatest go first.
    #[cold]
    fn give_up(&mut self) {
        let mut order: Vec<_> = self.all.iter().map(|(key, fold)| (Reverse(fold.connections), key.clone())).collect();
        order.sort_unstable();
        for (_, key) in order.iter().skip(MOST / 2) {
            self.all.remove(key);
        }
        self.count();
    }

    /// The rows, most connections first; of equal ones by application and name.
    pub fn finish(self) -> Vec<ServiceRow> {
        let row = |((app, name), fold): (Key, Fold)| {
            let of = |kind| quantiles_of(std::iter::once(&fold.spans), kind);
            ServiceRow { app, name, connections: fold.connections, connect: of(CONNECT), tls_handshake: of(TLS) }
        };
        let mut rows: Vec<_> = self.all.into_iter().map(row).collect();
        rows.sort_by(|a, b| (b.connections, a.app, &a.name).cmp(&(a.connections, b.app, &b.name)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows::Called;
    use crate::metrics::synthetic::Draft;

    fn named(app: App, name: &str, took: i64) -> ConnectionReport {
        let name = (!name.is_empty()).then(|| Arc::<str>::from(name));
        let called = Called { app: Some(app), name, tls_handshake_ns: Some(took), ..Called::default() };
        Draft::to("10.0.0.9:443").handshake(0, 3 * took).with(|report| report.connection.called = called).done()
    }

    #[test]
    fn spans_are_told_by_name_and_the_busiest_first() {
        let mut services = Services::default();
        for n in 1..=100 {
            services.add(&named(App::Tls, "a.example", n * 1_000));
        }
        services.add(&named(App::Tls, "", 7));
        services.add(&named(App::Http, "a.example", 9));
        services.add(&Draft::to("10.0.0.9:443").done());
        let rows = services.finish();
        let told: Vec<_> = rows.iter().map(|row| (row.app, row.name.as_deref(), row.connections)).collect();
        assert_eq!(told, [(App::Tls, Some("a.example"), 100), (App::Tls, None, 1), (App::Http, Some("a.example"), 1)]);
        assert_eq!((rows[0].tls_handshake.p50, rows[0].tls_handshake.p99), (Some(50_000), Some(99_000)));
        assert_eq!((rows[0].connect.p90, rows[0].connect.count), (Some(180_000), 100));
    }

    #[test]
    fn very_many_names_and_connections_stay_within_bounds() {
        let mut services = Services::default();
        for n in 0..40_000_i64 {
            services.add(&named(App::Tls, &format!("{n}.example"), n));
            services.add(&named(App::Tls, "busy.example", n));
        }
        assert!(services.all.len() <= MOST);
        let rows = services.finish();
        assert_eq!((rows[0].name.as_deref(), rows[0].connections), (Some("busy.example"), 40_000));
        let middle = rows[0].tls_handshake.p50.unwrap();
        assert!(middle.abs_diff(20_000) < 40, "{middle}");
    }
}
