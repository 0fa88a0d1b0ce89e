//! An evaluation as one HTML page that needs nothing else: no network, no second file, no script.
//!
//! Everything is in the one string that [`EvaluationPage::render`] returns: the style sheet, the charts as
//! inline SVG, the pictures as `data:` addresses, and a script that only adds sorting by column. The page says
//! to the browser (by a content security policy) that nothing may be loaded and no other script may run.
//! It follows the reader's light or dark scheme, prints, and can be read at the width of a telephone.
//!
//! Every string is escaped, values that are not finite are left out of the drawings, and curves of any length
//! are thinned to at most 500 points that draw the same line.

mod chart;
mod class;
mod document;
mod histogram;
mod inline;
mod table;
mod text;
mod thin;
mod training;
mod worst;

pub(crate) use inline::Inline;
#[cfg(feature = "serve")]
pub(crate) use inline::unix_lines;
pub(crate) use text::Text;
pub use training::{TrainingPage, TrainingSeries};

#[cfg(test)]
mod tests;

/// What the page of one evaluation shows.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationPage<'a> {
    /// The headline: "sdp on mvtec".
    pub title: &'a str,
    /// Model, adapters, settings, versions: a name and a value each.
    pub facts: &'a [(String, String)],
    /// Warnings, shown at the top: "3 pictures could not be read".
    pub notes: &'a [String],
    /// The metrics of every class.
    pub table: &'a PageTable,
    /// Published figures beside ours.
    pub comparison: Option<&'a PageTable>,
    /// The curves of every class; the first is shown open and may be "all classes".
    pub classes: &'a [PageClass],
    /// False positives and false negatives, the worst of each kind first.
    pub worst: &'a [WorstPicture],
}

/// A table as the page shows it. Rows shorter than the longest one are filled with empty cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageTable {
    /// What the table shows and in which unit.
    pub caption: String,
    /// The names of the columns, the row's name included.
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
    /// The score from which a picture counts as anomalous: a line in the histogram.
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
    /// The figures that go with them: "AUROC 91.2 · AP 95.3 · F1 93.0".
    pub summary: String,
}

/// How the detector was wrong about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A good picture with a high score.
    FalsePositive,
    /// An anomalous picture with a low score.
    FalseNegative,
}

/// A picture the detector was wrong about.
#[derive(Debug, Clone, PartialEq)]
pub struct WorstPicture {
    /// In which way.
    pub mistake: Mistake,
    /// The picture's class.
    pub class: String,
    /// The picture's file name.
    pub name: String,
    /// The picture's score, in 0..1.
    pub score: f32,
    /// The picture as a small JPEG file; empty where there is none.
    pub thumbnail: Vec<u8>,
    /// The same size with the map and the outline of the mask over it; empty where there is none.
    pub overlay: Vec<u8>,
    /// The width of both in pixels.
    pub width: u32,
    /// The height of both in pixels.
    pub height: u32,
}

impl EvaluationPage<'_> {
    /// The whole page as an HTML document.
    pub fn render(&self) -> String {
        document::document(self).into_string()
    }
}
