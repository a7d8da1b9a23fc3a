//! Tables for people: columns as wide as their widest cell, numbers to the right, two spaces between.

/// Lines of a table with `head` above `rows`. `right` names the columns (from 0) that hold numbers.
pub(super) fn lines(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = vec![line(head.to_vec())];
    text.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    text.join("\n")
}

/// A cell on one line, without control characters: what a caller sends must not steer a terminal.
pub(super) fn plain(cell: &str) -> String {
    cell.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn columns_line_up_and_nothing_steers_the_terminal() {
        let rows = vec![vec!["ast1".to_owned(), "7".to_owned()], vec!["\u{1b}[2J".to_owned(), "120".to_owned()]];
        assert_eq!(lines(&["NODE", "CALLS"], &rows, &[1]), "NODE  CALLS\nast1      7\n\u{fffd}[2J    120");
    }
}
