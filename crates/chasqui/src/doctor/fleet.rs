//! The database's server, its clock, its schema, and the relays that share it.

use std::collections::BTreeSet;

use ::queue::{
    ClockReading, ConnectError, Inspection, RelayFacts, RelayLife, SchemaFacts, ServerFacts,
    inspect,
};
use secrecy::{ExposeSecret as _, SecretString};
use time::Duration;

use super::finding::{Finding, Findings};
use crate::output::ago;

/// What all of it is tested with (docs/operating.md).
const OLDEST_SERVER: i32 = 150_000;
/// The share of all connections, in percent, beyond which the next relay might get none.
const CROWDED: i64 = 80;
/// A skew that only makes ages and times of retries look odd.
const SLIGHT_SKEW: Duration = Duration::seconds(2);
/// A skew that makes mail expire, or wait, at the wrong time.
const BAD_SKEW: Duration = Duration::seconds(60);

/// Also tells the versions of the relays that live.
pub(super) async fn look(url: Option<&SecretString>) -> (Vec<Finding>, BTreeSet<String>) {
    let mut findings = Findings::of("postgres");
    let Some(url) = url else {
        findings.warn(
            "database",
            "none is given",
            "give --database-url URL, or set DATABASE_URL, to have it looked at",
        );
        return (findings.list, BTreeSet::new());
    };
    match inspect(url.expose_secret()).await {
        Ok(inspection) => {
            about_server(&inspection.server, &mut findings);
            let mut list = findings.list;
            list.extend(about_clock(inspection.clock));
            list.extend(about_fleet(&inspection));
            return (list, versions(&inspection.relays));
        }
        Err(error @ ConnectError::Url(_)) => findings.problem(
            "database",
            service::one_line(&error),
            "write postgres://user:password@host:port/database",
        ),
        Err(error) => findings.problem(
            "database",
            service::one_line(&error),
            "check that Postgres runs there and that the URL is right",
        ),
    }
    (findings.list, BTreeSet::new())
}

fn about_server(server: &ServerFacts, findings: &mut Findings) {
    if server.version_number < OLDEST_SERVER {
        let remedy = "upgrade to Postgres 15 or later";
        findings.problem("version", server.version.clone(), remedy);
    } else {
        findings.ok("version", server.version.clone());
    }
    for (name, value, remedy) in [
        (
            "fsync",
            &server.fsync,
            "set fsync = on: a crash would lose acknowledged mail; the services refuse to start",
        ),
        (
            "full_page_writes",
            &server.full_page_writes,
            "set full_page_writes = on: a crash may tear pages beyond repair",
        ),
    ] {
        if value == "on" {
            findings.ok(name, "on");
        } else {
            findings.problem(name, value.clone(), remedy);
        }
    }
    findings.ok(
        "synchronous_commit",
        format!("{}; our sessions set it on", server.synchronous_commit),
    );
    if server.data_checksums == "on" {
        findings.ok("data_checksums", "on");
    } else {
        let remedy = "stop Postgres and run `pg_checksums --enable`: pages that the disk spoilt \
                      are then noticed";
        findings.warn("data_checksums", server.data_checksums.clone(), remedy);
    }
    about_connections(server, findings);
    about_replicas(server, findings);
}

fn about_connections(server: &ServerFacts, findings: &mut Findings) {
    let most = i64::from(server.max_connections - server.reserved_connections);
    let found = format!("{} of {most} in use", server.connections);
    if server.connections * 100 >= most * CROWDED {
        let remedy = "raise max_connections, or lower database.max_connections of the services: \
                      the next one to start may get none";
        findings.warn("max_connections", found, remedy);
    } else {
        findings.ok("max_connections", found);
    }
}

fn about_replicas(server: &ServerFacts, findings: &mut Findings) {
    if server.in_recovery {
        let remedy = "give the URL of the primary: a replica takes no mail";
        findings.problem("role", "a replica", remedy);
    }
    let names = &server.synchronous_standby_names;
    let found = format!("{} attached", server.replicas);
    if server.replicas > 0 && names.is_empty() {
        let remedy = "set synchronous_standby_names: an asynchronous fail-over loses mail that \
                      was acknowledged last";
        findings.warn("replicas", format!("{found}, none synchronous"), remedy);
    } else if names.is_empty() {
        findings.ok("replicas", "none");
    } else {
        findings.ok("replicas", format!("{found}, commits wait for {names}"));
    }
}

fn about_clock(clock: ClockReading) -> Vec<Finding> {
    let mut findings = Findings::of("clock");
    let skew = clock.ahead.abs() - clock.uncertainty;
    let side = if clock.ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let found = format!(
        "Postgres is {:.3} s {side} this machine, ± {:.3} s",
        clock.ahead.abs().as_seconds_f64(),
        clock.uncertainty.as_seconds_f64(),
    );
    let remedy = "have NTP (chrony, systemd-timesyncd) set the clocks of all machines";
    if skew > BAD_SKEW {
        findings.problem("skew", found, remedy);
    } else if skew > SLIGHT_SKEW {
        findings.warn("skew", found, remedy);
    } else {
        findings.ok("skew", found);
    }
    findings.list
}

fn about_fleet(inspection: &Inspection) -> Vec<Finding> {
    let mut findings = Findings::of("schema");
    let Some(schema) = &inspection.schema else {
        findings.problem("queue", "was never set up", "run `chasqui migrate`");
        return findings.list;
    };
    about_schema(schema, &mut findings);
    let mut list = findings.list;
    list.extend(about_relays(&inspection.relays));
    list
}

fn about_schema(schema: &SchemaFacts, findings: &mut Findings) {
    let found = format!("version {}", schema.version);
    if schema.version < schema.needed {
        let found = format!("{found}, this program needs {}", schema.needed);
        findings.problem("queue", found, "run `chasqui migrate`");
    } else if schema.serves_from > schema.program {
        let found = format!("{found}, which serves newer programs only");
        findings.problem("queue", found, "upgrade the programs");
    } else {
        findings.ok("queue", found);
    }
}

fn about_relays(relays: &[RelayFacts]) -> Vec<Finding> {
    let mut findings = Findings::of("fleet");
    for relay in relays {
        let subject = format!("relay {} on {}", relay.incarnation, relay.node);
        let age = ago(relay.started_at);
        let found = format!("{}, started {age} ago, {}", relay.version, relay.address);
        match relay.life {
            RelayLife::Beating => findings.ok(subject, found),
            RelayLife::StandsStill => findings.problem(
                subject,
                format!("{found}: its heart stands still"),
                "see whether it is stuck, or was killed; its mail is taken over within 15 s if \
                 another relay lives",
            ),
            RelayLife::PronouncedDead => findings.warn(
                subject,
                format!("{found}: it died"),
                "see in its log why; its mail has been taken over, and this note goes within a day",
            ),
        }
    }
    if versions(relays).is_empty() {
        let remedy = "start a relay: without one, mail is accepted and stays in the queue";
        findings.problem("relays", "none lives", remedy);
    }
    findings.list
}

fn versions(relays: &[RelayFacts]) -> BTreeSet<String> {
    let living = relays.iter().filter(|it| it.life == RelayLife::Beating);
    living.map(|relay| relay.version.clone()).collect()
}

/// What there is to say of the versions of all who live.
pub(super) fn about_versions(versions: &BTreeSet<String>) -> Vec<Finding> {
    let own = env!("CARGO_PKG_VERSION");
    let mut findings = Findings::of("fleet");
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        let remedy = "finish the upgrade: restart the older ones with the new program";
        findings.warn("versions", versions.join(", "), remedy);
    } else if !versions.is_empty() && !versions.contains(own) {
        let found = format!("this command is {own}");
        findings.warn("versions", found, "use the command of the fleet's version");
    }
    findings.list
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn server() -> ServerFacts {
        ServerFacts {
            version: "16.4".to_owned(),
            version_number: 160_004,
            fsync: "on".to_owned(),
            synchronous_commit: "on".to_owned(),
            full_page_writes: "on".to_owned(),
            data_checksums: "on".to_owned(),
            max_connections: 100,
            reserved_connections: 3,
            connections: 12,
            synchronous_standby_names: String::new(),
            replicas: 0,
            in_recovery: false,
        }
    }

    fn amiss(server: &ServerFacts) -> Vec<(Verdict, String)> {
        let mut findings = Findings::of("postgres");
        about_server(server, &mut findings);
        let amiss = findings
            .list
            .into_iter()
            .filter(|it| it.verdict != Verdict::Ok);
        amiss.map(|it| (it.verdict, it.subject)).collect()
    }

    #[test]
    fn each_setting_that_endangers_mail_is_told() {
        assert_eq!(amiss(&server()), []);
        let bad = ServerFacts {
            version_number: 120_000,
            fsync: "off".to_owned(),
            full_page_writes: "off".to_owned(),
            data_checksums: "off".to_owned(),
            connections: 90,
            replicas: 1,
            in_recovery: true,
            ..server()
        };
        let told = amiss(&bad);
        let told: Vec<(Verdict, &str)> = told.iter().map(|(it, of)| (*it, of.as_str())).collect();
        assert_eq!(
            told,
            [
                (Verdict::Problem, "version"),
                (Verdict::Problem, "fsync"),
                (Verdict::Problem, "full_page_writes"),
                (Verdict::Warning, "data_checksums"),
                (Verdict::Warning, "max_connections"),
                (Verdict::Problem, "role"),
                (Verdict::Warning, "replicas"),
            ]
        );
    }

    #[test]
    fn clocks_may_differ_by_as_much_as_the_reading_is_uncertain() {
        let verdict = |ahead, uncertainty| {
            let reading = ClockReading {
                ahead: Duration::seconds(ahead),
                uncertainty: Duration::seconds(uncertainty),
            };
            about_clock(reading)[0].verdict
        };
        assert_eq!(verdict(1, 0), Verdict::Ok);
        assert_eq!(verdict(-4, 3), Verdict::Ok);
        assert_eq!(verdict(-4, 0), Verdict::Warning);
        assert_eq!(verdict(90, 1), Verdict::Problem);
    }

    #[test]
    fn a_fleet_needs_a_relay_that_lives_and_one_version() {
        let relay = |incarnation, version: &str, life| RelayFacts {
            incarnation,
            address: "10.0.0.1:2630".to_owned(),
            node: "mx1".to_owned(),
            version: version.to_owned(),
            started_at: time::OffsetDateTime::now_utc(),
            life,
        };
        let told = |relays: &[RelayFacts]| -> Vec<(Verdict, String)> {
            let found = about_relays(relays).into_iter();
            let found = found.chain(about_versions(&versions(relays)));
            found.map(|it| (it.verdict, it.subject)).collect()
        };
        let own = env!("CARGO_PKG_VERSION");
        let of = |verdict, subject: &str| (verdict, subject.to_owned());
        assert_eq!(told(&[]), [of(Verdict::Problem, "relays")]);
        assert_eq!(
            told(&[relay(1, own, RelayLife::Beating)]),
            [of(Verdict::Ok, "relay 1 on mx1")]
        );
        assert_eq!(
            told(&[
                relay(1, own, RelayLife::PronouncedDead),
                relay(2, own, RelayLife::StandsStill),
            ]),
            [
                of(Verdict::Warning, "relay 1 on mx1"),
                of(Verdict::Problem, "relay 2 on mx1"),
                of(Verdict::Problem, "relays"),
            ]
        );
        assert_eq!(
            told(&[
                relay(1, own, RelayLife::Beating),
                relay(2, "9.9.9", RelayLife::Beating),
            ])
            .last(),
            Some(&of(Verdict::Warning, "versions"))
        );
        assert_eq!(
            told(&[relay(2, "9.9.9", RelayLife::Beating)]).last(),
            Some(&of(Verdict::Warning, "versions"))
        );
    }
}
