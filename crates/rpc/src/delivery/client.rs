//! Handing messages to the delivery service.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use queue::Content;
use tonic::Request;

use super::wire::{header_of, outcomes_from};
use super::{DeliverRequest, Outcomes};
use crate::channel::{Balanced, Call, ChannelConfig, ChannelError};
use crate::error::RpcError;
use crate::proto::delivery as proto;
use crate::proto::delivery::delivery_client::DeliveryClient as Generated;

const SERVICE: &str = "delivery";
/// Content that goes into one request, in octets.
const CHUNK: usize = 256 * 1_024;

/// The delivery service, all of its instances in turn. Clones share the channel.
#[derive(Clone)]
pub struct DeliveryClient {
    channel: Balanced,
}

impl DeliveryClient {
    /// A client that connects when it is first used. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ChannelError`], all of it configuration.
    pub fn new(config: &ChannelConfig) -> Result<Self, ChannelError> {
        Ok(Self {
            channel: Balanced::new(SERVICE, config)?,
        })
    }

    /// Delivers one message and tells what became of each recipient, in the order of the request.
    /// May be repeated at will: see [`DeliverRequest::queue_id`].
    ///
    /// # Errors
    /// [`RpcError`]: no outcome is known.
    pub fn deliver<'a>(&'a self, request: &'a DeliverRequest) -> Call<'a, Outcomes> {
        Box::pin(async move {
            let parts: Arc<[_]> = requests(request).into();
            let answer = self
                .channel
                .call(|wire| {
                    let parts = Arc::clone(&parts);
                    let parts = (0..parts.len()).map_while(move |index| parts.get(index).cloned());
                    async move {
                        Generated::new(wire)
                            .deliver(Request::new(stream::iter(parts)))
                            .await
                    }
                })
                .await?;
            outcomes_from(answer, request).map_err(|problem| RpcError::Malformed {
                service: SERVICE,
                problem,
            })
        })
    }
}

/// The header with the first octets, then the rest of them.
fn requests(request: &DeliverRequest) -> Vec<proto::DeliverRequest> {
    let mut header = Some(header_of(request));
    chunks(&request.content)
        .into_iter()
        .map(|content| proto::DeliverRequest {
            header: header.take(),
            content,
        })
        .collect()
}

/// Cuts the content into at least one piece, without copying what is large.
fn chunks(content: &Content) -> Vec<Bytes> {
    if content.len() <= CHUNK {
        return vec![content.to_bytes()];
    }
    let mut chunks = Vec::with_capacity(content.len() / CHUNK + 2);
    for mut part in content.parts() {
        while !part.is_empty() {
            chunks.push(part.split_to(part.len().min(CHUNK)));
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_bounded_and_join_to_the_content() {
        for (prefix, received) in [
            (0, 0),
            (3, 100),
            (10, CHUNK),
            (CHUNK + 1, 5),
            (9, 3 * CHUNK + 1),
        ] {
            let content = Content::new(vec![b'p'; prefix], vec![b'r'; received]);
            let chunks = chunks(&content);
            assert!(!chunks.is_empty());
            assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK));
            assert_eq!(chunks.concat(), content.to_bytes());
        }
    }
}
