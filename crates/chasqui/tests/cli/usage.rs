//! How the command line is used, and what it says to wrong usage.

use std::process::{Command, Stdio};

use crate::operator::Operator;

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    let operator = Operator::without_a_database();
    for wrong in [
        &["domain", "add"][..],
        &["domain", "add", "no domain"],
        &["account", "add", "no address"],
        &["account", "add", "alice@example.org", "a password"],
        &["queue", "show", "7"],
        &["queue", "list", "--limit", "0"],
        &["nonsense"],
    ] {
        let done = operator.types(wrong);
        assert_eq!((done.status, done.stdout.as_str()), (2, ""), "{done:?}");
        assert!(done.stderr.starts_with("error: "), "{done:?}");
    }
}

#[test]
fn mail_is_not_steered_by_accident() {
    let operator = Operator::without_a_database();
    for steering in ["hold", "release", "cancel"] {
        for selection in [
            &["queue", steering][..],
            &["queue", steering, "--limit", "1"],
        ] {
            let complaint = operator.types(selection).failed(2);
            assert!(complaint.contains("or --all for all mail"), "{complaint}");
        }
    }
}

#[test]
fn without_a_database_the_ways_to_give_one_are_told() {
    let complaint = Operator::without_a_database()
        .types(&["domain", "list"])
        .failed(2);
    assert_eq!(
        complaint,
        "chasqui: no database is given; give --database-url URL, or --state DIR of a running \
         `chasqui dev`, or set DATABASE_URL"
    );
}

#[tokio::test]
async fn a_database_that_was_not_set_up_is_pointed_out() {
    let database = testkit::database().await;
    let operator = Operator::of(&database);
    for command in [["account", "list"], ["queue", "list"]] {
        let complaint = operator.fails(&command);
        assert!(
            complaint.ends_with(": run `chasqui migrate`"),
            "{complaint}"
        );
    }
    operator.succeeds(&["migrate"]);
    assert_eq!(
        operator.succeeds(&["migrate"]),
        "directory and queue are up to date\n"
    );
    operator.succeeds(&["account", "list"]);
}

#[tokio::test]
async fn the_flag_goes_before_the_environment() {
    let database = testkit::database().await;
    let mut operator = Operator::without_a_database();
    let flag = ["domain", "list", "--database-url", database.url()];
    let complaint = operator.fails(&flag);
    assert!(
        complaint.ends_with(": run `chasqui migrate`"),
        "{complaint}"
    );
    operator = Operator::new().await;
    let complaint = operator.fails(&flag);
    assert!(
        complaint.ends_with(": run `chasqui migrate`"),
        "{complaint}"
    );
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let operator = Operator::without_a_database();
    let url = "mysql://chasqui:geheim@127.0.0.1/chasqui";
    for command in [
        &["domain", "list", "--database-url", url][..],
        &["queue", "list", "--database-url", url],
        &["migrate", "--database-url", url],
    ] {
        let complaint = operator.fails(command);
        assert!(!complaint.contains("geheim"), "{complaint}");
    }
}

#[test]
fn a_state_folder_without_a_running_dev_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let complaint = Operator::without_a_database().fails(&["queue", "list", "--state", state]);
    assert!(
        complaint.ends_with("; give the --state of a `chasqui dev`, as the user who started it"),
        "{complaint}"
    );
}

/// As in `chasqui … | head -1`.
#[tokio::test]
async fn a_reader_that_has_read_enough_is_no_failure() {
    let database = testkit::database().await;
    Operator::of(&database).succeeds(&["migrate"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = Command::new(env!("CARGO_BIN_EXE_chasqui"))
        .args(["domain", "list", "--json", "--database-url", database.url()])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}
