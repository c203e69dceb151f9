//! The scenarios by name.

use anyhow::Result;

use super::Bench;
use super::deferred::deferred;
use super::fairness::fairness;
use super::idle::idle;
use super::latency::latency;
use super::report::Report;
use super::submission::submission;
use super::throughput::{Path, Throughput, throughput};

/// A scenario.
pub(crate) struct Scenario {
    /// As it is called and stands in tables.
    pub(crate) name: &'static str,
    /// In a line.
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
}

/// What is done.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Throughput(Throughput),
    Submission,
    Latency,
    Idle,
    Deferred,
    Fairness,
}

impl Kind {
    pub(crate) async fn run(
        self,
        bench: &Bench<'_>,
        scenario: &Scenario,
        report: &mut Report,
    ) -> Result<()> {
        match self {
            Self::Throughput(work) => throughput(bench, scenario, work, report).await,
            Self::Submission => submission(bench, scenario, report).await,
            Self::Latency => latency(bench, report).await,
            Self::Idle => idle(bench, report).await,
            Self::Deferred => deferred(bench, report).await,
            Self::Fairness => fairness(bench, report).await,
        }
    }
}

const SMALL: usize = 4 << 10;
const LARGE: usize = 100 << 10;

const fn work(path: Path, size: usize, reuse: bool, messages: usize) -> Kind {
    Kind::Throughput(Throughput {
        path,
        size,
        reuse,
        messages,
        sessions: 20,
    })
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "accept",
        what: "25 to the queue, where it stays; 20 sessions, connections reused, 4 KiB",
        kind: work(Path::Accept, SMALL, true, 10_000),
    },
    Scenario {
        name: "accept-new",
        what: "the same with a new connection for each message",
        kind: work(Path::Accept, SMALL, false, 10_000),
    },
    Scenario {
        name: "relay",
        what: "25 to another server; 20 sessions, connections reused, 4 KiB",
        kind: work(Path::Relay, SMALL, true, 10_000),
    },
    Scenario {
        name: "relay-new",
        what: "the same with a new connection for each message",
        kind: work(Path::Relay, SMALL, false, 10_000),
    },
    Scenario {
        name: "relay-100k",
        what: "25 to another server; 20 sessions, connections reused, 100 KiB",
        kind: work(Path::Relay, LARGE, true, 2_000),
    },
    Scenario {
        name: "maildir",
        what: "25 to a Maildir (the peer: Postfix, LMTP, Dovecot); 20 sessions, connections reused, 4 KiB",
        kind: work(Path::Maildir, SMALL, true, 5_000),
    },
    Scenario {
        name: "submission",
        what: "TCP, STARTTLS, AUTH PLAIN, a message of 4 KiB and QUIT each time; 20 at a time",
        kind: Kind::Submission,
    },
    Scenario {
        name: "latency",
        what: "one session, a message at a time: final dot to 250, and 250 to the far end",
        kind: Kind::Latency,
    },
    Scenario {
        name: "idle",
        what: "memory of a connection that is idle after EHLO, in clear and in TLS",
        kind: Kind::Idle,
    },
    Scenario {
        name: "deferred",
        what: "fresh mail beside a backlog of 1,000,000 (the peer: 50,000), idle and probed; then it is cancelled",
        kind: Kind::Deferred,
    },
    Scenario {
        name: "fairness",
        what: "a fresh message beside another tenant's backlog of 1,000,000 for a slow destination: how many go before it",
        kind: Kind::Fairness,
    },
];
