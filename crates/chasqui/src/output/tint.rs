//! Colour, where a terminal shows it and nobody objects.

use std::io::{self, IsTerminal as _};

use clap::builder::styling::Style;
use comfy_table::{Attribute, Cell, Color};

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
    /// Only the eight old colours, which every theme makes readable.
    pub(super) fn on(self, cell: Cell) -> Cell {
        match self {
            Self::Plain => cell,
            Self::Faint => cell.add_attribute(Attribute::Dim),
            Self::Strong => cell.add_attribute(Attribute::Bold),
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Doubtful => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed),
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

/// The text as a heading of what follows.
pub(crate) fn heading(text: &str) -> String {
    if !colours() {
        return text.to_owned();
    }
    let bold = Style::new().bold();
    format!("{bold}{text}{bold:#}")
}
