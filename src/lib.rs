//! Zero-shot visual anomaly detection with CLIP: the methods of CLIP-AD and AA-CLIP in plain Rust.
//!
//! Data flows one way through the modules:
//!
//! ```text
//! image  ->  clip towers  ->  anchors  ->  methods (similarity map, score)  ->  map  ->  output
//! ```
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`image`] | decoding with limits, Pillow-exact resampling, normalisation |
//! | [`clip`] | configuration, tokenizer, vision and text towers |
//! | [`kernels`] | what the towers compute with on the CPU |
//! | [`weights`] | checkpoint readers, tensor names |
//! | [`models`] | model registry, hub cache, downloads |
//! | [`adapters`] | trained adapters: AA-CLIP's, SDP+'s, and their files |
//! | [`anchors`] | prompt ensembles and the vectors that represent them |
//! | [`methods`] | how patch features and anchors become a map and a score |
//! | [`map`] | resampling, smoothing and regions of anomaly maps |
//! | [`tiles`] | large pictures in overlapping squares, their maps blended |
//! | [`metrics`] | AUROC, average precision, F1-max and PRO of scores and maps |
//! | [`calibration`] | thresholds from known pictures |
//! | [`evaluation`] | results of labelled pictures, the references' rules, tables |
//! | [`batch`] | folders of pictures: listing, shards, resuming, watching |
//! | [`worker`] | requests and answers, line by line |
//! | [`output`] | records and pictures |
//! | [`dataset`] | labelled pictures, read in the layouts they are published in |
//! | [`train`] | training of adapters |
//! | [`gallery`] | the results of a folder as an HTML page with thumbnails |
//! | [`page`] | an evaluation as one self-contained HTML page |
//! | [`serve`] | a local HTTP server |
//!
//! Errors ([`Error`]), [`progress`], [`pipeline`], [`device`] and [`files`] are the only things every module shares.
#![warn(missing_docs)]

// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod adapters;
pub mod anchors;
pub mod batch;
pub mod calibration;
pub mod clip;
pub mod dataset;
mod detector;
pub mod device;
mod error;
pub mod evaluation;
pub mod files;
#[cfg(feature = "report")]
pub mod gallery;
mod guard;
pub mod image;
pub mod kernels;
mod levels;
pub mod map;
pub mod methods;
pub mod metrics;
pub mod models;
pub mod output;
#[cfg(feature = "report")]
pub mod page;
pub mod pipeline;
pub mod progress;
mod provenance;
mod scorer;
#[cfg(feature = "serve")]
pub mod serve;
pub mod tiles;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;
pub mod worker;

pub use detector::{
    Components, Detection, Detector, DetectorMethod, DetectorSettings, PreparedPicture, Timing,
};
pub use error::{Error, Result};
pub use guard::is_guarded;
pub use levels::quarters;
pub use provenance::Provenance;
pub use scorer::{Look, PictureName, Scorer, ScorerSettings, Source};
