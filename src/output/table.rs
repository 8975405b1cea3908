//! The original's text table.

use super::Colour;

/// Titles and rows of cells.
#[derive(Debug, Clone, Default)]
pub struct Table {
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
    colours: Vec<Option<(usize, Colour)>>,
    trailing_blank: bool,
}

impl Table {
    /// A table without rows.
    pub fn new<T: Into<String>>(titles: impl IntoIterator<Item = T>) -> Self {
        Table {
            titles: titles.into_iter().map(Into::into).collect(),
            ..Table::default()
        }
    }

    /// Ends each row with a blank, as the original does in some tables.
    #[must_use]
    pub fn with_trailing_blank(mut self, trailing_blank: bool) -> Self {
        self.trailing_blank = trailing_blank;
        self
    }

    /// Adds a row of as many cells as there are titles.
    pub fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.titles.len());
        self.rows.push(row);
        self.colours.push(None);
    }

    /// Colours one cell of the last row; its width stays.
    pub fn colour(&mut self, column: usize, colour: Colour) {
        if let Some(last) = self.colours.last_mut() {
            *last = Some((column, colour));
        }
    }

    /// Header, rule and rows; every cell, also the last, is filled up to the width of its column.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.titles.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .chain(self.titles.get(column))
                    .map(|cell| width(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String], colour: Option<(usize, Colour)>| {
            let filled: Vec<String> = cells
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| match colour {
                    Some((coloured, colour)) if coloured == column => colour.paint(&fill(cell, *width)),
                    _ => fill(cell, *width),
                })
                .collect();
            format!(" {}", filled.join(" | "))
        };
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let end = if self.trailing_blank { " \n" } else { "\n" };
        let mut text = format!("{}\n-{}-\n", line(&self.titles, None), rule.join("-+-"));
        for (row, colour) in self.rows.iter().zip(&self.colours) {
            text.push_str(&line(row, *colour));
            text.push_str(end);
        }
        text
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

fn fill(cell: &str, to: usize) -> String {
    format!("{cell}{}", " ".repeat(to.saturating_sub(width(cell))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(trailing_blank: bool) -> String {
        let mut table = Table::new(["ID", "Name", "Role"]).with_trailing_blank(trailing_blank);
        table.push(vec!["1".to_owned(), "node1".to_owned(), "primary".to_owned()]);
        table.push(vec!["12".to_owned(), "ä".to_owned(), String::new()]);
        table.render().replace(' ', ".")
    }

    #[test]
    fn a_colour_changes_no_width() {
        let mut table = Table::new(["ID", "Status"]);
        table.push(vec!["1".to_owned(), "* running".to_owned()]);
        table.push(vec!["2".to_owned(), "- failed".to_owned()]);
        let plain = table.render();
        table.colour(1, Colour::Red);
        let coloured = table.render();
        assert!(coloured.contains("\u{1b}[31m- failed \u{1b}[0m"), "{coloured}");
        assert_eq!(coloured.replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""), plain);
    }

    #[test]
    fn cells_are_filled_and_rows_end_as_asked() {
        insta::assert_snapshot!(sample(false), @r"
        .ID.|.Name..|.Role...
        ----+-------+---------
        .1..|.node1.|.primary
        .12.|.ä.....|........
        ");
        insta::assert_snapshot!(sample(true), @r"
        .ID.|.Name..|.Role...
        ----+-------+---------
        .1..|.node1.|.primary.
        .12.|.ä.....|.........
        ");
    }
}
