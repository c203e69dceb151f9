//! What the session says by itself.

use super::Dialect;
use crate::address::AddressError;
use crate::reply::{Reply, ReplyCode};
use crate::status::EnhancedStatus;

/// X.5.1: the command is unknown or out of sequence (RFC 3463 §3.6).
const INVALID_COMMAND: EnhancedStatus = EnhancedStatus::new(5, 5, 1);
/// X.5.2: the command cannot be understood.
const SYNTAX: EnhancedStatus = EnhancedStatus::new(5, 5, 2);
/// X.5.4: a parameter cannot be understood.
const INVALID_ARGUMENTS: EnhancedStatus = EnhancedStatus::new(5, 5, 4);

pub(super) fn unknown_command() -> Reply {
    Reply::new(
        ReplyCode::SYNTAX_ERROR,
        INVALID_COMMAND,
        "Command not recognized",
    )
}

pub(super) fn not_implemented(text: &str) -> Reply {
    Reply::new(ReplyCode::NOT_IMPLEMENTED, INVALID_COMMAND, text)
}

/// The line itself is malformed, whatever the command.
pub(super) fn bad_line(text: &str) -> Reply {
    Reply::new(ReplyCode::SYNTAX_ERROR, SYNTAX, text)
}

pub(super) fn bad_arguments(text: &str) -> Reply {
    Reply::new(ReplyCode::ARGUMENT_ERROR, INVALID_ARGUMENTS, text)
}

pub(super) fn unknown_parameter(keyword: &str) -> Reply {
    Reply::new(
        ReplyCode::BAD_MAIL_PARAMETERS,
        INVALID_ARGUMENTS,
        format!("Parameter {keyword} is not supported"),
    )
}

/// The address in MAIL is malformed: X.1.7, or X.6.7 when it takes SMTPUTF8 (RFC 6531 §3.5).
pub(super) fn bad_sender(error: AddressError) -> Reply {
    bad_address(EnhancedStatus::new(5, 1, 7), error)
}

/// The address in RCPT is malformed: X.1.3, or X.6.7 when it takes SMTPUTF8 (RFC 6531 §3.5).
pub(super) fn bad_recipient(error: AddressError) -> Reply {
    bad_address(EnhancedStatus::new(5, 1, 3), error)
}

fn bad_address(status: EnhancedStatus, error: AddressError) -> Reply {
    let text = format!("Bad address: {error}");
    match error {
        AddressError::NotAscii => Reply::new(
            ReplyCode::BAD_MAILBOX_NAME,
            EnhancedStatus::new(5, 6, 7),
            text,
        ),
        _ => Reply::new(ReplyCode::ARGUMENT_ERROR, status, text),
    }
}

/// RFC 1870 §6.1: the declared size exceeds the limit; or the content did.
pub(super) fn too_big(limit: u64) -> Reply {
    Reply::new(
        ReplyCode::EXCEEDED_STORAGE,
        EnhancedStatus::new(5, 3, 4),
        format!("Message exceeds the limit of {limit} octets"),
    )
}

/// RFC 5321 §4.5.3.1.10: 452, so that the client sends the rest in another transaction.
pub(super) fn too_many_recipients() -> Reply {
    Reply::new(
        ReplyCode::INSUFFICIENT_STORAGE,
        EnhancedStatus::new(4, 5, 3),
        "Too many recipients in one transaction",
    )
}

/// AUTH in plaintext: RFC 3207 §4, or X.7.11 (RFC 5248) where there is no STARTTLS either.
pub(super) fn encryption_required(has_start_tls: bool) -> Reply {
    if has_start_tls {
        Reply::new(
            ReplyCode::AUTH_REQUIRED,
            EnhancedStatus::new(5, 7, 0),
            "Must issue a STARTTLS command first",
        )
    } else {
        Reply::new(
            ReplyCode::ENCRYPTION_REQUIRED,
            EnhancedStatus::new(5, 7, 11),
            "Encryption required for authentication",
        )
    }
}

/// DATA without recipients: RFC 5321 §3.3 allows 503 and 554, RFC 2033 §4.2 wants 503.
pub(super) fn no_recipients(dialect: Dialect) -> Reply {
    let code = match dialect {
        Dialect::Smtp => ReplyCode::TRANSACTION_FAILED,
        Dialect::Lmtp => ReplyCode::BAD_SEQUENCE,
    };
    Reply::new(code, INVALID_COMMAND, "No valid recipients")
}

/// RFC 4954 §4: the mechanism is unknown.
pub(super) fn unknown_mechanism() -> Reply {
    Reply::new(
        ReplyCode::PARAMETER_NOT_IMPLEMENTED,
        INVALID_ARGUMENTS,
        "Mechanism not supported",
    )
}

/// RFC 4954 §4: the client sent `*`.
pub(super) fn auth_cancelled() -> Reply {
    Reply::new(
        ReplyCode::ARGUMENT_ERROR,
        EnhancedStatus::new(5, 7, 0),
        "Authentication cancelled",
    )
}

/// RFC 4954 §6: the line of an exchange is longer than any that the mechanism needs.
pub(super) fn auth_line_too_long() -> Reply {
    Reply::new(
        ReplyCode::SYNTAX_ERROR,
        EnhancedStatus::new(5, 5, 6),
        "Authentication exchange line is too long",
    )
}

/// RFC 4954 §4: what the client sent is not what the mechanism asks for.
pub(super) fn bad_auth_response(text: &str) -> Reply {
    Reply::new(ReplyCode::ARGUMENT_ERROR, SYNTAX, text)
}

pub(super) fn start_tls() -> Reply {
    Reply::new(
        ReplyCode::READY,
        EnhancedStatus::new(2, 0, 0),
        "Ready to start TLS",
    )
}

pub(super) fn help() -> Reply {
    Reply::new(
        ReplyCode::HELP,
        EnhancedStatus::new(2, 0, 0),
        "See RFC 5321",
    )
}

pub(super) fn closing(host_name: &str) -> Reply {
    Reply::new(
        ReplyCode::CLOSING,
        EnhancedStatus::new(2, 0, 0),
        format!("{host_name} closing connection"),
    )
}

pub(super) fn timed_out(host_name: &str) -> Reply {
    Reply::unavailable(
        EnhancedStatus::new(4, 4, 2),
        format!("{host_name} Timeout, closing connection"),
    )
}

pub(super) fn shutting_down(host_name: &str) -> Reply {
    Reply::unavailable(
        EnhancedStatus::new(4, 3, 2),
        format!("{host_name} Service shutting down, closing connection"),
    )
}

pub(super) fn too_many_errors(host_name: &str) -> Reply {
    Reply::unavailable(
        EnhancedStatus::new(4, 7, 0),
        format!("{host_name} Too many errors, closing connection"),
    )
}

/// 554 5.6.0: the content breaks a rule.
pub(super) fn bad_content(text: &str) -> Reply {
    Reply::new(
        ReplyCode::TRANSACTION_FAILED,
        EnhancedStatus::new(5, 6, 0),
        text,
    )
}
