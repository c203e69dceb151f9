//! What a fleet is to be like.

use std::net::SocketAddr;

use testkit::{DnsServer, Sink, TestDatabase, Zone};

use super::settings::Settings;
use super::{DOMAIN, Fleet, Plan};

/// Times that production counts in minutes count in milliseconds here.
const RELAY: &str = r#"
    inbound.relay_networks = []
    outbound.refused_networks = []
    outbound.retry_first = "200ms"
    outbound.retry_longest = "1s"
    outbound.suspend_first = "300ms"
    outbound.suspend_longest = "1s"
    outbound.internal_retry = "200ms"
    outbound.connect_timeout = "5s"
    outbound.idle = "1s"
    outbound.poll = "100ms"
    outbound.drain_deadline = "5s"
"#;

/// Builds a [`Fleet`]: one relay, one delivery, one submission, unless told otherwise.
pub(crate) struct Builder {
    database: Option<TestDatabase>,
    relays: usize,
    deliveries: usize,
    relay: Settings,
    submission: Settings,
    routes: Vec<String>,
    nameserver: Option<SocketAddr>,
    accounts: Vec<String>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let mut relay = Settings::default();
        relay.set(RELAY);
        Self {
            database: None,
            relays: 1,
            deliveries: 1,
            relay,
            submission: Settings::default(),
            routes: Vec::new(),
            nameserver: None,
            accounts: Vec::new(),
        }
    }

    /// On this database instead of a fresh one on the shared server.
    pub(crate) fn on(mut self, database: TestDatabase) -> Self {
        self.database = Some(database);
        self
    }

    /// So many relays and deliveries.
    pub(crate) fn relays_and_deliveries(mut self, relays: usize, deliveries: usize) -> Self {
        (self.relays, self.deliveries) = (relays, deliveries);
        self
    }

    /// A line of the relays' configuration, such as `outbound.expire_after = "2s"`.
    pub(crate) fn relay(mut self, line: &str) -> Self {
        self.relay.set(line);
        self
    }

    /// A line of submission's configuration.
    pub(crate) fn submission(mut self, line: &str) -> Self {
        self.submission.set(line);
        self
    }

    /// A route by which mail for `domain` goes to a host, whatever the DNS says.
    pub(crate) fn smart_host(self, domain: &str, host: SocketAddr) -> Self {
        self.route(domain, &format!("smart_host = \"{host}\""))
    }

    /// A route: what is done with mail for `domain`.
    pub(crate) fn route(mut self, domain: &str, what: &str) -> Self {
        self.routes
            .push(format!("{{ domain = \"{domain}\", {what} }}"));
        self
    }

    /// The DNS that relays ask. Without it, no name exists.
    pub(crate) fn dns(mut self, server: &DnsServer) -> Self {
        self.nameserver = Some(server.address());
        self
    }

    /// Mail exchangers listen where this one does, on their own addresses.
    pub(crate) fn exchangers_like(self, sink: &Sink) -> Self {
        let line = format!("outbound.port = {}", sink.address().port());
        self.relay(&line)
    }

    /// An account at the local domain.
    pub(crate) fn account(mut self, name: &str) -> Self {
        self.accounts.push(format!("{name}@{DOMAIN}"));
        self
    }

    /// Starts it all.
    pub(crate) async fn start(mut self) -> Fleet {
        super::log::begin();
        let database = match self.database.take() {
            Some(database) => database,
            None => testkit::database().await,
        };
        let no_names = Zone::new().serve().await;
        let nameserver = self.nameserver.unwrap_or(no_names.address());
        self.relay
            .set(&format!("dns.nameservers = [\"{nameserver}\"]"));
        self.relay.set(&routes_line(&self.routes));
        let plan = Plan {
            relays: self.relays,
            deliveries: self.deliveries,
            relay: self.relay,
            submission: self.submission,
            accounts: self.accounts,
            no_names,
        };
        Fleet::start_as(plan, database).await
    }
}

/// The `[[route]]` tables in one line.
pub(super) fn routes_line(routes: &[String]) -> String {
    format!("route = [{}]", routes.join(", "))
}
