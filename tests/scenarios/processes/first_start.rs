//! All services start at once on an empty database.

use super::harness::Plan;

const APPLIED: &str = "SELECT (SELECT count(*) FROM queue._migrations WHERE success)
                            + (SELECT count(*) FROM directory._migrations WHERE success)";

#[tokio::test(flavor = "multi_thread")]
async fn services_that_start_together_on_an_empty_database_migrate_it_once() {
    let database = testkit::database().await;
    let mut fleet = Plan::of(2, 3, 2).start(&database).await;
    let applied = fleet.books.number(APPLIED).await;
    assert!(applied > 0);
    for service in fleet.services() {
        let log = service.log();
        assert!(!log.contains("ERROR"), "{}:\n{log}", service.host_name);
        service.terminate().await;
        service.start().await;
    }
    assert_eq!(fleet.books.number(APPLIED).await, applied);
    fleet.end().await;
}
