//! The `aaclip` command.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod cli;

#[global_allocator]
static ALLOCATOR: cli::Allocator = cli::Allocator;

fn main() -> std::process::ExitCode {
    cli::run()
}
