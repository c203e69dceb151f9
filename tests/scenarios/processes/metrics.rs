//! What Prometheus and probes are told is what has happened.

use std::collections::BTreeSet;
use std::path::Path;

use testkit::{Script, Sink, SmtpTalk, wait_until};

use super::harness::{
    ALICE, BOB, Fleet, JO, Metrics, Plan, letter, mail_client, page, steady_address,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_mail_is_counted() {
    let far_end = Sink::start(
        Script::new()
            .recipient("full@far.test", "452 4.2.2 Mailbox full")
            .recipient("gone@far.test", "550 5.1.1 No such user"),
    )
    .await;
    let database = testkit::database().await;
    let fleet = Plan::of(1, 2, 1).far_end(&far_end).start(&database).await;
    let mut intruder = mail_client(fleet.submissions[0].smtp()).await;
    intruder.login(ALICE, "a wrong one", 535).await;
    drop(intruder);
    fleet.submit(&[BOB, JO], "both").await;
    fleet.submit(&["gone@far.test"], "gone").await;
    fleet.inject(&[BOB], "stranger").await;
    // The third is the report on the one who is gone.
    fleet.mail_of("bob", 2).await;
    fleet.mail_of("alice", 1).await;
    fleet.books.are_empty().await;
    fleet.submit(&["full@far.test"], "full").await;
    fleet.books.give(DEFERRED, 1).await;

    let submission = Metrics::of(fleet.submissions[0].telemetry).await;
    let accepted = "chasqui_messages_accepted_total{service=\"submission\"}";
    for (series, expected) in [
        (accepted, 3.0),
        ("chasqui_logins_total{result=\"accepted\"}", 3.0),
        ("chasqui_logins_total{result=\"rejected\"}", 1.0),
        ("chasqui_connections_total{result=\"taken\"}", 4.0),
        ("chasqui_sessions", 0.0),
    ] {
        assert_eq!(submission.value(series), expected, "{series}");
    }
    let handshakes = "chasqui_tls_handshakes_total{side=\"server\",version=\"TLSv1.3\"}";
    assert_eq!(submission.value(handshakes), 4.0);
    let relays = relays(&fleet).await;
    for (series, expected) in [
        ("chasqui_messages_accepted_total{service=\"inbound\"}", 1.0),
        ("chasqui_recipients_delivered_total", 4.0),
        ("chasqui_recipients_bounced_total{class=\"address\"}", 1.0),
        ("chasqui_leases_fenced_total", 0.0),
        ("chasqui_leases_reclaimed_total", 0.0),
    ] {
        assert_eq!(sum(&relays, series), expected, "{series}");
    }
    let deferred = sum(
        &relays,
        "chasqui_recipients_deferred_total{class=\"mailbox\"}",
    );
    assert!(deferred >= 1.0, "{deferred}");
    let attempts = "chasqui_attempt_duration_seconds_count{outcome=\"delivered\",via=\"local\"}";
    assert_eq!(sum(&relays, attempts), 3.0);
    let commits = "chasqui_commit_batch_items_sum{work=\"enqueue\"}";
    assert_eq!(submission.value(commits), 3.0);
    one_relay_counts_the_queue(&fleet).await;
    assert_all_documented_names_exist(&fleet).await;
    far_end.set(Script::new());
    fleet.books.are_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_lmtp_client_is_refused_is_rejected_and_not_deferred() {
    let address = steady_address();
    let database = testkit::database().await;
    let mut fleet = Plan::of(0, 0, 1)
        .everywhere(&format!(
            "listen = [{{ address = \"{address}\", tls = \"none\" }}]"
        ))
        .start(&database)
        .await;
    let mut client = SmtpTalk::connect(address).await;
    client.expect(220).await;
    client.command("LHLO app.test", 250).await;
    client.command("MAIL FROM:<app@app.test>", 250).await;
    client.command(&format!("RCPT TO:<{BOB}>"), 250).await;
    client.command(&format!("RCPT TO:<{ALICE}>"), 250).await;
    client.command("DATA", 354).await;
    // No folder can be made where a file lies.
    std::fs::create_dir_all(fleet.mailbox("")).unwrap();
    std::fs::write(fleet.mailbox("bob"), "in the way").unwrap();
    let letter = letter("one of two", "app@app.test");
    client.send(format!("{letter}\r\n.\r\n").as_bytes()).await;
    client.expect(451).await;
    client.expect(250).await;

    let delivery = &fleet.deliveries[0];
    let metrics = Metrics::of(delivery.telemetry).await;
    for (series, expected) in [
        ("chasqui_messages_accepted_total{service=\"delivery\"}", 1.0),
        ("chasqui_recipients_delivered_total", 1.0),
        ("chasqui_recipients_rejected_total{class=\"system\"}", 1.0),
        ("chasqui_recipients_deferred_total{class=\"system\"}", 0.0),
    ] {
        assert_eq!(metrics.value(series), expected, "{series}");
    }
    let log = delivery.log();
    let told = |event: &str, who: &str| {
        let of = |line: &&str| line.contains(event) && line.contains(&format!("recipient={who}"));
        log.lines().filter(of).count()
    };
    assert_eq!(told("message: rejected queue_id=", BOB), 1, "{log}");
    assert_eq!(told("message: delivered queue_id=", ALICE), 1, "{log}");
    fleet.end_all().await;
}

const DEFERRED: &str =
    "SELECT count(DISTINCT message) FROM queue.attempt WHERE outcome = 'deferred'";

async fn relays(fleet: &Fleet) -> Vec<Metrics> {
    let mut metrics = Vec::new();
    for relay in &fleet.relays {
        metrics.push(Metrics::of(relay.telemetry).await);
    }
    metrics
}

fn sum(metrics: &[Metrics], series: &str) -> f64 {
    let values = metrics.iter().filter_map(|metrics| metrics.find(series));
    values.sum()
}

/// What is queued is told once, by whichever relay: the sum over the fleet is the number.
async fn one_relay_counts_the_queue(fleet: &Fleet) {
    let series = |state| format!("chasqui_queue_units{{state=\"{state}\"}}");
    wait_until("the message that waits to be counted", async || {
        let relays = relays(fleet).await;
        let counting = relays
            .iter()
            .filter(|relay| relay.find(&series("held")).is_some());
        let waiting = ["deferred", "ready", "leased"].map(|state| sum(&relays, &series(state)));
        counting.count() == 1 && waiting.iter().sum::<f64>() == 1.0
    })
    .await;
}

/// The names of dashboard, alerts, manifests and documents: whoever relies on one that nobody tells
/// sees nothing, and thinks that all is well.
async fn assert_all_documented_names_exist(fleet: &Fleet) {
    let mut told = BTreeSet::new();
    for service in fleet
        .submissions
        .iter()
        .chain(&fleet.relays)
        .chain(&fleet.deliveries)
    {
        told.extend(Metrics::of(service.telemetry).await.names());
    }
    for file in [
        "deploy/grafana/chasqui.json",
        "deploy/prometheus/alerts.yml",
        "deploy/k8s",
        "docs/operating.md",
    ] {
        let named = names_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file));
        assert!(!named.is_empty(), "{file} names no metric");
        let missing: Vec<_> = named.difference(&told).collect();
        assert!(
            missing.is_empty(),
            "{file} names {missing:?}, told are {told:#?}"
        );
    }
}

/// The metrics that a file, or any file in a folder, names.
fn names_in(path: &Path) -> BTreeSet<String> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        return entries
            .flat_map(|entry| names_in(&entry.unwrap().path()))
            .collect();
    }
    let Ok(text) = std::fs::read_to_string(path) else {
        return BTreeSet::new();
    };
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| METRICS.iter().any(|prefix| word.starts_with(prefix)))
        .map(str::to_owned)
        .collect()
}

/// How the names of our metrics begin; other things are called `chasqui_…` too.
const METRICS: [&str; 15] = [
    "chasqui_attempt",
    "chasqui_build",
    "chasqui_certificate",
    "chasqui_commit",
    "chasqui_connections",
    "chasqui_database_connections",
    "chasqui_hand_off",
    "chasqui_leases",
    "chasqui_logins",
    "chasqui_messages",
    "chasqui_queue_",
    "chasqui_recipients",
    "chasqui_relays",
    "chasqui_sessions",
    "chasqui_tls",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_until_it_drains_and_alive_to_the_end() {
    let database = testkit::database().await;
    let mut fleet = Plan::new().start(&database).await;
    for service in fleet.services() {
        assert_eq!(page(service.telemetry, "/ready").await.0, 200);
        assert_eq!(page(service.telemetry, "/live").await.0, 200);
        assert_eq!(service.exit_code("--health").await, Some(0));
    }
    let mut client = fleet.mail_client().await;
    client.command(&format!("MAIL FROM:<{ALICE}>"), 250).await;
    client.command(&format!("RCPT TO:<{BOB}>"), 250).await;
    client.command("DATA", 354).await;
    let submission = &mut fleet.submissions[0];
    submission.ask_to_end();
    let telemetry = submission.telemetry;
    wait_until("submission to say that it drains", async || {
        page(telemetry, "/ready").await == (503, "draining\n".to_owned())
    })
    .await;
    assert_eq!(page(telemetry, "/live").await.0, 200);
    assert_eq!(submission.exit_code("--health").await, Some(1));

    let letter = letter("late", ALICE);
    client.send(format!("{letter}\r\n.\r\n").as_bytes()).await;
    client.expect(250).await;
    assert!(fleet.submissions[0].ends().await.success());
    assert_eq!(fleet.submissions[0].exit_code("--health").await, Some(1));
    fleet.submissions[0].start().await;
    fleet.mail_of("bob", 1).await;
    fleet.end().await;
}
