//! What a sender can do about a failure, told by its enhanced status (RFC 3463 §3, RFC 7372).

use smtp::EnhancedStatus;

/// A sentence for the sender.
pub(super) fn advice(status: EnhancedStatus) -> &'static str {
    match (status.subject(), status.detail()) {
        (1, 2) => "Check the part of the address after the @: no mail server is known for it.",
        (1, 10) => "The domain accepts no mail at all; check the address.",
        (1, 7 | 8) => "Your own address was not accepted; ask your provider to look into it.",
        (1, _) => {
            "Check the address for spelling mistakes, or ask the recipient for the right one."
        }
        (2, 2) => "The mailbox is full. Try again later, or reach the recipient in another way.",
        (2, 1) => "The mailbox is disabled. Reach the recipient in another way.",
        (2 | 3, 3 | 4) => {
            "The message is too large for the recipient. Send less at a time, or a link."
        }
        (4, 6) => {
            "The mail went round in circles. Tell your provider: its address is misconfigured."
        }
        (4, _) => "The recipient's mail server could not be reached. Try again later.",
        (6, _) => "The recipient's mail server cannot take this kind of content.",
        (7, _) => {
            "The recipient's mail server refused it by its rules. Its words above say why; \
                   the recipient or your provider can have them changed."
        }
        _ => "Try again later; if it fails again, ask your provider for help.",
    }
}
