//! Mail addresses in what we tell about ourselves, hashed if the operator wants it.
//!
//! A hash stands for the local part and the domain stays, so that one recipient's lines can still
//! be told from another's and a destination's trouble be seen: `h-3f2a90c1d4e5b677@example.org`. It
//! is a pseudonym and no more: whoever has an address can compute its hash, and find its lines.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};
use tracing_subscriber::fmt::MakeWriter;

/// Octets of the hash that are shown: enough to tell a provider's users apart.
const SHOWN: usize = 8;

/// Keys of log lines, which stand right before an address: `recipient=someone@example.org`.
const KEYS: [&str; 6] = [
    "recipient=",
    "reverse_path=",
    "login=",
    "account=",
    "postmaster=",
    "mailbox=",
];

static HASHED: AtomicBool = AtomicBool::new(false);

/// Says for the whole process whether addresses are hashed.
pub(crate) fn hash_addresses(yes: bool) {
    HASHED.store(yes, Ordering::Relaxed);
}

/// A text as it may be shown.
pub(crate) fn shown(text: String) -> String {
    if HASHED.load(Ordering::Relaxed) {
        hashed(&text).into_owned()
    } else {
        text
    }
}

/// A text with all local parts hashed.
fn hashed(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, behind) = rest.split_at(at);
        let (kept, local_part) = before.split_at(start_of_local_part(before));
        let domain = domain_at(behind.get(1..).unwrap_or_default());
        out.push_str(kept);
        if local_part.is_empty() || domain.is_empty() {
            out.push_str(local_part);
        } else {
            out.push_str(&pseudonym(local_part, domain));
        }
        out.push('@');
        rest = behind.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// `h-` and the first octets of SHA-256 of the address in lower case.
fn pseudonym(local_part: &str, domain: &str) -> String {
    let address = format!("{local_part}@{domain}").to_lowercase();
    let hash = Sha256::digest(address.as_bytes());
    let shown = hash.iter().take(SHOWN);
    shown.fold("h-".to_owned(), |text, octet| format!("{text}{octet:02x}"))
}

/// Where the local part in front of an `@` begins: a quoted string, or atoms (RFC 5321 §4.1.2).
fn start_of_local_part(before: &str) -> usize {
    if let Some(quoted) = before.strip_suffix('"') {
        return quoted.rfind('"').unwrap_or(before.len());
    }
    let start = before
        .rfind(|c: char| !is_of_local_part(c))
        .map_or(0, |index| {
            index + before[index..].chars().next().map_or(1, char::len_utf8)
        });
    let key = KEYS.iter().find(|key| before[start..].starts_with(**key));
    start + key.map_or(0, |key| key.len())
}

fn is_of_local_part(c: char) -> bool {
    c.is_alphanumeric() || !c.is_ascii() || ".!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn domain_at(text: &str) -> &str {
    let is_of_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':');
    let end = text.find(|c| !is_of_domain(c)).unwrap_or(text.len());
    text[..end].trim_end_matches(['.', ':'])
}

/// Log lines on their way out.
pub(crate) struct Hashing<W>(pub(crate) W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Hashing<W> {
    type Writer = HashingWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        HashingWriter(self.0.make_writer())
    }
}

/// Each write is a whole line: so the subscriber does it.
pub(crate) struct HashingWriter<W>(W);

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if HASHED.load(Ordering::Relaxed) {
            let line = String::from_utf8_lossy(line);
            self.0.write_all(hashed(&line).as_bytes())?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "h-7a64adf28737ea90@example.org";

    #[test]
    fn an_address_has_one_pseudonym_wherever_it_stands() {
        let alice = pseudonym("alice", "example.org");
        let shown = format!("{alice}@example.org");
        for (text, expected) in [
            ("alice@example.org", shown.clone()),
            (
                "recipient=alice@example.org next",
                format!("recipient={shown} next"),
            ),
            ("<Alice@Example.org>", format!("<{alice}@Example.org>")),
            (
                r#"{"recipient":"alice@example.org,alice@example.org"}"#,
                format!(r#"{{"recipient":"{shown},{shown}"}}"#),
            ),
            (
                r#"reply="550 5.1.1 <alice@example.org>: unknown""#,
                format!(r#"reply="550 5.1.1 <{shown}>: unknown""#),
            ),
        ] {
            assert_eq!(hashed(text), expected);
        }
        assert_eq!(shown, ALICE);
    }

    #[test]
    fn no_part_of_a_local_part_stays() {
        for text in [
            "reverse_path=secret+tag=other.example@example.org",
            r#"<"secret words"@example.org>"#,
            "sécret@example.org",
        ] {
            assert!(!hashed(text).contains("cret"), "{}", hashed(text));
            assert!(hashed(text).contains("@example.org"));
        }
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in ["", "250 2.0.0 ok", "@", "a @ b", "user@", "@example.org"] {
            assert_eq!(hashed(text), text);
        }
    }
}
