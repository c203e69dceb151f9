//! The directory on a real Postgres.
#![allow(clippy::unwrap_used)]

use directory::{
    AccountName, Authentication, ChangeError, ConnectError, DatabaseConfig, Directory, Lookup,
    Resolution, SchemaError,
};
use secrecy::SecretString;
use smtp::{Domain, Mailbox};
use sqlx::Executor;
use testkit::TestDatabase;

const PASSWORD: &str = "correct horse";

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address).unwrap()
}

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn password(text: &str) -> SecretString {
    SecretString::from(text)
}

async fn connect(database: &TestDatabase) -> Result<Directory, ConnectError> {
    Directory::connect(&DatabaseConfig::new(database.url().into())).await
}

/// A directory with `example.org`, and alice and bob there.
async fn directory() -> Directory {
    let database = testkit::database().await;
    directory::migrate(database.url()).await.unwrap();
    let directory = connect(&database).await.unwrap();
    directory
        .add_domain(&domain("example.org"), None)
        .await
        .unwrap();
    for address in ["alice@example.org", "bob@example.org"] {
        directory
            .add_account(&mailbox(address), password(PASSWORD))
            .await
            .unwrap();
    }
    directory
}

async fn accounts_behind(directory: &Directory, address: &str) -> Vec<String> {
    match directory.resolve(&mailbox(address)).await.unwrap() {
        Resolution::Accounts(accounts) => accounts.iter().map(AccountName::to_string).collect(),
        other => vec![format!("{other:?}")],
    }
}

async fn logs_in(directory: &Directory, login: &str, text: &str) -> bool {
    let verdict = directory.authenticate(login, password(text)).await.unwrap();
    matches!(verdict, Authentication::Accepted(_))
}

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    let database = testkit::database().await;
    let url = database.url();
    let outcomes = tokio::join!(
        directory::migrate(url),
        directory::migrate(url),
        directory::migrate(url),
        directory::migrate(url)
    );
    assert!(
        outcomes.0.is_ok() && outcomes.1.is_ok() && outcomes.2.is_ok() && outcomes.3.is_ok(),
        "{outcomes:?}"
    );
    connect(&database).await.unwrap();
}

#[tokio::test]
async fn a_migration_gives_way_to_whoever_holds_a_table_and_comes_again() {
    let database = testkit::database().await;
    directory::migrate(database.url()).await.unwrap();
    let mut holder = database.connect().await;
    let hold = "BEGIN; LOCK TABLE directory._migrations";
    holder.execute(hold).await.unwrap();
    let url = database.url().to_owned();
    let migrating = tokio::spawn(async move { directory::migrate(&url).await });
    let mut looker = database.connect().await;
    for waiting in [1, 0, 1] {
        testkit::wait_until("it to wait, and to give way", async || {
            let waits: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND datname = current_database()",
            )
            .fetch_one(&mut looker)
            .await
            .unwrap();
            waits == waiting
        })
        .await;
    }
    assert!(!migrating.is_finished());
    holder.execute("COMMIT").await.unwrap();
    migrating.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_refused_and_a_newer_additive_one_is_not() {
    let database = testkit::database().await;
    let missing = connect(&database).await.unwrap_err();
    assert!(matches!(
        missing,
        ConnectError::Schema(SchemaError::Outdated { found: 0, .. })
    ));

    directory::migrate(database.url()).await.unwrap();
    let mut connection = database.connect().await;
    connection
        .execute(
            "INSERT INTO directory._migrations
             VALUES (999999, 'from the future', now(), true, '', 0)",
        )
        .await
        .unwrap();
    directory::migrate(database.url()).await.unwrap();
    connect(&database).await.unwrap();

    connection
        .execute("UPDATE directory.compatibility SET level = 2")
        .await
        .unwrap();
    let contracted = connect(&database).await.unwrap_err();
    assert!(matches!(
        contracted,
        ConnectError::Schema(SchemaError::Incompatible { found: 2 })
    ));
}

#[tokio::test]
async fn a_malformed_url_is_refused_without_being_quoted() {
    for url in [
        "mysql://u:hunter2@x/db",
        "postgres://u:hunter2@x:port/db",
        "hunter2",
    ] {
        let error = Directory::connect(&DatabaseConfig::new(url.into()))
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::Url), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_domain_comes_with_postmaster_and_abuse_that_land_in_a_mailbox() {
    let directory = directory().await;
    for address in [
        "postmaster@example.org",
        "PostMaster@Example.Org",
        "abuse@example.org",
    ] {
        assert_eq!(
            accounts_behind(&directory, address).await,
            ["postmaster@example.org"]
        );
    }
    assert!(!logs_in(&directory, "postmaster@example.org", "").await);
    assert_eq!(
        directory.postmaster().await.unwrap().unwrap().to_string(),
        "postmaster@example.org"
    );

    let postmaster = mailbox("postmaster@example.org");
    directory
        .set_password(&postmaster, password(PASSWORD))
        .await
        .unwrap();
    assert!(logs_in(&directory, "postmaster@example.org", PASSWORD).await);
}

#[tokio::test]
async fn a_domain_is_added_once_with_a_tenant_of_its_own_or_the_one_given() {
    let directory = directory().await;
    let twice = directory.add_domain(&domain("Example.org"), None).await;
    assert!(matches!(twice, Err(ChangeError::DomainExists(_))));
    assert_eq!(
        directory
            .add_domain(&domain("seven.example"), Some(7))
            .await
            .unwrap(),
        7
    );
    directory
        .add_domain(&domain("own.example"), None)
        .await
        .unwrap();

    let domains = directory.list_domains().await.unwrap();
    let names: Vec<_> = domains.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["example.org", "own.example", "seven.example"]);
    assert_ne!(domains[0].tenant, domains[1].tenant);
}

#[tokio::test]
async fn lookups_tell_local_from_foreign_and_known_from_unknown() {
    let directory = directory().await;
    directory
        .set_disabled(&mailbox("bob@example.org"), true)
        .await
        .unwrap();
    for (address, expected) in [
        ("alice@example.org", Lookup::Mailbox),
        ("ALICE@EXAMPLE.ORG", Lookup::Mailbox),
        ("alice+lists@example.org", Lookup::Mailbox),
        ("bob@example.org", Lookup::Disabled),
        ("carol@example.org", Lookup::Unknown),
        ("\"../alice\"@example.org", Lookup::Unknown),
        ("\"alice \"@example.org", Lookup::Unknown),
        ("alice%example.net@example.org", Lookup::Unknown),
        ("alice@example.net", Lookup::NotLocal),
        ("alice@sub.example.org", Lookup::NotLocal),
        ("alice@[127.0.0.1]", Lookup::NotLocal),
    ] {
        let found = directory.lookup(&mailbox(address)).await.unwrap();
        assert_eq!(found, expected, "{address}");
    }
}

#[tokio::test]
async fn a_tag_is_taken_off_unless_the_whole_name_is_known() {
    let directory = directory().await;
    let (tagged, bob) = (
        mailbox("alice+team@example.org"),
        mailbox("bob@example.org"),
    );
    assert_eq!(
        accounts_behind(&directory, "alice+team@example.org").await,
        ["alice@example.org"]
    );
    directory.add_alias(&tagged, &[bob]).await.unwrap();
    assert_eq!(
        accounts_behind(&directory, "Alice+Team@example.org").await,
        ["bob@example.org"]
    );
    assert_eq!(
        accounts_behind(&directory, "alice+x@example.org").await,
        ["alice@example.org"]
    );
}

#[tokio::test]
async fn an_alias_leads_to_all_its_accounts_and_past_disabled_ones() {
    let directory = directory().await;
    let team = mailbox("team@example.org");
    let (alice, bob) = (mailbox("alice@example.org"), mailbox("Bob@example.org"));
    directory
        .add_alias(&team, std::slice::from_ref(&alice))
        .await
        .unwrap();
    directory
        .add_alias(&team, &[bob.clone(), alice])
        .await
        .unwrap();
    assert_eq!(
        accounts_behind(&directory, "team+x@example.org").await,
        ["alice@example.org", "bob@example.org"]
    );

    directory
        .set_disabled(&mailbox("alice@example.org"), true)
        .await
        .unwrap();
    assert_eq!(
        accounts_behind(&directory, "team@example.org").await,
        ["bob@example.org"]
    );
    directory.set_disabled(&bob, true).await.unwrap();
    assert_eq!(directory.lookup(&team).await.unwrap(), Lookup::Disabled);
}

#[tokio::test]
async fn an_alias_can_be_replaced_listed_and_removed() {
    let directory = directory().await;
    let abuse = mailbox("abuse@example.org");
    directory
        .set_alias(&abuse, &[mailbox("alice@example.org")])
        .await
        .unwrap();
    assert_eq!(
        accounts_behind(&directory, "abuse@example.org").await,
        ["alice@example.org"]
    );

    let aliases = directory
        .list_aliases(Some(&domain("example.org")))
        .await
        .unwrap();
    let [alias] = aliases.as_slice() else {
        unreachable!("{aliases:?}");
    };
    assert_eq!(alias.name.to_string(), "abuse@example.org");
    assert_eq!(alias.targets.len(), 1);

    assert!(directory.remove_alias(&abuse).await.unwrap());
    assert!(!directory.remove_alias(&abuse).await.unwrap());
    assert_eq!(directory.lookup(&abuse).await.unwrap(), Lookup::Unknown);
}

#[tokio::test]
async fn at_the_address_of_an_account_the_alias_wins() {
    let directory = directory().await;
    let (alice, bob) = (mailbox("alice@example.org"), mailbox("bob@example.org"));
    directory
        .add_alias(&alice, std::slice::from_ref(&bob))
        .await
        .unwrap();
    assert_eq!(
        accounts_behind(&directory, "alice@example.org").await,
        ["bob@example.org"]
    );
    directory
        .add_alias(&alice, std::slice::from_ref(&alice))
        .await
        .unwrap();
    assert_eq!(
        accounts_behind(&directory, "alice@example.org").await,
        ["alice@example.org", "bob@example.org"]
    );
    assert!(directory.may_send_as(&alice, &alice).await.unwrap());
}

#[tokio::test]
async fn an_alias_to_anything_but_a_local_account_is_refused_as_a_whole() {
    let directory = directory().await;
    let (team, alice) = (mailbox("team@example.org"), mailbox("alice@example.org"));
    for target in [
        "someone@example.net",
        "nobody@example.org",
        "abuse@example.org",
    ] {
        let targets = [alice.clone(), mailbox(target)];
        let refused = directory.add_alias(&team, &targets).await.unwrap_err();
        assert!(
            matches!(refused, ChangeError::TargetNotAccount(_)),
            "{target}: {refused}"
        );
    }
    let empty = directory.add_alias(&team, &[]).await;
    assert!(matches!(empty, Err(ChangeError::NoTarget)));
    let foreign = directory
        .add_alias(&mailbox("team@example.net"), &[alice])
        .await;
    assert!(matches!(foreign, Err(ChangeError::NoSuchDomain(_))));
    assert_eq!(directory.lookup(&team).await.unwrap(), Lookup::Unknown);
}

#[tokio::test]
async fn accounts_that_cannot_be_are_refused() {
    let directory = directory().await;
    let add = async |address: &str| {
        let added = directory
            .add_account(&mailbox(address), password(PASSWORD))
            .await;
        added.unwrap_err()
    };
    assert!(matches!(
        add("x@example.net").await,
        ChangeError::NoSuchDomain(_)
    ));
    assert!(matches!(
        add("Alice@example.org").await,
        ChangeError::AccountExists(_)
    ));
    assert!(matches!(
        add("abuse@example.org").await,
        ChangeError::AliasExists(_)
    ));
    assert!(matches!(
        add("\"a/b\"@example.org").await,
        ChangeError::Name(_)
    ));
    let short = directory
        .add_account(&mailbox("carol@example.org"), password("short"))
        .await;
    assert!(matches!(short, Err(ChangeError::PasswordLength)));
    let nobody = directory
        .set_password(&mailbox("carol@example.org"), password(PASSWORD))
        .await;
    assert!(matches!(nobody, Err(ChangeError::NoSuchAccount(_))));
}

#[tokio::test]
async fn names_written_by_hand_keep_the_rule_for_paths() {
    let database = testkit::database().await;
    directory::migrate(database.url()).await.unwrap();
    let mut connection = database.connect().await;
    connection
        .execute("INSERT INTO directory.domain VALUES ('example.org', 1)")
        .await
        .unwrap();
    for name in ["..", ".x", "a/b", "../a", "A", "a..b", "a.", "", "a\nb"] {
        let insert = sqlx::query(
            "INSERT INTO directory.account (domain, tenant, local_part)
             VALUES ('example.org', 1, $1)",
        );
        assert!(
            insert.bind(name).execute(&mut connection).await.is_err(),
            "{name:?}"
        );
    }
    for name in ["..", "a/b", ".", "a..b", "EXAMPLE.org", ""] {
        let insert = sqlx::query("INSERT INTO directory.domain VALUES ($1, 1)");
        assert!(
            insert.bind(name).execute(&mut connection).await.is_err(),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn accounts_are_listed_page_by_page() {
    let directory = directory().await;
    directory
        .add_domain(&domain("a.example"), None)
        .await
        .unwrap();
    let first = directory.list_accounts(None, None, 3).await.unwrap();
    let names = |accounts: &[directory::Account]| {
        accounts
            .iter()
            .map(|account| account.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&first),
        [
            "postmaster@a.example",
            "alice@example.org",
            "bob@example.org"
        ]
    );
    assert!(!first[0].has_password && first[1].has_password);
    let rest = directory
        .list_accounts(None, Some(&first[2].name), 3)
        .await
        .unwrap();
    assert_eq!(names(&rest), ["postmaster@example.org"]);
    let of_one = directory
        .list_accounts(Some(&domain("a.example")), None, 9)
        .await
        .unwrap();
    assert_eq!(names(&of_one), ["postmaster@a.example"]);
}

#[tokio::test]
async fn a_login_takes_the_whole_address_and_its_password() {
    let directory = directory().await;
    assert!(logs_in(&directory, "alice@example.org", PASSWORD).await);
    assert!(logs_in(&directory, "ALICE@Example.org", PASSWORD).await);
    for login in [
        "alice",
        "alice+tag@example.org",
        "abuse@example.org",
        "carol@example.org",
        "alice@example.net",
        "",
        "'; DROP TABLE directory.account; --",
    ] {
        assert!(!logs_in(&directory, login, PASSWORD).await, "{login}");
    }
    for wrong in ["", "Correct horse", "correct horse\0", &"x".repeat(100_000)] {
        assert!(!logs_in(&directory, "alice@example.org", wrong).await);
    }
}

#[tokio::test]
async fn a_login_ends_with_a_new_password_and_with_disabling() {
    let directory = directory().await;
    let alice = mailbox("alice@example.org");
    directory
        .set_password(&alice, password("battery staple"))
        .await
        .unwrap();
    assert!(!logs_in(&directory, "alice@example.org", PASSWORD).await);
    assert!(logs_in(&directory, "alice@example.org", "battery staple").await);

    directory.set_disabled(&alice, true).await.unwrap();
    assert!(!logs_in(&directory, "alice@example.org", "battery staple").await);
    directory.set_disabled(&alice, false).await.unwrap();
    assert!(logs_in(&directory, "alice@example.org", "battery staple").await);
}

#[tokio::test]
async fn a_remembered_login_costs_no_hash_and_ends_when_another_process_changes_the_account() {
    let database = testkit::database().await;
    directory::migrate(database.url()).await.unwrap();
    let here = connect(&database).await.unwrap();
    let elsewhere = connect(&database).await.unwrap();
    let alice = mailbox("alice@example.org");
    here.add_domain(&domain("example.org"), None).await.unwrap();
    here.add_account(&alice, password(PASSWORD)).await.unwrap();
    assert!(logs_in(&here, "alice@example.org", PASSWORD).await);

    // A hash that nothing fits, behind the back of the directory: only memory can say yes.
    let mut connection = database.connect().await;
    connection
        .execute("UPDATE directory.account SET password_hash = '$argon2id$damaged'")
        .await
        .unwrap();
    assert!(logs_in(&here, "alice@example.org", PASSWORD).await);
    assert!(
        here.authenticate("alice@example.org", password("wrong horse"))
            .await
            .is_err()
    );
    assert!(
        elsewhere
            .authenticate("alice@example.org", password(PASSWORD))
            .await
            .is_err()
    );

    elsewhere
        .set_password(&alice, password("battery staple"))
        .await
        .unwrap();
    assert!(!logs_in(&here, "alice@example.org", PASSWORD).await);
    assert!(logs_in(&here, "alice@example.org", "battery staple").await);
    elsewhere.set_disabled(&alice, true).await.unwrap();
    assert!(!logs_in(&here, "alice@example.org", "battery staple").await);
}

#[tokio::test]
async fn a_login_says_whose_it_is() {
    let directory = directory().await;
    directory
        .add_domain(&domain("seven.example"), Some(7))
        .await
        .unwrap();
    let carol = mailbox("Carol@seven.example");
    directory
        .add_account(&carol, password(PASSWORD))
        .await
        .unwrap();
    let verdict = directory
        .authenticate("carol@seven.example", password(PASSWORD))
        .await
        .unwrap();
    let Authentication::Accepted(login) = verdict else {
        unreachable!("{verdict:?}");
    };
    assert_eq!(
        (login.account.to_string().as_str(), login.tenant),
        ("carol@seven.example", 7)
    );
}

#[tokio::test]
async fn an_account_sends_as_itself_and_as_its_aliases_only() {
    let directory = directory().await;
    let alice = mailbox("alice@example.org");
    let bob = mailbox("bob@example.org");
    directory
        .add_alias(&mailbox("team@example.org"), &[alice.clone(), bob])
        .await
        .unwrap();
    directory
        .add_alias(
            &mailbox("alice+bobs@example.org"),
            &[mailbox("bob@example.org")],
        )
        .await
        .unwrap();
    for (address, expected) in [
        ("alice@example.org", true),
        ("Alice+news@EXAMPLE.org", true),
        ("team@example.org", true),
        ("bob@example.org", false),
        ("alice+bobs@example.org", false),
        ("abuse@example.org", false),
        ("alice@example.net", false),
        ("nobody@example.org", false),
    ] {
        let allowed = directory
            .may_send_as(&alice, &mailbox(address))
            .await
            .unwrap();
        assert_eq!(allowed, expected, "{address}");
    }
    directory.set_disabled(&alice, true).await.unwrap();
    assert!(!directory.may_send_as(&alice, &alice).await.unwrap());
}

#[tokio::test]
async fn a_database_that_is_away_is_an_error_and_comes_back_by_itself() {
    let postgres = testkit::postgres().await;
    let database = postgres.database().await;
    directory::migrate(database.url()).await.unwrap();
    let directory = connect(&database).await.unwrap();
    directory
        .add_domain(&domain("example.org"), None)
        .await
        .unwrap();

    postgres.kill().await;
    assert!(directory.lookup(&mailbox("x@example.org")).await.is_err());
    assert!(
        directory
            .authenticate("x@example.org", password(PASSWORD))
            .await
            .is_err()
    );

    postgres.start().await;
    testkit::wait_until("the directory to be back", async || {
        directory
            .is_local(&domain("example.org"))
            .await
            .unwrap_or(false)
    })
    .await;
}
