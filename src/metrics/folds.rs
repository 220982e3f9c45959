//! Everything that is told of a run beside the rows of single connections. In: each connection's report, once it is final, in the
//! order of the tables. Out: the small tables, the headline figures, the findings, what the pictures and the page show.
//!
//! What only some reports show is kept if it is asked for. Up to 65,536 connections all of it is exact. Beyond that memory stays what it is, and each fold says what it rounds.

use super::buckets::{Buckets, Grid};
use super::census::Census;
use super::drawn::Drawn;
use super::ephemeral_ports::{EphemeralPorts, PortRange, PortUse};
use super::findings::{self, Finding, Suspicions};
use super::listeners::{Handshakes, Listeners, Queues};
use super::lives::Lives;
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
    /// `state_census` is wanted, as a table or as a picture.
    pub census: bool,
    /// Every user of ephemeral ports is wanted, not only those that findings and the summary name.
    pub users: bool,
    /// What pictures and the page show one by one is wanted.
    pub drawn: bool,
}

impl Asked {
    /// All that there is, of a run whose buckets are chosen for it, as Linux keeps TIME_WAIT and chooses ports.
    pub const ALL: Self = Self {
        bucket: None,
        time_wait: Span::from_secs(60),
        port_range: PortRange::LINUX,
        over_time: true,
        census: true,
        users: true,
        drawn: true,
    };
}

/// All folds of a run.
#[derive(Clone, Debug)]
pub struct Folds {
    asked: Asked,
    grid: Grid,
    lives: Lives,
    listeners: Listeners,
    census: Option<Census>,
    ports: EphemeralPorts,
    headlines: Headlines,
    suspicions: Suspicions,
    drawn: Option<Drawn>,
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
    /// By bucket, side and state; `None` if nobody asked.
    pub state_census: Option<Vec<CensusRow>>,
    /// By client, then listener; if nobody asked for all, only the fullest and those near the end of their ports.
    pub ephemeral_ports: Vec<EphemeralPortRow>,
    /// By bucket, then client and listener.
    pub ephemeral_port_use: PortUse,
    /// The headline figures.
    pub overview: Overview,
    /// What the connections make worth a look; [`findings`](super::findings::findings) adds what the run itself lost.
    pub findings: Vec<Finding>,
    /// How long handshakes took.
    pub handshakes: Handshakes,
    /// What pictures and the page show one by one; `None` if nobody asked.
    pub drawn: Option<Drawn>,
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
        tables.state_census = self.state_census.unwrap_or_default();
        tables.ephemeral_ports = self.ephemeral_ports;
        tables.services = self.services;
    }
}

impl Folds {
    /// Before the first connection.
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            grid: Grid::new(asked.bucket),
            lives: Lives::default(),
            listeners: Listeners::default(),
            census: asked.census.then(Census::default),
            ports: EphemeralPorts::new(asked.port_range, asked.time_wait),
            headlines: Headlines::default(),
            suspicions: Suspicions::default(),
            drawn: asked.drawn.then(Drawn::default),
            trust: Trust::default(),
            services: Services::default(),
        }
    }

    /// Takes one connection, which is final and has its number. Connections come in the same order in every run of the same packets;
    /// beyond 65,536 of them some figures depend on it.
    pub fn add(&mut self, report: &ConnectionReport) {
        let lives = &mut self.lives;
        lives.walk(report);
        let (first, last) = lives.reach();
        self.grid.see(first);
        self.grid.see(last);
        let step = self.grid.step();
        let is_new = self.listeners.add(report, lives, step);
        if let Some(census) = &mut self.census {
            census.add(report, lives, step);
        }
        let known = self.ports.add(report, step);
        self.headlines.add(report, is_new, !known.client, step);
        self.suspicions.add(report, self.grid.reaches(), known.came_in);
        if let Some(drawn) = &mut self.drawn {
            drawn.add(report, step);
        }
        self.trust.add(report, lives);
        self.services.add(report);
    }

    /// What they tell; `capture` is when it began and ended, where any packet tells.
    pub fn finish(self, capture: Option<(Timestamp, Timestamp)>) -> Told {
        let buckets = capture.map(|(first, last)| Buckets::new(first, last, self.asked.bucket));
        let listeners = self.listeners.finish(buckets, self.asked.over_time);
        let (ephemeral_ports, ephemeral_port_use) = match self.asked.users || self.asked.over_time {
            true => self.ports.finish(buckets, self.asked.over_time),
            false => (self.ports.fullest(buckets, findings::NEAR), PortUse::unwanted()),
        };
        let end = capture.map(|(_, last)| last);
        Told {
            state_census: self.census.map(|census| buckets.map_or_else(Vec::new, |buckets| census.finish(buckets))),
            overview: self.headlines.finish(listeners.spans, self.asked.drawn),
            findings: self.suspicions.finish(&listeners.rows, listeners.concerns, &ephemeral_ports, end),
            listeners: listeners.rows,
            listener_queues: listeners.queues,
            handshakes: listeners.handshakes,
            ephemeral_ports,
            ephemeral_port_use,
            drawn: self.drawn.map(Drawn::finish),
            trust: self.trust,
            services: self.services.finish(),
        }
    }
}
