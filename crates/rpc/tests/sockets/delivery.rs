//! Messages on their way into mailboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use queue::{Content, QueueId, Shard, TraceParent};
use rpc::delivery::{
    DeliverRequest, DeliveryClient, DeliveryLimits, DeliveryService, Outcomes, delivery_server,
};
use rpc::{RpcError, ServiceFailure};
use smtp::{EnhancedStatus, Outcome, Reply, Report, ReversePath};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::running::{ANYWHERE, Running, within};

/// Passes on what arrives, and answers `delivered` for all but `full@example.org`.
struct TestDelivery {
    arrived: mpsc::UnboundedSender<DeliverRequest>,
    under_way: AtomicUsize,
    /// Most deliveries that were under way at a time.
    peak: Arc<AtomicUsize>,
}

impl DeliveryService for TestDelivery {
    async fn deliver(&self, request: DeliverRequest) -> Result<Outcomes, ServiceFailure> {
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(under_way, Ordering::Relaxed);
        let outcomes = request
            .recipients
            .iter()
            .map(|(number, mailbox)| {
                let outcome = match mailbox.to_string().as_str() {
                    "full@example.org" => Outcome::Deferred(over_quota()),
                    _ => Outcome::Delivered(stored()),
                };
                (*number, outcome)
            })
            .collect();
        // Time for others to come in, if they may.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let _ = self.arrived.send(request);
        Ok(outcomes)
    }
}

fn stored() -> Report {
    Report::new(EnhancedStatus::new(2, 0, 0), None, "stored")
}

fn over_quota() -> Report {
    let status = EnhancedStatus::new(4, 2, 2);
    Report::new(
        status,
        Some(Reply::new(452, status, "mailbox full")),
        "over quota",
    )
}

pub(crate) fn request(content: &[u8]) -> DeliverRequest {
    DeliverRequest {
        queue_id: QueueId::generate(Shard::new(5).unwrap()),
        attempt: 1,
        reverse_path: ReversePath::from_address("sender@example.net").unwrap(),
        recipients: vec![
            (0, "alice@example.org".parse().unwrap()),
            (3, "full@example.org".parse().unwrap()),
        ],
        accepted_at: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
        trace: TraceParent::generate(),
        content: Content::new("Received: here\r\n", content.to_vec()),
    }
}

struct Started {
    client: DeliveryClient,
    arrived: mpsc::UnboundedReceiver<DeliverRequest>,
    peak: Arc<AtomicUsize>,
    _server: Running,
}

async fn start(limits: DeliveryLimits) -> Started {
    let (sender, arrived) = mpsc::unbounded_channel();
    let peak = Arc::new(AtomicUsize::new(0));
    let service = TestDelivery {
        arrived: sender,
        under_way: AtomicUsize::new(0),
        peak: Arc::clone(&peak),
    };
    let server = Running::plain(ANYWHERE, delivery_server(service, limits)).await;
    Started {
        client: DeliveryClient::new(&server.channel()).unwrap(),
        arrived,
        peak,
        _server: server,
    }
}

/// Octets that show it when a piece is missing or misplaced.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 % 251) as u8).collect()
}

#[tokio::test]
async fn a_message_arrives_whole_and_its_outcomes_come_back() {
    let mut delivery = start(DeliveryLimits::default()).await;
    for size in [0, 1, 256 << 10, 10 << 20] {
        let sent = request(&pattern(size));
        let outcomes = within(delivery.client.deliver(&sent)).await.unwrap();
        let expected = vec![
            (0, Outcome::Delivered(stored())),
            (3, Outcome::Deferred(over_quota())),
        ];
        assert_eq!(outcomes, expected);
        let received = delivery.arrived.recv().await.unwrap();
        assert!(received.content.to_bytes() == sent.content.to_bytes());
        assert_eq!(received.queue_id, sent.queue_id);
        assert_eq!(received.recipients, sent.recipients);
        assert_eq!(received.accepted_at, sent.accepted_at);
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_taken_in() {
    let limits = DeliveryLimits {
        max_content: 1 << 20,
        content_under_way: 1 << 20,
    };
    let mut delivery = start(limits).await;
    let too_large = request(&pattern(1 << 20));
    let error = delivery.client.deliver(&too_large).await.unwrap_err();
    assert!(matches!(error, RpcError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("too large"), "{error}");
    assert!(delivery.arrived.try_recv().is_err());
}

#[tokio::test]
async fn content_under_way_is_bounded() {
    for (room, expected) in [(1, 1), (3, 4)] {
        let delivery = start(DeliveryLimits {
            max_content: 1 << 20,
            content_under_way: room << 20,
        })
        .await;
        let deliveries: Vec<_> = (0..10)
            .map(|_| {
                let client = delivery.client.clone();
                tokio::spawn(async move { client.deliver(&request(&pattern(700 << 10))).await })
            })
            .collect();
        for delivery in deliveries {
            within(delivery).await.unwrap().unwrap();
        }
        let peak = delivery.peak.load(Ordering::Relaxed);
        assert!(
            (1..=expected).contains(&peak),
            "{peak} with room for {room} MiB"
        );
    }
}
