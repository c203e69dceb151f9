//! The rule for local parts: case does not matter, a tag belongs to the name, and nothing reaches a path.

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_name_share_a_mailbox_and_keep_their_words() {
    let fleet = Fleet::start().await;
    let spellings = [
        "bob@example.test",
        "BOB@EXAMPLE.test",
        "bob+lists@example.test",
        "Bob+a+b@example.test",
        "\"bob\"@example.test",
        "\"bob+../../up\"@example.test",
    ];
    for address in spellings {
        let answer = fleet
            .inject("jo@far.test", &[address], &letter("spelt"))
            .await;
        assert_eq!(answer.code, 250, "{address}: {}", answer.text());
    }

    let mails = fleet.mail_of("bob", spellings.len()).await;
    let mut named: Vec<String> = mails
        .iter()
        .flat_map(|mail| mail.fields("Delivered-To"))
        .map(|address| address.to_lowercase())
        .collect();
    named.sort();
    assert_eq!(named.len(), spellings.len());
    assert!(
        named.contains(&"bob+lists@example.test".to_owned()),
        "{named:?}"
    );
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_parts_that_look_like_paths_are_nobody() {
    let fleet = Fleet::start().await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;
    for local_part in [
        "../bob",
        "..",
        "\"..\"",
        "\"../bob\"",
        "\"/etc/passwd\"",
        "/etc/passwd",
        "bob/new",
        "\"bob/../alice\"",
        "\"bob\\\\alice\"",
        "+lists",
        ".bob",
        "bob.",
    ] {
        let command = format!("RCPT TO:<{local_part}@example.test>");
        let answer = talk.ask(&command).await;
        assert!(answer.code >= 500, "{local_part}: {}", answer.text());
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_leads_to_its_accounts() {
    let fleet = Fleet::start().await;
    let address = |name: &str| format!("{name}@example.test").parse().unwrap();
    let team = [address("alice"), address("bob")];
    fleet
        .directory
        .add_alias(&address("team"), &team)
        .await
        .unwrap();
    let answer = fleet
        .inject("jo@far.test", &["team@example.test"], &letter("to all"))
        .await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    for name in ["alice", "bob"] {
        let mail = fleet.first_mail_of(name).await;
        let account = format!("{name}@example.test");
        assert_eq!(
            mail.fields("Delivered-To"),
            [account.as_str(), "team@example.test"]
        );
    }
    fleet.queue_is_empty().await;
    fleet.end().await;
}
