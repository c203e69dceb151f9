//! A private Postgres through its life: kept, reused, crashed, left behind, fought over.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use private_postgres::{
    LocateError, PrivatePostgres, PrivatePostgresConfig, Shutdown, StartError, Step, url_of_running,
};

mod support;
use support::{Owner, kill, state_folder, wait_until_gone};

fn start(state: &Path) -> (PrivatePostgres, Vec<Step>) {
    let mut steps = Vec::new();
    let config = PrivatePostgresConfig::kept_in(state);
    let postgres = PrivatePostgres::start(config, |step| steps.push(step)).unwrap();
    (postgres, steps)
}

fn sets_up(steps: &[Step]) -> bool {
    steps
        .iter()
        .any(|step| matches!(step, Step::SettingUp { .. }))
}

#[test]
fn a_second_start_reuses_the_cluster() {
    let state = state_folder();
    let (mut first, steps) = start(state.path());
    assert!(sets_up(&steps), "{steps:?}");
    assert_eq!(steps.last(), Some(&Step::Ready));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, first.port())).is_ok());
    let url = first.url();
    assert_eq!(url_of_running(state.path()).unwrap(), url);

    assert_eq!(first.stop(), Shutdown::Clean);
    assert_eq!(first.stop(), Shutdown::NotRunning);
    assert!(matches!(
        url_of_running(state.path()),
        Err(LocateError::NotRunning { .. })
    ));
    drop(first);

    let (second, steps) = start(state.path());
    assert!(!sets_up(&steps), "{steps:?}");
    assert_eq!(second.url(), url, "password and port stay");
}

#[test]
fn a_relative_path_means_the_callers_folder() {
    let parent = state_folder();
    let _owner = Owner::spawn_in(parent.path(), "state");
    let entry = parent.path().join("state/postgres");
    assert!(!entry.is_symlink(), "the cluster went elsewhere");
    assert!(entry.is_dir());
}

#[test]
fn a_set_up_that_was_cut_short_is_begun_anew() {
    let state = state_folder();
    let (first, _) = start(state.path());
    let data = first.data_folder();
    drop(first);
    std::fs::rename(&data, data.with_file_name("data.new")).unwrap();

    let (_second, steps) = start(state.path());
    assert!(sets_up(&steps), "{steps:?}");
    assert!(!data.with_file_name("data.new").exists());
}

#[test]
fn the_server_ends_with_an_owner_that_is_killed() {
    let state = state_folder();
    let mut owner = Owner::spawn(state.path().to_str().unwrap());
    kill(owner.pid());
    wait_until_gone(owner.postmaster());
    owner.wait();

    let (postgres, steps) = start(state.path());
    assert!(!sets_up(&steps), "{steps:?}");
    assert_eq!(postgres.url(), owner.url());
}

#[test]
fn a_temporary_cluster_vanishes_with_an_owner_that_is_killed() {
    let mut owner = Owner::spawn("--temporary");
    let folder = owner.folder();
    assert!(folder.is_dir());
    kill(owner.pid());
    wait_until_gone(owner.postmaster());
    support::wait_until(|| !folder.exists());
    owner.wait();
}

#[test]
fn a_temporary_cluster_vanishes_when_dropped_though_it_crashed() {
    let mut postgres = PrivatePostgres::start(PrivatePostgresConfig::temporary(), |_| {}).unwrap();
    let data = postgres.data_folder();
    kill(postgres.postmaster().unwrap());
    support::wait_until(|| !postgres.is_running());
    assert!(data.is_dir());
    drop(postgres);
    assert!(!data.parent().unwrap().exists());
}

#[test]
fn a_killed_server_is_restarted_on_the_same_port() {
    let mut postgres = PrivatePostgres::start(PrivatePostgresConfig::temporary(), |_| {}).unwrap();
    let url = postgres.url();
    kill(postgres.postmaster().unwrap());
    support::wait_until(|| !postgres.is_running());
    postgres.restart(|_| {}).unwrap();
    assert!(postgres.is_running());
    assert_eq!(postgres.url(), url);
}

#[test]
fn a_pid_file_whose_number_someone_else_has_now_does_not_matter() {
    let state = state_folder();
    let (mut first, _) = start(state.path());
    kill(first.postmaster().unwrap());
    support::wait_until(|| !first.is_running());
    let pid_file = first.data_folder().join("postmaster.pid");
    drop(first);
    let left = std::fs::read_to_string(&pid_file).unwrap();
    let (_, rest) = left.split_once('\n').unwrap();
    // Under the very user that Postgres runs as, else it would not mind.
    let bystander = support::spawn_as_owner_of(state.path().join("postgres").as_path());
    std::fs::write(&pid_file, format!("{}\n{rest}", bystander.id())).unwrap();

    let (mut second, steps) = start(state.path());
    assert!(second.is_running());
    assert!(
        !steps
            .iter()
            .any(|step| matches!(step, Step::StoppingLeftover { .. }))
    );
    support::end(bystander);
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_was_left_behind_is_stopped_first() {
    let state = state_folder();
    let mut owner = Owner::spawn(state.path().to_str().unwrap());
    for pid in support::supervisors_of(owner.pid(), owner.postmaster()) {
        kill(pid);
    }
    kill(owner.pid());
    owner.wait();
    assert!(
        support::exists(owner.postmaster()),
        "it has no one to end it"
    );

    let (postgres, steps) = start(state.path());
    let pid = owner.postmaster();
    assert!(steps.contains(&Step::StoppingLeftover { pid }), "{steps:?}");
    assert_eq!(postgres.url(), owner.url());
    assert!(!support::exists(pid));
}

#[test]
fn only_one_owner_at_a_time() {
    let state = state_folder();
    let (_first, _) = start(state.path());
    let second = PrivatePostgres::start(PrivatePostgresConfig::kept_in(state.path()), |_| {});
    assert!(
        matches!(second, Err(StartError::InUse { .. })),
        "{second:?}"
    );
}

#[test]
fn a_port_that_is_asked_for_and_taken_is_an_error() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = PrivatePostgresConfig::temporary().port(port);
    let error = PrivatePostgres::start(config, |_| {}).unwrap_err();
    assert!(
        matches!(error, StartError::PortInUse { port: p } if p == port),
        "{error}"
    );
}

#[test]
fn the_last_port_is_given_up_when_it_is_taken() {
    let state = state_folder();
    let (first, _) = start(state.path());
    let port = first.port();
    drop(first);
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (second, _) = start(state.path());
    assert_ne!(second.port(), port);
}

#[test]
fn what_postgres_complains_of_is_in_the_error() {
    let config = PrivatePostgresConfig::temporary().setting("shared_buffers", "many");
    let error = PrivatePostgres::start(config, |_| {})
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("invalid value for parameter \"shared_buffers\""),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let state = file.path().join("state");
    let error = PrivatePostgres::start(PrivatePostgresConfig::kept_in(&state), |_| {}).unwrap_err();
    assert!(
        matches!(&error, StartError::Folder { path, .. } if *path == state),
        "{error}"
    );
}
