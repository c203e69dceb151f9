//! Trace context that crosses the queue with its message.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A W3C `traceparent`, version 00: which trace the acceptance of a message belongs to.
///
/// Stored with the message; attempts hours later link to it instead of continuing the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// The flag that says so (W3C Trace Context §3.2.2.3.1).
const SAMPLED: u8 = 1;

impl TraceParent {
    /// A new trace that nobody records. Ids are random and never zero.
    #[must_use]
    pub fn generate() -> Self {
        Self {
            trace_id: rand::random::<u128>().max(1),
            span_id: rand::random::<u64>().max(1),
            flags: 0,
        }
    }

    /// A trace with these ids; none if one of them is zero (W3C Trace Context §3.2.2).
    #[must_use]
    pub fn new(trace_id: u128, span_id: u64, sampled: bool) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags: u8::from(sampled),
        })
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace, 16 octets.
    #[must_use]
    pub const fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The span of the acceptance, 8 octets.
    #[must_use]
    pub const fn span_id(self) -> u64 {
        self.span_id
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

/// The text is no `traceparent` of version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a traceparent (W3C Trace Context §3.2)")]
pub struct TraceParentError;

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            fields
                .next()
                .filter(|field| field.len() == digits && is_lower_hex(field))
                .ok_or(TraceParentError)
        };
        if field(2)? != "00" {
            return Err(TraceParentError);
        }
        let trace_id = u128::from_str_radix(field(32)?, 16).map_err(|_| TraceParentError)?;
        let span_id = u64::from_str_radix(field(16)?, 16).map_err(|_| TraceParentError)?;
        let flags = u8::from_str_radix(field(2)?, 16).map_err(|_| TraceParentError)?;
        if trace_id == 0 || span_id == 0 || fields.next().is_some() {
            return Err(TraceParentError);
        }
        Ok(Self {
            trace_id,
            span_id,
            flags,
        })
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_traceparent_reads_back_from_its_text() {
        let trace = TraceParent::generate();
        assert_eq!(trace.to_string().parse::<TraceParent>().unwrap(), trace);
    }

    #[test]
    fn what_the_standard_refuses_is_refused() {
        for text in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(TraceParentError), "{text}");
        }
    }
}
