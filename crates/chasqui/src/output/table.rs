//! Tables without lines, and what stands in their cells.

use comfy_table::{Table, presets};

use super::tint::{Tint, colours};

/// Between two columns.
const GAP: u16 = 2;

/// What stands in a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tint: Tint,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tint::Plain)
    }
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, tint: Tint) -> Self {
        Self {
            text: text.into(),
            tint,
        }
    }

    fn shown(self) -> comfy_table::Cell {
        self.tint.on(comfy_table::Cell::new(visible(&self.text)))
    }
}

/// Rows under their headings, in columns; in colour if a terminal is to show them.
pub(crate) fn table<C: Into<Cell>, const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [C; N]>,
) -> String {
    aligned(headings, rows, colours())
}

fn aligned<C: Into<Cell>, const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [C; N]>,
    colours: bool,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).style_text_only();
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(headings.map(|heading| Cell::new(heading, Tint::Faint).shown()));
    for row in rows {
        table.add_row(row.map(|cell| cell.into().shown()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt()
}

/// Text of a stranger's, without what would steer the terminal or break the line.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// Octets, for people, rounded down.
pub(crate) fn size(octets: u64) -> String {
    if octets < 1_000 {
        return format!("{octets} B");
    }
    let mut tenths = octets / 100;
    for unit in ["kB", "MB", "GB"] {
        if tenths < 10_000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1_000;
    }
    format!("{}.{} TB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let rows = [["a", "1", ""], ["bbb", "", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            aligned(["NAME", "N", "REST"], rows, false),
            "NAME  N  REST\na     1\nbbb      x"
        );
    }

    #[test]
    fn characters_of_two_columns_count_as_two() {
        let rows = [["日本", "1"], ["ab", "2"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            aligned(["A", "N"], rows, false),
            "A     N\n日本  1\nab    2"
        );
    }

    #[test]
    fn colours_do_not_shift_columns() {
        let rows = [
            [Cell::new("held", Tint::Bad), "1".to_owned().into()],
            ["x".to_owned().into(), "2".to_owned().into()],
        ];
        let plain = aligned(["STATE", "N"], rows.clone(), false);
        let coloured = aligned(["STATE", "N"], rows, true);
        assert_ne!(coloured, plain);
        let mut stripped = coloured;
        while let Some((before, rest)) = stripped.split_once('\u{1b}') {
            let (_, after) = rest.split_once('m').unwrap();
            stripped = format!("{before}{after}");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_strangers_text_cannot_steer_the_terminal() {
        assert_eq!(visible("250 \u{1b}[2Jok\r\n"), "250 ?[2Jok??");
        let rows = [["\u{1b}[2J".to_owned()]];
        assert_eq!(aligned(["A"], rows, false), "A\n?[2J");
    }

    #[test]
    fn sizes_are_rounded_down() {
        for (octets, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (25_165_824, "25.1 MB"),
            (3_000_000_000_000_000, "3000.0 TB"),
        ] {
            assert_eq!(size(octets), shown);
        }
    }
}
