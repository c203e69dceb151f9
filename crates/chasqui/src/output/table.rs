//! Tables without lines, and what stands in their cells.

use comfy_table::{Table, presets};

/// Between two columns.
const GAP: u16 = 2;

/// Rows under their headings, in columns.
pub(crate) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| visible(&cell)));
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
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let rows = [["a", "1"], ["bbb", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["NAME", "N"], rows), "NAME  N\na     1\nbbb");
    }

    #[test]
    fn a_strangers_text_cannot_steer_the_terminal() {
        assert_eq!(visible("250 \u{1b}[2Jok\r\n"), "250 ?[2Jok??");
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
