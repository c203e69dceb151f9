//! Postgres hangs: clients are put off rather than kept waiting, and nothing is sent under leases that nobody vouches
//! for.

use testkit::{Script, Sink, wait_until};

use crate::fleet::{Fleet, begin_data, end_data, letter};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_hangs_mail_is_put_off_and_afterwards_all_flows() {
    let postgres = testkit::postgres().await;
    let sink = Sink::start(Script::new()).await;
    let fleet = Fleet::builder()
        .on(postgres.database().await)
        .account("alice")
        .account("bob")
        .smart_host("*", sink.address())
        .start()
        .await;
    let mut talks = [fleet.talk().await, fleet.talk_as_alice().await];
    for talk in &mut talks {
        begin_data(talk).await;
    }
    postgres.freeze();
    for talk in &mut talks {
        let answer = end_data(talk, &letter("hanging")).await;
        assert_eq!(answer.code, 451, "{}", answer.text());
    }
    postgres.thaw();

    wait_until("mail to be taken again", async || {
        let mut talk = fleet.talk_as_alice().await;
        talk.command("MAIL FROM:<alice@example.test>", 250).await;
        talk.command("RCPT TO:<jo@far.test>", 250).await;
        talk.command("DATA", 354).await;
        end_data(&mut talk, &letter("afterwards")).await.code == 250
    })
    .await;
    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    // A commit that hung may have succeeded: the client could not know, and would send again.
    assert!(fleet.mail_now("bob").len() <= 2);
    fleet.end().await;
}
