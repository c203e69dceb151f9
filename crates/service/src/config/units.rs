//! Values with a unit, and secrets, as they are written in a configuration.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Reads a duration such as `500ms`, `30s`, `5m`, `4h`, `5d` or `1h30m`.
///
/// For `#[serde(deserialize_with = "service::config::duration")]`.
///
/// # Errors
/// When it is none.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is no duration: write 500ms, 30s, 5m, 4h, 5d or 1h30m"
        ))
    })
}

/// Reads a size in bytes such as `65536`, `64KiB`, `10MiB` or `1GiB`.
///
/// For `#[serde(deserialize_with = "service::config::size")]`.
///
/// # Errors
/// When it is none.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is no size: write a number of bytes, or 64KiB, 10MiB or 1GiB"
        ))
    })
}

/// Reads a secret, which no log and no `Debug` shows. An empty one counts as none.
///
/// For `#[serde(default, deserialize_with = "service::config::optional_secret")]`.
///
/// # Errors
/// When it is no text; the error doesn't show it.
pub fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    struct Secret;

    impl Visitor<'_> for Secret {
        type Value = Option<SecretString>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a secret text")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok((!text.is_empty()).then(|| SecretString::from(text)))
        }

        fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
            Ok((!text.is_empty()).then(|| SecretString::from(text)))
        }
    }

    deserializer.deserialize_string(Secret)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(60 * 60),
            "d" => Duration::from_secs(24 * 60 * 60),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number.try_into().ok()?)?)?;
        rest = next.trim_start();
    }
    Some(total)
}

fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text.trim())?;
    let unit = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_bear_their_unit() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("4h", 14_400_000),
            ("5d", 432_000_000),
            ("1h30m", 5_400_000),
            ("1m 5s", 65_000),
            ("0s", 0),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5x",
            "-5s",
            "1.5h",
            "5 minutes",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_bear_a_binary_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("10 MiB", 10_485_760),
            ("1GiB", 1_073_741_824),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "10MB", "1.5GiB", "-1", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
