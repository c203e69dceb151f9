//! Delivery's messages, to and from domain types.

use queue::Content;
use smtp::{EnhancedStatus, Outcome, Reply, Report};

use super::{DeliverRequest, Outcomes};
use crate::convert;
use crate::error::ConversionError;
use crate::proto::delivery as proto;

/// All of a request but its content.
pub(super) fn header_of(request: &DeliverRequest) -> proto::DeliverHeader {
    proto::DeliverHeader {
        queue_id: convert::queue_id_octets(request.queue_id),
        attempt: request.attempt,
        reverse_path: request.reverse_path.as_address().into_bytes(),
        recipients: request
            .recipients
            .iter()
            .map(|(number, mailbox)| proto::Recipient {
                number: *number,
                address: mailbox.to_string().into_bytes(),
            })
            .collect(),
        accepted_at_micros: convert::micros_of(request.accepted_at),
        traceparent: request.trace.to_string(),
        size: request.content.len() as u64,
    }
}

/// A request that has arrived as a whole.
pub(super) fn request_from(
    header: proto::DeliverHeader,
    content: Content,
) -> Result<DeliverRequest, ConversionError> {
    if header.recipients.is_empty() {
        return Err(ConversionError::Missing("recipients"));
    }
    Ok(DeliverRequest {
        queue_id: convert::queue_id("queue_id", &header.queue_id)?,
        attempt: header.attempt,
        reverse_path: convert::reverse_path("reverse_path", &header.reverse_path)?,
        recipients: header
            .recipients
            .into_iter()
            .map(|recipient| {
                let mailbox = convert::mailbox("recipients.address", &recipient.address)?;
                Ok((recipient.number, mailbox))
            })
            .collect::<Result<_, ConversionError>>()?,
        accepted_at: convert::moment("accepted_at_micros", header.accepted_at_micros)?,
        trace: convert::trace("traceparent", &header.traceparent)?,
        content,
    })
}

pub(super) fn response_of(outcomes: Outcomes) -> proto::DeliverResponse {
    proto::DeliverResponse {
        outcomes: outcomes
            .into_iter()
            .map(|(number, outcome)| outcome_of(number, outcome))
            .collect(),
    }
}

fn outcome_of(number: i32, outcome: Outcome) -> proto::RecipientOutcome {
    use proto::recipient_outcome::Verdict;
    let verdict = match &outcome {
        Outcome::Delivered(_) => Verdict::Delivered,
        Outcome::Deferred(_) => Verdict::Deferred,
        Outcome::Failed(_) => Verdict::Failed,
    };
    let report = outcome.into_report();
    proto::RecipientOutcome {
        number,
        verdict: verdict.into(),
        status: report.status.to_string(),
        reply: report.reply.map(|reply| proto::Reply {
            code: reply.code.as_u16().into(),
            status: reply
                .status
                .map_or_else(String::new, |status| status.to_string()),
            lines: reply.lines,
        }),
        detail: report.detail,
    }
}

/// The outcomes, which must be about the very recipients of the request.
pub(super) fn outcomes_from(
    response: proto::DeliverResponse,
    request: &DeliverRequest,
) -> Result<Outcomes, ConversionError> {
    let numbers = response.outcomes.iter().map(|outcome| outcome.number);
    if !numbers.eq(request.recipients.iter().map(|(number, _)| *number)) {
        return Err(ConversionError::Invalid {
            field: "outcomes",
            rule: "one for each recipient, in order",
        });
    }
    response.outcomes.into_iter().map(outcome_from).collect()
}

fn outcome_from(outcome: proto::RecipientOutcome) -> Result<(i32, Outcome), ConversionError> {
    use proto::recipient_outcome::Verdict;
    let number = outcome.number;
    let verdict = outcome.verdict();
    let report = Report {
        status: status("outcomes.status", &outcome.status)?,
        reply: outcome.reply.map(reply_from).transpose()?,
        detail: outcome.detail,
    };
    let outcome = match verdict {
        Verdict::Delivered => Outcome::Delivered(report),
        Verdict::Deferred => Outcome::Deferred(report),
        Verdict::Failed => Outcome::Failed(report),
        Verdict::Unspecified => return Err(ConversionError::Missing("outcomes.verdict")),
    };
    Ok((number, outcome))
}

fn reply_from(reply: proto::Reply) -> Result<Reply, ConversionError> {
    let code = u16::try_from(reply.code)
        .ok()
        .filter(|code| (200..600).contains(code))
        .ok_or(ConversionError::Invalid {
            field: "reply.code",
            rule: "a reply code",
        })?;
    let status = match reply.status.as_str() {
        "" => None,
        text => Some(status("reply.status", text)?),
    };
    Ok(Reply {
        code: code.into(),
        status,
        lines: reply.lines,
    })
}

fn status(field: &'static str, text: &str) -> Result<EnhancedStatus, ConversionError> {
    text.parse().map_err(|_| ConversionError::Invalid {
        field,
        rule: "an enhanced status code",
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use queue::{QueueId, Shard, TraceParent};
    use smtp::ReversePath;
    use time::OffsetDateTime;

    use super::*;

    fn request() -> DeliverRequest {
        DeliverRequest {
            queue_id: QueueId::generate(Shard::new(3).unwrap()),
            attempt: 2,
            reverse_path: ReversePath::Null,
            recipients: vec![
                (0, "alice@example.org".parse().unwrap()),
                (4, "\"b o b\"@example.org".parse().unwrap()),
            ],
            accepted_at: OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(1_234_567),
            trace: TraceParent::generate(),
            content: Content::new("A: b\r\n", "\r\nhello\r\n"),
        }
    }

    #[test]
    fn a_request_arrives_as_it_was_sent() {
        let sent = request();
        let received = request_from(header_of(&sent), sent.content.clone()).unwrap();
        assert_eq!(format!("{received:?}"), format!("{sent:?}"));
    }

    #[test]
    fn a_bad_field_is_named() {
        let mut header = header_of(&request());
        header.queue_id.pop();
        let error = request_from(header, Content::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`queue_id` is not a queue id of 16 octets"
        );
        let mut header = header_of(&request());
        header.recipients[1].address = b"bob".to_vec();
        let error = request_from(header, Content::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`recipients.address` is not an address: the address lacks a domain"
        );
    }

    #[test]
    fn outcomes_keep_verdict_status_and_the_far_ends_reply() {
        let reply = Reply::new(550, EnhancedStatus::new(5, 2, 2), "over quota").with_line("sorry");
        let outcomes = vec![
            (
                0,
                Outcome::Delivered(Report::new(EnhancedStatus::new(2, 0, 0), None, "stored")),
            ),
            (
                4,
                Outcome::Failed(Report::new(
                    EnhancedStatus::new(5, 2, 2),
                    Some(reply),
                    "refused",
                )),
            ),
        ];
        let response = response_of(outcomes.clone());
        assert_eq!(outcomes_from(response, &request()).unwrap(), outcomes);
    }

    #[test]
    fn an_answer_about_other_recipients_is_malformed() {
        let report = Report::new(EnhancedStatus::new(2, 0, 0), None, "stored");
        let response = response_of(vec![(0, Outcome::Delivered(report))]);
        assert!(outcomes_from(response, &request()).is_err());
    }
}
