//! The relay's side of one stream.

use std::sync::Arc;
use std::time::Duration;

use queue::{IncarnationId, Shard};
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService as _;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info, warn};

use super::load::Load;
use super::pool::PoolAccount;
use super::relay::Relay;
use super::wire::{load_of, units_from};
use crate::proto::relay as proto;
use crate::proto::relay::hand_off_server::{HandOff, HandOffServer};
use crate::proto::relay::relay_frame::Frame;
use crate::server::GrpcService;

/// Largest frame of a producer, in octets: it closes one at 64 KiB and 3 MiB of a last message.
const MAX_FRAME: usize = 4 << 20;
/// Most streams at a time.
const MAX_PRODUCERS: usize = 1_024;
/// Frames that a producer may leave unread, and for how long.
const UNREAD_FRAMES: usize = 16;
const UNREAD_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn service(relay: Arc<Relay>) -> GrpcService {
    GrpcService::new(HandOffServer::<()>::NAME, move |routes, context| {
        let server = HandOffServer::new(Adapter {
            relay,
            draining: context.draining.clone(),
            places: Arc::new(Semaphore::new(MAX_PRODUCERS)),
        });
        routes.add_service(InterceptedService::new(
            server.max_decoding_message_size(MAX_FRAME),
            context.access.clone(),
        ));
    })
}

struct Adapter {
    relay: Arc<Relay>,
    draining: CancellationToken,
    places: Arc<Semaphore>,
}

#[tonic::async_trait]
impl HandOff for Adapter {
    type JoinStream = ReceiverStream<Result<proto::RelayFrame, Status>>;

    async fn join(
        &self,
        request: Request<Streaming<proto::ProducerFrame>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let mut incarnation = self.relay.incarnation.subscribe();
        let holder = (*incarnation.borrow_and_update())
            .ok_or_else(|| Status::unavailable("this relay takes no mail now"))?;
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("too many producers"))?;
        let (output, frames) = mpsc::channel(UNREAD_FRAMES);
        let session = Session {
            relay: Arc::clone(&self.relay),
            account: self.relay.pool.open(),
            holder,
            output,
            _place: place,
        };
        let peer = request.remote_addr();
        let draining = self.draining.clone();
        tokio::spawn(async move {
            info!(?peer, %holder, "producer joined");
            let end = session
                .run(request.into_inner(), incarnation, draining)
                .await;
            info!(?peer, %holder, reason = %end.message(), "producer left");
            // Its reader may be gone.
            let _ = session.output.try_send(Err(end));
        });
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}

struct Session {
    relay: Arc<Relay>,
    account: PoolAccount,
    holder: IncarnationId,
    output: Sender<Result<proto::RelayFrame, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Session {
    /// Takes mail in until one of both sides ends it, and tells why.
    async fn run(
        &self,
        input: Streaming<proto::ProducerFrame>,
        incarnation: watch::Receiver<Option<IncarnationId>>,
        draining: CancellationToken,
    ) -> Status {
        match self.exchange(input, incarnation, draining).await {
            Ok(()) => Status::unavailable("the stream has ended"),
            Err(status) => status,
        }
    }

    async fn exchange(
        &self,
        mut input: Streaming<proto::ProducerFrame>,
        mut incarnation: watch::Receiver<Option<IncarnationId>>,
        draining: CancellationToken,
    ) -> Result<(), Status> {
        let mut suspensions = self.relay.suspensions.subscribe();
        self.tell(Frame::Hello(proto::Hello {
            incarnation: self.holder.0,
        }))
        .await?;
        loop {
            self.tell_credit().await?;
            tokio::select! {
                frame = input.message() => match frame? {
                    Some(frame) => self.receive(frame)?,
                    None => return Ok(()),
                },
                () = self.account.room() => {}
                change = suspensions.next() => self.tell(Frame::Suspensions(change)).await?,
                () = self.output.closed() => return Ok(()),
                _ = incarnation.changed() => {
                    return Err(Status::unavailable("this incarnation has ended"));
                }
                () = draining.cancelled() => {
                    return Err(Status::unavailable("this relay shuts down"));
                }
            }
        }
    }

    fn receive(&self, frame: proto::ProducerFrame) -> Result<(), Status> {
        let mut units = Vec::with_capacity(frame.messages.len());
        for message in frame.messages {
            let hold = self
                .account
                .receive(load_of(&message))
                .map_err(|overdrawn| Status::resource_exhausted(overdrawn.to_string()))?;
            match units_from(message, self.holder) {
                Ok(received) => units.extend(Relay::handed_off(received, hold)),
                Err(problem) => {
                    warn!(%problem, "a handed-off message makes no sense, the sweep will find it");
                    self.relay.note_malformed();
                }
            }
        }
        self.relay.pass_on(units);
        for number in frame.ready_shards {
            match u8::try_from(number).ok().and_then(Shard::new) {
                Some(shard) => self.relay.hint(shard),
                None => debug!(number, "a hint for a shard that is not there"),
            }
        }
        Ok(())
    }

    async fn tell_credit(&self) -> Result<(), Status> {
        let Load { units, bytes } = self.account.grant();
        if units == 0 && bytes == 0 {
            return Ok(());
        }
        self.tell(Frame::Credit(proto::Credit {
            units,
            content_bytes: bytes,
        }))
        .await
    }

    async fn tell(&self, frame: Frame) -> Result<(), Status> {
        let frame = proto::RelayFrame { frame: Some(frame) };
        match timeout(UNREAD_TIMEOUT, self.output.send(Ok(frame))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::cancelled("the producer has left")),
            Err(_) => Err(Status::deadline_exceeded("the producer does not read")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::stream;
    use tonic::Code;

    use super::super::load::Load;
    use super::super::relay::{HandOffSink, HandedOff, RelayHandOff};
    use super::*;
    use crate::proto::relay::hand_off_client::HandOffClient;
    use crate::server::{GrpcServer, GrpcServerConfig};

    struct Nobody;

    impl HandOffSink for Nobody {
        fn receive(&self, _units: Vec<HandedOff>) {}

        fn hint(&self, _shard: Shard) {}
    }

    /// Sends one message of so many units right away, and tells how the stream ends.
    async fn send_units(relay: &RelayHandOff, units: usize) -> Code {
        let config = GrpcServerConfig::plain("127.0.0.1:0".parse().unwrap());
        let server = GrpcServer::bind(&config)
            .await
            .unwrap()
            .with(relay.service());
        let address = format!("http://{}", server.local_addr());
        tokio::spawn(server.serve(CancellationToken::new()));
        let frame = proto::ProducerFrame {
            messages: vec![proto::Message {
                units: vec![proto::Unit::default(); units],
                ..proto::Message::default()
            }],
            ready_shards: vec![3, 4_000_000_000],
        };
        let mut client = HandOffClient::connect(address).await.unwrap();
        let answer = client.join(stream::iter([frame])).await.unwrap();
        let mut frames = answer.into_inner();
        loop {
            match frames.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    }

    #[tokio::test]
    async fn a_producer_that_overdraws_its_credit_is_cut_off() {
        let relay = RelayHandOff::new(Load::ZERO, Nobody);
        relay.open(IncarnationId(1));
        assert_eq!(send_units(&relay, 1_000).await, Code::ResourceExhausted);
    }

    #[tokio::test]
    async fn a_message_that_makes_no_sense_costs_neither_stream_nor_room() {
        let relay = RelayHandOff::new(Load::ZERO, Nobody);
        relay.open(IncarnationId(1));
        assert_eq!(send_units(&relay, 1).await, Code::Unavailable);
        let statistics = relay.statistics();
        assert_eq!(statistics.malformed, 1);
        assert_eq!(statistics.units_held, 0);
    }
}
