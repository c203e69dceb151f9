//! Content on its way in, held under the budget.

use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::budget::{Budget, OverBudget, Reservation, Share};

/// A buffer doubles until it has this many octets, and then grows by as many.
const LARGEST_STEP: usize = 1024 * 1024;

/// The content of one message, dot-unstuffed, with the memory that it is accounted for.
#[derive(Debug)]
pub struct Content {
    bytes: Bytes,
    reservation: Reservation,
}

impl Content {
    /// The octets.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The octets, and the reservation to hold for as long as they are in memory.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Reservation) {
        (self.bytes, self.reservation)
    }

    /// The octets, which give their reservation back when the last clone or slice is dropped.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.reservation.attach(self.bytes)
    }
}

/// Gathers the content of one message after the other.
pub(crate) struct Collector {
    budget: Budget,
    client: IpAddr,
    /// Looked up with the first content: an idle connection has no use for it.
    share: Option<Arc<Share>>,
    gathered: Gathered,
}

enum Gathered {
    Nothing,
    /// A small message comes in one piece, which is passed on as it is.
    Piece(Bytes, Reservation),
    /// Larger ones are put together; the reservation covers the capacity.
    Buffer(Vec<u8>, Reservation),
}

impl Collector {
    pub(crate) fn new(budget: Budget, client: IpAddr) -> Self {
        Self {
            budget,
            client,
            share: None,
            gathered: Gathered::Nothing,
        }
    }

    /// Adds a piece. When the memory cannot be had, all that was gathered is dropped.
    pub(crate) async fn push(&mut self, piece: Bytes) -> Result<(), OverBudget> {
        self.gathered = match mem::replace(&mut self.gathered, Gathered::Nothing) {
            Gathered::Nothing => {
                let mut reservation = self.nothing_reserved();
                reservation.grow(piece.len()).await?;
                Gathered::Piece(piece, reservation)
            }
            Gathered::Piece(first, mut reservation) => {
                let capacity = roomier(first.len(), piece.len());
                reservation.grow(capacity - first.len()).await?;
                let mut buffer = Vec::with_capacity(capacity);
                buffer.extend_from_slice(&first);
                buffer.extend_from_slice(&piece);
                Gathered::Buffer(buffer, reservation)
            }
            Gathered::Buffer(mut buffer, mut reservation) => {
                if buffer.capacity() - buffer.len() < piece.len() {
                    let capacity = roomier(buffer.len(), piece.len());
                    reservation.grow(capacity - buffer.capacity()).await?;
                    buffer.reserve_exact(capacity - buffer.len());
                }
                buffer.extend_from_slice(&piece);
                Gathered::Buffer(buffer, reservation)
            }
        };
        Ok(())
    }

    /// The whole content; the collector is ready for the next.
    pub(crate) fn finish(&mut self) -> Content {
        let (bytes, reservation) = match mem::replace(&mut self.gathered, Gathered::Nothing) {
            Gathered::Nothing => (Bytes::new(), self.nothing_reserved()),
            Gathered::Piece(piece, reservation) => (piece, reservation),
            Gathered::Buffer(buffer, reservation) => (Bytes::from(buffer), reservation),
        };
        Content { bytes, reservation }
    }

    /// Drops what was gathered.
    pub(crate) fn discard(&mut self) {
        self.gathered = Gathered::Nothing;
    }

    fn nothing_reserved(&mut self) -> Reservation {
        let share = self
            .share
            .get_or_insert_with(|| self.budget.share(self.client));
        Reservation::none_of(share)
    }
}

/// The capacity for `used` octets and `more`, with room to grow so that copying stays cheap.
fn roomier(used: usize, more: usize) -> usize {
    (used + more).max(used + used.min(LARGEST_STEP))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn collector(octets: usize) -> (Budget, Collector) {
        let budget = Budget::new(octets, octets).with_growth_wait(Duration::from_millis(1));
        let collector = Collector::new(budget.clone(), Ipv4Addr::LOCALHOST.into());
        (budget, collector)
    }

    #[tokio::test]
    async fn a_message_in_one_piece_is_not_copied() {
        let (budget, mut collector) = collector(100);
        let piece = Bytes::from_static(b"Subject: hello\r\n\r\nhello\r\n");
        collector.push(piece.clone()).await.unwrap();
        let content = collector.finish();
        assert_eq!(content.bytes().as_ptr(), piece.as_ptr());
        assert_eq!(budget.available(), 100 - piece.len());
    }

    #[tokio::test]
    async fn pieces_are_put_together_in_order() {
        let (budget, mut collector) = collector(1 << 20);
        let mut expected = Vec::new();
        for number in 0..1000_u32 {
            let piece = format!("line {number}\r\n");
            expected.extend_from_slice(piece.as_bytes());
            collector.push(Bytes::from(piece)).await.unwrap();
        }
        let bytes = collector.finish().into_bytes();
        assert_eq!(&bytes[..], &expected[..]);
        assert!(budget.total() - budget.available() >= expected.len());
        drop(bytes);
        assert_eq!(budget.available(), budget.total());
    }

    #[tokio::test]
    async fn the_reservation_covers_the_capacity() {
        let (budget, mut collector) = collector(1 << 20);
        for _ in 0..100 {
            collector
                .push(Bytes::from_static(&[b'x'; 700]))
                .await
                .unwrap();
            let Gathered::Buffer(buffer, reservation) = &collector.gathered else {
                continue;
            };
            assert_eq!(buffer.capacity(), reservation.octets());
        }
        collector.discard();
        assert_eq!(budget.available(), budget.total());
    }

    #[tokio::test]
    async fn what_does_not_fit_gives_all_of_it_back() {
        let (budget, mut collector) = collector(100);
        collector
            .push(Bytes::from_static(&[b'x'; 60]))
            .await
            .unwrap();
        let refused = collector.push(Bytes::from_static(&[b'x'; 60])).await;
        assert_eq!(refused, Err(OverBudget::Client));
        assert_eq!(budget.available(), 100);
        assert!(collector.finish().bytes().is_empty());
    }

    #[tokio::test]
    async fn content_may_be_empty() {
        let (_, mut collector) = collector(100);
        assert!(collector.finish().bytes().is_empty());
    }
}
