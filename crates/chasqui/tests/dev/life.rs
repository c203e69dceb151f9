//! From the first start to the last.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use nix::sys::signal::Signal;
use smtp::{Body, Domain, Mailbox, ReversePath};
use smtp_net::{ClientConnection, ClientOptions, OutboundTransaction};
use testkit::wait_until;

use crate::user::{DOMAIN, Dev, Ports, chasqui, folder, is_running, mailbox};

/// `address password` of both accounts.
fn credentials(state: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(state.join("credentials")).unwrap();
    text.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(address, password)| (address.to_owned(), password.to_owned()))
        .collect()
}

fn configuration(state: &Path) -> [Vec<u8>; 3] {
    ["submission", "relay", "delivery"]
        .map(|name| std::fs::read(state.join(format!("config/{name}.toml"))).unwrap())
}

/// Submits a message from alice to bob.
async fn submit(ports: &Ports, state: &Path, content: &'static str) {
    let hello = Domain::parse("client.example.org").unwrap();
    let options = ClientOptions::new(smtp::client::Config::new(hello));
    let connecting = ClientConnection::connect(ports.submission(), "localhost", &options);
    let mut connection = connecting.await.unwrap();
    let (alice, password) = credentials(state).swap_remove(0);
    connection.authenticate(&alice, &password).await.unwrap();
    let transaction = OutboundTransaction {
        reverse_path: &ReversePath::from_address(&alice).unwrap(),
        recipients: &[Mailbox::parse(&format!("bob@{DOMAIN}")).unwrap()],
        body: Body::SevenBit,
        content: &[Bytes::from_static(content.as_bytes())],
    };
    let results = connection.send(&transaction, &|| true).await.unwrap();
    assert!(results[0].is_accepted(), "{results:?}");
    connection.quit().await;
}

async fn arrives(state: &Path, text: &str) {
    wait_until("the message to arrive", async || {
        mailbox(state, "bob")
            .into_iter()
            .any(|file| std::fs::read_to_string(file).is_ok_and(|content| content.contains(text)))
    })
    .await;
}

#[test]
fn a_first_start_delivers_a_message_and_a_second_goes_on_with_all_of_it() {
    let folder = folder();
    let state = folder.path().join("state");
    let ports = Ports::free();

    let mut dev = Dev::start(&state, &ports.flags());
    let message = std::fs::read_to_string(dev.first_message()).unwrap();
    assert!(message.contains("with ESMTPSA id "), "{message}");
    assert!(
        message.contains(&format!("\r\nDelivered-To: bob@{DOMAIN}\r\n")),
        "{message}"
    );
    let file = std::fs::metadata(state.join("credentials")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let known = credentials(&state);
    let addresses: Vec<&str> = known.iter().map(|(address, _)| address.as_str()).collect();
    assert_eq!(addresses, ["alice@chasqui.test", "bob@chasqui.test"]);
    let configured = configuration(&state);

    let accounts = chasqui(&["account", "list", "--json"], &state)
        .output()
        .unwrap();
    let accounts: serde_json::Value = serde_json::from_slice(&accounts.stdout).unwrap();
    assert_eq!(accounts.as_array().unwrap().len(), 3);

    let postgres = dev.postgres();
    dev.signal(Signal::SIGINT);
    let (status, last, complaints) = dev.ended();
    assert!(status.success(), "{status} {complaints}");
    assert_eq!(last, "stopping\nstopped\n");
    assert_eq!(complaints, "");
    assert!(!is_running(postgres));

    // The ports are in the configuration by now.
    let mut dev = Dev::start(&state, &[]);
    assert_eq!(mailbox(&state, "bob").len(), 2);
    assert_eq!(credentials(&state), known);
    assert!(configuration(&state) == configured);
    let shown = format!("{} STARTTLS", ports.submission());
    assert!(
        dev.said.iter().any(|line| line.contains(&shown)),
        "{:#?}",
        dev.said
    );
    dev.signal(Signal::SIGTERM);
    assert!(dev.ended().0.success());
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_delivered_after_it() {
    let folder = folder();
    let state = folder.path().join("state");
    let ports = Ports::free();
    let mut dev = Dev::start(&state, &ports.flags());

    // Bob's mailbox is in the way of itself, so that the message is queued and stays there.
    let bob = state.join("mail").join(DOMAIN).join("bob");
    let aside = state.join("bob");
    std::fs::rename(&bob, &aside).unwrap();
    std::fs::write(&bob, "not a folder").unwrap();
    submit(
        &ports,
        &state,
        "From: alice@chasqui.test\r\nSubject: before the kill\r\n\r\nstill here\r\n",
    )
    .await;
    let postgres = dev.postgres();
    dev.signal(Signal::SIGKILL);
    dev.ended();
    wait_until("Postgres to go with its owner", async || {
        !is_running(postgres)
    })
    .await;

    std::fs::remove_file(&bob).unwrap();
    std::fs::rename(&aside, &bob).unwrap();
    let dev = Dev::start(&state, &[]);
    // The kill came before the first attempt was settled, or after it: then it waits for its retry.
    let flushed = chasqui(&["queue", "flush"], &state).output().unwrap();
    assert!(flushed.status.success(), "{flushed:?}");
    arrives(&state, "Subject: before the kill").await;
    drop(dev);
}

#[test]
fn a_password_that_was_changed_is_no_obstacle() {
    let folder = folder();
    let state = folder.path().join("state");
    let mut dev = Dev::start(&state, &Ports::free().flags());
    let changed = Command::new("sh")
        .args([
            "-c",
            r#"echo "another password" | "$0" account passwd alice@chasqui.test --state "$1""#,
        ])
        .arg(env!("CARGO_BIN_EXE_chasqui"))
        .arg(&state)
        .output()
        .unwrap();
    assert!(changed.status.success(), "{changed:?}");
    dev.signal(Signal::SIGINT);
    dev.ended();

    let dev = Dev::start(&state, &[]);
    let said = dev
        .said
        .iter()
        .any(|line| line.starts_with("no first message: "));
    assert!(said, "{:#?}", dev.said);
}
