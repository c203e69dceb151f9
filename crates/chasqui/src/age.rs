//! Ages on the command line, such as `90s`, `15m`, `12h`, `3d` or `2w`.

use time::{Duration, OffsetDateTime};

/// Nothing of ours is older.
const LONGEST: Duration = Duration::days(36_500);

/// How long ago something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(Duration);

impl Age {
    /// For `value_parser`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "give a number and a unit: 90s, 15m, 12h, 3d or 2w".to_owned();
        let (unit_at, unit) = text.char_indices().last().ok_or_else(wrong)?;
        let number: u32 = text[..unit_at].parse().map_err(|_| wrong())?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        let age = Duration::seconds(i64::from(number).saturating_mul(seconds));
        if age > LONGEST {
            return Err("is longer than anything is kept".to_owned());
        }
        Ok(Self(age))
    }

    /// When that was.
    pub(crate) fn before(self, now: OffsetDateTime) -> OffsetDateTime {
        now - self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("12h", 43_200),
            ("2w", 1_209_600),
        ] {
            assert_eq!(Age::parse(text), Ok(Age(Duration::seconds(seconds))));
        }
        for wrong in [
            "",
            "5",
            "d",
            "-1d",
            "1y",
            "5µ",
            "9999999999d",
            "4294967295w",
        ] {
            assert!(Age::parse(wrong).is_err(), "{wrong}");
        }
    }
}
