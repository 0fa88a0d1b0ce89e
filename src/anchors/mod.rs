//! Text anchors: what "normal" and "damaged" look like to the text tower.
//!
//! A prompt ensemble ([`PromptSet`]) gives sentences for a class, the text tower gives each a vector, and a
//! representative vector ([`Representative`]) stands for all of them (CLIP-AD, section 3.1). Anchors are cached
//! on disk ([`AnchorCache`]).

mod cache;
mod error;
mod prompts;
mod representative;
mod text;

pub use cache::{AnchorCache, AnchorKey};
pub use error::AnchorError;
pub use prompts::{ClassName, Domain, Polarity, PromptSet};
pub use representative::{Representative, kde_log_density};
pub use text::{AnchorRequest, Anchors, PlainText, SentenceEncoder, text_anchors};
