//! The sink that keeps everything. In: connections as they end. Out: all tables, in memory.

use super::sink::{Render, Sink};
use crate::error::Error;
use crate::metrics::folds::{Asked, Folds};
use crate::metrics::rows::{ConnectionReport, Summary, Tables};

/// Keeps all rows in memory: for what prints connections, and for tests.
#[derive(Debug)]
pub struct Kept {
    tables: Tables,
    folds: Folds,
}

impl Kept {
    /// Nothing yet.
    pub fn new(asked: Asked) -> Self {
        Self { tables: Tables::default(), folds: Folds::new(asked) }
    }

    /// All tables.
    pub fn finish(self, summary: &Summary) -> Tables {
        let Self { mut tables, folds } = self;
        folds.finish(summary.first_ts.zip(summary.last_ts)).fill(&mut tables);
        tables
    }
}

/// Renders nothing: rows stay rows.
#[derive(Clone, Copy, Debug)]
pub struct AsTheyAre;

impl Render for AsTheyAre {
    type Rendered = Vec<ConnectionReport>;

    fn render(&self, reports: &[ConnectionReport]) -> Result<Vec<ConnectionReport>, Error> {
        Ok(reports.to_vec())
    }
}

impl Sink for Kept {
    type Rendered = Vec<ConnectionReport>;
    type Renderer = AsTheyAre;

    fn renderer(&self) -> AsTheyAre {
        AsTheyAre
    }

    fn fold(&mut self, reports: &[ConnectionReport]) {
        reports.iter().for_each(|report| self.folds.add(report));
    }

    fn write(&mut self, rendered: Vec<ConnectionReport>) -> Result<(), Error> {
        rendered.into_iter().for_each(|report| self.tables.take(report));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows::{AnomalyKind, AnomalyRow, Who};
    use crate::tcp::segment::{FrameId, HostPort};
    use crate::tcp::state::Side;
    use crate::time::Timestamp;

    fn report(ordinal: u64, anomalies: Vec<AnomalyRow>) -> ConnectionReport {
        let end = |port| HostPort::new([10, 0, 0, 1].into(), port);
        let mut report = ConnectionReport { ordinal, anomalies, ..ConnectionReport::blank() };
        let who = Who { client: end(1), server: end(2), role_known: true, vlan: None, tunnel: None };
        let frame = FrameId::new(0, ordinal + 1);
        let row = &mut report.connection;
        (row.who, row.first_frame, row.last_frame) = (who, frame, frame);
        report
    }

    fn tables(reports: Vec<ConnectionReport>) -> Tables {
        let mut kept = Kept::new(Asked::ALL);
        for (number, mut report) in (1..).zip(reports) {
            report.number(number);
            kept.write(AsTheyAre.render(&[report]).unwrap()).unwrap();
        }
        kept.tables
    }

    fn anomaly(side: Side, ts: i64) -> AnomalyRow {
        AnomalyRow {
            conn_id: None,
            ts: Timestamp::from_nanos(ts),
            frame: FrameId::new(0, 1),
            side: Some(side),
            kind: AnomalyKind::KeepAlive,
            detail: String::new(),
            count: 1,
        }
    }

    #[test]
    fn rows_follow_connection_side_and_time() {
        let late_first = vec![anomaly(Side::Server, 1), anomaly(Side::Client, 9), anomaly(Side::Client, 4)];
        let reports = vec![report(0, vec![anomaly(Side::Server, 3)]), report(1, late_first)];
        let tables = tables(reports);
        let found: Vec<_> = tables.anomalies.iter().map(|row| (row.conn_id, row.side, row.ts.as_nanos())).collect();
        let expected = [
            (Some(1), Some(Side::Server), 3),
            (Some(2), Some(Side::Client), 4),
            (Some(2), Some(Side::Client), 9),
            (Some(2), Some(Side::Server), 1),
        ];
        assert_eq!(found, expected);
    }
}
