//! Points in time, for people and for programs.

use std::fmt;

use serde::{Serialize, Serializer};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, UtcOffset};

const FOR_PEOPLE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
/// RFC 3339, always of the same length.
const FOR_PROGRAMS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A point in time. JSON has it as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When(pub(crate) OffsetDateTime);

impl When {
    fn format(self, format: &[BorrowedFormatItem<'_>]) -> String {
        let utc = self.0.to_offset(UtcOffset::UTC);
        // These formats have nothing that could fail.
        utc.format(format).unwrap_or_default()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(FOR_PEOPLE))
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.format(FOR_PROGRAMS))
    }
}

/// How long ago something was, such as `3m`.
pub(crate) fn ago(then: OffsetDateTime) -> String {
    length(OffsetDateTime::now_utc() - then)
}

/// How far ahead something is, such as `in 3m`; `now` when its time has come.
pub(crate) fn ahead(then: OffsetDateTime) -> String {
    let left = then - OffsetDateTime::now_utc();
    if left.is_positive() {
        format!("in {}", length(left))
    } else {
        "now".to_owned()
    }
}

/// In the largest unit of which there are two.
fn length(duration: Duration) -> String {
    let seconds = duration.whole_seconds().max(0);
    let (number, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "m"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number}{unit}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_told_in_utc() {
        let when = When(datetime!(2026-11-23 14:05:06.7 +1));
        assert_eq!(when.to_string(), "2026-11-23 13:05:06 UTC");
        assert_eq!(
            serde_json::to_string(&when).unwrap(),
            "\"2026-11-23T13:05:06.700Z\""
        );
    }

    #[test]
    fn lengths_are_told_in_the_largest_unit_that_fits_twice() {
        for (seconds, told) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(length(Duration::seconds(seconds)), told);
        }
    }
}
