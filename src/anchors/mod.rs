//! Text anchors: the text tower's vectors for "normal" and "damaged".
//!
//! A prompt ensemble ([`PromptSet`]) gives sentences for a class, the text tower encodes each as a vector,
//! and one representative vector ([`Representative`]) replaces them all (CLIP-AD, section 3.1). Anchors are
//! cached on disk ([`AnchorCache`]).

mod cache;
mod error;
mod prompts;
mod representative;
mod text;

pub use cache::{AnchorCache, AnchorKey};
pub use error::AnchorError;
pub use prompts::{ANYTHING, ClassName, Domain, Polarity, PromptSet};
pub use representative::{Representative, kde_log_density};
pub use text::{AnchorRequest, Anchors, PlainText, SentenceEncoder, text_anchors};
