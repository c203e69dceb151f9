//! What `proto/` promises to other releases still holds: `docs/upgrades.md`, "Rules for a change of `proto/`".

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod broken;
mod list;
mod schema;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::list::Promises;
use crate::schema::Schema;

const LIST: &str = include_str!("../../../../proto/promises.txt");

/// All of `proto/`, as `build.rs` compiled it.
fn descriptors() -> FileDescriptorSet {
    let encoded = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    FileDescriptorSet::decode(&encoded[..]).unwrap()
}

#[test]
fn what_was_promised_holds_and_what_is_new_is_listed() {
    let problems = Promises::read(LIST).broken_by(&Schema::of(&descriptors()));
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// A reader that doesn't know a value, and one that gets none, must see neither a yes nor a no.
#[test]
fn the_zero_of_each_enum_says_nothing() {
    let schema = Schema::of(&descriptors());
    let mut zeros = schema.zeros().peekable();
    assert!(zeros.peek().is_some());
    for name in zeros {
        assert!(name.ends_with("_UNSPECIFIED"), "{name} is an enum's 0");
    }
}
