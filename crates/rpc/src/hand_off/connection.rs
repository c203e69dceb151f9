//! A producer's side of one stream: kept up for as long as the relay's address is there.

use std::sync::Arc;
use std::time::Duration;

use queue::IncarnationId;
use rand::RngExt;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tracing::{debug, info, warn};

use super::link::{Link, LinkGuard, Links};
use super::load::Load;
use super::outbox::outbox;
use crate::channel::{Address, CallMetadata, ChannelError, Connector};
use crate::proto::relay as proto;
use crate::proto::relay::hand_off_client::HandOffClient;
use crate::proto::relay::relay_frame::Frame;

/// How long connecting, and the relay's first frame, may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest frame of a relay, in octets: a thousand suspended destinations.
const MAX_FRAME: usize = 1 << 20;
/// Pause before joining again; doubles with each failure in a row, jittered by half.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A stream that lasted as long was no failure.
const STEADY: Duration = Duration::from_secs(10);

/// Keeps a stream to one address until it is dropped.
pub(super) struct Connection {
    _task: DropGuard,
}

impl Connection {
    pub(super) fn start(connector: Connector, address: &Address, links: Arc<Links>) -> Self {
        let cancelled = CancellationToken::new();
        let task = Keeper {
            connector,
            address: address.clone(),
            links,
        };
        tokio::spawn(cancelled.clone().run_until_cancelled_owned(task.run()));
        Self {
            _task: cancelled.drop_guard(),
        }
    }
}

/// Why there is no stream.
#[derive(Debug, Error)]
enum JoinError {
    #[error(transparent)]
    Config(#[from] ChannelError),
    #[error("cannot connect: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("{}", .0.message())]
    Status(#[from] Status),
    #[error("no answer within {JOIN_TIMEOUT:?}")]
    Silent,
    #[error("the first frame is not the relay's name")]
    Unnamed,
    #[error("the relay ended the stream")]
    Ended,
}

struct Keeper {
    connector: Connector,
    address: Address,
    links: Arc<Links>,
}

impl Keeper {
    async fn run(self) {
        let mut failures: u32 = 0;
        loop {
            let began = Instant::now();
            let error = match self.join().await {
                Ok((link, frames)) => self.listen(link, frames).await,
                Err(error) => error,
            };
            if began.elapsed() >= STEADY {
                failures = 0;
            }
            let relay = self.address.socket();
            // Once per outage, not once per try.
            if failures == 0 {
                warn!(%relay, %error, "no hand-off to this relay");
            } else {
                debug!(%relay, %error, failures, "still no hand-off to this relay");
            }
            sleep(pause_after(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Connects and waits for the relay's name.
    async fn join(&self) -> Result<(LinkGuard, Streaming<proto::RelayFrame>), JoinError> {
        timeout(JOIN_TIMEOUT, async {
            let channel = self.connector.endpoint(&self.address)?.connect().await?;
            let (outbox, frames_out) = outbox();
            let request = Request::new(frames_out);
            let mut frames = self.client(channel).join(request).await?.into_inner();
            let holder = match frames.message().await?.and_then(|first| first.frame) {
                Some(Frame::Hello(hello)) => IncarnationId(hello.incarnation),
                _ => return Err(JoinError::Unnamed),
            };
            Ok((self.links.add(Link::new(holder, outbox)), frames))
        })
        .await
        .unwrap_or(Err(JoinError::Silent))
    }

    fn client(&self, channel: Channel) -> HandOffClient<InterceptedService<Channel, CallMetadata>> {
        let metadata = CallMetadata::endless(self.connector.token().cloned());
        HandOffClient::new(InterceptedService::new(channel, metadata))
            .max_decoding_message_size(MAX_FRAME)
    }

    /// Takes what the relay tells until the stream ends, and tells why it did. The link is gone
    /// by then, and its credits with it.
    async fn listen(&self, link: LinkGuard, mut frames: Streaming<proto::RelayFrame>) -> JoinError {
        info!(relay = %self.address.socket(), incarnation = %link.holder(), "handing off to this relay");
        loop {
            match frames.message().await {
                Ok(Some(frame)) => match frame.frame {
                    Some(Frame::Credit(credit)) => {
                        link.add_credit(Load::new(credit.units, credit.content_bytes));
                    }
                    Some(Frame::Suspensions(change)) => link.suspensions().apply(change),
                    Some(Frame::Hello(_)) => return JoinError::Unnamed,
                    // What a newer relay tells is not for us.
                    None => {}
                },
                Ok(None) => return JoinError::Ended,
                Err(status) => return status.into(),
            }
        }
    }
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE)
        .mul_f64(rand::rng().random_range(0.5..1.0))
}
