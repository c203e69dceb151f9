//! The walls between the crates hold: who may depend on what (docs/architecture.md).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Every package that `package` needs to build, tests left out.
struct Dependencies(BTreeMap<String, BTreeSet<String>>);

impl Dependencies {
    fn read() -> Self {
        let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
            .args(["metadata", "--format-version=1", "--offline", "--locked"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let names: BTreeMap<&str, &str> = array(&metadata["packages"])
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let edges = array(&metadata["resolve"]["nodes"])
            .map(|node| {
                (
                    names[text(&node["id"])].to_owned(),
                    normal_dependencies(node, &names),
                )
            })
            .collect();
        Self(edges)
    }

    fn direct(&self, package: &str) -> &BTreeSet<String> {
        &self.0[package]
    }

    fn all(&self, package: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(next) = open.pop() {
            for dependency in self.0.get(&next).into_iter().flatten() {
                if found.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        found
    }
}

fn normal_dependencies(node: &Value, names: &BTreeMap<&str, &str>) -> BTreeSet<String> {
    array(&node["deps"])
        .filter(|dependency| array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()))
        .map(|dependency| names[text(&dependency["pkg"])].to_owned())
        .collect()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn sessions_and_messages_do_no_io() {
    let dependencies = Dependencies::read();
    for package in ["smtp", "message"] {
        let all = dependencies.all(package);
        for io in [
            "tokio",
            "mio",
            "socket2",
            "rustls",
            "sqlx",
            "hickory-resolver",
        ] {
            assert!(!all.contains(io), "{package} must not reach {io}");
        }
    }
}

#[test]
fn services_never_import_each_other() {
    let dependencies = Dependencies::read();
    let services = ["submission", "relay", "delivery"];
    for service in services {
        for other in services.iter().filter(|other| **other != service) {
            assert!(
                !dependencies.all(service).contains(*other),
                "{service} must not reach {other}"
            );
        }
    }
}

#[test]
fn only_the_owners_know_sql_and_tls_streams() {
    let dependencies = Dependencies::read();
    let owners = [
        ("sqlx", &["queue", "directory", "testkit"][..]),
        ("tokio-rustls", &["smtp-net"][..]),
        // The command's doctor asks what a relay would.
        ("hickory-resolver", &["relay", "chasqui"][..]),
        ("directory", &["delivery", "chasqui"][..]),
    ];
    let ours = [
        "smtp",
        "message",
        "smtp-net",
        "queue",
        "directory",
        "rpc",
        "service",
        "private-postgres",
        "submission",
        "relay",
        "delivery",
        "chasqui",
    ];
    for (wall, allowed) in owners {
        for package in ours {
            if dependencies.direct(package).contains(wall) {
                assert!(
                    allowed.contains(&package),
                    "{package} must not depend on {wall}"
                );
            }
        }
    }
}

#[test]
fn the_queue_stands_on_smtp_alone() {
    let dependencies = Dependencies::read();
    for other in ["rpc", "smtp-net", "service", "directory", "message"] {
        assert!(
            !dependencies.all("queue").contains(other),
            "queue must not reach {other}"
        );
    }
}
