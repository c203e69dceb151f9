//! An exchanger gives no session, or takes it away: the next one gets the mail, within the same attempt.

use testkit::{Action, Script, Sink, Stage};

use super::Exchangers;
use crate::fleet::letter;

/// The first exchanger behaves so; the second has to get the mail, all of it and only once.
async fn assert_moves_on(first: Script) {
    let far = Exchangers::start([first, Script::new()]).await;
    let fleet = far.fleet().await;
    fleet
        .submit(&["jo@far.test", "di@far.test"], &letter("moved on"))
        .await;

    let messages = far.sinks[1].wait_for(1).await;
    assert_eq!(messages[0].recipients, ["jo@far.test", "di@far.test"]);
    fleet.queue_is_empty().await;
    assert_eq!(far.sinks[1].messages().len(), 1);
    assert!(far.sinks[0].messages().is_empty());
    assert_eq!(fleet.attempts("deferred").await, 0);
    assert_eq!(fleet.sql("SELECT count(*) FROM queue.destination").await, 0);
    far.assert_well_treated();
    fleet.end().await;
}

fn at(stage: Stage, action: Action) -> Script {
    Script::new().on(stage, action)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_that_refuses() {
    assert_moves_on(at(
        Stage::Greeting,
        Action::reply("554 5.3.2 No service here"),
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_that_puts_off() {
    let action = Action::reply_and_close("421 4.3.2 Too busy");
    assert_moves_on(at(Stage::Greeting, action)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_greeting_at_all() {
    assert_moves_on(at(Stage::Greeting, Action::Close)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ehlo_that_is_refused() {
    let action = Action::reply_and_close("550 5.7.1 Not you");
    assert_moves_on(at(Stage::Hello, action)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_taken_at_mail() {
    let action = Action::reply_and_close("421 4.3.2 Shutting down");
    assert_moves_on(at(Stage::Mail, action)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_taken_at_rcpt() {
    let action = Action::reply_and_close("421 4.3.2 Shutting down");
    assert_moves_on(at(Stage::Rcpt, action)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_taken_at_data() {
    let action = Action::reply_and_close("421 4.3.2 Shutting down");
    assert_moves_on(at(Stage::Data, action)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_nobody_listens_on() {
    let mut far = Exchangers::start([Script::new(), Script::new()]).await;
    let second = far.sinks[1].address();
    far.sinks.remove(0).stop().await;
    let fleet = far.fleet().await;
    fleet
        .submit(&["jo@far.test"], &letter("nobody there"))
        .await;

    far.sinks[0].wait_for(1).await;
    assert_eq!(far.sinks[0].address(), second);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_put_off() {
    assert_moves_on(at(Stage::Rcpt, Action::reply("450 4.2.0 Not now"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_recipients_that_are_put_off_are_taken_to_the_next() {
    let first = Script::new().recipient("jo@far.test", "450 4.2.0 Not now");
    let far = Exchangers::start([first, Script::new()]).await;
    let fleet = far.fleet().await;
    let recipients = ["jo@far.test", "di@far.test"];
    fleet.submit(&recipients, &letter("one each")).await;

    assert_eq!(
        far.sinks[1].wait_for(1).await[0].recipients,
        ["jo@far.test"]
    );
    fleet.queue_is_empty().await;
    assert_eq!(far.sinks[0].messages()[0].recipients, ["di@far.test"]);
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_recipient_is_final_and_moves_nowhere() {
    let first = Script::new().recipient("jo@far.test", "550 5.1.1 Nobody by that name");
    let far = Exchangers::start([first, Script::new()]).await;
    let fleet = far.fleet().await;
    fleet.submit(&["jo@far.test"], &letter("final")).await;

    fleet.first_mail_of("alice").await;
    fleet.queue_is_empty().await;
    let connections: Vec<usize> = far.sinks.iter().map(Sink::connections).collect();
    assert_eq!(connections, [1, 0]);
    fleet.end().await;
}
