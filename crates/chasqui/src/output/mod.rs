//! What commands print: aligned tables for people, JSON for programs.

mod table;
mod tint;
mod when;

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use clap::Args;
use serde::Serialize;

pub(crate) use table::{Cell, size, table, visible};
pub(crate) use tint::{Tint, heading};
pub(crate) use when::{When, ago, ahead};

use crate::failure::Failure;

/// How to print. Results go to standard output, remarks to standard error.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Output {
    /// Print JSON, with field names that stay
    #[arg(long, global = true)]
    json: bool,
}

impl Output {
    /// Prints rows; `none` is what is said of no rows. In JSON they are one array.
    pub(crate) fn rows<R: Serialize, C: Into<Cell>, const N: usize>(
        self,
        rows: &[R],
        none: &str,
        headings: [&str; N],
        cells: impl Fn(&R) -> [C; N],
    ) -> Result<(), Failure> {
        if self.json {
            return json(&rows);
        }
        if rows.is_empty() {
            return line(&none);
        }
        line(&table(headings, rows.iter().map(cells)))
    }

    /// Prints one thing: as JSON, or in words.
    pub(crate) fn one<T: Serialize>(
        self,
        value: &T,
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json {
            json(value)
        } else {
            line(&words())
        }
    }

    /// Something to know besides the result.
    pub(crate) fn remark(self, text: impl Display) {
        // Standard error that can't be written to has nobody to miss it.
        let _ = writeln!(io::stderr(), "chasqui: {text}");
    }
}

fn line(text: &impl Display) -> Result<(), Failure> {
    write(|to| writeln!(to, "{text}"))
}

fn json(value: &impl Serialize) -> Result<(), Failure> {
    write(|to| {
        serde_json::to_writer_pretty(&mut *to, value)?;
        writeln!(to)
    })
}

fn write(text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    text(&mut stdout)
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)
}
