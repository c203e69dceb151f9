//! Fields that several messages share, to and from domain types.

use queue::{QueueId, TraceParent};
use smtp::{Mailbox, ReversePath};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::ConversionError;

/// An address as on the wire.
pub(crate) fn mailbox(field: &'static str, bytes: &[u8]) -> Result<Mailbox, ConversionError> {
    Mailbox::parse(text(field, bytes)?).map_err(|source| ConversionError::Address { field, source })
}

/// A reverse-path without angle brackets, empty for the null path.
pub(crate) fn reverse_path(
    field: &'static str,
    bytes: &[u8],
) -> Result<ReversePath, ConversionError> {
    ReversePath::from_address(text(field, bytes)?)
        .map_err(|source| ConversionError::Address { field, source })
}

fn text<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, ConversionError> {
    std::str::from_utf8(bytes).map_err(|_| ConversionError::Invalid {
        field,
        rule: "text",
    })
}

/// A queue id from its 16 octets.
pub(crate) fn queue_id(field: &'static str, octets: &[u8]) -> Result<QueueId, ConversionError> {
    Uuid::from_slice(octets)
        .ok()
        .and_then(|uuid| QueueId::try_from(uuid).ok())
        .ok_or(ConversionError::Invalid {
            field,
            rule: "a queue id of 16 octets",
        })
}

/// The 16 octets of a queue id.
pub(crate) fn queue_id_octets(id: QueueId) -> Vec<u8> {
    id.as_uuid().as_bytes().to_vec()
}

/// A moment from microseconds since 1970 UTC.
pub(crate) fn moment(field: &'static str, micros: i64) -> Result<OffsetDateTime, ConversionError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| {
        ConversionError::Invalid {
            field,
            rule: "a moment between the years -9999 and 9999",
        }
    })
}

/// Microseconds since 1970 UTC: as precise as Postgres.
pub(crate) fn micros_of(moment: OffsetDateTime) -> i64 {
    let micros = moment.unix_timestamp_nanos() / 1_000;
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// A W3C traceparent.
pub(crate) fn trace(field: &'static str, text: &str) -> Result<TraceParent, ConversionError> {
    text.parse().map_err(|_| ConversionError::Invalid {
        field,
        rule: "a traceparent",
    })
}
