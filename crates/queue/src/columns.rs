//! Columns of a batch: how our types become the arrays that a statement unnests.

use std::fmt::{Display, Write as _};

use smtp::Body;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, Postgres};
use sqlx::types::Type;

use crate::content::Content;

/// A `bytea` written straight from the two parts of a content.
pub(crate) struct ContentColumn<'a>(pub(crate) &'a Content);

impl Type<Postgres> for ContentColumn<'_> {
    fn type_info() -> PgTypeInfo {
        <[u8] as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for ContentColumn<'_> {
    fn array_type_info() -> PgTypeInfo {
        <Vec<u8> as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for ContentColumn<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        for part in self.0.parts() {
            buffer.extend_from_slice(&part);
        }
        Ok(IsNull::No)
    }
}

/// A `bytea[]` within a column: arrays of arrays of differing lengths don't exist in Postgres, so
/// it travels as text in hexadecimal and is cast.
pub(crate) fn bytea_array<T: Display>(elements: impl IntoIterator<Item = T>) -> String {
    let mut text = String::from("{");
    for (index, element) in elements.into_iter().enumerate() {
        text.push_str(if index == 0 { r#""\\x"# } else { r#","\\x"# });
        for byte in element.to_string().bytes() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('"');
    }
    text.push('}');
    text
}

/// An `int[]` within a column, as text to be cast.
pub(crate) fn int_array(elements: impl IntoIterator<Item = i32>) -> String {
    let mut text = String::from("{");
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{element}");
    }
    text.push('}');
    text
}

/// Longest text that others may have us store, in characters.
const MAX_TEXT: usize = 1000;

/// A text from elsewhere as one line of bounded length, without what Postgres refuses (NUL) and
/// what would spoil an operator's terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// `queue.message.body`.
pub(crate) fn body_column(body: Body) -> i16 {
    match body {
        Body::SevenBit => 7,
        Body::EightBitMime => 8,
    }
}

/// The way back from [`body_column`].
pub(crate) fn body_of_column(column: i16) -> Body {
    if column == 7 {
        Body::SevenBit
    } else {
        Body::EightBitMime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_within_columns_are_array_literals() {
        assert_eq!(bytea_array(["a@b", "c"]), r#"{"\\x614062","\\x63"}"#);
        assert_eq!(bytea_array::<&str>([]), "{}");
        assert_eq!(int_array([1, -2, 30]), "{1,-2,30}");
    }

    #[test]
    fn texts_from_elsewhere_are_one_bounded_line() {
        assert_eq!(one_line("a\r\nb\0c\u{7f}é"), "a  b c é");
        assert_eq!(one_line(&"x".repeat(5000)).len(), MAX_TEXT);
    }
}
