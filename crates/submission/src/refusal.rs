//! What a client is told when the policy says no: in words that a mail program shows to its user.

use message::from::AuthorError;
use smtp::{EnhancedStatus, Mailbox, Reply, ReplyCode};

/// RFC 4954 §6, 530: MAIL before AUTH.
pub(crate) fn authentication_required() -> Reply {
    Reply::new(
        ReplyCode::AUTH_REQUIRED,
        EnhancedStatus::new(5, 7, 0),
        "Authentication required: set user name and password for outgoing mail",
    )
}

/// RFC 6409 §4.3 with RFC 8314 §3.3: MAIL in plaintext, where AUTH is not even offered.
pub(crate) fn encryption_required() -> Reply {
    Reply::new(
        ReplyCode::AUTH_REQUIRED,
        EnhancedStatus::new(5, 7, 0),
        "Encryption and authentication required: set STARTTLS, user name and password for outgoing mail",
    )
}

/// RFC 4954 §6, 535. Which of name and password was wrong is not told.
pub(crate) fn bad_credentials() -> Reply {
    Reply::new(
        ReplyCode::BAD_CREDENTIALS,
        EnhancedStatus::new(5, 7, 8),
        "Authentication failed: check user name and password",
    )
}

/// RFC 4616 §2: a name to act as that is not the login's own.
pub(crate) fn no_other_identity() -> Reply {
    Reply::new(
        ReplyCode::BAD_CREDENTIALS,
        EnhancedStatus::new(5, 7, 8),
        "Authentication failed: an account cannot act as another",
    )
}

/// RFC 4954 §6, 454: the directory gave no answer.
pub(crate) fn cannot_authenticate_now() -> Reply {
    Reply::new(
        ReplyCode::TEMPORARY_AUTH_FAILURE,
        EnhancedStatus::new(4, 7, 0),
        "Temporary authentication failure, try again later",
    )
}

/// The client has guessed too often; 421 ends the session.
pub(crate) fn too_many_failures() -> Reply {
    Reply::unavailable(
        EnhancedStatus::new(4, 7, 0),
        "Too many failed logins from your address, try again later",
    )
}

/// RFC 6409 §4.2, 554: a recipient's domain that means something to one network only.
pub(crate) fn not_fully_qualified(recipient: &Mailbox) -> Reply {
    Reply::new(
        ReplyCode::TRANSACTION_FAILED,
        EnhancedStatus::new(5, 1, 2),
        format!("<{recipient}> has no full domain, such as example.org, behind the @"),
    )
}

/// RFC 6409 §6.1, 550: an address of somebody else in MAIL.
pub(crate) fn not_your_address(account: &Mailbox, address: &Mailbox) -> Reply {
    Reply::new(
        ReplyCode::MAILBOX_UNAVAILABLE,
        EnhancedStatus::new(5, 7, 1),
        format!("{account} may not send as <{address}>"),
    )
    .with_line("Use an address of your own, or have this one added to your account")
}

/// An address of somebody else in a header field.
pub(crate) fn not_your_field(field: &str, account: &Mailbox, address: &Mailbox) -> Reply {
    Reply::new(
        ReplyCode::MAILBOX_UNAVAILABLE,
        EnhancedStatus::new(5, 7, 1),
        format!("{account} may not send as <{address}>, which stands in {field}"),
    )
    .with_line("Write as an address of your own, or have this one added to your account")
}

/// The header does not say who wrote the message.
pub(crate) fn doubtful_author(error: AuthorError) -> Reply {
    Reply::new(
        ReplyCode::TRANSACTION_FAILED,
        EnhancedStatus::new(5, 6, 0),
        format!("The header is not as it should be (RFC 5322 section 3.6.2): {error}"),
    )
}

/// The account has sent its messages of this hour.
pub(crate) fn allowance_used_up(account: &Mailbox) -> Reply {
    Reply::new(
        ReplyCode::LOCAL_ERROR,
        EnhancedStatus::new(4, 7, 1),
        format!("{account} has sent too many messages within the hour, try again later"),
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

/// The directory gave no answer.
pub(crate) fn cannot_tell_now() -> Reply {
    Reply::local_error("Addresses cannot be checked now, try again later")
}
