//! Why prompts or anchors could not be had.

use std::path::PathBuf;

/// Why prompts or anchors could not be had.
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
    /// Neither a built-in ensemble nor a file.
    #[error("no prompt ensemble `{name}`: it is neither built in ({known}) nor a file")]
    UnknownPrompts {
        /// What was asked for.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// A prompt file that cannot be used.
    #[error("{}:{line}: {problem}", path.display())]
    Prompts {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// `dataset:class` with a data set the ensemble does not describe.
    #[error("prompt ensemble `{prompts}` describes no data set `{dataset}` (it knows: {known})")]
    UnknownDataset {
        /// The ensemble.
        prompts: String,
        /// What was asked for.
        dataset: String,
        /// Its data sets.
        known: String,
    },
    /// `dataset:class` with a class the data set does not have.
    #[error("data set `{dataset}` has no class `{class}` (it has: {known})")]
    UnknownClass {
        /// The data set.
        dataset: String,
        /// What was asked for.
        class: String,
        /// Its classes.
        known: String,
    },
    /// A parameter no representative vector can have.
    #[error("{what} must be {expected}, not {found}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A clustering found no cluster.
    #[error(
        "dbscan with eps {eps} and min_samples {min_samples} finds no cluster among {count} sentences: \
         raise --anchor-eps, lower --anchor-min-samples, or use --anchors mean"
    )]
    NoCluster {
        /// The neighbourhood radius.
        eps: f64,
        /// Neighbours that make a core point.
        min_samples: usize,
        /// Sentences.
        count: usize,
    },
    /// Embeddings from which no direction can be taken.
    #[error("the sentences' embeddings give no direction ({0}): these weights cannot tell texts apart")]
    Degenerate(&'static str),
}
