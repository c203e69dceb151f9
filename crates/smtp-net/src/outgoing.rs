//! Slices that wait to be written together.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Octets that make a block: enough that system calls don't matter, few enough for its deadline.
const BLOCK: usize = 64 * 1024;
/// Slices that go into one write.
const SLICES: usize = 64;

/// A queue of slices, written without being put together.
#[derive(Default)]
pub(crate) struct Outgoing {
    slices: VecDeque<Bytes>,
    octets: usize,
}

impl Outgoing {
    pub(crate) fn push(&mut self, slice: Bytes) {
        if !slice.is_empty() {
            self.octets += slice.len();
            self.slices.push_back(slice);
        }
    }

    /// Takes as much of a slice as makes a block full, and leaves the rest.
    pub(crate) fn take_from(&mut self, slice: &mut Bytes) {
        let room = BLOCK.saturating_sub(self.octets);
        self.push(slice.split_to(room.min(slice.len())));
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.octets >= BLOCK || self.slices.len() >= SLICES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Hands the first slices to a write.
    pub(crate) fn with_slices<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (place, slice) in slices.iter_mut().zip(&self.slices) {
            *place = IoSlice::new(slice);
            used += 1;
        }
        write(slices.get(..used).unwrap_or_default())
    }

    /// The first octets have been written.
    pub(crate) fn advance(&mut self, mut written: usize) {
        self.octets = self.octets.saturating_sub(written);
        while let Some(first) = self.slices.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.slices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_slice_is_taken_block_by_block() {
        let mut slice = Bytes::from(vec![b'x'; 2 * BLOCK + 10]);
        let mut blocks = Vec::new();
        while !slice.is_empty() {
            let mut outgoing = Outgoing::default();
            outgoing.take_from(&mut slice);
            blocks.push((outgoing.octets, outgoing.is_full()));
        }
        assert_eq!(blocks, [(BLOCK, true), (BLOCK, true), (10, false)]);
    }

    #[test]
    fn what_is_written_leaves_in_order_across_slices() {
        let mut outgoing = Outgoing::default();
        for text in ["hello", "", " ", "world"] {
            outgoing.push(Bytes::from_static(text.as_bytes()));
        }
        let mut written = Vec::new();
        while !outgoing.is_empty() {
            let first = outgoing.with_slices(|slices| {
                let joined = slices.iter().flat_map(|slice| slice.iter().copied());
                joined.take(4).collect::<Vec<_>>()
            });
            outgoing.advance(first.len());
            written.extend(first);
        }
        assert_eq!(written, b"hello world");
        assert_eq!(outgoing.octets, 0);
    }
}
