//! Delivery: from the recipients of a message to copies in mailboxes.

use directory::{Directory, Resolution};
use futures_util::StreamExt;
use futures_util::stream;
use rpc::delivery::{DeliverRequest, Outcomes};
use smtp::{EnhancedStatus, Mailbox, Outcome, Report};

use crate::copy::Original;
use crate::failure;
use crate::maildir::{Deposit, Deposited, FileName, Maildir};

/// Copies of one message that are written at a time.
const MAX_AT_ONCE: usize = 128;

/// The mailboxes of this fleet. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    directory: Directory,
    maildir: Maildir,
}

impl Mailboxes {
    /// Mailboxes that the directory names and the Maildir holds.
    #[must_use]
    pub fn new(directory: Directory, maildir: Maildir) -> Self {
        Self { directory, maildir }
    }

    /// Who has a mailbox.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Puts a message into the mailboxes of its recipients and says what became of each, in the
    /// order of the request. Delivering again what was delivered changes nothing.
    pub async fn deliver(&self, request: &DeliverRequest) -> Outcomes {
        let original = Original::new(&request.reverse_path, &request.content);
        let deliveries: Vec<_> = request
            .recipients
            .iter()
            .map(|(number, recipient)| self.deliver_to(request, &original, *number, recipient))
            .collect();
        let outcomes: Vec<Outcome> = stream::iter(deliveries)
            .buffered(MAX_AT_ONCE)
            .collect()
            .await;
        let numbers = request.recipients.iter().map(|(number, _)| *number);
        numbers.zip(outcomes).collect()
    }

    async fn deliver_to(
        &self,
        request: &DeliverRequest,
        original: &Original,
        number: i32,
        recipient: &Mailbox,
    ) -> Outcome {
        let accounts = match self.directory.resolve(recipient).await {
            Ok(Resolution::Accounts(accounts)) => accounts,
            Ok(Resolution::Unknown) => return failure::unknown(),
            Ok(Resolution::Disabled) => return failure::disabled(),
            Ok(Resolution::NotLocal) => return failure::not_local(),
            Err(error) => return failure::not_resolved(&error),
        };
        let name = FileName::new(request.queue_id, number, request.accepted_at);
        let may_be_there = request.attempt > 1;
        let deposit = |account| Deposit {
            content: original.copy_for(&account, recipient),
            account,
            name: name.clone(),
            may_be_there,
        };
        self.deposit_all(accounts.into_iter().map(deposit).collect())
            .await
    }

    /// Delivered when every copy is there. If only some are, the recipient is tried again: the
    /// copies that are there stay single.
    async fn deposit_all(&self, deposits: Vec<Deposit>) -> Outcome {
        let deposits: Vec<_> = deposits
            .into_iter()
            .map(|deposit| self.maildir.deposit(deposit))
            .collect();
        let mut results = stream::iter(deposits).buffer_unordered(MAX_AT_ONCE);
        let mut all_there = true;
        let mut failed = None;
        while let Some(result) = results.next().await {
            match result {
                Ok(deposited) => all_there &= deposited == Deposited::AlreadyThere,
                Err(error) => failed = Some(failure::not_deposited(&error)),
            }
        }
        failed.unwrap_or_else(|| delivered(all_there))
    }
}

fn delivered(was_there: bool) -> Outcome {
    let detail = if was_there {
        "an earlier attempt had put it into the mailbox"
    } else {
        "put into the mailbox"
    };
    Outcome::Delivered(Report::new(EnhancedStatus::new(2, 1, 5), None, detail))
}
