//! Making foreign text safe to write into a header.

/// At most `limit` characters of `text`, with whatever is not printable ASCII shown as `?`: a
/// text from elsewhere can neither break a line nor bring octets above 127.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    keep(text, limit, |c| matches!(c, ' '..='~'))
}

/// Like [`printable`], for a single word of a trace field: a domain, a literal or an id. Spaces,
/// parentheses and the semicolon would end the word, so they become `?` as well.
pub(crate) fn word(text: &str, limit: usize) -> String {
    keep(text, limit, |c| {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.:[]@".contains(c)
    })
}

fn keep(text: &str, limit: usize, is_fine: impl Fn(char) -> bool) -> String {
    text.chars()
        .take(limit)
        .map(|c| if is_fine(c) { c } else { '?' })
        .collect()
}

/// Adds `text` to `output` in lines of at most `width` characters, broken at spaces, each after
/// the first preceded by `line_break`. A word longer than a line stands alone on one.
pub(crate) fn wrap_into(output: &mut String, text: &str, width: usize, line_break: &str) {
    let mut room = width;
    for (index, word) in text.split_ascii_whitespace().enumerate() {
        if index > 0 {
            if word.len() < room {
                output.push(' ');
                room -= 1;
            } else {
                output.push_str(line_break);
                room = width;
            }
        }
        output.push_str(word);
        room = room.saturating_sub(word.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_break_out() {
        assert_eq!(printable("a\r\nBcc: \u{e9}", 100), "a??Bcc: ?");
        assert_eq!(printable("abcdef", 3), "abc");
        assert_eq!(word("[127.0.0.1] (x);", 100), "[127.0.0.1]??x??");
    }

    #[test]
    fn text_wraps_at_spaces() {
        let mut output = String::new();
        wrap_into(&mut output, "one two  three fourteen-x five", 9, "|");
        assert_eq!(output, "one two|three|fourteen-x|five");
    }
}
