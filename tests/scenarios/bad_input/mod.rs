//! What clients should not send: each gets its answer, and no second message ever comes of it.

mod commands;
mod connections;
mod large;
mod smuggling;
mod starttls_injection;

use testkit::SmtpTalk;

use crate::fleet::{Fleet, begin_data};

/// A connection to each of our ports, with a transaction open and DATA said.
async fn in_data(fleet: &Fleet) -> [SmtpTalk; 2] {
    let mut talks = [fleet.talk().await, fleet.talk_as_alice().await];
    for talk in &mut talks {
        begin_data(talk).await;
    }
    talks
}
