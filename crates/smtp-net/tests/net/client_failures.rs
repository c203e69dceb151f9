//! Servers that refuse, vanish or stall, at every stage.

use std::time::Duration;

use bytes::Bytes;
use smtp::client::{Config, Ending, NotBegun, RecipientResult, Stage};
use smtp::{Body, Domain, Mailbox, ReversePath};
use smtp_net::{
    ClientConnection, ClientOptions, ClientTls, ConnectCause, ConnectFailure, NotSent,
    OutboundTransaction,
};

use crate::certificates::HOST;
use crate::scripted::{OPENING, Scripted};
use crate::soon;

pub(crate) fn options() -> ClientOptions {
    ClientOptions::new(Config::new(Domain::parse("client.example.net").unwrap()))
}

async fn connect(
    server: &Scripted,
    options: &ClientOptions,
) -> Result<ClientConnection, ConnectFailure> {
    soon(ClientConnection::connect(server.address, HOST, options)).await
}

async fn fails_to_connect(script: &str) -> ConnectFailure {
    let server = Scripted::start(script).await;
    let failure = connect(&server, &options()).await.unwrap_err();
    server.was_followed().await;
    failure
}

/// Sends a message to two recipients through a server that goes on from the opening like this.
async fn send(script: &str) -> Vec<RecipientResult> {
    send_with(&options(), script).await
}

async fn send_with(options: &ClientOptions, script: &str) -> Vec<RecipientResult> {
    let server = Scripted::start(&format!("{OPENING}{script}")).await;
    let mut connection = connect(&server, options).await.unwrap();
    let results = attempt(&mut connection, b"one\r\n", Body::SevenBit, true).await;
    drop(connection);
    server.was_followed().await;
    results.unwrap()
}

async fn attempt(
    connection: &mut ClientConnection,
    content: &'static [u8],
    body: Body,
    fence: bool,
) -> Result<Vec<RecipientResult>, NotSent> {
    let transaction = OutboundTransaction {
        reverse_path: &ReversePath::Null,
        recipients: &["a@example.org", "b@example.org"].map(|text| Mailbox::parse(text).unwrap()),
        body,
        content: &[Bytes::from_static(content)],
    };
    soon(connection.send(&transaction, &|| fence)).await
}

fn refused(results: &[RecipientResult]) -> Vec<(Stage, u16)> {
    let decided = results.iter().filter_map(|result| match result {
        RecipientResult::Refused { stage, reply } => Some((*stage, reply.code.as_u16())),
        _ => None,
    });
    decided.collect()
}

fn interrupted(results: &[RecipientResult]) -> Vec<(Stage, Ending)> {
    let decided = results.iter().filter_map(|result| match result {
        RecipientResult::Interrupted { stage, ending } => Some((*stage, ending.clone())),
        _ => None,
    });
    decided.collect()
}

#[tokio::test]
async fn nobody_listens() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = soon(ClientConnection::connect(address, HOST, &options())).await;
    let failure = failure.unwrap_err();
    assert!(matches!(failure.cause, ConnectCause::Tcp(_)), "{failure}");
    assert_eq!((failure.stage(), failure.reply()), (None, None));
}

#[tokio::test]
async fn the_greeting_refuses_or_never_comes() {
    let failure = fails_to_connect("S: 554 5.7.1 Not you\nC: QUIT").await;
    assert_eq!(failure.stage(), Some(Stage::Greeting));
    assert_eq!(failure.reply().unwrap().code.as_u16(), 554);
    let failure = fails_to_connect("S: 421 4.3.2 Not now").await;
    assert_eq!(failure.reply().unwrap().code.as_u16(), 421);
    let failure = fails_to_connect("").await;
    assert_eq!(
        (failure.stage(), failure.reply()),
        (Some(Stage::Greeting), None)
    );
    let failure = fails_to_connect("S: What is this?").await;
    assert_eq!(failure.stage(), Some(Stage::Greeting));

    let server = Scripted::start("...").await;
    let mut impatient = options();
    impatient.session.timeouts.greeting = Duration::from_millis(50);
    let failure = connect(&server, &impatient).await.unwrap_err();
    let cause = ConnectCause::Ended {
        stage: Stage::Greeting,
        ending: Ending::TimedOut,
    };
    assert_eq!(failure.to_string(), cause.to_string());
    server.was_followed().await;
}

#[tokio::test]
async fn hello_is_refused_or_cut() {
    let failure = fails_to_connect("S: 220 mx\nC: EHLO\nS: 421 4.3.2 Not now").await;
    assert_eq!(failure.stage(), Some(Stage::Hello));
    let old = "S: 220 mx\nC: EHLO\nS: 502 What?\nC: HELO\nS: 550 Not you\nC: QUIT";
    let failure = fails_to_connect(old).await;
    assert_eq!(failure.reply().unwrap().code.as_u16(), 550);
    let failure = fails_to_connect("S: 220 mx\nC: EHLO").await;
    assert_eq!(failure.stage(), Some(Stage::Hello));
    assert!(!failure.tls_tried);
}

#[tokio::test]
async fn a_handshake_that_fails_may_be_done_without() {
    let script = "S: 220 mx\nC: EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go on\nS: ?";
    let server = Scripted::start(script).await;
    let failure = connect(&server, &options()).await.unwrap_err();
    assert!(
        matches!(failure.cause, ConnectCause::Handshake(_)),
        "{failure}"
    );
    assert!(failure.tls_tried);

    let server = Scripted::start("S: 220 mx\nC: EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: QUIT").await;
    let mut in_plain = options();
    in_plain.tls = ClientTls::Never;
    let connection = connect(&server, &in_plain).await.unwrap();
    assert_eq!(connection.tls(), None);
    soon(connection.quit()).await;
    server.was_followed().await;
}

#[tokio::test]
async fn a_refused_starttls_leaves_the_session_in_plaintext() {
    let script = "
        S: 220 mx
        C: EHLO
        S: 250-mx
        S: 250 STARTTLS
        C: STARTTLS
        S: 454 4.7.0 Not now
        C: QUIT
        S: 221 Bye
    ";
    let server = Scripted::start(script).await;
    let mut connection = connect(&server, &options()).await.unwrap();
    assert_eq!(connection.tls(), None);
    assert!(connection.is_reusable());
    soon(connection.quit()).await;
    server.was_followed().await;
}

#[tokio::test]
async fn commands_are_refused() {
    let mail =
        send("C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 451 No\nS: 503 No\nS: 503 No\nS: 503 No");
    assert_eq!(refused(&mail.await), [(Stage::Mail, 451); 2]);
    let rcpt =
        send("C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 550 No\nS: 450 No\nS: 503 No");
    assert_eq!(
        refused(&rcpt.await),
        [(Stage::Rcpt, 550), (Stage::Rcpt, 450)]
    );
    let data =
        send("C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 250 Yes\nS: 250 Yes\nS: 554 No");
    assert_eq!(refused(&data.await), [(Stage::Data, 554); 2]);
}

#[tokio::test]
async fn the_message_is_refused_for_all_who_are_left() {
    let results = send(
        "C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 550 No\nS: 250 Yes\nS: 354 Go\nC* .\nS: 552 No",
    );
    assert_eq!(
        refused(&results.await),
        [(Stage::Rcpt, 550), (Stage::FinalDot, 552)]
    );
}

#[tokio::test]
async fn the_server_takes_its_leave() {
    let results = send("C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 421 4.3.2 Bye").await;
    assert_eq!(refused(&results), [(Stage::Rcpt, 421); 2]);
}

#[tokio::test]
async fn the_connection_is_lost() {
    for (script, stage) in [
        ("C: MAIL", Stage::Mail),
        (
            "C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 250 Yes",
            Stage::Rcpt,
        ),
        (
            "C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 250 Yes\nS: 250 Yes",
            Stage::Data,
        ),
        (
            "C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 250 Yes\nS: 250 Yes\nS: 354 Go\nC* .",
            Stage::FinalDot,
        ),
    ] {
        let results = send(script).await;
        assert_eq!(
            interrupted(&results),
            vec![(stage, Ending::Disconnected); 2]
        );
    }
}

#[tokio::test]
async fn the_final_reply_never_comes() {
    let mut impatient = options();
    impatient.session.timeouts.final_dot = Duration::from_millis(50);
    let script = "C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Yes\nS: 250 Yes\nS: 250 Yes\nS: 354 Go\nC* .\n...";
    let results = send_with(&impatient, script).await;
    assert_eq!(
        interrupted(&results),
        vec![(Stage::FinalDot, Ending::TimedOut); 2]
    );
}

#[tokio::test]
async fn a_server_that_gives_up_half_way_is_heard() {
    // More than any socket buffer holds, so that the client is still writing.
    static LARGE: [u8; 64 << 20] = [b'x'; 64 << 20];
    let opening = OPENING.replace("SIZE 1000", "HELP");
    let script = "
        C: MAIL
        C: RCPT
        C: RCPT
        C: DATA
        S: 250 Yes
        S: 250 Yes
        S: 250 Yes
        S: 354 Go
        S: 452 4.3.1 Disk full
        ...
    ";
    let server = Scripted::start(&format!("{opening}{script}")).await;
    let mut connection = connect(&server, &options()).await.unwrap();
    let results = attempt(&mut connection, &LARGE, Body::SevenBit, true).await;
    assert_eq!(refused(&results.unwrap()), [(Stage::Content, 452); 2]);
    assert!(!connection.is_reusable());
}

#[tokio::test]
async fn a_fence_that_is_down_delivers_nothing() {
    let script = "
        C: MAIL
        C: RCPT
        C: RCPT
        C: DATA
        S: 250 Yes
        S: 250 Yes
        S: 250 Yes
        S: 354 Go
        ...
    ";
    let server = Scripted::start(&format!("{OPENING}{script}")).await;
    let mut connection = connect(&server, &options()).await.unwrap();
    let results = attempt(&mut connection, b"one\r\n", Body::SevenBit, false).await;
    assert_eq!(results, Err(NotSent::Fenced));
    assert!(!connection.is_reusable());
    // The script ends with a check that no final dot came.
    server.was_followed().await;
}

#[tokio::test]
async fn what_does_not_fit_is_not_begun() {
    let script = format!(
        "{}C: QUIT",
        OPENING.replace("S: 250 8BITMIME", "S: 250 HELP")
    );
    let server = Scripted::start(&script).await;
    let mut connection = connect(&server, &options()).await.unwrap();
    for (content, body, reason) in [
        (
            &b"\xc3\xbc\r\n"[..],
            Body::EightBitMime,
            NotSent::NotBegun(NotBegun::Unsupported8Bit),
        ),
        (
            &[b'x'; 1001],
            Body::SevenBit,
            NotSent::NotBegun(NotBegun::TooLarge { limit: 1000 }),
        ),
    ] {
        let results = attempt(&mut connection, content, body, true).await;
        assert_eq!(results, Err(reason));
    }
    let results = attempt(&mut connection, b"a\n.\r\nb\r\n", Body::SevenBit, true).await;
    assert!(matches!(results, Err(NotSent::Content(_))), "{results:?}");
    assert!(connection.is_reusable());
    assert_eq!(connection.transactions(), 0);
    soon(connection.quit()).await;
    server.was_followed().await;
}

#[tokio::test]
async fn a_server_that_left_meanwhile_is_not_used_again() {
    let server = Scripted::start(&format!("{OPENING}S: 421 4.4.2 Idle for too long")).await;
    let mut connection = connect(&server, &options()).await.unwrap();
    server.was_followed().await;
    soon(async {
        while connection.is_reusable() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
