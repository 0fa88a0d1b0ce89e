//! Tables of figures.

use maud::{Markup, html};

use super::{PageTable, text::Text};

/// The table in a box that scrolls horizontally on narrow screens; the last row, the mean, is its footer.
pub(super) fn table(table: &PageTable) -> Markup {
    let columns = table.rows.iter().map(Vec::len).chain([table.head.len()]).max().unwrap_or(0);
    let Some((mean, rows)) = table.rows.split_last() else {
        return html! { p class="muted" { (Text(&table.caption)) " No rows." } };
    };
    let numeric: Vec<bool> = (0..columns).map(|column| is_numeric(table, column)).collect();
    html! {
        div class="scroll" tabindex="0" role="region" aria-label=(Text(&table.caption)) {
            table class="sortable" {
                caption { (Text(&table.caption)) }
                thead {
                    tr {
                        @for (column, numeric) in numeric.iter().enumerate() {
                            th scope="col" class=[numeric.then_some("number")] {
                                bdi { (Text(cell(&table.head, column))) }
                            }
                        }
                    }
                }
                tbody { @for cells in rows { (row(cells, &numeric)) } }
                tfoot { (row(mean, &numeric)) }
            }
        }
    }
}

fn row(cells: &[String], numeric: &[bool]) -> Markup {
    html! {
        tr {
            @for (column, numeric) in numeric.iter().enumerate() {
                @if column == 0 {
                    th scope="row" { bdi { (Text(cell(cells, column))) } }
                } @else {
                    td class=[numeric.then_some("number")] { (Text(cell(cells, column))) }
                }
            }
        }
    }
}

fn cell(cells: &[String], column: usize) -> &str {
    cells.get(column).map_or("", String::as_str)
}

/// Whether a column has figures: its cells are numbers or mark missing figures.
fn is_numeric(table: &PageTable, column: usize) -> bool {
    let mut cells = table.rows.iter().map(|row| cell(row, column).trim());
    column > 0
        && cells.clone().any(|cell| cell.contains(|c: char| c.is_ascii_digit()))
        && cells.all(|cell| {
            let figure =
                cell.trim_start_matches(['+', '-', '\u{2212}', '\u{b1}']).trim_end_matches('%').trim();
            matches!(figure, "" | "\u{2013}" | "\u{2014}" | "n/a") || figure.parse::<f64>().is_ok()
        })
}
