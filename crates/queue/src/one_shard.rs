//! Which statements touch one shard only, checked by their text: those of the hot path must, or the
//! queue could not be spread over several servers by shard.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

/// Whatever mail takes part in, message by message or poll by poll. `$1` is the shard.
const HOT: &[(&str, &str)] = &[
    ("insert::ANY", crate::insert::ANY),
    ("insert::SOLE", crate::insert::SOLE),
    ("insert::ONE", crate::insert::ONE),
    ("settle::SETTLE", crate::settle::SETTLE),
    ("load::LOAD", crate::load::LOAD),
    ("claim::CLAIM", crate::claim::CLAIM),
    ("promote::PROMOTE", crate::promote::PROMOTE),
    ("expire::EXPIRE", crate::expire::EXPIRE),
    ("adopt::ADOPT", crate::adopt::ADOPT),
    ("give_back::GIVE_BACK", crate::give_back::GIVE_BACK),
    ("suspect::TAKE_SUSPECT", crate::suspect::TAKE_SUSPECT),
];

/// What looks through all shards, and why that doesn't cost each message: once a second or less for
/// a relay, and by an index on what it looks for.
const FLEET_WIDE: &[&str] = &[
    // What is leased to one incarnation, or was to dead ones.
    "adopt::HOLDINGS",
    "incarnation::RECLAIM",
    "jobs::RECLAIM_ORPHANS",
    "jobs::PRUNE_INCARNATIONS",
    "suspect::FIND_SUSPECT",
    // Every minute.
    "jobs::PRUNE_DESTINATIONS",
    "census::COUNT",
    // Operators'.
    "admin::LIST",
    "admin::COUNTS",
    "steer::CANCEL",
    "steer::FLUSH",
    "steer::HOLD",
    "steer::RELEASE",
    "search::BY_ADDRESS",
    "search::QUEUED_CANDIDATES",
    "top::TOP",
];

/// Operators', about one message.
const ONE_MESSAGE: &[&str] = &["show::ORIGIN", "search::NOTIFICATIONS"];

/// Tables that have a shard in their key.
const SHARDED: [&str; 3] = ["queue.unit", "queue.message", "queue.content"];

#[test]
fn each_statement_of_the_hot_path_names_one_shard() {
    for (name, statement) in HOT {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let text = words.join(" ");
        let names_it = ["shard = $1", "$1::smallint AS shard", ") SELECT $1,"];
        assert!(
            names_it.iter().any(|how| text.contains(how)),
            "{name}: {text}"
        );
        for inserted in text.split("INSERT INTO ").skip(1) {
            let (_, after) = inserted.split_once(") SELECT ").unwrap();
            assert!(inserted.contains(" (shard, "), "{name}: {inserted}");
            assert!(after.starts_with("$1,"), "{name}: {inserted}");
        }
        for source in text.split(" AS shard").filter(|before| *before != text) {
            let is_last = text.ends_with(source);
            assert!(
                is_last || source.ends_with("$1::smallint"),
                "{name}: {source}"
            );
        }
        for compared in text.split("shard = ").skip(1) {
            // A row of a list that was made of `$1`, or of rows that were found by it.
            let is_one = compared.starts_with("$1") || compared.starts_with("ANY (ARRAY[");
            assert!(is_one, "{name}: shard = {compared}");
        }
    }
}

#[test]
fn no_statement_is_forgotten() {
    let known: BTreeSet<String> = HOT
        .iter()
        .map(|(name, _)| *name)
        .chain(FLEET_WIDE.iter().copied())
        .chain(ONE_MESSAGE.iter().copied())
        .map(str::to_owned)
        .collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if !["plans", "one_shard"].contains(&module.as_str()) {
            let text = std::fs::read_to_string(&path).unwrap();
            found.extend(statements(&text).map(|name| format!("{module}::{name}")));
        }
    }
    assert_eq!(found, known);
}

/// The constants of a source that name a table with shards.
fn statements(source: &str) -> impl Iterator<Item = &str> {
    source.split("const ").skip(1).filter_map(|constant| {
        let (name, after) = constant.split_once(": &str = ")?;
        let (text, _) = after.split_once(";\n")?;
        let is_statement = SHARDED.iter().any(|table| text.contains(table));
        let is_made = text.starts_with("insert!(");
        (is_statement || is_made).then_some(name)
    })
}
