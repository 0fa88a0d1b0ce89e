//! A table of classes with their mean.

use std::collections::BTreeMap;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::ClassEvaluation;
use crate::metrics::Ranking;
use crate::output::{BYTE_ORDER_MARK, cell};

/// A figure of a table.
#[derive(Debug)]
pub struct Metric {
    /// The column's name in CSV and JSON.
    pub key: &'static str,
    /// The column's title.
    pub title: &'static str,
    of: fn(&ClassEvaluation) -> Option<f64>,
}

/// This program's image score.
fn image(class: &ClassEvaluation) -> Option<&Ranking> {
    class.image.as_ref()
}

/// The official evaluation's image score.
fn reference(class: &ClassEvaluation) -> Option<&Ranking> {
    class.image_reference.as_ref()
}

/// All pixels.
fn pixel(class: &ClassEvaluation) -> Option<&Ranking> {
    class.pixel.as_ref()?.ranking.as_ref()
}

impl Metric {
    /// All figures, in the order of columns: AUROC, average precision and F1-max of this program's image
    /// score, of the official evaluation's image score and of the pixels, and AUPRO.
    pub const ALL: [Self; 10] = [
        Self { key: "image_auroc", title: "img AUROC", of: |c| Some(image(c)?.auroc) },
        Self { key: "image_ap", title: "img AP", of: |c| Some(image(c)?.average_precision) },
        Self { key: "image_f1_max", title: "img F1", of: |c| Some(image(c)?.f1_max) },
        Self { key: "image_reference_auroc", title: "ref AUROC", of: |c| Some(reference(c)?.auroc) },
        Self { key: "image_reference_ap", title: "ref AP", of: |c| Some(reference(c)?.average_precision) },
        Self { key: "image_reference_f1_max", title: "ref F1", of: |c| Some(reference(c)?.f1_max) },
        Self { key: "pixel_auroc", title: "px AUROC", of: |c| Some(pixel(c)?.auroc) },
        Self { key: "pixel_ap", title: "px AP", of: |c| Some(pixel(c)?.average_precision) },
        Self { key: "pixel_f1_max", title: "px F1", of: |c| Some(pixel(c)?.f1_max) },
        Self { key: "pixel_pro", title: "PRO", of: |c| c.pixel.as_ref()?.aupro },
    ];
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The class, or "mean".
    pub name: String,
    /// Good pictures.
    pub good: usize,
    /// Damaged pictures.
    pub anomalous: usize,
    /// Figures in 0..1 in the order of [`Metric::ALL`]; `None` if it is missing.
    pub values: [Option<f64>; 10],
}

impl Row {
    /// The figure with a [`Metric::key`].
    pub fn value(&self, key: &str) -> Option<f64> {
        Metric::ALL.iter().position(|metric| metric.key == key).and_then(|i| self.values[i])
    }
}

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TableFormat {
    /// For a terminal, in percent.
    #[default]
    Text,
    /// Markdown, in percent.
    Markdown,
    /// Comma-separated, 0..1, all digits.
    Csv,
    /// The same after a byte order mark, by which Excel knows that the text is UTF-8.
    CsvBom,
    /// One object: classes with all figures and thresholds, and their mean, in 0..1.
    Json,
}

/// The figures of all classes, and their mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    classes: Vec<ClassEvaluation>,
    rows: Vec<Row>,
    mean: Row,
}

impl Table {
    /// Combines classes. The mean of a figure is over the classes that have it.
    pub fn new(classes: Vec<ClassEvaluation>) -> Self {
        let row = |c: &ClassEvaluation| Row {
            name: c.class.clone(),
            good: c.good,
            anomalous: c.anomalous,
            values: Metric::ALL.map(|m| (m.of)(c)),
        };
        let rows: Vec<Row> = classes.iter().map(row).collect();
        let mean_of = |i: usize| {
            let values: Vec<f64> = rows.iter().filter_map(|r| r.values[i]).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let mean = Row {
            name: "mean".to_owned(),
            good: rows.iter().map(|r| r.good).sum(),
            anomalous: rows.iter().map(|r| r.anomalous).sum(),
            values: std::array::from_fn(mean_of),
        };
        Self { classes, rows, mean }
    }

    /// The classes.
    pub fn classes(&self) -> &[ClassEvaluation] {
        &self.classes
    }

    /// One row per class.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The mean; its counts are sums.
    pub fn mean(&self) -> &Row {
        &self.mean
    }

    /// Titles and cells in percent, the mean last; empty columns are left out.
    pub fn cells(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let used: Vec<usize> =
            (0..Metric::ALL.len()).filter(|&i| self.rows.iter().any(|r| r.values[i].is_some())).collect();
        let mut head = vec!["class".to_owned(), "good".to_owned(), "defective".to_owned()];
        head.extend(used.iter().map(|&i| Metric::ALL[i].title.to_owned()));
        let cells = |row: &Row| {
            let mut cells = vec![row.name.clone(), row.good.to_string(), row.anomalous.to_string()];
            cells.extend(used.iter().map(|&i| percent(row.values[i])));
            cells
        };
        (head, self.rows.iter().chain([&self.mean]).map(cells).collect())
    }

    /// The table as text.
    ///
    /// # Errors
    /// `about` cannot be serialised.
    pub fn render(&self, format: TableFormat, about: &impl Serialize) -> std::io::Result<String> {
        match format {
            TableFormat::Text | TableFormat::Markdown => {
                let (head, cells) = self.cells();
                Ok(aligned(format, head, cells))
            }
            TableFormat::Csv => self.csv(),
            TableFormat::CsvBom => Ok(BYTE_ORDER_MARK.to_owned() + &self.csv()?),
            TableFormat::Json => {
                let values =
                    |row: &Row| Metric::ALL.iter().zip(row.values).map(|(m, v)| (m.key, v)).collect();
                let object = Document {
                    schema: 1,
                    about,
                    classes: &self.classes,
                    table: self.rows.iter().map(|r| (r.name.as_str(), values(r))).collect(),
                    mean: values(&self.mean),
                };
                Ok(serde_json::to_string_pretty(&object)? + "\n")
            }
        }
    }

    fn csv(&self) -> std::io::Result<String> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let head = ["class", "good", "defective"].into_iter().chain(Metric::ALL.map(|m| m.key));
        out.write_record(head).map_err(std::io::Error::other)?;
        for row in self.rows.iter().chain([&self.mean]) {
            let mut cells =
                vec![cell(&row.name).into_owned(), row.good.to_string(), row.anomalous.to_string()];
            cells.extend(row.values.iter().map(|v| v.map_or(String::new(), |v| v.to_string())));
            out.write_record(cells).map_err(std::io::Error::other)?;
        }
        let bytes = out.into_inner().map_err(|e| std::io::Error::other(e.to_string()))?;
        String::from_utf8(bytes).map_err(std::io::Error::other)
    }
}

/// A table as JSON.
#[derive(Serialize)]
struct Document<'a, A> {
    schema: u32,
    about: &'a A,
    classes: &'a [ClassEvaluation],
    table: BTreeMap<&'a str, BTreeMap<&'static str, Option<f64>>>,
    mean: BTreeMap<&'static str, Option<f64>>,
}

/// A figure in percent with one decimal, as in the papers; `-` if it is missing.
pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |v| format!("{:.1}", v * 100.0))
}

/// Rows under a header, numbers right-aligned.
pub(super) fn aligned(format: TableFormat, head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let (edge, between, fill, crossing) =
        if format == TableFormat::Markdown { ("|", "|", "-", "|") } else { ("", " ", "─", "─") };
    let lines = || std::iter::once(&head).chain(&rows);
    let width =
        |column: usize| lines().filter_map(|cells| Some(cells.get(column)?.width())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(i, (cell, width))| {
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            if i == 0 { format!(" {cell}{blanks} ") } else { format!(" {blanks}{cell} ") }
        });
        let text = format!("{edge}{}{edge}", padded.collect::<Vec<_>>().join(between));
        text.trim_end().to_owned() + "\n"
    };
    let rule = widths.iter().map(|width| fill.repeat(width + 2)).collect::<Vec<_>>().join(crossing);
    line(&head) + &format!("{edge}{rule}{edge}\n") + &rows.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = || vec![row(["bottle", "20", "97.1"]), row(["猫猫 é", "1234", "-"])];
        let head = || row(["class", "good", "img AP"]);
        let text = aligned(TableFormat::Text, head(), rows());
        let expected = "
 class    good   img AP
────────────────────────
 bottle     20     97.1
 猫猫 é   1234        -
";
        assert_eq!(text, expected[1..]);
        let text = aligned(TableFormat::Markdown, head(), rows());
        let expected = "
| class  | good | img AP |
|--------|------|--------|
| bottle |   20 |   97.1 |
| 猫猫 é | 1234 |      - |
";
        assert_eq!(text, expected[1..]);
    }
}
