//! Who may send as whom.

use crate::fleet::Fleet;

fn from(header: &str) -> String {
    format!("{header}\r\nSubject: x\r\n\r\nbody\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sends_as_its_own_addresses_only() {
    let fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    for own in [
        "alice@example.org",
        "ALICE@example.org",
        "alice+tag@example.org",
        "sales@example.org",
    ] {
        client.ask(&format!("MAIL FROM:<{own}>"), "250 2.1.0");
        client.ask("RSET", "250");
    }
    for foreign in [
        "bob@example.org",
        "alice@elsewhere.example",
        "nobody@example.org",
    ] {
        let refusal = client.ask(&format!("MAIL FROM:<{foreign}>"), "550-5.7.1");
        assert!(
            refusal.contains(&format!("alice@example.org may not send as <{foreign}>")),
            "{refusal}"
        );
        client.ask("RCPT TO:<jo@example.net>", "503");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_author_must_be_an_own_address() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    for (header, reply) in [
        ("From: alice@example.org", "250 2.0.0 queued as "),
        (
            "From: Sales <sales@example.org>,\r\n Alice <alice@example.org>",
            "250 ",
        ),
        ("From: \"bob@example.org\" <alice@example.org>", "250 "),
        (
            "From: alice@example.org\r\nSender: sales@example.org",
            "250 ",
        ),
        ("From: bob@example.org", "550-5.7.1 "),
        ("From: alice@example.org, bob@example.org", "550-5.7.1 "),
        (
            "From: alice@example.org\r\nSender: bob@example.org",
            "550-5.7.1 ",
        ),
        (
            "From: alice@example.org\r\nFrom: bob@example.org",
            "554 5.6.0 ",
        ),
        (
            "From: alice@example.org\r\nodd line\r\nFrom: bob@example.org",
            "554 5.6.0 ",
        ),
        ("From: Alice", "554 5.6.0 "),
        ("From: <alice@example.org> bob@example.org", "554 5.6.0 "),
        ("To: jo@example.net", "554 5.6.0 "),
    ] {
        let said = client.submit("alice@example.org", &["jo@example.net"], &from(header));
        assert!(said.starts_with(reply), "{header}: {said}");
        if reply.starts_with("250") {
            fleet.relay.next().await;
        }
    }
    assert!(fleet.relay.has_nothing(), "what was refused is not queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_goes_out_under_the_null_reverse_path() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    let content = from("From: alice@example.org");
    let said = client.submit("", &["jo@example.net"], &content);
    assert!(said.starts_with("250"), "{said}");
    assert!(fleet.relay.next().await.0.reverse_path.is_null());
    let said = client.submit("", &["jo@example.net"], &from("From: bob@example.org"));
    assert!(
        said.starts_with("550-5.7.1"),
        "the author is checked all the same: {said}"
    );
}
