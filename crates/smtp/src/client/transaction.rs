//! One transaction: which commands are out, and what the replies decide for each recipient.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::BytesMut;
use memchr::memchr;

use super::{Dialect, Ending, ProtocolError, RecipientResult, Stage, TransactionResult};
use crate::address::Mailbox;
use crate::envelope::Body;
use crate::extension::Extensions;
use crate::path::ReversePath;
use crate::reply::{Reply, ReplyCode};

/// The most commands sent before the first of their replies is read, so that neither side's
/// buffers fill up while both write (RFC 2920 §3.1).
const GROUP: usize = 100;

/// Subject of the statuses that are about the recipient's own mailbox (RFC 3463 §3.3).
const MAILBOX_STATUS: u16 = 2;

const FINAL_DOT: &[u8] = b".\r\n";

/// What to send, to whom. The content itself goes by another way.
#[derive(Clone, Copy, Debug)]
pub struct Transaction<'a> {
    /// Where failures are reported to.
    pub reverse_path: &'a ReversePath,
    /// Who gets the message.
    pub recipients: &'a [Mailbox],
    /// Whether the content has octets above 127.
    pub body: Body,
    /// The content's size in octets, as [`Encoder::size`](super::content::Encoder::size) tells.
    pub size: u64,
}

impl Transaction<'_> {
    /// All commands up to DATA, with the parameters that the server offers (RFC 1870 §6,
    /// RFC 6152 §3).
    fn commands(&self, reset: bool, extensions: &Extensions) -> BytesMut {
        let mut lines = BytesMut::with_capacity(128 + 64 * self.recipients.len());
        if reset {
            lines.extend_from_slice(b"RSET\r\n");
        }
        // Writing to a buffer that grows cannot fail.
        let _ = write!(lines, "MAIL FROM:{}", self.reverse_path);
        if extensions.size() {
            let _ = write!(lines, " SIZE={}", self.size);
        }
        if self.body == Body::EightBitMime && extensions.eight_bit_mime() {
            let _ = write!(lines, " BODY={}", self.body);
        }
        lines.extend_from_slice(b"\r\n");
        for mailbox in self.recipients {
            let _ = write!(lines, "RCPT TO:<{mailbox}>\r\n");
        }
        lines.extend_from_slice(b"DATA\r\n");
        lines
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
}

/// Where a recipient stands.
#[derive(Debug)]
enum Standing {
    /// No reply to its RCPT yet.
    Open,
    /// Its RCPT was accepted.
    Willing,
    Decided(RecipientResult),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Commands up to DATA.
    Commands,
    /// The driver writes content.
    Content,
    /// The final dot is out.
    FinalDot,
    /// A final dot without content is out, for nobody.
    LoneDot,
}

/// What a reply led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More replies are to come.
    Wait,
    /// The server waits for content.
    SendContent,
    /// Every recipient is decided, and the server is ready for the next transaction.
    Done,
}

/// The progress of one transaction. With PIPELINING, commands go out in groups of up to
/// [`GROUP`]; without, a group is one command. What to do next is decided between groups.
#[derive(Debug)]
pub(super) struct Progress {
    dialect: Dialect,
    group: usize,
    phase: Phase,
    /// Commands not yet sent, and their lines.
    unsent: VecDeque<Command>,
    lines: BytesMut,
    /// Commands sent and not yet answered.
    outstanding: VecDeque<Command>,
    recipients: Vec<Standing>,
}

impl Progress {
    /// Starts a transaction and writes its first group of commands.
    pub(super) fn begin(
        transaction: &Transaction<'_>,
        dialect: Dialect,
        extensions: &Extensions,
        reset: bool,
        output: &mut BytesMut,
    ) -> Self {
        let recipients = transaction.recipients.len();
        let mut progress = Self {
            dialect,
            group: if extensions.pipelining() { GROUP } else { 1 },
            phase: Phase::Commands,
            unsent: reset
                .then_some(Command::Reset)
                .into_iter()
                .chain([Command::Mail])
                .chain((0..recipients).map(Command::Rcpt))
                .chain([Command::Data])
                .collect(),
            lines: transaction.commands(reset, extensions),
            outstanding: VecDeque::new(),
            recipients: std::iter::repeat_with(|| Standing::Open)
                .take(recipients)
                .collect(),
        };
        progress.send_group(output);
        progress
    }

    /// The stage of the next reply.
    pub(super) fn stage(&self) -> Stage {
        match self.phase {
            Phase::Commands => match self.outstanding.front() {
                Some(Command::Reset) => Stage::Reset,
                Some(Command::Rcpt(_)) => Stage::Rcpt,
                Some(Command::Data) => Stage::Data,
                Some(Command::Mail) | None => Stage::Mail,
            },
            Phase::Content => Stage::Content,
            Phase::FinalDot | Phase::LoneDot => Stage::FinalDot,
        }
    }

    /// Whether a final dot ended the transaction, so that the server forgot it
    /// (RFC 5321 §4.1.1.4).
    pub(super) fn was_ended_by_dot(&self) -> bool {
        matches!(self.phase, Phase::FinalDot | Phase::LoneDot)
    }

    /// All content is on its way: now the final dot.
    pub(super) fn content_sent(&mut self, output: &mut BytesMut) {
        output.extend_from_slice(FINAL_DOT);
        self.phase = Phase::FinalDot;
    }

    /// Takes the next reply. On an error the session is out of step.
    pub(super) fn reply(
        &mut self,
        reply: Reply,
        output: &mut BytesMut,
    ) -> Result<Step, ProtocolError> {
        match self.phase {
            Phase::Commands => {
                let Some(command) = self.outstanding.pop_front() else {
                    return Err(ProtocolError::Unsolicited(reply));
                };
                if command == Command::Data && reply.code.is_intermediate() {
                    return self.start_content(reply, output);
                }
                self.answer(command, reply)?;
                if self.outstanding.is_empty() {
                    self.send_group(output);
                }
                if self.outstanding.is_empty() {
                    Ok(Step::Done)
                } else {
                    Ok(Step::Wait)
                }
            }
            Phase::Content => Err(ProtocolError::Unsolicited(reply)),
            Phase::FinalDot => self.answer_final_dot(&reply),
            Phase::LoneDot => Ok(Step::Done),
        }
    }

    /// Decides every recipient that is still open, as refused.
    pub(super) fn refuse_rest(&mut self, stage: Stage, reply: &Reply) {
        for standing in self.undecided() {
            *standing = Standing::Decided(RecipientResult::Refused {
                stage,
                reply: reply.clone(),
            });
        }
    }

    /// The result. Whoever is still undecided was interrupted at `stage` by `ending`.
    pub(super) fn into_result(self, stage: Stage, ending: &Ending) -> TransactionResult {
        let interrupted = || RecipientResult::Interrupted {
            stage,
            ending: ending.clone(),
        };
        let recipients = self
            .recipients
            .into_iter()
            .map(|standing| match standing {
                Standing::Decided(result) => result,
                Standing::Open | Standing::Willing => interrupted(),
            })
            .collect();
        TransactionResult { recipients }
    }

    fn undecided(&mut self) -> impl Iterator<Item = &mut Standing> {
        self.recipients
            .iter_mut()
            .filter(|standing| !matches!(standing, Standing::Decided(_)))
    }

    fn is_anyone_willing(&self) -> bool {
        self.recipients
            .iter()
            .any(|standing| matches!(standing, Standing::Willing))
    }

    fn is_undecided(&self, index: usize) -> bool {
        !matches!(self.recipients.get(index), Some(Standing::Decided(_)))
    }

    fn answer(&mut self, command: Command, reply: Reply) -> Result<(), ProtocolError> {
        let done = reply.code.is_positive_completion();
        let refused = is_refusal(&reply);
        match command {
            Command::Reset | Command::Mail if done => {}
            Command::Mail if refused => self.refuse_rest(Stage::Mail, &reply),
            Command::Rcpt(index) if done => self.accept(index),
            Command::Rcpt(index) if refused => self.refuse(index, reply),
            Command::Data if refused => self.refuse_rest(Stage::Data, &reply),
            _ => return Err(ProtocolError::Unexpected(reply)),
        }
        Ok(())
    }

    fn accept(&mut self, index: usize) {
        if let Some(standing @ Standing::Open) = self.recipients.get_mut(index) {
            *standing = Standing::Willing;
        }
    }

    fn refuse(&mut self, index: usize, reply: Reply) {
        if !self.is_undecided(index) {
            return;
        }
        let result = if self.is_anyone_willing() && says_too_many(&reply) {
            self.leave_unsent_for_later(&reply);
            RecipientResult::TooManyRecipients(reply)
        } else {
            RecipientResult::Refused {
                stage: Stage::Rcpt,
                reply,
            }
        };
        self.decide(index, result);
    }

    /// The recipients of the groups not yet sent need not be tried in this transaction.
    fn leave_unsent_for_later(&mut self, reply: &Reply) {
        for command in std::mem::take(&mut self.unsent) {
            if let Command::Rcpt(index) = command {
                self.decide(index, RecipientResult::TooManyRecipients(reply.clone()));
            }
            self.unsent.push_back(command);
        }
    }

    fn decide(&mut self, index: usize, result: RecipientResult) {
        if let Some(standing) = self.recipients.get_mut(index) {
            *standing = Standing::Decided(result);
        }
    }

    /// The server waits for content. If nobody is to get it, a dot alone goes back
    /// (RFC 2920 §3.1); in LMTP nobody knows how many replies that would have.
    fn start_content(
        &mut self,
        reply: Reply,
        output: &mut BytesMut,
    ) -> Result<Step, ProtocolError> {
        if self.is_anyone_willing() {
            self.phase = Phase::Content;
            return Ok(Step::SendContent);
        }
        match self.dialect {
            Dialect::Smtp => {
                output.extend_from_slice(FINAL_DOT);
                self.phase = Phase::LoneDot;
                Ok(Step::Wait)
            }
            Dialect::Lmtp => Err(ProtocolError::Unexpected(reply)),
        }
    }

    /// One reply for all in SMTP, one for each willing recipient in LMTP (RFC 2033 §4.2).
    fn answer_final_dot(&mut self, reply: &Reply) -> Result<Step, ProtocolError> {
        let result = if reply.code.is_positive_completion() {
            RecipientResult::Accepted(reply.clone())
        } else if is_refusal(reply) {
            RecipientResult::Refused {
                stage: Stage::FinalDot,
                reply: reply.clone(),
            }
        } else {
            return Err(ProtocolError::Unexpected(reply.clone()));
        };
        let answered = match self.dialect {
            Dialect::Smtp => usize::MAX,
            Dialect::Lmtp => 1,
        };
        for standing in self.undecided().take(answered) {
            *standing = Standing::Decided(result.clone());
        }
        if self.is_anyone_willing() {
            Ok(Step::Wait)
        } else {
            Ok(Step::Done)
        }
    }

    /// Writes the next group. Nothing is sent for recipients that are already decided, nor DATA
    /// for nobody.
    fn send_group(&mut self, output: &mut BytesMut) {
        while self.outstanding.len() < self.group {
            let Some(command) = self.unsent.pop_front() else {
                return;
            };
            let line = take_line(&mut self.lines);
            let is_needed = match command {
                Command::Reset | Command::Mail => true,
                Command::Rcpt(index) => self.is_undecided(index),
                Command::Data => self.undecided().next().is_some(),
            };
            if is_needed {
                output.extend_from_slice(&line);
                self.outstanding.push_back(command);
            }
        }
    }
}

/// The next line with its end.
fn take_line(lines: &mut BytesMut) -> BytesMut {
    let end = memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
    lines.split_to(end)
}

fn is_refusal(reply: &Reply) -> bool {
    reply.code.is_transient() || reply.code.is_permanent()
}

/// Whether a refused RCPT is about the number of recipients: 452, or 552 from servers older than
/// RFC 2821 (RFC 5321 §4.5.3.1.10), unless the status says that it is the mailbox that is full.
fn says_too_many(reply: &Reply) -> bool {
    let is_about_storage = matches!(
        reply.code,
        ReplyCode::INSUFFICIENT_STORAGE | ReplyCode::EXCEEDED_STORAGE
    );
    let is_about_mailbox = reply
        .status
        .is_some_and(|status| status.subject() == MAILBOX_STATUS);
    is_about_storage && !is_about_mailbox
}
