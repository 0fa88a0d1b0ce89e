//! `aaclip prompts`.

use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct PromptsArgs {}

pub fn run(_args: PromptsArgs) -> aaclip::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
