//! What a client is told when the policy says no: specific, and with what to do about it.

use smtp::{EnhancedStatus, Mailbox, Reply, ReplyCode};

/// RFC 5321 §3.6.2: we are no relay for this client and that domain.
pub(crate) fn relaying_denied(recipient: &Mailbox) -> Reply {
    Reply::new(
        ReplyCode::MAILBOX_UNAVAILABLE,
        EnhancedStatus::new(5, 7, 1),
        format!("Relaying denied: <{recipient}> is not hosted here"),
    )
}

/// RFC 5321 §3.3: nobody has this address.
pub(crate) fn unknown_user(recipient: &Mailbox) -> Reply {
    Reply::new(
        ReplyCode::MAILBOX_UNAVAILABLE,
        EnhancedStatus::new(5, 1, 1),
        format!("No such user: <{recipient}>"),
    )
}

/// The account exists, and takes no mail.
pub(crate) fn disabled_user(recipient: &Mailbox) -> Reply {
    Reply::new(
        ReplyCode::MAILBOX_UNAVAILABLE,
        EnhancedStatus::new(5, 2, 1),
        format!("<{recipient}> is disabled and takes no mail"),
    )
}

/// `<Postmaster>` where no domain is set up.
pub(crate) fn no_postmaster() -> Reply {
    Reply::new(
        ReplyCode::MAILBOX_UNAVAILABLE,
        EnhancedStatus::new(5, 1, 1),
        "No postmaster here: no domain has been set up",
    )
}

/// The directory gave no answer: internal trouble is never the sender's.
pub(crate) fn cannot_tell_now() -> Reply {
    Reply::local_error("Addresses cannot be checked now, try again later")
}

/// RFC 5321 §6.3: the message goes round.
pub(crate) fn too_many_hops(hops: usize, limit: usize) -> Reply {
    Reply::new(
        ReplyCode::TRANSACTION_FAILED,
        EnhancedStatus::new(5, 4, 6),
        format!(
            "Routing loop: {hops} Received fields, at most {limit} are taken (RFC 5321 section 6.3)"
        ),
    )
}
