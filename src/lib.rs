//! Zero-shot visual anomaly detection with CLIP: the methods of CLIP-AD, AA-CLIP and WinCLIP in plain Rust.
//!
//! ```no_run
//! use aaclip::Detector;
//! use aaclip::image::{DecodeOptions, decode};
//!
//! # fn main() -> aaclip::Result<()> {
//! let detector = Detector::builder("builtin").class("bottle").build()?;
//! let picture = decode("bottle.png".as_ref(), &DecodeOptions::default())?;
//! let found = detector.detect(&picture)?;
//! println!("{:.4} {:?}", found.score, found.probabilities().dim());
//! # Ok(())
//! # }
//! ```
//!
//! Data flows one way through the modules:
//!
//! ```text
//! image  ->  clip towers  ->  anchors  ->  methods (similarity map, score)  ->  map  ->  output
//! ```
//!
//! | module | content |
//! | --- | --- |
//! | [`image`] | decoding with limits, Pillow-exact resampling, normalisation |
//! | [`clip`] | configuration, tokenizer, vision and text towers |
//! | [`kernels`] | arithmetic of the towers on the CPU |
//! | [`weights`] | checkpoint readers, tensor names |
//! | [`models`] | model registry, hub cache, downloads |
//! | [`anchors`] | prompt ensembles and the vectors that represent them |
//! | [`methods`] | a folder per method: its walk, its trained weights, its score |
//! | [`detector`] | from names and files to a detector, from a picture to a result |
//! | [`map`] | resampling, smoothing and regions of anomaly maps |
//! | [`tiles`] | large pictures in overlapping squares, their maps blended |
//! | [`metrics`] | AUROC, average precision, F1-max and PRO of scores and maps |
//! | [`calibration`] | thresholds from known pictures |
//! | [`evaluation`] | results of labelled pictures, the references' rules, tables |
//! | [`journal`] | results that survive an interruption |
//! | [`batch`] | folders of pictures: listing, shards, resuming, watching |
//! | [`worker`] | requests and answers, line by line |
//! | [`output`] | records and pictures |
//! | [`dataset`] | labelled pictures, read in the layouts they are published in |
//! | [`train`] | training of adapters |
//! | [`gallery`] | the results of a folder as an HTML page with thumbnails |
//! | [`page`] | an evaluation as one self-contained HTML page |
//! | [`serve`] | a local HTTP server |
//!
//! Errors ([`Error`]), [`progress`], [`pipeline`], [`device`], [`lines`], [`passed`] and [`files`] are the only things every module shares.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The example of the documentation is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryPage;

pub mod anchors;
pub mod batch;
pub mod calibration;
pub mod clip;
pub mod dataset;
pub mod detector;
pub mod device;
mod error;
pub mod evaluation;
pub mod files;
#[cfg(feature = "report")]
pub mod gallery;
mod guard;
pub mod image;
pub mod journal;
pub mod kernels;
pub mod lines;
pub mod map;
pub mod memory;
pub mod methods;
pub mod metrics;
pub mod models;
pub mod output;
#[cfg(feature = "report")]
pub mod page;
pub mod passed;
pub mod pipeline;
mod printable;
pub mod progress;
mod provenance;
#[cfg(feature = "serve")]
pub mod serve;
pub mod tiles;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;
pub mod worker;

pub use detector::{
    Detection, Detector, DetectorBuilder, Detectors, Look, PictureName, PreparedPicture, References, Scorer,
    ScorerSettings, Source, Timing,
};
pub use error::{Error, Result};
pub use guard::is_guarded;
pub use methods::{Components, Method};
pub use provenance::Provenance;

/// The tensors of this crate's interface.
pub use candle_core;
/// The arrays of this crate's interface.
pub use ndarray;
