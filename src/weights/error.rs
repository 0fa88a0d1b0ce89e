//! The reasons why a checkpoint cannot be used.

use std::path::PathBuf;

/// The reason why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", file.display())]
    Io {
        /// The checkpoint.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A model folder without weights.
    #[error(
        "{} contains no weights: expected open_clip_model.safetensors, model.safetensors (or its index), \
         a PyTorch .bin, .pt or .pth file",
        dir.display()
    )]
    NoWeights {
        /// The model folder.
        dir: PathBuf,
    },
    /// A model folder has several possible weight files.
    #[error(
        "{} contains several weight files ({} and {}): keep one, or rename one to open_clip_model.safetensors",
        dir.display(), one.file_name().unwrap_or_default().display(), other.file_name().unwrap_or_default().display()
    )]
    Ambiguous {
        /// The model folder.
        dir: PathBuf,
        /// One of them.
        one: PathBuf,
        /// Another.
        other: PathBuf,
    },
    /// The file has no supported format.
    #[error("{} is not a checkpoint: {what}", file.display())]
    UnknownFormat {
        /// The file.
        file: PathBuf,
        /// A description of its content, with advice.
        what: &'static str,
    },
    /// A checkpoint without the tensors of a CLIP model.
    #[error(
        "{} is not a CLIP model: it has no tensor `{missing}` ({})",
        file.display(),
        match first { Some(first) => format!("{count} tensors, the first is `{first}`"), None => "no tensor".to_owned() }
    )]
    NotClip {
        /// The checkpoint.
        file: PathBuf,
        /// The missing tensor, by its open_clip name.
        missing: String,
        /// The number of its tensors.
        count: usize,
        /// One of them.
        first: Option<String>,
    },
    /// A CLIP model whose tensors do not tell its configuration.
    #[error("{}: {problem}, expected {expected}", file.display())]
    Shapeless {
        /// The checkpoint.
        file: PathBuf,
        /// The tensor and its shape.
        problem: String,
        /// The expected shape.
        expected: &'static str,
    },
    /// A checkpoint is cut off or inconsistent.
    #[error("{} is damaged: {what}", file.display())]
    Damaged {
        /// The checkpoint.
        file: PathBuf,
        /// The problem.
        what: String,
    },
    /// A valid file has an unsupported part.
    #[error("{}: {what} is not supported", file.display())]
    Unsupported {
        /// The checkpoint.
        file: PathBuf,
        /// The part.
        what: String,
    },
    /// A pickle calls a function that is not allowed.
    #[error("{} calls the function `{function}`, which is not allowed: the file was rejected and nothing was run", file.display())]
    Forbidden {
        /// The checkpoint.
        file: PathBuf,
        /// The function, as the file names it.
        function: String,
    },
    /// A shard that an index names does not exist.
    #[error("{} names the shard `{shard}`, which does not exist: download it too", file.display())]
    ShardMissing {
        /// The index.
        file: PathBuf,
        /// The missing file.
        shard: String,
    },
    /// The file lacks a tensor of the model.
    #[error("{} has no tensor `{tensor}` (expected with shape {expected:?}): it was made for another model or is incomplete", file.display())]
    Missing {
        /// The checkpoint.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its expected shape.
        expected: Vec<usize>,
    },
    /// A tensor's shape differs from the model's configuration.
    #[error("{}: tensor `{tensor}` has shape {found:?}, the configuration needs {expected:?}", file.display())]
    Shape {
        /// The checkpoint.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape in the configuration.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The file has tensors that are not part of the model.
    #[error(
        "{} contains {count} tensors that are not part of the configured model ({}{}): it was made for another model",
        file.display(), tensors.join(", "), if *count > tensors.len() { ", .." } else { "" }
    )]
    Unexpected {
        /// The checkpoint.
        file: PathBuf,
        /// The first of them.
        tensors: Vec<String>,
        /// Their number.
        count: usize,
    },
    /// A tensor has a type that is not for weights.
    #[error("{}: tensor `{tensor}` has type {found}, expected a floating-point type", file.display())]
    Type {
        /// The checkpoint.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type in the file.
        found: &'static str,
    },
    /// A value is not finite.
    #[error("{}: tensor `{tensor}` has the value {value} at position {index}: the weights are damaged", file.display())]
    NotFinite {
        /// The checkpoint.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
        /// Its position, row-major.
        index: usize,
    },
}
