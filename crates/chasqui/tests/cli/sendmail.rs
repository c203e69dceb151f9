//! `sendmail`: what programs that send mail rely on. The server runs beside the test, which waits.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use testkit::{Action, Script, Sink, Stage, TestCertificate};

use crate::operator::Done;

/// A program that calls sendmail for this server.
struct Caller {
    server: SocketAddr,
    settings: Vec<(&'static str, String)>,
}

impl Caller {
    fn of(server: SocketAddr) -> Self {
        Self {
            server,
            settings: vec![("HOST_NAME", "app.example.org".to_owned())],
        }
    }

    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.settings.push((key, value.to_owned()));
        self
    }

    /// Calls `chasqui sendmail`.
    fn calls(&self, arguments: &[&str], message: &str) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chasqui"));
        command.arg("sendmail");
        self.runs(command, arguments, message)
    }

    fn runs(&self, mut command: Command, arguments: &[&str], message: &str) -> Done {
        command
            .args(arguments)
            .env("CHASQUI_SENDMAIL__HOST", self.server.ip().to_string())
            .env("CHASQUI_SENDMAIL__PORT", self.server.port().to_string());
        for (key, value) in &self.settings {
            command.env(format!("CHASQUI_SENDMAIL__{key}"), value);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have refused before it reads.
        let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
        Done::from(child.wait_with_output().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_come_from_the_header_and_bcc_stays_secret() {
    let sink = Sink::start(Script::new()).await;
    let message = "To: Bob <bob@example.net>, list: carol@example.net, \"D, E\" <de@example.net>;\n\
                   Cc: root\nBcc: eve@example.com,\n bob@example.net\nSubject: hi\n\nhello\n";
    let caller = Caller::of(sink.address());
    let arguments = [
        "-t",
        "-oi",
        "-oem",
        "-f",
        "alice@example.org",
        "frank@example.net",
    ];
    caller.calls(&arguments, message).succeeded();
    let received = sink.wait_for(1).await.remove(0);
    assert_eq!(received.reverse_path, "alice@example.org");
    assert_eq!(
        received.recipients,
        [
            "frank@example.net",
            "bob@example.net",
            "carol@example.net",
            "de@example.net",
            "root@app.example.org",
            "eve@example.com",
        ]
    );
    let text = received.text();
    assert!(!text.contains("eve") && !text.contains("Bcc"), "{text}");
    assert!(text.ends_with("Subject: hi\r\n\r\nhello\r\n"), "{text}");
    for field in ["Date: ", "Message-ID: <", "From: <alice@example.org>"] {
        assert!(text.contains(field), "{field} is missing: {text}");
    }
    assert_eq!(received.hello, "app.example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn called_by_its_old_name_a_lone_dot_ends_the_message_unless_told_otherwise() {
    let sink = Sink::start(Script::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("sendmail");
    symlink(env!("CARGO_BIN_EXE_chasqui"), &link).unwrap();
    let caller = Caller::of(sink.address());
    let message = "From: a@example.org\n\none\n.\ntwo\n";
    for arguments in [
        &["-f", "<>", "bob@example.net"][..],
        &[
            "-i",
            "-F",
            "Zoë",
            "-fa@example.org",
            "--",
            "bob@example.net",
        ],
    ] {
        caller
            .runs(Command::new(&link), arguments, message)
            .succeeded();
    }
    let received = sink.wait_for(2).await;
    assert_eq!(received[0].reverse_path, "");
    assert!(
        received[0].text().ends_with("\r\n\r\none\r\n"),
        "{received:?}"
    );
    assert_eq!(received[1].reverse_path, "a@example.org");
    assert!(
        received[1].text().ends_with("\r\none\r\n.\r\ntwo\r\n"),
        "{received:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_tells_what_to_do_with_the_message() {
    let message = "Subject: hi\n\nhello\n";
    let refuses = |stage, reply: &str| Script::new().on(stage, Action::reply(reply));
    for (script, status) in [
        (refuses(Stage::Rcpt, "550 5.1.1 no such user"), 67),
        (refuses(Stage::Rcpt, "451 4.3.0 later"), 75),
        (refuses(Stage::Mail, "550 5.7.1 not you"), 69),
        (refuses(Stage::Dot, "554 5.6.0 spam"), 69),
        (refuses(Stage::Greeting, "421 4.3.2 closing"), 75),
        (Script::new().on(Stage::Dot, Action::Close), 75),
    ] {
        let sink = Sink::start(script).await;
        let done = Caller::of(sink.address()).calls(&["-f", "a@b.example", "c@d.example"], message);
        assert_eq!(
            (done.status, done.stdout.as_str()),
            (status, ""),
            "{done:?}"
        );
        assert!(done.stderr.starts_with("sendmail: "), "{done:?}");
    }
    let nobody = SocketAddr::from(([127, 0, 0, 1], testkit::free_port()));
    let done = Caller::of(nobody).calls(&["-f", "a@b.example", "c@d.example"], message);
    assert_eq!(done.status, 75, "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_recipient_is_named_and_the_others_get_it() {
    let script = Script::new().recipient("no@example.net", "550 5.1.1 no such user");
    let sink = Sink::start(script).await;
    let to = ["-f", "a@b.example", "bob@example.net", "no@example.net"];
    let done = Caller::of(sink.address()).calls(&to, "Subject: hi\n\nhello\n");
    assert_eq!(done.status, 67, "{done:?}");
    assert!(
        done.stderr
            .contains("no@example.net: refused at RCPT: 550 5.1.1"),
        "{done:?}"
    );
    assert!(done.stderr.contains("bob@example.net: 250 "), "{done:?}");
    assert_eq!(sink.wait_for(1).await[0].recipients, ["bob@example.net"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_few_recipients_at_a_time_gets_them_all() {
    let sink = Sink::start(Script::new().at_most_recipients(2)).await;
    let to: Vec<String> = (0..5).map(|n| format!("r{n}@example.net")).collect();
    let mut arguments = vec!["-f", "a@b.example"];
    arguments.extend(to.iter().map(String::as_str));
    Caller::of(sink.address())
        .calls(&arguments, "Subject: hi\n\nhello\n")
        .succeeded();
    let received = sink.wait_for(3).await.into_iter();
    let all: Vec<String> = received.flat_map(|message| message.recipients).collect();
    assert_eq!(all, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_it_is_told_when_the_server_goes_away_between_transactions() {
    let script = Script::new()
        .at_most_recipients(1)
        .first(1, Stage::Dot, Action::reply("250 2.0.0 queued as 1"))
        .on(Stage::Dot, Action::Close);
    let sink = Sink::start(script).await;
    let to = ["r0@example.net", "r1@example.net", "r2@example.net"];
    let arguments = [&["-f", "a@b.example"], &to[..]].concat();
    let done = Caller::of(sink.address()).calls(&arguments, "Subject: hi\n\nhello\n");
    assert_eq!(
        (done.status, done.stdout.as_str()),
        (75, ""),
        "whoever called may try again: {done:?}"
    );
    for (recipient, what) in to.into_iter().zip([
        "250 2.0.0 queued as 1",
        "it may have been taken all the same",
        "not tried: ",
    ]) {
        let told = done.stderr.lines().find(|line| line.contains(recipient));
        assert!(told.is_some_and(|line| line.contains(what)), "{done:?}");
    }
    assert!(
        done.stderr
            .ends_with("sendmail: not accepted for 2 of 3 recipients\n"),
        "{done:?}"
    );
}

#[test]
fn wrong_usage_and_what_is_no_work_of_ours_are_told() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let caller = Caller::of(nobody);
    for (arguments, status, says) in [
        (&["-bs"][..], 69, "connect to submission or relay"),
        (&["-bd"], 69, "start relay and submission"),
        (&["-q"], 69, "chasqui queue flush"),
        (&["-bz", "a@b.example"], 64, "-bz is no mode"),
        (&[], 64, "nobody is named"),
        (&["--nonsense"], 64, "unexpected argument"),
        (&["-t"], 65, "names no recipient"),
        (&["a@b@c"], 65, "is no address"),
        (
            &["-C", "/nonexistent.toml", "a@b.example"],
            78,
            "can't read",
        ),
    ] {
        let done = caller.calls(arguments, "");
        assert_eq!(done.status, status, "{arguments:?} {done:?}");
        assert!(done.stderr.contains(says), "{arguments:?} {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_goes_only_to_a_server_that_proves_who_it_is() {
    let certificate = TestCertificate::self_signed(&["127.0.0.1"]);
    let other = TestCertificate::self_signed(&["127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    let (ca, _) = other.write_to(folder.path(), "other");
    for (script, settings) in [
        (Script::new().offering("AUTH PLAIN"), vec![]),
        (Script::new().offering("AUTH PLAIN"), vec![("TLS", "none")]),
        (
            Script::new().offering("AUTH PLAIN").starttls(&certificate),
            vec![("CA", ca.to_str().unwrap())],
        ),
    ] {
        let sink = Sink::start(script).await;
        let mut caller = Caller::of(sink.address())
            .with("LOGIN", "alice@example.org")
            .with("PASSWORD", "geheim");
        for (key, value) in &settings {
            caller = caller.with(key, value);
        }
        let done = caller.calls(&["bob@example.net"], "Subject: hi\n\nhello\n");
        assert_eq!(done.status, 78, "{settings:?} {done:?}");
        assert!(!done.stderr.contains("geheim"), "{done:?}");
        assert!(sink.messages().is_empty());
        for connection in 1..=sink.connections() {
            let commands = sink.commands(connection);
            assert!(
                !commands.iter().any(|it| it.starts_with("AUTH")),
                "{commands:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_where_it_is_offered() {
    let certificate = TestCertificate::self_signed(&["elsewhere.example"]);
    let sink = Sink::start(Script::new().starttls(&certificate)).await;
    let to = ["-f", "a@b.example", "bob@example.net"];
    Caller::of(sink.address())
        .calls(&to, "Subject: hi\n\nwörld\n")
        .succeeded();
    let received = sink.wait_for(1).await.remove(0);
    assert!(received.tls);
    assert!(
        received.parameters.contains("BODY=8BITMIME"),
        "{received:?}"
    );
}
