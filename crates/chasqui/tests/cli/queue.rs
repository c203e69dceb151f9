//! `queue`: looking at mail and steering it.

use ::queue::{
    Content, DatabaseConfig, DestinationFailure, DestinationKey, EnqueueConfig, Enqueuer,
    IncarnationId, NewMessage, Origin, Queue, QueueId, Registration, Service, Tenant, TraceParent,
};
use serde_json::Value;
use smtp::{Body, Mailbox, ReversePath};
use time::{Duration, OffsetDateTime};

use crate::operator::Operator;

const TENANT: Tenant = Tenant(7);

/// A queue, its producer, and its operator.
struct House {
    operator: Operator,
    queue: Queue,
    enqueuer: Enqueuer,
}

impl House {
    async fn new() -> Self {
        let database = testkit::database().await;
        let operator = Operator::of(&database);
        operator.succeeds(&["migrate"]);
        let queue = Queue::connect(&DatabaseConfig::new(database.url()))
            .await
            .unwrap();
        let enqueuer = Enqueuer::start(&queue, EnqueueConfig::default());
        Self {
            operator,
            queue,
            enqueuer,
        }
    }

    async fn queues(&self, sender: &str, recipients: &[&str]) -> QueueId {
        self.queues_for(None, sender, recipients).await
    }

    /// Queues a message, perhaps leased to a relay from the start.
    async fn queues_for(
        &self,
        relay: Option<IncarnationId>,
        sender: &str,
        recipients: &[&str],
    ) -> QueueId {
        let id = self.enqueuer.next_id();
        let recipients = recipients.iter().map(|text| Mailbox::parse(text).unwrap());
        let message = NewMessage {
            id,
            tenant: TENANT,
            reverse_path: ReversePath::from_address(sender).unwrap(),
            body: Body::SevenBit,
            recipients: recipients.collect(),
            content: Content::from(b"Subject: hi\r\n\r\n".to_vec()),
            origin: Origin {
                client: Some([192, 0, 2, 1].into()),
                hello: Some("client.example.org".to_owned()),
                login: Some("alice@example.org".to_owned()),
                ..Origin::own(Service::Submission)
            },
            trace: TraceParent::generate(),
            expires_at: OffsetDateTime::now_utc() + Duration::days(5),
            lease_to: relay,
        };
        self.enqueuer.enqueue(message).await.unwrap();
        id
    }

    /// A relay that holds mail and never does anything with it.
    async fn relay(&self) -> IncarnationId {
        let registration = Registration {
            address: "127.0.0.1:1".to_owned(),
            node: "mx.example.org".to_owned(),
            version: "0".to_owned(),
        };
        self.queue.register(&registration).await.unwrap()
    }

    /// The state of every unit, by the address of its first recipient.
    fn states(&self) -> Vec<(String, String)> {
        let units = self.operator.tells(&["queue", "list"]);
        let mut states: Vec<_> = units
            .as_array()
            .unwrap()
            .iter()
            .map(|unit| (text(&unit["recipients"][0]), text(&unit["state"])))
            .collect();
        states.sort();
        states
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    let owned = pairs.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned()));
    owned.collect()
}

#[tokio::test]
async fn an_empty_queue_is_told() {
    let operator = Operator::new().await;
    assert_eq!(
        operator.succeeds(&["queue", "list"]),
        "the queue is empty\n"
    );
    assert_eq!(operator.tells(&["queue", "list"]), serde_json::json!([]));
    let unknown = QueueId::generate(::queue::Shard::new(0).unwrap()).to_string();
    assert_eq!(
        operator.fails(&["queue", "show", &unknown]),
        format!("chasqui: neither the queue nor the journal knows {unknown}")
    );
}

#[tokio::test]
async fn a_message_has_a_line_for_each_domain() {
    let house = House::new().await;
    let to = ["bob@example.net", "carol@example.net", "dave@example.com"];
    let id = house.queues("alice@example.org", &to).await.to_string();
    house.queues("", &["alice@example.org"]).await;

    let table = house.operator.succeeds(&["queue", "list"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("bob@example.net and 1 more"), "{table}");
    assert!(table.contains("  <>  "), "{table}");

    let units = house.operator.tells(&["queue", "list", &id]);
    let units = units.as_array().unwrap();
    assert_eq!(units.len(), 2);
    for unit in units {
        assert_eq!(unit["queue_id"], id.as_str());
        assert_eq!(unit["reverse_path"], "alice@example.org");
        assert_eq!(unit["tenant"], TENANT.0);
        assert_eq!(unit["size"], 15);
        assert_eq!(unit["attempts"], 0);
        assert_eq!(unit["holder"], Value::Null);
    }
    assert!(units.iter().any(|unit| unit["domain"] == "example.com"));
}

#[tokio::test]
async fn filters_choose_and_a_limit_says_that_there_is_more() {
    let house = House::new().await;
    house
        .queues("alice@example.org", &["bob@example.net"])
        .await;
    house.queues("", &["bob@example.com"]).await;
    let count = |arguments: &[&str]| {
        let listed = house
            .operator
            .tells(&[&["queue", "list"], arguments].concat());
        listed.as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["--sender", "*@EXAMPLE.org"]), 1);
    assert_eq!(count(&["--sender", "<>"]), 1);
    assert_eq!(count(&["--recipient", "b?b@example.*"]), 2);
    assert_eq!(count(&["--domain", "Example.NET"]), 1);
    assert_eq!(count(&["--tenant", "7"]), 2);
    assert_eq!(count(&["--in-state", "held"]), 0);

    let limited = house.operator.types(&["queue", "list", "--limit", "1"]);
    assert_eq!(limited.status, 0);
    assert_eq!(limited.stdout.lines().count(), 2);
    assert_eq!(
        limited.stderr,
        "chasqui: there is more than these 1: --limit shows more\n"
    );
}

#[tokio::test]
async fn mailq_says_that_there_is_more_as_the_list_does() {
    let house = House::new().await;
    let to = ["bob@example.net", "carol@example.com"];
    house.queues("alice@example.org", &to).await;
    let all = house.operator.succeeds(&["mailq"]);
    assert!(to.iter().all(|it| all.contains(it)), "{all}");
    for (limit, said) in [
        (
            "1",
            "chasqui: there is more than these 1: --limit shows more\n",
        ),
        ("2", ""),
    ] {
        let limited = house.operator.types(&["mailq", "--limit", limit]);
        assert_eq!((limited.status, limited.stderr.as_str()), (0, said));
        let shown = to.iter().filter(|it| limited.stdout.contains(**it));
        assert_eq!(shown.count().to_string(), limit, "{limited:?}");
    }
}

#[tokio::test]
async fn a_message_is_shown_with_where_it_came_from() {
    let house = House::new().await;
    let id = house
        .queues("alice@example.org", &["bob@example.net"])
        .await
        .to_string();
    let shown = house.operator.tells(&["queue", "show", &id]);
    assert_eq!(shown["queue_id"], id.as_str());
    assert_eq!(shown["service"], "submission");
    assert_eq!(shown["client"], "192.0.2.1");
    assert_eq!(shown["login"], "alice@example.org");
    assert_eq!(shown["units"][0]["recipients"][0], "bob@example.net");
    assert_eq!(shown["attempts"], serde_json::json!([]));
    let words = house.operator.succeeds(&["queue", "show", &id]);
    assert!(words.starts_with(&format!("message   {id}\n")), "{words}");
    assert!(words.ends_with("it has not been tried yet\n"), "{words}");
}

#[tokio::test]
async fn mail_for_a_suspended_destination_says_why_it_waits() {
    let house = House::new().await;
    house
        .queues("alice@example.org", &["bob@example.net"])
        .await;
    let destination = DestinationKey {
        tenant: TENANT,
        domain: "example.net".to_owned(),
    };
    let failure = DestinationFailure {
        reply: "cannot connect: connection refused",
        route: "mx:example.net",
        first_pause: std::time::Duration::from_secs(3_600),
        longest_pause: std::time::Duration::from_secs(3_600),
    };
    house.queue.suspend(&destination, failure).await.unwrap();
    let units = house.operator.tells(&["queue", "list"]);
    assert_eq!(units[0]["state"], "ready");
    assert_eq!(units[0]["suspension"], "cannot connect: connection refused");
    assert!(text(&units[0]["suspended_until"]) > text(&units[0]["due_at"]));
    let table = house.operator.succeeds(&["queue", "list"]);
    assert!(
        table.ends_with("  cannot connect: connection refused\n"),
        "{table}"
    );
}

#[tokio::test]
async fn mail_is_held_released_and_cancelled() {
    let house = House::new().await;
    let operator = &house.operator;
    let id = house
        .queues("alice@example.org", &["bob@example.net"])
        .await
        .to_string();
    house
        .queues(
            "alice@example.org",
            &["carol@example.com", "dave@example.com"],
        )
        .await;

    let hold = ["queue", "hold", &id, "--reason", "looks odd"];
    assert_eq!(operator.succeeds(&hold), "1 unit is held\n");
    assert_eq!(
        house.states(),
        pairs([("bob@example.net", "held"), ("carol@example.com", "ready")])
    );
    let table = operator.succeeds(&["queue", "list", "--in-state", "held"]);
    assert!(table.ends_with("  looks odd\n"), "{table}");

    let released = operator.tells(&["queue", "release", "--all"]);
    assert_eq!(
        released,
        serde_json::json!({"action": "release", "changed": 1, "leased": 0, "limited": false})
    );
    let cancel = ["queue", "cancel", "--recipient", "carol@*"];
    assert_eq!(operator.succeeds(&cancel), "1 recipient is cancelled\n");
    assert_eq!(
        house.states(),
        pairs([("bob@example.net", "ready"), ("dave@example.com", "ready")])
    );
    assert_eq!(
        operator.succeeds(&["queue", "cancel", "--all"]),
        "2 recipients are cancelled\n"
    );
    assert_eq!(house.states(), pairs([]));
}

#[tokio::test]
async fn what_a_relay_holds_is_passed_over_and_told() {
    let house = House::new().await;
    let relay = house.relay().await;
    let to = ["bob@example.net"];
    house
        .queues_for(Some(relay), "alice@example.org", &to)
        .await;
    house
        .queues("alice@example.org", &["carol@example.com"])
        .await;
    assert_eq!(
        house.operator.succeeds(&["queue", "hold", "--all"]),
        "1 unit is held; 1 unit is being tried and will be held if that fails\n"
    );
    assert_eq!(
        house.states(),
        pairs([("bob@example.net", "leased"), ("carol@example.com", "held")])
    );
}

#[tokio::test]
async fn a_limit_bounds_what_is_steered() {
    let house = House::new().await;
    for domain in ["example.net", "example.com", "example.org"] {
        house.queues("", &[&format!("bob@{domain}")]).await;
    }
    let some = house
        .operator
        .tells(&["queue", "hold", "--all", "--limit", "2"]);
    assert_eq!(
        (&some["changed"], &some["limited"]),
        (&2.into(), &true.into())
    );
    let ids: Vec<String> = house
        .operator
        .tells(&["queue", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| text(&unit["queue_id"]))
        .collect();
    let by_id = ["queue", "hold", &ids[0], &ids[1], "--limit", "1"];
    assert_eq!(house.operator.tells(&by_id)["limited"], true);
    let rest = house
        .operator
        .tells(&["queue", "hold", "--in-state", "ready"]);
    assert_eq!(
        (&rest["changed"], &rest["limited"]),
        (&1.into(), &false.into())
    );
}

#[tokio::test]
async fn flushing_opens_destinations_and_needs_no_selector() {
    let house = House::new().await;
    house.queues("", &["bob@example.net"]).await;
    let destination = DestinationKey {
        tenant: TENANT,
        domain: "example.net".to_owned(),
    };
    let failure = DestinationFailure {
        reply: "down",
        route: "mx:example.net",
        first_pause: std::time::Duration::from_secs(3_600),
        longest_pause: std::time::Duration::from_secs(3_600),
    };
    house.queue.suspend(&destination, failure).await.unwrap();
    house.operator.succeeds(&["queue", "flush"]);
    let units = house.operator.tells(&["queue", "list"]);
    assert_eq!(units[0]["suspended_until"], Value::Null);
}
