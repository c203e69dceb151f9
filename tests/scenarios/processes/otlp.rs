//! What a collector is told by OTLP: over TLS where it is asked for, and by whom.

use std::collections::BTreeSet;

use testkit::{Process, TestAuthority};

use super::harness::{BOB, Collector, Plan, Shipped, variable};

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_told_apart_over_tls() {
    let authority = TestAuthority::new();
    let collector = Collector::start_tls(&authority.issue(&["127.0.0.1"]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.certificate()).unwrap();
    let database = testkit::database().await;
    let mut fleet = Plan::of(1, 2, 1)
        .everywhere(&format!(
            "telemetry.otlp = \"{}\"
             telemetry.otlp_authority = '{}'
             telemetry.sample = 1.0",
            collector.url(),
            file.display()
        ))
        .start(&database)
        .await;
    fleet.submit(&[BOB], "traced").await;
    fleet.mail_of("bob", 1).await;
    fleet.books.are_empty().await;
    // What has not been exported is exported at the end.
    fleet.end_all().await;

    assert_eq!(collector.spans("accept").len(), 1);
    let host = nix::unistd::gethostname().unwrap();
    let host = host.to_string_lossy().into_owned();
    for (service, instances) in [("submission", 1), ("relay", 2), ("delivery", 1)] {
        let service = format!("chasqui-{service}");
        let tellers = collector.tellers(&service, &["service.instance.id"]);
        assert_eq!(tellers.len(), instances, "{service}: {tellers:?}");
        let hosts = collector.tellers(&service, &["host.name"]);
        assert_eq!(hosts, BTreeSet::from([vec![host.clone()]]));
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_nobody_vouches_for_is_told_nothing_and_the_log_says_so() {
    let collector = Collector::start_tls(&TestAuthority::new().issue(&["127.0.0.1"]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, TestAuthority::new().certificate()).unwrap();
    let database = testkit::database().await;
    let mut fleet = Plan::of(0, 0, 1)
        .everywhere(&format!(
            "telemetry.otlp = \"{}\"
             telemetry.otlp_authority = '{}'",
            collector.url(),
            file.display()
        ))
        .start(&database)
        .await;
    fleet.end_all().await;
    let log = fleet.deliveries[0].log();
    let line = log
        .lines()
        .find(|line| line.contains("metrics are not taken by the collector"));
    let line = line.unwrap_or_else(|| panic!("nothing is said of it: {log}"));
    assert!(line.contains("invalid peer certificate"), "{line}");
    assert!(collector.tellers("chasqui-delivery", &[]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorities_of_the_system_are_the_default_and_where_there_are_none_one_is_told_what_to_do()
 {
    let authority = TestAuthority::new();
    let collector = Collector::start_tls(&authority.issue(&["127.0.0.1"]));
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    let file = host.folder().join("system.pem");
    let mut service = host.service("delivery");
    service
        .env(variable("delivery", "TELEMETRY__OTLP"), collector.url())
        .env("SSL_CERT_FILE", &file)
        .env_remove("SSL_CERT_DIR");
    let mut refused = Process::start(&mut service);
    assert_eq!(refused.wait().await.code(), Some(1));
    let log = refused.log();
    let words = log.lines().last().unwrap_or_default();
    assert!(
        words
            .contains("install its ca-certificates, or name the collector's own in otlp_authority"),
        "{log}"
    );

    std::fs::write(&file, authority.certificate()).unwrap();
    let mut delivery = Process::start(&mut service);
    delivery.wait_for_log("serving gRPC").await;
    assert!(delivery.terminate().await.success());
    assert_eq!(collector.tellers("chasqui-delivery", &[]).len(), 1);
}
