//! A relay's end of the hand-off, which keeps what arrives.

use std::net::SocketAddr;
use std::time::Duration;

use queue::{IncarnationId, LeasedUnit, Shard};
use rpc::hand_off::{HandOffSink, HandedOff, Load, RelayHandOff};
use rpc::{GrpcServer, GrpcServerConfig};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The incarnation of the only relay.
pub(crate) const HOLDER: IncarnationId = IncarnationId(1);

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) hand_off: RelayHandOff,
    units: UnboundedReceiver<HandedOff>,
}

impl Relay {
    pub(crate) async fn start() -> Self {
        let (sender, units) = mpsc::unbounded_channel();
        let hand_off = RelayHandOff::new(Load::new(1_024, 64 << 20), Sink(sender));
        hand_off.open(HOLDER);
        let config = GrpcServerConfig::plain("127.0.0.1:0".parse().unwrap());
        let server = GrpcServer::bind(&config).await.unwrap();
        let server = server.with(hand_off.service());
        let address = server.local_addr();
        tokio::spawn(server.serve(CancellationToken::new()));
        Self {
            address,
            hand_off,
            units,
        }
    }

    /// The next unit handed off, and its content.
    pub(crate) async fn next(&mut self) -> (LeasedUnit, String) {
        let received = timeout(PATIENCE, self.units.recv()).await.unwrap().unwrap();
        let content = received.unit.content.clone().unwrap().to_bytes();
        let content = String::from_utf8(content.to_vec()).unwrap();
        (received.unit, content)
    }

    pub(crate) fn has_nothing(&mut self) -> bool {
        self.units.try_recv().is_err()
    }
}

struct Sink(UnboundedSender<HandedOff>);

impl HandOffSink for Sink {
    fn receive(&self, units: Vec<HandedOff>) {
        for unit in units {
            let _ = self.0.send(unit);
        }
    }

    fn hint(&self, _: Shard) {}
}
