//! What a producer is about to send on one stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use prost::Message as _;
use queue::Shard;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::proto::relay as proto;

/// Most messages that wait to be sent: a relay that does not read them in time gets them from
/// Postgres.
const MAX_MESSAGES: usize = 4_096;
/// Most octets of them.
const MAX_OCTETS: usize = 8 << 20;
/// Largest message with its envelope, in octets: more recipients than anybody takes.
const MAX_MESSAGE: usize = 3 << 20;
/// A frame is closed when it has that many octets: large enough to save calls, and small enough
/// for the first message not to wait long for the last one.
const FRAME: usize = 64 * 1_024;

/// The sending end: never waits.
pub(super) struct Outbox {
    messages: Sender<Queued>,
    shared: Arc<Shared>,
}

/// The stream's end.
pub(super) struct Frames {
    messages: Receiver<Queued>,
    /// Taken from the channel, not yet put into a frame.
    ready: VecDeque<Queued>,
    batch: Vec<Queued>,
    shared: Arc<Shared>,
}

struct Queued {
    message: proto::Message,
    size: usize,
}

#[derive(Default)]
struct Shared {
    /// Octets that wait.
    octets: AtomicUsize,
    hints: Hints,
}

/// The outbox and the frames that come out of it, which end with the outbox.
pub(super) fn outbox() -> (Outbox, Frames) {
    let (sender, receiver) = mpsc::channel(MAX_MESSAGES);
    let shared = Arc::new(Shared::default());
    let outbox = Outbox {
        messages: sender,
        shared: Arc::clone(&shared),
    };
    let frames = Frames {
        messages: receiver,
        ready: VecDeque::new(),
        batch: Vec::new(),
        shared,
    };
    (outbox, frames)
}

impl Outbox {
    /// Queues a message; false if there is no room for it, or nobody to send it.
    pub(super) fn push(&self, message: proto::Message) -> bool {
        let size = message.encoded_len();
        if size > MAX_MESSAGE {
            return false;
        }
        let waiting = self.shared.octets.fetch_add(size, Ordering::Relaxed);
        let is_queued = waiting + size <= MAX_OCTETS
            && self.messages.try_send(Queued { message, size }).is_ok();
        if !is_queued {
            self.shared.octets.fetch_sub(size, Ordering::Relaxed);
        }
        is_queued
    }

    /// Queues a hint. Hints for the same shard are one.
    pub(super) fn hint(&self, shard: Shard) {
        self.shared.hints.add(shard);
    }
}

impl Frames {
    /// One frame of all that waits, up to its limit.
    fn next_frame(&mut self) -> Option<proto::ProducerFrame> {
        let mut frame = proto::ProducerFrame {
            messages: Vec::new(),
            ready_shards: self.shared.hints.take(),
        };
        let mut octets = 0;
        while octets < FRAME {
            let Some(Queued { message, size }) = self.ready.pop_front() else {
                break;
            };
            self.shared.octets.fetch_sub(size, Ordering::Relaxed);
            octets += size;
            frame.messages.push(message);
        }
        (!frame.messages.is_empty() || !frame.ready_shards.is_empty()).then_some(frame)
    }
}

impl Stream for Frames {
    type Item = proto::ProducerFrame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        /// Messages that are taken from the channel at once.
        const BATCH: usize = 64;
        let this = &mut *self;
        this.shared.hints.waker.register(cx.waker());
        let mut is_closed = false;
        if this.ready.is_empty() {
            match this.messages.poll_recv_many(cx, &mut this.batch, BATCH) {
                Poll::Ready(0) => is_closed = true,
                Poll::Ready(_) => this.ready.extend(this.batch.drain(..)),
                Poll::Pending => {}
            }
        }
        match this.next_frame() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if is_closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// The shards that a hint is due for.
#[derive(Default)]
struct Hints {
    bits: [std::sync::atomic::AtomicU64; 4],
    waker: AtomicWaker,
}

impl Hints {
    fn add(&self, shard: Shard) {
        let number = usize::from(shard.number());
        if let Some(word) = self.bits.get(number / 64) {
            word.fetch_or(1 << (number % 64), Ordering::AcqRel);
            self.waker.wake();
        }
    }

    fn take(&self) -> Vec<u32> {
        let mut shards = Vec::new();
        for (index, word) in (0..).zip(&self.bits) {
            let mut bits = word.swap(0, Ordering::AcqRel);
            while bits != 0 {
                shards.push(index * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        shards
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    fn message(number: u8, size: usize) -> proto::Message {
        proto::Message {
            queue_id: vec![number],
            content: Some(proto::Content {
                parts: vec![Bytes::from(vec![b'x'; size])],
            }),
            ..proto::Message::default()
        }
    }

    fn shard(number: u8) -> Shard {
        Shard::new(number).unwrap()
    }

    #[tokio::test]
    async fn what_waits_goes_into_one_frame_in_order() {
        let (outbox, mut frames) = outbox();
        for number in 0..50 {
            assert!(outbox.push(message(number, 10)));
        }
        outbox.hint(shard(3));
        outbox.hint(shard(3));
        outbox.hint(shard(15));
        let frame = frames.next().await.unwrap();
        let order: Vec<u8> = frame.messages.iter().map(|m| m.queue_id[0]).collect();
        assert_eq!(order, (0..50).collect::<Vec<u8>>());
        assert_eq!(frame.ready_shards, [3, 15]);
        assert!(frames.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn large_messages_go_into_frames_of_their_own() {
        let (outbox, mut frames) = outbox();
        for number in 0..3 {
            assert!(outbox.push(message(number, 1 << 20)));
        }
        for _ in 0..3 {
            assert_eq!(frames.next().await.unwrap().messages.len(), 1);
        }
    }

    #[tokio::test]
    async fn a_full_outbox_takes_nothing_until_there_is_room() {
        let (outbox, mut frames) = outbox();
        let mut taken = 0;
        while outbox.push(message(0, 1 << 20)) {
            taken += 1;
        }
        assert_eq!(taken, MAX_OCTETS / (1 << 20) - 1);
        assert!(outbox.push(message(0, 10)));
        frames.next().await.unwrap();
        assert!(outbox.push(message(0, 1 << 20)));
        assert!(!outbox.push(message(0, MAX_MESSAGE)));
    }

    #[tokio::test]
    async fn the_frames_end_with_the_outbox_after_what_waits() {
        let (outbox, mut frames) = outbox();
        assert!(outbox.push(message(0, 1)));
        drop(outbox);
        assert!(frames.next().await.is_some());
        assert!(frames.next().await.is_none());
    }

    #[tokio::test]
    async fn a_hint_wakes_an_idle_stream() {
        let (outbox, mut frames) = outbox();
        let reader = tokio::spawn(async move { frames.next().await });
        tokio::task::yield_now().await;
        outbox.hint(shard(7));
        assert_eq!(reader.await.unwrap().unwrap().ready_shards, [7]);
    }
}
