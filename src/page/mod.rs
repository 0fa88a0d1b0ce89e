//! An evaluation as one self-contained HTML page, without network access or a second file.
//!
//! The string returned by [`EvaluationPage::render`] contains everything: the style sheet, the charts as
//! inline SVG, the pictures as `data:` addresses, and a script that only adds sorting by column. Its content
//! security policy forbids the browser to load anything or to run another script. The page follows the
//! reader's light or dark scheme, can be printed, and is readable at the width of a phone.
//!
//! Every string is escaped, values that are not finite are not drawn, and indistinguishable points of a curve
//! are drawn as one.

mod chart;
mod class;
mod document;
mod histogram;
mod shell;
mod table;
mod text;
mod training;
mod worst;

pub(crate) use shell::Shell;
pub(crate) use text::Text;
pub use training::{TrainingPage, TrainingSeries};

/// The content of an evaluation's page.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationPage<'a> {
    /// The title: "sdp on mvtec".
    pub title: &'a str,
    /// Model, adapters, settings, versions: pairs of name and value.
    pub facts: &'a [(String, String)],
    /// Warnings, shown at the top: "3 pictures could not be read".
    pub notes: &'a [String],
    /// The metrics of every class.
    pub table: &'a PageTable,
    /// Published figures beside those of this program.
    pub comparison: Option<&'a PageTable>,
    /// The curves of every class; the first is shown open and may be "all classes".
    pub classes: &'a [PageClass],
    /// False positives and false negatives, the worst of each kind first.
    pub worst: &'a [WorstPicture],
}

/// A table on the page. Short rows are filled with empty cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageTable {
    /// The content of the table and its unit.
    pub caption: String,
    /// The names of the columns, including the column of row names.
    pub head: Vec<String>,
    /// The first cell is the row's name; the last row is the mean.
    pub rows: Vec<Vec<String>>,
}

/// The charts of one class.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageClass {
    /// The class's name.
    pub name: String,
    /// Curves over the pictures' scores.
    pub image: Option<PageCurves>,
    /// Curves over the pixels of the maps.
    pub pixel: Option<PageCurves>,
    /// Scores of the good pictures, in 0..1.
    pub good_scores: Vec<f32>,
    /// Scores of the anomalous pictures, in 0..1.
    pub anomalous_scores: Vec<f32>,
    /// The lowest score of an anomalous picture: a line in the histogram.
    pub threshold: Option<f32>,
}

/// Curves of one level, each a list of points in drawing order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageCurves {
    /// False positive rate and true positive rate.
    pub roc: Vec<(f64, f64)>,
    /// Recall and precision.
    pub pr: Vec<(f64, f64)>,
    /// False positive rate (commonly up to 0.3) and mean overlap per region.
    pub pro: Option<Vec<(f64, f64)>>,
    /// Their figures: "AUROC 91.2 · AP 95.3 · F1 93.0".
    pub summary: String,
}

/// The kind of a wrong verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A good picture with a high score.
    FalsePositive,
    /// An anomalous picture with a low score.
    FalseNegative,
}

/// A picture with a wrong verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct WorstPicture {
    /// The kind of mistake.
    pub mistake: Mistake,
    /// The picture's class.
    pub class: String,
    /// The picture's file name.
    pub name: String,
    /// The picture's score, in 0..1.
    pub score: f32,
    /// The picture as a small JPEG file; empty if it is missing.
    pub thumbnail: Vec<u8>,
    /// The same size with the map and the outline of the mask over it; empty if it is missing.
    pub overlay: Vec<u8>,
    /// The width of both in pixels.
    pub width: u32,
    /// The height of both in pixels.
    pub height: u32,
}

impl EvaluationPage<'_> {
    /// The whole page as an HTML document.
    pub fn render(&self) -> String {
        document::document(self)
    }
}
