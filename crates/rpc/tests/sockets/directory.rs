//! The directory's questions and answers.

use std::sync::atomic::Ordering;

use rpc::RpcError;
use rpc::directory::{Authentication, DirectoryClient, Login, Lookup};

use crate::running::{ANYWHERE, Running, TestDirectory};

#[tokio::test]
async fn every_question_gets_its_answer() {
    let server = Running::plain(ANYWHERE, TestDirectory::default().service()).await;
    let client = DirectoryClient::new(&server.channel()).unwrap();
    for (address, expected) in [
        ("alice@example.org", Lookup::Mailbox),
        ("gone@example.org", Lookup::Disabled),
        ("nobody@example.org", Lookup::Unknown),
        ("alice@example.net", Lookup::NotLocal),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(client.lookup(&address).await.unwrap(), expected);
    }
    assert!(client.is_local("example.org").await.unwrap());
    assert!(!client.is_local("example.net").await.unwrap());
    let postmaster = client.postmaster().await.unwrap().unwrap();
    assert_eq!(postmaster.to_string(), "postmaster@example.org");

    let alice = "alice@example.org".parse().unwrap();
    let login = client
        .authenticate("alice@example.org", &"sesame".into())
        .await;
    let accepted = Login {
        account: "alice@example.org".parse().unwrap(),
        tenant: 7,
    };
    assert_eq!(login.unwrap(), Authentication::Accepted(accepted));
    let login = client
        .authenticate("alice@example.org", &"guess".into())
        .await;
    assert_eq!(login.unwrap(), Authentication::Rejected);
    let bob = "bob@example.org".parse().unwrap();
    assert!(client.may_send_as(&alice, &alice).await.unwrap());
    assert!(!client.may_send_as(&alice, &bob).await.unwrap());
}

#[tokio::test]
async fn answers_are_remembered_but_not_failures_and_verdicts_on_logins() {
    let directory = TestDirectory::default();
    let calls = directory.calls.clone();
    let server = Running::plain(ANYWHERE, directory.service()).await;
    let client = DirectoryClient::new(&server.channel()).unwrap();
    let alice = "alice@example.org".parse().unwrap();
    let broken = "broken@example.org".parse().unwrap();
    for _ in 0..3 {
        client.lookup(&alice).await.unwrap();
        client.is_local("example.net").await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    for _ in 0..3 {
        let error = client.lookup(&broken).await.unwrap_err();
        assert!(matches!(error, RpcError::Failed { .. }), "{error}");
        client.authenticate("alice", &"guess".into()).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 8);
}

/// The next address at a domain of others is answered by what is known of the domain.
#[tokio::test]
async fn a_domain_of_others_is_asked_for_once() {
    let directory = TestDirectory::default();
    let calls = directory.calls.clone();
    let server = Running::plain(ANYWHERE, directory.service()).await;
    let client = DirectoryClient::new(&server.channel()).unwrap();
    for address in ["alice@example.net", "bob@example.net", "carol@EXAMPLE.net"] {
        let lookup = client.lookup(&address.parse().unwrap()).await.unwrap();
        assert_eq!(lookup, Lookup::NotLocal, "{address}");
    }
    assert!(!client.is_local("example.net").await.unwrap());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    // One of ours is asked for by address.
    for address in ["alice@example.org", "nobody@example.org"] {
        client.lookup(&address.parse().unwrap()).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}
