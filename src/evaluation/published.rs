//! The papers' figures for comparison.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::table::{Table, TableFormat, aligned};
use super::{EvaluationError, Row};
use crate::methods::Method;

const FILE: &str = include_str!("../../weights/published.toml");

/// Figures of one method on one data set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedFigures {
    /// The name of the method in its paper.
    pub name: String,
    /// The same method in this program, if any.
    pub method: Option<String>,
    /// The data set.
    pub dataset: String,
    /// The source of the figures.
    pub source: String,
    /// A remark needed for comparison.
    pub note: Option<String>,
    /// The mean over classes, in percent.
    #[serde(default)]
    pub mean: BTreeMap<String, f64>,
    /// Per class, in percent.
    #[serde(default)]
    pub classes: BTreeMap<String, BTreeMap<String, f64>>,
}

/// All published figures this program knows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    figures: Vec<PublishedFigures>,
}

/// The meaning of a key of the file, and the figure of this program to compare it with: image figures are
/// compared with those of the official evaluation's score.
const KEYS: [(&str, &str, &str); 7] = [
    ("image_auroc", "image_reference_auroc", "image AUROC"),
    ("image_ap", "image_reference_ap", "image AP"),
    ("image_f1", "image_reference_f1_max", "image F1-max"),
    ("pixel_auroc", "pixel_auroc", "pixel AUROC"),
    ("pixel_ap", "pixel_ap", "pixel AP"),
    ("pixel_f1", "pixel_f1_max", "pixel F1-max"),
    ("pixel_pro", "pixel_pro", "PRO"),
];

impl Published {
    /// The figures built into the program.
    ///
    /// # Errors
    /// The file is invalid or has an unknown key.
    pub fn load() -> Result<Self, EvaluationError> {
        let all: Self = toml::from_str(FILE).map_err(|e| EvaluationError::Published(e.to_string()))?;
        let keys =
            all.figures.iter().flat_map(|f| f.mean.keys().chain(f.classes.values().flat_map(|c| c.keys())));
        match keys.into_iter().find(|k| KEYS.iter().all(|(key, ..)| key != k)) {
            Some(unknown) => Err(EvaluationError::Published(format!("`{unknown}` is not a figure"))),
            None => Ok(all),
        }
    }

    /// All entries.
    pub fn figures(&self) -> &[PublishedFigures] {
        &self.figures
    }

    /// The entries of a data set beside `table`, those of `method` first.
    pub fn compare<'a>(&'a self, dataset: &str, method: &'static Method, table: &'a Table) -> Compared<'a> {
        let mut entries: Vec<&PublishedFigures> =
            self.figures.iter().filter(|f| f.dataset.eq_ignore_ascii_case(dataset)).collect();
        entries.sort_by_key(|f| f.method.as_deref() != Some(method.name));
        Compared { entries, method, table }
    }
}

/// Published figures beside a table of this program.
#[derive(Debug, Clone)]
pub struct Compared<'a> {
    entries: Vec<&'a PublishedFigures>,
    method: &'static Method,
    table: &'a Table,
}

impl Compared<'_> {
    /// Whether there are no published figures for the data set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Titles and cells in percent: each entry with the difference of this program in brackets, entries of
    /// the same method also per class; this program's mean last.
    pub fn cells(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let mut head = vec!["published figures".to_owned(), "class".to_owned()];
        head.extend(KEYS.iter().map(|(.., title)| (*title).to_owned()));
        let mut ours = vec![format!("ours, measured ({})", self.method.name), "mean".to_owned()];
        ours.extend(KEYS.iter().map(|(_, key, _)| super::table::percent(self.table.mean().value(key))));
        let mut rows = Vec::new();
        for entry in &self.entries {
            rows.push(compared(&entry.name, self.table.mean(), &entry.mean));
        }
        let same = |f: &&&PublishedFigures| f.method.as_deref() == Some(self.method.name);
        for entry in self.entries.iter().filter(same) {
            for row in self.table.rows() {
                if let Some(figures) = entry.classes.get(&row.name) {
                    rows.push(compared(&entry.name, row, figures));
                }
            }
        }
        rows.push(ours);
        (head, rows)
    }

    /// The comparison as text, with the sources.
    pub fn render(&self, format: TableFormat) -> String {
        let (head, rows) = self.cells();
        let mut text = aligned(format, head, rows);
        text += "Published, not measured here; (our difference). Image figures are compared with our ref. columns.\n";
        for entry in &self.entries {
            let note = entry.note.as_ref().map_or(String::new(), |n| format!(" {n}"));
            text += &format!("- {}: {}.{note}\n", entry.name, entry.source);
        }
        text
    }
}

fn compared(name: &str, ours: &Row, published: &BTreeMap<String, f64>) -> Vec<String> {
    let mut cells = vec![name.to_owned(), ours.name.clone()];
    for (key, ours_key, _) in KEYS {
        cells.push(match (published.get(key), ours.value(ours_key)) {
            (None, _) => "-".to_owned(),
            (Some(p), None) => format!("{p:.1}"),
            (Some(p), Some(v)) => format!("{p:.1} ({:+.1})", v * 100.0 - p),
        });
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_well_formed_and_in_percent() {
        let all = Published::load().unwrap();
        assert!(all.figures().len() > 15);
        for entry in all.figures() {
            let values = entry.mean.values().chain(entry.classes.values().flat_map(|c| c.values()));
            assert!(
                values.into_iter().all(|v| (0.5..=100.0).contains(v)),
                "{} {}",
                entry.name,
                entry.dataset
            );
            let known = entry.method.as_deref().is_none_or(|m| Method::find(m).is_some());
            assert!(known && !entry.source.is_empty(), "{}", entry.name);
        }
    }

    /// The mean of AA-CLIP's own table is the mean of its classes.
    #[test]
    fn a_mean_is_the_mean_of_its_classes() {
        let all = Published::load().unwrap();
        let log = all.figures().iter().find(|f| f.dataset == "MVTec" && !f.classes.is_empty()).unwrap();
        assert_eq!(log.classes.len(), 15);
        for (key, mean) in &log.mean {
            let sum: f64 = log.classes.values().map(|c| c[key]).sum();
            assert!((sum / 15.0 - mean).abs() < 0.02, "{key}: {}", sum / 15.0);
        }
    }
}
