//! Services that must not start: each says why in one line, and ends with a status that tells.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use sqlx::{Connection as _, Executor as _, PgConnection};
use testkit::{Process, TestDatabase, wait_until};

use super::harness::{Books, PROGRAMS, Shipped, steady_address, variable};

/// Runs a service that must not start, and returns its last words.
async fn refuses(command: &mut Command) -> String {
    let mut process = Process::start(command);
    let status = process.wait().await;
    let log = process.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let words = log.lines().last().unwrap_or_default();
    assert!(!log.contains("panicked"), "{log}");
    words.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there() {
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    let nowhere = steady_address();
    for program in PROGRAMS {
        let url = format!("postgres://chasqui:canary-6b1f@{nowhere}/chasqui");
        let words = refuses(host.service(program).env("DATABASE_URL", url)).await;
        assert!(words.starts_with(&format!("{program}: ")), "{words}");
        assert!(words.contains("Connection refused"), "{words}");
        assert!(!words.contains("canary"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use() {
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap();
    for program in PROGRAMS {
        let listen = format!("[{{ address = \"{address}\", tls = \"none\" }}]");
        let listen = if program == "submission" {
            listen.replace("none", "starttls")
        } else {
            listen
        };
        for (key, value) in [("LISTEN", listen), ("GRPC__BIND", address.to_string())] {
            let words = refuses(host.service(program).env(variable(program, key), value)).await;
            assert!(words.contains(&address.to_string()), "{words}");
            assert!(words.contains("in use"), "{words}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_grpc_port_off_loopback() {
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    for program in PROGRAMS {
        let open = "0.0.0.0:0";
        let mut service = host.service(program);
        let words = refuses(service.env(variable(program, "GRPC__BIND"), open)).await;
        assert!(words.contains("grpc.bind"), "{words}");
        assert!(
            words.contains("0.0.0.0:0 is not a loopback address"),
            "{words}"
        );
    }
}

/// A later release has taken away what programs of this one rely on.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_serves_newer_programs_only() {
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    migrate(&host);
    let change = "UPDATE queue.compatibility SET version = 999, serves_from = 999;
                  UPDATE directory.compatibility SET level = 999";
    database.connect().await.execute(change).await.unwrap();
    for program in PROGRAMS {
        let words = refuses(&mut host.service(program)).await;
        let schema = match program {
            "delivery" => "the directory schema is at compatibility level 999, this program knows",
            _ => "the queue schema serves programs from version 999 on, this one is",
        };
        assert!(
            words.starts_with(&format!("{program}: {schema} ")),
            "{words}"
        );
        assert!(words.ends_with(": upgrade the program"), "{words}");
    }
}

/// Behind a transaction pooler, services can't migrate, and say who does.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_missing_or_too_old() {
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    let behind_a_pooler = |program| {
        let mut service = host.service(program);
        service.env(variable(program, "DATABASE__TRANSACTION_POOLER"), "true");
        service
    };
    for program in PROGRAMS {
        let words = refuses(&mut behind_a_pooler(program)).await;
        let schema = match program {
            "delivery" => "the directory schema is at version 0, this program needs",
            _ => "the queue schema is missing",
        };
        assert!(
            words.starts_with(&format!("{program}: {schema}")),
            "{words}"
        );
        assert!(words.ends_with(": run `chasqui migrate`"), "{words}");
    }

    migrate(&host);
    let mut delivery = Process::start(&mut behind_a_pooler("delivery"));
    delivery.wait_for_log("serving gRPC").await;
    let mut relay = Process::start(&mut behind_a_pooler("relay"));
    relay.wait_for_log("ready to send").await;
    assert!(relay.terminate().await.success());
    assert!(delivery.terminate().await.success());

    let change = "UPDATE queue.compatibility SET version = 1, serves_from = 1";
    database.connect().await.execute(change).await.unwrap();
    for program in ["relay", "submission"] {
        let words = refuses(&mut behind_a_pooler(program)).await;
        let schema = "the queue schema is at version 1, this program needs";
        assert!(
            words.starts_with(&format!("{program}: {schema} ")),
            "{words}"
        );
        assert!(words.ends_with(": run `chasqui migrate`"), "{words}");
    }
}

/// What the lines tell to do.
fn migrate(host: &Shipped) {
    let output = host.command("chasqui").arg("migrate").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A server that acknowledges what a crash would take away.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_that_would_lose_mail() {
    let postgres = testkit::postgres().await;
    let database = postgres.database().await;
    let host = Shipped::on(&database).await;
    let mut command = without_fsync(&database).await;
    postgres.stop().await;
    let mut careless = Process::start(&mut command);
    wait_until("the server to take connections", async || {
        PgConnection::connect(database.url()).await.is_ok()
    })
    .await;
    for program in ["relay", "submission"] {
        let words = refuses(&mut host.service(program)).await;
        assert!(words.contains("fsync=off"), "{words}");
    }
    careless.terminate().await;
}

/// The command by which a server runs, with `fsync=off` in the end.
async fn without_fsync(database: &TestDatabase) -> Command {
    let books = Books {
        database: database.clone(),
    };
    let folder = books.text("SHOW data_directory").await;
    let folder = Path::new(&folder);
    let pid = std::fs::read_to_string(folder.join("postmaster.pid")).unwrap();
    let process = Path::new("/proc").join(pid.lines().next().unwrap());
    let words = std::fs::read(process.join("cmdline")).unwrap();
    let words = String::from_utf8(words).unwrap();
    let owner = std::fs::metadata(folder).unwrap();
    let mut command = Command::new(process.join("exe").canonicalize().unwrap());
    command
        .args(words.trim_end_matches('\0').split('\0').skip(1))
        .args(["-c", "fsync=off"])
        .env("LC_ALL", "C")
        .current_dir("/");
    if nix::unistd::Uid::effective().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}
