//! The operator's commands on a fleet that is really running.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testkit::wait_until;

use crate::user::{DOMAIN, Dev, Ports, chasqui, folder, mailbox};

const MESSAGE: &str = "Subject: from cron\nMessage-ID: <job-1@app.example>\n\nall went well\n";

fn sendmail(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // It may have refused before it reads.
    let _ = child.stdin.take().unwrap().write_all(MESSAGE.as_bytes());
    child.wait_with_output().unwrap()
}

fn tells(arguments: &[&str], state: &Path) -> Value {
    let done = chasqui(arguments, state).arg("--json").output().unwrap();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

#[tokio::test]
async fn a_message_is_submitted_by_sendmail_and_traced_and_the_fleet_is_examined() {
    let folder = folder();
    let state = folder.path().join("state");
    let ports = Ports::free();
    let _dev = Dev::start(&state, &ports.flags());

    let before = mailbox(&state, "bob").len();
    let done = sendmail(&mut chasqui(&["sendmail", "-v", "bob"], &state));
    assert!(done.status.success(), "{done:?}");
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(
        told.starts_with("sendmail: bob@chasqui.test: 250 2.0.0 queued as "),
        "{told}"
    );
    wait_until("the message to arrive", async || {
        mailbox(&state, "bob").len() > before
    })
    .await;

    // It lies in the mailbox a moment before that is on record.
    let trace = async || tells(&["trace", "job-1@app.example"], &state);
    wait_until("the delivery to be on record", async || {
        let stories = trace().await;
        let last = stories[0]["events"].as_array().unwrap().last().unwrap();
        last["event"] == "delivered"
    })
    .await;
    let stories = trace().await;
    assert_eq!(stories[0]["reverse_path"], format!("alice@{DOMAIN}"));

    let findings = tells(&["doctor"], &state);
    let ports = findings.as_array().unwrap().iter();
    let ports: Vec<&Value> = ports.filter(|finding| finding["check"] == "port").collect();
    assert!(ports.len() >= 6, "{ports:#?}");
    assert!(
        ports.iter().all(|finding| finding["verdict"] == "ok"),
        "{ports:#?}"
    );
    let relay = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["check"] == "fleet")
        .unwrap();
    assert_eq!(relay["verdict"], "ok");
}

/// As an application is set up beside a submission service: by the environment.
#[tokio::test]
async fn a_login_is_given_to_a_server_that_its_authority_vouches_for() {
    let folder = folder();
    let state = folder.path().join("state");
    let ports = Ports::free();
    let _dev = Dev::start(&state, &ports.flags());
    let credentials = std::fs::read_to_string(state.join("credentials")).unwrap();
    let (login, password) = credentials.lines().next().unwrap().split_once(' ').unwrap();
    let submit = |password: &str, port: String, tls: &str| {
        sendmail(
            Command::new(env!("CARGO_BIN_EXE_chasqui"))
                .args(["sendmail", "bob"])
                .env("CHASQUI_SENDMAIL__HOST", "localhost")
                .env("CHASQUI_SENDMAIL__PORT", port)
                .env("CHASQUI_SENDMAIL__TLS", tls)
                .env("CHASQUI_SENDMAIL__CA", state.join("tls/certificate.pem"))
                .env("CHASQUI_SENDMAIL__LOGIN", login)
                .env("CHASQUI_SENDMAIL__PASSWORD", password)
                .env("CHASQUI_SENDMAIL__HOST_NAME", "app.example.org")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
    };
    let start_tls = ports.submission().port().to_string();
    let done = submit(password, start_tls.clone(), "starttls");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let done = submit(password, ports.submissions().port().to_string(), "implicit");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let done = submit("wrong", start_tls, "starttls");
    assert_eq!(done.status.code(), Some(77), "{done:?}");
}
