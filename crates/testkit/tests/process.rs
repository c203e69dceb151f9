//! Processes and connections end, freeze and come back as a test wants.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;
use std::time::Duration;

use testkit::{Process, Proxy, Script, Sink, SmtpTalk, Traffic};

fn shell(script: &str) -> Process {
    Process::start(Command::new("sh").args(["-c", script]))
}

#[tokio::test]
async fn a_process_is_heard_and_asked_to_end() {
    let mut process =
        shell("trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.01; done");
    process.wait_for_log("hello").await;
    assert!(process.is_running());
    assert_eq!(process.terminate().await.code(), Some(3));
    assert_eq!(process.log(), "hello\nbye\n");
}

#[tokio::test]
#[should_panic(expected = "sh ended (exit status: 7) instead of")]
async fn a_process_that_ends_early_fails_the_test_at_once() {
    shell("exit 7").wait_for_log("hello").await;
}

#[tokio::test]
async fn a_process_is_killed_when_dropped() {
    let process = shell("sleep 600");
    let id = nix::unistd::Pid::from_raw(process.id());
    drop(process);
    assert!(nix::sys::signal::kill(id, None).is_err());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_frozen_process_goes_on_when_it_thaws() {
    let mut process = shell("while :; do echo tick; sleep 0.01; done");
    process.wait_for_log("tick").await;
    process.freeze();
    let state = format!("/proc/{}/stat", process.id());
    testkit::wait_until("the process to be frozen", async || {
        std::fs::read_to_string(&state).unwrap().contains(") T ")
    })
    .await;
    let ticks = process.log().len();
    process.thaw();
    testkit::wait_until("another tick", async || process.log().len() > ticks).await;
}

#[tokio::test]
async fn a_connection_can_be_held_deafened_and_cut() {
    let sink = Sink::start(Script::new()).await;
    let proxy = Proxy::to(sink.address()).await;
    let mut talk = SmtpTalk::hello(proxy.address()).await;
    let a_while = Duration::from_millis(50);

    proxy.set(Traffic::Held);
    talk.say("MAIL FROM:<held@example.org>").await;
    talk.expect_silence(a_while).await;
    assert_eq!(sink.commands(1).len(), 1);
    proxy.set(Traffic::Passes);
    talk.expect(250).await;

    proxy.set(Traffic::Deaf);
    talk.say("RCPT TO:<deaf@example.org>").await;
    testkit::wait_until("the sink to hear", async || sink.commands(1).len() == 3).await;
    talk.expect_silence(a_while).await;
    proxy.cut();
    assert_eq!(talk.expect_end().await, []);

    proxy.set(Traffic::Closed);
    let mut refused = SmtpTalk::connect(proxy.address()).await;
    assert_eq!(refused.expect_end().await, []);
    proxy.set(Traffic::Passes);
    SmtpTalk::hello(proxy.address())
        .await
        .command("QUIT", 221)
        .await;
}
