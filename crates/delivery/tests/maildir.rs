//! Maildir on a real filesystem.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use delivery::maildir::{Deposit, DepositError, Deposited, FileName, Maildir, RootError, sweep};
use directory::AccountName;
use queue::{QueueId, Shard};
use smtp::Mailbox;
use tempfile::TempDir;
use time::OffsetDateTime;

const CONTENT: &str = "Subject: hello\r\n\r\nworld\r\n";

struct Fixture {
    folder: TempDir,
    maildir: Maildir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(&folder.path().join("mail"), 2).unwrap();
        Self { folder, maildir }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    fn mailbox(&self, name: &str) -> PathBuf {
        self.root().join("example.org").join(name)
    }

    fn files(&self, name: &str, folder: &str) -> Vec<String> {
        entries(&self.mailbox(name).join(folder))
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn deposit(name: &str) -> Deposit {
    let account = Mailbox::parse(&format!("{name}@example.org")).unwrap();
    let id = QueueId::generate(Shard::new(0).unwrap());
    Deposit {
        account: AccountName::from_mailbox(&account).unwrap(),
        name: FileName::new(id, 0, OffsetDateTime::now_utc()),
        content: vec![Bytes::from_static(b"Return-Path: <>\r\n"), CONTENT.into()],
        may_be_there: false,
    }
}

fn retried(deposit: &Deposit) -> Deposit {
    Deposit {
        may_be_there: true,
        ..deposit.clone()
    }
}

#[tokio::test]
async fn a_message_lands_in_new_and_is_private() {
    let fixture = Fixture::new();
    let deposited = fixture.maildir.deposit(deposit("alice")).await.unwrap();
    assert_eq!(deposited, Deposited::Written);

    let [name] = fixture.files("alice", "new").try_into().unwrap();
    let file = fixture.mailbox("alice").join("new").join(&name);
    let stored = fs::read_to_string(&file).unwrap();
    assert_eq!(stored, format!("Return-Path: <>\r\n{CONTENT}"));
    assert!(
        name.ends_with(&format!(".chasqui,S={}", stored.len())),
        "{name}"
    );
    assert_eq!(mode_of(&file), 0o600);
    for folder in ["", "tmp", "new", "cur"] {
        assert_eq!(mode_of(&fixture.mailbox("alice").join(folder)), 0o700);
    }
    assert!(fixture.files("alice", "tmp").is_empty());
    assert!(fixture.files("alice", "cur").is_empty());
}

#[tokio::test]
async fn a_repeated_delivery_finds_itself_done() {
    let fixture = Fixture::new();
    let deposit = deposit("alice");
    fixture.maildir.deposit(deposit.clone()).await.unwrap();
    for again in [deposit.clone(), retried(&deposit)] {
        let deposited = fixture.maildir.deposit(again).await.unwrap();
        assert_eq!(deposited, Deposited::AlreadyThere);
    }
    assert_eq!(fixture.files("alice", "new").len(), 1);
}

#[tokio::test]
async fn a_repeated_delivery_finds_what_a_reader_has_moved_and_flagged() {
    let fixture = Fixture::new();
    let deposit = deposit("alice");
    fixture.maildir.deposit(deposit.clone()).await.unwrap();
    let [name] = fixture.files("alice", "new").try_into().unwrap();
    let home = fixture.mailbox("alice");
    fs::rename(
        home.join("new").join(&name),
        home.join(format!("cur/{name}:2,RS")),
    )
    .unwrap();

    let deposited = fixture.maildir.deposit(retried(&deposit)).await.unwrap();
    assert_eq!(deposited, Deposited::AlreadyThere);
    assert!(fixture.files("alice", "new").is_empty());
}

#[tokio::test]
async fn a_repeated_delivery_with_other_trace_fields_is_the_same_copy() {
    let fixture = Fixture::new();
    let first = deposit("alice");
    fixture.maildir.deposit(first.clone()).await.unwrap();
    let mut longer = retried(&first);
    longer
        .content
        .insert(0, Bytes::from_static(b"Delivered-To: x@y\r\n"));
    let deposited = fixture.maildir.deposit(longer).await.unwrap();
    assert_eq!(deposited, Deposited::AlreadyThere);
}

#[tokio::test]
async fn the_same_delivery_at_the_same_time_leaves_one_copy() {
    let fixture = Fixture::new();
    let deposit = deposit("alice");
    let tries = (0..50).map(|_| fixture.maildir.deposit(deposit.clone()));
    for outcome in futures_util::future::join_all(tries).await {
        outcome.unwrap();
    }
    assert_eq!(fixture.files("alice", "new").len(), 1);
    assert!(fixture.files("alice", "tmp").is_empty());
}

#[tokio::test]
async fn many_at_once_all_land_whole() {
    let fixture = Fixture::new();
    let body = "x".repeat(5_000);
    let all = (0..300).map(|number| {
        let mut deposit = deposit(&format!("user{}", number % 7));
        deposit.content.push(Bytes::from(body.clone()));
        fixture.maildir.deposit(deposit)
    });
    for outcome in futures_util::future::join_all(all).await {
        assert_eq!(outcome.unwrap(), Deposited::Written);
    }
    let mut count = 0;
    for user in 0..7 {
        let new = fixture.mailbox(&format!("user{user}")).join("new");
        for name in entries(&new) {
            assert!(fs::read_to_string(new.join(name)).unwrap().ends_with(&body));
            count += 1;
        }
    }
    assert_eq!(count, 300);
}

#[tokio::test]
async fn one_broken_mailbox_does_not_hold_up_the_others() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.root().join("example.org")).unwrap();
    File::create(fixture.mailbox("broken")).unwrap();
    let all = (0..20).map(|number| {
        let name = if number == 7 { "broken" } else { "alice" };
        fixture.maildir.deposit(deposit(name))
    });
    let outcomes = futures_util::future::join_all(all).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.is_err(), number == 7, "{number}: {outcome:?}");
    }
    assert_eq!(fixture.files("alice", "new").len(), 19);
}

#[tokio::test]
async fn symbolic_links_lead_nowhere() {
    for place in [
        "example.org",
        "example.org/alice",
        "example.org/alice/tmp",
        "example.org/alice/new",
    ] {
        let fixture = Fixture::new();
        let elsewhere = fixture.folder.path().join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        let link = fixture.root().join(place);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&elsewhere, &link).unwrap();

        let refused = fixture.maildir.deposit(deposit("alice")).await;
        assert!(
            matches!(refused, Err(DepositError::Io { .. })),
            "{place}: {refused:?}"
        );
        assert!(entries(&elsewhere).is_empty(), "{place}");
    }
}

#[tokio::test]
async fn a_link_in_tmp_or_new_is_not_written_through() {
    let fixture = Fixture::new();
    let deposit = deposit("alice");
    fixture.maildir.deposit(deposit.clone()).await.unwrap();
    let [name] = fixture.files("alice", "new").try_into().unwrap();
    let file = fixture.mailbox("alice").join("new").join(name);
    let victim = fixture.folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    fs::remove_file(&file).unwrap();
    symlink(&victim, &file).unwrap();

    fixture.maildir.deposit(deposit).await.unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
}

#[tokio::test]
async fn a_root_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    let refused = Maildir::open(&file.join("mail"), 1).unwrap_err();
    assert!(matches!(refused, RootError::Make { .. }));
    assert!(refused.to_string().contains("file/mail"), "{refused}");
    assert!(Maildir::open(&file, 1).is_err());
}

#[tokio::test]
async fn old_leftovers_are_swept_up_and_nothing_else() {
    let fixture = Fixture::new();
    fixture.maildir.deposit(deposit("alice")).await.unwrap();
    fixture.maildir.deposit(deposit("bob")).await.unwrap();
    let tmp = fixture.mailbox("alice").join("tmp");
    let now = SystemTime::now();
    let hours = |hours: u64| now - Duration::from_secs(hours * 3_600);
    let [stored] = fixture.files("alice", "new").try_into().unwrap();
    for (path, age) in [
        (tmp.join("old"), hours(37)),
        (tmp.join("young"), hours(35)),
        (
            fixture.mailbox("alice").join("new").join(stored),
            hours(1_000),
        ),
    ] {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.set_modified(age).unwrap();
    }
    let victim = fixture.folder.path().join("victim");
    let file = File::create(&victim).unwrap();
    file.set_modified(hours(1_000)).unwrap();
    symlink(&victim, tmp.join("link")).unwrap();

    let swept = sweep(&fixture.root(), now).unwrap();
    assert_eq!((swept.mailboxes, swept.removed), (2, 1));
    assert_eq!(fixture.files("alice", "tmp"), ["link", "young"]);
    assert_eq!(fixture.files("alice", "new").len(), 1);
    assert!(victim.exists());
}
