//! Who runs Postgres, and where its files go: as root, and as anyone else.
//!
//! These need root to become someone; for anyone else they say so and pass over.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use private_postgres::{PrivatePostgres, PrivatePostgresConfig, StartError};

mod support;
use support::{Owner, folder_for_all, folder_of_mode, owner_program, state_folder};

fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("{test}: passed over, it needs root");
    }
    root
}

#[test]
fn an_ordinary_user_owns_everything() {
    if !is_root("an_ordinary_user_owns_everything") {
        return;
    }
    let folder = folder_for_all();
    let program = folder.path().join("owner");
    std::fs::copy(owner_program(), &program).unwrap();
    let state = folder.path().join("state");
    let mut owner = Owner::spawn_as("nobody", &program, state.to_str().unwrap());

    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let data = state.join("postgres/data").metadata().unwrap();
    assert_eq!(data.uid(), nobody.uid.as_raw());
    assert_eq!(data.permissions().mode() & 0o777, 0o700);
    let password = state.join("postgres/password").metadata().unwrap();
    assert_eq!(password.permissions().mode() & 0o777, 0o600);
    owner.end();
    support::wait_until_gone(owner.postmaster());
}

#[test]
fn as_root_postgres_runs_as_an_unprivileged_user_in_place() {
    if !is_root("as_root_postgres_runs_as_an_unprivileged_user_in_place") {
        return;
    }
    let state = state_folder();
    let postgres =
        PrivatePostgres::start(PrivatePostgresConfig::kept_in(state.path()), |_| {}).unwrap();
    assert!(!state.path().join("postgres").is_symlink());
    assert_ne!(postgres.data_folder().metadata().unwrap().uid(), 0);
    assert_eq!(state.path().metadata().unwrap().uid(), 0);
}

#[test]
fn as_root_data_goes_elsewhere_when_that_user_can_not_reach_the_state_folder() {
    if !is_root("as_root_data_goes_elsewhere_when_that_user_can_not_reach_the_state_folder") {
        return;
    }
    let private = folder_of_mode(0o700);
    let state = private.path().join("state");
    let config = PrivatePostgresConfig::kept_in(&state);
    let first = PrivatePostgres::start(config.clone(), |_| {}).unwrap();
    let elsewhere = std::fs::read_link(state.join("postgres")).unwrap();
    assert!(elsewhere.starts_with("/var/lib/chasqui"), "{elsewhere:?}");
    let url = first.url();
    drop(first);

    let second = PrivatePostgres::start(config.clone(), |_| {}).unwrap();
    assert_eq!(second.url(), url, "the link is followed");
    drop(second);

    std::fs::remove_dir_all(&elsewhere).unwrap();
    let third = PrivatePostgres::start(config, |_| {}).unwrap();
    let anew = std::fs::read_link(state.join("postgres")).unwrap();
    assert_ne!(anew, elsewhere, "a link into nowhere is replaced");
    drop(third);
    std::fs::remove_dir_all(anew).unwrap();
}

#[test]
fn a_cluster_that_root_set_up_is_refused_to_others_in_plain_words() {
    if !is_root("a_cluster_that_root_set_up_is_refused_to_others_in_plain_words") {
        return;
    }
    let folder = folder_for_all();
    let program = folder.path().join("owner");
    std::fs::copy(owner_program(), &program).unwrap();
    let state = folder.path().join("state");
    drop(PrivatePostgres::start(PrivatePostgresConfig::kept_in(&state), |_| {}).unwrap());

    let output = std::process::Command::new("runuser")
        .args(["-u", "nobody", "--"])
        .arg(&program)
        .arg(&state)
        .current_dir("/")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = StartError::NotOurs {
        path: state.join("postgres"),
    };
    assert_eq!(said.trim(), expected.to_string());
}
