//! Plays every transcript in `tests/transcripts`, with the client's bytes in one piece and singly.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;

use support::transcript::{Arrival, play};

#[test]
fn transcripts_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let script = fs::read_to_string(&path).unwrap();
        play(&name, &script, Arrival::Together);
        play(&name, &script, Arrival::Singly);
        played += 1;
    }
    assert!(played > 10, "only {played} transcripts found");
}
