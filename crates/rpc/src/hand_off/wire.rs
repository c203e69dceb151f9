//! Leased units, to and from the messages of the stream.

use bytes::{Bytes, BytesMut};
use queue::{
    Content, DestinationKey, IncarnationId, Lease, LeasedRecipient, LeasedUnit, Tenant, UnitId,
};
use smtp::Body;

use super::INLINE_LIMIT;
use super::load::Load;
use crate::convert;
use crate::error::ConversionError;
use crate::proto::relay as proto;

/// The content that goes along: none when it is large.
pub(super) fn inline(content: Option<&Content>) -> Option<&Content> {
    content.filter(|content| content.len() as u64 <= INLINE_LIMIT)
}

/// The units of one message, which share all but lease, domain and recipients. None if there are
/// no units.
pub(super) fn message_of(units: &[LeasedUnit]) -> Option<proto::Message> {
    let first = units.first()?;
    Some(proto::Message {
        queue_id: convert::queue_id_octets(first.lease.unit.queue_id),
        tenant: first.tenant.0,
        reverse_path: first.reverse_path.as_address().into_bytes(),
        body: body_of(first.body).into(),
        size: first.size,
        accepted_at_micros: convert::micros_of(first.accepted_at),
        expires_at_micros: convert::micros_of(first.expires_at),
        traceparent: first.trace.to_string(),
        units: units.iter().map(unit_of).collect(),
        content: inline(first.content.as_ref()).map(content_of),
    })
}

fn unit_of(unit: &LeasedUnit) -> proto::Unit {
    proto::Unit {
        number: unit.lease.unit.number,
        attempt: unit.lease.attempt,
        domain: unit.domain.clone(),
        recipients: unit
            .recipients
            .iter()
            .map(|recipient| proto::Recipient {
                number: recipient.number,
                address: recipient.mailbox.to_string().into_bytes(),
            })
            .collect(),
    }
}

fn content_of(content: &Content) -> proto::Content {
    let parts = content.parts().into_iter();
    proto::Content {
        parts: parts.filter(|part| !part.is_empty()).collect(),
    }
}

/// What credit a message takes.
pub(super) fn load_of(message: &proto::Message) -> Load {
    let parts = message.content.iter().flat_map(|content| &content.parts);
    Load {
        units: message.units.len() as u64,
        bytes: parts.map(|part| part.len() as u64).sum(),
    }
}

/// The units of one message, leased to `holder`.
pub(super) fn units_from(
    message: proto::Message,
    holder: IncarnationId,
) -> Result<Vec<LeasedUnit>, ConversionError> {
    let queue_id = convert::queue_id("queue_id", &message.queue_id)?;
    let reverse_path = convert::reverse_path("reverse_path", &message.reverse_path)?;
    let body = body_from(message.body())?;
    let accepted_at = convert::moment("accepted_at_micros", message.accepted_at_micros)?;
    let expires_at = convert::moment("expires_at_micros", message.expires_at_micros)?;
    let trace = convert::trace("traceparent", &message.traceparent)?;
    let content = message.content.as_ref().map(content_from);
    let unit_from = |unit: proto::Unit| {
        let number = unit.number;
        Ok(LeasedUnit {
            lease: Lease {
                unit: UnitId { queue_id, number },
                holder,
                attempt: unit.attempt,
            },
            tenant: Tenant(message.tenant),
            domain: unit.domain,
            reverse_path: reverse_path.clone(),
            body,
            recipients: recipients_from(unit.recipients)?,
            size: message.size,
            content: content.clone(),
            accepted_at,
            expires_at,
            trace,
            tries: 0,
            unclean_takeovers: 0,
            probe: false,
        })
    };
    message.units.into_iter().map(unit_from).collect()
}

fn recipients_from(
    recipients: Vec<proto::Recipient>,
) -> Result<Vec<LeasedRecipient>, ConversionError> {
    if recipients.is_empty() {
        return Err(ConversionError::Missing("units.recipients"));
    }
    recipients
        .into_iter()
        .map(|recipient| {
            Ok(LeasedRecipient {
                number: recipient.number,
                mailbox: convert::mailbox("units.recipients.address", &recipient.address)?,
            })
        })
        .collect()
}

/// Copies the octets into an allocation of their own. As they come they are slices of the
/// connection's buffer: a small message that waits long would keep all of it in memory, and
/// credits would no longer bound what the relay uses.
fn content_from(content: &proto::Content) -> Content {
    let size = content.parts.iter().map(Bytes::len).sum();
    let mut octets = BytesMut::with_capacity(size);
    for part in &content.parts {
        octets.extend_from_slice(part);
    }
    octets.freeze().into()
}

fn body_of(body: Body) -> proto::Body {
    match body {
        Body::SevenBit => proto::Body::SevenBit,
        Body::EightBitMime => proto::Body::EightBitMime,
    }
}

fn body_from(body: proto::Body) -> Result<Body, ConversionError> {
    match body {
        proto::Body::SevenBit => Ok(Body::SevenBit),
        proto::Body::EightBitMime => Ok(Body::EightBitMime),
        proto::Body::Unspecified => Err(ConversionError::Missing("body")),
    }
}

pub(super) fn destination_of(destination: &DestinationKey) -> proto::Destination {
    proto::Destination {
        tenant: destination.tenant.0,
        domain: destination.domain.clone(),
    }
}

pub(super) fn destination_from(destination: proto::Destination) -> DestinationKey {
    DestinationKey {
        tenant: Tenant(destination.tenant),
        domain: destination.domain,
    }
}
