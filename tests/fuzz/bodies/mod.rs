//! What is run on arbitrary bytes: by the fuzzers (`fuzz/`), and over seeds and mutations of them in `cargo test`.
//!
//! A body may get an error from the library, never a panic, a hang or memory beyond [`memory::LIMIT`].
#![allow(dead_code)]

pub mod memory;

mod adapters;
mod checkpoints;
mod files;
mod jpeg;
mod model;
mod picture;
mod runs;
mod scratch;
mod text;

pub use adapters::{adapters, training_state};
pub use checkpoints::{archive, pickle, safetensors, shards};
pub use files::{metadata, prompts, registry, results, threshold};
pub use jpeg::jpeg;
pub use model::model;
pub use picture::picture;
pub use runs::{journal, worker};
pub use text::{tokenizer, tokenizer_json};

/// Keeps panics that the library catches from the panic hook: the fuzzers' ends the process.
fn quiet_guarded() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !aaclip::is_guarded() {
                report(info);
            }
        }));
    });
}

/// A body, by the name of its fuzz target and of its folder of seeds.
pub type Body = (&'static str, fn(&[u8]));

/// All bodies.
pub const ALL: [Body; 18] = [
    ("adapters", adapters),
    ("archive", archive),
    ("journal", journal),
    ("jpeg", jpeg),
    ("metadata", metadata),
    ("model", model),
    ("pickle", pickle),
    ("picture", picture),
    ("prompts", prompts),
    ("registry", registry),
    ("results", results),
    ("safetensors", safetensors),
    ("shards", shards),
    ("threshold", threshold),
    ("tokenizer", tokenizer),
    ("tokenizer_json", tokenizer_json),
    ("training_state", training_state),
    ("worker", worker),
];
