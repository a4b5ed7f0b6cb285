//! Text in aligned columns.

/// Rows under a heading; columns are as wide as their widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right_aligned: Vec<usize>,
}

impl Table {
    /// `right_aligned` lists the columns of numbers.
    pub(super) fn new(heading: &[&str], right_aligned: &[usize]) -> Self {
        let heading = heading.iter().map(|cell| (*cell).to_owned()).collect();
        Self { rows: vec![heading], right_aligned: right_aligned.to_vec() }
    }

    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = widths[column];
                if self.right_aligned.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_on_the_right() {
        let mut table = Table::new(&["NODE", "PRICE"], &[1]);
        table.row(["a-long-name".to_owned(), "0.10".to_owned()]);
        table.row(["é".to_owned(), "10.00".to_owned()]);
        assert_eq!(table.render(), "NODE         PRICE\na-long-name   0.10\né            10.00\n");
    }
}
