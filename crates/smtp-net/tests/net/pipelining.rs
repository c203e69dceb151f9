//! Conversations with our server that go well.

use smtp::server::Dialect;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::service::{Options, Service};
use crate::soon;
use crate::told::Told;

#[tokio::test]
async fn a_batch_is_answered_in_order_and_in_one_write() {
    let service = Service::start(Options::plain());
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<unknown@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        .await;
    let mut buffer = [0; 4096];
    let read = soon(client.stream.read(&mut buffer)).await.unwrap();
    let replies = String::from_utf8_lossy(&buffer[..read]);
    let codes: Vec<&str> = replies.lines().filter_map(|line| line.get(..3)).collect();
    assert_eq!(codes, ["250", "250", "550", "250", "354"], "{replies}");
    assert!(replies.contains("Recipient 2 fine"), "{replies}");
}

#[tokio::test]
async fn content_arrives_byte_for_byte_whatever_its_size() {
    let mut service = Service::start(Options::plain());
    let mut client = Told::introduced(service.address).await;
    for lines in [0, 1, 100, 50_000] {
        let line = "..a line that starts with two dots\r\n";
        let content = line.repeat(lines);
        let stuffed = content.replace("..a", "...a");
        client
            .say("MAIL FROM:<x@example.net>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
            .await;
        for code in ["250", "250", "354"] {
            client.expect(code).await;
        }
        client.say(&format!("{stuffed}.\r\n")).await;
        client.expect("250").await;
        let taken = service.taken().await;
        assert!(taken.content == content.as_bytes(), "{lines} lines");
        assert_eq!(taken.envelope.reverse_path.as_address(), "x@example.net");
        let hello = taken.session.hello.unwrap();
        assert_eq!(hello.name, "client.example.net");
    }
    assert_eq!(service.budget.available(), service.budget.total());
    client.ask("QUIT", "221").await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_message_and_what_follows_it_may_come_at_once() {
    let mut service = Service::start(Options::plain());
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client.say("one\r\n.\r\nMAIL FROM:<>\r\nQUIT\r\n").await;
    for code in ["250", "250", "221"] {
        client.expect(code).await;
    }
    client.expect_end().await;
    assert_eq!(service.taken().await.content, "one\r\n");
}

#[tokio::test]
async fn a_false_end_of_data_smuggles_nothing_in() {
    let mut service = Service::start(Options::plain());
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client
        .say("one\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\ntwo\r\n.\r\n")
        .await;
    client.expect("5").await;
    client.ask("NOOP", "250").await;
    assert!(service.has_taken_nothing());
}

#[tokio::test]
async fn in_lmtp_each_recipient_has_a_reply() {
    let mut options = Options::plain();
    options.config.dialect = Dialect::Lmtp;
    let service = Service::start(options);
    let mut client = Told::connect(service.address).await;
    client.expect("220").await;
    client.ask("LHLO client.example.net", "250").await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "250", "354"] {
        client.expect(code).await;
    }
    client.say("one\r\n.\r\n").await;
    client.expect("250").await;
    // The handler has one reply only: what is missing is made up for, and never lost.
    client.expect("451").await;
    client.ask("QUIT", "221").await;
}

#[tokio::test]
async fn a_client_that_has_quit_is_not_listened_to_and_one_that_was_dismissed_is() {
    let mut options = Options::plain();
    options.config.max_errors = 1;
    let service = Service::start(options);
    for (word, last, is_listened_to) in [("QUIT", "221", false), ("WHAT", "421", true)] {
        let mut client = Told::introduced(service.address).await;
        client.say(&format!("{word}\r\n")).await;
        while !client.reply().await.starts_with(last) {}
        client.expect_end().await;
        // A socket that is gone answers the first of them with a reset.
        client.say("NOOP\r\n").await;
        let second = soon(client.stream.write_all(b"NOOP\r\n")).await;
        assert_eq!(second.is_ok(), is_listened_to, "{word} {second:?}");
    }
}
