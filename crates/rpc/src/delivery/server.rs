//! Answering for the delivery service.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use queue::Content;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tonic::server::NamedService as _;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};

use super::wire::{request_from, response_of};
use super::{DeliverRequest, Outcomes};
use crate::proto::delivery as proto;
use crate::proto::delivery::delivery_server::{Delivery, DeliveryServer};
use crate::server::{GrpcService, ServiceFailure};

/// Largest request: a chunk of 256 KiB, or a header with some ten thousand recipients.
const MAX_REQUEST: usize = 4 << 20;
/// How long a delivery waits for memory.
const MEMORY_WAIT: Duration = Duration::from_secs(5);
/// What the memory budget is counted in, in octets.
const GRAIN: usize = 1_024;

/// Bounds on what the server takes in.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryLimits {
    /// Largest content, in octets.
    pub max_content: usize,
    /// Content of all deliveries under way, in octets. At least `max_content`.
    pub content_under_way: usize,
}

impl Default for DeliveryLimits {
    /// 128 MiB a message, 256 MiB together.
    fn default() -> Self {
        Self {
            max_content: 128 << 20,
            content_under_way: 256 << 20,
        }
    }
}

/// The work of the delivery service.
pub trait DeliveryService: Send + Sync + 'static {
    /// Delivers to every recipient and tells what became of each, in the order of the request.
    /// Must be idempotent. The future is dropped when the caller gives up.
    fn deliver(
        &self,
        request: DeliverRequest,
    ) -> impl Future<Output = Result<Outcomes, ServiceFailure>> + Send;
}

/// Serves deliveries: for [`crate::GrpcServer::with`].
pub fn delivery_server(service: impl DeliveryService, limits: DeliveryLimits) -> GrpcService {
    let total = limits.content_under_way.max(limits.max_content);
    let adapter = Adapter {
        service,
        max_content: limits.max_content,
        memory: Arc::new(Semaphore::new(grains(total).min(u32::MAX as usize))),
    };
    let server = DeliveryServer::new(adapter).max_decoding_message_size(MAX_REQUEST);
    GrpcService::new(DeliveryServer::<()>::NAME, move |routes, context| {
        routes.add_service(InterceptedService::new(server, context.access.clone()));
    })
}

fn grains(octets: usize) -> usize {
    octets / GRAIN + 1
}

/// Between generated messages and domain types.
struct Adapter<S> {
    service: S,
    max_content: usize,
    memory: Arc<Semaphore>,
}

#[tonic::async_trait]
impl<S: DeliveryService> Delivery for Adapter<S> {
    async fn deliver(
        &self,
        request: Request<Streaming<proto::DeliverRequest>>,
    ) -> Result<Response<proto::DeliverResponse>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?;
        let (header, start) = first
            .and_then(|first| Some((first.header?, first.content)))
            .ok_or_else(|| Status::invalid_argument("the header is missing"))?;
        let size = usize::try_from(header.size)
            .ok()
            .filter(|size| *size <= self.max_content)
            .ok_or_else(|| Status::out_of_range("the content is too large"))?;
        let _memory = self.reserve(size).await?;
        let content = if start.len() == size {
            expect_end(&mut requests).await?;
            Content::from(start)
        } else {
            Content::from(collect(&start, &mut requests, size).await?)
        };
        let outcomes = self.service.deliver(request_from(header, content)?).await?;
        Ok(Response::new(response_of(outcomes)))
    }
}

impl<S> Adapter<S> {
    async fn reserve(&self, size: usize) -> Result<SemaphorePermit<'_>, Status> {
        let grains = u32::try_from(grains(size)).unwrap_or(u32::MAX);
        match timeout(MEMORY_WAIT, self.memory.acquire_many(grains)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Status::resource_exhausted("too much content is under way")),
        }
    }
}

/// Joins the pieces; there must be exactly `size` octets.
async fn collect(
    start: &[u8],
    requests: &mut Streaming<proto::DeliverRequest>,
    size: usize,
) -> Result<bytes::Bytes, Status> {
    let mut content = BytesMut::with_capacity(size);
    content.extend_from_slice(start);
    while content.len() < size {
        let Some(next) = requests.message().await? else {
            return Err(wrong_size());
        };
        if next.content.len() > size - content.len() {
            return Err(wrong_size());
        }
        content.extend_from_slice(&next.content);
    }
    expect_end(requests).await?;
    Ok(content.freeze())
}

async fn expect_end(requests: &mut Streaming<proto::DeliverRequest>) -> Result<(), Status> {
    match requests.message().await? {
        None => Ok(()),
        Some(_) => Err(wrong_size()),
    }
}

fn wrong_size() -> Status {
    Status::invalid_argument("the content has another size than the header says")
}
