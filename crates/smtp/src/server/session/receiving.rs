//! Content on its way in: decoded in place, handed out in pieces, or discarded to its end.

use bytes::{Buf as _, BytesMut};

use super::{Phase, Question, Session, Transaction};
use crate::reply::Reply;
use crate::server::content::Decoder;
use crate::server::{Config, Event};

/// Content is gathered up to so many octets before it is handed out, so that a client that sends
/// octet by octet does not cost an allocation for each.
pub(super) const PIECE: usize = 16 * 1024;

/// Up to so many octets are rather copied than kept in a large buffer.
const SMALL: usize = 2 * 1024;

/// The state of the content that comes in.
#[derive(Debug)]
pub(super) struct Receiving {
    decoder: Decoder,
    /// So many octets at the front of the input are decoded and wait to be handed out.
    decoded: usize,
    /// The content is given up, and this is the answer after its end.
    rejection: Option<Reply>,
}

impl Receiving {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            decoder: Decoder::new(config.max_message_size, config.max_text_line),
            decoded: 0,
            rejection: None,
        }
    }

    /// Gives the content up. The first reason is the one that is told.
    pub(super) fn reject(&mut self, reply: Reply) {
        self.rejection.get_or_insert(reply);
    }
}

impl Session {
    /// Decodes what there is; false if there was nothing new.
    pub(super) fn step_content(&mut self) -> bool {
        let Phase::Content(receiving) = &mut self.phase else {
            return false;
        };
        let start = receiving.decoded;
        let Some(raw) = self.input.get_mut(start..).filter(|raw| !raw.is_empty()) else {
            return false;
        };
        let decoded = receiving.decoder.decode(raw);
        receiving.decoded += decoded.content;
        if let Some(violation) = receiving.decoder.violation()
            && receiving.rejection.is_none()
        {
            receiving.reject(violation.reply());
            self.events.push_back(Event::ContentRejected);
        }
        if receiving.rejection.is_some() {
            receiving.decoded = 0;
        }
        let piece_ends = receiving.decoded;
        if decoded.ended {
            let behind = start + decoded.consumed;
            self.hand_out(piece_ends, behind);
            self.end_content();
        } else {
            self.input.truncate(piece_ends);
            if piece_ends >= PIECE {
                self.hand_out(piece_ends, piece_ends);
            }
        }
        true
    }

    /// Hands out the first `length` octets of the input, and drops the rest of the first `behind`.
    fn hand_out(&mut self, length: usize, behind: usize) {
        if let Phase::Content(receiving) = &mut self.phase {
            receiving.decoded = 0;
        }
        if length > 0 {
            let piece = self.input.split_to(length).freeze();
            self.events.push_back(Event::Content(piece));
        }
        self.input.advance(behind - length);
    }

    /// What is left of the input shares its buffer with the content. If it is little, it moves
    /// into one of its own, lest a few octets keep the whole content in memory.
    fn detach_input(&mut self) {
        if self.input.len() < SMALL {
            self.input = BytesMut::from(self.input.as_ref());
        }
    }

    /// The final dot came.
    fn end_content(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Command);
        let transaction = std::mem::replace(&mut self.transaction, Transaction::None);
        let (Phase::Content(receiving), Transaction::Open(envelope)) = (phase, transaction) else {
            return;
        };
        self.detach_input();
        let replies = self.replies_to_content(&envelope);
        match receiving.rejection {
            Some(rejection) => self.answer_content(&vec![rejection; replies]),
            None => self.ask(
                Question::ContentEnd { replies },
                Event::ContentEnd(envelope),
            ),
        }
    }
}
