//! How long a session has been waiting for its client.

use std::time::{Duration, Instant};

use super::Timeouts;

/// A deadline that stands for "none": while the service itself has to act, the client is not late.
const NONE: Duration = Duration::from_hours(24);

/// What the session is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaiting {
    /// A command, or a line of an AUTH exchange.
    Command,
    /// A block of content.
    Content,
    /// The TLS handshake.
    Handshake,
    /// Our own service.
    Nothing,
}

/// Remembers since when the session waits.
#[derive(Debug)]
pub(super) struct Clock {
    /// The last progress.
    since: Instant,
    /// When the content began.
    content_since: Instant,
    /// An answer was given at an unknown time after `since`.
    answered: bool,
}

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            content_since: now,
            answered: false,
        }
    }

    /// Input came. Only a whole line counts as progress in commands, lest one octet every few
    /// minutes hold a connection for good; and the first input after an answer, since the time
    /// that it took was ours.
    pub(super) fn input(&mut self, awaiting: Awaiting, has_line_end: bool, now: Instant) {
        if awaiting == Awaiting::Content || has_line_end || self.answered {
            self.since = now;
        }
        self.answered = false;
    }

    /// A question was answered.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    /// Content begins. The time of day is that of the last input, which was DATA.
    pub(super) fn content_begins(&mut self) {
        self.content_since = self.since;
    }

    /// Starts anew.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// When the client is late.
    pub(super) fn deadline(&self, awaiting: Awaiting, timeouts: &Timeouts) -> Instant {
        match awaiting {
            Awaiting::Command => self.since + timeouts.command,
            Awaiting::Handshake => self.since + timeouts.handshake,
            Awaiting::Content => {
                (self.since + timeouts.data_block).min(self.content_since + timeouts.content)
            }
            Awaiting::Nothing => self.since + NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_trickle_of_octets_does_not_move_the_deadline_of_a_command() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        let timeouts = Timeouts::default();
        clock.input(Awaiting::Command, false, start + SECOND);
        assert_eq!(
            clock.deadline(Awaiting::Command, &timeouts),
            start + timeouts.command
        );
        clock.input(Awaiting::Command, true, start + SECOND);
        assert_eq!(
            clock.deadline(Awaiting::Command, &timeouts),
            start + SECOND + timeouts.command
        );
    }

    #[test]
    fn the_time_of_an_answer_is_not_the_clients() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        clock.answered();
        clock.input(Awaiting::Command, false, start + SECOND);
        clock.input(Awaiting::Command, false, start + SECOND * 2);
        let timeouts = Timeouts::default();
        assert_eq!(
            clock.deadline(Awaiting::Command, &timeouts),
            start + SECOND + timeouts.command
        );
    }

    #[test]
    fn content_has_a_deadline_per_block_and_one_in_whole() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        let timeouts = Timeouts::default();
        clock.content_begins();
        clock.input(Awaiting::Content, false, start + SECOND);
        assert_eq!(
            clock.deadline(Awaiting::Content, &timeouts),
            start + SECOND + timeouts.data_block
        );
        clock.input(Awaiting::Content, false, start + timeouts.content);
        assert_eq!(
            clock.deadline(Awaiting::Content, &timeouts),
            start + timeouts.content
        );
    }
}
