//! Colour, where a terminal shows it and nobody objects.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};

/// How a text is set off. Colour only repeats what the words say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tint {
    #[default]
    Plain,
    Faint,
    Strong,
    Good,
    Doubtful,
    Bad,
}

impl Tint {
    /// Select Graphic Rendition (ECMA-48 §8.3.117): the eight old colours, which every theme
    /// makes readable.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Faint => Some("2"),
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Doubtful => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// Whether standard output is to be coloured: it is a terminal, which is no dumb one, and
/// `NO_COLOR` (no-color.org) is not set.
pub(crate) fn colours() -> bool {
    let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !objects && !is_dumb && io::stdout().is_terminal()
}

/// The text in its colour, or as it is.
pub(crate) fn painted(text: &str, tint: Tint, colours: bool) -> Cow<'_, str> {
    match tint.code().filter(|_| colours) {
        Some(code) => Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m")),
        None => Cow::Borrowed(text),
    }
}
