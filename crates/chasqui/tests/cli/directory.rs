//! `domain`, `account` and `alias`.

use ::directory::{Authentication, DatabaseConfig, Directory};
use serde_json::json;

use crate::operator::Operator;

const ALICE: &str = "alice@example.org";

async fn with_domain() -> Operator {
    let operator = Operator::new().await;
    operator.succeeds(&["domain", "add", "example.org"]);
    operator
}

fn add_account(operator: &Operator, address: &str, password: &str) {
    let arguments = ["account", "add", address];
    let done = operator.types_and_pipes(&arguments, &format!("{password}\n"));
    assert_eq!(done.succeeded(), format!("added {address}\n"));
}

async fn can_log_in(url: &str, login: &str, password: &str) -> bool {
    let directory = Directory::connect(&DatabaseConfig::new(url.into()))
        .await
        .unwrap();
    let answer = directory
        .authenticate(login, password.into())
        .await
        .unwrap();
    directory.close().await;
    matches!(answer, Authentication::Accepted(_))
}

#[tokio::test]
async fn a_domain_comes_with_postmaster_and_abuse() {
    let operator = Operator::new().await;
    let added = operator.tells(&["domain", "add", "Example.ORG", "--tenant", "7"]);
    assert_eq!(added, json!({"domain": "example.org", "tenant": 7}));
    let complaint = operator.fails(&["domain", "add", "example.org"]);
    assert_eq!(complaint, "chasqui: the domain example.org exists already");

    let domains = operator.tells(&["domain", "list"]);
    assert_eq!(domains[0]["domain"], "example.org");
    assert_eq!(domains[0]["tenant"], 7);
    assert!(domains[0]["created_at"].as_str().unwrap().ends_with('Z'));
    let accounts = operator.tells(&["account", "list"]);
    assert_eq!(accounts[0]["address"], "postmaster@example.org");
    assert_eq!(accounts[0]["has_password"], false);
    assert_eq!(
        operator.tells(&["alias", "list"]),
        json!([{"address": "abuse@example.org", "targets": ["postmaster@example.org"]}])
    );
}

#[tokio::test]
async fn a_password_is_the_line_on_standard_input() {
    let database = testkit::database().await;
    let operator = Operator::of(&database);
    operator.succeeds(&["migrate"]);
    operator.succeeds(&["domain", "add", "example.org"]);
    add_account(&operator, ALICE, "correct horse");
    assert!(can_log_in(database.url(), ALICE, "correct horse").await);

    let passwd = ["account", "passwd", ALICE];
    let changed = operator.types_and_pipes(&passwd, "battery staple\nsecond line");
    assert_eq!(
        changed.succeeded(),
        "changed the password of alice@example.org\n"
    );
    assert!(can_log_in(database.url(), ALICE, "battery staple").await);
    assert!(!can_log_in(database.url(), ALICE, "correct horse").await);

    let complaint = operator.types_and_pipes(&passwd, "\n").failed(1);
    assert!(
        complaint.contains("standard input has no password"),
        "{complaint}"
    );
    let complaint = operator.types_and_pipes(&passwd, "short\n").failed(1);
    assert!(complaint.contains("8 to 1024 characters"), "{complaint}");
}

#[tokio::test]
async fn an_account_is_listed_disabled_and_enabled() {
    let operator = with_domain().await;
    operator.succeeds(&["domain", "add", "example.net"]);
    add_account(&operator, ALICE, "correct horse");

    let table = operator.succeeds(&["account", "list", "--domain", "example.org"]);
    let columns: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(columns[0], ["ADDRESS", "STATUS", "TENANT", "ADDED"]);
    assert_eq!(columns[1][..2], [ALICE, "active"]);
    assert_eq!(columns[2][..3], ["postmaster@example.org", "no", "login"]);
    assert_eq!(columns.len(), 3);

    operator.succeeds(&["account", "disable", ALICE]);
    let is_disabled =
        || operator.tells(&["account", "list", "--domain", "example.org"])[0]["disabled"].clone();
    assert_eq!(is_disabled(), true);
    operator.succeeds(&["account", "enable", ALICE]);
    assert_eq!(is_disabled(), false);
}

#[tokio::test]
async fn an_alias_leads_to_accounts_until_it_is_removed() {
    let operator = with_domain().await;
    add_account(&operator, ALICE, "correct horse");
    add_account(&operator, "bob@example.org", "battery staple");
    let add = [
        "alias",
        "add",
        "sales@example.org",
        ALICE,
        "bob@example.org",
    ];
    assert_eq!(
        operator.succeeds(&add),
        "sales@example.org leads to alice@example.org, bob@example.org\n"
    );
    let aliases = operator.succeeds(&["alias", "list"]);
    assert!(
        aliases.contains("sales@example.org  alice@example.org, bob@example.org\n"),
        "{aliases}"
    );
    operator.succeeds(&["alias", "remove", "sales@example.org"]);
    let complaint = operator.fails(&["alias", "remove", "sales@example.org"]);
    assert_eq!(
        complaint,
        "chasqui: there is no alias sales@example.org; `chasqui alias list` shows which there are"
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_remedy() {
    let operator = with_domain().await;
    add_account(&operator, ALICE, "correct horse");
    let twice = operator.types_and_pipes(&["account", "add", ALICE], "correct horse\n");
    assert_eq!(
        twice.failed(1),
        "chasqui: the account alice@example.org exists already; \
         `chasqui account passwd` changes its password"
    );
    let elsewhere = operator.types_and_pipes(&["account", "add", "a@example.com"], "whatever\n");
    assert_eq!(
        elsewhere.failed(1),
        "chasqui: there is no domain example.com: add it first; `chasqui domain add` does"
    );
    let complaint = operator.fails(&["account", "disable", "nobody@example.org"]);
    assert!(complaint.contains("there is no account nobody@example.org"));
    let complaint = operator.fails(&["alias", "add", "x@example.org", "nobody@example.org"]);
    assert!(complaint.contains("nobody@example.org is not an account here"));
}
