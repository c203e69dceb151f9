//! What it says when it can't start: one line with the remedy.

use std::net::TcpListener;
use std::path::Path;

use crate::user::{Dev, Ports, chasqui, folder};

/// Tries to start, and gives the complaint.
#[track_caller]
fn complaint(state: &Path, flags: &[String]) -> String {
    let output = chasqui(&["dev"], state).args(flags).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint.trim_end().to_owned()
}

#[test]
fn a_port_in_use() {
    let folder = folder();
    let ports = Ports::free();
    let taken = TcpListener::bind(ports.submission()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let flags = ports.flags();
    assert_eq!(
        complaint(folder.path(), &flags),
        format!(
            "chasqui dev: port {port} on 127.0.0.1 is in use: stop what listens there, or choose \
             another with --port-submission PORT"
        )
    );
    // Nothing is left that would make a next start with other ports come to the same end.
    assert!(!folder.path().join("config/submission.toml").exists());
}

#[test]
fn a_state_folder_in_use() {
    let folder = folder();
    let state = folder.path().join("state");
    let _dev = Dev::start(&state, &Ports::free().flags());
    assert_eq!(
        complaint(&state, &Ports::free().flags()),
        format!(
            "chasqui dev: {} is in use by a `chasqui dev` that is running: stop that one, or \
             choose another folder with --state DIR",
            state.display()
        )
    );
}

#[test]
fn a_state_folder_that_is_none() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let complaint = complaint(file.path(), &[]);
    assert_eq!(
        complaint,
        format!(
            "chasqui dev: can't use the folder {}: choose another with --state DIR: File exists \
             (os error 17)",
            file.path().display()
        )
    );
}

#[test]
fn a_configuration_that_was_spoilt() {
    let folder = folder();
    let config = folder.path().join("config");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(config.join("relay.toml"), "host_nam = \"mx.example.org\"\n").unwrap();
    let output = chasqui(&["dev"], folder.path())
        .args(Ports::free().flags())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        complaint.contains("config/relay.toml: host_nam: "),
        "{complaint}"
    );
}
