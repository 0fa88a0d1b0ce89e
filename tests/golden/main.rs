//! Comparisons with the outputs of the official code on a small random model.

#[path = "../support/mod.rs"]
mod support;

mod clip_base;
mod clipad_rvs;
mod clipad_sdp;
mod full_size;
mod oracle;
mod posembed;
mod preprocess;
mod tokenizer;
