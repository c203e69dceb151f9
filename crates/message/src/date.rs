//! Dates as they stand in header fields.

use std::fmt;

use time::{Month, OffsetDateTime, Weekday};

/// A point in time as header fields write it: `Mon, 23 Nov 2026 10:20:30 +0000`
/// (RFC 5322 §3.3 `date-time`). Seconds of the offset are dropped: the form has no room for them.
pub fn date_time(at: OffsetDateTime) -> impl fmt::Display {
    DateTime(at)
}

struct DateTime(OffsetDateTime);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0;
        let (hours, minutes, _) = at.offset().as_hms();
        let sign = if at.offset().is_negative() { '-' } else { '+' };
        write!(
            f,
            "{}, {} {} {:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            day_name(at.weekday()),
            at.day(),
            month_name(at.month()),
            at.year(),
            at.hour(),
            at.minute(),
            at.second(),
            hours.unsigned_abs(),
            minutes.unsigned_abs(),
        )
    }
}

fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}

fn month_name(month: Month) -> &'static str {
    match month {
        Month::January => "Jan",
        Month::February => "Feb",
        Month::March => "Mar",
        Month::April => "Apr",
        Month::May => "May",
        Month::June => "Jun",
        Month::July => "Jul",
        Month::August => "Aug",
        Month::September => "Sep",
        Month::October => "Oct",
        Month::November => "Nov",
        Month::December => "Dec",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use time::format_description::well_known::Rfc2822;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_date_reads_as_in_the_rfc() {
        assert_eq!(
            date_time(datetime!(2026-11-03 4:05:06 -3:30)).to_string(),
            "Tue, 3 Nov 2026 04:05:06 -0330"
        );
    }

    proptest! {
        #[test]
        fn dates_parse_back(seconds in 0_i64..4_102_444_800) {
            let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let parsed = OffsetDateTime::parse(&date_time(at).to_string(), &Rfc2822).unwrap();
            prop_assert_eq!(parsed, at);
        }
    }
}
