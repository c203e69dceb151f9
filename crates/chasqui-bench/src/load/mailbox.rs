//! Counting what lies in a Maildir.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// A look reads the whole folder.
const LOOK: Duration = Duration::from_millis(50);

/// How many new messages there are.
pub(crate) fn count_mail(mailbox: &Path) -> usize {
    // A mailbox is made with its first message.
    std::fs::read_dir(mailbox.join("new")).map_or(0, Iterator::count)
}

/// Waits until there are so many new messages.
pub(crate) async fn mail_arrives(
    mailbox: &Path,
    messages: usize,
    deadline: Duration,
) -> Result<()> {
    let began = Instant::now();
    loop {
        let count = count_mail(mailbox);
        if count >= messages {
            return Ok(());
        }
        ensure!(
            began.elapsed() < deadline,
            "only {count} of {messages} messages are in {} after {deadline:?}",
            mailbox.display()
        );
        tokio::time::sleep(LOOK).await;
    }
}
