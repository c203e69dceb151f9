//! Promise 4: who is dead, who says so, and what becomes of the leases.

use std::time::Duration;

use queue::{Heart, HeartConfig, Progress};
use testkit::wait_until;

use crate::support::{Fixture, is_fenced};

/// Hurried, so that tests needn't wait.
const HURRIED: HeartConfig = HeartConfig {
    interval: Duration::from_millis(50),
    ttl: Duration::from_millis(1500),
    patience: Duration::from_millis(500),
};

/// Without patience for a lack of progress, but with all the time in the world to live.
const IMPATIENT: HeartConfig = HeartConfig {
    interval: Duration::from_millis(20),
    ttl: Duration::from_secs(3600),
    patience: Duration::from_millis(100),
};

/// Makes progress as long as it is not dropped.
struct Scheduler(tokio::task::JoinHandle<()>);

impl Scheduler {
    fn start(progress: &Progress) -> Self {
        let progress = progress.clone();
        Self(tokio::spawn(async move {
            loop {
                progress.note();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }))
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn beating(fixture: &Fixture, relay: &crate::support::Relay) -> (Heart, Scheduler) {
    let progress = Progress::default();
    let scheduler = Scheduler::start(&progress);
    (
        Heart::start(&fixture.queue, relay.id, HURRIED, progress),
        scheduler,
    )
}

#[tokio::test]
async fn a_relay_whose_heart_stops_is_taken_over() {
    let fixture = Fixture::new().await;
    let (victim, heir) = (fixture.relay().await, fixture.relay().await);
    let (heart, _scheduler) = beating(&fixture, &victim);
    let (_watching, _its_scheduler) = beating(&fixture, &heir);
    let unit = fixture
        .queue_leased(victim.id, &["a@example.com"])
        .await
        .remove(0);
    wait_until("the victim's heart to beat", async || {
        fixture
            .value::<bool>(&format!(
                "SELECT heartbeat > 2 FROM queue.incarnation WHERE id = {}",
                victim.id
            ))
            .await
    })
    .await;
    assert!(heart.is_good(Duration::from_millis(500)));
    assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 0);
    drop(heart);
    wait_until("the victim's lease to be reclaimed", async || {
        fixture.queue.reclaim(100).await.unwrap().ready == 1
    })
    .await;
    let taken_over = heir.claim_one().await;
    assert!(is_fenced(&fixture.deliver(unit).await));
    assert!(!is_fenced(&fixture.deliver(taken_over).await));
}

#[tokio::test]
async fn who_was_pronounced_dead_finds_out() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let (heart, _scheduler) = beating(&fixture, &relay);
    let mut fenced = heart.fenced();
    assert!(!*fenced.borrow());
    fixture
        .execute("UPDATE queue.incarnation SET fenced_at = now()")
        .await;
    tokio::time::timeout(testkit::DEADLINE, fenced.wait_for(|fenced| *fenced))
        .await
        .unwrap()
        .unwrap();
    assert!(!heart.is_good(Duration::ZERO));
}

#[tokio::test]
async fn without_progress_there_is_no_heartbeat() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let progress = Progress::default();
    let _heart = Heart::start(&fixture.queue, relay.id, IMPATIENT, progress.clone());
    let heartbeat = async || {
        fixture
            .value::<i64>("SELECT heartbeat FROM queue.incarnation")
            .await
    };
    let mut last = -1;
    wait_until("the heart to stop", async || {
        let before = std::mem::replace(&mut last, heartbeat().await);
        tokio::time::sleep(IMPATIENT.patience).await;
        before == last
    })
    .await;
    progress.note();
    wait_until("the heart to go on", async || heartbeat().await > last).await;
}

#[tokio::test]
async fn a_heart_that_no_longer_reaches_the_database_is_not_good() {
    let (fixture, postgres) = Fixture::on_own_server().await;
    let relay = fixture.relay().await;
    let (heart, _scheduler) = beating(&fixture, &relay);
    assert!(heart.is_good(Duration::ZERO));
    postgres.freeze();
    wait_until("the heart to doubt", async || {
        !heart.is_good(Duration::ZERO)
    })
    .await;
    assert!(!*heart.fenced().borrow());
    postgres.thaw();
    wait_until("the heart to be good again", async || {
        heart.is_good(Duration::ZERO)
    })
    .await;
}

#[tokio::test]
async fn an_outage_of_the_database_robs_nobody() {
    let (fixture, postgres) = Fixture::on_own_server().await;
    let relays = [fixture.relay().await, fixture.relay().await];
    let hearts: Vec<_> = relays
        .iter()
        .map(|relay| beating(&fixture, relay))
        .collect();
    fixture.queue_leased(relays[0].id, &["a@example.com"]).await;
    postgres.freeze();
    wait_until("longer than the TTL to pass", async || {
        hearts
            .iter()
            .all(|(heart, _)| !heart.is_good(Duration::ZERO))
    })
    .await;
    postgres.thaw();
    wait_until("all hearts to be good again", async || {
        hearts
            .iter()
            .all(|(heart, _)| heart.is_good(Duration::ZERO))
    })
    .await;
    let fenced: i64 = fixture
        .value("SELECT count(*) FROM queue.incarnation WHERE fenced_at IS NOT NULL")
        .await;
    assert_eq!(fenced, 0);
    assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 0);
}

#[tokio::test]
async fn a_heartbeat_in_the_last_moment_cancels_the_verdict() {
    let fixture = Fixture::new().await;
    let (victim, observer) = (fixture.relay().await, fixture.relay().await);
    // The counter moves whenever somebody is about to pronounce its owner dead.
    fixture
        .execute(&format!(
            "CREATE FUNCTION beat() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.id <> {0} THEN
                     UPDATE queue.incarnation SET heartbeat = heartbeat + 1 WHERE id = {0};
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER beat BEFORE UPDATE ON queue.incarnation
             FOR EACH ROW EXECUTE FUNCTION beat()",
            victim.id
        ))
        .await;
    let (_heart, _scheduler) = beating(&fixture, &observer);
    let beats = async || {
        fixture
            .value::<i64>(&format!(
                "SELECT heartbeat FROM queue.incarnation WHERE id = {}",
                observer.id
            ))
            .await
    };
    // Longer than the TTL, and then some.
    wait_until("many heartbeats", async || beats().await > 60).await;
    let fenced: bool = fixture
        .value(&format!(
            "SELECT fenced_at IS NOT NULL FROM queue.incarnation WHERE id = {}",
            victim.id
        ))
        .await;
    assert!(!fenced);
}

#[tokio::test]
async fn a_commit_that_comes_late_to_a_dead_holder_is_reclaimed() {
    let fixture = Fixture::new().await;
    let (dead, heir) = (fixture.relay().await, fixture.relay().await);
    fixture.queue_leased(dead.id, &["early@example.com"]).await;
    fixture.queue.end_incarnation(dead.id).await.unwrap();
    // The sweep has long been past the dead one's leases.
    fixture
        .execute("UPDATE queue.incarnation SET swept_until = now() - interval '3 minutes'")
        .await;
    assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 1);
    assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 0);
    let swept: bool = fixture
        .value("SELECT bool_or(swept_until > now() - interval '2 minutes') FROM queue.incarnation")
        .await;
    assert!(swept);
    let late = fixture
        .queue_leased(dead.id, &["late@example.com"])
        .await
        .remove(0);
    assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 1);
    assert_eq!(heir.claim().await.len(), 2);
    assert!(is_fenced(&fixture.deliver(late).await));
}

#[tokio::test]
async fn a_reclaim_is_bounded_and_leaves_the_living_alone() {
    let fixture = Fixture::new().await;
    let (dead, alive) = (fixture.relay().await, fixture.relay().await);
    for _ in 0..10 {
        fixture.queue_leased(dead.id, &["a@example.com"]).await;
        fixture.queue_leased(alive.id, &["a@example.com"]).await;
    }
    fixture.queue.end_incarnation(dead.id).await.unwrap();
    for reclaimed in [4, 4, 2, 0] {
        assert_eq!(fixture.queue.reclaim(4).await.unwrap().ready, reclaimed);
    }
    let leased: i64 = fixture
        .value(&format!(
            "SELECT count(*) FROM queue.unit WHERE holder = {}",
            alive.id
        ))
        .await;
    assert_eq!(leased, 10);
}
