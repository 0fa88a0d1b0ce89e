//! Comparisons with the outputs of the official code on a small random model.

#[path = "../support/mod.rs"]
mod support;

mod aaclip_infer;
mod clip_base;
mod clipad_rvs;
mod clipad_sdp;
mod clipad_sdp_plus;
mod dataset;
mod full_size;
mod metrics;
mod musc;
mod oracle;
mod posembed;
mod preprocess;
mod reference_memory;
mod tokenizer;
mod training;
mod winclip;
