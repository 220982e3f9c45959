//! Everything that is told of a run beside the rows of single connections. In: each connection's report, once it is final, in the
//! order of the tables. Out: the small tables, the headline figures, the findings, what the pictures and the page show.
//!
//! Up to 65,536 connections all of it is exact. Beyond that memory stays what it is, and each fold says what it rounds.

use super::buckets::{Buckets, Grid};
use super::census::Census;
use super::drawn::{Listed, Repeats, Stays};
use super::ephemeral_ports::{EphemeralPorts, PortRange, PortUse};
use super::findings::{Finding, Suspicions};
use super::listeners::{Handshakes, Listeners, Queues};
use super::overview::{Headlines, Overview};
use super::rows::{CensusRow, ConnectionReport, EphemeralPortRow, ListenerRow, ServiceRow, Tables};
use super::services::Services;
use super::trust::Trust;
use crate::time::{Span, Timestamp};

/// What changes the folds.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Width of the buckets of the tables over time; `None`: chosen so that there are at most 600.
    pub bucket: Option<Span>,
    /// How long TIME_WAIT is assumed to last.
    pub time_wait: Span,
    /// The ports that clients choose from.
    pub port_range: PortRange,
    /// The tables over time of listeners and ports are wanted; without them they stay empty.
    pub over_time: bool,
}

/// All folds of a run.
#[derive(Clone, Debug)]
pub struct Folds {
    bucket: Option<Span>,
    over_time: bool,
    grid: Grid,
    listeners: Listeners,
    census: Census,
    ports: EphemeralPorts,
    headlines: Headlines,
    suspicions: Suspicions,
    listed: Listed,
    repeats: Repeats,
    stays: Stays,
    trust: Trust,
    services: Services,
}

/// What the folds tell at the end.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// By server address, then port.
    pub listeners: Vec<ListenerRow>,
    /// By bucket, then listener.
    pub listener_queues: Queues,
    /// By bucket, side and state.
    pub state_census: Vec<CensusRow>,
    /// By client, then listener.
    pub ephemeral_ports: Vec<EphemeralPortRow>,
    /// By bucket, then client and listener.
    pub ephemeral_port_use: PortUse,
    /// The headline figures.
    pub overview: Overview,
    /// What the connections make worth a look; [`findings`](super::findings::findings) adds what the run itself lost.
    pub findings: Vec<Finding>,
    /// How long handshakes took.
    pub handshakes: Handshakes,
    /// The first connections.
    pub listed: Listed,
    /// Repeated FINs.
    pub repeats: Repeats,
    /// Stays in TIME_WAIT.
    pub stays: Stays,
    /// How far the figures can be trusted.
    pub trust: Trust,
    /// The busiest first.
    pub services: Vec<ServiceRow>,
}

impl Told {
    /// Adds the tables of the run to those of connections.
    pub fn fill(self, tables: &mut Tables) {
        tables.listener_queues = self.listener_queues.rows().collect();
        tables.ephemeral_port_use = self.ephemeral_port_use.rows().collect();
        tables.listeners = self.listeners;
        tables.state_census = self.state_census;
        tables.ephemeral_ports = self.ephemeral_ports;
        tables.services = self.services;
    }
}

impl Folds {
    /// Before the first connection.
    pub fn new(asked: Asked) -> Self {
        Self {
            bucket: asked.bucket,
            over_time: asked.over_time,
            grid: Grid::new(asked.bucket),
            listeners: Listeners::default(),
            census: Census::default(),
            ports: EphemeralPorts::new(asked.port_range, asked.time_wait),
            headlines: Headlines::default(),
            suspicions: Suspicions::default(),
            listed: Listed::default(),
            repeats: Repeats::default(),
            stays: Stays::default(),
            trust: Trust::default(),
            services: Services::default(),
        }
    }

    /// Takes one connection, which is final and has its number. Connections come in the same order in every run of the same packets;
    /// beyond 65,536 of them some figures depend on it.
    pub fn add(&mut self, report: &ConnectionReport) {
        let row = &report.connection;
        let (mut first, mut last) = (row.first_ts, row.last_ts);
        for change in &report.transitions {
            (first, last) = (first.min(change.ts), last.max(change.ts));
        }
        self.grid.see(first);
        self.grid.see(last);
        let step = self.grid.step();
        let is_new = self.listeners.add(report, step);
        self.census.add(report, step);
        let known = self.ports.add(report, step);
        self.headlines.add(report, is_new, !known.client, step);
        self.suspicions.add(report, self.grid.reaches(), known.came_in);
        self.listed.add(report);
        self.repeats.add(report, step);
        self.stays.add(report, step);
        self.trust.add(report);
        self.services.add(report);
    }

    /// What they tell; `capture` is when it began and ended, where any packet tells.
    pub fn finish(self, capture: Option<(Timestamp, Timestamp)>) -> Told {
        let buckets = capture.map(|(first, last)| Buckets::new(first, last, self.bucket));
        let listeners = self.listeners.finish(buckets, self.over_time);
        let (ephemeral_ports, ephemeral_port_use) = self.ports.finish(buckets, self.over_time);
        let end = capture.map(|(_, last)| last);
        Told {
            state_census: buckets.map_or_else(Vec::new, |buckets| self.census.finish(buckets)),
            overview: self.headlines.finish(listeners.spans),
            findings: self.suspicions.finish(&listeners.rows, listeners.concerns, &ephemeral_ports, end),
            listeners: listeners.rows,
            listener_queues: listeners.queues,
            handshakes: listeners.handshakes,
            ephemeral_ports,
            ephemeral_port_use,
            listed: self.listed.finish(),
            repeats: self.repeats,
            stays: self.stays,
            trust: self.trust,
            services: self.services.finish(),
        }
    }
}
