//! `aaclip models`.

use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ModelsArgs {}

pub fn run(_args: ModelsArgs) -> aaclip::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
