//! Errors of prompts and anchors.

use std::path::PathBuf;

/// The reason why there are no prompts or anchors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// A prompt file could not be read.
    #[error("cannot read the prompt file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The name of neither a built-in ensemble nor a file.
    #[error("no prompt ensemble `{name}`: it is neither built in ({known}) nor a file")]
    UnknownPrompts {
        /// The requested name.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// A prompt file is invalid.
    #[error("{}:{line}: {problem}", path.display())]
    Prompts {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The problem in this line.
        problem: String,
    },
    /// `dataset:class` with a data set that the ensemble does not describe.
    #[error("prompt ensemble `{prompts}` has no data set `{dataset}` (it has: {known})")]
    UnknownDataset {
        /// The ensemble.
        prompts: String,
        /// The requested data set.
        dataset: String,
        /// Its data sets.
        known: String,
    },
    /// `dataset:class` with a class that the data set does not have.
    #[error("data set `{dataset}` has no class `{class}` (it has: {known})")]
    UnknownClass {
        /// The data set.
        dataset: String,
        /// The requested class.
        class: String,
        /// Its classes.
        known: String,
    },
    /// A parameter of a representative vector is out of range.
    #[error("{what} must be {expected}, not {found}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// The allowed values.
        expected: &'static str,
        /// The given value.
        found: String,
    },
    /// A clustering found no cluster.
    #[error("dbscan with eps {eps} and min_samples {min_samples} finds no cluster among {count} sentences")]
    NoCluster {
        /// The neighbourhood radius.
        eps: f64,
        /// Neighbours needed for a core point.
        min_samples: usize,
        /// Number of sentences.
        count: usize,
    },
    /// The embeddings have no common direction.
    #[error("the sentences' embeddings have no common direction ({0}): the text weights are unusable")]
    Degenerate(&'static str),
}
